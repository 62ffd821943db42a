"""The services that exist: every role directory with a ``service.yml``, read once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from provision.errors import Problem
from provision.model import rules
from provision.model.document import Document, Loc, read_document
from provision.model.municipality import RepositoryCopy
from provision.model.service import (
    AptSource,
    ArchiveSource,
    NpmSource,
    ReleaseOffer,
    ServiceDefinition,
    Yes,
)
from provision.model.wording import Vocabulary, listed, problems_of

#: Variables of a service's role that the engine sets; they are not settings, whatever a role's defaults say.
ENGINE_VARIABLES = ("hostname", "version", "source")


@dataclass(frozen=True)
class ServiceEntry:
    """A service as its role directory describes it.

    Args:
        definition: its ``service.yml``.
        role_dir: the directory.
        defaults: ``defaults/main.yml``: variables with the role's prefix, plain data.
        options: the options of ``argument_specs.main`` in ``meta/argument_specs.yml``, by variable name.
        renamed: former names of variables -> their names of today (``meta/renamed.yml``), with the prefix.
    """

    definition: ServiceDefinition
    role_dir: Path
    defaults: dict[str, Any] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What a school may set, without the role's prefix -> the default."""
        prefix = f"{self.definition.id}_"
        return {
            name.removeprefix(prefix): value
            for name, value in self.defaults.items()
            if name.startswith(prefix)
            and name.removeprefix(prefix) not in ENGINE_VARIABLES
            and not self.options.get(name, {}).get("no_log")
        }

    @cached_property
    def former_settings(self) -> dict[str, str]:
        """Former names of settings -> their names of today, without the role's prefix."""
        prefix = f"{self.definition.id}_"
        return {old.removeprefix(prefix): new.removeprefix(prefix) for old, new in self.renamed.items()}

    def repositories(self) -> Iterator[AptSource.Repository]:
        """Upstream's package repositories that its releases may come from."""
        for release in self.definition.releases:
            for source in release.sources:
                if isinstance(source, AptSource):
                    yield from source.repositories

    def with_copies(self, copies: Mapping[str, RepositoryCopy]) -> "ServiceEntry":
        """The same service, which takes a city's copies instead of upstream's repositories.

        Args:
            copies: by the repository's name.
        """
        if not any(item.name in copies for item in self.repositories()):
            return self
        releases = tuple(
            release.model_copy(update={"sources": tuple(_copied(one, copies) for one in release.sources)})
            for release in self.definition.releases
        )
        return replace(self, definition=self.definition.model_copy(update={"releases": releases}))

    def systems_of(self, release: ReleaseOffer) -> tuple[str, ...]:
        """The systems that a release runs on: its own list, or all of the service's."""
        return release.systems or self.definition.systems

    def releases_for(self, system: str, *, lab: bool = False, unasked: bool = False) -> list[ReleaseOffer]:
        """Releases that run on a system, the newest first.

        Args:
            lab: those for the lab as well.
            unasked: only those that a school may get without naming them.
        """
        fitting = [
            release
            for release in self.definition.releases
            if system in self.systems_of(release)
            and (lab or not release.lab_only)
            and not (unasked and release.on_request)
        ]
        return sorted(fitting, key=lambda release: version_key(release.version), reverse=True)

    def release(self, version: str) -> ReleaseOffer | None:
        """The release of a version, or None."""
        return next((offer for offer in self.definition.releases if offer.version == version), None)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions as people do: 3.10 after 3.9, and 4.0~rc1 before 4.0 (deb-version(7))."""
    parts = []
    for part in re.findall(r"\d+|[a-z]+|~", version.lower()):
        if part == "~":
            parts.append((-1, 0, ""))
        elif part.isdigit():
            parts.append((1, int(part), ""))
        else:
            parts.append((0, 0, part))
    return (*parts, (0, 0, ""))


def load_catalog(directories: Sequence[Path]) -> tuple[dict[str, ServiceEntry], list[Problem]]:
    """Read every ``<directory>/*/service.yml``.

    Args:
        directories: role directories; one that does not exist is passed over.

    Returns:
        The services by id, and what is wrong with their files. One with a problem is not in the catalog.
    """
    catalog: dict[str, ServiceEntry] = {}
    problems: list[Problem] = []
    for directory in directories:
        for file in sorted(directory.glob("*/service.yml")):
            entry, found = _load_entry(file)
            problems += found
            if entry is None:
                continue
            other = catalog.get(entry.definition.id)
            if other is not None and other.role_dir != entry.role_dir:
                problems.append(
                    Problem(
                        f'The service "{entry.definition.id}" is described twice; '
                        f"the other one is in {other.role_dir}.",
                        "Give one of them another name.",
                        file,
                        1,
                        1,
                        "duplicate-service",
                    )
                )
                continue
            catalog[entry.definition.id] = entry
    return catalog, problems


def broken_services(directories: Sequence[Path], problems: Sequence[Problem]) -> set[str]:
    """Names of services that exist, but are not in the catalog since their own files have problems."""
    return {
        problem.file.relative_to(directory).parts[0]
        for directory in directories
        for problem in problems
        if problem.file is not None and problem.file.is_relative_to(directory)
    }


def _load_entry(file: Path) -> tuple[ServiceEntry | None, list[Problem]]:
    document = read_document(file, plain=False)
    problems = list(document.problems)
    if document.data is None:
        return None, problems
    try:
        definition = ServiceDefinition.model_validate(document.data)
    except ValidationError as error:
        return None, problems + problems_of(error, document, ServiceDefinition, Vocabulary())
    role_dir = file.parent
    defaults, found = _plain_defaults(role_dir / "defaults" / "main.yml")
    problems += found
    options, found = _options(role_dir / "meta" / "argument_specs.yml")
    problems += found
    renamed, found = _renamed(role_dir / "meta" / "renamed.yml")
    problems += found
    entry = ServiceEntry(definition, role_dir, defaults, options, renamed)
    problems += _check_definition(entry, document)
    return (None if problems else entry), problems


def _mapping(file: Path) -> tuple[Document, list[Problem]]:
    """A role's file that holds a mapping; a file that is not there is an empty one."""
    if not file.exists():
        return Document(file, data={}), []
    document = read_document(file, plain=False)
    if not isinstance(document.data, dict):
        # A file with nothing but comments is a mapping with nothing in it.
        empty = document.data is None and [problem.code for problem in document.problems] in (
            [],
            ["empty-file"],
        )
        problems = (
            []
            if empty
            else document.problems
            or [Problem("A block of keys is needed here.", "", file, 1, 1, "wrong-type")]
        )
        return Document(file, data={}), list(problems)
    return document, list(document.problems)


def _plain_defaults(file: Path) -> tuple[dict[str, Any], list[Problem]]:
    """A role's defaults, which must be plain: Python reads them too, and knows no templates."""
    document, problems = _mapping(file)
    for loc, place in document.places.items():
        if "{{" in place.text or "{%" in place.text:
            problems.append(
                document.problem(
                    loc,
                    "A template stands here. Defaults of a service are plain values.",
                    "Derive it in vars/main.yml.",
                    code="template",
                )
            )
    return document.data, problems


class _Option(BaseModel):
    """What we read of an option; Ansible knows more (ansible-core, "Role argument validation")."""

    type: Literal[
        "str", "int", "float", "bool", "list", "dict", "path", "raw", "json", "jsonarg", "bytes", "bits"
    ] = "str"
    elements: str | None = None
    choices: list[Any] | None = None
    options: "dict[str, _Option] | None" = None
    description: str | list[str] | None = None
    required: Yes = False
    no_log: Yes = False


class _Entry(BaseModel):
    options: dict[str, _Option] | None = None


class _Entries(BaseModel):
    main: _Entry | None = None


class _ArgumentSpecs(BaseModel):
    argument_specs: _Entries | None = None


def _options(file: Path) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    document, problems = _mapping(file)
    try:
        specs = _ArgumentSpecs.model_validate(document.data).argument_specs
    except ValidationError as error:
        return {}, problems + problems_of(error, document, _ArgumentSpecs, Vocabulary())
    if specs is None or specs.main is None or specs.main.options is None:
        return {}, problems
    return document.data["argument_specs"]["main"]["options"], problems


def _renamed(file: Path) -> tuple[dict[str, str], list[Problem]]:
    document, problems = _mapping(file)
    renamed = {old: new for old, new in document.data.items() if isinstance(new, str)}
    problems += [
        document.problem((old,), f"{old}: the variable's name of today is needed.", code="wrong-type")
        for old in document.data
        if old not in renamed
    ]
    return renamed, problems


def _check_definition(entry: ServiceEntry, document: Document) -> list[Problem]:
    """What a service.yml says that does not fit its own role."""
    definition, role_dir = entry.definition, entry.role_dir
    found: list[Problem] = []
    if definition.id != role_dir.name:
        found.append(
            document.problem(
                ("id",),
                f'id: the role\'s directory is called "{role_dir.name}", the service "{definition.id}".',
                "Give both the same name.",
                code="bad-id",
            )
        )
        # Its variables have another prefix, so that nothing else would fit either.
        return found
    site = definition.needs.site
    if site and not (role_dir / "templates" / site.locations).is_file():
        found.append(
            document.problem(
                ("needs", "site", "locations"),
                f"locations: the role has no templates/{site.locations}.",
                code="missing-file",
            )
        )
    php = definition.needs.php
    named: list[tuple[Loc, int | str]] = (
        [(("needs", "site", "max_body_mb"), site.max_body_mb)] if site else []
    )
    named += [(("needs", "php", "upload_mb"), php.upload_mb)] if php else []
    small = definition.resources.small_host
    named += [(("resources", "small_host"), small)] if small else []
    named += [
        (("outbound", number, "when"), outbound.when)
        for number, outbound in enumerate(definition.outbound)
        if outbound.when
    ]
    turn = definition.needs.turn
    if turn:
        named += [
            (("needs", "turn", "public_address"), turn.public_address),
            (("needs", "turn", "local_address"), turn.local_address),
        ]
    found += [
        document.problem(
            loc,
            f'{loc[-1]}: the role has no setting "{setting}".',
            rules.did_you_mean(setting, entry.settings),
            code="unknown-setting",
        )
        for loc, setting in named
        if isinstance(setting, str) and setting not in entry.settings
    ]
    found += [
        document.problem(
            ("needs", key),
            f'{key}: the role "{role}" that gives it is not among the roles.',
            f'Add "{role}" to needs, roles.',
            code="missing-role",
            key=True,
        )
        for key, role, wanted in (
            ("databases", "postgresql", definition.needs.databases),
            ("redis", "redis", definition.needs.redis),
            ("php", "php", php),
            ("turn", "coturn", turn),
        )
        if wanted and role not in definition.needs.roles
    ]
    versions: dict[str, int] = {}
    for index, release in enumerate(definition.releases):
        loc = ("releases", index)
        if release.version in versions:
            found.append(
                document.problem(
                    (*loc, "version"),
                    f"version: {release.version} is here a second time; "
                    f"the first is on line {versions[release.version]}.",
                    code="duplicate-version",
                )
            )
        versions.setdefault(release.version, document.line_of((*loc, "version")))
        for place, system in enumerate(release.systems):
            if system not in definition.systems:
                found.append(
                    document.problem(
                        (*loc, "systems", place),
                        f"{system} is not among the service's systems: {listed(definition.systems, 'and')}.",
                        rules.did_you_mean(system, definition.systems),
                        code="unknown-system",
                    )
                )
        for place, source in enumerate(release.sources):
            found += [
                document.problem(
                    (*loc, "sources", place, *key), f"The role has no files/{name}.", code="missing-file"
                )
                for key, name in _files_of(source)
                if not (role_dir / "files" / name).exists()
            ]
    return found


def _copied(
    source: AptSource | ArchiveSource | NpmSource, copies: Mapping[str, RepositoryCopy]
) -> AptSource | ArchiveSource | NpmSource:
    """A source that reads the city's copies."""
    if not isinstance(source, AptSource):
        return source
    repositories = []
    for item in source.repositories:
        copy = copies.get(item.name)
        values: dict[str, str | None] = {}
        if copy is not None:
            values = {"uri": copy.uri, "key_url": copy.key_url or item.key_url}
            if copy.fingerprint is not None:
                # Another key than upstream's, which the role may have in a file.
                values |= {"fingerprint": copy.fingerprint, "key": f"{item.name}-copy.asc"}
        repositories.append(item.model_copy(update=values))
    return source.model_copy(update={"repositories": tuple(repositories)})


def _files_of(source: AptSource | ArchiveSource | NpmSource) -> list[tuple[Loc, str]]:
    """Files that a source expects in the role's ``files/``, each with its place in the source."""
    match source:
        case AptSource():
            return [
                (("repositories", index, "key"), repository.key)
                for index, repository in enumerate(source.repositories)
                if repository.key_url is None
            ]
        case NpmSource():
            return [(("lock",), source.lock)]
        case _:
            return []
