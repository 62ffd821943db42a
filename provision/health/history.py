"""What was found before: one small file a school, ``.state/health/<school>.jsonl``.

Each line is one asking, with what changed in it since the one before; a ``base`` line stands for what was thinned out.
Lines are only added, under a lock, in one write each; a line that a power cut tore is left out when it is read. When
the file has grown beyond ``MAX_BYTES`` it is written anew, atomically: of older askings the worst of each hour stays.
The file belongs to this machine. It is read with care all the same: who damages it gets no further than its contents.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provision.errors import ProvisionError, UsageError
from provision.files import locked, make_directories, write_atomically
from provision.health.ask import Answers, key_of
from provision.health.result import STATES, Finding, State
from provision.text import printable_line

#: Size of a file above which it is thinned out.
MAX_BYTES = 128 * 1024
#: Most askings that are kept then, and how many of the newest are kept whatever their hour.
MOST_CHECKS, NEWEST = 500, 150
#: Askings that are older are dropped.
KEEP = timedelta(days=400)
#: Most questions of a school whose state is kept.
MOST_KEYS = 500
#: Longest part of a key, in characters; and how much of a file is looked at.
_LIMIT, _READ = 120, 4 * MAX_BYTES

Key = tuple[str, str, str]
_SCHOOL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Change:
    """A question whose state became another.

    Args:
        before: None: it was not asked before.
        after: None: it is no longer asked.
    """

    key: Key
    before: State | None
    after: State | None


@dataclass(frozen=True, slots=True)
class Check:
    """One asking.

    Args:
        whole: whether everything of the school was asked.
        counts: how many questions were in which state.
    """

    time: datetime
    state: State
    seconds: float
    whole: bool
    counts: Mapping[State, int]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of a school's past.

    Args:
        checks: from old to new.
        since: for each question its present state, and since when.
    """

    checks: tuple[Check, ...] = ()
    since: Mapping[Key, tuple[State, datetime]] = field(default_factory=dict)


def history_file(state_dir: Path, school: str) -> Path:
    """Where a school's history is.

    Raises:
        UsageError: that is no school's id.
    """
    if not _SCHOOL.match(school):
        raise UsageError(f"{printable_line(school, 80)} is no school's id.")
    return state_dir / "health" / f"{school}.jsonl"


def read_history(state_dir: Path, school: str) -> History:
    """A school's history; an empty one when nobody asked before, or the file cannot be read as one.

    Raises:
        OSError: the file is there and cannot be opened.
    """
    try:
        with history_file(state_dir, school).open("rb") as file:
            data = file.read(_READ)
    except FileNotFoundError:
        return History()
    return _replayed(data)


def remember(state_dir: Path, answers: Answers) -> dict[Key, datetime]:
    """Write down what was found, and tell since when each state is what it is.

    Raises:
        OSError: the history cannot be written.
        ProvisionError: another process has been writing it for a minute, or its lock cannot be taken.
    """
    file = history_file(state_dir, answers.school)
    make_directories(file.parent, mode=0o700)
    with locked(file.with_suffix(".lock"), file, ProvisionError):
        data = b""
        if file.exists():
            with file.open("rb") as old:
                data = old.read(_READ)
        history = _replayed(data, states_only=True)
        line = _line(answers, history)
        if len(data) + len(line) > MAX_BYTES:
            kept = _thinned(data + b"\n" + line, answers.asked)
            write_atomically(file, kept, mode=0o600)
        else:
            _append(file, (b"" if not data or data.endswith(b"\n") else b"\n") + line)
    return since_of(answers, history)


def since_of(answers: Answers, history: History) -> dict[Key, datetime]:
    """Since when each finding's state is what it is, from a history that ends before it."""
    found = {}
    for finding in answers.findings:
        known = history.since.get(key_of(finding))
        same = known is not None and known[0] == finding.state
        found[key_of(finding)] = known[1] if known is not None and same else answers.asked
    return found


def _line(answers: Answers, history: History) -> bytes:
    now = {key_of(finding): finding.state for finding in answers.findings[:MOST_KEYS]}
    changed = [
        [*key, state]
        for key, state in now.items()
        if key not in history.since or history.since[key][0] != state
    ]
    # Whatever is no longer asked is forgotten, so that the file does not grow with each renamed question.
    gone = (
        [list(key) for key in history.since if key not in now] if answers.whole and _reached(answers) else []
    )
    counts: dict[str, int] = {}
    for finding in answers.findings:
        counts[finding.state] = counts.get(finding.state, 0) + 1
    return _json(
        {
            "time": _stamp(answers.asked),
            "state": answers.state,
            "seconds": answers.seconds,
            **({} if answers.whole else {"part": True}),
            "counts": counts,
            **({"changed": changed} if changed else {}),
            **({"gone": gone} if gone else {}),
        }
    )


def _reached(answers: Answers) -> bool:
    """Whether the school was asked: a host that was not reached tells of fewer things than it has."""
    return not any(finding.state in {"unreachable", "unknown"} for finding in answers.findings)


def _replayed(data: bytes, *, states_only: bool = False) -> History:
    """The history that a file's lines tell.

    Args:
        states_only: without the askings. Most change nothing, and what tells of a change is seen from afar: a hundred
            schools must not cost seconds.
    """
    checks: list[Check] = []
    since: dict[Key, tuple[State, datetime]] = {}
    for raw in data.split(b"\n"):
        if states_only and not (b'"changed"' in raw or b'"gone"' in raw or b'"base"' in raw):
            continue
        entry = _entry(raw)
        when = _moment(entry.get("time"))
        if when is None:
            continue
        if entry.get("kind") == "base":
            for row in _rows(entry.get("since"), 5):
                moment = _moment(row[4])
                if row[3] in STATES and moment is not None and len(since) < MOST_KEYS:
                    since[row[0], row[1], row[2]] = (row[3], moment)
            continue
        state = entry.get("state")
        if state not in STATES:
            continue
        changes: list[Change] = []
        for row in _rows(entry.get("changed"), 4):
            key = (row[0], row[1], row[2])
            after = next((known for known in STATES if known == row[3]), None)
            if after is None or (key not in since and len(since) >= MOST_KEYS):
                continue
            before = since[key][0] if key in since else None
            since[key] = (after, when)
            changes.append(Change(key, before, after))
        for row in _rows(entry.get("gone"), 3):
            key = (row[0], row[1], row[2])
            if key in since:
                changes.append(Change(key, since.pop(key)[0], None))
        counts, seconds = entry.get("counts"), entry.get("seconds")
        checks.append(
            Check(
                when,
                state,
                min(max(float(seconds), 0.0), 86_400.0) if isinstance(seconds, int | float) else 0.0,
                entry.get("part") is not True,
                {
                    known: min(counts[known], 1_000_000)
                    for known in STATES
                    if isinstance(counts, dict) and isinstance(counts.get(known), int)
                },
                tuple(changes),
            )
        )
    return History(tuple(checks), since)


def _thinned(data: bytes, now: datetime) -> bytes:
    """The file anew: the worst asking of each older hour, a base, and all of the newest with what changed."""
    lines = [line for line in data.split(b"\n") if line]
    start, size = len(lines), 0
    while start and len(lines) - start < NEWEST and size + len(lines[start - 1]) < MAX_BYTES // 2:
        start -= 1
        size += len(lines[start]) + 1
    before = _replayed(b"\n".join(lines[:start]))
    older: dict[tuple[str, bool], Check] = {}
    for check in before.checks:
        if now - check.time <= KEEP:
            hour = (check.time.strftime("%Y-%m-%dT%H"), check.whole)
            if hour not in older or STATES.index(check.state) > STATES.index(older[hour].state):
                older[hour] = check
    base = _json(
        {
            "kind": "base",
            "time": _stamp(now),
            "since": [[*key, state, _stamp(when)] for key, (state, when) in before.since.items()],
        }
    )
    # A thinned line has no changes: those between are not there any more, and their outcome stands in the base.
    kept = [
        _json(
            {
                "time": _stamp(check.time),
                "state": check.state,
                "seconds": check.seconds,
                **({} if check.whole else {"part": True}),
                "counts": dict(check.counts),
            }
        )
        for check in list(older.values())[-MOST_CHECKS:]
    ]
    return b"".join([*kept, base, *(line + b"\n" for line in lines[start:])])


def _entry(raw: bytes) -> dict[str, Any]:
    """A line as data; an empty one when it is damaged."""
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _rows(value: object, length: int) -> Iterator[list[str]]:
    """Rows of so many texts, made printable; all else is left out."""
    for row in value[:MOST_KEYS] if isinstance(value, list) else []:
        if isinstance(row, list) and len(row) == length and all(isinstance(cell, str) for cell in row):
            yield [printable_line(cell, _LIMIT) for cell in row]


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _append(file: Path, line: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Line:
    """A school's line.

    Args:
        days: how much time it shows, up to now.
        states: the worst state of each piece; None where nobody asked.
    """

    days: int
    states: tuple[State | None, ...]


def line_of(checks: Sequence[Check], now: datetime, buckets: int = 48) -> Line:
    """A school's line: the worst state of each piece of the time up to now.

    The time that is shown is a day, a week, or four weeks: as little as holds all checks, four weeks at the most.

    Args:
        checks: from old to new; those of parts of a school are left out.
        buckets: pieces of the line.
    """
    whole = [check for check in checks if check.whole and check.time <= now]
    age = now - whole[0].time if whole else timedelta()
    days = next((days for days in (1, 7) if age <= timedelta(days=days)), 28)
    width = timedelta(days=days) / buckets
    states: list[State | None] = [None] * buckets
    for check in whole:
        place = buckets - 1 - int((now - check.time) / width)
        if 0 <= place < buckets:
            known = states[place]
            if known is None or STATES.index(check.state) > STATES.index(known):
                states[place] = check.state
    return Line(days, tuple(states))


__all__ = [
    "Change",
    "Check",
    "Finding",
    "History",
    "Line",
    "history_file",
    "line_of",
    "read_history",
    "remember",
    "since_of",
]
