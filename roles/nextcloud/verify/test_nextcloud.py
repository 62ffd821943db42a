"""Nextcloud as a school gets it. The same tests run for molecule and against a live school's server.

The host name comes from the inventory (``nextcloud_hostname``) or from ``NEXTCLOUD_HOSTNAME``. Everything is asked
from the server itself. Accounts that the tests make are taken away again.
"""

import json
import os
import re
import secrets
import shlex
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

OCC = "/usr/local/bin/php-nextcloud /opt/nextcloud/current/occ --no-ansi --no-interaction"
UNITS = [
    "provision-php@nextcloud.service",
    "provision-nextcloud-cron.timer",
    "provision-nextcloud-checks.timer",
]
HEALTH = "/usr/local/sbin/provision-nextcloud-health"
#: The account of the health check, and what it may leave in none of these: files, bins, news, notes of what is to go.
PROBE = "provision-probe"

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
    sent = request.get("body", "").encode() or None
    connection.request(request["method"], request["path"], sent, request["headers"])
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", "replace")
    answers.append({"status": answer.status, "headers": answer.getheaders(), "body": body})
print(json.dumps(answers))
"""

# Sets a password as the role does, and looks all the time at what others could see of the processes.
CANARY = """
import json, pathlib, subprocess, sys, threading
wanted, = sys.argv[1:]
sent = bytes.fromhex(wanted)
secret = json.loads(sent)["password"].encode()
seen, done = [], threading.Event()
def watch():
    while not done.is_set():
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    if secret in (place / name).read_bytes():
                        seen.append(str(place / name))
                except OSError:
                    pass
thread = threading.Thread(target=watch)
thread.start()
ran = subprocess.run(["/usr/local/sbin/provision-nextcloud", "password"], input=sent, capture_output=True)
done.set()
thread.join()
print(json.dumps({"rc": ran.returncode, "stdout": ran.stdout.decode(), "stderr": ran.stderr.decode(), "seen": seen}))
"""


class Nextcloud:
    """The service on one server."""

    def __init__(self, host: Any) -> None:
        self.host = host
        try:
            variables = host.ansible.get_variables()
        except (AttributeError, RuntimeError):
            variables = {}
        self.hostname = os.environ.get("NEXTCLOUD_HOSTNAME") or str(variables["nextcloud_hostname"])
        self.variables = variables

    def as_service(self, command: str, **environment: str) -> Any:
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
        return self.host.run(f"cd / && runuser -u nextcloud -- env {settings} {command}")

    def occ(self, arguments: str) -> Any:
        """What a command of occ answers, as data."""
        done = self.as_service(f"{OCC} {arguments} --output=json")
        # The last line: what comes before is talk of the command's start.
        return json.loads(done.stdout.strip().splitlines()[-1])

    def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        """Requests through nginx, as people come."""
        full = [{"hostname": self.hostname, "method": "GET", "headers": {}} | request for request in requests]
        done = self.host.run(f"python3 -c {shlex.quote(ASK)} {shlex.quote(json.dumps(full))}")
        assert done.rc == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def incomplete(self) -> bool:
        """Whether the archive was one of those that lack some of upstream's files."""
        return not self.host.file("/opt/nextcloud/current/dist/core-common.js").exists

    def stand_in(self) -> bool:
        return bool(self.host.file("/opt/nextcloud/current/version.php").contains("stand-in"))


@pytest.fixture(name="cloud")
def _cloud(host: Any) -> Nextcloud:
    return Nextcloud(host)


@pytest.fixture(name="person")
def _person(cloud: Nextcloud) -> Iterator[dict[str, str]]:
    """An account for a test, with what a client sends to log in."""
    name, password = f"verify-{secrets.token_hex(4)}", secrets.token_urlsafe(24)
    done = cloud.as_service(f"{OCC} user:add --password-from-env {name}", OC_PASS=password)
    assert done.rc == 0, done.stdout + done.stderr
    yield {"name": name, "authorization": login(name, password)}
    cloud.as_service(f"{OCC} user:delete {name}")


def login(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def test_what_runs_starts_with_the_server(host: Any) -> None:
    for name in UNITS:
        unit = host.service(name)
        assert unit.is_running, name
    for name in UNITS[1:]:
        assert host.service(name).is_enabled, name


def test_occ_says_that_it_is_installed_and_needs_nothing(cloud: Nextcloud) -> None:
    status = cloud.occ("status")
    assert (status["installed"], status["maintenance"], status["needsDbUpgrade"]) == (True, False, False)


def test_status_php_says_the_release_that_is_wanted(host: Any, cloud: Nextcloud) -> None:
    (answer,) = cloud.ask({"path": "/status.php"})
    assert answer["status"] == 200
    status = json.loads(answer["body"])
    assert (status["installed"], status["maintenance"], status["needsDbUpgrade"]) == (True, False, False)
    release = host.check_output("readlink /opt/nextcloud/current").rpartition("/")[2]
    assert status["versionstring"] == release == str(cloud.variables.get("nextcloud_version", release))


def test_nextclouds_own_checks_find_no_error(cloud: Nextcloud) -> None:
    found = {
        f"{kind}: {check['name']}": check
        for checks in cloud.occ("setupchecks").values()
        for kind, check in checks.items()
    }
    assert len(found) > 3
    wrong = {name: check["description"] for name, check in found.items() if check["severity"] == "error"}
    if cloud.incomplete():
        print(
            "The archive lacks files of upstream's, so its checksums cannot fit: that one check is left out."
        )
        wrong = {name: text for name, text in wrong.items() if "CodeIntegrity" not in name}
    assert wrong == {}


def test_a_file_can_be_put_got_and_deleted_by_webdav(cloud: Nextcloud, person: dict[str, str]) -> None:
    request = {
        "path": f"/remote.php/dav/files/{person['name']}/written.txt",
        "headers": {"Authorization": person["authorization"]},
    }
    put, got, deleted, gone = cloud.ask(
        {**request, "method": "PUT", "body": "això és una prova\n"},
        request,
        {**request, "method": "DELETE"},
        request,
    )
    assert put["status"] == 201
    assert (got["status"], got["body"]) == (200, "això és una prova\n")
    assert deleted["status"] == 204
    assert gone["status"] == 404


def test_it_says_of_itself_that_it_works_and_leaves_nothing_behind(host: Any, cloud: Nextcloud) -> None:
    places = f"/var/lib/provision/probe/nextcloud /var/lib/nextcloud/data/{PROBE}"
    find = f"find {places} -type f -name 'provision-probe-*' 2> /dev/null"
    before = set(host.run(find).stdout.splitlines())
    # What was told a short while ago would be told again.
    host.check_output("rm -f /var/lib/provision/probe/nextcloud-file.json")
    # Its own checks as a timer makes them; they are made once the jobs that may be at work have ended.
    host.check_output("systemctl start provision-nextcloud-checks.service")
    limit = time.monotonic() + 130
    # On a server that has just been set up the jobs may be at their first run.
    while True:
        done = host.run(f"{HEALTH} probe file state checks")
        told = {answer["probe"]: answer for answer in map(json.loads, done.stdout.splitlines())}
        if cloud.incomplete() and told["checks"]["code"] == "integrity":
            print("The archive lacks files of upstream's, and Nextcloud's own checks say so.")
            told["checks"]["state"] = "ok"
        if all(answer["state"] == "ok" for answer in told.values()) or time.monotonic() > limit:
            break
        time.sleep(5)
    assert (done.rc, done.stderr, set(told)) == (0, "", {"file", "state", "checks"})
    assert {answer["state"] for answer in told.values()} == {"ok"}, told
    assert "stored, read and deleted" in told["file"]["measured"]
    # Something may be there of a fault that is not long ago; it goes by itself.
    assert set(host.run(find).stdout.splitlines()) <= before
    sql = f"SELECT count(*) FROM oc_activity WHERE affecteduser = '{PROBE}'"
    if host.check_output(
        "runuser -u nextcloud -- psql -XAtqd nextcloud -c \"SELECT to_regclass('oc_activity')\""
    ):
        assert host.check_output(f'runuser -u nextcloud -- psql -XAtqd nextcloud -c "{sql}"') == "0"


def test_the_account_of_the_health_check_opens_with_roots_token_only(host: Any, cloud: Nextcloud) -> None:
    kept = host.file("/var/lib/provision/nextcloud-probe.json")
    assert (kept.user, kept.group, kept.mode) == ("root", "root", 0o600)
    token = json.loads(kept.content_string)["token"]
    path = f"/remote.php/dav/files/{PROBE}/nothing-here"
    asked = [
        {"path": path, "headers": {"Authorization": login(PROBE, password)}}
        for password in (token, f"{token}x")
    ]
    assert [answer["status"] for answer in cloud.ask(*asked)] == [404, 401]
    assert host.run(f"journalctl --since=-1day | grep -F -- {token}").stdout == ""


def test_a_wrong_password_is_refused(cloud: Nextcloud, person: dict[str, str]) -> None:
    path = f"/remote.php/dav/files/{person['name']}/written.txt"
    (answer,) = cloud.ask({"path": path, "headers": {"Authorization": login(person["name"], "another one")}})
    assert answer["status"] == 401


def test_calendars_and_contacts_are_found_by_the_name_alone(cloud: Nextcloud) -> None:
    for answer in cloud.ask({"path": "/.well-known/caldav"}, {"path": "/.well-known/carddav"}):
        assert answer["status"] == 301
        assert dict(answer["headers"])["Location"] == "/remote.php/dav/"


def test_the_login_page_opens_over_its_short_address(cloud: Nextcloud) -> None:
    start, page = cloud.ask({"path": "/"}, {"path": "/login"})
    assert start["status"] == 302
    assert dict(start["headers"])["Location"].removeprefix(f"https://{cloud.hostname}") == "/login"
    if cloud.incomplete():
        print(
            "The archive lacks dist/core-common.js, without which no page is made: only the way to it is tested."
        )
        return
    assert page["status"] == 200
    assert "password" in page["body"]


def test_the_periodic_jobs_ran_in_the_last_ten_minutes(cloud: Nextcloud) -> None:
    for _ in range(60):
        core = cloud.occ("config:list core")["apps"]["core"]
        if "lastcron" in core:
            break
        time.sleep(1)
    assert core["backgroundjobs_mode"] == "cron"
    now = int(cloud.host.check_output("date +%s"))
    assert now - int(core["lastcron"]) < 600
    assert "cronErrors" not in core or core["cronErrors"] in ("", "[]")


def test_what_stands_in_the_settings_has_the_right_values_and_types(cloud: Nextcloud) -> None:
    """The text "false" would be true in PHP."""
    system = cloud.occ("config:list system")["system"]
    # The list keeps these to itself.
    system |= {name: cloud.occ(f"config:system:get {name}") for name in ("datadirectory", "trusted_proxies")}
    wanted: dict[str, Any] = {
        # Also where the store is open: see vars/main.yml.
        "has_internet_connection": False,
        "appstoreenabled": bool(cloud.variables.get("nextcloud_app_store")),
        "updatechecker": False,
        "lookup_server": "",
        "connectivity_check_domains": [],
        "reference_opengraph": False,
        "knowledgebaseenabled": False,
        "simpleSignUpLink.shown": False,
        "allow_local_remote_servers": False,
        "profile.enabled": False,
        "debug": False,
        "upgrade.disable-web": True,
        "auth.bruteforce.protection.enabled": True,
        "ratelimit.protection.enabled": True,
        "trusted_domains": [cloud.hostname],
        "trusted_proxies": [],
        "overwrite.cli.url": f"https://{cloud.hostname}",
        "overwriteprotocol": "https",
        "datadirectory": "/var/lib/nextcloud/data",
        "memcache.local": "\\OC\\Memcache\\APCu",
        "memcache.distributed": "\\OC\\Memcache\\Redis",
        "memcache.locking": "\\OC\\Memcache\\Redis",
        "filelocking.enabled": True,
        "maintenance_window_start": 1,
        "loglevel": 2,
    }
    # True is 1 in Python, so the types are compared as well.
    assert {name: (type(system.get(name)), system.get(name)) for name in wanted} == {
        name: (type(value), value) for name, value in wanted.items()
    }
    assert re.fullmatch("[A-Z]{2}", system["default_phone_region"])
    assert system["default_language"]


def test_sharing_is_bounded_and_nothing_is_federated(cloud: Nextcloud) -> None:
    apps = cloud.occ("config:list")["apps"]
    for app, key, wanted in [
        ("core", "shareapi_enforce_links_password", True),
        ("core", "shareapi_enable_link_password_by_default", True),
        ("core", "shareapi_default_expire_date", True),
        ("core", "shareapi_enforce_expire_date", True),
        ("core", "shareapi_restrict_user_enumeration_to_group", True),
        ("core", "shareapi_restrict_user_enumeration_full_match", False),
        ("core", "shareapi_allow_federation_on_public_shares", False),
        ("core", "ocm_discovery_enabled", False),
        ("files_sharing", "outgoing_server2server_share_enabled", False),
        ("files_sharing", "incoming_server2server_share_enabled", False),
        ("files_sharing", "lookupServerEnabled", False),
        ("files_sharing", "lookupServerUploadEnabled", False),
        ("password_policy", "enforceHaveIBeenPwned", False),
    ]:
        # A boolean, or the word that older parts of the program look for: never "true", "false", "1" or "0".
        found = apps[app][key]
        assert found is wanted or found == ("yes" if wanted else "no"), (app, key, found)
    assert int(apps["core"]["shareapi_expire_after_n_days"]) > 0
    # Nobody writes down where a picture was taken, or fetches a list of places for that.
    assert apps["photos"]["disable_places"] == "1"


def test_apps_that_call_out_are_off_and_the_log_of_deeds_is_on(cloud: Nextcloud) -> None:
    enabled = set(cloud.occ("app:list")["enabled"])
    assert {"admin_audit", "bruteforcesettings", "password_policy", "files", "dav"} <= enabled
    for app in (
        "app_api", "federation", "firstrunwizard", "nextcloud_announcements", "support", "survey_client",
        "updatenotification", "weather_status",
    ):  # fmt: skip
        assert app not in enabled


def test_deeds_are_logged_in_the_servers_journal(cloud: Nextcloud, person: dict[str, str]) -> None:
    if cloud.stand_in():
        print("The stand-in keeps no such log.")
        return
    done = cloud.host.run("journalctl -t nextcloud-audit --since=-5min --output=cat")
    assert person["name"] in done.stdout


def test_what_is_nobodys_business_answers_404(cloud: Nextcloud) -> None:
    paths = [
        "/config/config.php", "/config/", "/data/", "/data/.ncdata", "/lib/base.php", "/lib/versioncheck.php",
        "/3rdparty/autoload.php", "/templates/", "/tests/", "/build/", "/updater/", "/updater/index.php", "/occ",
        "/console.php", "/cron.php", "/version.php", "/core/ajax/update.php", "/.htaccess", "/.user.ini", "/.git/HEAD",
        "/db_structure.xml", "/autotest.sh", "//config/config.php", "/remote.php/../config/config.php",
        "/core/%2e%2e/config/config.php", "/index.php/../data/.ncdata", "/apps/../occ",
    ]  # fmt: skip
    if not cloud.variables.get("nextcloud_app_store"):
        paths.append("/store-apps/app/js/app.js")
    answers = cloud.ask(*({"path": path} for path in paths))
    assert {path: answer["status"] for path, answer in zip(paths, answers, strict=True)} == dict.fromkeys(
        paths, 404
    )


def test_security_headers_are_on_everything_and_each_only_once(cloud: Nextcloud) -> None:
    static = cloud.host.check_output(
        "cd /opt/nextcloud/current && find core/img -name '*.svg' | sort | head -n 1"
    )
    module = cloud.host.check_output(
        "cd /opt/nextcloud/current && find dist -name '*.mjs' | sort | head -n 1"
    )
    paths = [
        "/status.php",
        "/login",
        f"/{static}",
        f"/{module}",
        "/config/",
        "/remote.php/dav/",
        "/.well-known/caldav",
    ]
    for path, answer in zip(paths, cloud.ask(*({"path": path} for path in paths)), strict=True):
        names = [name.lower() for name, _ in answer["headers"]]
        values = {name.lower(): value for name, value in answer["headers"]}
        for name in (
            "strict-transport-security", "x-content-type-options", "x-frame-options", "x-robots-tag",
            "x-permitted-cross-domain-policies", "referrer-policy", "permissions-policy",
        ):  # fmt: skip
            assert names.count(name) == 1, (path, name)
        assert values["x-content-type-options"] == "nosniff", path
        assert "x-powered-by" not in names, path
        if path.endswith(".mjs"):
            assert values["content-type"].startswith("text/javascript")


def test_the_program_is_roots_and_the_service_cannot_change_it(host: Any, cloud: Nextcloud) -> None:
    release = host.check_output("readlink -f /opt/nextcloud/current")
    assert host.check_output(f"find {release} -xdev ! -user root -print -quit") == ""
    assert host.check_output(f"find {release} -xdev -type f -perm /022 -print -quit") == ""
    assert cloud.as_service(f"touch {release}/written").rc != 0
    assert host.file(f"{release}/config").linked_to == "/var/lib/nextcloud/config"


def test_data_and_settings_are_closed_to_others(host: Any, cloud: Nextcloud) -> None:
    # nginx may go through where administrators install apps.
    others = 0o001 if cloud.variables.get("nextcloud_app_store") else 0
    assert host.file("/var/lib/nextcloud").mode & 0o007 == others
    # Or root would meet a link in place of what lies in it.
    assert host.file("/var/lib/nextcloud").user == "root"
    for name in ("config", "data"):
        assert cloud.as_service(f"mv /var/lib/nextcloud/{name} /var/lib/nextcloud/away").rc != 0
    data = host.file("/var/lib/nextcloud/data")
    assert (data.user, data.mode & 0o7) == ("nextcloud", 0)
    config = host.file("/var/lib/nextcloud/config/config.php")
    assert (config.user, config.mode) == ("nextcloud", 0o640)
    ours = host.file("/var/lib/nextcloud/config/provision.config.php")
    assert (ours.user, ours.group, ours.mode) == ("root", "nextcloud", 0o640)
    assert cloud.as_service("rm -f /var/lib/nextcloud/config/provision.config.php").rc != 0
    assert cloud.as_service("mv /var/lib/nextcloud/config/provision.config.php /var/lib/nextcloud/x").rc != 0
    assert not host.file("/var/lib/nextcloud/config/CAN_INSTALL").exists


def test_nothing_of_an_installation_is_left_behind(host: Any) -> None:
    assert not host.file("/var/cache/nextcloud-application").exists
    assert (
        host.check_output("find /opt/nextcloud -maxdepth 2 -name '*.new' -o -maxdepth 2 -name '*.old'") == ""
    )
    assert not host.file("/var/lib/provision/nextcloud-begun").exists


def test_redis_holds_the_sessions_and_what_is_common(cloud: Nextcloud) -> None:
    cloud.ask({"path": "/login"})
    for name in ("nextcloud", "nextcloud_sessions"):
        done = cloud.as_service(f"redis-cli -s /run/redis-{name}/redis.sock dbsize")
        assert int(done.stdout.strip().split()[-1]) > 0, (name, done.stdout)


def test_php_is_set_as_nextclouds_manual_asks(cloud: Nextcloud) -> None:
    names = ["memory_limit", "upload_max_filesize", "post_max_size", "apc.enable_cli", "output_buffering"]
    code = f"echo json_encode(array_combine({json.dumps(names)}, array_map('ini_get', {json.dumps(names)})));"
    values = json.loads(cloud.as_service(f"/usr/local/bin/php-nextcloud -r {shlex.quote(code)}").stdout)
    site = cloud.host.check_output("nginx -T 2> /dev/null")
    assert values["memory_limit"] == "512M"
    assert values["apc.enable_cli"] in ("1", "On")
    assert values["output_buffering"] in ("0", "", "Off")
    # One limit from the browser to the program.
    limit = values["upload_max_filesize"]
    assert values["post_max_size"] == limit
    assert f"client_max_body_size {limit.lower()};" in site


def test_a_password_is_never_on_a_command_line_or_in_an_environment(host: Any, cloud: Nextcloud) -> None:
    """Set as the role sets the administrator's; then changed, as after a rotation; then left alone."""
    name = f"canary-{secrets.token_hex(4)}"
    first, second = (f"Canary-{secrets.token_urlsafe(24)}" for _ in range(2))
    said = []
    try:
        for password in (first, second, second):
            sent = json.dumps({"user": name, "password": password}).encode().hex()
            done = json.loads(host.check_output(f"python3 -c {shlex.quote(CANARY)} {sent}"))
            assert (done["rc"], done["stderr"], done["seen"]) == (0, "", [])
            said.append(done["stdout"].splitlines())
        assert said == [[f"administrator {name}", f"rights of {name}"], [f"password of {name}"], []]
        path = f"/remote.php/dav/files/{name}/nothing-here"
        new, old = cloud.ask(
            *(
                {"path": path, "headers": {"Authorization": login(name, password)}}
                for password in (second, first)
            )
        )
        assert (new["status"], old["status"]) == (404, 401)
        for password in (first, second):
            assert host.run(f"journalctl --since=-10min | grep -F -- {password}").stdout == ""
            places = "/var/log /etc /var/lib/nextcloud /tmp /run/provision"
            assert host.run(f"grep -rlF -- {password} {places}").stdout == ""
    finally:
        cloud.as_service(f"{OCC} user:delete {name}")


def test_the_access_log_holds_no_names_of_files(host: Any, cloud: Nextcloud, person: dict[str, str]) -> None:
    path = f"/remote.php/dav/files/{person['name']}/unlogged.txt"
    cloud.ask({"path": path, "headers": {"Authorization": person["authorization"]}})
    assert host.run(f"grep -rl {person['name']} /var/log/nginx").stdout == ""
