"""What must hold on a host before anything is changed there; one table, every problem with a remedy."""

import ipaddress
import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    StringConstraints,
    ValidationError,
)

from provision import names
from provision.engine.ssh import Connection
from provision.engine.variables import SYSTEM_MEMORY_MB
from provision.errors import RefusedError
from provision.model import ResolvedHost, ResolvedSchool, ResolvedService, Workspace
from provision.model.municipality import AcmeTls
from provision.text import printable_line

State = Literal["ok", "warning", "problem"]

#: Difference between two clocks, in seconds, from which certificates and logs suffer.
CLOCK_LIMIT = 60.0
#: What a Debian server itself needs besides its services, in MiB.
_SYSTEM_DISK = 1500
#: What listens on a server where nothing has been installed yet.
_OF_THE_SYSTEM = ("sshd", "systemd", "systemd-resolve", "chronyd")
_LOOK = Path(__file__).with_name("remote_look.py")


Words = Annotated[str, AfterValidator(printable_line)]
#: Debian Policy 5.6.7. These names go into Ansible's inventory, where braces would be a template.
PackageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]*$", max_length=200)]


class Facts(BaseModel):
    """What ``remote_look.py`` prints. A server that somebody took over may print anything else."""

    model_config = ConfigDict(strict=True, frozen=True)

    system: Words
    pretty: Words
    python: Words
    architecture: Words
    memory_mb: NonNegativeInt
    cpus: NonNegativeInt
    disk_free_mb: NonNegativeInt
    time: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
    systemd: bool
    read_only: bool
    apt_interrupted: bool
    packages: Annotated[list[PackageName], Field(max_length=20000)]
    listeners: Annotated[dict[Words, Words], Field(max_length=100)]
    outside: Annotated[dict[Words, Words], Field(max_length=100)]
    addresses: Annotated[list[Words], Field(max_length=10)]
    marks: Annotated[list[Words], Field(max_length=100)]
    apt: Annotated[dict[Words, Words], Field(max_length=100)]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table.

    Args:
        area: ``host``, ``artifacts``, ``secrets`` ...
        subject: what was looked at.
        found: what was found, in words.
        remedy: what to do; empty when the state is ok.
    """

    area: str
    subject: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class HostState:
    """What a host told about itself.

    Args:
        finish_apt: an installation of packages was cut off there.
        packages: names of the packages that are installed.
    """

    checks: tuple[Check, ...]
    finish_apt: bool
    packages: tuple[str, ...]


def look(
    workspace: Workspace,
    school: ResolvedSchool,
    host: ResolvedHost,
    connection: Connection,
    services: Sequence[ResolvedService],
    *,
    sources: bool = True,
    force: bool = False,
) -> HostState:
    """Look at one host in a single round trip, and in a second one at the lessons that go on there.

    Args:
        services: those that are to run on this host.
        sources: also try whether its package sources answer (up to a few seconds where they do not).
        force: lessons will be cut where a step needs it.

    Raises:
        RefusedError: the host cannot run the look (no python3, no sudo), or the connection broke.
    """
    request = {
        "marks": [service.definition.alone.until for service in services if service.definition.alone],
        "sources": sources,
    }
    before = time.time()
    script = _LOOK.read_text(encoding="utf-8")
    answer = connection.run(
        f"python3 -c {shlex.quote(script)}", stdin=json.dumps(request), root=True, timeout=60
    )
    after = time.time()
    if answer.status != 0:
        raise RefusedError(
            f"{host.address} cannot be looked at as root: {_last_line(answer.err) or 'no answer'}",
            f"{host.user} needs sudo there (password-less, or become_password: true with the password in the vault), "
            "and the server needs python3: apt-get install python3",
        )
    facts = _facts(host, answer.out)
    offset = facts.time - (before + after) / 2
    checks = [
        *_system(host, services, facts),
        *_size(host, services, facts),
        *_alone(host, services, facts),
        *_clock(host, offset),
        *_network(workspace, school, host, services, facts),
        *_lessons(host, connection, services, force=force),
    ]
    return HostState(tuple(checks), facts.apt_interrupted, tuple(facts.packages))


def _facts(host: ResolvedHost, text: str) -> Facts:
    remedy = (
        "look at the shell start-up files of its users: nothing may print there; if they are in order, "
        "take the server for one that somebody has tampered with"
    )
    try:
        data: Any = json.loads(text)
        return Facts.model_validate(data)
    except ValidationError as error:
        # Only names of ours: deeper ones come from the server.
        wrong = dict.fromkeys(str(part["loc"][0]) for part in error.errors(include_url=False) if part["loc"])
        which = f": no usable {', '.join(wrong)}" if wrong else ""
        raise RefusedError(f"{host.address} answered something else than expected{which}", remedy) from error
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{host.address} answered something else than expected", remedy) from error


def _system(host: ResolvedHost, services: Sequence[ResolvedService], facts: Facts) -> list[Check]:
    area = f"host {host.name}"
    checks = [
        Check(
            area,
            "connection",
            "ok",
            f"{host.user}@{host.address}, port {host.port}; root by {'login' if host.user == 'root' else 'sudo'}",
        )
    ]
    system = facts.system
    unsupported = [service for service in services if system not in service.definition.systems]
    if system != host.system:
        checks.append(
            Check(
                area,
                "system",
                "problem",
                f"{facts.pretty}, but the school file says {host.system}",
                "install the server anew, or take another one"
                if unsupported
                else f"write system: {system}, or install the server anew",
            )
        )
    wanted = [("system", service.id, facts.pretty, service.definition.systems) for service in unsupported]
    wanted += [
        ("architecture", service.id, facts.architecture, service.definition.resources.architectures)
        for service in services
        if facts.architecture not in (service.definition.resources.architectures or [facts.architecture])
    ]
    checks += [
        Check(
            area,
            subject,
            "problem",
            f"{found}; needed {' or '.join(needed)} ({name})",
            f"take a server with {' or '.join(needed)} for {name}",
        )
        for subject, name, found, needed in wanted
    ]
    if system == host.system and not unsupported:
        checks.append(
            Check(area, "system", "ok", f"{facts.pretty}, {facts.architecture}, Python {facts.python}")
        )
    if not facts.systemd:
        checks.append(
            Check(
                area,
                "system",
                "problem",
                "systemd does not run it",
                "use a server or machine that boots with systemd",
            )
        )
    if facts.read_only:
        checks.append(
            Check(area, "disk", "problem", "/etc cannot be written", "look at the disk: dmesg, mount")
        )
    return checks


def _size(host: ResolvedHost, services: Sequence[ResolvedService], facts: Facts) -> list[Check]:
    area = f"host {host.name}"
    checks = []
    # A service with a server of its own says what the whole server must have.
    whole = any(service.definition.dedicated_host for service in services)
    small = all(_may_be_small(service) for service in services if service.definition.resources.small_host)
    for subject, system, key, found in (
        ("memory", 0 if whole else SYSTEM_MEMORY_MB, "memory_mb", facts.memory_mb),
        ("disk", _SYSTEM_DISK, "disk_free_mb", facts.disk_free_mb),
    ):
        parts = [("system", system)] * (system > 0) + [
            (
                service.id,
                service.definition.resources.memory_mb
                if subject == "memory"
                else service.definition.resources.disk_mb,
            )
            for service in services
        ]
        needed = sum(part for _, part in parts)
        total = " + ".join(f"{name} {part}" for name, part in parts)
        words = f"{found} MiB{' free' if key == 'disk_free_mb' else ''}; needed {needed} ({total})"
        enough = found >= needed
        allowed = subject == "memory" and whole and small
        # What is installed already takes its room: a second run must not fail on it.
        state: State = (
            "ok"
            if enough
            else ("problem" if (subject == "memory" and not allowed) or found < _SYSTEM_DISK else "warning")
        )
        checks.append(
            Check(
                area,
                subject,
                state,
                words,
                "" if enough else f"give the server more {subject}, or move a service to another host",
            )
        )
    for service in services:
        if service.definition.resources.small_host:
            checks += _figures(area, service, facts)
    return checks


def _may_be_small(service: ResolvedService) -> bool:
    """Whether the school's file says that a server too small for the service will do."""
    setting = service.definition.resources.small_host
    return setting is not None and service.settings.get(setting) is True


def _figures(area: str, service: ResolvedService, facts: Facts) -> list[Check]:
    """Cores and addresses, for a service that cannot do with less."""
    wanted = service.definition.resources
    short: State = "warning" if _may_be_small(service) else "problem"
    cores = facts.cpus >= wanted.cpus
    checks = [
        Check(
            area,
            "cores",
            "ok" if cores else short,
            f"{facts.cpus}; needed {wanted.cpus} ({service.id})",
            "" if cores else "give the server more cores, or take another one",
        )
    ]
    missing = [kind for kind in wanted.addresses if kind not in facts.addresses]
    if wanted.addresses:
        names = {"ipv4": "IPv4", "ipv6": "IPv6"}
        found = " and ".join(names.get(kind, kind) for kind in facts.addresses) or "none"
        needed = " and ".join(names[kind] for kind in wanted.addresses)
        checks.append(
            Check(
                area,
                "addresses",
                short if missing else "ok",
                f"{found}; needed {needed} ({service.id})",
                f"give the server an address of {' and '.join(names[kind] for kind in missing)}"
                if missing
                else "",
            )
        )
    return checks


def _alone(host: ResolvedHost, services: Sequence[ResolvedService], facts: Facts) -> list[Check]:
    """Whether a service that needs a server of its own has one."""
    checks = []
    for service in services:
        alone = service.definition.alone
        if alone is None:
            continue
        area, needed = f"host {host.name}", f"needed nothing but {service.id}"
        foreign = [f"package {name}" for name in sorted(set(alone.packages) & set(facts.packages))]
        if alone.until not in facts.marks:
            foreign += [
                f"{program} on port {port}"
                for port, program in sorted(facts.outside.items())
                if program not in _OF_THE_SYSTEM and port != str(host.port)
            ]
        checks.append(
            Check(
                area,
                "nothing else",
                "problem" if foreign else "ok",
                f"{', '.join(foreign[:5]) or 'nothing'}; {needed}",
                f"install the server anew for {service.id}, or take another one" if foreign else "",
            )
        )
    return checks


def _clock(host: ResolvedHost, offset: float) -> list[Check]:
    if abs(offset) > CLOCK_LIMIT:
        return [
            Check(
                f"host {host.name}", "clock", "problem", f"{offset:+.0f} s from this machine's",
                "set the clock of the one that is wrong (timedatectl); certificates and records need it",
            )
        ]  # fmt: skip
    return [Check(f"host {host.name}", "clock", "ok", f"{offset:+.1f} s from this machine's")]


def _network(
    workspace: Workspace,
    school: ResolvedSchool,
    host: ResolvedHost,
    services: Sequence[ResolvedService],
    facts: Facts,
) -> list[Check]:
    area = f"host {host.name}"
    checks = []
    # Who serves the web there: nginx of ours, or what a service brings.
    servers = {
        str(port.port): port.programs
        for service in services
        for port in service.definition.ports
        if port.programs
    }
    foreign = {
        port: program
        for port, program in facts.listeners.items()
        if program not in servers.get(port, ("nginx",))
    }
    for port, program in sorted(foreign.items()):
        wanted = " or ".join(servers.get(port, ("nginx",)))
        checks.append(
            Check(
                area,
                "ports",
                "problem",
                f"port {port} is taken by {program}",
                f"stop and disable {program}: {wanted} needs the port",
            )
        )
    if not foreign:
        whose = " or ".join(dict.fromkeys(name for names in servers.values() for name in names)) or "nginx"
        checks.append(Check(area, "ports", "ok", f"80 and 443 are free or {whose}'s"))
    silent = {site: error for site, error in facts.apt.items() if error}
    if silent:
        listed = ", ".join(f"{site} ({error})" for site, error in silent.items())
        checks.append(
            Check(
                area,
                "package sources",
                "problem",
                f"no answer: {listed}",
                "check the server's network and /etc/apt/sources.list*, or name a mirror there",
            )
        )
    elif facts.apt:
        checks.append(Check(area, "package sources", "ok", f"{len(facts.apt)} answer"))
    acme = isinstance(school.tls, AcmeTls)
    return [*checks, *(_name(workspace, acme, host, service.hostname) for service in services)]


def _name(workspace: Workspace, acme: bool, host: ResolvedHost, hostname: str) -> Check:
    """Whether a service's name leads to its host."""
    area, subject = f"host {host.name}", "names"
    entry = f"ask for a DNS entry {hostname} → {host.address}"
    try:
        seen = names.resolve_all(workspace.names_file, hostname)
    except OSError:
        return Check(
            area, subject, "problem" if acme else "warning", f"{hostname} does not resolve here", entry
        )
    words = f"{hostname} → {', '.join(seen)}"
    try:
        own = names.resolve_all(workspace.names_file, host.address)
    except OSError:
        # Only its jump host knows where it is: there is nothing to compare.
        return Check(area, subject, "ok", words)
    if names.resolve_own(workspace.names_file, hostname) or set(seen) & set(own):
        return Check(area, subject, "ok", words)
    # A server behind the school's router has a private address, and its name leads to the router. An IPv4 address in
    # the school file says nothing about an IPv6 address in DNS.
    comparable = [address for address in own if _public(address) and _version(address) in map(_version, seen)]
    return Check(
        area,
        subject,
        "problem" if acme and comparable else "warning",
        f"{words}, but the server is {', '.join(own)}",
        f"{entry}, or correct the address in the school file"
        if comparable
        else f"see that {', '.join(seen)} hands ports 80 and 443 on to {', '.join(own)}",
    )


class Lessons(BaseModel):
    """What ``provision-<service> busy`` prints."""

    model_config = ConfigDict(strict=True, frozen=True)

    meetings: Annotated[int, Field(ge=0, le=10**6)]
    participants: Annotated[int, Field(ge=0, le=10**6)]


def _lessons(
    host: ResolvedHost, connection: Connection, services: Sequence[ResolvedService], *, force: bool
) -> list[Check]:
    """Lessons that a restart would cut. They stop nothing here: the step itself waits for their end or is refused."""
    checks = []
    for service in services:
        if not service.definition.busy:
            continue
        program = f"/usr/local/sbin/provision-{service.id}"
        answer = connection.run(f"if [ -x {program} ]; then {program} busy; fi", root=True, timeout=60)
        if answer.status == 0 and not answer.out.strip():
            continue
        try:
            lessons = Lessons.model_validate_json(answer.out)
        except ValidationError:
            found = "it cannot be told whether lessons are going on"
        else:
            if not lessons.meetings:
                continue
            found = f"meetings: {lessons.meetings}, participants: {lessons.participants}"
        checks.append(
            Check(
                f"host {host.name}",
                f"lessons in {service.id}",
                "warning",
                found,
                "with --force, a step that restarts it cuts them"
                if force
                else "a step that would cut them is refused; --wait MINUTES waits for their end, --force cuts them",
            )
        )
    return checks


def _public(address: str) -> bool:
    return ipaddress.ip_address(address).is_global


def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return printable_line(lines[-1]) if lines else ""
