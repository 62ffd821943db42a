"""The program of the role tls shows the authority its challenges where no web server does so yet."""

import http.client
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


def test_where_somebody_serves_the_web_already_that_one_is_asked(program: types.ModuleType) -> None:
    other = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with other, program.served(other.getsockname()[1]):
        # Nothing was put in its place.
        assert other.fileno() >= 0
