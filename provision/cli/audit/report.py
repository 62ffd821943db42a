"""``provision audit report``: a period of the log as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from provision.audit.log import SchoolLog
from provision.audit.report import CATEGORIES, Category, of_workspace, render_report
from provision.audit.select import period
from provision.audit.verify import Verdict, verify
from provision.cli.audit.log import FromOption, ToOption
from provision.cli.audit.places import LogArgument, Place, open_place, read_policy
from provision.cli.options import JsonOption, LanguageOption, WorkspaceOption, first_language, language
from provision.cli.output import console, emit_json, errors
from provision.errors import ProvisionError, UsageError
from provision.files import write_atomically


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "report",
        epilog="Examples: provision audit report escola-mar --from 2026-09-01 --to 2026-12-31 --lang ca · "
        "provision audit report /media/usb/escola-mar --category medium --output report.html",
    )(report)


def report(
    where: LogArgument,
    since: FromOption = None,
    until: ToOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The HTML file; audit-report-SCHOOL.html here when left out.",
            show_default=False,
        ),
    ] = None,
    lang: LanguageOption = None,
    category: Annotated[
        str | None,
        typer.Option(
            "--category",
            help="The school's ENS category: basic, medium or high; without it audit.category of its file.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="The keys to trust; without it the log's own.", show_default=False),
    ] = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write what happened in a period as one HTML file, for the school, for an auditor, to print.

    The log is verified first; the verdict stands at the top. The file needs no internet and no script.
    """
    place = open_place(where, workspace)
    words = language(lang, first_language(place.workspace))
    first, last = period(since, until, place.zone)
    if place.trouble:
        errors.print(f"The workspace is not used: {place.trouble}.", style="warn", markup=False)
    chosen = _category(category or (place.school.audit.category if place.school else "basic"))
    log, verdict = _verified(place, policy)
    file = output or Path(f"audit-report-{log.origin.rpartition('/')[2]}.html")
    html = render_report(
        log,
        since=first,
        until=last,
        lang=words,
        category=chosen,
        verdict=verdict,
        surroundings=of_workspace(place.workspace, place.school)
        if place.workspace and place.school
        else None,
    )
    # It names persons: for its owner alone, who hands it on.
    write_atomically(file, html.encode(), mode=0o600)
    if json_output:
        emit_json(
            "provision/audit-report/v1",
            {
                "file": str(file),
                "origin": log.origin,
                "size": log.size,
                "lang": words,
                "from": first and first.isoformat(),
                "to": last and last.isoformat(),
                "ok": verdict.ok,
                "verdict": verdict.line("en"),
            },
        )
        return
    console.print(verdict.line(words), style="good" if verdict.ok else "bad", markup=False)
    console.print(f"The report is in {file}", markup=False)


def _verified(place: Place, policy: Path | None) -> tuple[SchoolLog, Verdict]:
    """The log and the verdict on exactly that state of it: somebody may be writing meanwhile."""
    trusted = None if policy is None else read_policy(policy)
    for _ in range(3):
        log = SchoolLog.open(place.log.directory)
        verdict = verify(log.directory, trusted)
        if verdict.root == log.root:
            return log, verdict
    raise ProvisionError(
        "the log grew each time while it was verified", "wait until the run has ended, then try again"
    )


def _category(wanted: str) -> Category:
    for known in CATEGORIES:
        if wanted == known:
            return known
    raise UsageError(f"There is no category {wanted!r}.", f"There are: {', '.join(CATEGORIES)}.")
