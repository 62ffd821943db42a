"""Lessons that a run cut on a server that schools share: each of them reads of it in its own audit log."""

from provision.audit import entries as e
from provision.audit.log import log_directory
from provision.audit.opening import actor_of, origin_of
from provision.audit.outbox import Outbox
from provision.audit.record import Person
from provision.engine.events import TaskResult
from provision.errors import ProvisionError
from provision.model import ResolvedSchool, Workspace


def tell_other_schools(
    workspace: Workspace, school: ResolvedSchool, person: Person, run: str, step: TaskResult
) -> list[str]:
    """Leave an entry for the log of each other school whose lessons may have been among them.

    It waits in their outbox for the next run, as whatever is done away from a school's own server does.

    Args:
        school, run: whose run it was.
        step: a step with ``cut``.

    Returns:
        what could not be left, in plain words.
    """
    trouble = []
    for name in workspace.sharing(step.host, besides=school.id):
        other = workspace.schools[name]
        if not other.audit.enabled:
            continue
        try:
            entry = e.LessonsCut(
                actor=actor_of(person),
                target=e.Target(school=name, host=step.host, service=step.role),
                by=school.id,
                by_run=run,
                **(step.cut or {}),
            )
            Outbox(log_directory(workspace.path, name)).add(origin_of(workspace, other), [entry])
        except (OSError, ProvisionError, ValueError) as error:
            # ValueError: something that no entry can hold.
            trouble.append(f"that lessons were cut could not be left for the audit log of {name}: {error}")
    return trouble
