-- Stand-in: comes in who has a token (HS256) that is signed with the app's secret and is neither late nor early.
local new_sasl = require "util.sasl".new;
local uuid = require "util.uuid".generate;
local hmac = require "util.hashes".hmac_sha256;
local base64 = require "util.encodings".base64;
local json = require "util.json";
local formdecode = require "util.http".formdecode;
local app_id, secret = module:get_option_string("app_id"), module:get_option_string("app_secret");
local audiences = module:get_option_set("asap_accepted_audiences");
local issuers = module:get_option_set("asap_accepted_issuers", { app_id });

local function from_url(text)
	text = text:gsub("-", "+"):gsub("_", "/");
	return base64.decode(text .. ("="):rep(-#text % 4));
end

local function claims_of(token)
	local head, body, sign = (token or ""):match("^([^.]+)%.([^.]+)%.([^.]+)$");
	local header = head and json.decode(from_url(head) or "");
	if not header or header.alg ~= "HS256" or from_url(sign) ~= hmac(secret, head .. "." .. body) then return nil; end
	local claims, now = json.decode(from_url(body)), os.time();
	if not claims.exp or claims.exp < now or (claims.nbf or 0) > now or not issuers:contains(claims.iss) then return nil; end
	if audiences and not audiences:contains(claims.aud) or not claims.room then return nil; end
	return claims;
end

local function keep(event)
	local query = event.request.url.query;
	event.session.auth_token = query and formdecode(query).token or nil;
end
module:hook_global("bosh-session", keep, 1);
module:hook_global("websocket-session", keep, 1);

local provider = {};
function provider.get_sasl_handler(session)
	return new_sasl(module.host, { anonymous = function (self)
		local claims = claims_of(session.auth_token);
		if not claims then return false; end
		self.username, session.jitsi_meet_room = uuid(), claims.room;
		return true;
	end });
end
function provider.user_exists() return nil; end
module:provides("auth", provider);

local sasl = require "util.sasl";
sasl.registerMechanism("ANONYMOUS", { "anonymous" }, function (self)
	if self.profile.anonymous(self, uuid(), self.realm) then return "success"; end
	return "failure", "not-allowed", "token required";
end);
