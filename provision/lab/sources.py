"""Where a machine gets its packages from: the same places as this computer. Pure functions on texts of files.

A machine must reach Debian by whatever way this computer does (a mirror, a proxy, an authority of the
organisation), so the lab reads apt's own settings here. Sources of other projects on this computer are left
out.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True, slots=True)
class Source:
    """One package source of apt, see sources.list(5)."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""


def parse_one_line(text: str) -> list[Source]:
    """Read the one-line form: ``deb [option=value ...] URI SUITE COMPONENT...``; ``deb-src`` is left out."""
    sources = []
    for raw in text.splitlines():
        line = raw.partition("#")[0].strip()
        match = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)", line)
        if match:
            options = dict(pair.partition("=")[::2] for pair in (match[1] or "").lower().split())
            signed_by = options.get("signed-by", "")
            sources.append(Source((match[2],), (match[3],), tuple(match[4].split()), signed_by))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """Read the stanza form (``Types:``, ``URIs:``, ...), as far as it is enabled and for ``deb``."""
    sources = []
    # A line with only a comment does not end a stanza; an empty one does.
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line[:1].isspace() and last:
                fields[last] += "\n" + line.strip()
            elif ":" in line:
                key, _, value = line.partition(":")
                last = key.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {
            "no",
            "false",
            "0",
        }:
            continue
        sources.append(
            Source(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", ""),
            )
        )
    return sources


def _is_debian(source: Source, uri: str, codename: str, suite: str) -> bool:
    names = {codename, f"{codename}-updates", f"{codename}-security", f"{codename}/updates"}
    aliases = {
        "stable",
        "stable-updates",
        "stable-security",
        "oldstable",
        "oldstable-updates",
        "oldstable-security",
    }
    # Other projects use Debian's code names as well; Debian signs with its own keyring, and its path is
    # /debian*.
    return (
        suite in names | aliases
        and "main" in source.components
        and (not source.signed_by or "debian-archive" in source.signed_by or "\n" in source.signed_by)
        and urlsplit(uri).path.rstrip("/").rpartition("/")[2].startswith("debian")
    )


def debian_sources(
    sources: Iterable[Source], codename: str, release: str, mirrors: Mapping[str, str] | None = None
) -> list[Source]:
    """Debian's sources of this computer, turned to the wanted release.

    Args:
        sources: all sources of this computer.
        codename: this computer's own release.
        release: the release wanted.
        mirrors: texts of the lists that ``mirror+file:`` URIs name (apt-transport-mirror(1)), by path.

    Returns:
        main, updates and security, each from one URI; none where this computer's sources are not Debian's (Ubuntu):
        mmdebstrap knows Debian's public address itself.
    """
    main = security = ""
    for source in sources:
        if not source.uris:
            continue
        uri = _first_uri(source.uris, mirrors or {})
        for suite in source.suites:
            if not _is_debian(source, uri, codename, suite):
                continue
            if suite.endswith(("-security", "/updates")):
                security = security or uri
            elif not suite.endswith("-updates"):
                main = main or uri
    if not main:
        return []
    # A computer without security updates has them next to its main archive, as all full mirrors do.
    security = security or f"{main.rstrip('/')}-security"
    return [
        Source((main,), (release, f"{release}-updates"), ("main",), KEYRING),
        Source((security,), (f"{release}-security",), ("main",), KEYRING),
    ]


def _first_uri(uris: tuple[str, ...], mirrors: Mapping[str, str]) -> str:
    uri = uris[0]
    if uri.startswith("mirror+file:"):
        path = "/" + uri.removeprefix("mirror+file:").lstrip("/")
        for line in mirrors.get(path, "").splitlines():
            word = line.partition("#")[0].split()
            if word:
                return word[0]
    return uri


def mirror_files(sources: Iterable[Source]) -> list[str]:
    """Paths of the mirror lists that sources name."""
    return [
        "/" + uri.removeprefix("mirror+file:").lstrip("/")
        for source in sources
        for uri in source.uris
        if uri.startswith("mirror+file:")
    ]


def render_deb822(sources: Iterable[Source]) -> str:
    """The text of a ``.sources`` file."""
    return "\n".join(
        f"Types: deb\nURIs: {' '.join(source.uris)}\nSuites: {' '.join(source.suites)}\n"
        f"Components: {' '.join(source.components)}\nSigned-By: {source.signed_by}\n"
        for source in sources
    )


# What decides whether and how a source is reached. Passwords (auth.conf) are not among it on purpose.
_ACQUIRE = re.compile(
    r"Acquire::(?:(?:http|https|ftp)(?:::[^ ]*)?|Check-Valid-Until|Check-Date|ForceIPv[46]|Retries)",
    re.IGNORECASE,
)


def apt_settings(dump: str) -> list[str]:
    """Those of apt's settings that a machine needs to reach the same sources.

    Args:
        dump: what ``apt-config dump`` prints.

    Returns:
        lines of apt.conf(5). A proxy on this computer's own loopback address is left out: a machine's
        loopback address is another one.
    """
    lines = []
    for line in dump.splitlines():
        name, _, value = line.partition(" ")
        text = value.rstrip(";").strip('"')
        # User-Agent and the like have defaults; programs that find a proxy exist only here.
        if not _ACQUIRE.fullmatch(name) or not text or "proxy-auto-detect" in name.lower():
            continue
        if "::proxy" in name.lower() and is_loopback(text):
            continue
        lines.append(line.strip())
    return lines


def is_loopback(url: str) -> bool:
    """Whether a proxy's address is this computer itself."""
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolvers(text: str) -> list[str]:
    """Name servers of resolv.conf(5) that a machine can ask too."""
    servers = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            # Machines have IPv4 only.
            if address.version == 4 and not address.is_loopback:
                servers.append(words[1])
    return servers


def resolv_conf(text: str) -> str:
    """A machine's resolv.conf, made of this computer's."""
    kept = [f"nameserver {server}" for server in resolvers(text)]
    kept += [
        line.strip()
        for line in text.splitlines()
        if line.split()[:1] in (["search"], ["options"], ["domain"])
    ]
    return "\n".join(kept) + "\n"


_NPM = re.compile(
    r"(?:@[a-z0-9._-]+:)?registry|proxy|https-proxy|http-proxy|noproxy|no-proxy|strict-ssl|cafile"
    r"|fetch-(?:retries|retry-[a-z]+|timeout)|maxsockets|replace-registry-host",
    re.IGNORECASE,
)


def npm_settings(npmrc: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Those of npm's settings that a machine needs to reach the same registry.

    Tokens and passwords are left out on purpose, and so are proxies on the loopback address.

    Args:
        npmrc: texts of the npmrc files, the weakest first.
        environment: environment variables; ``npm_config_*`` win over files.

    Returns:
        settings by name; `cafile` stands for this computer's trust store and needs rewriting.
    """
    settings: dict[str, str] = {}
    for line in npmrc.splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.lstrip().startswith(("#", ";")):
            settings[name.strip()] = value.strip().strip("\"'")
    for name, value in environment.items():
        if name.lower().startswith("npm_config_"):
            settings[name[11:].lower().replace("_", "-")] = value
    return {
        name: value
        for name, value in settings.items()
        if _NPM.fullmatch(name)
        and "${" not in value
        and not ("proxy" in name.lower() and is_loopback(value))
        and "@" not in urlsplit(value).netloc
    }


_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def proxy_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxies of an environment that a machine can use too, in lower and upper case."""
    found = {}
    for name in _PROXIES:
        value = environment.get(name) or environment.get(name.upper()) or ""
        # A proxy's address with a password in it stays here.
        if value and not is_loopback(value) and "@" not in value:
            found[name] = found[name.upper()] = value
    return found
