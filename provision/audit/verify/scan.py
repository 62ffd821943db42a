"""Reading every entry of a log once, in pieces that several processes can share.

A piece is a range of bundles. What comes back of it is small: the roots of its bundles, the times of its entries, what
is wrong with them, and the few entries that say something about keys and runs.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from provision.audit.entries import Entry, EntryError
from provision.audit.tlog import (
    HASH_SIZE,
    TILE_WIDTH,
    TileReader,
    TlogError,
    bundle_path,
    list_names,
    read_file,
)
from provision.audit.tlog.layout import MAX_BUNDLE, tile_width
from provision.audit.verify.reading import (
    NO_TIME,
    READERS,
    WrongError,
    hash_in,
    may_wait,
    milliseconds,
    number_in,
    read_entry,
    text_in,
)

#: Bundles in a piece of work: enough to make handing it over cheap, few enough to spread.
PIECE = 64
#: Problems of one piece that are kept, each kind; of more, only the number is.
KEPT = 25


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work.

    Args:
        directory: the log's. size: of the whole tree. origin: of the log.
        first, last: the bundles from ``first`` up to but not ``last``.
        wanted: sizes of trees whose roots are asked for; they lie in or at the end of this piece.
    """

    directory: Path
    size: int
    origin: str
    first: int
    last: int
    wanted: tuple[int, ...]


@dataclass(slots=True)
class Results:
    """The ``task.result`` entries of a run, packed: a million of them must not fill the memory."""

    numbers: "array[int]" = field(default_factory=lambda: array("Q"))
    entries: "array[int]" = field(default_factory=lambda: array("Q"))
    commitments: bytearray = field(default_factory=bytearray)

    def add(self, other: "Results") -> None:
        """Take those of a later piece."""
        self.numbers.extend(other.numbers)
        self.entries.extend(other.entries)
        self.commitments += other.commitments


@dataclass(slots=True)
class Bundle:
    """What was found of one bundle.

    Args:
        count: entries that could be read. error: why not all could; empty when they could.
        root, tile_root: of the full subtree, as the entries and as the tile give it; None where it is not full, or
            cannot be told. ``tile_root`` is ``root`` itself where they agree.
        leaves, tile_leaves: the hashes one behind the other, kept where a wanted size lies within.
        agrees: whether tile and entries give the same hashes.
    """

    count: int
    error: str = ""
    root: bytes | None = None
    tile_root: bytes | None = None
    leaves: bytes = b""
    tile_leaves: bytes = b""
    agrees: bool = True


@dataclass(slots=True)
class Piece:
    """What came of a piece of work.

    Args:
        times: of each entry, milliseconds since 1970; one behind the other from the piece's first entry on.
        problems: text key, entry and facts. overflow: number of those that were not kept.
        events: entries that say something about keys and runs: number, type, and what is needed of them.
        away: entries of types that may wait for the log.
    """

    bundles: list[Bundle] = field(default_factory=list)
    times: "array[int]" = field(default_factory=lambda: array("q"))
    problems: list[tuple[str, int, dict[str, str | int]]] = field(default_factory=list)
    overflow: Counter[str] = field(default_factory=Counter)
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    results: dict[str, Results] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    away: "array[int]" = field(default_factory=lambda: array("Q"))

    def problem(self, text: str, entry: int, **facts: str | int) -> None:
        """Note what is wrong with an entry."""
        self.overflow[text] += 1
        if self.overflow[text] <= KEPT:
            self.problems.append((text, entry, facts))


def jobs(directory: Path, size: int, origin: str, wanted: list[int]) -> Iterator[Job]:
    """The work on a whole log, piece by piece. ``wanted`` is ascending."""
    bundles = -(-size // TILE_WIDTH)
    place = 0
    for first in range(0, bundles, PIECE):
        last = min(first + PIECE, bundles)
        start = place
        while place < len(wanted) and wanted[place] <= last * TILE_WIDTH:
            place += 1
        yield Job(directory, size, origin, first, last, tuple(wanted[start:place]))


def work(job: Job) -> Piece:
    """Do a piece of work. Runs in a process of its own for large logs."""
    piece = Piece()
    reader = TileReader(job.directory, job.size)
    within = {size // TILE_WIDTH for size in job.wanted if size % TILE_WIDTH}
    for number in range(job.first, job.last):
        width = tile_width(job.size, 0, number)
        raw, error = read_bundle(job.directory, number, width)
        leaves = b"".join([sha256(b"\0" + entry).digest() for entry in raw])
        found = Bundle(len(raw), error)
        full = width == TILE_WIDTH
        if full and len(raw) == width:
            found.root = fold(leaves)
        try:
            tile = reader.tile(0, number)
        except TlogError:
            tile = b""
        found.agrees = tile == leaves
        if full and len(tile) == TILE_WIDTH * HASH_SIZE:
            found.tile_root = found.root if found.agrees else fold(tile)
        if number in within or not full:
            found.leaves, found.tile_leaves = leaves, tile
        piece.bundles.append(found)
        _look_at_entries(piece, job.origin, number * TILE_WIDTH, raw)
        # Numbers must stay in step with places, whatever is missing.
        piece.times.extend([NO_TIME] * (width - len(raw)))
    return piece


def read_bundle(directory: Path, number: int, width: int) -> tuple[list[bytes], str]:
    """The entries of a bundle, as many as can be read, from whatever file of it is there.

    Args:
        width: how many entries are due.

    Returns:
        At most ``width`` entries; and why some are missing, empty when none are.
    """
    base = bundle_path(number)
    names = [base] if width == TILE_WIDTH else [f"{base}.p/{width}", base]
    try:
        for name in names:
            data = read_file(directory, name, MAX_BUNDLE)
            if data is not None:
                return _decode(data, width)
        partials = [
            int(name) for name in list_names(directory, f"{base}.p", 4 * TILE_WIDTH) if name.isdecimal()
        ]
        # A wider one is as good. Else take what is left, to be able to say where the log ends now.
        wider = [one for one in partials if one > width]
        best = min(wider) if wider else max(partials, default=0)
        data = read_file(directory, f"{base}.p/{best}", MAX_BUNDLE) if best else None
    except TlogError as error:
        return [], str(error)
    return _decode(data, width) if data is not None else ([], "it is not there")


def _decode(data: bytes, width: int) -> tuple[list[bytes], str]:
    entries: list[bytes] = []
    place = 0
    while place < len(data) and len(entries) < width:
        start = place + 2
        place = start + int.from_bytes(data[place:start], "big")
        if place > len(data) or start > len(data):
            return entries, "it ends within an entry"
        entries.append(data[start:place])
    return entries, "" if len(entries) == width else f"it has {len(entries)} entries where {width} are due"


def fold(hashes: bytes) -> bytes:
    """The root over a full tile's hashes."""
    row = [hashes[place : place + HASH_SIZE] for place in range(0, len(hashes), HASH_SIZE)]
    while len(row) > 1:
        row = [sha256(b"\1" + row[place] + row[place + 1]).digest() for place in range(0, len(row), 2)]
    return row[0]


def _look_at_entries(piece: Piece, origin: str, first: int, raws: list[bytes]) -> None:
    types, add_time = piece.types, piece.times.append
    for index, raw in enumerate(raws, first):
        try:
            entry, is_canonical = read_entry(index, raw)
        except (EntryError, RecursionError) as error:
            piece.problem("form/unreadable", index, error=str(error) or "it is nested too deeply")
            add_time(NO_TIME)
            continue
        event = entry.event
        if not is_canonical:
            piece.problem("form/canonical", index)
        if event["source"] != origin:
            piece.problem("source/other", index, source=event["source"])
        moment = milliseconds(event["time"])
        if moment == NO_TIME:
            piece.problem("form/time", index, time=event["time"])
        add_time(moment)
        kind = event["type"]
        # A hostile log could have a type of its own for each entry.
        kind = kind if kind in types or len(types) < 1000 else "…"
        types[kind] = types.get(kind, 0) + 1
        if index == 0 and kind != "log.opened":
            piece.problem("form/opening", index, type=kind)
        if may_wait(entry):
            piece.away.append(index)
        if kind == "task.result":
            _take_result(piece, entry)
        elif (reader := READERS.get(kind)) is not None:
            try:
                piece.events.append((index, kind, reader(entry)))
            except WrongError as wrong:
                piece.problem("form/data", index, type=kind, field=str(wrong))


def _take_result(piece: Piece, entry: Entry) -> None:
    data = entry.data
    try:
        run, number, commitment = text_in(data, "run"), number_in(data, "number"), hash_in(data, "commitment")
    except WrongError as wrong:
        piece.problem("form/data", entry.index, type=entry.type, field=str(wrong))
        return
    results = piece.results.get(run)
    if results is None:
        results = piece.results[run] = Results()
    results.numbers.append(number)
    results.entries.append(entry.index)
    results.commitments += commitment
