"""``provision inventory``: Ansible's dynamic-inventory protocol, so that standard tools keep working."""

import json
import sys
from typing import Annotated, Any

import typer

from provision.cli.options import MirrorOption, WorkspaceOption
from provision.engine.preparation import prepare
from provision.errors import UsageError
from provision.model import find_workspace, load_workspace


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
    """Print the inventory in the form that Ansible asks of inventory programs. There is no secret in it."""
    if listing == (host is not None):
        raise UsageError("give --list, or --host NAME", "provision inventory --list")
    loaded = load_workspace(find_workspace(workspace))
    document: dict[str, Any] = {"_meta": {"hostvars": {}}, "all": {"children": []}}
    for school_id in school or sorted(loaded.schools):
        prepared = prepare(loaded, school_id, mirror=mirror, skip_unavailable=loaded.municipality.lab)
        whole = prepared.inventory()["all"]
        for group, content in whole["children"].items():
            # Two schools may both call a host "main": here the names stand beside each other.
            names = {name: f"{school_id}.{name}" for name in content["hosts"]}
            document["all"]["children"].append(group)
            document[group] = {"hosts": list(names.values()), "vars": whole["vars"]}
            for name, variables in content["hosts"].items():
                document["_meta"]["hostvars"][names[name]] = variables
    if host is not None:
        document = document["_meta"]["hostvars"].get(host, {})
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
