"""Schools on lab machines, and the ordinary commands as a user types them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.engine.ssh import known_hosts_name, trust_like
from provision.lab import Machine
from provision.model import load_workspace

HELLO = Path(__file__).resolve().parents[1] / "fixtures" / "sixth_service" / "hello"


@dataclass(frozen=True)
class SchoolOnLab:
    """A workspace with one school whose host is a lab machine.

    Args:
        directory: the workspace.
        id: the school.
    """

    directory: Path
    id: str
    machine: Machine

    @property
    def environment(self) -> dict[str, str]:
        """What the commands see."""
        return {
            **os.environ,
            "PROVISION_WORKSPACE": str(self.directory),
            "PROVISION_VAULT_PASSWORD_FILE": str(self.directory / ".state" / "keys"),
            "PROVISION_PERSON": "Ada Administradora",
            "COLUMNS": "200",
            # Handed on to Ansible's processes: tells this school's from those of a test that runs at the same time.
            "XDG_DATA_HOME": str(self.directory),
        }

    def provision(
        self, *words: str, check: bool = True, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run ``provision WORDS``; fails the test with all that was said when it ends with another code than 0."""
        done = subprocess.run(
            [sys.executable, "-m", "provision", *words],
            env=self.environment,
            cwd=self.directory,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"provision {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start ``provision WORDS`` and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "provision", *words],
            env=self.environment,
            cwd=self.directory,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )

    def json(self, *words: str, check: bool = True) -> dict[str, Any]:
        """The JSON document of a command."""
        return json.loads(self.provision(*words, "--json", check=check).stdout)

    def secret(self, name: str) -> str:
        """One of the school's secrets."""
        return self.provision("secrets", "show", self.id, name, "--reveal").stdout.strip()

    def edit(self, **changes: Any) -> None:
        """Change keys of the school file's top level."""
        file = self.directory / "schools" / f"{self.id}.yml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes, allow_unicode=True))


def make_school(
    directory: Path,
    machine: Machine,
    services: dict[str, dict[str, Any]],
    *,
    school: str = "escola-prova",
    address: str = "servidor.escola-prova.test",
    host: dict[str, Any] | None = None,
    roles: Sequence[Path] = (),
    **municipality: Any,
) -> SchoolOnLab:
    """A lab workspace with one school on a machine, host key trusted, names known.

    Args:
        directory: an empty directory.
        services: as in a school file.
        host: further keys of the host.
        roles: service directories of the workspace's own.
        municipality: further keys of ``municipality.yml``.
    """
    (directory / "schools").mkdir(parents=True)
    state = directory / ".state"
    (state / "keys").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    for role in roles:
        shutil.copytree(role, directory / "roles" / role.name)
    key = state / "lab_key"
    key.write_bytes(machine.ssh_key.read_bytes())
    key.chmod(0o600)
    person = {"name": "Oficina de proves", "email": "proves@prova.test"}
    (directory / "municipality.yml").write_text(
        yaml.safe_dump(
            {
                "schema": 1,
                "id": "prova",
                "name": "Municipi de prova",
                "contact": person,
                "data_protection_officer": dict(person),
                "tls": {"mode": "internal"},
                "lab": True,
                "defaults": {"system": machine.system},
                **municipality,
            }
        )
    )
    (directory / "schools" / f"{school}.yml").write_text(
        yaml.safe_dump(
            {
                "schema": 1,
                "name": "Escola de prova",
                "domain": "escola-prova.test",
                "hosts": {
                    "main": {
                        "address": address,
                        "port": machine.port,
                        "ssh_key": ".state/lab_key",
                        **(host or {}),
                    }
                },
                "services": services,
            }
        )
    )
    names = [address, *(str(service["hostname"]) for service in services.values())]
    (state / "hosts").write_text(f"{machine.address} {' '.join(names)}\n")
    listed = machine.address if machine.port == 22 else f"[{machine.address}]:{machine.port}"
    trust_like(
        load_workspace(directory), known_hosts_name(address, machine.port), machine.known_hosts, listed
    )
    return SchoolOnLab(directory, school, machine)


def hello(directory: Path, machine: Machine, **more: Any) -> SchoolOnLab:
    """A school with the test-suite's own small service."""
    return make_school(
        directory, machine, {"hello": {"hostname": "hola.escola-prova.test"}}, roles=[HELLO], **more
    )
