"""Files are there whole or not at all, and a failure never leaves in doubt which."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provision.errors import RefusedError
from provision.files import ReadOnce, locked, make_directories, write_atomically, write_new


def full(*_: object, **__: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_new_file_is_made_with_the_directories_above_it(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    write_new(file, b"content", mode=0o600)
    assert file.read_bytes() == b"content"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        write_new(file, b"ours")
    assert file.read_bytes() == b"of somebody else"


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_new_file_that_cannot_be_written_is_gone_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_directories_that_are_there_are_left_as_they_are(tmp_path: Path) -> None:
    make_directories(tmp_path / "a" / "b", mode=0o700)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    make_directories(tmp_path / "a" / "b", mode=0o755)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("call", ["open", "fsync", "close"])
def test_once_a_file_was_replaced_nothing_is_reported_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    real: Any = getattr(os, call)

    def fails_later(*args: Any, **more: Any) -> Any:
        if file.read_bytes() == b"new":
            if call == "close":
                real(*args, **more)
            full()
        return real(*args, **more)

    monkeypatch.setattr(os, call, fails_later)
    write_atomically(file, b"new")
    monkeypatch.undo()
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_is_read_once_for_all_and_again_when_it_is_another_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    read: list[Path] = []

    def content(path: Path) -> str:
        read.append(path)
        return path.read_text()

    once = ReadOnce(content)
    with pytest.raises(FileNotFoundError):
        once(file)
    write_atomically(file, b"one")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(once, [file] * 50)) == {"one"}
    assert len(read) == 2
    write_atomically(file, b"two")
    assert (once(file), once(file), len(read)) == ("two", "two", 3)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        once(file)


def test_one_block_at_a_time_is_in_a_lock_and_the_next_comes_in_when_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "for" / "it" / ".lock"
    with (
        locked(lock, "the list", RefusedError, mode=0o700),
        pytest.raises(RefusedError, match="another process has been writing the list for 0 s"),
        locked(lock, "the list", RefusedError, wait=0.0),
    ):
        pass
    assert lock.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ZeroDivisionError), locked(lock, "the list", RefusedError):
        raise ZeroDivisionError
    with locked(lock, "the list", RefusedError, wait=0.0):
        assert lock.stat().st_mode & 0o777 == 0o600


def test_a_lock_that_cannot_be_made_says_what_cannot_be_written_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(RefusedError, match="the list cannot be written: ") as caught,
        locked(tmp_path / "file" / ".lock", "the list", RefusedError, remedy="move the file away"),
    ):
        pass
    assert caught.value.remedy == "move the file away"
