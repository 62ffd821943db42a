-- Stand-in: as long as nobody with a token is there, others are told to wait (upstream puts them into a lobby).
local jid = require "util.jid";
local st = require "util.stanza";
local base = module:get_option_string("muc_mapper_domain_base");
module:hook("muc-occupant-pre-join", function (event)
	local room, session, stanza, occupant = event.room, event.origin, event.stanza, event.occupant;
	if room.has_host or jid.host(occupant.bare_jid) == "auth." .. base then return; end
	if session.auth_token or jid.host(occupant.bare_jid) == base then room.has_host = true; return; end
	session.send(st.error_reply(stanza, "auth", "registration-required", "waiting for the host"));
	return true;
end);
