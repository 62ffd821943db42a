"""Runs an action in a process that ends abruptly: before, in the middle of, or after any of its system calls.

``python crashing.py DIR COUNT SEED`` kills a writer at random instants and prints what was found, as JSON. It is a
program of its own, since forking a test worker that has threads is not safe.
"""

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provision.audit import entries as e
from provision.audit.log import SchoolLog, writing
from provision.audit.tlog.keys import Kind, SignerKey

ORIGIN = "provision.example.cat/escola"
#: A key of these tests; the same in every process, so that the log can be opened again.
KEY = SignerKey(ORIGIN, Kind.ED25519, bytes(range(32)))
ACTOR = e.Actor(name="Ada Administradora")
TARGET = e.Target(school="escola")

#: System calls that change something on the disk.
_CALLS = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "fchmod", "close")
_EXIT = 137


def heartbeat(number: int) -> e.Heartbeat:
    return e.Heartbeat(actor=ACTOR, target=TARGET, why=f"number {number}")


def recovered(leftovers: list[e.Leftover]) -> e.LogRecovered:
    return e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=leftovers)


def _die_at(moment: int) -> None:
    """End this process at the so-manieth of its system calls, as if it had been killed; a write is cut in half."""
    seen = 0
    for name in _CALLS:
        original: Callable[..., Any] = getattr(os, name)

        def call(*args: Any, _name: str = name, _original: Callable[..., Any] = original, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == moment:
                if _name == "write":
                    data = bytes(args[1])
                    _original(args[0], data[: len(data) // 2])
                os._exit(_EXIT)
            return _original(*args, **more)

        setattr(os, name, call)


def crashed_everywhere(action: Callable[[], None]) -> Iterator[int]:
    """Do an action again and again, dying one system call later each time, until it comes through whole.

    Args:
        action: works on files only; each time in a process of its own.

    Yields:
        the moment of death, after each one.
    """
    moment = 0
    while True:
        moment += 1
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _die_at(moment)
                action()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        assert code == _EXIT, f"the action failed at moment {moment} instead of dying"
        yield moment


def _write_until_killed(directory: Path, acknowledged: int, generator: random.Random) -> None:
    with writing(directory, ORIGIN, [KEY]) as writer:
        while True:
            start = writer.size
            written = writer.append([heartbeat(start + offset) for offset in range(generator.randint(1, 30))])
            os.write(acknowledged, f"{written.stop}\n".encode())


def _kill_at_random(directory: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill a writer so many times; after each, what it acknowledged must be there, and what it left be put aside."""
    generator = random.Random(seed)
    kept: list[bytes] = []
    torn = 0
    for number in range(count):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            try:
                _write_until_killed(directory, write, random.Random(generator.random()))
            finally:
                os._exit(1)
        os.close(write)
        if number % 2:
            # On a busy machine every writer would be killed before its first entry.
            select.select([read], [], [], 60)
        time.sleep(generator.uniform(0.004, 0.035))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(read) as lines:
            said = lines.read().split()
        acknowledged = int(said[-1]) if said else len(kept)
        with writing(directory, ORIGIN, [KEY]) as writer:
            raw = list(writer.log.reader.entries()) if writer.size else []
            assert writer.size >= acknowledged, (
                f"{acknowledged} entries were acknowledged, {writer.size} are there"
            )
            assert raw[: len(kept)] == kept, "an earlier entry is another one now"
            if writer.leftovers:
                torn += 1
                writer.record_leftovers(recovered)
                raw = list(writer.log.reader.entries())
            kept = raw
    log = SchoolLog.open(directory)
    told = sum(entry.type == e.LogRecovered.type for entry in log.entries())
    return {"kills": count, "entries": log.size, "torn": torn, "recovered": told}


if __name__ == "__main__":
    print(json.dumps(_kill_at_random(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
