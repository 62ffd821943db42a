"""What a run is made of, bound into its intent."""

from pathlib import Path

import pytest

from provision.artifacts.selection import Unavailable
from provision.engine.preparation import tree_hash, unavailable_error


@pytest.fixture
def role(tmp_path: Path) -> Path:
    """A role with a linked directory, and a link that leads back to itself."""
    for name in ("role/tasks", "role/files/__pycache__", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "role/tasks/main.yml").write_text("- debug:")
    (tmp_path / "elsewhere/more.yml").write_text("- debug:")
    (tmp_path / "role/tasks/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "role/tasks/round").symlink_to(tmp_path / "role")
    return tmp_path / "role"


@pytest.mark.parametrize(
    "name", ["tasks/main.yml", "tasks/linked/more.yml", "tasks/new.yml", "files/__pycache__/payload.sh"]
)
def test_whatever_ansible_would_read_is_in_the_hash_of_a_role(role: Path, name: str) -> None:
    before = tree_hash(role)
    assert tree_hash(role) == before
    (role / name).write_text("- shell: id")
    assert tree_hash(role) != before


def test_what_python_keeps_for_itself_is_not(role: Path) -> None:
    before = tree_hash(role)
    (role / "files/__pycache__/x.cpython-311.pyc").write_bytes(b"\1")
    assert tree_hash(role) == before


def test_each_service_that_is_not_to_be_had_is_a_problem_of_its_own() -> None:
    error = unavailable_error(
        [
            Unavailable(
                "pad", "3.3.1", ("its repository does not answer", "no mirror has it"), "name a mirror"
            ),
            Unavailable("video", None, ("no release fits",), ""),
        ]
    )
    assert error.message == "not to be had: pad 3.3.1, video"
    assert [(problem.message, problem.remedy) for problem in error.problems] == [
        ("pad 3.3.1: its repository does not answer; no mirror has it", "name a mirror"),
        ("video: no release fits", ""),
    ]
