"""What a service tells Python about itself: ``roles/<id>/service.yml``.

Python knows no application by name. Whatever it must know of one is declared here, once.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from provision.model import rules

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
#: Operating systems by the name and version of ``/etc/os-release``, such as ``debian-12``.
System = Annotated[str, StringConstraints(pattern=r"^[a-z]+-[0-9]+(\.[0-9]+)?$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Release = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~-]*$")]
#: A name or title: one line of text.
Line = Annotated[
    str, AfterValidator(rules.line_of_text), Field(json_schema_extra={"minLength": 1, "maxLength": 200})
]
#: ``yes`` or ``no``; a word in quotes is refused, since YAML's own ``no`` would be meant.
Yes = Annotated[bool, Field(strict=True)]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65535)]
PhpExtension = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
PhpSetting = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,60}$")]
#: ISO 8601.
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Whole = Annotated[int, Field(strict=True, ge=0)]


class Strict(BaseModel):
    """A document in which an unknown key is an error, since it is most often a typing mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Strict):
    """A sentence in the languages that the tool speaks."""

    ca: str
    es: str
    en: str


class Database(Strict):
    """A PostgreSQL role and the database that it owns; the service's system user has the same name."""

    name: Identifier


class Site(Strict):
    """A virtual host that the service wants.

    Args:
        locations: file in the service's ``templates/`` with what stands inside nginx's ``server`` block;
            rendered by Python with ``hostname``, ``settings``, ``school``, ``service`` and ``version``, the release
            that is to be there.
        max_body_mb: largest request body in MiB, a number or the name of a setting.
    """

    locations: str
    max_body_mb: Whole | str = 10


class Port(Strict):
    """A port that must be reachable from outside, besides 80 and 443 of nginx."""

    port: PortNumber
    protocol: Literal["tcp", "udp"] = "tcp"
    why: str


class Redis(Strict):
    """A Redis instance of the service's own, which only its system user reaches, over a socket.

    Args:
        name: of the instance; its socket is ``/run/redis-<name>/redis.sock``.
        memory_mb: the most that it holds.
        eviction: what it does when full (``maxmemory-policy`` of redis.conf).
    """

    name: Identifier
    memory_mb: Annotated[int, Field(strict=True, ge=8)] = 64
    eviction: Literal["noeviction", "allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl"] = (
        "noeviction"
    )


class Php(Strict):
    """A PHP-FPM of the service's own, which runs as its system user.

    Args:
        extensions: names as ``php -m`` prints them, in lower case.
        memory_limit_mb: what one request may take.
        upload_mb: largest upload, a number or the name of a setting.
        process_mb: what one worker takes in practice: how many there are follows from it.
        settings: further values of php.ini.
    """

    extensions: tuple[PhpExtension, ...] = ()
    memory_limit_mb: Annotated[int, Field(strict=True, ge=32)] = 128
    upload_mb: Whole | str = 10
    process_mb: Annotated[int, Field(strict=True, ge=16)] = 64
    settings: dict[PhpSetting, bool | int | str] = Field(default_factory=dict)


class Needs(Strict):
    """What the service asks of the base roles. ``roles`` lists further base roles, in order."""

    roles: tuple[Identifier, ...] = ()
    databases: tuple[Database, ...] = ()
    redis: tuple[Redis, ...] = ()
    php: Php | None = None
    site: Site | None = None


class Resources(Strict):
    """What the service needs, its Redis instances included, in MiB and cores, for a school of 300 to 500 pupils."""

    memory_mb: Whole
    disk_mb: Whole
    cpus: Whole = 1


class Secret(Strict):
    """A secret that is generated for each school; ``name`` is the Ansible variable."""

    name: Identifier
    kind: Literal["password", "hex"] = "password"
    length: Annotated[int, Field(strict=True, ge=16, le=128)] = 32
    why: str


class AptSource(Strict):
    """Signed apt repositories, read by the school's host itself.

    Args:
        repositories: deb822 fields of each repository; none for what is in Debian itself. ``key`` is a file
            in the role's ``files/`` with the pinned public key; with ``key_url`` the host fetches it from
            there instead. Either way it must have ``fingerprint``.
        packages: what is installed, with the version where the repository keeps old ones.
    """

    class Repository(Strict):
        name: Identifier
        uri: str
        suite: str
        components: tuple[str, ...] = ("main",)
        key: str
        key_url: str | None = None
        fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]

    kind: Literal["apt"]
    repositories: tuple[Repository, ...] = ()
    packages: tuple[str, ...]


FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]


class Signature(Strict):
    """A detached OpenPGP signature that upstream publishes for a file, as ``<name>.asc``.

    Args:
        key: name of the file with upstream's public key, in a mirror or the cache.
        key_url: upstream's address of it.
        fingerprint: of the only key that may sign.
        url: upstream's address of the signature; that of the file with ``.asc`` when left out.
    """

    key: FileName
    key_url: str
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9A-F]{40}$")]
    url: str | None = None


class ArchiveSource(Strict):
    """Files that the administrator's machine fetches (upstream or mirror), verifies, and sends to the host.

    Args:
        files: every file that is needed. ``url`` is upstream's address; none means "from a mirror only".
            ``sha256`` is pinned here where upstream publishes it, else the first download records it in
            ``artifacts.lock``. With ``signature`` a file that nobody has recorded yet must be signed, or come from
            a mirror whose ``SHA256SUMS`` names it.
    """

    class File(Strict):
        name: FileName
        role: Identifier
        url: str | None = None
        sha256: Sha256 | None = None
        signature: Signature | None = None

    kind: Literal["archive"]
    files: tuple[File, ...]


class NpmSource(Strict):
    """A package of the npm registry, pinned with all it depends on by a lock file in ``files/``."""

    kind: Literal["npm"]
    package: str
    lock: str


Source = Annotated[AptSource | ArchiveSource | NpmSource, Field(discriminator="kind")]


class ReleaseOffer(Strict):
    """A release that the role can install.

    Args:
        lab_only: good enough for a disposable server, never for a school; ``note`` says why.
        end_of_life: the first day without upstream's security fixes, as 2026-09-30.
        on_request: only for a school that names it, never taken as the newest.
        sources: in order of preference.
    """

    version: Release
    systems: tuple[System, ...] = ()
    lab_only: Yes = False
    on_request: Yes = False
    end_of_life: Day | None = None
    note: Text | None = None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    def is_over(self, *, in_days: int = 0) -> bool:
        """Whether upstream mends it no more, today or in so many days."""
        day = datetime.now(UTC).date() + timedelta(days=in_days)
        return self.end_of_life is not None and self.end_of_life <= day.isoformat()


class HttpsProbe(Strict):
    """The page answers over HTTPS, by the service's host name, with a certificate that is trusted."""

    id: Identifier
    kind: Literal["https"]
    title: Text
    path: str = "/"
    status: Whole = 200
    contains: str | None = None
    absent: Yes = False


class UnitProbe(Strict):
    """A systemd unit is active on the host."""

    id: Identifier
    kind: Literal["unit"]
    title: Text
    unit: str


class LoopbackProbe(Strict):
    """An address on the host's own loopback answers, asked over SSH."""

    id: Identifier
    kind: Literal["loopback"]
    title: Text
    port: PortNumber
    path: str = "/"
    status: Whole = 200
    contains: str | None = None


Probe = Annotated[HttpsProbe | UnitProbe | LoopbackProbe, Field(discriminator="kind")]


class Outbound(Strict):
    """A connection to the outside that the service may make, and why."""

    to: str
    why: str


class Backup(Strict):
    """What a backup of the service holds, split as it must be handled."""

    config: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    databases: tuple[Identifier, ...] = ()


class ServiceDefinition(Strict):
    """One ``service.yml``, whole."""

    format: Literal[1] = Field(alias="schema")
    id: Identifier
    title: Text
    #: What stands before the school's domain when `school add` proposes a host name; the id when left out.
    usual_name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")] | None = (
        None
    )
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    dedicated_host: Yes = False
    conflicts: tuple[Identifier, ...] = ()
    resources: Resources
    #: How people get in, for those who open the service for the first time.
    login: Text | None = None
    needs: Needs = Needs()
    ports: tuple[Port, ...] = ()
    secrets: tuple[Secret, ...] = ()
    releases: Annotated[tuple[ReleaseOffer, ...], Field(min_length=1)]
    probes: tuple[Probe, ...] = ()
    backup: Backup = Backup()
    personal_data: tuple[str, ...] = ()
    outbound: tuple[Outbound, ...] = ()
