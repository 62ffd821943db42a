"""What the city takes in, and what it refuses in words."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from provision.audit import cosignatures
from provision.audit.cosignatures import CosignatureError, TakenIn, check_cosignature, hand_in, take_in
from provision.audit.log import LogError, SchoolLog, writing
from provision.audit.tlog import Checkpoint, Kind, Note, SignerKey
from provision.audit.witness import DirectorySource, visiting
from provision.files import write_atomically
from tests.unit.audit.witness.city import ORIGIN, City, watch

NOW = 1_800_000_000


@pytest.fixture
def city(tmp_path: Path) -> City:
    city = City(tmp_path / "city")
    watch(tmp_path / "home", city)
    return city


@pytest.fixture
def home(tmp_path: Path, city: City) -> Path:
    return tmp_path / "home"


def signed(home: Path, city: City, now: int = NOW) -> bytes:
    with visiting(home, DirectorySource(city.directory)) as visit:
        visit.take()
        return visit.cosign(city.witness, now).encode()


def refused(city: City, data: bytes, kind: str, now: int = NOW) -> CosignatureError:
    with pytest.raises(CosignatureError) as found:
        hand_in(city.directory, data, now=now)
    assert found.value.kind == kind
    assert found.value.remedy
    return found.value


def test_a_cosignature_is_kept_beside_the_signature_of_the_log(city: City, home: Path) -> None:
    data = signed(home, city)
    taken = hand_in(city.directory, data, now=NOW)
    assert (taken.size, taken.names, taken.times) == (city.size, (city.witness.name,), (NOW,))
    kept = SchoolLog.open(city.directory).archived_at(city.size)
    assert kept is not None
    assert city.policy.open(kept).witnesses == {"school": NOW}


def test_one_over_an_earlier_size_counts_as_well(city: City, home: Path) -> None:
    data = signed(home, city)
    city.beat(300)
    assert hand_in(city.directory, data, now=NOW).size == 2
    kept = SchoolLog.open(city.directory).archived_at(2)
    assert kept is not None
    assert city.policy.open(kept).witnesses == {"school": NOW}


def test_one_from_before_a_renewal_of_the_key_counts_as_well(city: City, home: Path) -> None:
    data = signed(home, city)
    old = city.keys[0].verifier
    city.renew()
    (city.directory / "policy").write_text(city.policy.text)
    assert hand_in(city.directory, data, now=NOW).size == 2
    kept = SchoolLog.open(city.directory).archived_at(2)
    assert kept is not None
    assert any(old.made(line) for line in kept.signatures)


def test_a_newer_one_replaces_the_older_and_never_the_other_way_round(city: City, home: Path) -> None:
    first, second = signed(home, city, NOW), signed(home, city, NOW + 60)
    hand_in(city.directory, first, now=NOW)
    hand_in(city.directory, second, now=NOW)
    refused(city, first, "replayed")
    refused(city, second, "replayed")
    kept = SchoolLog.open(city.directory).archived_at(city.size)
    assert kept is not None
    assert city.policy.open(kept).witnesses == {"school": NOW + 60}


def test_one_in_the_inbox_again_is_not_new(city: City, home: Path) -> None:
    data = signed(home, city, int(time.time()))
    with writing(city.directory, ORIGIN, city.keys) as writer:
        results: list[TakenIn] = [take_in(writer, data) for _ in range(2)]
    assert [one.new for one in results] == [True, False]


def test_a_witness_that_nobody_let_in_is_refused_by_name(city: City, home: Path) -> None:
    city.witness = SignerKey.generate("somebody.example/else", Kind.COSIGNATURE_ED25519)
    error = refused(city, signed(home, city), "unknown")
    assert "somebody.example/else" in error.message
    assert "add-witness" in error.remedy


def test_a_cosignature_moved_to_another_checkpoint_is_refused(city: City, home: Path) -> None:
    note = Note.parse(signed(home, city))
    city.beat()
    refused(city, Note(city.note.text, note.signatures).encode(), "forged")


def test_one_for_another_log_is_refused(city: City) -> None:
    text = Checkpoint("provision.example.cat/escola-bosc", 1, bytes(32)).text
    refused(city, Note(text, (city.witness.sign(text, NOW),)).encode(), "foreign")


def test_one_from_the_future_is_refused(city: City, home: Path) -> None:
    refused(city, signed(home, city, NOW + 3600), "clock")


def test_one_over_entries_that_are_not_here_is_refused_and_is_no_evidence(
    city: City, home: Path, tmp_path: Path
) -> None:
    behind = city.retold(tmp_path / "behind", list(city.raw))
    city.beat()
    data = signed(home, city)
    (behind.directory / "policy").write_text(city.policy.text)
    refused(behind, data, "ahead")
    assert not (behind.directory / "evidence").exists()


def test_one_over_another_history_is_refused_and_kept_once(city: City, home: Path, tmp_path: Path) -> None:
    fork = city.retold(tmp_path / "fork", [city.raw[0], b"{}"])
    data = signed(home, city)
    first, again = refused(fork, data, "contradiction"), refused(fork, data, "contradiction")
    assert first.evidence is not None
    assert first.evidence == again.evidence
    assert (first.evidence / "cosigned").read_bytes() == data
    assert not (fork.directory / "checkpoints").exists()


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 1000, b"a\n\n" * 100, b"x" * 5_000_000])
def test_what_is_no_cosignature_file_is_refused(city: City, data: bytes) -> None:
    refused(city, data, "damaged")


def test_without_a_log_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        hand_in(tmp_path, b"")
    assert not list(tmp_path.iterdir())


def test_while_another_process_writes_the_file_waits_in_the_inbox_for_it(city: City, home: Path) -> None:
    data = signed(home, city, int(time.time()))
    with writing(city.directory, ORIGIN, city.keys) as writer:
        taken = hand_in(city.directory, data, timeout=0)
        again = hand_in(city.directory, data, timeout=0)
        assert taken.waiting is not None
        assert again.waiting == taken.waiting
        assert list((city.directory / "inbox").iterdir()) == [taken.waiting]
        assert (taken.size, taken.names) == (city.size, (city.witness.name,))
        assert not (city.directory / "checkpoints").exists()
        # What the run that waits does with it.
        assert take_in(writer, taken.waiting.read_bytes()).new
        refused(city, data, "replayed", int(time.time()))
    with pytest.raises(CosignatureError):
        hand_in(city.directory, data)


def test_what_does_not_fit_is_refused_at_once_while_another_process_writes(
    city: City, home: Path, tmp_path: Path
) -> None:
    data = signed(home, city, NOW + 3600)
    fork = city.retold(tmp_path / "fork", [city.raw[0], b"{}"])
    with writing(city.directory, ORIGIN, city.keys):
        for wrong, kind in ((b"hello", "damaged"), (data, "clock")):
            with pytest.raises(CosignatureError) as found:
                hand_in(city.directory, wrong, now=NOW, timeout=0)
            assert found.value.kind == kind
    with writing(fork.directory, ORIGIN, fork.keys), pytest.raises(CosignatureError) as found:
        hand_in(fork.directory, data, now=NOW, timeout=0)
    assert found.value.kind == "contradiction"
    assert found.value.evidence is not None
    assert not list(tmp_path.glob("*/inbox"))


def test_a_tile_that_is_replaced_while_the_file_is_checked_does_not_refuse_it(
    city: City, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = signed(home, city)
    tries = []

    def check(log: SchoolLog, content: bytes, *, now: int | None = None) -> TakenIn:
        tries.append(log.size)
        if len(tries) < 3:
            raise LogError("the tiles cannot be read: one is missing")
        return check_cosignature(log, content, now=now)

    monkeypatch.setattr(cosignatures, "check_cosignature", check)
    with writing(city.directory, ORIGIN, city.keys):
        assert hand_in(city.directory, data, now=NOW, timeout=0).waiting
    assert len(tries) == 3


@pytest.mark.parametrize("taken_meanwhile", [False, True])
def test_a_writer_that_ended_before_the_file_was_there_leaves_nothing_waiting(
    city: City, home: Path, monkeypatch: pytest.MonkeyPatch, taken_meanwhile: bool
) -> None:
    data = signed(home, city)
    stack = ExitStack()
    writer = stack.enter_context(writing(city.directory, ORIGIN, city.keys))

    def write(file: Path, content: bytes) -> None:
        write_atomically(file, content)
        if file.parent.name == "inbox":
            if taken_meanwhile:
                found = check_cosignature(writer.log, content, now=NOW)
                writer.put(f"checkpoints/{found.size}", found.note.encode())
            stack.close()

    monkeypatch.setattr(cosignatures, "write_atomically", write)
    taken = hand_in(city.directory, data, now=NOW, timeout=0)
    assert taken.waiting is None
    assert not list((city.directory / "inbox").iterdir())
    kept = SchoolLog.open(city.directory).archived_at(city.size)
    assert kept is not None
    assert city.policy.open(kept).witnesses == {"school": NOW}
