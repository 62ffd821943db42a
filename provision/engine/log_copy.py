"""The copy of a school's log on its own server: what the school reads, and where several administrators meet.

Nobody needs to trust the server for it: what comes from there is checked against the city's signature and against
the log that we have, and is bounded in size and time.
"""

import base64
import hashlib
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import paramiko

from provision import paths
from provision.engine.ssh import CONNECT_TIMEOUT, Connection
from provision.errors import ProvisionError
from provision.text import printable_line

#: Where the copies of the logs are on a school's server.
PLACE = "/var/lib/provision/audit"
#: Names the last run, for whoever looks at the server, and for the next run.
LAST_RUN = "/etc/provision/last-run.json"
#: Seconds without a byte of an answer, and seconds for a whole answer.
_TIMEOUT = 60.0
_DEADLINE = 300.0
#: Longest answer: a request asks for at most two full bundles (16 MiB each, in base64).
_MAX_ANSWER = 48 * 1024 * 1024
#: Bytes of files that are sent in one request.
_BATCH = 2 * 1024 * 1024


class CopyError(ProvisionError):
    """The copy on the server cannot be read or written; the run itself may go on."""


@dataclass(frozen=True, slots=True)
class CopyState:
    """What is on the server.

    Args:
        note: the copy's checkpoint as bytes; None where there is no copy.
        last_run: the document of ``LAST_RUN``; None where there is none, or nothing that can be read.
        sizes: bytes of each file beside the tiles. hashes: SHA-256 of those that may change without growing.
        inbox: files that people of the school put there. inbox_more: number of those that were not looked at.
    """

    note: bytes | None = None
    last_run: dict[str, Any] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    inbox: Mapping[str, bytes] = field(default_factory=dict)
    inbox_more: int = 0


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
            self._rest = bytearray()

    def _line(self) -> "_Line":
        return _Line(self._host)

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._line():
            self._channel.sendall(json.dumps(request).encode() + b"\n")
            line = self._read_line()
            why = "" if line else self._channel.makefile_stderr("rb").read(2000).decode("utf-8", "replace")
        if not line:
            why = printable_line(why)
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

    def _read_line(self) -> bytes:
        """One answer; nothing when the program ended. Bounded in size, and in time as a whole."""
        deadline = time.monotonic() + _DEADLINE
        while (end := self._rest.find(b"\n")) < 0:
            if time.monotonic() > deadline or len(self._rest) > _MAX_ANSWER:
                raise TimeoutError("no whole answer in time")
            more = self._channel.recv(1 << 16)
            if not more:
                return b""
            self._rest += more
        line, self._rest = bytes(self._rest[: end + 1]), self._rest[end + 1 :]
        return line

    def state(self) -> CopyState:
        """What is there now."""
        answer = self._ask(do="state")
        try:
            last = _bytes(answer.get("last_run"))
            return CopyState(
                note=_bytes(answer.get("checkpoint")),
                last_run=document(last),
                sizes={str(name): int(size) for name, size in dict(answer["sizes"]).items()},
                hashes={str(name): str(digest) for name, digest in dict(answer.get("hashes", {})).items()},
                inbox_more=int(answer.get("inbox_more", 0)),
                inbox={str(name): _bytes(data) or b"" for name, data in dict(answer["inbox"]).items()},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CopyError(f"{self._host} answers nonsense about the log's copy") from error

    def take(self, files: Mapping[str, bytes]) -> None:
        """Remove files of the inbox that were dealt with, unless there is a newer one of that name by now."""
        if files:
            self._ask(
                do="take", files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
            )

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
                "look at the line and the server; the next run or “provision audit sync” brings it up to date",
            ) from error


def _bytes(text: Any) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def document(data: bytes | None) -> dict[str, Any] | None:
    """A JSON object, if that is what a file holds."""
    try:
        found = json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
