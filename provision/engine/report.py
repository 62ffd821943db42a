"""How an operation on a school went, and what it may be expected to take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from provision.audit import last_good
from provision.engine.events import Stats, TaskResult
from provision.health import ProbeResult
from provision.model import Workspace

Verb = Literal["plan", "apply"]


@dataclass(slots=True)
class Report:
    """How an operation on one school went.

    Args:
        changes: what changed (or would change), by role, in order.
        failure: the first task that failed.
        outcome: ``ok``, ``failed``, ``unhealthy`` or ``cancelled``.
        record: where the run's record is.
    """

    school: str
    verb: Verb
    run: str
    outcome: str = "ok"
    message: str = ""
    remedy: str = ""
    stats: Stats = field(default_factory=Stats)
    changes: dict[str, list[TaskResult]] = field(default_factory=dict)
    failure: TaskResult | None = None
    probes: list[ProbeResult] = field(default_factory=list)
    seconds: float = 0.0
    record: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def change_count(self) -> int:
        """How many steps changed something, or would."""
        return sum(len(results) for results in self.changes.values())


def describe(result: TaskResult) -> str:
    """One changed step in plain words: the task's name, and what it did where that says more."""
    details = "; ".join(result.details[:8])
    return f"{result.name} ({details})" if details else result.name


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an earlier run of the same school took, by role; empty when there was none."""

    seconds: float
    by_role: Mapping[str, float]
    tasks_by_role: Mapping[str, int]

    @classmethod
    def of(cls, workspace: Workspace, school: str) -> "Estimate | None":
        """From the newest full apply that ended well."""
        run = last_good(workspace.runs_dir, school, "apply")
        if run is None:
            return None
        return cls(float(run.get("seconds", 0)), run.get("seconds_by_role", {}), run.get("tasks_by_role", {}))
