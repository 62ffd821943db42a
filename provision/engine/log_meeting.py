"""Meeting the copy of the log on a school's server: check it, continue it, take what is missing, bring it up to date.

Nobody needs to trust the server for it: what comes from there is checked against the city's signature and against the
log that we have, and is bounded in size and time.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from provision.audit.cosigned import log_keys
from provision.audit.log import LogError, LogWriter, SchoolLog
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.growth import grow
from provision.audit.tlog.note import Note, VerifierKey, open_note
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader, bundle_path, decode_bundle, tile_path
from provision.audit.tlog.tree import EMPTY_ROOT
from provision.engine.log_copy import CopyState, LogCopy, document
from provision.text import printable_line

#: Entries of the copy that are collected before they are checked have at most so many bytes, together and each on
#: average: several times what ours have, and far less than a server could make of the largest that the format allows.
_MAX_ENTRIES = 64 * 1024 * 1024
_MAX_AVERAGE = 4096
#: What lies beside the tiles and is copied by name and size.
_BESIDE = ("checkpoints", "anchors", "detail")


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
    left = _MAX_ENTRIES + (stop - start) * _MAX_AVERAGE
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
        left -= len(data)
        if left < 0:
            raise ChangedCopyError(
                f"the copy's entries from {start} on are larger than those of a log ever are", _CHANGED
            )
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
        LogError: a file of our own log cannot be read.
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
