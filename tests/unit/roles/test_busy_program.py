"""The guard of lessons: whether a step that would cut them may be taken."""

import fcntl
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.roles.programs import load


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    program = load("base", "provision-busy")
    program.PROGRAMS = tmp_path / "busy.d"
    program.PROGRAMS.mkdir()
    program.LOCK = tmp_path / "lock"
    sleeps(program, monkeypatch, lambda _: None)
    return program


def sleeps(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]
) -> None:
    """What it does between two looks. Its own name for time alone: subprocess sleeps too while it waits."""
    monkeypatch.setattr(program, "time", types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic))


def service(program: types.ModuleType, name: str, script: str) -> None:
    file = program.PROGRAMS / name
    file.write_text(f'#!/bin/sh\n[ "$1" = busy ] || exit 3\n{script}\n')
    file.chmod(0o755)


def going_on(meetings: int, participants: int) -> str:
    return f'echo \'{{"meetings": {meetings}, "participants": {participants}}}\''


def test_where_no_service_carries_lessons_every_step_may_be_taken(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["restart"]) == 0
    service(program, "quiet", going_on(0, 0))
    assert program.main(["restart"]) == 0
    assert capsys.readouterr().err == ""


def test_a_step_that_would_cut_lessons_is_refused_with_the_numbers_of_all_services(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    service(program, "one", going_on(2, 40))
    service(program, "two", going_on(1, 5))
    assert program.main(["restart the bridge"]) == 75
    told = capsys.readouterr().err
    assert "meetings: 3, participants: 45" in told
    assert "would cut them" in told
    assert "restart the bridge" in told


def test_force_cuts_and_says_whom(program: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    service(program, "one", going_on(2, 40))
    assert program.main(["--force", "restart"]) == 0
    people, record = capsys.readouterr().err.splitlines()
    assert people.startswith("note: lessons go on here (meetings: 2, participants: 40)")
    assert record == 'cut: {"meetings": 2, "participants": 40}'
    service(program, "two", "exit 1")
    assert program.main(["--force", "restart"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "cut: {}"


def test_waiting_ends_with_the_lessons(program: types.ModuleType, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.write_text("xx")
    ending = f"n=$(wc -c < {left}); printf %s $(head -c $((n - 1)) {left}) > {left}.new; mv {left}.new {left}"
    service(program, "one", f'{ending}; echo "{{\\"meetings\\": $((n - 1)), \\"participants\\": 9}}"')
    assert program.main(["--wait", "10", "restart"]) == 0


def test_waiting_has_an_end(program: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    service(program, "one", going_on(1, 9))
    clock = iter(range(0, 10**6, 100))
    assert program.may("restart", 600.0, False, now=lambda: float(next(clock))) == 75
    assert "after 10 minutes of waiting" in capsys.readouterr().err


@pytest.mark.parametrize("after", ["", "another run"])
def test_when_the_run_that_asked_has_ended_nobody_takes_its_step_any_more(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    service(program, "one", going_on(1, 9))
    with program.LOCK.open("w+") as lock:
        lock.write("this run")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        def stopped(_: float) -> None:
            # The lessons end as well: without its run the step must not be taken for that.
            service(program, "one", going_on(0, 0))
            program.LOCK.write_text(after)
            if not after:
                fcntl.flock(lock, fcntl.LOCK_UN)

        sleeps(program, monkeypatch, stopped)
        assert program.main(["--wait", "10", "restart"]) == 75
    assert "has ended" in capsys.readouterr().err


def test_the_run_that_asked_and_is_still_there_gets_its_step(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(program, "one", going_on(1, 9))
    sleeps(program, monkeypatch, lambda _: service(program, "one", going_on(0, 0)))
    with program.LOCK.open("w+") as lock:
        lock.write("this run")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert program.run_at_work() == "this run"
        assert program.main(["--wait", "10", "restart"]) == 0
        # A plan looks on and changes nothing.
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert program.run_at_work() == ""


@pytest.mark.parametrize("script", ["exit 1", "echo", "echo '[]'", 'echo \'{"meetings": "many"}\''])
def test_a_service_that_cannot_tell_is_taken_for_busy(program: types.ModuleType, script: str) -> None:
    service(program, "one", script)
    assert program.main(["restart"]) == 75


@pytest.mark.parametrize("words", [[], ["--wait"], ["--wait", "x", "step"], ["--now", "step"], ["a", "b"]])
def test_a_wrong_call_is_no_permission(program: types.ModuleType, words: list[str]) -> None:
    assert program.main(words) == 2
