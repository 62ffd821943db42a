"""Entries that are dated before a cosignature which does not have them yet.

A cosignature says how much of a log its witness had seen at a time. What came later and claims to be older was dated
back; or it had waited; or a run was under way, whose steps reach the server with its end; or the witness had been given
an older copy. So this is a question and never a proof. A time stamp does not even ask it: the city may have an older
checkpoint stamped.
"""

from array import array
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from provision.audit.verify.findings import Findings, Severity
from provision.audit.verify.reading import NO_TIME, TOLERANCE, has
from provision.audit.verify.runs import RunBook
from provision.audit.verify.times import Limit, shown
from provision.audit.verify.words import moment

#: Seconds between a witness's look at the log and its cosignature: a person reads in between, and clocks differ.
READING = 3600

_SEVERITY = {"older-date/unseen": Severity.WARNING, "older-date/waited": Severity.NOTE}


class _Stretch(NamedTuple):
    text: str
    first: int
    last: int
    limit: Limit


def check_unseen(
    times: "array[int]",
    away: "array[int]",
    cosigned: Sequence[Limit],
    stamped: Sequence[Limit],
    book: RunBook,
    findings: Findings,
) -> None:
    """Look for entries that a cosignature of a later time does not have.

    Args:
        times: of each entry, milliseconds. away: entries that may have waited for the log, ascending.
        cosigned: what witnesses had seen. stamped: what was there by the word of an authority.
        book: knows which runs were under way.
    """
    if not cosigned:
        return
    lasting = _Lasting(book, times)
    found: _Stretch | None = None
    latest = NO_TIME
    for first, last, limit in _lower(len(times), cosigned, stamped):
        earliest = (limit.time - READING) * 1000 if limit is not None else NO_TIME
        for index in range(first, last):
            time = times[index]
            if limit is None or not NO_TIME < time < earliest:
                latest = max(latest, time)
                continue
            text = _text(index, time, latest, has(away, index), limit, lasting)
            latest = max(latest, time)
            if text is None:
                continue
            if found is not None and (found.text, found.last, found.limit) == (text, index - 1, limit):
                found = found._replace(last=index)
                continue
            _say(found, times, findings)
            found = _Stretch(text, index, index, limit)
    _say(found, times, findings)


def _text(
    index: int, time: int, latest: int, may_wait: bool, limit: Limit, lasting: "_Lasting"
) -> str | None:
    if may_wait:
        # Behind a later one it has been told already that it waited.
        return None if time < latest - TOLERANCE * 1000 else "older-date/waited"
    run = lasting.of(index)
    if run is None or run.started >= limit.size:
        return "older-date/unseen"
    return None if run.until >= (limit.time - READING) * 1000 else "older-date/waited"


def _say(stretch: _Stretch | None, times: "array[int]", findings: Findings) -> None:
    if stretch is None:
        return
    limit = stretch.limit
    findings.add(
        stretch.text,
        stretch.first,
        last=stretch.last,
        severity=_SEVERITY[stretch.text],
        time=shown(times[stretch.first]),
        size=limit.size,
        cosigner=limit.who,
        limit=moment(limit.time),
    )


def _lower(
    size: int, cosigned: Sequence[Limit], stamped: Sequence[Limit]
) -> Iterator[tuple[int, int, Limit | None]]:
    """Stretches of entries, each with the latest cosignature that does not have them.

    One that is later than another signature which has them tells only that its witness was given an old copy.
    """
    known = sorted([*cosigned, *stamped], key=lambda one: one.size)
    # The earliest time of a signature over more entries than so many.
    earliest: list[tuple[int, float]] = []
    first_time = float("inf")
    for one in reversed(known):
        if one.time < first_time:
            first_time = one.time
            earliest.append((one.size, first_time))
    earliest.reverse()
    edges = sorted({0, size, *(one.size for one in known if one.size < size)})
    waiting: list[tuple[int, int, Limit]] = []
    coming = sorted(cosigned, key=lambda one: one.size)
    place = known_place = 0
    best: Limit | None = None
    for first, last in pairwise(edges):
        while place < len(coming) and coming[place].size <= first:
            heappush(waiting, (coming[place].time, place, coming[place]))
            place += 1
        while known_place < len(earliest) and earliest[known_place][0] <= first:
            known_place += 1
        there = earliest[known_place][1] if known_place < len(earliest) else float("inf")
        while waiting and waiting[0][0] < there:
            _, _, one = heappop(waiting)
            best = one if best is None or one.time >= best.time else best
        yield first, last, best


class _Run(NamedTuple):
    started: int
    ended: int
    until: float


class _Lasting:
    """Which run was under way at an entry: one at a time works on a school."""

    def __init__(self, book: RunBook, times: "array[int]") -> None:
        self._runs = sorted(
            _Run(
                run.started,
                len(times) if run.ended is None else run.ended,
                float("inf") if run.ended is None else times[run.ended],
            )
            for run in book.runs.values()
            if run.started is not None
        )
        self._place = 0

    def of(self, index: int) -> _Run | None:
        """The run; asked for ascending entries only."""
        while self._place < len(self._runs) and self._runs[self._place].ended < index:
            self._place += 1
        if self._place < len(self._runs) and self._runs[self._place].started < index:
            return self._runs[self._place]
        return None
