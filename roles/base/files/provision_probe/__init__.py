"""The parts of provision-probe, and what all of them use: other programs' words, files, numbers and times.

The parts are systemd, machine, updates, files, needs (what services lean on) and services (what they say of
themselves); asking takes requests and puts answers together. There is nothing to use but Python's own library.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import pwd
import re
import selectors
import signal
import socket
import subprocess
import time
from pathlib import Path

# Each asking starts the program anew: what it does not need at work it does not load.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
#: In front of every path that is looked at; something else in tests only.
ROOT = Path("/")
#: Seconds for one program or socket.
STEP = 3.0
#: Bytes of what one program says; and how many of each sort are told.
MOST_OUTPUT, MOST_THINGS = 2 * 1024 * 1024, 32
NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")


class UnanswerableError(Exception):
    """A part cannot be told; the text says why."""


class LateError(UnanswerableError):
    """A program did not end in its time.

    Args:
        said: what it had said until then.
    """

    def __init__(self, text: str, said: str) -> None:
        super().__init__(text)
        self.said = said


class RefusedError(Exception):
    """The request is not one that is taken."""


def at(path: str) -> Path:
    return ROOT / path.lstrip("/")


def read(path: str, most: int = 1 << 20) -> str:
    """The beginning of a file.

    Raises:
        OSError: it cannot be read.
    """
    with at(path).open("rb") as stream:
        return stream.read(most).decode("utf-8", "replace")


def listened(process: subprocess.Popen[bytes], seconds: float) -> tuple[str, str, str]:
    """What a program says, on both its outputs, and why it was not listened to any longer; then it has ended."""
    texts: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    deadline = time.monotonic() + seconds
    ended = ""
    try:
        with selectors.DefaultSelector() as selector:
            for stream in texts:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map() and not ended:
                for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                    part = os.read(key.fd, 65536)
                    if not part:
                        selector.unregister(key.fileobj)
                    texts[key.fileobj] += part
                if time.monotonic() > deadline:
                    ended = "late"
                elif max(map(len, texts.values())) > MOST_OUTPUT:
                    ended = "much"
        if not ended:
            process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        ended = "late"
    finally:
        if process.poll() is None:
            # With all that it has started. What sudo runs is not ours to end; it has limits of its own.
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(1)
        for stream in texts:
            stream.close()
    out, err = (text.decode("utf-8", "replace") for text in texts.values())
    return out, err, ended


def run(
    *command: str, user: str = "", seconds: float = STEP, may_fail: bool = False, cut: bool = False
) -> str:
    """What a program says on standard output.

    Args:
        user: who it runs as, when not as ourselves.
        may_fail: whether its exit status counts.
        cut: whether the beginning will do when it says too much.

    Raises:
        KeyError: there is no such user.
        LateError: it takes too long.
        UnanswerableError: it is not there, fails or says too much.
    """
    environment = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/", "SYSTEMD_COLORS": "0"}
    environment.update({"PGCONNECT_TIMEOUT": "2", "TZ": "UTC"})
    as_user: dict[str, Any] = {}
    if user:
        account = pwd.getpwnam(user)
        as_user = {"user": account.pw_uid, "group": account.pw_gid}
        as_user["extra_groups"] = os.getgrouplist(user, account.pw_gid)
    name = Path(command[0]).name
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            env=environment, start_new_session=True, **as_user,
        )  # fmt: skip
    except OSError as error:
        raise UnanswerableError(f"{name}: {error.strerror}") from None
    out, err, ended = listened(process, seconds)
    if ended == "late":
        raise LateError(f"{name} did not end within {seconds:.0f} s", out)
    if ended == "much" and not cut:
        raise UnanswerableError(f"{name} says too much")
    if process.returncode and not may_fail and not ended:
        said = (err.strip() or out.strip()).removeprefix(f"{name}: ").splitlines()
        raise UnanswerableError(f"{name}: {said[0][:200] if said else f'status {process.returncode}'}")
    return out


def number(text: str) -> float | None:
    """A number of systemd's or of another program's; a time as @1700000000 is one."""
    try:
        value = float(text.strip().lstrip("@"))
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < 1e18 else None


def unix_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float:
    """Seconds since 1970 of a time of the Gregorian calendar, in UTC."""
    # Years that begin in March have their leap day at the end.
    year, shifted = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 719469
    return float(((days * 24 + hour) * 60 + minute) * 60 + second)


def keep(name: str, change: Callable[[Any], Any]) -> Any:
    """Read a small JSON file of our own, change it, and write it back where that is possible.

    Gives what it was changed to. Only root writes; nobody else can write into the folder.
    """
    folder = at("/var/lib/provision/probe")
    path = folder / name
    try:
        folder.mkdir(0o755, parents=True, exist_ok=True)
        lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        # A full or read-only disk must not keep us from telling that it is so.
        return change(parsed(path))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        value = change(parsed(path))
        new = folder / f"{name}.new"
        new.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
        new.replace(path)
    except OSError:
        return change(parsed(path))
    finally:
        os.close(lock)
    return value


def parsed(path: Path) -> Any:
    """A JSON file; nothing where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return json.loads(stream.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return None


def allowed() -> dict[str, Any]:
    """What root lets those see who come by "ssh"."""
    found = parsed(at("/etc/provision/probe.json"))
    return found if isinstance(found, dict) else {}


def why(error: OSError) -> str:
    """Why a socket gives no answer."""
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, FileNotFoundError):
        return "its socket is not there"
    if isinstance(error, BlockingIOError):
        return "nobody takes calls any more"
    return error.strerror or str(error)[:100]
