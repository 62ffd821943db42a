"""Witnesses come and go, and a checkpoint needs those of today."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.audit import entries as e
from provision.audit.cosigners import add_witness, retire_witness
from provision.audit.log import LogWriter, SchoolLog, writing
from provision.audit.opening import establish, policy_for
from provision.audit.tlog import Group, Kind, Policy, SignerKey
from provision.errors import UsageError

ORIGIN = "provision.example.cat/escola-mar"
SCHOOL: Any = SimpleNamespace(id="escola-mar", audit=SimpleNamespace(strict=True))
ACTOR = e.Actor(name="Ada Puig")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    key = SignerKey.generate(ORIGIN)
    with writing(tmp_path / "log", ORIGIN, [key]) as writer:
        set_policy(writer, policy_for([key]))
        yield writer


def set_policy(writer: LogWriter, policy: Policy) -> None:
    target = e.Target(school=SCHOOL.id)
    writer.append([e.PolicySet(actor=ACTOR, target=target, policy=policy.text, strict=True)])
    establish(writer, policy)


def key(name: str = "escola-mar.example.cat/custodi") -> SignerKey:
    return SignerKey.generate(name, Kind.COSIGNATURE_ED25519)


def added(writer: LogWriter, one: SignerKey, **more: Any) -> Policy:
    return add_witness(writer, SCHOOL, ACTOR, one.verifier.vkey, **more)


def needed(policy: Policy, *given: SignerKey) -> bool:
    names = {one: name for name, one in policy.witnesses.items()}
    return policy.satisfied([names[one.verifier] for one in given if one.verifier in names])


def newest(writer: LogWriter, count: int) -> list[e.Entry]:
    return list(writer.log.entries(writer.size - count))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_of_the_required_witnesses_is_needed_however_many_there_are(
    writer: LogWriter, count: int
) -> None:
    keys = [key(f"school{number}.example") for number in range(count)]
    for one in keys:
        policy = added(writer, one, required=True)
    assert needed(policy, *keys)
    for missing in keys:
        assert not needed(policy, *(one for one in keys if one is not missing))
    # What is in the file and in the log is the policy that was returned, and it can be read again.
    assert SchoolLog.open(writer.directory).policy == policy
    assert newest(writer, 1)[0].data["policy"] == policy.text


def test_an_optional_witness_is_not_needed(writer: LogWriter) -> None:
    first, second = key("a.example"), key("b.example")
    added(writer, first)
    policy = added(writer, second, required=False)
    assert needed(policy, first)
    assert not needed(policy, second)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_witness_that_is_retired_is_needed_no_more_and_the_others_still_are(
    writer: LogWriter, count: int
) -> None:
    keys = [key(f"school{number}.example") for number in range(count)]
    for one in keys:
        added(writer, one)
    gone = keys.pop(count // 2)
    policy = retire_witness(writer, SCHOOL, ACTOR, gone.verifier.vkey, why="lost")
    assert gone.verifier not in policy.witnesses.values()
    assert needed(policy, *keys)
    for missing in keys:
        assert not needed(policy, *(one for one in keys if one is not missing))
    retired, decided = newest(writer, 2)
    assert (retired.type, retired.data["key"], retired.data["purpose"], retired.data["why"]) == (
        "key.retired", gone.verifier.vkey, "witness", "lost",
    )  # fmt: skip
    assert decided.data["policy"] == policy.text
    assert SchoolLog.open(writer.directory).policy == policy


def test_one_after_the_other_can_go_and_come_back(writer: LogWriter) -> None:
    keys = [key(f"school{number}.example") for number in range(4)]
    for one in keys:
        added(writer, one)
    for one in (keys[1], keys[0], keys[3], keys[2]):
        policy = retire_witness(writer, SCHOOL, ACTOR, one.verifier.name)
    assert (policy.witnesses, policy.groups, policy.quorum) == ({}, {}, "none")
    for one in keys:
        policy = added(writer, one)
    retire_witness(writer, SCHOOL, ACTOR, keys[1].verifier.name)
    policy = added(writer, keys[1])
    assert needed(policy, *keys)
    for missing in keys:
        assert not needed(policy, *(one for one in keys if one is not missing))


def test_a_new_key_takes_the_place_of_the_old_one_by_the_same_entries(writer: LogWriter) -> None:
    first, lost, last, new = key("a.example"), key("b.example"), key("c.example"), key("b.example")
    for one in (first, lost, last):
        added(writer, one)
    size = writer.size
    policy = added(writer, new, replaces=lost.verifier.vkey, why="a new laptop")
    assert needed(policy, first, new, last)
    assert not needed(policy, first, lost, last)
    assert not needed(policy, first, last)
    assert [entry.type for entry in writer.log.entries(size)] == ["key.added", "key.retired", "policy.set"]
    assert [entry.data["key"] for entry in newest(writer, 3)[:2]] == [new.verifier.vkey, lost.verifier.vkey]


@pytest.mark.parametrize("required", [True, False])
def test_who_takes_the_place_of_another_is_as_needed_as_that_one_was_or_as_was_said(
    writer: LogWriter, required: bool
) -> None:
    old, new, newer = key("a.example"), key("b.example"), key("c.example")
    added(writer, old, required=required)
    policy = added(writer, new, replaces="witness1")
    assert needed(policy) is not required
    policy = added(writer, newer, replaces="b.example", required=not required)
    assert needed(policy) is required
    assert needed(policy, newer)
    assert list(policy.witnesses.values()) == [newer.verifier]


def test_a_quorum_that_somebody_else_wrote_keeps_its_meaning(writer: LogWriter) -> None:
    keys = [key(f"{letter}.example") for letter in "abc"]
    policy = Policy(
        logs=writer.log.policy.logs,
        witnesses={f"w{number}": one.verifier for number, one in enumerate(keys)},
        groups={"any-two": Group(2, ("w0", "w1", "w2"))},
        quorum="any-two",
    )
    set_policy(writer, policy)
    new = key("d.example")
    policy = added(writer, new)
    assert needed(policy, keys[0], keys[2], new)
    assert not needed(policy, *keys)
    assert not needed(policy, keys[0], new)
    policy = retire_witness(writer, SCHOOL, ACTOR, "w1")
    assert needed(policy, keys[0], keys[2], new)
    assert not needed(policy, keys[0], new)


def test_a_witness_that_is_not_there_is_refused_with_the_names_of_those_that_are(writer: LogWriter) -> None:
    one, same = key("a.example"), key("a.example")
    with pytest.raises(UsageError) as found:
        retire_witness(writer, SCHOOL, ACTOR, "witness1")
    assert "none" in found.value.remedy
    added(writer, one)
    added(writer, same)
    size = writer.size
    for wanted in ("nobody", "\x1b[2J", ""):
        with pytest.raises(UsageError) as found:
            retire_witness(writer, SCHOOL, ACTOR, wanted)
        assert "witness1 (a.example)" in found.value.remedy
        assert "\x1b" not in found.value.message
    with pytest.raises(UsageError, match="several"):
        added(writer, key("b.example"), replaces="a.example")
    with pytest.raises(UsageError, match="already"):
        added(writer, one, replaces="witness2")
    with pytest.raises(UsageError, match="cannot be a witness"):
        added(writer, SignerKey.generate("c.example"), replaces="witness2")
    assert writer.size == size


def test_more_witnesses_than_an_entry_holds_are_refused_before_anything_is_written(writer: LogWriter) -> None:
    policy = Policy(
        logs=writer.log.policy.logs,
        witnesses={
            f"w{number}": SignerKey.generate("x" * 200, Kind.COSIGNATURE_ED25519).verifier
            for number in range(80)
        },
    )
    writer.set_policy(policy)
    size = writer.size
    with pytest.raises(UsageError) as found:
        added(writer, key())
    assert "retire-witness" in found.value.remedy
    assert writer.size == size
    assert writer.log.policy == policy
