"""A school's server as the log's copy sees it: the real program over a directory, or whatever somebody else answers."""

import base64
import json
import os
import select
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, cast

from provision.engine.connections import Connections
from provision.engine.log_copy import LogCopy
from provision.engine.ssh import Connection

SCHOOL = "escola"
#: An ordinary user cannot give files away; and a file beside the places makes the disk full.
_PREFACE = """
import errno, os
os.chown = os.fchown = lambda *_, **__: None
def fsync(descriptor):
    if os.path.exists({full!r}):
        raise OSError(errno.ENOSPC, "No space left on device")
os.fsync = fsync
"""


class LocalChannel:
    """A channel to the program, which runs here.

    Args:
        server: whose files it keeps.
    """

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._timeout = 20.0

    def settimeout(self, seconds: float) -> None:
        self._timeout = min(seconds, 20.0)

    def exec_command(self, command: str) -> None:
        python, option, program, places = shlex.split(command)
        assert (python, option) == ("python3", "-c")
        publisher = "/usr/local/sbin/provision-audit-trail"
        assert publisher in program
        preface = _PREFACE.format(full=str(self._server.full))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c",
             preface + program.replace(publisher, str(self._server.publisher)), places],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def send(self, data: bytes) -> int:
        self._process.stdin.write(data)  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return len(data)

    def recv(self, size: int) -> bytes:
        out: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        if not select.select([out], [], [], self._timeout)[0]:
            raise TimeoutError
        return os.read(out.fileno(), size)

    def makefile_stderr(self, _: str) -> IO[bytes]:
        return self._process.stderr  # type: ignore[return-value]

    def close(self) -> None:
        self._process.communicate(timeout=20)
        self.closed = True


class Server:
    """The directories of a school's server.

    Args:
        top: where they are.
    """

    def __init__(self, top: Path) -> None:
        self.top = top
        self.place = top / "audit"
        self.copy = self.place / SCHOOL
        self.last_run = top / "etc" / "last-run.json"
        self.full = top / "full"
        self.publisher = top / "publisher"
        top.mkdir(parents=True, exist_ok=True)
        self._open: list[LocalChannel] = []

    def connect(self) -> Connection:
        """A connection whose sessions run the program here."""

        def session(**_: object) -> LocalChannel:
            self._open.append(LocalChannel(self))
            return self._open[-1]

        return connection(session)

    def files(self) -> dict[str, bytes]:
        """What the copy holds."""
        return {
            str(file.relative_to(self.copy)): file.read_bytes()
            for file in sorted(self.copy.rglob("*"))
            if file.is_file()
        }

    def put_into_inbox(self, name: str, content: bytes) -> None:
        (self.copy / "inbox").mkdir(parents=True, exist_ok=True)
        (self.copy / "inbox" / name).write_bytes(content)


class ScriptedChannel:
    """A server that answers what it likes.

    Args:
        answers: for each request, the pieces of an answer; it says nothing more after the last.
    """

    def __init__(self, answers: Iterable[Iterable[bytes]], said: bytes = b"") -> None:
        self._answers = iter(answers)
        self._pieces: Iterator[bytes] = iter(())
        self._said = said
        self._asked = b""
        self.asked: list[dict[str, Any]] = []
        self.handed_over = 0

    def settimeout(self, seconds: float) -> None:
        pass

    def exec_command(self, command: str) -> None:
        pass

    def send(self, data: bytes) -> int:
        self._asked += bytes(data[:100_000])
        if self._asked.endswith(b"\n"):
            self.asked.append(json.loads(self._asked))
            self._asked = b""
            self._pieces = iter(next(self._answers, ()))
        return len(data[:100_000])

    def recv(self, size: int) -> bytes:
        piece = next(self._pieces, b"")
        assert len(piece) <= size, "a channel never gives more than it was asked for"
        self.handed_over += len(piece)
        return piece

    def makefile_stderr(self, _: str) -> Any:
        return SimpleNamespace(read=lambda size: self._said[:size])

    def close(self) -> None:
        pass


def connection(session: Callable[..., Any]) -> Connection:
    """What ``LogCopy`` needs of a connection."""
    return cast(
        Connection,
        SimpleNamespace(
            host=SimpleNamespace(address="192.0.2.10", user="root"),
            own_key_fingerprint="SHA256:own",
            key_fingerprint="SHA256:host",
            sudo=lambda command: (command, ""),
            transport=SimpleNamespace(open_session=session, is_active=lambda: True),
        ),
    )


def connections(server: Server) -> Connections:
    """The connections to a school whose only host is this server."""
    return cast(Connections, {"main": server.connect()})


def hostile(*answers: Any, said: bytes = b"") -> LogCopy:
    """A copy on a server that gives these answers: bytes as they are, lists of pieces, anything else as JSON."""
    return LogCopy(connection(lambda **_: ScriptedChannel([pieces(one) for one in answers], said)), SCHOOL)


def pieces(answer: Any) -> Iterable[bytes]:
    """An answer as a channel hands it on, bit by bit."""
    if not isinstance(answer, bytes | Mapping | list):
        return cast(Iterable[bytes], answer)
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
    return [data[start : start + 65_536] for start in range(0, len(data), 65_536)]


def a_state(**changes: Any) -> dict[str, Any]:
    """What a server without a copy answers, changed."""
    return {
        "checkpoint": None,
        "last_run": None,
        "sizes": {},
        "hashes": {},
        "inbox": {},
        "inbox_more": 0,
    } | changes


def coded(data: bytes) -> str:
    """Bytes in JSON."""
    return base64.b64encode(data).decode()
