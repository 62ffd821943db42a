"""The copy of a school's log on its own server: what the school reads, and where several administrators meet.

Nobody needs to trust the server for it: what comes from there is checked against the city's signature and against
the log that we have, and is bounded in size and time.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paramiko

from provision import paths
from provision.audit.detail import DetailError
from provision.audit.entries import ErasurePerformed, RunEnded
from provision.audit.log import LogError, LogWriter, SchoolLog
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import Note, VerifierKey, open_note
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader, bundle_path, decode_bundle, tile_path
from provision.engine.ssh import CONNECT_TIMEOUT, Connection
from provision.errors import ProvisionError
from provision.files import write_atomically
from provision.text import printable_line

#: Where the copies of the logs are on a school's server.
PLACE = "/var/lib/provision/audit"
#: Names the last run, for whoever looks at the server, and for the next run.
LAST_RUN = "/etc/provision/last-run.json"
#: Seconds that the server may take for one answer.
_TIMEOUT = 60.0
#: Longest answer: a request asks for at most two full bundles (16 MiB each, in base64).
_MAX_ANSWER = 48 * 1024 * 1024
#: Bytes of files that are sent in one request.
_BATCH = 2 * 1024 * 1024
#: What lies beside the tiles and is copied by name and size.
_BESIDE = ("checkpoints", "anchors", "detail")
_NAME = re.compile(
    r"checkpoints/[0-9]{1,18}|anchors/[A-Za-z0-9][\w.-]{0,100}|detail/[A-Za-z0-9][\w-]{0,100}\.jsonl",
    re.ASCII,
)


class CopyError(ProvisionError):
    """The copy on the server cannot be read or written; the run itself may go on."""


class ContradictionError(LogError):
    """Two checkpoints that the city signed do not fit together: the log was forked or rewritten."""


@dataclass(frozen=True, slots=True)
class CopyState:
    """What is on the server.

    Args:
        note: the copy's checkpoint as bytes; None where there is no copy.
        last_run: the document of ``LAST_RUN``; None where there is none, or nothing that can be read.
        sizes: bytes of each file beside the tiles. inbox: files that people of the school put there.
    """

    note: bytes | None = None
    last_run: dict[str, Any] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    inbox: Mapping[str, bytes] = field(default_factory=dict)


class LogCopy:
    """Speaks with the program that keeps the copy on a host.

    Its start takes a moment on the server; the first answer is waited for only when it is asked for.

    Args:
        connection: to the host; we become root there.
        school: id, names the directory.
    """

    def __init__(self, connection: Connection, school: str) -> None:
        self._host = connection.host.address
        program = (paths.PACKAGE / "engine" / "remote_copy.py").read_text(encoding="utf-8")
        places = json.dumps([f"{PLACE}/{school}", LAST_RUN])
        command, before = connection.sudo(f"python3 -c {shlex.quote(program)} {shlex.quote(places)}")
        with self._line():
            self._channel = connection.transport.open_session(timeout=CONNECT_TIMEOUT)
            self._channel.settimeout(_TIMEOUT)
            self._channel.exec_command(command)
            self._channel.sendall(before.encode())
            self._answers = self._channel.makefile("rb")

    def _line(self) -> "_Line":
        return _Line(self._host)

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._line():
            self._channel.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline(_MAX_ANSWER)
        if not line.endswith(b"\n"):
            why = printable_line(self._channel.makefile_stderr("rb").read(2000).decode("utf-8", "replace"))
            raise CopyError(
                f"{self._host} does not keep the log's copy: {why or 'no answer'}", "look at the server"
            )
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CopyError(f"{self._host} answers nonsense about the log's copy") from error
        if not isinstance(answer, dict) or "error" in answer:
            why = printable_line(str(answer.get("error") if isinstance(answer, dict) else answer))
            raise CopyError(
                f"the copy of the log on {self._host} failed: {why}", "make room on the server, then again"
            )
        return answer

    def state(self) -> CopyState:
        """What is there now."""
        answer = self._ask(do="state")
        try:
            last = _bytes(answer.get("last_run"))
            return CopyState(
                note=_bytes(answer.get("checkpoint")),
                last_run=_document(last),
                sizes={str(name): int(size) for name, size in dict(answer["sizes"]).items()},
                inbox={str(name): _bytes(data) or b"" for name, data in dict(answer["inbox"]).items()},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CopyError(f"{self._host} answers nonsense about the log's copy") from error

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Files by name; None for those that are not there."""
        answer = self._ask(do="get", files=list(names))
        try:
            return {name: _bytes(answer["files"][name]) for name in names}
        except (ValueError, KeyError, TypeError) as error:
            raise CopyError(f"{self._host} answers nonsense about the log's copy") from error

    def put(
        self,
        files: Sequence[tuple[str, bytes]],
        *,
        remove: Sequence[str] = (),
        last_run: bytes | None = None,
        publish: bool = False,
    ) -> None:
        """Replace files in this order, then remove some, say which run was the last, and let auditors see it."""
        batch: dict[str, str] = {}
        size = 0
        for name, content in files:
            if batch and size + len(content) > _BATCH:
                self._ask(do="put", files=batch, remove=[])
                batch, size = {}, 0
            batch[name] = base64.b64encode(content).decode()
            size += len(content)
        told = None if last_run is None else base64.b64encode(last_run).decode()
        self._ask(do="put", files=batch, remove=list(remove), last_run=told, publish=publish)

    def close(self) -> None:
        """End the program on the server."""
        self._channel.close()


class _Line:
    """Errors of the line as our own."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | paramiko.SSHException | EOFError):
            raise CopyError(
                f"the copy of the log on {self._host} cannot be reached: {error or 'no answer in time'}",
                "the next run places it",
            ) from error


def _bytes(text: Any) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _document(data: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def take_over(copy: LogCopy, state: CopyState, writer: LogWriter, keys: Sequence[VerifierKey]) -> int:
    """Bring our log to the length of the copy, after checking that one continues the other.

    Args:
        keys: those that sign this log.

    Returns:
        number of entries that came from the copy.

    Raises:
        ContradictionError: the city signed both, and they do not fit. Both checkpoints are kept in ``evidence``.
        LogError: the copy is not what its checkpoint says, or is not signed by these keys.
        CopyError: the server does not answer.
    """
    if state.note is None:
        return 0
    note, theirs = _read_note(state.note, writer.origin, keys)
    ours = writer.size
    if theirs.size <= ours:
        own = TileReader(writer.directory, theirs.size).root() if theirs.size else theirs.root
        if own != theirs.root:
            raise contradiction(writer, note, theirs)
        return 0
    raw = list(_entries_of(copy, ours, theirs.size))
    try:
        writer.append_raw(raw, note)
    except LogError as error:
        if ours:
            # Signed by us, and yet no continuation of what we have.
            raise contradiction(writer, note, theirs) from error
        raise
    return theirs.size - ours


def _read_note(data: bytes, origin: str, keys: Sequence[VerifierKey]) -> tuple[Note, Checkpoint]:
    try:
        note = Note.parse(data)
        open_note(note, keys)
        checkpoint = Checkpoint.parse(note.text)
    except TlogError as error:
        raise LogError(
            f"the copy of the log on the server has a checkpoint that we did not sign: {error}",
            "if a colleague renewed the key, get it (git pull); else somebody changed the copy",
        ) from error
    if checkpoint.origin != origin:
        raise LogError(f"the copy on the server is the log of {checkpoint.origin}, not of {origin}")
    return note, checkpoint


def contradiction(writer: LogWriter, note: Note, theirs: Checkpoint) -> ContradictionError:
    """Keep both checkpoints, and the error that says so."""
    place = f"evidence/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-contradiction"
    writer.put(f"{place}/server", note.encode())
    writer.put(f"{place}/workspace", writer.log.note.encode())
    return ContradictionError(
        f"the log of {writer.origin} on the server ({theirs.size} entries) contradicts the one in this workspace "
        f"({writer.size} entries), and both carry the city's signature",
        f"nothing was changed; both checkpoints are kept in {writer.directory / place}: find out who wrote them before "
        "anything else is done, and tell the school",
    )


def _entries_of(copy: LogCopy, start: int, stop: int) -> Iterator[bytes]:
    """Entries of the copy, from one index up to another; each bundle is bounded by the format."""
    for number in range(start // TILE_WIDTH, (stop - 1) // TILE_WIDTH + 1):
        width = min(TILE_WIDTH, stop - number * TILE_WIDTH)
        names = list(dict.fromkeys([bundle_path(number, width), bundle_path(number)]))
        found = copy.get(names)
        data = next((found[name] for name in names if found[name] is not None), None)
        if data is None:
            raise LogError(
                f"the copy on the server lacks its entries from {number * TILE_WIDTH} on",
                "take the log from the school's copy or a backup",
            )
        try:
            entries = decode_bundle(data, None)
        except TlogError as error:
            raise LogError(
                f"the copy's entries from {number * TILE_WIDTH} on are damaged: {error}"
            ) from error
        if len(entries) < width:
            raise LogError(f"the copy's entries from {number * TILE_WIDTH} on are too few")
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
    sizes = {}
    for name, file in _beside(log.directory):
        sizes[name] = file.stat().st_size
        if state.sizes.get(name) != sizes[name]:
            files.append((name, file.read_bytes()))
    note = log.note.encode()
    files.append(("checkpoint", note))
    obsolete = set(partial_names(former)) - set(partial_names(log.size))
    copy.put(files, remove=sorted(obsolete), last_run=last_run, publish=True)
    return CopyState(note=note, last_run=_document(last_run) or state.last_run, sizes=sizes)


def fetch_beside(copy: LogCopy, state: CopyState, log: SchoolLog) -> list[str]:
    """Take from the copy what lies beside its tiles and is not here: a colleague's detail, cosignatures, time stamps.

    Each is checked against the log that we have; what does not fit is left there.

    Returns:
        names of what did not fit.
    """
    odd = []
    missing = [
        name for name in sorted(state.sizes) if _NAME.fullmatch(name) and not (log.directory / name).exists()
    ]
    roots = _detail_roots(log, {Path(name).stem for name in missing if name.startswith("detail/")})
    for name in missing:
        content = copy.get([name])[name]
        file = log.directory / name
        if content is None:
            continue
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if name.startswith("checkpoints/"):
            if _is_of(log, int(file.name), content):
                write_atomically(file, content)
            else:
                odd.append(name)
            continue
        write_atomically(file, content, mode=0o600 if name.startswith("detail/") else 0o644)
        if name.startswith("detail/") and not _is_detail(log, file, roots):
            file.unlink()
            odd.append(name)
    return odd


def _is_of(log: SchoolLog, size: int, content: bytes) -> bool:
    try:
        text = Note.parse(content).text
        return (
            0 < size <= log.size
            and text == Checkpoint(log.origin, size, TileReader(log.directory, size).root()).text
        )
    except TlogError:
        return False


def _is_detail(log: SchoolLog, file: Path, roots: Mapping[str, tuple[int, str]]) -> bool:
    try:
        size, root = log.detail.root(file.stem)
    except (DetailError, OSError):
        return False
    return roots.get(file.stem) == (size, root.hex())


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


def follow_erasures(log: SchoolLog, start: int) -> int:
    """Erase here what others erased, so that nothing that is gone comes back through our copy.

    Args:
        start: first entry that is new here.

    Returns:
        number of runs that were touched.
    """
    touched = 0
    for entry in log.entries(start):
        if entry.type == ErasurePerformed.type:
            for erased in entry.data["erased"]:
                log.detail.erase(str(erased["run"]), set(erased["numbers"]), str(entry.event["id"]))
                touched += 1
    return touched


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
