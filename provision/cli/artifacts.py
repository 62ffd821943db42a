"""``provision artifacts``: what comes from upstream, its checksums, and mirrors of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from provision.artifacts import copy_to_mirror
from provision.artifacts.bulk import Artifact, fetch_all, known_names, lock_all, overview
from provision.artifacts.web import Progress as Report
from provision.cli.options import JsonOption, MirrorOption, WorkspaceOption
from provision.cli.output import console, emit_json, errors
from provision.errors import UsageError
from provision.model import find_workspace, load_workspace
from provision.model.rules import did_you_mean

app = typer.Typer(
    help="Archives, package repositories and their checksums: list, record, fetch for a mirror.",
    no_args_is_help=True,
)

#: Schools that are named beside an artifact; ``--json`` has all of them.
_MOST_USERS = 8

SchoolOption = Annotated[
    str | None, typer.Argument(metavar="SCHOOL", help="Only what this school needs.", show_default=False)
]


@app.command("list", epilog="Examples: provision artifacts list · provision artifacts list escola-mar --json")
def list_command(
    school: SchoolOption = None,
    workspace: WorkspaceOption = None,
    mirror: MirrorOption = None,
    json_output: JsonOption = False,
) -> None:
    """List what the services need from upstream, and what of it is here. Asks no server."""
    place = load_workspace(find_workspace(workspace))
    items = overview(place, place.school(school) if school else None, mirror)
    if json_output:
        emit_json("provision/artifacts/v1", {"school": school, "artifacts": [asdict(item) for item in items]})
        return
    before = ("", "")
    for item in items:
        if (item.service, item.version) != before:
            before = (item.service, item.version)
            head = Text.assemble((item.service, "name"), f" {item.version}")
            head.append(" (lab only)" if item.lab_only else "", "warn")
            console.print(head, soft_wrap=True)
        # Below each other, whatever the width: names and addresses are there to be copied.
        console.print(Text.assemble(f"  {item.kind} ", (item.name, "bold")), soft_wrap=True)
        known = Text(item.known_from or "recorded when it comes", "" if item.known_from else "quiet")
        for label, value in (("from", _place(item)), ("checked against", known), ("used by", _users(item))):
            if value.plain:
                console.print(Text.assemble((f"    {label:<16}", "quiet"), value), soft_wrap=True)


@app.command(
    "lock",
    epilog="Examples: provision artifacts lock · provision artifacts lock --accept etherpad-3.3.1.tar.gz",
)
def lock(
    accept: Annotated[
        list[str] | None,
        typer.Option(
            "--accept",
            metavar="NAME",
            help="Record this one anew, after a change that upstream has announced (repeatable).",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    mirror: MirrorOption = None,
    json_output: JsonOption = False,
) -> None:
    """Record the checksums of what the schools need in artifacts.lock, and show what is not what it was."""
    place = load_workspace(find_workspace(workspace))
    known = known_names(place)
    for name in accept or []:
        if name not in known:
            remedy = did_you_mean(name, known) or f"There are: {', '.join(known) or 'none'}."
            raise UsageError(f"artifacts.lock has no “{name}”.", remedy)
    with _progress() as report:
        result = lock_all(place, mirror=mirror, accept=accept or (), progress=report)
    bad = bool(result.changed or result.unavailable)
    if json_output:
        emit_json(
            "provision/artifacts-lock/v1",
            {
                "recorded": result.recorded,
                "unchanged": result.unchanged,
                "changed": [
                    {"name": item.name, "expected": item.expected, "found": item.found, "remedy": item.remedy}
                    for item in result.changed
                ],
                "unavailable": [{"school": school, **asdict(item)} for school, item in result.unavailable],
            },
        )
        raise typer.Exit(1 if bad else 0)
    for name in result.recorded:
        console.print(f"+ {name}", style="good", markup=False)
    for change in result.changed:
        console.print(f"✗ {change.name}", style="bad", markup=False)
        console.print(f"  recorded {change.expected}\n  now      {change.found}", markup=False)
        console.print(f"  {change.remedy}", markup=False)
    for school, item in result.unavailable:
        console.print(f"! {school}: {item.service} cannot be had now", style="warn", markup=False)
        for reason in item.reasons:
            console.print(f"  {reason}", markup=False)
        console.print(f"  {item.remedy}", markup=False)
    console.print(
        f"{len(result.recorded)} recorded, {len(result.unchanged)} as they were, {len(result.changed)} "
        "changed."
    )
    raise typer.Exit(1 if bad else 0)


@app.command(
    "fetch",
    epilog="Examples: provision artifacts fetch escola-mar · "
    "provision artifacts fetch --output /media/stick/provision, then at the school: "
    "provision apply escola-mar --mirror /media/stick/provision",
)
def fetch(
    school: SchoolOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Make this directory a mirror with the files.",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    mirror: MirrorOption = None,
    json_output: JsonOption = False,
) -> None:
    """Fetch and verify the files that schools need, into the cache or into a mirror to carry along."""
    place = load_workspace(find_workspace(workspace))
    schools = [place.school(school)] if school else list(place.schools.values())
    with _progress() as report:
        result = fetch_all(place, schools, mirror=mirror, progress=report)
    if output is not None:
        copy_to_mirror(result.files, output)
    if json_output:
        emit_json(
            "provision/artifacts-fetch/v1",
            {
                "files": [
                    {
                        "name": item.name,
                        "path": str(output / item.name if output is not None else item.path),
                        "sha256": item.sha256,
                        "size": item.size,
                        "source": item.source,
                    }
                    for item in result.files
                ],
                "failed": [{"name": name, "reason": reason} for name, reason in result.failed],
                "elsewhere": result.elsewhere,
            },
        )
        raise typer.Exit(1 if result.failed else 0)
    for got in result.files:
        console.print(f"✓ {got.name} ({got.size / 1e6:.1f} MB, {got.source})", style="good", markup=False)
    for _, reason in result.failed:
        console.print(f"✗ {reason}", style="bad", markup=False)
    if output is not None:
        console.print(f"{output} is a mirror now: use it with --mirror {output}", markup=False)
    if result.elsewhere:
        console.print("Not in a mirror, since the school's server reads it itself:", style="quiet")
        for line in result.elsewhere:
            console.print(f"  {line}", style="quiet", markup=False)
    raise typer.Exit(1 if result.failed else 0)


def _users(item: Artifact) -> Text:
    more = len(item.used_by) - _MOST_USERS
    return Text(", ".join(item.used_by[:_MOST_USERS]) + (f" and {more} more" if more > 0 else ""))


def _place(item: Artifact) -> Text:
    if item.here:
        return Text(item.place, "good")
    return Text(item.place) if item.place else Text("nowhere: use --mirror DIR", "warn")


@contextmanager
def _progress() -> Iterator[Report | None]:
    """A bar for each download on a terminal, nothing elsewhere."""
    if not errors.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bars:
        known: dict[str, TaskID] = {}

        def report(name: str, done: int, total: int | None) -> None:
            if name not in known:
                known[name] = bars.add_task(name, total=total)
            bars.update(known[name], completed=done, total=total)

        yield report
