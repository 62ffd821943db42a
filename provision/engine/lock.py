"""Only one run at a time changes a school: the lock lives on the school's host.

A small program on the host holds ``flock(2)`` on ``/run/provision/lock`` as long as it hears from us every few
seconds. The kernel drops the lock when that program ends, so that nothing stays behind after a crash, a lost
connection (the lease runs out) or a reboot (``/run`` is in memory). ``/run/provision`` belongs to root: nobody else on
the server can hold a school up.
"""

import json
import shlex
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import paramiko

from provision.audit.record import Person, now
from provision.engine.ssh import CONNECT_TIMEOUT, Connection
from provision.errors import LockedError, RefusedError
from provision.model import ResolvedHost
from provision.text import printable

#: Seconds after which the host gives the lock up when it hears nothing.
LEASE = 30
_BEAT = 5

# Runs on the host with its own python3 (Debian 12: 3.11), standard library only.
_KEEPER = r"""
import fcntl, json, os, select, sys
os.makedirs("/run/provision", mode=0o755, exist_ok=True)
shared, lease = json.loads(sys.argv[1])
line = sys.stdin.buffer.raw.readline(65536).decode()
fd = os.open("/run/provision/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
try:
    fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
except BlockingIOError:
    print("busy " + os.pread(fd, 65536, 0).decode("utf-8", "replace").strip(), flush=True)
    sys.exit(0)
os.pwrite(fd, line.encode(), 0)
os.truncate(fd, len(line.encode()))
print("held", flush=True)
while select.select([0], [], [], lease)[0] and os.read(0, 4096):
    pass
"""


def holder(person: Person, verb: str, school: str, run: str = "-") -> dict[str, str]:
    """Who we are, shown to whoever comes second.

    Args:
        person: at work.
        verb: what for, as the command line calls it.
        school: id, for others whose school shares the server.
        run: its id; none where what is done is no run.
    """
    return {
        "person": person.name,
        "machine": person.machine,
        "since": now(),
        "verb": verb,
        "run": run,
        "school": school,
    }


class HostLock:
    """Holds the school's lock as long as the block lasts.

    Args:
        connection: to the host; it must stay open.
        holder: who we are (``holder``).
        shared: several may hold it together (``plan``), but not beside one that changes something (``apply``).
        on_lost: called once, from another thread, when the lock was lost in mid-run.

    Raises:
        LockedError: somebody else holds it; names who, what and since when.
        RefusedError: the host cannot run the keeper (no python3, no sudo).
    """

    def __init__(
        self,
        connection: Connection,
        holder: dict[str, Any],
        *,
        shared: bool = False,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._holder = holder
        self._shared = shared
        self._on_lost = on_lost
        self._ended = threading.Event()
        self._channel: paramiko.Channel | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._connection.check_sudo()
        command = f"python3 -c {shlex.quote(_KEEPER)} {shlex.quote(json.dumps([self._shared, LEASE]))}"
        command, before = self._connection.sudo(command)
        try:
            channel = self._connection.transport.open_session(timeout=CONNECT_TIMEOUT)
            channel.settimeout(30)
            channel.exec_command(command)
            channel.sendall((before + json.dumps(self._holder) + "\n").encode())
            answer = _read_line(channel)
            good = answer.startswith(("held", "busy"))
            why = "" if good else channel.makefile_stderr("rb").read(2000).decode("utf-8", "replace")
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise RefusedError(
                f"the lock of {self._connection.school} cannot be asked for: {error}", "try again"
            ) from error
        if answer.startswith("busy"):
            channel.close()
            raise LockedError(*_describe(self._connection.school, self._connection.host, answer[5:]))
        if answer != "held":
            channel.close()
            raise RefusedError(
                f"{self._connection.host.address} cannot take the lock: "
                + (printable(why or answer)[-300:] or "no answer"),
                "the server needs python3 (apt-get install python3), and /run must be writable there",
            )
        self._channel = channel
        self._thread = threading.Thread(target=self._beat, name="provision-lock", daemon=True)
        self._thread.start()
        return self

    def _beat(self) -> None:
        channel = self._channel
        assert channel is not None  # noqa: S101 - set before the thread starts
        while not self._ended.wait(_BEAT):
            try:
                lost = channel.exit_status_ready()
                if not lost:
                    channel.sendall(b"\n")
            except (OSError, paramiko.SSHException):
                lost = True
            if lost:
                if not self._ended.is_set() and self._on_lost:
                    self._on_lost()
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._channel:
            # End of input ends the keeper; wait for it, so that whoever comes next finds the lock free.
            try:
                self._channel.shutdown_write()
                self._channel.settimeout(2)
                deadline = time.monotonic() + 2
                while not self._channel.exit_status_ready() and time.monotonic() < deadline:
                    time.sleep(0.02)
            except (OSError, paramiko.SSHException):
                pass
            self._channel.close()


def _read_line(channel: paramiko.Channel) -> str:
    data = b""
    deadline = time.monotonic() + LEASE
    while not data.endswith(b"\n") and len(data) < 65536:
        if time.monotonic() > deadline:
            raise TimeoutError("no whole answer in time")
        more = channel.recv(4096)
        if not more:
            break
        data += more
    return data.decode("utf-8", "replace").strip()


def _describe(school: str, host: ResolvedHost, text: str) -> tuple[str, str]:
    # Of a shared server it is worth knowing for which school it is held.
    what = f"the shared server {host.name}" if host.shared else school
    try:
        held = json.loads(text)
        whose = f" for {held['school']}" if host.shared else ""
        who = f"{held['person']} (on {held['machine']}) since {held['since']}: "
        who += f"{held['verb']}{whose}, run {held['run']}"
    except (ValueError, KeyError, TypeError):
        who = "somebody else"
    who = printable(who)[:300]
    freed = "server" if host.shared else "school"
    return (
        f"{what} is held by {who}",
        f"wait until it has ended; a run that broke off frees the {freed} by itself within {LEASE} seconds",
    )
