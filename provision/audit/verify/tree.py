"""The tree over what was read: its roots at every size that somebody signed, and its upper tiles."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from provision.audit.tlog import (
    EMPTY_ROOT,
    HASH_SIZE,
    TILE_WIDTH,
    Frontier,
    TileReader,
    TlogError,
    node_hash,
    tile_path,
)
from provision.audit.tlog.layout import split_hashes
from provision.audit.verify.scan import Bundle, fold


class Spine:
    """Perfect subtrees side by side, fed with whole bundles. Unusable once one of them is unknown."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._bundles = 0
        self.known = True

    def add(self, root: bytes | None) -> None:
        """Add the root of the next full bundle; None when it is unknown."""
        if root is None:
            self.known = False
        if not self.known or root is None:
            return
        size = self._bundles
        while size & 1:
            root = node_hash(self._nodes.pop(), root)
            size >>= 1
        self._nodes.append(root)
        self._bundles += 1

    def root(self, leaves: Iterable[bytes] = ()) -> bytes | None:
        """The root over all bundles so far and some more leaves; None when it cannot be told."""
        if not self.known:
            return None
        frontier = Frontier(self._bundles * TILE_WIDTH, self._nodes)
        for leaf in leaves:
            frontier.append(leaf)
        return frontier.root()


@dataclass(slots=True)
class Tree:
    """The tree of a log, as its entries give it and as its tiles of level 0 give it.

    Args:
        size: entries that the checkpoint counts.
        wanted: sizes whose roots are asked for.
        roots, tile_roots: root at each wanted size; None where it cannot be told.
        differing: bundles whose entries and tile disagree. unreadable: bundles that are not whole: entries that are
            there, and why no more.
        count: entries in front of the first one that is missing.
        end: bundles up to and with the last one of which something is there.
        bad_tiles: tiles above level 0 that are not what lies under them.
    """

    directory: Path
    size: int
    wanted: frozenset[int]
    roots: dict[int, bytes | None] = field(default_factory=dict)
    tile_roots: dict[int, bytes | None] = field(default_factory=dict)
    differing: list[int] = field(default_factory=list)
    unreadable: dict[int, tuple[int, str]] = field(default_factory=dict)
    count: int = 0
    bad_tiles: list[str] = field(default_factory=list)
    end: int = 0
    _entries: Spine = field(default_factory=Spine)
    _tiles: Spine = field(default_factory=Spine)
    _upper: list[list[tuple[bytes | None, bytes | None]]] = field(default_factory=list)
    _done: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if 0 in self.wanted:
            self.roots[0] = self.tile_roots[0] = EMPTY_ROOT

    def add(self, number: int, found: Bundle) -> None:
        """Take the next bundle."""
        first = number * TILE_WIDTH
        width = min(self.size - first, TILE_WIDTH)
        if found.count:
            self.end = number + 1
        if found.count < width:
            self.unreadable[number] = (found.count, found.error)
        if self.count == first:
            self.count = first + found.count
        if not found.agrees:
            self.differing.append(number)
        for size in self._sizes_within(first, width):
            self.roots[size] = self._root(self._entries, found.leaves, size - first)
            self.tile_roots[size] = self._root(self._tiles, found.tile_leaves, size - first)
        if width < TILE_WIDTH:
            return
        self._entries.add(found.root)
        self._tiles.add(found.tile_root)
        if first + TILE_WIDTH in self.wanted:
            self.roots[first + TILE_WIDTH] = self._entries.root()
            self.tile_roots[first + TILE_WIDTH] = self._tiles.root()
        self._climb(0, (found.root, found.tile_root))

    def finish(self) -> None:
        """Look at what stands in the partial tiles at the right edge."""
        for level, row in enumerate(self._upper, 1):
            if row:
                self._compare(level, row)

    def _sizes_within(self, first: int, width: int) -> Iterator[int]:
        last = first + (width if width < TILE_WIDTH else TILE_WIDTH - 1)
        # Either side may be the smaller one: thousands of checkpoints, or few in a large log.
        if len(self.wanted) > TILE_WIDTH:
            yield from (size for size in range(first + 1, last + 1) if size in self.wanted)
        else:
            yield from sorted(size for size in self.wanted if first < size <= last)

    @staticmethod
    def _root(spine: Spine, leaves: bytes, count: int) -> bytes | None:
        if len(leaves) < count * HASH_SIZE:
            return None
        return spine.root(split_hashes(leaves[: count * HASH_SIZE]))

    def _climb(self, level: int, roots: tuple[bytes | None, bytes | None]) -> None:
        """Put a full tile's root into the tile above it."""
        if level == len(self._upper):
            self._upper.append([])
            self._done.append(0)
        row = self._upper[level]
        row.append(roots)
        if len(row) == TILE_WIDTH:
            self._compare(level + 1, row)
            self._done[level] += 1
            entries, tiles = (
                fold(b"".join(one for one in side if one is not None)) if None not in side else None
                for side in zip(*row, strict=True)
            )
            row.clear()
            self._climb(level + 1, (entries, tiles))

    def _compare(self, level: int, row: list[tuple[bytes | None, bytes | None]]) -> None:
        """See that a tile above level 0 is what lies under it, by entries or by tiles."""
        number = self._done[level - 1]
        width = len(row)
        try:
            tile = TileReader(self.directory, self.size).tile(level, number)
        except TlogError:
            self.bad_tiles.append(tile_path(level, number, width))
            return
        for hash_, roots in zip(split_hashes(tile), row, strict=True):
            if hash_ not in roots and any(roots):
                self.bad_tiles.append(tile_path(level, number, width))
                return
