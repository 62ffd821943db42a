"""Reading files of a log that somebody else may have written: bounded, regular files only, no symbolic links."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from provision.audit.tlog.tree import TreeError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_file(directory: Path, relative: str, limit: int) -> bytes | None:
    """Read a whole file below a directory.

    Args:
        directory: where the log is; this itself may be a symbolic link.
        relative: path below it, with ``/``; nothing on that path may be a symbolic link.
        limit: largest size that is read, in bytes.

    Returns:
        The content, or None when there is no such file.

    Raises:
        TreeError: it is larger than allowed, no regular file, reached over a symbolic link, or cannot be read.
    """
    try:
        descriptor = _open(directory, relative)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TreeError(f"{relative} cannot be read: {error.strerror}") from error
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise TreeError(f"{relative} is not a regular file")
        if state.st_size > limit:
            raise TreeError(f"{relative} is larger than the {limit} bytes that it may have")
        return _read(descriptor, relative, limit)
    finally:
        os.close(descriptor)


def list_names(directory: Path, relative: str, limit: int) -> list[str]:
    """The names in a directory below ``directory``, under the same rules as ``read_file``.

    Returns:
        The names, or none when there is no such directory.

    Raises:
        TreeError: more than ``limit`` names, or it cannot be read.
    """
    try:
        descriptor = _open(directory, relative, os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TreeError(f"{relative} cannot be read: {error.strerror}") from error
    names: list[str] = []
    try:
        with os.scandir(descriptor) as found:
            for one in found:
                if len(names) == limit:
                    raise TreeError(f"there are more than {limit} files in {relative}")
                names.append(one.name)
    finally:
        os.close(descriptor)
    return names


def _open(directory: Path, relative: str, flags: int = 0) -> int:
    """Open a path one name after the other: O_NOFOLLOW guards only the last one."""
    parts = relative.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise TreeError("a path below a log has a part that cannot be there")
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        extra = flags if number == len(parts) else os.O_DIRECTORY
        try:
            following = os.open(part, _FLAGS | extra, dir_fd=descriptor)
        except OSError:
            # The error differs from system to system, and may read as if the file were only missing.
            with suppress(FileNotFoundError, NotADirectoryError):
                if stat.S_ISLNK(os.stat(part, dir_fd=descriptor, follow_symlinks=False).st_mode):
                    raise TreeError(
                        f"{relative} is reached over a symbolic link, which is not followed"
                    ) from None
            raise
        finally:
            os.close(descriptor)
        descriptor = following
    return descriptor


def _read(descriptor: int, relative: str, limit: int) -> bytes:
    """The rest of an open file; one that grows over the limit while it is read is refused as well."""
    pieces = []
    left = limit + 1
    try:
        while left and (piece := os.read(descriptor, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
    except OSError as error:
        raise TreeError(f"{relative} cannot be read: {error.strerror}") from error
    if not left:
        raise TreeError(f"{relative} is larger than the {limit} bytes that it may have")
    return b"".join(pieces)
