"""``provision lab``: disposable servers on this computer."""

import json
import subprocess
from typing import Annotated

import typer

from provision.lab import RELEASES, Lab, Machine

app = typer.Typer(
    help="Disposable servers on this computer, for trying things out.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

_UP = """Make a machine, or start the one that is there.

A machine is a real Debian with systemd and SSH in a container. It takes a few seconds; the first one of a
release also makes a base image, which takes about half a minute. A machine that is there keeps its disk and
everything on it.

Examples:

    provision lab up

    provision lab up second --release trixie
"""

_DOWN = """Remove machines with everything on them.

Also removes what a killed command left half-made. Nothing of the lab stays on this computer after the last
machine, except base images and downloaded packages for the next one.

Examples:

    provision lab down second

    provision lab down --all
"""

_LIST = """Show the machines of this checkout.

Examples:

    provision lab list

    provision lab list --json
"""

_SSH = """Open a shell on a machine, or run a command there, as root.

The exit code is the command's own.

Examples:

    provision lab ssh demo

    provision lab ssh demo systemctl --failed
"""

Name = Annotated[str, typer.Argument(help="The machine's name.", show_default=True)]


def _lab() -> Lab:
    return Lab(report=lambda line: typer.echo(line, err=True))


def _complete_name(incomplete: str) -> list[str]:
    return [machine.name for machine in Lab().machines() if machine.name.startswith(incomplete)]


@app.command(help=_UP)
def up(
    name: Name = "demo",
    release: Annotated[
        str, typer.Option(help=f"Its Debian release: {' or '.join(RELEASES)}.", metavar="RELEASE")
    ] = "bookworm",
    memory: Annotated[int | None, typer.Option(help="Limit its memory, in megabytes.", min=256)] = None,
) -> None:
    """See `_UP`."""
    machine = _lab().up(name, release, memory=memory)
    typer.echo(f"{machine.name} runs {machine.system} at {machine.address}")
    typer.echo(f"Log in with: provision lab ssh {machine.name}")


@app.command(help=_DOWN)
def down(
    name: Annotated[
        str | None, typer.Argument(help="The machine's name.", autocompletion=_complete_name)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Remove all machines of this checkout.")] = False,
) -> None:
    """See `_DOWN`."""
    if all_ and name:
        raise typer.BadParameter("give a name or --all, not both")
    removed = _lab().down(None if all_ else name or "demo")
    typer.echo(f"Removed: {', '.join(removed)}" if removed else "There was nothing to remove.")


def _as_json(machine: Machine) -> dict[str, object]:
    return {
        "name": machine.name,
        "release": machine.release,
        "system": machine.system,
        "address": machine.address,
        "port": machine.port,
        "running": machine.running,
        "pid": machine.pid,
        "ssh_key": str(machine.ssh_key),
        "known_hosts": str(machine.known_hosts),
        "console_log": str(machine.console_log),
    }


@app.command("list", help=_LIST)
def list_(json_: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """See `_LIST`."""
    lab = Lab()
    machines = lab.machines()
    if json_:
        content = {
            "schema": "provision/lab-list/v1",
            "lab": lab.id,
            "directory": str(lab.directory),
            "hosts_file": str(lab.hosts_file),
            "machines": [_as_json(machine) for machine in machines],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    if not machines:
        typer.echo("There are no machines. Make one with: provision lab up")
        return
    width = max(len(machine.name) for machine in machines)
    for machine in machines:
        state = "running" if machine.running else "stopped" if machine.ready else "half-made"
        typer.echo(f"{machine.name:{width}}  {machine.system}  {machine.address:15}  {state}")


@app.command(
    help=_SSH,
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def ssh(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The machine's name.", autocompletion=_complete_name)],
) -> None:
    """See `_SSH`."""
    machine = Lab().machine(name)
    if not machine.running:
        typer.echo(f"{name} is not running. Start it with: provision lab up {name}", err=True)
        raise typer.Exit(1)
    raise typer.Exit(subprocess.run(machine.ssh_command(*context.args), check=False).returncode)
