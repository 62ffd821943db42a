"""``provision school``: add, list and show schools."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from provision.cli.init import Question, complete
from provision.cli.options import JsonOption, SchoolArgument, WorkspaceOption
from provision.cli.output import agreed, console, emit_json, interactive
from provision.cli.problems import as_data, render, warn_of_broken
from provision.cli.trust import trust_command
from provision.errors import Problem, UsageError
from provision.model import ResolvedSchool, ResolvedService, Workspace, find_workspace, load_workspace, rules
from provision.model.municipality import AcmeTls, InternalTls, ProvidedTls
from provision.model.scaffold import SchoolAnswers, add_school, check_id, usual_hostname

app = typer.Typer(no_args_is_help=True, help="Add, list and show schools; trust their servers' keys.")
app.command(
    "trust",
    epilog="Examples: provision school trust escola-mar · provision school trust escola-mar --replace",
)(trust_command)


@app.command(
    "add",
    epilog="Examples: provision school add escola-mar · "
    'provision school add escola-mar --name "Escola del Mar" '
    "--domain escola-mar.cat --address 192.0.2.10 --service etherpad --service wiki=docs.escola-mar.cat",
)
def add(
    school: SchoolArgument,
    *,
    name: Annotated[str, typer.Option("--name", help="The school's name.", show_default=False)] = "",
    domain: Annotated[
        str, typer.Option("--domain", help="Its domain, such as escola-mar.cat.", show_default=False)
    ] = "",
    address: Annotated[
        str, typer.Option("--address", help="Address or DNS name of its server.", show_default=False)
    ] = "",
    user: Annotated[
        str | None, typer.Option("--user", help="User of SSH, if not the municipality's.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port of SSH, if not the municipality's.", show_default=False)
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", help="Operating system, such as debian-13.", show_default=False)
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(
            "--service", "-s", help="A service, or SERVICE=HOSTNAME; several times.", show_default=False
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write a new school's file. Asks for what is missing when there is a terminal.

    The file is checked together with the whole workspace before it is put in place; nothing is overwritten.
    """
    loaded = load_workspace(find_workspace(workspace))
    check_id(school, "school")
    if school in loaded.schools:
        raise UsageError(
            f'There is a school "{school}" already: {loaded.schools[school].file}',
            "Edit its file, or give the new school another id.",
        )
    given = complete(
        {
            "--name": Question("Name of the school", name, rules.line_of_text),
            "--domain": Question("Its domain, such as escola-mar.cat", domain, rules.hostname),
            "--address": Question("Address or DNS name of its server", address, rules.address),
        }
    )
    answers = SchoolAnswers(
        id=school,
        name=given["--name"],
        domain=given["--domain"],
        address=given["--address"],
        services=_wanted(service, loaded, given["--domain"], system),
        user=user,
        port=port,
        system=system,
    )
    try:
        file = add_school(loaded, answers)
    except OSError as error:
        raise UsageError(f"{loaded.schools_dir} cannot be written: {error.strerror}.") from error
    if json_output:
        emit_json("provision/school-add/v1", {"school": school, "file": str(file)})
        return
    console.print(f"Wrote {file}", markup=False)
    console.print("\nNext:", style="name")
    console.print("  look through the file: it lists what else may be set", markup=False)
    console.print(f"  provision school trust {school}    # compare the server's key, once", markup=False)
    console.print(f"  provision check {school}", markup=False)


def _wanted(
    options: list[str] | None, workspace: Workspace, domain: str, system: str | None
) -> dict[str, str]:
    """Services and their host names, from the options or by asking."""
    texts = list(options or [])
    if options is None and workspace.catalog and interactive():
        here = system or workspace.municipality.defaults.system
        for name, entry in sorted(workspace.catalog.items()):
            if here not in entry.definition.systems:
                continue
            hostname = usual_hostname(entry, domain)
            if agreed(f"{entry.definition.title.en} ({hostname})?", default=True):
                texts.append(name)
    wanted: dict[str, str] = {}
    for text in texts:
        name, _, hostname = text.partition("=")
        if name.strip() in wanted:
            raise UsageError(f'The service "{name}" is given twice.', "Each service once.")
        wanted[name.strip()] = hostname.strip()
    return wanted


@app.command("list", epilog="Examples: provision school list · provision school list --json")
def list_schools(workspace: WorkspaceOption = None, json_output: JsonOption = False) -> None:
    """List the municipality's schools, with their servers and services."""
    loaded = load_workspace(find_workspace(workspace), lenient=True)
    broken = warn_of_broken(loaded)
    if json_output:
        emit_json(
            "provision/schools/v1", {"schools": [school_data(school) for school in loaded.schools.values()]}
        )
        raise typer.Exit(int(broken))
    if not loaded.schools:
        if not broken:
            console.print("There is no school yet. Add one: provision school add ID")
        raise typer.Exit(int(broken))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("school", "name", "domain", "servers", "services"):
        table.add_column(heading, overflow="fold")
    for school in loaded.schools.values():
        table.add_row(
            Text(school.id, style="bold"),
            Text(school.name),
            Text(school.domain),
            Text(", ".join(f"{host.name} ({host.address})" for host in school.hosts.values())),
            Text(", ".join(school.services) or "none"),
        )
    console.print(table)
    raise typer.Exit(int(broken))


@app.command(
    "show", epilog="Examples: provision school show escola-mar · provision school show escola-mar --json"
)
def show(school: SchoolArgument, workspace: WorkspaceOption = None, json_output: JsonOption = False) -> None:
    """Show a school with every default filled in."""
    loaded = load_workspace(find_workspace(workspace), lenient=True)
    found = loaded.school(school)
    warn_of_broken(loaded)
    notes = [note for note in loaded.notes if note.file == found.file]
    if json_output:
        emit_json("provision/school/v1", {**school_data(found), "notes": as_data(notes)})
        return
    for line in _description(found, loaded):
        console.print(line, soft_wrap=True)
    _show_notes(notes)


def _show_notes(notes: list[Problem]) -> None:
    if notes:
        console.print("\nTo know\n", style="bold")
        render(notes, console)


def school_data(school: ResolvedSchool) -> dict[str, Any]:
    """A school for ``--json``; part of ``provision/school/v1`` and ``provision/schools/v1``."""
    return {
        "id": school.id,
        "name": school.name,
        "domain": school.domain,
        "locale": school.locale,
        "timezone": school.timezone,
        "contact_email": school.contact_email,
        "tls": school.tls.mode,
        "file": str(school.file),
        "hosts": {
            host.name: {
                "address": host.address,
                "user": host.user,
                "port": host.port,
                "system": host.system,
                "ssh_key": str(host.ssh_key) if host.ssh_key else None,
                "jump": host.jump,
                "become_password": host.become_password,
                "shared": host.shared,
            }
            for host in school.hosts.values()
        },
        "services": {
            service.id: {
                "title": service.definition.title.model_dump(),
                "host": service.host,
                "hostname": service.hostname,
                "version": service.version,
                "settings": service.settings,
            }
            for service in school.services.values()
        },
        "support": [person.name for person in school.support],
    }


def _description(school: ResolvedSchool, workspace: Workspace) -> Iterable[Text]:
    """The school in plain words, line by line."""
    yield Text.assemble((school.name, "bold"), f"  ({school.id})")
    yield _row("domain", school.domain)
    yield _row("language", f"{school.locale}, time zone {school.timezone}")
    if school.contact_email:
        yield _row("contact", school.contact_email)
    yield _row("certificates", _certificates(school.tls))
    yield _row("file", str(school.file))
    if school.support:
        yield _row("support", f"{', '.join(person.name for person in school.support)}: may see how it is")
    for host in school.hosts.values():
        yield Text()
        yield Text.assemble("Server ", (host.name, "bold"), "  (the municipality's)" if host.shared else "")
        if host.shared:
            others = workspace.sharing(host.name, besides=school.id)
            yield _row("shared with", ", ".join(others) or "no other school yet")
        yield _row("address", host.address + ("" if host.port == 22 else f", port {host.port}"))
        yield _row("system", _system(host.system))
        sudo = "" if host.user == "root" else ", then sudo"
        password = " with a password from the vault" if host.become_password else ""
        yield _row("log in as", f"{host.user}{sudo}{password}")
        yield _row("key", str(host.ssh_key) if host.ssh_key else "from ssh-agent")
        if host.jump:
            yield _row("by way of", host.jump)
    for service in school.services.values():
        yield Text()
        yield Text.assemble("Service ", (service.definition.title.en, "bold"), f"  ({service.id})")
        yield _row("address", f"https://{service.hostname}")
        yield _row("runs on", f"server {service.host}")
        yield _row("version", _version(service, school))
        if school.is_shared(service) and service.definition.shared:
            yield _row("in common", service.definition.shared.en)
        yield from _settings(service, workspace)
    if not school.services:
        yield Text()
        yield Text("No services yet: add them to the file.")


def _row(label: str, value: str) -> Text:
    return Text.assemble((f"  {label:<13}", "dim"), value)


def _system(name: str) -> str:
    system, _, version = name.partition("-")
    return f"{system.capitalize()} {version}"


def _certificates(tls: AcmeTls | ProvidedTls | InternalTls) -> str:
    match tls:
        case AcmeTls():
            return f"from {tls.directory}, renewed by the server itself"
        case ProvidedTls():
            return f"brought by the municipality: {tls.certificate}"
        case InternalTls():
            return "by the municipality's own authority (tests and closed networks)"


def _version(service: ResolvedService, school: ResolvedSchool) -> str:
    if service.version is None:
        return "the newest that can be had (lab)"
    return (
        service.version
        if school.raw.services[service.id].version
        else f"{service.version} for a new school; what is installed keeps its line"
    )


def _settings(service: ResolvedService, workspace: Workspace) -> Iterable[Text]:
    usual = workspace.catalog[service.id].settings
    label = "settings"
    for name, value in service.settings.items():
        own = "" if value == usual.get(name) else f"  (usually {_plain(usual.get(name))})"
        yield _row(label, f"{name}: {_plain(value)}{own}")
        label = ""


def _plain(value: Any) -> str:
    """A setting's value for people."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None | "" | [] | {}:
            return "nothing"
        case str():
            first, _, rest = value.strip().partition("\n")
            return f"{first[:70]}..." if rest or len(first) > 70 else first
        case list():
            return ", ".join(_plain(item) for item in value)
        case dict():
            return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items())
        case _:
            return str(value)
