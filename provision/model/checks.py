"""Checks between the parts of a workspace: hosts and services, schools and schools, files and the disk.

They work on drafts, so that one mistake does not hide the others: a file with a wrong value is taken without
that value, and only what is left is compared.
"""

import copy
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from provision.errors import Problem
from provision.model import rules
from provision.model.catalog import ServiceEntry
from provision.model.certificates import authorities, check_pair
from provision.model.document import Document, Loc, parse_document, read_document
from provision.model.municipality import (
    SLUG_PATTERN,
    AcmeTls,
    Host,
    InternalTls,
    Municipality,
    ProvidedTls,
)
from provision.model.school import School, ServiceUse
from provision.model.settings import check_settings
from provision.model.support import Support, SupportPerson, check_support
from provision.model.wording import FORMS, Vocabulary, listed, problems_of

ModelT = TypeVar("ModelT", bound=BaseModel)
Catalog = Mapping[str, ServiceEntry]

#: Problems that do not stop anything, by their code.
NOTES = frozenset({"end-of-life", "certificate-expires-soon", "open-key", "no-key-file", "log-renamed"})
#: Days before the end of upstream's support from which it is told.
SOON_DAYS = 120
#: Names that would collide with our own: ``secrets/municipality.yml`` holds what belongs to no school.
RESERVED_IDS = ("municipality",)
#: Accounts that a server has already, or that our roles make.
RESERVED_LOGINS = (
    "root",
    "daemon",
    "bin",
    "sys",
    "nobody",
    "sshd",
    "www-data",
    "postgres",
    "prosody",
    "jicofo",
    "jvb",
    "turnserver",
    "redis",
    "backup",
    "mail",
)
#: Ends of names for which no public authority gives a certificate (RFC 2606, RFC 6761, RFC 6762, RFC 8375).
_NOT_PUBLIC = (".test", ".local", ".localhost", ".invalid", ".internal", ".lan", ".home.arpa", ".intranet")

# Stand in for what a broken file lacks, so that the rest of it can be compared. They never leave the drafts:
# one with a problem is never resolved.
_MISSING = "missing.invalid"
_FALLBACK_CONTACT = {"name": "-", "email": "nobody@example.org"}
_FALLBACKS: Mapping[str, Mapping[str, Any]] = {
    "School": {
        "schema": 1,
        "name": "-",
        "domain": _MISSING,
        "hosts": {"missing": {"address": _MISSING}},
    },
    "Municipality": {
        "schema": 1,
        "id": "missing",
        "name": "-",
        "contact": _FALLBACK_CONTACT,
        "data_protection_officer": _FALLBACK_CONTACT,
        "tls": {"mode": "internal"},
    },
    "Support": {"schema": 1},
}


@dataclass(slots=True)
class Draft(Generic[ModelT]):
    """A file as far as it makes sense.

    Args:
        id: the file's name without ``.yml``.
        document: the file.
        model: the model, of which wrong values were left out; None when nothing made sense.
        problems: what is wrong with the file by itself.
    """

    id: str
    document: Document
    model: ModelT | None
    problems: list[Problem] = field(default_factory=list)

    def has(self, *loc: str | int) -> bool:
        """Whether a value stands in the file."""
        return loc in self.document.places


def draft(document: Document, model: type[ModelT], words: Vocabulary) -> Draft[ModelT]:
    """Check a file by itself, and keep what makes sense."""
    made: Draft[ModelT] = Draft(document.path.stem, document, None, list(document.problems))
    if document.data is None and document.problems:
        return made
    try:
        made.model = model.model_validate(document.data)
    except ValidationError as error:
        made.problems += problems_of(error, document, model, words)
        made.model = _without_mistakes(model, document.data)
    return made


def _without_mistakes(model: type[ModelT], data: Any) -> ModelT | None:
    """The model of the data without its wrong values; None when that does not help."""
    if not isinstance(data, dict):
        return None
    data = copy.deepcopy(data)
    # Leaving one value out can make its parent wrong, hence several rounds; the files are five levels deep.
    for _ in range(8):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            places = {(tuple(details["loc"]), details["type"]) for details in error.errors(include_url=False)}
            # From the back, so that the numbers of list entries stay right.
            for loc, kind in sorted(
                places, key=lambda item: [str(part).zfill(6) for part in item[0]], reverse=True
            ):
                _leave_out(data, loc, kind, _FALLBACKS[model.__name__])
    return None


def _leave_out(data: dict[str, Any], loc: Loc, kind: str, fallbacks: Mapping[str, Any]) -> None:
    if len(loc) == 1 and kind == "missing":
        data[str(loc[0])] = copy.deepcopy(fallbacks.get(str(loc[0])))
        return
    parents: list[tuple[Any, Any]] = []
    here: Any = data
    for part in loc[:-1] if kind == "missing" else loc:
        # What is not there is the name of a union's member, which pydantic puts between the keys.
        try:
            inside = here[part]
        except (KeyError, IndexError, TypeError):
            continue
        parents.append((here, part))
        here = inside
    if kind == "missing" and loc[-1] in ("address", "hostname") and isinstance(here, dict):
        here[str(loc[-1])] = _MISSING
    elif parents:
        parent, part = parents[-1]
        del parent[part]


def draft_municipality(file: Path, words: Vocabulary) -> Draft[Municipality]:
    """Read ``municipality.yml``."""
    return draft(read_document(file), Municipality, words)


def draft_schools(
    directory: Path, words: Vocabulary, proposed: Mapping[Path, bytes]
) -> tuple[list[Draft[School]], list[Problem]]:
    """Read every file of ``schools/``, and those proposed for it, and check their names."""
    drafts: list[Draft[School]] = []
    problems: list[Problem] = []
    by_small: dict[str, Path] = {}
    files = {*(directory.iterdir() if directory.is_dir() else ()), *proposed}
    # The rightly named file counts where two differ only by case or ending.
    for file in sorted(
        files, key=lambda file: (file.suffix != ".yml", file.stem != file.stem.lower(), file.name)
    ):
        if file.name.startswith(".") or file.suffix.lower() not in (".yml", ".yaml") or file.is_dir():
            continue
        other = by_small.setdefault(file.stem.lower(), file)
        found = _file_name_problem(file, None if other is file else other)
        if found:
            problems.append(found)
        if other is file:
            content = proposed.get(file)
            document = read_document(file) if content is None else parse_document(file, content)
            drafts.append(draft(document, School, words))
    drafts.sort(key=lambda made: made.id)
    return drafts, problems


def draft_support(
    directory: Path, schools: Set[str], words: Vocabulary
) -> tuple[dict[str, tuple[SupportPerson, ...]], list[Problem]]:
    """Read every file of ``support/``: who may see how the servers of each school are.

    Args:
        schools: ids of the schools that there are.
    """
    people: dict[str, tuple[SupportPerson, ...]] = {}
    problems: list[Problem] = []
    for file in sorted(directory.iterdir() if directory.is_dir() else ()):
        if file.name.startswith(".") or file.suffix.lower() not in (".yml", ".yaml"):
            continue
        made = draft(read_document(file), Support, words)
        problems += made.problems
        if made.model is not None and not made.problems:
            problems += check_support(made.document, made.model, schools)
            people[made.id] = made.model.people
    return people, problems


def _file_name_problem(file: Path, other: Path | None) -> Problem | None:
    """What is wrong with a school file's name; ``other`` has the same name but for case or ending."""

    def problem(message: str, remedy: str, code: str) -> Problem:
        return Problem(message, remedy, file, 1, 1, code)

    if other is not None:
        return problem(
            f'There is "{other.name}" too; both would be the school "{file.stem.lower()}".',
            "Keep one of the two files, or give one school another id.",
            "duplicate-id",
        )
    if file.stem in RESERVED_IDS:
        return problem(
            f'"{file.stem}" cannot be the id of a school: the tool uses this name itself.',
            f'Rename the file, such as "escola-{file.stem}.yml".',
            "bad-id",
        )
    if not re.fullmatch(SLUG_PATTERN, file.stem):
        form = FORMS[SLUG_PATTERN]
        better = form.mend(file.stem)[:40].strip("-")
        return problem(
            f'The file is named after the school\'s id, and "{file.stem}" is not {form.what}. '
            f"Allowed: {form.allowed}.",
            f'Rename it to "{better or form.example}.yml".',
            "bad-id",
        )
    if file.suffix != ".yml":
        return problem(
            f'School files end in ".yml", this one in "{file.suffix}".',
            f'Rename it to "{file.stem}.yml".',
            "bad-id",
        )
    return None


def check_all(
    path: Path,
    municipality: Draft[Municipality],
    drafts: Sequence[Draft[School]],
    catalog: Catalog,
    broken: Set[str],
) -> tuple[list[Problem], list[Problem]]:
    """Every problem of the drafts, by themselves and between them, and the notes.

    Args:
        path: the workspace.
        municipality: ``municipality.yml``.
        drafts: the school files.
        catalog: the services.
        broken: services that exist, but whose own files have problems.
    """
    found = list(municipality.problems)
    city = municipality.model
    if city is not None:
        found += _check_municipality(path, municipality, city, catalog)
    if city is not None:
        found += _check_hosts(path, municipality.document, city.hosts, catalog)
        found += _check_sudo_passwords(municipality.document, city.hosts, city)
    for made in drafts:
        found += made.problems
        if made.model is not None:
            found += _check_hosts(path, made.document, made.model.hosts, catalog)
            if city is not None:
                found += _check_sudo_passwords(made.document, made.model.hosts, city)
                found += _check_host_names(made, made.model, municipality)
            found += _check_services(made, made.model, city, catalog, broken)
            found += _check_logins(made.document, catalog)
            if city is not None:
                found += _check_tls(path, made, made.model, municipality, city)
    if city is not None and not municipality.problems:
        found += _check_log_names(path, municipality, city, drafts)
    found += _check_shared(drafts, city, catalog)
    found += _check_duplicates(drafts, municipality)
    problems = [problem for problem in found if problem.code not in NOTES]
    return problems, [problem for problem in found if problem.code in NOTES]


def system_of(host: Host, municipality: Municipality) -> str:
    """A host's operating system, with the default filled in."""
    return host.system or municipality.defaults.system


def _check_repositories(document: Document, city: Municipality, catalog: Catalog) -> Iterator[Problem]:
    known = sorted({item.name for entry in catalog.values() for item in entry.repositories()})
    for name, copied in city.repositories.items():
        if name not in known:
            yield document.problem(
                ("repositories", name),
                f'No service has a package repository "{name}".',
                rules.did_you_mean(name, known) or (f"There are: {listed(known)}." if known else ""),
                code="unknown-repository",
            )
        if copied.fingerprint is not None and copied.key_url is None:
            yield document.problem(
                ("repositories", name, "fingerprint"),
                "fingerprint: where the servers get this key is not said.",
                "Add key_url; or remove fingerprint, where the copy still has upstream's signature.",
                code="no-key-url",
            )


def _check_municipality(
    path: Path, made: Draft[Municipality], city: Municipality, catalog: Catalog
) -> Iterator[Problem]:
    document = made.document
    if city.defaults.ssh_key is not None:
        yield from _check_key_file(path, city.defaults.ssh_key, document, ("defaults", "ssh_key"))
    if isinstance(city.tls, AcmeTls) and city.tls.ca_file is not None:
        yield from _check_authorities(path, city.tls.ca_file, document, ("tls", "ca_file"))
    if city.vault is not None and city.vault.client is not None:
        yield from _check_exists(path, city.vault.client, document, ("vault", "client"))
    if city.vault is not None and city.vault.keys is not None:
        yield from _check_vault_keys(path, city.vault.keys, document)
    yield from _check_logins(document, catalog)
    if city.audit.time_stamp is not None:
        yield from _check_authorities(
            path, city.audit.time_stamp.ca_file, document, ("audit", "time_stamp", "ca_file")
        )
    yield from _check_repositories(document, city, catalog)
    if not city.audit.enabled and not city.lab:
        yield document.problem(
            ("audit", "enabled"),
            "enabled: a school's operations are always logged; only disposable servers can do without.",
            "Remove this line, or say `lab: true` if these are disposable servers.",
            code="no-log",
        )


def _check_log_names(
    path: Path, made: Draft[Municipality], city: Municipality, drafts: Sequence[Draft[School]]
) -> Iterator[Problem]:
    """A log keeps its name, so that nothing could be added any more after a change here; told once.

    A note only: what was logged can be read all the same, and whoever writes is refused with the line to restore.
    """
    wanted = city.audit.origin or f"{city.id}.provision.invalid"
    for school in drafts:
        former = _log_base(path / "audit" / school.id / "checkpoint", school.id)
        if former in {"", wanted}:
            continue
        loc: Loc = ("audit", "origin") if made.has("audit", "origin") else ("id",)
        yield made.document.problem(
            loc,
            f'the log of {school.id} is named "{former}/{school.id}", and would be "{wanted}/{school.id}" now.',
            "A log keeps its name for good: put back what stood here, or nothing can be added to it.",
            code="log-renamed",
        )
        return


def _log_base(checkpoint: Path, school: str) -> str:
    """What the name of a school's log begins with, as its checkpoint has it; empty where that is not to be had."""
    if not checkpoint.is_file():
        return ""
    try:
        with checkpoint.open("rb") as stream:
            name = stream.readline(1000).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    found = re.fullmatch(rf"([a-z0-9.-]+)/{re.escape(school)}\n", name)
    return found[1] if found else ""


def _check_vault_keys(path: Path, keys: Path, document: Document) -> Iterator[Problem]:
    """Keys that go into version control beside the vault files which they open would protect nothing."""
    top = path.resolve()
    place = (path / keys.expanduser()).resolve()
    if not place.is_relative_to(top) or place.is_relative_to(top / ".state"):
        return
    inside = place.relative_to(top).as_posix()
    line = "/*.key" if inside == "." else f"/{inside}/"
    # A rule for a directory fits a directory that is not there yet only by a file in it.
    if _ignored_by_git(top, place / "municipality.key") is False:
        yield document.problem(
            ("vault", "keys"),
            f"keys: git would take the vault passwords in {keys} along with the vault files that they open.",
            f'Add the line "{line}" to {top.name}/.gitignore, or take a directory outside of the workspace.',
            code="keys-in-git",
        )


def _ignored_by_git(directory: Path, file: Path) -> bool | None:
    """Whether git leaves a file out; None where there is no repository, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), "check-ignore", "-q", "--", str(file)],
            capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {0: True, 1: False}.get(done.returncode)


def _check_logins(document: Document, catalog: Catalog) -> Iterator[Problem]:
    """Operators and auditors have one account each, and none of the system's.

    Read from the file itself: a draft leaves wrong entries out, which would change the others' numbers.
    """
    audit = document.data.get("audit")
    people: list[tuple[Loc, Any]] = [(("operators",), document.data.get("operators"))]
    people.append((("audit", "auditors"), audit.get("auditors") if isinstance(audit, dict) else None))
    logins: dict[str, int] = {}
    for place, written in people:
        for index, person in enumerate(written if isinstance(written, list) else ()):
            login = person.get("login") if isinstance(person, dict) else None
            if not isinstance(login, str):
                continue
            loc = (*place, index, "login")
            if login in logins:
                yield document.problem(
                    loc,
                    f'login: "{rules.short(login)}" is here a second time; the first is on line {logins[login]}.',
                    "One entry a person; it may have several ssh_keys. Who operates does not audit.",
                    code="duplicate-login",
                )
            logins.setdefault(login, document.line_of(loc))
            if login in RESERVED_LOGINS or login in catalog:
                yield document.problem(
                    loc,
                    f'login: "{login}" is an account of the system. A person has one of their own.',
                    "Take the person's own short name.",
                    code="reserved-login",
                )


def _check_exists(path: Path, file: Path, document: Document, loc: Loc) -> Iterator[Problem]:
    if not (path / file.expanduser()).is_file():
        yield document.problem(
            loc,
            f"{loc[-1]}: the file {file} does not exist.",
            "Put it there, or correct the path; paths begin at the workspace.",
            code="missing-file",
        )


def _check_authorities(path: Path, file: Path, document: Document, loc: Loc) -> Iterator[Problem]:
    """Its content goes to the server, for all to read: nothing but certificates may be in it."""
    missing = list(_check_exists(path, file, document, loc))
    yield from missing
    if missing:
        return
    try:
        authorities(path / file.expanduser())
    except OSError as error:
        yield document.problem(
            loc, f"{loc[-1]}: {file} cannot be read: {error.strerror}.", "", code="unreadable"
        )
    except ValueError:
        yield document.problem(
            loc,
            f"{loc[-1]}: {file} holds no certificate in PEM form.",
            'It begins with "-----BEGIN CERTIFICATE-----": the root certificate of the authority.',
            code="bad-certificate",
        )


def _check_key_file(path: Path, file: Path, document: Document, loc: Loc) -> Iterator[Problem]:
    """An ``ssh_key`` must be the private half. Only who connects needs it: that it is not here is a note."""
    if file.suffix == ".pub":
        yield document.problem(
            loc,
            f"ssh_key: {file} is a public key; the private key's file is needed here.",
            f'Did you mean "{file.with_suffix("")}"?',
            code="public-key-file",
        )
    elif not (path / file.expanduser()).is_file():
        yield document.problem(
            loc,
            f"ssh_key: there is no file {file} on this computer.",
            "Who connects from here needs it; paths begin at the workspace.",
            code="no-key-file",
        )


def _check_hosts(
    path: Path, document: Document, hosts: Mapping[str, Host], catalog: Catalog
) -> Iterator[Problem]:
    known = sorted(_systems(catalog))
    for name, host in hosts.items():
        if host.ssh_key is not None:
            yield from _check_key_file(path, host.ssh_key, document, ("hosts", name, "ssh_key"))
        if host.system and known and host.system not in known:
            yield document.problem(
                ("hosts", name, "system"),
                f"system: no service runs on {host.system}. Allowed: {listed(known)}.",
                # Another version of the same system was not meant.
                ""
                if _name_of(host.system) in map(_name_of, known)
                else rules.did_you_mean(host.system, known),
                code="unknown-system",
            )


def _check_sudo_passwords(
    document: Document, hosts: Mapping[str, Host], city: Municipality
) -> Iterator[Problem]:
    """An operator's account has keys and no password; the tool's own must keep the one that it needs for sudo."""
    logins = {operator.login for operator in city.operators}
    for name, host in hosts.items():
        user = host.user or city.defaults.ssh_user
        if host.become_password and user in logins:
            yield document.problem(
                ("hosts", name, "become_password"),
                f'become_password: "{user}" is an operator of the municipality, whose password would be taken away.',
                "Log in as another user here, or leave become_password out: operators need no password for sudo.",
                code="operator-with-password",
            )


def _check_host_names(
    made: Draft[School], school: School, municipality: Draft[Municipality]
) -> Iterator[Problem]:
    """A school's server must not be called as one that schools share: nobody would know which one is meant."""
    shared = municipality.model.hosts if municipality.model else {}
    for name in school.hosts:
        if name in shared:
            line = municipality.document.line_of(("hosts", name))
            yield made.document.problem(
                ("hosts", name),
                f'The municipality has a shared host "{name}" already (municipality.yml, line {line}).',
                "Give this one another name; a service that is to run on the shared one says `host: "
                + name
                + "`.",
                code="shared-host-name",
                key=True,
            )


def _check_shared(
    drafts: Sequence[Draft[School]], city: Municipality | None, catalog: Catalog
) -> Iterator[Problem]:
    """Schools that share a server share one installation: they must want the same of it; told at the later place."""
    first_uses: dict[str, tuple[Draft[School], str, ServiceUse]] = {}
    for made in drafts:
        for name, use in made.model.services.items() if made.model is not None and city is not None else ():
            if use.host is None or use.host not in city.hosts or name not in catalog:  # type: ignore[union-attr]
                continue
            if catalog[name].definition.shared is None:
                yield made.document.problem(
                    ("services", name, "host"),
                    f'host: "{use.host}" is for several schools (municipality.yml), and one {name} serves one school.',
                    "Put it on a host of the school.",
                    code="not-for-several",
                )
                continue
            first = first_uses.setdefault(use.host, (made, name, use))
            if first[0] is not made:
                yield from _check_agreement(made, name, use, first)
            elif first[1] != name:
                yield from _check_sharing(made.document, use.host, [first[1], name], catalog)


def _check_agreement(
    made: Draft[School], name: str, use: ServiceUse, first: tuple[Draft[School], str, ServiceUse]
) -> Iterator[Problem]:
    other, other_name, other_use = first
    where = f"schools/{other.document.path.name}, line"
    if other_name != name:
        line = other.document.line_of(("services", other_name))
        yield made.document.problem(
            ("services", name),
            f'"{other_name}" of {other.id} is on the shared host "{use.host}" already ({where} {line}).',
            "Take another host for one of the two.",
            code="cannot-share-host",
            key=True,
        )
        return
    for key in ("hostname", "version", "settings"):
        mine, theirs = getattr(use, key), getattr(other_use, key)
        if mine == theirs or _MISSING in (mine, theirs):
            continue
        loc: Loc = ("services", name, key)
        their_loc: Loc = ("services", name, key)
        line = other.document.line_of(their_loc if other.has(*their_loc) else ("services", name))
        yield made.document.problem(
            loc if made.has(*loc) else ("services", name),
            f'{key}: {other.id} shares the host "{use.host}" and wants another one ({where} {line}); '
            f"one {name} serves both.",
            "Write the same in both files, or take a host of the school's own.",
            code="shared-host-differs",
            key=not made.has(*loc),
        )


def _systems(catalog: Catalog) -> set[str]:
    """Every operating system that some service runs on."""
    return {system for entry in catalog.values() for system in entry.definition.systems}


def _name_of(system: str) -> str:
    """A system without its version: ``debian``."""
    return system.partition("-")[0]


def _check_services(
    made: Draft[School], school: School, city: Municipality | None, catalog: Catalog, broken: Set[str]
) -> Iterator[Problem]:
    placed: dict[str, list[str]] = {}
    for name, use in school.services.items():
        entry = catalog.get(name)
        host, problem = _host_of(made, school, name, use, city)
        if entry is None:
            if name not in broken:
                yield _unknown_service(made, name, catalog)
            # Which host an unknown service should run on is a question too many.
            problem = problem if problem and problem.code != "missing-host" else None
        else:
            yield from check_settings(entry, use.settings, made.document, ("services", name, "settings"))
        if problem:
            yield problem
        if host is None or entry is None:
            continue
        placed.setdefault(host, []).append(name)
        system = _all_hosts(school, city)[host].system
        # A system that nobody knows, or that was no text, has been told.
        written = made.has("hosts", host, "system") if host in school.hosts else system is not None
        unclear = written and system not in _systems(catalog)
        if city is not None and not unclear:
            yield from _check_release(made.document, school, city, entry, host)
    for host, names in placed.items():
        yield from _check_sharing(made.document, host, names, catalog)


def _all_hosts(school: School, city: Municipality | None) -> dict[str, Host]:
    """The school's servers, and those that it may share."""
    return {**(city.hosts if city is not None else {}), **school.hosts}


def _unknown_service(made: Draft[School], name: str, catalog: Catalog) -> Problem:
    known = sorted(catalog)
    return made.document.problem(
        ("services", name),
        f'There is no service "{name}". Allowed: {listed(known) or "none"}.',
        rules.did_you_mean(name, known),
        code="unknown-service",
        key=True,
    )


def _host_of(
    made: Draft[School], school: School, name: str, use: ServiceUse, city: Municipality | None
) -> tuple[str | None, Problem | None]:
    """The host that a service runs on; None when that is not clear, with the problem unless it is known."""
    loc = ("services", name)
    written = made.document.data.get("hosts") if isinstance(made.document.data, dict) else None
    chosen = use.host
    shared = city.hosts if city is not None else {}
    if chosen in shared and not (isinstance(written, dict) and chosen in written):
        return chosen, None
    if not isinstance(written, dict) or not written or (chosen is None and made.has(*loc, "host")):
        return None, None
    if chosen is None and len(written) > 1:
        return None, made.document.problem(
            loc,
            f'service "{name}" does not say on which host it runs, and the school has {len(written)}.',
            f'Add "host:"; allowed: {listed(written)}.',
            code="missing-host",
            key=True,
        )
    if chosen is None:
        chosen = next(iter(written))
    elif chosen not in written:
        return None, made.document.problem(
            (*loc, "host"),
            f'host: this school has no host "{chosen}". Allowed: {listed([*written, *shared])}.',
            rules.did_you_mean(chosen, [*written, *shared]),
            code="unknown-host",
        )
    return (chosen if chosen in school.hosts else None), None


def _check_release(
    document: Document, school: School, city: Municipality, entry: ServiceEntry, host: str
) -> Iterator[Problem]:
    """Whether the host's system and the version fit the service."""
    name = entry.definition.id
    use, loc = school.services[name], ("services", name)
    hosts = _all_hosts(school, city)
    system = system_of(hosts[host], city)
    if system not in entry.definition.systems:
        fitting = [
            f"host {other}"
            for other, its in hosts.items()
            if its.address != _MISSING and system_of(its, city) in entry.definition.systems
        ]
        wanted = listed(entry.definition.systems)
        yield document.problem(
            (*loc, "host") if use.host else loc,
            f'{name} runs on {wanted}, but host "{host}" has {system}.',
            f"Put it on {listed(fitting)}." if fitting else f"Add a host with {wanted} for it.",
            code="unsupported-system",
            key=not use.host,
        )
        return
    working = [release.version for release in entry.releases_for(system, lab=city.lab)]
    offered = [release.version for release in entry.releases_for(system, lab=city.lab, unasked=True)]
    if use.version is None and not offered:
        yield document.problem(
            loc,
            f"No release of {name} that is fit for a school runs on {system}.",
            "Only a workspace with `lab: true` may use the others."
            if entry.releases_for(system, lab=True)
            else "Choose another host.",
            code="no-release",
            key=True,
        )
    elif use.version is None or use.version in working:
        # Which one a lab gets is not known before its sources are asked.
        version = use.version or (None if city.lab else offered[0])
        yield from _end_of_life(document, (*loc, "version") if use.version else loc, entry, version)
    else:
        allowed = f"On {system} work: {listed(working, 'and')}." if working else f"None works on {system}."
        message, remedy = _version_problem(entry, use.version, system, working)
        yield document.problem((*loc, "version"), f"version: {message} {allowed}", remedy, code="bad-version")


def _version_problem(
    entry: ServiceEntry, version: str, system: str, working: Sequence[str]
) -> tuple[str, str]:
    """Why a version is not among those that work, and what to do."""
    name, release = entry.definition.id, entry.release(version)
    newest = "Leave the version out to get the newest." if working else ""
    if release is None:
        message = f"{name} {version} is not a release that the tool can install."
        return message, rules.did_you_mean(version, working) or newest
    if release.lab_only:
        why = f" {release.note.en}" if release.note else ""
        return f"{name} {version} is for disposable lab servers only, not for a school.{why}", newest
    return f"{name} {version} does not run on {system}.", newest


def _end_of_life(document: Document, loc: Loc, entry: ServiceEntry, version: str | None) -> Iterator[Problem]:
    """A note when upstream has stopped, or will soon stop, mending a release."""
    release = entry.release(version) if version else None
    if release is None or not release.is_over(in_days=SOON_DAYS):
        return
    over = release.is_over()
    yield document.problem(
        loc,
        f"{entry.definition.id} {version}: upstream's support {'has ended' if over else 'ends'} "
        f"({release.end_of_life}).",
        "Plan the upgrade to a newer release." if over else "",
        code="end-of-life",
    )


def _check_sharing(
    document: Document, host_name: str, names: Sequence[str], catalog: Catalog
) -> Iterator[Problem]:
    """Services on one host that cannot live together; told at the later of the two."""
    for index, second in enumerate(names):
        for first in names[:index]:
            one, two = catalog[first].definition, catalog[second].definition
            line = document.line_of(("services", first))
            if alone := next((service.id for service in (one, two) if service.dedicated_host), ""):
                other = second if alone == first else first
                why = f'"{alone}" needs a host of its own, but "{other}" is on host "{host_name}" too'
            elif first in two.conflicts or second in one.conflicts:
                why = f'"{second}" and "{first}" cannot share a host, but both are on "{host_name}"'
            else:
                continue
            yield document.problem(
                ("services", second),
                f'{why} ("{first}" is on line {line}).',
                "Add a host and put one of them there.",
                code="cannot-share-host",
                key=True,
            )


def _check_tls(
    path: Path, made: Draft[School], school: School, municipality: Draft[Municipality], city: Municipality
) -> Iterator[Problem]:
    """Files and names that the way to certificates needs."""
    tls: AcmeTls | ProvidedTls | InternalTls = school.tls or city.tls
    document = made.document if school.tls else municipality.document
    names = {name: use.hostname for name, use in school.services.items() if use.hostname != _MISSING}
    if isinstance(tls, AcmeTls):
        if school.tls and tls.ca_file is not None:
            yield from _check_authorities(path, tls.ca_file, document, ("tls", "ca_file"))
        # A directory of one's own, with its own authority, may know such names; so may a lab.
        public = tls.ca_file is None and not city.lab
        for name, hostname in names.items():
            if public and hostname.endswith(_NOT_PUBLIC):
                yield made.document.problem(
                    ("services", name, "hostname"),
                    f'hostname: no public authority gives a certificate for "{hostname}".',
                    "Take a name of the public DNS, or tls: {mode: internal} for a closed network.",
                    code="name-not-public",
                )
    if isinstance(tls, ProvidedTls):
        for hostname in names.values():
            certificate, key = (
                path / Path(template.replace("{hostname}", hostname)).expanduser()
                for template in (tls.certificate, tls.key)
            )
            for finding in check_pair(certificate, key, hostname):
                loc = ("tls", finding.file)
                message, remedy = (text.replace(f"{path}/", "") for text in (finding.message, finding.remedy))
                yield document.problem(loc, message, remedy, code=finding.code)


@dataclass(frozen=True, slots=True)
class _Owned:
    """Something that only one school or service may have, and where it stands."""

    key: tuple[Any, ...]
    document: Document
    loc: Loc
    what: str
    owner: str


def _check_duplicates(
    drafts: Sequence[Draft[School]], municipality: Draft[Municipality]
) -> Iterator[Problem]:
    """What only one school or service may have; told at the later place, with the first one's."""
    city = municipality.model
    default_port = city.defaults.ssh_port if city else 22
    shared: Mapping[str, Host] = city.hosts if city else {}
    seen: dict[tuple[Any, ...], _Owned] = {}
    for item in _owned_hosts(municipality, shared, default_port, "the shared host"):
        seen.setdefault(item.key, item)
    for item in (
        item
        for made in drafts
        if made.model is not None
        for item in (
            *_owned_names(made, made.model, shared),
            *_owned_hosts(made, made.model.hosts, default_port, "the host"),
        )
    ):
        first = seen.setdefault(item.key, item)
        # Several schools name the same service of a shared host: that is what it is for.
        if first is item or (first.owner == item.owner and "shared host" in item.owner):
            continue
        where = f"line {first.document.line_of(first.loc)}"
        if first.document is municipality.document:
            where = f"{first.document.path.name}, {where}"
        elif first.document is not item.document:
            where = f"{first.document.path.parent.name}/{first.document.path.name}, {where}"
        yield item.document.problem(
            item.loc,
            f"{item.what} belongs to {first.owner} already ({where}).",
            "Each name and each server may be used once.",
            code=f"duplicate-{item.key[0]}",
        )


def _owned_names(made: Draft[School], school: School, shared: Mapping[str, Host]) -> Iterator[_Owned]:
    domain = school.domain
    if domain != _MISSING:
        key = ("domain", domain)
        yield _Owned(key, made.document, ("domain",), f'domain: "{domain}"', f'the school "{made.id}"')
    for name, use in school.services.items():
        unclear = shared and use.host and use.host not in {*school.hosts, *shared}
        if use.hostname == _MISSING or unclear:
            # On a host that nobody knows: which one was meant decides whether the name may be there twice.
            continue
        on = (
            f' on the shared host "{use.host}"' if use.host in shared and use.host not in school.hosts else ""
        )
        loc: Loc = ("services", name, "hostname")
        what, owner = f'hostname: "{use.hostname}"', f'the service "{name}"{on}'
        yield _Owned(("hostname", use.hostname), made.document, loc, what, owner)


def _owned_hosts(
    made: Draft[Any], hosts: Mapping[str, Host], default_port: int, kind: str
) -> Iterator[_Owned]:
    for name, host in hosts.items():
        if host.address == _MISSING or (made.has("hosts", name, "port") and host.port is None):
            continue
        port = host.port or default_port
        # Behind two jump hosts the same private address is two servers.
        key = ("address", host.address, port, host.jump)
        what = f'address: "{host.address}", port {port}'
        yield _Owned(key, made.document, ("hosts", name, "address"), what, f'{kind} "{name}"')
