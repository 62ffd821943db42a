"""Checks the certificate files that a city brings itself (``tls: {mode: provided}``)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

#: A certificate that runs out sooner than this is pointed out.
SOON = timedelta(days=21)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a pair of files.

    Args:
        file: ``certificate`` or ``key``.
    """

    file: str
    message: str
    remedy: str
    code: str


def authorities(file: Path) -> str:
    """The certificates of authorities in a file, in PEM form, without whatever else is in it.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    found = x509.load_pem_x509_certificates(file.read_bytes())
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)


def check_pair(certificate: Path, key: Path, hostname: str, now: datetime | None = None) -> list[Finding]:
    """What is wrong with a certificate and its key, for one host name.

    Args:
        certificate: PEM file: the certificate, then its chain.
        key: PEM file with the private key, without a password.
        hostname: the name that the certificate must cover.
        now: the time to judge by, with a time zone; the present when left out.
    """
    found: list[Finding] = []
    contents: dict[str, bytes] = {}
    for name, file in (("certificate", certificate), ("key", key)):
        try:
            contents[name] = file.read_bytes()
        except FileNotFoundError:
            found.append(
                Finding(
                    name,
                    f"{name}: the file {file} for {hostname} does not exist.",
                    "Put it there, or correct the path; paths begin at the workspace.",
                    "missing-file",
                )
            )
        except OSError as error:
            found.append(
                Finding(name, f"{name}: the file {file} cannot be read: {error.strerror}.", "", "unreadable")
            )
    leaf = private = None
    if "certificate" in contents:
        leaf, problems = _leaf(certificate, contents["certificate"], hostname, now or datetime.now(UTC))
        found += problems
    if "key" in contents:
        private, problems = _private_key(key, contents["key"])
        found += problems
    if leaf is not None and private is not None and leaf.public_key() != private.public_key():
        found.append(
            Finding(
                "key",
                f"key: {key} does not belong to the certificate {certificate}.",
                "Each certificate has its own key: look for the file that was made with the request (CSR).",
                "key-mismatch",
            )
        )
    return found


def _leaf(file: Path, content: bytes, hostname: str, now: datetime) -> tuple[Any, list[Finding]]:
    from cryptography import x509

    def finding(message: str, remedy: str, code: str) -> Finding:
        return Finding("certificate", f"certificate: {message}", remedy, code)

    try:
        leaf = x509.load_pem_x509_certificates(content)[0]
    except ValueError:
        return None, [
            finding(
                f"{file} holds no certificate in PEM form.",
                'It begins with "-----BEGIN CERTIFICATE-----": the certificate first, then its chain.',
                "bad-certificate",
            )
        ]
    found = []
    ends = leaf.not_valid_after_utc
    if ends <= now:
        found.append(
            finding(
                f"{file} ran out on {ends:%Y-%m-%d}.", "Ask for a new certificate.", "certificate-expired"
            )
        )
    elif ends - now < SOON:
        found.append(
            finding(
                f"{file} runs out on {ends:%Y-%m-%d}.",
                "Ask for a new certificate now.",
                "certificate-expires-soon",
            )
        )
    if leaf.not_valid_before_utc > now:
        found.append(
            finding(
                f"{file} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC.",
                "Check the clock of this computer.",
                "certificate-not-yet-valid",
            )
        )
    try:
        names = leaf.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not any(covers(name, hostname) for name in names):
        found.append(
            finding(
                f"{file} is for {', '.join(names) or 'no name at all'}, not for {hostname}.",
                "Ask for a certificate with this name, or correct the host name.",
                "certificate-name",
            )
        )
    return leaf, found


def _private_key(file: Path, content: bytes) -> tuple[Any, list[Finding]]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        return None, [
            Finding(
                "key",
                f"key: {file} is locked with a password; a server must start without one.",
                "Store it without password: openssl pkey -in OLD -out NEW.",
                "key-encrypted",
            )
        ]
    except (ValueError, UnsupportedAlgorithm):
        return None, [
            Finding(
                "key",
                f"key: {file} holds no private key in PEM form.",
                'It begins with "-----BEGIN PRIVATE KEY-----" or the like.',
                "bad-key-file",
            )
        ]
    if file.stat().st_mode & 0o077:
        return key, [
            Finding(
                "key",
                f"key: other users of this computer can read {file}.",
                f"chmod 600 {file}",
                "open-key",
            )
        ]
    return key, []


def covers(name: str, hostname: str) -> bool:
    """Whether a name of a certificate covers a host name; ``*`` stands for one label (RFC 6125, 6.4.3)."""
    name, hostname = name.lower(), hostname.lower()
    if name.startswith("*."):
        return hostname.partition(".")[2] == name[2:]
    return name == hostname
