"""The entries themselves, as JSON Lines.

An entry in canonical form (every entry that ``provision`` writes) stands in its line byte for byte::

    {"index":7,"entry":{"data":{…},…}}

The bytes between ``"entry":`` and the last ``}`` of the line are what the log's leaf was made of: their hash with a
zero byte before them is the leaf's hash. An entry that is not canonical could hold line breaks, or change when it is
parsed; its bytes are given in base64 instead::

    {"index":8,"entry_base64":"eyAi…"}
"""

import base64
from collections.abc import Iterable, Iterator

from provision.audit.entries import Entry, is_canonical


def jsonl_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """One line an entry."""
    for entry in entries:
        if is_canonical(entry):
            yield b'{"index":%d,"entry":%b}\n' % (entry.index, entry.raw)
        else:
            yield b'{"index":%d,"entry_base64":"%b"}\n' % (entry.index, base64.b64encode(entry.raw))
