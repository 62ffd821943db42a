"""What a page's answer is taken for, on a socket of our own."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from provision.health import probes
from provision.health.adapter import finding_of
from provision.health.probes import Cause, ask_host, ask_outside
from provision.model import Workspace
from provision.model.service import HttpsProbe
from tests.unit.health.inside_sample import DEFINITION, school, service

WIKI = service()
SCHOOL = school(WIKI)
PAGE = HttpsProbe.model_validate(
    {"id": "page", "kind": "https", "title": {"ca": "x", "es": "x", "en": "x"}, "contains": "wiki"}
)
CLOSED = PAGE.model_copy(update={"status": 404, "contains": None})
HIDDEN = PAGE.model_copy(update={"absent": True})


class _Names:
    names_file = Path("/nonexistent")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes | None], None]]:
    """A server whose one answer can be set; None: it takes the connection and says nothing. TLS is left out."""
    listening = socket.create_server(("127.0.0.1", 0))
    where, over, answer = listening.getsockname(), threading.Event(), [b""]
    genuine = socket.create_connection
    monkeypatch.setattr(probes, "_TIMEOUT", 0.3)
    monkeypatch.setattr(probes.names, "resolve", lambda *_: "127.0.0.1")
    monkeypatch.setattr(socket, "create_connection", lambda _a, timeout: genuine(where, timeout=timeout))

    def serve() -> None:
        while True:
            try:
                taken, _ = listening.accept()
            except OSError:
                return
            with taken, contextlib.suppress(OSError):
                taken.recv(4096)
                if answer[0] is None:
                    over.wait(10)
                else:
                    taken.sendall(answer[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def say(what: bytes | None) -> None:
        answer[0] = cast(bytes, what)

    yield say
    over.set()
    listening.close()


class _Plain:
    """In the place of TLS."""

    verify_mode, check_hostname = ssl.CERT_REQUIRED, True
    post_handshake_auth = None

    def wrap_socket(self, plain: socket.socket, server_hostname: str) -> socket.socket:
        return plain


class _Handshake(_Plain):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def wrap_socket(self, plain: socket.socket, server_hostname: str) -> socket.socket:
        plain.close()
        raise self.error


def asked(probe: HttpsProbe, tls: object = None) -> probes.ProbeResult:
    trusted = cast(ssl.SSLContext, tls or _Plain())
    return ask_outside(cast(Workspace, _Names()), SCHOOL, WIKI, probe, trusted=trusted)


def page(status: int, body: str) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("probe", "answer", "cause"),
    [
        (PAGE, page(200, "a wiki"), ""),
        (PAGE, page(502, "a wiki"), "status"),
        (PAGE, page(200, "maintenance"), "content"),
        (CLOSED, page(404, ""), ""),
        (CLOSED, page(200, "secrets"), "exposed"),
        (CLOSED, page(502, ""), "status"),
        (HIDDEN, page(200, "wiki"), "exposed"),
        (HIDDEN, page(200, "nothing"), ""),
        (PAGE, b"\x1b[2J\x00 no HTTP\r\n\r\n", "status"),
        (PAGE, None, "late"),
    ],
)
def test_the_cause_is_told_apart(
    server: Callable[[bytes | None], None], probe: HttpsProbe, answer: bytes | None, cause: Cause
) -> None:
    server(answer)
    result = asked(probe)
    assert result.cause == cause
    assert (result.state == "ok") == (cause == "")
    assert result.measured.isprintable()


def expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (expired(), "problem", "certificate"),
        (TimeoutError("The handshake operation timed out"), "unreachable", "silent"),
        (ConnectionResetError(104, "reset"), "unreachable", "refused"),
    ],
)
def test_what_goes_wrong_before_the_page_is_told_apart(
    server: Callable[[bytes | None], None], error: Exception, state: str, cause: Cause
) -> None:
    result = asked(PAGE, _Handshake(error))
    assert (result.state, result.cause) == (state, cause)


def test_a_name_that_leads_nowhere_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> str:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(probes.names, "resolve", nowhere)
    assert asked(PAGE).cause == "name"


def asked_inside(tmp_path: Path, script: str) -> probes.ProbeResult:
    """What is made of a service's own program: the questions are really put, by a shell, to a program of ours."""
    (tmp_path / "provision-wiki-health").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "provision-wiki-health").chmod(0o755)

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        here = command.replace("/usr/local/sbin/", f"{tmp_path}/")
        done = subprocess.run(["sh", "-c", here], input=stdin, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    only = {**DEFINITION, "probes": [one for one in DEFINITION["probes"] if one["kind"] == "own"]}
    one = service(only)
    (result,) = ask_host(school(one), "main", [one], run_on)
    return result


@pytest.mark.parametrize(
    ("state", "well"), [("ok", "ok"), ("warning", "ok"), ("problem", "problem"), ("splendid", "problem")]
)
def test_a_service_is_asked_by_its_own_program_with_the_questions_of_the_others(
    tmp_path: Path, state: str, well: str
) -> None:
    told = {"probe": "pad", "state": state, "measured": "it is so", "code": "maintenance"}
    result = asked_inside(tmp_path, f"[ \"$*\" = 'probe pad' ] && echo '{json.dumps(told)}'")
    assert (result.service, result.id, result.state, result.measured) == ("wiki", "pad", well, "it is so")
    assert result.remedy == ("" if well == "ok" else "End it: wiki on main.")
    probe = next(one for one in WIKI.definition.probes if one.id == "pad")
    found = finding_of(SCHOOL, WIKI, probe, result)
    assert (found.meaning.en if found.meaning else "") == ("" if well == "ok" else "Wiki takes none.")


@pytest.mark.parametrize(
    ("script", "measured"),
    [("echo no such pad >&2; exit 1", "no such pad"), ("exit 7", "status 7"), ("echo '[1]'", "[1]")],
)
def test_an_own_program_that_does_not_answer_is_a_problem_with_what_it_says(
    tmp_path: Path, script: str, measured: str
) -> None:
    result = asked_inside(tmp_path, script)
    assert (result.state, result.measured) == ("problem", measured)
    assert result.remedy == "Call about escola-mar."
