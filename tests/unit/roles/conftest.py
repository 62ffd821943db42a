"""The program provision-probe, for the tests of its parts."""

from pathlib import Path

import pytest

from tests.unit.roles.probe import Probe, copied


@pytest.fixture(name="probe")
def _probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    # A socket's path must be short (unix(7)).
    return Probe(tmp_path_factory.mktemp("p"))


@pytest.fixture(name="started_probe", scope="session")
def _started_probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program itself, with its modules where they are in the role."""
    return copied(tmp_path_factory.mktemp("probe"))
