"""Opening a school's log for work: what is missing, changed, forked or unknown, and what people are told to do."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from provision.audit import Person
from provision.audit import entries as e
from provision.audit.cosigners import add_witness
from provision.audit.log import LogError, LogWriter
from provision.audit.opening import renew_keys
from provision.audit.outbox import Outbox
from provision.audit.tlog import Checkpoint, Note, SignerKey
from provision.audit.verify import verify
from provision.engine.log_copy import CopyError
from provision.engine.logbook import LogBook
from tests.unit.engine.log_desk import WITNESS, Desk, a_result, a_run, cosignature, make_desk
from tests.unit.engine.log_server import SCHOOL

BERTA = Person("Berta Companya", "berta", "torre")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(tmp_path, monkeypatch)


def sync(desk: Desk, *, beats: int = 0, **more: Any) -> list[str]:
    """Meet, add, place; gives what the person is told."""
    book = desk.book(**more)
    with book:
        book.add(*[e.Heartbeat(actor=book.actor, target=book.target)] * beats)
        book.place_copy()
    return book.notes


def away(desk: Desk, beats: int = 1) -> None:
    """Write with the city's key where no server is."""
    with LogBook(desk.workspace, desk.school, desk.person, None) as book:
        book.add(*[e.Heartbeat(actor=book.actor, target=book.target)] * beats)


def error_of(desk: Desk, **more: Any) -> LogError:
    """A log that is not opened; nothing in it changes, and the person is told what to do."""
    before = {
        file: file.read_bytes() for file in desk.place.rglob("*") if file.is_file() and "tile" in file.parts
    }
    with pytest.raises(LogError) as caught, desk.book(**more):
        pass
    assert all(file.read_bytes() == content for file, content in before.items())
    assert caught.value.remedy
    assert "\x1b" not in caught.value.message
    return caught.value


def told(notes: list[str], words: str) -> str:
    (note,) = [note for note in notes if words in note]
    return note


def raws(desk: Desk) -> list[bytes]:
    return [entry.raw for entry in desk.log.entries()]


def test_the_first_to_open_a_log_makes_its_keys_and_its_first_entries(desk: Desk) -> None:
    sync(desk)
    assert desk.types() == ["log.opened", "policy.set"]
    opened = desk.entries("log.opened")[0].data
    assert opened["municipality"] == "Prova"
    assert opened["actor"]["name"] == "Ada Administradora"
    key = desk.workspace.secrets_dir / "audit" / f"{SCHOOL}.keys"
    assert key.read_bytes().startswith(b"$ANSIBLE_VAULT")
    assert key.stat().st_mode & 0o777 == 0o600
    assert desk.server.files()["checkpoint"] == (desk.place / "checkpoint").read_bytes()


def test_a_log_that_was_opened_without_a_server_goes_there_with_the_first_run(desk: Desk) -> None:
    away(desk)
    size = desk.log.size
    notes = sync(desk)
    assert desk.log.size == size
    assert notes == []
    assert desk.server.files()["checkpoint"] == (desk.place / "checkpoint").read_bytes()


def test_appends_of_two_administrators_end_in_one_history(desk: Desk) -> None:
    sync(desk, beats=2)
    other = desk.colleague("other", BERTA)
    assert told(sync(other, beats=3), "came from the server").startswith("4 entries")
    assert told(sync(desk, beats=1), "came from the server").startswith("3 entries")
    sync(other)
    assert raws(desk) == raws(other)
    assert desk.log.note == other.log.note
    names = {entry.data["actor"]["name"] for entry in desk.log.entries()}
    assert names == {"Ada Administradora", "Berta Companya"}
    assert sync(desk) == []


def test_without_the_keys_a_log_on_the_server_is_not_begun_anew(desk: Desk) -> None:
    sync(desk)
    other = desk.colleague("other", BERTA, "secrets")
    error = error_of(other)
    assert "has not its keys" in error.message
    assert "git pull" in error.remedy
    assert not (other.place / "checkpoint").exists()


def test_keys_that_have_gone_are_not_replaced_by_new_ones(desk: Desk) -> None:
    away(desk)
    (desk.workspace.secrets_dir / "audit" / f"{SCHOOL}.keys").unlink()
    error = error_of(desk)
    assert "have gone" in error.message
    assert "backup" in error.remedy


@pytest.mark.parametrize("clue", ["runs", "last run"])
def test_a_log_that_has_gone_everywhere_is_not_begun_anew(desk: Desk, clue: str) -> None:
    a_run(desk, "r1")
    shutil.rmtree(desk.place)
    shutil.rmtree(desk.server.copy)
    if clue == "runs":
        desk.server.last_run.unlink()
    else:
        shutil.rmtree(desk.workspace.runs_dir)
    error = error_of(desk)
    assert "has gone" in error.message
    assert "backup" in error.remedy
    assert not (desk.place / "checkpoint").exists()


def test_a_log_that_has_gone_here_comes_back_from_the_server(desk: Desk) -> None:
    a_run(desk, "r1")
    before = raws(desk)
    shutil.rmtree(desk.place)
    sync(desk)
    assert raws(desk) == before
    assert desk.log.policy.logs
    assert desk.log.detail.root("r1")[0] == 1


def test_a_copy_that_has_gone_is_recorded_and_placed_again(desk: Desk) -> None:
    a_run(desk, "r1")
    shutil.rmtree(desk.server.copy)
    assert "set up anew" in told(sync(desk), "no copy of the log")
    assert desk.entries("drift.found")[0].data["kind"] == "missing-copy"
    assert desk.server.files()["checkpoint"] == (desk.place / "checkpoint").read_bytes()
    assert sync(desk) == []


def test_a_fork_is_refused_and_both_checkpoints_are_kept(desk: Desk) -> None:
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other)
    # Both sides write where others have cosigned it: neither gives way.
    with LogBook(other.workspace, other.school, other.person, None) as book:
        add_witness(book.writer, other.school, book.actor, WITNESS.verifier.vkey, required=False)
        book.writer.archive(Note.parse(cosignature(book.writer.log)))
    sync(desk, beats=4)
    mine, theirs = (other.place / "checkpoint").read_bytes(), desk.server.files()["checkpoint"]
    error = error_of(other)
    assert "contradicts" in error.message
    assert "evidence" in error.remedy
    (kept,) = (other.place / "evidence").glob("*contradiction*")
    assert (kept / "workspace").read_bytes() == mine
    assert (kept / "server").read_bytes() == theirs
    assert desk.server.files()["checkpoint"] == theirs


def test_what_never_reached_the_server_follows_what_a_colleague_added_meanwhile(desk: Desk) -> None:
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other)
    away(other, 2)
    waiting = raws(other)[-2:]
    sync(desk, beats=3)
    notes = sync(other)
    assert any("never reached the server" in note for note in notes)
    assert raws(other)[: desk.log.size] == raws(desk)
    assert [raw for raw in raws(other) if raw in waiting] == waiting
    sync(desk)
    assert raws(desk) == raws(other)


def test_a_line_that_was_cut_once_accuses_nobody_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [datetime.now(UTC) - timedelta(hours=9)]
    real = e.timestamp
    monkeypatch.setattr(e, "timestamp", lambda when=None: real(when or clock[0]))
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other)
    clock[0] += timedelta(hours=1)
    away(other, 2)
    clock[0] += timedelta(hours=2)
    sync(desk, beats=3)
    clock[0] += timedelta(hours=1)
    before = other.log
    sync(other)
    claim = next(entry for entry in other.entries("log.recovered") if "follows" in entry.data)
    assert claim.data["follows"] == {
        "shared": before.size - 2,
        "size": before.size,
        "root": before.root.hex(),
    }
    verdict = verify(other.place)
    assert verdict.ok
    late = [(one.text, one.entry, one.last) for one in verdict.findings if one.kind == "time-order"]
    assert late == [("time-order/late", claim.index + 1, claim.index + 2)]


def test_a_step_back_that_is_killed_in_the_middle_gives_each_entry_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other)
    away(other, 2)
    waiting = raws(other)[-2:]
    sync(desk, beats=3)
    put = LogWriter.put

    def killed(writer: LogWriter, name: str, content: bytes) -> None:
        if name == "checkpoint":
            raise KeyboardInterrupt
        put(writer, name, content)

    monkeypatch.setattr(LogWriter, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        sync(other)
    monkeypatch.setattr(LogWriter, "put", put)
    sync(other)
    assert [raw for raw in raws(other) if raw in waiting] == waiting
    assert len([entry for entry in other.entries("log.recovered") if "follows" in entry.data]) == 1
    assert verify(other.place).ok


def test_what_a_colleague_erased_meanwhile_goes_here_too_and_does_not_come_back(desk: Desk) -> None:
    a_run(desk, "r1", a_result("alumne Pere"))
    other = desk.colleague("other", BERTA)
    sync(other)
    assert any("Pere" in file.read_text() for file in (other.place / "detail").iterdir())
    # The erasure comes at a place that was read here already, the second time.
    away(other, 4)
    away(other)
    book = desk.book()
    with book:
        erasure = e.ErasurePerformed(
            actor=book.actor, target=book.target, why="2026/14", erased=[e.Erased(run="r1", numbers=[0])]
        )
        index = book.add(erasure).start
        event = e.parse(index, desk.log.reader.entry(index)).event
        desk.log.detail.erase("r1", [0], event["id"])
        book.place_copy()
    assert any("never reached the server" in note for note in sync(other))
    for place in (other.place / "detail", desk.server.copy / "detail"):
        assert not any("Pere" in file.read_text() for file in place.glob("r1*"))


@pytest.mark.parametrize("damage", ["checkpoint", "another key", "another log"])
def test_a_changed_copy_is_refused_until_a_person_decides(desk: Desk, damage: str) -> None:
    sync(desk, beats=1)
    file = desk.server.copy / "checkpoint"
    if damage == "checkpoint":
        file.write_bytes(file.read_bytes().replace(b"\n3\n", b"\n9\n"))
    else:
        origin = desk.log.origin if damage == "another key" else "x.example/y"
        text = Checkpoint(origin, 9, b"\1" * 32).text
        file.write_bytes(Note(text, (SignerKey.generate(origin).sign(text),)).encode())
    changed = file.read_bytes()
    assert "--replace-copy" in error_of(desk).remedy
    assert file.read_bytes() == changed
    sync(desk, replace_copy=True)
    assert desk.entries("drift.found")[-1].data["kind"] == "changed-copy"
    (kept,) = (desk.place / "evidence").glob("*changed-copy*")
    assert kept.read_bytes() == changed
    there = desk.server.files()
    for path in (desk.place / "tile").rglob("*"):
        assert path.is_dir() or there[str(path.relative_to(desk.place))] == path.read_bytes()
    assert there["checkpoint"] == (desk.place / "checkpoint").read_bytes()
    assert sync(desk) == []


def test_a_copy_that_is_ours_is_never_replaced_by_a_slip(desk: Desk) -> None:
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other, beats=5)
    sync(desk, replace_copy=True)
    assert raws(desk) == raws(other)


@pytest.mark.parametrize(
    "change",
    [
        {"run": "20260101T000000Z-abcdef"},
        {"intent": 1},
        {"intent": 10**9},
        {"intent": -1},
        {"intent": "2"},
        {"intent": None},
        {"origin": "x.example/y"},
        {"run": ["r1"]},
        {"run": "\x1b[2J\u202ered", "person": "\x1b]0;x\x07"},
        {"run": "x" * 500_000},
        {"checkpoint": "nonsense"},
        {"checkpoint": "\ud800"},
        {"checkpoint": 7},
    ],
    ids=lambda change: repr(change)[:40],
)
def test_a_run_that_the_log_does_not_know_is_recorded_and_told(desk: Desk, change: dict[str, Any]) -> None:
    a_run(desk, "r1")
    document = json.loads(desk.server.last_run.read_text()) | change
    desk.server.last_run.write_text(json.dumps(document))
    note = told(sync(desk), "recorded in the audit log")
    drift = desk.entries("drift.found")[-1]
    assert drift.data["kind"] in {"unknown-run", "contradiction"}
    assert len(note) < 500
    assert not {"\x1b", "\u202e"} & set(note)
    assert b"\\u001b" not in drift.raw


def test_a_last_run_that_the_log_knows_says_nothing(desk: Desk) -> None:
    a_run(desk, "r1")
    assert sync(desk) == []


def test_a_log_and_a_copy_that_were_both_set_back_do_not_explain_the_last_run(
    desk: Desk, tmp_path: Path
) -> None:
    a_run(desk, "r1")
    for place, name in ((desk.place, "here"), (desk.server.copy, "there")):
        shutil.copytree(place, tmp_path / name)
    a_run(desk, "r2")
    for place, name in ((desk.place, "here"), (desk.server.copy, "there")):
        shutil.rmtree(place)
        shutil.copytree(tmp_path / name, place)
    assert told(sync(desk), "recorded in the audit log")


def test_who_has_the_former_key_only_can_neither_write_nor_harm(desk: Desk) -> None:
    sync(desk, beats=1)
    other = desk.colleague("other", BERTA)
    sync(other)
    book = desk.book()
    with book:
        renew_keys(book.keys, book.writer, desk.school, book.actor, second=None, why="a stolen laptop")
        book.place_copy()
    copy = desk.server.files()
    with pytest.raises(LogError) as caught, other.book():
        pass
    assert "git pull" in caught.value.remedy
    assert desk.server.files() == copy
    assert raws(other) == raws(desk)[: other.log.size]
    shutil.copytree(desk.directory / "secrets", other.directory / "secrets", dirs_exist_ok=True)
    sync(other, beats=1)
    sync(desk)
    assert raws(desk) == raws(other)


def test_what_waited_goes_into_the_log_once(desk: Desk) -> None:
    sync(desk)
    entry = e.SecretRotated(
        actor=e.Actor(name="Ada"), target=e.Target(school=SCHOOL), names=["moodle_password"]
    )
    Outbox(desk.place).add(desk.log.origin, [entry])
    assert told(sync(desk), "had waited")
    assert sync(desk) == []
    assert len(desk.entries("secret.rotated")) == 1


def test_what_a_killed_writer_left_is_put_aside_and_recorded(desk: Desk) -> None:
    sync(desk, beats=1)
    (desk.place / "tile" / "0" / "000.p" / "7").write_bytes(b"x" * 7 * 32)
    assert told(sync(desk), "broken off")
    (recovered,) = desk.entries("log.recovered")
    assert [item["file"] for item in recovered.data["leftovers"]] == ["tile/0/000.p/7"]
    assert sync(desk) == []


# --- the inbox -------------------------------------------------------------------------------------------------------


@pytest.fixture
def witnessed(desk: Desk) -> Desk:
    with desk.book() as book:
        add_witness(book.writer, desk.school, book.actor, WITNESS.verifier.vkey, required=False)
        book.place_copy()
    return desk


@pytest.mark.parametrize("where", ["server", "workspace"])
def test_a_cosignature_is_taken_from_the_inbox_and_cleared_away(witnessed: Desk, where: str) -> None:
    size = witnessed.log.size
    inbox = witnessed.server.copy / "inbox" if where == "server" else witnessed.place / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "custodi.cosignature").write_bytes(cosignature(witnessed.log))
    assert told(sync(witnessed), "cosigned by") == f"cosigned by {WITNESS.name} up to entry {size - 1}"
    assert list(inbox.iterdir()) == []
    assert sync(witnessed) == []
    with witnessed.book() as book:
        assert [item.name for item in book.cosigned_beyond(size - 1)] == [WITNESS.name]
        assert book.cosigned_beyond(size) == []
    kept = Note.parse((witnessed.place / "checkpoints" / str(size)).read_bytes())
    assert list(witnessed.log.policy.open(kept).witnesses) == ["witness1"]
    assert Note.parse(witnessed.server.files()[f"checkpoints/{size}"]) == kept


@pytest.mark.parametrize(
    "content", [b"", b"\x1b[2J\n", b"\xff" * 1000, b"x" * 200_000], ids=lambda c: repr(c[:6])
)
def test_junk_in_the_inbox_is_told_once_and_stops_nothing(witnessed: Desk, content: bytes) -> None:
    witnessed.server.put_into_inbox("\x1b[31mred", content)
    note = told(sync(witnessed), "was not taken")
    assert "\x1b" not in note
    assert len(note) < 600
    assert sync(witnessed) == []


def test_a_cosignature_that_a_full_disk_kept_out_stays_in_the_inbox(
    witnessed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    witnessed.server.put_into_inbox("custodi.cosignature", cosignature(witnessed.log))
    put = LogWriter.put

    def full(self: LogWriter, name: str, content: bytes) -> None:
        if name.startswith("checkpoints/"):
            raise LogError("checkpoints cannot be written: No space left on device", "make room")
        put(self, name, content)

    with monkeypatch.context() as patch:
        patch.setattr(LogWriter, "put", full)
        assert "No space left" in told(sync(witnessed), "was not taken")
    assert told(sync(witnessed), "cosigned by")


def test_a_forged_cosignature_is_not_taken(witnessed: Desk) -> None:
    genuine = cosignature(witnessed.log)
    forged = Note.parse(genuine)
    line = forged.signatures[-1]
    wrong = type(line)(line.name, line.key_id, line.value[:-1] + bytes([line.value[-1] ^ 1]))
    witnessed.server.put_into_inbox("f", Note(forged.text, (*forged.signatures[:-1], wrong)).encode())
    assert told(sync(witnessed), "was not taken")
    witnessed.server.put_into_inbox("g", genuine)
    assert told(sync(witnessed), "cosigned by")


# --- the line --------------------------------------------------------------------------------------------------------


def test_a_server_that_cannot_be_asked_stops_whoever_wants_to_write(desk: Desk) -> None:
    sync(desk)
    size = desk.log.size
    book = desk.book()
    book._copies[0]._channel._process.kill()  # type: ignore[attr-defined]
    with pytest.raises(CopyError) as caught, book:
        pass
    assert caught.value.remedy
    assert desk.log.size == size
    # The log is free for the next.
    assert sync(desk) == []
