"""One command for several schools: each has its turn, and what became of them stands together at the end."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import typer

from provision.cli.apply import DeclinedError, each_school, exit_code, not_tried
from provision.engine.preparation import Prepared
from provision.engine.report import Report
from provision.errors import RefusedError
from provision.model import Workspace

WORKSPACE = cast(Workspace, SimpleNamespace(school=lambda name: name))
SCHOOLS = ["pi", "mar", "roure", "faig"]


def turns(**what: str) -> Any:
    """Each school's turn: ok, an outcome, or an error."""

    def one(school: str) -> tuple[Report, Prepared]:
        match what.get(school, "ok"):
            case "refused":
                raise RefusedError("the disk is full", "make room")
            case "no":
                raise DeclinedError("nothing was changed: the answer was no")
            case outcome:
                report = Report(school, "apply", "r1")
                report.outcome = outcome  # type: ignore[assignment]
                report.message = "the connection to the school was lost" if outcome == "failed" else ""
                return report, cast(Prepared, None)

    return one


def test_a_school_that_fails_is_refused_or_declined_keeps_no_other_from_its_turn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, failures = each_school(WORKSPACE, SCHOOLS, turns(pi="failed", mar="refused", roure="no"))
    assert [report.school for report, _ in results] == ["pi", "faig"]
    assert [failure["school"] for failure in failures] == ["mar", "roure"]
    assert exit_code([report for report, _ in results], failures, SCHOOLS) == 4
    end = capsys.readouterr().err.partition("── 1 of 4 schools went well")[2]
    assert "pi: failed: the connection to the school was lost" in end
    assert "mar: refused: the disk is full" in end
    assert "roure: refused: nothing was changed" in end
    assert "faig" not in end


def test_who_stops_a_run_stops_the_schools_behind_it_and_sees_which(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, failures = each_school(WORKSPACE, SCHOOLS, turns(mar="cancelled"))
    assert not_tried(SCHOOLS, results, failures) == ["roure", "faig"]
    end = capsys.readouterr().err.partition("── 1 of 4 schools went well")[2]
    assert ("mar: cancelled" in end, "roure: not tried" in end, "faig: not tried" in end) == (True,) * 3


def test_of_one_school_what_comes_is_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RefusedError):
        each_school(WORKSPACE, ["pi"], turns(pi="refused"))
    with pytest.raises(typer.Abort):
        each_school(WORKSPACE, ["pi"], turns(pi="no"))
    each_school(WORKSPACE, ["pi"], turns())
    assert capsys.readouterr().err == ""
