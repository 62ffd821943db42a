"""A run as a whole, put together from its entries: intent, approval, start, steps, access, end.

Only what the log holds goes in; the detail beside it is believed where it fits a commitment of the log.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from provision.audit.detail import DetailError, DetailStore
from provision.audit.entries import Entry
from provision.audit.words import Fields, Step, read_step, read_time, who
from provision.audit.words.terms import Language


class ReadableLog(Protocol):
    """What is needed of a log to tell of it."""

    @property
    def origin(self) -> str:
        """Its name."""

    @property
    def size(self) -> int:
        """Number of entries."""

    @property
    def root(self) -> bytes:
        """Merkle root over them."""

    @property
    def detail(self) -> DetailStore:
        """The runs' full detail."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """Entries in order."""


@dataclass(slots=True)
class Run:
    """One run.

    Args:
        others: entries that name the run beside those of its course (access, health).
        steps: of each step in the log: its number and commitment, service, host and outcome.
        erased: numbers of steps whose detail was erased, by whom and when.
    """

    id: str
    intent: Entry | None = None
    approved: Entry | None = None
    started: Entry | None = None
    ended: Entry | None = None
    others: list[Entry] = field(default_factory=list)
    steps: dict[int, "LoggedStep"] = field(default_factory=dict)
    erased: dict[int, Entry] = field(default_factory=dict)

    @property
    def first(self) -> Entry | None:
        """The first entry that tells of it."""
        return self.intent or self.started or self.ended or next(iter(self.others), None)

    @property
    def outcome(self) -> str:
        """How it ended; empty where it did not."""
        return Fields(self.ended.data).text("outcome") if self.ended else ""

    @property
    def index(self) -> int:
        """Its first entry's place in the log."""
        return self.first.index if self.first else -1

    @property
    def time(self) -> str:
        """When it was announced."""
        return self.first.time if self.first else ""

    @property
    def seconds(self) -> float | None:
        """How long it took; None where it has no end."""
        if self.ended is None:
            return None
        return Fields(self.ended.data).whole("milliseconds") / 1000

    def person(self, lang: Language) -> str:
        """Who ran it."""
        return who(self.first.data if self.first else {}, lang)

    def fields(self) -> Fields:
        """What was announced."""
        return Fields(self.intent.data if self.intent else None)

    def end(self) -> Fields:
        """What was said at the end."""
        return Fields(self.ended.data if self.ended else None)

    def changes(self) -> Counter[str]:
        """Number of changes by service or part, from the end's counts, else from the steps one by one."""
        told = Counter(
            {name: count.whole() for name, count in self.end().pairs("changed") if count.whole() > 0}
        )
        return told or Counter(step.part for step in self.steps.values() if step.outcome == "changed")


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """What the log itself says of a step."""

    index: int
    commitment: str
    part: str
    host: str
    outcome: str


_COURSE = {"run.intent": "intent", "run.approved": "approved", "run.started": "started", "run.ended": "ended"}


class Stories:
    """Collects runs from entries, in one pass. The first intent and the first end of a run count."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}

    def add(self, entry: Entry) -> None:
        """Take in one entry; those of no run are passed over."""
        data = Fields(entry.data)
        if entry.type == "erasure.performed":
            for part in data.items("erased"):
                run = self.runs.get(part.text("run"))
                for number in part.items("numbers") if run else []:
                    if run and isinstance(number.value, int):
                        run.erased[number.value] = entry
            return
        name = data.text("run")
        if not name:
            return
        run = self.runs.setdefault(name, Run(name))
        if entry.type == "task.result":
            run.steps.setdefault(
                data.whole("number"),
                LoggedStep(
                    entry.index,
                    data.text("commitment"),
                    data.text("target", "service"),
                    data.text("target", "host"),
                    data.text("outcome"),
                ),
            )
        elif (place := _COURSE.get(entry.type)) and getattr(run, place) is None:
            setattr(run, place, entry)
        else:
            run.others.append(entry)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Stories":
        """The runs of some entries."""
        stories = cls()
        for entry in entries:
            stories.add(entry)
        return stories


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of a run's steps beside the log.

    Args:
        steps: those that the log binds by a commitment and that fit it, by number.
        erased: how many of those were erased.
        wrong: how many of those say something else than what was committed to, or are not there.
        problem: why the detail cannot be read; empty when it can.
    """

    steps: dict[int, Step]
    erased: int = 0
    wrong: int = 0
    problem: str = ""


def bound_detail(log: ReadableLog, run: Run) -> Detail:
    """The detail of the steps that the log names one by one: what changed, and what failed."""
    steps: dict[int, Step] = {}
    erased, seen = 0, set()
    problem = ""
    try:
        for line in log.detail.read(run.id):
            logged = run.steps.get(line.number)
            if logged is None or line.commitment.hex() != logged.commitment:
                continue
            if line.erased is not None:
                erased += 1
                seen.add(line.number)
            elif line.payload is not None and line.fits:
                steps[line.number] = read_step(line.payload)
                seen.add(line.number)
    except (DetailError, OSError) as error:
        problem = str(error)
    return Detail(steps, erased, len(run.steps) - len(seen), problem)


def gap(before: str, after: str) -> float:
    """Seconds between two entries' times; 0 when one of them is no time."""
    first, second = read_time(before), read_time(after)
    return (second - first).total_seconds() if first and second else 0.0
