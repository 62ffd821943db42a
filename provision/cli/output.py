"""Printing: one place that knows whether a person or a program reads us."""

import json
import os
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.theme import Theme

#: Version of the documented ``--json`` shapes; part of each document's ``schema``.
_THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "quiet": "dim",
        "name": "bold",
        "add": "green",
        "change": "yellow",
    }
)


def _width(stream: TextIO) -> int | None:
    """A file or a pipe has no width: nothing is wrapped there, so that ``grep`` finds whole words."""
    return None if stream.isatty() or "COLUMNS" in os.environ else 1000


#: Results, for people. No colour and no control codes unless it is a terminal (NO_COLOR is honoured by rich).
console = Console(theme=_THEME, highlight=False, width=_width(sys.stdout))
#: Progress, questions, warnings and errors.
errors = Console(theme=_THEME, highlight=False, stderr=True, width=_width(sys.stderr))


class _Mode:
    json = False


def set_json(value: bool) -> bool:
    """Callback of ``--json``: from now on errors are printed as JSON as well."""
    _Mode.json = _Mode.json or value
    return value


def json_wanted() -> bool:
    """Whether a program reads us."""
    return _Mode.json


def emit_json(schema: str, data: dict[str, Any]) -> None:
    """Print one JSON document on standard output.

    Args:
        schema: name and version of its shape, such as ``provision/plan/v1``.
        data: what stands beside ``schema`` at the top level.
    """
    json.dump({"schema": schema, **data}, sys.stdout, indent=2, ensure_ascii=False, default=str)
    sys.stdout.write("\n")
    sys.stdout.flush()


def interactive() -> bool:
    """Whether there is a person who can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("CI") != "true"
