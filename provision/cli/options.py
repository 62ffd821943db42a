"""Options that several commands share, so that they read and behave the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from provision.cli.output import set_json

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        envvar="PROVISION_WORKSPACE",
        help="The municipality's directory. Without it: the one that we stand in, or the only one under inventories/.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs.", callback=set_json, is_eager=True)
]
MirrorOption = Annotated[
    str | None,
    typer.Option(
        "--mirror",
        envvar="PROVISION_MIRROR",
        help="Directory or URL that holds the artifacts, for places without (much) internet.",
        show_default=False,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ServiceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--service", "-s", help="Only this service (may be given several times).", show_default=False
    ),
]
SchoolsArgument = Annotated[
    list[str], typer.Argument(metavar="SCHOOL...", help="One school or several.", show_default=False)
]
SchoolArgument = Annotated[str, typer.Argument(metavar="SCHOOL", help="The school's id.", show_default=False)]
