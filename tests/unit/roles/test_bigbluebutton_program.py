"""The program of the role bigbluebutton: what it reads and writes, without a BigBlueButton."""

import contextlib
import hashlib
import json
import re
import signal
import subprocess
import threading
import time
import types
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provision import paths
from tests.unit.roles.programs import load, started

STANDIN = paths.PACKAGE.parent / "tests/standins/bigbluebutton/files"
WANTED: dict[str, Any] = {
    "hostname": "video.vila.test",
    "email": "it@vila.test",
    "installer": "a" * 64,
    "release": "jammy-300",
    "at_least": "",
    "mirror": "",
    "proxy": "",
    "small_host": False,
    "recording": False,
    "external_videos": False,
    "learning_dashboard": False,
    "guests": "ask",
    "purge_days": 14,
    "log_days": 7,
    "guard": [],
}
DAY = 86400.0


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The program over directories of an ordinary user."""
    module = load("bigbluebutton", "provision-bigbluebutton")
    for name, value in list(vars(module).items()):
        if isinstance(value, Path) and value.is_absolute():
            monkeypatch.setattr(module, name, tmp_path / str(value).lstrip("/"))
    monkeypatch.setattr(module, "LOGS", tuple(tmp_path / str(path).lstrip("/") for path in module.LOGS))
    monkeypatch.setattr(module.os, "fchown", lambda *_: None)
    module.SECRET.parent.mkdir(parents=True)
    module.SECRET.write_text("0123abcd\n")
    return module


def made(program: types.ModuleType, **changes: Any) -> Any:
    return program.BigBlueButton({**WANTED, **changes}, check=True)


def installed(program: types.ModuleType, release: str = "3.0.10", **state: Any) -> None:
    program.RELEASE.parent.mkdir(parents=True, exist_ok=True)
    program.RELEASE.write_text(f"BIGBLUEBUTTON_RELEASE={release}\n")
    known = {"release": "jammy-300", "hostname": "video.vila.test", "installer": "a" * 64}
    program.STATE.mkdir(parents=True, exist_ok=True)
    program.INSTALLED.write_text(json.dumps({**known, **state}))


def test_the_checksum_is_that_of_upstreams_own_example(program: types.ModuleType) -> None:
    # docs/docs/development/api.md, "Usage".
    query = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444"
    secret = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
    found = program.checksum("create", query, secret, "sha1")
    assert found == "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17"


# When the installer runs.


def test_what_is_as_wanted_needs_no_installer(program: types.ModuleType) -> None:
    installed(program)
    assert made(program).reason() == ""
    # Nobody has the file at hand: what is there stays.
    assert made(program, installer="").reason() == ""
    assert made(program, at_least="3.0.9").reason() == ""


@pytest.mark.parametrize(
    ("state", "wanted", "why"),
    [
        ({}, {"release": "jammy-301"}, "another release is wanted: jammy-300 → jammy-301"),
        ({}, {"installer": "b" * 64}, "another installer is wanted: aaaaaaaaaaaa → bbbbbbbbbbbb"),
        (
            {},
            {"hostname": "classe.vila.test"},
            "another host name is wanted: video.vila.test → classe.vila.test",
        ),
        ({}, {"at_least": "3.0.12"}, "3.0.10 is older than 3.0.12"),
        ({"unfinished": True}, {}, "an installation was cut off"),
    ],
)
def test_the_reason_for_the_installer_is_told(
    program: types.ModuleType, state: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    installed(program, **state)
    assert made(program, **wanted).reason() == why


def test_versions_are_compared_as_numbers(program: types.ModuleType) -> None:
    order = ["", "3.0.0-beta.1", "3.0.9", "3.0.10", "3.1"]
    assert sorted(["3.1", "3.0.10", *order[:3]], key=program.version_of) == order


def test_the_installer_gets_explicit_options_and_no_secret(program: types.ModuleType) -> None:
    options = made(program).options()
    assert options == ["-v", "jammy-300", "-s", "video.vila.test", "-e", "it@vila.test", "-d"]
    more = made(program, mirror="packages.vila.test", proxy="10.0.0.1:3142", small_host=True).options()
    assert more[7:] == ["-r", "packages.vila.test", "-p", "10.0.0.1:3142", "-j"]


def test_the_pinned_installer_is_verified_by_its_checksum_and_commit() -> None:
    service = (paths.ROLES / "bigbluebutton/service.yml").read_text()
    assert "c8a743f123c3e3f36caa1861e170058930be2ebb/bbb-install.sh" in service
    assert "sha256: 87e92a904b24a94eb8b2efd4ffdc9ca253d7227d2608806b51b8e60cf5980338" in service


@pytest.mark.parametrize(
    ("status", "hours", "said"),
    [
        (1, 0.1, "the installer ended with 1"),
        (0, 0.1, "the installer ended, but BigBlueButton is not there"),
        (1, 2.0, "the installer was ended after 2 hours"),
    ],
)
def test_what_became_of_the_installer_is_told(
    program: types.ModuleType, status: int, hours: float, said: str
) -> None:
    assert made(program).after_install(status, hours * 3600).startswith(said)


def test_an_installer_that_waits_for_ever_is_ended_and_its_apt_waits_for_another(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Upstream's own: it waits for a file of bbb-web, whether its package came or not.
    program.INSTALLER.parent.mkdir(parents=True)
    program.INSTALLER.write_text("true\n")
    program.CERTIFICATE.mkdir(parents=True)
    program.APT.parent.mkdir(parents=True)
    program.INSTALL_LOG.parent.mkdir(parents=True)
    for name in ("fullchain.pem", "key.pem"):
        (program.CERTIFICATE / name).touch()
    called: list[list[str]] = []

    def ran(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        called.append(command)
        return subprocess.CompletedProcess(command, 1, "", "")

    monkeypatch.setattr(program.subprocess, "run", ran)
    monkeypatch.setattr(program.shutil, "which", lambda _: "/usr/bin/it")
    monkeypatch.setattr(program, "true", lambda *_: False)
    with pytest.raises(program.BigBlueButtonError, match="the installer ended with 1"):
        made(program, installer="").run_installer()
    command = called[-1]
    assert "RuntimeMaxSec=2h" in command
    assert f"APT_CONFIG={program.APT}" in command
    assert program.APT.read_text() == 'DPkg::Lock::Timeout "600";\n'


# Settings.


def test_only_our_keys_of_a_properties_file_change(program: types.ModuleType) -> None:
    before = "# comment\nmuteOnStart=true\nsecuritySalt=old\nsecuritySalt=older\n\n#disabledFeatures=chat\n"
    after = program.with_properties(before, {"securitySalt": "new", "disabledFeatures": "chat"})
    assert after == (
        "# comment\nmuteOnStart=true\nsecuritySalt=new\n\n#disabledFeatures=chat\ndisabledFeatures=chat\n"
    )
    assert program.with_properties(after, {"securitySalt": "new", "disabledFeatures": "chat"}) == after


def test_every_key_that_we_set_is_one_that_upstream_knows(program: types.ModuleType) -> None:
    known = {
        line.partition("=")[0]
        for line in (STANDIN / "bigbluebutton.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    }
    assert set(made(program).properties()) <= known


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ("true", "false", "false", "false")),
        ({"recording": True}, ("false", "true", "true", "false")),
    ],
)
def test_recording_is_off_as_a_whole_or_told_to_everybody(
    program: types.ModuleType, wanted: dict[str, Any], expected: tuple[str, ...]
) -> None:
    found = made(program, **wanted).properties()
    keys = (
        "disableRecordingDefault",
        "allowStartStopRecording",
        "notifyRecordingIsOn",
        "breakoutRoomsRecord",
    )
    assert tuple(found[key] for key in keys) == expected
    # Nobody is recorded before they are told.
    assert found["autoStartRecording"] == found["allowStartStopRecording"]
    # Nor while the recording is stopped.
    assert found["recordFullDurationMedia"] == "false"


def test_who_opens_a_room_cannot_change_what_browsers_are_told(program: types.ModuleType) -> None:
    assert made(program).properties()["allowOverrideClientSettingsOnCreateCall"] == "false"


@pytest.mark.parametrize(
    ("guests", "policy"), [("ask", "ASK_MODERATOR"), ("accept", "ALWAYS_ACCEPT"), ("deny", "ALWAYS_DENY")]
)
def test_guests_are_treated_as_the_school_says(program: types.ModuleType, guests: str, policy: str) -> None:
    assert made(program, guests=guests).properties()["defaultGuestPolicy"] == policy


@pytest.mark.parametrize(
    "before",
    [
        "",
        "freeswitch:\n  ip: 192.0.2.1",
        "log:\n  level: verbose\nfreeswitch:\n  ip: 192.0.2.1\n",
        "log:\n    filename: '/var/log/x.log'\n    level: 'verbose'\n\nfreeswitch:\n    ip: 'x'\n",
        "log:\n  filename: /var/log/x.log\n",
    ],
)
def test_the_log_level_of_the_video_server_is_set_once_and_nothing_else_is_lost(
    program: types.ModuleType, before: str
) -> None:
    import yaml

    after = program.with_log_level(before, "error")
    assert program.with_log_level(after, "error") == after
    old, new = yaml.safe_load(before) or {}, yaml.safe_load(after)
    assert new["log"]["level"] == "error"
    old.setdefault("log", {})["level"] = "error"
    assert new == old


def test_what_a_school_wrote_into_apply_config_stays(program: types.ModuleType) -> None:
    own = "#!/bin/bash\nsource /etc/bigbluebutton/bbb-conf/apply-lib.sh\n\n"
    after = program.with_hook(own)
    assert after.startswith(own.rstrip("\n"))
    assert after.endswith(f"\n{program.HOOK}\n")
    assert program.with_hook(after) == after
    assert program.with_hook("").startswith("#!/bin/bash\n")


def test_only_the_servers_own_turn_is_offered_and_no_stun(program: types.ModuleType) -> None:
    text = program.turn_file("video.vila.test", "c2VjcmV0==")
    assert program.turn_urls(text) == {
        "turn:video.vila.test:3478",
        "turns:video.vila.test:443?transport=tcp",
    }
    assert "c2VjcmV0==" in text
    ElementTree.fromstring(text)
    foreign = (STANDIN / "turn-stun-servers.xml").read_text()
    assert program.turn_urls(foreign) == {"stun:stun.l.google.com:19302"}


def test_the_logs_of_upstreams_own_programs_become_quiet_once(program: types.ModuleType) -> None:
    installer = (STANDIN / "bbb-install.sh").read_text()
    quiet = program.without_log(installer)
    assert "frontend nginx_or_turn\n  no log\n" in quiet
    assert program.without_log(quiet) == quiet
    silent = program.without_verbose("min-port=1\nverbose\n\nfingerprint\n")
    assert silent == "min-port=1\n\nfingerprint\n"
    switch = program.with_quiet_switch((STANDIN / "switch.conf.xml").read_text())
    assert '<param name="loglevel" value="warning"/>' in switch
    assert program.with_quiet_switch(switch) == switch


def test_no_lesson_is_cut_to_keep_coturn_quiet_and_it_is_not_forgotten(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in (
        (program.TURNSERVER, "verbose\n"),
        (program.HAPROXY, "frontend nginx_or_turn\n  bind x\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(program, "true", lambda *_: True)
    monkeypatch.setattr(program, "run", lambda *command, **_: ran.append(command))

    def unknown() -> dict[str, int]:
        raise program.SilentError("no answer")

    monkeypatch.setattr(program, "busy", lambda: {"meetings": 1, "participants": 9})
    assert program.hook(check=False) == ["keep no addresses in haproxy's log"]
    monkeypatch.setattr(program, "busy", unknown)
    assert program.hook(check=False) == []
    assert program.hook(check=True) == ["keep no addresses in coturn's log"]
    monkeypatch.setattr(program, "busy", lambda: {"meetings": 0, "participants": 0})
    assert program.hook(check=False) == ["keep no addresses in coturn's log"]
    assert ran == [("systemctl", "reload", "haproxy.service"), ("systemctl", "try-restart", "coturn.service")]
    assert program.TURNSERVER.read_text() == ""
    assert program.hook(check=True) == []


# bbb-conf --check.

SAID = """
BigBlueButton Server 3.0.10 (1)
                    Kernel version: 5.15
       bigbluebutton.web.serverURL: https://video.vila.test


# Potential problems described below

# Warning: No firewall detected.  Recommend using setting up a firewall for your server
#
#     https://docs.bigbluebutton.org/administration/firewall-configuration
#

......
# Not running:  Nginx redis-server
# Error: Could not connect to the configured hostname/IP address
#
#    https://video.vila.test/
#
# If your BigBlueButton server is behind a firewall, see FAQ.

#
# Warning: The directory
#
#  /var/bigbluebutton
#
# is not owned by bigbluebutton:bigbluebutton.
#
"""


def test_each_complaint_of_upstreams_check_is_told_by_itself(program: types.ModuleType) -> None:
    found = program.complaints(SAID)
    assert [line.split(":")[0] for line in found] == ["Warning", "Not running", "Error", "Warning"]
    assert found[3] == (
        "Warning: The directory /var/bigbluebutton is not owned by bigbluebutton:bigbluebutton."
    )


def test_a_check_without_complaints_has_none(program: types.ModuleType) -> None:
    assert program.complaints(SAID.partition("# Warning")[0]) == []


def test_no_secret_is_told_where_upstreams_check_prints_them(program: types.ModuleType) -> None:
    secret, other = "7d" * 32, "Other-secret-of-webhooks"
    program.SECRET.write_text(f"{secret}\n")
    # bbb-conf, check_configuration.
    said = (
        f"{program.HEADING}\n\n# Warning: Webhooks API Shared Secret mismatch: \n"
        f"#  /usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties = {secret}\n"
        f"#  /usr/local/bigbluebutton/bbb-webhooks/config/default.yml = {other}\n"
    )
    (found,) = program.complaints(program.without_secrets(said))
    assert found.startswith("Warning: Webhooks API Shared Secret mismatch: ")
    assert secret not in found
    assert other not in found


@pytest.mark.parametrize(("code", "state"), [(0, "ok"), (1, "ok"), (124, "warning"), (137, "warning")])
def test_a_check_that_was_cut_off_has_not_found_nothing(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    installed(program)
    program.LOCK.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.CompletedProcess([], code, f"{program.HEADING}\n......", "")
    monkeypatch.setattr(program.subprocess, "run", lambda *_, **__: done)
    program.look()
    assert answers(program, "check")["check"]["state"] == state


@pytest.mark.parametrize(
    ("found", "small", "state"),
    [
        ([], False, "ok"),
        (
            ["bbb-webrtc-sfu will try to connect to null but FreeSWITCH is listening on 192.0.2.1"],
            False,
            "ok",
        ),
        (["Warning: No firewall detected.  Recommend …"], False, "ok"),
        (["Warning: found only 2 cores, whereas … should have (at least) 4 CPU cores"], True, "ok"),
        (["Warning: found only 2 cores, whereas … should have (at least) 4 CPU cores"], False, "warning"),
        (["Error: Detected some processes have not started correctly"], True, "problem"),
    ],
)
def test_what_upstreams_check_says_is_weighed(
    program: types.ModuleType, found: list[str], small: bool, state: str
) -> None:
    installed(program)
    program.keep(program.CHECKED, {"found": found})
    program.WANTED.write_text(json.dumps({"small_host": small}))
    told = answers(program, "check")["check"]
    assert told["state"] == state
    assert told["code"] == ("" if state == "ok" else "checks")


def test_a_check_that_nobody_made_for_long_is_not_believed(program: types.ModuleType) -> None:
    installed(program)
    program.UPTIME.parent.mkdir(parents=True)
    program.UPTIME.write_text("100.00 1.00\n")
    assert answers(program, "check")["check"]["state"] == "ok"
    program.UPTIME.write_text("90000.00 1.00\n")
    assert answers(program, "check")["check"]["code"] == "unmade"
    program.CHECKED.write_text(json.dumps({"at": time.time() - 3000, "found": []}))
    told = answers(program, "check")["check"]
    assert (told["state"], told["code"], told["measured"]) == ("warning", "unmade", "made 50 min ago")
    program.keep(program.CHECKED, {"why": "bbb-conf --check ended with 124 before its end"})
    assert answers(program, "check")["check"]["code"] == "unmade"


# The API, as a probe asks it.


class Web:
    """What stands in for bbb-web's API: rooms, and who may make them.

    Attributes:
        hangs: the call that is never answered, although it is done.
        refuses: the call that fails.
        takes: whether every secret is taken.
        host: where a room is.
    """

    def __init__(self) -> None:
        self.rooms: dict[str, str] = {}
        self.ended: list[str] = []
        self.calls: list[str] = []
        self.hangs = self.refuses = ""
        self.takes = False
        self.host = "video.vila.test"
        self.recording = "false"
        self.reached, self.over = threading.Event(), threading.Event()

    def answer(self, path: str) -> str | None:
        call = path.partition("/bigbluebutton/api")[2].partition("?")[0].lstrip("/")
        query, _, checksum = path.partition("?")[2].rpartition("checksum=")
        self.calls.append(call)
        if not call:
            return "<returncode>SUCCESS</returncode><version>2.0</version><apiVersion>2.0</apiVersion>"
        algorithm = {40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}[len(checksum)]
        signed = hashlib.new(algorithm, f"{call}{query.rstrip('&')}0123abcd".encode()).hexdigest()
        if checksum != signed and not self.takes:
            return "<returncode>FAILED</returncode><messageKey>checksumError</messageKey>"
        asked = dict(urllib.parse.parse_qsl(query))
        name = asked.get("meetingID", "")
        content = ""
        match call:
            case "getMeetings":
                content = "".join(
                    f"<meeting><meetingID>{room}</meetingID><moderatorPW>{password}</moderatorPW></meeting>"
                    for room, password in self.rooms.items()
                )
            case "create":
                self.rooms[name] = asked["moderatorPW"]
                assert asked["duration"] == "1"
            case "join":
                content = f"<url>https://{self.host}/html5client/</url>"
            case "getMeetingInfo":
                content = f"<recording>{self.recording}</recording>"
            case "end":
                assert self.rooms.pop(name) == asked["password"]
                self.ended.append(name)
        if call == self.hangs:
            self.reached.set()
            return None
        if call == self.refuses:
            return "<returncode>FAILED</returncode><messageKey>noSuch</messageKey>"
        return f"<returncode>SUCCESS</returncode>{content}"


@pytest.fixture(name="web")
def _web(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = web.answer(self.path)
            if told is None:
                web.over.wait(30)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"<response>{told}</response>".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setattr(program, "API", ("127.0.0.1", server.server_port))
    installed(program)
    program.ROOM_LOCK.parent.mkdir(parents=True, exist_ok=True)
    program.PROPERTIES.parent.mkdir(parents=True, exist_ok=True)
    program.PROPERTIES.write_text(
        "bigbluebutton.web.serverURL=https://video.vila.test\nsupportedChecksumAlgorithms=sha256,sha512\n"
    )
    yield web
    web.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def answers(program: types.ModuleType, *questions: str) -> dict[str, dict[str, str]]:
    return {told["probe"]: told for told in program.probe(list(questions))}


def test_where_nothing_is_installed_every_question_says_so(program: types.ModuleType) -> None:
    found = answers(program, "api", "meeting", "check")
    assert {told["measured"] for told in found.values()} == {"BigBlueButton is not installed"}
    assert {told["state"] for told in found.values()} == {"problem"}


def test_every_algorithm_that_is_allowed_takes_the_schools_secret_and_no_other(
    program: types.ModuleType, web: Web
) -> None:
    told = answers(program, "secret")["secret"]
    assert (told["state"], told["measured"].partition(":")[0]) == ("ok", "sha256, sha512")
    web.takes = True
    assert answers(program, "secret")["secret"]["code"] == "open"
    web.takes = False
    program.SECRET.write_text("another\n")
    assert answers(program, "secret")["secret"]["code"] == "secret"


def test_a_room_is_made_entered_and_ended_and_that_is_told_again_for_a_while(
    program: types.ModuleType, web: Web
) -> None:
    web.rooms = {"a lesson": "x", "provision-probe-left": "y"}
    assert answers(program, "meeting")["meeting"]["state"] == "ok"
    assert list(web.rooms) == ["a lesson"]
    assert (web.ended[0], web.ended[1].startswith("provision-probe-")) == ("provision-probe-left", True)
    made = web.calls.count("create")
    assert "ago" in answers(program, "meeting")["meeting"]["measured"]
    assert web.calls.count("create") == made
    program.MET.write_text(json.dumps({"at": time.time() - program.MET_GOOD - 1}))
    assert "ago" not in answers(program, "meeting")["meeting"]["measured"]
    assert web.calls.count("create") == made + 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"refuses": "create"}, "create"),
        ({"refuses": "join"}, "join"),
        ({"refuses": "getMeetingInfo"}, "join"),
        ({"refuses": "getMeetings"}, "secret"),
        ({"host": "somewhere.else.test"}, "elsewhere"),
        ({"recording": "true"}, "recorded"),
    ],
)
def test_a_room_that_is_not_as_it_should_be_is_told_and_ended(
    program: types.ModuleType, web: Web, changes: dict[str, str], code: str
) -> None:
    for name, value in changes.items():
        setattr(web, name, value)
    told = answers(program, "meeting")["meeting"]
    assert (told["state"], told["code"]) == ("problem", code)
    assert web.rooms == {}
    assert not program.MET.exists()


@pytest.mark.parametrize("call", ["getMeetings", "create", "join", "getMeetingInfo"])
def test_an_api_that_hangs_is_late_and_no_room_stays(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, web: Web, call: str
) -> None:
    monkeypatch.setattr(program, "WORK", 0.5)
    web.hangs = call
    found = answers(program, "meeting", "secret", "api")
    assert found["meeting"]["code"] == "late"
    assert web.rooms == {}


def test_an_api_that_is_gone_is_silent(program: types.ModuleType, web: Web) -> None:
    program.API = ("127.0.0.1", 1)  # type: ignore[attr-defined]
    found = answers(program, "api", "secret", "meeting")
    assert {told["code"] for told in found.values()} == {"silent"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_probe_that_is_told_to_end_ends_its_room(
    program: types.ModuleType, web: Web, number: signal.Signals
) -> None:
    web.hangs = "join"
    values = {name: str(value) for name, value in vars(program).items() if isinstance(value, Path)}
    running = started(
        "bigbluebutton", "provision-bigbluebutton", {**values, "API": list(program.API)}, "probe", "meeting"
    )
    assert web.reached.wait(30)
    assert len(web.rooms) == 1
    running.send_signal(number)
    assert running.wait(30) == 128 + number
    assert web.rooms == {}


# The ports of sound and pictures.


@pytest.fixture(name="media")
def _media(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """A server whose FreeSWITCH and coturn answer, with upstream's own ports and the rules of the role firewall."""
    import yaml

    installed(program)
    for place, name in ((program.SWITCH, "switch.conf.xml"), (program.SFU_DEFAULT, "sfu-default.yml")):
        place.parent.mkdir(parents=True)
        place.write_text((STANDIN / name).read_text())
    program.SFU.parent.mkdir(parents=True)
    monkeypatch.setattr(program, "run", lambda *_, **__: "LISTEN 0 10 192.0.2.1:5066 0.0.0.0:*\n")
    monkeypatch.setattr(program, "stun", lambda _: True)
    service = yaml.safe_load((paths.ROLES / "bigbluebutton/service.yml").read_text())
    asked = [
        (
            port["protocol"],
            {"range": [port["port"], port["to"]]} if "to" in port else port["port"],
        )
        for port in service["ports"]
    ]
    server = types.SimpleNamespace(rules=asked, status=0)

    def nft(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command == ["nft", "-j", "list", "chain", "inet", "provision", "input"]
        rules = [
            {
                "rule": {
                    "comment": "why",
                    "expr": [
                        {
                            "match": {
                                "op": "==",
                                "left": {"payload": {"protocol": protocol, "field": "dport"}},
                                "right": right,
                            }
                        },
                        *more,
                        {"accept": None},
                    ],
                }
            }
            for protocol, right, *more in server.rules
        ]
        told = {"nftables": [{"metainfo": {"version": "1.0.2"}}, {"chain": {"policy": "drop"}}, *rules]}
        return subprocess.CompletedProcess(command, server.status, json.dumps(told), "")

    monkeypatch.setattr(program.subprocess, "run", nft)
    yield server


@pytest.mark.usefixtures("media")
def test_the_firewalls_ports_are_those_of_upstreams_programs(program: types.ModuleType) -> None:
    assert program.media_ports() == {
        "coturn": range(3478, 3479),
        "FreeSWITCH": range(16384, 24577),
        "bbb-webrtc-sfu": range(24577, 32769),
    }
    told = answers(program, "media")["media"]
    assert (told["state"], told["measured"].split(", ")[-1]) == ("ok", "the firewall lets their UDP ports in")


@pytest.mark.parametrize(
    ("rules", "shut"),
    [
        ([("udp", 3478)], "FreeSWITCH 16384-24576, bbb-webrtc-sfu 24577-32768"),
        ([("udp", {"range": [16384, 32768]}), ("tcp", 3478)], "coturn 3478"),
        ([("udp", {"set": [3478, {"range": [16384, 32767]}]})], "bbb-webrtc-sfu 24577-32768"),
        # Open for some only.
        (
            [
                ("udp", 3478, {"counter": {"packets": 1, "bytes": 9}}),
                ("udp", {"range": [16384, 32768]}, {"limit": {"rate": 10, "per": "second"}}),
            ],
            "FreeSWITCH 16384-24576, bbb-webrtc-sfu 24577-32768",
        ),
    ],
)
def test_ports_that_the_firewall_shuts_are_told(
    program: types.ModuleType, media: types.SimpleNamespace, rules: list[Any], shut: str
) -> None:
    media.rules = rules
    told = answers(program, "media")["media"]
    assert (told["state"], told["code"]) == ("problem", "shut")
    assert told["measured"] == f"the firewall shuts UDP ports: {shut}"


@pytest.mark.usefixtures("media")
def test_ports_that_somebody_set_beyond_what_the_firewall_opens_are_told(program: types.ModuleType) -> None:
    # As bbb-conf --set-port-range 30000-40000 does.
    program.SFU.write_text('mediasoup:\n  worker:\n    rtcMinPort: "30000"\n    rtcMaxPort: "40000"\n')
    told = answers(program, "media")["media"]
    assert (told["code"], told["measured"].split(": ")[1]) == ("shut", "bbb-webrtc-sfu 30000-40000")
    # A line that is a comment sets nothing.
    program.SFU.write_text("mediasoup:\n  worker:\n    #rtcMaxPort: 40000\n")
    assert answers(program, "media")["media"]["state"] == "ok"


def test_where_there_is_no_firewall_of_ours_nothing_is_said_of_it(
    program: types.ModuleType, media: types.SimpleNamespace
) -> None:
    media.status = 1
    told = answers(program, "media")["media"]
    assert (told["state"], told["measured"]) == ("ok", "FreeSWITCH listens, coturn answers")


# Old things.


def test_what_is_too_old_goes_and_the_rest_stays(program: types.ModuleType, tmp_path: Path) -> None:
    import os

    now = 1_800_000_000.0
    program.WANTED.write_text(json.dumps({"purge_days": 14, "log_days": 7}))

    def put(name: str, days: float) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (now - days * DAY, now - days * DAY))
        return path

    gone = [
        put("var/log/nginx/access.log.3.gz", 8),
        put("var/log/turnserver/turnserver.log.1", 8),
        put("var/log/bigbluebutton/bbb-web.2026-11-01.log", 9),
        put("var/log/syslog.2.gz", 8),
        put("var/log/kern.log.1", 8),
        put("var/bigbluebutton/recording/raw/old/events.xml", 15),
        put("var/bigbluebutton/events/old", 15),
    ]
    stays = [
        put("var/log/nginx/access.log.1", 6),
        # Somebody still writes there.
        put("var/log/nginx/access.log", 30),
        put("var/log/syslog", 30),
        # Who came in as an administrator is not about those who are taught.
        put("var/log/auth.log.4.gz", 30),
        put("var/bigbluebutton/recording/raw/new/events.xml", 13),
        put("var/bigbluebutton/events/new", 13),
        put("var/bigbluebutton/published/presentation/kept/index.html", 400),
        put("var/bigbluebutton/deleted/presentation/binned/metadata.xml", 400),
    ]
    program.purge(now)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)
    # From the day on which it was seen in the bin, whatever its files' own dates are.
    program.purge(now + 13 * DAY)
    assert stays[-1].exists()
    program.purge(now + 15 * DAY)
    assert not stays[-1].exists()
    assert stays[-2].exists()


def test_what_goes_each_night_may_be_removed_by_the_unit_that_does_so(
    program: types.ModuleType, tmp_path: Path
) -> None:
    """ProtectSystem=strict lets a unit write nowhere but where it says (systemd.exec(5))."""
    unit = (paths.ROLES / "bigbluebutton/templates/provision-bigbluebutton-purge.service.j2").read_text()
    assert "ProtectSystem=strict\n" in unit
    told = re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    writable = [tmp_path / word.lstrip("-/") for line in told for word in line.split()]
    for file in (*program.LOGS, program.SYSTEM_LOGS, program.STATE, program.DATA):
        assert any(file.is_relative_to(place) for place in writable), file


# Lessons.


def meeting(name: str, people: int, *, ended: bool = False) -> str:
    return (
        f"<meeting><meetingID>{name}</meetingID><running>{str(people > 0).lower()}</running>"
        f"<participantCount>{people}</participantCount>"
        f"<hasBeenForciblyEnded>{str(ended).lower()}</hasBeenForciblyEnded></meeting>"
    )


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("", (0, 0)),
        (meeting("a", 0), (0, 0)),
        (meeting("a", 3) + meeting("b", 20), (2, 23)),
        (meeting("a", 3, ended=True), (0, 0)),
        (meeting("provision-probe-1", 1), (0, 0)),
    ],
)
def test_a_lesson_is_a_room_with_people_that_is_not_our_own(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, listed: str, found: tuple[int, int]
) -> None:
    installed(program)
    answer = ElementTree.fromstring(
        f"<response><returncode>SUCCESS</returncode><meetings>{listed}</meetings></response>"
    )
    monkeypatch.setattr(program, "ask", lambda *_, **__: answer)
    monkeypatch.setattr(program, "true", lambda *_: True)
    assert program.busy() == {"meetings": found[0], "participants": found[1]}


@pytest.mark.parametrize(("status", "words"), [(0, ["--force"]), (75, ["--wait", "5", "--run", "r1"])])
def test_a_step_that_cuts_lessons_is_taken_only_when_the_guard_lets_it(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str], status: int, words: list[str]
) -> None:
    program.GUARD.parent.mkdir(parents=True)
    program.GUARD.write_text(f'#!/bin/sh\necho "cut: $*" >&2\nexit {status}\n')
    program.GUARD.chmod(0o755)
    asked = f"cut: {' '.join(words)} restart it"
    if status:
        with pytest.raises(program.BigBlueButtonError, match=asked):
            made(program, guard=words).guard("restart it")
        return
    made(program, guard=words).guard("restart it")
    assert capsys.readouterr().err == f"{asked}\n"


@pytest.mark.parametrize(
    ("running", "left", "known"),
    [
        ({"bbb-apps-akka.service"}, {}, False),
        (set(), {}, True),
        # We have stopped it ourselves, and all else with it.
        ({"bbb-apps-akka.service"}, {"unfinished": True}, True),
    ],
)
def test_lessons_may_go_on_where_only_what_opens_rooms_is_dead(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    running: set[str],
    left: dict[str, Any],
    known: bool,
) -> None:
    installed(program, **left)
    monkeypatch.setattr(program, "true", lambda *command: command[-1] in running)
    if known:
        assert program.busy() == {"meetings": 0, "participants": 0}
        return
    with pytest.raises(program.BigBlueButtonError, match="bbb-apps-akka"):
        program.busy()
    program.RESTART.touch()
    assert program.busy() == {"meetings": 0, "participants": 0}


@pytest.fixture(name="doors")
def _doors(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, with whether the doors were closed then; the installer is no longer at work."""
    done: list[str] = []

    def true(*command: str) -> bool:
        if command[:2] != ("systemctl", "is-active"):
            done.append(f"{' '.join(command)}: {'closed' if program.CLOSED.exists() else 'open'}")
        return command[:2] != ("systemctl", "is-active")

    monkeypatch.setattr(program, "true", true)
    monkeypatch.setattr(program.time, "sleep", lambda _: None)
    program.LOCK.parent.mkdir(parents=True)
    return done


CLOSING, OPENING = ["nginx -t -q: closed", "systemctl reload nginx: closed"], ["systemctl reload nginx: open"]


def test_who_slips_in_before_the_installer_is_let_stay(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str]
) -> None:
    answers, asked = [1, 0], list[str]()
    monkeypatch.setattr(program, "busy", lambda: {"meetings": answers.pop(0), "participants": 9})
    monkeypatch.setattr(program.BigBlueButton, "guard", lambda _, step: asked.append(step))
    made(program).clear("the installer")
    assert (answers, asked) == ([], ["the installer"] * 2)
    assert doors == CLOSING + OPENING + CLOSING
    text = program.CLOSED.read_text()
    assert "location = /bigbluebutton/api/join {" in text
    assert "return 503" in text


@pytest.mark.parametrize("ends", [None, "the installer failed"])
def test_people_come_in_again_whatever_became_of_the_run(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str], ends: str | None
) -> None:
    def settle(self: Any) -> None:
        monkeypatch.setattr(program, "busy", lambda: {"meetings": 0, "participants": 0})
        monkeypatch.setattr(program.BigBlueButton, "guard", lambda *_: None)
        self.clear("the installer")
        if ends:
            raise program.BigBlueButtonError(ends)

    monkeypatch.setattr(program.BigBlueButton, "settle", settle)
    with pytest.raises(program.BigBlueButtonError) if ends else contextlib.nullcontext():
        program.settle(WANTED, check=False)
    assert doors == CLOSING + OPENING


def test_after_a_run_that_was_killed_people_come_in_again_when_the_installer_has_ended(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str]
) -> None:
    program.close_doors()
    doors.clear()
    calm = program.true
    monkeypatch.setattr(program, "true", lambda *command: program.INSTALL_UNIT in command or calm(*command))
    program.look()
    assert program.CLOSED.exists()
    monkeypatch.setattr(program, "true", calm)
    program.look()
    assert doors == OPENING


def test_an_nginx_that_does_not_take_it_goes_on_as_before(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "true", lambda *_: False)
    program.close_doors()
    assert not program.CLOSED.exists()
    assert "note: nginx cannot keep people out" in capsys.readouterr().err
