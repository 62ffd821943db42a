"""Entries that waited for the log: bound, told by an older version, or only said to have waited."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from provision.audit import entries as e
from provision.audit.log import SchoolLog, writing
from provision.audit.verify import verify
from tests.unit.audit.verify.city import ACTOR, ORIGIN, TARGET, City, raw_entries

RUN = "20261102T100000Z-aaaaaa"
HASH = "0" * 64


class Fork:
    """Berta writes at the clock of the beginning; Núria goes on two hours later without it, and then it follows.

    Args:
        city: Núria's log, which Berta has at this moment.
    """

    def __init__(self, city: City, name: str = "berta") -> None:
        self.city, self.shared = city, city.log.size
        self.berta = City.__new__(City)
        self.berta.__dict__.update(city.__dict__)
        self.berta.directory = city.copy(name)

    @property
    def left(self) -> list[bytes]:
        return raw_entries(self.berta.directory)[self.shared :]

    def claim(self, **changes: int | str) -> e.LogRecovered:
        log = SchoolLog.open(self.berta.directory)
        facts = {"shared": self.shared, "size": log.size, "root": log.root.hex()} | changes
        return e.LogRecovered(
            actor=ACTOR, target=TARGET, leftovers=LEFT, follows=e.Following.model_validate(facts)
        )

    def follow(self, claim: e.LogRecovered, raw: list[bytes] | None = None) -> None:
        """Berta's entries, now."""
        city = self.city
        for file in (self.berta.directory / "detail").glob("*"):
            (city.directory / "detail").mkdir(exist_ok=True)
            (city.directory / "detail" / file.name).write_bytes(file.read_bytes())
        binding = e.compose(ORIGIN, claim, when=e.timestamp(city.clock))
        with writing(city.directory, ORIGIN, city.keys) as writer:
            writer.append_raw([binding, *(self.left if raw is None else raw)])


LEFT = [e.Leftover(file="checkpoint", sha256=HASH, bytes=9)]


@pytest.fixture
def city(tmp_path: Path) -> City:
    """Two entries, cosigned."""
    made = City(tmp_path / "log", runs=1)
    made.cosign()
    return made


def about(city: City) -> tuple[bool, list[tuple[str, str]]]:
    verdict = verify(city.directory, city.policy, now=city.now + timedelta(minutes=5))
    return verdict.ok, [
        (one.text, str(one.severity))
        for one in verdict.findings
        if one.kind not in {"quorum", "detail-missing", "older-date"}
    ]


def beats(city: City) -> None:
    city.write(*[e.Heartbeat(actor=ACTOR, target=TARGET)] * 3)


def later(city: City) -> None:
    """Núria goes on."""
    city.clock += timedelta(hours=2)
    city.run()


LATE = (True, [("time-order/late", "note")])
BACK = (False, [("time-order/back", "bad")])


def test_what_waited_behind_a_colleagues_entries_is_no_accusation(city: City) -> None:
    fork = Fork(city)
    beats(fork.berta)
    later(city)
    fork.follow(fork.claim())
    assert about(city) == LATE
    city.run()
    city.cosign()
    assert about(city) == LATE


def test_a_run_whose_line_was_cut_in_the_middle_follows_with_its_end(city: City) -> None:
    city.intent(RUN)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=RUN))
    fork = Fork(city)
    fork.berta.steps(RUN)
    end = e.RunEnded(
        actor=ACTOR, target=TARGET, run=RUN, outcome="broken off", milliseconds=0, counts={}, detail_size=0,
        detail_root="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )  # fmt: skip
    city.clock += timedelta(hours=2)
    city.write(end)
    later(city)
    fork.follow(fork.claim())
    assert about(city) == LATE


def test_a_run_that_never_began_and_was_withdrawn_meanwhile_is_no_accusation(tmp_path: Path) -> None:
    city = City(tmp_path / "log", strict=True)
    city.intent(RUN)
    fork = Fork(city)
    # The school agrees, the line is cut before the server knows that it starts: nothing happens.
    fork.berta.approve(RUN, city.school)
    fork.berta.write(e.RunStarted(actor=ACTOR, target=TARGET, run=RUN))
    city.cosign(city.clock)
    city.clock += timedelta(hours=2)
    withdraw(city)
    city.approved_run(city.school)
    fork.follow(fork.claim())
    assert about(city) == LATE


def withdraw(city: City) -> None:
    city.write(
        e.RunEnded(
            actor=ACTOR, target=TARGET, run=RUN, outcome="withdrawn", milliseconds=0, counts={}, detail_size=0,
            detail_root="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )
    )  # fmt: skip


def test_what_the_school_cosigned_as_withdrawn_cannot_be_begun_as_what_waited(tmp_path: Path) -> None:
    city = City(tmp_path / "log", strict=True)
    city.intent(RUN)
    fork = Fork(city)
    city.clock += timedelta(hours=1)
    withdraw(city)
    city.cosign(city.clock)
    claimed = e.Cosigner(name=city.school.name, size=city.log.size, time=int(city.clock.timestamp()))
    fork.berta.write(
        e.RunApproved(actor=ACTOR, target=TARGET, run=RUN, cosigners=[claimed]),
        e.RunStarted(actor=ACTOR, target=TARGET, run=RUN),
    )
    fork.berta.steps(RUN)
    fork.follow(fork.claim())
    ok, found = about(city)
    assert not ok
    assert ("unapproved/unproven", "bad") in found


def test_twice_cut_and_twice_behind_others(city: City) -> None:
    first = Fork(city)
    beats(first.berta)
    later(city)
    second = Fork(city, "carla")
    # The first had followed where the line was cut again.
    inner = first.claim()
    binding = e.compose(ORIGIN, inner, when=e.timestamp(second.berta.clock))
    with writing(second.berta.directory, ORIGIN, city.keys) as writer:
        writer.append_raw([binding, *first.left])
    later(city)
    second.follow(second.claim())
    assert about(city) == LATE


def test_the_city_cannot_date_back_a_whole_run_as_one_that_waited(city: City) -> None:
    fork = Fork(city)
    fork.berta.run(name=RUN)
    later(city)
    fork.follow(fork.claim())
    assert about(city) == BACK


@pytest.mark.parametrize("trick", ["less", "more", "root", "shared", "other"])
def test_entries_that_are_not_those_which_are_bound_go_back_in_time(city: City, trick: str) -> None:
    fork = Fork(city)
    beats(fork.berta)
    later(city)
    match trick:
        case "less":
            fork.follow(fork.claim(), fork.left[:-1])
        case "more":
            before = e.compose(
                ORIGIN, e.Heartbeat(actor=ACTOR, target=TARGET), when=e.parse(0, fork.left[0]).time
            )
            fork.follow(fork.claim(), [before, *fork.left])
        case "root":
            fork.follow(fork.claim(root=HASH))
        case "shared":
            fork.follow(fork.claim(shared=2**53 - 1, size=2**53 - 1))
        case _:
            fork.follow(fork.claim(), fork.left[::-1])
    ok, found = about(city)
    assert not ok
    assert ("time-order/back", "bad") in found


def test_what_an_earlier_version_left_over_is_a_question(city: City) -> None:
    fork = Fork(city)
    beats(fork.berta)
    later(city)
    fork.follow(e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=LEFT))
    later(city)
    assert about(city) == (True, [("time-order/left-over", "warning")])


def test_nor_can_a_whole_run_be_dated_back_in_the_manner_of_an_earlier_version(city: City) -> None:
    fork = Fork(city)
    fork.berta.run(name=RUN)
    later(city)
    fork.follow(e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=LEFT))
    assert about(city) == BACK


def test_a_leftover_that_is_no_checkpoint_excuses_nothing(city: City) -> None:
    fork = Fork(city)
    beats(fork.berta)
    later(city)
    tile = e.Leftover(file="tile/0/000.p/3", sha256=HASH, bytes=96)
    fork.follow(e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=[tile]))
    assert about(city) == BACK


def test_what_comes_behind_those_that_waited_has_its_own_date(city: City) -> None:
    fork = Fork(city)
    beats(fork.berta)
    old = city.clock
    later(city)
    fork.follow(e.LogRecovered(actor=ACTOR, target=TARGET, leftovers=LEFT))
    city.run()
    write_at(city, old, e.Heartbeat(actor=ACTOR, target=TARGET))
    assert about(city) == (False, [("time-order/back", "bad"), ("time-order/left-over", "warning")])


def write_at(city: City, when: datetime, data: e.Data) -> None:
    with writing(city.directory, ORIGIN, city.keys) as writer:
        writer.append([data], when=[e.timestamp(when)])


def test_lessons_that_another_schools_run_cut_may_wait_in_the_outbox(city: City) -> None:
    old = city.clock
    later(city)
    write_at(
        city,
        old,
        e.LessonsCut(actor=ACTOR, target=TARGET, by="escola-b", by_run=RUN, meetings=1, participants=3),
    )
    assert about(city) == LATE
    # Those of its own are told at once.
    run = city.name()
    city.intent(run)
    city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
    write_at(city, old, e.LessonsCut(actor=ACTOR, target=TARGET, run=run))
    city.steps(run)
    assert ("time-order/back", "bad") in about(city)[1]
