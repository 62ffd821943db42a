"""What a command takes: time, processor, and memory of all its processes together."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two looks at the memory.
_LOOK_AGAIN = 0.1


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Args:
        seconds: from start to end. cpu: seconds of processor, of all its processes.
        peak: megabytes of all its processes at once; pages that they share count once (proportional set size).
        code: its exit code. output: what it printed.
    """

    seconds: float
    cpu: float
    peak: float
    code: int
    output: str


def use(command: Sequence[str], environment: Mapping[str, str], directory: Path) -> Usage:
    """Run a command and watch it."""
    with tempfile.TemporaryFile("w+") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=dict(environment), cwd=directory, text=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        peak = 0
        ended = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not ended.wait(_LOOK_AGAIN):
                peak = max(peak, sum(map(_kilobytes, _family(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            seconds = time.monotonic() - started
            ended.set()
            watcher.join()
        # Popen must not wait for a process that is gone.
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Usage(seconds, used.ru_utime + used.ru_stime, peak / 1024, process.returncode, output.read())


def _family(pid: int) -> list[int]:
    """A process with its descendants."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for file in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, file.read_text().split())
    return found


def _kilobytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
