"""What lies beside the tiles of a log's copy and may be taken from there: detail, cosignatures, time stamps.

Nothing is taken because the server has it: detail must give the root that the log has of it, a signature must be one
that a known key made, a time stamp one of an authority that the workspace trusts.
"""

import hashlib
import re
import tempfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from provision.audit.cosignatures import CosignatureError, take_in
from provision.audit.cosigned import log_keys
from provision.audit.detail import DetailError, DetailStore
from provision.audit.entries import ErasurePerformed, KeyAdded, RunEnded
from provision.audit.log import LogError, LogWriter, SchoolLog
from provision.audit.record import forget_steps
from provision.audit.timestamp import TimeStampError, chain_pem, check_time_stamp, load_roots
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import NoteError, TlogError
from provision.audit.tlog.note import Note, Signature, VerifierKey
from provision.audit.tlog.tiles import TileReader
from provision.engine.log_copy import CopyState, LogCopy
from provision.errors import UsageError
from provision.files import write_atomically

_NAME = re.compile(
    r"checkpoints/[1-9][0-9]{0,17}|anchors/[1-9][0-9]{0,17}\.tsr|anchors/[A-Za-z0-9][\w.-]{0,100}\.pem"
    r"|detail/[A-Za-z0-9][\w-]{0,100}\.jsonl",
    re.ASCII,
)
#: So many that do not fit are looked at; a server that has more has made them up.
_MAX_ODD = 20


def fetch_beside(
    copy: LogCopy, state: CopyState, writer: LogWriter, authority: Sequence[bytes] = ()
) -> list[str]:
    """Take from the copy what lies beside its tiles and is not here.

    Each is checked against the log that we have; what does not fit is left there, and so are time stamps of an
    authority that we do not know.

    Args:
        authority: PEM files with the certificates of the time-stamp authority that we trust.

    Returns:
        names of what did not fit.
    """
    log = writer.log
    missing = [name for name in sorted(state.sizes) if _NAME.fullmatch(name) and _differs(log, name, state)]
    runs = _runs_of(log, {Path(name).stem for name in missing if name.startswith("detail/")})
    odd: list[str] = []
    for name in missing:
        part, _, rest = name.partition("/")
        if len(odd) >= _MAX_ODD:
            break
        if part == "detail":
            run = runs.get(rest.removesuffix(".jsonl"))
            # Of a run that has not ended, or was broken off, the log does not say what its detail is.
            fits = run is None or run.broken or _take_detail(copy, name, writer, run)
        elif part == "checkpoints":
            fits = _take_checkpoint(copy, name, writer)
        else:
            fits = not authority or _take_anchor(copy, name, writer, authority)
        if not fits:
            odd.append(name)
    return odd


def _differs(log: SchoolLog, name: str, state: CopyState) -> bool:
    file = log.directory / name
    if not file.exists():
        return True
    return (
        name.startswith("checkpoints/")
        and name in state.hashes
        and hashlib.sha256(file.read_bytes()).hexdigest() != state.hashes[name]
    )


def _text_at(log: SchoolLog, size: int) -> str | None:
    """The text of our own checkpoint of that size; None where we have not so many entries."""
    if not 0 < size <= log.size:
        return None
    return Checkpoint(log.origin, size, TileReader(log.directory, size).root()).text


def _take_checkpoint(copy: LogCopy, name: str, writer: LogWriter) -> bool:
    content = copy.get([name])[name]
    try:
        theirs = Note.parse(content or b"")
        if theirs.text != _text_at(writer.log, int(Path(name).name)):
            return False
    except TlogError:
        return False
    log = writer.log
    today = list(log.policy.witnesses.values())
    lines = [line for line in theirs.signatures if any(key.made(line) for key in today)]
    signed = _verified(theirs, log_keys(log))
    if not signed:
        return False
    # Those of former witnesses count for what they covered.
    former = _verified(theirs, [key for key in _witness_keys(log) if key not in today])
    kept = log.archived_at(int(Path(name).name))
    there = kept.signatures if kept else ()
    ids = {(line.name, line.key_id) for line in there}
    new = tuple(line for line in (*signed, *former) if (line.name, line.key_id) not in ids)
    if new:
        writer.put(name, Note(theirs.text, (*there, *new)).encode())
    # One by one: of two, another may be the older, or wrong.
    for line in lines:
        with suppress(CosignatureError):
            take_in(writer, Note(theirs.text, (*signed, line)).encode())
    return True


def _verified(note: Note, keys: Sequence[VerifierKey]) -> list[Signature]:
    """The signatures of a note that these keys made, one of each."""
    lines = []
    for key in keys:
        for line in note.signatures:
            if key.made(line):
                with suppress(NoteError):
                    key.verify(note.text, line)
                    lines.append(line)
                    break
    return lines


def _witness_keys(log: SchoolLog) -> list[VerifierKey]:
    """Every witness that the log ever named."""
    keys = []
    for entry in log.entries():
        if entry.type == KeyAdded.type and entry.data.get("purpose") == "witness":
            with suppress(NoteError):
                keys.append(VerifierKey.parse(str(entry.data.get("key"))))
    return keys


def _take_anchor(copy: LogCopy, name: str, writer: LogWriter, authority: Sequence[bytes]) -> bool:
    content = copy.get([name])[name] or b""
    try:
        trusted = load_roots(authority)
        if name.endswith(".pem"):
            known = [one for one in load_roots([content]) if one in trusted]
            if known:
                writer.put(name, chain_pem(known))
            return True
        text = _text_at(writer.log, int(Path(name).stem))
        if text is None:
            return False
        check_time_stamp(content, text.encode(), trusted)
    except (UsageError, TimeStampError, TlogError):
        return False
    writer.put(name, content)
    return True


@dataclass(slots=True)
class _Run:
    """What the log says of a run's detail.

    Args:
        size, root: steps, and the root over them (hex). broken: closed by a later run with what that one knew.
        erased: steps that were erased, by the id of the entry.
    """

    name: str
    size: int
    root: str
    broken: bool
    erased: dict[str, list[int]] = field(default_factory=dict)


def _runs_of(log: SchoolLog, names: Collection[str]) -> dict[str, _Run]:
    found: dict[str, _Run] = {}
    erased: dict[str, dict[str, list[int]]] = {}
    wanted = set(names)
    # What was erased comes behind the end of the run.
    for entry in log.backwards() if wanted else ():
        if entry.type == ErasurePerformed.type:
            for one in entry.data["erased"]:
                erased.setdefault(str(one["run"]), {})[str(entry.event["id"])] = list(one["numbers"])
        elif entry.type == RunEnded.type and entry.data.get("run") in wanted:
            name = str(entry.data["run"])
            found[name] = _Run(
                name,
                int(entry.data["detail_size"]),
                str(entry.data["detail_root"]),
                entry.data.get("outcome") in {"broken off", "withdrawn"},
                erased.get(name, {}),
            )
            wanted.discard(name)
            if not wanted:
                break
    return found


def _take_detail(copy: LogCopy, name: str, writer: LogWriter, run: _Run) -> bool:
    """Take a run's detail if it is whole and nothing in it altered; what was erased does not come back."""
    content = copy.get([name])[name]
    if content is None:
        return False
    with tempfile.TemporaryDirectory(prefix="provision-audit-") as place:
        store = DetailStore(Path(place))
        file = store.file(run.name)
        try:
            file.write_bytes(content)
            if not all(line.fits for line in store.read(run.name)):
                return False
            if store.root(run.name) != (run.size, bytes.fromhex(run.root)):
                return False
            for entry, numbers in run.erased.items():
                store.erase(run.name, set(numbers), entry)
            content = file.read_bytes()
        except (DetailError, OSError, ValueError):
            return False
    target = writer.directory / name
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(target, content, mode=0o600)
    except OSError as error:
        raise LogError(
            f"{target} cannot be written: {error.strerror}", "make room, then try again"
        ) from error
    return True


def follow_erasures(log: SchoolLog, start: int, runs: Path) -> None:
    """Erase here what others erased, so that nothing that is gone comes back through our copy.

    Args:
        start: first entry that may be new here. runs: the documents of the school's runs.

    Raises:
        LogError: a detail cannot be read or written.
    """
    for entry in log.entries(start):
        if entry.type != ErasurePerformed.type:
            continue
        for erased in entry.data["erased"]:
            run = str(erased["run"])
            try:
                log.detail.erase(run, set(erased["numbers"]), str(entry.event["id"]))
                forget_steps(runs / run)
            except (DetailError, OSError, ValueError) as error:
                raise LogError(
                    f"what entry {entry.index} erased cannot be erased here: {error}",
                    f"look at {log.detail.file(run)}: a file that is damaged is removed by hand, then try again",
                ) from error
