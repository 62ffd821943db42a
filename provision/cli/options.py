"""Options that several commands share, so that they read and behave the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_args

import typer

from provision.cli.output import json_wanted, set_json
from provision.errors import UsageError
from provision.model import Workspace
from provision.model.municipality import Language

#: Longest reason, in characters: what an entry of the audit log takes.
MAX_WHY = 2000
#: Longest number of a request, in characters.
MAX_TICKET = 200

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
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where to; standard output when left out.", show_default=False
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ServiceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--service", "-s", help="Only this service (may be given several times).", show_default=False
    ),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(
        "--lang",
        envvar="PROVISION_LANG",
        help="Language: ca, es or en. Without it: the municipality's first, else English.",
        show_default=False,
    ),
]
SchoolsArgument = Annotated[
    list[str], typer.Argument(metavar="SCHOOL", help="One school or several.", show_default=False)
]
SchoolArgument = Annotated[str, typer.Argument(metavar="SCHOOL", help="The school's id.", show_default=False)]


def _at_most(limit: int, option: str, remedy: str) -> Callable[[str], str]:
    """A callback that refuses a text which would not fit into the audit log, before anything is begun."""

    def check(value: str) -> str:
        if len(value) > limit:
            raise UsageError(f"{option} has {len(value)} characters; at most {limit} are kept", remedy)
        return value

    return check


WhyOption = Annotated[
    str,
    typer.Option(
        "--why",
        help="The reason, in plain words without names of pupils; it stays in the audit log.",
        callback=_at_most(MAX_WHY, "--why", "say it shorter, and give the number of the request or its file"),
        show_default=False,
    ),
]
TicketOption = Annotated[
    str,
    typer.Option(
        "--ticket",
        help="Number of a request, for the audit log.",
        callback=_at_most(
            MAX_TICKET, "--ticket", "give the number of the request here, and the reason with --why"
        ),
        show_default=False,
    ),
]


def language(wanted: str | None, place: Workspace | None = None, *, programs: bool = False) -> Language:
    """The language of ``--lang``; without it the first of the municipality's, where one is at hand, else English.

    Args:
        place: the municipality.
        programs: a program reads the words, and gets English; so does one that asked for JSON.

    Raises:
        UsageError: it is none of ours.
    """
    known: tuple[Language, ...] = get_args(Language)
    for lang in known:
        if wanted == lang:
            return lang
    if wanted:
        raise UsageError(f"There is no language {wanted!r}.", f"There are: {', '.join(known)}.")
    return "en" if place is None or programs or json_wanted() else place.municipality.languages[0]
