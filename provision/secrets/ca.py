"""The municipality's own certificate authority, for tests and closed networks (TLS mode ``internal``).

One ECDSA P-256 authority a municipality. Its key lies in the municipality's vault file, its certificate in
``ca/ca.pem``; a computer that shall trust the schools' pages is given that file. The authority may only
vouch for the schools' own names (RFC 5280, 4.2.1.10), so that its key is worth nothing against any other
site. When a school with another domain comes, the authority gets a new certificate under the same key and
name: who trusts the old one goes on trusting the old schools, and needs the new file for the new school
only.
"""

import datetime
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision.errors import SecretsError
from provision.files import write_atomically
from provision.secrets.store import MUNICIPALITY, TLS_KEYS, SecretStore

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from provision.model import ResolvedSchool, Workspace

CA_KEY: Final = "ca_private_key"
CA_DAYS: Final = 3652
#: The longest life that browsers accept was 398 days for years (CA/Browser Forum, SC31); one day less is on
#: the safe side.
LEAF_DAYS: Final = 397
RENEW_DAYS: Final = 30
#: Clocks of servers and pupils' tablets are not all right.
BACKDATED: Final = datetime.timedelta(hours=1)


def ensure_certificates(
    workspace: "Workspace",
    school: "ResolvedSchool",
    names: Mapping[str, Sequence[str]],
    *,
    store: SecretStore | None = None,
    now: datetime.datetime | None = None,
    vault_id: str | None = None,
) -> dict[str, str]:
    """Make the certificates that a school lacks, and renew those that need it.

    A certificate is made anew when it has less than 30 days left, its host names changed, its key is not in
    the vault, or the authority's key changed. Each gets a key of its own, in the school's vault under
    ``tls_private_keys``.

    Args:
        workspace: the municipality.
        school: whose vault gets the keys.
        names: host names by site.
        store: the secret store, where the caller has one.
        now: the time, for tests; UTC.
        vault_id: whose vault gets the keys, if not the school's.

    Returns:
        the certificates as PEM text, by site; the authority's own is not part of them.

    Raises:
        SecretsError: see ``SecretStore.load``; also an authority whose key is lost.
    """
    store = store or SecretStore(workspace)
    moment = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    authority_certificate, authority_key = _ensure_authority(workspace, store, names, moment)
    owner = vault_id or school.id
    directory = workspace.ca_dir / "issued" / owner
    present = store.load(owner).get(TLS_KEYS) or {}
    made: dict[str, str] = {}
    new_keys: dict[str, str] = {}
    for site, hostnames in names.items():
        kept = _kept(directory / f"{site}.pem", present.get(site), hostnames, authority_certificate, moment)
        if kept is not None:
            made[site] = _pem(kept)
            continue
        leaf, key = _issue(hostnames, authority_certificate, authority_key, moment)
        new_keys[site] = key
        made[site] = _pem(leaf)
    if new_keys:
        # The key first: after a crash in between, the certificate does not fit it and is made again.
        with store.edit(owner) as values:
            values[TLS_KEYS] = {**(values.get(TLS_KEYS) or {}), **new_keys}
        for site in new_keys:
            _write_public(directory / f"{site}.pem", made[site])
    return made


def ensure_shared_certificates(
    workspace: "Workspace",
    school: "ResolvedSchool",
    names: Mapping[str, Sequence[str]],
    *,
    store: SecretStore | None = None,
) -> dict[str, str]:
    """``ensure_certificates`` for sites on servers that schools share: one certificate, whoever's run it is.

    The municipality's vault has the keys; the school's vault gets a copy, for its own runs.
    """
    store = store or SecretStore(workspace)
    there = {site: f"{school.services[site].host}.{site}" for site in names}
    full = {there[site]: hostnames for site, hostnames in names.items()}
    made = ensure_certificates(workspace, school, full, store=store, vault_id=MUNICIPALITY)
    keys = store.load(MUNICIPALITY)[TLS_KEYS]
    present = store.load(school.id).get(TLS_KEYS) or {}
    wanted = {site: keys[there[site]] for site in names}
    if any(present.get(site) != key for site, key in wanted.items()):
        with store.edit(school.id) as values:
            values[TLS_KEYS] = {**(values.get(TLS_KEYS) or {}), **wanted}
    return {site: made[there[site]] for site in names}


def certificates_there(
    workspace: "Workspace", school: "ResolvedSchool", sites: Iterable[str]
) -> dict[str, str]:
    """The certificates that were made for a school's sites, as they lie there; nothing is made or judged.

    Args:
        workspace: the municipality.
        school: the school.
        sites: its sites.

    Returns:
        the certificates as PEM text, by site, without those that are not there.
    """
    found = {}
    for site in sites:
        service = school.services[site]
        file = workspace.ca_dir / "issued" / school.id / f"{site}.pem"
        if school.is_shared(service):
            file = workspace.ca_dir / "issued" / MUNICIPALITY / f"{service.host}.{site}.pem"
        if file.is_file():
            found[site] = file.read_text(encoding="utf-8")
    return found


def certificates_due(
    workspace: "Workspace",
    school: "ResolvedSchool",
    names: Mapping[str, Sequence[str]],
    *,
    store: SecretStore,
    now: datetime.datetime | None = None,
    vault_id: str | None = None,
) -> list[str]:
    """The sites for which ``ensure_certificates`` would make a certificate; nothing is made.

    Args:
        workspace: the municipality.
        school: whose vault has the keys.
        names: host names by site.
        store: the secret store.
        now: the time, for tests; UTC.
        vault_id: whose vault has the keys, if not the school's.

    Raises:
        SecretsError: see ``ensure_certificates``.
    """
    moment = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    key, current = _authority_there(workspace, store)
    if key is None:
        store.check_place(MUNICIPALITY)
    if key is None or current is None or current.public_key() != key.public_key():
        return list(names)
    owner = vault_id or school.id
    directory = workspace.ca_dir / "issued" / owner
    present = store.load(owner).get(TLS_KEYS) or {}
    return [
        site
        for site, hostnames in names.items()
        if _kept(directory / f"{site}.pem", present.get(site), hostnames, current, moment) is None
    ]


def _authority_there(
    workspace: "Workspace", store: SecretStore
) -> "tuple[ec.EllipticCurvePrivateKey | None, x509.Certificate | None]":
    """The authority's key and certificate; None for what is not there yet.

    Raises:
        SecretsError: one of both is damaged, or the key is lost.
    """
    from cryptography import x509

    path = workspace.ca_dir / "ca.pem"
    stored = store.load(MUNICIPALITY).get(CA_KEY)
    if stored is None and path.exists():
        raise SecretsError(
            f"There is an authority in {path}, but its key is not in {store.path(MUNICIPALITY)}.",
            f"Bring the vault file back from version control. If the key is lost for good, remove {path}: a "
            "new authority is made, and every computer has to trust it anew.",
        )
    if stored is None:
        return None, None
    key = _load_key(stored)
    if key is None:
        raise SecretsError(
            f"“{CA_KEY}” in {store.path(MUNICIPALITY)} is no ECDSA private key.",
            "Bring the vault file back from version control.",
        )
    if not path.exists():
        return key, None
    try:
        return key, x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise SecretsError(
            f"The authority's certificate {path} is damaged.",
            f"Bring it back from version control: git checkout -- {path}",
        ) from error


def _ensure_authority(
    workspace: "Workspace", store: SecretStore, names: Mapping[str, Sequence[str]], moment: datetime.datetime
) -> "tuple[x509.Certificate, ec.EllipticCurvePrivateKey]":
    from cryptography.hazmat.primitives.asymmetric import ec

    path = workspace.ca_dir / "ca.pem"
    key, current = _authority_there(workspace, store)
    if key is None:
        with store.edit(MUNICIPALITY) as values:
            # Another process may have been faster.
            values.setdefault(CA_KEY, _key_pem(ec.generate_private_key(ec.SECP256R1())))
        key, current = _authority_there(workspace, store)
    assert key is not None  # noqa: S101 - it has just been written
    wanted = [host for hosts in names.values() for host in hosts]
    wanted += [item.domain for item in workspace.schools.values()]
    if current is not None and current.public_key() == key.public_key():
        permitted = _permitted(current)
        left = current.not_valid_after_utc - moment
        if left > datetime.timedelta(days=LEAF_DAYS + RENEW_DAYS) and all(
            _covers(permitted, name) for name in wanted
        ):
            return current, key
        # Same key and name, so that what was trusted stays trusted; and no name is ever taken away.
        certificate = _authority(current.subject, key, [*permitted, *wanted], moment)
    else:
        certificate = _authority(_subject(workspace.municipality.name, key), key, wanted, moment)
    _write_public(path, _pem(certificate))
    return certificate, key


def _subject(municipality: str, key: "ec.EllipticCurvePrivateKey") -> "x509.Name":
    from cryptography import x509

    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    # RFC 5280, appendix A: at most 64 characters each.
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, municipality[:64]),
            x509.NameAttribute(
                x509.NameOID.COMMON_NAME, f"{municipality[:36].strip()} internal authority {mark}"
            ),
        ]
    )


def _authority(
    subject: "x509.Name", key: "ec.EllipticCurvePrivateKey", names: Iterable[str], moment: datetime.datetime
) -> "x509.Certificate":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    every_address = [x509.IPAddress(ipaddress.ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(moment + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .add_extension(
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(name) for name in _shortest(names)],
                excluded_subtrees=every_address,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )


def _issue(
    hostnames: Sequence[str],
    authority: "x509.Certificate",
    authority_key: "ec.EllipticCurvePrivateKey",
    moment: datetime.datetime,
) -> "tuple[x509.Certificate, str]":
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        # The names stand in the alternative names alone (RFC 9525, 2); a common name may not be as long as
        # they are.
        .subject_name(x509.Name([]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(min(moment + datetime.timedelta(days=LEAF_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # Critical because the subject is empty (RFC 5280, 4.2.1.6).
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in hostnames]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, _key_pem(key)


def _kept(
    path: Path,
    key_pem: object,
    hostnames: Sequence[str],
    authority: "x509.Certificate",
    moment: datetime.datetime,
) -> "x509.Certificate | None":
    """The certificate that is there, or None when a new one is due."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    key = _load_key(key_pem)
    if key is None or not path.exists():
        return None
    try:
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return None
    same_names = set(names.get_values_for_type(x509.DNSName)) == set(hostnames)
    long_enough = leaf.not_valid_after_utc - moment >= datetime.timedelta(days=RENEW_DAYS)
    return leaf if same_names and long_enough and leaf.public_key() == key.public_key() else None


def _key_usage(*, signs_certificates: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: "ec.EllipticCurvePrivateKey") -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _load_key(pem: object) -> "ec.EllipticCurvePrivateKey | None":
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(pem, str):
        return None
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _pem(certificate: "x509.Certificate") -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _permitted(certificate: "x509.Certificate") -> list[str]:
    from cryptography import x509

    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    return [name.value for name in constraints.permitted_subtrees or [] if isinstance(name, x509.DNSName)]


def _covers(permitted: Iterable[str], name: str) -> bool:
    return any(name == domain or name.endswith(f".{domain}") for domain in permitted)


def _shortest(names: Iterable[str]) -> list[str]:
    """The names without those that lie below another one."""
    unique = sorted(set(names), key=lambda name: (name.count("."), name))
    kept: list[str] = []
    for name in unique:
        if not _covers(kept, name):
            kept.append(name)
    return sorted(kept)


def _write_public(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode(), mode=0o644)
    except OSError as error:
        raise SecretsError(
            f"The certificate {path} cannot be written: {error.strerror}.",
            "Free some space or mend the permissions, then try again.",
        ) from error
