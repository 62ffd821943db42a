"""Every wrong file says what is wrong in the words of its ``.expected`` file, which are reviewed as a text.

After a change of the words, ``python tests/unit/model/test_bad_files.py`` writes them anew: read the changes.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from provision.cli.problems import as_data, render
from provision.errors import ConfigurationError
from provision.model import load_workspace
from provision.model.document import split_lines

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
#: Directory of wrong files -> where one of them is put in a copy of the good workspace.
PLACES = {
    "bad_schools": "schools/{name}.yml",
    "bad_municipalities": "municipality.yml",
    "bad_services": "roles/wiki/service.yml",
}
FILES = sorted(file for kind in PLACES for file in (FIXTURES / kind).glob("*.yml"))


@contextmanager
def workspace_with(bad: Path, directory: Path) -> Iterator[Path]:
    """A copy of the good workspace with the wrong file in it, as the current directory."""
    workspace = directory / "vilaprova"
    shutil.copytree(FIXTURES / "workspace", workspace)
    shutil.copytree(FIXTURES / "roles", workspace / "roles")
    place = workspace / PLACES[bad.parent.name].format(name=bad.stem)
    place.write_bytes(bad.read_bytes())
    before = Path.cwd()
    os.chdir(workspace)
    try:
        yield workspace
    finally:
        os.chdir(before)


def messages(bad: Path, directory: Path) -> tuple[ConfigurationError, str]:
    """What a clerk reads about a wrong file."""
    with workspace_with(bad, directory) as workspace:
        with pytest.raises(ConfigurationError) as caught:
            load_workspace(workspace, ())
        screen = io.StringIO()
        render(caught.value.problems, Console(file=screen, highlight=False))
    return caught.value, f"{screen.getvalue()}{caught.value}\n"


@pytest.mark.parametrize("bad", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_wrong_file_says_what_is_wrong_what_is_allowed_and_what_was_meant(
    bad: Path, tmp_path: Path
) -> None:
    _, text = messages(bad, tmp_path)
    assert text == bad.with_suffix(".expected").read_text(encoding="utf-8")


@pytest.mark.parametrize("bad", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_problem_has_a_place_inside_its_file(bad: Path, tmp_path: Path) -> None:
    error, _ = messages(bad, tmp_path)
    for problem in error.problems:
        assert problem.file is not None
        assert problem.code
        lines = split_lines(problem.file.read_bytes().decode("utf-8-sig", "replace"))
        assert 1 <= problem.line <= max(1, len(lines)), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem


def test_no_message_speaks_the_language_of_the_library() -> None:
    for expected in FIXTURES.glob("bad_*/*.expected"):
        text = expected.read_text(encoding="utf-8").lower()
        for word in ("input should", "pydantic", "valid string", "traceback", "nonetype", "dict", "mapping"):
            assert word not in text, f"{expected.name}: {word}"


def test_a_secret_that_stands_in_a_file_is_not_shown(tmp_path: Path) -> None:
    for name, secret in (("secret-in-file", "correct-horse"), ("private-key", "b3BlbnNzaC1rZXk")):
        directory = tmp_path / name
        directory.mkdir()
        error, text = messages(FIXTURES / "bad_schools" / f"{name}.yml", directory)
        assert secret not in text
        assert secret not in str(as_data(error.problems))


def test_problems_are_sorted_by_file_and_line(tmp_path: Path) -> None:
    error, _ = messages(FIXTURES / "bad_schools" / "many-mistakes.yml", tmp_path)
    lines = [problem.line for problem in error.problems]
    assert len(lines) > 5
    assert lines == sorted(lines)


def rewrite() -> None:
    """Write every ``.expected`` file anew."""
    for bad in FILES:
        with tempfile.TemporaryDirectory() as directory:
            bad.with_suffix(".expected").write_text(messages(bad, Path(directory))[1], encoding="utf-8")


if __name__ == "__main__":
    rewrite()
