"""What a writer refuses, and what it does with leftovers."""

from pathlib import Path

import pytest

from provision.audit import entries as e
from provision.audit.leftovers import AN_ENTRY
from provision.audit.log import LogError, SchoolLog, writing
from tests.unit.audit.log.crashing import ACTOR, KEY, ORIGIN, TARGET, heartbeat, recovered


def files(directory: Path) -> set[str]:
    return {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}


def too_large() -> e.Data:
    return e.SecretRotated(actor=ACTOR, target=TARGET, names=["n" * 1500] * 60)


def test_an_entry_that_is_too_large_is_refused_in_plain_words_and_nothing_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
        before = files(directory)
        with pytest.raises(LogError, match=r"secret\.rotated has \d+ bytes; 65535 are allowed") as caught:
            writer.append([heartbeat(1), too_large()])
        assert "nothing was added" in caught.value.remedy
        assert writer.size == 1
        assert files(directory) == before
        with pytest.raises(LogError, match="nothing can be added"):
            writer.append_raw([b"x" * 65_536])
        assert files(directory) == before
        writer.append([heartbeat(1)])
    assert SchoolLog.open(directory).size == 2


def test_an_entry_about_leftovers_that_cannot_be_made_is_refused_and_they_are_not_forgotten(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
    (directory / "tile" / "0" / "000.p" / "9").write_bytes(b"torn")
    with writing(directory, ORIGIN, [KEY]) as writer:
        with pytest.raises(LogError, match=r"why: .* at most 2000") as caught:
            writer.record_leftovers(
                lambda left: e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=left, why="x" * 3000)
            )
        assert "nothing was added" in caught.value.remedy
        assert writer.size == 1
    with writing(directory, ORIGIN, [KEY]) as writer:
        assert [left.file for left in writer.leftovers] == ["tile/0/000.p/9"]


def test_leftovers_stay_to_be_told_until_they_are_recorded_and_are_told_once(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
        assert writer.record_leftovers(recovered) == range(1, 1)
    for width in (5, 7):
        (directory / "tile" / "0" / "000.p" / str(width)).write_bytes(b"torn")
        # A caller that refuses to go on for another reason has recorded nothing.
        with writing(directory, ORIGIN, [KEY]) as writer:
            pass
    with writing(directory, ORIGIN, [KEY]) as writer:
        assert [left.file for left in writer.leftovers] == ["tile/0/000.p/5", "tile/0/000.p/7"]
        assert writer.record_leftovers(recovered) == range(1, 2)
        assert writer.leftovers == []
        assert writer.record_leftovers(recovered) == range(2, 2)
    with writing(directory, ORIGIN, [KEY]) as writer:
        assert writer.leftovers == []
    told = list(SchoolLog.open(directory).entries(1))
    assert [[left["file"] for left in entry.data["leftovers"]] for entry in told] == [
        ["tile/0/000.p/5", "tile/0/000.p/7"]
    ]


def test_more_leftovers_than_an_entry_takes_are_all_told_whatever_their_names(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
    place = directory / "evidence" / "20261123T101500Z-left-over" / ("😀" * 50)
    place.mkdir(parents=True)
    for number in range(AN_ENTRY + 1):
        (place / f"{number:03d}{chr(0x1F600) * 50}").write_bytes(b"")
    with writing(directory, ORIGIN, [KEY]) as writer:
        assert writer.record_leftovers(recovered) == range(1, 3)
    told = list(SchoolLog.open(directory).entries(1))
    assert sum(len(entry.data["leftovers"]) for entry in told) == AN_ENTRY + 1


def test_a_log_that_was_set_back_on_purpose_keeps_its_edge_though_only_later_files_hold_it(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(number) for number in range(250)])
        earlier = writer.log.note
        writer.append([heartbeat(number) for number in range(250, 253)])
        writer.append([heartbeat(number) for number in range(253, 300)])
        writer.put("checkpoint", earlier.encode())
    with writing(directory, ORIGIN, [KEY]) as writer:
        assert writer.size == 250
        assert len(writer.leftovers) == 5
        writer.record_leftovers(recovered)
    log = SchoolLog.open(directory)
    assert [entry.data.get("why") for entry in log.entries()][:250] == [f"number {n}" for n in range(250)]
    assert log.reader.root() == log.root


def test_a_checkpoint_that_cannot_be_looked_at_is_no_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
    before = files(directory)
    (directory / "checkpoint").rename(tmp_path / "kept")
    (directory / "checkpoint").symlink_to("checkpoint")
    with pytest.raises(LogError, match="cannot be read"), writing(directory, ORIGIN, [KEY]):
        pass
    (directory / "checkpoint").unlink()
    (tmp_path / "kept").rename(directory / "checkpoint")
    assert files(directory) == before
