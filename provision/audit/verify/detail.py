"""The detail of runs against what the log says of it: each step's commitment, and the root over all of them."""

import os
import stat
from array import array
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from provision.audit.detail import DetailError, DetailStore
from provision.audit.tlog import HASH_SIZE, Frontier, leaf_hash
from provision.audit.verify.runs import Run

#: Steps that are checked in one piece of work.
BATCH = 20_000
KEPT = 25


@dataclass(frozen=True, slots=True)
class Expected:
    """What the log says of a run's detail.

    Args:
        ended: entry of ``run.ended``; None while there is none, and then ``size`` and ``root`` say nothing.
        numbers, entries, commitments: the ``task.result`` entries, packed.
        broken: the run never ended by itself; a later one, maybe on another machine, closed it with what it knew.
    """

    run: str
    ended: int | None
    size: int
    root: bytes
    numbers: "array[int]"
    entries: "array[int]"
    commitments: bytes
    broken: bool = False


@dataclass(slots=True)
class Detail:
    """What was found of a run's detail.

    Args:
        problems: text key, entry, facts; the first ones of each sort.
        erased: numbers of erased steps, by the id of the entry that they name.
        entry: the entry that speaks for the whole detail.
    """

    run: str
    entry: int | None
    problems: list[tuple[str, int | None, dict[str, str | int]]] = field(default_factory=list)
    erased: dict[str, "array[int]"] = field(default_factory=dict)
    steps: int = 0


def expected_of(name: str, run: Run) -> Expected | None:
    """What the log says of a run's detail; None where it says nothing."""
    results = run.results
    if results is None and not (run.ended is not None and run.size):
        return None
    empty: array[int] = array("Q")
    return Expected(
        run=name,
        ended=run.ended,
        size=run.size,
        root=run.root,
        numbers=results.numbers if results else empty,
        entries=results.entries if results else empty,
        commitments=bytes(results.commitments) if results else b"",
        broken=run.broken,
    )


def check(directory: Path, batch: list[Expected]) -> list[Detail]:
    """Check the detail of some runs. May run in a process of its own."""
    store = DetailStore(directory / "detail")
    return [_check(store, expected) for expected in batch]


def _check(store: DetailStore, expected: Expected) -> Detail:
    entry = expected.ended if expected.ended is not None else (expected.entries or [None])[0]
    found = Detail(expected.run, entry)
    try:
        if not _there(store.file(expected.run)):
            size = expected.size if expected.ended is not None else len(expected.numbers)
            found.problems.append(("detail-missing/file", entry, {"run": expected.run, "size": size}))
            return found
        _compare(store, expected, found)
    except (DetailError, OSError) as error:
        words = str(error) if isinstance(error, DetailError) else (error.strerror or "it cannot be read")
        found.problems.append(("detail-altered/line", entry, {"run": expected.run, "error": words}))
    return found


def _there(file: Path) -> bool:
    """Whether it is there and may be read: not a pipe that never answers, not a link to somewhere else."""
    try:
        state = os.lstat(file)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(state.st_mode):
        raise DetailError("it is not a plain file")
    return True


def _compare(store: DetailStore, expected: Expected, found: Detail) -> None:
    run, entry = expected.run, found.entry
    known = {number: place for place, number in enumerate(expected.numbers)}
    frontier = Frontier()
    known_part = frontier.root() if expected.size == 0 else b""
    wrong = 0
    for line in store.read(run):
        frontier.append(leaf_hash(line.commitment))
        if frontier.size == expected.size:
            known_part = frontier.root()
        place = known.pop(line.number, None)
        differs = place is not None and (
            expected.commitments[place * HASH_SIZE : (place + 1) * HASH_SIZE] != line.commitment
        )
        if differs or not line.fits:
            wrong += 1
            if wrong <= KEPT:
                about = expected.entries[place] if place is not None else entry
                found.problems.append(("detail-altered/step", about, {"run": run, "number": line.number}))
        elif line.erased is not None:
            found.erased.setdefault(line.erased[:100], array("Q")).append(line.number)
        if expected.ended is not None and not expected.broken and frontier.size > expected.size:
            break
    found.steps = frontier.size
    for number, place in islice(known.items(), KEPT):
        about = expected.entries[place]
        found.problems.append(("detail-missing/step", about, {"run": run, "number": number}))
    if expected.ended is None:
        return
    facts: dict[str, str | int] = {"run": run, "found": frontier.size, "size": expected.size}
    if expected.broken and frontier.size > expected.size:
        found.problems.append(("detail-missing/unbound", entry, facts))
    elif frontier.size != expected.size:
        found.problems.append(("detail-missing/steps", entry, facts))
    if frontier.size >= expected.size and known_part != expected.root and not wrong:
        found.problems.append(("detail-altered/root", entry, {"run": run}))
