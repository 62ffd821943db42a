"""Who could agree to a run: the city's tricks with keys and policies of its own, and what honest schools do."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from provision.audit import entries as e
from provision.audit.tlog import Group, Kind, Policy, SignerKey
from provision.audit.verify import Severity, Verdict, verify
from tests.unit.audit.verify.city import ACTOR, TARGET, City


@pytest.fixture
def city(tmp_path: Path) -> City:
    """A school whose runs wait for it, and that has cosigned all so far."""
    made = City(tmp_path / "log", strict=True)
    made.cosign()
    return made


def key(name: str) -> SignerKey:
    return SignerKey.generate(name, Kind.COSIGNATURE_ED25519)


def policy_of(city: City, *witnesses: SignerKey, needed: int | None = None) -> Policy:
    """All of these witnesses, or so many of them."""
    known = {f"w{number}": one.verifier for number, one in enumerate(witnesses)}
    group = Group(needed or len(witnesses), tuple(known))
    return Policy((city.keys[0].verifier,), known, {"enough": group}, "enough")


def added(one: SignerKey) -> e.KeyAdded:
    return e.KeyAdded(actor=ACTOR, target=TARGET, key=one.verifier.vkey, purpose="witness")


def retired(one: SignerKey) -> e.KeyRetired:
    return e.KeyRetired(actor=ACTOR, target=TARGET, key=one.verifier.vkey, purpose="witness")


def cosign(city: City, *keys: SignerKey) -> None:
    """A routine visit, hours after whatever happened."""
    note = city.log.note
    for one in keys:
        note = note.add(one.sign(note.text, int((city.clock + timedelta(hours=2)).timestamp())))
    city.archive(note)


def about(city: City, policy: Policy) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the log is verified, and what is said of approvals."""
    verdict: Verdict = verify(city.directory, policy, now=city.now + timedelta(hours=3))
    found = [
        (one.text, str(one.severity)) for one in verdict.findings if one.kind in {"unapproved", "former"}
    ]
    others = [
        one.text for one in verdict.findings if one.severity is Severity.BAD and one.kind != "unapproved"
    ]
    assert others == []
    return verdict.ok, found


STRANGER = (False, [("unapproved/stranger", "bad")])


def own_alone(city: City, own: SignerKey) -> None:
    city.set_policy(policy_of(city, own), added(own))


def own_or_school(city: City, own: SignerKey) -> None:
    city.set_policy(policy_of(city, city.school, own, needed=1), added(own))


def nobody_then_own(city: City, own: SignerKey) -> None:
    city.set_policy(Policy((city.keys[0].verifier,)), retired(city.school))
    city.set_policy(policy_of(city, own), added(own))


def own_under_the_schools_name(city: City, own: SignerKey) -> None:
    city.set_policy(Policy((city.keys[0].verifier,), {"school": own.verifier}, {}, "school"), added(own))


@pytest.mark.parametrize(
    "trick",
    [own_alone, own_or_school, nobody_then_own, own_under_the_schools_name],
    ids=lambda one: one.__name__,
)
def test_a_witness_that_the_city_puts_into_the_policy_for_one_run_approves_nothing(
    city: City, trick: Callable[[City, SignerKey], None]
) -> None:
    own = key(city.school.name if trick is own_under_the_schools_name else "city.example.cat/own")
    trick(city, own)
    city.approved_run(own)
    city.set_policy(city.policy, retired(own))
    cosign(city, city.school)
    assert about(city, city.policy) == STRANGER


def test_the_school_that_cosigned_such_a_change_before_the_run_is_told_of_it(city: City) -> None:
    own = key("city.example.cat/own")
    own_or_school(city, own)
    city.cosign()
    city.approved_run(own)
    cosign(city, city.school)
    assert about(city, city.policy) == (True, [("former/unseen", "warning")])


def test_one_of_two_witnesses_cannot_be_dropped_for_a_run_in_silence(city: City) -> None:
    second = key("afa.example.cat/custodi")
    both = policy_of(city, city.school, second)
    city.set_policy(both, added(second))
    cosign(city, city.school, second)
    city.clock += timedelta(hours=3)
    city.set_policy(city.policy, retired(second))
    city.approved_run(city.school)
    city.set_policy(both, added(second))
    cosign(city, city.school, second)
    # The school itself saw it, and agreed: a person is to look at it.
    assert about(city, both) == (True, [("former/unseen", "warning")])


def test_a_run_without_any_cosignature_is_not_mended_by_a_later_one(city: City) -> None:
    city.approved_run()
    cosign(city, city.school)
    assert about(city, city.policy) == (False, [("unapproved/unproven", "bad")])


@pytest.mark.parametrize("size", [8, 10])
def test_an_approval_cannot_name_a_tree_that_is_still_to_come(city: City, size: int) -> None:
    run = city.name()
    city.intent(run)
    city.approve(run, city.school, signed=False, size=size)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
    city.steps(run)
    while city.log.size < size:
        city.write(e.Heartbeat(actor=ACTOR, target=TARGET))
    assert city.log.size == size
    cosign(city, city.school)
    assert about(city, city.policy) == (False, [("unapproved/unproven", "bad")])


def test_an_approval_over_just_the_intent_counts(city: City) -> None:
    city.approved_run(city.school)
    cosign(city, city.school)
    assert about(city, city.policy) == (True, [])


def test_a_school_that_lost_its_key_is_not_accused_of_what_it_approved_with_it(city: City) -> None:
    city.approved_run(city.school)
    city.approved_run(city.school)
    new = key("escola-mar.example.cat/nou")
    policy = policy_of(city, new)
    city.set_policy(policy, added(new), retired(city.school))
    city.approved_run(new)
    cosign(city, new)
    assert about(city, policy) == (True, [("former/witness", "note")])


def test_a_new_key_may_have_the_name_of_the_lost_one(city: City) -> None:
    city.approved_run(city.school)
    new = key(city.school.name)
    policy = policy_of(city, new)
    city.set_policy(policy, added(new), retired(city.school))
    city.approved_run(new)
    cosign(city, new)
    assert about(city, policy) == (True, [("former/witness", "note")])


def test_a_key_lost_twice_is_a_question_and_no_accusation(city: City) -> None:
    second, third = key("escola-mar.example.cat/2"), key("escola-mar.example.cat/3")
    city.set_policy(policy_of(city, second), added(second), retired(city.school))
    city.approved_run(second)
    policy = policy_of(city, third)
    city.set_policy(policy, added(third), retired(second))
    cosign(city, third)
    assert about(city, policy) == (True, [("former/unseen", "warning")])
    # The school says in a policy of its own that the key was its own.
    own_word = policy_of(city, third, second, needed=1)
    verdict = verify(city.directory, own_word, now=city.now + timedelta(hours=3))
    assert verdict.ok
    assert not [one for one in verdict.findings if one.kind in {"unapproved", "former"}]


def test_a_witness_that_joined_later_had_not_to_approve_before(city: City) -> None:
    city.approved_run(city.school)
    second = key("afa.example.cat/custodi")
    both = policy_of(city, city.school, second)
    city.set_policy(both, added(second))
    city.approved_run(city.school, second)
    cosign(city, city.school, second)
    assert about(city, both) == (True, [("former/witness", "note")])


def test_the_one_of_two_that_is_left_approves_alone(city: City) -> None:
    second, third = key("afa.example.cat/custodi"), key("afa.example.cat/nou")
    city.set_policy(policy_of(city, city.school, second), added(second))
    city.set_policy(city.policy, retired(second))
    city.approved_run(city.school)
    policy = policy_of(city, city.school, third)
    city.set_policy(policy, added(third))
    cosign(city, city.school, third)
    assert about(city, policy) == (True, [("former/witness", "note")])


def test_a_key_that_is_replaced_while_a_run_waits_may_approve_it(city: City) -> None:
    run = city.name()
    city.intent(run)
    new = key("escola-mar.example.cat/nou")
    policy = policy_of(city, new)
    city.set_policy(policy, added(new), retired(city.school))
    city.approve(run, new)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
    city.steps(run)
    cosign(city, new)
    assert about(city, policy) == (True, [])


def test_a_log_that_had_no_witness_yet_is_not_accused(tmp_path: Path) -> None:
    city = City(tmp_path / "log", witness=False)
    city.run()
    city.strict = True
    policy = policy_of(city, city.school)
    city.set_policy(policy, added(city.school))
    city.approved_run(city.school)
    cosign(city, city.school)
    assert about(city, policy) == (True, [])


def test_a_new_key_of_the_log_changes_nothing_for_who_approves(city: City) -> None:
    city.approved_run(city.school)
    city.rotate()
    city.approved_run(city.school)
    new = key("escola-mar.example.cat/nou")
    policy = policy_of(city, new)
    city.set_policy(policy, added(new), retired(city.school))
    cosign(city, new)
    trusted = Policy(
        Policy.parse((city.directory / "policy").read_text()).logs,
        policy.witnesses,
        policy.groups,
        policy.quorum,
    )
    assert about(city, trusted) == (True, [("former/witness", "note")])


def strict(verdict: Verdict) -> list[tuple[str, str, int | None]]:
    return [(one.text, str(one.severity), one.entry) for one in verdict.findings if one.kind == "strict"]


def switched_off(city: City) -> None:
    city.set_policy(city.policy, strict=False)
    city.strict = False


def switched_on(city: City) -> None:
    city.set_policy(city.policy, strict=True)
    city.strict = True


def checked(city: City) -> Verdict:
    return verify(city.directory, city.policy, now=city.now + timedelta(hours=3))


def test_strict_mode_that_is_off_for_a_run_between_two_visits_is_bad(city: City) -> None:
    switched_off(city)
    city.run()
    switched_on(city)
    city.cosign()
    assert not checked(city).ok
    assert strict(checked(city)) == [("strict/unseen", "bad", 2)]


def test_taking_the_witness_away_first_does_not_hide_it(city: City) -> None:
    city.set_policy(Policy((city.keys[0].verifier,)), retired(city.school))
    city.set_policy(Policy((city.keys[0].verifier,)), strict=False)
    city.strict = False
    city.run()
    switched_on(city)
    city.cosign()
    assert strict(checked(city)) == [("strict/unseen", "bad", 4)]


@pytest.mark.parametrize("back", [False, True])
def test_strict_mode_that_ends_without_asking_is_a_warning(city: City, back: bool) -> None:
    switched_off(city)
    city.run()
    city.cosign()
    if back:
        switched_on(city)
        city.cosign()
    assert checked(city).ok
    assert strict(checked(city)) == [("strict/unasked", "warning", 2)]


def test_strict_mode_that_ends_with_the_schools_knowledge_is_a_note(city: City) -> None:
    switched_off(city)
    city.cosign()
    city.run()
    switched_on(city)
    city.approved_run(city.school)
    city.cosign()
    assert checked(city).ok
    assert strict(checked(city)) == [("strict/ended", "note", 2)]


def test_strict_mode_that_nobody_could_answer_yet_may_end(tmp_path: Path) -> None:
    city = City(tmp_path / "log", strict=True, witness=False)
    city.set_policy(city.policy, strict=False)
    city.strict = False
    city.run()
    switched_on(city)
    assert strict(checked(city)) == [("strict/ended", "note", 2)]


def test_a_run_that_was_approved_all_the_same_needs_no_strict_mode(city: City) -> None:
    switched_off(city)
    city.approved_run(city.school)
    switched_on(city)
    city.cosign()
    assert checked(city).ok
    assert strict(checked(city)) == [("strict/ended", "note", 2)]
