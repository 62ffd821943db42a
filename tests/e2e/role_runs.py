"""Runs single roles on a lab machine, through the ordinary playbook but without a school."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision import paths
from provision.lab import Machine


@dataclass(frozen=True)
class Outcome:
    """How ansible-playbook ended.

    Args:
        code: its exit code.
        changed: how many tasks changed something; -1 when it did not get that far.
        text: all that it said.
    """

    code: int
    changed: int
    text: str


def play(
    machine: Machine, directory: Path, roles: Sequence[str | dict[str, str]], *options: str, **variables: Any
) -> Outcome:
    """Run roles, in order, with these variables.

    Args:
        directory: an empty place for the inventory.
        roles: names, or ``{"role": ..., "entry": ...}``.
        options: more arguments of ansible-playbook, such as ``--check``.
    """
    host = {
        "ansible_host": machine.address,
        "ansible_port": machine.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(machine.ssh_key),
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={machine.known_hosts} "
        "-o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
        "ansible_python_interpreter": "/usr/bin/python3",
        "provision_secrets_file": str(directory / "secrets.yml"),
        "provision_roles": [{"role": role} if isinstance(role, str) else role for role in roles],
        **variables,
    }
    (directory / "secrets.yml").write_text("{}\n")
    inventory = directory / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"server": host}}}))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(inventory),
            *options,
            str(paths.PLAYBOOKS / "site.yml"),
        ],
        env=os.environ
        | {
            "ANSIBLE_CONFIG": str(paths.PLAYBOOKS / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(paths.ROLES),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    counts = dict(re.findall(r"(changed|failed|unreachable)=(\d+)", done.stdout))
    return Outcome(done.returncode, int(counts.get("changed", -1)), done.stdout + done.stderr)
