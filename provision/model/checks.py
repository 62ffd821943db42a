"""Checks between the parts of a workspace: hosts and services, schools and schools, files and the disk.

They work on drafts, so that one mistake does not hide the others: a file with a wrong value is taken without that
value, and only what is left is compared.
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from provision.errors import Problem
from provision.model import rules
from provision.model.catalog import ServiceEntry
from provision.model.certificates import check_pair
from provision.model.document import Document, Loc, read_document
from provision.model.municipality import SLUG_PATTERN, AcmeTls, InternalTls, Municipality, ProvidedTls
from provision.model.school import Host, School, ServiceUse
from provision.model.service import ReleaseOffer
from provision.model.settings import check_settings
from provision.model.wording import FORMS, Vocabulary, listed, problems_of

ModelT = TypeVar("ModelT", bound=BaseModel)
Catalog = Mapping[str, ServiceEntry]

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
    "redis",
    "backup",
    "mail",
)
#: Ends of names for which no public authority gives a certificate (RFC 2606, RFC 6761, RFC 6762, RFC 8375).
_NOT_PUBLIC = (".test", ".local", ".localhost", ".invalid", ".internal", ".lan", ".home.arpa", ".intranet")

# Stand in for what a broken file lacks, so that the rest of it can be compared. Never leave this module's drafts:
# a draft with a problem is never resolved.
_FALLBACK_CONTACT = {"name": "-", "email": "nobody@example.org"}
_FALLBACKS: Mapping[str, Mapping[str, Any]] = {
    "School": {
        "schema": 1,
        "name": "-",
        "domain": "missing.invalid",
        "hosts": {"missing": {"address": "missing.invalid"}},
    },
    "Municipality": {
        "schema": 1,
        "id": "missing",
        "name": "-",
        "contact": _FALLBACK_CONTACT,
        "data_protection_officer": _FALLBACK_CONTACT,
        "tls": {"mode": "internal"},
    },
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
    if parents:
        parent, part = parents[-1]
        del parent[part]


def draft_municipality(file: Path, words: Vocabulary) -> Draft[Municipality]:
    """Read ``municipality.yml``."""
    return draft(read_document(file), Municipality, words)


def draft_schools(directory: Path, words: Vocabulary) -> tuple[list[Draft[School]], list[Problem]]:
    """Read every file of ``schools/``, and check their names."""
    drafts: list[Draft[School]] = []
    problems: list[Problem] = []
    by_small: dict[str, Path] = {}
    files = sorted(directory.iterdir()) if directory.is_dir() else []
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
            drafts.append(draft(read_document(file), School, words))
    drafts.sort(key=lambda made: made.id)
    return drafts, problems


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
    if not re.match(SLUG_PATTERN, file.stem):
        form = FORMS[SLUG_PATTERN]
        better = form.mend(file.stem)[:40].strip("-")
        return problem(
            f"The file's name is the school's id, and \"{file.stem}\" is not {form.what}. Allowed: {form.allowed}.",
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
    path: Path, municipality: Draft[Municipality], drafts: Sequence[Draft[School]], catalog: Catalog
) -> tuple[list[Problem], list[Problem]]:
    """Every problem of the drafts, by themselves and between them, and the notes.

    Args:
        path: the workspace.
        municipality: ``municipality.yml``.
        drafts: the school files.
        catalog: the services.
    """
    problems = list(municipality.problems)
    notes: list[Problem] = []
    for made in drafts:
        problems += made.problems
    city = municipality.model
    if city is not None:
        problems += _check_municipality(path, municipality, city, catalog)
    for made in drafts:
        if made.model is None:
            continue
        found, noted = _check_school(path, made, made.model, municipality, catalog)
        problems += found
        notes += noted
    problems += _check_duplicates(drafts, city)
    return problems, notes


def system_of(host: Host, municipality: Municipality) -> str:
    """A host's operating system, with the default filled in."""
    return host.system or municipality.defaults.system


def _check_municipality(
    path: Path, made: Draft[Municipality], city: Municipality, catalog: Catalog
) -> Iterator[Problem]:
    document = made.document
    if city.defaults.ssh_key is not None:
        yield from _check_key_file(path, city.defaults.ssh_key, document, ("defaults", "ssh_key"))
    if isinstance(city.tls, AcmeTls) and city.tls.ca_file is not None:
        yield from _check_exists(path, city.tls.ca_file, document, ("tls", "ca_file"))
    if city.vault is not None:
        yield from _check_exists(path, city.vault.client, document, ("vault", "client"))
    logins: dict[str, int] = {}
    for index, operator in enumerate(city.operators):
        loc = ("operators", index, "login")
        if operator.login in logins:
            yield document.problem(
                loc,
                f'login: "{operator.login}" is here a second time; the first is on line {logins[operator.login]}.',
                "One entry a person; it may have several ssh_keys.",
                code="duplicate-login",
            )
        logins.setdefault(operator.login, document.line_of(loc))
        if operator.login in RESERVED_LOGINS or operator.login in catalog:
            yield document.problem(
                loc,
                f'login: "{operator.login}" is an account of the system. Operators have accounts of their own.',
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


def _check_key_file(path: Path, file: Path, document: Document, loc: Loc) -> Iterator[Problem]:
    """An ``ssh_key`` must be there and must be the private half."""
    if file.suffix == ".pub":
        yield document.problem(
            loc,
            f"ssh_key: {file} is a public key; the private key's file is needed here.",
            f'Did you mean "{file.with_suffix("")}"?',
            code="public-key-file",
        )
        return
    yield from _check_exists(path, file, document, loc)


def _check_school(
    path: Path, made: Draft[School], school: School, municipality: Draft[Municipality], catalog: Catalog
) -> tuple[list[Problem], list[Problem]]:
    """What is wrong with one school, and the notes on it."""
    city, document = municipality.model, made.document
    problems: list[Problem] = []
    notes: list[Problem] = []
    known_systems = {system for entry in catalog.values() for system in entry.definition.systems}
    for name, host in school.hosts.items():
        if not made.has("hosts", name):
            continue
        if host.ssh_key is not None:
            problems += _check_key_file(path, host.ssh_key, document, ("hosts", name, "ssh_key"))
        if host.system and known_systems and host.system not in known_systems:
            known = sorted(known_systems)
            problems.append(
                document.problem(
                    ("hosts", name, "system"),
                    f"system: no service runs on {host.system}. Allowed: {listed(known)}.",
                    rules.did_you_mean(host.system, known),
                    code="unknown-system",
                )
            )
    placed: dict[str, list[str]] = {}
    for name, use in school.services.items():
        loc = ("services", name)
        entry = catalog.get(name)
        if entry is None:
            problems.append(_unknown_service(made, name, catalog))
        else:
            problems += check_settings(entry, use.settings, document, (*loc, "settings"))
        host_name, found = _host_of(made, school, name, use)
        problems += found
        if host_name is None or entry is None:
            continue
        placed.setdefault(host_name, []).append(name)
        if city is None or (made.has("hosts", host_name, "system") and not school.hosts[host_name].system):
            continue
        found, noted = _check_release(made, name, use, entry, host_name, school, city)
        problems += found
        notes += noted
    for host_name, names in placed.items():
        problems += _check_sharing(document, host_name, names, catalog)
    if city is not None:
        found, noted = _check_tls(path, made, school, municipality, city)
        problems += found
        notes += noted
    return problems, notes


def _unknown_service(made: Draft[School], name: str, catalog: Catalog) -> Problem:
    known = sorted(catalog)
    return made.document.problem(
        ("services", name),
        f'There is no service "{name}". Allowed: {listed(known) if known else "none; no role describes one"}.',
        rules.did_you_mean(name, known),
        code="unknown-service",
        key=True,
    )


def _host_of(
    made: Draft[School], school: School, name: str, use: ServiceUse
) -> tuple[str | None, list[Problem]]:
    """The host that a service runs on; None when that is not clear, with the problem unless it is told elsewhere."""
    loc = ("services", name)
    written = made.document.data.get("hosts") if isinstance(made.document.data, dict) else None
    if not isinstance(written, dict) or not written:
        return None, []
    if use.host is None:
        if made.has(*loc, "host"):
            return None, []
        if len(written) == 1:
            only = next(iter(written))
            return (only if only in school.hosts else None), []
        return None, [
            made.document.problem(
                loc,
                f'service "{name}" does not say on which host it runs, and the school has {len(written)}.',
                f'Add "host:"; allowed: {listed(written)}.',
                code="missing-host",
                key=True,
            )
        ]
    if use.host not in written:
        return None, [
            made.document.problem(
                (*loc, "host"),
                f'host: this school has no host "{use.host}". Allowed: {listed(written)}.',
                rules.did_you_mean(use.host, written),
                code="unknown-host",
            )
        ]
    return (use.host if use.host in school.hosts else None), []


def _check_release(
    made: Draft[School],
    name: str,
    use: ServiceUse,
    entry: ServiceEntry,
    host_name: str,
    school: School,
    city: Municipality,
) -> tuple[list[Problem], list[Problem]]:
    """Whether the host's system and the version fit the service."""
    document, loc = made.document, ("services", name)
    system = system_of(school.hosts[host_name], city)
    if system not in entry.definition.systems:
        fitting = [
            other
            for other, host in school.hosts.items()
            if made.has("hosts", other) and system_of(host, city) in entry.definition.systems
        ]
        here = (*loc, "host") if use.host else loc
        remedy = (
            f"Put it on {listed([f'host {other}' for other in fitting])}."
            if fitting
            else f"Add a host with {listed(entry.definition.systems)} for it."
        )
        return [
            document.problem(
                here,
                f'{name} runs on {listed(entry.definition.systems)}, but host "{host_name}" has {system}.',
                remedy,
                code="unsupported-system",
                key=not use.host,
            )
        ], []
    working = [release.version for release in entry.releases_for(system, lab=city.lab)]
    if use.version is None:
        if working:
            return [], _end_of_life(document, loc, name, entry, working[0] if not city.lab else None)
        return [
            document.problem(
                loc,
                f"No release of {name} that is fit for a school runs on {system}.",
                "Only a workspace with `lab: true` may use the others."
                if entry.releases_for(system, lab=True)
                else "Choose another host.",
                code="no-release",
                key=True,
            )
        ], []
    if use.version in working:
        return [], _end_of_life(document, (*loc, "version"), name, entry, use.version)
    release = entry.release(use.version)
    allowed = f"On {system} work: {listed(working, 'and')}." if working else f"None works on {system}."
    return [
        document.problem(
            (*loc, "version"),
            *_version_problem(name, use.version, release, system, allowed, working),
            code="bad-version",
        )
    ], []


def _version_problem(
    name: str, version: str, release: ReleaseOffer | None, system: str, allowed: str, working: Sequence[str]
) -> tuple[str, str]:
    if release is None:
        guess = rules.did_you_mean(version, working)
        return (
            f"version: {name} {version} is not a release that the tool can install. {allowed}",
            guess or "Leave the version out to get the newest.",
        )
    if release.lab_only:
        why = f" {release.note.en}" if release.note else ""
        return (
            f"version: {name} {version} is for disposable lab servers only, not for a school.{why} {allowed}",
            "Leave the version out to get the newest." if working else "",
        )
    return f"version: {name} {version} does not run on {system}. {allowed}", ""


def _end_of_life(
    document: Document, loc: Loc, name: str, entry: ServiceEntry, version: str | None
) -> list[Problem]:
    """A note when upstream has stopped, or will soon stop, mending a release."""
    release = entry.release(version) if version else None
    if release is None or release.end_of_life is None:
        return []
    try:
        over = date.fromisoformat(release.end_of_life) <= datetime.now(UTC).date()
    except ValueError:
        over = False
    tense = "has ended" if over else "ends"
    return [
        document.problem(
            loc,
            f"{name} {version}: upstream's support {tense} ({release.end_of_life}).",
            "Plan the upgrade to a newer release." if over else "",
            code="end-of-life",
        )
    ]


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
) -> tuple[list[Problem], list[Problem]]:
    """Files and names that the way to certificates needs."""
    tls: AcmeTls | ProvidedTls | InternalTls = school.tls or city.tls
    problems: list[Problem] = []
    notes: list[Problem] = []
    document = made.document if school.tls else municipality.document
    if isinstance(tls, AcmeTls):
        if school.tls and tls.ca_file is not None:
            problems += _check_exists(path, tls.ca_file, document, ("tls", "ca_file"))
        public = tls.ca_file is None and not city.lab
        for name, use in school.services.items():
            if public and use.hostname.endswith(_NOT_PUBLIC):
                problems.append(
                    made.document.problem(
                        ("services", name, "hostname"),
                        f'hostname: no public authority gives a certificate for "{use.hostname}".',
                        "Take a name of the public DNS, or tls: {mode: internal} for a closed network.",
                        code="name-not-public",
                    )
                )
    if isinstance(tls, ProvidedTls):
        for use in school.services.values():
            pair = [
                path / Path(template.replace("{hostname}", use.hostname)).expanduser()
                for template in (tls.certificate, tls.key)
            ]
            for finding in check_pair(pair[0], pair[1], use.hostname):
                problem = document.problem(
                    ("tls", finding.file), finding.message, finding.remedy, code=finding.code
                )
                (problems if finding.fatal else notes).append(problem)
    return problems, notes


def _check_duplicates(drafts: Sequence[Draft[School]], city: Municipality | None) -> Iterator[Problem]:
    """What only one school or service may have; told at the later place, with the first one's."""
    default_port = city.defaults.ssh_port if city else 22
    seen: dict[tuple[Any, ...], tuple[Document, Loc, str]] = {}
    for made in drafts:
        if made.model is None:
            continue
        owned: list[tuple[tuple[Any, ...], Loc, str, str]] = []
        if made.has("domain"):
            domain = made.model.domain
            owned.append((("domain", domain), ("domain",), f'domain: "{domain}"', f'the school "{made.id}"'))
        for name, use in made.model.services.items():
            loc: Loc = ("services", name, "hostname")
            owner = f'the service "{name}"'
            owned.append((("hostname", use.hostname), loc, f'hostname: "{use.hostname}"', owner))
        for name, host in made.model.hosts.items():
            if not made.has("hosts", name) or (made.has("hosts", name, "port") and host.port is None):
                continue
            port = host.port or default_port
            # Behind two jump hosts the same private address is two servers.
            key = ("address", host.address, port, host.jump)
            what = f'address: "{host.address}", port {port}'
            owned.append((key, ("hosts", name, "address"), what, f'the host "{name}"'))
        for key, loc, what, owner in owned:
            first = seen.setdefault(key, (made.document, loc, owner))
            if first[1] == loc and first[0] is made.document:
                continue
            document, first_loc, first_owner = first
            same = document is made.document
            where = f"line {document.line_of(first_loc)}"
            if not same:
                where = f"{document.path.parent.name}/{document.path.name}, {where}"
            yield made.document.problem(
                loc,
                f"{what} belongs to {first_owner} already ({where}).",
                "Each name and each server may be used once.",
                code=f"duplicate-{key[0]}",
            )
