"""The documents name the faults that the tests make."""

from pathlib import Path

from tests.e2e.fault_table import FILE, kept_times, measured_times, written
from tests.e2e.faults import FAULTS, HERE


def test_the_table_in_the_documents_is_the_one_of_the_tests() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert written(text, kept_times(text)) == text, "run: python -m tests.e2e.fault_table"


def test_there_are_at_least_forty_ways_and_no_two_are_called_alike() -> None:
    faults = [*FAULTS, *HERE]
    assert len(faults) >= 40
    assert len({fault.id for fault in faults}) == len({fault.what for fault in faults}) == len(faults)


def test_each_fault_was_seen_within_some_time() -> None:
    times = kept_times(FILE.read_text(encoding="utf-8"))
    assert {fault.what for fault in (*FAULTS, *HERE)} == times.keys(), (
        "PROVISION_FAULT_TIMES, then fault_table"
    )


def test_measured_times_go_into_the_table_and_stay_there(tmp_path: Path) -> None:
    times = tmp_path / "times"
    times.write_text('{"fault": "reboot", "after": 1.23}\n{"fault": "another", "after": 2}\n')
    measured = measured_times(times)
    assert measured == {"the server has to be started anew": "1.2 s"}
    text = written("a <!-- faults -->old<!-- /faults --> b", measured)
    assert kept_times(text) == measured
    assert (text[:2], text[-2:]) == ("a ", " b")
