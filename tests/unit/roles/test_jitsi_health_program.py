"""The program of the role jitsi that asks whether it works: what it makes of answers, without a Jitsi."""

import base64
import hmac
import json
import signal
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.unit.roles.jitsi import placed, wanted
from tests.unit.roles.programs import started


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    return placed("provision-jitsi-health", tmp_path, monkeypatch)


def test_a_token_says_who_for_which_room_and_until_when_and_is_signed(program: types.ModuleType) -> None:
    head, body, sign = program.token(wanted(), "classe").split(".")

    def read(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    claims = json.loads(read(body))
    assert json.loads(read(head)) == {"alg": "HS256", "typ": "JWT"}
    assert (claims["iss"], claims["aud"], claims["room"]) == ("provision", "provision", "classe")
    assert claims["exp"] - claims["nbf"] == 3610
    assert read(sign) == hmac.digest(b"s", f"{head}.{body}".encode(), "sha256")


GUEST, WRONG, OWN = (
    {"login": "ok", "request": "not-authorized"},
    {"login": "not-authorized"},
    {"request": "ready"},
)


def opened(program: types.ModuleType, folder: Path, **more: Any) -> dict[str, str]:
    """What its probe says, with these settings."""
    (folder / "settings.json").write_text(json.dumps(wanted(**more)))
    told: dict[str, str] = program.probe("opening")
    assert told.pop("probe") == "opening"
    return told


@pytest.mark.parametrize(
    ("guest", "wrong", "own", "state", "code"),
    [
        (GUEST, WRONG, OWN, "ok", ""),
        ({"login": "ok", "request": "ready"}, WRONG, OWN, "problem", "open"),
        (GUEST, {"login": "ok"}, OWN, "problem", "open"),
        (GUEST, WRONG, {"login": "not-authorized"}, "problem", "closed"),
        (GUEST, WRONG, {"request": "service-unavailable"}, "problem", "closed"),
    ],
)
@pytest.mark.parametrize("way", ["accounts", "token"])
def test_its_probe_wants_strangers_refused_and_people_of_the_school_let_in(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    guest: dict[str, str],
    wrong: dict[str, str],
    own: dict[str, str],
    state: str,
    code: str,
    tmp_path: Path,
) -> None:
    answers = iter([guest, wrong, own])
    monkeypatch.setattr(program, "attempt", lambda *_: next(answers))
    told = opened(program, tmp_path, authentication=way)
    assert (told["state"], told["code"]) == (state, code)


def test_where_the_issuers_key_is_not_here_a_forged_token_must_be_refused_all_the_same(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    issued = {"authentication": "token", "token_keys_url": "https://sso.test/keys"}
    answers = [GUEST, WRONG]
    monkeypatch.setattr(program, "attempt", lambda *_: answers.pop(0))
    assert opened(program, tmp_path, **issued)["state"] == "ok"
    answers = [GUEST, {"login": "ok"}]
    assert opened(program, tmp_path, **issued)["code"] == "open"


def test_without_its_settings_the_probe_says_so(program: types.ModuleType) -> None:
    told = program.probe("opening")
    assert (told["state"], told["code"]) == ("problem", "settings")


class Prosody:
    """What stands in for Prosody's BOSH: who has a session, and what was asked.

    Args:
        hangs: what is never answered: auth, bind, request.
    """

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.rooms: list[str] = []
        self.hangs = ""
        self.reached, self.over = threading.Event(), threading.Event()

    def answer(self, root: ElementTree.Element, query: str) -> str | None:
        sid = root.get("sid") or f"s{len(self.sessions)}-{root.get('to')}{query}"
        if root.get("type") == "terminate":
            self.sessions.discard(sid)
            return "<body type='terminate'/>"
        self.sessions.add(sid)
        step = next((child for child in root), None)
        name = "" if step is None else step.get("id") or step.tag.rpartition("}")[2]
        if name and name == self.hangs:
            self.reached.set()
            return None
        guest = "guest" in sid
        content = ""
        if name == "auth" and step is not None:
            good = (
                step.get("mechanism") == "ANONYMOUS"
                or "wrong" not in base64.b64decode(step.text or "").decode()
            )
            content = "<success/>" if good else "<failure><not-authorized/></failure>"
        elif name == "bind":
            content = "<iq type='result'><bind><jid>somebody@meet.test/x</jid></bind></iq>"
        elif name == "request" and step is not None:
            self.rooms.append(step[0].get("room", ""))
            refused = "<error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            granted = "<conference ready='true'/>"
            content = f"<iq type='error'>{refused}</iq>" if guest else f"<iq type='result'>{granted}</iq>"
        return f"<body sid='{sid}'>{content}</body>"


@pytest.fixture(name="prosody")
def _prosody(program: types.ModuleType, tmp_path: Path) -> Iterator[Prosody]:
    prosody = Prosody()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            told = prosody.answer(ElementTree.fromstring(sent), self.path.partition("?")[2])
            if told is None:
                prosody.over.wait(30)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    program.BOSH = server.server_port  # type: ignore[attr-defined]
    yield prosody
    prosody.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_guest_a_wrong_password_and_the_schools_own_are_tried_and_all_go_out_again(
    program: types.ModuleType, prosody: Prosody, tmp_path: Path
) -> None:
    told = opened(program, tmp_path)
    assert told == {
        "state": "ok",
        "measured": "guest: not-authorized; wrong: not-authorized; of the school: ready",
        "code": "",
    }
    assert prosody.sessions == set()
    assert len(set(prosody.rooms)) == 1
    assert prosody.rooms[0].startswith("provision-probe-")


@pytest.mark.parametrize("step", ["auth", "bind", "request"])
def test_jitsi_that_does_not_get_on_is_late_and_nobody_stays_inside(
    program: types.ModuleType, prosody: Prosody, tmp_path: Path, step: str
) -> None:
    program.WORK = 0.3  # type: ignore[attr-defined]
    prosody.hangs = step
    assert opened(program, tmp_path)["code"] == "late"
    assert prosody.sessions == set()


def test_who_only_tries_is_told_that_no_answer_came(program: types.ModuleType, prosody: Prosody) -> None:
    program.TRY = 0.3  # type: ignore[attr-defined]
    prosody.hangs = "auth"
    assert program.attempt(wanted(), {"as": "token", "token": "x", "room": "r"}) == {"login": "no answer"}
    assert prosody.sessions == set()


def test_a_dead_prosody_is_a_problem_and_no_fault_of_the_probe(
    program: types.ModuleType, tmp_path: Path
) -> None:
    program.BOSH = 1  # type: ignore[attr-defined]
    told = opened(program, tmp_path)
    assert (told["code"], "Connection refused" in told["measured"]) == ("silent", True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_probe_that_is_told_to_end_leaves_nobody_inside(
    program: types.ModuleType, prosody: Prosody, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(wanted()))
    prosody.hangs = "request"
    running = started(
        "jitsi", "provision-jitsi-health", {"STAGED": str(tmp_path), "BOSH": program.BOSH}, "probe", "opening"
    )
    assert prosody.reached.wait(30)
    assert len(prosody.sessions) == 1
    running.send_signal(number)
    assert running.wait(30) == 128 + number
    assert prosody.sessions == set()


@pytest.mark.parametrize("arguments", [["probe"], ["probe", "other"], ["probe", "opening", "x"]])
def test_a_question_that_it_does_not_know_is_refused(program: types.ModuleType, arguments: list[str]) -> None:
    assert program.main(arguments) == 2


@pytest.mark.parametrize(
    ("status", "content", "policy", "code"),
    [
        (200, b"var config = {};", "default-src 'self'; connect-src 'self' wss://HOST data:", ""),
        (200, b"var config = { analytics };", "default-src 'self'", "changed"),
        (404, b"var config = {};", "default-src 'self'", "changed"),
        (200, b"var config = {};", "", "policy"),
        (200, b"var config = {};", "default-src 'self'; connect-src *", "policy"),
        (200, b"var config = {};", "default-src 'self'; connect-src 'self' https:", "policy"),
        (200, b"var config = {};", "default-src 'self'; img-src http://evil", "policy"),
        (200, b"var config = {};", "default-src 'self'; img-src 'self' www.gravatar.com", "policy"),
        (
            200,
            b"var config = {};",
            "default-src 'self'; connect-src 'self' wss://HOST https://amplitude.com",
            "policy",
        ),
    ],
)
def test_browsers_must_get_the_schools_own_settings_and_reach_no_other_server(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    content: bytes,
    policy: str,
    code: str,
) -> None:
    (tmp_path / "config.js").write_bytes(b"var config = {};")
    monkeypatch.setattr(program, "settings", wanted)
    policy = policy.replace("HOST", wanted()["hostname"])
    policies = ["frame-ancestors 'self' https://moodle.escola.test", policy]
    monkeypatch.setattr(program, "page", lambda *_: (status, policies, content))
    told = program.probe("served")
    assert (told["state"], told["code"]) == ("problem" if code else "ok", code)

    def dead(*_: str) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(program, "page", dead)
    assert program.probe("served")["code"] == "silent"
