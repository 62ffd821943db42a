"""A school's log on disk: reading it, and adding to it so that nothing acknowledged is ever lost.

Order of writing: first the new tiles and entry bundles, each under a name that did not exist, each safely on the disk;
then the signed checkpoint, which replaces the former one in one step; then the partial tiles that the new ones
replace are removed. Whatever lies beyond the checkpoint was never acknowledged: the next writer puts it aside, and it
is named in a ``log.recovered`` entry, sooner or later: what was not yet is known by a directory
``evidence/<time>-left-over`` without the file ``recorded``.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from provision.audit import entries as e
from provision.audit import leftovers
from provision.audit.detail import DetailStore
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.growth import Edge, grow
from provision.audit.tlog.note import MAX_NOTE, Note, SignerKey, VerifierKey, open_note
from provision.audit.tlog.policy import Policy
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader
from provision.audit.tlog.tree import EMPTY_ROOT
from provision.errors import ProvisionError
from provision.files import locked, remove_leftovers, sync_directory, write_atomically, write_new
from provision.text import printable_line

#: Seconds to wait for another process of this machine that is writing the same log.
LOCK_TIMEOUT = 60.0
_MAX_POLICY = 64 * 1024
_RESTORE = (
    "take it from the school's copy or from a backup; see what is wrong with: provision audit verify {}"
)


class LogError(ProvisionError):
    """The log cannot be read, or must not be written."""


class NoLogError(LogError):
    """There is no log, which is no finding about one."""

    exit_code = 2


def log_directory(workspace: Path, school: str) -> Path:
    """Where the log of a school lies.

    Args:
        workspace: the municipality's directory.
        school: its id.
    """
    return workspace / "audit" / school


class SchoolLog:
    """A log as it lies in a directory, for reading.

    Args:
        directory: holds ``checkpoint`` and ``tile/``.
        note: the newest checkpoint with its signatures.
        checkpoint: what the note says.
    """

    def __init__(self, directory: Path, note: Note, checkpoint: Checkpoint) -> None:
        self.directory = directory
        self.note = note
        self.checkpoint = checkpoint

    @classmethod
    def open(cls, directory: Path) -> "SchoolLog":
        """The log in a directory.

        Raises:
            LogError: there is none, or its checkpoint is damaged.
        """
        try:
            note = Note.parse(read_bounded(directory / "checkpoint", MAX_NOTE))
            return cls(directory, note, Checkpoint.parse(note.text))
        except FileNotFoundError:
            raise NoLogError(
                f"there is no audit log in {directory}: the file “checkpoint” is missing",
                "a school's log begins with its first apply, or with: provision audit init SCHOOL",
            ) from None
        except OSError as error:
            raise LogError(f"{directory / 'checkpoint'} cannot be read: {error.strerror}") from error
        except TlogError as error:
            raise LogError(
                f"{directory / 'checkpoint'} is damaged: {error}", _RESTORE.format(directory)
            ) from error

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.checkpoint.origin

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Merkle root over all entries."""
        return self.checkpoint.root

    @property
    def reader(self) -> TileReader:
        """The tiles, as a tree of the checkpoint's size."""
        return TileReader(self.directory, self.size)

    @property
    def detail(self) -> DetailStore:
        """The runs' full detail."""
        return DetailStore(self.directory / "detail")

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[e.Entry]:
        """Entries in order.

        Args:
            start: first index. stop: the index after the last one; the log's size when left out.

        Raises:
            LogError: a tile cannot be read, or something in it is no entry.
        """
        index = start
        try:
            for raw in self.reader.entries(start, stop):
                yield e.parse(index, raw)
                index += 1
        except (TlogError, e.EntryError, OSError) as error:
            raise LogError(
                f"entry {index} of {self.directory} cannot be read: {error}", _RESTORE.format(self.directory)
            ) from error

    def backwards(self) -> Iterator[e.Entry]:
        """Entries from the newest to the oldest, read bundle by bundle."""
        stop = self.size
        while stop:
            start = (stop - 1) // TILE_WIDTH * TILE_WIDTH
            yield from reversed(list(self.entries(start, stop)))
            stop = start

    @property
    def policy(self) -> Policy:
        """What the city says that a checkpoint needs.

        Raises:
            LogError: the file is not there, or not in the format tlog-policy.
        """
        file = self.directory / "policy"
        try:
            return Policy.parse(read_bounded(file, _MAX_POLICY).decode())
        except (OSError, TlogError, UnicodeDecodeError) as error:
            raise LogError(f"{file} cannot be read: {error}", _RESTORE.format(self.directory)) from error

    def archived(self) -> list[tuple[int, Note]]:
        """Notes of earlier sizes that are kept for their signatures, smallest first.

        Raises:
            LogError: one is damaged.
        """
        sizes = self.archived_sizes()
        return [(size, note) for size in sizes if (note := self.archived_at(size)) is not None]

    def archived_sizes(self) -> list[int]:
        """The sizes of which a note is kept, smallest first."""
        names = (file.name for file in (self.directory / "checkpoints").glob("*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def archived_at(self, size: int) -> Note | None:
        """The kept note of one size, if there is one.

        Raises:
            LogError: it is damaged.
        """
        file = self.directory / "checkpoints" / str(size)
        try:
            return Note.parse(read_bounded(file, MAX_NOTE))
        except FileNotFoundError:
            return None
        except (OSError, TlogError) as error:
            raise LogError(f"{file} is damaged: {error}", _RESTORE.format(self.directory)) from error


def read_bounded(file: Path, limit: int) -> bytes:
    """A file's content, if it is a plain file and not larger than allowed.

    Args:
        limit: bytes.

    Raises:
        OSError: it cannot be read, is a symbolic link, or is too large.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(27, f"larger than {limit} bytes", str(file))
    return data


class LogWriter:
    """Adds to a log. Get one from ``writing``, which holds the log's lock meanwhile.

    Args:
        directory: the log's. origin: its name.
        keys: what signs each checkpoint; the first is the log's own key.
        log: the log as it is; None for one that does not exist yet.
    """

    def __init__(
        self, directory: Path, origin: str, keys: Sequence[SignerKey], log: SchoolLog | None
    ) -> None:
        self.directory = directory
        self.origin = origin
        self.keys = list(keys)
        self._log = log
        self._edge: Edge | None = None
        self._unrecorded: dict[Path, list[e.Leftover]] = {}
        self._broken_off = False

    @property
    def log(self) -> SchoolLog:
        """The log as it is now.

        Raises:
            LogError: it has no entry yet.
        """
        if self._log is None:
            raise LogError(f"the audit log in {self.directory} has no entry yet")
        return self._log

    @property
    def leftovers(self) -> list[e.Leftover]:
        """What broken-off writers left, now or earlier, as far as the log does not tell of it yet."""
        return [file for files in self._unrecorded.values() for file in files]

    @property
    def size(self) -> int:
        """Number of entries; 0 before the first."""
        return self._log.size if self._log else 0

    def append(self, data: Sequence[e.Data], *, when: Sequence[str | None] | None = None) -> range:
        """Add entries and sign. When this returns, they are on the disk and stay there.

        Args:
            data: what happened, in order.
            when: time of each; now for those that have None, and for all when left out.

        Returns:
            the indexes of the new entries.

        Raises:
            LogError: one cannot be an entry, the disk is full, ...; the log is as it was before.
        """
        return self.append_raw(composed(self.origin, data, when=when))

    def append_raw(self, raw: Sequence[bytes], note: Note | None = None) -> range:
        """Add entries by their bytes.

        Args:
            raw: the entries.
            note: an existing checkpoint over exactly the result, from another copy; signed here when left out.

        Raises:
            LogError: the disk is full, or the result is not what ``note`` says; the log is as it was before.
        """
        self._resume()
        size = self.size
        if not raw and note is None:
            return range(size, size)
        try:
            # Only the lock's holder writes, so that after the first time no file need be read again.
            growth = grow(self._edge or TileReader(self.directory, size), raw)
        except (TlogError, OSError) as error:
            raise LogError(
                f"nothing can be added to the audit log in {self.directory}: {error}",
                f"nothing was added; see what is wrong with: provision audit verify {self.directory}",
            ) from error
        checkpoint = Checkpoint(self.origin, growth.size, growth.root)
        if note is None:
            note = self.sign(checkpoint)
        elif Checkpoint.parse(note.text) != checkpoint:
            raise LogError(
                f"the entries of the copy do not give its checkpoint over {growth.size} entries",
                "the copy was altered; keep it, and see: provision audit verify",
            )
        self._broken_off = True
        self._write(growth.files, note)
        for name in growth.obsolete:
            with suppress(OSError):
                (self.directory / name).unlink()
        self._log, self._edge = SchoolLog(self.directory, note, checkpoint), growth.edge
        self._broken_off = False
        return range(size, growth.size)

    def _write(self, files: Mapping[str, bytes], note: Note) -> None:
        """Write tiles, then the checkpoint that promises them.

        Raises:
            LogError: the checkpoint is the former one, and of the tiles only those are left that could not be removed;
                or it cannot be told which checkpoint it is, and then they all are left.
        """
        written: list[Path] = []
        try:
            for name, content in files.items():
                write_new(self.directory / name, content)
                written.append(self.directory / name)
            for directory in {file.parent for file in written}:
                sync_directory(directory)
            write_atomically(self.directory / "checkpoint", note.encode(), mode=0o644)
        except OSError as error:
            # Some file systems report a failure of what took place all the same.
            now = self._checkpoint_bytes()
            if now == note.encode():
                return
            fault = f"the audit log in {self.directory} cannot be written: {error.strerror}"
            if now is None:
                raise LogError(
                    fault,
                    "whether the last entries were added cannot be told before it can be read again; what was signed "
                    "is whole. Mend the disk, then try again",
                ) from error
            for file in written:
                with suppress(OSError):
                    file.unlink()
            raise LogError(
                fault,
                "nothing was lost, and nothing was added; make room or mend the permissions, then try again",
            ) from error

    def _checkpoint_bytes(self) -> bytes | None:
        """The checkpoint as it is on the disk, empty for none; None where that cannot be told."""
        try:
            return read_bounded(self.directory / "checkpoint", MAX_NOTE)
        except FileNotFoundError:
            return b""
        except OSError:
            return None

    def _resume(self) -> None:
        """After an append that was broken off, begin from what is on the disk.

        Raises:
            LogError: it cannot be read or is not whole.
        """
        if not self._broken_off:
            return
        log = _log_of(self.directory)
        if log is not None:
            _check_root(log)
        self._log, self._edge = log, None
        self.set_aside()
        self._broken_off = False

    def record_leftovers(self, make: Callable[[list[e.Leftover]], e.Data]) -> range:
        """Tell in the log of what broken-off writers left; nothing happens where nothing was left.

        Killed between the entry and the note that it was made, the next writer tells of the same files once more:
        twice rather than never.

        Args:
            make: the entry about some leftovers, few enough for one entry. More take several entries.

        Returns:
            the indexes of the new entries.

        Raises:
            LogError: the disk is full, ...; ``leftovers`` still names what is to be recorded.
        """
        left, places = self.leftovers, list(self._unrecorded)
        try:
            data = [
                make(left[start : start + leftovers.AN_ENTRY])
                for start in range(0, len(left), leftovers.AN_ENTRY)
            ]
        except ValidationError as error:
            raise _no_entry(error) from error
        added = self.append(data)
        for place in places:
            self.put(str((place / leftovers.RECORDED).relative_to(self.directory)), b"")
            self._unrecorded.pop(place, None)
        return added

    def sign(self, checkpoint: Checkpoint) -> Note:
        """The checkpoint with the signature of each key."""
        return Note(checkpoint.text, tuple(key.sign(checkpoint.text) for key in self.keys))

    def archive(self, note: Note) -> None:
        """Keep a checkpoint with all its signatures, together with those that are kept already.

        Args:
            note: a checkpoint of this log, checked by the caller.

        Raises:
            LogError: the disk is full, ...; or another text is kept for that size.
        """
        size = Checkpoint.parse(note.text).size
        kept = self.log.archived_at(size)
        if kept is not None:
            if kept.text != note.text:
                raise LogError(
                    f"two different checkpoints claim {size} entries of {self.origin}",
                    "keep both: they prove that the log was forked",
                )
            # A key's newest cosignature says all that its earlier ones said.
            new = {signature.key_id for signature in note.signatures}
            earlier = tuple(signature for signature in kept.signatures if signature.key_id not in new)
            note = Note(note.text, earlier + note.signatures)
        self.put(f"checkpoints/{size}", note.encode())

    def set_policy(self, policy: Policy) -> None:
        """Replace the policy file; its ``policy.set`` entry is the caller's."""
        self.put("policy", policy.text.encode())

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the log's directory as one step.

        Raises:
            LogError: the disk is full, ...; it is as it was before.
        """
        file = self.directory / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content, mode=0o644)
        except OSError as error:
            raise LogError(
                f"{file} cannot be written: {error.strerror}", "make room, then try again"
            ) from error

    def set_aside(self) -> None:
        """Move what a killed writer left beyond the checkpoint out of the way, and see what the log does not tell of.

        Raises:
            LogError: the disk is full, ...; nothing is lost.
        """
        try:
            remove_leftovers(self.directory / "checkpoint")
            leftovers.put_aside(self.directory, self.size)
            self._unrecorded = leftovers.unrecorded(self.directory)
        except OSError as error:
            raise LogError(
                f"{self.directory} cannot be mended: {error.strerror}", "make room, then try again"
            ) from error
        except TlogError as error:
            raise LogError(
                f"the tiles in {self.directory} cannot be read: {error}", _RESTORE.format(self.directory)
            ) from error


@contextmanager
def writing(
    directory: Path, origin: str, keys: Sequence[SignerKey], *, former: Sequence[VerifierKey] = ()
) -> Iterator[LogWriter]:
    """A writer of a log, for the length of a block.

    What a killed writer left unfinished is put aside first; the caller records it: ``LogWriter.record_leftovers``.

    Args:
        directory: the log's; made when it is not there.
        origin: the log's name. keys: what signs.
        former: further keys that may have signed what is here: a colleague's renewal may be on the way.

    Raises:
        LogError: another process is writing, the log belongs to another origin or other keys, or its tiles do not give
            its checkpoint.
    """
    with locked(directory / ".lock", directory, LogError, wait=LOCK_TIMEOUT):
        log = _log_of(directory)
        if log is not None:
            _check_own(log, origin, [*(key.verifier for key in keys), *former])
        writer = LogWriter(directory, origin, keys, log)
        writer.set_aside()
        yield writer


def composed(origin: str, data: Sequence[e.Data], *, when: Sequence[str | None] | None = None) -> list[bytes]:
    """The bytes of entries.

    Args:
        origin: the log's name. data: what happened.
        when: time of each; now for those that have None, and for all when left out.

    Raises:
        LogError: one cannot be an entry, such as one that is too large.
    """
    pairs = list(zip(data, when or [None] * len(data), strict=True))
    try:
        return [e.compose(origin, item, when=time) for item, time in pairs]
    except ValueError as error:
        raise _no_entry(error) from error


def _no_entry(error: ValueError) -> LogError:
    if isinstance(error, ValidationError):
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        words = "; ".join(wrong)
    else:
        words = str(error)
    return LogError(
        f"this cannot be written into the audit log: {printable_line(words)}",
        "nothing was added; shorten the texts that it is made of, such as the reason, then try again",
    )


def _log_of(directory: Path) -> SchoolLog | None:
    """The log in a directory; None only where there surely is none: what lies beyond it would be put aside."""
    try:
        (directory / "checkpoint").lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LogError(f"{directory / 'checkpoint'} cannot be read: {error.strerror}") from error
    return SchoolLog.open(directory)


def _check_own(log: SchoolLog, origin: str, keys: Sequence[VerifierKey]) -> None:
    """See that a log is ours and whole before anything is added to it."""
    remedy = _RESTORE.format(log.directory)
    if log.origin != origin:
        raise LogError(f"the log in {log.directory} is that of {log.origin}, not of {origin}", remedy)
    try:
        open_note(log.note, keys)
    except TlogError as error:
        raise LogError(
            f"the checkpoint in {log.directory} is not signed with the key that this workspace has: {error}",
            "if a colleague renewed the key, get it (git pull); else " + remedy,
        ) from error
    _check_root(log)


def _check_root(log: SchoolLog) -> None:
    remedy = _RESTORE.format(log.directory)
    try:
        root = log.reader.root() if log.size else EMPTY_ROOT
    except (TlogError, OSError) as error:
        raise LogError(f"the tiles in {log.directory} cannot be read: {error}", remedy) from error
    if root != log.root:
        raise LogError(f"the tiles in {log.directory} do not give the root of its checkpoint", remedy)
