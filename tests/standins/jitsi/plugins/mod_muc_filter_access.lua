-- Stand-in: lets nobody into the rooms of this component but people of the named hosts.
local jid = require "util.jid";
local allowed = module:get_option_set("muc_filter_whitelist", {});
for _, kind in ipairs { "host", "bare", "full" } do
	module:hook("presence/" .. kind, function (event)
		if not allowed:contains(jid.host(event.stanza.attr.from)) then return true; end
	end, 2000);
end
