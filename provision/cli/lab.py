"""``provision lab``: disposable servers on this computer."""

import subprocess
from typing import Annotated

import typer

from provision.cli.options import JsonOption
from provision.cli.output import console, emit_json, errors
from provision.errors import UsageError
from provision.lab import RELEASES, Lab, Machine

app = typer.Typer(help="Disposable servers on this computer, for trying things out.", no_args_is_help=True)


def _lab() -> Lab:
    return Lab(report=lambda line: errors.print(line, style="quiet", markup=False))


def _complete_name(incomplete: str) -> list[str]:
    return [machine.name for machine in Lab().machines() if machine.name.startswith(incomplete)]


@app.command("up", epilog="Examples: provision lab up · provision lab up second --release trixie")
def up(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The machine's name.", autocompletion=_complete_name)
    ] = "demo",
    release: Annotated[
        str, typer.Option(help=f"Its Debian release: {' or '.join(RELEASES)}.", metavar="RELEASE")
    ] = "bookworm",
    memory: Annotated[
        int | None,
        typer.Option(help="Limit its memory, in megabytes; only for a new machine.", min=256, metavar="MB"),
    ] = None,
) -> None:
    """Make a machine, or start the one that is there with the disk it had.

    A machine is a real Debian with systemd and SSH in a container. It takes a few seconds; the first one of a
    release also makes a base image, which takes about half a minute.
    """
    machine = _lab().up(name, release, memory=memory)
    console.print(f"{machine.name} runs {machine.system} at {machine.address}")
    console.print(f"Log in with: provision lab ssh {machine.name}")


@app.command("down", epilog="Examples: provision lab down second · provision lab down --all")
def down(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The machine's name; demo if not given.",
            autocompletion=_complete_name,
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all machines of this checkout.")] = False,
) -> None:
    """Remove machines with everything on them, also what a killed command left half-made.

    After the last machine nothing of the lab stays on this computer, except base images and downloaded
    packages for the next one.
    """
    if everything and name:
        raise UsageError("Give a name or --all, not both")
    removed = _lab().down(None if everything else name or "demo")
    console.print(f"Removed: {', '.join(removed)}" if removed else "There was nothing to remove.")


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


@app.command("list", epilog="Examples: provision lab list · provision lab list --json")
def list_command(json_output: JsonOption = False) -> None:
    """Show the machines of this checkout."""
    lab = Lab()
    machines = lab.machines()
    if json_output:
        emit_json(
            "provision/lab-list/v1",
            {
                "lab": lab.id,
                "directory": str(lab.directory),
                "hosts_file": str(lab.hosts_file),
                "machines": [_as_json(machine) for machine in machines],
            },
        )
        return
    if not machines:
        console.print("There are no machines. Make one with: provision lab up")
        return
    width = max(len(machine.name) for machine in machines)
    for machine in machines:
        state = "running" if machine.running else "stopped" if machine.ready else "half-made"
        console.print(f"{machine.name:{width}}  {machine.system}  {machine.address:15}  {state}")


@app.command(
    "ssh",
    epilog="Examples: provision lab ssh demo · provision lab ssh demo systemctl --failed",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def ssh(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME [COMMAND...]",
            help="The machine's name, and what to run there.",
            autocompletion=_complete_name,
            show_default=False,
        ),
    ],
) -> None:
    """Open a shell on a machine as root, or run a command there; the exit code is the command's own."""
    machine = Lab().machine(name)
    if not machine.running:
        errors.print(f"{name} is not running. Start it with: provision lab up {name}")
        raise typer.Exit(1)
    command = context.args[1:] if context.args[:1] == ["--"] else context.args
    raise typer.Exit(subprocess.run(machine.ssh_command(*command), check=False).returncode)
