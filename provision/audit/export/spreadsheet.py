"""A table for a spreadsheet: RFC 4180, commas, CRLF, UTF-8 without a byte-order mark, one row an entry.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, even where it comes out of
quotes; such a cell, and one that begins with a tab or a carriage return, gets an apostrophe before it.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from provision.audit.entries import Entry
from provision.audit.export.common import leaf, plain, text
from provision.text import printable

#: The header. Columns are only ever added, at the end.
COLUMNS: Final = (
    "index", "time", "type", "action", "outcome", "actor_kind", "actor", "user", "machine", "key", "school", "host",
    "service", "run", "why", "basis", "ticket", "approver", "rest", "id", "leaf_hash",
)  # fmt: skip
#: Fields of ``data`` that have their own column; ``rest`` has all others, as JSON.
_OWN: Final = frozenset({"actor", "target", "authority", "action", "outcome", "why", "run"})
#: OWASP's list, with the full-width forms that some spreadsheets take for the plain ones.
_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


def guarded(cell: str) -> str:
    """A text that no spreadsheet takes for a formula, and no terminal for a command."""
    # A spreadsheet may trim a cell before it looks at it.
    dangerous = cell.startswith(_FORMULA) or cell.lstrip().startswith(_FORMULA)
    line = cell if cell.isprintable() else " ".join(printable(cell).splitlines()).replace("\t", " ")
    return f"'{line}" if dangerous else line


def csv_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The header, then one row an entry."""
    yield _row(COLUMNS)
    for entry in entries:
        yield _row([guarded(cell) for cell in _cells(entry)])


def _cells(entry: Entry) -> list[str]:
    data = entry.data
    rest: dict[str, Any] = {name: value for name, value in data.items() if name not in _OWN}
    cells = {
        "index": str(entry.index),
        "time": text(entry.event, "time"),
        "type": text(entry.event, "type"),
        "action": text(data, "action"),
        "outcome": text(data, "outcome"),
        "actor_kind": text(data, "actor", "kind"),
        "actor": text(data, "actor", "name"),
        "run": text(data, "run"),
        "why": text(data, "why"),
        "rest": json.dumps(plain(rest), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
        if rest
        else "",
        "id": text(entry.event, "id"),
        "leaf_hash": leaf(entry),
    }
    cells |= {name: text(data, "actor", name) for name in ("user", "machine", "key")}
    cells |= {name: text(data, "target", name) for name in ("school", "host", "service")}
    cells |= {name: text(data, "authority", name) for name in ("basis", "ticket", "approver")}
    return [cells[name] for name in COLUMNS]


def _row(cells: Iterable[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode("utf-8", "replace")
