"""What commands have in common: asking a person, and what their options take."""

import io

import pytest
import typer

from provision.audit.entries import MAX_TEXT
from provision.cli import output
from provision.cli.options import MAX_WHY
from provision.errors import UsageError


def test_a_question_that_was_answered_with_yes_is_not_asked() -> None:
    output.confirm("Go on?", yes=True)


def test_where_nobody_can_answer_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "interactive", lambda: False)
    with pytest.raises(UsageError, match="nobody to ask") as caught:
        output.confirm("Go on?", yes=False, remedy="look first")
    assert caught.value.remedy == "look first"


@pytest.mark.parametrize(
    ("answer", "goes_on"),
    [("y\n", True), ("sí\n", True), ("S\n", True), ("perhaps\nyes\n", True), ("n\n", False), ("\n", False)],
)
def test_only_a_clear_yes_goes_on(monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool) -> None:
    monkeypatch.setattr(output, "interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    if goes_on:
        output.confirm("Go on?", yes=False)
        return
    with pytest.raises(typer.Abort):
        output.confirm("Go on?", yes=False)


def test_a_reason_is_as_long_as_the_log_takes() -> None:
    # Written twice, since the log's module takes longer to load than most commands.
    assert MAX_WHY == MAX_TEXT
