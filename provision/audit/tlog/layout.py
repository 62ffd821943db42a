"""How tlog-tiles names the files of a log, and what is in them.

A full tile has 256 hashes, and tile level ``l`` holds the roots of perfect subtrees of ``256**l`` entries. A tile at
the right edge is partial, and stands under a name of its own for each width, so that no file ever changes once it is
written. Bundles of entries are named in the same way.
"""

from collections.abc import Iterator, Sequence
from struct import Struct

from provision.audit.tlog.tree import HASH_SIZE, TreeError

#: Hashes in a full tile, and entries in a full bundle.
TILE_WIDTH = 256
#: Levels of the tree that a tile spans.
TILE_BITS = 8
#: Longest entry in bytes: a bundle has two bytes for its length.
MAX_ENTRY = 65535
#: Largest bundle in bytes.
MAX_BUNDLE = TILE_WIDTH * (2 + MAX_ENTRY)

_LENGTH = Struct(">H")


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Where a tile is, below the log's directory.

    Args:
        level: 0 for hashes of entries, 1 for roots of full tiles of level 0, ...; at most 63.
        index: number of the tile at its level, from 0.
        width: how many hashes it has, 1 to 256; fewer than 256 is a partial tile.

    Raises:
        TreeError: there is no such tile.
    """
    if not 0 <= level <= 63:
        raise TreeError(f"there are no tiles of level {level}")
    return f"tile/{level}/{_numbered(index, width)}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """Where a bundle of entries is, below the log's directory.

    Args:
        index: number of the bundle, from 0.
        width: how many entries it has, 1 to 256.

    Raises:
        TreeError: there is no such bundle.
    """
    return f"tile/entries/{_numbered(index, width)}"


def _numbered(index: int, width: int) -> str:
    if index < 0 or not 0 < width <= TILE_WIDTH:
        raise TreeError(f"there is no tile number {index} of width {width}")
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def prunable(minimum: int) -> Iterator[str]:
    """The files that a log may do without when it keeps its entries only from number ``minimum`` on.

    Entries, proofs of them, and the roots of all trees of at least ``minimum`` entries stay available (tlog-tiles,
    "Pruning"). Only a published retention policy allows it.

    Args:
        minimum: number of the first entry that is kept.

    Yields:
        Paths of full bundles and full tiles that end at or before it.
    """
    for number in range(minimum // TILE_WIDTH):
        yield bundle_path(number)
    level = 0
    while count := minimum >> (level + 1) * TILE_BITS:
        for number in range(count):
            yield tile_path(level, number)
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bundle that holds these entries.

    Args:
        entries: 1 to 256 entries of at most ``MAX_ENTRY`` bytes each.

    Raises:
        TreeError: too many, none, or one that is too long.
    """
    if not 0 < len(entries) <= TILE_WIDTH:
        raise TreeError(f"a bundle has 1 to {TILE_WIDTH} entries, not {len(entries)}")
    pieces = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise TreeError(f"an entry of {len(entry)} bytes is too long: {MAX_ENTRY} at most")
        pieces.append(_LENGTH.pack(len(entry)))
        pieces.append(entry)
    return b"".join(pieces)


def decode_bundle(data: bytes, expected: int | None) -> list[bytes]:
    """The entries of a bundle.

    Args:
        data: the bundle.
        expected: how many entries it must have; None takes 1 to 256.

    Raises:
        TreeError: it ends within an entry, or has another number of entries.
    """
    entries: list[bytes] = []
    place = 0
    while place < len(data):
        if len(entries) == TILE_WIDTH:
            raise TreeError(f"the bundle has more than {TILE_WIDTH} entries")
        start = place + _LENGTH.size
        if start > len(data):
            raise TreeError("the bundle ends within the length of an entry")
        place = start + int.from_bytes(data[place:start], "big")
        if place > len(data):
            raise TreeError("the bundle ends within an entry")
        entries.append(data[start:place])
    if not entries:
        raise TreeError("the bundle is empty")
    if expected is not None and len(entries) != expected:
        raise TreeError(f"the bundle has {len(entries)} entries where {expected} are due")
    return entries


def tile_width(size: int, level: int, number: int) -> int:
    """How wide a tile is in a tree of ``size`` entries."""
    width = min((size >> level * TILE_BITS) - number * TILE_WIDTH, TILE_WIDTH)
    if number < 0 or width <= 0:
        raise TreeError(f"a tree of {size} entries has no tile {number} of level {level}")
    return width


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile, one by one."""
    return [data[place : place + HASH_SIZE] for place in range(0, len(data), HASH_SIZE)]
