"""``audit pack``: everything that an auditor needs, in one zip file that reads itself.

::

    README.md (LLEGIU-ME.md, LEEME.md)  how to verify, with this tool, with others, and by hand
    log/                                the log as it is kept: checkpoint, tile/, policy, checkpoints/, anchors/, …
    policy.txt                          what the verifier relies on: the log's own policy, or the one that was given
    proofs/<index>-<type>.tlog-proof    inclusion proof of each run's intent and end in the period
    proofs/….tlog-proof.json            the entry that it proves, byte for byte
    report.<lang>.html                  the report of the period
    SHA256SUMS                          of all files before it

The same log gives the same bytes: names are sorted, times are fixed. Tiles are written as wide as the checkpoint needs
them, so that a log that grows meanwhile does no harm.
"""

import hashlib
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from provision.audit.entries import Entry
from provision.audit.log import LogError, SchoolLog
from provision.audit.outfile import being_written
from provision.audit.packreadme import NAMES, Example, readme
from provision.audit.select import Selection
from provision.audit.tlog import (
    MAX_NOTE,
    TILE_WIDTH,
    Checkpoint,
    LogProof,
    Note,
    Policy,
    TileReader,
    TlogError,
    bundle_path,
    encode_bundle,
    leaf_hash,
    list_names,
    read_file,
    tile_path,
    verify_inclusion,
)
from provision.audit.words import Language
from provision.errors import UsageError

#: Types of which each entry of the period gets a proof of its own.
PROVED: Final = ("run.intent", "run.ended")
#: Zip knows no time before it.
_WHEN: Final = (1980, 1, 1, 0, 0, 0)
_DAMAGED: Final = "nothing was packed; see what is wrong: provision audit verify {}"
_MAX_FILES: Final = 100_000
_MAX_ANCHOR: Final = 1024 * 1024
_MAX_DETAIL: Final = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Packed:
    """What was packed.

    Args:
        file: the zip file. sha256: of it.
        entries: in the log. proofs: entries that have a proof of their own.
        cosigned: size of the newest checkpoint that has all cosignatures which the policy asks for; None where none
            has, or where the policy asks for none.
        anchors: number of time stamps. report: whether there is one.
    """

    file: Path
    sha256: str
    entries: int
    proofs: int
    cosigned: int | None
    anchors: int
    report: bool


def write_pack(
    log: SchoolLog,
    file: Path,
    *,
    lang: Language,
    selection: Selection | None = None,
    policy: Policy | None = None,
    detail: bool = True,
    report: Callable[[], str] | None = None,
) -> Packed:
    """Write a pack.

    Args:
        log: what is packed; the log itself always as a whole, since a part of it proves nothing.
        file: the zip file; replaced as one step.
        lang: language of the README and the report.
        selection: entries that get a proof of their own, among the intents and ends of runs.
        policy: what the verifier relies on; the log's own when left out.
        detail: whether the single steps of the runs are in it. They say more of persons than the log does.
        report: makes the report's HTML.

    Raises:
        LogError: the log is damaged, or does not fit its checkpoint; no file is written.
        UsageError: ``policy`` does not know this log, or ``file`` lies in the log's directory.
        OSError: the file cannot be written.
    """
    if log.directory.resolve() in file.resolve().parents:
        raise UsageError(
            f"{file} lies in the directory of the log itself", "Name a file outside of it with --to."
        )
    if not log.size:
        raise LogError(f"the log in {log.directory} has no entry yet", "There is nothing to pack.")
    _check_root(log)
    policy = policy or log.policy
    best, cosigned = _best(log, policy)
    made = _Pack(log, lang, policy, best)
    with being_written(file) as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            proofs, example = made.prove(archive, selection or Selection())
            made.copy(archive, detail=detail)
            made.put(archive, "policy.txt", policy.text.encode())
            if report is not None:
                made.put(archive, f"report.{lang}.html", report().encode())
            text = readme(
                lang,
                log,
                policy,
                example,
                cosigned=cosigned,
                anchors=made.anchors,
                detail=detail,
                report=report is not None,
            )
            made.put(archive, NAMES[lang], text.encode())
            sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(made.sums.items()))
            made.put(archive, "SHA256SUMS", sums.encode())
        digest = _digest(out)
    return Packed(file, digest, log.size, proofs, cosigned, len(made.anchors), report is not None)


def _best(log: SchoolLog, policy: Policy) -> tuple[tuple[int, Note], int | None]:
    """The checkpoint that proofs lead to: the newest with the whole quorum, else the newest."""
    newest = log.size, log.note
    try:
        policy.open(log.note)
    except TlogError as error:
        raise UsageError(
            f"the policy does not fit this log: {error}",
            "Name the policy that the school gave you with --policy.",
        ) from None
    for size, note in [newest, *reversed(log.archived())]:
        try:
            if 0 < size <= log.size and (opinion := policy.open(note)).quorum_met:
                return (size, note), size if opinion.witnesses else None
        except TlogError:
            continue
    return newest, None


def _check_root(log: SchoolLog) -> None:
    try:
        found = log.reader.root()
    except TlogError as error:
        raise LogError(f"the log is damaged: {error}", _DAMAGED.format(log.directory)) from error
    if found != log.root:
        raise LogError("the log does not fit its signed checkpoint", _DAMAGED.format(log.directory))


class _Pack:
    """The parts of a pack, as they go into the archive."""

    def __init__(self, log: SchoolLog, lang: Language, policy: Policy, best: tuple[int, Note]) -> None:
        self.log, self.lang, self.policy = log, lang, policy
        self.best_size, self.best_note = best
        self.sums: dict[str, str] = {}
        self.anchors: list[int] = []

    def put(self, archive: zipfile.ZipFile, name: str, data: bytes) -> None:
        """One file."""
        with archive.open(_info(name), "w") as out:
            out.write(data)
        self.sums[name] = hashlib.sha256(data).hexdigest()

    def prove(self, archive: zipfile.ZipFile, selection: Selection) -> tuple[int, Example]:
        """The proofs, and one of them as the example of the README."""
        readers = {size: TileReader(self.log.directory, size) for size in {self.best_size, self.log.size}}
        number, example = 0, None
        for entry in self.log.entries():
            if entry.type in PROVED and selection.fits(entry):
                name = f"proofs/{entry.index:06d}-{entry.type}"
                self.put(archive, f"{name}.tlog-proof.json", entry.raw)
                self.put(archive, f"{name}.tlog-proof", self._proof(readers, entry).encode())
                number += 1
                example = example or self._example(entry, name)
        return number, example or self._example(next(self.log.entries(0, 1)), "")

    def _proof(self, readers: dict[int, TileReader], entry: Entry) -> LogProof:
        covered = entry.index < self.best_size
        size, note = (self.best_size, self.best_note) if covered else (self.log.size, self.log.note)
        try:
            hashes = readers[size].inclusion_proof(entry.index)
            root = Checkpoint.parse(note.text).root
            verify_inclusion(hashes, entry.index, size, leaf_hash(entry.raw), root)
            return LogProof(entry.index, tuple(hashes), note.encode())
        except TlogError as error:
            raise LogError(
                f"entry {entry.index} does not fit the checkpoint over {size} entries: {error}",
                _DAMAGED.format(self.log.directory),
            ) from error

    def _example(self, entry: Entry, name: str) -> Example:
        number, offset = divmod(entry.index, TILE_WIDTH)
        width = min(self.log.size - number * TILE_WIDTH, TILE_WIDTH)
        return Example(
            entry.index, name, leaf_hash(entry.raw).hex(), f"log/{tile_path(0, number, width)}", offset
        )

    def copy(self, archive: zipfile.ZipFile, *, detail: bool) -> None:
        """The log's own files."""
        self.put(archive, "log/checkpoint", self.log.note.encode())
        for name, data in self._small("policy", MAX_NOTE):
            self.put(archive, name, data)
        # A verifier that is shown an earlier checkpoint asks for tiles as wide as they were then.
        for size in sorted({self.log.size, self.best_size}):
            for name, data in _tiles(self.log, size):
                if f"log/{name}" not in self.sums:
                    self.put(archive, f"log/{name}", data)
        for name, data in self._folder("checkpoints", str.isdigit, MAX_NOTE):
            self.put(archive, name, data)
        for name, data in self._folder("anchors", lambda one: one.endswith((".tsr", ".pem")), _MAX_ANCHOR):
            self.put(archive, name, data)
            stem = Path(name).stem
            if name.endswith(".tsr") and stem.isascii() and stem.isdigit():
                self.anchors.append(int(stem))
        if detail:
            for name, data in self._folder("detail", lambda one: one.endswith(".jsonl"), _MAX_DETAIL):
                self.put(archive, name, data)

    def _small(self, relative: str, limit: int) -> Iterator[tuple[str, bytes]]:
        try:
            data = read_file(self.log.directory, relative, limit)
        except TlogError as error:
            raise LogError(
                str(error), "nothing was packed; take the file from another copy of the log"
            ) from error
        if data is not None:
            yield f"log/{relative}", data

    def _folder(self, folder: str, wanted: Callable[[str], bool], limit: int) -> Iterator[tuple[str, bytes]]:
        try:
            names = sorted(list_names(self.log.directory, folder, _MAX_FILES))
        except TlogError as error:
            raise LogError(
                str(error), "nothing was packed; take the files from another copy of the log"
            ) from error
        for name in names:
            if not name.startswith(".") and name.isprintable() and "\\" not in name and wanted(name):
                yield from self._small(f"{folder}/{name}", limit)


def _tiles(log: SchoolLog, size: int) -> Iterator[tuple[str, bytes]]:
    """Every tile and bundle of a tree, as wide as its size needs it; of an earlier tree only what differs."""
    reader = TileReader(log.directory, size)
    earlier = size != log.size
    try:
        for number, width in _widths(size, only_partial=earlier):
            yield bundle_path(number, width), encode_bundle(reader.bundle(number))
        level, count = 0, size
        while count:
            for number, width in _widths(count, only_partial=earlier):
                yield tile_path(level, number, width), reader.tile(level, number)
            level, count = level + 1, count // TILE_WIDTH
    except TlogError as error:
        raise LogError(f"the log is damaged: {error}", _DAMAGED.format(log.directory)) from error


def _widths(count: int, *, only_partial: bool) -> Iterator[tuple[int, int]]:
    """Number and width of the tiles of a level that has ``count`` hashes."""
    full, rest = divmod(count, TILE_WIDTH)
    if not only_partial:
        for number in range(full):
            yield number, TILE_WIDTH
    if rest:
        yield full, rest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _WHEN)
    info.create_system = 3  # Unix, wherever it was made
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _digest(out: BinaryIO) -> str:
    total = hashlib.sha256()
    out.flush()
    out.seek(0)
    while piece := out.read(1 << 20):
        total.update(piece)
    return total.hexdigest()
