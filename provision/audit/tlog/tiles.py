"""The static files of a log, as tlog-tiles lays them out: hashes in tiles, entries in bundles.

Here they are read; see ``growth`` for adding to them.
"""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from provision.audit.tlog.encoding import MAX_SIZE
from provision.audit.tlog.files import list_names, read_file
from provision.audit.tlog.layout import (
    MAX_BUNDLE,
    MAX_ENTRY,
    TILE_BITS,
    TILE_WIDTH,
    bundle_path,
    decode_bundle,
    split_hashes,
    tile_path,
    tile_width,
)
from provision.audit.tlog.tree import (
    HASH_SIZE,
    Frontier,
    TreeError,
    consistency_proof,
    inclusion_proof,
    node_hash,
    perfect_subtrees,
)

__all__ = [
    "MAX_BUNDLE",
    "MAX_ENTRY",
    "TILE_WIDTH",
    "TileReader",
    "bundle_path",
    "decode_bundle",
    "tile_path",
]

#: Tiles kept in memory by a reader, 8 kB each: enough for a proof, and for every level of the right edge.
_CACHED_TILES = 64


class TileReader:
    """A tree of a given size, read from the files of a log that may have grown beyond it.

    What it gives is what the files say: nothing is proved before it was checked against the root of a checkpoint whose
    signatures were verified. Not safe for use by several threads.

    Args:
        directory: where the log is.
        size: entries of the tree that is meant.
    """

    def __init__(self, directory: Path, size: int) -> None:
        if not 0 <= size <= MAX_SIZE:
            raise TreeError(f"a tree cannot have {size} entries")
        self.directory = directory
        self.size = size
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._bundle: tuple[int, list[bytes]] | None = None

    def node(self, level: int, index: int) -> bytes:
        """The hash of the perfect subtree of ``2**level`` entries that is number ``index`` at its level.

        Raises:
            TreeError: the tree has no such subtree, or a file is missing or malformed.
        """
        if not 0 <= level < 64 or index < 0 or (index + 1) << level > self.size:
            raise TreeError(f"a tree of {self.size} entries has no perfect subtree {index} of level {level}")
        tile_level, height = divmod(level, TILE_BITS)
        number, offset = divmod(index << height, TILE_WIDTH)
        tile = self.tile(tile_level, number)
        return root_of_hashes(tile[offset * HASH_SIZE : (offset + (1 << height)) * HASH_SIZE])

    def tile(self, level: int, number: int) -> bytes:
        """A tile as wide as it is in this tree: its hashes, one behind the other.

        Raises:
            TreeError: the tree has no such tile, or its file is missing or malformed.
        """
        key = (level, number)
        tile = self._tiles.get(key)
        if tile is None:
            tile = self._load_tile(level, number)
            self._tiles[key] = tile
            if len(self._tiles) > _CACHED_TILES:
                self._tiles.popitem(last=False)
        else:
            self._tiles.move_to_end(key)
        return tile

    def bundle(self, number: int) -> list[bytes]:
        """The entries of a bundle, as many as this tree has of them.

        Raises:
            TreeError: the tree has no such bundle, or its file is missing or malformed.
        """
        width = tile_width(self.size, 0, number)
        found = self._read(bundle_path(number), width, MAX_BUNDLE)
        if found is None:
            first = number * TILE_WIDTH
            raise TreeError(
                f"entries {first} to {first + width - 1} are missing ({bundle_path(number, width)})"
            )
        name, data, there = found
        try:
            return decode_bundle(data, there)[:width]
        except TreeError as error:
            raise TreeError(f"{name}: {error}") from None

    def entry(self, index: int) -> bytes:
        """One entry, by its number from 0.

        Raises:
            TreeError: there is none, or its file is missing or malformed.
        """
        self._check_index(index)
        number, offset = divmod(index, TILE_WIDTH)
        if self._bundle is None or self._bundle[0] != number:
            self._bundle = (number, self.bundle(number))
        return self._bundle[1][offset]

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The entries from ``start`` up to but not ``stop``, one bundle in memory at a time.

        Raises:
            TreeError: the tree has not so many, or a file is missing or malformed.
        """
        stop = self._check_range(start, stop)
        for number in range(start // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            first = number * TILE_WIDTH
            yield from self.bundle(number)[max(start - first, 0) : stop - first]

    def leaf(self, index: int) -> bytes:
        """The hash of an entry, as its tile has it.

        Raises:
            TreeError: there is none, or its file is missing or malformed.
        """
        self._check_index(index)
        return self.node(0, index)

    def leaves(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The hashes of the entries from ``start`` up to but not ``stop``, as the tiles have them.

        Raises:
            TreeError: the tree has not so many, or a file is missing or malformed.
        """
        stop = self._check_range(start, stop)
        for number in range(start // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            first = number * TILE_WIDTH
            yield from split_hashes(self.tile(0, number))[max(start - first, 0) : stop - first]

    def frontier(self) -> Frontier:
        """The right edge of the tree, from the tiles.

        Raises:
            TreeError: a file is missing or malformed.
        """
        return Frontier(self.size, [self.node(*subtree) for subtree in perfect_subtrees(0, self.size)])

    def root(self) -> bytes:
        """The root of the tree, from the tiles.

        Raises:
            TreeError: a file is missing or malformed.
        """
        return self.frontier().root()

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The proof that an entry is in this tree. See ``tree.inclusion_proof``."""
        return inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old: int) -> list[bytes]:
        """The proof that this tree grew out of the one of size ``old``. See ``tree.consistency_proof``."""
        return consistency_proof(old, self.size, self.node)

    def _load_tile(self, level: int, number: int) -> bytes:
        width = tile_width(self.size, level, number)
        found = self._read(tile_path(level, number), width, TILE_WIDTH * HASH_SIZE)
        if found is None:
            raise TreeError(f"a part of the tree is missing ({tile_path(level, number, width)})")
        name, data, there = found
        if len(data) != there * HASH_SIZE:
            raise TreeError(f"{name} has {len(data)} bytes where {there * HASH_SIZE} are due")
        return data[: width * HASH_SIZE]

    def _read(self, full: str, width: int, limit: int) -> tuple[str, bytes, int] | None:
        """The file for a width: itself, else the full one, else the narrowest that is wider.

        Returns:
            Its path, its content and its own width, or None when there is none of them.
        """
        wanted = [width] if width == TILE_WIDTH else [width, TILE_WIDTH]
        for one in wanted:
            name = full if one == TILE_WIDTH else f"{full}.p/{one}"
            data = read_file(self.directory, name, limit)
            if data is not None:
                return name, data, one
        if width < TILE_WIDTH:
            # A writer that was killed may have left a few temporary files beside the at most 255 partial ones.
            names = list_names(self.directory, f"{full}.p", 4 * TILE_WIDTH)
            widths = {str(one): one for one in range(width + 1, TILE_WIDTH)}
            for one in sorted(widths[name] for name in names if name in widths):
                name = f"{full}.p/{one}"
                data = read_file(self.directory, name, limit)
                if data is not None:
                    return name, data, one
        return None

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise TreeError(f"a log of {self.size} entries has no entry {index}")

    def _check_range(self, start: int, stop: int | None) -> int:
        end = self.size if stop is None else stop
        if not 0 <= start <= end <= self.size:
            raise TreeError(f"a log of {self.size} entries has no entries {start} to {end}")
        return end


def root_of_hashes(data: bytes) -> bytes:
    """The root over a power of two of hashes that lie one behind the other."""
    row = split_hashes(data)
    while len(row) > 1:
        row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
    return row[0]
