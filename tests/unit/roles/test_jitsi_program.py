"""The role jitsi's own program: what it reads of apt's lists and of accounts, and what it makes of answers."""

import base64
import hashlib
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
from cryptography import x509

from tests.unit.roles.programs import load, started

RECORD = """Package: jitsi-meet
Version: 2.0.11146-1
Pre-Depends: jitsi-videobridge2 (= 2.3-346-g0a1b2c3d-1)
Depends: jicofo (= 1.0-1246-1), jitsi-meet-web (= 1.0.8846-1), nginx (>= 1.18) | apache2, curl
Recommends: jitsi-meet-turnserver (= 1.0.8846-1) | apache2
"""


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> types.ModuleType:
    program = load("jitsi", "provision-jitsi")
    program.ACCOUNTS = tmp_path
    return program


def account(file: Path, password: str) -> None:
    """As Prosody 0.12 writes it (internal_hashed)."""
    salt, rounds = "8f3c-salt", 10000
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), rounds)
    stored = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1"), usedforsecurity=False).hexdigest()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        f'return {{\n\t["iteration_count"] = {rounds};\n\t["salt"] = "{salt}";\n\t["stored_key"] = "{stored}";\n}};\n'
    )


def test_a_release_is_the_set_of_exact_versions_that_upstreams_package_names(
    program: types.ModuleType,
) -> None:
    assert program.exact_versions(RECORD) == {
        "jitsi-videobridge2": "2.3-346-g0a1b2c3d-1",
        "jicofo": "1.0-1246-1",
        "jitsi-meet-web": "1.0.8846-1",
    }


def test_accounts_are_found_where_prosody_keeps_them(program: types.ModuleType, tmp_path: Path) -> None:
    file = program.account_file("auth.meet-1.test", "pere.puig")
    assert file == tmp_path / "auth%2emeet%2d1%2etest/accounts/pere%2epuig.dat"


def test_an_accounts_password_is_compared_without_knowing_it(program: types.ModuleType) -> None:
    file = program.account_file("meet.test", "anna")
    assert not program.has_password(file, "right")
    account(file, "right")
    assert program.has_password(file, "right")
    assert not program.has_password(file, "wrong")
    file.write_text("return { };\n")
    assert not program.has_password(file, "right")


def test_the_accounts_of_a_host_are_listed_by_their_names(program: types.ModuleType) -> None:
    account(program.account_file("meet.test", "pere.puig"), "x")
    account(program.account_file("meet.test", "anna"), "x")
    assert program.accounts_of("meet.test") == {"anna", "pere.puig"}


def wanted(**more: Any) -> dict[str, Any]:
    return {
        "hostname": "meet.test", "authentication": "accounts", "teachers": ["anna"], "token_app_id": "provision",
        "token_issuers": [], "token_audiences": [], "token_keys_url": "", "token_secret": "s",
        "focus_password": "f", **more,
    }  # fmt: skip


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
    program.STAGED = folder  # type: ignore[attr-defined]
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


def test_without_its_settings_the_probe_says_so(program: types.ModuleType, tmp_path: Path) -> None:
    program.STAGED = tmp_path  # type: ignore[attr-defined]
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
        "jitsi", "provision-jitsi", {"STAGED": str(tmp_path), "BOSH": program.BOSH}, "probe", "opening"
    )
    assert prosody.reached.wait(30)
    assert len(prosody.sessions) == 1
    running.send_signal(number)
    assert running.wait(30) == 128 + number
    assert prosody.sessions == set()


@pytest.mark.parametrize("arguments", [["probe"], ["probe", "other"], ["probe", "opening", "x"]])
def test_a_question_that_it_does_not_know_is_refused(program: types.ModuleType, arguments: list[str]) -> None:
    assert program.main(arguments) == 2


@pytest.fixture(name="bridge")
def _bridge(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A server in the place of bridge and focus, with a table of answers by path."""
    table: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = table.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    real = program.get
    monkeypatch.setattr(program, "get", lambda _, path: real(server.server_port, path))
    yield table
    server.shutdown()
    server.server_close()


def test_the_bridge_says_how_many_meetings_go_on_and_else_the_focus(
    program: types.ModuleType, bridge: dict[str, Any]
) -> None:
    bridge["/stats"] = {"conferences": 1, "participants": 7}
    assert program.meetings() == {"meetings": 1, "participants": 7}
    bridge["/colibri/stats"] = {"conferences": 3, "participants": 50, "version": "2.3"}
    assert program.meetings() == {"meetings": 3, "participants": 50}
    # The room of a probe, to which nobody comes.
    bridge["/colibri/stats"] = {"conferences": 1, "participants": 0}
    assert program.meetings() == {"meetings": 0, "participants": 0}


@pytest.mark.parametrize("answer", [None, {}, {"conferences": "many", "participants": "many"}, []])
def test_where_bridge_and_focus_are_there_and_do_not_say_it_lessons_may_go_on(
    program: types.ModuleType, bridge: dict[str, Any], answer: Any
) -> None:
    bridge["/stats"] = bridge["/colibri/stats"] = answer
    with pytest.raises(program.JitsiError, match="how many meetings go on is not told: the bridge"):
        program.meetings()
    assert program.main(["busy"]) == 1


def test_where_neither_bridge_nor_focus_is_there_no_lesson_goes_on(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(port: int, path: str) -> tuple[int, bytes]:
        if port == silent:
            raise TimeoutError
        raise ConnectionRefusedError

    monkeypatch.setattr(program, "get", get)
    silent = 0
    assert program.meetings() == {"meetings": 0, "participants": 0}
    silent = 8080
    with pytest.raises(program.JitsiError, match="bridge"):
        program.meetings()


@pytest.fixture(name="settler")
def _settler(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """One whose steps are written down, in order: what it would ask, write, install and restart."""
    steps: list[str] = []
    settler = program.Settler(
        wanted(package="jitsi-meet=2.0.2-*", files=[], preferences=str(tmp_path / "pins")), False, []
    )
    settler.steps = steps
    settler.dead = set()

    def may(step: str) -> None:
        steps.append(f"ask: {step}")
        raise program.BusyError("lessons go on")

    for name in ("register", "close_upstream_site", "wait", "sources", "answers"):
        monkeypatch.setattr(settler, name, lambda: None)
    monkeypatch.setattr(settler, "may", may)
    monkeypatch.setattr(settler, "files", lambda: steps.append("write"))
    monkeypatch.setattr(settler, "people", lambda _: None)
    monkeypatch.setattr(settler, "missing_libraries", dict)
    monkeypatch.setattr(settler, "without_certificate", list)
    monkeypatch.setattr(settler, "wrong_passwords", list)
    monkeypatch.setattr(settler, "pin", lambda *_: None)
    monkeypatch.setattr(settler, "apt_get", lambda *options: steps.append(" ".join(["apt-get", *options])))
    monkeypatch.setattr(settler, "restart", lambda units: steps.extend(f"restart {unit}" for unit in units))
    monkeypatch.setattr(settler, "runs", lambda unit: unit not in settler.dead)
    monkeypatch.setattr(program, "run", lambda *_, **__: "")
    return settler


def test_nothing_is_written_where_lessons_keep_it_from_being_taken_up(
    program: types.ModuleType, settler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are served from their file at once; Prosody takes its own up when it starts."""
    monkeypatch.setattr(settler, "packages", lambda: True)
    monkeypatch.setattr(settler, "stale", lambda unit: unit == program.XMPP)
    with pytest.raises(program.BusyError):
        settler.settle()
    assert settler.steps == ["ask: restart prosody"]
    monkeypatch.setattr(settler, "stale", lambda _: False)
    settler.settle()
    assert settler.steps[1:] == ["write"]


def test_what_stood_there_for_a_former_host_name_is_taken_away_with_a_restart(
    program: types.ModuleType, settler: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program.CONF_D = tmp_path / "conf.d"  # type: ignore[attr-defined]
    program.CONF_D.mkdir()
    available = tmp_path / "conf.avail"
    available.mkdir()
    for name, text in {
        "meet.former.test": f"{program.OURS}, after upstream's\nVirtualHost\n",
        settler.host: f"{program.OURS}\n",
        "somebody.elses": "VirtualHost\n",
    }.items():
        (available / f"{name}.cfg.lua").write_text(text)
        (program.CONF_D / f"{name}.cfg.lua").symlink_to(available / f"{name}.cfg.lua")
    program.CERTIFICATES = tmp_path / "certs"  # type: ignore[attr-defined]
    program.CERTIFICATES.mkdir()
    for name in ("meet.former.test.key", "auth.meet.former.test.crt", "localhost.key"):
        (program.CERTIFICATES / name).touch()
    monkeypatch.setattr(settler, "packages", lambda: True)
    monkeypatch.setattr(settler, "stale", lambda _: False)
    monkeypatch.setattr(settler, "may", lambda step: settler.steps.append(f"ask: {step}"))
    settler.settle()
    assert settler.steps == ["ask: restart prosody", "write", "restart prosody.service"]
    assert [file.name for file in program.CERTIFICATES.iterdir()] == ["localhost.key"]
    left = ["somebody.elses.cfg.lua", f"{settler.host}.cfg.lua"]
    for folder in (program.CONF_D, available):
        assert sorted(file.name for file in folder.iterdir()) == sorted(left)
    settler.settle()
    assert settler.steps[3:] == ["write"]


def test_a_host_of_prosodys_without_a_certificate_gets_one_where_upstream_would_make_it(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program.CERTIFICATES, program.ACCOUNTS = tmp_path / "certs", tmp_path / "prosody"  # type: ignore[attr-defined]
    program.CERTIFICATES.mkdir()
    program.ACCOUNTS.mkdir()
    monkeypatch.setattr(program.shutil, "chown", lambda *_: None)
    settler = program.Settler(wanted(), False, [])
    host = settler.host
    (program.CERTIFICATES / f"{host}.key").touch()
    assert settler.without_certificate() == [f"auth.{host}"]
    # A link that leads nowhere is in the way.
    (program.CERTIFICATES / f"auth.{host}.key").symlink_to(tmp_path / "gone")
    settler.certify(settler.without_certificate())
    assert settler.without_certificate() == []
    certificate = (program.CERTIFICATES / f"auth.{host}.crt").read_bytes()
    made = x509.load_pem_x509_certificate(certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"auth.{host}"]
    assert (program.ACCOUNTS / f"auth.{host}.key").stat().st_mode & 0o7777 == 0o640


def test_a_dead_bridge_is_started_although_people_are_in_a_room(
    program: types.ModuleType, settler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settler, "packages", lambda: True)
    settler.dead = {program.BRIDGE}
    monkeypatch.setattr(settler, "stale", lambda unit: unit in settler.dead)
    settler.settle()
    assert settler.steps == ["write", f"restart {program.BRIDGE}"]


def test_a_release_is_fetched_before_it_is_asked_whether_lessons_go_on(
    program: types.ModuleType, settler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "installed", lambda _: "2.0.1-1")
    with pytest.raises(program.BusyError):
        settler.settle()
    assert settler.steps == ["apt-get --download-only", "ask: bring Jitsi from 2.0.1-1 to 2.0.2-*"]


def test_after_a_start_of_the_server_other_settings_than_those_in_place_want_a_restart(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program.STAGED, program.LOADED = tmp_path, tmp_path / "loaded"  # type: ignore[attr-defined]
    staged, target = tmp_path / "jvb.conf", tmp_path / "there.conf"
    file = {"from": staged.name, "to": str(target), "unit": program.BRIDGE}
    settler = program.Settler(wanted(files=[file]), False, [])
    monkeypatch.setattr(settler, "runs", lambda _: True)
    monkeypatch.setattr(program, "active_since", lambda _: target.stat().st_mtime + 60)
    staged.write_text("new")
    assert settler.stale(program.BRIDGE)
    target.write_text("new")
    assert not settler.stale(program.BRIDGE)
    target.write_text("old")
    assert settler.stale(program.BRIDGE)


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
    program.STAGED = tmp_path  # type: ignore[attr-defined]
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


@pytest.mark.parametrize("names", [["Anna"], ["-x"], ["a b"], ["a@b"], ["provision-probe"]])
def test_a_name_that_is_no_login_name_is_refused_before_anything_is_done(
    program: types.ModuleType, names: list[str]
) -> None:
    with pytest.raises(program.JitsiError, match="no login names"):
        program.Settler(wanted(teachers=names), True, []).settle()


@pytest.mark.parametrize(
    "address",
    ["http://sso.escola.test/keys", "http://localhost.example.org/keys", "sso.escola.test", "https://"],
)
def test_an_issuers_keys_come_over_tls_or_not_at_all(program: types.ModuleType, address: str) -> None:
    settings = wanted(authentication="token", token_keys_url=address)
    with pytest.raises(program.JitsiError, match="https://"):
        program.Settler(settings, True, []).settle()


def test_no_password_is_made_for_somebody_whom_the_school_does_not_name(program: types.ModuleType) -> None:
    with pytest.raises(program.JitsiError, match="no account pere"):
        program.new_password(wanted(), "pere")
    with pytest.raises(program.JitsiError, match="tokens"):
        program.new_password(wanted(authentication="token"), "anna")


# Lessons


@pytest.mark.parametrize(("said", "asked_again"), [("", True), ("note: lessons go on here\n", False)])
def test_an_answer_of_before_the_packages_does_not_hold_for_the_restart(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: str,
    asked_again: bool,
) -> None:
    asked: list[str] = []
    clock = [1000.0]

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command[-1])
        return types.SimpleNamespace(returncode=0, stderr=said)

    monkeypatch.setattr(program.subprocess, "run", run)
    monkeypatch.setattr(program.time, "monotonic", lambda: clock[0])
    settler = program.Settler(wanted(), False, [])
    settler.may("install")
    clock[0] += 59
    settler.may("restart at once")
    clock[0] += 2
    settler.may("restart")
    assert asked == ["install", "restart"][: 1 + asked_again]
    # Whom --force cuts is said once.
    assert capsys.readouterr().err == said
