"""``python -m tests.bench.clocked FILE WORDS...``: ``provision WORDS``, with clocks around what records the run.

FILE gets, as JSON, seconds and seconds of processor: within the ``log``'s recorder; within that of the ``files``, which
keeps the run's files and the detail of its steps with the log and without it, and which the former calls; and bringing
the ``copy`` on the server up to date, which is a part of the former too.
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provision.audit import FileRecorder
from provision.cli.main import main
from provision.engine.logbook import LogBook
from provision.engine.recorder import LoggedRecorder


class Clock:
    """Time within some functions; one that calls another counts once."""

    def __init__(self) -> None:
        self.seconds = self.cpu = 0.0
        self._depth = 0

    def around(self, kind: type, *names: str) -> None:
        """Put the clock around methods of a class."""
        for name in names:
            setattr(kind, name, self._timed(getattr(kind, name)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **more: Any) -> Any:
            self._depth += 1
            started, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **more)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - started
                    self.cpu += time.thread_time() - cpu

        return timed


def record(file: Path, words: list[str]) -> None:
    """Run the command and write down what the clocks say."""
    clocks = {"log": Clock(), "files": Clock(), "copy": Clock()}
    clocks["files"].around(FileRecorder, "resume", "intend", "task", "step", "end", "place", "close")
    clocks["log"].around(LoggedRecorder, "resume", "intend", "task", "end", "place", "close")
    clocks["log"].around(LogBook, "__init__")
    clocks["copy"].around(LogBook, "place_copy")
    sys.argv = ["provision", *words]
    try:
        main()
    finally:
        file.write_text(
            json.dumps({name: [clock.seconds, clock.cpu] for name, clock in clocks.items()}), encoding="utf-8"
        )


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2:])
