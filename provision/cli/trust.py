"""``provision school trust``: compare a server's host key once, by eye, and keep it."""

from typing import Annotated

import typer

from provision.cli.options import JsonOption, SchoolArgument, WorkspaceOption, YesOption
from provision.cli.output import confirm, console, emit_json, errors, json_wanted
from provision.engine.ssh import (
    JumpHost,
    fingerprint,
    host_key_name,
    known_hosts_name,
    known_keys,
    scan_host_key,
    trust,
)
from provision.errors import UsageError
from provision.model import ResolvedHost, Workspace, find_workspace, load_workspace


def trust_command(
    school: SchoolArgument,
    workspace: WorkspaceOption = None,
    yes: YesOption = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="The server was set up anew: forget its former key.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Show the host keys of a school's servers and store them in the workspace's known_hosts.

    Compare each fingerprint with the server's own console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub): this
    is the one moment in which somebody in between could pass for the server.
    """
    loaded = load_workspace(find_workspace(workspace))
    shown = []
    for host in loaded.school(school).hosts.values():
        if host.jump:
            jump = JumpHost.parse(host.jump, host.user)
            shown.append(
                _trust_one(
                    loaded,
                    school,
                    known_hosts_name(jump.address, jump.port),
                    jump.address,
                    jump.port,
                    None,
                    yes,
                    replace,
                )
            )
        shown.append(
            _trust_one(loaded, school, host_key_name(host), host.address, host.port, host, yes, replace)
        )
    if json_output:
        emit_json("provision/trust/v1", {"school": school, "keys": shown})


def _trust_one(
    workspace: Workspace,
    school: str,
    name: str,
    address: str,
    port: int,
    behind: ResolvedHost | None,
    yes: bool,
    replace: bool,
) -> dict[str, str]:
    key = scan_host_key(workspace, school, address, port, behind)
    now = f"{key.get_name()} {fingerprint(key)}"
    trusted = known_keys(workspace).lookup(name)
    before = [f"{kind} {fingerprint(stored)}" for kind, stored in (trusted or {}).items()]
    if now in before:
        errors.print(f"{name}: {now} is trusted already.", markup=False)
        return {"host": name, "key": now, "state": "trusted already"}
    errors.print(f"{name} shows: {now}", style="name", markup=False)
    if before:
        errors.print(f"trusted until now: {', '.join(before)}", style="bad", markup=False)
        if not replace:
            raise UsageError(
                f"the host key of {name} is not the trusted one: nothing was stored",
                "if the server was set up anew, compare with its console, then: "
                f"provision school trust {school} --replace",
            )
    confirm(
        "Is this the fingerprint that the server's console shows?",
        yes=yes,
        remedy="compare the fingerprint, then give --yes",
    )
    trust(workspace, name, key, forget=replace)
    target = errors if json_wanted() else console
    target.print(f"{name}: stored in {workspace.known_hosts}", markup=False)
    return {"host": name, "key": now, "state": "replaced" if before else "stored"}
