"""``provision audit anchor``: the time of a third party on the log."""

from pathlib import Path
from typing import Annotated

import typer

from provision.audit.anchor import add_anchor
from provision.audit.log import read_bounded
from provision.audit.timestamp import MAX_ROOTS
from provision.audit.tlog import Note, Policy, TlogError
from provision.cli.audit.places import LogArgument, Place, open_place
from provision.cli.options import JsonOption, WorkspaceOption
from provision.cli.output import console, emit_json
from provision.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "anchor",
        epilog="Examples: provision audit anchor escola-mar · "
        "provision audit anchor escola-mar --authority https://tsa.example/tsr --ca tsa-root.pem",
    )(anchor)


def anchor(
    where: LogArgument,
    authority: Annotated[
        str | None,
        typer.Option(
            "--authority",
            metavar="URL",
            help="Time-stamp authority (RFC 3161). Without it: audit: time_stamp: of municipality.yml.",
            show_default=False,
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            help="PEM file with the authority's root certificate.",
            show_default=False,
        ),
    ] = None,
    cosigned: Annotated[
        bool, typer.Option("--cosigned", help="Stamp the newest checkpoint that the school has cosigned.")
    ] = False,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Have an authority stamp the newest checkpoint, so that not even city and school together could backdate the log.

    Only a hash leaves this machine. The stamp is checked before it is kept, and needs no network to be checked again.
    """
    place = open_place(where, workspace)
    url, file = _authority(place, authority, ca)
    try:
        roots = read_bounded(file, MAX_ROOTS)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            "Get the authority's root certificate as PEM from its web page, and name the file with --ca.",
        ) from error
    note = _cosigned(place).encode() if cosigned else None
    made = add_anchor(place.log.directory, url, [roots], note=note)
    if json_output:
        emit_json(
            "provision/audit-anchor/v1",
            {
                "origin": place.log.origin,
                "size": made.size,
                "time": f"{made.time:%Y-%m-%dT%H:%M:%SZ}",
                "authority": made.authority,
                "file": str(made.file),
            },
        )
        return
    console.print(
        f"{made.authority} says: {made.size} entries were there at {made.time:%Y-%m-%d %H:%M:%S} UTC.",
        style="good",
        markup=False,
    )
    console.print(f"Kept in {made.file}; audit verify checks it from now on.", markup=False)
    if place.school:
        console.print(
            f"Next, for the school's copy: provision audit sync {where}", style="quiet", markup=False
        )


def _authority(place: Place, url: str | None, ca: Path | None) -> tuple[str, Path]:
    """Address and certificates: as given, else as configured."""
    configured = place.school.audit.time_stamp if place.school else None
    if ca is None and configured and (url is None or url == str(configured.url)) and place.workspace:
        ca = place.workspace.path / configured.ca_file
    url = url or (str(configured.url) if configured else None)
    if url is None:
        raise UsageError(
            "No time-stamp authority is configured.",
            "Name one with --authority and --ca, or in municipality.yml: "
            "audit: {time_stamp: {url: …, ca_file: …}}.",
        )
    if ca is None:
        raise UsageError(
            "There is no certificate to check the authority's answer with.",
            "Get the authority's root certificate as PEM from its web page, and name the file with --ca.",
        )
    return url, ca


def _cosigned(place: Place) -> Note:
    """The newest checkpoint that witnesses have cosigned as the policy asks."""
    policy: Policy = place.log.policy
    for size, note in reversed(place.log.archived()):
        try:
            opinion = policy.open(note)
        except TlogError:
            continue
        if size <= place.log.size and opinion.witnesses and opinion.quorum_met:
            return note
    raise UsageError(
        "No checkpoint of this log has been cosigned yet.",
        "Leave out --cosigned to stamp the newest one, or let the school cosign first: "
        "provision audit witness sign.",
    )
