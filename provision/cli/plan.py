"""``provision plan``: what would change, in plain words; changes nothing."""

from typing import Annotated

import typer

from provision.cli.apply import SkipOption, each_school, exit_code, not_tried, stops
from provision.cli.options import JsonOption, MirrorOption, SchoolsArgument, ServiceOption, WorkspaceOption
from provision.cli.output import emit_json, errors
from provision.cli.progress import RunDisplay
from provision.cli.report import prepared_notes, report_json, show_concerns, show_plan
from provision.engine.operation import Operation, refuse_problems
from provision.engine.preparation import Prepared, prepare
from provision.engine.report import Estimate, Report
from provision.model import find_workspace, load_workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "plan",
        epilog="Examples: provision plan escola-mar · provision plan escola-mar --diff · "
        "provision plan escola-mar --exit-code --json",
    )(plan)


def plan(
    schools: SchoolsArgument,
    workspace: WorkspaceOption = None,
    service: ServiceOption = None,
    mirror: MirrorOption = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show every difference.")] = False,
    pending_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when something would change.")
    ] = False,
    skip_unavailable: SkipOption = False,
    json_output: JsonOption = False,
) -> None:
    """Show what apply would change, by service, in plain words. Changes nothing on the server."""
    loaded = load_workspace(find_workspace(workspace))

    def one(school: str) -> tuple[Report, Prepared]:
        prepared = prepare(
            loaded, school, only=service or [], mirror=mirror, skip_unavailable=skip_unavailable
        )
        if not json_output:
            prepared_notes(prepared, errors)
        with Operation(prepared, "plan") as current, stops(current):
            checks = current.look(sources=False)
            if not json_output:
                show_concerns(checks, errors)
            refuse_problems(checks, school)
            with RunDisplay(school, Estimate.of(loaded, school), quiet=json_output) as display:
                report = current.plan(display)
        if not json_output:
            show_plan(report, prepared, diff=diff)
        return report, prepared

    results, failures = each_school(loaded, schools, one)
    if json_output:
        shown = [report_json(*result, diff=diff) for result in results]
        left = not_tried(schools, results, failures)
        emit_json("provision/plan/v1", {"schools": shown, "errors": failures, "not_tried": left})
    code = exit_code([report for report, _ in results], failures, schools)
    if not code and pending_code and any(report.change_count for report, _ in results):
        code = 1
    raise typer.Exit(code)
