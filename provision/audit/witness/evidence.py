"""Proof that a log was forked: two checkpoints, both signed by the log, of which at most one can be true.

The smaller one states a root for ``m`` entries. The larger one's tree has another root over its first ``m`` entries,
which its consistency proof shows. Nobody needs to believe who found it: two signatures and a few hashes tell.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from provision.audit.tlog import (
    MAX_NOTE,
    Checkpoint,
    Note,
    TlogError,
    TreeError,
    VerifierKey,
    open_note,
    read_file,
    verify_consistency,
)
from provision.audit.tlog.encoding import from_base64, to_base64
from provision.files import sync_directory, write_atomically
from provision.text import printable_line

_SCHEMA = "provision/evidence/v1"
_LARGER, _SMALLER, _PROOF, _README = "larger.checkpoint", "smaller.checkpoint", "proof.json", "README.txt"
_MAX_PROOF = 64 * 1024


class EvidenceError(ValueError):
    """This proves nothing; says why."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two contradictory checkpoints and what shows that they are.

    Args:
        larger: the signed checkpoint of more entries, or of as many.
        smaller: the other.
        root: root of the larger one's tree over as many entries as the smaller one has.
        hashes: the consistency proof from there to the larger one.
        keys: the log's keys as whoever found this knew them. Who checks should have them from elsewhere.
    """

    larger: Note
    smaller: Note
    root: bytes
    hashes: tuple[bytes, ...]
    keys: tuple[VerifierKey, ...]

    @classmethod
    def of(
        cls, one: Note, other: Note, root: bytes, hashes: Sequence[bytes], keys: Iterable[VerifierKey]
    ) -> Self:
        """Evidence from two notes, whichever is larger.

        Raises:
            EvidenceError: they do not contradict each other.
        """
        larger, smaller = sorted((one, other), key=lambda note: -Checkpoint.parse(note.text).size)
        evidence = cls(larger, smaller, root, tuple(hashes), tuple(keys))
        evidence.check(evidence.keys)
        return evidence

    def check(self, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, Checkpoint]:
        """See whether it proves that the log was forked.

        Args:
            keys: the log's keys.

        Returns:
            the larger and the smaller checkpoint.

        Raises:
            EvidenceError: it proves nothing.
        """
        try:
            larger, smaller = Checkpoint.parse(self.larger.text), Checkpoint.parse(self.smaller.text)
            known = [key for key in keys if key.name == larger.origin]
            open_note(self.larger, known)
            open_note(self.smaller, known)
            if larger.origin != smaller.origin:
                raise EvidenceError("the two checkpoints are of different logs")
            verify_consistency(self.hashes, smaller.size, larger.size, self.root, larger.root)
        except TlogError as error:
            raise EvidenceError(str(error)) from error
        if self.root == smaller.root:
            raise EvidenceError("the two checkpoints agree with each other")
        return larger, smaller

    def save(self, parent: Path, what: str, when: datetime | None = None) -> Path:
        """Keep it in a directory of its own, with words on how anyone checks it.

        Args:
            parent: the directory ``evidence``.
            what: one word, such as ``fork``.
            when: time of finding.

        Returns:
            the directory; the same evidence found again gives the one that is there.

        Raises:
            OSError: the disk is full, ...
        """
        for there in list_evidence(parent):
            try:
                if Evidence.load(there).proves_the_same(self):
                    return there
            except EvidenceError:
                continue
        moment = when or datetime.now(UTC)
        directory = parent / f"{moment:%Y%m%dT%H%M%S.%f}Z-{what}"
        directory.mkdir(parents=True)
        document = {
            "schema": _SCHEMA,
            "root_at_smaller_size": to_base64(self.root),
            "consistency_proof": [to_base64(one) for one in self.hashes],
            "log_keys": [key.vkey for key in self.keys],
        }
        write_atomically(directory / _LARGER, self.larger.encode())
        write_atomically(directory / _SMALLER, self.smaller.encode())
        write_atomically(directory / _README, self._words(moment).encode())
        write_atomically(directory / _PROOF, json.dumps(document, indent=1).encode() + b"\n")
        sync_directory(parent)
        return directory

    def proves_the_same(self, other: "Evidence") -> bool:
        """Whether it is about the same two checkpoints."""
        return (self.larger.text, self.smaller.text) == (other.larger.text, other.smaller.text)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read it back. Nothing is verified.

        Raises:
            EvidenceError: there is none, or it is damaged.
        """
        try:
            notes = [Note.parse(_file(directory, name, MAX_NOTE)) for name in (_LARGER, _SMALLER)]
            document = json.loads(_file(directory, _PROOF, _MAX_PROOF))
            if document["schema"] != _SCHEMA:
                raise EvidenceError(f"{directory} has another format")
            return cls(
                notes[0],
                notes[1],
                from_base64(document["root_at_smaller_size"], "the root"),
                tuple(from_base64(one, "a hash") for one in document["consistency_proof"]),
                tuple(VerifierKey.parse(one) for one in document["log_keys"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError) as error:
            raise EvidenceError(f"{directory} cannot be read: {error}") from error

    def _words(self, moment: datetime) -> str:
        larger, smaller = Checkpoint.parse(self.larger.text), Checkpoint.parse(self.smaller.text)
        same = larger.size == smaller.size
        return _WORDS.format(
            origin=printable_line(larger.origin),
            moment=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
            large=larger.size,
            small=smaller.size,
            small_root=to_base64(smaller.root),
            large_root=to_base64(self.root),
            keys="\n".join(f"  {key.vkey}" for key in self.keys),
            step=_SAME if same else _GROWN.format(large=larger.size, small=smaller.size),
        )


def list_evidence(parent: Path) -> list[Path]:
    """The directories with evidence, oldest first."""
    if not parent.is_dir():
        return []
    return sorted(one for one in parent.iterdir() if one.is_dir() and re.match(r"\d{8}T", one.name))


def _file(directory: Path, name: str, limit: int) -> bytes:
    try:
        data = read_file(directory, name, limit)
    except TreeError as error:
        raise EvidenceError(str(error)) from error
    if data is None:
        raise EvidenceError(f"{name} is missing")
    return data


_SAME = "2. Both state the same number of entries, and different roots. One number of entries has one root."
_GROWN = """2. proof.json has a consistency proof (RFC 6962, 2.1.2) from {small} to {large} entries. With
   root_at_smaller_size as the old root and the root in larger.checkpoint as the new one it verifies: so the first
   {small} entries of that tree have the root root_at_smaller_size. smaller.checkpoint, signed with a key of the
   same log, states another one for them."""
_WORDS = """Two contradictory checkpoints of one audit log

Log:    {origin}
Found:  {moment}

An audit log may only grow. Whoever holds its key signed two statements that cannot both be true: the history of
the first {small} entries was told in two ways. That was no mistake of a disk or of the network: both are signed.

  smaller.checkpoint states for {small} entries the root
    {small_root}
  larger.checkpoint states {large} entries, of which the first {small} have the root
    {large_root}

How anyone checks this, with this tool or another one
1. Both files are signed notes (https://c2sp.org/signed-note). Their signatures are by these keys, which you should
   have from the school or from elsewhere, and not only from here:
{keys}
{step}

What to do: keep this directory as it is, make a copy, do not cosign, and ask the city in writing to explain.

En dues paraules: qui té la clau del registre ha signat dues històries diferents. Guardeu aquesta carpeta i demaneu
explicacions per escrit.
En dos palabras: quien tiene la clave del registro ha firmado dos historias distintas. Guardad esta carpeta y pedid
explicaciones por escrito.
"""

__all__ = ["Evidence", "EvidenceError", "list_evidence"]
