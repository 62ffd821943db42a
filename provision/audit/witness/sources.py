"""Where the log comes from: a directory (a USB stick is one), or the school's server over HTTPS.

Whatever is there may be hostile: sizes and times are bounded, links are not followed, nothing is believed.
"""

import ssl
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from provision.audit.tlog import (
    HASH_SIZE,
    TILE_WIDTH,
    TreeError,
    bundle_path,
    decode_bundle,
    node_hash,
    read_file,
    tile_path,
)
from provision.audit.tlog.layout import MAX_BUNDLE, TILE_BITS, split_hashes, tile_width
from provision.audit.witness.errors import NoLogHereError, SourceError

#: Where a site of the school has the log (role audit_trail).
WELL_KNOWN = "/.well-known/provision-audit/"
#: Seconds for one file, and for all of a visit.
FILE_SECONDS = 60.0
VISIT_SECONDS = 3600.0
_CACHED_TILES = 64


class Source(Protocol):
    """A place that has a log's files."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

    def read(self, path: str, limit: int) -> bytes | None:
        """A file.

        Args:
            path: below the log's directory. limit: bytes.

        Returns:
            its content, or None when there is no such file.

        Raises:
            SourceError: it is larger, or the place does not answer as it should.
        """


class DirectorySource:
    """A log in a directory.

    Args:
        directory: the log's own, or one that holds exactly one log up to three levels below (a USB stick).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = self._find(directory)

    @property
    def name(self) -> str:
        """The directory."""
        return str(self._directory)

    def read(self, path: str, limit: int) -> bytes | None:
        """See ``Source``."""
        try:
            return read_file(self._directory, path, limit)
        except (TreeError, OSError) as error:
            raise SourceError(f"{self._directory}: {error}", "ask the city for another copy") from error

    @staticmethod
    def _find(directory: Path) -> Path:
        if not directory.is_dir():
            raise SourceError(f"there is no directory {directory}", "is the stick plugged in?")
        if (directory / "checkpoint").is_file():
            return directory
        found = [
            file.parent
            for pattern in ("*/checkpoint", "*/*/checkpoint", "*/*/*/checkpoint")
            for file in sorted(directory.glob(pattern))
            if file.is_file()
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise SourceError(
                f"{directory} holds several logs: {', '.join(str(one) for one in found[:5])}",
                "name one of them",
            )
        raise NoLogHereError(
            f"there is no audit log in {directory}: no file “checkpoint”", "is this the right place?"
        )


class HttpsSource:
    """A log on a web server.

    Args:
        url: address of a site of the school, or of the log itself.
        user: for HTTP basic authentication, with ``password``.
        ca: PEM file with the authority that the server's certificate is checked with, instead of the system's.

    Raises:
        SourceError: the address is not one of HTTPS.
    """

    def __init__(
        self, url: str, *, user: str | None = None, password: str | None = None, ca: Path | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise SourceError(f"{url} is not an https address", "such as https://pad.escola-mar.cat")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise SourceError(
                "the address must have no password, ? or # in it", "use --user and --password-file"
            )
        path = parts.path if parts.path not in {"", "/"} else WELL_KNOWN
        self._base = f"https://{parts.netloc}{path.rstrip('/')}/"
        try:
            context = ssl.create_default_context(cafile=str(ca) if ca else None)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{ca} cannot be used: {error}", "it must hold certificates as PEM text"
            ) from error
        self._client = httpx.Client(
            auth=httpx.BasicAuth(user, password) if user is not None and password is not None else None,
            verify=context,
            timeout=httpx.Timeout(20.0),
            follow_redirects=False,
            # Compressed answers could unfold to any size.
            headers={"Accept-Encoding": "identity", "User-Agent": "provision-witness"},
        )
        self._end = time.monotonic() + VISIT_SECONDS

    @property
    def name(self) -> str:
        """The address."""
        return self._base

    def read(self, path: str, limit: int) -> bytes | None:
        """See ``Source``."""
        end = min(time.monotonic() + FILE_SECONDS, self._end)
        try:
            with self._client.stream("GET", self._base + path) as answer:
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                self._check(answer)
                data = bytearray()
                for piece in answer.iter_raw(65_536):
                    data += piece
                    if len(data) > limit:
                        raise SourceError(
                            f"{self._base}{path} is larger than the {limit} bytes that it may have"
                        )
                    if time.monotonic() > end:
                        raise SourceError(f"{self._base} is too slow", "try again later, or use a USB stick")
                return bytes(data)
        except httpx.HTTPError as error:
            raise SourceError(
                f"{self._base} does not answer: {error or type(error).__name__}",
                "see whether the address opens in a browser; for an authority of your own: --ca FILE",
            ) from error

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == httpx.codes.OK:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise SourceError(f"{self._base} sends something compressed that was not asked for")
            return
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise SourceError(
                f"{self._base} wants another user or password",
                "--user auditor --password-file FILE; the city has it",
            )
        if answer.is_redirect:
            raise SourceError(
                f"{self._base} leads elsewhere, which is not followed",
                "give the address that it is really at",
            )
        raise SourceError(
            f"{self._base} answers with the code {status}", "try again later, or use a USB stick"
        )


class SourceTree:
    """The tiles and bundles of a source, as a tree of a given size. What it gives is what the files say.

    Args:
        source: the place. size: entries of the tree.
    """

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def bundle(self, number: int) -> list[bytes]:
        """The entries of a bundle, as many as this tree has of them.

        Raises:
            TreeError: missing or malformed. SourceError: see ``Source.read``.
        """
        width = tile_width(self.size, 0, number)
        data, there = self._read(bundle_path(number), width, MAX_BUNDLE)
        return decode_bundle(data, there)[:width]

    def node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree, from the tiles.

        Raises:
            TreeError: missing or malformed. SourceError: see ``Source.read``.
        """
        tile_level, height = divmod(level, TILE_BITS)
        number, offset = divmod(index << height, TILE_WIDTH)
        row = self._tile(tile_level, number)[offset : offset + (1 << height)]
        if len(row) != 1 << height:
            raise TreeError("a tile is too short")
        while len(row) > 1:
            row = [node_hash(row[place], row[place + 1]) for place in range(0, len(row), 2)]
        return row[0]

    def _tile(self, level: int, number: int) -> list[bytes]:
        key = (level, number)
        if key not in self._tiles:
            width = tile_width(self.size, level, number)
            data, there = self._read(tile_path(level, number), width, TILE_WIDTH * HASH_SIZE)
            if len(data) != there * HASH_SIZE:
                raise TreeError(
                    f"{tile_path(level, number)} has {len(data)} bytes where {there * HASH_SIZE} are due"
                )
            if len(self._tiles) == _CACHED_TILES:
                self._tiles.pop(next(iter(self._tiles)))
            self._tiles[key] = split_hashes(data)
        return self._tiles[key]

    def _read(self, full: str, width: int, limit: int) -> tuple[bytes, int]:
        for one in dict.fromkeys((width, TILE_WIDTH)):
            path = full if one == TILE_WIDTH else f"{full}.p/{one}"
            data = self._source.read(path, limit)
            if data is not None:
                return data, one
        raise MissingPartError(f"{full} is missing for a log of {self.size} entries")


class MissingPartError(TreeError):
    """A file is not there: the copy is incomplete, or was renewed meanwhile."""
