"""Which entry, and what was done to it: a comparison of two sequences of leaf hashes.

One is what the entries give now, the other what they were: the tiles of the same log, where a signed root vouches for
them, or another copy. Both are read as streams, so that a log of any size can be compared.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from provision.audit.tlog import TILE_WIDTH, TileReader, TlogError, leaf_hash
from provision.audit.tlog.layout import split_hashes, tile_width
from provision.audit.verify.findings import Findings
from provision.audit.verify.scan import read_bundle

#: How far apart two places may lie that still are told to be a removal, an insertion or a move.
WINDOW = 4 * TILE_WIDTH
#: Differences that are told one by one; a log with more of them is ruined as a whole.
MOST = 100


def entry_hashes(directory: Path, size: int, start: int, end: int | None = None) -> Iterator[bytes | None]:
    """Leaf hashes of a log's entries, bundle by bundle; None for each of a bundle that cannot be read at all.

    Args:
        size: of the tree. start: the entry to begin with, first of its bundle.
        end: the bundle to stop in front of; that of the last entry when left out.
    """
    for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH) if end is None else end):
        width = tile_width(size, 0, number)
        raw, _ = read_bundle(directory, number, width)
        yield from map(leaf_hash, raw) if raw else [None] * width


def tile_hashes(directory: Path, size: int, start: int) -> Iterator[bytes | None]:
    """Leaf hashes of a log's tiles from a bundle's start on; None where a tile is missing."""
    reader = TileReader(directory, size)
    for number in range(start // TILE_WIDTH, -(-size // TILE_WIDTH)):
        try:
            yield from split_hashes(reader.tile(0, number))
        except TlogError:
            yield from [None] * tile_width(size, 0, number)


#: Stands for no entry at all, other than None, which is one that cannot be read.
_NOTHING = b""


class _Difference(NamedTuple):
    """What was at a place, and what is there now."""

    place: int
    before: bytes | None
    now: bytes | None


class _Ahead:
    """A stream that one can look into before taking from it."""

    def __init__(self, hashes: Iterable[bytes | None]) -> None:
        self._hashes = iter(hashes)
        self._seen: deque[bytes | None] = deque()
        self.place = 0

    def fill(self) -> None:
        while len(self._seen) <= WINDOW:
            try:
                self._seen.append(next(self._hashes))
            except StopIteration:
                return

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, offset: int) -> bytes | None:
        return self._seen[offset]

    def window(self) -> list[bytes | None]:
        return list(self._seen)

    def take(self, count: int) -> list[bytes | None]:
        taken = [self._seen.popleft() for _ in range(min(count, len(self._seen)))]
        self.place += len(taken)
        return taken


def compare(
    now: Iterable[bytes | None], before: Iterable[bytes | None], start: int, findings: Findings
) -> None:
    """Say how the entries of now differ from those of before.

    Args:
        now: leaf hashes as the entries give them. before: those that were signed. Both begin at entry ``start``.
        findings: where each difference is put. Numbers of entries are those of before, the log as it was signed.
    """
    left, right = _Ahead(now), _Ahead(before)
    gone: list[_Difference] = []
    come: list[tuple[int, bytes | None]] = []
    for _ in range(MOST):
        if not _skip_equal(left, right):
            if gone and len(left):
                # What is left over at the end may be what went before it.
                come += [(start + right.place, one) for one in left.window()]
            else:
                _say_end(left, right, start, findings)
            break
        place = start + right.place
        here, there = _resync(left, right)
        new, old = left.take(here), right.take(there)
        if here == there:
            gone += [_Difference(place + step, *pair) for step, pair in enumerate(zip(old, new, strict=True))]
        else:
            gone += [_Difference(place + step, one, _NOTHING) for step, one in enumerate(old)]
            come += [(place, one) for one in new]
    _say_differences(gone, come, findings)


def _skip_equal(left: _Ahead, right: _Ahead) -> bool:
    """Go on to the first difference; False when one of the two has ended."""
    while True:
        left.fill()
        right.fill()
        if not len(left) or not len(right):
            return False
        if left[0] != right[0]:
            return True
        left.take(1)
        right.take(1)


def _resync(left: _Ahead, right: _Ahead) -> tuple[int, int]:
    """How many to skip on each side until both go on alike: the fewest."""
    now, before = left.window(), right.window()
    there: dict[bytes, int] = {}
    for place, one in enumerate(before):
        if one is not None:
            there.setdefault(one, place)
    best = (len(now), len(before))
    for place, one in enumerate(now):
        if place >= sum(best):
            break
        if one is not None and one in there and place + there[one] < sum(best):
            best = (place, there[one])
    # What was replaced one by one leaves the rest in step: prefer that to a far match of equal cost.
    for step in range(1, min(len(now), len(before))):
        if 2 * step > sum(best):
            break
        if now[step] == before[step]:
            return step, step
    return best


def _say_differences(
    gone: list[_Difference], come: list[tuple[int, bytes | None]], findings: Findings
) -> None:
    """An entry that went at one place and came at another was moved; the rest was changed, removed or put in."""
    went = {one.before for one in gone}
    came = {one for _, one in come} | {one.now for one in gone}
    for one in gone:
        # None is what cannot be read, which is told of the file that it should be in.
        if one.before is None or one.now is None or one.before == one.now:
            continue
        if one.before in came or one.now in went:
            findings.add("reordered/entry", one.place)
        else:
            findings.add("deleted/entry" if one.now == _NOTHING else "edited/entry", one.place)
    inserted = Counter(place for place, one in come if one is not None and one not in went)
    for place, count in inserted.items():
        findings.add("inserted/entry", place, count=count)


def _say_end(left: _Ahead, right: _Ahead, start: int, findings: Findings) -> None:
    left.fill()
    right.fill()
    if len(right) and not len(left):
        place = start + right.place
        rest = len(right)
        while right.take(WINDOW):
            right.fill()
            rest += len(right)
        findings.add("truncated/end", place, last=place + rest - 1, size=place + rest, found=place)
    elif len(left) and not len(right):
        findings.add("inserted/entry", start + right.place, count=len(left))
