"""A workspace that can be changed, for the tests of the model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provision.errors import ConfigurationError, Problem
from provision.model import Workspace, load_workspace

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the good workspace, with its roles inside."""
    workspace = tmp_path / "vilaprova"
    shutil.copytree(FIXTURES / "workspace", workspace)
    shutil.copytree(FIXTURES / "roles", workspace / "roles")
    return workspace


@pytest.fixture
def load(place: Path) -> Callable[[], Workspace]:
    """Loads the copy as it is then."""
    return lambda: load_workspace(place, ())


@pytest.fixture
def write(place: Path) -> Callable[[str, object], Path]:
    """Writes a file of the copy: a text as it is, anything else as YAML."""

    def write_file(name: str, content: object) -> Path:
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return file

    return write_file


@pytest.fixture
def problems(place: Path) -> Callable[[], list[Problem]]:
    """The problems of the copy as it is then; none when it is right."""

    def load_problems() -> list[Problem]:
        try:
            load_workspace(place, ())
        except ConfigurationError as error:
            return list(error.problems)
        return []

    return load_problems
