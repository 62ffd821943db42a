"""What the benchmark plays on: a school on a lab server, and plain Ansible over the same roles."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from provision.artifacts import LockFile
from tests.bench.figures import timed
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(sys.executable).parent
#: A school with one service.
SERVICES = {"etherpad": "pad.escola-prova.test"}


class Stage:
    """Where it happens.

    Args:
        scratch: an empty directory that is removed at the end; nothing is written anywhere else.
        small: only try the benchmark itself; its figures mean nothing.
        services: what the school has, each with its host name.
    """

    def __init__(
        self,
        console: Console,
        scratch: Path,
        machine_name: str,
        *,
        small: bool,
        services: Mapping[str, str] = SERVICES,
    ) -> None:
        self.console = console
        self.scratch = scratch
        self.small = small
        self.machine_name = machine_name
        self._services = {name: {"hostname": hostname} for name, hostname in services.items()}
        self._school: SchoolOnLab | None = None
        self.first_apply = 0.0
        self.first_tasks: list[dict[str, Any]] = []
        self.tasks = 0

    def say(self, words: str) -> None:
        """Tell people what goes on."""
        self.console.print(f"{words} ...", highlight=False)

    @property
    def school(self) -> SchoolOnLab:
        """The school, set up."""
        assert self._school is not None, "open it first"
        return self._school

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start the server, set the school up, and warm up everything."""
        self.say("starting a lab server")
        with lab_machine(self.machine_name, "bookworm") as machine:
            self._school = make_school(self.scratch / "workspace", machine, self._services)
            self.say("first apply")
            self.first_apply = timed(self.apply)
            self.first_tasks = self.school.json("runs", "show", "last", "--log")["tasks"]
            self.say("warming up")
            self.apply()
            self.tasks = len(self.school.json("runs", "show", "last", "--log")["tasks"])
            yield

    @property
    def installed(self) -> dict[str, str]:
        """The services that are there, with their releases."""
        choices = LockFile.read(self.school.directory / "artifacts.lock").choices[self.school.id]
        return {name: choice.version for name, choice in choices.items() if choice.installed}

    def another(self, name: str, services: Mapping[str, str]) -> "Stage":
        """A stage beside this one, with a server and a directory of its own, for other services."""
        scratch = self.scratch / name
        scratch.mkdir()
        return Stage(
            self.console, scratch, f"{self.machine_name}-{name}", small=self.small, services=services
        )

    @property
    def apply_words(self) -> tuple[str, ...]:
        """The command that brings the school into its wanted state."""
        return ("apply", self.school.id, "--yes", "--skip-unavailable")

    def apply(self) -> None:
        """``provision apply``."""
        self.school.provision(*self.apply_words)

    @contextmanager
    def setting(self, line: str) -> Iterator[None]:
        """A line more in ``municipality.yml`` meanwhile."""
        file = self.school.directory / "municipality.yml"
        text = file.read_text()
        file.write_text(f"{text}{line}\n")
        try:
            yield
        finally:
            file.write_text(text)

    def stock_ansible(self, more: Mapping[str, str] | None = None) -> None:
        """Plain ``ansible-playbook`` with Ansible's own defaults over the same roles and variables.

        Args:
            more: further variables of its environment.
        """
        said = self.stock_playbook(ROOT / "provision" / "playbooks" / "site.yml", more)
        if "changed=0" not in said:
            sys.exit(f"plain ansible-playbook did not end as a run with nothing to do:\n{said[-3000:]}")

    def stock_playbook(self, playbook: Path, more: Mapping[str, str] | None = None) -> str:
        """Play a playbook on the school with plain ``ansible-playbook``; gives what it printed."""
        place = self.scratch / "stock"
        script = place / "inventory.sh"
        if not place.exists():
            place.mkdir()
            inventory = place / "inventory.json"
            inventory.write_text(self.school.provision("inventory", "--list").stdout)
            script.write_text(f'#!/bin/sh\ncat "{inventory}"\n')
            script.chmod(0o755)
            (place / "ansible.cfg").touch()
        environment = {
            "PATH": f"{BINARIES}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_ROLES_PATH": f"{ROOT / 'roles'}:{self.school.directory / 'roles'}",
            "PROVISION_WORKSPACE": str(self.school.directory),
            "PROVISION_VAULT_PASSWORD_FILE": self.school.environment["PROVISION_VAULT_PASSWORD_FILE"],
            "ANSIBLE_CONFIG": str(place / "ansible.cfg"),
            **(more or {}),
        }
        done = subprocess.run(
            [
                BINARIES / "ansible-playbook", "-i", script,
                "--vault-id", f"{self.school.id}@{BINARIES / 'provision-vault-client'}", playbook,
            ],
            env=environment, cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"plain ansible-playbook failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
        return done.stdout


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for all that the benchmark writes, on a real disk: where writing safely costs nothing, it would not
    be measured.
    """
    with tempfile.TemporaryDirectory(prefix="provision-bench-") as place:
        kind = subprocess.run(
            ["stat", "--file-system", "--format=%T", place], capture_output=True, text=True, check=True
        ).stdout.strip()
        if kind in {"tmpfs", "ramfs"}:
            sys.exit(f"{place} is in memory ({kind}): name a directory on a disk with TMPDIR, then try again")
        yield Path(place)
