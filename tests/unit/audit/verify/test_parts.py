"""What verification is put together from: comparison, times, words, pieces of work for several processes."""

import random
import shutil
import string
from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provision.audit import entries as e
from provision.audit.anchor import AnchorResult
from provision.audit.log import SchoolLog
from provision.audit.tlog import bundle_path, encode_bundle, leaf_hash
from provision.audit.verify import check as checking
from provision.audit.verify import reading, scan, verify
from provision.audit.verify.diagnose import compare
from provision.audit.verify.findings import KEPT_EACH, Findings, Severity
from provision.audit.verify.sentences import WORDS
from provision.audit.verify.times import Limit, check_limits
from provision.audit.verify.words import CHECKED, KINDS, REMEDIES, REMEDY_OF, VERDICT
from provision.audit.witness.evidence import Evidence
from tests.unit.audit.verify.city import ACTOR, TARGET, City, raw_entries, resign
from tests.unit.audit.verify.conftest import Check, bad, finding

BEFORE = [leaf_hash(b"%d" % number) for number in range(600)]
LANGUAGES = ("ca", "es", "en")


def told(now: list[bytes]) -> list[tuple[str, int | None]]:
    findings = Findings()
    compare(now, BEFORE, 0, findings)
    return [(one.kind, one.entry) for one in findings.sorted()]


@given(st.integers(0, 599))
def test_one_changed_entry_is_named(place: int) -> None:
    assert told([*BEFORE[:place], leaf_hash(b"x"), *BEFORE[place + 1 :]]) == [("edited", place)]


@given(st.integers(0, 598))
def test_one_removed_entry_is_named(place: int) -> None:
    assert told(BEFORE[:place] + BEFORE[place + 1 :]) == [("deleted", place)]


@given(st.integers(0, 600), st.integers(1, 40))
def test_entries_put_in_are_named_by_the_entry_behind_them(place: int, count: int) -> None:
    new = [leaf_hash(b"new %d" % number) for number in range(count)]
    assert told([*BEFORE[:place], *new, *BEFORE[place:]]) == [("inserted", place)]


@given(st.integers(0, 599), st.integers(0, 599))
@example(598, 599)
def test_two_exchanged_entries_are_told_as_reordered(one: int, other: int) -> None:
    now = list(BEFORE)
    now[one], now[other] = now[other], now[one]
    expected = sorted({one, other}) if one != other else []
    found = told(now)
    assert {kind for kind, _ in found} <= {"reordered"}
    if abs(one - other) > 1:
        assert [entry for _, entry in found] == expected
    elif expected:
        # Of two neighbours it cannot be said which of them moved.
        assert found[0][1] in expected


@given(st.integers(0, 599))
def test_a_missing_end_is_told_from_its_first_entry(place: int) -> None:
    assert told(BEFORE[:place]) == [("truncated", place)]


@given(st.lists(st.sampled_from(BEFORE), max_size=200))
def test_whatever_was_done_something_is_told(now: list[bytes]) -> None:
    assert bool(told(now)) == (now != BEFORE)


def test_a_ruined_log_does_not_fill_the_memory() -> None:
    findings = Findings()
    for number in range(10_000):
        findings.add("form/canonical", number)
    assert len(findings.kept) == KEPT_EACH
    assert findings.counts["form/canonical", Severity.BAD] == 10_000


@given(st.data())
def test_an_entry_is_late_for_every_limit_that_covers_it(data: st.DataObject) -> None:
    times = array("q", data.draw(st.lists(st.integers(0, 10_000_000), max_size=30)))
    limits = data.draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10_000)), max_size=5))
    findings = Findings()
    check_limits(
        times, [Limit(size, time, "w", "s", "time-forged/cosigned") for size, time in limits], findings
    )
    late = {
        index
        for index, time in enumerate(times)
        if any(index < size and time > (limit + 300) * 1000 for size, limit in limits)
    }
    told = {
        index
        for one in findings.kept
        if one.entry is not None and one.last is not None
        for index in range(one.entry, one.last + 1)
    }
    assert told == late or len(findings.kept) == KEPT_EACH


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2026-11-02T08:00:00.123Z", 1793606400123),
        ("2026-11-02T08:00:00Z", reading.NO_TIME),
        ("2026-11-02T08:00:00.123+", reading.NO_TIME),
        ("2026-13-02T08:00:00.123Z", reading.NO_TIME),
        ("1926-11-02T08:00:00.123Z", reading.NO_TIME),
        ("٢٠٢٦-11-02T08:00:00.123Z", reading.NO_TIME),
        ("", reading.NO_TIME),
    ],
)
def test_times_have_one_form(time: str, expected: int) -> None:
    assert reading.milliseconds(time) == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ('{"a":1,"b":[{"c":true,"d":null}]}', True),
        ('{"a":"ü\\n"}', True),
        ('{"a":"\\u00fc"}', False),
        ('{"b":1,"a":2}', False),
        ('{"a":[{"c":1,"b":1}]}', False),
        ('{"a":1,"a":1}', False),
        ('{"a":-0}', False),
        ('{"a": 1}', False),
        # In UTF-16 the first of these sorts behind the second; in code points it is the other way round.
        ('{"\U0001f600":1,"\ufb01":1}', True),
        ('{"\ufb01":1,"\U0001f600":1}', False),
    ],
)
def test_the_canonical_form_is_that_of_rfc_8785(inner: str, expected: bool) -> None:
    raw = f'{{"data":{inner},"id":"i","source":"s","specversion":"1.0","time":"t","type":"x"}}'.encode()
    assert reading.read_entry(0, raw)[1] is expected


def names_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("table", [WORDS, KINDS, VERDICT, REMEDIES, CHECKED])
def test_everything_is_said_in_all_languages_with_the_same_facts(table: dict[str, dict[str, str]]) -> None:
    for key, texts in table.items():
        assert set(texts) == set(LANGUAGES), key
        assert len({frozenset(names_in(text)) for text in texts.values()}) == 1, key


def test_every_sort_has_a_kind_and_every_kind_a_use() -> None:
    assert {key.partition("/")[0] for key in WORDS} == set(KINDS)
    assert {key.partition("/")[0] for key in REMEDY_OF} <= set(KINDS)
    assert set(REMEDY_OF) <= set(WORDS) | set(KINDS)
    assert set(REMEDY_OF.values()) <= set(REMEDIES)


def test_every_sort_that_the_code_names_has_words() -> None:
    place = Path(checking.__file__).parent
    code = "".join(
        file.read_text(encoding="utf-8") for file in place.glob("*.py") if file.name != "sentences.py"
    )
    unused = [key for key in WORDS if f'"{key}"' not in code]
    assert unused == []


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> City:
    """A log of more than 256 bundles is too slow to make; this one has several, and a partial one."""
    city = City(tmp_path_factory.mktemp("wide") / "log", runs=2)
    beat = e.Heartbeat(actor=ACTOR, target=TARGET)
    for _ in range(7):
        city.write(*[beat] * 100)
        city.cosign()
    city.write(*[beat] * 70)
    return city


def copied(wide: City, tmp_path: Path) -> Path:
    shutil.copytree(wide.directory, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("workers", [1, 2])
def test_several_processes_find_what_one_finds(
    wide: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(checking, "SPREAD", 0)
    monkeypatch.setattr(scan, "PIECE", 1)
    directory = copied(wide, tmp_path)
    file = directory / "tile/entries/001"
    file.write_bytes(
        file.read_bytes().replace(b'"heartbeat","data', b'"Heartbeat","data').replace(b"npuig", b"mpuig", 1)
    )
    verdict = verify(directory, wide.policy, now=wide.now, workers=workers)
    assert bad(verdict) == [("edited", 256)]
    assert verdict.size == 782
    assert sum(verdict.types.values()) == 782
    assert verify(wide.directory, wide.policy, now=wide.now, workers=workers).ok


def test_many_steps_of_few_entries_are_spread_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = City(tmp_path / "log")
    run = city.run(steps=100)
    city.cosign()
    file = SchoolLog.open(city.directory).detail.file(run)
    file.write_text(file.read_text(encoding="utf-8").replace("step 7 of", "step 8 of"), encoding="utf-8")
    monkeypatch.setattr(checking, "SPREAD", 100)
    assert city.log.size < 100
    pools: list[int] = []
    make = checking._pool
    monkeypatch.setattr(checking, "_pool", lambda workers: pools.append(workers) or make(workers))
    verdict = verify(city.directory, city.policy, now=city.now)
    assert pools == [2]
    assert [one.facts["number"] for one in verdict.findings if one.severity is Severity.BAD] == [7]
    assert verify(city.directory, city.policy, now=city.now, workers=1).findings == verdict.findings
    assert pools == [2]


@pytest.mark.parametrize("place", [3, 255, 256, 511, 700])
def test_an_entry_deleted_from_a_bundle_of_many_is_named(wide: City, tmp_path: Path, place: int) -> None:
    directory = copied(wide, tmp_path)
    entries = raw_entries(directory)
    del entries[place]
    for number in range(0, len(entries), 256):
        part = entries[number : number + 256]
        file = directory / bundle_path(number // 256, len(part))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_bundle(part))
    (directory / bundle_path(3, 782 - 768)).unlink()
    found = [one for one in bad(verify(directory, wide.policy, now=wide.now)) if one[0] != "run-order"]
    assert found == [("deleted", place)]


def test_a_missing_bundle_is_named_with_its_entries(wide: City, tmp_path: Path) -> None:
    directory = copied(wide, tmp_path)
    (directory / "tile/entries/001").unlink()
    found = finding(verify(directory, wide.policy, now=wide.now), "damaged")
    assert (found.entry, found.last) == (256, 511)
    assert "tile/entries/001" in found.words()


def test_missing_bundles_at_the_end_are_a_truncation(wide: City, tmp_path: Path) -> None:
    directory = copied(wide, tmp_path)
    (directory / "tile/entries/002").unlink()
    shutil.rmtree(directory / "tile/entries/003.p")
    found = finding(verify(directory, wide.policy, now=wide.now), "truncated")
    assert (found.entry, found.last) == (512, 781)


def test_a_damaged_upper_tile_is_named(wide: City, tmp_path: Path) -> None:
    directory = copied(wide, tmp_path)
    tile = directory / "tile/1/000.p/3"
    tile.write_bytes(b"\0" * 96)
    assert "tile/1/000.p/3" in finding(verify(directory, wide.policy, now=wide.now), "tile").words()


def test_a_rewritten_history_is_bounded_by_the_checkpoints_that_still_fit(wide: City, tmp_path: Path) -> None:
    directory = copied(wide, tmp_path)
    entries = raw_entries(directory)
    entries[450] = entries[450].replace(b"npuig", b"mpuig")
    resign(directory, entries, wide.keys)
    found = finding(verify(directory, wide.policy, now=wide.now), "rewritten")
    assert (found.entry, found.last) == (412, 511)


def test_the_history_before_a_broken_tile_is_told_by_the_entries(wide: City, tmp_path: Path) -> None:
    directory = copied(wide, tmp_path)
    generator = random.Random(7)
    for number in range(3):
        (directory / f"tile/0/00{number}").write_bytes(generator.randbytes(8192))
    assert {kind for kind, _ in bad(verify(directory, wide.policy, now=wide.now))} == {"tile"}


def test_a_time_stamp_that_does_not_hold_is_a_finding(
    city: City, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [AnchorResult(12, None, "", "wrong imprint")]
    monkeypatch.setattr(checking, "check_anchors", lambda directory, roots: results)
    assert "wrong imprint" in finding(check(), "anchor").words()


def test_an_entry_dated_later_than_its_time_stamp_is_a_finding(
    city: City, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamped = datetime(2026, 11, 2, 8, 1, tzinfo=UTC)
    results = [
        AnchorResult(12, stamped, "CN=TSA", None),
        AnchorResult(12, city.now + timedelta(1), "CN=TSA", None),
    ]
    monkeypatch.setattr(checking, "check_anchors", lambda directory, roots: results)
    verdict = check()
    found = finding(verdict, "time-forged")
    assert (found.entry, found.last) == (6, 11)
    assert "CN=TSA" in found.words()
    assert verdict.anchors == 2


def test_what_a_witness_kept_as_proof_of_a_fork_is_checked_and_told(city: City, check: Check) -> None:
    fork = city.copy("fork")
    other = resign(fork, [*raw_entries(fork)[:-1], raw_entries(fork)[0]], city.keys)
    ours = city.log
    evidence = Evidence.of(other, ours.note, SchoolLog.open(fork).root, [], [city.keys[0].verifier])
    place = evidence.save(city.directory / "evidence", "fork")
    verdict = check()
    texts = {one.text for one in verdict.findings}
    assert {"forked/proof", "forked/checkpoint"} <= texts
    assert place.name in next(one for one in verdict.findings if one.text == "forked/proof").words()
