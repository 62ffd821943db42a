"""Live progress of a run: a line for each role, a bar where it is a terminal, plain lines where it is not."""

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from provision.cli.output import errors
from provision.engine.events import Event, Message, TaskResult, TaskStarted
from provision.engine.report import Estimate


class RunDisplay:
    """Shows a run while it goes on.

    Args:
        school: id.
        estimate: what an earlier run took, for the time left.
        quiet: show nothing (``--json``).
    """

    def __init__(self, school: str, estimate: Estimate | None, *, quiet: bool = False) -> None:
        self._school = school
        self._estimate = estimate
        self._quiet = quiet
        self._live = errors.is_terminal and not quiet
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.fields[role]:<14}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[step]}"),
            TimeElapsedColumn(),
            console=errors,
            transient=True,
            disable=not self._live,
        )
        self._role: str | None = None
        self._bar: TaskID | None = None
        self._started = time.monotonic()
        self._role_started = self._started
        self._changed = 0
        self._done = 0
        self._seen: set[str] = {"site"}

    def __enter__(self) -> Self:
        self._progress.start()
        if self._estimate and not self._quiet:
            self.say(f"The last whole run took {duration(self._estimate.seconds)}.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_role()
        with suppress(OSError):
            self._progress.stop()

    def probing(self) -> None:
        """Ansible is done, the probes begin."""
        self._finish_role()
        self.say("  probing the services")

    def say(self, text: str) -> None:
        """A line between the bars."""
        # The terminal may have been closed; the run is stopped in good order all the same.
        with suppress(OSError):
            if not self._quiet:
                self._progress.console.print(text, style="quiet", markup=False)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case TaskStarted():
                if event.role != self._role:
                    self._finish_role()
                    self._start_role(event.role)
                if self._bar is not None:
                    self._progress.update(self._bar, step=event.name[:60])
            case TaskResult():
                self._done += 1
                self._changed += event.status == "changed"
                if self._bar is not None:
                    self._progress.update(self._bar, completed=self._done)
            case Message():
                pass

    def _start_role(self, role: str) -> None:
        self._role = role
        self._role_started = time.monotonic()
        self._changed = self._done = 0
        if self._live:
            expected = (self._estimate.tasks_by_role.get(role) if self._estimate else None) or None
            self._bar = self._progress.add_task(role, total=expected, role=role, step="")

    def _finish_role(self) -> None:
        if self._role is None:
            return
        seconds = time.monotonic() - self._role_started
        changed = f"{self._changed} changed" if self._changed else "nothing to change"
        remaining = self._remaining()
        left = f", about {duration(remaining)} left" if remaining > 1 else ""
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None
        if self._role != "site":
            self.say(f"  {self._role:<14} {changed} ({seconds:.1f} s{left})")
        self._role = None

    def _remaining(self) -> float:
        """Seconds left: what the roles to come took last time, at the pace of this run so far."""
        if self._estimate is None or self._role is None:
            return 0.0
        self._seen.add(self._role)
        expected = sum(seconds for role, seconds in self._estimate.by_role.items() if role in self._seen)
        to_come = sum(seconds for role, seconds in self._estimate.by_role.items() if role not in self._seen)
        return to_come * (time.monotonic() - self._started) / expected if expected else 0.0


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    whole = max(0, round(seconds))
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"
