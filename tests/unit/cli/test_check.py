"""``provision check`` and ``provision inventory`` by the commands themselves."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from provision.cli.main import app
from provision.cli.report import checks_table
from provision.engine import checking
from provision.engine.preflight import Check
from provision.errors import UsageError
from provision.model import Workspace
from provision.secrets import SecretStore
from provision.secrets.ca import ensure_certificates
from tests.unit.engine.test_checking import available, city, tree

__all__ = ["city"]

ROWS = [
    Check("files", "escola.yml", "ok", "2 services on 1 host"),
    Check(
        "artifacts",
        "moodle",
        "problem",
        "moodle-latest-405.tgz is not in /home/tic/.cache/provision/artifacts, and upstream offers no download",
        "put moodle-latest-405.tgz into a directory and name it with --mirror DIR",
    ),
]


def shown(width: int, *, terminal: bool) -> str:
    screen = io.StringIO()
    checks_table(
        ROWS, Console(file=screen, width=width, force_terminal=terminal, color_system=None, highlight=False)
    )
    return screen.getvalue()


def test_in_a_pipe_each_sentence_is_one_line_without_padding() -> None:
    lines = shown(1000, terminal=False).splitlines()
    assert lines == [
        "✓ files: escola.yml  2 services on 1 host",
        f"✗ artifacts: moodle  {ROWS[1].found}",
        f"                     → {ROWS[1].remedy}",
    ]


@pytest.mark.parametrize("width", [60, 100])
def test_on_a_terminal_sentences_are_folded_and_names_are_not(width: int) -> None:
    text = shown(width, terminal=True)
    assert "moodle-latest-405.tgz" in text
    assert "/home/tic/.cache/provision/artifacts," in text
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) < 10


def test_check_says_in_a_lab_what_plan_and_apply_want_to_be_told(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, "nobody knows the name")
    file = city.path / "municipality.yml"
    file.write_text(file.read_text() + "lab: true\n")
    done = CliRunner().invoke(app, ["check", "escola", "-w", str(city.path)])
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(
        "Ready.\nescola without adeu, hello: provision apply escola --skip-unavailable\n"
    )


def test_check_by_its_command_changes_nothing_and_repeats_nothing(
    city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, "nobody knows the name")
    before = tree(tmp_path)
    done = CliRunner().invoke(app, ["check", "escola", "escola", "-w", str(city.path)])
    assert done.exit_code == 3
    assert tree(tmp_path) == before
    assert done.stdout.count("artifacts: hello") == 1
    assert "workspace:" not in done.stdout


def test_an_inventory_needs_no_source_no_vault_and_changes_nothing(
    city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nobody is asked")

    monkeypatch.setattr("provision.artifacts.availability.Prober.repositories", refuse)
    monkeypatch.setattr("provision.secrets.passwords.VaultPasswords.find", refuse)
    before = tree(tmp_path)
    done = CliRunner().invoke(app, ["inventory", "--list", "-w", str(city.path)])
    assert done.exit_code == 0, done.output
    assert tree(tmp_path) == before
    document = json.loads(done.stdout)
    host = document["_meta"]["hostvars"]["escola.main"]
    assert [part["role"] for part in host["provision_roles"]][-3:-1] == ["adeu", "hello"]
    assert all("certificate" not in item for item in host["tls_certificates"])
    assert "escola: hello has no certificate yet: the first plan or apply makes it" in done.stderr
    assert "escola: there is no vault file yet" in done.stderr


def test_an_inventory_has_the_certificates_that_were_made(city: Workspace) -> None:
    school = city.school("escola")
    store = SecretStore(city)
    store.ensure(school, [service.definition for service in school.services.values()])
    names = {service.id: [service.hostname] for service in school.services.values()}
    made = ensure_certificates(city, school, names, store=store)
    done = CliRunner().invoke(app, ["inventory", "--host", "escola.main", "-w", str(city.path)])
    found = {item["name"]: item["certificate"] for item in json.loads(done.stdout)["tls_certificates"]}
    assert found == made
    assert "vault" not in done.stderr


@pytest.mark.parametrize(
    ("host", "remedy"),
    [("main", "Did you mean: escola.main?"), ("escola.mian", 'Did you mean "escola.main"?')],
)
def test_an_unknown_host_is_refused_with_the_one_that_was_meant(
    city: Workspace, host: str, remedy: str
) -> None:
    done = CliRunner().invoke(app, ["inventory", "--host", host, "-w", str(city.path)])
    assert isinstance(done.exception, UsageError)
    assert done.exception.exit_code == 2
    assert done.exception.remedy == remedy


def test_all_schools_are_looked_at_and_printed_in_their_order(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, None)
    file = city.path / "schools" / "escola.yml"
    for name in ("alfa", "beta"):
        text = file.read_text().replace("escola.test", f"{name}.test")
        number = {"alfa": "11", "beta": "12"}[name]
        (file.parent / f"{name}.yml").write_text(text.replace("192.0.2.10", f"192.0.2.{number}"))
    done = CliRunner().invoke(app, ["check", "beta", "escola", "alfa", "-w", str(city.path)])
    assert done.exit_code == 0, done.output
    heads = [line for line in done.stdout.splitlines() if line in ("alfa", "beta", "escola")]
    assert heads == ["beta", "escola", "alfa"]
    assert checking.AT_ONCE > 1
