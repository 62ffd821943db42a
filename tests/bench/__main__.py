"""What a run costs, side by side in one run on one lab server: ``make bench``.

Figures are ratios within this run, since machines are noisy; each is the median of several rounds that take turns.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from provision.engine.accelerate import mitogen_strategy
from tests.e2e.schools import HELLO, SchoolOnLab, make_school
from tests.labs import lab_machine

ROUNDS = 3
#: Services that exist and that the school has not switched on, to see what such a one costs.
DISABLED = 10


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def stock_ansible(school: SchoolOnLab, scratch: Path) -> Callable[[], None]:
    """Plain ``ansible-playbook`` with Ansible's own defaults over the same roles and variables."""
    inventory = scratch / "inventory.json"
    inventory.write_text(school.provision("inventory", "--list").stdout)
    script = scratch / "inventory.sh"
    script.write_text(f'#!/bin/sh\ncat "{inventory}"\n')
    script.chmod(0o755)
    empty = scratch / "ansible.cfg"
    empty.write_text("")
    binaries = Path(sys.executable).parent
    root = Path(__file__).resolve().parents[2]
    environment = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_ROLES_PATH": f"{root / 'roles'}:{school.directory / 'roles'}",
        "PROVISION_WORKSPACE": str(school.directory),
        "PROVISION_VAULT_PASSWORD_FILE": school.environment["PROVISION_VAULT_PASSWORD_FILE"],
        "ANSIBLE_CONFIG": str(empty),
    }

    def run() -> None:
        done = subprocess.run(
            [
                binaries / "ansible-playbook", "-i", script,
                "--vault-id", f"{school.id}@{binaries / 'provision-vault-client'}",
                root / "provision" / "playbooks" / "site.yml",
            ],
            env=environment, cwd=scratch, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode or "changed=0" not in done.stdout:
            sys.exit(
                "plain ansible-playbook did not end as a run with nothing to do:\n"
                + done.stdout[-3000:]
                + done.stderr[-2000:]
            )

    return run


def main() -> None:
    """Measure and print the table."""
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="provision-bench-") as place,
        lab_machine("bench", "bookworm") as machine,
    ):
        scratch = Path(place)
        school = make_school(
            scratch / "workspace", machine, {"etherpad": {"hostname": "pad.escola-prova.test"}}
        )
        apply = ("apply", school.id, "--yes", "--skip-unavailable")
        console.print("first apply ...")
        first = timed(lambda: school.provision(*apply))
        stock = stock_ansible(school, scratch)
        console.print("warming up ...")
        school.provision(*apply)
        stock()
        series: dict[str, list[float]] = {"stock": [], "apply": [], "plan": [], "plain": [], "disabled": []}
        municipality = school.directory / "municipality.yml"
        text = municipality.read_text()
        for number in range(ROUNDS):
            console.print(f"round {number + 1} of {ROUNDS} ...")
            series["stock"].append(timed(stock))
            series["apply"].append(timed(lambda: school.provision(*apply)))
            series["plan"].append(timed(lambda: school.provision("plan", school.id, "--skip-unavailable")))
            municipality.write_text(text + "accelerate: 'off'\n")
            series["plain"].append(timed(lambda: school.provision(*apply)))
            municipality.write_text(text)
            for extra in range(DISABLED):
                copy_service(school.directory / "roles", f"hello{extra}")
            series["disabled"].append(timed(lambda: school.provision(*apply)))
            subprocess.run(["rm", "-r", school.directory / "roles"], check=True)
        tasks = len(school.json("runs", "show", "last", "--log")["tasks"])
    medians = {name: statistics.median(values) for name, values in series.items()}
    mitogen = "in use" if mitogen_strategy() else "not installed"
    table = Table(title=f"etherpad school on one lab server, {tasks} tasks, mitogen {mitogen}")
    for column in ("what", "seconds", "ratio to (a)"):
        table.add_column(column, justify="left" if column == "what" else "right")
    rows = [
        ("(a) plain ansible-playbook, stock settings, nothing to do", medians["stock"]),
        ("(b) provision apply --yes, nothing to do, probes included", medians["apply"]),
        ("(b) the same without mitogen", medians["plain"]),
        ("provision plan, nothing to do", medians["plan"]),
        ("first apply (packages from the lab's cache)", first),
    ]
    for name, seconds in rows:
        table.add_row(name, f"{seconds:.2f}", f"{seconds / medians['stock']:.2f}")
    each = (medians["disabled"] - medians["apply"]) / DISABLED
    table.add_row(f"one service that exists and is switched off (of {DISABLED})", f"{each:+.3f}", "")
    console.print(table)
    console.print(
        json.dumps(
            {"medians": {name: round(value, 3) for name, value in medians.items()}, "first": round(first, 3)}
        )
    )


def copy_service(roles: Path, name: str) -> None:
    """A further service, not used by any school, made from the test-suite's own."""
    target = roles / name
    for file in HELLO.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(HELLO)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file.read_text().replace("hello", name))


main()
