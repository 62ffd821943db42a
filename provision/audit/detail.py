"""The full detail of each run, beside the log: bound to it by salted commitments, and erasable.

One file a run, one line a step. A step's commitment is ``SHA256(salt || JCS(payload))`` with 32 random bytes of
salt, so that nobody can guess an erased payload by trying; the log holds commitments only. Erasing a payload and its
salt therefore leaves every proof as it is.
"""

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from provision.audit.canonical import canonical
from provision.audit.tlog.tree import Frontier, leaf_hash
from provision.errors import ProvisionError
from provision.files import make_directories, sync_directory, write_atomically
from provision.text import printable_line

#: Longest line that is read: a step has at most two texts of ``TEXT_LIMIT`` characters and a few short ones.
MAX_LINE = 1024 * 1024
SALT_SIZE = 32
#: Longest text, and most items of a list or mapping, that are kept of a step whose line would be too long to be read
#: again; the first pair with which it fits.
_CUTS = ((20_000, 200), (1_000, 20))


class DetailError(ProvisionError):
    """Something that is no step of a run's detail; says which and why."""


@dataclass(frozen=True, slots=True)
class DetailLine:
    """A step of a run.

    Args:
        number: its place, from 0.
        commitment: what the log knows of it, 32 bytes.
        payload: what happened; None when it was erased.
        erased: id of the ``erasure.performed`` entry; None when it was not.
        fits: whether salt and payload give the commitment (True for an erased one: nothing can be told).
    """

    number: int
    commitment: bytes
    payload: dict[str, Any] | None
    erased: str | None
    fits: bool


def commit(salt: bytes, payload: Mapping[str, Any]) -> bytes:
    """The salted commitment to a payload, 32 bytes."""
    return hashlib.sha256(salt + canonical(payload)).digest()


class DetailWriter:
    """Appends a run's steps to its file.

    Args:
        file: made when it is not there; one writer at a time.
    """

    def __init__(self, file: Path) -> None:
        make_directories(file.parent, mode=0o700)
        self._descriptor = os.open(
            file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._frontier = Frontier()
        sync_directory(file.parent)

    @property
    def size(self) -> int:
        """Number of steps so far."""
        return self._frontier.size

    def append(self, payload: Mapping[str, Any]) -> tuple[int, bytes]:
        """Write one step.

        Args:
            payload: JSON data without numbers other than integers.

        Returns:
            its number and its commitment.

        Raises:
            OSError: the disk is full, ...; nothing was written.
            DetailError: the payload is far too large, even with its texts cut.
        """
        data, commitment = _line(payload)
        cuts = iter(_CUTS)
        while len(data) > MAX_LINE:
            cut = next(cuts, None)
            if cut is None:
                raise DetailError(
                    f"step {self.size} is longer than {MAX_LINE} bytes, and was not written",
                    "have the task that says so much say less: no_log, or a quieter command",
                )
            data, commitment = _line(_cut(payload, *cut))
        before = os.fstat(self._descriptor).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # The next step must not go on where this one broke off.
            os.ftruncate(self._descriptor, before)
            raise
        self._frontier.append(leaf_hash(commitment))
        return self._frontier.size - 1, commitment

    def root(self) -> bytes:
        """Merkle root over the commitments so far."""
        return self._frontier.root()

    def sync(self) -> None:
        """Bring what was written safely to the disk; nothing happens after ``close``.

        The recorder calls it before it signs entries that name these steps: after a power cut the log never commits to
        a step that is not there.

        Raises:
            OSError: the disk cannot take it.
        """
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Bring everything safely to the disk."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class DetailStore:
    """The detail of every run of a school.

    Args:
        directory: ``detail`` of the log's directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def file(self, run: str) -> Path:
        """Where a run's detail is, or will be.

        Raises:
            DetailError: the id is no file name.
        """
        if not run or "/" in run or "\0" in run or run.startswith("."):
            raise DetailError(f"{run!r} cannot be the id of a run", "see them with: provision runs list")
        return self._directory / f"{run}.jsonl"

    def read(self, run: str) -> Iterator[DetailLine]:
        """The steps of a run, in order; nothing where there is no file. A last line without its end is left out.

        Raises:
            DetailError: a line is not what ``DetailWriter`` or ``erase`` wrote, or the file is no plain file.
        """
        for number, line in enumerate(self._lines(run)):
            yield self._parse(run, number, line)

    def _parse(self, run: str, number: int, raw: bytes) -> DetailLine:
        try:
            return _parse(number, raw)
        except ValueError as error:
            raise self._damaged(f"step {number} of run {printable_line(run)} {error}") from None

    def _damaged(self, message: str) -> DetailError:
        return DetailError(
            message,
            f"see what is wrong with: provision audit verify {self._directory.parent}",
        )

    def _lines(self, run: str) -> Iterator[bytes]:
        file = self.file(run)
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            if file.is_symlink():
                raise self._damaged(
                    f"the detail of run {printable_line(run)} is a symbolic link, which is not followed"
                ) from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._damaged(f"the detail of run {printable_line(run)} is not a plain file")
        with os.fdopen(descriptor, "rb") as lines:
            number = 0
            while line := lines.readline(MAX_LINE):
                if not line.endswith(b"\n"):
                    if len(line) == MAX_LINE:
                        raise self._damaged(
                            f"step {number} of run {printable_line(run)} is longer than {MAX_LINE} bytes"
                        )
                    return
                yield line
                number += 1

    def root(self, run: str) -> tuple[int, bytes]:
        """Number of steps of a run and the Merkle root over their commitments.

        Raises:
            DetailError: see ``read``.
        """
        frontier = Frontier()
        for line in self.read(run):
            frontier.append(leaf_hash(line.commitment))
        return frontier.size, frontier.root()

    def root_until_damage(self, run: str) -> tuple[int, bytes, bool]:
        """The same, of the steps before the first one that cannot be read.

        For a run that was broken off, maybe by a power cut: that can leave anything behind what was brought safely to
        the disk.

        Returns:
            number of steps, root, and whether damage followed. A last line without its end is no damage.

        Raises:
            OSError: the file may be whole, but not be read, such as that of another user.
        """
        frontier = Frontier()
        try:
            for line in self.read(run):
                frontier.append(leaf_hash(line.commitment))
        except DetailError:
            return frontier.size, frontier.root(), True
        except OSError as error:
            # The disk itself is damaged there.
            if error.errno != errno.EIO:
                raise
            return frontier.size, frontier.root(), True
        return frontier.size, frontier.root(), False

    def erase(self, run: str, numbers: Collection[int] | None, entry: str) -> None:
        """Remove payload and salt of steps; one atomic change of the file. Repeating it changes nothing.

        Args:
            numbers: which steps; None for all of the run.
            entry: id of the ``erasure.performed`` entry.

        Raises:
            OSError: nothing was changed.
            DetailError: see ``read``; nothing was changed.
        """
        lines = []
        for number, raw in enumerate(self._lines(run)):
            line = self._parse(run, number, raw)
            if line.erased is None and (numbers is None or number in numbers):
                blank = {"commitment": line.commitment.hex(), "erased": entry}
                lines.append(json.dumps(blank, separators=(",", ":")).encode() + b"\n")
            else:
                lines.append(raw)
        if lines:
            write_atomically(self.file(run), b"".join(lines), mode=0o600)


def _line(payload: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """A step's line under a new salt, and its commitment."""
    salt = secrets.token_bytes(SALT_SIZE)
    commitment = commit(salt, payload)
    line = {"commitment": commitment.hex(), "salt": salt.hex(), "payload": payload}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n", commitment


def _cut(value: Any, characters: int, items: int) -> Any:
    """The same with long texts, lists and mappings cut, and a word that says so."""
    match value:
        case str() if len(value) > characters:
            return f"{value[:characters]} [cut]"
        case Mapping():
            return {
                _cut(key, characters, items): _cut(item, characters, items)
                for key, item in islice(value.items(), items)
            }
        case list():
            more = ["[cut]"] if len(value) > items else []
            return [_cut(item, characters, items) for item in value[:items]] + more
        case _:
            return value


def _parse(number: int, raw: bytes) -> DetailLine:
    """A line. Raises ``ValueError``, in words that follow “step so-and-so”."""
    try:
        line = json.loads(raw)
        commitment = bytes.fromhex(line["commitment"])
        erased = str(line["erased"]) if "erased" in line else None
        payload, salt = (None, b"") if erased else (line["payload"], bytes.fromhex(line["salt"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"cannot be read: {error!r}") from None
    if len(commitment) != 32 or not (erased or isinstance(payload, dict)):
        raise ValueError("is not a commitment with a payload")
    return DetailLine(
        number, commitment, payload, erased, erased is not None or _fits(commitment, salt, payload)
    )


def _fits(commitment: bytes, salt: bytes, payload: Any) -> bool:
    try:
        return len(salt) == SALT_SIZE and commit(salt, payload) == commitment
    except (ValueError, RecursionError):
        return False
