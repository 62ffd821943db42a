"""The program of the role tls: its challenges for the authority, and those to whom it hands a new certificate."""

import http.client
import json
import socket
import types
from pathlib import Path

import pytest

from tests.unit.roles.programs import load


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = load("tls", "provision-tls")
    place = tmp_path / ".well-known/acme-challenge"
    place.mkdir(parents=True)
    (place / "token-1_a").write_text("answer")
    (tmp_path / "other").write_text("private")
    monkeypatch.setattr(module, "WEBROOT", tmp_path)
    return module


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_challenge_is_shown_and_nothing_else(program: types.ModuleType) -> None:
    port = free_port()
    with program.served(port):
        assert get(port, "/.well-known/acme-challenge/token-1_a") == (200, b"answer")
        for path in (
            "/",
            "/other",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/../../other",
        ):
            assert get(port, path)[0] == 404
    with pytest.raises(ConnectionRefusedError):
        get(port, "/.well-known/acme-challenge/token-1_a")


def test_a_service_that_does_not_take_a_certificate_keeps_it_from_no_other(
    program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, called = tmp_path / "deploy.d", tmp_path / "called"
    hooks.mkdir()
    for name, status in (("bigbluebutton", 0), ("coturn", 1), ("nginx", 0)):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {called}\necho of {name} >&2\nexit {status}\n")
        (hooks / name).chmod(0o755)
    monkeypatch.setattr(program, "HOOKS", hooks)
    with pytest.raises(program.CertificateError, match=r"(?s)of coturn.*/coturn exited with"):
        program.call_hooks()
    assert called.read_text().split() == ["bigbluebutton", "coturn", "nginx"]


def test_where_somebody_serves_the_web_already_that_one_is_asked(program: types.ModuleType) -> None:
    other = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with other, program.served(other.getsockname()[1]):
        # Nothing was put in its place.
        assert other.fileno() >= 0


@pytest.mark.parametrize("late_only", [True, False])
def test_a_certificate_that_cannot_be_had_keeps_no_other_from_being_asked_for(
    program: types.ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    late_only: bool,
) -> None:
    names = {name: [f"{name}.escola.test"] for name in ("etherpad", "moodle", "nextcloud")}
    (tmp_path / "acme.json").write_text(json.dumps({"certificates": names, "directory": "x", "email": ""}))
    monkeypatch.setattr(program, "WANTED", tmp_path / "acme.json")
    asked: list[str] = []

    def ask(name: str, *_: object) -> None:
        asked.append(name)
        if name == "etherpad":
            raise program.CertificateError("the authority gave no certificate for etherpad.escola.test")

    held = ("chain", "key") if late_only else None
    ran = types.SimpleNamespace(stdout="", returncode=0)
    for known, value in (
        ("ask", ask), ("missing", lambda *_: ["--force-renewal"]), ("lineage", lambda _: held),
        ("in_place", lambda *_: True), ("names_of", lambda _: {"etherpad.escola.test"}), ("run", lambda *_, **__: ran),
    ):  # fmt: skip
        monkeypatch.setattr(program, known, value)
    if late_only:
        program.acme(False)
        assert "note: the certificate that etherpad has is good for now" in capsys.readouterr().err
    else:
        with pytest.raises(program.CertificateError, match=r"etherpad\.escola\.test"):
            program.acme(False)
    assert asked == ["etherpad", "moodle", "nextcloud"]
