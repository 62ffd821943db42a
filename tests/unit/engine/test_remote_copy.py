"""The program that keeps the log's copy on a school's server: what it tells, takes, and never follows."""

import base64
import grp
import hashlib
import json
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provision.engine import remote_copy

PROGRAM = Path(remote_copy.__file__).read_text(encoding="utf-8")


class Place:
    """The copy's directory, with the program over it as the city sends it."""

    def __init__(self, top: Path) -> None:
        self.top = top / "audit" / "escola"
        self.inbox = self.top / "inbox"
        self.inbox.mkdir(parents=True)
        self.last_run = top / "etc" / "last-run.json"

    def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps([str(self.top), str(self.last_run)])],
            input="".join(json.dumps(request) + "\n" for request in requests),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def state(self) -> dict[str, Any]:
        return self.ask({"do": "state"})[0]

    def take(self, **contents: bytes) -> dict[str, Any]:
        wanted = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        return self.ask({"do": "take", "files": wanted})[0]

    def put(self, **more: Any) -> dict[str, Any]:
        return self.ask({"do": "put", "files": {}, "remove": [], **more})[0]

    def hand_in(self, name: str, data: bytes = b"a cosignature\n") -> Path:
        """A file whose time is later than that of every other in the inbox."""
        before = max((file.lstat().st_ctime_ns for file in self.inbox.iterdir()), default=0)
        file = self.inbox / name
        file.write_bytes(data)
        while file.stat().st_ctime_ns <= before:
            time.sleep(0.001)
            file.chmod(0o640)
        return file


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_newest_file_is_seen_however_many_others_were_there_before(place: Place) -> None:
    for number in range(remote_copy.MAX_INBOX_FILES + 9):
        (place.inbox / f"a{number}").write_bytes(b"x")
    place.hand_in("z")
    state = place.state()
    assert "z" in state["inbox"]
    assert len(state["inbox"]) == remote_copy.MAX_INBOX_FILES
    assert state["inbox_more"] == 10


def test_a_file_gains_nothing_from_a_time_that_its_owner_gave_it(place: Place) -> None:
    for number in range(remote_copy.MAX_INBOX_FILES):
        os.utime(place.hand_in(f"a{number}"), (9e9, 9e9))
    place.hand_in("honest")
    assert "honest" in place.state()["inbox"]


def test_a_crowd_of_one_person_does_not_hide_what_another_hands_in() -> None:
    found = [(1001, 500 + number, f"crowd-{number}") for number in range(60)]
    found += [(1002, 100, "older"), (1002, 200, "newer")]
    random.Random(3).shuffle(found)
    assert remote_copy.in_turn(found)[:4] == ["crowd-59", "newer", "crowd-58", "older"]


def test_nothing_but_plain_files_of_a_fair_size_and_name_is_taken_from_the_inbox(
    place: Place, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"not theirs")
    (place.inbox / "link").symlink_to(secret)
    (place.inbox / "hard").hardlink_to(secret)
    (place.inbox / "large").write_bytes(bytes(remote_copy.MAX_INBOX_FILE + 1))
    (place.inbox / "folder").mkdir()
    os.mkfifo(place.inbox / "pipe")
    (place.inbox / os.fsdecode(b"\xff")).write_bytes(b"no text")
    (place.inbox / "largest").write_bytes(bytes(remote_copy.MAX_INBOX_FILE))
    state = place.state()
    assert list(state["inbox"]) == ["largest"]
    assert state["inbox_more"] == 6


def test_an_inbox_that_is_a_link_is_not_entered(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(b"x")
    place.inbox.rmdir()
    place.inbox.symlink_to(elsewhere)
    state = place.state()
    assert (state["inbox"], state["inbox_more"]) == ({}, 0)
    assert place.take(file=b"x") == {"taken": []}
    assert (elsewhere / "file").exists()


def test_what_the_city_has_dealt_with_is_taken_out(place: Place) -> None:
    place.hand_in("one", b"first")
    place.hand_in("two", b"second")
    assert place.take(one=b"first", gone=b"never there") == {"taken": ["one"]}
    assert [file.name for file in place.inbox.iterdir()] == ["two"]


def test_a_newer_file_of_the_name_stays(place: Place) -> None:
    place.hand_in("one", b"newer")
    assert place.take(one=b"first") == {"taken": []}
    assert (place.inbox / "one").read_bytes() == b"newer"


def test_taking_out_follows_no_link(place: Place) -> None:
    (place.top / "checkpoint").write_bytes(b"note")
    (place.inbox / "link").symlink_to(place.top / "checkpoint")
    (place.inbox / "folder").mkdir()
    (place.inbox / "folder" / "file").write_bytes(b"note")
    assert place.take(link=b"note", folder=b"note") == {"taken": []}
    assert (place.inbox / "link").is_symlink()
    assert (place.top / "checkpoint").exists()


@pytest.mark.parametrize("name", ["../checkpoint", "folder/file", "/etc/passwd", "..", ".", ""])
def test_only_names_directly_in_the_inbox_are_taken_out(place: Place, name: str) -> None:
    (place.top / "checkpoint").write_bytes(b"note")
    assert "is not a name of a file" in place.take(**{name: b"note"})["error"]
    assert (place.top / "checkpoint").exists()


def test_a_cosignature_of_the_same_length_shows_in_the_hash(place: Place) -> None:
    (place.top / "checkpoints").mkdir()
    (place.top / "policy").write_bytes(b"policy")
    file = place.top / "checkpoints" / "7"
    file.write_bytes(b"signature of Anna")
    before = place.state()
    file.write_bytes(b"signature of Pere")
    after = place.state()
    assert before["sizes"] == after["sizes"]
    assert before["hashes"]["policy"] == hashlib.sha256(b"policy").hexdigest()
    assert after["hashes"] == before["hashes"] | {
        "checkpoints/7": hashlib.sha256(b"signature of Pere").hexdigest()
    }
    assert before["hashes"] != after["hashes"]


def test_the_last_run_names_a_person_and_is_not_for_everybody(place: Place) -> None:
    place.last_run.parent.mkdir()
    place.last_run.write_bytes(b"{}")
    place.last_run.chmod(0o644)
    assert place.put(last_run=base64.b64encode(b'{"by": "Anna"}').decode()) == {}
    assert place.last_run.read_bytes() == b'{"by": "Anna"}'
    assert stat.S_IMODE(place.last_run.stat().st_mode) == 0o640


def test_the_last_run_is_for_the_group_of_auditors_once_there_is_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, _owner, group: groups.append(group))
    request = {"files": {}, "remove": [], "last_run": base64.b64encode(b"{}").decode()}
    monkeypatch.setattr(remote_copy, "AUDITORS", "a group that is not there")
    remote_copy.put(place.top, place.last_run, request)
    monkeypatch.setattr(remote_copy, "AUDITORS", grp.getgrgid(os.getegid()).gr_name)
    remote_copy.put(place.top, place.last_run, request)
    assert groups == [-1, os.getegid()]


def test_the_copy_is_published_once_a_placement_and_after_the_answer(place: Place, tmp_path: Path) -> None:
    publisher = tmp_path / "publisher"
    told = tmp_path / "told"
    answers = tmp_path / "answers"
    publisher.write_text(f'#!/bin/sh\necho "$1 $(wc -l <{answers})" >>{told}\nexit 1\n')
    publisher.chmod(0o755)
    program = PROGRAM.replace(str(remote_copy.PUBLISH), str(publisher))
    checkpoint = {"checkpoint": base64.b64encode(b"note").decode()}
    requests = [
        {"do": "put", "files": checkpoint, "remove": []},
        {"do": "put", "files": checkpoint, "remove": [], "publish": True},
        {"do": "state"},
    ]
    with answers.open("w") as stream:
        subprocess.run(
            [sys.executable, "-c", program, json.dumps([str(place.top), str(place.last_run)])],
            input="".join(json.dumps(request) + "\n" for request in requests),
            stdout=stream,
            text=True,
            timeout=60,
            check=True,
        )
    assert told.read_text().split() == ["publish", "2"]
    replies = [json.loads(line) for line in answers.read_text().splitlines()]
    assert "error" not in replies[1]
    assert base64.b64decode(replies[2]["checkpoint"]) == b"note"
