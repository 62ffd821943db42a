"""``provision check``: is everything ready for an apply? One table a school."""

from collections.abc import Sequence
from dataclasses import asdict

import typer

from provision.artifacts import Selection
from provision.cli.options import JsonOption, MirrorOption, SchoolsArgument, WorkspaceOption
from provision.cli.output import console, emit_json
from provision.cli.report import checks_table, stepped
from provision.engine.checking import Checker, Looked, in_order
from provision.engine.preflight import Check
from provision.model import find_workspace, load_workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "check", epilog="Examples: provision check escola-mar · provision check escola-mar escola-pi --json"
    )(check)


def check(
    schools: SchoolsArgument,
    workspace: WorkspaceOption = None,
    mirror: MirrorOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check files, secrets, artifacts and servers. Changes nothing, here or there."""
    loaded = load_workspace(find_workspace(workspace))
    schools = list(dict.fromkeys(schools))
    for school in schools:
        loaded.school(school)
    checker = Checker(loaded, mirror)
    tables: dict[str, list[Check]] = {}
    without: list[Looked] = []
    for looked in in_order(schools, checker.check):
        tables[looked.school] = rows(looked)
        without += [looked] if looked.left_out else []
        if not json_output:
            console.print(looked.school, style="name", markup=False)
            checks_table(tables[looked.school], console)
    bad = [school for school, checks in tables.items() if any(check.state == "problem" for check in checks)]
    if json_output:
        emit_json(
            "provision/check/v1",
            {"schools": {school: [asdict(check) for check in checks] for school, checks in tables.items()}},
        )
    elif bad:
        console.print(f"Not ready: {', '.join(bad)}. Nothing was changed.", style="bad", markup=False)
    else:
        console.print("Ready.", style="good")
        _say_without(without)
    raise typer.Exit(0 if not bad else (4 if len(schools) > 1 else 3))


def rows(looked: Looked) -> list[Check]:
    """The rows of a school's table: its file, its artifacts, then all else, in that order."""
    selected = [_selected(selection) for selection in looked.selections]
    return [*looked.checks[:1], *selected, *looked.checks[1:]]


def _say_without(schools: Sequence[Looked]) -> None:
    """A lab may do without a service, but plan and apply want to be told so."""
    for looked in schools:
        names = ", ".join(item.service for item in looked.left_out)
        console.print(
            f"{looked.school} without {names}: provision apply {looked.school} --skip-unavailable",
            style="warn",
            markup=False,
        )


def _selected(selection: Selection) -> Check:
    """The release that a service gets, where from, and what has to be known of it."""
    found, remedies = [f"{selection.version} ({selection.origin})"], []
    if step := stepped(selection):
        found.append(step)
    if selection.ended:
        found.append(f"upstream's support ended on {selection.ended}")
        remedies.append("plan the upgrade to a newer release")
    if selection.lab_only:
        remedies = ["for the lab only, never for a school"]
    if selection.caution:
        remedies.append(selection.caution.en)
    return Check(
        "artifacts", selection.service, "warning" if remedies else "ok", "; ".join(found), "; ".join(remedies)
    )
