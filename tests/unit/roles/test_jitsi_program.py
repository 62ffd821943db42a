"""The role jitsi's own program: what it reads of apt's lists and of accounts, and when it takes which step."""

import grp
import hashlib
import hmac
import json
import os
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.unit.roles.jitsi import placed, wanted

RECORD = """Package: jitsi-meet
Version: 2.0.11146-1
Pre-Depends: jitsi-videobridge2 (= 2.3-346-g0a1b2c3d-1)
Depends: jicofo (= 1.0-1246-1), jitsi-meet-web (= 1.0.8846-1), nginx (>= 1.18) | apache2, curl
Recommends: jitsi-meet-turnserver (= 1.0.8846-1) | apache2
"""


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    program = placed("provision-jitsi", tmp_path, monkeypatch)
    monkeypatch.setattr(program, "ACCOUNTS", tmp_path)
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
    monkeypatch.setattr(program.os, "fchown", lambda *_: None)
    monkeypatch.setattr(program.grp, "getgrnam", lambda _: grp.getgrgid(os.getgid()))
    settler = program.Settler(wanted(), False, [])
    host = settler.host
    (program.CERTIFICATES / f"{host}.key").touch()
    assert settler.without_certificate() == [f"auth.{host}"]
    # Upstream's names are links into Prosody's own directory: its user may take the key away, and put a link there.
    passwd = tmp_path / "passwd"
    passwd.write_text("root:x:0:0")
    for end in ("key", "crt"):
        (program.CERTIFICATES / f"auth.{host}.{end}").symlink_to(program.ACCOUNTS / f"auth.{host}.{end}")
    (program.ACCOUNTS / f"auth.{host}.crt").symlink_to(passwd)
    settler.certify(settler.without_certificate())
    assert settler.without_certificate() == []
    certificate = (program.CERTIFICATES / f"auth.{host}.crt").read_bytes()
    made = x509.load_pem_x509_certificate(certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"auth.{host}"]
    key = program.CERTIFICATES / f"auth.{host}.key"
    assert (key.is_symlink(), key.stat().st_mode & 0o7777) == (False, 0o640)
    assert passwd.read_text() == "root:x:0:0"


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
    program.LOADED = tmp_path / "loaded"  # type: ignore[attr-defined]
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
