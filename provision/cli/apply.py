"""``provision apply``: bring schools into their wanted state."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import Annotated, Any

import typer

from provision.cli.options import (
    JsonOption,
    MirrorOption,
    SchoolsArgument,
    ServiceOption,
    TicketOption,
    WhyOption,
    WorkspaceOption,
    YesOption,
)
from provision.cli.output import agreed, console, emit_json, errors, interactive
from provision.cli.progress import RunDisplay
from provision.cli.report import (
    prepared_notes,
    report_json,
    show_apply,
    show_concerns,
    show_plan,
    show_several,
)
from provision.engine.operation import Mandate, Operation, refuse_problems
from provision.engine.preparation import Prepared, prepare
from provision.engine.report import Estimate, Report
from provision.errors import ProvisionError, UsageError
from provision.model import Workspace, find_workspace, load_workspace

SkipOption = Annotated[
    bool,
    typer.Option(
        "--skip-unavailable", help="Leave out services whose source cannot be reached (lab workspaces only)."
    ),
]


class DeclinedError(ProvisionError):
    """Whoever was asked said no."""

    exit_code = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "apply",
        epilog="Examples: provision apply escola-mar · provision apply escola-mar escola-pi --yes · "
        "provision apply escola-mar --service etherpad",
    )(apply)


def apply(
    schools: SchoolsArgument,
    workspace: WorkspaceOption = None,
    service: ServiceOption = None,
    mirror: MirrorOption = None,
    yes: YesOption = False,
    skip_unavailable: SkipOption = False,
    why: WhyOption = "",
    ticket: TicketOption = "",
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0,
            help="Minutes to wait: for the school's cosignature, where it must agree; for the end of lessons, before a "
            "step that would cut them.",
        ),
    ] = 0.0,
    force: Annotated[
        bool, typer.Option("--force", help="Cut the lessons that go on, where a step needs a restart.")
    ] = False,
    older: Annotated[
        bool,
        typer.Option("--older", help="Apply although a colleague has applied newer files, and undo those."),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Bring schools into their wanted state.

    Shows how much would change and asks (unless --yes), then does it, probes every service and writes the record.
    Ctrl-C stops in good order; applying again finishes the job.
    """
    loaded = load_workspace(find_workspace(workspace))
    if not yes and (json_output or not interactive()):
        raise UsageError("there is nobody to ask", "look first with: provision plan SCHOOL, then give --yes")

    mandate = Mandate(why=why, ticket=ticket, wait=60 * wait, force=force, older=older)

    def one(school: str) -> tuple[Report, Prepared]:
        return _apply_one(
            loaded, school, service or [], mirror, mandate, yes=yes, skip=skip_unavailable, quiet=json_output
        )

    results, failures = each_school(loaded, schools, one)
    if json_output:
        shown = [report_json(*result, diff=False) for result in results]
        left = not_tried(schools, results, failures)
        emit_json("provision/apply/v1", {"schools": shown, "errors": failures, "not_tried": left})
    raise typer.Exit(exit_code([report for report, _ in results], failures, schools))


def _apply_one(
    workspace: Workspace,
    school: str,
    only: list[str],
    mirror: str | None,
    mandate: Mandate,
    *,
    yes: bool,
    skip: bool,
    quiet: bool,
) -> tuple[Report, Prepared]:
    prepared = prepare(workspace, school, only=only, mirror=mirror, skip_unavailable=skip)
    if not quiet:
        prepared_notes(prepared, errors)
    with Operation(prepared, "apply", mandate=mandate) as current:
        checks = current.look(sources=not yes)
        if not quiet:
            show_concerns(checks, errors)
        refuse_problems(checks, school)
        if not yes:
            report = _ask(current, prepared)
            if report is not None:
                return report, prepared
            current.mandate = replace(mandate, confirmed=True)
        with stops(current), RunDisplay(school, Estimate.of(workspace, school), quiet=quiet) as display:
            report = current.apply(display, probing=display.probing)
    if not quiet:
        show_apply(report, prepared)
    return report, prepared


def _ask(current: Operation, prepared: Prepared) -> Report | None:
    """Show the plan's size and ask; a report when that ends the matter."""
    with stops(current), RunDisplay(prepared.school.id, None) as display:
        display.say("looking at what would change")
        report = current.plan(display)
    if report.outcome != "ok":
        show_plan(report, prepared, diff=False)
        return report
    if report.change_count:
        show_plan(report, prepared, diff=False)
        question = f"Apply these {report.change_count} steps to {prepared.school.name}?"
        if not agreed(question):
            raise DeclinedError("nothing was changed: the answer was no")
    else:
        console.print(f"{prepared.school.id}: nothing would change; probing its services.")
    return None


@contextmanager
def stops(current: Operation) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal stop the operation in good order, for the length of the block."""

    def stop(number: int, _: FrameType | None) -> None:
        name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "a closed terminal"}
        current.cancel(f"stopped by {name[signal.Signals(number)]}")
        # A closed terminal cannot be written to any more; and rich may be in the middle of a line.
        with suppress(OSError, RuntimeError):
            errors.print("Stopping in good order; this can take a few seconds.", style="warn")

    former = {
        number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def each_school(
    workspace: Workspace, schools: list[str], one: Any
) -> tuple[list[tuple[Report, Prepared]], list[dict[str, Any]]]:
    """Do something for each school in turn; a school that is refused does not keep the others from their turn.

    Returns:
        reports, and the errors of those that were refused, when there are several schools.

    What became of them stands together at the end: a run over many schools is read from there.

    Raises:
        ProvisionError: as it came, when there is one school.
        typer.Abort: one school, and the answer was no.
    """
    from provision.cli.main import report_error

    for school in schools:
        workspace.school(school)
    results: list[tuple[Report, Prepared]] = []
    failures: list[dict[str, Any]] = []
    for school in schools:
        if len(schools) > 1:
            errors.print(f"── {school}", style="name", markup=False)
        try:
            results.append(one(school))
        except ProvisionError as error:
            if len(schools) == 1:
                if isinstance(error, DeclinedError):
                    raise typer.Abort from error
                raise
            failures.append(
                {
                    "school": school,
                    "error": error.message,
                    "remedy": error.remedy,
                    "exit_code": error.exit_code,
                }
            )
            report_error(error, words=True)
            continue
        if results[-1][0].outcome == "cancelled":
            break
    if len(schools) > 1:
        show_several(
            [report for report, _ in results], failures, not_tried(schools, results, failures), errors
        )
    return results, failures


def not_tried(
    schools: list[str], results: list[tuple[Report, Prepared]], failures: list[dict[str, Any]]
) -> list[str]:
    """The schools that had no turn, since a person stopped the run before."""
    tried = {report.school for report, _ in results} | {failure["school"] for failure in failures}
    return [school for school in schools if school not in tried]


def exit_code(reports: list[Report], failures: list[dict[str, Any]], schools: list[str]) -> int:
    """0 fine, 1 one school with problems, 4 several schools and some failed."""
    bad = (
        len(failures)
        + sum(report.outcome != "ok" for report in reports)
        + len(schools)
        - len(reports)
        - len(failures)
    )
    if not bad:
        return 0
    return 4 if len(schools) > 1 else 1
