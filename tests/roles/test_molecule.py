"""The roles' scenarios, on two lab machines (Debian 12 and 13) at once: every one with ``make test-roles``.

``make test`` leaves out those of roles that a whole school has (``IN_A_SCHOOL``).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from provision.engine.accelerate import mitogen_strategy

CHECKOUT = Path(__file__).resolve().parents[2]
#: Roles whose verify/ runs against a whole school too (tests/e2e/test_health.py and test_jitsi.py), which the real
#: commands have made and made again without a change: their scenarios would do most of it once more, in half an hour.
IN_A_SCHOOL = frozenset(
    {"coturn", "etherpad", "jitsi", "moodle", "nextcloud", "nginx", "php", "postgresql", "redis"}
)
EVERY = os.environ.get("PROVISION_TEST_SCENARIOS") == "every"
SCENARIOS = [
    file
    for file in sorted(CHECKOUT.glob("roles/*/molecule/*/molecule.yml"))
    if EVERY or file.parents[2].name not in IN_A_SCHOOL
]


def scenario_name(file: Path) -> str:
    role, scenario = file.parents[2].name, file.parent.name
    return role if scenario == "default" else f"{role}-{scenario}"


def goes_on_from(file: Path) -> Path | None:
    """The scenario of the same role whose machines a scenario goes on with."""
    driver = yaml.safe_load(file.read_text()).get("driver", {})
    return file.parents[1] / driver["machines_of"] / file.name if "machines_of" in driver else None


def accelerated() -> dict[str, str]:
    """What lets molecule run Ansible as `provision apply` does: with mitogen, where that can be used."""
    strategies = mitogen_strategy()
    if strategies is None:
        return {}
    return {"PROVISION_TEST_STRATEGIES": str(strategies), "PROVISION_TEST_STRATEGY": "mitogen_linear"}


@pytest.mark.lab
@pytest.mark.parametrize("file", SCENARIOS, ids=scenario_name)
def test_a_role_checks_converges_changes_nothing_twice_and_verifies(
    file: Path, request: pytest.FixtureRequest
) -> None:
    """The sequence is in .config/molecule/config.yml; PROVISION_TEST_KEEP=1 keeps the machines."""
    asked = [item.callspec.params["file"] for item in request.session.items if item.path == request.path]
    continued = file in [goes_on_from(other) for other in asked]
    # Molecule's own place for this is one for all checkouts on the machine, and what a killed run left there misleads.
    state = CHECKOUT / ".lab" / "molecule" / scenario_name(file)
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    keep = ["--destroy=never"] if continued or os.environ.get("PROVISION_TEST_KEEP") == "1" else []
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
            "MOLECULE_EPHEMERAL_DIRECTORY": str(state),
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            **accelerated(),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"molecule failed for {scenario_name(file)}:\n{done.stdout[-20000:]}"
