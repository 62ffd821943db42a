"""Reading one entry: its envelope, its canonical form, its time, and what it says about keys and runs."""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from provision.audit.canonical import canonical
from provision.audit.entries import Entry, parse
from provision.audit.tlog import HASH_SIZE

#: Types that happen away from the log and may wait for it: their entries can come later than others of a later time.
AWAY = frozenset({"secret.rotated", "access.opened", "access.closed"})
#: Clocks of city, school and authority may differ by this much (seconds).
TOLERANCE = 300
#: Outcomes that a later run states of one that never said how it ended.
_UNFINISHED = ("broken off", "withdrawn")
#: Time of an entry that has none which can be read.
NO_TIME = -1

_TEXTS = ("specversion", "id", "source", "type", "time")
_TEXT = {str}
_PLAIN = frozenset({str, bool, type(None)})
#: Larger integers are written otherwise in RFC 8785.
_LARGEST = 2**53 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Keys with such characters sort differently in UTF-16, which RFC 8785 asks for, than in Python. Each begins with one of
# these bytes; taking them out shows them several times faster than a search does.
_ASTRAL = b"\xf0\xf1\xf2\xf3\xf4"


def read_entry(index: int, raw: bytes) -> tuple[Entry, bool]:
    """An entry, and whether it is in canonical form. Fast for those that are as they should be.

    Raises:
        EntryError: it is none.
    """
    try:
        event = from_json(raw, allow_inf_nan=False, cache_strings="keys")
        good = type(event["data"]) is dict and {type(event[name]) for name in _TEXTS} == _TEXT
    except (ValueError, TypeError, LookupError):
        good = False
    if (
        good
        and len(raw.translate(None, _ASTRAL)) == len(raw)
        and _is_ordered(event)
        and to_json(event) == raw
    ):
        return Entry(index, raw, event), True
    # What only Python reads, or nobody: this says what is wrong with it.
    entry = parse(index, raw)
    return entry, _exactly_canonical(entry)


def _is_ordered(event: dict[str, Any]) -> bool:
    """Whether the keys of all objects are sorted, and all numbers integers that have one spelling only."""
    pending: list[Any] = [event]
    for value in pending:
        if type(value) is dict:
            names = list(value)
            if names != sorted(names):
                return False
            pending += [item for item in value.values() if type(item) not in _PLAIN]
        elif type(value) is list:
            pending += [item for item in value if type(item) not in _PLAIN]
        elif not (type(value) is int and -_LARGEST <= value <= _LARGEST):
            return False
    return True


def _exactly_canonical(entry: Entry) -> bool:
    try:
        return canonical(entry.event) == entry.raw
    except (ValueError, RecursionError):
        return False


def milliseconds(time: str) -> int:
    """The time of an entry in milliseconds since 1970, or ``NO_TIME`` where it is not in the one form allowed."""
    if len(time) != 24 or time[10] != "T" or time[19] != "." or time[23] != "Z" or not time.isascii():
        return NO_TIME
    try:
        since = datetime.fromisoformat(time) - _EPOCH
    except ValueError:
        return NO_TIME
    return max(since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000, NO_TIME)


def has(places: "array[int]", index: int) -> bool:
    """Whether an ascending row has a number."""
    place = bisect_left(places, index)
    return place < len(places) and places[place] == index


class WrongError(Exception):
    """A field is missing, or of the wrong kind; its name."""


def text_in(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str):
        raise WrongError(name)
    return value


def number_in(data: dict[str, Any], name: str) -> int:
    value = data.get(name)
    if type(value) is not int or not 0 <= value < 2**53:
        raise WrongError(name)
    return value


def _list(data: dict[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if not isinstance(value, list):
        raise WrongError(name)
    return value


def hash_in(data: dict[str, Any], name: str) -> bytes:
    try:
        value = bytes.fromhex(text_in(data, name))
    except ValueError:
        raise WrongError(name) from None
    if len(value) != HASH_SIZE:
        raise WrongError(name)
    return value


def _keys(entry: Entry) -> dict[str, Any]:
    keys = _list(entry.data, "keys")
    if not all(isinstance(key, str) for key in keys):
        raise WrongError("keys")
    return {"keys": keys}


def _key(entry: Entry) -> dict[str, Any]:
    return {"key": text_in(entry.data, "key"), "purpose": text_in(entry.data, "purpose")}


def _policy(entry: Entry) -> dict[str, Any]:
    return {"policy": text_in(entry.data, "policy"), "strict": entry.data.get("strict") is True}


def _intent(entry: Entry) -> dict[str, Any]:
    return {"run": text_in(entry.data, "run"), "strict": entry.data.get("strict") is True}


def _approved(entry: Entry) -> dict[str, Any]:
    cosigners = []
    for one in _list(entry.data, "cosigners"):
        if not isinstance(one, dict):
            raise WrongError("cosigners")
        cosigners.append((text_in(one, "name"), number_in(one, "size"), number_in(one, "time")))
    return {"run": text_in(entry.data, "run"), "cosigners": cosigners}


def _run(entry: Entry) -> dict[str, Any]:
    return {"run": text_in(entry.data, "run")}


def _ended(entry: Entry) -> dict[str, Any]:
    data = entry.data
    return {
        "run": text_in(data, "run"),
        "size": number_in(data, "detail_size"),
        "root": hash_in(data, "detail_root"),
        "broken": data.get("outcome") in _UNFINISHED,
    }


def may_wait(entry: Entry) -> bool:
    """Whether an entry may have waited for the log.

    Lessons of this school that a run of another one cut are told in its log with its own next run.
    """
    return entry.type in AWAY or (entry.type == "lessons.cut" and bool(entry.data.get("by")))


def _recovered(entry: Entry) -> dict[str, Any]:
    files = [one.get("file") for one in _list(entry.data, "leftovers") if isinstance(one, dict)]
    facts: dict[str, Any] = {"checkpoint": "checkpoint" in files}
    follows = entry.data.get("follows")
    if follows is None:
        return facts
    if not isinstance(follows, dict):
        raise WrongError("follows")
    return facts | {
        "shared": number_in(follows, "shared"),
        "size": number_in(follows, "size"),
        "root": hash_in(follows, "root"),
    }


def _erased(entry: Entry) -> dict[str, Any]:
    actor = entry.data.get("actor")
    erased = []
    for one in _list(entry.data, "erased"):
        if not isinstance(one, dict):
            raise WrongError("erased")
        numbers = _list(one, "numbers")
        if not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
            raise WrongError("numbers")
        erased.append((text_in(one, "run"), tuple(numbers)))
    return {
        "id": str(entry.event.get("id", "")),
        "time": entry.time,
        "actor": str(actor.get("name", "")) if isinstance(actor, dict) else "",
        "erased": erased,
    }


READERS: dict[str, Callable[[Entry], dict[str, Any]]] = {
    "log.opened": _keys,
    "key.added": _key,
    "key.retired": _key,
    "policy.set": _policy,
    "run.intent": _intent,
    "run.approved": _approved,
    "run.started": _run,
    "run.ended": _ended,
    "erasure.performed": _erased,
    "log.recovered": _recovered,
}
