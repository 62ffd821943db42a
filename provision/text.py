"""Text that comes from elsewhere, made safe to show."""

import unicodedata

#: Format characters that change the direction in which a terminal writes what follows.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with ``?`` for every character that steers a terminal; line breaks and tabs stay.

    Args:
        text: what a server or a file said.
    """
    return "".join(
        "?"
        if sign not in "\n\t" and (unicodedata.category(sign) in {"Cc", "Cs"} or sign in _DIRECTION)
        else sign
        for sign in text
    )
