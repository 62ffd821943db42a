"""Writing files so that a crash, a full disk or a second process never leaves half of one; reading one for many."""

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from provision.errors import ProvisionError

ContentT = TypeVar("ContentT")


class ReadOnce(Generic[ContentT]):
    """What a file holds, read once for all threads that ask for it, and again as soon as it is another file.

    A city's hundred schools share some files, and all of them are asked at once.

    Args:
        read: makes the content of the file; nobody may change what it gives.
    """

    def __init__(self, read: Callable[[Path], ContentT]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: tuple[tuple[Path, int, int, int], ContentT] | None = None

    def __call__(self, path: Path) -> ContentT:
        """The content; whatever ``read`` raises."""
        try:
            about = path.stat()
        except OSError:
            return self._read(path)
        mark = (path, about.st_ino, about.st_mtime_ns, about.st_size)
        with self._lock:
            if self._kept is None or self._kept[0] != mark:
                self._kept = mark, self._read(path)
            return self._kept[1]


@contextmanager
def prepared(path: Path, data: bytes, *, mode: int = 0o644) -> Iterator[Path]:
    """Put ``data`` safely on the disk beside ``path``; the name changes over when the block ends well.

    The old content stays under ``path`` until then, and for good when anything fails.

    Args:
        path: the file to replace or to make; a symbolic link is followed, so that the link stays.
        data: the whole new content.
        mode: permission bits of the new file, set before a byte is written.

    Yields:
        The temporary file, for a check before the change.

    Raises:
        OSError: the disk is full, read-only, ...; the temporary file is gone then.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    # Opened first: after the change nothing may fail, or the caller would take it for unchanged.
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, mode)
                _write_all(descriptor, data)
            finally:
                os.close(descriptor)
            yield temporary
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        with suppress(OSError):
            os.fsync(directory)
    finally:
        with suppress(OSError):
            os.close(directory)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file as one step, or leave it as it was.

    Args:
        path: the file; its directory must exist.
        data: the whole new content.
        mode: permission bits.

    Raises:
        OSError: nothing was changed.
    """
    with prepared(path, data, mode=mode):
        pass


def write_new(file: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Make a file under a name that does not exist yet, safely on the disk; missing directories as well.

    Its name survives a power cut only after ``sync_directory`` on its directory: once for all files that go into it.

    Args:
        file: where.
        data: the whole content.
        mode: permission bits, less those of the umask.

    Raises:
        FileExistsError: it is there already, and stays as it is.
        OSError: the disk is full, ...; the file is gone again.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, mode)
    except FileNotFoundError:
        make_directories(file.parent)
        descriptor = os.open(file, flags, mode)
    try:
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def make_directories(directory: Path, *, mode: int = 0o777) -> None:
    """Make a directory, and those above it, so that they survive a power cut.

    Args:
        directory: nothing happens where it is there.
        mode: permission bits of each that is made, less those of the umask.

    Raises:
        OSError: the disk is full, ...; or something else has the name.
    """
    if directory.is_dir():
        return
    if directory.parent != directory:
        make_directories(directory.parent, mode=mode)
    directory.mkdir(mode=mode, exist_ok=True)
    sync_directory(directory.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


@contextmanager
def locked(
    path: Path,
    what: Path | str,
    error: type[ProvisionError],
    *,
    wait: float = 60.0,
    mode: int = 0o777,
    remedy: str = "see who owns it",
) -> Iterator[None]:
    """Hold a lock for the length of a block, among the processes of this machine.

    Args:
        path: the lock's own file; its directory is made where it is not there.
        what: what is written under the lock, for messages.
        error: what is raised.
        wait: seconds to wait for another process.
        mode: permission bits of a directory that is made, less those of the umask.
        remedy: what to do where the lock's file cannot be written.

    Raises:
        error: another process has held it all the time, or its file cannot be written.
    """
    # Loaded where it is used: it takes longer than all that a command that only reads does.
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=wait, mode=0o600)
    try:
        path.parent.mkdir(mode=mode, parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as cause:
        span = f"{wait / 60:.0f} min" if wait >= 60 else f"{wait:.0f} s"
        raise error(
            f"another process has been writing {what} for {span}", "wait until it is done, then try again"
        ) from cause
    except OSError as cause:
        raise error(f"{what} cannot be written: {cause.strerror}", remedy) from cause
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(path: Path) -> None:
    """Remove temporary files that a killed process left beside ``path``. Call it with the file's lock
    held."""
    target = path.resolve()
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def sync_directory(directory: Path) -> None:
    """Make a rename or an unlink in ``directory`` survive a power cut, where the file system can."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
