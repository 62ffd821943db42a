"""From a school to what Ansible receives: one inventory with plain data in it.

Everything that the services need from the base roles (sites, databases, ports, certificates) is merged here, so that
base roles never know who uses them. No secret is in it: roles take those from the school's vault file by name.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import names
from provision.artifacts import Selection
from provision.engine.ssh import JumpHost, host_key_name, known_hosts_name
from provision.errors import ConfigurationError, Problem
from provision.model import ResolvedHost, ResolvedSchool, ResolvedService, Workspace
from provision.model.certificates import authorities
from provision.model.municipality import AcmeTls, InternalTls, ProvidedTls
from provision.model.service import LoopbackProbe, OwnProbe
from provision.secrets.store import become_password_name

if TYPE_CHECKING:
    import jinja2

#: Roles that every host has, before and after what its services need.
_FIRST = ("base", "firewall")
#: Memory in MiB of the system itself, and of the database server, whose clients' share is in their own numbers.
SYSTEM_MEMORY_MB = 400
_DATABASE_MEMORY_MB = 384
_TEMPLATE_MARKS = ("{{", "{%", "{#")


def build_inventory(
    workspace: Workspace,
    school: ResolvedSchool,
    selections: Sequence[Selection],
    certificates: Mapping[str, str],
    *,
    run_id: str,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """The inventory of one school, in the form of Ansible's YAML inventory.

    Args:
        selections: the release and the source of each service that is to be there.
        certificates: PEM chain by site, for TLS modes where the administrator's machine has it.
        run_id: goes into the run's marker.
        only: services to touch; empty means all.

    Raises:
        ConfigurationError: a value would be taken for a template by Ansible.
    """
    hosts = {
        host.name: _host_variables(workspace, school, host, selections, certificates, only)
        for host in school.hosts.values()
    }
    variables = {
        "provision_school": {
            "id": school.id,
            "name": school.name,
            "domain": school.domain,
            "locale": school.locale,
            "timezone": school.timezone,
        },
        "provision_municipality": {
            "id": workspace.municipality.id,
            "name": workspace.municipality.name,
            "contact_email": workspace.municipality.contact.email,
            "languages": list(workspace.municipality.languages),
        },
        "provision_run": {"id": run_id},
        # What a service may have to do with another one: a course's link to the pads.
        "provision_services": {
            selection.service: {
                "hostname": school.services[selection.service].hostname,
                "host": school.services[selection.service].host,
                "settings": school.services[selection.service].settings,
            }
            for selection in selections
        },
    }
    _refuse_templates(school, {**variables, "hosts": hosts})
    variables["provision_secrets_file"] = str(workspace.secrets_dir / f"{school.id}.yml")
    for host in school.hosts.values():
        if host.become_password:
            hosts[host.name]["ansible_become_password"] = f"{{{{ {become_password_name(host.name)} }}}}"
    return {"all": {"vars": variables, "children": {school.id.replace("-", "_"): {"hosts": hosts}}}}


def ssh_options(workspace: Workspace, host: ResolvedHost) -> list[str]:
    """OpenSSH options for a host: host keys from the workspace only, always checked; the jump host likewise.

    The administrator's own SSH configuration is left out, as our other connections (paramiko) leave it out: with
    ``ForwardAgent yes`` in it every school's server could use the administrator's keys.
    """
    strict = [
        "-F", "none",
        "-o", f"UserKnownHostsFile={_quoted(workspace.known_hosts)}",
        "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
        "-o", "UpdateHostKeys=no",
        "-o", "PasswordAuthentication=no",
        "-o", "ForwardAgent=no",
        "-o", "ForwardX11=no",
    ]  # fmt: skip
    if host.ssh_key:
        # An agent with many keys would use up the server's MaxAuthTries before the right one's turn.
        strict += ["-o", "IdentitiesOnly=yes"]
    # For the jump host -W implies ClearAllForwardings (ssh(1)).
    options = [*strict, "-o", "ClearAllForwardings=yes", "-o", f"HostKeyAlias={host_key_name(host)}"]
    if host.jump:
        jump = JumpHost.parse(host.jump, host.user)
        # ProxyJump would not hand these options on to the jump host's own connection.
        key = ["-i", str(host.ssh_key.expanduser())] if host.ssh_key else []
        proxy = [
            "ssh", *strict, "-o", f"HostKeyAlias={known_hosts_name(jump.address, jump.port)}", *key,
            "-p", str(jump.port), "-l", jump.user, "-W", "%h:%p", _target(workspace, jump.address),
        ]  # fmt: skip
        options += ["-o", f"ProxyCommand={shlex.join(proxy)}"]
    return options


def _target(workspace: Workspace, name: str) -> str:
    """What SSH is told to connect to: the workspace's own address of a name, else the name as it is.

    SSH asks DNS for it, or the jump host does, which may know names that nobody else knows; and an inventory can be
    made of a school whose names do not resolve yet.
    """
    return names.resolve_own(workspace.names_file, name) or name


def _quoted(path: Path) -> str:
    # OpenSSH splits this option's value at blanks.
    return f'"{path}"' if " " in str(path) else str(path)


def _host_variables(
    workspace: Workspace,
    school: ResolvedSchool,
    host: ResolvedHost,
    selections: Sequence[Selection],
    certificates: Mapping[str, str],
    only: Sequence[str],
) -> dict[str, Any]:
    municipality = workspace.municipality
    chosen = {selection.service: selection for selection in selections}
    services = [
        service for service in school.services.values() if service.host == host.name and service.id in chosen
    ]
    sites = [
        _site(workspace, school, service, chosen[service.id].version)
        for service in services
        if service.definition.needs.site
    ]
    ports = [
        {
            "port": port.port,
            "protocol": port.protocol,
            "why": port.why,
            **({"to": port.to} if port.to else {}),
        }
        for service in services
        for port in service.definition.ports
    ]
    if sites:
        ports += [
            {"port": 80, "protocol": "tcp", "why": "web"},
            {"port": 443, "protocol": "tcp", "why": "web"},
        ]
    # The copy of the log is on one host: where administrators meet. The role comes also where no log is kept: who is no
    # auditor any more must lose access all the same.
    trail = host.name == min(school.own_hosts)
    variables: dict[str, Any] = {
        "ansible_host": _target(workspace, host.address),
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_ssh_common_args": shlex.join(ssh_options(workspace, host)),
        "ansible_python_interpreter": "/usr/bin/python3",
        "provision_host": host.name,
        "provision_roles": _roles(services, only, trail=trail),
        "base_operators": [operator.model_dump(mode="json") for operator in municipality.operators],
        "base_support_keys": [person.model_dump() for person in school.support],
        # A server that schools share speaks the municipality's language, whoever's run it is.
        "base_timezone": municipality.defaults.timezone if host.shared else school.timezone,
        "base_locale": municipality.defaults.locale if host.shared else school.locale,
        "base_time_servers": list(municipality.defaults.time_servers),
        "base_connect_user": host.user,
        "base_probe": _probe_list(services),
        "firewall_ssh_ports": [host.port],
        "firewall_ssh_from": list(municipality.defaults.ssh_from),
        "firewall_ports": ports,
        "nginx_sites": sites,
        "postgresql_databases": [
            {"name": database.name} for service in services for database in service.definition.needs.databases
        ],
        "coturn_sites": _turn(services),
        **_pools(services),
        **_tls(workspace, municipality.tls if host.shared else school.tls, services, certificates),
    }
    if trail:
        variables |= {
            "audit_trail_school": school.id,
            "audit_trail_auditors": [auditor.model_dump(mode="json") for auditor in school.audit.auditors],
            "audit_trail_https": school.audit.https and bool(sites),
        }
    if host.user != "root":
        variables["ansible_become"] = True
    if host.ssh_key:
        variables["ansible_ssh_private_key_file"] = str(host.ssh_key.expanduser())
    for service in services:
        variables |= _service_variables(service, chosen[service.id])
    return variables


def _probe_list(services: Sequence[ResolvedService]) -> dict[str, Any]:
    """What the server's ``provision-probe`` may ask on behalf of people who are not root there."""
    probes = [(service, probe) for service in services for probe in service.definition.probes]
    return {
        "loopback": [probe.question for _, probe in probes if isinstance(probe, LoopbackProbe)],
        "own": [
            {
                "service": service.id,
                "probe": probe.id,
                "program": probe.program,
                "arguments": list(probe.arguments),
            }
            for service, probe in probes
            if isinstance(probe, OwnProbe)
        ],
    }


def _roles(services: Sequence[ResolvedService], only: Sequence[str], *, trail: bool) -> list[dict[str, str]]:
    wanted = [service for service in services if not only or service.id in only]
    if only and not wanted:
        return []
    needed = list(dict.fromkeys(role for service in wanted for role in service.definition.needs.roles))
    has_site = any(service.definition.needs.site for service in wanted)
    roles: list[dict[str, str]] = [{"role": role} for role in _FIRST]
    if has_site:
        roles.append({"role": "nginx"})
    if any(service.definition.needs.has_certificate for service in wanted):
        roles.append({"role": "tls"})
    if trail and not only:
        # After the web server, which it adds to.
        roles.append({"role": "audit_trail"})
    roles += [{"role": role} for role in needed if role not in {"nginx", "tls", "audit_trail", *_FIRST}]
    roles += [{"role": service.id} for service in wanted]
    if has_site:
        roles.append({"role": "nginx", "entry": "sites"})
    return roles


def site_templates(directory: Path) -> "jinja2.Environment":
    """How a service's part of the web server's settings is made of its template.

    Args:
        directory: the ``templates`` of its role.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(directory),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - nginx configuration, not HTML; values are checked by the model
    )


def _site(
    workspace: Workspace, school: ResolvedSchool, service: ResolvedService, version: str
) -> dict[str, Any]:
    import jinja2

    site = service.definition.needs.site
    assert site is not None  # noqa: S101 - the caller looked
    templates = workspace.catalog[service.id].role_dir / "templates"
    try:
        locations = (
            site_templates(templates)
            .get_template(site.locations)
            .render(
                hostname=service.hostname,
                settings=service.settings,
                school=school,
                service=service,
                version=version,
            )
        )
    except jinja2.TemplateError as error:
        raise ConfigurationError(
            [Problem(f"the site of {service.id} cannot be made: {error}", file=templates / site.locations)]
        ) from error
    size = _number(service, site.max_body_mb)
    made = {"name": service.id, "hostname": service.hostname, "max_body_mb": size, "locations": locations}
    if site.permissions_policy:
        made["permissions_policy"] = site.permissions_policy
    return made


def _number(service: ResolvedService, value: int | str) -> int:
    """A number, or that of the setting which is named."""
    return value if isinstance(value, int) else int(service.settings[value])


def _turn(services: Sequence[ResolvedService]) -> list[dict[str, str]]:
    """The services of a host that need a TURN server, with the addresses that their settings name."""
    return [
        {
            "name": service.id,
            "hostname": service.hostname,
            "public_address": str(service.settings[turn.public_address]),
            "local_address": str(service.settings[turn.local_address]),
        }
        for service in services
        if (turn := service.definition.needs.turn)
    ]


def _pools(services: Sequence[ResolvedService]) -> dict[str, Any]:
    """PHP pools and Redis instances that the services of a host ask for."""
    instances = [
        {**redis.model_dump(), "user": service.id}
        for service in services
        for redis in service.definition.needs.redis
    ]
    pools = [
        {
            **php.model_dump(mode="json"),
            "name": service.id,
            "user": service.id,
            "upload_mb": _number(service, php.upload_mb),
            "share": service.definition.resources.memory_mb
            - sum(redis.memory_mb for redis in service.definition.needs.redis),
        }
        for service in services
        if (php := service.definition.needs.php)
    ]
    # What is not the pools' own: they share the rest of the memory.
    others = SYSTEM_MEMORY_MB + sum(
        service.definition.resources.memory_mb for service in services if not service.definition.needs.php
    )
    others += sum(redis["memory_mb"] for redis in instances)
    if any(service.definition.needs.databases for service in services):
        others += _DATABASE_MEMORY_MB
    return {"redis_instances": instances, "php_pools": pools, "php_other_memory_mb": others}


def _tls(
    workspace: Workspace,
    tls: AcmeTls | ProvidedTls | InternalTls,
    services: Sequence[ResolvedService],
    certificates: Mapping[str, str],
) -> dict[str, Any]:
    wanted = [
        {"name": service.id, "hostnames": [service.hostname]}
        for service in services
        if service.definition.needs.has_certificate
    ]
    match tls:
        case AcmeTls() as acme:
            return {
                "tls_mode": "acme",
                "tls_certificates": wanted,
                "tls_acme_directory": acme.directory,
                "tls_acme_email": acme.email,
                "tls_acme_ca": authorities(workspace.path / acme.ca_file.expanduser())
                if acme.ca_file
                else "",
            }
        case ProvidedTls() as provided:
            for item in wanted:
                hostname = item["hostnames"][0]
                item["certificate"] = (
                    workspace.path / provided.certificate.format(hostname=hostname)
                ).read_text("utf-8")
                item["key_file"] = str(workspace.path / provided.key.format(hostname=hostname))
            return {"tls_mode": "provided", "tls_certificates": wanted}
        case InternalTls():
            for item in wanted:
                # An inventory may be wanted before a run has made it; the role refuses to go on without.
                if made := certificates.get(str(item["name"])):
                    item["certificate"] = made
            return {"tls_mode": "internal", "tls_certificates": wanted}


def _service_variables(service: ResolvedService, selection: Selection) -> dict[str, Any]:
    source = selection.source.model_dump(mode="json")
    if selection.source.kind == "archive":
        source["files"] = {role: str(file) for role, file in selection.files.items()}
        source["checksums"] = dict(selection.checksums)
    prefix = f"{service.id}_"
    return {
        prefix + "hostname": service.hostname,
        prefix + "version": selection.version,
        prefix + "source": source,
        **{prefix + key: value for key, value in service.settings.items()},
    }


def _refuse_templates(school: ResolvedSchool, data: object) -> None:
    """Ansible would run ``{{ ... }}`` out of a school file as code on the administrator's machine."""
    problems: list[Problem] = []

    def look(value: object, path: str) -> None:
        match value:
            case str() if any(mark in value for mark in _TEMPLATE_MARKS):
                problems.append(
                    Problem(
                        f"{path} holds {{{{, {{% or {{#, which Ansible would run as a program",
                        "write the text without these signs",
                        file=school.file,
                        code="template",
                    )
                )
            case dict():
                for key, item in value.items():
                    look(item, f"{path}.{key}" if path else str(key))
            case list() | tuple():
                for number, item in enumerate(value):
                    look(item, f"{path}[{number}]")

    look(data, "")
    if problems:
        raise ConfigurationError(problems)
