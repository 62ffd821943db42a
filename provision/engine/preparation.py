"""A school, made ready for its servers: all that can be done and checked without contacting them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from provision import paths
from provision.artifacts import Known, Selection, Unavailable, locked_content, look_up, select
from provision.audit import new_run_id
from provision.engine.variables import build_inventory
from provision.errors import ArtifactError, Problem, RefusedError, UsageError
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.model.municipality import InternalTls
from provision.model.support import support_file
from provision.secrets import SecretStore
from provision.secrets.ca import certificates_there, ensure_certificates, ensure_shared_certificates
from provision.secrets.redact import Redactor
from provision.secrets.store import become_password_name

#: Of ansible-lint and pytest, on machines on which people work at a role.
_CACHES = {".ansible", ".pytest_cache"}


@dataclass(slots=True)
class Prepared:
    """A school, ready to be brought to its servers. Nothing has been contacted there.

    Args:
        left_out: services whose source cannot be reached, where that is allowed.
        new_secrets: names of the secrets that were generated just now.
        secrets: the vaults, as far as they are open.
    """

    workspace: Workspace
    school: ResolvedSchool
    only: tuple[str, ...]
    selections: tuple[Selection, ...]
    left_out: tuple[Unavailable, ...]
    new_secrets: tuple[str, ...]
    redactor: Redactor
    sudo_passwords: Mapping[str, str]
    certificates: Mapping[str, str]
    run_id: str = field(default_factory=new_run_id)
    secrets: SecretStore | None = None

    @property
    def services(self) -> list[ResolvedService]:
        """The services that are to be there after the run."""
        chosen = {selection.service for selection in self.selections}
        return [service for service in self.school.services.values() if service.id in chosen]

    @property
    def touched(self) -> list[ResolvedService]:
        """The services that this run is about."""
        return [service for service in self.services if not self.only or service.id in self.only]

    def inventory(self) -> dict[str, Any]:
        """The inventory for Ansible."""
        return build_inventory(
            self.workspace,
            self.school,
            self.selections,
            self.certificates,
            run_id=self.run_id,
            only=self.only,
        )


def prepare(
    workspace: Workspace,
    school_id: str,
    *,
    only: Sequence[str] = (),
    mirror: str | None = None,
    skip_unavailable: bool = False,
) -> Prepared:
    """Check everything that can be checked without the school's servers, and generate what is missing.

    Args:
        only: services to limit the run to.
        mirror: directory or URL with the artifacts.
        skip_unavailable: leave out services whose source cannot be reached (lab workspaces only).

    Raises:
        UsageError: no such school or service; ``skip_unavailable`` for a real school.
        ArtifactError: a source cannot be reached, or is not what the lock file says.
        SecretsError: the vault cannot be opened.
    """
    school = workspace.school(school_id)
    unknown = sorted(set(only) - set(school.services))
    if unknown:
        raise UsageError(
            f"{school.id} has no service {', '.join(unknown)}",
            f"it has: {', '.join(school.services) or 'none'}",
        )
    if skip_unavailable and not workspace.municipality.lab:
        raise UsageError(
            "--skip-unavailable is for disposable servers (lab: true in municipality.yml)",
            "a school gets all of its services, or none: see provision check " + school.id,
        )
    selections, unavailable = select(workspace, school, mirror=mirror)
    if unavailable and not skip_unavailable:
        raise unavailable_error(unavailable)
    store = SecretStore(workspace)
    services = [school.services[selection.service] for selection in selections]
    new = store.ensure(school, [service.definition for service in services])
    certificates: dict[str, str] = {}
    sites = sites_with_certificates(workspace, school, services)
    common = {site: names for site, names in sites.items() if school.is_shared(school.services[site])}
    if isinstance(school.tls, InternalTls):
        own = {site: names for site, names in sites.items() if site not in common}
        certificates = ensure_certificates(workspace, school, own, store=store)
    if common:
        certificates |= ensure_shared_certificates(workspace, school, common, store=store)
    values = store.load(school.id)
    store.check_names(school.id, values)
    school = _narrowed(school, only)
    return Prepared(
        workspace=workspace,
        school=school,
        only=tuple(only),
        selections=tuple(selections),
        left_out=tuple(unavailable),
        new_secrets=tuple(new),
        redactor=Redactor(values),
        sudo_passwords=_sudo_passwords(school, values),
        certificates=certificates,
        secrets=store,
    )


def _narrowed(school: ResolvedSchool, only: Sequence[str]) -> ResolvedSchool:
    """A run of some services needs no shared server of others: it may be off, or held by a colleague."""
    needed = {school.services[name].host for name in only}
    hosts = {name: host for name, host in school.hosts.items() if name in needed or not host.shared}
    return replace(school, hosts=hosts) if only else school


def prepare_inventory(
    workspace: Workspace, school_id: str, *, mirror: str | None = None, known: Known | None = None
) -> tuple[Prepared, list[str]]:
    """A school as far as its inventory needs it: no source is asked, no vault is opened, and nothing is made.

    Args:
        mirror: directory or URL with the artifacts.
        known: what was found out for other schools.

    Returns:
        the school, and what is not there yet, in words.

    Raises:
        UsageError: no such school.
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used, or something is not what it says.
    """
    school = workspace.school(school_id)
    selections, unavailable, wrong = look_up(workspace, school, mirror=mirror, known=known, ask=False)
    if wrong:
        raise wrong[0].error
    chosen = [school.services[selection.service] for selection in selections]
    sites = sites_with_certificates(workspace, school, chosen)
    certificates = certificates_there(workspace, school, sites)
    notes = [f"{item.service} is left out: {'; '.join(item.reasons)}" for item in unavailable]
    notes += [
        f"{selection.service}: {file.name} is not on this machine (provision artifacts fetch {school.id})"
        for selection in selections
        if selection.source.kind == "archive"
        for file in selection.source.files
        if file.role not in selection.files and not _is_installed(workspace, school, selection)
    ]
    notes += [
        f"{site} has no certificate yet: the first plan or apply makes it"
        for site in sites
        if site not in certificates
    ]
    if not SecretStore(workspace).exists(school.id):
        notes.append("there is no vault file yet: the first plan or apply makes it")
    prepared = Prepared(
        workspace=workspace,
        school=school,
        only=(),
        selections=tuple(selections),
        left_out=tuple(unavailable),
        new_secrets=(),
        redactor=Redactor({}),
        sudo_passwords={},
        certificates=certificates,
    )
    return prepared, notes


def sites_with_certificates(
    workspace: Workspace, school: ResolvedSchool, services: Sequence[ResolvedService]
) -> dict[str, list[str]]:
    """The sites that get a certificate of the municipality's own authority, with their host names."""
    return {
        service.id: [service.hostname]
        for service in services
        if service.definition.needs.has_certificate
        and isinstance(workspace.municipality.tls if school.is_shared(service) else school.tls, InternalTls)
    }


def _is_installed(workspace: Workspace, school: ResolvedSchool, selection: Selection) -> bool:
    choice = locked_content(workspace.lock_file).choices.get(school.id, {}).get(selection.service)
    return choice is not None and choice.installed and choice.version == selection.version


def services_there(workspace: Workspace, school: ResolvedSchool) -> list[ResolvedService]:
    """The services that an apply has brought to the school's servers; all of them before the first apply."""
    choices = locked_content(workspace.lock_file).choices.get(school.id, {})
    there = {service for service, choice in choices.items() if choice.installed}
    return [service for service in school.services.values() if not there or service.id in there]


def sudo_passwords(workspace: Workspace, school: ResolvedSchool) -> dict[str, str]:
    """The sudo passwords of the school's hosts, by host; the vault is opened only where one is needed.

    Raises:
        SecretsError: the vault cannot be opened.
        RefusedError: a password is not in it.
    """
    if not any(host.become_password for host in school.hosts.values()):
        return {}
    return _sudo_passwords(school, SecretStore(workspace).load(school.id))


def unavailable_error(unavailable: Sequence[Unavailable]) -> ArtifactError:
    """The error for services whose sources cannot be reached."""
    names = [f"{item.service} {item.version or ''}".strip() for item in unavailable]
    problems = [
        Problem(f"{name}: {'; '.join(item.reasons)}", item.remedy, code="not-to-be-had")
        for name, item in zip(names, unavailable, strict=True)
    ]
    return ArtifactError(f"not to be had: {', '.join(names)}", problems=problems)


def _sudo_passwords(school: ResolvedSchool, values: Mapping[str, Any]) -> dict[str, str]:
    passwords, problems = find_sudo_passwords(school, values)
    if problems:
        raise RefusedError("a sudo password is missing", problems=list(problems.values()))
    return passwords


def find_sudo_passwords(
    school: ResolvedSchool, values: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Problem]]:
    """The sudo passwords of the hosts that need one, by host, and what is wrong where one is missing.

    Args:
        values: the school's secrets.
    """
    passwords: dict[str, str] = {}
    problems: dict[str, Problem] = {}
    for host in school.hosts.values():
        if host.become_password:
            name = become_password_name(host.name)
            if values.get(name):
                passwords[host.name] = str(values[name])
            else:
                problems[host.name] = Problem(
                    f"the sudo password of host {host.name} is not in the vault",
                    f"provision secrets set {school.id} {name}",
                    file=school.file,
                )
    return passwords, problems


def role_directories(workspace: Workspace) -> tuple[Path, ...]:
    """Where roles are looked for: ours, and the workspace's own."""
    own = workspace.path / "roles"
    found = dict.fromkeys(entry.role_dir.parent for entry in workspace.catalog.values())
    return tuple(dict.fromkeys([paths.ROLES, *found, *([own] if own.is_dir() else [])]))


def content_hashes(prepared: Prepared) -> dict[str, str]:
    """SHA-256 of what decided the run: school and municipality file, playbook, its settings, each role that runs."""

    def of(file: Path) -> str:
        return hashlib.sha256(file.read_bytes()).hexdigest()

    hashes = {
        "school": of(prepared.school.file),
        "municipality": of(prepared.workspace.path / "municipality.yml"),
        **{file.name: of(file) for file in sorted(paths.PLAYBOOKS.iterdir()) if file.is_file()},
    }
    support = support_file(prepared.workspace.path, prepared.school.id)
    if support.is_file():
        hashes["support"] = of(support)
    roles = {part["role"] for host in _hosts_of(prepared.inventory()) for part in host["provision_roles"]}
    catalog = prepared.workspace.catalog
    included = {role for name in roles & catalog.keys() for role in catalog[name].definition.needs.includes}
    for name in sorted(roles | included):
        for directory in role_directories(prepared.workspace):
            if (directory / name).is_dir():
                hashes[f"role {name}"] = tree_hash(directory / name)
                break
    return hashes


def _hosts_of(inventory: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in inventory["all"]["children"].values():
        yield from group["hosts"].values()


def tree_hash(directory: Path) -> str:
    """SHA-256 over the names and contents of a directory's files, in order of their names.

    Of linked directories too: Ansible follows them. What tools keep for themselves is left out.
    """
    digest = hashlib.sha256()
    for file in sorted(_files_of(directory, set())):
        name = str(file.relative_to(directory)).encode()
        data = file.read_bytes()
        digest.update(len(name).to_bytes(4) + name + len(data).to_bytes(8) + data)
    return digest.hexdigest()


def _files_of(directory: Path, above: set[Path]) -> Iterator[Path]:
    """Every file below a directory; a link to a directory that it lies in leads nowhere new."""
    real = directory.resolve()
    if real in above:
        return
    for entry in directory.iterdir():
        if entry.name in _CACHES:
            continue
        if entry.is_dir():
            yield from _files_of(entry, {*above, real})
        elif entry.is_file() and not (directory.name == "__pycache__" and entry.suffix == ".pyc"):
            yield entry
