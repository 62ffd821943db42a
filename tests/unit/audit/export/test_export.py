"""Exports: nothing is lost, nothing is a trap for the tool that reads it, and the schemas get what they demand."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.audit.canonical import canonical
from provision.audit.entries import (
    TYPES,
    AccessClosed,
    AccessOpened,
    Data,
    Entry,
    Erased,
    ErasurePerformed,
    HealthChecked,
    KeyAdded,
    KeyRetired,
    LessonsCut,
    LogRecovered,
    RunApproved,
    SecretRotated,
    ServiceHealth,
    TaskResult,
    compose,
    parse,
)
from provision.audit.export import FORMATS, export
from provision.audit.export.common import ExportError, leaf
from provision.audit.export.ecs import to_ecs
from provision.audit.export.jsonl import jsonl_lines
from provision.audit.export.ocsf import to_ocsf
from provision.audit.export.spreadsheet import COLUMNS, csv_lines, guarded
from provision.audit.select import Selection
from provision.audit.tlog import leaf_hash
from tests.unit.audit.export.lines import original
from tests.unit.audit.small_log import ADA, NEVER, ORIGIN, RUN, everyday, target

OCSF = json.loads((Path(__file__).parent / "ocsf-1.7.0.json").read_text(encoding="utf-8"))
HOSTILE = "\x1b]0;owned\x07\u202ereversed"


def more() -> list[Data]:
    """The types that ``everyday`` has not."""
    who: dict[str, Any] = {"actor": ADA, "target": target("main")}
    return [
        KeyAdded(**who, key="k+1", purpose="log"),
        KeyRetired(**who, key="k+1", purpose="witness"),
        RunApproved(**who, run=RUN),
        LessonsCut(**who, run=RUN, meetings=1, participants=23),
        HealthChecked(**who, outcome="unhealthy", services={"moodle": ServiceHealth(healthy=1, unhealthy=1)}),
        SecretRotated(**who, names=["etherpad_api_key", "db"]),
        AccessOpened(**who, kind="secret", subject="db"),
        AccessClosed(**who, kind="secret", subject="db"),
        AccessOpened(**who, kind="grant", subject="joan"),
        AccessClosed(**who, kind="grant", subject="joan"),
        AccessClosed(**who, kind="ssh", subject="provision", run=RUN),
        TaskResult(actor=ADA, target=target(), action="command", outcome="changed", run=RUN, number=9,
                   commitment=NEVER),
        ErasurePerformed(**who, erased=[Erased(run=RUN, numbers=[0])]),
        LogRecovered(**who, leftovers=[]),
    ]  # fmt: skip


def entries_of(data: Iterable[Data]) -> list[Entry]:
    return [
        parse(index, compose(ORIGIN, one, when=f"2026-11-{index % 28 + 1:02d}T10:00:00.123Z"))
        for index, one in enumerate(data)
    ]


ENTRIES = entries_of([*everyday(), *more()])


def hostile(**fields: Any) -> Entry:
    """An entry that no version of ours wrote, nor reads."""
    event = {
        "specversion": "1.0", "id": "x", "source": HOSTILE, "type": HOSTILE, "time": "2026-11-23T10:00:00.000Z",
        "data": fields,
    }  # fmt: skip
    return Entry(3, json.dumps(event).encode(), event)


HOSTILE_ENTRIES = [
    hostile(),
    hostile(actor=7, target=[HOSTILE], action={"a": 1}, outcome=None, run=HOSTILE, authority="x"),
    hostile(actor={"name": HOSTILE, "user": "\ud800", "kind": HOSTILE}, more=[float("nan"), float("inf"), HOSTILE]),
    hostile(deep=json.loads("[" * 300 + "]" * 300)),
    *(
        parse(index, json.dumps({**hostile(kind=1, subject={}, names=[1, None], erased=[1, {"run": 2}], found=[],
              milliseconds=-1, key=[]).event, "type": name}).encode())
        for index, name in enumerate(TYPES)
    ),
]  # fmt: skip


def test_the_entries_here_are_of_every_type() -> None:
    assert {entry.type for entry in ENTRIES} == set(TYPES)


def test_every_entry_can_be_taken_out_of_jsonl_byte_for_byte() -> None:
    every = [*ENTRIES, *HOSTILE_ENTRIES]
    lines = list(jsonl_lines(every))
    assert [original(line) for line in lines] == [(entry.index, entry.raw) for entry in every]
    assert all(line.count(b"\n") == 1 for line in lines)
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_an_entry_that_is_not_canonical_is_given_in_base64() -> None:
    raw = json.dumps(ENTRIES[0].event, indent=2).encode()
    (line,) = jsonl_lines([parse(0, raw)])
    assert set(json.loads(line)) == {"index", "entry_base64"}
    assert original(line) == (0, raw)


@pytest.mark.parametrize(
    "line", [b"[]\n", b"{}\n", b'{"index":true,"entry":{}}\n', b'{"entry":{},"index":1}\n']
)
def test_a_line_of_another_file_is_no_line_of_an_export(line: bytes) -> None:
    with pytest.raises(ValueError, match="no line of an export"):
        original(line)


def rows(entries: Iterable[Entry]) -> list[dict[str, str]]:
    text = b"".join(csv_lines(entries)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_has_its_header_and_a_row_an_entry() -> None:
    assert b"".join(csv_lines([])).decode() == ",".join(COLUMNS) + "\r\n"
    assert COLUMNS == (
        "index", "time", "type", "action", "outcome", "actor_kind", "actor", "user", "machine", "key", "school", "host",
        "service", "run", "why", "basis", "ticket", "approver", "rest", "id", "leaf_hash",
    )  # fmt: skip
    table = rows(ENTRIES)
    assert [row["index"] for row in table] == [str(entry.index) for entry in ENTRIES]
    intent = table[2]
    assert (intent["type"], intent["actor"], intent["user"], intent["school"]) == (
        "run.intent", "Ada Puig", "apuig", "escola-mar",
    )  # fmt: skip
    assert json.loads(intent["rest"])["services"][0]["version"] == "4.5.1"
    assert intent["leaf_hash"] == leaf_hash(ENTRIES[2].raw).hex()


def test_a_reason_that_looks_like_a_formula_gets_an_apostrophe() -> None:
    assert rows(ENTRIES)[2]["why"].startswith("'=HYPERLINK")


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u00a0@"]
)
def test_a_cell_never_begins_with_what_starts_a_formula(start: str) -> None:
    assert guarded(f"{start}cmd|' /C calc'!A0").startswith("'")


@given(st.text())
def test_no_text_becomes_a_formula_or_two_lines(text: str) -> None:
    cell = guarded(text)
    assert cell.splitlines() in ([cell], [])
    assert not cell.lstrip().startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize("form", FORMATS)
def test_entries_of_other_hands_never_break_an_export_or_steer_a_terminal(form: str) -> None:
    out = io.BytesIO()
    assert export(HOSTILE_ENTRIES, form, out) == len(HOSTILE_ENTRIES)
    data = out.getvalue()
    assert b"\x1b" not in data
    if form != "csv":
        assert data.count(b"\n") == len(HOSTILE_ENTRIES)
        for line in data.decode().splitlines():
            json.loads(line, parse_constant=pytest.fail)
    else:
        assert len(rows(HOSTILE_ENTRIES)) == len(HOSTILE_ENTRIES)


def check_object(name: str, value: dict[str, Any]) -> None:
    rule = OCSF["objects"][name]
    assert set(rule["required"]) <= set(value), (name, value)
    assert set(value) <= set(rule["attributes"]), (name, set(value) - set(rule["attributes"]))
    assert not rule["at_least_one"] or set(rule["at_least_one"]) & set(value), (name, value)


#: Which object stands where.
PLACES = {
    ("metadata",): "metadata", ("metadata", "product"): "product", ("actor",): "actor", ("actor", "user"): "user",
    ("actor", "user", "programmatic_credentials"): "programmatic_credential", ("device",): "device",
    ("src_endpoint",): "network_endpoint", ("dst_endpoint",): "network_endpoint", ("api",): "api",
    ("api", "service"): "service", ("api", "request"): "request", ("entity",): "managed_entity",
    ("entity", "policy"): "policy", ("resources",): "resource_details", ("finding_info",): "finding_info",
    ("raw_data_hash",): "fingerprint", ("app",): "product", ("user",): "user",
}  # fmt: skip


@pytest.mark.parametrize(
    "entry", [*ENTRIES, *HOSTILE_ENTRIES], ids=lambda entry: f"{entry.index}-{entry.type[:20]!a}"
)
def test_ocsf_gets_what_its_schema_demands(entry: Entry) -> None:
    event = to_ocsf(entry)
    rule = OCSF["classes"][str(event["class_uid"])]
    assert set(rule["required"]) <= set(event)
    assert set(event) <= set(rule["attributes"]), set(event) - set(rule["attributes"])
    assert not rule["at_least_one"] or set(rule["at_least_one"]) & set(event)
    assert event["category_uid"] == rule["category"] == event["class_uid"] // 1000
    assert event["category_name"] == OCSF["categories"][str(event["category_uid"])]
    assert event["class_name"] == rule["caption"]
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    if event["activity_id"] != 99:
        assert event["activity_name"] == rule["activities"][str(event["activity_id"])]
    assert event["severity"] == OCSF["severity"][str(event["severity_id"])]
    if event["status_id"] not in {0, 99}:
        assert event["status"] == rule["status"][str(event["status_id"])]
    for path, name in PLACES.items():
        found: Any = event
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        for one in found if isinstance(found, list) else [found] if found is not None else []:
            check_object(name, one)


def test_ocsf_says_who_when_and_in_which_run() -> None:
    intent = to_ocsf(ENTRIES[2])
    assert (intent["class_uid"], intent["activity_id"], intent["type_uid"]) == (6003, 3, 600303)
    assert intent["time"] == 1_793_700_000_123
    assert intent["actor"]["user"]["name"] == "apuig"
    assert intent["actor"]["user"]["full_name"] == "Ada Puig"
    assert intent["metadata"]["correlation_uid"] == RUN
    assert intent["metadata"]["version"] == "1.7.0"
    assert intent["unmapped"]["services"][0]["service"] == "moodle"


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, (3004, 1, 1, 1)), (1, (3004, 3, 1, 1)), (3, (6003, 99, 1, 1)), (4, (3002, 1, 1, 1)), (5, (6002, 8, 1, 1)),
        (6, (5019, 1, 2, 3)), (7, (6003, 99, 1, 1)), (8, (2004, 1, 1, 4)), (9, (0, 99, 1, 1)),
    ],
)  # fmt: skip
def test_ocsf_files_each_type_where_it_belongs(index: int, expected: tuple[int, int, int, int]) -> None:
    event = to_ocsf(ENTRIES[index])
    found = tuple(event[name] for name in ("class_uid", "activity_id", "status_id", "severity_id"))
    assert found == expected


#: event.category of ECS 9.4 with the event.type values that it expects. Source: elastic/ecs, schemas/event.yml.
ECS = {
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "host": {"access", "change", "end", "info", "start"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "session": {"start", "end", "info"},
}


@pytest.mark.parametrize(
    "entry", [*ENTRIES, *HOSTILE_ENTRIES], ids=lambda entry: f"{entry.index}-{entry.type[:20]!a}"
)
def test_ecs_gets_what_its_schema_demands(entry: Entry) -> None:
    document = to_ecs(entry)
    assert document["@timestamp"] == entry.time
    assert document["ecs"] == {"version": "9.4.0"}
    event = document["event"]
    assert event["kind"] in {"alert", "event"}
    (category,) = event["category"]
    assert set(event["type"]) <= ECS[category]
    assert event["outcome"] in {"success", "failure", "unknown"}
    assert event["hash"] == leaf(entry)
    assert all(isinstance(value, str) for value in document.get("labels", {}).values())


def test_ecs_says_who_where_and_in_which_run() -> None:
    document = to_ecs(ENTRIES[5])
    assert document["user"] == {"name": "apuig", "full_name": "Ada Puig"}
    assert document["host"] == {"name": "main"}
    assert document["service"] == {"name": "moodle"}
    assert document["labels"]["run"] == RUN
    assert document["event"]["action"] == "task-result"
    assert document["event"]["original"].encode() == ENTRIES[5].raw
    assert to_ecs(ENTRIES[7])["event"]["duration"] == 61_500_000_000
    assert to_ecs(ENTRIES[8])["event"]["kind"] == "alert"


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
@pytest.mark.parametrize("time", ["yesterday", "", "2026-13-01T00:00:00Z"])
def test_an_entry_without_a_time_is_named(form: str, time: str) -> None:
    entry = parse(42, canonical({**ENTRIES[0].event, "time": time}))
    with pytest.raises(ExportError, match="entry 42"):
        export([entry], form, io.BytesIO())


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_reads_one_entry_at_a_time(form: str) -> None:
    out = io.BytesIO()

    def watched() -> Iterator[Entry]:
        for number, entry in enumerate(ENTRIES):
            if number > 1:
                # Those before are out already.
                assert len(out.getvalue().splitlines()) >= number - 1
            yield entry

    assert export(watched(), form, out) == len(ENTRIES)


def test_a_selection_takes_the_entries_of_its_days() -> None:
    out = io.BytesIO()
    selection = Selection(since="2026-11-03T00:00:00.000Z", until="2026-11-06T00:00:00.000Z")
    assert export(ENTRIES[:10], "jsonl", out, selection) == 3
    assert [original(line + b"\n")[0] for line in out.getvalue().splitlines()] == [2, 3, 4]
