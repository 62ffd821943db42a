"""What a broken-off writer left beyond a log's checkpoint: never acknowledged, put aside, and told of in the log.

It goes to ``evidence/<time>-left-over``. The file ``recorded`` in that directory says that the log tells of it; so what
is not recorded yet is known from the disk alone, whenever a writer is killed.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from provision.audit.entries import Leftover
from provision.audit.tlog.layout import bundle_path, encode_bundle, tile_path
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader
from provision.files import make_directories, sync_directory, write_atomically

#: How the name of a directory of ``evidence`` with leftovers ends.
LEFT_OVER = "-left-over"
#: The file in it that says that the log tells of them.
RECORDED = "recorded"
#: So many, with names of at most ``_NAME`` characters, always fit into one entry.
AN_ENTRY = 50
_NAME = 250


def put_aside(directory: Path, size: int) -> None:
    """Move what lies beyond a tree out of the way.

    Args:
        directory: the log's. size: entries of the tree that its checkpoint promises.

    Raises:
        OSError: the disk is full, ...; every file is where it was, or there.
        TlogError: the tree's own files cannot be read.
    """
    beyond = _beyond(directory, size)
    if not beyond:
        return
    # Where the checkpoint was set back on purpose, only files that are to go may hold the tree's own edge.
    for name, content in _missing_edge(directory, size):
        make_directories((directory / name).parent)
        write_atomically(directory / name, content)
    place = directory / "evidence" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}{LEFT_OVER}"
    for file in beyond:
        target = place / file.relative_to(directory)
        make_directories(target.parent)
        file.rename(target)
        sync_directory(target.parent)
        sync_directory(file.parent)


def unrecorded(directory: Path) -> dict[Path, list[Leftover]]:
    """What was put aside and the log does not tell of, by the directory that holds it.

    Args:
        directory: the log's.

    Raises:
        OSError: it cannot be read.
    """
    found = {}
    for place in sorted((directory / "evidence").glob(f"*{LEFT_OVER}")):
        if not place.is_dir() or (place / RECORDED).exists():
            continue
        files = [
            _leftover(file, str(file.relative_to(place)))
            for file in sorted(place.rglob("*"))
            # A hidden one is a temporary file of a writer that was killed while it put another here.
            if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
        ]
        if files:
            found[place] = files
    return found


def _leftover(file: Path, name: str) -> Leftover:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Leftover(file=name[-_NAME:], sha256=digest, bytes=file.stat().st_size)


def _missing_edge(directory: Path, size: int) -> Iterator[tuple[str, bytes]]:
    """The partial tiles and the partial bundle of a tree that only wider ones hold."""
    reader = TileReader(directory, size)
    number, width = divmod(size, TILE_WIDTH)
    if width and not (directory / bundle_path(number, width)).exists():
        yield bundle_path(number, width), encode_bundle(reader.bundle(number))
    level, count = 0, size
    while count:
        number, width = divmod(count, TILE_WIDTH)
        if width and not (directory / tile_path(level, number, width)).exists():
            yield tile_path(level, number, width), reader.tile(level, number)
        level, count = level + 1, number


def _beyond(directory: Path, size: int) -> list[Path]:
    """Tiles and bundles that a tree of this size does not have."""
    found = []
    for file in sorted((directory / "tile").rglob("*")):
        if not file.is_file() or file.is_symlink():
            continue
        parts = file.relative_to(directory / "tile").parts
        width = TILE_WIDTH
        numbers = parts[1:]
        if len(parts) > 2 and parts[-2].endswith(".p"):
            width = int(parts[-1]) if parts[-1].isdecimal() else 0
            numbers = (*parts[1:-2], parts[-2].removesuffix(".p"))
        digits = "".join(part.removeprefix("x") for part in numbers)
        if not digits.isdecimal() or not (parts[0] == "entries" or parts[0].isdecimal()):
            continue
        index = int(digits)
        level = 0 if parts[0] == "entries" else int(parts[0])
        if index * TILE_WIDTH + width > size >> (8 * level):
            found.append(file)
    return found
