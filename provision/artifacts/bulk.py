"""All artifacts of a workspace at once: what there is, recorded, fetched."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provision.artifacts.cache import ArtifactCache, Obtained
from provision.artifacts.lockfile import LockFile, MismatchError
from provision.artifacts.mirror import Mirror, UrlMirror, mirrors_of, shown
from provision.artifacts.selection import Selection, Unavailable, repository_key, select
from provision.artifacts.web import Progress, UnreachableError
from provision.model.service import AptSource, ArchiveSource, ReleaseOffer

if TYPE_CHECKING:
    from provision.model import ResolvedSchool, ServiceEntry, Workspace


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing from upstream that a release may need.

    Args:
        name: file, ``service/repository`` or ``package@version``.
        place: where it would be taken from, as far as that is known without asking the network.
        here: it is on this machine.
        checksum: the checksum, fingerprint or integrity value that it must have; None: not known yet.
        known_from: ``service.yml``, ``artifacts.lock`` or nothing.
        used_by: schools that have chosen this release from this kind of source.
    """

    service: str
    version: str
    lab_only: bool
    kind: Literal["apt", "archive", "npm"]
    name: str
    place: str
    here: bool
    checksum: str | None
    known_from: str
    used_by: tuple[str, ...]


@dataclass(slots=True)
class LockReport:
    """What ``lock`` did.

    Args:
        recorded: names that are new in ``artifacts.lock``.
        unchanged: names that were there and are as they were.
        changed: what is not what it was.
        unavailable: by school.
    """

    recorded: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    changed: list[MismatchError] = field(default_factory=list)
    unavailable: list[tuple[str, Unavailable]] = field(default_factory=list)


@dataclass(slots=True)
class FetchReport:
    """What ``fetch`` did.

    Args:
        files: what is on this machine now.
        failed: files that cannot be had, and why.
        elsewhere: what the schools' servers read themselves, in words.
    """

    files: list[Obtained] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def overview(
    workspace: "Workspace", school: "ResolvedSchool | None" = None, mirror: str | None = None
) -> list[Artifact]:
    """Everything that the services may need; the network is not asked.

    Args:
        workspace: the municipality.
        school: only what this school's services may need on their hosts; None: every service that exists.
        mirror: directory or URL with the artifacts.

    Raises:
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used.
    """
    lock = LockFile.read(workspace.lock_file)
    mirrors = mirrors_of(workspace, mirror)
    found = []
    for entry, release in _releases(workspace, school):
        for source in release.sources:
            users = tuple(
                sorted(
                    name
                    for name, choices in lock.choices.items()
                    if (choice := choices.get(entry.definition.id)) is not None
                    and (choice.version, choice.kind) == (release.version, source.kind)
                )
            )
            common = (entry.definition.id, release.version, release.lab_only)
            if isinstance(source, ArchiveSource):
                for file in source.files:
                    name, place, here, checksum, known = _file(file, lock, mirrors)
                    found.append(Artifact(*common, "archive", name, place, here, checksum, known, users))
                # Nobody has to have these: those that somebody has.
                for language in source.packs.values():
                    name, place, here, checksum, known = _file(language, lock, mirrors)
                    if here or known:
                        found.append(Artifact(*common, "archive", name, place, here, checksum, known, users))
            elif isinstance(source, AptSource):
                for item in source.repositories:
                    name = repository_key(entry.definition.id, item)
                    known = "artifacts.lock" if name in lock.repositories else "service.yml"
                    found.append(
                        Artifact(*common, "apt", name, shown(item.uri), False, item.fingerprint, known, users)
                    )
            else:
                name = f"{source.package}@{release.version}"
                package = lock.packages.get(name)
                checksum, known = (package.integrity, "artifacts.lock") if package else (None, "service.yml")
                found.append(Artifact(*common, "npm", name, "npm registry", False, checksum, known, users))
    return found


def lock_all(
    workspace: "Workspace",
    *,
    mirror: str | None = None,
    accept: Iterable[str] = (),
    progress: Progress | None = None,
) -> LockReport:
    """Record what every school of the workspace needs, and find what is not what it was.

    Args:
        workspace: the municipality.
        mirror: directory or URL with the artifacts, asked first.
        accept: names whose entries are dropped before, so that what is there now is recorded.
        progress: is told how far a download is.

    Raises:
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used.
    """
    with LockFile.edit(workspace.lock_file, workspace.state_dir) as lock:
        for name in accept:
            lock.forget(name)
    before = _names(LockFile.read(workspace.lock_file))
    report = LockReport()
    used: set[str] = set()
    for school in workspace.schools.values():
        for service in school.services:
            # One by one, so that a difference in one does not hide the others.
            alone = dataclasses.replace(school, services={service: school.services[service]})
            try:
                chosen, unavailable = select(workspace, alone, mirror=mirror, progress=progress)
            except MismatchError as error:
                if error.name not in {item.name for item in report.changed}:
                    report.changed.append(error)
                continue
            report.unavailable += [(school.id, item) for item in unavailable]
            for selection in chosen:
                used |= _names_of(selection)
    report.recorded = sorted(used - before)
    report.unchanged = sorted(used & before)
    return report


def fetch_all(
    workspace: "Workspace",
    schools: Sequence["ResolvedSchool"],
    *,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Bring every file that these schools' servers may need onto this machine.

    Of each service that is the release that the school has or will have, from all of its archive sources,
    so that what is made of them serves a school that reaches nothing else. A file that upstream does not offer may be
    missing where another archive of the same release is here.

    Args:
        workspace: the municipality.
        schools: the schools.
        mirror: directory or URL with the artifacts, asked first.
        progress: is told how far a download is.

    Raises:
        MismatchError: a file is not what it was or should be.
        ArtifactError: a mirror or ``artifacts.lock`` cannot be used.
    """
    cache, mirrors = ArtifactCache(), mirrors_of(workspace, mirror)
    report = FetchReport()
    wanted: dict[str, ArchiveSource.File] = {}
    # What upstream does not offer, and the files of other archives that do as well.
    instead: dict[str, list[set[str]]] = {}
    elsewhere: dict[str, None] = {}
    for school in schools:
        chosen, unavailable = select(workspace, school, mirror=mirror, progress=progress)
        versions = {item.service: item.version for item in chosen}
        versions |= {item.service: item.version for item in unavailable if item.version is not None}
        for item in unavailable:
            if item.version is None:
                report.failed.append(
                    (item.service, f"{item.service}: {'; '.join(item.reasons)}. {item.remedy}")
                )
        for service, version in versions.items():
            release = workspace.catalog[service].release(version)
            sources = release.sources if release is not None else ()
            archives = [source for source in sources if isinstance(source, ArchiveSource)]
            for source in sources:
                if isinstance(source, ArchiveSource):
                    wanted |= {file.name: file for file in source.files}
                    others = [{file.name for file in other.files} for other in archives if other != source]
                    instead |= {file.name: others for file in source.files if file.url is None}
                    # Nobody has to have these.
                    packs = {pack.name: pack for pack in source.packs.values()}
                    wanted, instead = wanted | packs, instead | {name: [set()] for name in packs}
                elif isinstance(source, AptSource):
                    for repository in source.repositories:
                        elsewhere[f"{service}: package repository {shown(repository.uri)}"] = None
                else:
                    elsewhere[f"{service}: npm package {source.package} {version}"] = None
    lock = LockFile.read(workspace.lock_file)
    for name, file in sorted(wanted.items()):
        try:
            report.files.append(cache.obtain(file, lock, mirrors, progress))
        except UnreachableError as error:
            report.failed.append((name, error.message))
    here = {got.name for got in report.files}
    report.failed = [
        (name, why)
        for name, why in report.failed
        if not any(other <= here for other in instead.get(name, ()))
    ]
    with LockFile.edit(workspace.lock_file, workspace.state_dir) as lock:
        for got in report.files:
            lock.files.setdefault(got.name, got.locked())
    report.elsewhere = list(elsewhere)
    return report


def known_names(workspace: "Workspace") -> list[str]:
    """What ``artifacts.lock`` has an entry for, sorted."""
    return sorted(_names(LockFile.read(workspace.lock_file)))


def _releases(
    workspace: "Workspace", school: "ResolvedSchool | None"
) -> Iterable[tuple["ServiceEntry", ReleaseOffer]]:
    if school is None:
        for entry in workspace.catalog.values():
            for release in entry.definition.releases:
                yield entry, release
        return
    for service in school.services.values():
        entry = workspace.catalog[service.id]
        for release in entry.releases_for(school.hosts[service.host].system, lab=workspace.municipality.lab):
            if service.version in {None, release.version}:
                yield entry, release


def _file(
    file: ArchiveSource.File, lock: LockFile, mirrors: Sequence[Mirror]
) -> tuple[str, str, bool, str | None, str]:
    cache = ArtifactCache()
    path: Path | None = cache.find(file.name, mirrors)
    locked = lock.files.get(file.name)
    known_from = "service.yml" if file.sha256 else "artifacts.lock" if locked else ""
    checksum = file.sha256 or (locked.sha256 if locked else None)
    if path is not None:
        place = str(path.parent)
    else:
        web = [str(item) for item in mirrors if isinstance(item, UrlMirror)]
        place = (web or [shown(file.url) if file.url else ""])[0]
    return file.name, place, path is not None, checksum, known_from


def _names(lock: LockFile) -> set[str]:
    return {*lock.files, *lock.repositories, *lock.packages}


def _names_of(selection: Selection) -> set[str]:
    source = selection.source
    if isinstance(source, ArchiveSource):
        return {*(file.name for file in source.files), *source.languages.values()}
    if isinstance(source, AptSource):
        return {repository_key(selection.service, item) for item in source.repositories}
    return {f"{source.package}@{selection.version}"}


__all__ = [
    "Artifact",
    "FetchReport",
    "LockReport",
    "fetch_all",
    "known_names",
    "lock_all",
    "overview",
]
