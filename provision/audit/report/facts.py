"""What a report tells of a period, gathered from the log in one pass."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provision.audit.entries import Entry
from provision.audit.select import as_written
from provision.audit.stories import ReadableLog, Run, Stories, gap
from provision.audit.words import Fields, read_time, who
from provision.audit.words.terms import Language

#: Two neighbouring entries further apart than this are a gap: with a heartbeat a day there is none.
GAP = timedelta(hours=36)
#: Entries of one kind that a report lists; of more it says how many there are.
MOST = 500


@dataclass(slots=True)
class Person:
    """What one person did in the period."""

    name: str
    users: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)
    runs: int = 0
    good: int = 0
    bad: int = 0
    changes: int = 0
    logins: int = 0
    secrets: int = 0
    grants: int = 0
    others: int = 0
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without entries."""

    index: int
    since: str
    until: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Version:
    """A service's version at the beginning and at the end of the period; empty where it was not there yet."""

    service: str
    before: str
    after: str
    steps: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Facts:
    """A period of a log.

    Args:
        runs: those that were announced in it, in order. later: for each failed one the next good run of the school,
            which may be after the period.
        versions_before: for each run the versions that were there before it.
        access, secrets, keys, erasures, drift, recoveries, cuts, checks: entries of the period.
        endless: runs of the period without an end. unannounced: ends without an intent.
        left_out: how many entries of each list are beyond ``MOST``.
    """

    entries: int = 0
    first: str = ""
    last: str = ""
    log_first: str = ""
    log_last: str = ""
    types: Counter[str] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)
    later: dict[str, Run] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    access: list[Entry] = field(default_factory=list)
    keys: list[Entry] = field(default_factory=list)
    erasures: list[Entry] = field(default_factory=list)
    drift: list[Entry] = field(default_factory=list)
    recoveries: list[Entry] = field(default_factory=list)
    cuts: list[Entry] = field(default_factory=list)
    checks: list[Entry] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    strict: bool | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> list[Run]:
        """Runs of the period that ended, and not well."""
        return [run for run in self.runs if run.ended is not None and run.outcome != "ok"]

    @property
    def endless(self) -> list[Run]:
        """Runs of the period that were announced and have no end."""
        return [run for run in self.runs if run.ended is None]

    @property
    def unannounced(self) -> list[Run]:
        """Runs of the period that ended and that nobody had announced."""
        return [run for run in self.runs if run.intent is None and run.ended is not None]

    @property
    def unexplained(self) -> int:
        """How many things somebody should explain."""
        return (
            len(self.drift)
            + len(self.recoveries)
            + len(self.cuts)
            + len(self.gaps)
            + len(self.endless)
            + len(self.unannounced)
        )

    def changes(self) -> Counter[str]:
        """Changes of the period by service and part of the server."""
        total: Counter[str] = Counter()
        for run in self.runs:
            total.update(run.changes())
        return total


_LISTS: Mapping[str, str] = {
    "access.opened": "access", "access.closed": "access", "secret.rotated": "access", "log.opened": "keys",
    "key.added": "keys", "key.retired": "keys", "policy.set": "keys", "erasure.performed": "erasures",
    "drift.found": "drift", "log.recovered": "recoveries", "health.checked": "checks",
    "lessons.cut": "cuts",
}  # fmt: skip


def gather(
    log: ReadableLog,
    since: datetime | None,
    until: datetime | None,
    lang: Language,
    *,
    now: datetime,
    quiet: timedelta = GAP,
) -> Facts:
    """Read the whole log, and keep what a report on a period tells.

    Args:
        since, until: the period; None: from the log's beginning, to ``now``.
        lang: for what is said of a person without a name.
        quiet: the longest time without an entry that is no gap.
    """
    first, last = as_written(since), as_written(until)
    facts, stories = Facts(), Stories()
    present, former = dict[str, str](), dict[str, str]()
    steps: dict[str, list[tuple[str, str, str]]] = {}
    previous = ""
    for entry in log.entries():
        inside = not ((first and entry.time < first) or (last and entry.time >= last))
        if inside or entry.type != "task.result":
            stories.add(entry)
        facts.log_first = facts.log_first or entry.time
        facts.log_last = entry.time
        if previous and gap(previous, entry.time) > quiet.total_seconds() and inside:
            facts.gaps.append(Gap(entry.index, previous, entry.time, gap(previous, entry.time)))
        previous = entry.time
        if entry.type == "policy.set":
            facts.strict = Fields(entry.data).true("strict")
        if entry.type == "run.ended":
            for name, version in Fields(entry.data).pairs("versions"):
                text = version.text()
                if not inside and not (last and entry.time >= last):
                    former[name] = text
                elif inside and text != present.get(name, former.get(name, "")):
                    steps.setdefault(name, []).append((entry.time, text, Fields(entry.data).text("run")))
                if not (last and entry.time >= last):
                    present[name] = text
        if inside:
            _take(facts, entry, lang)
    end = min(until, now) if until else now
    silence = (end - when).total_seconds() if (when := read_time(previous)) else 0.0
    if silence > quiet.total_seconds():
        facts.gaps.append(Gap(log.size, previous, as_written(end), silence))
    facts.versions = [
        Version(name, former.get(name, ""), present[name], tuple(steps.get(name, ())))
        for name in sorted(present)
    ]
    _runs(facts, stories, first, last, lang)
    return facts


def _take(facts: Facts, entry: Entry, lang: Language) -> None:
    facts.entries += 1
    facts.first = facts.first or entry.time
    facts.last = entry.time
    facts.types[entry.type] += 1
    if name := _LISTS.get(entry.type):
        kept: list[Entry] = getattr(facts, name)
        if len(kept) < MOST:
            kept.append(entry)
        else:
            facts.left_out[name] += 1
    data = Fields(entry.data)
    if data.text("actor", "kind") not in {"person", "school"}:
        return
    name = who(entry.data, lang)
    if name not in facts.people and len(facts.people) >= MOST:
        facts.left_out["people"] += 1
        return
    person = facts.people.setdefault(name, Person(name))
    user, machine = data.text("actor", "user"), data.text("actor", "machine")
    if user and len(person.users) < 10:
        person.users[f"{user}@{machine}" if machine else user] = None
    if (key := data.text("actor", "key")) and len(person.keys) < 10:
        person.keys[key] = None
    person.first = person.first or entry.time
    person.last = entry.time
    kind = data.text("kind")
    if entry.type == "access.opened":
        person.logins += kind == "ssh"
        person.secrets += kind == "secret"
        person.grants += kind == "grant"
    elif entry.type not in {
        "run.intent",
        "run.started",
        "run.ended",
        "task.result",
        "lessons.cut",
        "access.closed",
    }:
        person.others += 1


def _runs(facts: Facts, stories: Stories, first: str, last: str, lang: Language) -> None:
    ordered = sorted(stories.runs.values(), key=lambda run: run.index)
    good: Run | None = None
    for run in reversed(ordered):
        if run.outcome == "ok":
            good = run
        inside = not ((first and run.time < first) or (last and run.time >= last))
        if not inside:
            continue
        facts.runs.append(run)
        if run.outcome != "ok" and good is not None:
            facts.later[run.id] = good
        person = facts.people.get(run.person(lang))
        if person:
            person.runs += 1
            person.good += run.outcome == "ok"
            person.bad += run.outcome not in {"ok", ""}
            person.changes += sum(run.changes().values())
    facts.runs.reverse()
