"""The program of the role audit_trail bounds what auditors put into the inbox, and nothing of theirs stops it."""

import json
import os
import random
import subprocess
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.engine import remote_copy
from tests.unit.roles.programs import load


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The program over directories of an ordinary user, who cannot give files away."""
    module = load("audit_trail", "provision-audit-trail")
    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, lambda *_, **__: None)
    monkeypatch.setattr(module, "group_id", lambda name: os.getegid())
    monkeypatch.setattr(module, "PLACE", tmp_path / "audit")
    monkeypatch.setattr(module, "WEB", tmp_path / "audit-web")
    monkeypatch.setattr(module, "WANTED", tmp_path / "wanted.json")
    (tmp_path / "wanted.json").write_text(json.dumps({"school": "escola", "https": True, "auditors": []}))
    (tmp_path / "audit/escola/inbox").mkdir(parents=True)
    (tmp_path / "audit-web/escola").mkdir(parents=True)
    (tmp_path / "audit/escola/checkpoint").write_text("note")
    return module


@pytest.fixture(name="inbox")
def _inbox(program: types.ModuleType) -> Iterator[Path]:
    inbox: Path = program.PLACE / "escola/inbox"
    yield inbox
    # Where a test fails, pytest itself cannot remove what is nested too deep.
    subprocess.run(["rm", "-rf", str(inbox)], check=True)


def nest(top: Path, name: str, depth: int) -> None:
    """Folders in folders, deeper than a path can say."""
    directory = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=directory)
        below = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=directory))
    os.close(directory)


@pytest.mark.parametrize(("name", "depth"), [("d" * 250, 40), ("d", 2500)])
def test_folders_of_an_auditor_in_folders_without_end_stop_nothing(
    program: types.ModuleType, inbox: Path, capsys: pytest.CaptureFixture[str], name: str, depth: int
) -> None:
    nest(inbox, name, depth)
    assert program.main(["publish"]) == 0
    assert list(inbox.iterdir()) == []
    assert (program.WEB / "escola/checkpoint").read_text() == "note"
    told = capsys.readouterr()
    assert told.err == ""
    assert "d" * 20 not in told.out


def test_what_is_in_the_inbox_is_never_looked_into(program: types.ModuleType, inbox: Path) -> None:
    (inbox / "folder").mkdir()
    found = {path for path, _ in program.tree(inbox.parent, leave=program.INBOX)}
    assert found == {"checkpoint"}


def test_what_goes_while_it_is_looked_at_is_not_there(program: types.ModuleType, tmp_path: Path) -> None:
    top = tmp_path / "top"
    for name in ("a", "b"):
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    (top / "c").touch()
    seen = []
    for path, _ in program.tree(top):
        seen.append(path)
        if path == "b":
            (top / "c").unlink()
            (top / "a/file").unlink()
            (top / "a").rmdir()
    assert seen == ["a", "b", "b/file"]


def test_a_tile_that_goes_while_the_log_is_published_is_left_out(
    program: types.ModuleType, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = inbox.parent / "tile/0/000.p/3"
    tile.parent.mkdir(parents=True)
    tile.touch()
    say = program.Steps.say

    def say_and_see_it_go(steps: object, text: str) -> bool:
        if text == "publish tile/0/000.p/3":
            tile.unlink()
        return bool(say(steps, text))

    monkeypatch.setattr(program.Steps, "say", say_and_see_it_go)
    assert program.main(["publish"]) == 0
    assert not tile.exists()
    assert not (program.WEB / "escola/tile/0/000.p/3").exists()
    assert (program.WEB / "escola/checkpoint").exists()


def test_what_the_system_refuses_is_said_in_one_line(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    program.WANTED.unlink()
    assert program.main(["publish"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "wanted.json': No such file or directory; mend it" in told


def test_the_inbox_holds_no_more_than_the_city_looks_at(
    program: types.ModuleType, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(program.MAX_INBOX_FILES + 4):
        (inbox / f"a{number:02}").touch()
    before = max(file.stat().st_ctime_ns for file in inbox.iterdir())
    newest = inbox / "z"
    newest.touch()
    while newest.stat().st_ctime_ns <= before:
        time.sleep(0.001)
        newest.chmod(0o600)
    (inbox / "large").write_bytes(bytes(program.MAX_INBOX_FILE + 1))
    assert program.main(["publish"]) == 0
    left = {file.name for file in inbox.iterdir()}
    assert "z" in left
    assert "large" not in left
    assert len(left) == program.MAX_INBOX_FILES
    assert "remove from the inbox what is too much: 6\n" in capsys.readouterr().out
    assert program.main(["publish"]) == 0
    assert "inbox" not in capsys.readouterr().out


def test_what_is_no_plain_file_goes_and_what_it_leads_to_stays(
    program: types.ModuleType, inbox: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (inbox / "link").symlink_to(elsewhere)
    (inbox / "folder").mkdir()
    (inbox / "folder/link").symlink_to(elsewhere)
    os.mkfifo(inbox / "pipe")
    (inbox / os.fsdecode(b"\xff")).touch()
    (inbox / "largest").write_bytes(bytes(program.MAX_INBOX_FILE))
    assert program.main(["publish"]) == 0
    assert [file.name for file in inbox.iterdir()] == ["largest"]
    assert (elsewhere / "file").exists()


def test_a_plan_removes_nothing_from_the_inbox(
    program: types.ModuleType, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inbox / "folder").mkdir()
    program.bound_inbox(program.Steps(check=True), inbox)
    assert (inbox / "folder").is_dir()
    assert capsys.readouterr().out == "remove from the inbox what is too much: 1\n"


def test_a_folder_that_its_owner_replaces_by_a_link_leads_nowhere(
    program: types.ModuleType, inbox: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (inbox / "folder").symlink_to(elsewhere)
    directory = os.open(inbox, os.O_RDONLY)
    assert program.discard_folder(directory, "folder") == []
    os.close(directory)
    assert (elsewhere / "file").exists()


def test_the_server_keeps_in_the_inbox_what_the_city_looks_at(program: types.ModuleType) -> None:
    chance = random.Random(7)
    found = [(chance.randrange(5), chance.randrange(100), f"{number}") for number in range(200)]
    assert program.in_turn(found) == remote_copy.in_turn(found)
    for bound in ("MAX_INBOX_FILE", "MAX_INBOX_FILES", "MAX_INBOX_NAMES"):
        assert getattr(program, bound) == getattr(remote_copy, bound)
