"""Moodle as a school gets it. The same tests run for molecule and against a live school's server.

The host name comes from the inventory (``moodle_hostname``) or from ``MOODLE_HOSTNAME``. Accounts and courses that a
test needs are made by it and taken away again; no password of the school is used.
"""

import json
import os
import re
import secrets
import shlex
import time
from collections.abc import Iterator
from typing import Any

import pytest

# Runs on the server with nothing but Debian's Python: a browser's steps with one memory of cookies. JSON on standard
# input, since a password may be in it.
BROWSE = r"""
import http.client, json, re, socket, ssl, sys
from urllib.parse import urlencode
asked = json.load(sys.stdin)
class Local(http.client.HTTPSConnection):
    def connect(self):
        context = ssl.create_default_context()
        # Whether the certificate is trusted is the business of the role tls and of the health probes.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", 443), 60)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)
def fill(text):
    return re.sub(r"<<(\w+)>>", lambda part: found[part[1]], text)
visits = []
for steps in asked["visits"]:
    cookies, found, answers = {}, {}, []
    for step in steps:
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())} | step.get("headers", {})
        method, sent = step.get("method", "GET"), None
        fields = {name: fill(value) for name, value in step.get("form", {}).items()}
        if "file" in step:
            parts = [f'--limit\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
            place = 'Content-Disposition: form-data; name="repo_upload_file"; filename="' + step["file"]["name"] + '"'
            parts.append(f'--limit\r\n{place}\r\nContent-Type: application/octet-stream\r\n\r\n')
            content = step["file"]["text"].encode() * step["file"].get("times", 1)
            sent = "".join(parts).encode() + content + b"\r\n--limit--\r\n"
            headers["Content-Type"], method = "multipart/form-data; boundary=limit", "POST"
        elif fields:
            sent, method = urlencode(fields), "POST"
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = Local(asked["hostname"])
        connection.request(method, fill(step["path"]), sent, headers)
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        for header in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = header.split(";")[0].partition("=")
            cookies[name] = value
        for name, pattern in step.get("find", {}).items():
            match = re.search(pattern, body)
            found[name] = match[1].replace("\\/", "/") if match else "not-found"
        answers.append({"status": answer.status, "headers": {k.lower(): v for k, v in answer.getheaders()},
            "body": body[:200000], "length": len(body), "cookies": answer.headers.get_all("Set-Cookie") or []})
    visits.append(answers)
print(json.dumps(visits))
"""

# Moodle's own list, of its check "publicpaths" (lib/classes/check/environment/publicpaths.php of 4.5 and 5.1).
PUBLIC_PATHS = [
    "vendor/",
    "vendor/bin/behat",
    "node_modules/",
    "node_modules/cli/cli.js",
    ".git/",
    ".git/HEAD",
    ".github/FUNDING.yml",
    ".stylelintrc",
    ".upgradenotes/",
    "composer.json",
    "composer.lock",
    "admin/environment.xml",
    "doesnotexist",
    "lib/classes/",
    "lib/db/install.xml",
    "mod/assign/db/install.xml",
    "lib/scssphp/readme_moodle.txt",
    "mod/resource/readme.txt",
    "mod/README.txt",
    # 4.5 only.
    "mod/chat/README.txt",
    "mod/book/README.md",
    "auth/manual/upgrade.txt",
    "lib/upgrade.txt",
    "UPGRADING.md",
    "UPGRADING-CURRENT.md",
    "reportbuilder/UPGRADING.md",
    "phpunit.xml.dist",
    "privacy/tests/fixtures/logo.png",
    "enrol/lti/tests/fixtures/input.xml",
    "blog/tests/behat/delete.feature",
]
# Besides Moodle's own list: programs, settings and stored files.
CLOSED_PATHS = [
    "admin/cli/cron.php",
    "admin/cli/install_database.php",
    "config.php",
    "config.php/x",
    "install.php",
    "filedir/",
    "filedir/da/39/da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "STAND-IN",
    ".provision",
    "lib/classes/component.php",
    "lib/classes/component.php/x",
    "lib/classes/task/manager.php",
    "lib/tests/behat/behat_hooks.php",
    "lib/tests/other/chartjstestpage.php",
    "admin/swaggerui.php",
    "index.php.bak",
    "%2e%2e/config.php",
]


class Moodle:
    """The service on one server."""

    def __init__(self, host: Any) -> None:
        self.host = host
        try:
            variables = host.ansible.get_variables()
        except (AttributeError, RuntimeError):
            variables = {}
        self.hostname = os.environ.get("MOODLE_HOSTNAME") or str(variables["moodle_hostname"])

    def browse(self, *steps: dict[str, Any]) -> list[dict[str, Any]]:
        """Steps of one visitor; what one finds (`find`), later ones may use (`<<name>>`)."""
        return self.visits(list(steps))[0]

    def visits(self, *visits: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Steps of several visitors, one after the other."""
        asked = json.dumps({"hostname": self.hostname, "visits": visits})
        done = self.host.run(f"printf %s {shlex.quote(asked)} | python3 -c {shlex.quote(BROWSE)}")
        assert done.rc == 0, done.stderr
        answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
        return answers

    def get(self, path: str) -> dict[str, Any]:
        return self.browse({"path": path})[0]

    def program(self, name: str, *arguments: str) -> Any:
        """One of Moodle's own programs for the command line."""
        return self.host.run(
            f"runuser -u moodle -- php-moodle /opt/moodle/cli/{name} {shlex.join(arguments)}"
        )

    def php(self, text: str) -> str:
        """Runs PHP inside Moodle."""
        start = "<?php define('CLI_SCRIPT', true); require '/opt/moodle/current/config.php'; "
        done = self.host.run(f"printf %s {shlex.quote(start + text)} | runuser -u moodle -- php-moodle")
        assert done.rc == 0, done.stderr + done.stdout
        said: str = done.stdout.strip()
        return said

    def setting(self, name: str, component: str = "") -> str:
        where = [f"--component={component}"] if component else []
        said: str = self.program("cfg.php", f"--name={name}", *where).stdout.strip()
        return said

    def sql(self, text: str) -> str:
        said: str = self.host.check_output(
            f"runuser -u moodle -- psql -XAtq -d moodle -c {shlex.quote(text)}"
        )
        return said

    def login(self, name: str, password: str) -> list[dict[str, Any]]:
        return [
            {"path": "/login/index.php", "find": {"token": r'name="logintoken" value="([^"]+)"'}},
            {
                "path": "/login/index.php",
                "form": {"username": name, "password": password, "logintoken": "<<token>>"},
            },
            {"path": "/my/", "find": {"sesskey": r'"sesskey":"(\w+)"'}},
        ]


@pytest.fixture(name="moodle", scope="module")
def _moodle(host: Any) -> Moodle:
    return Moodle(host)


@pytest.fixture(name="settings", scope="module")
def _settings(moodle: Moodle) -> dict[str, dict[str, Any]]:
    """All settings as Moodle's own program for the command line tells them, by component."""
    return {
        name: json.loads(moodle.program("cfg.php", f"--component={name}", "--json").stdout)
        for name in ("core", "tool_moodlenet", "filter_mathjaxloader")
    }


TEXT = f"línia {secrets.token_hex(8)}\n"
TIMES = 80000
COURSE = "Física i química"
LOAD = "require_once $CFG->dirroot . '/user/lib.php'; require_once $CFG->dirroot . '/course/lib.php'; "
CLEAR = (
    "if ($u = $DB->get_record('user', ['username' => 'provision-verify', 'deleted' => 0])) { user_delete_user($u); } "
    "if ($c = $DB->get_record('course', ['shortname' => 'provision-verify'])) { delete_course($c, false); } "
)


@pytest.fixture(name="visits", scope="module")
def _visits(moodle: Moodle) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """What visitors saw: one with an account that is there for these tests only, and some who must not get in."""
    password = f"aA1-{secrets.token_urlsafe(16)}"
    account = (
        f"['username' => 'provision-verify', 'password' => '{password}', 'email' => 'verify@{moodle.hostname}', "
        "'firstname' => 'Prova', 'lastname' => 'Prova', 'confirmed' => 1, "
        "'mnethostid' => $CFG->mnet_localhost_id ?? 1]"
    )
    course = (
        f"['fullname' => '{COURSE}', 'shortname' => 'provision-verify', 'category' => 1, 'summary' => '']"
    )
    number = moodle.php(
        f"{LOAD}{CLEAR} user_create_user((object) {account}); echo '#', create_course((object) {course})->id;"
    ).rpartition("#")[2]
    repository = moodle.sql(
        "SELECT i.id FROM mdl_repository_instances i JOIN mdl_repository r ON r.id = i.typeid WHERE r.type = 'upload'"
    )
    form = {
        "sesskey": "<<sesskey>>",
        "repo_id": repository,
        "itemid": str(secrets.randbelow(10**8) + 10**8),
        "client_id": "verify",
        "env": "filemanager",
        "title": "prova ñ.txt",
        "author": "x",
        "license": "unknown",
        "savepath": "/",
        "maxbytes": "-1",
        "areamaxbytes": "-1",
        "ctx_id": "1",
    }
    upload = {
        "path": "/repository/repository_ajax.php?action=upload",
        "form": form,
        # Two MiB: nginx keeps it in a file, and PHP takes it as one.
        "file": {"name": "prova.txt", "text": TEXT, "times": TIMES},
        "find": {"url": r'"url":"https:\\?/\\?/[^/\\]+([^"]+)"'},
    }
    pages = [{"path": f"/{page}?id={number}"} for page in ("course/view.php", "enrol/index.php")]
    seen = moodle.visits(
        [*moodle.login("provision-verify", password), *pages, upload, {"path": "<<url>>"}],
        moodle.login("provision-verify", "wrong"),
        moodle.login("guest", "guest"),
        [{"path": path} for path in ("/", "/course/index.php", "/my/", "/course/view.php?id=1")],
    )
    yield dict(zip(("person", "wrong", "guest", "stranger"), seen, strict=True))
    moodle.php(LOAD + CLEAR)


def test_what_it_needs_runs_and_starts_with_the_server(host: Any) -> None:
    units = (
        "provision-php@moodle.service provision-redis@moodle_sessions.service provision-redis@moodle_cache.service "
        "provision-moodle-cron.timer provision-moodle-checks.timer"
    )
    assert host.run(f"systemctl is-active {units}").stdout.split() == ["active"] * 5
    assert host.run(f"systemctl is-enabled {units}").stdout.split() == ["enabled"] * 5


@pytest.mark.parametrize("kind", ["status", "security"])
def test_moodles_own_checks_find_no_error(moodle: Moodle, kind: str) -> None:
    limit = time.monotonic() + 130
    # On a server that has just been set up its own tasks may be at their first run.
    while (
        "cronrunning" in (said := moodle.program("checks.php", f"--type={kind}")).stdout
        and time.monotonic() < limit
    ):
        time.sleep(5)
    # 0 is good, 1 a warning; Moodle warns of every role that may back up user data, and teachers may.
    assert said.rc in (0, 1), said.stdout
    assert "CRITICAL" not in said.stdout
    assert "ERROR" not in said.stdout


def test_moodle_did_its_own_tasks_less_than_two_minutes_ago(moodle: Moodle) -> None:
    age = (
        "SELECT extract(epoch FROM now())::int - value::int FROM mdl_config_plugins "
        "WHERE plugin = 'tool_task' AND name = 'lastcronstart'"
    )
    limit = time.monotonic() + 130
    while not (said := moodle.sql(age)):
        assert time.monotonic() < limit, "it never did"
        time.sleep(5)
    assert int(said) < 120


def test_it_says_of_itself_that_it_works(host: Any) -> None:
    # Its own checks as a timer makes them; they are made once tasks that may be at work have ended.
    host.check_output("systemctl start provision-moodle-checks.service")
    limit = time.monotonic() + 130
    # On a server that has just been set up its own tasks may be at their first run.
    while True:
        done = host.run("/usr/local/sbin/provision-moodle-health probe state checks")
        told = {answer["probe"]: answer for answer in map(json.loads, done.stdout.splitlines())}
        if all(answer["state"] == "ok" for answer in told.values()) or time.monotonic() > limit:
            break
        time.sleep(5)
    assert (done.rc, done.stderr, set(told)) == (0, "", {"state", "checks"})
    assert {answer["state"] for answer in told.values()} == {"ok"}, told


def test_no_two_runs_of_its_own_tasks_overlap(host: Any) -> None:
    shown = host.check_output("systemctl show provision-moodle-cron.service --property=Type,User,Group")
    assert set(shown.splitlines()) == {"Type=oneshot", "User=moodle", "Group=moodle"}


def test_whoever_has_not_logged_in_sees_only_the_login_page(
    settings: dict[str, dict[str, Any]], visits: dict[str, list[dict[str, Any]]]
) -> None:
    page = visits["person"][0]
    assert page["status"] == 200
    assert "logintoken" in page["body"]
    if str(settings["core"]["forcelogin"]) == "1":
        for answer in visits["stranger"]:
            assert answer["status"] == 303
            assert "/login/" in answer["headers"]["location"]


@pytest.mark.parametrize("who", ["guest", "wrong"])
def test_nobody_gets_in_as_a_guest_or_with_a_wrong_password(
    visits: dict[str, list[dict[str, Any]]], who: str
) -> None:
    answer = visits[who][2]
    assert answer["status"] == 303
    assert "/login/" in answer["headers"]["location"]


def test_a_person_logs_in_and_the_session_is_in_redis(
    host: Any, visits: dict[str, list[dict[str, Any]]]
) -> None:
    answers = visits["person"]
    assert answers[2]["status"] == 200, answers[2]["headers"]
    assert "sesskey" in answers[2]["body"]
    asked = "runuser -u moodle -- redis-cli -s /run/redis-moodle_sessions/redis.sock --raw dbsize"
    assert int(host.check_output(asked).split()[-1]) > 0
    marks = [mark for answer in answers for mark in answer["cookies"] if mark.startswith("MoodleSession=")]
    assert marks
    assert all("secure" in mark.lower() and "httponly" in mark.lower() for mark in marks)


def test_a_course_made_on_the_command_line_is_on_its_page(visits: dict[str, list[dict[str, Any]]]) -> None:
    answers = visits["person"]
    # Who is not in the course is led to the page on which one joins it; it has the course's name as well.
    assert COURSE in answers[3]["body"] + answers[4]["body"]


def test_a_file_is_uploaded_and_downloaded(visits: dict[str, list[dict[str, Any]]]) -> None:
    uploaded, answer = visits["person"][5:7]
    assert answer["status"] == 200, uploaded["body"]
    assert answer["body"].startswith(TEXT)
    assert answer["length"] == TIMES * len(TEXT)
    # nginx sent it, not PHP: what PHP had said of the way is gone, and parts can be asked for.
    assert "x-accel-redirect" not in answer["headers"]
    assert answer["headers"].get("accept-ranges") == "bytes" or "etag" in answer["headers"]


@pytest.fixture(name="statuses", scope="module")
def _statuses(moodle: Moodle) -> dict[str, int]:
    """What is answered to each path that is not for the public, all asked for by one visitor."""
    paths = PUBLIC_PATHS + CLOSED_PATHS
    answers = moodle.browse(*({"path": f"/{path}"} for path in paths))
    return {path: answer["status"] for path, answer in zip(paths, answers, strict=True)}


@pytest.mark.parametrize("path", PUBLIC_PATHS + CLOSED_PATHS)
def test_what_is_not_for_the_public_is_not_there(statuses: dict[str, int], path: str) -> None:
    assert statuses[path] == (400 if path.startswith("%2e") else 404)


def test_the_access_log_holds_no_address_that_is_a_key(host: Any, moodle: Moodle) -> None:
    key = secrets.token_hex(16)
    keys = (f"/tokenpluginfile.php/{key}/5/user/icon/1/f1", f"/rss/file.php/1/{key}/mod_forum/1/rss.xml")
    moodle.browse({"path": f"/login/index.php/seen-{key}"}, *({"path": path} for path in keys))
    logged = host.check_output(f"grep -hF {key} /var/log/nginx/access.log").splitlines()
    assert len(logged) == 1
    assert f"seen-{key}" in logged[0]


def test_pages_and_static_files_carry_the_security_headers(moodle: Moodle) -> None:
    paths = ("/login/index.php", "/pix/i/lock.svg", "/doesnotexist", "/composer.json")
    for answer in moodle.browse(*({"path": path} for path in paths)):
        headers = answer["headers"]
        assert "max-age=" in headers["strict-transport-security"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "referrer-policy" in headers
        assert "x-powered-by" not in headers


def test_the_program_belongs_to_root_and_moodle_cannot_change_it(host: Any) -> None:
    release = host.check_output("readlink -f /opt/moodle/current")
    assert host.check_output(f"find {release}/ -xdev ! -user root -print -quit") == ""
    assert host.check_output(f"find {release}/ -xdev ! -type l -perm /022 -print -quit") == ""
    pid = host.check_output("systemctl show provision-php@moodle.service --property=MainPID --value")
    enter = f"nsenter -t {pid} -m setpriv --reuid=moodle --regid=moodle --clear-groups"
    for place in (release, "/etc/moodle", "/usr/local/lib"):
        assert host.run(f"{enter} touch {place}/written").rc != 0, place


def test_settings_and_data_are_for_those_who_need_them(host: Any) -> None:
    for path, owner, group, mode in (
        ("/etc/moodle", "root", "moodle", 0o750),
        ("/etc/moodle/config.php", "root", "moodle", 0o640),
        ("/etc/moodle/provision.json", "root", "root", 0o600),
        ("/var/lib/moodle", "root", "www-data", 0o711),
        ("/var/lib/moodle/data", "moodle", "www-data", 0o710),
        ("/var/lib/moodle/data/filedir", "moodle", "www-data", 0o2750),
    ):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == (owner, group, mode), path
    assert host.check_output("find /var/lib/moodle -mindepth 1 -type d -perm /007 -print -quit") == ""
    # Or root would meet a link in their place.
    assert host.run("runuser -u moodle -- mv /var/lib/moodle/data /var/lib/moodle/away").rc != 0
    # Of the data the web server reads stored files only.
    assert host.run("runuser -u www-data -- ls /var/lib/moodle/data/filedir").rc == 0
    assert host.run("runuser -u www-data -- ls /var/lib/moodle/data").rc != 0
    assert host.run("runuser -u www-data -- ls /var/lib/moodle/data/muc").rc != 0
    assert host.run("runuser -u www-data -- cat /etc/moodle/config.php").rc != 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("core/guestloginbutton", "0"),
        ("core/autologinguests", "0"),
        ("core/registerauth", ""),
        ("core/registrationpending", "0"),
        ("core/passwordpolicy", "1"),
        ("core/allowindexing", "2"),
        ("core/opentowebcrawlers", "0"),
        ("core/allowframembedding", "0"),
        ("core/allowobjectembed", "0"),
        ("core/cronclionly", "1"),
        ("core/cookiesecure", "1"),
        ("core/enablegravatar", "0"),
        ("core/enableuserfeedback", "0"),
        ("core/enableanalytics", "0"),
        ("core/airnotifierurl", ""),
        ("core/updateautocheck", "0"),
        ("core/disableupdatenotifications", "1"),
        ("core/disableupdateautodeploy", "1"),
        ("core/preventexecpath", "1"),
        ("core/showcampaigncontent", ""),
        ("core/curlsecurityallowedport", "443"),
        ("core/mnet_dispatcher_mode", "off"),
        ("core/getremoteaddrconf", "3"),
        ("core/geopluginapikey", ""),
        ("core/googlemapkey3", ""),
        ("core/emailchangeconfirmation", "1"),
        ("core/enablesharingtomoodlenet", "0"),
        ("core/badges_allowexternalbackpack", "0"),
        ("core/bigbluebuttonbn_recording_default", "0"),
        ("core/passwordchangetokendeletion", "1"),
        ("core/forceloginforprofileimage", "1"),
        ("core/rememberusername", "0"),
        ("core/messageinbound_enabled", "0"),
        ("core/bigbluebuttonbn_meetingevents_enabled", "0"),
        ("tool_moodlenet/enablemoodlenet", "0"),
        ("tool_moodlenet/defaultmoodlenet", ""),
    ],
)
def test_what_the_schools_safety_depends_on_is_in_force(
    settings: dict[str, dict[str, Any]], name: str, value: str
) -> None:
    component, _, setting = name.partition("/")
    found = settings[component][setting]
    # PHP's way to write a yes and a no.
    assert ({True: "1", False: ""}[found] if isinstance(found, bool) else str(found)) == value


def test_every_setting_that_is_forced_is_one_that_moodle_knows(host: Any) -> None:
    """A name that is written wrong would be in force, and do nothing."""
    if host.file("/opt/moodle/current/STAND-IN").exists:
        print("The stand-in knows few settings.")
        return
    config = host.file("/etc/moodle/config.php").content_string
    names = set(re.findall(r"(?m)^\$CFG->(\w+) = ", config)) | set(
        re.findall(r"(?m)^ {8}'(\w+)' => ", config)
    )
    assert len(names) > 70
    known = host.check_output(
        f"printf '%s\\n' {' '.join(sorted(names))} | "
        "grep --recursive --no-filename --only-matching --word-regexp --fixed-strings --file=- --include=*.php "
        "/opt/moodle/current/ | sort --unique"
    )
    # Since 5.1.
    assert names - set(known.split()) <= {"geopluginapikey"}


def test_people_without_an_account_get_into_lessons_only_where_the_school_says_so(
    host: Any, settings: dict[str, dict[str, Any]]
) -> None:
    written = json.loads(host.file("/etc/moodle/provision.json").content_string)["settings"]
    allowed = int(written["bigbluebuttonbn_guestaccess_enabled"])
    assert int(settings["core"]["bigbluebuttonbn_guestaccess_enabled"]) == allowed
    # Where there is no server for video nobody gets in anywhere.
    assert not allowed or written["bigbluebuttonbn_server_url"]


def test_formulas_are_not_drawn_by_a_program_from_elsewhere(settings: dict[str, dict[str, Any]]) -> None:
    assert "://cdn." not in settings["filter_mathjaxloader"]["httpsurl"]


@pytest.mark.parametrize("name", ["core/guestloginbutton", "tool_moodlenet/enablemoodlenet"])
def test_not_even_an_administrator_can_change_it(moodle: Moodle, name: str) -> None:
    component, _, setting = name.partition("/")
    where = [] if component == "core" else [f"--component={component}"]
    # 4: it stands in config.php.
    assert moodle.program("cfg.php", f"--name={setting}", "--set=changed", *where).rc == 4


def test_accounts_are_locked_after_wrong_passwords(settings: dict[str, dict[str, Any]]) -> None:
    assert 3 <= int(settings["core"]["lockoutthreshold"]) <= 100
    assert int(settings["core"]["minpasswordlength"]) >= 8


def test_no_task_speaks_with_servers_of_others(moodle: Moodle) -> None:
    # A backslash is written twice in Python's list as in PHP's.
    names = [
        r"\core\task\registration_cron_task",
        r"\core\task\check_for_updates_task",
        r"\core\task\h5p_get_content_types_task",
        r"\core\task\update_geoip2file_task",
        r"\tool_langimport\task\update_langpacks_task",
    ]
    disabled = r"\core\task\manager::get_scheduled_task($n)->get_disabled()"
    said = moodle.php(f"foreach ({names} as $n) {{ echo {disabled} ? 'off ' : 'on '; }}")
    assert said.split() == ["off"] * len(names)


def test_pages_load_nothing_from_servers_of_others(
    moodle: Moodle, visits: dict[str, list[dict[str, Any]]]
) -> None:
    for answer in (visits["person"][0], visits["person"][2]):
        loaded = re.findall(
            r'<(?:script|link|img|iframe)[^>]+(?:src|href)="https?://([^/"]+)', answer["body"]
        )
        assert set(loaded) <= {moodle.hostname}
        assert "cdn.jsdelivr.net" not in answer["body"]


def test_nothing_of_the_schools_own_network_can_be_asked_for_by_moodle_but_what_it_needs(
    settings: dict[str, dict[str, Any]],
) -> None:
    blocked = settings["core"]["curlsecurityblockedhosts"].split()
    assert {"127.0.0.0/8", "169.254.0.0/16", "::/128", "::1/128", "64:ff9b::/96"} <= set(blocked)


def test_the_video_server_is_the_schools_own_or_none(settings: dict[str, dict[str, Any]]) -> None:
    assert "blindsidenetworks" not in str(settings["core"]["bigbluebuttonbn_server_url"])


def test_caches_are_in_redis(moodle: Moodle) -> None:
    mappings = "\\core_cache\\config::instance()->get_mode_mappings()"
    said = moodle.php(f"foreach ({mappings} as $m) {{ echo $m['mode'], '=', $m['store'], ' '; }}")
    assert {"1=provision", "2=provision"} <= set(said.split())


def test_the_database_is_reached_without_a_password(host: Any) -> None:
    config = host.file("/etc/moodle/config.php").content_string
    assert "$CFG->dbpass = '';" in config
    assert "'dbsocket' => '/var/run/postgresql'" in config


def test_uploads_have_one_limit_everywhere(
    host: Any, moodle: Moodle, settings: dict[str, dict[str, Any]]
) -> None:
    limit = int(settings["core"]["maxbytes"])
    limits = 'echo ini_get("upload_max_filesize"), " ", ini_get("post_max_size");'
    said = host.check_output(f"runuser -u moodle -- php-moodle -r {shlex.quote(limits)}")
    assert [int(part.removesuffix("M")) * 2**20 for part in said.split()] == [limit, limit]
    sites = host.check_output("nginx -T 2> /dev/null")
    own = sites.partition(f"server_name {moodle.hostname};\n    ssl_certificate")[2].partition("server {")[0]
    assert f"client_max_body_size {limit // 2**20}m;" in own
