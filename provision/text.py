"""Text that comes from elsewhere, made safe to show."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

#: Format characters that change the direction in which a terminal writes what follows.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with ``?`` for every character that steers a terminal; line breaks and tabs stay.

    Args:
        text: what a server or a file said.
    """
    # Most texts: Python's own idea of printable leaves out all that is replaced here, and is some twenty times faster.
    if text.isprintable():
        return text
    return "".join(
        "?"
        if sign not in "\n\t" and (unicodedata.category(sign) in {"Cc", "Cs"} or sign in _DIRECTION)
        else sign
        for sign in text
    )


def printable_line(text: str, limit: int = 300) -> str:
    """The same on one line, for a cell of a table or inside a sentence.

    Args:
        text: what a server or a file said.
        limit: longest text that is given back, in characters.
    """
    line = " ".join(printable(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def printable_data(value: Any) -> Any:
    """Data as JSON has it, with ``printable`` done to every text in it, keys as well."""
    match value:
        case str():
            return printable(value)
        case Mapping():
            return {printable(str(key)): printable_data(item) for key, item in value.items()}
        case list() | tuple():
            return [printable_data(item) for item in value]
        case _:
            return value


def said_by(error: BaseException) -> str:
    """Why the network did not do it, without the system's number in front."""
    text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    return text.replace("Name or service not known", "nobody knows this name")
