-- Stand-in: what is asked of this component goes to the focus, with the sender's address in the resource, and back.
local jid = require "util.jid";
local st = require "util.stanza";
local target = module:get_option_string("target_address");
local function handle(event)
	local stanza = event.stanza;
	if jid.bare(stanza.attr.from) == target then
		local _, _, to = jid.split(stanza.attr.to);
		if stanza.name == "iq" and to then
			stanza.attr.from, stanza.attr.to = module.host, to;
			module:send(stanza);
		end
	elseif stanza.name == "iq" and (stanza.attr.type == "set" or stanza.attr.type == "get") then
		stanza.attr.from = module.host .. "/" .. stanza.attr.from;
		stanza.attr.to = target .. "/focus";
		module:send(stanza);
	end
	return true;
end
for _, kind in ipairs { "iq", "message", "presence" } do
	for _, place in ipairs { "bare", "full", "host" } do
		module:hook(kind .. "/" .. place, handle, -1);
	end
end
