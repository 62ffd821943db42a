"""``provision secrets``: which secrets a school has, new ones, and those that come from outside."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from provision.audit import entries as e
from provision.audit.log import log_directory
from provision.audit.opening import acting, actor_of, origin_of
from provision.audit.outbox import Outbox
from provision.cli.options import JsonOption, SchoolArgument, WorkspaceOption, YesOption
from provision.cli.output import confirm, console, emit_json, errors
from provision.cli.problems import warn_of_broken
from provision.errors import UsageError
from provision.model import ResolvedSchool, Workspace, find_workspace, load_workspace
from provision.model.rules import did_you_mean
from provision.secrets import TLS_KEYS, SecretStore, become_password_name
from provision.secrets.store import base_secrets

app = typer.Typer(
    help="A school's generated secrets: list, reveal, renew. They are kept encrypted in secrets/SCHOOL.yml.",
    no_args_is_help=True,
)


@app.command(
    "show",
    epilog="Examples: provision secrets show escola-mar · "
    "provision secrets show escola-mar etherpad_api_key --reveal",
)
def show(
    school: SchoolArgument,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this secret.", show_default=False)
    ] = None,
    reveal: Annotated[
        bool,
        typer.Option(
            "--reveal",
            help="Show the values as well. With NAME, print the value alone, for a pipe.",
        ),
    ] = False,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """List the secrets of a school and what each is for. Values are shown only with --reveal."""
    place = load_workspace(find_workspace(workspace), lenient=True)
    chosen = place.school(school)
    warn_of_broken(place)
    values = SecretStore(place).load(school)
    rows = _rows(chosen, values)
    if name is not None:
        rows = [row for row in rows if row["name"] == name]
        if not rows:
            raise _no_secret(school, name, [row["name"] for row in _rows(chosen, values)])
    if reveal:
        actor = actor_of(acting(place))
        shown = [
            e.AccessOpened(actor=actor, target=e.Target(school=school), kind="secret", subject=row["name"])
            for row in rows
            if row["present"]
        ]
        # Written down before anything is seen.
        if shown:
            _record(place, chosen, shown)
        errors.print("Secrets are shown in clear: mind who looks on, and what records this.", style="warn")
        for row in rows:
            row["value"] = values.get(row["name"])
    if json_output:
        emit_json("provision/secrets/v1", {"school": school, "secrets": rows})
    elif reveal and name is not None:
        _print_value(school, name, values)
    elif rows:
        _print_table(rows, reveal)
    else:
        console.print("Its services need no secrets.")


@app.command(
    "rotate",
    epilog="Examples: provision secrets rotate escola-mar etherpad_api_key · "
    "provision secrets rotate escola-mar moodle · provision secrets rotate escola-mar --all --yes",
)
def rotate(
    school: SchoolArgument,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="Secrets to replace, or services: all of theirs.", show_default=False
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Replace every generated secret; makes the vault file anew when it is lost for good.",
        ),
    ] = False,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Replace secrets by new ones. They reach the server with the next apply."""
    if bool(names) == everything:
        raise UsageError(
            "Say which secrets to replace: their names, or --all.",
            f"See them: provision secrets show {school}",
        )
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    actor = actor_of(acting(place))
    store = SecretStore(place)
    uses = _uses(chosen)
    if everything:
        wanted = [name for name in uses if uses[name][1]]
    else:
        wanted = list(dict.fromkeys(secret for name in names or [] for secret in _named(chosen, name)))
        store.check_generated(chosen, wanted)
    if not yes:
        for name in wanted:
            services = uses.get(name, ([], True))[0]
            errors.print(f"{name}: used by {', '.join(services) or 'nobody'}", markup=False)
    count = "1 secret" if len(wanted) == 1 else f"{len(wanted)} secrets"
    confirm(f"Replace {count} of {school}?", yes=yes)
    if everything:
        wanted = store.rotate_all(chosen)
    else:
        store.rotate_many(chosen, wanted)
    if wanted:
        _record(
            place, chosen, [e.SecretRotated(actor=actor, target=e.Target(school=school), names=list(wanted))]
        )
    others = _in_common(place, chosen, wanted)
    if json_output:
        document = {"school": school, "rotated": wanted, "also_apply": others}
        emit_json("provision/secrets-rotated/v1", document)
        return
    console.print(f"Replaced: {', '.join(wanted) or 'nothing'}", style="good", markup=False)
    console.print(f"The server still has the old ones. Next: provision apply {school}", markup=False)
    if others:
        console.print(
            f"In common with {', '.join(others)}, whose own servers have the old one until they are applied as well, "
            f"right afterwards: provision apply {' '.join(others)}",
            style="warn",
            markup=False,
        )


@app.command(
    "set",
    epilog="Examples: provision secrets set escola-mar host_main_become_password · "
    "pass show escola-mar/sudo | provision secrets set escola-mar host_main_become_password",
)
def set_(
    school: SchoolArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The secret.", show_default=False)],
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Store a secret that comes from outside, such as a sudo password. Asked for, or read from standard
    input."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    if name == TLS_KEYS:
        raise UsageError(
            f"{name} holds the keys of certificates and cannot be set.", "See tls in the school's file."
        )
    acting(place)
    store = SecretStore(place)
    uses = _uses(chosen)
    guess = did_you_mean(name, uses)
    if not store.is_secret(name):
        raise UsageError(
            f"No service declares a secret “{name}”, and it is no host's sudo password.",
            f"{guess} See the names that there are: provision secrets show {school}".strip(),
        )
    if name not in uses:
        errors.print(
            f"No service or host of {school} uses “{name}”. {guess}".rstrip(), style="warn", markup=False
        )
        confirm("Store it all the same?", yes=yes, remedy="correct the name, or say --yes")
    if sys.stdin.isatty():
        value = typer.prompt(f"{name} of {school}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.read().rstrip("\r\n")
    if not value:
        raise UsageError("The secret is empty.", "Type it, or send it on standard input.")
    store.set(school, name, value)
    console.print(f"Stored {name} of {school}.", style="good", markup=False)


@app.command("remove", epilog="Example: provision secrets remove escola-mar host_old_become_password")
def remove(
    school: SchoolArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The secret.", show_default=False)],
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Take a secret out of the vault that no service and no host of the school uses any more."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    acting(place)
    store = SecretStore(place)
    uses = _uses(chosen)
    values = store.load(school)
    if name in uses:
        raise UsageError(
            f"{', '.join(uses[name][0])} of {school} needs {name}.",
            f"For a new value: provision secrets {'rotate' if uses[name][1] else 'set'} {school} {name}",
        )
    if name == TLS_KEYS:
        raise UsageError(
            f"{name} holds the keys of certificates and cannot be removed.", "See tls in the school's file."
        )
    if name not in values:
        raise _no_secret(school, name, sorted(values.keys() - uses.keys() - {TLS_KEYS}), "Not in use are")
    confirm(f"Remove {name} of {school}? Its value cannot be brought back.", yes=yes)
    with store.edit(school) as kept:
        kept.pop(name, None)
    console.print(f"Removed {name} of {school}.", style="good", markup=False)


def _no_secret(school: str, name: str, known: Sequence[str], title: str = "It has") -> UsageError:
    return UsageError(
        f"{school} has no secret “{name}”.",
        did_you_mean(name, known) or f"{title}: {', '.join(known) or 'none'}.",
    )


def _record(workspace: Workspace, school: ResolvedSchool, entries: Sequence[e.Data]) -> None:
    """Leave entries for the log, which is on the server, and say so: until then they are nowhere else."""
    Outbox(log_directory(workspace.path, school.id)).add(origin_of(workspace, school), entries)
    errors.print(
        "Recorded on this machine only. The next run brings it into the audit log, or at once: "
        f"provision audit sync {school.id}",
        style="warn",
        markup=False,
    )


def _named(school: ResolvedSchool, name: str) -> list[str]:
    """The secrets that a word on the command line means: one, or all of a service's.

    Raises:
        UsageError: a service that has none.
    """
    if name not in school.services:
        return [name]
    secrets = [secret.name for secret in school.services[name].definition.secrets]
    if not secrets:
        raise UsageError(f"{name} has no secrets.", f"See them all: provision secrets show {school.id}")
    return secrets


def _in_common(workspace: Workspace, school: ResolvedSchool, names: Sequence[str]) -> list[str]:
    """Other schools that have one of these secrets too, for a service on a server that they share."""
    shared = [service for service in school.services.values() if school.is_shared(service)]
    return sorted(
        {
            other
            for service in shared
            if {secret.name for secret in service.definition.secrets} & set(names)
            for other in workspace.sharing(service.host, besides=school.id)
        }
    )


def _uses(school: ResolvedSchool) -> dict[str, tuple[list[str], bool]]:
    """Who uses each secret, and whether we generate it."""
    found: dict[str, tuple[list[str], bool]] = {}
    for service in school.services.values():
        for secret in service.definition.secrets:
            found.setdefault(secret.name, ([], True))[0].append(service.id)
    for secret in base_secrets(service.definition for service in school.services.values()):
        found[secret.name] = (["audit log"], True)
    for host in school.hosts.values():
        if host.become_password:
            found[become_password_name(host.name)] = ([f"host {host.name}"], False)
    return found


def _rows(school: ResolvedSchool, values: dict[str, Any]) -> list[dict[str, Any]]:
    reasons = {
        secret.name: secret.why
        for service in school.services.values()
        for secret in service.definition.secrets
    }
    reasons |= {
        secret.name: secret.why
        for secret in base_secrets(service.definition for service in school.services.values())
    }
    reasons |= {
        become_password_name(host.name): f"sudo as {host.user}"
        for host in school.hosts.values()
        if host.become_password
    }
    uses = _uses(school)
    rows = [
        {
            "name": name,
            "used_by": services,
            "why": reasons[name],
            "generated": generated,
            "present": bool(values.get(name)),
        }
        for name, (services, generated) in uses.items()
    ]
    for name in sorted(values.keys() - uses.keys()):
        why = "keys of the certificates" if name == TLS_KEYS else "stored by hand, or no longer used"
        rows.append(
            {
                "name": name,
                "used_by": [],
                "why": why,
                "generated": name == TLS_KEYS,
                "present": bool(values[name]),
            }
        )
    return rows


def _print_table(rows: list[dict[str, Any]], reveal: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="name")
    for title in ("name", "used by", "what for", "state", *(["value"] if reveal else [])):
        table.add_column(title, overflow="fold", no_wrap=title == "name")
    for row in rows:
        missing = "comes with the next plan" if row["generated"] else "missing: provision secrets set"
        state = Text("kept", "good") if row["present"] else Text(missing, "warn")
        cells = [Text(row["name"]), Text(", ".join(row["used_by"])), Text(row["why"]), state]
        table.add_row(*cells, *([Text(_as_text(row["value"]))] if reveal else []))
    console.print(table)


def _print_value(school: str, name: str, values: dict[str, Any]) -> None:
    if not values.get(name):
        raise UsageError(f"{name} has no value yet.", f"It gets one with: provision plan {school}")
    # Plain, so that no colour or line break of ours gets into a pipe.
    sys.stdout.write(_as_text(values[name]) + "\n")


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}:\n{item}" for key, item in value.items())
    return "" if value is None else str(value)
