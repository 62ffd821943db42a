"""``provision audit cosign``: the city takes in the file with which the school cosigned."""

from pathlib import Path
from typing import Annotated

import typer

from provision.audit.cosignatures import hand_in
from provision.audit.log import read_bounded
from provision.audit.tlog import MAX_NOTE
from provision.audit.witness.words import when
from provision.cli.audit.places import LogArgument, open_place
from provision.cli.options import JsonOption, WorkspaceOption
from provision.cli.output import console, emit_json
from provision.errors import UsageError
from provision.text import printable_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "cosign",
        epilog="Examples: provision audit cosign escola-mar provision.example.cat-escola-mar-412.cosignature",
    )(cosign)


def cosign(
    where: LogArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help='What "audit witness sign" made.', show_default=False)
    ],
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Take in the school's cosignature: check it against the log, and keep it beside the log's own signature."""
    directory = open_place(where, workspace).log.directory
    try:
        content = read_bounded(file, MAX_NOTE)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", "Give the file that the school sent."
        ) from error
    taken = hand_in(directory, content)
    if json_output:
        cosigners = [
            {"name": name, "time": moment} for name, moment in zip(taken.names, taken.times, strict=True)
        ]
        emit_json(
            "provision/audit-cosign/v1",
            {
                "log": str(directory),
                "size": taken.size,
                "cosigners": cosigners,
                "state": "waiting" if taken.waiting else "kept",
                "file": str(taken.waiting) if taken.waiting else None,
            },
        )
        return
    for name, moment in zip(taken.names, taken.times, strict=True):
        console.print(
            f"{printable_line(name)} cosigned the first {taken.size} entries on {when(moment)}.",
            style="good",
            markup=False,
        )
    if taken.waiting:
        console.print(
            "Another process is writing this log: the file waits in its inbox. A run that waits for the school takes "
            "it within seconds; otherwise the next apply or sync does.",
            markup=False,
        )
