"""Meeting the copy of the log on a school's server: check it, continue it, take what is missing, bring it up to date.

Nobody needs to trust the server for it: what comes from there is checked against the city's signature and against the
log that we have, and is bounded in size and time.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from provision.audit.cosignatures import CosignatureError, take_in
from provision.audit.cosigned import log_keys
from provision.audit.detail import DetailError, DetailStore
from provision.audit.entries import ErasurePerformed, RunEnded
from provision.audit.log import LogError, LogWriter, SchoolLog
from provision.audit.record import forget_steps
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.growth import grow
from provision.audit.tlog.note import Note, VerifierKey, open_note
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader, bundle_path, decode_bundle, tile_path
from provision.audit.tlog.tree import EMPTY_ROOT
from provision.engine.log_copy import CopyState, LogCopy, document
from provision.files import write_atomically
from provision.text import printable_line

#: What lies beside the tiles and is copied by name and size.
_BESIDE = ("checkpoints", "anchors", "detail")
_NAME = re.compile(
    r"checkpoints/[0-9]{1,18}|anchors/[A-Za-z0-9][\w.-]{0,100}|detail/[A-Za-z0-9][\w-]{0,100}\.jsonl",
    re.ASCII,
)


class ContradictionError(LogError):
    """Two checkpoints that the city signed do not fit together: the log was forked or rewritten.

    Attributes:
        note: the copy's checkpoint. theirs: what it says.
    """

    def __init__(self, writer: LogWriter, note: Note, theirs: Checkpoint) -> None:
        super().__init__(
            f"the log of {writer.origin} on the server ({theirs.size} entries) contradicts the one in this workspace "
            f"({writer.size} entries), and both carry the city's signature",
            "nothing was changed. Find out who wrote them, and tell the school. To go on with the server's history, "
            f"move {writer.directory} aside (keep it, it is evidence) and run: provision audit sync",
        )
        self.note = note
        self.theirs = theirs

    def keep(self, writer: LogWriter) -> None:
        """Put both checkpoints into ``evidence``."""
        place = f"evidence/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-contradiction"
        writer.put(f"{place}/server", self.note.encode())
        writer.put(f"{place}/workspace", writer.log.note.encode())
        self.remedy += f". Both checkpoints are in {writer.directory / place}"


class ChangedCopyError(LogError):
    """The copy is not what we left there: damaged, or somebody changed it."""


def take_over(copy: LogCopy, state: CopyState, writer: LogWriter, keys: Sequence[VerifierKey]) -> int:
    """Bring our log to the length of the copy, after checking that one continues the other.

    Args:
        keys: those that sign this log now.

    Returns:
        number of entries that came from the copy.

    Raises:
        ContradictionError: both histories have the city's signature, and they do not fit.
        ChangedCopyError: the copy is not what its checkpoint says, or nobody that we know signed it.
        LogError: our own log cannot be written.
        CopyError: the server does not answer.
    """
    if state.note is None:
        return 0
    note, theirs = _read_note(state.note, writer.origin)
    ours = writer.size
    if theirs.size <= ours:
        # What equals our own history needs no signature: a former key's is as good.
        own = TileReader(writer.directory, theirs.size).root() if theirs.size else EMPTY_ROOT
        if own == theirs.root:
            return 0
        _check_signed(note, [*keys, *known_keys(writer)])
        raise ContradictionError(writer, note, theirs)
    _check_signed(note, keys)
    raw = list(_entries_of(copy, ours, theirs.size))
    if grow(TileReader(writer.directory, ours), raw).root != theirs.root:
        # Signed by us and no continuation of what we have: damaged, or another history? Its own hash tiles know.
        if ours and _root_by_tiles(copy, theirs.size, ours, theirs.root) != writer.log.root:
            raise ContradictionError(writer, note, theirs)
        raise ChangedCopyError(
            f"the copy on the server is damaged: its entries from {ours} on are not those that its checkpoint signs",
            _CHANGED,
        )
    writer.append_raw(raw, note)
    return theirs.size - ours


def continues(copy: LogCopy, theirs: Checkpoint, writer: LogWriter, size: int) -> bool:
    """Whether the copy continues our first entries.

    Args:
        size: how many of ours.
    """
    if theirs.size < size:
        return False
    try:
        raw = list(_entries_of(copy, size, theirs.size)) if theirs.size > size else []
    except ChangedCopyError:
        return False
    return grow(TileReader(writer.directory, size), raw).root == theirs.root


_CHANGED = (
    "if a colleague renewed the key, get it (git pull); else somebody changed the copy: look who was on the server, "
    "then put ours in its place: provision audit sync SCHOOL --replace-copy"
)


def known_keys(writer: LogWriter) -> list[VerifierKey]:
    """Every key that our own log names as one of the city's."""
    return log_keys(writer.log) if writer.size else []


def _read_note(data: bytes, origin: str) -> tuple[Note, Checkpoint]:
    try:
        note = Note.parse(data)
        checkpoint = Checkpoint.parse(note.text)
    except TlogError as error:
        raise ChangedCopyError(
            f"the copy on the server has a damaged checkpoint: {error}", _CHANGED
        ) from error
    if checkpoint.origin != origin:
        raise ChangedCopyError(
            f"the copy on the server is the log of {printable_line(checkpoint.origin)}, not of {origin}",
            _CHANGED,
        )
    return note, checkpoint


def _check_signed(note: Note, keys: Sequence[VerifierKey]) -> None:
    try:
        open_note(note, list(dict.fromkeys(keys)))
    except TlogError as error:
        raise ChangedCopyError(
            f"the copy of the log on the server has a checkpoint that we did not sign: {error}", _CHANGED
        ) from error


def _root_by_tiles(copy: LogCopy, size: int, former: int, root: bytes) -> bytes:
    """The root of the copy's first entries, as its own hash tiles give it.

    Args:
        size, root: what the copy's checkpoint says.
        former: number of entries.

    Raises:
        ChangedCopyError: its tiles do not give its own root.
    """
    with tempfile.TemporaryDirectory(prefix="provision-audit-") as place:
        top = Path(place)
        for name in tile_names(0, size):
            if name.startswith("tile/entries/"):
                continue
            content = copy.get([name])[name]
            if content is not None:
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_bytes(content)
        try:
            if TileReader(top, size).root() == root:
                return TileReader(top, former).root()
        except TlogError:
            pass
    raise ChangedCopyError(
        "the copy on the server is damaged: its tiles do not give its checkpoint", _CHANGED
    )


def _entries_of(copy: LogCopy, start: int, stop: int) -> Iterator[bytes]:
    """Entries of the copy, from one index up to another; each bundle is bounded by the format."""
    for number in range(start // TILE_WIDTH, (stop - 1) // TILE_WIDTH + 1):
        width = min(TILE_WIDTH, stop - number * TILE_WIDTH)
        names = list(dict.fromkeys([bundle_path(number, width), bundle_path(number)]))
        found = copy.get(names)
        data = next((found[name] for name in names if found[name] is not None), None)
        if data is None:
            raise ChangedCopyError(
                f"the copy on the server lacks its entries from {number * TILE_WIDTH} on", _CHANGED
            )
        try:
            entries = decode_bundle(data, None)
        except TlogError as error:
            raise ChangedCopyError(
                f"the copy's entries from {number * TILE_WIDTH} on are damaged: {error}", _CHANGED
            ) from error
        if len(entries) < width:
            raise ChangedCopyError(f"the copy's entries from {number * TILE_WIDTH} on are too few", _CHANGED)
        yield from entries[max(0, start - number * TILE_WIDTH) : width]


def hand_over(copy: LogCopy, state: CopyState, log: SchoolLog, *, last_run: bytes | None = None) -> CopyState:
    """Bring the copy to the length of our log; the checkpoint comes last.

    Args:
        state: what is there, as found or as the last ``hand_over`` gave it back.

    Returns:
        what is there now.

    Raises:
        CopyError: the server does not answer, its disk is full, ...
    """
    former = 0
    if state.note is not None:
        try:
            former = Checkpoint.parse(Note.parse(state.note).text).size
        except TlogError:
            former = 0
    files = [(name, (log.directory / name).read_bytes()) for name in tile_names(former, log.size)]
    sizes, hashes = {}, {}
    for name, file in _beside(log.directory):
        sizes[name] = file.stat().st_size
        if name in state.hashes:
            content = file.read_bytes()
            hashes[name] = hashlib.sha256(content).hexdigest()
            if state.hashes[name] != hashes[name]:
                files.append((name, content))
        elif state.sizes.get(name) != sizes[name]:
            files.append((name, file.read_bytes()))
    note = log.note.encode()
    files.append(("checkpoint", note))
    obsolete = set(partial_names(former)) - set(partial_names(log.size))
    copy.put(files, remove=sorted(obsolete), last_run=last_run, publish=True)
    return CopyState(note=note, last_run=document(last_run) or state.last_run, sizes=sizes, hashes=hashes)


def fetch_beside(copy: LogCopy, state: CopyState, writer: LogWriter) -> list[str]:
    """Take from the copy what lies beside its tiles and is not here: a colleague's detail, cosignatures, time stamps.

    Each is checked against the log that we have; what does not fit is left there.

    Returns:
        names of what did not fit.
    """
    odd = []
    log = writer.log
    missing = [name for name in sorted(state.sizes) if _NAME.fullmatch(name) and _differs(log, name, state)]
    roots = _detail_roots(log, {Path(name).stem for name in missing if name.startswith("detail/")})
    for name in missing:
        content = copy.get([name])[name]
        file = log.directory / name
        if content is None:
            continue
        if name.startswith("checkpoints/"):
            if not _is_of(log, int(file.name), content):
                odd.append(name)
            elif file.exists():
                _merge(writer, content)
            else:
                writer.put(name, content)
        elif name.startswith("detail/"):
            if not _is_detail(file.stem, content, roots):
                odd.append(name)
            else:
                file.parent.mkdir(mode=0o700, exist_ok=True)
                write_atomically(file, content, mode=0o600)
        else:
            writer.put(name, content)
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


def _merge(writer: LogWriter, content: bytes) -> None:
    """Each cosignature of the copy that is newer than ours; one by one, since another may be the older."""
    theirs = Note.parse(content)
    witnesses = list(writer.log.policy.witnesses.values())
    lines = [line for line in theirs.signatures if any(key.made(line) for key in witnesses)]
    others = tuple(line for line in theirs.signatures if line not in lines)
    for line in lines:
        with suppress(CosignatureError):
            take_in(writer, Note(theirs.text, (*others, line)).encode())


def _is_of(log: SchoolLog, size: int, content: bytes) -> bool:
    try:
        text = Note.parse(content).text
        return (
            0 < size <= log.size
            and text == Checkpoint(log.origin, size, TileReader(log.directory, size).root()).text
        )
    except TlogError:
        return False


def _is_detail(run: str, content: bytes, roots: Mapping[str, tuple[int, str]]) -> bool:
    """Whether a file is the whole detail of a run, nothing in it altered."""
    with tempfile.TemporaryDirectory(prefix="provision-audit-") as place:
        store = DetailStore(Path(place))
        try:
            store.file(run).write_bytes(content)
            if not all(line.fits for line in store.read(run)):
                return False
            size, root = store.root(run)
        except (DetailError, OSError):
            return False
    return roots.get(run) == (size, root.hex())


def _detail_roots(log: SchoolLog, runs: set[str]) -> dict[str, tuple[int, str]]:
    """What the log says of the detail of runs."""
    found: dict[str, tuple[int, str]] = {}
    wanted = set(runs)
    for entry in log.backwards() if wanted else ():
        if entry.type == RunEnded.type and entry.data.get("run") in wanted:
            run = str(entry.data["run"])
            found[run] = (int(entry.data.get("detail_size", -1)), str(entry.data.get("detail_root")))
            wanted.discard(run)
            if not wanted:
                break
    return found


def follow_erasures(log: SchoolLog, start: int, runs: Path) -> None:
    """Erase here what others erased, so that nothing that is gone comes back through our copy.

    Args:
        start: first entry that may be new here. runs: the documents of the school's runs.
    """
    for entry in log.entries(start):
        if entry.type == ErasurePerformed.type:
            for erased in entry.data["erased"]:
                run = str(erased["run"])
                log.detail.erase(run, set(erased["numbers"]), str(entry.event["id"]))
                forget_steps(runs / run)


def _beside(directory: Path) -> Iterator[tuple[str, Path]]:
    for part in _BESIDE:
        for file in sorted((directory / part).glob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield f"{part}/{file.name}", file
    if (directory / "policy").is_file():
        yield "policy", directory / "policy"


def tile_names(former: int, size: int) -> list[str]:
    """The tiles and bundles that a tree of ``size`` has and one of ``former`` has not, hash tiles of all levels."""
    if size <= former:
        return []
    names = []
    level, old, new = 0, former, size
    while new:
        for number in range(old // TILE_WIDTH, (new - 1) // TILE_WIDTH + 1):
            width = min(TILE_WIDTH, new - number * TILE_WIDTH)
            if number * TILE_WIDTH + width > old:
                names.append(tile_path(level, number, width))
                if level == 0:
                    names.append(bundle_path(number, width))
        level, old, new = level + 1, old // TILE_WIDTH, new // TILE_WIDTH
    return names


def partial_names(size: int) -> list[str]:
    """The partial tiles and bundles of a tree: those at its edge."""
    names = []
    level = 0
    while size:
        number, width = divmod(size, TILE_WIDTH)
        if width:
            names.append(tile_path(level, number, width))
            if level == 0:
                names.append(bundle_path(number, width))
        level, size = level + 1, number
    return names
