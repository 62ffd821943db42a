"""Takes requests, asks the parts, and puts the answer together."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import threading
import time

from provision_probe import RefusedError, UnanswerableError, at, run
from provision_probe.files import FILE, MOST_FILES, certificates, files, last_run, listed, noted
from provision_probe.machine import clock, disks, listeners, system
from provision_probe.services import loopback, own
from provision_probe.systemd import failed, journal, restarts, timers, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

SCHEMA = "provision/probe/v1"
#: The only text that SSH_ORIGINAL_COMMAND may have, besides none.
ASKED_AS = "/usr/local/sbin/provision-probe ask"
#: Of those who come by "ssh", each holds one of these files of root's while it asks, or waits so many seconds for one.
PLACES, WAIT = "/var/lib/provision/health/place-*", 4.0
SUDO = ("sudo", "-n", "--", "/usr/local/sbin/provision-probe", "as-root")
#: Bytes of a request and of an answer.
MOST_REQUEST, MOST_ANSWER = 64 * 1024, 256 * 1024
#: How many of each sort a request may name.
MOST_UNITS, MOST_LOOPBACK = 64, 16
#: Seconds for all that root looks at, and for all parts together.
ROOT_PARTS, ALL_PARTS = 6.0, 8.0
UNIT = re.compile(
    r"[A-Za-z0-9@:_.\\][A-Za-z0-9@:_.\\-]{0,120}\.(service|timer|socket|target|mount|path|slice)"
)
PAGE = re.compile(r"/[!-~]{0,200}")


def request_of(text: str) -> dict[str, Any]:
    """A request, checked.

    Raises:
        RefusedError: it is none that is taken.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedError("the request is no JSON") from None
    if not isinstance(found, dict) or set(found) - {"schema", "units", "timers", "loopback", "files"}:
        raise RefusedError("the request has parts that are not known")
    if found.get("schema", SCHEMA) != SCHEMA:
        raise RefusedError("the request is for another version of this program")

    def texts(name: str, most: int, pattern: re.Pattern[str]) -> list[str]:
        values = found.get(name, [])
        if not isinstance(values, list) or len(values) > most:
            raise RefusedError(f"{name}: a list of at most {most}")
        if not all(isinstance(value, str) and pattern.fullmatch(value) for value in values):
            raise RefusedError(f"{name}: something in it is no name of its kind")
        return list(dict.fromkeys(values))

    pages = found.get("loopback", [])
    if not isinstance(pages, list) or len(pages) > MOST_LOOPBACK or not all(is_page(one) for one in pages):
        raise RefusedError("loopback: at most 16 questions with port, path, status, contains")
    return {
        "units": texts("units", MOST_UNITS, UNIT),
        "timers": texts("timers", MOST_UNITS, UNIT),
        "files": texts("files", MOST_FILES, FILE),
        "loopback": pages,
    }


def request_from(stream: BinaryIO, way: str) -> dict[str, Any]:
    """The request that comes in.

    Args:
        way: "ask" or "ssh".

    Raises:
        RefusedError: it is none that is taken, or something else was asked for over SSH.
    """
    if way == "ssh" and os.environ.get("SSH_ORIGINAL_COMMAND", "") not in ("", ASKED_AS):
        raise RefusedError("this key is for the health check and for nothing else")
    text = stream.read(MOST_REQUEST + 1)
    if len(text) > MOST_REQUEST:
        raise RefusedError("the request is too long")
    return request_of(text.decode("utf-8", "replace"))


def place_taken() -> int | None:
    """A place among those who ask by "ssh" at the same time, held until this program ends; None where there are none.

    Raises:
        RefusedError: all are taken for longer than we wait.
    """
    until = time.monotonic() + WAIT
    places = sorted(at("/").glob(PLACES.lstrip("/")))
    while places:
        for place in places:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
            else:
                return descriptor
        if time.monotonic() > until:
            raise RefusedError("too many ask at the same time: ask again in a few seconds")
        time.sleep(0.1)
    return None


def is_page(one: Any) -> bool:
    if not isinstance(one, dict) or set(one) != {"port", "path", "status", "contains"}:
        return False
    port, path, status, contains = one["port"], one["path"], one["status"], one["contains"]
    return (
        isinstance(port, int)
        and 0 < port < 65536
        and isinstance(path, str)
        and bool(PAGE.fullmatch(path))
        and isinstance(status, int)
        and (contains is None or (isinstance(contains, str) and len(contains) <= 500))
    )


def gather(parts: dict[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """Ask all parts at once; each fails alone."""
    answers: dict[str, Any] = {}
    started = time.monotonic()

    def ask(name: str, part: Callable[[], Any]) -> None:
        began = time.monotonic()
        try:
            value = {"value": part()}
        except UnanswerableError as error:
            value = {"reason": str(error)[:300]}
        except Exception as error:  # A fault of one part must not hide the others.
            value = {"reason": f"{type(error).__name__}: {str(error)[:250]}"}
        answers[name] = {"seconds": round(time.monotonic() - began, 3), **value}

    threads = {
        name: threading.Thread(target=ask, args=(name, part), daemon=True) for name, part in parts.items()
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, started + seconds - time.monotonic()))
        if thread.is_alive():
            answers.setdefault(name, {"seconds": seconds, "reason": f"no answer within {seconds:.0f} s"})
    return {name: answers[name] for name in parts}


#: The parts that only root may see.
ROOTS = (
    "disks", "updates", "certificates", "databases", "redis", "php", "firewall", "journal", "restarts", "clock",
    "last_run", "listed", "own",
)  # fmt: skip


def of_root() -> dict[str, Callable[[], Any]]:
    """What tells the parts that only root may see."""
    # Who has sudo tell them does not load it.
    from provision_probe.needs import databases, firewall, php, redis
    from provision_probe.updates import updates

    return {
        "disks": disks, "updates": updates, "certificates": certificates, "databases": databases, "redis": redis,
        "php": php, "firewall": firewall, "journal": journal, "restarts": restarts, "clock": clock,
        "last_run": last_run, "listed": listed, "own": own,
    }  # fmt: skip


def by_sudo() -> dict[str, Any]:
    """What only root may see, by the one command that sudo lets us run."""
    found = json.loads(run(*SUDO, seconds=ROOT_PARTS + 1))
    return {name: found["parts"][name] for name in ROOTS}


def answered(request: dict[str, Any], free: bool) -> dict[str, Any]:
    """All parts.

    Args:
        free: whether everything that is asked may be looked at; else only what root has named.
    """
    may = set(request["files"]) if free else set(request["files"]) & set(noted())
    parts: dict[str, Callable[[], Any]] = {
        "system": system,
        "failed": failed,
        "listeners": listeners,
        "units": lambda: units(request["units"]),
        "timers": lambda: timers(request["timers"]),
        "loopback": lambda: loopback(request["loopback"], free),
        "files": lambda: files([path for path in request["files"] if path in may]),
    }
    if os.geteuid() == 0:
        return gather({**parts, **of_root()}, ALL_PARTS)
    found = gather({**parts, "sudo": by_sudo}, ALL_PARTS)
    sudo = found.pop("sudo")
    rest = sudo.get("value") or {
        name: {"seconds": sudo["seconds"], "reason": f"not allowed: {sudo.get('reason', '')}"}
        for name in ROOTS
    }
    return {**found, **rest}


def document(parts: dict[str, Any]) -> bytes:
    """The answer in UTF-8, bounded: what is too large goes, the largest first."""
    while True:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        text = json.dumps(
            {
                "schema": SCHEMA,
                "time": time.time(),
                "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 3),
                "parts": parts,
            },
            separators=(",", ":"),
            allow_nan=False,
            ensure_ascii=False,
        ).encode("utf-8", "replace")  # Half a character, such as a journal may hold, would spoil all of it.
        if len(text) <= MOST_ANSWER:
            return text
        largest = max(parts, key=lambda name: len(json.dumps(parts[name])))
        parts = {**parts, largest: {"seconds": parts[largest]["seconds"], "reason": "the answer is too long"}}
