"""What provision-probe lets services say of themselves, and what it sees on the server's own pages."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.roles.probe import PAGE, Probe, said


def question(service: str, probe: str, program: str = "", **more: Any) -> dict[str, Any]:
    name = program or f"provision-{service}-health"
    return {"service": service, "probe": probe, "program": name, "arguments": ["probe", probe], **more}


@pytest.fixture(name="own")
def _own(probe: Probe) -> Callable[..., dict[str, Any]]:
    """What is told where root has named these questions, and the programs are these scripts."""

    def own(questions: list[Any], **scripts: str) -> dict[str, Any]:
        probe.put("/etc/provision/probe.json", json.dumps({"own": questions}))
        for service, script in scripts.items():
            probe.put(f"/usr/local/sbin/provision-{service}-health", f"#!/bin/sh\n{script}\n", 0o755)
        told: dict[str, Any] = probe.services.own()
        for one in told.values():
            assert one.pop("seconds") >= 0
        return told

    return own


WELL = {"state": "ok", "measured": "written, read, deleted", "code": "", "error": "", "late": False}


SILENT = {"state": "", "measured": "", "code": "", "error": "", "late": False}


def test_a_service_is_asked_by_its_own_program_once_for_all_its_questions(
    probe: Probe, own: Callable[..., dict[str, Any]]
) -> None:
    pad = json.dumps({"probe": "pad", "state": "ok", "measured": "written, read, deleted", "code": ""})
    late = json.dumps({"probe": "jobs", "state": "warning", "measured": "9 minutes ago", "code": "jobs"})
    told = own(
        [question("wiki", "pad"), question("wiki", "jobs"), question("chat", "room")],
        wiki=f'echo "$@" >> {probe.root}/calls\n' + said(f"{pad}\n{late}"),
        chat=said(pad.replace("pad", "room")),
    )
    assert told == {
        "chat/room": WELL,
        "wiki/jobs": {**WELL, "state": "warning", "measured": "9 minutes ago", "code": "jobs"},
        "wiki/pad": WELL,
    }
    assert (probe.root / "calls").read_text() == "probe pad jobs\n"


@pytest.mark.parametrize(
    "entry",
    [
        question("wiki", "pad", "sh"),
        question("wiki", "pad", "provision-../../bin/sh"),
        question("wiki", "pad", arguments=[]),
        question("wiki", "pad", arguments=["probe", "--help"]),
        question("wiki", "pad", arguments=["probe", "pad;id"]),
        question("wiki", "pad", arguments="probe"),
        question("wiki", "pad", arguments=["a", "b", "c", "d", "e"]),
        question("wiki", "pad", environment={}),
        question("../wiki", "pad"),
        {},
        "provision-wiki-health",
        None,
    ],
)
def test_nothing_but_programs_of_ours_is_started_with_nothing_but_words(
    own: Callable[..., dict[str, Any]], entry: Any
) -> None:
    assert own([entry], wiki="exit 1") == {}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 3", "provision-wiki-health: status 3"),
        ("echo refused >&2; exit 1", "provision-wiki-health: refused"),
        ("true", "provision-wiki-health does not tell it"),
        ('echo no json; echo \'[1]\'; echo 7; echo \'{"probe": [], "state": "ok"}\'', "does not tell it"),
        ('echo \'{"probe": "other", "state": "ok", "measured": "", "code": ""}\'', "not tell it"),
        ("yes", "provision-wiki-health says too much"),
    ],
)
def test_a_program_that_does_not_answer_is_said_not_to(
    own: Callable[..., dict[str, Any]], script: str, error: str
) -> None:
    told = own([question("wiki", "pad")], wiki=script)["wiki/pad"]
    assert error in told.pop("error")
    assert {**told, "error": ""} == SILENT


def test_a_program_that_hangs_is_ended_and_takes_no_other_with_it(
    probe: Probe, own: Callable[..., dict[str, Any]]
) -> None:
    probe.given(OWN=0.3)
    pad = json.dumps({"probe": "pad", "state": "ok", "measured": "written, read, deleted", "code": ""})
    told = own(
        [question("wiki", "pad"), question("wiki", "room"), question("chat", "pad")],
        wiki=said(pad.replace("pad", "room")) + "\nsleep 60",
        chat=said(pad),
    )
    # What it said before it got stuck holds.
    assert told["chat/pad"] == told["wiki/room"] == WELL
    assert told["wiki/pad"]["late"]
    assert "did not end" in told["wiki/pad"]["error"]


def test_what_a_program_says_is_bounded(own: Callable[..., dict[str, Any]]) -> None:
    strange = {"probe": "pad", "state": "splendid", "measured": "x" * 9000, "code": "a b", "more": [1] * 99}
    told = own([question("wiki", "pad")], wiki=said(json.dumps(strange)))["wiki/pad"]
    assert told == {**SILENT, "measured": "x" * 300}


def test_a_program_that_others_may_write_is_not_started(
    probe: Probe, own: Callable[..., dict[str, Any]]
) -> None:
    probe.put("/usr/local/sbin/provision-wiki-health", f"#!/bin/sh\ntouch {probe.root}/started\n", 0o777)
    probe.put("/opt/elsewhere", f"#!/bin/sh\ntouch {probe.root}/started\n", 0o755)
    (probe.root / "usr/local/sbin/provision-chat-health").symlink_to(probe.root / "opt/elsewhere")
    told = own([question("wiki", "pad"), question("chat", "pad"), question("mail", "box")])
    assert {name: one["error"] for name, one in told.items()} == {
        f"{service}/{probe}": f"provision-{service}-health is not there, or not root's alone"
        for service, probe in (("chat", "pad"), ("mail", "box"), ("wiki", "pad"))
    }
    assert not (probe.root / "started").exists()


def test_programs_get_nothing_of_our_environment_nor_input(
    own: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD_FOR_TESTS", "x")
    script = (
        'printf \'{"probe": "pad", "state": "ok", "code": "", "measured": "%s %s"}\\n\' '
        '"$(env | grep -c FOR_TESTS)" "$(cat | wc -c)"'
    )
    assert own([question("wiki", "pad")], wiki=script)["wiki/pad"]["measured"] == "0 0"


@contextlib.contextmanager
def serving(*parts: bytes, end: bool = True) -> Iterator[int]:
    """A port of the loopback that answers each call so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    call, _ = server.accept()
                    call.recv(65536)
                    for part in parts:
                        call.sendall(part)
                    kept.append(call)
                    if end:
                        call.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for call in kept:
            call.close()


@pytest.mark.parametrize(
    ("parts", "contains", "status", "found", "error"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n", b'{"currentVersion": 1}'), "currentVersion", 200, True, ""),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"maintenance"), "currentVersion", 200, False, ""),
        ((b"HTTP/1.0 503 Busy\r\n\r\n",), None, 503, True, ""),
        ((b"SSH-2.0-x\r\n",), None, 0, True, "it does not speak HTTP"),
        ((b"",), None, 0, True, "it does not speak HTTP"),
    ],
)
def test_a_page_of_the_loopback_is_seen_as_it_is(
    probe: Probe,
    parts: tuple[bytes, ...],
    contains: str | None,
    status: int,
    found: bool,
    error: str,
) -> None:
    with serving(*parts) as port:
        told = probe.services.page({**PAGE, "port": port, "contains": contains})
    assert (told["status"], told["found"], told["error"]) == (status, found, error)


def test_a_page_that_does_not_end_is_not_waited_for(probe: Probe) -> None:
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", end=False) as port:
        assert probe.services.page({**PAGE, "port": port})["error"] == "no answer in time"


def test_nothing_on_a_port_is_told_as_such(probe: Probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert probe.services.page({**PAGE, "port": port})["error"] == "Connection refused"
