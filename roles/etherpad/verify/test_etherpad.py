"""Etherpad as a school gets it. The same tests run for molecule and against a live school's server.

The host name comes from the inventory (``etherpad_hostname``) or from ``ETHERPAD_HOSTNAME``. Everything is
asked from the server itself, where the API may be used; the API's key is read there and never leaves it.
"""

import json
import os
import re
import shlex
import time
from typing import Any

import pytest

# Runs on the server with nothing but Debian's Python. The request and the answer are JSON.
ASK = """
import http.client, json, socket, ssl, sys
from urllib.parse import urlencode
request = json.loads(sys.argv[1])
form = request.get("form")
if form is not None:
    form["apikey"] = form.get("apikey") or open("/etc/etherpad/APIKEY.txt").read()
if request["hostname"]:
    class Local(http.client.HTTPSConnection):
        def connect(self):
            context = ssl.create_default_context()
            # Whether the certificate is trusted is the business of the role tls and of the health probes.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            plain = socket.create_connection(("127.0.0.1", 443), 20)
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
    connection = Local(request["hostname"])
else:
    connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=20)
headers = request.get("headers", {})
if form is not None:
    headers["Content-Type"] = "application/x-www-form-urlencoded"
method, sent = ("GET", None) if form is None else ("POST", urlencode(form))
if "file" in request:
    headers["Content-Type"] = "multipart/form-data; boundary=limit"
    disposition = 'Content-Disposition: form-data; name="file"; filename="text.txt"\\r\\nContent-Type: text/plain'
    method, sent = "POST", "\\r\\n".join(["--limit", disposition, "", request["file"] * "a line\\n", "--limit--", ""])
connection.request(method, request["path"], sent, headers)
answer = connection.getresponse()
body = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
print(json.dumps({"status": answer.status, "headers": dict(answer.getheaders()), "body": body}))
"""


class Etherpad:
    """The service on one server."""

    def __init__(self, host: Any) -> None:
        self.host = host
        try:
            variables = host.ansible.get_variables()
        except (AttributeError, RuntimeError):
            variables = {}
        self.hostname = os.environ.get("ETHERPAD_HOSTNAME") or str(variables["etherpad_hostname"])
        self.port = int(self.settings()["port"])

    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads(self.host.file("/etc/etherpad/settings.json").content_string)
        return settings

    def ask(self, path: str, *, public: bool = True, **request: Any) -> dict[str, Any]:
        """One request, through nginx as people come (``public``) or straight to Etherpad's port."""
        request |= {"path": path, "hostname": self.hostname if public else "", "port": self.port}
        done = self.host.run(f"python3 -c {shlex.quote(ASK)} {shlex.quote(json.dumps(request))}")
        assert done.rc == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def api(self, function: str, **form: str) -> dict[str, Any]:
        """One call of the API on loopback. 1.2.13 is the newest version of it that all our releases know."""
        answer: dict[str, Any] = json.loads(
            self.ask(f"/api/1.2.13/{function}", public=False, form=form)["body"]
        )
        return answer

    def inside(self, command: str) -> Any:
        """Run a command as the service's user in what the service sees of the file system."""
        enter = f"nsenter -t {self.property('MainPID')} -m"
        user = "setpriv --reuid=etherpad --regid=etherpad --clear-groups"
        # A school's server speaks the school's language; these tests read English.
        return self.host.run(f"LC_ALL=C {enter} {user} {command}")

    def property(self, name: str) -> str:
        value: str = self.host.check_output(f"systemctl show etherpad.service --property={name} --value")
        return value


@pytest.fixture(name="pads")
def _pads(host: Any) -> Etherpad:
    return Etherpad(host)


def test_the_service_runs_and_starts_with_the_server(host: Any) -> None:
    unit = host.service("etherpad.service")
    assert unit.is_running
    assert unit.is_enabled


def test_it_runs_as_its_own_user_that_nobody_can_log_in_as(host: Any, pads: Etherpad) -> None:
    process = host.process.get(pid=int(pads.property("MainPID")))
    assert process.user == "etherpad"
    assert host.user("etherpad").shell == "/usr/sbin/nologin"
    assert host.user("etherpad").groups == ["etherpad"]
    assert host.check_output("getent shadow etherpad").split(":")[1][0] in "!*"


def test_the_unit_takes_every_right_away_that_etherpad_does_not_need(pads: Etherpad) -> None:
    for name, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "RestrictNamespaces": "yes",
        "CapabilityBoundingSet": "",
        "FragmentPath": "/etc/systemd/system/etherpad.service",
        "UMask": "0077",
    }.items():
        assert pads.property(name) == value, name
    assert int(pads.property("MemoryMax")) < 2**40


def test_it_cannot_change_its_own_program_or_settings(host: Any, pads: Etherpad) -> None:
    pid = pads.property("MainPID")
    program = host.check_output(f"readlink /proc/{pid}/cwd")
    for place in (program, "/etc/etherpad"):
        assert "cannot touch" in pads.inside(f"touch {place}/written").stderr, place
    assert pads.inside("touch /var/lib/etherpad/written").rc == 0
    assert pads.inside("rm /var/lib/etherpad/written").rc == 0
    assert host.check_output(f"find {program}/ -xdev -user etherpad -print -quit") == ""
    assert host.check_output(f"find {program}/ -xdev -type f -perm /022 -print -quit") == ""


def test_it_listens_on_the_servers_own_loopback_only(host: Any, pads: Etherpad) -> None:
    pid = pads.property("MainPID")
    sockets = [line.split() for line in host.check_output("ss -Hltnp").splitlines()]
    ours = [fields[3] for fields in sockets if f"pid={pid}," in fields[-1]]
    assert ours == [f"127.0.0.1:{pads.port}"]


def test_secrets_and_settings_are_for_root_and_the_service_only(host: Any) -> None:
    for name in ("APIKEY.txt", "settings.json"):
        file = host.file(f"/etc/etherpad/{name}")
        assert (file.user, file.group, file.mode) == ("root", "etherpad", 0o640), name
    directory = host.file("/etc/etherpad")
    assert (directory.user, directory.group, directory.mode) == ("root", "etherpad", 0o750)
    assert host.file("/var/lib/etherpad").mode == 0o750
    assert host.check_output("find /var/lib/etherpad -perm /007 -print -quit") == ""


def test_no_secret_is_in_the_arguments_of_the_process(host: Any, pads: Etherpad) -> None:
    arguments = host.file(f"/proc/{pads.property('MainPID')}/cmdline").content_string
    assert "/etc/etherpad/APIKEY.txt" in arguments
    assert host.file("/etc/etherpad/APIKEY.txt").content_string.strip() not in arguments


def test_the_database_is_postgresql_on_its_socket_without_a_password(host: Any, pads: Etherpad) -> None:
    settings = pads.settings()
    assert settings["dbType"] == "postgres"
    assert settings["dbSettings"] == {
        "database": "etherpad",
        "host": "/var/run/postgresql",
        "user": "etherpad",
    }
    tables = host.check_output("runuser -u etherpad -- psql -d etherpad -tAc 'select count(*) from store'")
    assert int(tables) > 0


def test_a_pad_is_written_read_and_deleted_through_the_api_on_loopback(pads: Etherpad) -> None:
    name = "provision-verify"
    pads.api("deletePad", padID=name)
    assert pads.api("createPad", padID=name, text="première línia ñ 字")["code"] == 0
    assert pads.api("getText", padID=name)["data"]["text"] == "première línia ñ 字\n"
    assert pads.api("deletePad", padID=name)["code"] == 0
    assert pads.api("getText", padID=name)["code"] == 1


def test_it_says_of_itself_that_pads_work_and_leaves_nothing_behind(host: Any) -> None:
    def traces() -> set[str]:
        """Names of pads of this question that have a note or anything in the database."""
        keys = "select distinct substring(key || value from 'provision-probe-[0-9a-f]{12}') from store"
        like = "where key like '%provision-probe-%' or value like '%provision-probe-%'"
        notes = host.check_output("ls /var/lib/provision/probe/etherpad 2>/dev/null || true")
        rows = host.check_output(f'runuser -u etherpad -- psql -d etherpad -tAc "{keys} {like}"')
        return {line for line in f"{notes}\n{rows}".splitlines() if line}

    # Where Etherpad took too long to answer earlier, a pad may be made yet: its note stays until it is old enough.
    earlier = traces()
    (told,) = map(
        json.loads, host.check_output("/usr/local/sbin/provision-etherpad-health probe written").splitlines()
    )
    assert (told["probe"], told["state"], told["code"]) == ("written", "ok", ""), told
    # Etherpad writes what it has changed to the database a little later, and another one may be asking at this moment.
    limit = time.monotonic() + 20
    while left := traces() - earlier:
        assert time.monotonic() < limit, left
        time.sleep(0.5)


def test_the_api_refuses_a_wrong_key(pads: Etherpad) -> None:
    assert pads.api("checkToken")["code"] == 0
    assert pads.api("checkToken", apikey="wrong")["code"] == 4


def test_a_new_pad_has_the_schools_text_and_it_tells_nothing_of_the_server(pads: Etherpad) -> None:
    name = "provision-verify-new"
    pads.api("deletePad", padID=name)
    pads.api("createPad", padID=name)
    text = pads.api("getText", padID=name)["data"]["text"]
    pads.api("deletePad", padID=name)
    assert text.strip() == pads.settings()["defaultPadText"].strip()
    for word in ("etherpad.org", "postgres", "version", pads.hostname):
        assert word not in text.lower()


def test_people_get_the_start_page_and_pads_over_https(pads: Etherpad) -> None:
    start, pad = pads.ask("/"), pads.ask("/p/provision-verify-page")
    assert (start["status"], pad["status"]) == (200, 200)
    assert "padname" in start["body"]
    assert "editorcontainer" in pad["body"]


def test_pages_and_static_files_carry_the_security_headers(pads: Etherpad) -> None:
    for path in ("/", "/p/provision-verify-page", "/static/js/require-kernel.js", "/locales.json", "/stats"):
        headers = {name.lower(): value for name, value in pads.ask(path)["headers"].items()}
        assert "max-age=" in headers["strict-transport-security"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert "referrer-policy" in headers, path
        assert "x-powered-by" not in headers, path
        assert "etherpad" not in headers["server"].lower(), path


@pytest.mark.parametrize(
    "path",
    [
        "/admin",
        "/admin/",
        "/admin/plugins",
        "/admin/settings",
        "/admin/update/status",
        "/admin-auth/",
        "/stats",
        "/stats/prometheus",
        "/health",
        "/metrics",
        "/api",
        "/api/1/listAllPads",
        "/api/1.2.13/checkToken",
        "/api/openapi.json",
        "/api/version-status",
        "/api-docs",
        "/api-docs.json",
        "/rest/openapi.json",
        "/oidc/token",
        "/tests/frontend",
        # Etherpad does not tell capital letters apart in its addresses.
        "/Admin",
        "/STATS",
        "/Api/1/listAllPads",
        "/%61dmin/",
        "//stats",
        "/p/../stats",
    ],
)
def test_what_is_not_for_the_public_is_not_there(pads: Etherpad, path: str) -> None:
    answer = pads.ask(path)
    assert answer["status"] == 404
    assert "Etherpad" not in answer["body"]


def test_there_is_no_list_of_pads(pads: Etherpad) -> None:
    name = "provision-verify-hidden"
    pads.api("deletePad", padID=name)
    pads.api("createPad", padID=name, text="x")
    seen = [pads.ask(path)["body"] for path in ("/", "/list", "/p/", "/p", "/robots.txt", "/javascript")]
    pads.api("deletePad", padID=name)
    assert all(name not in body for body in seen)


def test_a_websocket_is_opened_through_nginx(pads: Etherpad) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "cHJvdmlzaW9uLXZlcmlmeQ==",
        "Sec-WebSocket-Version": "13",
    }
    # The protocol of socket.io 2 (Etherpad 1.8) and of socket.io 4.
    answers = [
        pads.ask(f"/socket.io/?EIO={protocol}&transport=websocket", headers=dict(headers))
        for protocol in (3, 4)
    ]
    opened = [answer for answer in answers if answer["status"] == 101]
    assert opened, answers
    assert opened[0]["headers"]["Upgrade"].lower() == "websocket"


def test_a_file_longer_than_a_message_may_be_is_imported(pads: Etherpad) -> None:
    assert pads.settings()["socketIo"]["maxHttpBufferSize"] == 100000
    name = "provision-verify-import"
    pads.api("deletePad", padID=name)
    pads.api("createPad", padID=name, text="x")
    # Twenty signs of base64, as Etherpad's own pages make them.
    token = "t.provision0verify0000"
    writer = f"token={token}; ep_token={token}"
    answer = pads.ask(f"/p/{name}/import", headers={"Cookie": writer}, file=30000)
    text = pads.api("getText", padID=name)["data"]["text"]
    pads.api("deletePad", padID=name)
    assert answer["status"] == 200, answer
    assert len(text) > 2 * 100000


def test_what_is_open_from_one_address_has_a_limit_that_fits_classes(host: Any) -> None:
    settings = host.check_output("nginx -T 2> /dev/null")
    limits = dict(re.findall(r"limit_conn provision_(address|site) (\d+);", settings))
    assert 35 * 4 * 2 <= int(limits["address"]) < int(limits["site"])


def test_root_reads_nothing_that_the_service_can_write(host: Any, pads: Etherpad) -> None:
    stamp = host.file("/run/provision/loaded/etherpad")
    assert (stamp.user, stamp.mode) == ("root", 0o644)
    assert host.run(f"sha256sum --check --status {stamp.path}").rc == 0
    assert "cannot touch" in pads.inside(f"touch {stamp.path}").stderr
    assert not host.file("/run/etherpad").exists


def test_cookies_are_for_https_only(pads: Etherpad) -> None:
    cookie = pads.ask("/p/provision-verify-page")["headers"].get("Set-Cookie", "")
    assert "Secure" in cookie
    assert "SameSite" in cookie


def test_the_settings_leave_no_way_out(pads: Etherpad) -> None:
    settings = pads.settings()
    assert "users" not in settings
    assert "sso" not in settings
    assert settings["exposeVersion"] is False
    assert settings["loadTest"] is False
    assert settings["showSettingsInAdminPage"] is False
    if "privacy" in settings:
        assert settings["privacy"] == {"updateCheck": False, "pluginCatalog": False}
        assert settings["updates"]["tier"] == "off"
        assert settings["enableMetrics"] is False
        assert settings["ipLogging"] == "anonymous"
        assert settings["authenticationMethod"] == "apikey"
    else:
        assert settings["disableIPlogging"] is True


def test_the_service_can_reach_no_name_and_no_address_but_the_servers_own(pads: Etherpad) -> None:
    assert sorted(pads.property("IPAddressAllow").split()) == ["127.0.0.0/8", "::1/128"]
    assert sorted(pads.property("IPAddressDeny").split()) == ["0.0.0.0/0", "::/0"]
    assert "Permission denied" in pads.inside("cat /etc/resolv.conf").stderr


def test_it_has_no_connection_but_to_this_server(host: Any, pads: Etherpad) -> None:
    pid = pads.property("MainPID")
    for line in host.check_output("ss -Htnp").splitlines():
        if f"pid={pid}," in line:
            peer = line.split()[4]
            assert peer.startswith(("127.", "[::1]", "[::ffff:127.")), line


def test_addresses_of_pads_are_not_kept_in_the_web_servers_log(host: Any, pads: Etherpad) -> None:
    pads.ask("/p/provision-verify-unlogged")
    found = host.run("grep -rl provision-verify-unlogged /var/log/nginx /var/log/syslog")
    assert found.stdout == ""


def test_what_a_client_claims_of_its_address_does_not_count(host: Any) -> None:
    """Etherpad limits changes and imports by address and takes the first one of X-Forwarded-For."""
    site = host.check_output("nginx -T 2> /dev/null")
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in site
    assert "proxy_add_x_forwarded_for" not in site
