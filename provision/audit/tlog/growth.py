"""Adding to a log: which tiles and bundles it takes. Writing them safely is the caller's part."""

from collections.abc import Sequence
from dataclasses import dataclass

from provision.audit.tlog.layout import (
    TILE_BITS,
    TILE_WIDTH,
    bundle_path,
    encode_bundle,
    split_hashes,
    tile_path,
)
from provision.audit.tlog.tiles import TileReader, root_of_hashes
from provision.audit.tlog.tree import HASH_SIZE, Frontier, TreeError, leaf_hash


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes.

    Attributes:
        level: its level, 0 for hashes of entries.
        number: its number at that level, from 0.
        data: its hashes, one behind the other; fewer than 256 make a partial tile.
    """

    level: int
    number: int
    data: bytes

    @property
    def path(self) -> str:
        """Where it is, below the log's directory."""
        return tile_path(self.level, self.number, len(self.data) // HASH_SIZE)


class TileBuilder:
    """Takes the hashes of entries one by one and gives each tile that gets full, at every level.

    Args:
        size: entries of the tree to go on from.
        edge: the partial tile at the right edge of each level, from level 0 up; empty ones may be left out.

    Raises:
        TreeError: the edge does not fit the size.
    """

    def __init__(self, size: int = 0, edge: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self._edge = [list(hashes) for hashes in edge]
        for level in range(max(len(self._edge), -(-size.bit_length() // TILE_BITS))):
            due = (size >> level * TILE_BITS) % TILE_WIDTH
            if (len(self._edge[level]) if level < len(self._edge) else 0) != due:
                raise TreeError(f"a tree of {size} entries has {due} hashes at the edge of level {level}")

    def append(self, leaf: bytes) -> list[Tile]:
        """Add the hash of one entry.

        Returns:
            The tiles that are full now, lowest first: nearly always none.
        """
        full = []
        self.size += 1
        above = leaf
        for level in range(64):
            if level == len(self._edge):
                self._edge.append([])
            hashes = self._edge[level]
            hashes.append(above)
            if len(hashes) < TILE_WIDTH:
                break
            data = b"".join(hashes)
            full.append(Tile(level, (self.size >> (level + 1) * TILE_BITS) - 1, data))
            above = root_of_hashes(data)
            hashes.clear()
        return full

    @property
    def edge(self) -> tuple[tuple[bytes, ...], ...]:
        """The hashes of the partial tile at each level, from level 0 up."""
        return tuple(map(tuple, self._edge))

    def partial(self) -> list[Tile]:
        """The partial tiles of the tree as it is now, lowest first."""
        return [
            Tile(level, self.size >> (level + 1) * TILE_BITS, b"".join(hashes))
            for level, hashes in enumerate(self._edge)
            if hashes
        ]


@dataclass(frozen=True, slots=True)
class Edge:
    """All that adding to a log takes to know of it. Whoever adds again and again keeps it, and reads no file.

    Attributes:
        frontier: the right edge of the tree.
        tiles: the hashes of the partial tile at each level, from level 0 up; none where the last tile is full.
        bundle: the partial bundle; empty where the last one is full.
    """

    frontier: Frontier
    tiles: tuple[tuple[bytes, ...], ...]
    bundle: bytes

    @classmethod
    def read(cls, reader: TileReader) -> "Edge":
        """The edge of a log as it is; check the ``root()`` of its frontier against the last checkpoint.

        Raises:
            TreeError: a file of the log is missing or malformed.
        """
        number, width = divmod(reader.size, TILE_WIDTH)
        levels = range(-(-reader.size.bit_length() // TILE_BITS))
        return cls(
            reader.frontier(),
            tuple(tuple(_edge(reader, level)) for level in levels),
            encode_bundle(reader.bundle(number)) if width else b"",
        )


@dataclass(frozen=True, slots=True)
class Growth:
    """What it takes to bring a log to a new size.

    Attributes:
        files: the new tiles and bundles: path below the log's directory, and content. None of them exists in a log of
            the old size, unless a writer was stopped before it signed; then the same path may be written over.
        size: the new size.
        root: the new root.
        obsolete: partial tiles and bundles of the old size that a new file of ``files`` holds as its beginning. Remove
            them only after the new checkpoint is in its place. A log that serves clients who may still hold its old
            checkpoint removes them later, when the full tile is there (tlog-tiles, "Partial Tiles").
        edge: from which to go on, once all this is in its place.
    """

    files: dict[str, bytes]
    size: int
    root: bytes
    obsolete: list[str]
    edge: Edge


def grow(log: TileReader | Edge, entries: Sequence[bytes]) -> Growth:
    """Plan the files that add entries to a log. Nothing is written.

    Args:
        log: the log as it is; check its ``root()`` against the last checkpoint first.
        entries: the new entries, of at most ``MAX_ENTRY`` bytes each.

    Raises:
        TreeError: an entry is too long, or a file of the log is missing or malformed.
    """
    edge = log if isinstance(log, Edge) else Edge.read(log)
    old = edge.frontier.size
    if not entries:
        return Growth({}, old, edge.frontier.root(), [], edge)
    frontier = edge.frontier.copy()
    builder = TileBuilder(old, edge.tiles)
    before = builder.partial()
    files: dict[str, bytes] = {}
    for entry in entries:
        leaf = leaf_hash(entry)
        frontier.append(leaf)
        files.update((tile.path, tile.data) for tile in builder.append(leaf))
    # A partial tile that did not grow is in its place already.
    after = builder.partial()
    files.update((tile.path, tile.data) for tile in after if tile not in before)

    number, width = divmod(old, TILE_WIDTH)
    obsolete = [tile.path for tile in before if tile not in after]
    if width:
        obsolete.append(bundle_path(number, width))
    bundle, start = edge.bundle, 0
    while start < len(entries):
        added = entries[start : start + TILE_WIDTH - width]
        start += len(added)
        width += len(added)
        bundle += encode_bundle(added)
        files[bundle_path(number, width)] = bundle
        if width == TILE_WIDTH:
            number, width, bundle = number + 1, 0, b""
    return Growth(files, frontier.size, frontier.root(), obsolete, Edge(frontier, builder.edge, bundle))


def _edge(reader: TileReader, level: int) -> list[bytes]:
    """The hashes of the partial tile at the right edge of a level; none when the last tile is full."""
    count = reader.size >> level * TILE_BITS
    return split_hashes(reader.tile(level, count // TILE_WIDTH)) if count % TILE_WIDTH else []
