"""What the role tls promises about every certificate on the server. Nothing is changed."""

import re

import pytest


@pytest.fixture(scope="module")
def certificates(host):
    found = host.check_output(
        "find /etc/provision/tls -mindepth 2 -name fullchain.pem -exec dirname {} +"
    ).split()
    assert found
    return found


def test_private_keys_are_for_root_alone(host, certificates):
    for place in certificates:
        key = host.file(f"{place}/key.pem")
        assert (key.user, key.group, key.mode) == ("root", "root", 0o600)
    readable = host.check_output(
        r"find /etc/provision/tls /etc/letsencrypt -name '*key*' -perm /077 -type f 2>/dev/null || true"
    )
    assert readable == ""


def test_what_the_administrator_sent_is_for_root_alone(host):
    staged = host.file("/etc/provision/tls/staged")
    if staged.exists:
        assert (staged.user, staged.mode) == ("root", 0o700)
        assert host.check_output("find /etc/provision/tls/staged -type f -perm /077") == ""


def test_each_key_belongs_to_its_certificate(host, certificates):
    for place in certificates:
        of_key = host.check_output(f"openssl pkey -pubout -in {place}/key.pem")
        of_certificate = host.check_output(f"openssl x509 -pubkey -noout -in {place}/fullchain.pem")
        assert of_key == of_certificate


def test_no_certificate_is_over(host, certificates):
    for place in certificates:
        host.check_output(f"openssl x509 -checkend 86400 -noout -in {place}/fullchain.pem")


def test_each_chain_holds_together(host, certificates):
    for place in certificates:
        chain = host.file(f"{place}/fullchain.pem").content_string
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----", chain)
        assert blocks
        if len(blocks) > 1:
            host.check_output(
                f"openssl verify -partial_chain -trusted {place}/fullchain.pem {place}/fullchain.pem"
            )


def install_wrong(host, bundle, hostname):
    """Has the program look at a bundle, staged under a name that nobody uses; nothing is put in place."""
    if not host.file("/etc/provision/tls/staged").exists:
        pytest.skip("certificates come from an authority here")
    staged = "/etc/provision/tls/staged/verify-wrong.pem"
    return host.run(
        f"umask 077; {{ {bundle}; }} > {staged}; "
        f"provision-tls install --check verify-wrong={hostname}; code=$?; rm {staged}; exit $code"
    )


def test_a_wrong_key_is_refused_in_plain_words(host, certificates):
    bundle = f"openssl genpkey -algorithm ED25519; cat {certificates[0]}/fullchain.pem"
    said = install_wrong(host, bundle, "pad.example.test")
    assert said.rc == 1
    assert "does not belong" in said.stderr


def test_a_wrong_name_is_refused_in_plain_words(host, certificates):
    bundle = f"cat {certificates[0]}/key.pem {certificates[0]}/fullchain.pem"
    said = install_wrong(host, bundle, "other.example.org")
    assert said.rc == 1
    assert "is not good for other.example.org" in said.stderr
