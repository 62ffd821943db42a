"""The child process that runs one playbook with ansible-runner; the only module that touches ansible-runner.

It is started with an environment made for it (``runner.worker_environment``), since ansible-runner copies the whole
environment into its artifacts. It reads one JSON request on standard input, which stays open: when it closes, the
parent is gone and the run is cancelled. It writes one JSON object a line on standard output. SIGTERM cancels.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from provision.engine.events import slim

#: Seconds that ansible-playbook gets to end its own workers after SIGTERM.
GRACE = 15.0


class Writer:
    """Hands events to the parent from a thread of its own, so that a slow reader never holds up the play."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._drain, name="events", daemon=True)
        self._thread.start()

    def put(self, item: dict[str, Any]) -> None:
        """Queue one object."""
        self._queue.put(item)

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _drain(self) -> None:
        while (item := self._queue.get()) is not None:
            # A parent that is gone is noticed on standard input; here it must not break the play.
            with contextlib.suppress(OSError, ValueError):
                self._out.write(json.dumps(item, default=str) + "\n")
                self._out.flush()


def children(pid: int) -> list[int]:
    """The direct children of a process, from ``/proc``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The name may hold blanks and brackets: count from the last bracket.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def marked(mark: str) -> list[int]:
    """Processes of ours that carry the run's mark in their environment, this one left out."""
    wanted = f"PROVISION_RUN_MARK={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_survivors(mark: str) -> None:
    """Kill what a cancelled run left behind: ansible-core 2.19's workers sit in sessions of their own."""
    for _ in range(20):
        survivors = marked(mark)
        if not survivors:
            break
        for pid in survivors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


class Cancel:
    """The way to stop a run: SIGTERM to ansible-playbook, time to end its workers, only then runner's own kill."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._since = 0.0

    def ask(self) -> None:
        """Stop the run (signal handler, or the parent is gone)."""
        if not self.asked.is_set():
            self._since = time.monotonic()
            self.asked.set()
            self._terminate()

    def callback(self) -> bool:
        """ansible-runner asks this about once a second; True makes it kill the process group."""
        if self.asked.is_set():
            # Again: ansible-playbook may not have been there yet when the first signal was sent.
            self._terminate()
        return self.asked.is_set() and time.monotonic() - self._since > GRACE

    @staticmethod
    def _terminate() -> None:
        for pid in children(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def run(request: dict[str, Any], writer: Writer, cancel: Cancel) -> dict[str, Any]:
    """Run the playbook.

    Returns:
        ``status`` (successful, failed, canceled), and how many events our own code could not read.
    """
    import ansible_runner

    if cancel.asked.is_set():
        return {"status": "canceled", "faults": 0}
    faults = 0

    def on_event(event: dict[str, Any]) -> bool:
        # An exception here would tear the play down half-way (ansible-runner hands it on).
        nonlocal faults
        try:
            kept = slim(event)
            if kept is not None:
                writer.put({"event": kept})
        except Exception:
            faults += 1
        return False

    runner = ansible_runner.run(
        private_data_dir=request["private"],
        ident=request["mark"],
        playbook=request["playbook"],
        inventory=request["inventory"],
        cmdline=request["arguments"],
        envvars=request["environment"],
        settings={"pexpect_timeout": 1, "suppress_output_file": True},
        fact_cache_type="",
        quiet=True,
        event_handler=on_event,
        cancel_callback=cancel.callback,
    )
    if not cancel.asked.is_set():
        return {"status": runner.status, "faults": faults}
    end_survivors(request["mark"])
    return {"status": "canceled", "faults": faults}


def main() -> None:
    """Entry point of ``python -m provision.engine.worker``."""
    # Whatever a library prints must not get between our lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    cancel = Cancel()
    signal.signal(signal.SIGTERM, lambda *_: cancel.ask())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.loads(sys.stdin.readline())

    parent_gone = threading.Event()

    def watch_parent() -> None:
        while sys.stdin.read(1):
            pass
        parent_gone.set()
        cancel.ask()

    threading.Thread(target=watch_parent, name="parent", daemon=True).start()
    writer = Writer(out)
    try:
        result = run(request, writer, cancel)
        if parent_gone.is_set():
            shutil.rmtree(request["private"], ignore_errors=True)
        writer.put({"result": result})
    except Exception as error:
        writer.put({"result": {"status": "error", "faults": 0, "error": repr(error)}})
    finally:
        writer.close()
    # A thread waits on standard input and must not hold us.
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
