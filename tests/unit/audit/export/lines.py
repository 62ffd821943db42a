"""Takes a line of ``jsonl_lines`` apart again."""

import base64
import json

_END = b"}\n"


def original(line: bytes) -> tuple[int, bytes]:
    """Index and bytes of the entry in a line of ``jsonl_lines``.

    Raises:
        ValueError: it is no such line.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or type(record.get("index")) is not int:
        raise ValueError("this is no line of an export")
    index = record["index"]
    if isinstance(record.get("entry_base64"), str):
        return index, base64.b64decode(record["entry_base64"], validate=True)
    head = b'{"index":%d,"entry":' % index
    if not line.startswith(head) or not line.endswith(_END):
        raise ValueError("this is no line of an export")
    return index, line[len(head) : -len(_END)]
