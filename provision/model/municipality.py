"""``municipality.yml``: what holds for all schools of a workspace."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from provision.model.service import Identifier, Strict

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
Language = Literal["ca", "es", "en"]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class Contact(Strict):
    """A person or office that people can write to."""

    name: str
    email: Email
    phone: str | None = None


class AcmeTls(Strict):
    """Certificates from an ACME authority (Let's Encrypt where ``directory`` is not given), by certbot."""

    mode: Literal["acme"]
    email: Email
    directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    ca_file: Path | None = None


class ProvidedTls(Strict):
    """Certificates that the city brings: PEM files on the administrator's machine, relative to the workspace.

    ``{hostname}`` in a path stands for the service's host name.
    """

    mode: Literal["provided"]
    certificate: str
    key: str


class InternalTls(Strict):
    """Certificates by the municipality's own authority, for tests and closed networks."""

    mode: Literal["internal"]


Tls = Annotated[AcmeTls | ProvidedTls | InternalTls, Field(discriminator="mode")]


class Operator(Strict):
    """A person of the city's IT who gets an account with sudo on the servers, with these public SSH keys."""

    login: Identifier
    name: str
    ssh_keys: Annotated[tuple[str, ...], Field(min_length=1)]


class Defaults(Strict):
    """What a school has where its own file does not say otherwise."""

    locale: str = "ca_ES.UTF-8"
    timezone: str = "Europe/Madrid"
    ssh_user: str = "root"
    ssh_port: Annotated[int, Field(ge=1, le=65535)] = 22
    ssh_key: Path | None = None
    system: str = "debian-12"
    time_servers: tuple[str, ...] = ()
    #: Networks that may reach SSH; empty: all (with a rate limit).
    ssh_from: tuple[str, ...] = ()


class Vault(Strict):
    """Where the vault passwords come from, besides the environment and the system keyring.

    Args:
        client: a program of Ansible's vault client protocol, relative to the workspace.
    """

    client: Path


class Municipality(Strict):
    """One ``municipality.yml``."""

    format: Literal[1] = Field(alias="schema")
    id: Slug
    name: str
    contact: Contact
    data_protection_officer: Contact
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] = ("ca", "es", "en")
    tls: Tls
    defaults: Defaults = Defaults()
    operators: tuple[Operator, ...] = ()
    vault: Vault | None = None
    mirror: str | None = None
    #: This workspace describes disposable servers: releases that are not fit for a school may be used.
    lab: bool = False
    #: ``auto`` uses mitogen where it is installed and knows the installed ansible-core; ``off`` never does.
    accelerate: Literal["auto", "off"] = "auto"
