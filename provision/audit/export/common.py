"""What the formats share: reading entries that may hold anything."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provision.audit.entries import Entry
from provision.errors import ProvisionError
from provision.text import printable, printable_line

#: Longest text that is taken over into one field; the log has the whole.
LONGEST = 4000
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)

_GOOD = frozenset({"ok", "done", "changed", "success", "healthy", "approved", "agreed"})
_BAD = frozenset(
    {"failed", "failure", "unreachable", "unhealthy", "refused", "broken off", "unexplained", "error"}
)


class ExportError(ProvisionError):
    """An entry cannot be written in the format that was asked for."""


def leaf(entry: Entry) -> str:
    """Hash of the entry's leaf in the tree (RFC 6962), hexadecimal: what an inclusion proof begins with."""
    return hashlib.sha256(b"\0" + entry.raw).hexdigest()


def text(data: object, *path: str) -> str:
    """A text somewhere in an entry, fit to be shown; empty where there is none."""
    for name in path:
        data = data.get(name) if type(data) is dict else None
    return _line(data) if isinstance(data, str) else ""


def _line(value: str) -> str:
    # Most texts are harmless, and seen to be so a hundred times faster: nothing that is printable steers a terminal.
    return value if value.isprintable() and len(value) <= LONGEST else printable_line(value, LONGEST)


def shown(value: str) -> str:
    """``printable``, quickly."""
    return value if value.isprintable() else printable(value)


def count(data: object, *path: str) -> int | None:
    """A number somewhere in an entry; None where there is none."""
    for name in path:
        data = data.get(name) if type(data) is dict else None
    return data if type(data) is int and 0 <= data < 2**53 else None


def texts(data: object, *path: str) -> list[str]:
    """The texts of a list somewhere in an entry."""
    for name in path:
        data = data.get(name) if type(data) is dict else None
    return [_line(one) for one in data if isinstance(one, str)] if isinstance(data, list) else []


def plain(value: Any, depth: int = 20) -> Any:
    """Data of an entry as any parser of JSON takes it: no text that steers a terminal, no NaN, not too deep."""
    match value:
        case str():
            return shown(value)
        case Mapping() | list() if not depth:
            return "…"
        case Mapping():
            return {shown(str(name)): plain(one, depth - 1) for name, one in value.items()}
        case list():
            return [plain(one, depth - 1) for one in value]
        case float():
            return value if math.isfinite(value) else str(value)
        case _:
            return value


def milliseconds(entry: Entry) -> int:
    """An entry's time in milliseconds since 1970.

    Raises:
        ExportError: it is no time.
    """
    try:
        moment = datetime.fromisoformat(entry.time)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ExportError(
            f"entry {entry.index} has no readable time",
            "Look at it with: provision audit export … --format jsonl; and verify the log.",
        ) from None


def succeeded(entry: Entry) -> bool | None:
    """Whether what an entry tells went well; None where that cannot be said (an intent, a cancelled run)."""
    outcome = text(entry.data, "outcome")
    return True if outcome in _GOOD else False if outcome in _BAD else None


def sentence(entry: Entry) -> str:
    """One line that says who did what where, for lists in other tools."""
    data = entry.data
    where = "/".join(
        part for part in (text(data, "target", name) for name in ("school", "host", "service")) if part
    )
    parts = [f"{text(data, 'actor', 'name') or '?'}: {text(data, 'action') or entry.type}", where]
    parts.append(text(data, "outcome"))
    return " · ".join(part for part in parts if part)


def json_line(record: Mapping[str, Any]) -> bytes:
    """A record as one line of JSON Lines."""
    # Lone surrogates, which JSON can spell and UTF-8 cannot, never get here: ``text`` replaces them.
    return _ENCODER.encode(record).encode("utf-8", "replace") + b"\n"
