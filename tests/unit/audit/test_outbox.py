"""What waits for the log: nothing acknowledged is lost, nothing comes twice, and a crash spoils no other entry."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from provision.audit import entries as e
from provision.audit import outbox as module
from provision.audit.log import LogError, LogWriter, writing
from provision.audit.outbox import Outbox
from tests.unit.audit.log.crashing import ACTOR, KEY, ORIGIN, TARGET, heartbeat


def rotated(*names: str) -> e.SecretRotated:
    return e.SecretRotated(actor=ACTOR, target=TARGET, names=list(names))


def names(raws: Any) -> list[str]:
    return [e.parse(0, raw).data["names"][0] for raw in raws]


@pytest.fixture
def box(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "log")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log" / "outbox.jsonl"


def send(box: Outbox, file: Path) -> int:
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        return box.send(writer)


def logged(file: Path) -> list[str]:
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        return names(entry.raw for entry in writer.log.entries() if entry.type == "secret.rotated")


def test_entries_wait_in_order_with_the_time_at_which_they_were_made(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(e, "timestamp", lambda: "2026-11-23T10:00:00.000Z")
    box.add(ORIGIN, [rotated("a"), rotated("b")])
    monkeypatch.setattr(e, "timestamp", lambda: "2026-11-24T10:00:00.000Z")
    box.add(ORIGIN, [rotated("c")])
    waiting = box.waiting()
    assert names(waiting) == ["a", "b", "c"]
    assert send(box, file) == 3
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        entries = list(writer.log.entries())
    assert [entry.raw for entry in entries] == waiting
    assert [entry.time[8:10] for entry in entries] == ["23", "23", "24"]


def test_what_was_sent_waits_no_longer(box: Outbox, file: Path) -> None:
    box.add(ORIGIN, [rotated("a")])
    assert send(box, file) == 1
    assert box.waiting() == []
    assert send(box, file) == 0
    box.add(ORIGIN, [rotated("b")])
    assert send(box, file) == 1
    assert logged(file) == ["a", "b"]


def test_what_waits_twice_comes_once(box: Outbox, file: Path) -> None:
    box.add(ORIGIN, [rotated("a")])
    box.keep(box.waiting())
    assert send(box, file) == 1
    assert logged(file) == ["a"]


def test_an_empty_outbox_and_a_missing_one_send_nothing(box: Outbox, file: Path) -> None:
    assert box.waiting() == []
    assert send(box, file) == 0
    box.add(ORIGIN, [])
    assert send(box, file) == 0


def test_entries_that_were_sent_when_a_kill_came_are_not_sent_twice(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(ORIGIN, [rotated("a"), rotated("b")])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            send(box, file)
    assert names(box.waiting()) == ["a", "b"]
    # Others went on meanwhile, and more has come to wait.
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(number) for number in range(300)])
    box.add(ORIGIN, [rotated("c")])
    assert send(box, file) == 1
    assert logged(file) == ["a", "b", "c"]


def test_a_line_that_a_crash_cut_short_does_not_spoil_the_next_one(box: Outbox, file: Path) -> None:
    box.add(ORIGIN, [rotated("a")])
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:60])
    assert names(box.waiting()) == ["a"]
    box.add(ORIGIN, [rotated("b")])
    assert names(box.waiting()) == ["a", "b"]
    assert send(box, file) == 2


def test_a_line_that_is_no_entry_hides_no_other(box: Outbox, file: Path) -> None:
    box.add(ORIGIN, [rotated("a")])
    with file.open("ab") as stream:
        stream.write(b"\n[]\n{}\n" + b"[" * 50_000 + b"\n\xff\n")
    box.add(ORIGIN, [rotated("b")])
    assert names(box.waiting()) == ["a", "b"]


def test_a_full_disk_refuses_the_new_entries_in_plain_words_and_keeps_the_old(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(ORIGIN, [rotated("a")])
    before = file.read_bytes()
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        if len(data) < 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, bytes(data)[:-100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(LogError, match="No space left on device") as caught:
            box.add(ORIGIN, [rotated("b")])
    assert caught.value.remedy == "make room, then try again"
    assert file.read_bytes() == before
    box.add(ORIGIN, [rotated("c")])
    assert names(box.waiting()) == ["a", "c"]


def test_what_cannot_be_added_to_the_log_goes_on_waiting(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(ORIGIN, [rotated("a")])

    def refuse(*_: object, **__: object) -> range:
        raise LogError("the audit log cannot be written: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LogWriter, "append_raw", refuse)
        with pytest.raises(LogError):
            send(box, file)
    assert names(box.waiting()) == ["a"]


def test_the_outbox_is_for_its_owner_only_and_no_link_is_followed(
    box: Outbox, file: Path, tmp_path: Path
) -> None:
    box.add(ORIGIN, [rotated("a")])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert send(box, file) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    victim = tmp_path / "victim"
    victim.write_text("of somebody else\n")
    file.symlink_to(victim)
    with pytest.raises(LogError, match="cannot be written"):
        box.add(ORIGIN, [rotated("b")])
    assert victim.read_text() == "of somebody else\n"


def test_another_process_that_holds_the_outbox_is_waited_for_and_then_named(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(ORIGIN, [rotated("a")])
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.0)
    with FileLock(file.with_name(".outbox.lock")), pytest.raises(LogError, match="another process"):
        box.add(ORIGIN, [rotated("b")])
    box.add(ORIGIN, [rotated("c")])
    assert names(box.waiting()) == ["a", "c"]


def test_an_outbox_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(LogError, match="cannot be written"):
        Outbox(tmp_path / "log").add(ORIGIN, [rotated("a")])


def test_lines_that_are_no_entries_are_kept_and_told_of_before_the_outbox_is_emptied(
    box: Outbox, file: Path
) -> None:
    box.add(ORIGIN, [rotated("a")])
    with file.open("ab") as stream:
        stream.write(b"\n[]\n" + b"\xff\n" + b'{"long": "' + b"x" * 70_000 + b'"}\n')
    box.add(ORIGIN, [rotated("b")])
    assert send(box, file) == 2
    assert file.read_bytes() == b""
    (kept,) = (file.parent / "evidence").glob("outbox-*/outbox.jsonl")
    lines = kept.read_bytes().splitlines()
    assert (lines[:2], len(lines)) == ([b"[]", b"\xff"], 3)
    assert len(kept.read_bytes()) > 70_000
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        assert [left.file for left in writer.leftovers] == ["outbox.jsonl"]
    assert send(box, file) == 0
    assert len(list((file.parent / "evidence").glob("outbox-*"))) == 1


def test_a_readable_line_that_the_log_cannot_take_stops_no_other(box: Outbox, file: Path) -> None:
    box.add(ORIGIN, [rotated("a")])
    event = e.parse(0, box.waiting()[0]).event
    large = json.dumps(event | {"data": event["data"] | {"names": ["n" * 70_000]}}).encode()
    file.write_bytes(large + b"\n" + file.read_bytes())
    assert send(box, file) == 1
    (kept,) = (file.parent / "evidence").glob("outbox-*/outbox.jsonl")
    assert (kept.read_bytes(), logged(file)) == (large + b"\n", ["a"])


def test_lines_that_cannot_be_kept_stay_in_the_outbox(
    box: Outbox, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.add(ORIGIN, [rotated("a")])
    file.write_bytes(b"[]\n" + file.read_bytes())
    before = file.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_new", full)
        with pytest.raises(LogError, match="No space left"):
            send(box, file)
    assert file.read_bytes() == before
    assert send(box, file) == 0
    (kept,) = (file.parent / "evidence").glob("outbox-*/outbox.jsonl")
    assert (kept.read_bytes(), logged(file)) == (b"[]\n", ["a"])


def test_an_entry_that_is_too_large_is_refused_when_it_is_left_not_when_it_is_sent(
    box: Outbox, file: Path
) -> None:
    box.add(ORIGIN, [rotated("a")])
    with pytest.raises(LogError, match="65535 are allowed"):
        box.add(ORIGIN, [rotated("b"), rotated(*["n" * 1500] * 60)])
    assert names(box.waiting()) == ["a"]


def test_entries_kept_by_their_bytes_come_into_the_log_word_for_word(box: Outbox, file: Path) -> None:
    raw = [e.compose(ORIGIN, rotated(name)) for name in "ab"]
    box.keep(raw)
    assert box.waiting() == raw
    assert send(box, file) == 2
    with writing(file.parent, ORIGIN, [KEY]) as writer:
        assert list(writer.log.reader.entries()) == raw
