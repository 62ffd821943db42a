"""The checkpoints that somebody holds of a log: in its archive, as evidence, in the hands of whoever verifies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from provision.audit.tlog import (
    MAX_NOTE,
    Checkpoint,
    Note,
    NoteError,
    Signature,
    TlogError,
    VerifierKey,
    list_names,
    read_file,
)
from provision.audit.verify.findings import Findings, Severity
from provision.errors import UsageError

#: Most checkpoints that are looked at in one directory, and most files of evidence.
MAX_NOTES = 100_000
MAX_EVIDENCE = 1000
#: Wrong cosignatures for which it is looked up where they were taken from.
_LOOKED_UP = 20


class Role(StrEnum):
    """Where a checkpoint came from."""

    CURRENT = "current"
    ARCHIVED = "archived"
    EVIDENCE = "evidence"
    AGAINST = "against"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's line that holds. ``name`` is that of the policy, the key's own where the policy has none."""

    name: str
    key: VerifierKey
    time: int


@dataclass(slots=True)
class Held:
    """A checkpoint that somebody holds.

    Args:
        source: where it was read, for people. copy: the other copy of the log that it came with, if it did.
        logs: the log's keys whose signature holds. cosignatures: those of witnesses that hold.
    """

    source: str
    role: Role
    note: Note
    checkpoint: Checkpoint
    copy: Path | None = None
    logs: list[VerifierKey] = field(default_factory=list)
    cosignatures: list[Cosignature] = field(default_factory=list)


def gather(
    directory: Path, current: Note, origin: str, against: Sequence[Path], findings: Findings
) -> list[Held]:
    """Every checkpoint of a log that can be had, the newest of the log itself first. No signature is verified here.

    Args:
        directory: the log's. current: its newest checkpoint. origin: its name.
        against: checkpoints, or other copies of the log, that whoever verifies holds.

    Raises:
        UsageError: something given in ``against`` is no such thing.
    """
    found = [Held("checkpoint", Role.CURRENT, current, Checkpoint.parse(current.text))]
    found += _archive(directory, "", Role.ARCHIVED, findings)
    found += _evidence(directory, findings)
    for place in against:
        found += _given(place, findings)
    kept = []
    for one in found:
        if one.checkpoint.origin == origin:
            kept.append(one)
        elif one.role is not Role.EVIDENCE:
            findings.add("foreign/checkpoint", file=one.source, origin=one.checkpoint.origin)
    return kept


def _archive(directory: Path, label: str, role: Role, findings: Findings) -> Iterator[Held]:
    try:
        names = list_names(directory, "checkpoints", MAX_NOTES)
    except TlogError as error:
        findings.add("damaged/note", file=f"{label}checkpoints", error=str(error))
        return
    for name in sorted((one for one in names if one.isascii() and one.isdigit() and len(one) < 20), key=int):
        source = f"{label}checkpoints/{name}"
        try:
            data = read_file(directory, f"checkpoints/{name}", MAX_NOTE) or b""
            note = Note.parse(data)
            checkpoint = Checkpoint.parse(note.text)
        except TlogError as error:
            findings.add("damaged/note", file=source, error=str(error))
            continue
        if str(checkpoint.size) != name:
            findings.add("damaged/name", file=source, size=checkpoint.size)
        yield Held(source, role, note, checkpoint, copy=directory if role is Role.AGAINST else None)


def _evidence(directory: Path, findings: Findings) -> Iterator[Held]:
    """Notes under ``evidence``, one or two directories deep.

    What a writer left over, and a copy that nobody signed, prove nothing: the log's own entries tell of them.
    """
    pending = ["evidence"]
    seen = 0
    while pending:
        place = pending.pop()
        try:
            names = sorted(list_names(directory, place, MAX_EVIDENCE))
        except TlogError:
            findings.add("evidence/unreadable", file=place, severity=Severity.WARNING)
            continue
        for name in names:
            path = f"{place}/{name}"
            seen += 1
            if seen > MAX_EVIDENCE:
                return
            if name.endswith(("-left-over", "-changed-copy")):
                continue
            if (directory / path).is_dir():
                if path.count("/") < 3:
                    pending.append(path)
                continue
            try:
                note = Note.parse(read_file(directory, path, MAX_NOTE) or b"")
                yield Held(path, Role.EVIDENCE, note, Checkpoint.parse(note.text))
            except TlogError:
                # Words about the evidence lie beside it.
                if not name.endswith((".txt", ".md", ".json")):
                    findings.add("evidence/unreadable", file=path, severity=Severity.WARNING)


def _given(place: Path, findings: Findings) -> Iterator[Held]:
    """A checkpoint or another copy of the log that the caller holds."""
    copy = place if place.is_dir() else None
    parent, name = (place, "checkpoint") if copy else (place.absolute().parent, place.name)
    try:
        data = read_file(parent, name, MAX_NOTE)
        if data is None:
            raise UsageError(
                f"there is no checkpoint at {place}",
                "give a signed checkpoint, or a directory that holds a copy of the log",
            )
        note = Note.parse(data)
        checkpoint = Checkpoint.parse(note.text)
    except TlogError as error:
        raise UsageError(
            f"{place} is no signed checkpoint: {error}",
            "give a signed checkpoint, or a directory that holds a copy of the log",
        ) from error
    yield Held(str(place), Role.AGAINST, note, checkpoint, copy=copy)
    if copy:
        yield from _archive(copy, f"{place}/", Role.AGAINST, findings)


def verify_signatures(
    held: Sequence[Held],
    log_keys: Sequence[VerifierKey],
    witnesses: dict[str, VerifierKey],
    findings: Findings,
) -> None:
    """Verify every signature by a known key; fill in ``logs`` and ``cosignatures``.

    Args:
        log_keys: every key that the log ever had. witnesses: keys of witnesses by name.
    """
    logs = {(key.name, key.key_id): key for key in log_keys}
    named = {(key.name, key.key_id): (name, key) for name, key in witnesses.items()}
    looked_up = 0
    for one in held:
        seen: set[tuple[str, bytes]] = set()
        for signature in one.note.signatures:
            identity = (signature.name, signature.key_id)
            log, witness = logs.get(identity), named.get(identity)
            if log is None and witness is None:
                continue
            if identity in seen:
                findings.add("signature/bad", file=one.source, key=signature.name)
                continue
            seen.add(identity)
            try:
                if log is not None:
                    log.verify(one.note.text, signature)
                    one.logs.append(log)
                elif witness is not None:
                    time = witness[1].verify(one.note.text, signature)
                    one.cosignatures.append(Cosignature(witness[0], witness[1], time or 0))
            except NoteError:
                if log is not None:
                    findings.add("signature/bad", file=one.source, key=_shown(log))
                elif witness is not None:
                    looked_up += 1
                    _say_replayed(
                        one, witness[1], signature, held if looked_up < _LOOKED_UP else (), findings
                    )


def _say_replayed(
    one: Held, key: VerifierKey, signature: Signature, others: Sequence[Held], findings: Findings
) -> None:
    """A cosignature that is not over its note: say which note it was made for, if we have that."""
    for other in others:
        try:
            key.verify(other.note.text, signature)
        except NoteError:
            continue
        findings.add("replayed/other", file=one.source, key=_shown(key), other=other.source)
        return
    findings.add("replayed/unknown", file=one.source, key=_shown(key))


def _shown(key: VerifierKey) -> str:
    return f"{key.name} ({key.key_id.hex()})"


shown_key = _shown
