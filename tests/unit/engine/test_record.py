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
from provision.errors import ProvisionError, UsageError
from provision.secrets.redact import Redactor

PERSON = Person("Ada Administradora", "ada", "portàtil")


def record(
    runs: Path,
    run: str,
    *,
    verb: str = "apply",
    outcome: str = "ok",
    secret: str = "",
    only: tuple[str, ...] = (),
) -> FileRecorder:
    recorder = FileRecorder(runs, Redactor({"api_key": secret} if secret else {}).data)
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


def test_the_intent_is_on_disk_before_anything_changes(tmp_path: Path) -> None:
    recorder = FileRecorder(tmp_path, lambda value: value)
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
    document = json.loads((tmp_path / "escola" / "r1" / "run.json").read_text())
    assert document["outcome"] == "running"
    assert document["person"] == {"name": "Ada Administradora", "user": "ada", "machine": "portàtil"}
    assert document["revision"] == {"commit": "abc", "dirty": True}


def test_a_run_that_was_killed_outright_is_closed_by_the_next_one(tmp_path: Path) -> None:
    FileRecorder(tmp_path, lambda value: value).intend(
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
    record(tmp_path, "r2")
    assert {run["run"]: run["outcome"] for run in list_runs(tmp_path)} == {"r1": "broken off", "r2": "ok"}


def test_no_secret_value_is_in_any_file_of_the_record(tmp_path: Path) -> None:
    record(tmp_path, "r1", secret="f1d2d2f924e986ac86fdf7b36c94bcdf32beec15")
    texts = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert len(texts) == 2
    assert not any("f1d2d2f9" in text for text in texts)
    assert all("‹secret:api_key›" in text for text in texts)


def test_records_are_for_their_owner_only(tmp_path: Path) -> None:
    record(tmp_path, "r1")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "escola" / "r1").iterdir()}
    assert modes == {0o600}


def test_runs_are_listed_newest_first_and_damaged_ones_too(tmp_path: Path) -> None:
    record(tmp_path, "20261123T080000Z-aa")
    record(tmp_path, "20261124T080000Z-bb", outcome="failed")
    (tmp_path / "escola" / "20261125T080000Z-cc").mkdir()
    (tmp_path / "escola" / "20261125T080000Z-cc" / "run.json").write_text("{")
    assert [(run["run"][-2:], run["outcome"]) for run in list_runs(tmp_path)] == [
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
def test_a_record_that_is_json_but_no_record_is_damaged(tmp_path: Path, content: str) -> None:
    directory = tmp_path / "escola" / "20261125T080000Z-cc"
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(content)
    assert [(run["run"], run["outcome"]) for run in list_runs(tmp_path)] == [(directory.name, "damaged")]
    assert last_good(tmp_path, "escola", "apply") is None
    with pytest.raises(ProvisionError, match="is damaged"):
        find_run(tmp_path, directory.name)


def test_a_run_is_found_by_an_unambiguous_part_of_its_id(tmp_path: Path) -> None:
    record(tmp_path, "20261123T080000Z-aaaa")
    record(tmp_path, "20261123T090000Z-bbbb")
    document, directory = find_run(tmp_path, "bbbb")
    assert document["run"] == "20261123T090000Z-bbbb"
    assert [task["name"] for task in tasks_of(directory)] == ["Write"]
    with pytest.raises(UsageError, match="several"):
        find_run(tmp_path, "20261123")
    with pytest.raises(UsageError, match="no run"):
        find_run(tmp_path, "20251123")


def test_a_line_that_a_crash_cut_short_does_not_hide_the_others(tmp_path: Path) -> None:
    record(tmp_path, "r1")
    file = tmp_path / "escola" / "r1" / "tasks.jsonl"
    file.write_text(file.read_text() + '[]\nnull\n{"host": "ma')
    assert len(list(tasks_of(file.parent))) == 1


@pytest.mark.parametrize(
    "other",
    [{"outcome": "failed"}, {"verb": "plan"}, {"only": ("wiki",)}],
    ids=["failed", "another verb", "only one service"],
)
def test_estimates_come_from_the_newest_whole_run_that_ended_well(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    record(tmp_path, "20261123T080000Z-aa")
    record(tmp_path, "20261124T080000Z-bb", **other)
    run = last_good(tmp_path, "escola", "apply")
    assert run is not None
    assert run["run"] == "20261123T080000Z-aa"
