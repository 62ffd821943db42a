"""Taking in what the school gives back: its cosignature over a checkpoint."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from provision.audit.cosigned import cosigned_beyond, log_keys, root_at, witness_times
from provision.audit.entries import EntryError, parse
from provision.audit.log import LogError, LogWriter, SchoolLog
from provision.audit.tlog import (
    Checkpoint,
    Note,
    NoteError,
    Opened,
    Policy,
    Signature,
    TlogError,
    VerifierKey,
    open_note,
)
from provision.files import write_atomically
from provision.text import printable_line

__all__ = [
    "HAND_IN_TIMEOUT",
    "CosignatureError",
    "TakenIn",
    "check_cosignature",
    "cosigned_beyond",
    "hand_in",
    "keep_contradiction",
    "take_in",
    "witness_times",
]

#: Seconds that a cosigner's clock may be ahead of ours.
_CLOCK_AHEAD = 600
#: Seconds that it may be behind; verification takes more for a forged time.
_CLOCK_BEHIND = 240
#: Seconds to wait for whoever is writing the log, before the file is left for them: a run that waits for the school
#: holds the log for as long as it waits, and it is this very file that it waits for.
HAND_IN_TIMEOUT = 2.0
#: How often a file is checked against a log that is being written: tiles are replaced meanwhile.
_TRIES = 5
#: Most files that are kept as evidence of cosignatures that do not fit: the inbox is open to several people.
_MAX_KEPT = 100


class CosignatureError(LogError):
    """A cosignature cannot be taken in.

    Args:
        kind: ``damaged``, ``unknown`` (no witness of the policy), ``forged``, ``foreign`` (another log), ``replayed``,
            ``ahead`` (of this copy of the log), ``clock``, ``contradiction``.
        evidence: where it is kept, if it proves something.
        known: what is here already, where it is a replay.
    """

    def __init__(self, kind: str, message: str, remedy: str, known: "TakenIn | None" = None) -> None:
        super().__init__(message, remedy)
        self.kind = kind
        self.known = known
        self.evidence: Path | None = None


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A cosignature that counts.

    Args:
        size: number of entries that it covers.
        names: the cosigners' key names. times: when each cosigned, in seconds since 1970.
        new: whether it was not there before.
        note: the checkpoint with the log's signatures and all cosignatures known so far.
        waiting: the file lies here, in the inbox, for whoever is writing the log now or next; None when it was kept.
    """

    size: int
    names: tuple[str, ...]
    times: tuple[int, ...]
    new: bool
    note: Note
    waiting: Path | None = None


def check_cosignature(log: SchoolLog, data: bytes, *, now: int | None = None) -> TakenIn:
    """See whether a cosignature file fits the log. Nothing is written.

    Args:
        log: the log as it is.
        data: the file.
        now: seconds since 1970; the clock's when left out.

    Raises:
        CosignatureError: it does not count; says why. One that is here already is ``replayed``.
        LogError: the log itself is damaged.
    """
    try:
        given = Note.parse(data)
        checkpoint = Checkpoint.parse(given.text)
    except NoteError as error:
        raise CosignatureError(
            "damaged",
            f"this is no cosignature file: {printable_line(str(error))}",
            "ask the school to send it again",
        ) from error
    if checkpoint.origin != log.origin:
        raise CosignatureError(
            "foreign",
            f"it is for the log {printable_line(checkpoint.origin)}, and this is {log.origin}",
            "name the school that it is from",
        )
    opened = _opened(given, log.policy)
    if checkpoint.size > log.size:
        raise CosignatureError(
            "ahead",
            f"it covers {checkpoint.size} entries, and this copy of the log has {log.size}",
            "a colleague's run is not here yet: get it (provision audit sync SCHOOL), then take the file in again",
        )
    if root_at(log, checkpoint.size) != checkpoint.root:
        raise CosignatureError(
            "contradiction",
            f"the school cosigned another history of the first {checkpoint.size} entries than this one",
            "keep the file; stop writing to this log and find out which of the two is right: provision audit verify",
        )
    moment = int(time.time()) if now is None else now
    base = _base(log, checkpoint, given)
    for one in opened:
        stated = one.timestamp or 0
        if stated > moment + _CLOCK_AHEAD:
            raise CosignatureError(
                "clock",
                f"the cosignature of {printable_line(one.key.name)} is from the future: {_said(stated)}",
                "the clock of the school's laptop is wrong, or the one here",
            )
        newest = _newest_time(log, checkpoint.size)
        if stated < newest - _CLOCK_BEHIND:
            # It could not have seen what it says that it saw; kept, it would make the log look forged for good.
            raise CosignatureError(
                "clock",
                f"the cosignature of {printable_line(one.key.name)} says {_said(stated)}, and it covers an entry of "
                f"{_said(newest)}",
                "the clock of the school's laptop is wrong, or the one here; set it, then the school signs again",
            )
        former = _stated(base, one.key)
        if former is not None and former >= stated:
            raise CosignatureError(
                "replayed",
                f"a cosignature of {printable_line(one.key.name)} over these entries is here already, "
                f"from {_said(former)}",
                "nothing to do; for a newer one the school signs again: provision audit witness sign",
                TakenIn(checkpoint.size, (one.key.name,), (former,), False, base),
            )
        base = base.add(next(line for line in given.signatures if one.key.made(line)))
    return TakenIn(
        checkpoint.size,
        tuple(one.key.name for one in opened),
        tuple(one.timestamp or 0 for one in opened),
        True,
        base,
    )


def take_in(writer: LogWriter, content: bytes) -> TakenIn:
    """Keep a cosigned checkpoint, after checking it against the log and its policy.

    Args:
        writer: of the log, which holds its lock.
        content: the file that ``audit witness sign`` made.

    Returns:
        what it says; one that is here already is not new.

    Raises:
        CosignatureError: it does not count. One that contradicts the log is kept under ``evidence/``.
        LogError: the log is damaged, or the disk is full.
    """
    with _evidence(writer.log, content):
        try:
            taken = check_cosignature(writer.log, content)
        except CosignatureError as error:
            if error.kind == "replayed" and error.known is not None:
                return error.known
            raise
        writer.put(f"checkpoints/{taken.size}", taken.note.encode())
        return taken


def hand_in(
    directory: Path, content: bytes, *, now: int | None = None, timeout: float | None = None
) -> TakenIn:
    """The same without the log's keys, for a file that lies on the administrator's machine. Holds the log's lock.

    Where another process holds the lock, the file is checked all the same and left in the log's ``inbox/``, where that
    process takes it from while it waits for the school, and else the next one.

    Args:
        directory: the log's.
        now: seconds since 1970; the clock's when left out.
        timeout: seconds to wait for the lock; ``HAND_IN_TIMEOUT`` when left out.

    Raises:
        CosignatureError: as ``take_in``; also for one that is here already.
        LogError: the log is damaged, or the disk is full.
    """
    SchoolLog.open(directory)
    try:
        with suppress(Timeout):
            return _keep(directory, content, now, HAND_IN_TIMEOUT if timeout is None else timeout)
        taken = _check_unlocked(directory, content, now)
        file = directory / "inbox" / f"{sha256(content).hexdigest()[:32]}.cosignature"
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, content)
        with suppress(Timeout):
            # Whoever was writing may have looked for the last time before the file was there.
            try:
                taken = _keep(directory, content, now, 0)
            except CosignatureError as error:
                # They looked after that, and took it.
                if error.kind != "replayed":
                    raise
            file.unlink(missing_ok=True)
            return taken
        return replace(taken, waiting=file)
    except OSError as error:
        raise LogError(
            f"the cosignature cannot be kept in {directory}: {error.strerror}",
            "make room, then take it in again",
        ) from error


def _keep(directory: Path, content: bytes, now: int | None, timeout: float) -> TakenIn:
    """Check it and keep it.

    Raises:
        Timeout: another process holds the log's lock.
    """
    with FileLock(directory / ".lock", timeout=timeout, mode=0o600):
        log = SchoolLog.open(directory)
        with _evidence(log, content):
            taken = check_cosignature(log, content, now=now)
        file = directory / f"checkpoints/{taken.size}"
        file.parent.mkdir(exist_ok=True)
        write_atomically(file, taken.note.encode())
        return taken


def _check_unlocked(directory: Path, content: bytes, now: int | None) -> TakenIn:
    """Check it against a log that grows meanwhile: a tile that was just replaced is looked for again."""
    for attempt in range(1, _TRIES + 1):
        log = SchoolLog.open(directory)
        try:
            with _evidence(log, content):
                return check_cosignature(log, content, now=now)
        except CosignatureError:
            raise
        except LogError:
            if attempt == _TRIES:
                raise
    raise AssertionError("unreachable")


@contextmanager
def _evidence(log: SchoolLog, content: bytes) -> Iterator[None]:
    """Keep what contradicts the log."""
    try:
        yield
    except CosignatureError as error:
        if error.kind == "contradiction":
            error.evidence = keep_contradiction(log, content)
            if error.evidence is not None:
                error.message += f"; both checkpoints are kept in {error.evidence}"
        raise


def keep_contradiction(log: SchoolLog, data: bytes) -> Path | None:
    """Keep a cosigned checkpoint that contradicts the log, beside the log's own newest one.

    Returns:
        the directory; None when there are too many already.
    """
    parent = log.directory / "evidence"
    there = sorted(parent.glob("*-cosignature")) if parent.is_dir() else []
    for one in there:
        if (one / "cosigned").is_file() and (one / "cosigned").read_bytes() == data:
            return one
    if len(there) >= _MAX_KEPT:
        return None
    place = parent / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z-cosignature"
    place.mkdir(parents=True)
    write_atomically(place / "cosigned", data)
    write_atomically(place / "ours", log.note.encode())
    write_atomically(place / "README.txt", _README.encode())
    return place


_README = """The file “cosigned” is a checkpoint that a witness of this school cosigned. It states another root for its
number of entries than the log has, whose newest checkpoint is in “ours”. If both bear the signature of the log, the
log was forked, and the witness's own directory holds the whole proof. If only “ours” does, somebody showed the
witness a log that this key did not sign.
"""


def _opened(note: Note, policy: Policy) -> list[Opened]:
    witnesses = list(policy.witnesses.values())
    if not any(key.made(line) for key in witnesses for line in note.signatures):
        names = ", ".join(dict.fromkeys(printable_line(line.name, 80) for line in note.signatures[:8]))
        raise CosignatureError(
            "unknown",
            f"no known witness of this school cosigned it; it is signed by {names}",
            "if that is the school's key, compare it with the school by telephone, then: provision audit add-witness",
        )
    try:
        return open_note(note, witnesses)
    except NoteError as error:
        raise CosignatureError(
            "forged", f"it does not hold: {printable_line(str(error))}", "ask the school to sign again"
        ) from error


def _newest_time(log: SchoolLog, size: int) -> int:
    """When the last entry below a size was written, in seconds since 1970."""
    try:
        return int(datetime.fromisoformat(parse(size - 1, log.reader.entry(size - 1)).time).timestamp())
    except (TlogError, EntryError, ValueError, OverflowError) as error:
        raise LogError(
            f"entry {size - 1} of {log.directory} cannot be read: {error}", "see: provision audit verify"
        ) from error


def _base(log: SchoolLog, checkpoint: Checkpoint, given: Note) -> Note:
    """The checkpoint of that size with the log's own signatures, and the cosignatures that are kept."""
    kept = log.archived_at(checkpoint.size)
    if kept is not None:
        if kept.text != checkpoint.text:
            raise LogError(
                f"checkpoints/{checkpoint.size} in {log.directory} does not fit the log",
                "see: provision audit verify",
            )
        return kept
    if log.size == checkpoint.size and log.note.text == checkpoint.text:
        return log.note
    # A size that was not archived: the file brings the log's own signature of that time.
    lines = []
    for key in log_keys(log):
        for line in given.signatures:
            if key.made(line):
                try:
                    key.verify(checkpoint.text, line)
                    lines.append(line)
                except NoteError as error:
                    raise CosignatureError(
                        "forged",
                        f"it does not hold: {printable_line(str(error))}",
                        "ask the school to sign again",
                    ) from error
    if not lines:
        raise CosignatureError(
            "forged",
            "the checkpoint in it is not signed with the key of this log",
            "ask the school to sign again",
        )
    return Note(checkpoint.text, tuple(lines))


def _stated(note: Note, key: VerifierKey) -> int | None:
    """The time of the cosignature by this key that is kept."""
    line: Signature
    for line in note.signatures:
        if key.made(line):
            try:
                return key.verify(note.text, line)
            except NoteError:
                return None
    return None


def _said(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {seconds}"
