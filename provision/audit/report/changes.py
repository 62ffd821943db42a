"""What changed, service by service, in plain words, as the report's tables have it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provision.audit.report.facts import Facts
from provision.audit.report.texts import TEXTS
from provision.audit.stories import Detail, ReadableLog, Run, bound_detail
from provision.audit.words import Step, counted, summary
from provision.audit.words.terms import Language

#: Runs that are listed for one service; of earlier ones it is said how many there are.
MOST_RUNS = 60
#: Names of steps that are listed in one cell.
MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Change:
    """What one run changed in one service.

    Args:
        phrases: in the reader's language. steps: names of further steps, in English as the roles have them.
        unnamed: how many further steps are not named.
    """

    run: Run
    count: int
    phrases: tuple[str, ...]
    steps: tuple[str, ...] = ()
    unnamed: int = 0


@dataclass(frozen=True, slots=True)
class ServiceChanges:
    """The changes of a service or part of the server in the period.

    Args:
        earlier: how many runs are not listed.
    """

    part: str
    changes: int
    runs: int
    rows: tuple[Change, ...]
    earlier: int


def service_changes(log: ReadableLog, facts: Facts, lang: Language) -> list[ServiceChanges]:
    """The services and parts that changed, those with most changes first."""
    details: dict[str, Detail] = {}

    def detail(run: Run) -> Detail:
        if run.id not in details:
            details[run.id] = bound_detail(log, run)
        return details[run.id]

    found = []
    for part, total in sorted(facts.changes().items(), key=lambda item: (-item[1], item[0])):
        runs = [run for run in facts.runs if run.changes()[part]]
        shown = runs[-MOST_RUNS:]
        rows = tuple(_change(run, part, detail, lang) for run in reversed(shown))
        found.append(ServiceChanges(part, total, len(runs), rows, len(runs) - len(shown)))
    return found


def _change(run: Run, part: str, detail: Callable[[Run], Detail], lang: Language) -> Change:
    count = run.changes()[part]
    logged = [number for number, step in run.steps.items() if step.part == part and step.outcome == "changed"]
    known = detail(run).steps
    steps = [known[number] for number in sorted(logged) if number in known]
    texts = TEXTS[lang]
    if not steps and not any(number in run.erased for number in logged):
        return Change(run, count, (texts["detail_none"].format(changes=counted(count, "change", lang)),))
    phrases = list(summary([step for step in steps if step.deeds], lang))
    erased = sum(number in run.erased and number not in known for number in logged)
    wrong = len(logged) - len(steps) - erased
    for number, key in ((erased, "detail_erased"), (wrong, "detail_wrong")):
        if number:
            phrases.append(texts[key].format(steps=counted(number, "step", lang)))
    names = _names([step for step in steps if not step.deeds])
    return Change(run, count, tuple(phrases), names[:MOST_NAMES], max(0, len(names) - MOST_NAMES))


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(step.name for step in steps if step.name))
