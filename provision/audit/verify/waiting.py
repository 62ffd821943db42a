"""Entries that waited for the log: written by one administrator while a colleague went on without them.

Whoever steps back writes a ``log.recovered`` that binds them: the tree that they were part of, as far as it is in the
log already (``shared``), and as a whole. They follow it directly and word for word, so that whoever verifies can make
that tree again. The city could write such an entry over anything; therefore only what can have waited is excused:
nothing is changed before a run's announcement is on the server, so that no run waits as a whole.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.audit.tlog import TileReader, TlogError, leaf_hash
from provision.audit.verify.reading import NO_TIME, TOLERANCE
from provision.audit.verify.runs import RunBook

#: Entries that are hashed again, at most, for each of the log: a hostile one may have many such claims.
_WORK = 4
#: Claims that are looked at; nobody's line is cut so often.
MOST = 500


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a ``log.recovered`` says of entries that follow it.

    Args:
        index: of the entry.
        checkpoint: whether it names a checkpoint among the leftovers, as one who steps back leaves it.
        shared: entries that both histories have. size, root: of the tree that was left. Sizes of 0 where it binds none.
    """

    index: int
    checkpoint: bool
    shared: int = 0
    size: int = 0
    root: bytes = b""


def bound(directory: Path, size: int, recoveries: Sequence[Recovery], book: RunBook) -> "array[int]":
    """The entries that are bound as such that waited, with those that bind them; ascending.

    Args:
        directory, size: of the log.
    """
    found: set[int] = set()
    left = _WORK * size
    for one in recoveries:
        count = one.size - one.shared
        last = one.index + count
        if count < 1 or last >= size or one.shared > one.index or count > left:
            continue
        left -= count
        if _follows(directory, size, one) and not book.whole_run(one.index + 1, last, one.shared):
            found.update(range(one.index, last + 1))
    return array("Q", sorted(found))


def _follows(directory: Path, size: int, one: Recovery) -> bool:
    """Whether what follows gives the tree that is claimed."""
    try:
        frontier = TileReader(directory, one.shared).frontier()
        start = one.index + 1
        for raw in TileReader(directory, size).entries(start, start + one.size - one.shared):
            frontier.append(leaf_hash(raw))
    except TlogError:
        return False
    return frontier.root() == one.root


def unbound(
    times: "array[int]", away: "array[int]", recoveries: Sequence[Recovery], book: RunBook
) -> "array[int]":
    """Entries of which only a ``log.recovered`` in front of them says that they were left over; ascending.

    Earlier versions wrote no more than that when they stepped back.

    Args:
        times: of each entry, milliseconds. away: entries that may wait in any case.
    """
    marks = {one.index for one in recoveries if one.checkpoint and not one.size}
    found: list[int] = []
    for stretch in _stretches(times, set(away), marks):
        if not book.whole_run(stretch[0], stretch[-1], stretch[0]):
            found += stretch
    return array("Q", found)


def _stretches(times: "array[int]", away: set[int], marks: set[int]) -> Iterator[list[int]]:
    if not marks:
        return
    latest = NO_TIME
    stretch: list[int] | None = None
    for index, time in enumerate(times):
        late = time != NO_TIME and time < latest - TOLERANCE * 1000
        if index in marks:
            # Many leftovers take several entries.
            stretch = [] if stretch is None else stretch
        elif stretch is not None and late:
            stretch.append(index)
        elif stretch is not None and index not in away:
            if stretch:
                yield stretch
            stretch = None
        latest = max(latest, time)
    if stretch:
        yield stretch
