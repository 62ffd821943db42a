"""Exports of a log to other tools: one record an entry, written as it is read, in memory that does not grow.

========  ============================================================================================
jsonl     the entries themselves, byte for byte (``jsonl.py`` says how they are taken out again)
csv       a table for a spreadsheet (RFC 4180), nothing in which a spreadsheet takes for a formula
ocsf      Open Cybersecurity Schema Framework 1.7.0, JSON Lines
ecs       Elastic Common Schema 9.4, JSON Lines
========  ============================================================================================

None of them carries a signature: an export is for looking and searching. Each record says which entry it comes from
(index, id, hash of the leaf), so that the log itself settles any doubt.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final

from provision.audit.entries import Entry
from provision.audit.export.ecs import ecs_lines
from provision.audit.export.jsonl import jsonl_lines
from provision.audit.export.ocsf import ocsf_lines
from provision.audit.export.spreadsheet import csv_lines
from provision.audit.select import Selection, chosen

#: Each gives the lines of a file, with their ends, for entries in order.
FORMATS: Final[Mapping[str, Callable[[Iterable[Entry]], Iterator[bytes]]]] = {
    "jsonl": jsonl_lines,
    "csv": csv_lines,
    "ocsf": ocsf_lines,
    "ecs": ecs_lines,
}


def export(entries: Iterable[Entry], form: str, out: BinaryIO, selection: Selection | None = None) -> int:
    """Write entries in one of ``FORMATS``.

    Args:
        entries: of a log, in order.
        form: name of the format.
        out: where to.
        selection: only these entries; all when left out.

    Returns:
        Number of entries written.

    Raises:
        ExportError: an entry cannot be written in this format.
        OSError: ``out`` takes no more.
    """
    written = 0

    def counted() -> Iterator[Entry]:
        nonlocal written
        for entry in chosen(entries, selection or Selection()):
            written += 1
            yield entry

    for line in FORMATS[form](counted()):
        out.write(line)
    return written
