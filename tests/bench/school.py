"""What it costs to set up a whole school, with real archives from the cache: where the time goes, and a second run."""

import statistics
from operator import itemgetter

from provision.artifacts import LockFile
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


def measure(stage: Stage) -> Part:
    """Measure, on a server of its own: the stage of the other parts has one service only."""
    scratch = stage.scratch / "school"
    scratch.mkdir()
    own = Stage(stage.console, scratch, f"{stage.machine_name}-school", small=stage.small, services=SERVICES)
    with own.open():
        chosen = LockFile.read(own.school.directory / "artifacts.lock").choices[own.school.id]
        there = {name: choice.version for name, choice in chosen.items() if choice.installed}
        own.say(f"school: {', '.join(f'{name} {version}' for name, version in there.items())}")
        own.stock_ansible()
        series = in_turns(
            1 if stage.small else ROUNDS,
            {"stock": lambda: timed(own.stock_ansible), "apply": lambda: timed(own.apply)},
        )
    medians = {name: statistics.median(values) for name, values in series.items()}
    left_out = [name for name in SERVICES if name not in there]
    what = ", ".join(f"{name} {version}" for name, version in there.items())
    longest = sorted(own.first_tasks, key=itemgetter("duration_ms"), reverse=True)[:LONGEST]
    return Part(
        "school",
        f"School: {what}{' (left out: ' + ', '.join(left_out) + ')' if left_out else ''}; {own.tasks} tasks",
        [
            Figure("school_first", "first apply (packages and archives from caches)", own.first_apply),
            *(
                Figure(
                    f"school_step_{number}",
                    f"of it: {task['task']}"[:80],
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
