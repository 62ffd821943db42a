"""Downloads, with a bound on everything that a server can get wrong."""

import hashlib
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from provision.artifacts.mirror import shown
from provision.errors import ArtifactError

# Loaded where it is used: it takes a tenth of a second, and who asks whether a school is well fetches nothing.
if TYPE_CHECKING:
    import httpx

#: Called with the file's name, bytes so far and bytes in all (None: the server does not say).
Progress = Callable[[str, int, int | None], None]


class UnreachableError(ArtifactError):
    """The server did not answer, or does not have the file; another place may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a download.

    Args:
        connect: seconds to reach the server.
        read: seconds without a byte.
        size: bytes; more is an error.
        rate: bytes a second, on average after ``patience`` seconds; slower is an error.
        patience: seconds.
    """

    connect: float = 10.0
    read: float = 30.0
    size: int = 4 << 30
    rate: int = 1024
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A finished download: the temporary file, its checksum, its size, and the address that sent it in the
    end."""

    path: Path
    sha256: str
    size: int
    address: str


def download(url: str, temporary: Path, *, limits: Limits, progress: Progress | None = None) -> Downloaded:
    """Fetch a file to a temporary name.

    Args:
        url: where from.
        temporary: where to; removed when the download fails.
        limits: bounds.
        progress: is told how far it is.

    Raises:
        UnreachableError: no answer, or an answer other than the file.
        ArtifactError: too large, a redirection to an unprotected address, a full disk.
    """
    import httpx

    try:
        with _client(limits) as client, client.stream("GET", url) as answer:
            return _received(answer, url, temporary, limits, progress)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        _remove(temporary)
        raise UnreachableError(f"{shown(url)} cannot be fetched: {reason(error)}") from error
    except OSError as error:
        _remove(temporary)
        raise ArtifactError(
            f"{temporary.parent} cannot take the download: {error.strerror}.",
            "Free some space, or name another directory with PROVISION_CACHE.",
        ) from error
    except BaseException:
        _remove(temporary)
        raise


def _received(
    answer: "httpx.Response", url: str, temporary: Path, limits: Limits, progress: Progress | None
) -> Downloaded:
    """Write the body of an answer to the disk, measuring it."""
    import httpx

    name = shown(url)
    if answer.status_code != httpx.codes.OK:
        raise UnreachableError(f"{name} answers {answer.status_code} {answer.reason_phrase}".rstrip())
    length = answer.headers.get("content-length", "")
    # With a content encoding, the length is that of what travels, not of the file.
    expected = int(length) if length.isdigit() and "content-encoding" not in answer.headers else None
    _bounded(name, expected or 0, limits)
    total = hashlib.sha256()
    size = 0
    began = time.monotonic()
    with temporary.open("xb") as file:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            _bounded(name, size, limits)
            passed = time.monotonic() - began
            if passed > limits.patience and size < limits.rate * passed:
                raise UnreachableError(f"{name} sends too slowly ({size} bytes in {passed:.0f} s)")
            total.update(chunk)
            file.write(chunk)
            if progress is not None:
                progress(url.rpartition("/")[2], size, expected)
        file.flush()
        os.fsync(file.fileno())
    return Downloaded(temporary, total.hexdigest(), size, str(answer.url))


def fetch_small(url: str, *, limits: Limits) -> bytes | None:
    """A small file; None when the server does not have it.

    Raises:
        UnreachableError: no answer.
        ArtifactError: too large.
    """
    import httpx

    try:
        with _client(limits) as client, client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                return None
            data = b""
            for chunk in answer.iter_bytes():
                data += chunk
                _bounded(shown(url), len(data), limits)
            return data
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachableError(f"{shown(url)} cannot be fetched: {reason(error)}") from error


def offers(url: str, timeout: float) -> str | None:
    """Ask whether a server has a file, without fetching it.

    Args:
        url: the file.
        timeout: seconds.

    Returns:
        None when it has, else why not, in words.
    """
    import httpx

    limits = Limits(connect=timeout, read=timeout)
    host = urlsplit(url).hostname or shown(url)
    try:
        with _client(limits) as client:
            answer = client.head(url)
            if answer.status_code in {403, 405, 501}:
                # Some servers answer only to GET; the body is not read.
                with client.stream("GET", url) as answer:
                    pass
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{host} cannot be reached: {reason(error)}"
    except ArtifactError as error:
        return error.message
    if answer.status_code != httpx.codes.OK:
        return f"{host} answers {answer.status_code} for {shown(url)}"
    if answer.headers.get("content-type", "").startswith("text/html"):
        return f"{host} answers with a web page instead of {urlsplit(url).path.rpartition('/')[2]}"
    return None


def starts_with(url: str, timeout: float) -> tuple[str | None, str]:
    """The first 4 KiB of a file.

    Returns:
        None and the text, or why there is none, in words, and nothing.
    """
    import httpx

    host = urlsplit(url).hostname or shown(url)
    try:
        with _client(Limits(connect=timeout, read=timeout)) as client, client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                return f"{host} answers {answer.status_code} for {shown(url)}", ""
            data = b""
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) >= 4096:
                    break
            return None, data[:4096].decode(errors="replace")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{host} cannot be reached: {reason(error)}", ""
    except ArtifactError as error:
        return error.message, ""


#: What the network's own words mean to a person; the first that fits counts.
_IN_WORDS: Final = (
    ("Name or service not known", "nobody knows the name"),
    ("name resolution", "nobody knows the name"),
    ("No address", "nobody knows the name"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    ("refused", "it refuses the connection"),
)


def reason(error: Exception) -> str:
    """Why a request failed, in plain words."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects in circles"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was cut"
    text = str(error)
    return next((words for part, words in _IN_WORDS if part in text), text or type(error).__name__)


def _client(limits: Limits) -> "httpx.Client":
    import httpx

    return httpx.Client(
        # The system's own list of authorities, to which a city may have added its proxy's.
        verify=ssl.create_default_context(),
        timeout=httpx.Timeout(limits.read, connect=limits.connect),
        follow_redirects=True,
        max_redirects=5,
        # An archive is wanted as it is; nothing is gained by compressing it again.
        headers={"user-agent": "provision", "accept-encoding": "identity"},
        event_hooks={"response": [_stay_protected]},
    )


def _stay_protected(answer: "httpx.Response") -> None:
    """Refuse a redirection from https to http.

    Raises:
        ArtifactError: it is one.
    """
    if not answer.has_redirect_location or answer.request.url.scheme != "https":
        return
    target = urljoin(str(answer.request.url), answer.headers["location"])
    if urlsplit(target).scheme != "https":
        raise ArtifactError(
            f"{shown(str(answer.request.url))} redirects to an unprotected address, {shown(target)}.",
            "Report it to whoever runs the server; fetch the file from another place and use --mirror DIR.",
        )


def _bounded(name: str, size: int, limits: Limits) -> None:
    if size > limits.size:
        raise ArtifactError(
            f"{name} is larger than it may be ({limits.size} bytes).",
            "It is not the file that was recorded, or the server is broken. Ask upstream before you accept "
            "it.",
        )


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
