"""How problems look on a screen and in JSON."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from provision.cli.problems import as_data, render
from provision.errors import Problem


def shown(problem: Problem, *, terminal: bool = False, width: int = 80) -> str:
    screen = io.StringIO()
    render(
        [problem],
        Console(file=screen, highlight=False, force_terminal=terminal, width=width, color_system=None),
    )
    return screen.getvalue()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_problem_shows_its_place_its_line_a_mark_and_the_remedy(here: Path) -> None:
    file = here / "school.yml"
    file.write_text("schema: 1\nnmae: Escola\n")
    text = shown(Problem("Unknown.", 'Did you mean "name"?', file, 2, 1, "unknown-key"))
    assert text == (
        'school.yml:2:1\n    2 │ nmae: Escola\n      │ ^^^^\n  Unknown.\n  → Did you mean "name"?\n\n'
    )


def test_a_problem_without_a_file_is_its_message(here: Path) -> None:
    assert shown(Problem("The server does not answer.", "Is it on?")) == (
        "  The server does not answer.\n  → Is it on?\n\n"
    )


def test_a_file_elsewhere_is_shown_with_its_whole_path(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("else") / "x.yml"
    assert shown(Problem("No.", file=file, line=1)).startswith(f"{file}:1\n")


def test_square_brackets_of_a_file_are_no_markup(here: Path) -> None:
    file = here / "x.yml"
    file.write_text("name: [bold]hello[/bold]\n")
    assert "name: [bold]hello[/bold]" in shown(Problem("A [red]word[/red].", file=file, line=1, column=7))
    assert "A [red]word[/red]." in shown(Problem("A [red]word[/red].", file=file, line=1, column=7))


def test_the_mark_stands_under_wide_and_accented_letters(here: Path) -> None:
    file = here / "x.yml"
    file.write_text("{名前: é, b: x}\n")
    lines = shown(Problem("No.", file=file, line=1, column=9)).splitlines()
    # Each of the two signs is two columns wide.
    assert lines[2].index("^") == len("    1 │ ") + len("{名前: é, ") + 2


def test_a_terminal_folds_long_messages_and_a_file_does_not(here: Path) -> None:
    long = "word " * 40
    assert max(map(len, shown(Problem(long), terminal=True, width=60).splitlines())) <= 60
    assert len(shown(Problem(long)).splitlines()[0]) > 150


def test_a_long_line_is_cut_around_the_place(here: Path) -> None:
    file = here / "x.yml"
    file.write_text(f"a: [{'x, ' * 100}wrong, {'y, ' * 100}]\n")
    lines = shown(Problem("No.", file=file, line=1, column=305)).splitlines()
    assert len(lines[1]) < 115
    start = lines[2].index("^")
    assert lines[1][start : start + 5] == "wrong"


def test_a_secret_behind_a_key_is_not_shown(here: Path) -> None:
    file = here / "x.yml"
    file.write_text("    admin_password: correct-horse # my secret\n    token: [abc, def]\n")
    for line, column in ((1, 5), (1, 1), (1, 20), (2, 5)):
        text = shown(Problem("No.", file=file, line=line, column=column))
        assert "correct-horse" not in text
        assert "abc" not in text


def test_a_line_that_is_not_there_is_left_out(here: Path) -> None:
    file = here / "x.yml"
    file.write_text("a: 1\n")
    assert shown(Problem("No.", file=file, line=9)) == "x.yml:9\n  No.\n\n"
    file.unlink()
    assert shown(Problem("No.", file=file, line=1)) == "x.yml:1\n  No.\n\n"


def test_json_has_null_for_what_is_unknown() -> None:
    assert as_data([Problem("No.")]) == [
        {"file": None, "line": None, "column": None, "code": "", "message": "No.", "remedy": ""}
    ]
