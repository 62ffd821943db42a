"""What single values of the workspace's files must look like, with the words for those that do not.

Each rule takes a text and gives it back, tidied up, or raises ``PydanticCustomError`` through ``refuse``. The
messages are for the person who wrote the file.
"""

import base64
import binascii
import difflib
import ipaddress
import locale as stdlib_locale
import re
import zoneinfo
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from pydantic_core import PydanticCustomError

#: RFC 1123 labels in lower case, at least two of them, the last one not a number.
HOSTNAME_PATTERN = r"^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
USER_PATTERN = r"^[a-z_][a-z0-9_-]{0,31}$"
_HOSTNAME = re.compile(HOSTNAME_PATTERN)
_SINGLE_LABEL = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
_USER = re.compile(USER_PATTERN)
_LOCALE = re.compile(r"^(?P<name>[a-z]{2,3}_[A-Z]{2})(?P<charset>\.[A-Za-z0-9-]+)?(?P<modifier>@[a-z]+)?$")

#: What OpenSSH's ``sshd`` still takes, in the order in which we would choose (sshd_config(5)).
SSH_KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
#: BSI TR-02102-1 and CCN-STIC 807 ask 3000 bits of RSA; what operators have had for years may have 2048.
_MIN_RSA_BITS, _MIN_NEW_RSA_BITS = 2048, 3072


def refuse(message: str, remedy: str = "", code: str = "bad-value") -> PydanticCustomError:
    """The error that a rule raises: what is wrong and allowed, what to do, a short name for programs."""
    return PydanticCustomError("provision", "{message}", {"message": message, "remedy": remedy, "code": code})


def meant(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that was most probably meant, or an empty text.

    Args:
        likeness: from 0 to 1, as ``difflib`` measures it: what is less like the word is no guess.
    """
    words = list(known)
    plain = {_plain(candidate): candidate for candidate in words}
    if _plain(word) in plain:
        return plain[_plain(word)]
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=likeness)
    return close[0] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean "x"?``, or an empty text."""
    best = meant(word, known)
    return f'Did you mean "{best}"?' if best else ""


def _plain(word: str) -> str:
    return re.sub(r"[\s_.-]+", "", word.lower())


def line_of_text(value: str) -> str:
    """A name or title: one line, not empty, of at most 200 characters."""
    text = value.strip()
    if not text:
        raise refuse("This text is empty.", code="empty-text")
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
        raise refuse("This text must be one line.", "Remove the line breaks and tabs.", "not-one-line")
    if len(text) > 200:
        raise refuse(
            f"This text is too long: {len(text)} characters; at most 200 are allowed.", code="too-long"
        )
    return text


def local_file(value: Path) -> Path:
    """A path on the administrator's machine: it gets into the settings of other programs (ssh_config, for one)."""
    if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029\"]", str(value)):
        raise refuse(
            "This path has a line break, a control character or a quotation mark in it.",
            "Write it as it is on the disk, or rename the file.",
            "bad-path",
        )
    return value


def email(value: str) -> str:
    """An e-mail address; whether it takes mail is not asked."""
    text = value.strip()
    if not re.fullmatch(r"[^@\s<>,;\"']+@[^@\s<>,;\"']+\.[A-Za-z0-9-]{2,}", text) or ".." in text:
        raise refuse(
            f'"{short(value)}" is not an e-mail address.',
            'Write one address and nothing else, such as "tic@ajuntament.example.org".',
            "bad-email",
        )
    return text


def hostname(value: str) -> str:
    """A DNS name that people open, in lower case, such as ``pad.escola-mar.cat``."""
    problem = _hostname_problem(value)
    if problem is None:
        return value
    raise refuse(f'"{short(value)}" is not a host name: {problem[0]}.', problem[1], "bad-hostname")


def _hostname_problem(value: str) -> tuple[str, str] | None:  # noqa: PLR0911 - one rule, one return
    """Why a text is no host name, and what was probably meant; None when it is one."""
    example = 'Such as "pad.escola-mar.cat".'
    if _HOSTNAME.fullmatch(value):
        return None
    text = value.strip()
    if not text:
        return "it is empty", example
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text):
        name = re.split(r"[/:?#]", text.split("://", 1)[1].rsplit("@", 1)[-1])[0].lower()
        return (
            "it is a web address",
            f'Write only the name: "{name}".' if _HOSTNAME.fullmatch(name) else example,
        )
    if _is_ip(text):
        return "it is an IP address", f"A certificate needs a DNS name. {example}"
    if "@" in text:
        return 'it has an "@"', f'Write only the part behind the "@". {example}'
    if ":" in text or "/" in text:
        name = re.split(r"[/:]", text)[0].lower()
        return (
            "it has a port or a path behind the name",
            f'Write only the name: "{name}".' if _HOSTNAME.fullmatch(name) else example,
        )
    if not text.isascii():
        try:
            ascii_name = text.encode("idna").decode().lower()
        except UnicodeError:
            ascii_name = ""
        return (
            "it has letters outside a-z",
            f'Write its DNS form: "{ascii_name}".' if _HOSTNAME.fullmatch(ascii_name) else example,
        )
    if "." not in text.strip("."):
        return "it has no dot", f"The whole name is needed. {example}"
    better = re.sub(r"\s+", "", text.strip(".").lower().replace("_", "-"))
    if _HOSTNAME.fullmatch(better):
        return "only small letters, digits, hyphens and dots are allowed", f'Did you mean "{better}"?'
    if any(len(label) > 63 for label in text.split(".")) or len(text) > 253:
        return "it is too long (63 characters between two dots, 253 in all)", ""
    return (
        "only small letters, digits, hyphens and dots are allowed, and no part begins or ends with a hyphen",
        (example),
    )


def address(value: str) -> str:
    """Where a server is reached: an IPv4 or IPv6 address, or a DNS name; nothing around it."""
    text = value.strip()
    if _is_ip(text):
        return str(ipaddress.ip_address(text))
    lowered = text.lower()
    if not re.fullmatch(r"[0-9.]+", text) and (
        _HOSTNAME.fullmatch(lowered) or _SINGLE_LABEL.fullmatch(lowered)
    ):
        return lowered
    allowed = 'Allowed: an IPv4 address ("192.0.2.10"), an IPv6 address ("2001:db8::10") or a DNS name.'
    raise refuse(f'"{short(value)}" is not an address. {allowed}', _address_remedy(text), "bad-address")


def _address_remedy(text: str) -> str:  # noqa: PLR0911 - one return a mistake
    """What was probably meant by a text that is no address."""
    if "://" in text:
        name = re.split(r"[/?#]", text.split("://", 1)[1])[0]
        inside = re.sub(r":\d+$", "", name)
        return f'Write only the name of the server: "{inside}".'
    if "@" in text:
        user, _, rest = text.rpartition("@")
        host, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
        also = f", user: {user} and port: {port}" if port else f" and user: {user}"
        return f'Each goes in a line of its own: address: "{host}"{also}.'
    if found := re.fullmatch(r"\[?([^\[\]]+?)\]?:(\d{1,5})", text):
        inside, port = found.groups()
        if _is_ip(inside) or _HOSTNAME.fullmatch(inside.lower()):
            return f'Each goes in a line of its own: address: "{inside}" and port: {port}.'
    if found := re.fullmatch(r"\[([^\]]+)\]", text):
        return f'Leave the brackets out: "{found.group(1)}".'
    if found := re.fullmatch(r"([^/]+)/\d+", text):
        return f'This is a network; write the address of the server: "{found.group(1)}".'
    if re.fullmatch(r"[0-9.]+", text):
        return "An IPv4 address has four numbers from 0 to 255 with dots between them."
    if re.fullmatch(r"[0-9a-fA-F:]+", text):
        return (
            "An IPv6 address has eight groups with colons between them; :: stands for groups of zeros, once."
        )
    return ""


def jump(value: str) -> str:
    """A jump host: ``[user@]host[:port]``, an IPv6 address in brackets where a port follows."""
    text = value.strip()
    user, at, rest = text.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise refuse(f'"{short(user)}" is not a user name (in the jump host).', _JUMP_EXAMPLE, "bad-jump")
    host, port = rest, ""
    if found := re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", rest):
        host, port = found.group(1), found.group(2) or ""
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
        if not port.isdigit():
            raise refuse(f'"{short(port)}" is not a port (in the jump host).', _JUMP_EXAMPLE, "bad-jump")
    if port and not 1 <= int(port[:6]) <= 65535:
        raise refuse("The jump host's port must be from 1 to 65535.", _JUMP_EXAMPLE, "bad-jump")
    if (
        not _is_ip(host)
        and not _HOSTNAME.fullmatch(host.lower())
        and not _SINGLE_LABEL.fullmatch(host.lower())
    ):
        remedy = "One jump host is supported, not a chain." if "," in text else _JUMP_EXAMPLE
        raise refuse(f'"{short(value)}" is not a jump host.', remedy, "bad-jump")
    return text


_JUMP_EXAMPLE = 'Such as "tic@pont.example.org" or "tic@192.0.2.1:2222".'


def network(value: str) -> str:
    """An IPv4 or IPv6 network such as ``192.0.2.0/24``; a single address is one too."""
    text = value.strip()
    try:
        if "%" in text:
            # A zone has a meaning on one machine only, and Python takes any text for one.
            raise ValueError  # noqa: TRY301 - refused like all else that is no network
        ipaddress.ip_network(text)
    except ValueError:
        remedy = 'Such as "192.0.2.0/24" or "2001:db8::/32".'
        with suppress(ValueError):
            text = re.sub(r"%[^/]*", "", text)
            remedy = f'Did you mean "{ipaddress.ip_network(text, strict=False)}"?'
        raise refuse(f'"{short(value)}" is not a network.', remedy, "bad-network") from None
    return text


def server(value: str) -> str:
    """A server that hosts ask for something (time): an address or a DNS name."""
    return address(value)


def timezone(value: str) -> str:
    """A time zone of the IANA data base, such as ``Europe/Madrid``."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = _timezones()
        if not known:
            # A machine without the data base cannot judge; the server's own will.
            return value
        # People write the city alone, or one that has no zone of its own.
        cities = {name.rsplit("/", 1)[-1]: name for name in known}
        best = meant(value, known, 0.85) or cities.get(meant(value, cities, 0.85))
        raise refuse(
            f'"{short(value)}" is not a time zone. Allowed are the names of the IANA list.',
            f'Did you mean "{best}"?' if best else 'Such as "Europe/Madrid" or "Atlantic/Canary".',
            "bad-timezone",
        ) from None
    return value


@cache
def _timezones() -> tuple[str, ...]:
    return tuple(sorted(zoneinfo.available_timezones()))


@cache
def _locales() -> dict[str, str]:
    """Names of languages and countries in small letters -> as glibc writes them, from Python's own table."""
    found: dict[str, str] = {}
    for alias in stdlib_locale.locale_alias.values():
        name = re.split(r"[.@]", alias)[0]
        if re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}", name):
            found[name.lower()] = name
    return found


def locale_name(value: str) -> str:
    """A locale of glibc in UTF-8, such as ``ca_ES.UTF-8`` or ``ca_ES.UTF-8@valencia``."""
    if value == "C.UTF-8":
        return value
    shape = _LOCALE.fullmatch(value)
    if shape and shape["charset"] == ".UTF-8" and shape["name"].lower() in _locales():
        return value
    raise refuse(
        f'"{short(value)}" is not a locale. Allowed: language_COUNTRY.UTF-8.',
        _locale_remedy(value),
        "bad-locale",
    )


def _locale_remedy(value: str) -> str:
    names = _locales()
    name = re.split(r"[.@]", value.strip())[0].replace("-", "_").lower()
    if name not in names:
        language = name.split("_")[0]
        homes = {"ca": "ca_ES", "es": "es_ES", "en": "en_GB", "eu": "eu_ES", "gl": "gl_ES"}
        name = homes.get(language, meant(name, names)).lower()
    return (
        f'Did you mean "{names[name]}.UTF-8"?' if name in names else 'Such as "ca_ES.UTF-8" or "es_ES.UTF-8".'
    )


def support_key(value: str) -> str:
    """A public key of support people: without its remark, and RSA only from 3072 bits on."""
    return " ".join(ssh_public_key(value, _MIN_NEW_RSA_BITS).split()[:2])


def ssh_public_key(value: str, least_bits: int = _MIN_RSA_BITS) -> str:
    """One public key as in ``authorized_keys``: type, base64, and a comment if you like; no options in front.

    Args:
        least_bits: of a key of RSA.

    Source: RFC 4253, 6.6 (the blob begins with the name of its type), sshd(8), AUTHORIZED_KEYS FILE FORMAT.
    """
    text = value.strip()
    words = text.split(None, 2)
    example = (
        'It is one line such as "ssh-ed25519 AAAA... name", the content of the file whose name ends in .pub.'
    )
    if "\n" in text or len(words) < 2:
        raise refuse("This is not a public SSH key.", example, "bad-ssh-key")
    kind, blob = words[0], words[1]
    if kind == "ssh-dss":
        raise refuse(
            "This is a DSA key. Servers of today refuse it.",
            "Make a new pair: ssh-keygen -t ed25519.",
            "weak-ssh-key",
        )
    if kind not in SSH_KEY_TYPES:
        in_front = any(word in SSH_KEY_TYPES for word in text.split()[1:])
        raise refuse(
            f"This is not a public SSH key: '{short(kind)}' is not a type of key.",
            "Leave out what stands in front of the key's type."
            if in_front
            else did_you_mean(kind, SSH_KEY_TYPES) or example,
            "bad-ssh-key",
        )
    try:
        named, *parts = _ssh_strings(base64.b64decode(blob, validate=True))
    except (binascii.Error, ValueError):
        named, parts = b"", []
    if named != kind.encode() or not all(parts) or len(parts) < 1 + (kind == "ssh-rsa"):
        raise refuse(
            "This public SSH key is damaged or cut off.",
            "Copy the whole line of the .pub file again.",
            "bad-ssh-key",
        )
    if kind == "ssh-rsa":
        # RFC 4253, 6.6: the exponent, then the modulus.
        bits = int.from_bytes(parts[1], "big").bit_length()
        if bits < least_bits:
            raise refuse(
                f"This RSA key has {bits} bits; at least {least_bits} are needed.",
                "Make a new pair: ssh-keygen -t ed25519.",
                "weak-ssh-key",
            )
    return text


def _ssh_strings(data: bytes) -> list[bytes]:
    """The length-prefixed strings that make a blob (RFC 4251, 5).

    Raises:
        ValueError: the blob ends in the middle of one, or is empty.
    """
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        if end > len(data):
            raise ValueError
        found.append(data[4:end])
        data = data[end:]
    if not found:
        raise ValueError
    return found


def url(value: str) -> str:
    """An address of the web with ``https://`` or, for machines of one's own, ``http://``."""
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s]*)?", value):
        raise refuse(
            f'"{short(value)}" is not a web address.',
            'Such as "https://acme-v02.api.letsencrypt.org/directory".',
            "bad-url",
        )
    return value


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # A zone ("fe80::1%eth0") has a meaning on one machine only.
    return "%" not in text


def short(value: str) -> str:
    """A value for a message: one line, not too long."""
    text = " ".join(value.split())
    return text if len(text) <= 60 else text[:57] + "..."
