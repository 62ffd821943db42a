"""``provision demo``: the whole way through, on a disposable server on this machine."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from provision import paths
from provision.artifacts import LockFile, forget_installed
from provision.cli.output import console, errors
from provision.cli.progress import duration
from provision.engine.ssh import host_key_name, known_hosts_name, known_keys, trust_like
from provision.errors import RunFailedError, UsageError
from provision.files import write_atomically
from provision.lab import RELEASES, Lab, Machine
from provision.lab.names import check_release
from provision.model import ResolvedSchool, Workspace, load_workspace

#: The demo's machine in the lab.
MACHINE = "demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "demo",
        epilog="Examples: provision demo · provision demo --release trixie · provision lab down --all removes it",
    )(demo)


def demo(
    release: Annotated[
        str, typer.Option(help=f"Debian release of the server: {' or '.join(RELEASES)}.", metavar="RELEASE")
    ] = "bookworm",
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory",
            help="Where the demo's workspace is; inventories/demo of a checkout, else ./provision-demo.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Boot a disposable server on this machine and provision a whole school onto it, by the ordinary commands.

    Run it again: it reuses what is there and changes nothing. Nothing outside the lab is touched.
    """
    started = time.monotonic()
    check_release(release)
    place = _workspace(directory)
    _say(1, "Boot a disposable server on this machine")
    lab = Lab(
        place if directory else None,
        report=lambda line: errors.print(f"  {line}", style="quiet", markup=False),
    )
    machine = lab.up(MACHINE, release)
    console.print(f"  {machine.name}: {machine.system} at {machine.address}", markup=False)
    workspace, school = _introduce(lab, machine, place)
    _say(2, f"Look at what would change: provision plan {school.id}")
    _ordinary(place, "plan", school.id, "--skip-unavailable")
    _say(3, f"Do it: provision apply {school.id} --yes")
    _ordinary(place, "apply", school.id, "--yes", "--skip-unavailable")
    _say(4, f"Ask every service whether it is well: provision health {school.id}")
    _ordinary(place, "health", school.id)
    _say(5, "What the record says: provision runs show last")
    _ordinary(place, "runs", "show", "last")
    _farewell(workspace, school, machine, own_lab=directory is not None, seconds=time.monotonic() - started)


def _say(number: int, text: str) -> None:
    console.print(f"\n{number}. {text}", style="name", markup=False)


def _workspace(directory: Path | None) -> Path:
    """The demo's workspace; made from the shipped one where it is not there yet."""
    if directory is None:
        directory = paths.DEMO_INVENTORY if paths.ROOT != paths.SHIPPED else Path("provision-demo")
    directory = directory.absolute()
    if not (directory / "municipality.yml").exists():
        if directory.exists() and any(directory.iterdir()):
            raise UsageError(
                f"{directory} is not empty and no workspace", "name another place with --directory"
            )
        shutil.copytree(paths.DEMO_INVENTORY, directory, dirs_exist_ok=True)
    return directory


def _introduce(lab: Lab, machine: Machine, place: Path) -> tuple[Workspace, ResolvedSchool]:
    """Give the workspace what an administrator would: names, the server's host key, the key to log in with."""
    state = place / ".state"
    state.mkdir(mode=0o700, exist_ok=True)
    write_atomically(state / "lab_key", lab.ssh_key.read_bytes(), mode=0o600)
    workspace = load_workspace(place)
    school = next(iter(workspace.schools.values()))
    host = next(iter(school.hosts.values()))
    names = [host.address, *(service.hostname for service in school.services.values())]
    for name in names:
        lab.add_name(name, machine.name)
    write_atomically(state / "hosts", f"{machine.address} {' '.join(names)}\n".encode(), mode=0o644)
    # The lab made the server, so it knows the host keys: nobody has to compare fingerprints.
    former = known_keys(workspace).lookup(host_key_name(host))
    known_as = known_hosts_name(machine.address, machine.port)
    trust_like(workspace, host_key_name(host), machine.known_hosts, known_as)
    if former and not former.items() <= (known_keys(workspace).lookup(host_key_name(host)) or {}).items():
        # The server is a new one: what was installed on the former is not there.
        forget_installed(workspace, school)
    return workspace, school


def _ordinary(place: Path, *words: str) -> None:
    """Run one of our own commands as the user would, in a process of its own."""
    command = [sys.executable, "-m", "provision", *words]
    done = subprocess.run(command, env=os.environ | {"PROVISION_WORKSPACE": str(place)}, check=False)
    if done.returncode:
        raise RunFailedError(
            f"provision {' '.join(words)} ended with {done.returncode}",
            "the message above says why; run the demo again to go on, or provision lab down --all to start afresh",
        )


def _program() -> str:
    """How the user calls ``provision`` from here; the path that ``make demo`` sets is not that of the user's shell."""
    own = Path(sys.executable).parent
    if own.is_relative_to(Path.cwd()) and os.environ.get("VIRTUAL_ENV") != str(own.parent):
        return f"{own.relative_to(Path.cwd())}/provision"
    return "provision" if shutil.which("provision") else f"{own / 'provision'}"


def _farewell(
    workspace: Workspace, school: ResolvedSchool, machine: Machine, *, own_lab: bool, seconds: float
) -> None:
    program = _program()
    option = f"-w {os.path.relpath(workspace.path)}"
    authority = os.path.relpath(workspace.ca_dir / "ca.pem")
    installed = LockFile.read(workspace.lock_file).choices.get(school.id, {})

    def line(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    console.print(f"\nReady in {duration(seconds)}.", style="good")
    for service in school.services.values():
        if service.id not in installed:
            continue
        name = service.hostname
        console.print(f"\n{service.definition.title.en}", style="name", markup=False)
        line(f"  open     https://{name}/ (only the lab knows the name, so tell the browser where it is:)")
        line(f'           chromium --host-resolver-rules="MAP {name} {machine.address}" https://{name}/')
        line(f"           curl --cacert {authority} --resolve {name}:443:{machine.address} https://{name}/")
        line(f"           (its certificate is by the demo's own authority: {authority})")
        if service.definition.login:
            line(f"  log in   {service.definition.login.en}")
    console.print("\nThe server and its secrets", style="name")
    line(f"  {shlex.join(machine.ssh_command()) if own_lab else f'{program} lab ssh {machine.name}'}")
    line(f"  {program} secrets show {school.id} {option} --reveal")
    console.print("\nTry next", style="name")
    # What was left out here, since its source does not answer, keeps a plan from nothing either.
    left_out = " --skip-unavailable" if school.services.keys() - installed.keys() else ""
    for words in (
        f"plan {school.id} {option} --exit-code{left_out}",
        f"school show {school.id} {option}",
        f"runs list {option}",
        *([] if own_lab else ["lab down --all"]),
    ):
        line(f"  {program} {words}")
