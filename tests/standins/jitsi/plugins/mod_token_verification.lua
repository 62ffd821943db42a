-- Stand-in: a token for one room opens no other.
local jid = require "util.jid";
local st = require "util.stanza";
local function look(event)
	local session, stanza = event.origin, event.stanza;
	local own, wanted = session.jitsi_meet_room, jid.split(stanza.attr.to);
	if own and own ~= "*" and own:lower() ~= wanted then
		session.send(st.error_reply(stanza, "cancel", "not-allowed", "Room and token mismatched"));
		return true;
	end
end
module:hook("muc-room-pre-create", look, 99);
module:hook("muc-occupant-pre-join", look, 99);
