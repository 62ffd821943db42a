"""The record of what was done."""

from provision.audit.record import (
    FileRecorder,
    Person,
    Revision,
    RunIntent,
    RunOutcome,
    RunRecorder,
    find_run,
    last_good,
    list_runs,
    new_run_id,
    now,
    tasks_of,
)

__all__ = [
    "FileRecorder",
    "Person",
    "Revision",
    "RunIntent",
    "RunOutcome",
    "RunRecorder",
    "find_run",
    "last_good",
    "list_runs",
    "new_run_id",
    "now",
    "tasks_of",
]
