"""What a log and a witness give each other (tlog-witness, "add-checkpoint"), over HTTP or as files on a stick.

The log asks with the size that the witness saw last, the proof that its tree only grew since, and the new checkpoint;
the witness answers with signature lines. Keeping what was seen, and in which order, is the witness's own part.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from provision.audit.tlog.encoding import (
    MAX_SIZE,
    NoteError,
    from_base64,
    from_decimal,
    split_head,
    to_base64,
)
from provision.audit.tlog.keys import Signature
from provision.audit.tlog.note import MAX_NOTE, MAX_SIGNATURES, Note
from provision.audit.tlog.tree import HASH_SIZE

#: Most hashes in a request.
MAX_HASHES = 63
#: Largest request that is read, in bytes.
MAX_REQUEST = MAX_NOTE + MAX_HASHES * 45 + 1024


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A log asks a witness to cosign its checkpoint.

    Attributes:
        old: size of the last checkpoint of this log that the witness cosigned; 0 when there is none.
        hashes: the consistency proof from that size to the checkpoint's.
        checkpoint: the checkpoint with the log's signatures.

    Raises:
        NoteError: it cannot be written so that it is read again.
    """

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.old <= MAX_SIZE:
            raise NoteError(f"there was no checkpoint of size {self.old}")
        if len(self.hashes) > MAX_HASHES:
            raise NoteError(f"a consistency proof has at most {MAX_HASHES} hashes")
        if any(len(one) != HASH_SIZE for one in self.hashes):
            raise NoteError(f"a hash in the proof must have {HASH_SIZE} bytes")
        Note.parse(self.checkpoint)

    def encode(self) -> bytes:
        """The request as bytes."""
        lines = [f"old {self.old}", *map(to_base64, self.hashes)]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request. Nothing is verified.

        Args:
            data: the whole request.

        Raises:
            NoteError: it is not a request, or too large.
        """
        lines, checkpoint = split_head(data, MAX_REQUEST, "the request")
        if checkpoint is None or not lines[0].startswith("old "):
            raise NoteError("this does not ask for a cosignature: it must begin with 'old' and a size")
        old = from_decimal(lines[0].removeprefix("old "), "the old size")
        if len(lines) - 1 > MAX_HASHES:
            raise NoteError(f"a consistency proof has at most {MAX_HASHES} hashes")
        return cls(old, tuple(from_base64(line, "a hash in the proof") for line in lines[1:]), checkpoint)


def encode_cosignatures(signatures: Iterable[Signature]) -> bytes:
    """The answer of a witness: its signature lines."""
    return "".join(signature.line for signature in signatures).encode()


def decode_cosignatures(data: bytes) -> tuple[Signature, ...]:
    """Read the answer of a witness. Nothing is verified: add each to the checkpoint, and open that with a policy.

    Raises:
        NoteError: it is too large, empty, or has anything but signature lines.
    """
    if len(data) > MAX_NOTE:
        raise NoteError(f"the answer is larger than {MAX_NOTE} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("the answer is not UTF-8 text") from None
    if not text.endswith("\n"):
        raise NoteError("the answer does not end in a newline")
    lines = text.split("\n")[:-1]
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the answer has more than {MAX_SIGNATURES} signatures")
    return tuple(Signature.parse(line) for line in lines)
