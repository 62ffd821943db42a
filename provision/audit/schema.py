"""The JSON Schema of the log's entries, for whoever reads a log with a program of their own.

``python -m provision.audit.schema`` writes the published copy anew (``provision/audit/schema/entry.v1.json``).
"""

import json
from pathlib import Path

from provision.audit.entries import json_schema
from provision.files import write_atomically

#: The published copy. Its name has the version of ``dataschema`` in each entry.
PUBLISHED = Path(__file__).parent / "schema" / "entry.v1.json"


def schema_text() -> str:
    """The schema as it is published."""
    return f"{json.dumps(json_schema(), indent=2, ensure_ascii=False)}\n"


def write_schema(file: Path = PUBLISHED) -> bool:
    """Write the schema, if it differs from what is there.

    Args:
        file: where to; its directory is made when it is missing.

    Returns:
        whether it was written.

    Raises:
        OSError: it cannot be written.
    """
    content = schema_text().encode()
    if file.exists() and file.read_bytes() == content:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
    return True


if __name__ == "__main__":
    write_schema()
