"""Lab machines for tests: import the fixtures in a conftest, or use `lab_machine` directly."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from provision.lab import Lab, Machine

#: With this set, machines stay after the test, for a look: `provision lab ssh NAME`.
KEEP = os.environ.get("PROVISION_TEST_KEEP") == "1"


@contextmanager
def lab_machine(name: str, release: str = "bookworm", lab: Lab | None = None) -> Iterator[Machine]:
    """A fresh machine of this checkout's lab, removed at the end.

    Args:
        name: its name; a machine of that name from an earlier run is removed first.
        release: its Debian release.
        lab: another lab than this checkout's.
    """
    lab = lab or Lab()
    if any(machine.name == name for machine in lab.machines()):
        lab.down(name)
    try:
        yield lab.up(name, release)
    finally:
        if not KEEP and any(machine.name == name for machine in lab.machines()):
            lab.down(name)


def ssh(
    machine: Machine, command: str, *, check: bool = True, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a shell command on a machine as root.

    Args:
        machine: where.
        command: one line for its shell.
        check: whether a failure fails the test, with what the command said.
        stdin: what the command reads.
    """
    done = subprocess.run(
        machine.ssh_command(command), input=stdin, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, (
        f"“{command}” on {machine.name} failed:\n{done.stdout}{done.stderr}"
    )
    return done


@pytest.fixture
def fresh_machine() -> Iterator[Callable[..., Machine]]:
    """Makes machines, `fresh_machine(name, release)`, and removes them at the end of the test."""
    with ExitStack() as stack:
        yield lambda name, release="bookworm": stack.enter_context(lab_machine(name, release))


@pytest.fixture(scope="module")
def module_machine() -> Iterator[Callable[..., Machine]]:
    """Like `fresh_machine`, for all tests of a module."""
    with ExitStack() as stack:
        yield lambda name, release="bookworm": stack.enter_context(lab_machine(name, release))
