"""Whose log it is, and a policy file that says what the log itself says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.audit import entries as e
from provision.audit import opening
from provision.audit.cosigners import add_witness
from provision.audit.keys import LogKeys, generate
from provision.audit.log import LogError, LogWriter, SchoolLog, writing
from provision.audit.opening import check_origin, establish, mend_policy, policy_for, renew_keys
from provision.audit.tlog import Kind, Policy, SignerKey, TileReader

ORIGIN = "provision.example.cat/escola"
KEY = SignerKey.generate(ORIGIN)
SCHOOL: Any = SimpleNamespace(id="escola", audit=SimpleNamespace(strict=False))
ACTOR = e.Actor(name="Ada Puig")
TARGET = e.Target(school="escola")
ROOT = Path(__file__).parents[3]


def decide(writer: LogWriter, policy: Policy) -> None:
    """The entry alone, as after a kill."""
    writer.append([e.PolicySet(actor=ACTOR, target=TARGET, policy=policy.text, strict=False)])


def beat(writer: LogWriter, count: int = 1) -> None:
    writer.append([e.Heartbeat(actor=ACTOR, target=TARGET)] * count)


def other() -> Policy:
    witness = SignerKey.generate("escola.example/custodi", Kind.COSIGNATURE_ED25519)
    return Policy(logs=(KEY.verifier,), witnesses={"school": witness.verifier}, quorum="school")


def opened(directory: Path) -> None:
    with writing(directory, ORIGIN, [KEY]) as writer:
        decide(writer, policy_for([KEY]))
        establish(writer, policy_for([KEY]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\xff\x00"),
        lambda file: file.write_bytes(b"x" * 1_000_000),
        lambda file: file.write_text(file.read_text() + "# quorum none\n"),
    ],
)
def test_a_policy_file_that_is_gone_or_damaged_is_written_again(tmp_path: Path, damage: Any) -> None:
    opened(tmp_path)
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        assert not mend_policy(writer)
        damage(tmp_path / "policy")
        assert mend_policy(writer)
        assert writer.log.policy == policy_for([KEY])
        assert not mend_policy(writer)


def test_a_link_in_the_place_of_the_policy_is_replaced_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    opened(tmp_path / "log")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    file = tmp_path / "log" / "policy"
    file.unlink()
    file.symlink_to(elsewhere)
    with writing(tmp_path / "log", ORIGIN, [KEY]) as writer:
        assert mend_policy(writer)
        assert writer.log.policy == policy_for([KEY])
    assert elsewhere.read_text() == "mine"


def test_what_the_newest_entry_sets_counts_also_where_others_follow_it(tmp_path: Path) -> None:
    opened(tmp_path)
    policy = other()
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        assert not mend_policy(writer)
        beat(writer, 700)
        decide(writer, policy)
        beat(writer, 700)
        assert mend_policy(writer)
        assert writer.log.policy == policy
        assert writer.log.archived_at(writer.size) == writer.log.note
        beat(writer, 10)
        assert not mend_policy(writer)


def test_without_a_log_or_without_a_policy_in_it_nothing_is_done(tmp_path: Path) -> None:
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        assert not mend_policy(writer)
        beat(writer)
        assert not mend_policy(writer)
    assert not (tmp_path / "policy").exists()


def test_a_policy_that_cannot_be_read_is_told_in_plain_words(tmp_path: Path) -> None:
    opened(tmp_path)
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        writer.append(
            [e.PolicySet(actor=ACTOR, target=TARGET, policy="quorum of the future\n", strict=False)]
        )
        with pytest.raises(LogError, match="entry 1") as found:
            mend_policy(writer)
        assert "newer version" in found.value.remedy


@pytest.mark.parametrize(
    "remembered",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b'{"size": 10, "root": "00", "index": 9, "sha256": ""}',
        b'{"size": 2, "root": "00", "index": 0, "sha256": ""}',
        b'{"size": "2", "root": 5, "index": null, "sha256": ""}',
    ],
)
def test_what_is_remembered_of_another_log_or_damaged_misleads_nobody(
    tmp_path: Path, remembered: bytes
) -> None:
    opened(tmp_path)
    policy = other()
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        decide(writer, policy)
        (tmp_path / ".policy-index").write_bytes(remembered)
        assert mend_policy(writer)
        assert writer.log.policy == policy


def test_a_long_log_is_searched_once_and_then_only_where_it_grew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(tmp_path)
    read: list[int] = []
    original = TileReader.bundle

    def bundle(self: TileReader, number: int) -> list[bytes]:
        read.append(number)
        return original(self, number)

    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        beat(writer, 2000)
        mend_policy(writer)
        monkeypatch.setattr(TileReader, "bundle", bundle)
        mend_policy(writer)
        assert read == []
        beat(writer, 300)
        read.clear()
        mend_policy(writer)
        assert set(read) <= {2000 // 256, 2300 // 256}
        beat(writer, 1)
        read.clear()
        mend_policy(writer)
        assert len(read) <= 1


def test_the_checkpoint_that_two_keys_signed_is_kept_where_a_kill_came_before(tmp_path: Path) -> None:
    opened(tmp_path)
    new = SignerKey.generate(ORIGIN)
    with writing(tmp_path, ORIGIN, [KEY]) as writer:
        writer.keys = [KEY, new]
        writer.append(
            [
                e.KeyAdded(actor=ACTOR, target=TARGET, key=new.verifier.vkey, purpose="log"),
                e.KeyRetired(actor=ACTOR, target=TARGET, key=KEY.verifier.vkey, purpose="log"),
            ]
        )
        decide(writer, policy_for([new]))
        # The file may be right all the same: another program wrote it.
        writer.set_policy(policy_for([new]))
        size, note = writer.size, writer.log.note
        assert writer.log.archived_at(size) is None
        assert mend_policy(writer)
        assert writer.log.archived_at(size) == note
        assert not mend_policy(writer)


_DEATHS = """
import os, sys
from pathlib import Path
# A kill loses nothing that was written; to wait for the disk would only make this slow. It stays a place to die at.
os.fsync = lambda descriptor: None
from tests.unit.audit.log.crashing import crashed_everywhere
from tests.unit.audit.test_opening import CHANGES, begun, whole
top, what = Path(sys.argv[1]), sys.argv[2]
number = 0
begun(top / "0", what)
for _ in crashed_everywhere(lambda: CHANGES[what](top / str(number))):
    whole(top / str(number))
    number += 1
    begun(top / str(number), what)
whole(top / str(number))
print(number)
"""


def begun(directory: Path, what: str) -> None:
    """The log before the change."""
    directory.mkdir()
    if what != "open_new":
        opened(directory)


def _open_new(directory: Path) -> None:
    workspace: Any = SimpleNamespace(municipality=SimpleNamespace(name="Vilaprova"))
    with writing(directory, ORIGIN, [FIXED]) as writer:
        opening.open_new(writer, workspace, SCHOOL, ACTOR, [FIXED])


def _add_witness(directory: Path) -> None:
    with writing(directory, ORIGIN, [KEY]) as writer:
        add_witness(writer, SCHOOL, ACTOR, WITNESS.verifier.vkey)


def _renew_keys(directory: Path) -> None:
    store: Any = SimpleNamespace(save=lambda school, keys: _save(directory, keys))
    with writing(directory, ORIGIN, [KEY]) as writer:
        renew_keys(store, writer, SCHOOL, ACTOR, second=None, why="test")


def _save(directory: Path, keys: LogKeys) -> None:
    text = json.dumps([[key.text for key in part] for part in (keys.current, keys.coming)])
    (directory / "keys").with_suffix(".new").write_text(text)
    (directory / "keys").with_suffix(".new").replace(directory / "keys")


FIXED = SignerKey(ORIGIN, Kind.ED25519, bytes(range(32)))
WITNESS = SignerKey("escola.example/custodi", Kind.COSIGNATURE_ED25519, bytes(range(32)))
CHANGES = {"open_new": _open_new, "add_witness": _add_witness, "renew_keys": _renew_keys}


def whole(directory: Path) -> None:
    """After a death the policy is that of the newest entry, and its checkpoint is kept."""
    if not (directory / "checkpoint").exists():
        return
    log = SchoolLog.open(directory)
    known = [KEY, FIXED]
    if (directory / "keys").exists():
        known += [
            SignerKey.parse(text) for part in json.loads((directory / "keys").read_text()) for text in part
        ]
    signers = [key for key in known if any(key.verifier.made(line) for line in log.note.signatures)]
    with writing(directory, ORIGIN, signers) as writer:
        mend_policy(writer)
        text = next(entry.data["policy"] for entry in writer.log.backwards() if entry.type == "policy.set")
        assert (directory / "policy").read_text() == text
        assert writer.log.archived_at(log.size) == log.note
        assert not mend_policy(writer)


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_after_death_at_any_system_call_the_policy_is_that_of_the_newest_entry(
    tmp_path: Path, what: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _DEATHS, str(tmp_path), what], cwd=ROOT, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def refused(directory: Path, origin: str) -> LogError:
    with pytest.raises(LogError) as found:
        check_origin(directory, origin)
    return found.value


def log_of(directory: Path, origin: str) -> Path:
    key = generate(origin)
    with writing(directory, origin, key) as writer:
        writer.append([e.Heartbeat(actor=ACTOR, target=TARGET)])
    return directory


def test_a_log_that_keeps_its_name_and_one_that_does_not_exist_are_fine(tmp_path: Path) -> None:
    check_origin(tmp_path, ORIGIN)
    check_origin(log_of(tmp_path / "log", ORIGIN), ORIGIN)
    (tmp_path / "log" / "checkpoint").write_bytes(b"damaged")
    check_origin(tmp_path / "log", ORIGIN)


@pytest.mark.parametrize(
    ("former", "today", "line"),
    [
        ("a.example/escola", "b.example/escola", 'write "origin: a.example" under "audit:"'),
        ("a.example/escola", "vila.provision.invalid/escola", 'write "origin: a.example" under "audit:"'),
        ("vila.provision.invalid/escola", "b.example/escola", 'remove "origin: b.example" under "audit:"'),
        ("vila.provision.invalid/escola", "vilanova.provision.invalid/escola", 'restore "id: vila"'),
    ],
)
def test_a_changed_name_is_told_with_the_line_that_gives_it_back(
    tmp_path: Path, former: str, today: str, line: str
) -> None:
    error = refused(log_of(tmp_path / "log", former), today)
    assert "municipality.yml" in error.message
    assert former in error.message
    assert today in error.message
    assert line in error.remedy


def test_the_log_of_another_school_is_told_as_that(tmp_path: Path) -> None:
    error = refused(log_of(tmp_path / "log", "a.example/escola-pi"), "a.example/escola-mar")
    assert "escola-pi" in error.remedy
    assert "municipality.yml" not in error.message
