"""The role etherpad's own program that asks whether pads work: against an API of ours, over real sockets."""

import contextlib
import json
import os
import subprocess
import threading
import time
import types
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from provision import paths
from tests.unit.roles.programs import load

PROGRAM = paths.ROLES / "etherpad/files/provision-etherpad-health"
KEY = "not-a-secret-only-for-these-tests"
DOES_NOT_EXIST = {"code": 1, "message": "padID does not exist", "data": None}


class Pads:
    """What stands in for Etherpad: pads by name, and every call with its form.

    Args:
        instead: answers to functions, by name, in the place of the right ones; None: it takes long.
    """

    def __init__(self) -> None:
        self.pads: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.instead: dict[str, bytes | None] = {}
        self.over = threading.Event()

    def answer(self, function: str, form: dict[str, str]) -> bytes | None:
        self.calls.append((function, form))
        if function in self.instead:
            return self.instead[function]
        if form["apikey"] != KEY:
            return json.dumps({"code": 4, "message": "no or wrong API Key", "data": None}).encode()
        name = form["padID"]
        if function == "createPad":
            self.pads[name] = form["text"] + "\n"
        elif name not in self.pads:
            return json.dumps(DOES_NOT_EXIST).encode()
        data = {"text": self.pads[name]} if function == "getText" else None
        if function == "deletePad":
            del self.pads[name]
        return json.dumps({"code": 0, "message": "ok", "data": data}).encode()


@contextlib.contextmanager
def served(pads: Pads) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(sent).items()}
            answer = pads.answer(self.path.rpartition("/")[2], form)
            if answer is None:
                pads.over.wait(30)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    pads.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="pads")
def _pads() -> Pads:
    return Pads()


@pytest.fixture(name="program")
def _program(tmp_path: Path, pads: Pads) -> Iterator[types.ModuleType]:
    module = load("etherpad", "provision-etherpad-health")
    module.NOTES = str(tmp_path / "notes")  # type: ignore[attr-defined]
    module.SETTINGS = str(tmp_path / "settings.json")  # type: ignore[attr-defined]
    module.KEY = str(tmp_path / "APIKEY.txt")  # type: ignore[attr-defined]
    module.WORK, module.ALL = 0.5, 0.7  # type: ignore[attr-defined]
    (tmp_path / "APIKEY.txt").write_text(KEY + "\n")
    with served(pads) as port:
        (tmp_path / "settings.json").write_text(json.dumps({"port": port}))
        yield module


Asking = Callable[[], dict[str, str]]


@pytest.fixture(name="ask")
def _ask(program: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> Asking:
    def ask() -> dict[str, str]:
        assert program.main(["probe", "written"]) == 0
        answer: dict[str, str] = json.loads(capsys.readouterr().out)
        assert answer.pop("probe") == "written"
        return answer

    return ask


def notes(program: types.ModuleType) -> list[str]:
    return sorted(path.name for path in Path(program.NOTES).iterdir())


def test_a_pad_is_written_read_and_deleted_and_nothing_stays_behind(
    program: types.ModuleType, pads: Pads, ask: Asking
) -> None:
    answer = ask()
    assert (answer["state"], answer["code"]) == ("ok", "")
    assert answer["measured"].startswith("a pad written, read and deleted in ")
    # Without an address for readers before, Etherpad would make one and keep it.
    assert [function for function, _ in pads.calls] == ["createPad", "getText", "getReadOnlyID", "deletePad"]
    assert (pads.pads, notes(program)) == ({}, [])
    names = {form["padID"] for _, form in pads.calls}
    ask()
    assert names.isdisjoint({form["padID"] for _, form in pads.calls[4:]})


@pytest.mark.parametrize(
    ("function", "answer", "code"),
    [
        ("createPad", b'{"code": 4, "message": "no or wrong API Key"}', "key"),
        ("createPad", b'{"code": 2, "message": "internal error", "data": null}', "refused"),
        ("createPad", b"<html>Bad Gateway</html>", "refused"),
        ("createPad", b"[]", "refused"),
        ("getText", b'{"code": 1, "message": "padID does not exist", "data": null}', "refused"),
        ("getText", b'{"code": 0, "data": {"text": "another text\\n"}}', "refused"),
        ("getText", b'{"code": 0, "data": null}', "refused"),
        ("deletePad", b'{"code": 2, "message": "internal error"}', "refused"),
    ],
)
def test_what_goes_wrong_is_a_problem_with_its_own_sentence(
    program: types.ModuleType, pads: Pads, ask: Asking, function: str, answer: bytes, code: str
) -> None:
    pads.instead[function] = answer
    told = ask()
    assert (told["state"], told["code"]) == ("problem", code)
    assert KEY not in told["measured"]
    # What may still be there is noted, and nothing else.
    assert notes(program) == sorted(pads.pads)
    assert bool(pads.pads) == (function == "deletePad")


@pytest.mark.parametrize("function", ["createPad", "getText", "deletePad"])
def test_etherpad_that_does_not_get_on_is_late_and_its_pad_is_noted(
    program: types.ModuleType, pads: Pads, ask: Asking, function: str
) -> None:
    pads.instead[function] = None
    told = ask()
    assert (told["state"], told["code"]) == ("problem", "late")
    assert len(notes(program)) == 1


def test_etherpad_that_is_stopped_is_silent(program: types.ModuleType, ask: Asking, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"port": 1}')
    told = ask()
    assert (told["state"], told["code"]) == ("problem", "silent")
    assert "Connection refused" in told["measured"]
    (tmp_path / "settings.json").unlink()
    assert ask()["code"] == "settings"


def test_pads_that_a_cut_run_left_behind_go_with_a_later_asking_and_those_of_others_at_work_do_not(
    program: types.ModuleType, pads: Pads, ask: Asking
) -> None:
    ask()
    old, gone, fresh, strange = (f"provision-probe-{mark * 12}" for mark in "abcx")
    for name, age in ((old, 700), (gone, 700), (fresh, 30), (strange, 700)):
        Path(program.NOTES, name).touch()
        os.utime(f"{program.NOTES}/{name}", (time.time() - age,) * 2)
        pads.pads[name] = "x"
    del pads.pads[gone]
    assert ask()["state"] == "ok"
    assert set(pads.pads) == {fresh, strange}
    assert notes(program) == sorted([fresh, strange])


def test_without_a_note_no_pad_is_made(
    program: types.ModuleType, pads: Pads, ask: Asking, tmp_path: Path
) -> None:
    program.NOTES = str(tmp_path / "settings.json/notes")
    told = ask()
    assert (told["state"], told["code"]) == ("problem", "disk")
    assert pads.calls == []


def test_a_slow_etherpad_is_warned_of(program: types.ModuleType, ask: Asking) -> None:
    program.SLOW = 0.0
    told = ask()
    assert (told["state"], told["code"]) == ("warning", "slow")


@pytest.mark.parametrize(
    "arguments", [[], ["probe"], ["probe", "other"], ["probe", "written", "x"], ["settle"]]
)
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
