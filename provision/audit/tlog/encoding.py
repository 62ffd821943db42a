"""What the formats of a transparency log have in common: errors, base64, decimals, names of keys.

Every reader here takes text from somebody who may be lying: one meaning has one spelling, and everything else is
refused.
"""

import base64
import binascii

#: Largest tree size that we read or write. tlog-cosignature bounds its times likewise, and 2^63 entries are plenty.
MAX_SIZE = 2**63 - 1
#: Largest note that is read, in bytes: 64 post-quantum signatures of nearly 5 kB each, and a long text.
MAX_NOTE = 512 * 1024
#: Longest name of a key or an origin, in bytes: the ML-DSA-44 cosigned message has one byte for each length.
MAX_NAME = 255


class TlogError(ValueError):
    """Something of a transparency log is malformed, or does not prove what it should."""


class NoteError(TlogError):
    """A note, a key, a checkpoint or a policy is malformed, or a signature does not hold."""


def shown(text: str, limit: int = 60) -> str:
    """Foreign text for an error message: quoted, control characters escaped, at most ``limit`` characters."""
    return repr(text if len(text) <= limit else text[:limit] + "…")


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """Read standard base64 with padding, in its only canonical spelling.

    Args:
        text: the base64.
        what: what it is, for the message.

    Raises:
        NoteError: a foreign character, wrong padding, or left-over bits that are not zero.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64: {shown(text)}") from None
    if to_base64(data) != text:
        raise NoteError(f"{what} is not base64 as it must be written: {shown(text)}")
    return data


def split_head(data: bytes, limit: int, what: str) -> tuple[list[str], bytes | None]:
    """Take apart lines of plain characters, an empty line, and the checkpoint that follows.

    Args:
        data: all of it. limit: largest size that is read, in bytes.
        what: what it is, for the message.

    Returns:
        the lines, and the checkpoint as it stands; None where the empty line is missing.

    Raises:
        NoteError: it is too large, or has other characters in its lines.
    """
    if len(data) > limit:
        raise NoteError(f"{what} is larger than {limit} bytes")
    head, blank, checkpoint = data.partition(b"\n\n")
    try:
        return head.decode("ascii").split("\n"), checkpoint if blank else None
    except UnicodeDecodeError:
        raise NoteError(f"{what} has other than plain characters before its checkpoint") from None


def from_decimal(text: str, what: str) -> int:
    """Read a decimal number without sign and leading zeros, from 0 to ``MAX_SIZE``.

    Raises:
        NoteError: it is written otherwise, or too large.
    """
    # The length is looked at first: turning a million digits into a number takes long.
    if not 0 < len(text) <= len(str(MAX_SIZE)) or not (text.isascii() and text.isdigit()):
        raise NoteError(f"{what} is not a number that can stand here: {shown(text)}")
    if text[0] == "0" and text != "0":
        raise NoteError(f"{what} has leading zeros: {shown(text)}")
    number = int(text)
    if number > MAX_SIZE:
        raise NoteError(f"{what} is too large: {shown(text)}")
    return number


def checked_name(name: str, what: str = "the name of a key") -> str:
    """A name of a key, or an origin, that may stand in a note (signed-note, "Format").

    Returns:
        The name, unchanged.

    Raises:
        NoteError: it is empty, longer than 255 bytes, or has a space, a plus sign or a control character in it.
    """
    if not name:
        raise NoteError(f"{what} is empty")
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise NoteError(f"{what} is not Unicode text: {shown(name)}") from None
    if length > MAX_NAME:
        raise NoteError(f"{what} is longer than {MAX_NAME} bytes: {shown(name)}")
    for sign in name:
        if sign == "+" or sign.isspace() or sign < " ":
            raise NoteError(f"{what} must have no space, plus sign or control character: {shown(name)}")
    return name


def checked_text(text: str, what: str) -> str:
    """Text that may be signed: not empty, ends in a newline, has no other control character below U+0020.

    Returns:
        The text, unchanged.

    Raises:
        NoteError: it is not such a text.
    """
    if not text.endswith("\n"):
        raise NoteError(f"{what} does not end in a newline")
    # Tabs and carriage returns are control characters as well.
    if any(sign < " " for sign in set(text) - {"\n"}):
        raise NoteError(f"{what} has control characters in it")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NoteError(f"{what} is not Unicode text") from None
    return text
