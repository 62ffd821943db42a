"""No secret survives redaction, in whatever form a tool wrote it."""

import base64
import html
import json
import shlex
import urllib.parse

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.secrets.redact import SHORTEST, Redactor
from provision.text import printable

#: A busy machine is no fault of the code.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET_TEXT = st.text(min_size=SHORTEST, max_size=40).filter(lambda text: len(text.strip()) >= SHORTEST)
HOSTILE = st.text(alphabet="ab'\"\\/ %+&<\n‹›secrt:*", min_size=SHORTEST, max_size=12).filter(
    lambda text: len(text.strip()) >= SHORTEST and len(text.splitlines()) == 1
)
ONE_LINE = SECRET_TEXT.filter(lambda text: len(text.splitlines()) == 1)
AROUND = st.text(max_size=20)


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), ONE_LINE | HOSTILE, min_size=1, max_size=6), st.data()
)
@CALM
def test_no_secret_survives_as_it_is(values, data):
    pieces = data.draw(st.lists(AROUND | st.sampled_from(sorted(values.values())), max_size=12))
    clean = Redactor(values).text("".join(pieces))
    for value in values.values():
        assert value not in clean


@given(ONE_LINE | HOSTILE, AROUND, AROUND)
@settings(CALM, max_examples=300)
def test_no_secret_survives_in_the_quoting_of_a_tool(value, before, after):
    redact = Redactor({"name": value})
    whole = before + value + after
    forms = {
        "json": json.dumps(value)[1:-1],
        "json in json": json.dumps(json.dumps(value)[1:-1])[1:-1],
        "json utf-8": json.dumps(value, ensure_ascii=False)[1:-1],
        "repr": repr(value)[1:-1],
        "shell": shlex.quote(value),
        "url": urllib.parse.quote(value, safe=""),
        "form": urllib.parse.quote_plus(value),
        "html": html.escape(value),
        "base64": base64.b64encode(value.encode()).decode().rstrip("="),
        "urlsafe": base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
        "hex": value.encode().hex(),
    }
    for form, written in forms.items():
        assert written not in redact.text(f"{before}{written}{after}"), form
    assert value not in json.loads(json.dumps(redact.data({"a": [whole], whole: 1})))
    assert value not in repr(redact.data({"a": [whole], whole: (1, {"b": whole})}))


@given(
    st.text(alphabet="abcXYZ019-_+/ñ", min_size=12, max_size=60), st.binary(max_size=7), st.binary(max_size=7)
)
@CALM
def test_base64_of_a_text_that_holds_the_secret_is_cut_out(value, before, after):
    coded = base64.b64encode(before + value.encode() + after).decode()
    clean = Redactor({"name": value}).text(coded)
    assert "‹secret:name›" in clean
    left = clean.replace("‹secret:name›", "")
    # What is left is what stands before and after, and the characters that it shares with the ends of the
    # secret.
    assert len(left) <= len(coded) - (len(value.encode()) * 8 // 6 - 2)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@CALM
def test_data_without_secrets_comes_back_as_it_was(value):
    assert Redactor({"name": "\x00never in a text\x00"}).data(value) == value


def test_the_mark_names_the_secret():
    redact = Redactor({"pad_api_key": "0123456789abcdef", "tls_private_keys": {"pad": "hunter2hunter2"}})
    assert redact.text("key=0123456789abcdef, hunter2hunter2") == (
        "key=‹secret:pad_api_key›, ‹secret:tls_private_keys.pad›"
    )


def test_values_without_names_are_marked_as_well():
    assert Redactor(["hunter2hunter2"]).text("x hunter2hunter2 y") == "x ‹secret› y"


def test_the_longest_secret_wins_where_one_holds_another():
    redact = Redactor({"short": "hunter2", "long": "hunter2hunter2"})
    assert redact.text("hunter2hunter2 hunter2") == "‹secret:long› ‹secret:short›"


def test_a_secret_called_like_its_own_value_does_not_survive_in_its_mark():
    assert "secret" not in Redactor({"secret": "secret"}).text("my secret is safe")


def test_what_is_too_short_stays_readable():
    assert Redactor({"pin": "12345"}).text("12345") == "12345"


def test_numbers_that_are_secrets_are_taken_out_of_data():
    assert Redactor({"pin": 12345678}).data({"n": 12345678, "m": 12, "flag": True}) == {
        "n": "‹secret:pin›",
        "m": 12,
        "flag": True,
    }


def test_keys_that_become_equal_keep_both_values():
    redact = Redactor({"a": "hunter2hunter2", "b": ""})
    clean = redact.data({"hunter2hunter2": 1, "‹secret:a›": 2})
    assert sorted(clean.values()) == [1, 2]


def test_bytes_and_sets_are_gone_through():
    redact = Redactor({"a": "hunter2hunter2"})
    assert redact.data([b"\xff hunter2hunter2", {"hunter2hunter2"}]) == [
        b"\xff " + "‹secret:a›".encode(),
        ["‹secret:a›"],
    ]


@pytest.fixture(scope="module")
def pem() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def test_no_line_of_a_private_key_survives_however_it_is_cut(pem):
    redact = Redactor({"tls_private_keys": {"pad": pem}})
    lines = [line for line in pem.splitlines() if not line.startswith("-----")]
    written = {
        "whole": pem,
        "yaml": yaml.safe_dump({"a": {"key": pem}}),
        "block": yaml.dump({"a": {"key": pem}}, default_style="|"),
        "json": json.dumps({"key": pem}),
        "diff": "\n".join(f"+    {line}" for line in pem.splitlines()),
        "one": lines[1],
        "base64": base64.b64encode(f"key: {pem}".encode()).decode(),
    }
    for form, text in written.items():
        clean = redact.text(text)
        assert "‹secret:tls_private_keys.pad›" in clean, form
        for line in lines:
            assert line not in clean, form
            assert base64.b64encode(line.encode()).decode()[2:-4] not in clean, form


def test_the_frame_of_a_private_key_is_no_secret(pem):
    assert Redactor({"key": pem}).text("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_a_large_text_with_many_secrets_is_clean():
    secrets = {f"name_{number}": f"{number:04d}-hunter2-{number * 7919 % 10007:05d}" for number in range(300)}
    text = (
        "\n".join(f"line {number} {value} {'x' * 500}" for number, value in enumerate(secrets.values())) * 10
    )
    clean = Redactor(secrets).text(text)
    assert clean.count("‹secret:") == 3000
    assert "hunter2" not in clean


def test_without_secrets_nothing_changes():
    assert Redactor({}).text("as it was") == "as it was"


def test_a_secret_with_control_characters_is_found_in_text_that_was_made_printable():
    secret = "first\x1bsecond\rthird"
    assert Redactor({"key": secret}).text(printable(f"it is {secret}.")) == "it is ‹secret:key›."
