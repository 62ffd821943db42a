"""Proofs of one entry (tlog-proof): a small file with which anybody verifies offline that an entry is in a log."""

from dataclasses import dataclass
from typing import Self

from provision.audit.tlog.encoding import (
    MAX_SIZE,
    NoteError,
    from_base64,
    from_decimal,
    shown,
    split_head,
    to_base64,
)
from provision.audit.tlog.note import MAX_NOTE, Note
from provision.audit.tlog.policy import Opinion, Policy
from provision.audit.tlog.tree import HASH_SIZE, leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
#: Most hashes in a proof: the height of the largest tree.
MAX_HASHES = 63
#: Largest extra data, in bytes.
MAX_EXTRA = 256 * 1024
#: Largest proof that is read, in bytes.
MAX_PROOF = MAX_NOTE + MAX_HASHES * 45 + MAX_EXTRA // 3 * 4 + 1024


@dataclass(frozen=True, slots=True)
class LogProof:
    """A proof that an entry is in a log.

    Attributes:
        index: number of the entry, from 0.
        hashes: the inclusion proof, from the leaf's sibling upwards.
        checkpoint: the signed checkpoint, as its file has it.
        extra: data that the proof only carries, such as the entry itself. No signature covers it.

    Raises:
        NoteError: it cannot be written so that it is read again.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE:
            raise NoteError(f"a log has no entry {self.index}")
        if len(self.hashes) > MAX_HASHES:
            raise NoteError(f"an inclusion proof has at most {MAX_HASHES} hashes")
        if any(len(one) != HASH_SIZE for one in self.hashes):
            raise NoteError(f"a hash in the proof must have {HASH_SIZE} bytes")
        if self.extra is not None and len(self.extra) > MAX_EXTRA:
            raise NoteError(f"the proof carries more than {MAX_EXTRA} bytes of extra data")
        Note.parse(self.checkpoint)

    def encode(self) -> bytes:
        """The proof as bytes, for a file that ends in ``.tlog-proof``."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(to_base64, self.hashes)
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a proof. Nothing is verified.

        Args:
            data: the whole file.

        Raises:
            NoteError: it is not a proof, or too large.
        """
        lines, checkpoint = split_head(data, MAX_PROOF, "the proof")
        if lines[0] != HEADER:
            raise NoteError(f"a proof begins with {HEADER}, not with {shown(lines[0])}")
        if checkpoint is None:
            raise NoteError("the proof has no checkpoint: an empty line is missing")
        lines = lines[1:]
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = from_base64(lines.pop(0).removeprefix("extra "), "the extra data")
        if not lines or not lines[0].startswith("index "):
            raise NoteError("the proof does not say which entry it is for")
        index = from_decimal(lines.pop(0).removeprefix("index "), "the index")
        if len(lines) > MAX_HASHES:
            raise NoteError(f"an inclusion proof has at most {MAX_HASHES} hashes")
        return cls(
            index, tuple(from_base64(line, "a hash in the proof") for line in lines), checkpoint, extra
        )

    def verify(self, entry: bytes, policy: Policy) -> Opinion:
        """Check the whole proof: signatures, quorum, and that the entry is in the tree.

        Args:
            entry: the entry, byte for byte as it was logged.
            policy: which logs and witnesses count.

        Returns:
            The checkpoint, the log's keys that signed it, and the witnesses that cosigned it with their times.

        Raises:
            NoteError: the checkpoint is not signed as the policy wants it.
            TreeError: the entry is not proved to be in the log.
        """
        opinion = policy.open(self.checkpoint)
        if not opinion.quorum_met:
            cosigned = ", ".join(opinion.witnesses) or "nobody"
            raise NoteError(
                f"the checkpoint is not cosigned by {policy.quorum}, as the policy wants it, but by {cosigned}"
            )
        checkpoint = opinion.checkpoint
        verify_inclusion(self.hashes, self.index, checkpoint.size, leaf_hash(entry), checkpoint.root)
        return opinion
