"""``provision health``: are the services of a school well?"""

from dataclasses import asdict
from typing import Annotated

import typer

from provision.cli.audit.keeping import open_book
from provision.cli.options import JsonOption, SchoolsArgument, ServiceOption, WorkspaceOption
from provision.cli.output import console, emit_json
from provision.cli.report import probes_table
from provision.engine.connections import Connections
from provision.engine.preparation import services_there, sudo_passwords
from provision.engine.recorder import health_entry
from provision.errors import RefusedError
from provision.health import probe_school
from provision.model import find_workspace, load_workspace


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "health",
        epilog="Examples: provision health escola-mar · provision health escola-mar --service etherpad --json · "
        "provision health escola-mar --record",
    )(health)


def health(
    schools: SchoolsArgument,
    workspace: WorkspaceOption = None,
    service: ServiceOption = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write what was found into the audit log (needs its key).")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Ask every service of a school whether it is well, from outside and on the server. Changes nothing.

    Needs no vault password (but where sudo asks for one), and nothing from upstream.
    """
    loaded = load_workspace(find_workspace(workspace))
    results = {}
    for school_id in schools:
        school = loaded.school(school_id)
        services = [item for item in services_there(loaded, school) if not service or item.id in service]
        connections = Connections(loaded, school, sudo_passwords(loaded, school))
        try:
            results[school_id] = probe_school(loaded, school, services, connections.run_on)
        finally:
            connections.close()
        if record:
            with open_book(loaded, school, "health") as book:
                book.add(health_entry(book, [asdict(probe) for probe in results[school_id]]))
    if json_output:
        emit_json(
            "provision/health/v1",
            {"schools": {school: [asdict(probe) for probe in probes] for school, probes in results.items()}},
        )
    else:
        for school_id, probes in results.items():
            console.print(school_id, style="name", markup=False)
            probes_table(probes, console)
    states = {probe.state for probes in results.values() for probe in probes}
    if not any(results.values()):
        raise RefusedError(
            "there is nothing to ask: no service of these schools has a probe", "provision school show SCHOOL"
        )
    raise typer.Exit(3 if states == {"unreachable"} else int(bool(states - {"ok"})))
