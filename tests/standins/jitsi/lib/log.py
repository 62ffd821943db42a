"""What is written where upstream's Java programs write: as much of it as their logging.properties lets through."""

import os
import re
from pathlib import Path


def level() -> str:
    """The level of the file that upstream's maintainer script names (java.util.logging)."""
    named = re.search(r"-Djava\.util\.logging\.config\.file=(\S+)", os.environ.get("JAVA_SYS_PROPS", ""))
    text = Path(named[1]).read_text() if named else ""
    found = re.search(r"^\.level\s*=\s*(\w+)", text, re.MULTILINE)
    return found[1] if found else "INFO"


def info(text: str) -> None:
    """Writes what upstream writes with this level: it names rooms, and who is in them."""
    if level() == "INFO":
        print(f"INFO: {text}", flush=True)
