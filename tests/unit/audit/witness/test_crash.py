"""Killed at any point, or with a full disk, the witness never signs what it has not stored."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.audit.tlog import Checkpoint, Note
from provision.audit.witness import DirectorySource, WitnessError, WitnessStore, visiting
from tests.unit.audit.witness.city import City, watch

#: Calls through which everything passes that is written: a kill before each of them is one at any point that matters.
CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "fchmod")


def counted(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[str], None]) -> list[str]:
    """Do something before the call number ``at`` of all that touch the disk."""
    seen: list[str] = []

    def wrap(name: str) -> None:
        real = getattr(os, name)

        def called(*args: object, **named: object) -> object:
            seen.append(name)
            if len(seen) == at:
                act(name)
            return real(*args, **named)

        monkeypatch.setattr(os, name, called)

    for name in CALLS:
        wrap(name)
    return seen


def signs(home: Path, city: City, answer: Path, now: int) -> None:
    with visiting(home, DirectorySource(city.directory)) as visit:
        visit.take()
        answer.write_bytes(visit.cosign(city.witness, now).encode())


def check(home: Path, answer: Path, city: City, seen: Checkpoint) -> None:
    """What is stored is whole, is not less than before, and holds all that was ever signed."""
    with WitnessStore.open(home).locked() as store:
        now = store.checkpoint
        assert now.size >= seen.size
        assert list(store.reader.entries()) == city.raw[: now.size]
        if answer.exists() and answer.stat().st_size:
            signed = Checkpoint.parse(Note.parse(answer.read_bytes()).text)
            assert signed.size <= now.size
        cosigned = store.cosigned(city.witness.verifier)
        assert cosigned is None or cosigned[0] <= now.size
    assert not (home / ".incoming").exists()


@pytest.mark.parametrize("renewed", [False, True])
def test_killed_before_any_step_nothing_is_signed_that_is_not_stored(tmp_path: Path, renewed: bool) -> None:
    city = City(tmp_path / "city")
    city.beat(250)
    home, answer = tmp_path / "home", tmp_path / "answer"
    watch(home, city)
    if renewed:
        # A new key of the city is to be stored together with what it signed.
        city.renew()
        city.beat(20)
    killed = 0
    for at in range(1, 1000):
        seen = WitnessStore.open(home).checkpoint
        child = os.fork()
        if child == 0:
            with pytest.MonkeyPatch.context() as patch:
                counted(patch, at, lambda _: os.kill(os.getpid(), signal.SIGKILL))
                code = 1
                try:
                    signs(home, city, answer, 1_800_000_000 + at)
                    code = 0
                finally:
                    os._exit(code)
        _, status = os.waitpid(child, 0)
        check(home, answer, city, seen)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        killed += 1
        if seen.size == city.size:
            # It got as far as storing: the next kills are to fall into a renewed storing, too.
            city.beat(3)
    assert killed > 50
    signs(home, city, answer, 1_900_000_000)
    assert Checkpoint.parse(Note.parse(answer.read_bytes()).text).size == city.size


def test_a_full_disk_changes_nothing_and_the_next_visit_goes_on(tmp_path: Path) -> None:
    city = City(tmp_path / "city")
    city.beat(300)
    home, answer = tmp_path / "home", tmp_path / "answer"
    watch(home, city)

    def full(name: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    failed = 0
    for at in range(1, 1000):
        seen = WitnessStore.open(home).checkpoint
        answer.unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.unit.audit.witness.test_crash.CALLS", ("write", "mkdir", "fsync"))
            calls = counted(patch, at, full)
            try:
                with visiting(home, DirectorySource(city.directory)) as visit:
                    visit.take()
                    note = visit.cosign(city.witness, 1_800_000_000 + at)
            except (WitnessError, OSError):
                failed += 1
            else:
                if len(calls) < at:
                    break
                answer.write_bytes(note.encode())
        check(home, answer, city, seen)
        city.beat(2)
    assert failed > 10
    signs(home, city, answer, 1_900_000_000)
