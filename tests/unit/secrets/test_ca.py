"""The municipality's own authority: its certificates hold before real TLS software, and it renews them in
time."""

import datetime
import socket
import ssl
import subprocess
import threading
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from provision.errors import SecretsError
from provision.secrets.ca import BACKDATED, CA_KEY, ensure_certificates

NAMES = {"pad": ["pad.escola-mar.example"], "web": ["escola-mar.example", "www.escola-mar.example"]}
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def issue(place, names=NAMES, days=0):
    return ensure_certificates(place.workspace, place.school, names, now=NOW + datetime.timedelta(days=days))


def keys(place) -> dict[str, str]:
    return place.store.load("escola-mar")["tls_private_keys"]


def authority(place) -> x509.Certificate:
    return x509.load_pem_x509_certificate((place.workspace.ca_dir / "ca.pem").read_bytes())


def handshake(place, certificate: str, key: str, hostname: str, trust: str) -> str:
    """Let Python's own TLS client judge the certificate; the peer's answer or the reason for refusal."""
    chain = place.workspace.path / "server.pem"
    chain.write_text(certificate + key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(b"hello")
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cadata=trust)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        with client.wrap_socket(ours, server_hostname=hostname) as connection:
            return connection.recv(5).decode()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        ours.close()
        thread.join()


def test_a_strict_tls_client_accepts_the_certificate_for_its_names_only(place):
    made = issue(place)
    trust = (place.workspace.ca_dir / "ca.pem").read_text()
    for site, hostnames in NAMES.items():
        for hostname in hostnames:
            assert handshake(place, made[site], keys(place)[site], hostname, trust) == "hello"
    assert "mismatch" in handshake(place, made["pad"], keys(place)["pad"], "escola-mar.example", trust)


def test_openssl_accepts_the_chain(place):
    made = issue(place)
    leaf = place.workspace.path / "leaf.pem"
    leaf.write_text(made["pad"])
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *(
                "-verify_hostname",
                "pad.escola-mar.example",
                "-CAfile",
                place.workspace.ca_dir / "ca.pem",
                leaf,
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_authority_is_worth_nothing_for_other_peoples_names(place):
    # The model would not let such a host name through; the key in wrong hands would not ask the model.
    issue(place)
    trust = (place.workspace.ca_dir / "ca.pem").read_text()
    made = issue(place, {"bank": ["www.bank.example"]})
    stolen = handshake(place, made["bank"], keys(place)["bank"], "www.bank.example", trust)
    assert "permitted subtree violation" in stolen


def test_the_extensions_are_what_the_rfc_asks_for(place):
    leaf = x509.load_pem_x509_certificate(issue(place)["pad"].encode())
    ca = authority(place)
    ca_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    leaf_issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert ca.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf_issuer.key_identifier == ca_id.key_identifier
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf.not_valid_before_utc == NOW - BACKDATED
    assert leaf.not_valid_after_utc - NOW == datetime.timedelta(days=397)
    assert leaf.serial_number != ca.serial_number


def test_private_keys_are_in_the_vaults_alone(place):
    issue(place)
    written = [*keys(place).values(), place.store.load("municipality")[CA_KEY]]
    assert len(written) == 3
    for pem in written:
        body = pem.splitlines()[1]
        for path in place.workspace.path.rglob("*"):
            assert not path.is_file() or body not in path.read_text()


def test_a_second_call_changes_nothing(place):
    first = issue(place)
    before = {path: path.read_bytes() for path in place.workspace.path.rglob("*.pem")}
    second = issue(place, days=1)
    assert second == first
    assert {path: path.read_bytes() for path in place.workspace.path.rglob("*.pem")} == before


@pytest.mark.parametrize(("day", "renewed"), [(367, False), (368, True)])
def test_a_certificate_with_less_than_thirty_days_left_is_renewed(place, day, renewed):
    first = issue(place)
    old = keys(place)["pad"]
    assert (issue(place, days=day)["pad"] != first["pad"]) is renewed
    assert (keys(place)["pad"] != old) is renewed


def test_a_changed_host_name_renews_that_certificate_alone(place):
    first = issue(place)
    made = issue(place, {**NAMES, "pad": ["bloc.escola-mar.example"]})
    assert {site: made[site] != first[site] for site in made} == {"pad": True, "web": False}


def test_a_key_that_is_not_in_the_vault_any_more_renews_its_certificate(place):
    first = issue(place)
    place.store.rotate_many(place.school, ["tls_private_keys"])
    second = issue(place)
    assert all(second[site] != first[site] for site in NAMES)


def test_a_certificate_that_does_not_fit_its_key_is_renewed(place):
    first = issue(place)
    with place.store.edit("escola-mar") as values:
        values["tls_private_keys"]["pad"] = values["tls_private_keys"]["web"]
    made = issue(place)
    assert made["pad"] != first["pad"]
    public = x509.load_pem_x509_certificate(made["pad"].encode()).public_key()
    assert load_pem_private_key(keys(place)["pad"].encode(), None).public_key() == public


def test_a_new_authority_renews_every_certificate(place):
    first = issue(place)
    (place.workspace.ca_dir / "ca.pem").unlink()
    (place.workspace.secrets_dir / "municipality.yml").unlink()
    (place.keys / "municipality.key").unlink()
    second = issue(place)
    assert all(second[site] != first[site] for site in NAMES)


def test_a_new_school_widens_the_authority_and_leaves_old_certificates_and_trust_as_they_are(place):
    old = issue(place)
    old_trust = (place.workspace.ca_dir / "ca.pem").read_text()
    place.workspace.schools["escola-bosc"] = SimpleNamespace(id="escola-bosc", domain="escola-bosc.example")
    again = issue(place)
    new_trust = (place.workspace.ca_dir / "ca.pem").read_text()
    assert new_trust != old_trust
    assert again == old
    for trust in (old_trust, new_trust):
        assert handshake(place, old["pad"], keys(place)["pad"], NAMES["pad"][0], trust) == "hello"


def test_a_domain_is_never_taken_out_of_the_authority(place):
    place.workspace.schools["escola-bosc"] = SimpleNamespace(id="escola-bosc", domain="escola-bosc.example")
    issue(place)
    del place.workspace.schools["escola-bosc"]
    place.workspace.schools["nova"] = SimpleNamespace(id="nova", domain="nova.example")
    issue(place)
    names = authority(place).extensions.get_extension_for_class(x509.NameConstraints).value
    assert [name.value for name in names.permitted_subtrees] == [
        "escola-bosc.example",
        "escola-mar.example",
        "nova.example",
    ]


def test_no_certificate_outlives_the_authority(place):
    issue(place)
    made = issue(place, days=3652 - 397)
    pad = x509.load_pem_x509_certificate(made["pad"].encode())
    assert pad.not_valid_after_utc <= authority(place).not_valid_after_utc
    assert authority(place).not_valid_after_utc > NOW + datetime.timedelta(days=3652)


def test_an_authority_whose_key_is_lost_is_not_replaced_silently(place):
    issue(place)
    with place.store.edit("municipality") as values:
        del values[CA_KEY]
    with pytest.raises(SecretsError, match="its key is not in") as caught:
        issue(place)
    assert "version control" in caught.value.remedy


def test_a_lost_vault_of_the_municipality_is_not_replaced_silently(place):
    issue(place)
    (place.workspace.secrets_dir / "municipality.yml").unlink()
    with pytest.raises(SecretsError, match=r"municipality\.yml has gone"):
        issue(place)


def test_a_damaged_authority_certificate_is_named(place):
    issue(place)
    (place.workspace.ca_dir / "ca.pem").write_text("-----BEGIN nothing")
    with pytest.raises(SecretsError, match="is damaged"):
        issue(place)


def test_a_long_name_of_a_municipality_fits(place):
    place.workspace.municipality.name = "Ajuntament de " + "Sant " * 30
    issue(place)
    assert authority(place).subject
