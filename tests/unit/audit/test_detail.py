"""The detail of runs: bound to the log by commitments, erasable, and readable whatever a server said."""

import errno
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from provision.audit import detail as module
from provision.audit.canonical import canonical
from provision.audit.detail import MAX_LINE, DetailError, DetailLine, DetailStore, DetailWriter, commit
from provision.audit.tlog.tree import leaf_hash, root_of
from provision.errors import ProvisionError

RUN = "20261123T101500Z-3fa2b1"
ENTRY = "0190163d-8694-739b-aea5-966c26f8ad90"


@pytest.fixture
def store(tmp_path: Path) -> DetailStore:
    return DetailStore(tmp_path / "detail")


def write(store: DetailStore, *payloads: dict[str, Any]) -> DetailWriter:
    writer = DetailWriter(store.file(RUN))
    for payload in payloads:
        writer.append(payload)
    writer.close()
    return writer


def read(store: DetailStore) -> list[DetailLine]:
    return list(store.read(RUN))


def test_what_was_written_is_read_again_and_fits_its_commitment(store: DetailStore) -> None:
    payloads = [
        {"name": f"Pas {number}", "details": ["ÀÉ·ç", '"\\'], "error": "línia\nlínia"} for number in range(3)
    ]
    write(store, *payloads)
    assert [line.payload for line in read(store)] == payloads
    assert [line.number for line in read(store)] == [0, 1, 2]
    assert all(line.fits and line.erased is None for line in read(store))


def test_a_commitment_is_the_hash_of_salt_and_canonical_payload(store: DetailStore) -> None:
    write(store, {"b": 1, "a": "é"})
    line = json.loads(store.file(RUN).read_text())
    salt = bytes.fromhex(line["salt"])
    assert len(salt) == 32
    assert line["commitment"] == sha256(salt + '{"a":"é","b":1}'.encode()).hexdigest()
    assert commit(salt, {"a": "é", "b": 1}) == bytes.fromhex(line["commitment"])


def test_equal_payloads_have_different_commitments_so_that_nobody_can_guess_one(store: DetailStore) -> None:
    write(store, {"name": "x"}, {"name": "x"})
    one, other = read(store)
    assert one.commitment != other.commitment


def test_the_root_is_that_of_a_tree_over_the_commitments(store: DetailStore) -> None:
    writer = write(store, *({"n": number} for number in range(5)))
    root = root_of(leaf_hash(line.commitment) for line in read(store))
    assert store.root(RUN) == (5, root)
    assert (writer.size, writer.root()) == (5, root)


def test_erasing_takes_payload_and_salt_and_leaves_the_root(store: DetailStore) -> None:
    write(store, *({"name": f"alumne-{number}"} for number in range(4)))
    root = store.root(RUN)
    store.erase(RUN, [1, 3], ENTRY)
    lines = read(store)
    assert [line.erased for line in lines] == [None, ENTRY, None, ENTRY]
    assert [line.payload is None for line in lines] == [False, True, False, True]
    assert store.root(RUN) == root
    text = store.file(RUN).read_text()
    assert "alumne-1" not in text
    assert "alumne-3" not in text
    assert "salt" not in text.splitlines()[1]


def test_erasing_again_changes_nothing_and_erasing_all_leaves_nobody(store: DetailStore) -> None:
    write(store, {"name": "a"}, {"name": "b"})
    store.erase(RUN, [0], ENTRY)
    once = store.file(RUN).read_bytes()
    store.erase(RUN, [0], "another entry")
    assert store.file(RUN).read_bytes() == once
    store.erase(RUN, None, "another entry")
    assert [line.erased for line in read(store)] == [ENTRY, "another entry"]


def test_erasing_what_is_not_there_makes_no_file(store: DetailStore) -> None:
    store.erase(RUN, None, ENTRY)
    assert read(store) == []
    assert not store.file(RUN).exists()


def test_the_files_are_for_their_owner_only_and_are_never_written_over(store: DetailStore) -> None:
    write(store, {"name": "x"})
    store.erase(RUN, [], ENTRY)
    assert store.file(RUN).stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        DetailWriter(store.file(RUN))


def test_a_full_disk_leaves_no_half_of_a_step_and_the_next_one_can_be_read(
    store: DetailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = DetailWriter(store.file(RUN))
    writer.append({"n": 0})
    real = os.write

    def full(descriptor: int, data: Any) -> int:
        if bytes(data).startswith(b'{"commitment'):
            return real(descriptor, bytes(data)[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            writer.append({"n": 1})
    assert writer.append({"n": 2})[0] == 1
    writer.close()
    assert [line.payload for line in read(store)] == [{"n": 0}, {"n": 2}]
    assert store.root(RUN) == (writer.size, writer.root())


def test_whatever_a_server_said_is_written_so_that_it_can_be_read_again(store: DetailStore) -> None:
    huge = {
        "name": "n" * 1_000_000,
        "details": ["d" * 1000] * 5000,
        "diff": "à" * 2_000_000,
        "map": {f"key {number}": "x" * 2000 for number in range(3000)},
        "status": "changed",
    }
    write(store, {"status": "ok"}, huge, {"status": "failed"})
    lines = read(store)
    assert [line.payload["status"] for line in lines if line.payload] == ["ok", "changed", "failed"]
    assert all(line.fits for line in lines)
    assert lines[1].payload is not None
    assert lines[1].payload["name"].endswith("[cut]")
    assert lines[1].payload["details"][-1] == "[cut]"


def test_a_step_of_ordinary_size_is_kept_whole(store: DetailStore) -> None:
    payload = {"diff": "d" * 20_000, "error": "à" * 20_000, "details": ["x" * 1000] * 300}
    write(store, payload)
    assert read(store)[0].payload == payload


def test_a_payload_that_cannot_be_cut_is_refused_and_leaves_no_trace(store: DetailStore) -> None:
    deep: Any = "x" * 1000
    for _ in range(3):
        deep = [deep] * 20
    writer = DetailWriter(store.file(RUN))
    with pytest.raises(DetailError, match="longer than"):
        writer.append({"deep": deep})
    writer.append({"n": 1})
    writer.close()
    assert [line.payload for line in read(store)] == [{"n": 1}]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b"null",
        b'"x"',
        b"\xff",
        b'{"commitment": 5}',
        b'{"commitment": "00", "erased": "x"}',
        b'{"commitment": "%s", "payload": {}}' % (b"0" * 64),
        b'{"commitment": "%s", "payload": [], "salt": "00"}' % (b"0" * 64),
        b'{"commitment": "%s", "payload": {}, "salt": 7}' % (b"0" * 64),
        b"[" * 100_000,
        b'{"commitment": "%s", "erased": ' % (b"0" * 64) + b"[" * 100_000,
        b'{"commitment": %s}' % (b"9" * 10_000),
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_is_no_step_is_an_error_that_names_it(store: DetailStore, line: bytes) -> None:
    write(store, {"n": 0})
    with store.file(RUN).open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(DetailError, match=f"step 1 of run {RUN}"):
        read(store)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": {"name": "y"}},
        {"payload": {"name": 1.5}},
        {"payload": {"name": float("nan")}},
        {"payload": {"name": 2**60}},
        {"payload": {"name": "\ud800"}},
        {"salt": "00" * 32},
        {"salt": "00"},
        {"commitment": "00" * 32},
    ],
    ids=repr,
)
def test_a_step_that_somebody_altered_no_longer_fits(store: DetailStore, change: dict[str, Any]) -> None:
    write(store, {"name": "x"})
    line = json.loads(store.file(RUN).read_text()) | change
    store.file(RUN).write_text(json.dumps(line) + "\n")
    assert [step.fits for step in read(store)] == [False]


def test_a_line_without_its_end_is_left_out_and_one_without_any_end_is_refused(store: DetailStore) -> None:
    write(store, {"n": 0})
    with store.file(RUN).open("ab") as stream:
        stream.write(b'{"commitment": "')
    assert len(read(store)) == 1
    with store.file(RUN).open("ab") as stream:
        stream.write(b"x" * MAX_LINE)
    with pytest.raises(DetailError, match="longer than"):
        read(store)


def test_a_pipe_never_makes_us_wait_and_a_link_is_not_followed(store: DetailStore, tmp_path: Path) -> None:
    write(store, {"n": 0})
    other = tmp_path / "elsewhere"
    store.file(RUN).rename(other)
    store.file(RUN).symlink_to(other)
    with pytest.raises(DetailError, match="symbolic link"):
        read(store)
    store.file(RUN).unlink()
    os.mkfifo(store.file(RUN))
    with pytest.raises(DetailError, match="not a plain file"):
        read(store)
    store.file(RUN).unlink()
    store.file(RUN).mkdir()
    with pytest.raises(DetailError, match="not a plain file"):
        read(store)


@pytest.mark.parametrize("run", ["", ".", "..", "../secret", "a/b", "a\0b", ".hidden"])
def test_the_id_of_a_run_never_leads_out_of_the_directory(store: DetailStore, run: str) -> None:
    with pytest.raises(DetailError, match="cannot be the id of a run"):
        store.file(run)


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53) + 1, 2**53 - 1) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)


@given(payload=some.dictionaries(some.text(), JSON, max_size=4))
def test_any_payload_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    data, commitment = module._line(payload)
    line = module._parse(0, data)
    assert line.fits
    assert line.commitment == commitment
    assert canonical(line.payload) == canonical(payload)


def test_an_error_says_what_to_do_and_is_shown_without_a_traceback(
    store: DetailStore, tmp_path: Path
) -> None:
    write(store, {"n": 0})
    store.file(RUN).write_bytes(b"[]\n")
    for reading in (lambda: read(store), lambda: store.root(RUN), lambda: store.erase(RUN, None, ENTRY)):
        with pytest.raises(ProvisionError) as caught:
            reading()
        assert caught.value.message.startswith(f"step 0 of run {RUN} ")
        assert f"provision audit verify {tmp_path}" in caught.value.remedy
    assert store.file(RUN).read_bytes() == b"[]\n"


@pytest.mark.parametrize(
    "damage", [b"[]\n", b"\0" * 4096 + b"\n", b"\0" * (MAX_LINE + 1)], ids=["no step", "zeros", "only zeros"]
)
def test_of_a_run_that_was_broken_off_the_steps_before_the_damage_count(
    store: DetailStore, damage: bytes
) -> None:
    assert store.root_until_damage(RUN) == (0, root_of([]), False)
    writer = write(store, *({"n": number} for number in range(3)))
    assert store.root_until_damage(RUN) == (3, writer.root(), False)
    step = store.file(RUN).read_bytes().splitlines(keepends=True)[0]
    with store.file(RUN).open("ab") as stream:
        stream.write(damage + step)
    assert store.root_until_damage(RUN) == (3, writer.root(), True)


def test_a_last_step_that_was_cut_is_no_damage(store: DetailStore) -> None:
    writer = write(store, {"n": 0})
    with store.file(RUN).open("ab") as stream:
        stream.write(b'{"commitment": "')
    assert store.root_until_damage(RUN) == (1, writer.root(), False)


def test_a_detail_that_is_no_file_counts_as_damaged_and_one_that_only_cannot_be_read_does_not(
    store: DetailStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, {"n": 0})
    real = os.open

    def refused(code: int) -> Any:
        def fail(*_: object, **__: object) -> int:
            raise OSError(code, os.strerror(code))

        return fail

    monkeypatch.setattr(os, "open", refused(errno.EACCES))
    with pytest.raises(PermissionError):
        store.root_until_damage(RUN)
    monkeypatch.setattr(os, "open", refused(errno.EIO))
    assert store.root_until_damage(RUN) == (0, root_of([]), True)
    monkeypatch.setattr(os, "open", real)
    store.file(RUN).unlink()
    os.mkfifo(store.file(RUN))
    assert store.root_until_damage(RUN) == (0, root_of([]), True)


def test_what_was_brought_to_the_disk_can_be_brought_there_again_after_the_end(store: DetailStore) -> None:
    writer = DetailWriter(store.file(RUN))
    writer.append({"n": 0})
    writer.sync()
    writer.close()
    writer.sync()
    assert [line.payload for line in read(store)] == [{"n": 0}]
