"""Large files that are written piece by piece and are there only when they are complete."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from provision.files import sync_directory


@contextmanager
def being_written(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """A file to write to; it takes the name ``path`` when the block ends well, and is gone when it does not.

    Args:
        path: where to; what is there stays until then. Its directory must exist.
        mode: permission bits. What is written here is about persons: the default is for the owner alone.

    Raises:
        OSError: the disk is full, ...; nothing was changed.
    """
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(target.parent)
