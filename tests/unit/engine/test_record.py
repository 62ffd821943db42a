"""The record of a run."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from provision.audit import (
    FileRecorder,
    Person,
    Revision,
    RunIntent,
    RunOutcome,
    find_run,
    last_good,
    list_runs,
    tasks_of,
)
from provision.audit import (
    record as record_module,
)
from provision.audit.detail import DetailStore
from provision.audit.record import forget_steps
from provision.errors import ProvisionError, UsageError
from provision.secrets.redact import Redactor

PERSON = Person("Ada Administradora", "ada", "portàtil")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def files(runs: Path, redact: Any = lambda value: value) -> FileRecorder:
    return FileRecorder(runs, DetailStore(runs.parent / "audit" / "escola" / "detail"), redact)


def record(
    runs: Path,
    run: str,
    *,
    verb: str = "apply",
    outcome: str = "ok",
    secret: str = "",
    only: tuple[str, ...] = (),
) -> FileRecorder:
    recorder = files(runs, Redactor({"api_key": secret} if secret else {}).data)
    recorder.intend(
        RunIntent(
            run,
            verb,
            "escola",
            "2026-11-23T08:00:00Z",
            PERSON,
            Revision("abc", False),
            Revision("def", False),
            only=only,
        )
    )
    recorder.task(
        {"host": "main", "role": "wiki", "name": "Write", "status": "changed", "error": f"key={secret}"}
    )
    recorder.end(RunOutcome(outcome, "2026-11-23T08:01:00Z", 60, note=f"the key was {secret}"))
    return recorder


def test_the_intent_is_on_disk_before_anything_changes(runs: Path) -> None:
    recorder = files(runs)
    recorder.intend(
        RunIntent(
            "r1",
            "apply",
            "escola",
            "2026-11-23T08:00:00Z",
            PERSON,
            Revision("abc", True),
            Revision("def", False),
        )
    )
    document = json.loads((runs / "escola" / "r1" / "run.json").read_text())
    assert document["outcome"] == "running"
    assert document["person"] == {"name": "Ada Administradora", "user": "ada", "machine": "portàtil"}
    assert document["revision"] == {"commit": "abc", "dirty": True}


def test_a_run_that_was_killed_outright_is_closed_by_the_next_one(runs: Path) -> None:
    files(runs).intend(
        RunIntent(
            "r1",
            "apply",
            "escola",
            "2026-11-23T08:00:00Z",
            PERSON,
            Revision("abc", True),
            Revision("def", False),
        )
    )
    record(runs, "r2")
    assert {run["run"]: run["outcome"] for run in list_runs(runs)} == {"r1": "broken off", "r2": "ok"}


def test_a_run_that_was_killed_after_a_newer_one_had_ended_is_closed_all_the_same(runs: Path) -> None:
    """A run that waited for a cosignature goes on under its old id."""
    record(runs, "r2")
    files(runs).intend(
        RunIntent(
            "r1", "apply", "escola", "2026-11-23T08:00:00Z", PERSON, Revision("a", True), Revision("d", False)
        )
    )
    record(runs, "r3")
    assert {run["run"]: run["outcome"] for run in list_runs(runs)} == {
        "r1": "broken off",
        "r2": "ok",
        "r3": "ok",
    }


def test_of_many_ended_runs_none_is_taken_apart_but_the_newest_that_is_asked_for(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        record(runs, f"2026112{number}T080000Z-aa")
    taken: list[str] = []
    read = record_module._read
    monkeypatch.setattr(record_module, "_read", lambda file: (taken.append(file.parent.name), read(file))[1])
    assert last_good(runs, "escola", "apply") is not None
    assert taken == ["20261125T080000Z-aa"]
    record(runs, "20261126T080000Z-aa")
    assert taken == ["20261125T080000Z-aa"]


def test_no_secret_value_is_in_any_file_of_the_record(runs: Path) -> None:
    record(runs, "r1", secret="f1d2d2f924e986ac86fdf7b36c94bcdf32beec15")
    texts = [file.read_text() for file in runs.parent.rglob("*") if file.is_file()]
    assert len(texts) == 2
    assert not any("f1d2d2f9" in text for text in texts)
    assert all("‹secret:api_key›" in text for text in texts)


def test_records_are_for_their_owner_only(runs: Path) -> None:
    record(runs, "r1")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in runs.parent.rglob("*") if file.is_file()}
    assert modes == {0o600}


def test_runs_are_listed_newest_first_and_damaged_ones_too(runs: Path) -> None:
    record(runs, "20261123T080000Z-aa")
    record(runs, "20261124T080000Z-bb", outcome="failed")
    (runs / "escola" / "20261125T080000Z-cc").mkdir()
    (runs / "escola" / "20261125T080000Z-cc" / "run.json").write_text("{")
    assert [(run["run"][-2:], run["outcome"]) for run in list_runs(runs)] == [
        ("cc", "damaged"),
        ("bb", "failed"),
        ("aa", "ok"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        '"run"',
        "7",
        "{}",
        '{"run": 7}',
        '{"run": "x", "person": []}',
        '{"run": "x", "seconds": "long"}',
        "[" * 100_000,
    ],
    ids=lambda content: content[:40],
)
def test_a_record_that_is_json_but_no_record_is_damaged(runs: Path, content: str) -> None:
    directory = runs / "escola" / "20261125T080000Z-cc"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(content)
    assert [(run["run"], run["outcome"]) for run in list_runs(runs)] == [(directory.name, "damaged")]
    assert last_good(runs, "escola", "apply") is None
    with pytest.raises(ProvisionError, match="is damaged"):
        find_run(runs, directory.name)


@pytest.mark.parametrize("content", ['{"run": "x", "failure": {"error": "Pere', "[]", "[" * 100_000])
def test_what_is_erased_goes_from_a_damaged_record_too(runs: Path, content: str) -> None:
    directory = runs / "escola" / "20261123T080000Z-aaaaaa"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(content)
    forget_steps(directory)
    assert "Pere" not in (directory / "run.json").read_text()
    (listed,) = list_runs(runs)
    assert (listed["run"], listed["outcome"]) == (directory.name, "damaged")


def test_a_run_is_found_by_an_unambiguous_part_of_its_id(runs: Path) -> None:
    record(runs, "20261123T080000Z-aaaa")
    record(runs, "20261123T090000Z-bbbb")
    document, directory = find_run(runs, "bbbb")
    assert document["run"] == "20261123T090000Z-bbbb"
    assert [task["name"] for task in tasks_of(directory)] == ["Write"]
    with pytest.raises(UsageError, match="several"):
        find_run(runs, "20261123")
    with pytest.raises(UsageError, match="no run"):
        find_run(runs, "20251123")


def test_a_line_that_a_crash_cut_short_does_not_hide_the_others(runs: Path) -> None:
    record(runs, "r1")
    file = runs.parent / "audit" / "escola" / "detail" / "r1.jsonl"
    file.write_text(file.read_text() + '{"commitment": "00')
    assert len(list(tasks_of(runs / "escola" / "r1"))) == 1


def test_a_line_that_somebody_wrote_is_an_error_and_no_step(runs: Path) -> None:
    record(runs, "r1")
    file = runs.parent / "audit" / "escola" / "detail" / "r1.jsonl"
    file.write_text(file.read_text() + "[]\n")
    with pytest.raises(ProvisionError, match="step 1 of run r1"):
        list(tasks_of(runs / "escola" / "r1"))


@pytest.mark.parametrize(
    "other",
    [{"outcome": "failed"}, {"verb": "plan"}, {"only": ("wiki",)}],
    ids=["failed", "another verb", "only one service"],
)
def test_estimates_come_from_the_newest_whole_run_that_ended_well(runs: Path, other: dict[str, Any]) -> None:
    record(runs, "20261123T080000Z-aa")
    record(runs, "20261124T080000Z-bb", **other)
    run = last_good(runs, "escola", "apply")
    assert run is not None
    assert run["run"] == "20261123T080000Z-aa"
