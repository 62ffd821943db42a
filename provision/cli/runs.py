"""``provision runs``: the record of what was done."""

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from provision.audit import find_run, list_runs, tasks_of
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
    runs = list_runs(directory / "runs", school)[: limit or None]
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
        newest = list_runs(runs)
        if not newest:
            raise UsageError("there is no run yet", "provision apply SCHOOL makes one")
        run = str(newest[0]["run"])
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


def _show(run: dict[str, Any]) -> None:
    person, revision = run.get("person") or {}, run.get("revision") or {}
    commit = str(revision.get("commit") or "")[:12] or "no git repository"
    lines = [
        ("run", f"{run['run']} ({run['verb']} of {run['school']})"),
        ("who", f"{person.get('name')} (user {person.get('user')} on {person.get('machine')})"),
        ("when", f"{run.get('started')} to {run.get('ended', '(has not ended)')}"),
        ("from", commit + (", with changes that are not committed" if revision.get("dirty") else "")),
        (
            "with",
            f"provision {run.get('provision')}"
            + (
                f" ({run['code']['commit'][:12]}{', changed' if run['code'].get('dirty') else ''})"
                if (run.get("code") or {}).get("commit")
                else ""
            ),
        ),
        ("outcome", str(run.get("outcome")) + (f": {run['note']}" if run.get("note") else "")),
    ]
    lines += [
        ("host", f"{host['name']}: {host['address']}, host key {host['host_key']}")
        for host in run.get("hosts", [])
    ]
    for service in run.get("services", []):
        lab = ", for the lab only" if service.get("lab_only") else ""
        lines.append(("service", f"{service['service']} {service['version']} ({service['source']}{lab})"))
    counts = run.get("counts") or {}
    if counts:
        lines.append(("steps", ", ".join(f"{number} {name}" for name, number in counts.items() if number)))
    for name, text in lines:
        console.print(Text(f"{name:<9}", "quiet") + Text(text))
    for role, changes in (run.get("changed") or {}).items():
        console.print(Text(f"{role}", "name"))
        for change in changes:
            console.print(Text("  ~ ", "change") + Text(change))
    if run.get("failure"):
        failure = run["failure"]
        console.print(Text(f"failed: {failure['role']}: {failure['task']} on {failure['host']}", "bad"))
        console.print(Text(failure["error"]))
    for probe in run.get("probes", []):
        if probe["state"] != "ok":
            console.print(Text(f"not well: {probe['service']}: {probe['title']}: {probe['measured']}", "bad"))


def _show_task(task: dict[str, Any]) -> None:
    if "erased" in task:
        console.print(f"step {task['number']}: erased (entry {task['erased']})", style="quiet", markup=False)
        return
    style = {"changed": "change", "failed": "bad", "unreachable": "bad"}.get(task["status"], "quiet")
    seconds = task["duration_ms"] / 1000
    said = f"{task['at']} {task['host']} {task['role']}: {task['name']} [{task['status']}, {seconds:.1f} s]"
    console.print(Text(said, style))
    # Who was cut by --force is said here, and it is no error.
    for note in task.get("notes", []):
        console.print(Text(f"note: {note}", "warn"))
    for key in ("diff", "error"):
        if task.get(key):
            console.print(Text(task[key]))
