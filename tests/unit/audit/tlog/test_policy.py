"""Policies: who must have signed a checkpoint."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    NO_QUORUM,
    Checkpoint,
    Group,
    Kind,
    Note,
    NoteError,
    Policy,
    PolicyError,
    SignerKey,
    VerifierKey,
)
from provision.audit.tlog.policy import MAX_DEFINITIONS, MAX_POLICY
from tests.unit.audit.tlog.logs import AUDITOR, CHECKPOINT, CITY, CITY_ECDSA, CITY_MLDSA, NOTE, SCHOOL, TIME

TEXT = CHECKPOINT.text
LOG, SCHOOL_KEY, AUDITOR_KEY = CITY.verifier.vkey, SCHOOL.verifier.vkey, AUDITOR.verifier.vkey
#: The same in each worker: their lines are in the names of tests.
WITNESSES = [
    SignerKey(f"witness.example/{number}", Kind.COSIGNATURE_ED25519, bytes([number]) * 32)
    for number in range(6)
]
X1, X2, X3, Y1, Y2, Y3 = (one.verifier.vkey for one in WITNESSES)
#: The example of tlog-policy.md, with keys, comments and addresses.
EXAMPLE = f"""# Who may sign
log {LOG} https://logs.example.cat/escola

\twitness X1 {X1}
witness  X2\t{X2}   https://x2.example
witness X3 {X3}
  # two of these
group X-witnesses 2 X1 X2 X3

witness Y1 {Y1}
witness Y2 {Y2}
witness Y3 {Y3}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_example_of_the_specification_is_met_by_two_of_one_group_and_one_of_the_other() -> None:
    policy = Policy.parse(EXAMPLE)
    names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    for count in range(7):
        for some in combinations(names, count):
            groups = "".join(name[0] for name in some)
            assert policy.satisfied(some) == (groups.count("X") >= 2 and groups.count("Y") >= 1)
    assert policy.satisfied(["X1", "X2", "Y3", "a stranger"])
    assert not policy.satisfied(["X-witnesses", "Y-witnesses", "X-and-Y"]), "groups do not cosign"


def test_a_policy_says_who_is_in_it() -> None:
    policy = Policy.parse(EXAMPLE)
    assert policy.logs == (CITY.verifier,)
    assert policy.witnesses["X2"] == WITNESSES[1].verifier
    assert policy.groups["X-and-Y"] == Group(2, ("X-witnesses", "Y-witnesses"))
    assert policy.quorum == "X-and-Y"
    assert policy.urls == {LOG: "https://logs.example.cat/escola", X2: "https://x2.example"}
    assert policy.verifiers() == (CITY.verifier, *(one.verifier for one in WITNESSES))


def test_a_policy_is_read_as_it_was_written() -> None:
    policy = Policy.parse(EXAMPLE)
    assert Policy.parse(policy.text) == policy
    assert Policy.parse(policy.text.encode()) == policy
    assert Policy.parse(policy.text.removesuffix("\n")) == policy
    made = Policy((CITY.verifier,), {"school": SCHOOL.verifier}, {}, "school")
    assert made.text == f"log {LOG}\nwitness school {SCHOOL_KEY}\nquorum school\n"
    assert Policy.parse(made.text) == made


def test_a_quorum_of_none_asks_for_no_cosignature() -> None:
    policy = Policy.parse("quorum none\n")
    assert policy == Policy()
    assert policy.quorum == NO_QUORUM
    assert policy.satisfied([])


def test_names_are_words_and_nothing_more() -> None:
    text = f"witness école+1 {SCHOOL_KEY}\nwitness quorum {AUDITOR_KEY}\ngroup K any école+1\nquorum K\n"
    policy = Policy.parse(text)
    assert policy.satisfied(["école+1"])
    assert not policy.satisfied(["e\u0301cole+1"]), "two spellings of one letter are two names"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no quorum line"),
        (f"log {LOG}\n", "there is no quorum line"),
        ("quorum none\nquorum none\n", "^line 2: there is a quorum already"),
        ("quorum\n", "^line 1: this is not how a line that begins with 'quorum'"),
        ("quorum a b\n", "^line 1: this is not how"),
        ("quorum school\n", "^line 1: no witness or group 'school' is defined before this"),
        (f"quorum school\nwitness school {SCHOOL_KEY}\n", "^line 1: no witness"),
        ("\n\nnonsense\n", "^line 3: a line begins with log, witness, group or quorum, not with 'nonsense'"),
        ("Log x\n", "^line 1: a line begins with"),
        ("log\n", "^line 1: this is not how a line that begins with 'log'"),
        (f"log {LOG} a b\n", "^line 1: this is not how"),
        ("log nonsense\n", "^line 1: the key is not usable"),
        (f"log {SCHOOL_KEY}\n", "^line 1: a key of type 0x04 is not for a log"),
        (f"log {LOG}\nlog {LOG}\n", "^line 2: the key of .* is there already"),
        (f"witness school {LOG}\n", "^line 1: a key of type 0x01 is not for a witness"),
        (f"witness {SCHOOL_KEY}\n", "^line 1: this is not how"),
        (f"witness none {SCHOOL_KEY}\n", "^line 1: 'none' is not a name"),
        (f"witness a {SCHOOL_KEY}\nwitness b {SCHOOL_KEY}\n", "^line 2: the key of .* is there already"),
        (f"witness a {SCHOOL_KEY}\nwitness a {X1}\n", "^line 2: the name 'a' is taken"),
        (f"witness {'a' * 256} {X1}\n", "cannot be the name"),
        (f"witness a {X1}\ngroup g any\n", "^line 2: this is not how"),
        (f"witness a {X1}\ngroup g a\n", "^line 2: this is not how"),
        (f"witness a {X1}\ngroup g 0 a\n", "^line 2: a group of 1 cannot ask for 0"),
        (f"witness a {X1}\ngroup g 2 a\n", "^line 2: a group of 1 cannot ask for 2"),
        (f"witness a {X1}\ngroup g 01 a\n", "^line 2: a group asks for all, any or a number"),
        (f"witness a {X1}\ngroup g {'9' * 5000} a\n", "^line 2: a group asks for"),
        (f"witness a {X1}\ngroup g most a\n", "^line 2: a group asks for all, any or a number"),
        (f"witness a {X1}\ngroup a any a\n", "^line 2: the name 'a' is taken"),
        (f"witness a {X1}\ngroup g 2 a a\n", "^line 2: 'a' is a member already"),
        (f"witness a {X1}\ngroup g any a\ngroup h any a\n", "^line 3: 'a' is a member already"),
        (f"witness a {X1}\ngroup g any none\n", "^line 2: no witness or group 'none'"),
        (f"witness a {X1}\ngroup none any a\n", "^line 2: 'none' is not a name"),
        (f"witness a {X1}\ngroup g any b\n", "^line 2: no witness or group 'b' is defined before this"),
        ("group g any g\n", "^line 1: no witness or group 'g'"),
        ("group g any h\ngroup h any g\n", "^line 1: no witness or group 'h'"),
        ("quorum none\r\n", "^line 1: control characters .*newline alone"),
        ("# a\x1b[2J\nquorum none\n", "^line 1: control characters are not allowed$"),
        ("quorum\u00a0none\n", "^line 1: a line begins with"),
    ],
)
def test_a_wrong_line_is_refused_and_named(text: str, why: str) -> None:
    with pytest.raises(PolicyError, match=why) as caught:
        Policy.parse(text)
    assert caught.value.line == (
        int(why.split(" ")[1].strip(":")) if why.startswith("^") else caught.value.line
    )


def test_text_that_is_not_utf8_is_refused_and_its_line_named() -> None:
    with pytest.raises(PolicyError, match=r"^line 2: this is not UTF-8") as caught:
        Policy.parse(b"# fine\n# \xe9\nquorum none\n")
    assert caught.value.line == 2


def test_one_key_never_stands_for_two_parties() -> None:
    twice = SignerKey("other.example", Kind.COSIGNATURE_ED25519, SCHOOL.secret).verifier
    with pytest.raises(
        PolicyError, match=r"is there already, as that of 'escola-exemple.example.cat/custodi'"
    ):
        Policy((), {"a": SCHOOL.verifier, "b": twice})
    itself = SignerKey("other.example", Kind.COSIGNATURE_ED25519, CITY.secret).verifier
    with pytest.raises(PolicyError, match="is there already"):
        Policy((CITY.verifier,), {"a": itself})
    twin = SignerKey.generate(CITY.name, Kind.ED25519).verifier
    object.__setattr__(twin, "key_id", CITY.verifier.key_id)
    with pytest.raises(PolicyError, match="the same id"):
        Policy((CITY.verifier, twin))


@pytest.mark.parametrize(
    "arguments",
    [
        {"quorum": "nobody"},
        {"groups": {"g": Group(1, ("nobody",))}},
        {"groups": {"g": Group(0, ())}},
        {"groups": {"g h": Group(1, ("a",))}, "witnesses": {"a": SCHOOL.verifier}},
        {"witnesses": {"a\nquorum": SCHOOL.verifier}},
        {"witnesses": {"": SCHOOL.verifier}},
        {"witnesses": {"a": SignerKey("a\x7f", Kind.COSIGNATURE_ED25519, bytes(32)).verifier}},
        {"urls": {LOG: "two words"}},
        {"urls": {LOG: "a\nquorum none"}},
        {"urls": {LOG: ""}},
    ],
    ids=str,
)
def test_a_policy_that_could_not_be_read_again_is_not_made(arguments: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        Policy(logs=(CITY.verifier,), **arguments)  # type: ignore[arg-type]


def chain(length: int) -> str:
    lines = [f"witness g0 {X1}", *(f"group g{number + 1} all g{number}" for number in range(length))]
    return "\n".join([*lines, f"quorum g{length}"]) + "\n"


def test_the_deepest_nest_of_groups_is_worked_out_without_recursion() -> None:
    policy = Policy.parse(chain(MAX_DEFINITIONS))
    assert policy.satisfied(["g0"])
    assert not policy.satisfied([])


def test_a_policy_has_an_upper_limit() -> None:
    with pytest.raises(PolicyError, match=f"^line {MAX_DEFINITIONS + 2}: there are more than 256 groups"):
        Policy.parse(chain(MAX_DEFINITIONS + 1))
    for text in ("#" * (MAX_POLICY + 1), b"#" * (MAX_POLICY + 1)):
        with pytest.raises(PolicyError, match="larger than"):
            Policy.parse(text)
    keys = [VerifierKey(str(n), Kind.COSIGNATURE_MLDSA44, n.to_bytes(1312, "big")) for n in range(257)]
    assert len(Policy((), {key.name: key for key in keys[:-1]}).witnesses) == 256
    with pytest.raises(PolicyError, match="more than 256 witnesses"):
        Policy((), {key.name: key for key in keys})
    with pytest.raises(PolicyError, match="more than 256 logs"):
        Policy(tuple(keys))


def test_an_opinion_says_who_signed_when_and_whether_that_is_enough() -> None:
    policy = Policy((CITY.verifier,), {"school": SCHOOL.verifier, "other": AUDITOR.verifier}, {}, "school")
    opinion = policy.open(NOTE.encode())
    assert opinion == policy.open(NOTE)
    assert opinion.checkpoint == CHECKPOINT
    assert opinion.logs == (CITY.verifier,)
    assert opinion.witnesses == {"school": TIME}
    assert opinion.quorum_met
    assert not Policy(policy.logs, policy.witnesses, {}, "other").open(NOTE).quorum_met
    both = Policy(policy.logs, policy.witnesses, {"both": Group(2, ("school", "other"))}, "both")
    assert not both.open(NOTE).quorum_met
    assert both.open(NOTE.add(AUDITOR.sign(TEXT, TIME + 5))).witnesses == {"school": TIME, "other": TIME + 5}
    assert both.open(NOTE.add(AUDITOR.sign(TEXT, TIME + 5))).quorum_met


def test_a_log_may_sign_with_a_second_key_of_another_kind() -> None:
    note = NOTE.add(CITY_ECDSA.sign(TEXT)).add(CITY_MLDSA.sign(TEXT, TIME))
    for keys in ([CITY], [CITY_ECDSA], [CITY_MLDSA], [CITY, CITY_ECDSA], [CITY, CITY_MLDSA, CITY_ECDSA]):
        policy = Policy.parse("".join(f"log {key.verifier.vkey}\n" for key in keys) + "quorum none\n")
        assert set(policy.open(note).logs) == {key.verifier for key in keys}


def test_a_checkpoint_of_an_unknown_log_is_refused() -> None:
    with pytest.raises(NoteError, match=r"knows no log 'provision.example.cat/escola-exemple'"):
        Policy((), {"school": SCHOOL.verifier}, {}, "school").open(NOTE)


def test_a_log_cannot_sign_for_another_log() -> None:
    other = SignerKey.generate("provision.example.cat/another", Kind.ED25519)
    policy = Policy((CITY.verifier, other.verifier), {"school": SCHOOL.verifier}, {}, "school")
    note = Note(TEXT).add(other.sign(TEXT)).add(SCHOOL.sign(TEXT, TIME))
    with pytest.raises(NoteError, match="not signed by its log"):
        policy.open(note)
    assert policy.open(note.add(CITY.sign(TEXT))).logs == (CITY.verifier,)


def test_witnesses_alone_do_not_make_a_checkpoint() -> None:
    policy = Policy((CITY.verifier,), {"school": SCHOOL.verifier}, {}, "school")
    with pytest.raises(NoteError, match="not signed by its log"):
        policy.open(Note(TEXT).add(SCHOOL.sign(TEXT, TIME)))


def test_a_wrong_signature_by_any_key_of_the_policy_rejects_the_checkpoint() -> None:
    policy = Policy((CITY.verifier,), {"school": SCHOOL.verifier}, {}, NO_QUORUM)
    other = Checkpoint(CHECKPOINT.origin, 2, CHECKPOINT.root).text
    for note in (NOTE.add(SCHOOL.sign(other, TIME)), NOTE.add(CITY.sign(other))):
        with pytest.raises(NoteError, match="is wrong"):
            policy.open(note)
    with pytest.raises(NoteError, match="three lines"):
        policy.open(Note("no checkpoint\n").add(CITY.sign("no checkpoint\n")))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_tree_of_groups_is_met_as_counting_says(data: st.DataObject) -> None:
    names = [f"w{number}" for number in range(6)]
    free: list[str] = list(names)
    groups: dict[str, Group] = {}
    for number in range(data.draw(st.integers(1, 4))):
        if not free:
            break
        members = data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        free = [one for one in free if one not in members] + [f"g{number}"]
        groups[f"g{number}"] = Group(data.draw(st.integers(1, len(members))), tuple(members))
    witnesses = {name: key.verifier for name, key in zip(names, WITNESSES, strict=True)}
    policy = Policy((), witnesses, groups, list(groups)[-1])
    cosigned = data.draw(st.lists(st.sampled_from(names), unique=True))
    assert Policy.parse(policy.text) == policy
    assert policy.satisfied(cosigned) == met(policy.quorum, groups, cosigned)


def met(name: str, groups: dict[str, Group], cosigned: Sequence[str]) -> bool:
    group = groups.get(name)
    if group is None:
        return name in cosigned
    return sum(met(member, groups, cosigned) for member in group.members) >= group.threshold
