"""``provision runs``: the record of what was done."""

from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from provision.audit import find_run, list_runs, tasks_of
from provision.audit.words import Fields
from provision.audit.words.steps import read_step
from provision.cli.options import JsonOption, WorkspaceOption
from provision.cli.output import console, emit_json
from provision.cli.progress import duration
from provision.errors import UsageError
from provision.model import find_workspace, load_workspace
from provision.text import printable_data

app = typer.Typer(help="The record of what was done, by whom, when.", no_args_is_help=True)

_STYLES = {"ok": "good", "running": "warn", "cancelled": "warn"}


@app.command("list", epilog="Examples: provision runs list · provision runs list escola-mar --json")
def list_command(
    school: Annotated[
        str | None, typer.Argument(metavar="SCHOOL", help="Only this school's.", show_default=False)
    ] = None,
    workspace: WorkspaceOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="How many, newest first; 0 for all.")
    ] = 20,
    json_output: JsonOption = False,
) -> None:
    """List runs, newest first."""
    directory = find_workspace(workspace)
    runs = list(islice(list_runs(directory / "runs", school), limit or None))
    if school and not runs and not (directory / "schools" / f"{school}.yml").exists():
        # A school that is gone may have runs; one that never was is a slip of the pen.
        load_workspace(directory).school(school)
    if json_output:
        emit_json("provision/runs/v1", {"runs": runs})
        return
    if not runs:
        console.print("No run yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="name")
    for title in ("run", "school", "verb", "outcome", "who", "changed", "took"):
        table.add_column(title, no_wrap=title in {"run", "school", "took"})
    # Records of older versions, and those that somebody else wrote, may hold anything.
    for run in map(printable_data, runs):
        outcome = str(run.get("outcome", ""))
        table.add_row(
            Text(str(run.get("run", ""))),
            Text(str(run.get("school", ""))),
            Text(str(run.get("verb", ""))),
            Text(outcome, _STYLES.get(outcome, "bad")),
            Text(str((run.get("person") or {}).get("name", ""))),
            Text(str((run.get("counts") or {}).get("changed", ""))),
            Text(duration(float(run["seconds"])) if "seconds" in run else ""),
        )
    console.print(table)


@app.command(
    "show", epilog="Examples: provision runs show last · provision runs show 20261123T101500Z-3fa2b1 --log"
)
def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Its id, an unambiguous part of it, or 'last'.", show_default=False
        ),
    ],
    workspace: WorkspaceOption = None,
    log: Annotated[bool, typer.Option("--log", help="Every step, with its differences and errors.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show one run: who, when, from which revision, what changed, and how it ended."""
    runs = find_workspace(workspace) / "runs"
    if run == "last":
        newest = next(list_runs(runs), None)
        if newest is None:
            raise UsageError("there is no run yet", "provision apply SCHOOL makes one")
        run = str(newest["run"])
    document, directory = find_run(runs, run)
    if json_output:
        emit_json("provision/run/v1", {**document, **({"tasks": list(tasks_of(directory))} if log else {})})
        return
    _show(printable_data(document))
    if log:
        for task in tasks_of(directory):
            _show_task(printable_data(task))
    else:
        console.print(f"Every step: provision runs show {directory.name} --log", style="quiet", markup=False)


def _show(document: dict[str, Any]) -> None:
    # Records of older versions, and those that somebody else wrote, may hold anything.
    run = Fields(document)
    commit = run.text("revision", "commit")[:12] or "no git repository"
    tool = run.text("provision")
    if code := run.text("code", "commit")[:12]:
        tool += f" ({code}{', changed' if run.true('code', 'dirty') else ''})"
    person, note = run.inside("person"), _whole(run, "note")
    lines = [
        ("run", f"{run.text('run')} ({run.text('verb')} of {run.text('school')})"),
        ("who", f"{person.text('name')} (user {person.text('user')} on {person.text('machine')})"),
        ("when", f"{run.text('started')} to {run.text('ended') or '(has not ended)'}"),
        ("from", commit + (", with changes that are not committed" if run.true("revision", "dirty") else "")),
        ("with", f"provision {tool}"),
        ("outcome", run.text("outcome") + (f": {note}" if note else "")),
    ]
    lines += [
        ("host", f"{host.text('name')}: {host.text('address')}, host key {host.text('host_key')}")
        for host in run.items("hosts")
    ]
    for service in run.items("services"):
        lab = ", for the lab only" if service.true("lab_only") else ""
        said = f"{service.text('service')} {service.text('version')} ({service.text('source')}{lab})"
        lines.append(("service", said))
    counts = [f"{number.text()} {name}" for name, number in run.pairs("counts") if number.whole()]
    if counts:
        lines.append(("steps", ", ".join(counts)))
    for name, text in lines:
        console.print(Text(f"{name:<9}", "quiet") + Text(text))
    for role, changes in run.pairs("changed"):
        console.print(Text(role, "name"))
        for change in changes.items():
            console.print(Text("  ~ ", "change") + Text(_whole(change)))
    if run.has("failure"):
        failure = run.inside("failure")
        said = f"failed: {failure.text('role')}: {failure.text('task')} on {failure.text('host')}"
        console.print(Text(said, "bad"))
        console.print(Text(_whole(failure, "error")))
    for probe in run.items("probes"):
        if probe.text("state") != "ok":
            said = f"not well: {probe.text('service')}: {probe.text('title')}: {_whole(probe, 'measured')}"
            console.print(Text(said, "bad"))


def _whole(fields: Fields, *path: str) -> str:
    """A text with all of its lines."""
    found = fields.inside(*path).value
    return found if isinstance(found, str) else ""


def _show_task(task: dict[str, Any]) -> None:
    if "erased" in task:
        step, entry = (Fields(task).text(key) for key in ("number", "erased"))
        console.print(f"step {step}: erased (entry {entry})", style="quiet", markup=False)
        return
    done = read_step(task)
    style = {"changed": "change", "failed": "bad", "unreachable": "bad"}.get(done.status, "quiet")
    seconds = done.milliseconds / 1000
    console.print(
        Text(f"{done.at} {done.host} {done.part}: {done.name} [{done.status}, {seconds:.1f} s]", style)
    )
    # Who was cut by --force is said here, and it is no error.
    for note in Fields(task).items("notes"):
        console.print(Text(f"note: {_whole(note)}", "warn"))
    for text in (done.diff, done.error):
        if text:
            console.print(Text(text))
