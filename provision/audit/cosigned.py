"""Who has cosigned a log, and up to where: read from the checkpoints that are kept."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from provision.audit.entries import Entry, EntryError, parse
from provision.audit.log import LogError, SchoolLog
from provision.audit.tlog import (
    Checkpoint,
    Note,
    NoteError,
    Opened,
    TileReader,
    TlogError,
    VerifierKey,
    open_note,
)


def witness_times(log: SchoolLog) -> dict[str, tuple[int, int]]:
    """How far each witness of the policy has cosigned. Says nothing about the log's own signatures.

    Args:
        log: the log; notes that cannot be read, and those that no witness of today signed, are passed over.

    Returns:
        by name in the policy: the largest size, and when it was cosigned, in seconds since 1970. Witnesses that have
        not cosigned yet are not in it.

    Raises:
        LogError: the policy cannot be read.
    """
    names = {key: name for name, key in log.policy.witnesses.items()}
    found: dict[str, tuple[int, int]] = {}
    for size in reversed(log.archived_sizes()):
        if len(found) == len(names):
            break
        note = _archived(log, size)
        for one in _cosignatures(note, names) if note else ():
            found.setdefault(names[one.key], (size, one.timestamp or 0))
    return found


def cosigned_beyond(log: SchoolLog, index: int) -> list[tuple[str, int, int]]:
    """The cosignatures over an entry, once they are as many as the policy wants.

    Each of them says that its witness has seen the entry, also where not all of them are over the same size. They are
    on checkpoints of this very history, which a key signed that the log has or had.

    Args:
        index: of the entry.

    Returns:
        name in the policy, size and time (seconds since 1970) of each; empty as long as they are not enough, and in
        any case without a cosignature.

    Raises:
        LogError: the log or its policy cannot be read.
    """
    policy = log.policy
    names = {key: name for name, key in policy.witnesses.items()}
    found: dict[str, tuple[int, int]] = {}
    for size in reversed(log.archived_sizes()):
        if size <= index:
            break
        note = _archived(log, size)
        if note is None:
            continue
        new = {
            names[one.key]: (size, one.timestamp or 0)
            for one in _cosignatures(note, names)
            if names[one.key] not in found
        }
        if new and Checkpoint.parse(note.text).root == root_at(log, size) and _signed_by_log(log, note):
            found |= new
            if policy.satisfied(found):
                return [(name, *place) for name, place in found.items()]
    return []


def _archived(log: SchoolLog, size: int) -> Note | None:
    """The kept note of a size, if it is one of this log and of that size."""
    with suppress(LogError, NoteError):
        note = log.archived_at(size)
        if note is not None and size <= log.size:
            checkpoint = Checkpoint.parse(note.text)
            if (checkpoint.origin, checkpoint.size) == (log.origin, size):
                return note
    return None


def _cosignatures(note: Note, keys: Iterable[VerifierKey]) -> list[Opened]:
    """The cosignatures by these keys; none where one of them does not hold."""
    try:
        return open_note(note, keys)
    except NoteError:
        return []


def _signed_by_log(log: SchoolLog, note: Note) -> bool:
    # Today's keys first: for the former ones the whole log is read.
    return bool(_cosignatures(note, log.policy.logs) or _cosignatures(note, log_keys(log)))


def root_at(log: SchoolLog, size: int) -> bytes:
    """Merkle root over the first entries of a log.

    Raises:
        LogError: a tile cannot be read.
    """
    try:
        return TileReader(log.directory, size).root()
    except TlogError as error:
        raise LogError(
            f"the tiles of {log.directory} cannot be read: {error}", "see: provision audit verify"
        ) from error


def log_keys(log: SchoolLog) -> list[VerifierKey]:
    """Every key that this log ever had, as its entries say.

    Raises:
        LogError: the log or its policy cannot be read.
    """
    keys = list(log.policy.logs)
    for entry in _about_keys(log):
        if entry.type == "log.opened":
            named = entry.data.get("keys")
        elif entry.type == "key.added" and entry.data.get("purpose") == "log":
            named = [entry.data.get("key")]
        else:
            continue
        for text in named if isinstance(named, list) else []:
            with suppress(NoteError):
                key = VerifierKey.parse(str(text))
                if key not in keys:
                    keys.append(key)
    return keys


def _about_keys(log: SchoolLog) -> Iterator[Entry]:
    try:
        for index, raw in enumerate(log.reader.entries()):
            # To look for the word first spares most of the time that a long log takes.
            if b'"log.opened"' in raw or b'"key.added"' in raw:
                yield parse(index, raw)
    except (TlogError, EntryError, OSError) as error:
        raise LogError(
            f"the entries of {log.directory} cannot be read: {error}", "see: provision audit verify"
        ) from error
