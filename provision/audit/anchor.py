"""Anchors: time stamps of a third party on a log's checkpoints.

A stamp proves that the log, up to the checkpoint's size, existed in this form at that time, even if city and school
both wished otherwise. It covers the checkpoint's text (origin, size, root), not the signatures, so that cosignatures
that come later do not matter to it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from provision.audit.timestamp import (
    MAX_RESPONSE,
    MAX_ROOTS,
    TimeStamp,
    TimeStampError,
    chain_pem,
    check_time_stamp,
    load_roots,
    request_time_stamp,
)
from provision.audit.tlog import MAX_NOTE, Checkpoint, Note, TreeError, list_names, read_file
from provision.errors import ProvisionError, UsageError
from provision.files import locked, write_atomically

#: A stamp a day for three decades.
MAX_ANCHORS: Final = 20_000
_STAMP = re.compile(r"(0|[1-9][0-9]{0,18})\.tsr")
_MODE: Final = 0o644


class AnchorError(ProvisionError):
    """A checkpoint cannot be stamped, or a stamp cannot be kept."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A time stamp on a checkpoint, checked and kept.

    Args:
        size: number of entries of the checkpoint.
        time: at this time they were there, as they are.
        authority: subject of the certificate that signed.
        file: where the stamp is.
    """

    size: int
    time: datetime
    authority: str
    file: Path


@dataclass(frozen=True, slots=True)
class AnchorResult:
    """What ``check_anchors`` found about one stamp.

    Args:
        size: number of entries of the checkpoint that it stamps.
        time: when, if it is valid. Whoever checks the log compares it with the times of the entries below ``size``,
            none of which can be later.
        authority: subject of the certificate that signed; empty if it is not valid.
        problem: why it proves nothing; None if it is valid.
    """

    size: int
    time: datetime | None
    authority: str
    problem: str | None


def add_anchor(
    directory: Path,
    url: str,
    roots: Sequence[bytes],
    *,
    note: bytes | None = None,
    archive: Callable[[Note], object] | None = None,
) -> Anchor:
    """Have a checkpoint stamped, and keep the stamp beside the log.

    Args:
        directory: the log's.
        url: address of the time-stamp authority.
        roots: PEM files with the certificates that the authority's own must lead to.
        note: the checkpoint, as a signed note; the newest one when left out.
        archive: puts a note under ``checkpoints/<size>``, keeping the signatures of one that is there
            (``LogWriter.archive``, whose writer holds the log's lock); without it, the log's lock is taken here and a
            note is written only where there is none.

    Raises:
        AnchorError: there is no checkpoint to stamp, or an archived one of the same size says something else.
        TimeStampError: the authority gave no valid stamp. Nothing was stored.
        UsageError: ``url`` or ``roots`` are unusable.
        OSError: it cannot be written.
    """
    trusted = load_roots(roots)
    opened = _checkpoint(directory, note)
    size = Checkpoint.parse(opened.text).size
    if (kept := _archived(directory, size)) is not None and kept.text != opened.text:
        raise AnchorError(
            f"there are two contradictory checkpoints of {size} entries in {directory}",
            "Keep both as they are, and see what is wrong: provision audit verify",
        )
    stamp = request_time_stamp(opened.text.encode(), url, trusted)
    if archive is not None:
        archive(opened)
        file = _keep(directory, size, _chain_name(url), trusted, stamp)
    else:
        # Nobody may put a cosigned checkpoint in that place between our look and our writing.
        with locked(directory / ".lock", directory, AnchorError):
            if _archived(directory, size) is None:
                (directory / "checkpoints").mkdir(mode=0o755, exist_ok=True)
                write_atomically(directory / "checkpoints" / str(size), opened.encode(), mode=_MODE)
            file = _keep(directory, size, _chain_name(url), trusted, stamp)
    return Anchor(size, stamp.time, stamp.authority, file)


def _keep(
    directory: Path, size: int, chain: str, trusted: Sequence[x509.Certificate], stamp: TimeStamp
) -> Path:
    anchors = directory / "anchors"
    anchors.mkdir(mode=0o755, exist_ok=True)
    # The certificates first: a stamp without them could not be checked offline. Those of earlier stamps stay: an
    # authority renews its certificates.
    earlier = read_file(directory, f"anchors/{chain}", MAX_ROOTS)
    known = load_roots([earlier]) if earlier else []
    write_atomically(anchors / chain, chain_pem(list(dict.fromkeys([*known, *trusted]))), mode=_MODE)
    file = anchors / f"{size}.tsr"
    write_atomically(file, stamp.response, mode=_MODE)
    return file


def check_anchors(directory: Path, roots: Sequence[bytes] | None = None) -> list[AnchorResult]:
    """Check every stamp beside a log, offline.

    Whether the stamped checkpoint itself fits the log is for the caller to check, as of every archived checkpoint.

    Args:
        directory: the log's, from whomever: nothing in it is trusted.
        roots: PEM files of authorities that the caller trusts; without them those that came with the log, which
            proves only as much as the one who handed it over is trusted.

    Raises:
        UsageError: ``roots`` are unusable.

    Returns:
        One result a stamp, by size.
    """
    try:
        names = list_names(directory, "anchors", MAX_ANCHORS)
    except TreeError as error:
        return [AnchorResult(0, None, "", str(error))]
    sizes = sorted(int(match[1]) for name in names if (match := _STAMP.fullmatch(name)))
    if not sizes:
        return []
    problem = ""
    try:
        trusted = load_roots(roots if roots is not None else _own_roots(directory, names))
    except (UsageError, TreeError) as error:
        if roots is not None:
            raise
        problem, trusted = f"the authority's certificates beside the log are unusable: {error}", []
    return [
        AnchorResult(size, None, "", problem) if problem else _check(directory, size, trusted)
        for size in sizes
    ]


def _check(directory: Path, size: int, trusted: Sequence[x509.Certificate]) -> AnchorResult:
    try:
        response = read_file(directory, f"anchors/{size}.tsr", MAX_RESPONSE)
        archived = _archived(directory, size)
        if archived is None or response is None:
            return AnchorResult(size, None, "", f"the stamped checkpoint, checkpoints/{size}, is missing")
        if (found := Checkpoint.parse(archived.text).size) != size:
            return AnchorResult(size, None, "", f"checkpoints/{size} is a checkpoint of {found} entries")
        stamp = check_time_stamp(response, archived.text.encode(), trusted)
    except (AnchorError, TimeStampError, TreeError, ValueError) as error:
        return AnchorResult(size, None, "", str(error))
    return AnchorResult(size, stamp.time, stamp.authority, None)


def _own_roots(directory: Path, names: Sequence[str]) -> list[bytes]:
    files = [name for name in sorted(names) if name.endswith(".pem") and not name.startswith(".")][:50]
    return [
        data for name in files if (data := read_file(directory, f"anchors/{name}", MAX_ROOTS)) is not None
    ]


def _checkpoint(directory: Path, note: bytes | None) -> Note:
    if note is None:
        try:
            note = read_file(directory, "checkpoint", MAX_NOTE)
        except TreeError as error:
            raise AnchorError(str(error), "Restore the log from its copy on the school's server.") from error
    if note is None:
        raise AnchorError(f"there is no log in {directory}", "Open one with: provision audit init SCHOOL")
    return _parsed(note, "the checkpoint")


def _archived(directory: Path, size: int) -> Note | None:
    try:
        data = read_file(directory, f"checkpoints/{size}", MAX_NOTE)
    except TreeError as error:
        raise AnchorError(str(error)) from error
    return None if data is None else _parsed(data, f"checkpoints/{size}")


def _parsed(data: bytes, name: str) -> Note:
    try:
        note = Note.parse(data)
        Checkpoint.parse(note.text)
    except ValueError as error:
        raise AnchorError(
            f"{name} is damaged: {error}", "Restore the log from its copy on the school's server."
        ) from error
    return note


def _chain_name(url: str) -> str:
    """A file name for an authority's certificates: its host's, without what a file name should not have."""
    host = urlsplit(url).hostname or "authority"
    return re.sub(r"[^a-z0-9.-]", "-", host.lower()).strip(".-")[:100] + ".pem"
