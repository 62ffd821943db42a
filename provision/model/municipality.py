"""``municipality.yml``: what holds for all schools of a workspace."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from provision.model import rules
from provision.model.service import Identifier, Line, PortNumber, Strict, System, Yes

#: Ids of schools, municipalities and hosts: a DNS label, since they become names of files and servers.
SLUG_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
Language = Literal["ca", "es", "en"]
Email = Annotated[
    str,
    AfterValidator(rules.email),
    WithJsonSchema({"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}),
]
UserName = Annotated[str, StringConstraints(pattern=rules.USER_PATTERN)]
Locale = Annotated[
    str,
    AfterValidator(rules.locale_name),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(C|[a-z]{2,3}_[A-Z]{2})\.UTF-8(@[a-z]+)?$",
            "examples": ["ca_ES.UTF-8", "es_ES.UTF-8", "en_GB.UTF-8"],
        }
    ),
]
Timezone = Annotated[
    str,
    AfterValidator(rules.timezone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Madrid", "Atlantic/Canary"]}),
]
Address = Annotated[str, AfterValidator(rules.address), WithJsonSchema({"type": "string", "minLength": 1})]
Network = Annotated[str, AfterValidator(rules.network), WithJsonSchema({"type": "string", "minLength": 1})]
Url = Annotated[
    str,
    AfterValidator(rules.url),
    WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s/@?#]+(/\S*)?$"}),
]
Hostname = Annotated[
    str,
    AfterValidator(rules.hostname),
    WithJsonSchema({"type": "string", "pattern": rules.HOSTNAME_PATTERN}),
]
#: On the administrator's machine, relative to the workspace.
LocalFile = Annotated[Path, AfterValidator(rules.local_file)]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]
PublicKey = Annotated[
    str,
    AfterValidator(rules.ssh_public_key),
    WithJsonSchema({"type": "string", "pattern": r"^(ssh|ecdsa|sk)-\S+\s+[A-Za-z0-9+/]+=*(\s.*)?$"}),
]


Jump = Annotated[str, AfterValidator(rules.jump), WithJsonSchema({"type": "string", "minLength": 1})]


class Host(Strict):
    """A server, as the administrator reaches it: of a school, or shared by several.

    Args:
        address: IPv4 or IPv6 address, or host name.
        jump: ``[user@]host[:port]`` of a jump host, for servers behind one.
        ssh_key: private key file; without one the ssh-agent's keys are used.
        become_password: the user's sudo password is in the vault of each school that uses it, as
            ``host_<name>_become_password``; without it sudo must not ask.
    """

    address: Annotated[
        Address, Field(description="IPv4 or IPv6 address, or DNS name, by which SSH reaches it.")
    ]
    user: Annotated[UserName | None, Field(description="User of SSH: root, or one with sudo.")] = None
    port: Annotated[PortNumber | None, Field(description="Port of SSH; 22 when left out.")] = None
    system: Annotated[System | None, Field(description="Operating system, such as debian-12.")] = None
    ssh_key: Annotated[
        LocalFile | None, Field(description="Private key file; without one the keys of ssh-agent are used.")
    ] = None
    jump: Annotated[
        Jump | None, Field(description="Jump host as [user@]host[:port], for a server behind one.")
    ] = None
    become_password: Annotated[
        Yes, Field(description="The sudo password is in the vault; without it sudo must not ask.")
    ] = False


class Contact(Strict):
    """A person or office that people can write to."""

    name: Annotated[Line, Field(description="Name of the person or the office.")]
    email: Annotated[Email, Field(description="Where people write to.")]
    phone: Annotated[Line | None, Field(description="A telephone number, if there is one.")] = None


class AcmeTls(Strict):
    """Certificates from an ACME authority (Let's Encrypt where ``directory`` is not given), by certbot."""

    mode: Literal["acme"]
    email: Annotated[Email, Field(description="The authority writes here before a certificate runs out.")]
    directory: Annotated[
        Url, Field(description="The authority's ACME directory; Let's Encrypt when left out.")
    ] = "https://acme-v02.api.letsencrypt.org/directory"
    ca_file: Annotated[
        LocalFile | None,
        Field(description="PEM file that the directory's own certificate is checked with; rarely needed."),
    ] = None


class ProvidedTls(Strict):
    """Certificates that the city brings: PEM files on the administrator's machine, relative to the workspace.

    ``{hostname}`` in a path stands for the service's host name.
    """

    mode: Literal["provided"]
    certificate: Annotated[
        Line, Field(description='PEM file with the certificate and its chain, such as "tls/{hostname}.pem".')
    ]
    key: Annotated[Line, Field(description='PEM file with the private key, such as "tls/{hostname}.key".')]


class InternalTls(Strict):
    """Certificates by the municipality's own authority, for tests and closed networks."""

    mode: Literal["internal"]


Tls = Annotated[AcmeTls | ProvidedTls | InternalTls, Field(discriminator="mode")]


class Operator(Strict):
    """A person of the city's IT who gets an account with sudo on the servers, with these public SSH keys."""

    login: Annotated[Identifier, Field(description="Name of the account.")]
    name: Annotated[Line, Field(description="The person's name.")]
    ssh_keys: Annotated[
        tuple[PublicKey, ...],
        Field(min_length=1, description="Public SSH keys: the lines of the .pub files."),
    ]


class Defaults(Strict):
    """What a school has where its own file does not say otherwise."""

    locale: Annotated[Locale, Field(description="Language and country.")] = "ca_ES.UTF-8"
    timezone: Annotated[Timezone, Field(description="Time zone by its IANA name.")] = "Europe/Madrid"
    ssh_user: Annotated[
        UserName, Field(description="User that the tool logs in as: root, or one with sudo.")
    ] = "root"
    ssh_port: Annotated[PortNumber, Field(description="Port of SSH.")] = 22
    ssh_key: Annotated[
        LocalFile | None, Field(description="Private key file; without one the keys of ssh-agent are used.")
    ] = None
    system: Annotated[System, Field(description="Operating system of the servers.")] = "debian-12"
    time_servers: Annotated[
        tuple[Address, ...], Field(description="Time servers; the operating system's own when left out.")
    ] = ()
    ssh_from: Annotated[
        tuple[Network, ...],
        Field(description="Networks that may reach SSH; all, with a rate limit, when left out."),
    ] = ()


class Vault(Strict):
    """Where the vault passwords come from, besides the environment and the system keyring.

    Args:
        client: a program of Ansible's vault client protocol, relative to the workspace.
        keys: a directory with one key file a school, for those who have no keyring (a server, the demo);
            relative to the workspace, and never under version control together with the vault files.
    """

    client: Annotated[LocalFile | None, Field(description="Program of Ansible's vault client protocol.")] = (
        None
    )
    keys: Annotated[
        LocalFile | None, Field(description="Directory with one key file a school; keep it out of git.")
    ] = None


#: Categories of systems in the Spanish national security scheme (RD 311/2022, annex I).
SecurityCategory = Literal["basic", "medium", "high"]


class TimeStamp(Strict):
    """An authority of RFC 3161 that says when a checkpoint existed, such as TS@ or that of Consorci AOC."""

    url: Annotated[Url, Field(description="Where time stamps are asked for.")]
    ca_file: Annotated[
        LocalFile,
        Field(description="PEM file with the authority's root certificate, relative to the workspace."),
    ]


class Auditor(Strict):
    """A person of the school, or an auditor, who may read the log on the school's server, and nothing else."""

    login: Annotated[Identifier, Field(description="Name of the account.")]
    name: Annotated[Line, Field(description="The person's name.")]
    ssh_keys: Annotated[
        tuple[PublicKey, ...],
        Field(min_length=1, description="Public SSH keys: the lines of the .pub files."),
    ]


class Audit(Strict):
    """The audit log of each school.

    Args:
        origin: the logs' names begin with it; part of every key and checkpoint, so it cannot change later.
        strict: the school must have cosigned a run's intent before anything is changed.
        enabled: only disposable servers can do without (to measure what the log costs).
    """

    origin: Annotated[
        Hostname | None,
        Field(description="DNS name that the logs' names begin with; once a log is open it stays."),
    ] = None
    strict: Annotated[
        Yes, Field(description="The school must cosign what a run is going to do before it goes on.")
    ] = False
    category: Annotated[
        SecurityCategory, Field(description="Category of the ENS (RD 311/2022) that reports are made for.")
    ] = "medium"
    time_stamp: Annotated[
        TimeStamp | None, Field(description="Authority for time stamps on checkpoints (RFC 3161).")
    ] = None
    auditors: Annotated[
        tuple[Auditor, ...], Field(description="Who may read the log on every server, and nothing else.")
    ] = ()
    https: Annotated[
        Yes,
        Field(description="Serve the log, with a password, at /.well-known/provision-audit/ of each site."),
    ] = True
    enabled: Annotated[
        Yes, Field(description="false only for disposable servers (lab: true): keep no log.")
    ] = True


class SchoolAudit(Strict):
    """What differs for one school."""

    strict: Annotated[
        Yes | None, Field(description="Whether the school must cosign what a run is going to do.")
    ] = None
    category: Annotated[SecurityCategory | None, Field(description="Category of the ENS.")] = None
    auditors: Annotated[
        tuple[Auditor, ...], Field(description="People of this school who may read its log on the server.")
    ] = ()


class RepositoryCopy(Strict):
    """A copy of an upstream's apt repository, which the schools' servers read instead of upstream's.

    A faithful copy keeps upstream's signature, so that nobody has to trust who made it. One that is signed anew
    (aptly, reprepro) has a key of the city's.

    Args:
        key_url: where the servers fetch the public key; upstream's address when left out.
        fingerprint: of that key; upstream's when left out.
    """

    uri: Annotated[Url, Field(description="Address of the copy.")]
    key_url: Annotated[Url | None, Field(description="Where the servers fetch the key that signs it.")] = None
    fingerprint: Annotated[
        Fingerprint | None,
        Field(description="Fingerprint of the key, where the copy is signed anew: 40 signs of 0-9 and A-F."),
    ] = None


class Municipality(Strict):
    """One ``municipality.yml``."""

    format: Annotated[Literal[1], Field(alias="schema", description="Version of this file's format.")]
    id: Annotated[Slug, Field(description="Short name in small letters, such as vilanova.")]
    name: Annotated[Line, Field(description="Name as people know it.")]
    contact: Annotated[Contact, Field(description="Whom schools write to when something does not work.")]
    data_protection_officer: Annotated[
        Contact, Field(description="The data protection officer (GDPR art. 37).")
    ]
    languages: Annotated[
        tuple[Language, ...],
        Field(min_length=1, description="Languages of pages and reports, the first one leads."),
    ] = ("ca", "es", "en")
    tls: Annotated[Tls, Field(description="Where certificates come from.")]
    defaults: Annotated[Defaults, Field(description="What schools have unless they say otherwise.")] = (
        Defaults()
    )
    hosts: Annotated[
        dict[Slug, Host],
        Field(
            default_factory=dict,
            description="Servers that several schools share; a service of a school names one as its host.",
        ),
    ]
    operators: Annotated[
        tuple[Operator, ...], Field(description="People who get an account with sudo on every server.")
    ] = ()
    vault: Annotated[Vault | None, Field(description="Where the passwords of the vault files come from.")] = (
        None
    )
    mirror: Annotated[
        Line | None, Field(description="Directory or web address with copies of upstream's files.")
    ] = None
    repositories: Annotated[
        dict[Identifier, RepositoryCopy],
        Field(
            default_factory=dict,
            description="Copies of upstream's apt repositories by their names, such as jitsi, that servers read.",
        ),
    ]
    lab: Annotated[
        Yes, Field(description="These are disposable servers: releases not fit for a school may be used.")
    ] = False
    accelerate: Annotated[
        Literal["auto", "off"],
        Field(description="auto: use mitogen where it is installed and fits; off: never."),
    ] = "auto"
    audit: Annotated[Audit, Field(description="The audit log of each school.")] = Audit()
