"""``schools/<id>.yml``: one school, its servers and its services."""

from typing import Annotated, Any, Literal

from pydantic import Field

from provision.model.municipality import (
    Email,
    Host,
    Hostname,
    Locale,
    SchoolAudit,
    Slug,
    Timezone,
    Tls,
)
from provision.model.service import Identifier, Line, Release, Strict, Yes


class ServiceUse(Strict):
    """A service that the school has switched on.

    Args:
        host: name of the school's host that it runs on, or of a shared one of the municipality; may be left out when
            the school has one.
        hostname: DNS name that people open, such as ``pad.escola-mar.cat``.
        version: a release of ``service.yml``; without one the newest that fits the host.
        accept_end_of_life: the explicit word that a new installation of a release past its end of life needs.
        settings: role variables without the role's name, checked against ``argument_specs``.
    """

    host: Annotated[
        Slug | None,
        Field(
            description="The server that it runs on, the school's or a shared one; needed when the school has several."
        ),
    ] = None
    hostname: Annotated[Hostname, Field(description="DNS name that people open.")]
    version: Annotated[
        Release | None, Field(description="Release, in quotes; the newest that fits when left out.")
    ] = None
    accept_end_of_life: Annotated[
        Yes, Field(description="Install a release that upstream does not mend any more.")
    ] = False
    settings: Annotated[
        dict[Identifier, Any], Field(default_factory=dict, description="Settings of the service.")
    ]


class School(Strict):
    """One school file. ``id`` is the file's name without ``.yml`` and is not written inside."""

    format: Annotated[Literal[1], Field(alias="schema", description="Version of this file's format.")]
    name: Annotated[Line, Field(description="Name as people know it.")]
    domain: Annotated[Hostname, Field(description="The school's own domain, such as escola-mar.cat.")]
    locale: Annotated[
        Locale | None, Field(description="Language and country, if not the municipality's.")
    ] = None
    timezone: Annotated[Timezone | None, Field(description="Time zone, if not the municipality's.")] = None
    contact_email: Annotated[Email | None, Field(description="Whom to write to at the school.")] = None
    tls: Annotated[Tls | None, Field(description="Certificates, if not as in the municipality.")] = None
    hosts: Annotated[
        dict[Slug, Host], Field(min_length=1, description="The school's servers, each with a name.")
    ]
    services: Annotated[
        dict[Identifier, ServiceUse], Field(default_factory=dict, description="The services, switched on.")
    ]
    audit: Annotated[
        SchoolAudit, Field(description="The audit log, where it differs from the municipality's.")
    ] = SchoolAudit()
