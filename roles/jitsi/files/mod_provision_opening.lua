-- Written by provision (role jitsi). On the host of the guests: they open no room.
--
-- Whoever asks the focus for a room that is not there yet makes it open one. Without an authority of its own (tokens) the
-- focus asks nobody, and over HTTP it cannot even know who asks. So a guest's wish for a room that
-- is not open is answered here, with the condition with which the focus itself refuses: pages then show that one waits for the
-- host.
-- It is looked at before it goes anywhere: to the focus's component, to a name on it, or to the focus itself.
local jid = require "util.jid";
local st = require "util.stanza";

local xmlns = "http://jitsi.org/protocol/focus";
local rooms = module:get_option_string("provision_rooms");
local breakouts = module:get_option_string("provision_breakouts");
-- Whether the focus knows who has logged in (accounts). Where it does not (tokens), it would take any word for a session.
local sessions = module:get_option_boolean("provision_sessions", false);

local function is_open(room)
	local host = prosody.hosts[rooms];
	local muc = host and host.modules.muc;
	return muc ~= nil and muc.get_room_from_jid(room) ~= nil;
end

local function look(event)
	local origin, stanza = event.origin, event.stanza;
	local wish = stanza.attr.type == "set" and stanza:get_child("conference", xmlns);
	if not wish then return; end
	-- Who has logged in goes on with a session, which the focus looks up; it refuses one that it does not know.
	if sessions and wish.attr["session-id"] then return; end
	local room = jid.prep(wish.attr.room or "");
	local host = room and jid.host(room);
	-- Rooms of a class in groups belong to one that is open: upstream's own module watches over them.
	if host and (host == breakouts or (host == rooms and is_open(room))) then return; end
	origin.send(st.error_reply(stanza, "auth", "not-authorized", "only people of the school open a room"));
	return true;
end

for _, kind in ipairs { "host", "bare", "full" } do
	module:hook("pre-iq/" .. kind, look, 10);
end

-- Upstream's mod_jitsi_session keeps whatever stands in an address (?token=) as the token of a session. On this host nobody looks
-- at it; its mod_auth_jitsi-anonymous forgets it, but not where somebody names a former session of his own (?previd=). For its
-- mod_muc_wait_for_host, whoever has one is of the school. A token that is good comes in on the main host.
module:hook("resource-bind", function (event)
	event.session.auth_token = nil;
end, 10);
