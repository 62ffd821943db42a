"""What the witness keeps: its copy of the log, and with it the last state that it saw.

The directory has the layout of a log, so that ``audit verify`` reads it. What was seen last is the file ``checkpoint``:
it changes in one step, after everything that it promises is safely on the disk, and before anything is cosigned.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from provision.audit.tlog import (
    EMPTY_ROOT,
    MAX_NOTE,
    Checkpoint,
    Note,
    Policy,
    TileReader,
    TlogError,
    VerifierKey,
    read_file,
)
from provision.audit.tlog.encoding import checked_name
from provision.audit.witness.errors import WitnessError
from provision.files import (
    locked,
    make_directories,
    remove_leftovers,
    sync_directory,
    write_atomically,
    write_new,
)

CONFIG_FILE = "witness.json"
STAGING = ".incoming"
_SCHEMA = "provision/witness/v1"
_MAX_CONFIG = 256 * 1024
_LOCK_SECONDS = 10.0
_RESTORE = "bring it back from your backup of this directory; the city's copy is not a replacement for yours"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose log the witness watches, and whose signature counts.

    Args:
        origin: the log's name.
        keys: the log's keys; none until the first visit where only the name was given.
        former: keys that signed once. They count no more, but what they signed stays signed: it can be proof of a fork.
    """

    origin: str
    keys: tuple[VerifierKey, ...]
    former: tuple[VerifierKey, ...] = ()


class WitnessStore:
    """A witness's directory.

    Args:
        directory: made by ``create``.
        trust: see ``Trust``.
        note: the newest checkpoint that was seen and stored; None before the first visit.
    """

    def __init__(self, directory: Path, trust: Trust, note: Note | None) -> None:
        self.directory = directory
        self.trust = trust
        self.note = note

    @classmethod
    def create(cls, directory: Path, trust: Trust) -> "WitnessStore":
        """Begin: say whose log is watched. Before the key is made, so that a cut leaves nothing in the way.

        Raises:
            WitnessError: the directory watches another log already, or the name cannot be.
            OSError: the disk is full, ...
        """
        try:
            checked_name(trust.origin, "the log's name")
        except TlogError as error:
            raise WitnessError(str(error), "such as provision.example.cat/escola-mar") from error
        if any(key.name != trust.origin for key in trust.keys):
            raise WitnessError(
                "a key of the log has another name than the log", "ask the city for the right key"
            )
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (directory / CONFIG_FILE).exists():
            there = cls.open(directory)
            if there.trust.origin != trust.origin or there.note is not None:
                raise WitnessError(
                    f"{directory} watches the log {there.trust.origin} already", "use another directory"
                )
        store = cls(directory, trust, None)
        store._write_trust()
        return store

    @classmethod
    def open(cls, directory: Path) -> "WitnessStore":
        """Read it.

        Raises:
            WitnessError: there is none, or it is damaged.
        """
        try:
            data = read_file(directory, CONFIG_FILE, _MAX_CONFIG) if directory.is_dir() else None
            if data is None:
                raise WitnessError(
                    f"{directory} is not the directory of a witness",
                    f"make it with: provision audit witness init --dir {directory}",
                )
            document = json.loads(data)
            if document["schema"] != _SCHEMA:
                raise WitnessError(
                    f"{directory} was written by another version", "use a newer version of provision"
                )
            keys, former = (
                tuple(VerifierKey.parse(one) for one in document[part])
                for part in ("log_keys", "former_log_keys")
            )
            trust = Trust(checked_name(document["origin"]), keys, former)
            raw = read_file(directory, "checkpoint", MAX_NOTE)
            note = Note.parse(raw) if raw is not None else None
            if note is not None and Checkpoint.parse(note.text).origin != trust.origin:
                raise WitnessError(f"the checkpoint in {directory} is that of another log", _RESTORE)
            return cls(directory, trust, note)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
            raise WitnessError(f"the directory {directory} is damaged: {error}", _RESTORE) from error

    @property
    def checkpoint(self) -> Checkpoint:
        """The last state that was seen; of size 0 before the first visit."""
        return Checkpoint.parse(self.note.text) if self.note else Checkpoint(self.trust.origin, 0, EMPTY_ROOT)

    @property
    def reader(self) -> TileReader:
        """The copy of the log."""
        return TileReader(self.directory, self.checkpoint.size)

    @property
    def evidence(self) -> Path:
        """Where proof of misbehaviour is kept."""
        return self.directory / "evidence"

    def cosigned(self, key: VerifierKey) -> tuple[int, int] | None:
        """The newest cosignature by this key that is kept: number of entries, and its time. None when there is none.

        Raises:
            WitnessError: an archived checkpoint is damaged.
        """
        newest: tuple[int, int] | None = None
        for file in (self.directory / "checkpoints").glob("*"):
            if not (file.name.isascii() and file.name.isdigit()):
                continue
            note = self.archived(int(file.name))
            for signature in note.signatures if note else ():
                if note and key.made(signature):
                    try:
                        time = key.verify(note.text, signature) or 0
                    except TlogError as error:
                        raise WitnessError(f"{file} is damaged: {error}", _RESTORE) from error
                    # Two of the same second: the larger one is the later.
                    newest = max(newest or (0, 0), (int(file.name), time), key=lambda item: item[::-1])
        return newest

    def archived(self, size: int) -> Note | None:
        """The kept note of one size.

        Raises:
            WitnessError: it is damaged.
        """
        try:
            data = read_file(self.directory, f"checkpoints/{size}", MAX_NOTE)
            return Note.parse(data) if data is not None else None
        except TlogError as error:
            raise WitnessError(f"checkpoints/{size} is damaged: {error}", _RESTORE) from error

    @contextmanager
    def locked(self) -> Iterator["WitnessStore"]:
        """The store as it is now, with nobody else at it, and an empty place for what comes in.

        Raises:
            WitnessError: another process is at it, or the copy is not whole.
        """
        with locked(self.directory / ".lock", self.directory, WitnessError, wait=_LOCK_SECONDS):
            try:
                now = WitnessStore.open(self.directory)
                now._tidy()
                now._check_whole()
                yield now
            finally:
                shutil.rmtree(self.directory / STAGING, ignore_errors=True)

    def take(
        self,
        note: Note,
        files: Sequence[str],
        obsolete: Sequence[str],
        *,
        trust: Trust,
        policy: Policy | None = None,
        archive: Mapping[int, Note] | None = None,
    ) -> None:
        """Make a new state the last one that was seen. When this returns, all of it stays.

        Args:
            note: its checkpoint, verified.
            files: tiles and bundles in the staging place, safely on the disk, verified against the checkpoint.
            obsolete: files that the new ones replace.
            trust: keys that count from now on.
            policy: what the log says that a checkpoint needs, if it is new.
            archive: notes to keep, by size.

        Raises:
            OSError: the disk is full, ...; the last state is as it was before.
        """
        directories = set()
        for name in files:
            target = self.directory / name
            make_directories(target.parent)
            os.replace(self.directory / STAGING / name, target)  # noqa: PTH105 - one word for rename everywhere
            directories.add(target.parent)
        for directory in directories:
            sync_directory(directory)
        for size, kept in (archive or {}).items():
            self.archive(size, kept)
        if trust != self.trust:
            self.trust = trust
            self._write_trust()
        if policy is not None:
            write_atomically(self.directory / "policy", policy.text.encode())
        write_atomically(self.directory / "checkpoint", note.encode())
        self.note = note
        for name in obsolete:
            with suppress(OSError):
                (self.directory / name).unlink()

    def archive(self, size: int, note: Note) -> Note:
        """Keep a note under its size, together with the signatures that are kept already.

        Returns:
            the note as it is kept.
        """
        kept = self.archived(size)
        if kept is not None and kept.text == note.text:
            for signature in note.signatures:
                kept = kept.add(signature)
            note = kept
        make_directories(self.directory / "checkpoints")
        write_atomically(self.directory / f"checkpoints/{size}", note.encode())
        return note

    def restate(self, note: Note) -> None:
        """Replace the newest checkpoint by the same one with more signatures."""
        write_atomically(self.directory / "checkpoint", note.encode())
        self.note = note

    def stage(self, name: str, content: bytes) -> None:
        """Put a file into the staging place, safely on the disk."""
        write_new(self.directory / STAGING / name, content)

    def _tidy(self) -> None:
        """Remove what a process that was killed left behind; none of it was ever counted."""
        shutil.rmtree(self.directory / STAGING, ignore_errors=True)
        for name in ("checkpoint", "policy", CONFIG_FILE):
            remove_leftovers(self.directory / name)
        for leftover in (self.directory / "checkpoints").glob(".*.tmp"):
            with suppress(OSError):
                leftover.unlink()

    def _check_whole(self) -> None:
        """A copy that was altered on this very laptop is noticed before anything is signed over it."""
        checkpoint = self.checkpoint
        try:
            root = self.reader.root()
        except TlogError as error:
            raise WitnessError(
                f"the copy of the log in {self.directory} is damaged: {error}", _RESTORE
            ) from error
        if root != checkpoint.root:
            raise WitnessError(
                f"the copy of the log in {self.directory} does not give the root of its checkpoint", _RESTORE
            )

    def _write_trust(self) -> None:
        document = {
            "schema": _SCHEMA,
            "origin": self.trust.origin,
            "log_keys": [key.vkey for key in self.trust.keys],
            "former_log_keys": [key.vkey for key in self.trust.former],
        }
        write_atomically(self.directory / CONFIG_FILE, json.dumps(document, indent=1).encode() + b"\n")
