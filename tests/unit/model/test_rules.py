"""What single values may be."""

import base64
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from provision.model import rules

RULES = (
    rules.line_of_text,
    rules.email,
    rules.hostname,
    rules.address,
    rules.jump,
    rules.network,
    rules.timezone,
    rules.locale_name,
    rules.ssh_public_key,
    rules.url,
)


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def key(kind: str, *parts: bytes) -> str:
    return f"{kind} {base64.b64encode(b''.join(map(string, (kind.encode(), *parts)))).decode()} name@place"


@pytest.mark.parametrize(
    ("rule", "value", "taken"),
    [
        (rules.address, "192.0.2.10", "192.0.2.10"),
        (rules.address, "2001:DB8:0::10", "2001:db8::10"),
        (rules.address, "Server.Escola-Mar.example", "server.escola-mar.example"),
        (rules.address, "localhost", "localhost"),
        (rules.hostname, "pad.escola-mar.cat", "pad.escola-mar.cat"),
        (rules.hostname, "xn--vdeo-vpa.escola-mar.cat", "xn--vdeo-vpa.escola-mar.cat"),
        (rules.jump, "pont.example.org", "pont.example.org"),
        (rules.jump, "tic@192.0.2.1:2222", "tic@192.0.2.1:2222"),
        (rules.jump, "tic@[2001:db8::1]:22", "tic@[2001:db8::1]:22"),
        (rules.jump, "2001:db8::1", "2001:db8::1"),
        (rules.network, "192.0.2.0/24", "192.0.2.0/24"),
        (rules.network, "2001:db8::1", "2001:db8::1"),
        (rules.timezone, "Atlantic/Canary", "Atlantic/Canary"),
        (rules.locale_name, "ca_ES.UTF-8", "ca_ES.UTF-8"),
        (rules.locale_name, "ca_ES.UTF-8@valencia", "ca_ES.UTF-8@valencia"),
        (rules.locale_name, "C.UTF-8", "C.UTF-8"),
        (rules.email, " tic@vilaprova.cat ", "tic@vilaprova.cat"),
        (rules.line_of_text, "  Escola  ", "Escola"),
        (rules.url, "https://acme.example.org:14000/dir", "https://acme.example.org:14000/dir"),
    ],
)
def test_good_values_are_taken_and_tidied_up(rule: Callable[[str], str], value: str, taken: str) -> None:
    assert rule(value) == taken


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (rules.hostname, "pad.escola-mar.cat\n"),
        (rules.jump, "tic\n@pont.example.org"),
        (rules.jump, "tic@pont.example.org\n:22"),
        (rules.locale_name, "ca_ES.UTF-8\n"),
        (rules.locale_name, "ca_ES.UTF-8@valencia\n"),
        (rules.url, "https://acme.example.org/dir\n"),
        (rules.timezone, "Europe/Madrid\n"),
    ],
)
def test_a_line_break_behind_a_value_does_not_slip_through(rule: Callable[[str], str], value: str) -> None:
    with pytest.raises(PydanticCustomError):
        rule(value)


@pytest.mark.parametrize(
    ("rule", "value", "remedy"),
    [
        (
            rules.address,
            "root@192.0.2.20:22",
            'Each goes in a line of its own: address: "192.0.2.20", user: root and port: 22.',
        ),
        (rules.hostname, "https://Docs.Escola.example:8443/x", 'Write only the name: "docs.escola.example".'),
        (rules.hostname, "a" * 64 + ".example", ""),
        (rules.hostname, "docs.escola.example.", 'Did you mean "docs.escola.example"?'),
        (rules.locale_name, "ca", 'Did you mean "ca_ES.UTF-8"?'),
        (rules.locale_name, "ca_ES.ISO-8859-1", 'Did you mean "ca_ES.UTF-8"?'),
        (rules.locale_name, "ca-ES.utf8", 'Did you mean "ca_ES.UTF-8"?'),
        (rules.locale_name, "en_ES.UTF-8", 'Did you mean "en_GB.UTF-8"?'),
        (rules.timezone, "europe/madrid", 'Did you mean "Europe/Madrid"?'),
        (rules.timezone, "../../etc/passwd", 'Such as "Europe/Madrid" or "Atlantic/Canary".'),
        (rules.network, "192.0.2.7/24", 'Did you mean "192.0.2.0/24"?'),
    ],
)
def test_a_wrong_value_says_what_was_probably_meant(
    rule: Callable[[str], str], value: str, remedy: str
) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        rule(value)
    context = caught.value.context
    assert context is not None
    assert context["remedy"] == remedy


@pytest.mark.parametrize(
    "value",
    [
        key("ssh-ed25519", b"k" * 32),
        key("ecdsa-sha2-nistp256", b"nistp256", b"k" * 65),
        key("ssh-rsa", b"\1\0\1", b"\0" + b"\x80" + b"k" * 255),
        key("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
    ],
    ids=["ed25519", "ecdsa", "rsa", "token"],
)
def test_public_keys_of_today_are_taken(value: str) -> None:
    assert rules.ssh_public_key(value) == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (key("ssh-rsa", b"\1\0\1", b"\0" + b"\x80" + b"k" * 127), "weak-ssh-key"),
        (key("ssh-dss", b"x"), "weak-ssh-key"),
        (key("ssh-ed25519", b"k" * 32)[:40], "bad-ssh-key"),
        (key("ssh-ed25519"), "bad-ssh-key"),
        (key("ssh-rsa", b"\1\0\1"), "bad-ssh-key"),
        (key("ssh-rsa", b"x", b"y").replace("ssh-rsa", "ssh-ed25519"), "bad-ssh-key"),
        ("ssh-ed25519 not*base64 name", "bad-ssh-key"),
        ("~/.ssh/id_ed25519.pub", "bad-ssh-key"),
        (f"{key('ssh-ed25519', b'k' * 32)}\n{key('ssh-ed25519', b'k' * 32)}", "bad-ssh-key"),
    ],
)
def test_keys_that_a_server_would_refuse_are_refused_here(value: str, code: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        rules.ssh_public_key(value)
    context = caught.value.context
    assert context is not None
    assert context["code"] == code


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@given(value=st.text(max_size=40) | st.text("ab.:/@[]%-_0129 \n", max_size=40))
@example(value="::%\n0")
def test_a_rule_takes_any_text_or_refuses_it_and_takes_its_own_result(
    rule: Callable[[str], str], value: str
) -> None:
    try:
        taken = rule(value)
    except PydanticCustomError as error:
        assert error.context is not None
        assert error.context["message"]
    else:
        assert rule(taken) == taken
        assert "\n" not in taken


def test_words_are_guessed_by_likeness_and_without_regard_to_case_and_hyphens() -> None:
    assert rules.meant("nextclud", ["moodle", "nextcloud"]) == "nextcloud"
    assert rules.meant("Max-Import_MB", ["max_import_mb"]) == "max_import_mb"
    assert rules.meant("xyz", ["moodle"]) == ""
    assert rules.did_you_mean("xyz", []) == ""
