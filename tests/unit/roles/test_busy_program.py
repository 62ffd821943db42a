"""The guard of lessons: whether a step that would cut them may be taken."""

import fcntl
import json
import subprocess
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision import paths
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
    monkeypatch.setattr(
        program, "time", types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic, time=time.time)
    )


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
    assert program.may("restart", 600.0, False, "", now=lambda: float(next(clock))) == 75
    assert "after 10 minutes of waiting" in capsys.readouterr().err


def hold(program: types.ModuleType, lock: Any, run: str) -> None:
    """Hold this server for a run, as provision does."""
    lock.write(json.dumps({"run": run, "person": "Ada"}))
    lock.flush()
    fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.parametrize("after", ["", "r2"])
def test_when_the_run_that_asked_has_ended_nobody_takes_its_step_any_more(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    service(program, "one", going_on(1, 9))
    with program.LOCK.open("w+") as lock:
        hold(program, lock, "r1")

        def stopped(_: float) -> None:
            # The lessons end as well: without its run the step must not be taken for that.
            service(program, "one", going_on(0, 0))
            program.LOCK.write_text(json.dumps({"run": after}))
            if not after:
                fcntl.flock(lock, fcntl.LOCK_UN)

        sleeps(program, monkeypatch, stopped)
        assert program.main(["--wait", "10", "--run", "r1", "restart"]) == 75
        assert "has ended" in capsys.readouterr().err
        # Nor when it asks for the first time, or may cut lessons.
        assert program.main(["--run", "r1", "restart"]) == 75
        service(program, "one", going_on(1, 9))
        assert program.main(["--force", "--run", "r1", "restart"]) == 75
        assert "cut: " not in capsys.readouterr().err


def test_the_run_that_asked_and_is_still_there_gets_its_step(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    service(program, "one", going_on(1, 9))
    sleeps(program, monkeypatch, lambda _: service(program, "one", going_on(0, 0)))
    with program.LOCK.open("w+") as lock:
        hold(program, lock, "r1")
        assert program.run_at_work() == "r1"
        assert program.main(["--wait", "10", "--run", "r1", "restart"]) == 0
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


# Automatic updates


@pytest.fixture(name="again")
def _again(program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What systemd was told, when updates are put off."""
    program.PUT_OFF = tmp_path.parent / f"{tmp_path.name}-state" / "updates-put-off"
    told: list[list[str]] = []
    real = subprocess.run

    def run(command: Any, **how: Any) -> Any:
        if command[0] != "systemctl":
            return real(command, **how)
        told.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(program.subprocess, "run", run)
    return told


def test_updates_come_as_ever_where_nothing_carries_lessons(
    program: types.ModuleType, again: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--updates"]) == 0
    service(program, "quiet", going_on(0, 0))
    assert program.main(["--updates"]) == 0
    assert again == []
    assert not program.PUT_OFF.exists()
    assert capsys.readouterr().err == ""


def test_updates_are_put_off_for_lessons_and_tried_again(
    program: types.ModuleType, again: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    service(program, "one", going_on(2, 40))
    assert program.main(["--updates"]) == 75
    assert again == [["systemctl", "restart", "--no-block", "provision-updates.timer"]]
    assert "meetings: 2, participants: 40" in capsys.readouterr().err
    service(program, "one", going_on(0, 0))
    assert program.main(["--updates"]) == 0
    assert not program.PUT_OFF.exists()


def test_updates_are_not_put_off_for_ever(
    program: types.ModuleType, again: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    service(program, "stuck", "exit 1")
    day, now = 86400.0, 1.8e9
    assert [program.updates(now + days * day) for days in (0, 1, 2.9)] == [75, 75, 75]
    assert program.updates(now + 3 * day) == 0
    assert "installed all the same" in capsys.readouterr().err
    # Then it begins anew.
    assert program.updates(now + 4 * day) == 75
    assert len(again) == 4


@pytest.mark.usefixtures("again")
def test_a_clock_that_went_back_does_not_put_updates_off_for_longer(program: types.ModuleType) -> None:
    service(program, "one", going_on(1, 9))
    now = 1.8e9
    assert program.updates(now + 10**8) == 75
    assert program.updates(now) == 75
    assert program.updates(now + 3 * 86400) == 0


def test_needrestart_only_lists_where_lessons_are_carried(tmp_path: Path) -> None:
    """Read as needrestart reads it, whose settings are a program in Perl."""
    text = (paths.ROLES / "base/files/needrestart.conf").read_text()
    assert "'/etc/provision/busy.d/*'" in text
    own = tmp_path / "zz-provision.conf"
    own.write_text(text.replace("/etc/provision/busy.d", str(tmp_path / "busy.d")))

    def mode() -> str:
        program = (
            "my $file = shift; our %nrconf = (restart => 'a'); "
            "eval do { local(@ARGV, $/) = $file; <> }; die $@ if $@; print $nrconf{restart}"
        )
        command = ["perl", "-we", program, str(own)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert mode() == "a"
    (tmp_path / "busy.d").mkdir()
    assert mode() == "a"
    (tmp_path / "busy.d/one").touch()
    assert mode() == "l"
