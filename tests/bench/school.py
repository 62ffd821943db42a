"""What it costs to set up a whole school, with real archives from the cache: where the time goes, and a second run."""

import statistics
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from tests.bench.figures import Figure, Part, in_turns, timed
from tests.bench.stage import Stage

SERVICES = {
    "etherpad": "pad.escola-prova.test",
    "moodle": "moodle.escola-prova.test",
    "nextcloud": "nuvol.escola-prova.test",
}
ROUNDS = 3
#: Steps of the first apply that are told one by one.
LONGEST = 8
#: Of the first apply, what takes the time.
KINDS = (
    "packages of Debian, from apt's cache",
    "archives, sent and unpacked",
    "the services' own installers and settings",
    "everything else, from the first look to the record",
)


def kind_of(task: Mapping[str, Any]) -> str:
    """Which of ``KINDS`` a step of a run belongs to."""
    if task["action"] == "apt":
        return KINDS[0]
    if task["role"] == "archive":
        return KINDS[1]
    return KINDS[2] if task["role"] in SERVICES and task["action"] == "command" else KINDS[3]


def measure(stage: Stage) -> Part:
    """Measure, on a server of its own: the stage of the other parts has one service only."""
    own = stage.another("school", SERVICES)
    with own.open():
        there = own.installed
        what = ", ".join(f"{name} {version}" for name, version in there.items())
        own.say(f"school: {what}")
        own.stock_ansible()
        series = in_turns(
            1 if stage.small else ROUNDS,
            {"stock": lambda: timed(own.stock_ansible), "apply": lambda: timed(own.apply)},
        )
    medians = {name: statistics.median(values) for name, values in series.items()}
    left_out = [name for name in SERVICES if name not in there]
    by_kind: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    for task in own.first_tasks:
        by_kind[kind_of(task)] += task["duration_ms"] / 1000
    by_kind["everything else, from the first look to the record"] += own.first_apply - sum(by_kind.values())
    longest = sorted(own.first_tasks, key=itemgetter("duration_ms"), reverse=True)[:LONGEST]
    return Part(
        "school",
        f"School: {what}{' (left out: ' + ', '.join(left_out) + ')' if left_out else ''}; {own.tasks} tasks",
        [
            Figure("school_first", "first apply (packages and archives from caches)", own.first_apply),
            *(
                Figure(f"school_kind_{number}", f"of it: {kind}", seconds)
                for number, (kind, seconds) in enumerate(by_kind.items(), 1)
            ),
            *(
                Figure(
                    f"school_step_{number}",
                    f"its longest steps: {task['name']}"[:80],
                    task["duration_ms"] / 1000,
                    beside=str(task["role"]),
                )
                for number, task in enumerate(longest, 1)
            ),
            Figure("school_stock", "(a) plain ansible-playbook, nothing to do", medians["stock"]),
            Figure(
                "school_apply",
                "(b) provision apply --yes, nothing to do, probes included",
                medians["apply"],
                beside=f"{medians['apply'] / medians['stock']:.2f} of (a); aim 0.35",
            ),
        ],
    )
