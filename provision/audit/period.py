"""A time from … to, as people give it to a command."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from provision.audit.entries import timestamp
from provision.errors import UsageError

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_REMEDY = "Give a day (2026-11-23) or a time with its zone (2026-11-23T10:15:00Z). Days are counted in UTC."


@dataclass(frozen=True, slots=True)
class Period:
    """A time, both ends of which may be open.

    Args:
        since: first moment, in the form of the entries (RFC 3339, UTC, three decimals); empty for the beginning.
        until: first moment that is not part of it; empty for the end.
    """

    since: str = ""
    until: str = ""

    def __contains__(self, time: str) -> bool:
        """Whether an entry's time is in it. Texts of the entries' form sort by time."""
        return (not self.since or self.since <= time) and (not self.until or time < self.until)


EVER: Final = Period()


def parse_period(since: str | None, until: str | None) -> Period:
    """Read ``--from`` and ``--to``. A day is meant as a whole, so that ``--to`` a day has that day in it.

    Raises:
        UsageError: one of them is no time, or they are the wrong way round.
    """
    period = Period(
        _moment(since, "--from") if since else "", _moment(until, "--to", end=True) if until else ""
    )
    if period.since and period.until and period.since >= period.until:
        raise UsageError("--from is later than --to", "Swap them.")
    return period


def _moment(text: str, option: str, *, end: bool = False) -> str:
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return timestamp(datetime(day.year, day.month, day.day, tzinfo=UTC))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise UsageError(f"{option} {text} does not say in which time zone", _REMEDY)
        # An end that is given to the second has that moment in it.
        return timestamp(moment + timedelta(milliseconds=1 if end else 0))
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text!r} is no time", _REMEDY) from None
