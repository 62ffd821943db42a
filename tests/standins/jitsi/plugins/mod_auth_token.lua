-- Stand-in: comes in who has a token that is signed with the app's secret (HS256) or with a key of the issuer (RS256), and is
-- neither late nor early. As upstream, it keeps whatever token an address has, for guests too.
local new_sasl = require "util.sasl".new;
local uuid = require "util.uuid".generate;
local hmac = require "util.hashes".hmac_sha256;
local base64 = require "util.encodings".base64;
local json = require "util.json";
local formdecode = require "util.http".formdecode;
local app_id, secret = module:get_option_string("app_id"), module:get_option_string("app_secret");
local address = module:get_option_string("cache_keys_url");
local audiences = module:get_option_set("asap_accepted_audiences");
local issuers = module:get_option_set("asap_accepted_issuers", { app_id });
local wants_room = module:get_option_boolean("asap_require_room_claim", true);
local keys = {};

local function from_url(text)
	text = text:gsub("-", "+"):gsub("_", "/");
	return base64.decode(text .. ("="):rep(-#text % 4));
end

-- A public key as OpenSSL reads it (SubjectPublicKeyInfo, RFC 5280), from the numbers of a JWK (RFC 7517).
local function der(tag, content)
	local size = #content;
	local length = size < 128 and string.char(size) or string.char(0x82, math.floor(size / 256), size % 256);
	return string.char(tag) .. length .. content;
end
local function number(text)
	local bytes = from_url(text);
	return der(2, (bytes:byte() >= 128 and "\0" or "") .. bytes);
end
local rsa = der(0x30, der(6, "\42\134\72\134\247\13\1\1\1") .. der(5, ""));
local function public(jwk)
	return der(0x30, rsa .. der(3, "\0" .. der(0x30, number(jwk.n) .. number(jwk.e))));
end

local function fetch()
	require "net.http".request(address, nil, function (body, code)
		if code ~= 200 then module:add_timer(1, fetch); return; end
		for _, jwk in ipairs(json.decode(body).keys) do keys[jwk.kid] = public(jwk); end
	end);
end
if address then fetch(); end

local function is_signed(header, text, sign)
	if not address then return header.alg == "HS256" and sign == hmac(secret, text); end
	local key = header.kid and keys[header.kid];
	if header.alg ~= "RS256" or not key then return false; end
	local digest = require "openssl.digest".new("sha256"):update(text);
	return require "openssl.pkey".new(key, "DER"):verify(sign, digest);
end

local function claims_of(token)
	local head, body, sign = (token or ""):match("^([^.]+)%.([^.]+)%.([^.]+)$");
	local header = head and json.decode(from_url(head) or "");
	if not header or not is_signed(header, head .. "." .. body, from_url(sign)) then return nil; end
	local claims, now = json.decode(from_url(body)), os.time();
	if not claims.exp or claims.exp < now or (claims.nbf or 0) > now or not issuers:contains(claims.iss) then return nil; end
	if audiences and not audiences:contains(claims.aud) or wants_room and not claims.room then return nil; end
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
