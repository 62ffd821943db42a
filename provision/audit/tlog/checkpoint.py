"""Checkpoints (tlog-checkpoint v1.0.0): the text in which a log states its size and its root."""

from dataclasses import dataclass
from typing import Self

from provision.audit.tlog.encoding import (
    MAX_NOTE,
    MAX_SIZE,
    NoteError,
    checked_name,
    checked_text,
    from_base64,
    from_decimal,
    to_base64,
)

_ROOT_SIZE = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself, without the signatures.

    Attributes:
        origin: the name of the log: a URL without scheme, such as ``provision.example.cat/escola-exemple``.
        size: how many entries it has.
        root: root of its tree, 32 bytes.

    Raises:
        NoteError: the origin has a space, a plus sign or a control character in it, or size or root cannot be.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        checked_name(self.origin, "the origin of the checkpoint")
        if not 0 <= self.size <= MAX_SIZE:
            raise NoteError(f"a checkpoint cannot have size {self.size}")
        if len(self.root) != _ROOT_SIZE:
            raise NoteError(f"the root of the checkpoint must have {_ROOT_SIZE} bytes")

    @property
    def text(self) -> str:
        """The text to sign."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note as a checkpoint.

        Extension lines, which the specification allows and advises against, are passed over: the signatures cover them,
        and nothing here depends on them. They are never written.

        Args:
            text: the note's text, with its final newline.

        Raises:
            NoteError: it is no checkpoint.
        """
        if len(text) > MAX_NOTE:
            raise NoteError(f"the checkpoint is larger than {MAX_NOTE} bytes")
        lines = checked_text(text, "the checkpoint").split("\n", 3)
        if len(lines) < 4:
            raise NoteError("a checkpoint has at least three lines: origin, size and root")
        if text.startswith("\n") or "\n\n" in text:
            raise NoteError("a checkpoint has no empty lines")
        return cls(
            origin=lines[0],
            size=from_decimal(lines[1], "the size in the checkpoint"),
            root=from_base64(lines[2], "the root in the checkpoint"),
        )
