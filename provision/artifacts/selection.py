"""Which release of each service a school gets, and from which source.

A version that the school names is taken from the first of its sources that can be had. Without one a new school
gets the newest; in a lab it is the newest whose source can be had, and a release that is only fit for the lab
comes last. What a school has it keeps: the choice is written into ``artifacts.lock``, so that a second run changes
nothing only because the network changed. Nor because provision was updated: without a version in its file a
school gets the mended releases of the line that it has (4.5.13 after 4.5.12), and a step to another line, which
no application takes back, only by its name.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision.artifacts.availability import Answer, Prober, package_pins, repository_addresses
from provision.artifacts.cache import ArtifactCache, Obtained
from provision.artifacts.lockfile import (
    Choice,
    LockedRepository,
    LockFile,
    MismatchError,
    locked_content,
)
from provision.artifacts.mirror import Mirror, UrlMirror, listed, mirrors_of, shown
from provision.artifacts.signatures import fingerprints
from provision.artifacts.web import Progress, UnreachableError
from provision.errors import ArtifactError
from provision.model.catalog import version_key
from provision.model.service import AptSource, ArchiveSource, NpmSource, ReleaseOffer, Text

if TYPE_CHECKING:
    from provision.model import ResolvedSchool, ResolvedService, ServiceEntry, Workspace

Source = AptSource | ArchiveSource | NpmSource


@dataclass(frozen=True, slots=True)
class Selection:
    """The release of a service that is to be installed.

    Args:
        files: verified files on this machine by their role in the source (archives only).
        checksums: their SHA-256, by the same names.
        lab_only: good enough for a disposable server, never for a school; ``note`` says why.
        note: the release's own note.
        remark: what else should be known, such as that a source could not be checked.
        ended: the day on which upstream stopped mending it, where that is over.
        installed: the release that the school has, where it is another.
        newer: the newest release of a later line, where the school's file names no version.
    """

    service: str
    version: str
    source: Source
    files: dict[str, Path] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    lab_only: bool = False
    note: Text | None = None
    remark: str = ""
    ended: str = ""
    installed: str = ""
    newer: str = ""

    @property
    def caution(self) -> Text | None:
        """What whoever installs from this source has to know."""
        return self.source.caution if isinstance(self.source, ArchiveSource) else None

    @property
    def origin(self) -> str:
        """The kind of the source, and the files of an archive: there may be several sources to choose from."""
        if isinstance(self.source, ArchiveSource):
            return f"archive {listed([file.name for file in self.source.files])}"
        return self.source.kind


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A service that cannot be had now.

    Args:
        version: what the school asks for; None: any.
        reasons: one for each source, in words.
        remedy: what to do.
    """

    service: str
    version: str | None
    reasons: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A service with something that is not what ``artifacts.lock`` or ``service.yml`` says.

    Args:
        error: what, and what to do.
    """

    service: str
    error: ArtifactError


class Known:
    """What looks at several schools have in common: answers of sources and checksums of files, each asked for once.

    Args:
        workspace: the municipality; good answers of the last hour are read there, and none is written.
    """

    def __init__(self, workspace: "Workspace") -> None:
        self.prober = Prober(workspace.state_dir)
        self.cache = ArtifactCache()


@dataclass(frozen=True, slots=True)
class _Candidate:
    release: ReleaseOffer
    source: Source

    @property
    def choice(self) -> tuple[str, str]:
        return self.release.version, self.source.kind


def select(
    workspace: "Workspace",
    school: "ResolvedSchool",
    *,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> tuple[list[Selection], list[Unavailable]]:
    """Decide release and source of every service of a school, fetch archives, and record what is new.

    Args:
        workspace: the municipality.
        school: the school.
        mirror: directory or URL with the artifacts, asked first.
        progress: is told how far a download is.

    Returns:
        what can be had, in the school's order, and what cannot.

    Raises:
        MismatchError: something is not what ``artifacts.lock`` or ``service.yml`` says.
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used.
    """
    chooser = _Chooser(workspace, school, mirrors_of(workspace, mirror), progress)
    chosen: list[Selection] = []
    unavailable: list[Unavailable] = []
    try:
        chooser.prefetch()
        for service in school.services.values():
            result = chooser.choose(service)
            if isinstance(result, Selection):
                chosen.append(result)
            else:
                unavailable.append(result)
    finally:
        chooser.prober.save()
    _record(workspace, school, chosen, chooser.obtained)
    return chosen, unavailable


def look_up(
    workspace: "Workspace",
    school: "ResolvedSchool",
    *,
    mirror: str | None = None,
    known: Known | None = None,
    ask: bool = True,
) -> tuple[list[Selection], list[Unavailable], list[Wrong]]:
    """What ``select`` would decide, as far as that can be seen without fetching or writing anything.

    Args:
        workspace: the municipality.
        school: the school.
        mirror: directory or URL with the artifacts.
        known: what was found out for other schools.
        ask: ask the sources whether they have what is not on this machine. Without it they are taken to have it.

    Returns:
        what can be had, in the school's order (an archive that is not on this machine has no files), what cannot, and
        what is wrong.

    Raises:
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used.
    """
    chooser = _Chooser(workspace, school, mirrors_of(workspace, mirror), known=known, fetch=False, ask=ask)
    if ask:
        chooser.prefetch()
    chosen: list[Selection] = []
    unavailable: list[Unavailable] = []
    wrong: list[Wrong] = []
    for service in school.services.values():
        try:
            result = chooser.choose(service)
        except ArtifactError as error:
            wrong.append(Wrong(service.id, error))
            continue
        if isinstance(result, Selection):
            chosen.append(result)
        else:
            unavailable.append(result)
    return chosen, unavailable, wrong


def record_installed(
    workspace: "Workspace", school: "ResolvedSchool", selections: Sequence[Selection]
) -> None:
    """Note that an apply ended well: from now on the school keeps these releases without asking any source.

    Args:
        workspace: the municipality.
        school: the school.
        selections: what was installed.

    Raises:
        ArtifactError: ``artifacts.lock`` cannot be written.
    """
    with LockFile.edit(workspace.lock_file, workspace.state_dir) as lock:
        choices = lock.choices.setdefault(school.id, {})
        for item in selections:
            choices[item.service] = Choice(version=item.version, kind=item.source.kind, installed=True)


def forget_installed(workspace: "Workspace", school: "ResolvedSchool") -> None:
    """Let the next ``select`` choose afresh; for a lab school whose server is gone.

    Args:
        workspace: the municipality.
        school: the school.

    Raises:
        ArtifactError: ``artifacts.lock`` cannot be written.
    """
    with LockFile.edit(workspace.lock_file, workspace.state_dir) as lock:
        lock.choices.pop(school.id, None)


def check_keys(source: AptSource, role_dir: Path) -> None:
    """Hold the key files that a role ships against the fingerprints that its ``service.yml`` pins.

    A key with ``key_url`` that the role does not ship is fetched, and held against the fingerprint, by the
    host.

    Raises:
        MismatchError: a key file has another key, or further keys.
        ArtifactError: a key file is missing or damaged.
    """
    for repository in source.repositories:
        path = role_dir / "files" / repository.key
        if repository.key_url is not None and not path.exists():
            continue
        try:
            found = fingerprints(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ArtifactError(
                f"The key {path} of the package repository {repository.name} cannot be read: {error}.",
                "Mend the role, or reinstall provision.",
            ) from error
        if found != [repository.fingerprint]:
            raise MismatchError(
                repository.name,
                repository.fingerprint,
                ", ".join(found),
                f"The key {path} has the fingerprint {', '.join(found)}, and service.yml pins "
                f"{repository.fingerprint}.",
                "Do not use it. Mend the role, or reinstall provision.",
            )


def repository_key(service: str, repository: AptSource.Repository) -> str:
    """The name of a repository in ``artifacts.lock``."""
    return f"{service}/{repository.name}"


class _Chooser:
    def __init__(
        self,
        workspace: "Workspace",
        school: "ResolvedSchool",
        mirrors: list[Mirror],
        progress: Progress | None = None,
        *,
        known: Known | None = None,
        fetch: bool = True,
        ask: bool = True,
    ) -> None:
        known = known or Known(workspace)
        self._workspace = workspace
        self._school = school
        self._mirrors = mirrors
        self._progress = progress
        self._fetch = fetch
        self._ask = ask
        self._lock = locked_content(workspace.lock_file)
        self._cache = known.cache
        self.prober = known.prober
        self.obtained: list[Obtained] = []

    def prefetch(self) -> None:
        """Ask all addresses that the decisions may need at once."""
        addresses: list[str] = []
        for service in self._school.services.values():
            if self._installed(service) is not None:
                continue
            for candidate in self._candidates(service):
                addresses += self._addresses(candidate.source)
        self.prober.prefetch(addresses)

    def choose(self, service: "ResolvedService") -> Selection | Unavailable:
        """The first candidate that can be had."""
        installed = self._installed(service)
        if installed is not None:
            return self._kept(service, installed)
        reasons = []
        over: dict[str, str | None] = {}
        candidates = []
        for candidate in self._candidates(service):
            if self._is_over(candidate, service):
                over[candidate.release.version] = candidate.release.end_of_life
            else:
                candidates.append(candidate)
        for candidate in candidates:
            source, version = candidate.source, candidate.release.version
            answer = self._answer(candidate, service)
            if answer.problem is None:
                try:
                    return self._selection(service, candidate, answer.remark)
                except UnreachableError as error:
                    answer = Answer(error.message.rstrip("."))
            reasons.append(f"{version} from {_KINDS[source.kind]}: {answer.problem}")
        if not candidates and not over:
            system = self._school.hosts[service.host].system
            reasons.append(f"{self._wanted(service) or 'no release'} cannot be installed on {system} here")
        reasons += [f"{version}: upstream's support ended on {day}" for version, day in over.items()]
        remedy = self._younger(service) if over and not candidates else self._remedy(candidates)
        return Unavailable(service.id, service.version, tuple(reasons), remedy)

    def _is_over(self, candidate: _Candidate, service: "ResolvedService") -> bool:
        """Whether a new installation of a release needs an explicit word that is not there."""
        there = self._before(service)
        return (
            candidate.release.is_over()
            and not service.accept_end_of_life
            and not self._workspace.municipality.lab
            # Who runs it already must be able to repair it.
            and not (there and there.installed and _line(there.version) == _line(candidate.release.version))
        )

    def _younger(self, service: "ResolvedService") -> str:
        """What to do where upstream has stopped mending the release that is wanted."""
        releases = self._entry(service).releases_for(self._school.hosts[service.host].system)
        good = [release.version for release in releases if not release.is_over()]
        word = f"write accept_end_of_life: true beside it in {self._school.file.name}"
        return f"Choose {listed(good)}, or {word}." if good else f"{word[0].upper()}{word[1:]}."

    def _candidates(self, service: "ResolvedService") -> Iterator[_Candidate]:
        """Releases and sources in order of preference; what was chosen before comes first."""
        entry = self._entry(service)
        lab = self._workspace.municipality.lab
        system = self._school.hosts[service.host].system
        releases = entry.releases_for(system, lab=lab, unasked=service.version is None)
        wanted = self._wanted(service)
        if wanted is not None:
            releases = [release for release in releases if release.version == wanted]
        # The newest first, and what is only fit for the lab last.
        releases.sort(key=lambda release: release.lab_only)
        candidates = [_Candidate(release, source) for release in releases for source in release.sources]
        before = self._before(service)
        if before is not None:
            candidates.sort(key=lambda candidate: candidate.choice != (before.version, before.kind))
        return iter(candidates)

    def _before(self, service: "ResolvedService") -> Choice | None:
        """What was chosen for the school the last time."""
        return self._lock.choices.get(self._school.id, {}).get(service.id)

    def _wanted(self, service: "ResolvedService") -> str | None:
        """The release that the school is to have; None in a lab: whichever can be had."""
        before = self._before(service)
        if service.named or service.version is None or before is None:
            return service.version
        releases = self._entry(service).releases_for(self._school.hosts[service.host].system)
        mended = [
            release.version
            for release in releases
            if _line(release.version) == _line(before.version)
            and version_key(release.version) >= version_key(before.version)
            and (not release.on_request or release.version == before.version)
        ]
        # None: this provision does not know the school's line; the newest of another is not what was asked for.
        return mended[0] if mended else before.version

    def _newer(self, service: "ResolvedService", version: str) -> str:
        """The newest release of a later line, for a school that names none."""
        newest = None if service.named else service.version
        later = newest is not None and version_key(newest) > version_key(version)
        return newest if newest is not None and later and _line(newest) != _line(version) else ""

    def _installed(self, service: "ResolvedService") -> _Candidate | None:
        """What the school has already, if that is what it asks for."""
        before = self._before(service)
        if before is None or not before.installed:
            return None
        candidates = list(self._candidates(service))
        if not candidates or candidates[0].choice != (before.version, before.kind):
            return None
        # There may be several archives: the city's own copy, and upstream's.
        same = [candidate for candidate in candidates if candidate.choice == candidates[0].choice]
        return same[0] if len(same) == 1 else next(filter(self._is_known, same), same[0])

    def _is_known(self, candidate: _Candidate) -> bool:
        """Whether the files of an archive are on this machine or in a mirror, or were recorded when they came."""
        return not isinstance(candidate.source, ArchiveSource) or all(
            file.name in self._lock.files
            or self._cache.find(file.name, self._mirrors) is not None
            or self._is_mirrored(file)
            for file in candidate.source.files
        )

    def _is_mirrored(self, file: ArchiveSource.File) -> bool:
        if not self._ask:
            return False
        addresses = [item.address(file.name) for item in self._mirrors if isinstance(item, UrlMirror)]
        return any(self.prober.file(address).problem is None for address in addresses)

    def _kept(self, service: "ResolvedService", candidate: _Candidate) -> Selection:
        """The selection of what is installed: nothing is needed from its source."""
        return self._selection(service, candidate, "", needed=False)

    def _selection(
        self, service: "ResolvedService", candidate: _Candidate, remark: str, *, needed: bool = True
    ) -> Selection:
        """Verify and complete a candidate.

        Args:
            remark: what is known of it already.
            needed: its files have to be here, or it is not taken.

        Raises:
            UnreachableError: they are not.
        """
        release, source, role_dir = candidate.release, candidate.source, self._entry(service).role_dir
        files: dict[str, Path] = {}
        checksums: dict[str, str] = {}
        held: list[tuple[ArchiveSource.File, Obtained | None]] = []
        if isinstance(source, AptSource):
            check_keys(source, role_dir)
            self._check_repositories(service.id, source)
        elif isinstance(source, NpmSource):
            self._check_package(source, role_dir, release.version)
        else:
            for file in source.files:
                try:
                    got = self._obtain(file)
                except UnreachableError as error:
                    if needed:
                        raise
                    remark, got = remark or error.message, None
                held.append((file, got))
            if (language := source.file_for(self._school.locale)) is not None:
                # Nobody has to have it.
                with suppress(UnreachableError):
                    held.append((language, self._obtain(language)))
        for file, got in held:
            if got is not None:
                files[file.role], checksums[file.role] = got.path, got.sha256
            # A role compares what is on the server with this, and needs the file only if they differ.
            elif (sha256 := self._sha256(file)) is not None:
                checksums[file.role] = sha256
        ended = release.end_of_life if release.is_over() else None
        before = self._before(service)
        return Selection(
            service.id,
            release.version,
            source,
            files,
            checksums,
            release.lab_only,
            release.note,
            remark,
            ended or "",
            before.version if before and before.installed and before.version != release.version else "",
            self._newer(service, release.version),
        )

    def _sha256(self, file: ArchiveSource.File) -> str | None:
        """The checksum that a file must have, as far as one is known."""
        locked = self._lock.files.get(file.name)
        return locked.sha256 if locked is not None else file.sha256

    def _obtain(self, file: ArchiveSource.File) -> Obtained | None:
        """A verified file; None where it is not on this machine and must not be fetched."""
        if not self._fetch:
            return self._cache.verified(file, self._lock, self._mirrors)
        got = self._cache.obtain(file, self._lock, self._mirrors, self._progress)
        self.obtained.append(got)
        return got

    def _answer(self, candidate: _Candidate, service: "ResolvedService") -> Answer:
        source = candidate.source
        if not self._ask and not isinstance(source, ArchiveSource):
            return Answer(None)
        if isinstance(source, AptSource):
            return self.prober.repositories(source)
        if isinstance(source, NpmSource):
            pins = package_pins(source, self._entry(service).role_dir, candidate.release.version)
            return self.prober.package(source, candidate.release.version, pins)
        problems = [self._file_problem(file) for file in source.files]
        return Answer("; ".join(filter(None, problems)) or None)

    def _file_problem(self, file: ArchiveSource.File) -> str | None:
        if self._cache.find(file.name, self._mirrors) is not None:
            return None
        if not self._ask and self._file_addresses(file):
            return None
        problems = []
        for address in self._file_addresses(file):
            problem = self.prober.file(address).problem
            if problem is None:
                return None
            problems.append(problem)
        if file.url is None:
            places = [str(item) for item in self._mirrors] + [str(self._cache.directory)]
            problems.append(f"{file.name} is not in {listed(places)}, and upstream offers no download")
        return "; ".join(problems)

    def _addresses(self, source: Source) -> list[str]:
        if isinstance(source, AptSource):
            return repository_addresses(source)
        if isinstance(source, ArchiveSource):
            return [
                address
                for file in source.files
                if self._cache.find(file.name, self._mirrors) is None
                for address in self._file_addresses(file)
            ]
        return []

    def _file_addresses(self, file: ArchiveSource.File) -> list[str]:
        addresses = [item.address(file.name) for item in self._mirrors if isinstance(item, UrlMirror)]
        return [*addresses, file.url] if file.url is not None else addresses

    def _check_repositories(self, service: str, source: AptSource) -> None:
        for repository in source.repositories:
            name = repository_key(service, repository)
            locked = self._lock.repositories.get(name)
            if locked is not None and locked.fingerprint != repository.fingerprint:
                raise MismatchError(
                    name,
                    locked.fingerprint,
                    repository.fingerprint,
                    f"The package repository {name} was signed by the key {locked.fingerprint}; now "
                    f"{repository.fingerprint} is asked for.",
                    "If upstream has announced a new key, or the city has a copy of its own: "
                    f"provision artifacts lock --accept {name}",
                )

    def _check_package(self, source: NpmSource, role_dir: Path, version: str) -> None:
        pins = package_pins(source, role_dir, version)
        name = f"{source.package}@{version}"
        locked = self._lock.packages.get(name)
        if locked is not None and locked.integrity != pins.integrity:
            raise MismatchError(
                name,
                locked.integrity,
                pins.integrity,
                f"The npm package {name} had the integrity {locked.integrity}; the role now pins "
                f"{pins.integrity}.",
                f"If that was announced: provision artifacts lock --accept {name}",
            )

    def _remedy(self, candidates: list[_Candidate]) -> str:
        """What would make a service available, the best way first."""
        ways = []
        for candidate in candidates:
            source = candidate.source
            if isinstance(source, ArchiveSource):
                lacking = [
                    item.name for item in source.files if self._cache.find(item.name, self._mirrors) is None
                ]
                if lacking:
                    ways.append(
                        f"put {listed(lacking)} into a directory and name it with --mirror DIR (or put it "
                        "into "
                        f"{self._cache.directory})"
                    )
            elif isinstance(source, AptSource):
                hosts = [urlsplit(item.uri).hostname or shown(item.uri) for item in source.repositories]
                ways.append(f"let this machine reach {listed(list(dict.fromkeys(hosts)))}")
            else:
                ways.append("let this machine's npm reach its registry")
        if not ways:
            return "Choose another version or another server system in the school's file."
        text = ", or ".join(dict.fromkeys(ways)) + "."
        return text[0].upper() + text[1:]

    def _entry(self, service: "ResolvedService") -> "ServiceEntry":
        return self._workspace.catalog[service.id]


def _line(version: str) -> str:
    """Releases of one line mend each other: 4.5.13 and 4.5.14."""
    return version.rpartition(".")[0]


#: Kinds of sources in a sentence.
_KINDS = {"apt": "its package repository", "archive": "an archive", "npm": "npm"}


def _record(
    workspace: "Workspace",
    school: "ResolvedSchool",
    chosen: Sequence[Selection],
    obtained: Sequence[Obtained],
) -> None:
    """Write what was not known yet into ``artifacts.lock``; the file is touched only when something is
    new."""
    with LockFile.edit(workspace.lock_file, workspace.state_dir) as lock:
        for item in obtained:
            known = lock.files.setdefault(item.name, item.locked())
            if known.sha256 != item.sha256:
                # Another process recorded it between our look and now.
                raise MismatchError(
                    item.name,
                    known.sha256,
                    item.sha256,
                    f"{item.name} has the checksum {item.sha256}, and {workspace.lock_file} has just got "
                    f"{known.sha256} from another process.",
                    "Ask upstream which one is right.",
                )
        for selection in chosen:
            source, version = selection.source, selection.version
            if isinstance(source, AptSource):
                for repository in source.repositories:
                    lock.repositories[repository_key(selection.service, repository)] = LockedRepository(
                        uri=shown(repository.uri), fingerprint=repository.fingerprint
                    )
            elif isinstance(source, NpmSource):
                pins = package_pins(source, workspace.catalog[selection.service].role_dir, version)
                lock.packages[f"{source.package}@{version}"] = pins
            choices = lock.choices.setdefault(school.id, {})
            before = choices.get(selection.service)
            # What is installed is known until an apply with another release has ended well.
            if before is None or not (
                before.installed or (before.version, before.kind) == (version, source.kind)
            ):
                choices[selection.service] = Choice(version=version, kind=source.kind)


__all__ = [
    "Known",
    "Selection",
    "Unavailable",
    "Wrong",
    "check_keys",
    "forget_installed",
    "look_up",
    "record_installed",
    "select",
]
