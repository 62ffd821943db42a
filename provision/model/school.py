"""``schools/<id>.yml``: one school, its servers and its services."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from provision.model.municipality import Slug, Tls
from provision.model.service import Identifier, Release, Strict, System

Hostname = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
    ),
]


class Host(Strict):
    """A server of the school, as the administrator reaches it.

    Args:
        address: IPv4 or IPv6 address, or host name.
        jump: ``[user@]host[:port]`` of a jump host, for servers behind one.
        ssh_key: private key file; without one the ssh-agent's keys are used.
        become_password: the user's sudo password is in the school's vault as
            ``host_<name>_become_password``; without it sudo must not ask.
    """

    address: str
    user: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    system: System | None = None
    ssh_key: Path | None = None
    jump: str | None = None
    become_password: bool = False


class ServiceUse(Strict):
    """A service that the school has switched on.

    Args:
        host: name of the host that it runs on; may be left out when there is one.
        hostname: DNS name that people open, such as ``pad.escola-mar.cat``.
        version: a release of ``service.yml``; without one the newest that fits the host.
        settings: role variables without the role's name, checked against ``argument_specs``.
    """

    host: Slug | None = None
    hostname: Hostname
    version: Release | None = None
    settings: dict[Identifier, Any] = Field(default_factory=dict)


class School(Strict):
    """One school file. ``id`` is the file's name without ``.yml`` and is not written inside."""

    format: Literal[1] = Field(alias="schema")
    name: str
    domain: Hostname
    locale: str | None = None
    timezone: str | None = None
    contact_email: str | None = None
    tls: Tls | None = None
    hosts: Annotated[dict[Slug, Host], Field(min_length=1)]
    services: dict[Identifier, ServiceUse] = Field(default_factory=dict)
