"""Taking in what the school gives back: its cosignature over a checkpoint."""

from dataclasses import dataclass

from provision.audit.entries import timestamp
from provision.audit.log import LogError, LogWriter
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import Note, open_note
from provision.audit.tlog.tiles import TileReader


@dataclass(frozen=True, slots=True)
class TakenIn:
    """A cosignature that was taken in.

    Args:
        size: number of entries that it covers. names: the cosigners' key names.
        times: when each cosigned, in Unix seconds.
        new: whether it was not there before.
    """

    size: int
    names: tuple[str, ...]
    times: tuple[int, ...]
    new: bool


def take_in(writer: LogWriter, content: bytes) -> TakenIn:
    """Keep a cosigned checkpoint, after checking it against the log and its policy.

    Args:
        content: the file that ``audit witness sign`` made.

    Raises:
        LogError: it is no such file, of another log, of a state that this log never had (kept as evidence), or by a key
            that the policy does not know.
    """
    try:
        note = Note.parse(content)
        checkpoint = Checkpoint.parse(note.text)
    except TlogError as error:
        raise LogError(
            f"this is no cosigned checkpoint: {error}", "ask the school to send the file again"
        ) from error
    if checkpoint.origin != writer.origin:
        raise LogError(
            f"it is about the log of {checkpoint.origin}, not of {writer.origin}",
            "hand it to the school that it belongs to",
        )
    policy = writer.log.policy
    try:
        signed = {opened.key.vkey: opened for opened in open_note(note, policy.verifiers())}
    except TlogError as error:
        raise LogError(
            f"no key that this log knows signed it: {error}",
            "let the school's key in: provision audit add-witness SCHOOL VKEY",
        ) from error
    witnesses = [opened for key in policy.witnesses.values() if (opened := signed.get(key.vkey))]
    if not witnesses:
        raise LogError(
            "the city signed it, and no witness of this log did",
            "let the school's key in: provision audit add-witness SCHOOL VKEY",
        )
    if not _fits(writer, checkpoint):
        place = f"evidence/{timestamp().replace(':', '')}-contradiction"
        writer.put(f"{place}/cosigned", content)
        writer.put(f"{place}/workspace", writer.log.note.encode())
        raise LogError(
            f"the school cosigned a state of {checkpoint.size} entries that this log never had",
            f"one of the two was forked or rewritten; both checkpoints are kept in {writer.directory / place}",
        )
    known = {opened.key.key_id for opened in signed.values()}
    kept = writer.log.archived_at(checkpoint.size)
    wanted = [signature for signature in note.signatures if signature.key_id in known]
    new = kept is None or any(signature not in kept.signatures for signature in wanted)
    if new:
        writer.archive(Note(note.text, tuple(wanted)))
    return TakenIn(
        checkpoint.size,
        tuple(opened.key.name for opened in witnesses),
        tuple(opened.timestamp or 0 for opened in witnesses),
        new,
    )


def _fits(writer: LogWriter, checkpoint: Checkpoint) -> bool:
    if checkpoint.size > writer.size:
        return False
    return checkpoint.size > 0 and TileReader(writer.directory, checkpoint.size).root() == checkpoint.root
