"""Which entries are meant: by time, person, host, service, outcome, type."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice

from provision.audit.entries import Entry, timestamp
from provision.audit.words.fields import Fields
from provision.errors import UsageError

_AGO = re.compile(r"^([0-9]{1,5})([mhdw])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Selection:
    """What entries must be like; an empty field asks for nothing.

    Args:
        since: first moment, as entries write theirs. until: the moment after the last one.
        persons: parts of the name, the system user or the key's fingerprint, whatever the case.
        hosts, services, outcomes: exact. types: exact, or what stands before the dot (``run``).
    """

    since: str = ""
    until: str = ""
    persons: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether it asks for nothing."""
        return self == Selection()

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is meant."""
        if self.since and entry.time < self.since:
            return False
        if self.until and entry.time >= self.until:
            return False
        if self.types and not {entry.type, entry.type.split(".")[0]}.intersection(self.types):
            return False
        data = Fields(entry.data)
        return (
            (not self.outcomes or data.text("outcome") in self.outcomes)
            and (not self.persons or _acted(data, self.persons))
            and (not self.hosts or not _hosts(data).isdisjoint(self.hosts))
            and (not self.services or not _services(data).isdisjoint(self.services))
        )


def _acted(data: Fields, persons: tuple[str, ...]) -> bool:
    names = "\n".join(data.text("actor", name) for name in ("name", "user", "key")).casefold()
    return any(person.casefold() in names for person in persons)


def _hosts(data: Fields) -> set[str]:
    return {
        data.text("target", "host"),
        data.text("failure", "host"),
        *(host.text("name") for host in data.items("hosts")),
    } - {""}


def _services(data: Fields) -> set[str]:
    return {
        data.text("target", "service"),
        data.text("failure", "service"),
        *(service.text("service") for service in data.items("services")),
        *(name for field in ("services", "changed", "versions") for name, _ in data.pairs(field)),
    } - {""}


def chosen(entries: Iterable[Entry], selection: Selection) -> Iterator[Entry]:
    """The entries that are meant, in the order in which they come."""
    return (entry for entry in entries if selection.fits(entry))


def newest(backwards: Iterable[Entry], selection: Selection, limit: int) -> list[Entry]:
    """The newest entries that are meant, oldest of them first.

    Args:
        backwards: entries from the newest to the oldest.
        limit: how many; 0 for all.
    """
    found = chosen(backwards, selection)
    return list(islice(found, limit) if limit else found)[::-1]


def moment_of(text: str, zone: tzinfo, *, end: bool = False, now: datetime | None = None) -> datetime:
    """A moment as people give it: ``2026-11-01``, ``2026-11-01T08:30``, with or without a zone, or ``7d`` ago.

    Args:
        zone: what a time without a zone is in.
        end: the end of a period is meant: of a day alone, the whole day is in it.

    Raises:
        UsageError: it is none of these.
    """
    try:
        if ago := _AGO.match(text.strip()):
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        when = datetime.fromisoformat(text.strip())
        if len(text.strip()) == 10 and end:
            when = datetime.combine(when.date() + timedelta(days=1), time.min)
        return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no time",
            "write a day (2026-11-01), a moment (2026-11-01T08:30) or how long ago (7d, 12h)",
        ) from None


def period(
    since: str | None, until: str | None, zone: tzinfo, now: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """The two ends of ``--from`` and ``--to``; None where there is none.

    Raises:
        UsageError: one of them is no time, or the end is not after the beginning.
    """
    first = moment_of(since, zone, now=now) if since else None
    last = moment_of(until, zone, end=True, now=now) if until else None
    if first and last and last <= first:
        raise UsageError(f"--to {until} is not after --from {since}", "give the earlier time to --from")
    return first, last


def as_written(when: datetime | None) -> str:
    """A moment as entries write theirs, for comparing; empty for None."""
    return timestamp(when) if when else ""
