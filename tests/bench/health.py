"""What asking costs: one school with everything, a hundred schools, the server's own share, and Ansible beside it."""

import statistics

from provision.model import load_workspace
from tests.bench.figures import Figure, Part, in_turns, timed
from tests.bench.many import hundred_schools
from tests.bench.school import SERVICES
from tests.bench.stage import ROOT, Stage
from tests.labs import ssh

ROUNDS = 7
#: The same facts as far as Ansible's own modules tell them.
PLAYBOOK = ROOT / "tests" / "bench" / "facts.yml"


def measure(stage: Stage) -> Part:
    """Measure, on servers of its own."""
    own = stage.another("health", SERVICES)
    with own.open():
        there = own.installed
        what = ", ".join(f"{name} {version}" for name, version in there.items())
        own.say(f"health: {what}")
        services = load_workspace(own.school.directory).school(own.school.id).services.values()
        names = " ".join(service.hostname for service in services)
        ssh(own.school.machine, f"echo 127.0.0.1 {names} >> /etc/hosts")
        rounds = 1 if stage.small else ROUNDS
        seen = own.school.json("health", own.school.id, check=False)["schools"][own.school.id]
        series = in_turns(
            rounds, {"health": lambda: timed(lambda: _ask(own)), "facts": lambda: timed(lambda: _facts(own))}
        )
        cpu = [_cpu(own) for _ in range(rounds)]
        many = hundred_schools(stage, own.school)
    medians = {name: statistics.median(values) for name, values in series.items()}
    return Part(
        "health",
        f"Health: {what}; {len(seen)} questions",
        [
            Figure("health_school", "(a) provision health, one school", medians["health"], aim=2),
            Figure(
                "health_facts",
                "(b) the same facts by an Ansible playbook",
                medians["facts"],
                beside=f"{medians['facts'] / medians['health']:.1f} times (a)",
            ),
            Figure("health_cpu", "processor time on the server, one asking", statistics.median(cpu), aim=0.5),
            *many,
        ],
    )


def _ask(stage: Stage) -> None:
    stage.school.provision("health", stage.school.id, check=False)


def _cpu(stage: Stage) -> float:
    """Seconds, as the server itself counts them."""
    asked = stage.school.json("health", stage.school.id, check=False)["schools"][stage.school.id]
    figures = {figure["name"]: figure["value"] for one in asked for figure in one["figures"]}
    return float(figures["probe_cpu_seconds"])


def _facts(stage: Stage) -> None:
    stage.stock_playbook(PLAYBOOK)
