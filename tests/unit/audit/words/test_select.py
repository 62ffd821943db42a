"""Which entries are meant."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from provision.audit.entries import Entry
from provision.audit.select import Selection, as_written, chosen, moment_of, newest, period
from provision.errors import UsageError

MADRID = ZoneInfo("Europe/Madrid")


def entry(index: int, kind: str = "run.ended", /, **data: Any) -> Entry:
    event = {
        "id": "i",
        "source": "o",
        "type": kind,
        "time": f"2026-11-{index + 1:02d}T10:00:00.000Z",
        "data": data,
    }
    return Entry(index, b"", event)


ENTRIES = [
    entry(
        0,
        "log.opened",
        actor={"name": "Mireia Ferrer", "user": "mferrer", "key": "SHA256:abc"},
        target={"school": "s"},
    ),
    entry(
        1,
        "run.intent",
        services=[{"service": "moodle"}],
        hosts=[{"name": "main"}],
        actor={"name": "Jordi Pons"},
    ),
    entry(2, "task.result", target={"host": "bbb", "service": "nginx"}, outcome="changed"),
    entry(
        3, "run.ended", changed={"etherpad": 2}, failure={"host": "main", "service": "tls"}, outcome="failed"
    ),
    entry(4, "run.ended", versions={"moodle": "4.5"}, outcome="ok"),
]


def indexes(selection: Selection) -> list[int]:
    return [found.index for found in chosen(ENTRIES, selection)]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [0, 1, 2, 3, 4]),
        (Selection(since="2026-11-02T10:00:00.000Z", until="2026-11-04T10:00:00.000Z"), [1, 2]),
        (Selection(persons=("FERRER",)), [0]),
        (Selection(persons=("sha256:AB", "pons")), [0, 1]),
        (Selection(hosts=("main",)), [1, 3]),
        (Selection(hosts=("bbb",)), [2]),
        (Selection(services=("moodle",)), [1, 4]),
        (Selection(services=("tls", "nginx")), [2, 3]),
        (Selection(outcomes=("failed", "ok")), [3, 4]),
        (Selection(types=("run",)), [1, 3, 4]),
        (Selection(types=("run.ended",), outcomes=("ok",)), [4]),
        (Selection(types=("run.end",)), []),
    ],
)
def test_values_of_one_filter_are_alternatives_and_filters_must_all_fit(
    selection: Selection, expected: list[int]
) -> None:
    assert indexes(selection) == expected


def test_the_newest_entries_that_fit_come_in_the_order_of_the_log() -> None:
    backwards = list(reversed(ENTRIES))
    assert [one.index for one in newest(backwards, Selection(types=("run",)), 2)] == [3, 4]
    assert [one.index for one in newest(backwards, Selection(), 0)] == [0, 1, 2, 3, 4]


def test_a_day_is_a_day_of_the_school_and_the_last_day_is_included() -> None:
    first, last = period("2026-11-01", "2026-11-30", MADRID)
    assert as_written(first) == "2026-10-31T23:00:00.000Z"
    assert as_written(last) == "2026-11-30T23:00:00.000Z"
    assert as_written(None) == ""


def test_a_moment_may_bring_its_own_zone() -> None:
    assert moment_of("2026-11-01T08:30:00+01:00", UTC) == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
    assert moment_of("2026-11-01T08:30", MADRID) == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"), [("7d", timedelta(days=7)), ("36h", timedelta(hours=36)), ("2w", timedelta(weeks=2))]
)
def test_a_moment_may_be_told_by_how_long_ago_it_is(text: str, ago: timedelta) -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert moment_of(text, UTC, now=now) == now - ago


@pytest.mark.parametrize("text", ["gestern", "2026-13-01", "7y", "", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        moment_of(text, UTC)
    assert "2026-11-01" in caught.value.remedy


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError):
        period("2026-11-02", "2026-11-01", UTC)
