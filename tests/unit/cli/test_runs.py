"""``provision runs``: what people see of the record."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.audit.detail import DetailStore, DetailWriter
from provision.cli.main import app
from provision.errors import ProvisionError, UsageError

HOSTILE = "\x1b]0;owned\x07\x9b2J\u202ereversed"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with one run, whose record was written before texts of servers were made printable."""
    (tmp_path / "municipality.yml").touch()
    directory = tmp_path / "runs" / "escola" / "20261123T080000Z-aaaaaa"
    directory.mkdir(parents=True)
    document = {
        "run": directory.name,
        "school": "escola",
        "verb": "apply",
        "outcome": "failed",
        "note": HOSTILE,
        "person": {"name": HOSTILE, "user": "ada", "machine": "portatil"},
        "seconds": 60.0,
        "hosts": [{"name": "main", "address": "192.0.2.10", "host_key": HOSTILE}],
        "changed": {"base": [HOSTILE]},
        "failure": {"role": "base", "task": "A step", "host": "main", "error": HOSTILE},
        "probes": [{"state": "bad", "service": "wiki", "title": "Page", "measured": HOSTILE}],
    }
    (directory / "run.json").write_text(json.dumps(document))
    task = {
        "at": "2026-11-23T08:00:00Z",
        "host": "main",
        "role": "base",
        "name": HOSTILE,
        "status": "failed",
        "duration": 1.0,
        "diff": HOSTILE,
        "error": HOSTILE,
    }
    (directory / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    return tmp_path


@pytest.mark.parametrize("words", [["list"], ["show", "last"], ["show", "last", "--log"]], ids=" ".join)
def test_a_record_does_not_steer_the_terminal(place: Path, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["runs", *words, "--workspace", str(place)])
    assert result.exception is None, result.exception
    assert "owned" in result.stdout
    assert not set("\x1b\x07\x9b\u202e").intersection(result.stdout)


def test_a_damaged_record_is_listed_as_such(place: Path) -> None:
    file = next(place.rglob("run.json"))
    file.write_text("[]")
    result = CliRunner().invoke(app, ["runs", "list", "--workspace", str(place)])
    assert result.exception is None, result.exception
    assert "damaged" in result.stdout


ODD = ({}, [], "text", 7, None, [{}], [7], {"main": 7})


@pytest.mark.parametrize(
    "key", ["hosts", "services", "changed", "failure", "probes", "code", "revision", "counts"]
)
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_whatever_stands_in_a_record_it_is_shown_or_called_damaged(
    place: Path, key: str, odd: object
) -> None:
    file = next(place.rglob("run.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), key: odd}))
    for words in (["list"], ["show", "last"]):
        result = CliRunner().invoke(app, ["runs", *words, "--workspace", str(place)])
        assert result.exception is None or isinstance(result.exception, ProvisionError), result.exception


def test_a_record_with_nothing_but_its_name_is_shown(place: Path) -> None:
    file = next(place.rglob("run.json"))
    file.write_text(json.dumps({"run": file.parent.name}))
    result = CliRunner().invoke(app, ["runs", "show", "last", "--workspace", str(place)])
    assert result.exception is None, result.exception
    assert file.parent.name in result.stdout


@pytest.mark.parametrize(
    "step",
    [{}, {"erased": 7}, {"duration_ms": "long", "notes": 7, "diff": [], "error": {}}],
    ids=["empty", "erased", "odd"],
)
def test_whatever_stands_in_a_step_it_is_shown(place: Path, step: dict[str, object]) -> None:
    run = next(place.rglob("run.json")).parent.name
    with closing(DetailWriter(DetailStore(place / "audit" / "escola" / "detail").file(run))) as writer:
        writer.append(step)
        writer.append(
            {"name": "A step", "notes": ["who was cut"], "error": "two\nlines", "duration_ms": 1500}
        )
    result = CliRunner().invoke(app, ["runs", "show", "last", "--log", "--workspace", str(place)])
    assert result.exception is None, result.exception
    assert "A step [, 1.5 s]" in result.stdout
    assert "note: who was cut" in result.stdout
    assert "two\nlines" in result.stdout


def test_a_school_that_never_was_is_wrong_usage(tmp_path: Path) -> None:
    municipality = (
        "schema: 1\nid: vila\nname: Vila\ncontact: {name: TIC, email: tic@vila.example}\n"
        "data_protection_officer: {name: DPD, email: dpd@vila.example}\ntls: {mode: internal}\n"
    )
    (tmp_path / "municipality.yml").write_text(municipality)
    result = CliRunner().invoke(app, ["runs", "list", "escola-mra", "--workspace", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    (tmp_path / "schools").mkdir()
    (tmp_path / "schools" / "escola-mra.yml").write_text("half a file")
    result = CliRunner().invoke(app, ["runs", "list", "escola-mra", "--workspace", str(tmp_path)])
    assert result.exception is None
    assert "No run yet." in result.stdout


def test_the_runs_of_a_school_that_is_gone_are_listed(place: Path) -> None:
    assert (
        "20261123T080000Z-aaaaaa"
        in CliRunner().invoke(app, ["runs", "list", "escola", "-w", str(place)]).stdout
    )
