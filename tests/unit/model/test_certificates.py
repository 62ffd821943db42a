"""Certificates that a city brings itself are checked before they reach a server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.model.certificates import authorities, check_pair, covers

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NAME = "docs.escola-mar.example"


def make(
    directory: Path,
    *names: str,
    begins: datetime = NOW - timedelta(days=1),
    days: int = 90,
    password: bytes = b"",
) -> tuple[Path, Path]:
    """A certificate for names and its key, as files."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    certificate, key = directory / "site.pem", directory / "site.key"
    certificate.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption(),
        )
    )
    key.chmod(0o600)
    return certificate, key


def codes(certificate: Path, key: Path) -> list[str]:
    return [finding.code for finding in check_pair(certificate, key, NAME, NOW)]


def test_a_good_pair_is_good(tmp_path: Path) -> None:
    assert codes(*make(tmp_path, NAME)) == []
    assert codes(*make(tmp_path, "other.example", "*.escola-mar.example")) == []


@pytest.mark.parametrize(
    ("begins", "days", "code"),
    [
        (NOW - timedelta(days=91), 90, "certificate-expired"),
        (NOW - timedelta(days=80), 90, "certificate-expires-soon"),
        (NOW + timedelta(hours=1), 90, "certificate-not-yet-valid"),
    ],
)
def test_a_certificate_is_judged_by_its_dates(begins: datetime, days: int, code: str, tmp_path: Path) -> None:
    assert codes(*make(tmp_path, NAME, begins=begins, days=days)) == [code]


def test_a_certificate_must_name_the_host(tmp_path: Path) -> None:
    assert codes(*make(tmp_path, "escola-mar.example")) == ["certificate-name"]
    assert codes(*make(tmp_path)) == ["certificate-name"]


def test_a_key_must_belong_to_its_certificate(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, _ = make(tmp_path, NAME)
    _, key = make(tmp_path / "other", NAME)
    assert codes(certificate, key) == ["key-mismatch"]


def test_a_key_with_a_password_or_open_to_others_is_pointed_out(tmp_path: Path) -> None:
    assert codes(*make(tmp_path, NAME, password=b"x")) == ["key-encrypted"]
    certificate, key = make(tmp_path, NAME)
    key.chmod(0o644)
    assert codes(certificate, key) == ["open-key"]


def test_files_that_are_missing_or_something_else_are_named(tmp_path: Path) -> None:
    certificate, key = make(tmp_path, NAME)
    assert codes(key, certificate) == ["bad-certificate", "bad-key-file"]
    assert codes(tmp_path, key) == ["unreadable"]
    assert codes(tmp_path / "no.pem", tmp_path / "no.key") == ["missing-file", "missing-file"]


def test_a_star_stands_for_one_label() -> None:
    assert covers("*.escola.example", "docs.escola.example")
    assert covers("DOCS.escola.example", "docs.escola.example")
    assert not covers("*.escola.example", "a.docs.escola.example")
    assert not covers("*.escola.example", "escola.example")


def test_only_the_certificates_of_a_file_are_handed_on(tmp_path: Path) -> None:
    certificate, key = make(tmp_path, NAME)
    both = tmp_path / "both.pem"
    both.write_text(f"of the authority\n{certificate.read_text()}{key.read_text()}{certificate.read_text()}")
    assert authorities(both) == certificate.read_text() * 2
    with pytest.raises(ValueError):
        authorities(key)
