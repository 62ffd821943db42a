"""``provision inventory``: Ansible's dynamic-inventory protocol, so that standard tools keep working."""

import json
import sys
from typing import Annotated, Any

import typer

from provision.artifacts import Known
from provision.cli.options import MirrorOption, WorkspaceOption
from provision.cli.output import errors
from provision.engine.preparation import prepare_inventory
from provision.errors import UsageError
from provision.model import Workspace, find_workspace, load_workspace
from provision.model.rules import did_you_mean


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inventory", epilog="Example: provision inventory --list --school escola-mar")(inventory)


def inventory(
    listing: Annotated[
        bool, typer.Option("--list", help="All groups and hosts, with their variables.")
    ] = False,
    host: Annotated[
        str | None, typer.Option("--host", help="The variables of one host.", show_default=False)
    ] = None,
    school: Annotated[
        list[str] | None,
        typer.Option(
            "--school",
            envvar="PROVISION_SCHOOL",
            help="Only this school (may be given several times).",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    mirror: MirrorOption = None,
) -> None:
    """Print the inventory in the form that Ansible asks of inventory programs. There is no secret in it.

    Changes nothing and asks nobody: what is not there yet is said on standard error.
    """
    if listing == (host is not None):
        raise UsageError("give --list, or --host NAME", "provision inventory --list")
    loaded = load_workspace(find_workspace(workspace))
    schools = [_school_of(loaded, host)] if host is not None else school or sorted(loaded.schools)
    document: dict[str, Any] = {"_meta": {"hostvars": {}}, "all": {"children": []}}
    known = Known(loaded)
    for school_id in schools:
        prepared, notes = prepare_inventory(loaded, school_id, mirror=mirror, known=known)
        for note in notes:
            errors.print(f"{school_id}: {note}", style="warn", markup=False)
        whole = prepared.inventory()["all"]
        for group, content in whole["children"].items():
            # Two schools may both call a host "main": here the names stand beside each other.
            names = {name: f"{school_id}.{name}" for name in content["hosts"]}
            document["all"]["children"].append(group)
            document[group] = {"hosts": list(names.values()), "vars": whole["vars"]}
            for name, variables in content["hosts"].items():
                document["_meta"]["hostvars"][names[name]] = variables
    if host is not None:
        document = document["_meta"]["hostvars"][host]
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def _school_of(workspace: Workspace, host: str) -> str:
    """The school of a host, whose name here is ``SCHOOL.HOST``.

    Raises:
        UsageError: there is no such host.
    """
    hosts = {
        f"{school.id}.{name}": school.id for school in workspace.schools.values() for name in school.hosts
    }
    if host in hosts:
        return hosts[host]
    # Who leaves the school out means one of those that end so.
    meant = [name for name in hosts if name.endswith(f".{host}")][:5]
    remedy = f"Did you mean: {', '.join(meant)}?" if meant else did_you_mean(host, hosts)
    raise UsageError(f'There is no host "{host}".', remedy or "See them all: provision inventory --list")
