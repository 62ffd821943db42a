"""Jitsi as a school gets it. The same tests run for molecule and against a live school's server.

The host name comes from the inventory (``jitsi_hostname``) or from ``JITSI_HOSTNAME``. Everything is asked from the
server itself. Prosody, coturn and nginx are real; bridge and focus are upstream's or, in molecule, the stand-ins of
tests/standins.
"""

import json
import os
import re
import secrets
import shlex
from typing import Any

import pytest

LOOPBACK = {"127.0.0.1", "[::1]", "::1"}

# Runs on the server with nothing but Debian's Python. The requests and the answers are JSON.
ASK = """
import http.client, json, socket, ssl, sys
answers = []
for request in json.loads(sys.argv[1]):
    class Local(http.client.HTTPSConnection):
        def connect(self):
            context = ssl.create_default_context()
            # Whether the certificate is trusted is the business of the role tls and of the health probes.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            plain = socket.create_connection(("127.0.0.1", 443), 60)
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
    connection = Local(request["hostname"])
    connection.request(request.get("method", "GET"), request["path"], headers=request.get("headers", {}))
    answer = connection.getresponse()
    body = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
    headers = {}
    for name, value in answer.getheaders():
        headers.setdefault(name, []).append(value)
    headers = {name: ", ".join(values) for name, values in headers.items()}
    answers.append({"status": answer.status, "headers": headers, "body": body})
print(json.dumps(answers))
"""

# What the TURN server says to the wish to relay to some addresses (RFC 8656, CreatePermission).
PERMISSIONS = """
import hashlib, importlib.machinery, importlib.util, ipaddress, json, pathlib, socket, struct, sys
loader = importlib.machinery.SourceFileLoader("coturn", "/usr/local/sbin/provision-coturn")
spec = importlib.util.spec_from_loader("coturn", loader)
turn = importlib.util.module_from_spec(spec)
sys.dont_write_bytecode = True
loader.exec_module(turn)
name, password = turn.credentials(json.loads(turn.WANTED.read_text())["secret"])
told = {}
for peer in sys.argv[1:]:
    connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connection.settimeout(3)
    connection.connect(("127.0.0.1", turn.PORT))
    wish = turn.attribute(turn.TRANSPORT, struct.pack(">B3x", 17))
    connection.send(turn.message(turn.ALLOCATE, wish))
    first = turn.parse(connection.recv(2048))[1]
    realm, nonce = first[turn.REALM], first[turn.NONCE]
    key = hashlib.md5(b":".join([name.encode(), realm, password.encode()])).digest()
    who = turn.attribute(turn.USERNAME, name.encode()) + turn.attribute(turn.REALM, realm)
    who += turn.attribute(turn.NONCE, nonce)
    connection.send(turn.message(turn.ALLOCATE, wish + who, key))
    assert turn.parse(connection.recv(2048))[0] == 0x0103
    address = int(ipaddress.IPv4Address(peer)) ^ turn.MAGIC
    to = turn.attribute(0x12, struct.pack(">BBHI", 0, 1, 10000 ^ (turn.MAGIC >> 16), address))
    connection.send(turn.message(0x0008, to + who, key))
    kind, answer = turn.parse(connection.recv(2048))
    error = answer.get(turn.ERROR, bytes(4))
    told[peer] = "ok" if kind == 0x0108 else str(error[2] * 100 + error[3])
    connection.send(turn.message(turn.REFRESH, turn.attribute(turn.LIFETIME, bytes(4)) + who, key))
print(json.dumps(told))
"""

# What a guest is told of TURN servers (XEP-0215), and whether its names and passwords open a relay.
SERVICES = """
import importlib.machinery, importlib.util, json, sys
sys.dont_write_bytecode = True
def load(name):
    loader = importlib.machinery.SourceFileLoader(name, "/usr/local/sbin/provision-" + name)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module
jitsi, turn = load("jitsi-health"), load("coturn")
host = sys.argv[1]
guest = jitsi.Visitor(host, "guest." + host)
assert guest.login() == "ok"
wish = "<services xmlns='urn:xmpp:extdisco:2'/>"
answer = guest.look_for(guest.send(f"<iq xmlns='jabber:client' type='get' id='s' to='{host}'>{wish}</iq>"), "iq")
guest.close()
told = [dict(element.attrib) for element in answer.iter() if element.tag.endswith("}service")]
for one in told:
    if "username" in one:
        one["relay"] = turn.allocate(one.pop("username"), one.pop("password"))
print(json.dumps(told))
"""


@pytest.fixture(name="hostname", scope="module")
def _hostname(host: Any) -> str:
    named = os.environ.get("JITSI_HOSTNAME") or host.ansible.get_variables().get("jitsi_hostname")
    assert named, "say which server is meant: JITSI_HOSTNAME"
    return str(named)


@pytest.fixture(name="wanted", scope="module")
def _wanted(host: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(host.check_output("cat /etc/provision/jitsi/settings.json"))
    return read


def ask(host: Any, hostname: str, *paths: str, **more: Any) -> list[dict[str, Any]]:
    requests = [{"hostname": hostname, "path": path, **more} for path in paths]
    told: list[dict[str, Any]] = json.loads(
        host.check_output(f"python3 -c {shlex.quote(ASK)} {shlex.quote(json.dumps(requests))}")
    )
    return told


def attempt(host: Any, **wish: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(
        host.check_output(f"printf %s {shlex.quote(json.dumps(wish))} | provision-jitsi-health try")
    )
    return told


def room() -> str:
    return f"test-{secrets.token_hex(6)}"


def of_the_school(host: Any, wanted: dict[str, Any], name: str) -> dict[str, str]:
    """What lets somebody of the school open a room: a teacher's account, or a token."""
    if wanted["authentication"] == "token":
        return {"as": "token", "token": host.check_output(f"provision-jitsi-health token {name}")}
    teacher = wanted["teachers"][0]
    return {
        "as": "account",
        "name": teacher,
        "password": host.check_output(f"provision-jitsi password {teacher}"),
    }


def settings_served(host: Any, hostname: str) -> dict[str, Any]:
    """config.js as the pages get it."""
    (answer,) = ask(host, hostname, "/config.js")
    assert answer["status"] == 200
    found = re.search(r"^var config = (\{.*?^\});$", answer["body"], re.MULTILINE | re.DOTALL)
    assert found
    read: dict[str, Any] = json.loads(found[1])
    return read


# --- What the pages get ---


def test_the_pages_are_told_of_no_server_but_the_schools_own(host: Any, hostname: str) -> None:
    """Upstream's config.js names a STUN server of theirs (p2p.stunServers)."""
    served = json.dumps(settings_served(host, hostname))
    assert set(re.findall(r"(?:https?|wss?|stuns?|turns?):/*([^/:\"]+)", served)) == {hostname}
    assert "jitsi.net" not in served


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("disableThirdPartyRequests", True),
        ("gravatar.disabled", True),
        ("analytics.disabled", True),
        ("analytics.rtcstatsEnabled", False),
        ("enableDisplayNameInStats", False),
        ("enableEmailInStats", False),
        ("feedbackPercentage", 0),
        ("giphy.enabled", False),
        ("enableCalendarIntegration", False),
        ("disableDeepLinking", True),
        ("deeplinking.disabled", True),
        ("recordingService.enabled", False),
        ("localRecording.disable", True),
        ("liveStreaming.enabled", False),
        ("transcription.enabled", False),
        ("whiteboard.enabled", False),
        ("fileSharing.enabled", False),
        ("doNotStoreRoom", True),
        ("p2p.enabled", False),
    ],
)
def test_what_would_lead_out_or_record_is_off_in_what_is_served(
    host: Any, hostname: str, path: str, value: Any
) -> None:
    """Names: jitsi-meet, react/features/base/config/configType.ts; what each does: config.js."""
    served: Any = settings_served(host, hostname)
    for key in path.split("."):
        served = served[key]
    assert served == value


def test_the_list_of_stun_servers_is_the_schools_own_and_not_empty(host: Any, hostname: str) -> None:
    """Where there is none, lib-jitsi-meet takes upstream's (xmpp.ts, DEFAULT_STUN_SERVERS)."""
    assert settings_served(host, hostname)["p2p"]["stunServers"] == [{"urls": f"stun:{hostname}:3478"}]


def test_there_is_no_button_for_recording_or_broadcasting(host: Any, hostname: str) -> None:
    """Names: jitsi-meet, react/features/toolbox/constants.ts (TOOLBAR_BUTTONS)."""
    buttons = set(settings_served(host, hostname)["toolbarButtons"])
    assert {"microphone", "camera", "hangup"} <= buttons
    assert not buttons & {
        "recording",
        "livestreaming",
        "localrecording",
        "sharedvideo",
        "linktosalesforce",
        "feedback",
    }


def test_what_no_link_may_bring_back_stands_in_the_settings(host: Any, hostname: str) -> None:
    """config.js keeps what it sets; what it does not set, a link may (upstream's configWhitelist.ts)."""
    served = settings_served(host, hostname)
    assert served["googleApiApplicationClientID"] == ""
    assert served["dropbox"] == {"appKey": None}
    assert served["transcribingEnabled"] is False
    (answer,) = ask(host, hostname, "/config.js")
    assert answer["body"].rstrip().endswith("})(config);")


def test_the_welcome_page_leads_to_no_app_store_and_to_no_companys_terms(host: Any, hostname: str) -> None:
    """Name: jitsi-meet, interface_config.js; what it does: WelcomePage.web.tsx (_renderFooter)."""
    own, page = ask(host, hostname, "/interface_config.js", "/")
    for answer in (own, page):
        assert answer["status"] == 200
        assert "DISPLAY_WELCOME_FOOTER: false" in answer["body"]
        assert "DISPLAY_WELCOME_FOOTER: true" not in answer["body"]


def test_the_browser_is_told_to_reach_no_other_server(host: Any, hostname: str) -> None:
    paths = ["/", "/UnaSala", "/config.js", "/css/all.css", "/static/404.html", "/http-bind", "/a/b"]
    for path, answer in zip(paths, ask(host, hostname, *paths), strict=True):
        told = answer["headers"]["Content-Security-Policy"]
        assert "frame-ancestors" in told, path
        rules = dict(part.strip().partition(" ")[::2] for part in re.split("[;,]", told))
        assert rules["default-src"] == "'self'", path
        assert rules["object-src"] == "'none'", path
        assert "unsafe-eval" not in rules["script-src"].replace("'wasm-unsafe-eval'", ""), path
        named = {
            word for rule in rules.values() for word in rule.split() if not re.match(r"'|(data|blob):$", word)
        }
        assert named == {f"wss://{hostname}"}, path


def test_a_rooms_page_has_these_settings_in_it(host: Any, hostname: str) -> None:
    """By SSI (jitsi-meet, index.html)."""
    front, page = ask(host, hostname, "/", "/UnaSala")
    assert front["status"] == page["status"] == 200
    assert front["body"] == page["body"]
    assert f'"domain": "{hostname}"' in page["body"]
    assert "<!--#include" not in page["body"]


def test_the_pages_may_use_camera_and_microphone_and_carry_the_servers_headers(
    host: Any, hostname: str
) -> None:
    for answer in ask(host, hostname, "/", "/config.js", "/css/all.css"):
        assert answer["status"] == 200
        assert "camera=(self)" in answer["headers"]["Permissions-Policy"]
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert "Strict-Transport-Security" in answer["headers"]


# --- Ways in ---


def test_bosh_answers(host: Any, hostname: str) -> None:
    (answer,) = ask(host, hostname, "/http-bind")
    assert answer["status"] == 200


def test_a_websocket_is_opened(host: Any, hostname: str) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "xmpp",
    }
    (answer,) = ask(host, hostname, "/xmpp-websocket", headers=headers)
    assert answer["status"] == 101


def test_inner_doors_are_not_public(host: Any, hostname: str) -> None:
    """Over HTTP jicofo cannot know who asks (its doc/conference-request.md)."""
    paths = ["/about/health", "/colibri/stats", "/stats", "/metrics", "/debug", "/_api/room-info", "/a/b"]
    assert {answer["status"] for answer in ask(host, hostname, *paths)} == {404}
    (answer,) = ask(host, hostname, "/conference-request/v1", method="POST")
    assert answer["status"] == 404


def listeners(host: Any, kind: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for line in host.check_output(f"ss -H -ln{kind}").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found.setdefault(int(port), set()).add(address.partition("%")[0])
    return found


def test_bridge_focus_and_prosody_listen_on_loopback_but_for_media(host: Any) -> None:
    """Ports: reference.conf of jitsi-videobridge and jicofo, jitsi-meet.example (5280, 9090) of jitsi-meet."""
    tcp, udp = listeners(host, "t"), listeners(host, "u")
    for port in (5222, 5280, 8080, 8888, 9090):
        assert tcp[port] <= LOOPBACK, port
    assert not set(tcp) & {5223, 5269, 5281}
    assert not udp[10000] <= LOOPBACK
    assert not udp[3478] <= LOOPBACK
    assert not tcp[5349] <= LOOPBACK


@pytest.mark.parametrize("port", [8080, 8888])
def test_bridge_and_focus_say_that_they_are_well(host: Any, port: int) -> None:
    """jitsi-videobridge, doc/health-checks.md and rest/root/Application.java; jicofo, ktor/Application.kt (about)."""
    assert (
        host.check_output(f"curl -s -o /dev/null -w %{{http_code}} http://127.0.0.1:{port}/about/health")
        == "200"
    )


def test_the_focus_opens_nothing_over_http(host: Any, hostname: str) -> None:
    """jicofo, reference.conf (rest.conference-request.enabled) and ktor/Application.kt."""
    wish = json.dumps({"room": f"{room()}@conference.{hostname}"})
    code = host.check_output(
        "curl -s -o /dev/null -w %{http_code} -H 'Content-Type: application/json' "
        f"-d {shlex.quote(wish)} http://127.0.0.1:8888/conference-request/v1"
    )
    assert code == "404"


# --- Who opens a room: asked of the real Prosody ---


def test_a_guest_opens_no_room(host: Any) -> None:
    """jicofo, ConferenceIqHandler.kt (not-authorized); Prosody, restrict_room_creation."""
    name = room()
    told = attempt(host, **{"as": "guest", "room": name, "do": "both"})
    assert told["login"] == "ok"
    assert told["request"] == "not-authorized"
    assert told["join"] != "ok"


def test_a_session_that_a_guest_has_made_up_opens_no_room(host: Any) -> None:
    """jicofo, AbstractAuthAuthority.java (verifySession)."""
    told = attempt(host, **{"as": "guest", "room": room(), "session": secrets.token_hex(16)})
    assert told["request"] in ("not-authorized", "not-acceptable")


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("x@focus.{}", "conference.{}"),
        ("x@focus.{}/y", "conference.{}"),
        ("focus@auth.{}/focus", "conference.{}"),
        ("focus.{}", "internal.auth.{}"),
        ("focus.{}", "lobby.{}"),
    ],
)
def test_no_byway_lets_a_guest_open_a_room(host: Any, hostname: str, to: str, where: str) -> None:
    wish = {"as": "guest", "room": f"{room()}@{where.format(hostname)}", "to": to.format(hostname)}
    assert attempt(host, **wish)["request"] == "not-authorized"


def test_somebody_of_the_school_opens_a_room_and_then_guests_come_in_or_wait(
    host: Any, wanted: dict[str, Any]
) -> None:
    name = room()
    own = of_the_school(host, wanted, name)
    assert attempt(host, **own, room=name) == {"login": "ok", "request": "ready"}
    told = attempt(host, **{"as": "guest", "room": name, "do": "both"})
    assert told["request"] == "ready"
    if wanted["authentication"] == "token":
        # With nobody of the school inside, the door stays shut: upstream's mod_muc_wait_for_host.
        assert told["join"] != "ok"
    else:
        assert told["join"] == "ok"


def test_a_guest_with_a_token_that_nobody_looked_at_is_a_guest(host: Any, wanted: dict[str, Any]) -> None:
    """Upstream keeps what stands in the address, and takes whoever has it for somebody of the school.

    jitsi-meet, mod_jitsi_session.lua, mod_auth_jitsi-anonymous.lua, mod_muc_wait_for_host.lua.
    """
    name = room()
    made_up = {"as": "guest", "token": "made-up"}
    assert attempt(host, **made_up, room=name)["request"] == "not-authorized"
    assert attempt(host, **of_the_school(host, wanted, name), room=name)["request"] == "ready"
    told = attempt(host, **made_up, room=name, do="join")
    # With accounts a guest may come in now; with tokens he waits for somebody who has one.
    assert (told["join"] == "ok") == (wanted["authentication"] == "accounts")


def test_a_wrong_password_or_no_token_does_not_even_come_in(host: Any, wanted: dict[str, Any]) -> None:
    if wanted["authentication"] == "token":
        told = attempt(host, **{"as": "token", "room": room()})
    else:
        told = attempt(
            host, **{"as": "account", "name": wanted["teachers"][0], "password": "x", "room": room()}
        )
    assert "ok" not in told.values()


def test_prosody_runs_with_all_of_its_modules(host: Any) -> None:
    """One that it cannot load is left out, and only the log says so."""
    since = host.check_output("systemctl show prosody --property=ActiveEnterTimestamp --value")
    told = host.check_output(f"journalctl -u prosody --since {shlex.quote(since)} -o cat")
    assert not re.findall(r"^.*(?:Error initializing module|Unable to load module).*$", told, re.MULTILINE)


def test_nobody_registers_an_account(host: Any, hostname: str) -> None:
    """XEP-0077 is not offered."""
    script = (
        "import importlib.machinery,importlib.util,sys;sys.dont_write_bytecode=True;"
        "l=importlib.machinery.SourceFileLoader('j','/usr/local/sbin/provision-jitsi-health');"
        "s=importlib.util.spec_from_loader('j',l);j=importlib.util.module_from_spec(s);l.exec_module(j);"
        f"v=j.Visitor({hostname!r},{hostname!r});"
        "r=v.send(\"<iq xmlns='jabber:client' type='set' id='r'><query xmlns='jabber:iq:register'>"
        "<username>x</username>"
        '<password>y</password></query></iq>");print(j.ElementTree.tostring(r).decode())'
    )
    told = host.run(f"python3 -c {shlex.quote(script)}")
    assert 'type="result"' not in told.stdout
    assert "x" not in host.check_output("ls /var/lib/prosody/*/accounts").replace(".dat", "").split()


def test_the_own_probe_says_that_all_is_well(host: Any) -> None:
    assert json.loads(host.check_output("provision-jitsi-health probe opening"))["state"] == "ok"


# --- Logs ---


def test_the_logs_of_bridge_and_focus_name_no_room_that_somebody_opens(
    host: Any, wanted: dict[str, Any]
) -> None:
    name = room()
    assert attempt(host, **of_the_school(host, wanted, name), room=name)["request"] == "ready"
    assert attempt(host, **{"as": "guest", "room": room()})["request"] == "not-authorized"
    assert host.run(f"grep -rlF {name} /var/log/jitsi").stdout == ""


@pytest.mark.parametrize("name", ["jicofo", "jitsi-videobridge"])
def test_the_logs_of_bridge_and_focus_go_after_some_days_however_little_is_written(
    host: Any, name: str
) -> None:
    told = host.run(f"logrotate --debug /etc/logrotate.d/{name}").stderr
    # Each release of logrotate says it in another order.
    found = re.search(r"\((\d+) rotations\)", told)
    assert found, told
    assert "after 1 days" in told
    assert 1 <= int(found[1]) <= 365
    assert "empty log files are rotated" in told
    assert "old logs are removed" in told
    assert "error:" not in told


# --- TURN ---


def test_a_password_of_today_opens_a_relay_and_a_wrong_one_does_not(host: Any) -> None:
    assert json.loads(host.check_output("provision-coturn probe relay"))["state"] == "ok"


def test_a_guest_is_told_of_the_schools_turn_server_alone_and_may_use_it(host: Any, hostname: str) -> None:
    told = json.loads(host.check_output(f"python3 -c {shlex.quote(SERVICES)} {hostname}"))
    assert {one["host"] for one in told} == {hostname}
    assert {(one["type"], one["port"], one.get("relay")) for one in told} == {
        ("stun", "3478", None),
        ("turn", "3478", "ok"),
        ("turns", "5349", "ok"),
    }


def test_the_relay_leads_to_this_server_alone(host: Any) -> None:
    own = host.check_output("ip -4 -o address show scope global").split()[3].partition("/")[0]
    foreign = [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "1.1.1.1",
    ]
    told = json.loads(host.check_output(f"python3 -c {shlex.quote(PERMISSIONS)} {own} {' '.join(foreign)}"))
    assert told == {own: "ok", **dict.fromkeys(foreign, "403")}


def test_turn_over_tls_has_the_sites_certificate(host: Any, hostname: str) -> None:
    command = f"openssl s_client -connect 127.0.0.1:5349 -servername {hostname} < /dev/null 2> /dev/null | openssl x509"
    assert host.check_output(f"{command} -noout -fingerprint") == host.check_output(
        "openssl x509 -noout -fingerprint -in /etc/provision/tls/jitsi/fullchain.pem"
    )


def test_bridge_asks_nobody_for_its_address(host: Any) -> None:
    """Upstream's package names a STUN server of theirs (jitsi-videobridge, debian/postinst)."""
    conf = host.check_output("cat /etc/jitsi/videobridge/jvb.conf")
    assert "jitsi.net" not in conf
    assert (
        host.check_output("hocon -f /etc/jitsi/videobridge/jvb.conf get ice4j.harvest.mapping.stun.addresses")
        == "[]"
    )
    assert (
        host.check_output("hocon -f /etc/jitsi/videobridge/jvb.conf get ice4j.harvest.mapping.aws.enabled")
        == "false"
    )


def test_behind_a_router_the_bridge_says_the_routers_address_and_knows_its_own(host: Any) -> None:
    """Names: jitsi-videobridge, doc/network-configuration.md."""
    conf = host.check_output("cat /etc/jitsi/videobridge/jvb.conf")
    public = json.loads(host.check_output("cat /etc/provision/coturn.json"))["sites"][0]["public_address"]
    told = re.findall(r'(local|public)-address = "(.*)"', conf)
    if not public:
        assert told == []
        return
    own = re.findall(r"inet (\S+)/", host.check_output("ip -4 -o address show scope global"))
    assert dict(told)["public"] == public
    assert dict(told)["local"] in own


# --- Packages, files, secrets ---


def test_upstreams_package_opens_no_second_site(host: Any, hostname: str) -> None:
    """It would, where there is no such file (jitsi-meet, debian/jitsi-meet-web-config.postinst)."""
    assert host.run("nginx -t -q").rc == 0
    assert not host.file(f"/etc/nginx/sites-enabled/{hostname}.conf").exists
    named = re.findall(
        rf"^\s*server_name {re.escape(hostname)};", host.check_output("nginx -T 2> /dev/null"), re.MULTILINE
    )
    # One on port 80 that leads on, one on 443.
    assert len(named) == 2


def test_the_whole_set_is_held_at_one_release(host: Any) -> None:
    pins = host.check_output("cat /etc/apt/preferences.d/provision-jitsi")
    for package in ("jitsi-meet", "jitsi-meet-web", "jitsi-meet-web-config", "jitsi-meet-prosody", "jicofo"):
        assert f"\nPackage: {package}\n" in pins
        assert "1001" in host.check_output(f"apt-cache policy {package}")
    assert not host.package("jitsi-meet-turnserver").is_installed


def test_upstream_was_told_of_the_own_certificate_and_of_no_company(host: Any, hostname: str) -> None:
    """Its very words: jitsi-meet, debian/jitsi-meet-web-config.{templates,postinst}."""
    answers = host.check_output("debconf-show jitsi-meet-web-config")
    assert "jitsi-meet/cert-choice: I want to use my own certificate" in answers
    assert "jitsi-meet/jaas-choice: false" in answers
    assert host.check_output(f"readlink /etc/ssl/{hostname}.key") == "/etc/provision/tls/jitsi/key.pem"


def test_no_secret_is_for_everybody_to_read(host: Any, wanted: dict[str, Any]) -> None:
    secret = json.loads(host.check_output("cat /etc/provision/coturn.json"))["secret"]
    words = [secret, wanted["focus_password"], wanted["bridge_password"], wanted["token_secret"]]
    patterns = " ".join(f"-e {word}" for word in words)
    places = "/etc /var/lib /var/log /var/cache/debconf /usr/local /run /opt"
    found = host.run(f"runuser -u nobody -- grep -rslF {patterns} {places}")
    assert found.stdout == ""
    processes = host.check_output("cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' '")
    assert not [word for word in words if word in processes.replace(patterns, "")]


def test_whatever_serves_is_no_root(host: Any) -> None:
    for user in ("prosody", "jvb", "jicofo", "turnserver"):
        assert host.run(f"pgrep -u {user}").rc == 0, user


# --- Settling ---


def test_a_settled_server_has_nothing_more_to_do(host: Any) -> None:
    told = host.run("provision-jitsi settle --check")
    assert (told.rc, told.stdout) == (0, "")


@pytest.fixture(name="lessons")
def _lessons(host: Any) -> Any:
    """Two meetings that the stand-in of the bridge speaks of, and a restart that is due."""
    if not host.file("/usr/share/jitsi-videobridge/lib/bridge.py").exists:
        pytest.skip("only the stand-in of the bridge can be told to speak of meetings")
    host.check_output('echo \'{"conferences": 2, "participants": 41}\' > /run/jitsi-stand-in.json')
    host.check_output(
        "rm -f /run/jitsi-stand-in.conf; cp -p /etc/provision/jitsi/jvb.conf /run/jitsi-stand-in.conf"
    )
    host.check_output("echo '# changed' >> /etc/provision/jitsi/jvb.conf")
    yield
    host.check_output("cp -p /run/jitsi-stand-in.conf /etc/provision/jitsi/jvb.conf")
    host.check_output("rm /run/jitsi-stand-in.json /run/jitsi-stand-in.conf; provision-jitsi settle")


def started(host: Any) -> str:
    return str(
        host.check_output("systemctl show jitsi-videobridge2 --property=ActiveEnterTimestampMonotonic")
    )


@pytest.mark.usefixtures("lessons")
def test_a_restart_that_would_cut_lessons_is_refused_with_the_number_of_people(host: Any) -> None:
    before = started(host)
    assert json.loads(host.check_output("provision-jitsi busy")) == {"meetings": 2, "participants": 41}
    told = host.run("provision-jitsi settle")
    assert told.rc == 75
    assert "participants: 41" in told.stderr
    assert "would cut them" in told.stderr
    assert started(host) == before


@pytest.mark.usefixtures("lessons")
def test_with_force_it_says_what_it_cuts(host: Any) -> None:
    before = started(host)
    told = host.run("provision-jitsi settle --force")
    assert told.rc == 0
    assert "note: " in told.stderr
    assert "participants: 41" in told.stderr
    assert started(host) != before


@pytest.mark.usefixtures("lessons")
def test_the_turn_server_is_not_restarted_under_lessons_either(host: Any) -> None:
    host.check_output('sed -i.test \'s/"total_quota": [0-9]*/"total_quota": 3/\' /etc/provision/coturn.json')
    told = host.run("provision-coturn settle")
    host.check_output(
        "mv /etc/provision/coturn.json.test /etc/provision/coturn.json; provision-coturn settle --force"
    )
    assert told.rc == 75
    assert "participants: 41" in told.stderr
