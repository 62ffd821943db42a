"""Every system call of a change fails once, and then again for good: the log stays whole, and says what it did."""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from provision.audit.log import LogError, LogWriter, SchoolLog, writing
from tests.unit.audit.log.crashing import KEY, ORIGIN, heartbeat, recovered

#: Of the so-manieth call only, before it is done or when it is done; or of that call and of all that follow.
Mode = Literal["before", "after", "from then on"]
_CALLS = (
    "open", "write", "fsync", "close", "replace", "rename", "unlink", "mkdir", "fchmod", "ftruncate", "fstat", "stat",
    "lstat",
)  # fmt: skip


@contextmanager
def failing(moment: int, mode: Mode) -> Iterator[list[str]]:
    """Let system calls of this thread fail.

    Args:
        moment: which one, from 1.

    Yields:
        the names of the calls so far.
    """
    seen: list[str] = []
    thread = threading.get_ident()

    def wrap(name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(os, name)

        def call(*args: Any, **more: Any) -> Any:
            if threading.get_ident() != thread:
                return real(*args, **more)
            seen.append(name)
            if len(seen) == moment or (mode == "from then on" and len(seen) > moment):
                if mode == "after" or name == "close":
                    # Linux closes a descriptor whatever it says.
                    real(*args, **more)
                code = errno.EMFILE if name == "open" else errno.EIO
                raise OSError(code, os.strerror(code))
            return real(*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in _CALLS:
            patch.setattr(os, name, wrap(name))
        yield seen


def numbers(directory: Path) -> list[str]:
    """What the entries of a log say, after checking that it is whole."""
    log = SchoolLog.open(directory)
    assert log.reader.root() == log.root
    return [entry.data["why"] for entry in log.entries() if entry.type == "heartbeat"]


def said(*values: int) -> list[str]:
    return [f"number {value}" for value in values]


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose next ten entries cross from one tile to the next."""
    directory = tmp_path_factory.mktemp("former") / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(number) for number in range(250)])
    return directory


def add_ten(writer: LogWriter) -> None:
    writer.append([heartbeat(number) for number in range(250, 260)])


@pytest.mark.parametrize("mode", ["before", "after", "from then on"])
def test_a_fault_at_any_system_call_of_an_append_leaves_what_was_acknowledged_and_nothing_else(
    former: Path, tmp_path: Path, mode: Mode
) -> None:
    faults, done = 0, 0
    for moment in range(1, 1000):
        directory = tmp_path / str(moment)
        shutil.copytree(former, directory)
        with writing(directory, ORIGIN, [KEY]) as writer:
            with failing(moment, mode) as seen:
                try:
                    add_ten(writer)
                except LogError as error:
                    refused: LogError | None = error
                else:
                    refused = None
            there = numbers(directory)
            if refused is None:
                assert there == said(*range(260)), f"acknowledged, and not there: {seen}"
            elif "nothing was added" in refused.remedy:
                assert there == said(*range(250)), f"refused, and there: {seen}"
            else:
                assert "cannot be told" in refused.remedy
                assert there in (said(*range(250)), said(*range(260)))
            # The same writer goes on, and so does the next one.
            writer.append([heartbeat(-1)])
            assert numbers(directory) == [*there, "number -1"]
        with writing(directory, ORIGIN, [KEY]) as writer:
            writer.record_leftovers(recovered)
            writer.append([heartbeat(-2)])
        assert numbers(directory) == [*there, "number -1", "number -2"]
        if len(seen) < moment:
            break
        faults += refused is not None
        done += refused is None
    assert faults > 20
    if mode != "from then on":
        # Once the checkpoint has changed over, an append is done, whatever fails.
        assert done > 3


@pytest.mark.parametrize("mode", ["before", "after"])
def test_a_fault_while_leftovers_are_put_aside_and_recorded_never_makes_the_log_forget_them(
    former: Path, tmp_path: Path, mode: Mode
) -> None:
    faults = 0
    for moment in range(1, 1000):
        directory = tmp_path / str(moment)
        shutil.copytree(former, directory)
        with writing(directory, ORIGIN, [KEY]) as writer:
            (directory / "tile" / "entries" / "000.p" / "253").write_bytes(b"torn")
            with failing(moment, mode) as seen:
                try:
                    writer.set_aside()
                    writer.record_leftovers(recovered)
                except LogError:
                    faults += 1
        with writing(directory, ORIGIN, [KEY]) as writer:
            writer.record_leftovers(recovered)
            assert not writer.leftovers
        told = [entry for entry in SchoolLog.open(directory).entries() if entry.type == "log.recovered"]
        files = [item["file"] for entry in told for item in entry.data["leftovers"]]
        assert 1 <= files.count("tile/entries/000.p/253") <= 2, f"{moment}: {seen}"
        assert numbers(directory) == said(*range(250))
        if len(seen) < moment:
            break
    assert faults > 20


def test_a_directory_that_cannot_be_opened_any_more_never_takes_the_tiles_of_the_new_checkpoint(
    former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(former, directory)
    replaced = False
    real_replace, real_open = os.replace, os.open

    def replace(*args: Any, **more: Any) -> None:
        nonlocal replaced
        real_replace(*args, **more)
        replaced = True

    def no_descriptor_left(*args: Any, **more: Any) -> int:
        if replaced:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real_open(*args, **more)

    with writing(directory, ORIGIN, [KEY]) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(os, "open", no_descriptor_left)
        add_ten(writer)
    assert numbers(directory) == said(*range(260))


def test_a_file_that_is_in_the_way_is_not_ours_and_stays(former: Path, tmp_path: Path) -> None:
    directory = tmp_path / "log"
    shutil.copytree(former, directory)
    with writing(directory, ORIGIN, [KEY]) as writer:
        other = directory / "tile" / "entries" / "000.p" / "251"
        other.write_bytes(b"of somebody else")
        with pytest.raises(LogError, match="File exists"):
            writer.append([heartbeat(250)])
        assert other.read_bytes() == b"of somebody else"
        # The next attempt puts it aside, like all that lies beyond the checkpoint.
        writer.append([heartbeat(250)])
        assert [file.file for file in writer.leftovers] == ["tile/entries/000.p/251"]
    assert numbers(directory) == said(*range(251))


def test_an_append_that_was_stopped_at_any_point_is_followed_by_one_that_goes_on_from_the_disk(
    former: Path, tmp_path: Path
) -> None:
    for name in ("write", "replace", "unlink"):
        directory = tmp_path / name
        shutil.copytree(former, directory)
        real: Callable[..., Any] = getattr(os, name)

        def stopped(*args: Any, _real: Callable[..., Any] = real, **more: Any) -> Any:
            _real(*args, **more)
            raise KeyboardInterrupt

        with writing(directory, ORIGIN, [KEY]) as writer:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, name, stopped)
                with pytest.raises(KeyboardInterrupt):
                    add_ten(writer)
            there = numbers(directory)
            writer.append([heartbeat(-1)])
        assert numbers(directory) == [*there, "number -1"]


def test_where_it_cannot_be_told_which_checkpoint_is_there_no_tile_is_deleted_and_nothing_is_claimed(
    former: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    shutil.copytree(former, directory)
    real = os.replace

    def fails(*_: object, **__: object) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def replaced_and_failed(*args: Any, **more: Any) -> None:
        real(*args, **more)
        monkeypatch.setattr(os, "open", fails)
        fails()

    with writing(directory, ORIGIN, [KEY]) as writer:
        monkeypatch.setattr(os, "replace", replaced_and_failed)
        with pytest.raises(LogError) as caught:
            add_ten(writer)
        monkeypatch.undo()
        assert "cannot be told" in caught.value.remedy
        assert "nothing was added" not in caught.value.remedy
        assert numbers(directory) == said(*range(260))
        writer.append([heartbeat(260)])
    assert numbers(directory) == said(*range(261))
