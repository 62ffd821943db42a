"""``provision audit export``: the log for other tools."""

import sys
from enum import StrEnum
from itertools import takewhile
from typing import Annotated

import typer

from provision.audit.export import FORMATS, export
from provision.audit.outfile import being_written
from provision.audit.select import Selection, as_written, period
from provision.cli.audit.log import FromOption, ToOption
from provision.cli.audit.places import LogArgument, open_place
from provision.cli.options import OutputOption, WorkspaceOption
from provision.cli.output import errors, reader_gone
from provision.errors import UsageError

Format = StrEnum("Format", {name: name for name in FORMATS})  # type: ignore[misc]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export",
        epilog="Examples: provision audit export escola-mar --format csv --output escola-mar.csv · "
        "provision audit export /media/usb/escola-mar --format jsonl --from 2026-09-01 | jq -r .entry.type · "
        "provision audit export escola-mar --format ecs --from 7d",
    )(export_command)


def export_command(
    where: LogArgument,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="jsonl: the entries as they are · csv: a table (RFC 4180, UTF-8) · "
            "ocsf: Open Cybersecurity Schema Framework 1.7 · ecs: Elastic Common Schema.",
        ),
    ],
    since: FromOption = None,
    until: ToOption = None,
    output: OutputOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the entries in the form of another tool, one a line.

    An export has no signatures: verify the log first. Each line names its entry and the hash of its leaf.
    """
    place = open_place(where, workspace)
    first, last = period(since, until, place.zone)
    selection = Selection(as_written(first), as_written(last))
    entries = place.log.entries()
    if output is None:
        # Nobody waits for the rest of a long log.
        entries = takewhile(lambda _: not reader_gone(), entries)
        if sys.stdout.isatty():
            errors.print("--output FILE writes to a file.", style="quiet")
        export(entries, form.value, sys.stdout.buffer, selection)
        sys.stdout.buffer.flush()
        return
    if place.log.directory.resolve() in output.resolve().parents:
        raise UsageError(
            f"{output} lies in the directory of the log itself.", "Name a file outside of it with --output."
        )
    with being_written(output) as out:
        written = export(entries, form.value, out, selection)
    errors.print(f"{written} entries in {output}.", style="good", markup=False)
