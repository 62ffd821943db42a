"""A proof of one entry, for somebody who has nothing of the log but two small files."""

from provision.audit.log import LogError, SchoolLog
from provision.audit.tlog import (
    Checkpoint,
    LogProof,
    Note,
    Policy,
    TileReader,
    TlogError,
    leaf_hash,
    open_note,
    verify_inclusion,
)
from provision.errors import UsageError


def prove(log: SchoolLog, index: int) -> tuple[LogProof, bytes]:
    """The proof that an entry is in a log, under the checkpoint that convinces most: the newest one that has the
    cosignatures which the log's policy asks for, else the newest with any, else the newest.

    Args:
        log: the log. index: number of the entry.

    Returns:
        The proof, and the entry's bytes.

    Raises:
        UsageError: there is no such entry.
        LogError: the log is damaged: its tiles do not prove the entry.
    """
    if not 0 <= index < log.size:
        raise UsageError(
            f"there is no entry {index}: the log has {log.size}",
            f"give a number from 0 to {log.size - 1}" if log.size else "the log is empty",
        )
    try:
        note = _best(log, index)
        checkpoint = Checkpoint.parse(note.text)
        reader = TileReader(log.directory, checkpoint.size)
        hashes, entry = reader.inclusion_proof(index), reader.entry(index)
        verify_inclusion(hashes, index, checkpoint.size, leaf_hash(entry), checkpoint.root)
        return LogProof(index, tuple(hashes), note.encode()), entry
    except TlogError as error:
        raise LogError(
            f"entry {index} cannot be proved: {error}", "see what is wrong with: provision audit verify"
        ) from error


def _best(log: SchoolLog, index: int) -> Note:
    try:
        policy = log.policy
    except LogError:
        return log.note
    cosigned: Note | None = None
    # A log that was kept for years has thousands of them: only as many are read as are needed.
    for size in reversed(log.archived_sizes()):
        if size <= index:
            break
        note = log.archived_at(size) if size <= log.size else None
        if note is None:
            continue
        rank = _rank(policy, note)
        if rank == 2:
            return note
        if rank == 1 and cosigned is None:
            cosigned = note
    return cosigned or log.note


def _rank(policy: Policy, note: Note) -> int:
    """2 where the cosignatures are enough, 1 where there are some, 0 where there are none."""
    names = {key: name for name, key in policy.witnesses.items()}
    try:
        cosigners = [names[one.key] for one in open_note(note, names)]
    except TlogError:
        return 0
    return 1 + policy.satisfied(cosigners)
