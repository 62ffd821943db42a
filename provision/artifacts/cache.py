"""Files from upstream: found, fetched, verified.

Where a file is looked for, in order: the mirrors (``--mirror``, ``$PROVISION_MIRROR``, the municipality's),
the cache of this machine (``~/.cache/provision/artifacts``, or ``$PROVISION_CACHE``), upstream's own
address.

What it is held against, in order: the checksum in ``service.yml``; the one in the workspace's
``artifacts.lock``; the ``SHA256SUMS`` of the mirror. All that exist must agree. A file that neither of the
first two knows is recorded in ``artifacts.lock``; it is then only taken over https, or from a mirror that
the administrator named and that answers itself. Where upstream signs it, it must then have a good signature;
without one it is only taken from a mirror whose ``SHA256SUMS`` names it.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from provision.artifacts.lockfile import LockedFile, LockFile, MismatchError
from provision.artifacts.mirror import (
    SUMS,
    DirectoryMirror,
    Mirror,
    UrlMirror,
    format_sums,
    parse_sums,
    shown,
)
from provision.artifacts.signatures import check_signature
from provision.artifacts.web import Limits, Progress, UnreachableError, download, fetch_small
from provision.errors import ArtifactError
from provision.files import locked, write_atomically
from provision.model.service import ArchiveSource

VARIABLE: Final = "PROVISION_CACHE"
#: Seconds to wait for another process that fetches the same file.
LOCK_TIMEOUT: Final = 3600.0
#: Of checksums, signatures and keys.
_SMALL: Final = Limits(size=1 << 20)


@dataclass(frozen=True, slots=True)
class Obtained:
    """A verified file on this machine.

    Args:
        path: the file.
        sha256: its checksum.
        size: in bytes.
        source: where it was found, as it may be printed.
        known: the checksum was known before.
    """

    name: str
    path: Path
    sha256: str
    size: int
    source: str
    known: bool

    def locked(self) -> LockedFile:
        """The entry for ``artifacts.lock``."""
        return LockedFile(
            sha256=self.sha256, size=self.size, source=self.source, date=datetime.now(UTC).date()
        )


@dataclass(frozen=True, slots=True)
class _Expected:
    sha256: str
    said_by: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    name: str
    sha256: str
    place: str


class _Sums:
    """Checksums of files: a city's schools have the same archives, and each is read once while it is the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int, int], str] = {}

    def __call__(self, path: Path) -> tuple[str, int]:
        """Checksum and size of a file.

        Raises:
            OSError: it cannot be read.
        """
        with path.open("rb") as stream:
            about = os.fstat(stream.fileno())
            mark = (path, about.st_ino, about.st_mtime_ns, about.st_size)
            if mark not in self._known:
                self._known[mark] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self._known[mark], about.st_size


class ArtifactCache:
    """The cache of this machine; in form it is a mirror.

    Args:
        directory: another place than the usual one.
        limits: bounds of downloads.
    """

    def __init__(self, directory: Path | None = None, limits: Limits | None = None) -> None:
        named = os.environ.get(VARIABLE)
        default = Path(named).expanduser() if named else Path.home() / ".cache" / "provision" / "artifacts"
        self.directory = directory or default
        self._limits = limits or Limits()
        self._sums = _Sums()

    def find(self, name: str, mirrors: Sequence[Mirror] = ()) -> Path | None:
        """The file of that name in a mirror directory or in the cache; not verified, nothing is fetched."""
        for mirror in (*mirrors, DirectoryMirror(self.directory)):
            if isinstance(mirror, DirectoryMirror) and (path := mirror.file(name)) is not None:
                return path
        return None

    def verified(
        self, file: ArchiveSource.File, lock: LockFile, mirrors: Sequence[Mirror] = ()
    ) -> Obtained | None:
        """The file as it lies in a mirror directory or in the cache; nobody is asked, and nothing is written.

        Raises:
            MismatchError: it is not what it was or should be; names both checksums.
            ArtifactError: it cannot be read.
        """
        expected = _expected(file, lock)
        for place in (*mirrors, DirectoryMirror(self.directory)):
            if isinstance(place, DirectoryMirror) and (path := place.file(file.name)) is not None:
                return self._held(file, path, place, expected)
        return None

    def obtain(
        self,
        file: ArchiveSource.File,
        lock: LockFile,
        mirrors: Sequence[Mirror] = (),
        progress: Progress | None = None,
    ) -> Obtained:
        """A verified file, fetched if it is not on this machine yet.

        Args:
            file: what ``service.yml`` says of it.
            lock: what the workspace knows of it; the caller records what is new.
            mirrors: where to look first.
            progress: is told how far a download is.

        Raises:
            MismatchError: it is not what it was or should be; names both checksums.
            UnreachableError: no place has it; the message has each place's reason.
            ArtifactError: it cannot be kept, is too large, ...
        """
        expected = _expected(file, lock)
        reasons: list[str] = []
        for mirror in mirrors:
            if isinstance(mirror, DirectoryMirror):
                path = mirror.file(file.name)
                if path is None:
                    reasons.append(f"{mirror} does not have it")
                    continue
                return self._verified(file, path, mirror, expected, mirrors)
            if expected is not None and (found := self._cached(file, expected, mirrors)) is not None:
                return found
            try:
                address = mirror.address(file.name)
                return self._fetched(file, address, expected, mirror, mirrors, progress)
            except UnreachableError as error:
                reasons.append(error.message)
        if (found := self._cached(file, expected, mirrors)) is not None:
            return found
        if file.url is None:
            reasons.append("upstream offers no download")
        else:
            try:
                return self._fetched(file, file.url, expected, None, mirrors, progress)
            except UnreachableError as error:
                reasons.append(error.message)
        raise UnreachableError(
            f"{file.name} cannot be had: {'; '.join(reasons)}.",
            f"Put {file.name} into a directory and name it with --mirror DIR, or put it into "
            f"{self.directory}.",
        )

    def _cached(
        self, file: ArchiveSource.File, expected: _Expected | None, mirrors: Sequence[Mirror]
    ) -> Obtained | None:
        cache = DirectoryMirror(self.directory)
        path = cache.file(file.name)
        return None if path is None else self._verified(file, path, cache, expected, mirrors)

    def _verified(
        self,
        file: ArchiveSource.File,
        path: Path,
        place: DirectoryMirror,
        expected: _Expected | None,
        mirrors: Sequence[Mirror],
    ) -> Obtained:
        found = self._held(file, path, place, expected)
        if expected is None:
            self._check_signature(file, path, mirrors, vouched=file.name in place.sums())
        return found

    def _held(
        self, file: ArchiveSource.File, path: Path, place: DirectoryMirror, expected: _Expected | None
    ) -> Obtained:
        """A file of a directory, held against all checksums that are known of it."""
        try:
            sha256, size = self._sums(path)
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read: {error.strerror}.") from error
        _check(
            _Seen(file.name, sha256, str(path)),
            expected,
            place.sums(),
            f"If {path} is damaged or an old one, remove it",
        )
        source = "cache" if place.path == self.directory else str(place)
        return Obtained(file.name, path, sha256, size, source, expected is not None)

    def _fetched(
        self,
        file: ArchiveSource.File,
        url: str,
        expected: _Expected | None,
        mirror: UrlMirror | None,
        mirrors: Sequence[Mirror],
        progress: Progress | None,
    ) -> Obtained:
        name = file.name
        if expected is None and mirror is None and urlsplit(url).scheme != "https":
            raise UnreachableError(f"{shown(url)} is not protected, and the file's checksum is not known yet")
        with self._alone(name):
            if expected is not None and (found := self._cached(file, expected, mirrors)) is not None:
                # Another process was faster.
                return found
            sums = {}
            if mirror is not None:
                text = fetch_small(mirror.address(SUMS), limits=_SMALL) or b""
                sums = parse_sums(text.decode(errors="replace"))
            limits = self._limits
            if expected is not None and expected.size is not None:
                limits = replace(limits, size=expected.size)
            temporary = self.directory / f".{name}.{secrets.token_hex(6)}.part"
            got = download(url, temporary, limits=limits, progress=progress)
            try:
                if expected is None:
                    _check_way(name, url, got.address)
                _check(
                    _Seen(name, got.sha256, shown(url)),
                    expected,
                    sums,
                    "If the mirror is at fault, use another",
                )
                if expected is None:
                    self._check_signature(file, temporary, mirrors, vouched=name in sums)
                temporary.replace(self.directory / name)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            self._note_sum(name, got.sha256)
        return Obtained(name, self.directory / name, got.sha256, got.size, shown(url), expected is not None)

    def _check_signature(
        self, file: ArchiveSource.File, path: Path, mirrors: Sequence[Mirror], *, vouched: bool
    ) -> None:
        """Hold a file that nobody has recorded yet against upstream's signature, where upstream signs.

        Args:
            vouched: a mirror's ``SHA256SUMS`` names it, which is enough where the signature is not to be had.
        """
        pinned = file.signature
        if pinned is None:
            return
        url = pinned.url or (f"{file.url}.asc" if file.url else None)
        signature = self._small(f"{file.name}.asc", url, mirrors)
        if signature is None:
            if vouched:
                return
            raise ArtifactError(
                f"{file.name} has no signature: {file.name}.asc is not to be had, and no {SUMS} of a mirror names it.",
                f"Put upstream's {file.name}.asc and {pinned.key} beside it.",
            )
        key = self._small(pinned.key, pinned.key_url, mirrors)
        if key is None:
            raise ArtifactError(
                f"The signature of {file.name} cannot be checked: upstream's key {pinned.key} is not to be had.",
                f"Put it beside {file.name}.asc (from {pinned.key_url}; fingerprint {pinned.fingerprint}).",
            )
        check_signature(file.name, path, pinned, signature, key)

    def _small(self, name: str, url: str | None, mirrors: Sequence[Mirror]) -> bytes | None:
        """A signature or a key, from the mirrors, the cache or upstream; None when nobody has it."""
        addresses = [item.address(name) for item in mirrors if isinstance(item, UrlMirror)]
        for mirror in (*mirrors, DirectoryMirror(self.directory)):
            if isinstance(mirror, DirectoryMirror) and (path := mirror.file(name)) is not None:
                with path.open("rb") as stream:
                    return stream.read(_SMALL.size)
        for address in [*addresses, *([url] if url else [])]:
            with suppress(UnreachableError):
                data = fetch_small(address, limits=_SMALL)
                if data is not None:
                    return data
        return None

    def _note_sum(self, name: str, sha256: str) -> None:
        with locked(self.directory / f".{SUMS}.lock", self.directory / SUMS, ArtifactError):
            sums = DirectoryMirror(self.directory).sums()
            write_atomically(self.directory / SUMS, format_sums({**sums, name: sha256}).encode())

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold the lock of one file of the cache; whoever is killed while fetching leaves no lock behind.

        Raises:
            ArtifactError: the cache cannot be written.
        """
        with locked(
            self.directory / f".{name}.lock",
            self.directory / name,
            ArtifactError,
            wait=LOCK_TIMEOUT,
            remedy=f"Mend its permissions, or name another directory with ${VARIABLE}.",
        ):
            for leftover in self.directory.glob(f".{name}.*.part"):
                leftover.unlink(missing_ok=True)
            yield


def copy_to_mirror(files: Sequence[Obtained], directory: Path) -> None:
    """Make a directory that ``--mirror`` understands, or add to one.

    Args:
        files: what it shall hold.
        directory: made if it does not exist.

    Raises:
        ArtifactError: it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        sums = DirectoryMirror(directory).sums()
        for item in files:
            target = directory / item.name
            if sums.get(item.name) != item.sha256 or not target.is_file():
                temporary = directory / f".{item.name}.{secrets.token_hex(6)}.part"
                try:
                    shutil.copyfile(item.path, temporary)
                    temporary.replace(target)
                finally:
                    with suppress(FileNotFoundError):
                        temporary.unlink()
            sums[item.name] = item.sha256
        write_atomically(directory / SUMS, format_sums(sums).encode())
    except OSError as error:
        raise ArtifactError(f"{directory} cannot be written: {error.strerror}.") from error


def _expected(file: ArchiveSource.File, lock: LockFile) -> _Expected | None:
    locked = lock.files.get(file.name)
    if locked is None:
        return None if file.sha256 is None else _Expected(file.sha256, "service.yml")
    if file.sha256 is not None and file.sha256 != locked.sha256:
        raise MismatchError(
            file.name,
            locked.sha256,
            file.sha256,
            f"{file.name}: artifacts.lock has the checksum {locked.sha256}, and service.yml now says "
            f"{file.sha256}.",
            _accept(file.name),
        )
    return _Expected(locked.sha256, "artifacts.lock", locked.size)


def _check(seen: _Seen, expected: _Expected | None, sums: dict[str, str], otherwise: str) -> None:
    if expected is not None and seen.sha256 != expected.sha256:
        raise MismatchError(
            seen.name,
            expected.sha256,
            seen.sha256,
            f"{seen.name} from {seen.place} is not the file that {expected.said_by} knows: it has the "
            "checksum "
            f"{seen.sha256}, and should have {expected.sha256}.",
            f"{otherwise}. {_accept(seen.name)}",
        )
    listed = sums.get(seen.name)
    if listed is not None and listed != seen.sha256:
        raise MismatchError(
            seen.name,
            listed,
            seen.sha256,
            f"{seen.name} from {seen.place} is damaged: it has the checksum {seen.sha256}, and {SUMS} "
            "beside it "
            f"says {listed}.",
            f"{otherwise}.",
        )


def _accept(name: str) -> str:
    return (
        f"If upstream has announced a new {name}: provision artifacts lock --accept {name}. Else treat it as "
        "an attack, and ask upstream."
    )


def _check_way(name: str, asked: str, answered: str) -> None:
    """Refuse a file that we know nothing of unless it came from where we asked, or over https all the way.

    Raises:
        ArtifactError: it came from elsewhere.
    """
    if urlsplit(answered).scheme == "https" or urlsplit(asked).netloc == urlsplit(answered).netloc:
        return
    raise ArtifactError(
        f"{shown(asked)} sends us on to {shown(answered)}, and the checksum of {name} is not known yet.",
        "Fetch the file yourself, compare its checksum with upstream's, and use --mirror DIR.",
    )
