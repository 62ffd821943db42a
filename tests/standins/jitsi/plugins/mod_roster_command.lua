-- Stand-in: the command of prosodyctl that puts a component into an account's roster.
local jid = require "util.jid";
local rostermanager = require "core.rostermanager";
local storagemanager = require "core.storagemanager";
local usermanager = require "core.usermanager";
prosody.bare_sessions = prosody.bare_sessions or {};
_G.bare_sessions = _G.bare_sessions or prosody.bare_sessions;
function module.command(arguments)
	local verb, component, account = arguments[1], arguments[2], arguments[3];
	if verb ~= "subscribe" then return 1; end
	local name, host = jid.split(account);
	-- prosodyctl starts without stores.
	storagemanager.initialize_host(host);
	usermanager.initialize_host(host);
	local roster = rostermanager.load_roster(name, host);
	roster[component] = { subscription = "from", groups = {} };
	rostermanager.save_roster(name, host, roster);
	return 0;
end
