"""What a run notes of the files that provision wrote, and how health finds it again."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from provision.audit.detail import DetailStore, DetailWriter
from provision.audit.log import log_directory
from provision.engine.events import TaskResult, from_slim, slim
from provision.engine.managed import (
    COMMAND,
    STEP,
    as_step,
    folders_of,
    managed_files,
    merged,
    note_files,
    worth_noting,
)
from provision.errors import ProvisionError
from provision.health.judging.host import ManagedFile
from provision.model import Workspace
from tests.unit.health.inside_sample import service

SITE = ManagedFile("/etc/nginx/conf.d/site.conf", "a" * 64)
KEY = ManagedFile("/etc/wiki/key", "b" * 64, "root", "wiki", "0640")


def told(**files: dict[str, Any]) -> str:
    parts = {
        "files": {"seconds": 0.1, "value": {path.replace("_", "/"): state for path, state in files.items()}}
    }
    return json.dumps({"schema": "provision/probe/v1", "time": 1.7e9, "cpu_seconds": 0.1, "parts": parts})


def state(sha256: str = "a" * 64, mode: str = "0644") -> dict[str, Any]:
    return {"sha256": sha256, "owner": "root", "group": "root", "mode": mode, "changed": 1.0}


def event(action: str, **result: Any) -> TaskResult:
    data = {"host": "main", "role": "wiki", "task": "Write it", "task_action": action, "res": result}
    kept = slim({"event": "runner_on_ok", "event_data": data})
    assert kept
    parsed = from_slim(kept)
    assert isinstance(parsed, TaskResult)
    return parsed


def test_a_step_names_the_files_that_it_writes_whether_it_had_to_or_not() -> None:
    assert event("ansible.builtin.copy", dest="/etc/a", changed=False).files == ("/etc/a",)
    loop = [{"dest": "/etc/b", "changed": True}, {"path": "/etc/c", "changed": False}, {"skipped": True}]
    assert event("ansible.builtin.template", results=loop, changed=True).files == ("/etc/b", "/etc/c")
    assert event("ansible.builtin.file", path="/etc/d").files == ()
    assert event("ansible.builtin.copy", censored="hidden", changed=True).files == ()
    assert event("ansible.builtin.copy", dest="/etc/\x1b[2J").files == ()


def test_archives_caches_and_what_changes_with_every_run_are_not_worth_noting() -> None:
    named = [
        "/var/cache/x",
        "/run/y",
        "/etc/b",
        "/etc/a",
        "/etc/provision/last-run.json",
        "/usr/local/sbin/c",
    ]
    assert worth_noting([*named, "/etc/a"]) == ["/etc/a", "/etc/b", "/usr/local/sbin/c"]


def test_folders_of_settings_belong_to_it_and_folders_of_data_do_not() -> None:
    wiki = service()
    backup = wiki.definition.backup.model_copy(update={"config": ("/etc/wiki", "/var/lib/wiki/config")})
    object.__setattr__(wiki, "definition", wiki.definition.model_copy(update={"backup": backup}))
    assert "/etc/wiki" in folders_of([wiki], "main")
    assert "/var/lib/wiki/config" not in folders_of([wiki], "main")
    assert "/etc/wiki" not in folders_of([wiki], "video")


def test_the_server_keeps_the_list_and_says_how_the_files_are() -> None:
    asked: list[tuple[str, str, str]] = []

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        asked.append((host, command, stdin))
        return 0, told(_etc_a=state(), _etc_gone={"error": "missing"}, _etc_b=state("c" * 64, "600"))

    files = note_files(run_on, "main", ["/etc/a"], ["/etc/wiki"])
    assert asked == [("main", COMMAND, json.dumps({"files": ["/etc/a"], "folders": ["/etc/wiki"]}))]
    assert [(file.path, file.sha256[0], file.mode) for file in files] == [
        ("/etc/a", "a", "0644"),
        ("/etc/b", "c", "0600"),
    ]


@pytest.mark.parametrize(
    ("status", "out"),
    [(127, "sh: not found"), (0, "x"), (0, "{}"), (0, told(_etc_a={"sha256": "\x1b"})), (0, "[" * 10**6)],
)
def test_a_server_that_does_not_tell_is_an_error_that_is_safe_to_show(status: int, out: str) -> None:
    with pytest.raises(ProvisionError) as caught:
        note_files(lambda *_: (status, out), "main", [], [])
    assert "\x1b" not in str(caught.value)


def test_after_a_run_of_one_service_the_other_files_stay_as_they_were_noted() -> None:
    changed_by_hand = ManagedFile(SITE.path, "f" * 64)
    written_now = ManagedFile(KEY.path, "d" * 64)
    new = ManagedFile("/etc/new", "e" * 64)
    files = merged([SITE, KEY], [changed_by_hand, written_now, new], [KEY.path, new.path])
    assert files == [new, SITE, written_now]
    assert merged([SITE, KEY], [], []) == [SITE, KEY], "a file that was removed by hand is not forgotten"


def test_what_a_run_of_one_service_wrote_without_saying_so_is_noted_as_it_is_now() -> None:
    """Steps with secrets name no file, nor do the roles' own programs."""
    changed_by_hand = ManagedFile(SITE.path, "f" * 64)
    written_now = ManagedFile(KEY.path, "d" * 64)
    below = ManagedFile("/etc/wiki/more/key", "e" * 64)
    files = merged([SITE, KEY, below], [changed_by_hand, written_now], [], ["/etc/wiki"])
    assert files == [SITE, written_now, below]
    assert merged([KEY], [], [], ["/etc/wiki/"]) == [], "the run took it away"


def record(workspace: Path, run: str, *steps: dict[str, Any]) -> None:
    directory = workspace / "runs" / "escola" / run
    directory.mkdir(parents=True)
    (directory / "run.json").write_text("{}")
    writer = DetailWriter(DetailStore(log_directory(workspace, "escola") / "detail").file(run))
    for step in steps:
        writer.append({"at": "now", **step})
    writer.close()


def test_health_finds_the_newest_run_that_noted_something(tmp_path: Path) -> None:
    record(tmp_path, "20260101T000000Z-aaaaaa", as_step("main", [KEY]))
    record(
        tmp_path, "20260102T000000Z-bbbbbb", {"name": "Other", "host": "main"}, as_step("main", [SITE, KEY])
    )
    record(tmp_path, "20260103T000000Z-cccccc", {"name": "Failed early", "host": "main"})

    class Place:
        path = tmp_path
        runs_dir = tmp_path / "runs"

    assert managed_files(cast(Workspace, Place()), "escola") == {"main": (SITE, KEY)}
    assert managed_files(cast(Workspace, Place()), "another") == {}


def test_a_step_that_is_damaged_gives_what_can_be_read(tmp_path: Path) -> None:
    step = {**as_step("main", [SITE]), "details": ["nonsense", *as_step("main", [SITE])["details"], 7]}
    record(tmp_path, "20260101T000000Z-aaaaaa", step)

    class Place:
        path = tmp_path
        runs_dir = tmp_path / "runs"

    assert step["name"] == STEP
    assert managed_files(cast(Workspace, Place()), "escola") == {"main": (SITE,)}
