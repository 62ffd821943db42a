"""Entries that are dated before a cosignature which does not have them: dated back, or one of four honest reasons."""

from array import array
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.audit import entries as e
from provision.audit.log import writing
from provision.audit.tlog import Kind, Policy, SignerKey
from provision.audit.verify import check as checking
from provision.audit.verify import unseen, verify
from provision.audit.verify.times import Limit
from tests.unit.audit.verify.city import ACTOR, ORIGIN, TARGET, City


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "log", runs=1)


def about(city: City, policy: Policy | None = None) -> list[tuple[str, str, int | None, int | None]]:
    """What is said of dates; the log is verified all the same."""
    verdict = verify(city.directory, policy or city.policy, now=city.now + timedelta(days=9))
    assert verdict.ok, verdict.findings
    return [
        (one.text, str(one.severity), one.entry, one.last)
        for one in verdict.findings
        if one.kind in {"older-date", "time-order", "time-forged"}
    ]


def test_a_run_that_is_dated_back_behind_a_cosignature_is_told(city: City) -> None:
    city.cosign(city.clock + timedelta(days=3))
    # On the fourth day the city writes a run of the first.
    city.run()
    assert about(city) == [("older-date/unseen", "warning", 7, 11)]
    city.cosign(city.clock + timedelta(days=4))
    assert about(city) == [("older-date/unseen", "warning", 7, 11)]


def test_a_rule_that_is_dated_back_is_told(city: City) -> None:
    city.cosign(city.clock + timedelta(hours=2))
    city.set_policy(city.policy)
    assert about(city) == [("older-date/unseen", "warning", 7, 7)]


def test_who_reads_for_long_before_signing_and_clocks_that_differ_accuse_nobody(city: City) -> None:
    city.cosign(city.clock + timedelta(minutes=50))
    city.run()
    assert about(city) == []


def test_a_run_that_was_under_way_is_not_accused(city: City) -> None:
    run = city.name()
    city.intent(run)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
    # The steps are on the administrator's machine, and reach the server with the end.
    note = city.cosigned_note(city.clock + timedelta(hours=3))
    city.write(e.HealthChecked(actor=ACTOR, target=TARGET, run=run, services={}))
    city.clock += timedelta(hours=4)
    city.steps(run)
    city.archive(note)
    assert about(city) == []


def test_the_end_of_a_run_that_could_not_reach_the_server_is_a_note(city: City) -> None:
    run = city.name()
    city.intent(run)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
    note = city.cosigned_note(city.clock + timedelta(hours=3))
    city.steps(run)
    city.archive(note)
    assert about(city) == [("older-date/waited", "note", 9, 11)]


def test_what_waited_in_an_outbox_is_a_note(city: City) -> None:
    city.cosign(city.clock + timedelta(days=3))
    with writing(city.directory, ORIGIN, city.keys) as writer:
        rotated = e.SecretRotated(actor=ACTOR, target=TARGET, names=["x"])
        writer.append([rotated], when=[e.timestamp(city.clock)])
    assert about(city) == [("older-date/waited", "note", 7, 7)]


def test_an_old_copy_that_somebody_signs_late_does_not_speak_against_what_another_has_seen(
    city: City,
) -> None:
    second = SignerKey.generate("afa.example.cat/custodi", Kind.COSIGNATURE_ED25519)
    policy = Policy(city.policy.logs, {"school": city.school.verifier, "afa": second.verifier}, {}, "school")
    city.set_policy(policy)
    old = city.log.note
    city.run()
    city.cosign()
    city.archive(old.add(second.sign(old.text, int((city.clock + timedelta(days=5)).timestamp()))))
    assert about(city, policy) == []


def test_a_time_stamp_on_an_older_checkpoint_says_nothing_of_what_came_later(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As “audit anchor --cosigned” makes it.
    note = city.cosign()
    city.run()
    city.cosign(city.clock + timedelta(minutes=1))
    size = int(note.text.split("\n")[1])
    stamp = SimpleNamespace(size=size, time=city.clock + timedelta(days=2), authority="TSA", problem=None)
    monkeypatch.setattr(checking, "check_anchors", lambda *_: [stamp])
    assert about(city) == []


limits = st.lists(
    st.builds(Limit, st.integers(0, 8), st.integers(1, 20), st.just("w"), st.just(""), st.just("")),
    max_size=8,
)


@given(limits, limits, st.integers(1, 8))
def test_each_entry_has_the_latest_cosignature_that_can_have_been_without_it(
    cosigned: list[Limit], stamped: list[Limit], size: int
) -> None:
    found: dict[int, Any] = {}
    for first, last, limit in unseen._lower(size, cosigned, stamped):
        found |= dict.fromkeys(range(first, last), limit and limit.time)
    for index in range(size):
        there = min((one.time for one in [*cosigned, *stamped] if one.size > index), default=99)
        expected = max((one.time for one in cosigned if one.size <= index and one.time < there), default=None)
        assert found[index] == expected
    assert array("Q", sorted(found)) == array("Q", range(size))
