"""Times of entries: against each other, against those who signed later, and against now."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from provision.audit.verify.findings import Findings, Severity
from provision.audit.verify.reading import NO_TIME, TOLERANCE, has
from provision.audit.verify.words import moment

#: A gap that is mentioned where nobody said how long one may be (seconds).
LONG_GAP = 30 * 86_400

_TOLERANCE = TOLERANCE * 1000
_SEVERITY = {"time-order/late": Severity.NOTE, "time-order/left-over": Severity.WARNING}


@dataclass(frozen=True, slots=True)
class Limit:
    """No entry below ``size`` can be later than ``time`` (Unix seconds), since somebody signed them then.

    Args:
        who: the cosigner, or the time-stamp authority. source: the checkpoint, for people. text: key of the words.
    """

    size: int
    time: int
    who: str
    source: str
    text: str


class _Stretch(NamedTuple):
    first: int
    last: int
    facts: dict[str, str | int]
    text: str


def shown(milliseconds: int) -> str:
    """The time of an entry, for people; a dash where there is none."""
    return moment(milliseconds // 1000) if milliseconds != NO_TIME else "—"


def check_order(
    times: "array[int]",
    away: "array[int]",
    unbound: "array[int]",
    now: int,
    max_age: int | None,
    findings: Findings,
) -> tuple[int, int]:
    """Look for entries that go back, for gaps, and for entries of the future.

    Args:
        times: of each entry, milliseconds. away: entries that may have waited for the log, ascending.
        unbound: entries of which the log only says that they did, ascending.
        now: Unix seconds. max_age: seconds, None for no limit.

    Returns:
        The longest gap in seconds, and the entry behind it.
    """
    latest = NO_TIME
    gap_limit = (max_age if max_age is not None else LONG_GAP) * 1000
    severity = Severity.BAD if max_age is not None else Severity.NOTE
    future = now * 1000 + _TOLERANCE
    longest = (0, 0)
    back: _Stretch | None = None
    for index, time in enumerate(times):
        if time == NO_TIME:
            continue
        if time < latest - _TOLERANCE:
            text = "time-order/back"
            if has(away, index):
                text = "time-order/late"
            elif has(unbound, index):
                text = "time-order/left-over"
            if back is not None and back.last == index - 1 and back.text == text:
                back = back._replace(last=index)
            else:
                _say(back, findings)
                back = _Stretch(index, index, {"time": shown(time), "before": shown(latest)}, text)
        gap = time - latest
        if latest != NO_TIME and gap > longest[0]:
            longest = (gap, index)
        if latest != NO_TIME and gap > gap_limit:
            findings.add("gap/long", index, span=gap // 1000, severity=severity)
        if time > future:
            findings.add("time-forged/future", index, time=shown(time))
        latest = max(latest, time)
    _say(back, findings)
    if max_age is not None and len(times) and now * 1000 - latest > gap_limit:
        findings.add("stale/log", len(times) - 1, time=shown(latest), span=max_age)
    return longest[0] // 1000, longest[1]


def check_limits(times: "array[int]", limits: Sequence[Limit], findings: Findings) -> None:
    """Look for entries that are dated later than somebody signed them."""
    order = sorted(limits, key=lambda one: one.size, reverse=True)
    lowest: Limit | None = None
    place = 0
    stretch: _Stretch | None = None
    found: list[_Stretch] = []
    for index in range(len(times) - 1, -1, -1):
        while place < len(order) and order[place].size > index:
            if lowest is None or order[place].time < lowest.time:
                lowest = order[place]
            place += 1
        if lowest is None or times[index] <= lowest.time * 1000 + _TOLERANCE:
            continue
        facts: dict[str, str | int] = {
            "time": shown(times[index]),
            "cosigner": lowest.who,
            "limit": moment(lowest.time),
            "source": lowest.source,
        }
        if stretch is not None and stretch.first == index + 1 and stretch.text == lowest.text:
            stretch = _Stretch(index, stretch.last, facts, lowest.text)
        else:
            if stretch is not None:
                found.append(stretch)
            stretch = _Stretch(index, index, facts, lowest.text)
    if stretch is not None:
        found.append(stretch)
    for one in reversed(found):
        _say(one, findings)


def _say(stretch: _Stretch | None, findings: Findings) -> None:
    if stretch is not None:
        severity = _SEVERITY.get(stretch.text, Severity.BAD)
        findings.add(stretch.text, stretch.first, last=stretch.last, given=stretch.facts, severity=severity)
