"""What was found before is kept: bounded, whole after a crash, and with the moment of each change."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provision.errors import UsageError
from provision.health import history as history_module
from provision.health.ask import Answers
from provision.health.history import (
    KEEP,
    MAX_BYTES,
    NEWEST,
    History,
    history_file,
    line_of,
    read_history,
    remember,
)
from provision.health.result import State
from tests.unit.health.sample import HOSTILE, NOW, answers, bare, finding, past


def asked(minute: int, **states: State) -> Answers:
    findings = [finding(probe, state) for probe, state in states.items()]
    return replace(answers("escola-mar", *findings), asked=NOW + timedelta(minutes=minute))


def test_since_when_is_the_first_asking_that_found_the_present_state(tmp_path: Path) -> None:
    assert remember(tmp_path, asked(0, page="ok"))["pads", "", "page"] == NOW
    assert remember(tmp_path, asked(1, page="problem"))["pads", "", "page"] == NOW + timedelta(minutes=1)
    assert remember(tmp_path, asked(2, page="problem"))["pads", "", "page"] == NOW + timedelta(minutes=1)
    assert remember(tmp_path, asked(3, page="ok"))["pads", "", "page"] == NOW + timedelta(minutes=3)


def test_each_asking_tells_what_changed_in_it(tmp_path: Path) -> None:
    for moment in (
        asked(0, page="ok", unit="ok"),
        asked(1, page="problem", unit="ok"),
        asked(2, page="problem"),
    ):
        remember(tmp_path, moment)
    checks = read_history(tmp_path, "escola-mar").checks
    told = [[(one.key[2], one.before, one.after) for one in check.changes] for check in checks]
    assert told == [
        [("page", None, "ok"), ("unit", None, "ok")],
        [("page", "ok", "problem")],
        [("unit", "ok", None)],
    ]
    assert [check.state for check in checks] == ["ok", "problem", "problem"]


def test_what_a_host_that_was_not_reached_did_not_tell_is_not_forgotten(tmp_path: Path) -> None:
    remember(tmp_path, asked(0, page="ok", unit="ok"))
    remember(tmp_path, asked(1, page="unreachable"))
    assert remember(tmp_path, asked(2, page="ok", unit="ok"))["pads", "", "unit"] == NOW


def test_asking_about_a_part_forgets_nothing_and_is_not_drawn(tmp_path: Path) -> None:
    remember(tmp_path, asked(0, page="ok", unit="ok"))
    remember(tmp_path, replace(asked(1, page="problem"), whole=False))
    history = read_history(tmp_path, "escola-mar")
    assert history.since["pads", "", "unit"] == ("ok", NOW)
    assert [check.whole for check in history.checks] == [True, False]
    assert set(line_of(history.checks, NOW + timedelta(hours=1)).states) == {None, "ok"}


def test_the_file_does_not_grow_for_ever_and_keeps_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "MAX_BYTES", 16 * 1024)
    monkeypatch.setattr(history_module, "NEWEST", 30)
    monkeypatch.setattr(history_module, "MOST_CHECKS", 60)
    begin = NOW - timedelta(days=500)
    file = history_file(tmp_path, "escola-mar")
    biggest, thinned, first, before = 0, 0, None, 0
    many = {f"probe-{number}": "ok" for number in range(30)}
    for number in range(400):
        when = begin + timedelta(hours=31 * number)
        # One thing has been bad from the first asking on; another flaps.
        states: dict[str, State] = {**many, "old": "problem", "flaps": "ok" if number % 2 else "warning"}  # type: ignore[dict-item]
        if number % 100 and number > 5:
            states = {"old": "problem", "flaps": states["flaps"]}
        moment = replace(asked(0, **states), asked=when)
        since = remember(tmp_path, moment)
        size = file.stat().st_size
        biggest, thinned, before = max(biggest, size), thinned + (size < before), size
        first = first or when
        if when >= NOW:
            break
    assert number > 350
    assert biggest <= 16 * 1024
    assert thinned >= 2
    assert since["pads", "", "old"] == first
    history = read_history(tmp_path, "escola-mar")
    assert len(history.checks) >= 30
    assert history.checks[-1].time == when.replace(microsecond=0)
    assert all(check.changes for check in history.checks[-30:])


def test_thinning_keeps_the_worst_of_each_older_hour_and_drops_what_is_too_old(tmp_path: Path) -> None:
    file = history_file(tmp_path, "escola-mar")
    file.parent.mkdir(parents=True)
    old, hour = NOW - KEEP - timedelta(days=1), NOW - timedelta(days=30)

    def entry(when: datetime, state: State) -> str:
        return json.dumps({"time": when.isoformat(), "state": state, "seconds": 1, "counts": {state: 1}})

    lines = [entry(old, "problem")]
    lines += [entry(hour + timedelta(minutes=n), "problem" if n == 7 else "ok") for n in range(20)]
    recent = [NOW - timedelta(minutes=NEWEST - n) for n in range(NEWEST)]
    lines += [entry(when, "ok") for when in recent]
    padding = json.dumps({"time": "2026-11-23T00:00:00Z", "note": "x" * MAX_BYTES})
    file.write_text("\n".join([padding, *lines]) + "\n")
    remember(tmp_path, asked(0, page="ok"))
    checks = read_history(tmp_path, "escola-mar").checks
    assert not [check for check in checks if check.time < NOW - KEEP]
    assert [check.state for check in checks if check.time < NOW - timedelta(days=10)] == ["problem"]
    assert [check.time for check in checks][-1] == NOW
    assert file.stat().st_size < MAX_BYTES // 2


def test_a_line_that_a_power_cut_tore_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    remember(tmp_path, asked(0, page="ok"))
    file = history_file(tmp_path, "escola-mar")
    with file.open("ab") as torn:
        torn.write(b'{"time":"2026-11-23T10:16:00Z","state":"prob')
    remember(tmp_path, asked(2, page="problem"))
    assert [check.state for check in read_history(tmp_path, "escola-mar").checks] == ["ok", "problem"]


@pytest.mark.parametrize(
    "line",
    [
        "[1, 2]",
        "[" * 100_000,
        '{"time": 7, "state": "ok"}',
        '{"time": "0001-01-01T00:00:00+14:00", "state": "ok"}',
        '{"time": "2026-11-23T00:00:00Z", "state": "fine"}',
        '{"time": "2026-11-23T00:00:00Z", "state": ["ok"]}',
        '{"kind": "base", "time": "2026-11-23T00:00:00Z", "since": [["a"], 7, ["a", "b", "c", "fine", "x"]]}',
        "\x00\xff",
    ],
)
def test_damaged_lines_are_left_out(tmp_path: Path, line: str) -> None:
    file = history_file(tmp_path, "escola-mar")
    file.parent.mkdir(parents=True)
    file.write_text(line + "\n")
    assert read_history(tmp_path, "escola-mar").checks == ()
    remember(tmp_path, asked(0, page="ok"))
    assert len(read_history(tmp_path, "escola-mar").checks) == 1


def test_odd_values_in_a_line_are_bounded_and_made_printable(tmp_path: Path) -> None:
    file = history_file(tmp_path, "escola-mar")
    file.parent.mkdir(parents=True)
    entry = {
        "time": "2026-11-23T00:00:00Z",
        "state": "problem",
        "seconds": 1e300,
        "counts": {"ok": 10**30, "x": 1, "problem": "many"},
        "changed": [[HOSTILE * 50, "", "page", "problem"], ["a", "b", "c", "fine"], ["a", 1, "c", "ok"]],
    }
    file.write_text(json.dumps(entry) + "\n")
    (check,) = read_history(tmp_path, "escola-mar").checks
    assert check.seconds == 86_400
    assert check.counts == {"ok": 1_000_000}
    (change,) = check.changes
    assert bare(change.key[0])
    assert len(change.key[0]) <= 120


def test_two_that_ask_at_the_same_time_both_get_their_lines_in(tmp_path: Path) -> None:
    def ask() -> None:
        for minute in range(20):
            remember(tmp_path, asked(minute, page="ok"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_history(tmp_path, "escola-mar").checks) == 80


def test_only_its_owner_may_read_where_a_school_is_weak(tmp_path: Path) -> None:
    remember(tmp_path, asked(0, page="problem"))
    file = history_file(tmp_path, "escola-mar")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("school", ["../other", "a/b", "", ".", "Escola", "x" * 80])
def test_no_school_leads_out_of_the_directory(tmp_path: Path, school: str) -> None:
    with pytest.raises(UsageError):
        history_file(tmp_path, school)


def test_nobody_asked_yet_is_an_empty_history(tmp_path: Path) -> None:
    assert read_history(tmp_path, "escola-mar") == History()


def test_a_line_shows_as_little_time_as_holds_all_askings_and_four_weeks_at_the_most() -> None:
    assert line_of(past("ok", "ok"), NOW).days == 1
    assert line_of(past("ok", "ok", step=timedelta(days=3)), NOW).days == 7
    assert line_of(past("ok", "ok", step=timedelta(days=300)), NOW).days == 28


def test_a_piece_of_the_line_has_the_worst_state_of_its_time() -> None:
    checks = past("ok", "problem", "ok", step=timedelta(minutes=1))
    line = line_of(checks, NOW, buckets=24)
    assert line.states == (None,) * 23 + ("problem",)
    spread = line_of(past("ok", "warning", "ok", step=timedelta(hours=2)), NOW, buckets=24)
    assert spread.states[-5:] == ("ok", None, "warning", None, "ok")


def test_a_clock_that_was_ahead_does_no_harm() -> None:
    future = past("problem")[0]
    assert set(line_of([replace(future, time=datetime(2030, 1, 1, tzinfo=UTC))], NOW).states) == {None}
