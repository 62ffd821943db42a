"""Signed notes (signed-note v1.0.0): a text and the signatures under it.

Nothing in a note is to be believed, shown or acted upon before ``open_note`` accepted it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from provision.audit.tlog.algorithms import Kind
from provision.audit.tlog.encoding import MAX_NOTE, NoteError, checked_text
from provision.audit.tlog.keys import MAX_TIMESTAMP, Signature, SignerKey, VerifierKey

__all__ = [
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "MAX_TIMESTAMP",
    "Kind",
    "Note",
    "NoteError",
    "Opened",
    "Signature",
    "SignerKey",
    "VerifierKey",
    "open_note",
]

#: Most signatures that are read; the specification asks for at least 16.
MAX_SIGNATURES = 64


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, none of them verified yet.

    Attributes:
        text: the text, with its final newline.
        signatures: the lines under it, in their order.

    Raises:
        NoteError: the text has control characters or no final newline, or there are too many signatures.
    """

    text: str
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        checked_text(self.text, "the text of the note")
        if len(self.signatures) > MAX_SIGNATURES:
            raise NoteError(f"a note has at most {MAX_SIGNATURES} signatures here")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a signed note.

        Args:
            data: the whole note, as it came.

        Raises:
            NoteError: it is not a note, too large, or has no signature.
        """
        if len(data) > MAX_NOTE:
            raise NoteError(f"the note is larger than {MAX_NOTE} bytes")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError:
            raise NoteError("the note is not UTF-8 text") from None
        checked_text(whole, "the note")
        # The text may have empty lines; the last one divides it from the signatures.
        end = whole.rfind("\n\n")
        if end < 0:
            raise NoteError("the note has no signatures: an empty line is missing")
        lines = whole[end + 2 :].split("\n")[:-1]
        if not lines:
            raise NoteError("the note has no signatures")
        if len(lines) > MAX_SIGNATURES:
            raise NoteError(f"the note has more than {MAX_SIGNATURES} signatures")
        return cls(whole[: end + 1], tuple(Signature.parse(line) for line in lines))

    def encode(self) -> bytes:
        """The note as bytes.

        Raises:
            NoteError: it has no signature yet, or is too large to be read again.
        """
        if not self.signatures:
            raise NoteError("a note without signatures is not written")
        data = f"{self.text}\n{''.join(one.line for one in self.signatures)}".encode()
        if len(data) > MAX_NOTE:
            raise NoteError(f"the note is larger than {MAX_NOTE} bytes")
        return data

    def add(self, signature: Signature) -> Self:
        """The note with one more signature. One by the same key is replaced: two by one key are refused by readers.

        Args:
            signature: the line to add.

        Raises:
            NoteError: there are too many signatures.
        """
        others = tuple(
            one for one in self.signatures if (one.name, one.key_id) != (signature.name, signature.key_id)
        )
        return type(self)(self.text, (*others, signature))


@dataclass(frozen=True, slots=True)
class Opened:
    """A signature that was verified.

    Attributes:
        key: the key that made it.
        timestamp: the time that a cosignature states, in seconds since 1970; None for the other kinds.
    """

    key: VerifierKey
    timestamp: int | None


def open_note(note: Note, keys: Iterable[VerifierKey]) -> list[Opened]:
    """Verify the signatures of a note by the keys that are known.

    Signatures by other keys are passed over. A wrong one by a known key rejects the whole note, and so do two by one
    key, as it is not said which counts.

    Args:
        note: the note.
        keys: the keys that are known, from a place that is trusted.

    Returns:
        The verified signatures, in their order in the note; at least one.

    Raises:
        NoteError: a known key's signature is wrong or doubled, or no known key signed.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise NoteError(f"two known keys have the same name and id: {key.name} {key.key_id.hex()}")
    opened: list[Opened] = []
    for signature in note.signatures:
        found = known.get((signature.name, signature.key_id))
        if found is None:
            continue
        if any(one.key == found for one in opened):
            raise NoteError(f"the note has two signatures by {found.name} {found.key_id.hex()}")
        opened.append(Opened(found, found.verify(note.text, signature)))
    if not opened:
        raise NoteError("the note has no signature by a key that is known here")
    return opened
