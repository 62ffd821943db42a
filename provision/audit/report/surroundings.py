"""What a report says beside the log: the school's and the city's names, and what the services declare of themselves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from provision import paths
from provision.model import ResolvedSchool, ServiceEntry, Workspace, load_catalog
from provision.model.municipality import Contact
from provision.model.service import ServiceDefinition
from provision.text import printable_line


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service as the report shows it.

    Args:
        titles: by language; empty when nobody described it.
        settings: name and value of what the school may set; None when the school's files are not at hand.
    """

    id: str
    titles: Mapping[str, str]
    described: bool = True
    hostname: str = ""
    host: str = ""
    personal_data: tuple[str, ...] = ()
    outbound: tuple[tuple[str, str], ...] = ()
    backup: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] | None = None

    def title(self, lang: str) -> str:
        """Its title in a language; its id when there is none."""
        return self.titles.get(lang) or self.id


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known around a log.

    Args:
        school: its name. processor: the municipality's name. Both are ids when the workspace is not at hand.
        processor_contact, dpo, school_contact: empty when they are not known.
        services: those that the school has, or those that the log names.
        known: whether the municipality's files were at hand.
        zone: for times. zone_name: its name.
    """

    school: str
    processor: str = ""
    processor_contact: str = ""
    dpo: str = ""
    school_contact: str = ""
    services: tuple[ServiceView, ...] = ()
    known: bool = False
    zone: tzinfo = UTC
    zone_name: str = "UTC"

    def service(self, name: str) -> ServiceView | None:
        """The service with an id, if it is one."""
        return next((service for service in self.services if service.id == name), None)


def of_workspace(workspace: Workspace, school: ResolvedSchool) -> Surroundings:
    """What the municipality's files say of a school."""
    services = tuple(
        _view(
            service.definition,
            hostname=service.hostname,
            host=service.host,
            values=service.settings,
        )
        for service in school.services.values()
    )
    return Surroundings(
        school=school.name,
        processor=workspace.municipality.name,
        processor_contact=_contact(workspace.municipality.contact),
        dpo=_contact(workspace.municipality.data_protection_officer),
        school_contact=school.contact_email or "",
        services=services,
        known=True,
        zone=ZoneInfo(school.timezone),
        zone_name=school.timezone,
    )


def of_log(school: str, municipality: str, services: Iterable[str]) -> Surroundings:
    """What can be said with the log and the shipped descriptions of services alone.

    Args:
        school, municipality: ids, as the log has them.
        services: ids of services that the log names.
    """
    catalog, _ = load_catalog([paths.ROLES])
    return Surroundings(
        school=school,
        processor=municipality,
        services=tuple(_shipped(name, catalog) for name in services),
    )


def _shipped(name: str, catalog: Mapping[str, ServiceEntry]) -> ServiceView:
    entry = catalog.get(name)
    return _view(entry.definition) if entry else ServiceView(name, {}, described=False)


def _view(
    definition: ServiceDefinition,
    *,
    hostname: str = "",
    host: str = "",
    values: Mapping[str, Any] | None = None,
) -> ServiceView:
    """What the report says of a service.

    Args:
        values: of its settings, where they are known; without them all that a setting may open is told.
    """
    return ServiceView(
        id=definition.id,
        titles=definition.title.model_dump(),
        hostname=hostname,
        host=host,
        personal_data=definition.personal_data,
        outbound=tuple(
            (item.to, item.why)
            for item in definition.outbound
            if item.when is None or values is None or values.get(item.when)
        ),
        backup=(*definition.backup.databases, *definition.backup.data, *definition.backup.config),
        settings=None
        if values is None
        else tuple((name, _shown(value)) for name, value in sorted(values.items())),
    )


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return ", ".join(map(_shown, value)) or "–"
        case dict():
            return ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) or "–"
        case _:
            return printable_line(str(value)) or "–"


def _contact(contact: Contact) -> str:
    return ", ".join(part for part in (contact.name, contact.email, contact.phone) if part)
