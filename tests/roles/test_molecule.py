"""Every scenario of every role, on two lab machines (Debian 12 and 13) at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted(CHECKOUT.glob("roles/*/molecule/*/molecule.yml"))


def scenario_name(file: Path) -> str:
    role, scenario = file.parents[2].name, file.parent.name
    return role if scenario == "default" else f"{role}-{scenario}"


@pytest.mark.lab
@pytest.mark.parametrize("file", SCENARIOS, ids=scenario_name)
def test_a_role_checks_converges_changes_nothing_twice_and_verifies(file: Path) -> None:
    """The sequence is in .config/molecule/config.yml; PROVISION_TEST_KEEP=1 keeps the machines."""
    keep = ["--destroy=never"] if os.environ.get("PROVISION_TEST_KEEP") == "1" else []
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "molecule",
            # Named here because molecule finds it by itself only in a git checkout.
            f"--base-config={CHECKOUT / '.config/molecule/config.yml'}",
            "test",
            f"--scenario-name={file.parent.name}",
            *keep,
        ],
        cwd=file.parents[2],
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"molecule failed for {scenario_name(file)}:\n{done.stdout[-20000:]}"
