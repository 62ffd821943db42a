"""What a run costs, beside plain Ansible over the same roles."""

import shutil
import statistics
from pathlib import Path

from provision.engine.accelerate import mitogen_strategy
from tests.bench.figures import Figure, Part, in_turns, timed
from tests.bench.stage import Stage
from tests.e2e.schools import HELLO

ROUNDS = 3
#: Services that exist and that the school has not switched on, to see what such a one costs.
DISABLED = 10


def measure(stage: Stage) -> Part:
    """Measure, with the stage open."""
    school = stage.school

    def plain() -> float:
        with stage.setting("accelerate: 'off'"):
            return timed(stage.apply)

    def disabled() -> float:
        roles = school.directory / "roles"
        for extra in range(DISABLED):
            _copy_service(roles, f"hello{extra}")
        try:
            return timed(stage.apply)
        finally:
            shutil.rmtree(roles)

    stage.say("runs: plain Ansible once, to warm up")
    stage.stock_ansible()
    rounds = 1 if stage.small else ROUNDS
    stage.say(f"runs: {rounds} rounds of five kinds of runs")
    series = in_turns(
        rounds,
        {
            "stock": lambda: timed(stage.stock_ansible),
            "apply": lambda: timed(stage.apply),
            "plan": lambda: timed(lambda: school.provision("plan", school.id, "--skip-unavailable")),
            "plain": plain,
            "disabled": disabled,
        },
    )
    medians = {name: statistics.median(values) for name, values in series.items()}
    mitogen = "in use" if mitogen_strategy() else "not installed"

    def figure(name: str, what: str, seconds: float) -> Figure:
        return Figure(name, what, seconds, beside=f"{seconds / medians['stock']:.2f} of (a)")

    return Part(
        "runs",
        f"Runs: school with Etherpad on one lab server, {stage.tasks} tasks, mitogen {mitogen}",
        [
            figure("stock", "(a) plain ansible-playbook, stock settings, nothing to do", medians["stock"]),
            figure("apply", "(b) provision apply --yes, nothing to do, probes included", medians["apply"]),
            figure("plain", "(b) the same without mitogen", medians["plain"]),
            figure("plan", "provision plan, nothing to do", medians["plan"]),
            figure("first", "first apply (packages from the lab's cache)", stage.first_apply),
            Figure(
                "switched_off",
                f"one service that exists and is switched off (of {DISABLED})",
                (medians["disabled"] - medians["apply"]) / DISABLED,
                digits=3,
            ),
        ],
    )


def _copy_service(roles: Path, name: str) -> None:
    """A further service, not used by any school, made from the test-suite's own."""
    target = roles / name
    for file in HELLO.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(HELLO)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file.read_text().replace("hello", name))
