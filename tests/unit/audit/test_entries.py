"""Entries: one form of bytes, a published schema, and readers that take nothing else."""

import json
import re
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from provision.audit import entries as e
from provision.audit.canonical import canonical
from provision.audit.schema import PUBLISHED, schema_text, write_schema
from provision.audit.tlog import Kind, SignerKey
from provision.audit.verify.reading import read_entry

ORIGIN = "provision.example.cat/escola-mar"
ADA = e.Actor(name="Ada Puig", user="apuig", machine="portàtil", key="SHA256:abc")
SCHOOL = e.Target(school="escola-mar")
MOODLE = e.Target(school="escola-mar", host="main", service="moodle")
HASH = "ab" * 32
WHO: dict[str, Any] = {"actor": ADA, "target": SCHOOL}
RUN = "20261123T101500Z-3fa2b1"

#: One of each type, with all that it may say.
SAMPLES: list[e.Data] = [
    e.LogOpened(**WHO, municipality="Vilanova", keys=["k+00000000+AA=="], tool="provision 0.1.0"),
    e.KeyAdded(**WHO, key="k+00000000+AA==", purpose="witness", why="la clau de l'escola"),
    e.KeyRetired(**WHO, key="k+00000000+AA==", purpose="log"),
    e.PolicySet(**WHO, policy="log k+00000000+AA==\nquorum none\n", strict=True),
    e.RunIntent(
        **WHO,
        action="apply",
        run=RUN,
        tool="provision 0.1.0",
        authority=e.Authority(basis="confirmed", ticket="2026/7"),
        workspace=e.State(commit="a" * 40, dirty=True),
        code=e.State(commit="", dirty=False),
        services=[e.Service(service="moodle", version="4.5", source="tgz", checksums={"m.tgz": HASH})],
        hosts=[e.Host(name="main", address="192.0.2.1", host_key="SHA256:x")],
        only=["moodle"],
        content={"school": HASH},
        strict=True,
        force=True,
    ),
    e.RunApproved(**WHO, run=RUN, cosigners=[e.Cosigner(name="w", size=3, time=1_800_000_000)]),
    e.RunStarted(**WHO, run=RUN),
    e.TaskResult(
        actor=ADA, target=MOODLE, action="Crea la base", outcome="changed", run=RUN, number=2**53 - 1, commitment=HASH
    ),
    e.LessonsCut(**WHO, run=RUN, meetings=1, participants=23),
    e.RunEnded(
        **WHO,
        run=RUN,
        outcome="failed",
        milliseconds=61_500,
        counts={"ok": 3, "changed": 1},
        changed={"moodle": 1},
        detail_size=4,
        detail_root=HASH,
        versions={"moodle": "4.5"},
        healthy=1,
        unhealthy=2,
        failure=e.Failure(host="main", service="moodle", task="Crea la base"),
    ),
    e.HealthChecked(**WHO, run=RUN, services={"moodle": e.ServiceHealth(healthy=1, unhealthy=0)}),
    e.SecretRotated(**WHO, names=["moodle_password"]),
    e.AccessOpened(**WHO, kind="secret", subject="moodle_password"),
    e.AccessClosed(**WHO, kind="ssh", subject="root@192.0.2.1", run=RUN),
    e.ErasurePerformed(**WHO, why="sol·licitud 2026/14", erased=[e.Erased(run=RUN, numbers=[0, 3])]),
    e.DriftFound(**WHO, kind="unknown-run", found="20260101T000000Z-abcdef"),
    e.Heartbeat(**WHO),
    e.LogRecovered(
        **WHO,
        leftovers=[e.Leftover(file="tile/0/000.p/3", sha256=HASH, bytes=96)],
        follows=e.Following(shared=3, size=5, root=HASH),
    ),
]  # fmt: skip
by_type = pytest.mark.parametrize("data", SAMPLES, ids=lambda data: data.type)


def event(**changes: Any) -> dict[str, Any]:
    """An entry as JSON, changed."""
    found: dict[str, Any] = json.loads(e.compose(ORIGIN, SAMPLES[-2]))
    return found | changes


def raw(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_there_is_a_sample_of_each_type() -> None:
    assert [data.type for data in SAMPLES] == list(e.TYPES)


@by_type
def test_an_entry_says_what_it_was_made_of_in_canonical_form(data: e.Data) -> None:
    entry = e.parse(7, e.compose(ORIGIN, data, when="2026-11-23T10:15:00.123Z"))
    assert (entry.index, entry.type, entry.time) == (7, data.type, "2026-11-23T10:15:00.123Z")
    assert entry.event["source"] == ORIGIN
    assert entry.event["subject"] == "/".join(filter(None, data.target.model_dump().values()))
    assert type(data)(**entry.data) == data
    assert e.is_canonical(entry)
    assert read_entry(7, entry.raw) == (entry, True)


@by_type
def test_every_type_agrees_with_the_published_schema(data: e.Data) -> None:
    schema = json.loads(PUBLISHED.read_text())
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    found = json.loads(e.compose(ORIGIN, data))
    assert [error.message for error in validator.iter_errors(found)] == []
    unknown = {**found, "data": {**found["data"], "colour": "red"}}
    assert not validator.is_valid(unknown), "what the writer refuses, the schema refuses"
    for name in ("actor", "target"):
        lacking = {key: value for key, value in found["data"].items() if key != name}
        assert not validator.is_valid({**found, "data": lacking})


def test_the_published_schema_is_up_to_date_and_valid(tmp_path: Path) -> None:
    assert PUBLISHED.read_text() == schema_text(), "run: python -m provision.audit.schema"
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == e.DATA_SCHEMA
    assert write_schema(tmp_path / "new" / "file.json")
    assert not write_schema(tmp_path / "new" / "file.json")


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"time": "2026-11-23T10:15:00Z"},
        {"time": "2026-11-23T10:15:00.000+01:00"},
        {"id": "x"},
        {"dataschema": "urn:other"},
        {"data": []},
    ],
    ids=repr,
)
def test_the_schema_refuses_an_envelope_that_we_never_write(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(e.json_schema(), format_checker=jsonschema.FormatChecker())
    assert validator.is_valid(event())
    assert not validator.is_valid(event(**change))


@by_type
def test_the_writer_refuses_a_field_that_it_does_not_know(data: e.Data) -> None:
    with pytest.raises(ValidationError, match="colour"):
        type(data).model_validate(data.model_dump() | {"colour": "red"})


@pytest.mark.parametrize(
    "number",
    [
        "1.0",
        "0.5",
        "-0.0",
        "1e2",
        "1E400",
        "NaN",
        "Infinity",
        "-Infinity",
        str(2**53),
        str(-(2**53)),
        "9" * 10_000,
    ],
    ids=lambda number: number[:20],
)
@pytest.mark.parametrize("place", ["data", "nested", "envelope"])
def test_fractions_and_numbers_that_not_all_readers_keep_are_refused(number: str, place: str) -> None:
    value: Any = {"data": {"n": "@"}, "nested": {"x": [{"n": "@"}]}, "envelope": {"n": 1}}[place]
    found = event(data=value) | ({"more": "@"} if place == "envelope" else {})
    text = raw(found).replace(b'"@"', number.encode())
    with pytest.raises(e.EntryError, match="it has a number"):
        e.parse(0, text)
    with pytest.raises(e.EntryError, match="it has a number"):
        read_entry(0, text)


@pytest.mark.parametrize("number", [0, -1, 2**53 - 1, -(2**53) + 1])
def test_integers_that_all_readers_keep_are_read(number: int) -> None:
    entry = e.parse(0, raw(event(data={"n": number})))
    assert entry.data == {"n": number}
    assert e.is_canonical(entry)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf" + raw({"data": {}}),
        b"[" * 60_000,
        b'{"data":' * 8000,
        raw({"data": {}}),
        raw({"data": []}),
        raw(event(data=None)),
        raw(event(data="x")),
        raw(event(time=7)),
        raw(event(type=None)),
        raw(event(id=["x"])),
        raw(event(source={})),
        json.dumps(event(source="\ud800")).encode(),
        raw(event()).decode().encode("utf-16"),
        raw(event()) + b"{}",
        b"\x00" + raw(event()),
    ],
    ids=lambda content: repr(content[:30]),
)
def test_what_is_no_entry_is_an_error_and_nothing_else(content: bytes) -> None:
    with pytest.raises(e.EntryError):
        e.parse(0, content)
    with pytest.raises(e.EntryError):
        read_entry(0, content)


@given(some.binary(max_size=80) | some.text(max_size=80).map(str.encode))
def test_any_bytes_are_an_entry_or_an_error(content: bytes) -> None:
    with pytest.raises(e.EntryError):
        e.parse(0, content)


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
        max_leaves=6,
    )
)
def test_both_readers_agree_on_any_data(value: Any) -> None:
    content = raw(event(data={"value": value}))
    try:
        entry = e.parse(0, content)
    except e.EntryError:
        with pytest.raises(e.EntryError):
            read_entry(0, content)
    else:
        assert read_entry(0, content) == (entry, e.is_canonical(entry))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"data":', b'"data": '),
        lambda text: text.replace(b"{", b"{\n", 1),
        lambda text: text.replace("à".encode(), b"\\u00e0"),
        lambda text: text.replace(b"apuig", b"\\u0061puig"),
        lambda text: b"{" + text[1:].replace(b'{"action"', b'{"action":"x","action"', 1),
        lambda text: text + b" ",
        lambda text: json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":")).encode(),
    ],
    ids=["space", "line", "escaped", "escaped ascii", "twice", "space at the end", "order"],
)
def test_another_spelling_of_the_same_is_not_canonical(change: Any) -> None:
    text = change(raw(event()))
    entry = e.parse(0, text)
    assert not e.is_canonical(entry)
    assert read_entry(0, text)[1] is False


def test_keys_sort_as_utf_16_does() -> None:
    data = {"\ufb33": 1, "\U0001f600": 2}
    right = canonical(event(data=data))
    wrong = raw(event(data=data))
    assert right != wrong
    assert e.is_canonical(e.parse(0, right))
    assert not e.is_canonical(e.parse(0, wrong))


def test_types_and_fields_of_a_later_version_are_kept() -> None:
    entry = e.parse(0, raw(event(type="egress.observed", data={"new": [1]}, more="x")))
    assert (entry.type, entry.data, entry.event["more"]) == ("egress.observed", {"new": [1]}, "x")


@pytest.mark.parametrize(
    "text", ["\x1b[2Jx", "a\nb\x1b]0;x\x07", "\u202ex", "\ud800", "x\ud800\ny", "a\r\nb"]
)
def test_no_text_of_an_entry_steers_a_terminal(text: str) -> None:
    data = e.TaskResult(
        actor=ADA,
        target=e.Target(school="escola-mar", host=text, service=text),
        action=text,
        outcome="changed",
        run=RUN,
        number=0,
        commitment=HASH,
    )
    ended = SAMPLES[8].model_copy(update={"versions": {"x": text}})
    for one in (data, ended):
        found = json.dumps(json.loads(e.compose(ORIGIN, one)), ensure_ascii=False).replace("\\n", "")
        assert not re.search(r"\\u00|\\ud|[\x00-\x1f\x7f-\x9f\u202e\ud800]|\\r", found)


def test_one_text_has_one_form_of_bytes() -> None:
    composed, decomposed = (
        e.compose(ORIGIN, e.Heartbeat(**WHO, why=why), when="2026-11-23T10:15:00.123Z")
        for why in ("edició", "edicio\u0301")
    )
    assert json.loads(composed)["data"] == json.loads(decomposed)["data"]


def test_an_entry_that_no_bundle_could_hold_is_refused() -> None:
    numbers = list(range(20_000))
    with pytest.raises(e.EntryError, match="65535 are allowed"):
        e.compose(ORIGIN, e.ErasurePerformed(**WHO, erased=[e.Erased(run=RUN, numbers=numbers)]))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_key_of_any_kind_and_name_fits_into_an_entry(kind: Kind) -> None:
    vkey = SignerKey.generate("x" * 255, kind).verifier.vkey
    assert e.KeyAdded(**WHO, key=vkey, purpose="log").key == vkey
    e.LogOpened(**WHO, municipality="x", keys=[vkey, vkey], tool="x")


@pytest.mark.parametrize("bad", [-1, 2**53])
def test_counts_are_what_every_reader_can_count(bad: int) -> None:
    with pytest.raises(ValidationError):
        e.ServiceHealth(healthy=bad, unhealthy=0)


def test_times_are_utc_with_three_decimals_and_never_rounded_up() -> None:
    moment = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert e.timestamp(moment) == "2026-12-31T23:59:59.999Z"
    local = datetime.fromisoformat("2026-07-01T02:00:00.001+02:00")
    assert e.timestamp(local) == "2026-07-01T00:00:00.001Z"


def test_ids_are_of_version_7_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1_700_000_000_000, 1_700_000_000_001, 2**47):
        monkeypatch.setattr(time, "time_ns", lambda now=milliseconds: now * 1_000_000)
        made.append(e.uuid7())
    assert made == sorted(made)
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    assert uuid.UUID(made[0]).int >> 80 == 1_700_000_000_000
