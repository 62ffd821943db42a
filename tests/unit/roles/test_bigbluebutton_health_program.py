"""The program of the role bigbluebutton that asks whether it works, without a BigBlueButton."""

import hashlib
import json
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

import pytest

from provision import paths
from tests.unit.roles.bigbluebutton import STANDIN, installed, placed
from tests.unit.roles.programs import parts, started


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    return placed("provision-bigbluebutton-health", tmp_path, monkeypatch)


@pytest.fixture(name="bbb")
def _bbb(program: types.ModuleType) -> types.ModuleType:
    """What it shares with the other program."""
    return parts(program)[1]


def test_the_checksum_is_that_of_upstreams_own_example(bbb: types.ModuleType) -> None:
    # docs/docs/development/api.md, "Usage".
    query = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444"
    secret = "639259d4-9dd8-4b25-bf01-95f9567eaf4b"
    found = bbb.checksum("create", query, secret, "sha1")
    assert found == "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17"


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
    program: types.ModuleType, bbb: types.ModuleType, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    installed(program)
    bbb.LOCK.parent.mkdir(parents=True, exist_ok=True)
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
def _web(program: types.ModuleType, bbb: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
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
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(bbb, "API", ("127.0.0.1", server.server_port))
    installed(program)
    program.ROOM_LOCK.parent.mkdir(parents=True, exist_ok=True)
    bbb.PROPERTIES.parent.mkdir(parents=True, exist_ok=True)
    bbb.PROPERTIES.write_text(
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


def test_an_api_that_is_gone_is_silent(program: types.ModuleType, bbb: types.ModuleType, web: Web) -> None:
    bbb.API = ("127.0.0.1", 1)  # type: ignore[attr-defined]
    found = answers(program, "api", "secret", "meeting")
    assert {told["code"] for told in found.values()} == {"silent"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_probe_that_is_told_to_end_ends_its_room(
    program: types.ModuleType, bbb: types.ModuleType, web: Web, number: signal.Signals
) -> None:
    web.hangs = "join"
    values = {
        name: str(value)
        for part in parts(program)
        for name, value in vars(part).items()
        if isinstance(value, Path)
    }
    running = started(
        "bigbluebutton",
        "provision-bigbluebutton-health",
        {**values, "API": list(bbb.API)},
        "probe",
        "meeting",
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
