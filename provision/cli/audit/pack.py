"""``provision audit pack``: everything that an auditor needs, in one file."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from provision.audit.pack import write_pack
from provision.audit.report import of_workspace, render_report
from provision.audit.select import Selection, as_written, period
from provision.audit.verify import Verdict, verify
from provision.audit.words import Language
from provision.cli.audit.log import FromOption, ToOption
from provision.cli.audit.places import LogArgument, Place, open_place, read_policy
from provision.cli.options import JsonOption, LanguageOption, WorkspaceOption, first_language, language
from provision.cli.output import console, emit_json, errors


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "pack",
        epilog="Examples: provision audit pack escola-mar --output escola-mar-2026.zip --lang ca · "
        "provision audit pack /media/usb/escola-mar --policy escola-mar.policy --from 2026-01-01 -o audit.zip",
    )(pack)


def pack(
    where: LogArgument,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.zip", help="The file to write.", show_default=False),
    ],
    since: FromOption = None,
    until: ToOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="The keys that the auditor trusts (tlog-policy). Without it: the log's own.",
            show_default=False,
        ),
    ] = None,
    without_detail: Annotated[
        bool,
        typer.Option(
            "--without-detail",
            help="Leave out the single steps of the runs, which say more of persons than the log does.",
        ),
    ] = False,
    lang: LanguageOption = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Pack the log, its policy, proofs, time stamps, the report, and how to verify all of it with any tool.

    --from and --to choose what the report and the proofs are about; the log itself is always in it as a whole, since a
    part of it would prove nothing.
    """
    place = open_place(where, workspace)
    words = language(lang, first_language(place.workspace))
    first, last = period(since, until, place.zone)
    trusted = read_policy(policy) if policy else None
    verdict = verify(place.log.directory, trusted)
    made = write_pack(
        place.log,
        output,
        lang=words,
        selection=Selection(as_written(first), as_written(last)),
        policy=trusted,
        detail=not without_detail,
        report=_report(place, first, last, words, verdict),
    )
    if json_output:
        emit_json(
            "provision/audit-pack/v1",
            {
                "origin": place.log.origin,
                "file": str(made.file),
                "sha256": made.sha256,
                "entries": made.entries,
                "proofs": made.proofs,
                "cosigned": made.cosigned,
                "anchors": made.anchors,
                "verified": verdict.ok,
                "verdict": verdict.line(words),
            },
        )
        return
    console.print(
        f"Packed {made.entries} entries with {made.proofs} proofs: {made.file}", style="good", markup=False
    )
    console.print(f"sha256 {made.sha256}", markup=False, soft_wrap=True)
    if not verdict.ok:
        errors.print(verdict.line(words), style="bad", markup=False)
        errors.print("The report in the pack says so as well.", style="quiet")
    elif made.cosigned is None:
        errors.print("The school has not cosigned it: only the city vouches for it.", style="warn")


def _report(
    place: Place, first: datetime | None, last: datetime | None, lang: Language, verdict: Verdict
) -> Callable[[], str]:
    def report() -> str:
        if place.workspace is None or place.school is None:
            return render_report(place.log, since=first, until=last, lang=lang, verdict=verdict)
        return render_report(
            place.log,
            since=first,
            until=last,
            lang=lang,
            category=place.school.audit.category,
            verdict=verdict,
            surroundings=of_workspace(place.workspace, place.school),
        )

    return report
