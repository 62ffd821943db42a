"""The commands around secrets: names for everybody, values only when asked for."""

import json
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail
from typer.testing import CliRunner

from provision.cli.secrets import app
from provision.errors import RefusedError, SecretsError, UsageError

MUNICIPALITY = """\
schema: 1
id: vila
name: Vila
contact: {name: TIC, email: tic@vila.example}
data_protection_officer: {name: DPD, email: dpd@vila.example}
tls: {mode: internal}
vault: {keys: .state/keys}
"""
SCHOOL = """\
schema: 1
name: Escola Mar
domain: escola-mar.example
hosts:
  main: {address: 192.0.2.1, user: admin, become_password: true}
services:
  sixth: {hostname: pad.escola-mar.example}
"""
SERVICE = """\
schema: 1
id: sixth
title: {ca: Sis, es: Seis, en: Six}
systems: [debian-12]
resources: {memory_mb: 1, disk_mb: 1}
secrets:
  - {name: sixth_key, kind: hex, length: 32, why: for the other services}
releases:
  - {version: "1", sources: [{kind: apt, packages: [six]}]}
"""


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PROVISION_VAULT_CLIENT", "PROVISION_VAULT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROVISION_PERSON", "Mireia Ferrer")
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    for name, text in {
        "municipality.yml": MUNICIPALITY,
        "schools/escola-mar.yml": SCHOOL,
        "roles/sixth/service.yml": SERVICE,
        "roles/sixth/defaults/main.yml": "---\n{}\n",
        "roles/sixth/meta/argument_specs.yml": "---\nargument_specs: {main: {options: {}}}\n",
    }.items():
        path = tmp_path / "city" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("PROVISION_WORKSPACE", str(tmp_path / "city"))
    yield tmp_path / "city"
    keyring.set_keyring(before)


def run(*arguments: str, text: str | None = None):
    return CliRunner().invoke(app, list(arguments), input=text)


def value(name: str) -> str:
    return run("show", "escola-mar", name, "--reveal").stdout


def test_show_names_secrets_and_what_each_is_for_but_no_value(city):
    run("rotate", "escola-mar", "--all", "--yes")
    shown = run("show", "escola-mar")
    assert shown.exit_code == 0
    for part in ("sixth_key", "for the other services", "kept", "host_main_become_password", "sudo as admin"):
        assert part in shown.stdout
    assert value("sixth_key").strip() not in shown.stdout
    assert value("sixth_key").strip() not in run("show", "escola-mar", "--json").stdout


def test_reveal_prints_the_value_alone_and_a_warning_aside(city):
    run("rotate", "escola-mar", "--all", "--yes")
    shown = run("show", "escola-mar", "sixth_key", "--reveal")
    assert len(shown.stdout) == 33
    assert "in clear" in shown.stderr


def test_json_has_values_only_with_reveal(city):
    run("rotate", "escola-mar", "--all", "--yes")
    plain = json.loads(run("show", "escola-mar", "--json").stdout)
    clear = json.loads(run("show", "escola-mar", "--json", "--reveal").stdout)
    assert plain["schema"] == "provision/secrets/v1"
    assert [item["name"] for item in plain["secrets"]] == ["sixth_key", "host_main_become_password"]
    assert "value" not in plain["secrets"][0]
    assert clear["secrets"][0]["value"] == value("sixth_key").strip()


def test_show_of_an_unknown_name_lists_the_known_ones(city):
    shown = run("show", "escola-mar", "nonsense")
    assert isinstance(shown.exception, UsageError)
    assert "sixth_key" in shown.exception.remedy


def test_rotate_replaces_and_says_what_comes_next(city):
    run("rotate", "escola-mar", "--all", "--yes")
    before = value("sixth_key")
    done = run("rotate", "escola-mar", "sixth_key", "--yes")
    assert "provision apply escola-mar" in done.stdout
    assert value("sixth_key") != before


def test_rotate_takes_a_service_for_all_of_its_secrets(city):
    run("rotate", "escola-mar", "--all", "--yes")
    before = value("sixth_key")
    done = run("rotate", "escola-mar", "sixth", "--yes")
    assert "Replaced: sixth_key" in done.stdout
    assert value("sixth_key") != before


@pytest.mark.parametrize("arguments", [[], ["sixth_key", "--all"]])
def test_rotate_wants_names_or_all(city, arguments):
    assert isinstance(run("rotate", "escola-mar", *arguments).exception, UsageError)


def test_rotate_does_not_replace_what_nobody_confirmed(city):
    run("rotate", "escola-mar", "--all", "--yes")
    before = value("sixth_key")
    done = run("rotate", "escola-mar", "sixth_key")
    assert isinstance(done.exception, UsageError)
    assert "sixth_key: used by sixth" in done.stderr
    assert value("sixth_key") == before


def test_rotate_keeps_what_came_from_outside(city):
    run("set", "escola-mar", "host_main_become_password", text="sudo canary\n")
    run("rotate", "escola-mar", "--all", "--yes")
    assert value("host_main_become_password") == "sudo canary\n"
    done = run("rotate", "escola-mar", "host_main_become_password", "--yes")
    assert isinstance(done.exception, SecretsError)


def test_set_reads_standard_input_and_never_prints_it(city):
    done = run("set", "escola-mar", "host_main_become_password", text="sudo canary\n")
    assert done.exit_code == 0
    assert "canary" not in done.output
    assert value("host_main_become_password") == "sudo canary\n"


def test_set_asks_before_a_name_that_nobody_uses(city):
    done = run("set", "escola-mar", "host_mian_become_password", text="x\n")
    assert 'Did you mean "host_main_become_password"?' in done.stderr
    assert isinstance(done.exception, UsageError)
    assert not (city / "secrets").exists()
    assert run("set", "escola-mar", "host_mian_become_password", "--yes", text="x\n").exit_code == 0
    assert value("host_mian_become_password") == "x\n"


def test_set_guesses_at_a_name_that_nobody_declares(city):
    refused = run("set", "escola-mar", "sixth_kye", text="x\n").exception
    assert isinstance(refused, UsageError)
    assert 'Did you mean "sixth_key"?' in refused.remedy


def test_rotate_looks_at_the_names_before_it_asks(city):
    done = run("rotate", "escola-mar", "sixth_kye")
    assert isinstance(done.exception, SecretsError)
    assert done.exception.remedy == 'Did you mean "sixth_key"?'
    assert "used by" not in done.stderr


def test_remove_takes_away_what_nobody_uses_and_nothing_else(city):
    run("rotate", "escola-mar", "--all", "--yes")
    run("set", "escola-mar", "host_old_become_password", "--yes", text="x\n")
    assert isinstance(run("remove", "escola-mar", "host_old_become_password").exception, UsageError)
    for name in ("sixth_key", "host_main_become_password", "tls_private_keys", "nonsense"):
        assert isinstance(run("remove", "escola-mar", name, "--yes").exception, UsageError)
    assert run("remove", "escola-mar", "host_old_become_password", "--yes").exit_code == 0
    assert "host_old" not in run("show", "escola-mar").stdout
    assert len(value("sixth_key")) == 33


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "escola-mar", "sixth_key", "--reveal"),
        ("rotate", "escola-mar", "sixth_key", "--yes"),
        ("set", "escola-mar", "host_main_become_password"),
        ("remove", "escola-mar", "host_old_become_password", "--yes"),
    ],
)
def test_a_shared_account_neither_sees_nor_changes_a_secret(city, monkeypatch, arguments):
    run("rotate", "escola-mar", "--all", "--yes")
    outbox = city / "audit" / "escola-mar" / "outbox.jsonl"
    before = outbox.read_bytes(), (city / "secrets" / "escola-mar.yml").read_bytes()
    monkeypatch.setenv("PROVISION_PERSON", "root")
    done = run(*arguments, text="x\n")
    assert isinstance(done.exception, RefusedError)
    assert done.stdout == ""
    assert (outbox.read_bytes(), (city / "secrets" / "escola-mar.yml").read_bytes()) == before


def test_an_entry_that_is_on_this_machine_only_is_said_to_be(city):
    assert "provision audit sync escola-mar" in run("rotate", "escola-mar", "--all", "--yes").stderr
    assert "provision audit sync escola-mar" in run("show", "escola-mar", "sixth_key", "--reveal").stderr


@pytest.mark.parametrize(("name", "text"), [("sixth_key", "\n"), ("tls_private_keys", "x\n")])
def test_set_refuses_nothing_and_the_keys_of_certificates(city, name, text):
    assert isinstance(run("set", "escola-mar", name, text=text).exception, UsageError)
    assert not (city / "secrets").exists()


def test_a_value_that_does_not_exist_yet_is_said_to_be_missing(city):
    shown = run("show", "escola-mar", "sixth_key", "--reveal")
    assert isinstance(shown.exception, UsageError)
    assert "comes with the next plan" in run("show", "escola-mar").stdout
