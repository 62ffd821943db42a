"""The workspace: a municipality's directory, read whole, checked whole, with every default filled in."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision import paths
from provision.errors import ConfigurationError, Problem, UsageError
from provision.model import rules
from provision.model.catalog import ServiceEntry, broken_services, load_catalog
from provision.model.checks import (
    Draft,
    check_all,
    draft_municipality,
    draft_schools,
    draft_support,
    system_of,
)
from provision.model.municipality import (
    AcmeTls,
    Audit,
    Host,
    InternalTls,
    Municipality,
    ProvidedTls,
    SchoolAudit,
)
from provision.model.school import School
from provision.model.service import ServiceDefinition
from provision.model.support import SUPPORT_DIR, SupportPerson
from provision.model.wording import Vocabulary
from provision.ownership import refuse_strangers

MUNICIPALITY_FILE = "municipality.yml"
SCHOOLS_DIR = "schools"


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """A server with the municipality's defaults filled in.

    Args:
        ssh_key: absolute path of the private key file; None: the keys of ssh-agent.
        jump: ``[user@]host[:port]``, or None.
        become_password: sudo's password is in the vault as ``host_<name>_become_password``.
        shared: it is the municipality's, for several schools.
    """

    name: str
    address: str
    user: str
    port: int
    system: str
    ssh_key: Path | None
    jump: str | None
    become_password: bool
    shared: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedService:
    """A service of a school.

    Args:
        host: name of the school's host that it runs on.
        version: the release; None only in a lab whose school names none: the newest whose source answers.
        settings: the role's defaults with the school's settings over them, without the role's prefix.
        named: whether the school's file names the version. If not, it is the newest, for a school that has none yet:
            what is installed stays in its line (``artifacts.selection``).
    """

    id: str
    host: str
    hostname: str
    version: str | None
    settings: dict[str, Any]
    definition: ServiceDefinition
    accept_end_of_life: bool = False
    named: bool = True


@dataclass(frozen=True, slots=True)
class ResolvedSchool:
    """A school with the municipality's defaults filled in.

    Args:
        hosts: its own, then those that it shares with other schools.
        tls: where its certificates come from.
        audit: the municipality's audit settings with the school's over them.
        file: its file.
        raw: the file as it was written.
        support: who may see how its servers are, and nothing else.
    """

    id: str
    name: str
    domain: str
    locale: str
    timezone: str
    contact_email: str | None
    tls: AcmeTls | ProvidedTls | InternalTls
    audit: Audit
    hosts: dict[str, ResolvedHost]
    services: dict[str, ResolvedService]
    file: Path
    raw: School
    support: tuple[SupportPerson, ...] = ()

    @property
    def own_hosts(self) -> dict[str, ResolvedHost]:
        """The servers that are this school's alone."""
        return {name: host for name, host in self.hosts.items() if not host.shared}

    def is_shared(self, service: ResolvedService) -> bool:
        """Whether other schools may use the same installation of a service."""
        return self.hosts[service.host].shared


@dataclass(frozen=True, slots=True)
class Workspace:
    """A municipality's directory.

    Args:
        path: the directory, absolute.
        schools: by id, in alphabetical order.
        catalog: the services that exist, by id.
        notes: what is not wrong but should be known, such as a release near its end of life.
        broken: what is wrong with the files of schools, by the school's id, where that is allowed
            (``load_workspace``); such a school is not among ``schools``, unless only its support file is wrong.
    """

    path: Path
    municipality: Municipality
    schools: dict[str, ResolvedSchool]
    catalog: dict[str, ServiceEntry]
    notes: tuple[Problem, ...] = field(default=())
    broken: Mapping[str, tuple[Problem, ...]] = field(default_factory=dict)

    def school(self, school_id: str) -> ResolvedSchool:
        """The school with this id.

        Raises:
            UsageError: there is none; says which one was probably meant.
            ConfigurationError: its file is wrong.
        """
        try:
            return self.schools[school_id]
        except KeyError:
            if school_id in self.broken:
                raise ConfigurationError(self.broken[school_id]) from None
            remedy = rules.did_you_mean(school_id, self.schools)
            if not self.schools:
                remedy = "There is no school yet: provision school add ID"
            elif not remedy:
                shown = ", ".join(list(self.schools)[:10])
                remedy = f"There are: {shown}{', ...' if len(self.schools) > 10 else ''}."
            raise UsageError(f'There is no school "{school_id}" in {self.path}.', remedy) from None

    def sharing(self, host: str, besides: str = "") -> list[str]:
        """Ids of the schools that use a shared server.

        Args:
            besides: a school that is left out.
        """
        return [
            school.id
            for school in self.schools.values()
            if school.id != besides and (found := school.hosts.get(host)) is not None and found.shared
        ]

    @property
    def schools_dir(self) -> Path:
        """One file a school."""
        return self.path / SCHOOLS_DIR

    @property
    def secrets_dir(self) -> Path:
        """One encrypted vault file a school."""
        return self.path / "secrets"

    @property
    def known_hosts(self) -> Path:
        """Host keys that the municipality trusts, in OpenSSH's format."""
        return self.path / "known_hosts"

    @property
    def lock_file(self) -> Path:
        """Checksums of artifacts."""
        return self.path / "artifacts.lock"

    @property
    def runs_dir(self) -> Path:
        """Records of runs."""
        return self.path / "runs"

    @property
    def ca_dir(self) -> Path:
        """Public certificates of the municipality's own authority."""
        return self.path / "ca"

    @property
    def state_dir(self) -> Path:
        """What belongs to this machine only; not in git."""
        return self.path / ".state"

    @property
    def names_file(self) -> Path:
        """Addresses of lab servers, in the format of hosts(5)."""
        return self.state_dir / "hosts"


def find_workspace(explicit: Path | None = None) -> Path:
    """The workspace that is meant.

    In this order: ``explicit``, ``$PROVISION_WORKSPACE``, the current directory and those above it, the only
    one under ``./inventories/``. The latter two only when they belong to us.

    Raises:
        UsageError: there is none, there are several, or it is another user's; names those that were found.
    """
    named = explicit or (Path(value) if (value := os.environ.get("PROVISION_WORKSPACE")) else None)
    if named is not None:
        named = named.expanduser()
        directory = named.parent if named.name == MUNICIPALITY_FILE else named
        if (directory / MUNICIPALITY_FILE).is_file():
            return directory.resolve()
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is no directory.", "Name the municipality's directory.")
        raise UsageError(
            f"{directory} is not a workspace: it has no {MUNICIPALITY_FILE}.",
            f"Make one: provision init {shlex.quote(str(directory))}",
        )
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / MUNICIPALITY_FILE).is_file():
            refuse_strangers(directory, MUNICIPALITY_FILE)
            return directory
    found = sorted(file.parent for file in here.glob(f"inventories/*/{MUNICIPALITY_FILE}"))
    if len(found) == 1:
        refuse_strangers(found[0], MUNICIPALITY_FILE)
        return found[0]
    if found:
        names = ", ".join(str(directory.relative_to(here)) for directory in found)
        raise UsageError(
            f"There are several workspaces here: {names}.",
            f"Say which one: --workspace {shlex.quote(str(found[0].relative_to(here)))}",
        )
    raise UsageError(
        f"There is no workspace here: no {MUNICIPALITY_FILE} in {here}, above it, or in inventories/.",
        "Go to the municipality's directory, name it with --workspace DIR, or make one: provision init DIR",
    )


def load_workspace(
    path: Path,
    roles: Path | Sequence[Path] = paths.ROLES,
    *,
    proposed: Mapping[Path, bytes] | None = None,
    lenient: bool = False,
) -> Workspace:
    """Read and check a whole workspace.

    Args:
        path: the municipality's directory.
        roles: directories with roles; the workspace's own ``roles/`` comes after them.
        proposed: school files that are checked as if they were there already, with their content.
        lenient: leave out schools whose own files are wrong (``Workspace.broken``), for commands that only look at the
            others: a colleague's half-written file must not put out the monitoring of all schools.

    Raises:
        ConfigurationError: something is wrong; has every problem of every file, sorted by file and line.
    """
    path = path.resolve()
    directories = [*([roles] if isinstance(roles, Path) else roles), path / "roles"]
    catalog, problems = load_catalog(directories)
    broken = broken_services(directories, problems)
    words = vocabulary(catalog)
    municipality = draft_municipality(path / MUNICIPALITY_FILE, words)
    drafts, found = draft_schools(path / SCHOOLS_DIR, words, proposed or {})
    problems += found
    found, notes = check_all(path, municipality, drafts, catalog, broken)
    problems += found
    support, found = draft_support(path / SUPPORT_DIR, {draft.id for draft in drafts}, words)
    problems += found
    broken_schools: dict[str, tuple[Problem, ...]] = {}
    if lenient and municipality.model is not None:
        broken_schools, problems = _by_school(path, problems)
    if problems:
        raise ConfigurationError(in_order(problems))
    if municipality.model is None:  # pragma: no cover - a draft without a model has problems
        raise ConfigurationError([Problem("This file cannot be read.", file=path / MUNICIPALITY_FILE)])
    copies = municipality.model.repositories
    catalog = {name: entry.with_copies(copies) for name, entry in catalog.items()}
    schools = {
        draft.id: _resolve(path, draft, draft.model, municipality.model, catalog, support.get(draft.id, ()))
        for draft in drafts
        if draft.model is not None and not _concerns(draft.document.path, broken_schools.get(draft.id, ()))
    }
    return Workspace(path, municipality.model, schools, catalog, tuple(in_order(notes)), broken_schools)


def _by_school(
    path: Path, problems: Sequence[Problem]
) -> tuple[dict[str, tuple[Problem, ...]], list[Problem]]:
    """The problems of schools' own files, by the school's id, and all others."""
    own: dict[str, list[Problem]] = {}
    others = []
    for problem in in_order(problems):
        if problem.file is not None and problem.file.parent in (path / SCHOOLS_DIR, path / SUPPORT_DIR):
            own.setdefault(problem.file.stem, []).append(problem)
        else:
            others.append(problem)
    return {school: tuple(found) for school, found in sorted(own.items())}, others


def _concerns(file: Path, problems: Sequence[Problem]) -> bool:
    return any(problem.file == file for problem in problems)


def vocabulary(catalog: dict[str, ServiceEntry]) -> Vocabulary:
    """Words for guesses at what was meant."""
    systems = {system for entry in catalog.values() for system in entry.definition.systems}
    return Vocabulary(systems=tuple(sorted(systems | set(Vocabulary().systems))))


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Each problem once, by file and line."""
    return sorted(
        dict.fromkeys(problems),
        key=lambda problem: (str(problem.file or ""), problem.line, problem.column, problem.message),
    )


def _resolve(
    path: Path,
    draft: Draft[School],
    school: School,
    municipality: Municipality,
    catalog: dict[str, ServiceEntry],
    support: tuple[SupportPerson, ...],
) -> ResolvedSchool:
    defaults = municipality.defaults
    used = {use.host for use in school.services.values()}
    shared = {name: host for name, host in municipality.hosts.items() if name in used}
    hosts = {
        name: ResolvedHost(
            name=name,
            address=host.address,
            user=host.user or defaults.ssh_user,
            port=host.port or defaults.ssh_port,
            system=system_of(host, municipality),
            ssh_key=_key(path, host, municipality),
            jump=host.jump,
            become_password=host.become_password,
            shared=name in shared,
        )
        for name, host in {**school.hosts, **shared}.items()
    }
    services = {}
    for name, use in school.services.items():
        entry = catalog[name]
        host_name = use.host or next(iter(hosts))
        version = use.version
        if version is None and not municipality.lab:
            version = entry.releases_for(hosts[host_name].system, unasked=True)[0].version
        services[name] = ResolvedService(
            id=name,
            host=host_name,
            hostname=use.hostname,
            version=version,
            settings={**entry.settings, **use.settings},
            definition=entry.definition,
            accept_end_of_life=use.accept_end_of_life,
            named=use.version is not None,
        )
    return ResolvedSchool(
        id=draft.id,
        name=school.name,
        domain=school.domain,
        locale=school.locale or defaults.locale,
        timezone=school.timezone or defaults.timezone,
        contact_email=school.contact_email,
        tls=school.tls or municipality.tls,
        audit=_audit(municipality.audit, school.audit),
        hosts=hosts,
        services=services,
        file=draft.document.path,
        raw=school,
        support=support,
    )


def _key(path: Path, host: Host, municipality: Municipality) -> Path | None:
    key = host.ssh_key or municipality.defaults.ssh_key
    return None if key is None else path / key.expanduser()


def _audit(municipality: Audit, school: SchoolAudit) -> Audit:
    own = {name: value for name in ("strict", "category") if (value := getattr(school, name)) is not None}
    return municipality.model_copy(update={**own, "auditors": (*municipality.auditors, *school.auditors)})
