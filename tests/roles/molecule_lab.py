"""Gives molecule its machines: called by molecule/create.yml and molecule/destroy.yml.

The files that molecule hands over are described in its documentation ("Ansible driver", instance config).
"""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from provision.errors import ProvisionError
from provision.lab import Lab


def machine_name(role: str, scenario: str, platform: str) -> str:
    """The name of a platform's lab machine, another one for each role and scenario."""
    parts = [role, *([] if scenario == "default" else [scenario]), platform]
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    if len(name) <= 37:
        return f"m-{name}"
    return f"m-{name[:28].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def instances(lab: Lab, create: bool) -> list[dict[str, Any]]:
    """Make or remove the scenario's machines; returns molecule's instance config."""
    scenario = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text())
    role = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]).name
    # A scenario may go on where another one has ended.
    owner = scenario["driver"].get("machines_of") or os.environ["MOLECULE_SCENARIO_NAME"]
    entries = []
    for platform in scenario["platforms"]:
        name = machine_name(role, owner, platform["name"])
        if not create:
            if any(machine.name == name for machine in lab.machines()):
                lab.down(name)
            continue
        machine = lab.up(name, platform["release"])
        for hostname in platform.get("hostnames", []):
            lab.add_name(hostname, name)
        entries.append(
            {
                "instance": platform["name"],
                "address": machine.address,
                "user": "root",
                "port": machine.port,
                "identity_file": str(machine.ssh_key),
            }
        )
    return entries


def main() -> int:
    """Returns the exit code."""
    lab = Lab(report=lambda line: print(line, flush=True))
    try:
        entries = instances(lab, create=sys.argv[1] == "create")
    except ProvisionError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).write_text(yaml.safe_dump(entries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
