"""The acceptance tests of a role, held against a school's server as `molecule` holds them against its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provision import paths
from provision.lab import Machine
from tests.e2e.schools import SchoolOnLab


def say(request: pytest.FixtureRequest, text: str) -> None:
    """A line of the run's own output, whatever is captured."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter:
        reporter.write_line(f"\n{text}")


def accept(
    school: SchoolOnLab,
    service: str,
    hostname: str,
    scratch: Path,
    file: Path | None = None,
    machine: Machine | None = None,
) -> None:
    """Run ``roles/<service>/verify`` over SSH; fails the test with what was said when one of them fails.

    Args:
        hostname: of the service.
        scratch: an empty directory.
        file: other tests of the role.
        machine: another server than the school's own.
    """
    machine = machine or school.machine
    file = file or paths.ROLES / service / "verify" / f"test_{service}.py"
    config = scratch / "ssh_config"
    config.write_text(
        f"Host *\n  IdentityFile {machine.ssh_key}\n  IdentitiesOnly yes\n  LogLevel ERROR\n"
        f"  UserKnownHostsFile {machine.known_hosts}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n"
    )
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider",
            str(file),
            f"--hosts=ssh://root@{machine.address}:{machine.port}", f"--ssh-config={config}",
        ],
        env={**os.environ, f"{service.upper()}_HOSTNAME": hostname},
        cwd=paths.ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.search(r"\d passed", done.stdout), done.stdout
