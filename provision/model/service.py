"""What a service tells Python about itself: ``roles/<id>/service.yml``.

Python knows no application by name. Whatever it must know of one is declared here, once.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal

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
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]+$")]
#: Value of the HTTP header; nothing in it may end nginx's quotes.
PermissionsPolicy = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ()=,*:/.-]{1,300}$")]
#: A program of ours in ``/usr/local/sbin``.
Program = Annotated[str, StringConstraints(pattern=r"^provision-[a-z][a-z0-9-]{0,30}$")]
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
        permissions_policy: what its pages may use in the browser, such as a camera; the web server's own rule, which
            lets them use nothing of the kind, when left out.
    """

    locations: str
    max_body_mb: Whole | str = 10
    permissions_policy: PermissionsPolicy | None = None


class Port(Strict):
    """A port that must be reachable from outside, besides 80 and 443 of nginx.

    Args:
        to: the last port of a range that begins with ``port``.
        programs: who may listen there before an apply, where the service brings a web server of its own.
    """

    port: PortNumber
    to: PortNumber | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    why: str
    programs: tuple[str, ...] = ()


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


class Turn(Strict):
    """A TURN server for the service's calls, on the same host and with the certificate of the service's site.

    Args:
        public_address: name of the setting with the address that a router hands on to the host, which may be empty.
        local_address: name of the setting with the host's own address behind that router, which may be empty.
    """

    public_address: str
    local_address: str


class Needs(Strict):
    """What the service asks of the base roles.

    Args:
        roles: further base roles, in order.
        includes: roles that its own tasks include where they need them.
        certificate: a certificate for its host name, where it brings a web server of its own (no ``site``).
    """

    roles: tuple[Identifier, ...] = ()
    includes: tuple[Identifier, ...] = ()
    databases: tuple[Database, ...] = ()
    redis: tuple[Redis, ...] = ()
    php: Php | None = None
    site: Site | None = None
    turn: Turn | None = None
    certificate: Yes = False

    @property
    def has_certificate(self) -> bool:
        """Whether there is a certificate for the service's host name."""
        return self.site is not None or self.certificate


class Resources(Strict):
    """What the service needs, its Redis instances included, in MiB and cores, for a school of 300 to 500 pupils.

    Args:
        addresses: kinds of public or private addresses that the server must have.
        architectures: machines that it runs on, as ``uname -m`` names them; none: any that its packages are made for.
        small_host: name of the setting (``true`` or ``false``) that lets a smaller server pass. With it the figures are
            a requirement: cores and addresses are looked at too. For a service with a server of its own,
            ``memory_mb`` is what the whole server must have.
    """

    memory_mb: Whole
    disk_mb: Whole
    cpus: Whole = 1
    addresses: tuple[Literal["ipv4", "ipv6"], ...] = ()
    architectures: tuple[Literal["x86_64", "aarch64"], ...] = ()
    small_host: Identifier | None = None


class Alone(Strict):
    """What must not be on the server of a service that needs one of its own.

    Args:
        until: a file that is there as soon as the service is: before, nothing else may listen to the outside.
        packages: packages that must not be there.
    """

    until: AbsolutePath
    packages: tuple[str, ...] = ()


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
        languages: a file for schools of a language (``ca`` of ``ca_ES.UTF-8``), from a mirror only; its role is
            ``language``. Whoever does not have it does without it; ``artifacts.lock`` holds what it was.
        caution: what whoever installs from it has to know, such as how old it is; check, plan and apply say it.
    """

    class File(Strict):
        name: FileName
        role: Identifier
        url: str | None = None
        sha256: Sha256 | None = None
        signature: Signature | None = None

    kind: Literal["archive"]
    files: tuple[File, ...]
    languages: dict[Identifier, FileName] = {}
    caution: Text | None = None

    def file_for(self, locale: str) -> File | None:
        """What a school of that locale may have besides; None: nothing."""
        return self.packs.get(re.split("[_.@]", locale)[0])

    @property
    def packs(self) -> dict[str, File]:
        """The packs of languages, by language: nobody has to have them."""
        return {language: self.File(name=name, role="language") for language, name in self.languages.items()}


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

    outside: ClassVar[bool] = True

    id: Identifier
    kind: Literal["https"]
    title: Text
    path: str = "/"
    status: Whole = 200
    contains: str | None = None
    absent: Yes = False


class WebSocketProbe(Strict):
    """The service changes from HTTPS to a WebSocket (RFC 6455, section 4): people see each other type."""

    outside: ClassVar[bool] = True

    id: Identifier
    kind: Literal["websocket"]
    title: Text
    path: str


class UnitProbe(Strict):
    """A systemd unit is active on the host."""

    outside: ClassVar[bool] = False

    id: Identifier
    kind: Literal["unit"]
    title: Text
    unit: str


class LoopbackProbe(Strict):
    """An address on the host's own loopback answers, asked over SSH."""

    outside: ClassVar[bool] = False

    id: Identifier
    kind: Literal["loopback"]
    title: Text
    port: PortNumber
    path: str = "/"
    status: Whole = 200
    contains: str | None = None

    @property
    def question(self) -> dict[str, object]:
        """What is asked: the server answers a question only where its ``probe.json`` has the very same (role base)."""
        return self.model_dump(include={"port", "path", "status", "contains"})


#: What the sentences of a service's own probe may speak of, as ``{hostname}``.
PLACES = ("host", "hostname", "school", "service", "title")


def _with_known_places(text: Text) -> Text:
    for sentence in (text.ca, text.es, text.en):
        for name in re.findall(r"\{([^{}]*)\}", sentence):
            if name not in PLACES:
                places = ", ".join(f"{{{place}}}" for place in PLACES)
                raise rules.refuse(
                    f"the sentence speaks of {{{name}}}, which is not known", f"it may speak of {places}"
                )
    return text


class Advice(Strict):
    """What a fault means for the school, and what to do next; places such as ``{hostname}`` are filled in."""

    meaning: Annotated[Text, AfterValidator(_with_known_places)]
    remedy: Annotated[Text, AfterValidator(_with_known_places)]


class OwnProbe(Advice):
    """A question that only the service itself can answer; a program of its role asks it, on the host, as root.

    It is run as ``/usr/local/sbin/PROGRAM probe ID...``, without input, and prints one line of JSON for each id that it
    is asked for: ``{"probe": ID, "state": "ok|warning|problem", "measured": "one plain line", "code": ""}``. What it
    makes for its question it takes away again.

    Args:
        meaning, remedy: for whatever is not well and has no code of its own.
        faults: sentences for the codes that the program gives.
    """

    outside: ClassVar[bool] = False

    id: Identifier
    kind: Literal["own"]
    title: Text
    program: Program
    faults: dict[Identifier, Advice] = Field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """What the program is run with."""
        return ["probe", self.id]

    def advice(self, code: str) -> Advice:
        """The sentences for a code of the program's."""
        return self.faults.get(code, self)


Probe = Annotated[
    HttpsProbe | WebSocketProbe | UnitProbe | LoopbackProbe | OwnProbe, Field(discriminator="kind")
]


def _with_all_places(text: Text) -> Text:
    """What a program says, taken apart by its English: each place is filled in every language."""
    places = re.findall(r"\{([^{}]*)\}", text.en)
    if len(set(places)) < len(places) or "}{" in text.en:
        raise rules.refuse(
            f"{text.en!r}: what stands in its places cannot be told apart",
            "give each place a name of its own, and words between two of them",
        )
    for sentence in (text.ca, text.es):
        for name in re.findall(r"\{([^{}]*)\}", sentence):
            if name not in places:
                raise rules.refuse(
                    f"{sentence!r} speaks of {{{name}}}, which the English sentence does not hold",
                    "the places are those of the English sentence, which is what the program prints",
                )
    return text


class Outbound(Strict):
    """A connection to the outside that the service may make, and why.

    Args:
        when: name of the setting that opens it: the connection is made only where that is ``true`` or not empty.
    """

    to: str
    why: str
    when: Identifier | None = None


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
    alone: Alone | None = None
    #: Where several schools may use one installation: what they then have in common, in a sentence for each of them.
    shared: Text | None = None
    #: It carries lessons, which a restart would cut: ``provision-<id> busy`` on the host says how many go on.
    busy: Yes = False
    conflicts: tuple[Identifier, ...] = ()
    resources: Resources
    #: How people get in, for those who open the service for the first time.
    login: Text | None = None
    needs: Needs = Needs()
    ports: tuple[Port, ...] = ()
    secrets: tuple[Secret, ...] = ()
    releases: Annotated[tuple[ReleaseOffer, ...], Field(min_length=1)]
    probes: tuple[Probe, ...] = ()
    #: What its own programs print as ``measured``: ``en`` is their very text, with ``{name}`` for what changes in it.
    #: What many say ("it is not installed", "3 hours ago") is known already: ``provision/health/words/heard.py``.
    said: tuple[Annotated[Text, AfterValidator(_with_all_places)], ...] = ()
    backup: Backup = Backup()
    personal_data: tuple[str, ...] = ()
    outbound: tuple[Outbound, ...] = ()
