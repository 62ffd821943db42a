"""The copy of a school's log on its own server: what the school reads, and where several administrators meet.

Nobody needs to trust the server for it: what comes from there is checked against the city's signature and against
the log that we have, and is bounded in size and time.
"""

import base64
import hashlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
#: Seconds without a byte of an answer, and seconds for a whole request and for a whole answer.
_TIMEOUT = 60.0
_DEADLINE = 300.0
#: Longest answer: a request asks for at most two full bundles (16 MiB each, in base64).
_MAX_ANSWER = 48 * 1024 * 1024
#: Most values in an answer. Each takes far more memory than the few bytes that it has in JSON.
_MAX_VALUES = 200_000
#: What the program hands out of the inbox at a time (see there).
_MAX_INBOX_FILE = 256 * 1024
_MAX_INBOX_FILES = 50
#: Bytes of files that are sent in one request.
_BATCH = 2 * 1024 * 1024


_LATER = 'look at the line and the server; the next run or "provision audit sync" brings it up to date'


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
            self._send(before.encode())
        #: Set when an answer did not come as it should: one that comes later belongs to no question of ours.
        self._lost = False

    @contextmanager
    def _line(self) -> Iterator[None]:
        """Errors of the line as our own."""
        try:
            yield
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise CopyError(
                f"the copy of the log on {self._host} cannot be reached: {error or 'no answer in time'}",
                _LATER,
            ) from error

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._lost:
            raise CopyError(f"the line to the copy of the log on {self._host} was lost", _LATER)
        self._lost = True
        with self._line():
            self._send(json.dumps(request).encode() + b"\n")
            line = self._read_line()
            why = "" if line else self._channel.makefile_stderr("rb").read(2000).decode("utf-8", "replace")
        if not line:
            raise CopyError(
                f"{self._host} does not keep the log's copy: {printable_line(why) or 'no answer'}",
                "look at the server",
            )
        if sum(map(line.count, (b",", b"[", b"{"))) > _MAX_VALUES:
            raise self._nonsense()
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._nonsense() from error
        if not isinstance(answer, dict):
            raise self._nonsense()
        self._lost = False
        if "error" in answer:
            said = answer["error"]
            why = printable_line(said) if isinstance(said, str) else "it does not say why"
            raise CopyError(
                f"the copy of the log on {self._host} failed: {why}", "make room on the server, then again"
            )
        return answer

    def _nonsense(self) -> CopyError:
        return CopyError(f"{self._host} answers nonsense about the log's copy", "look at the server")

    def _send(self, data: bytes) -> None:
        """Send bytes to a server that may take them one by one."""
        deadline = time.monotonic() + _DEADLINE
        view = memoryview(data)
        while view:
            sent = self._channel.send(bytes(view[: 1 << 16]))
            if not sent:
                raise EOFError("the server has closed the line")
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not take what it is sent")
            view = view[sent:]

    def _read_line(self) -> bytes:
        """One answer; nothing when the program ended. Bounded in size, and in time as a whole.

        The program says nothing unasked: what comes behind the answer is none.
        """
        deadline = time.monotonic() + _DEADLINE
        line = bytearray()
        while not line.endswith(b"\n"):
            if time.monotonic() > deadline or len(line) > _MAX_ANSWER:
                raise TimeoutError("no whole answer in time")
            more = self._channel.recv(1 << 16)
            if not more:
                return b""
            line += more
            if b"\n" in more[:-1]:
                raise self._nonsense()
        return bytes(line)

    def state(self) -> CopyState:
        """What is there now."""
        answer = self._ask(do="state")
        try:
            inbox = {str(name): _bytes(data) or b"" for name, data in dict(answer["inbox"]).items()}
            if len(inbox) > _MAX_INBOX_FILES or any(len(data) > _MAX_INBOX_FILE for data in inbox.values()):
                raise self._nonsense()
            return CopyState(
                note=_bytes(answer.get("checkpoint")),
                last_run=_last_run(_bytes(answer.get("last_run"))),
                sizes={str(name): int(size) for name, size in dict(answer["sizes"]).items()},
                hashes={str(name): str(digest) for name, digest in dict(answer.get("hashes", {})).items()},
                inbox_more=int(answer.get("inbox_more", 0)),
                inbox=inbox,
            )
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise self._nonsense() from error

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
            raise self._nonsense() from error

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


def _bytes(text: Any) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def document(data: bytes | None) -> dict[str, Any] | None:
    """A JSON object, if that is what a file holds."""
    try:
        found = json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _last_run(data: bytes | None) -> dict[str, Any] | None:
    """What the server keeps of a run: its texts and numbers, whatever else somebody wrote there."""
    found = document(data)
    return found and {name: value for name, value in found.items() if isinstance(value, str | int)}
