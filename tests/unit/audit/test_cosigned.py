"""Who has cosigned up to where: after renewals of keys, with several witnesses, beside what does not fit."""

from pathlib import Path

import pytest

from provision.audit.cosigned import cosigned_beyond, log_keys, witness_times
from provision.audit.log import SchoolLog
from provision.audit.tlog import Checkpoint, Group, Kind, Note, NoteError, Policy, SignerKey
from tests.unit.audit.witness.city import ORIGIN, City

NOW = 1_800_000_000


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


def keep(city: City, *cosignatures: tuple[SignerKey, int]) -> int:
    """Keep the newest checkpoint with these cosignatures; its size."""
    note = city.note
    for key, moment in cosignatures:
        note = note.add(key.sign(note.text, moment))
    city.archive(note)
    return city.size


def policy(city: City, keys: list[SignerKey], threshold: int) -> Policy:
    names = {f"witness{number}": key.verifier for number, key in enumerate(keys, 1)}
    quorum = Group(threshold, tuple(names))
    made = Policy(
        logs=tuple(key.verifier for key in city.keys), witnesses=names, groups={"all": quorum}, quorum="all"
    )
    (city.directory / "policy").write_text(made.text)
    return made


def witness(name: str) -> SignerKey:
    return SignerKey.generate(name, Kind.COSIGNATURE_ED25519)


def test_cosignatures_from_before_a_renewal_of_the_log_key_are_still_told(city: City) -> None:
    size = keep(city, (city.witness, NOW))
    city.renew()
    city.beat()
    (city.directory / "policy").write_text(city.policy.text)
    log = SchoolLog.open(city.directory)
    # Under today's policy alone that checkpoint cannot be opened.
    kept = log.archived_at(size)
    assert kept is not None
    with pytest.raises(NoteError):
        log.policy.open(kept)
    assert witness_times(log) == {"school": (size, NOW)}
    assert cosigned_beyond(log, size - 1) == [("school", size, NOW)]
    assert cosigned_beyond(log, size) == []


def test_the_largest_size_counts_and_who_never_cosigned_is_not_named(city: City) -> None:
    first, second, never = witness("a.example"), witness("b.example"), witness("c.example")
    policy(city, [first, second, never], 1)
    small = keep(city, (first, NOW + 50), (second, NOW))
    city.beat()
    policy(city, [first, second, never], 1)
    large = keep(city, (first, NOW + 10))
    assert witness_times(SchoolLog.open(city.directory)) == {
        "witness1": (large, NOW + 10),
        "witness2": (small, NOW),
    }


def test_notes_that_do_not_fit_are_passed_over(city: City) -> None:
    size = keep(city, (city.witness, NOW))
    place = city.directory / "checkpoints"
    city.beat(3)
    good = city.note
    # Damaged; of another size than its name; of another log; with a cosignature that does not hold; beyond the log.
    (place / "3").write_bytes(b"damaged")
    (place / "4").write_bytes(good.add(city.witness.sign(good.text, NOW)).encode())
    other = Checkpoint("provision.example.cat/other", 5, bytes(32)).text
    (place / "5").write_bytes(Note(other, (city.witness.sign(other, NOW),)).encode())
    beyond = Checkpoint(ORIGIN, 9, bytes(32)).text
    (place / "9").write_bytes(
        Note(beyond, (city.keys[0].sign(beyond), city.witness.sign(beyond, NOW))).encode()
    )
    log = SchoolLog.open(city.directory)
    assert witness_times(log) == {"school": (size, NOW)}
    assert cosigned_beyond(log, size) == []
    forged = Note(good.text, (*good.signatures, city.witness.sign(log.archived_at(size).text, NOW)))  # type: ignore[union-attr]
    (place / "5").write_bytes(forged.encode())
    assert witness_times(log) == {"school": (size, NOW)}
    (place / "5").write_bytes(good.add(city.witness.sign(good.text, NOW)).encode())
    assert witness_times(log) == {"school": (5, NOW)}


def test_the_quorum_may_be_met_over_several_sizes_and_no_sooner(city: City) -> None:
    keys = [witness(f"{letter}.example") for letter in "ab"]
    index = city.size - 1
    one = keep(city, (keys[0], NOW))
    city.beat()
    policy(city, keys, 2)
    log = SchoolLog.open(city.directory)
    assert cosigned_beyond(log, index) == []
    two = keep(city, (keys[1], NOW + 5))
    assert sorted(cosigned_beyond(log, index)) == [("witness1", one, NOW), ("witness2", two, NOW + 5)]
    assert cosigned_beyond(log, one) == []


def test_where_no_cosignature_is_needed_one_must_be_there_all_the_same(city: City) -> None:
    keep(city)
    log = SchoolLog.open(city.directory)
    assert log.policy.quorum == "none"
    assert cosigned_beyond(log, 0) == []


@pytest.mark.parametrize("by", ["nobody of the log", "its key, over another history"])
def test_a_cosigned_checkpoint_that_is_not_this_log_s_agrees_to_nothing(city: City, by: str) -> None:
    if by == "nobody of the log":
        stranger = SignerKey.generate(ORIGIN)
        text, signer = city.note.text, stranger
    else:
        text, signer = Checkpoint(ORIGIN, city.size, bytes(32)).text, city.keys[0]
    city.archive(Note(text, (signer.sign(text), city.witness.sign(text, NOW))))
    assert cosigned_beyond(SchoolLog.open(city.directory), 0) == []


def test_every_key_that_the_log_had_is_found_in_a_long_log_too(city: City) -> None:
    first = city.keys[0].verifier
    city.beat(300)
    city.renew()
    second = city.keys[0].verifier
    city.beat(300)
    city.renew()
    (city.directory / "policy").write_text(city.policy.text)
    assert set(log_keys(SchoolLog.open(city.directory))) == {first, second, city.keys[0].verifier}
