"""The JSON for programs."""

import json
from dataclasses import fields

from provision.health import ProbeResult
from provision.health.history import read_history, remember
from provision.health.render import as_document, history_document
from provision.health.result import LANGUAGES
from tests.unit.health.sample import HOSTILE, answers, bare, finding, hostile, words


def test_the_fields_of_version_1_are_there_with_the_same_meaning() -> None:
    document = json.loads(json.dumps(as_document([answers()])))
    former = {field.name for field in fields(ProbeResult)} - {"cause"}
    for found in document["schools"]["escola-mar"]:
        assert former <= set(found)
    first, second = document["schools"]["escola-mar"][:2]
    assert (first["service"], first["id"], first["state"], first["remedy"]) == ("pads", "page", "ok", "")
    assert (second["measured"], second["title"]) == ("failed", "Question unit (en)")
    assert second["remedy"] == "Run provision apply escola-mar, or call the city. (en)"


def test_what_version_2_adds_is_there() -> None:
    document = as_document([answers(), answers("escola-sol", finding(), name="Escola Sol")], "ca")
    unit = document["schools"]["escola-mar"][1]
    assert unit["host"] == "main"
    assert unit["since"] == "2026-11-23T07:15:00Z"
    assert unit["meaning"] == "Nobody can write. (ca)"
    assert unit["texts"]["es"]["meaning"] == "Nobody can write. (es)"
    disk = document["schools"]["escola-mar"][2]["figures"][0]
    assert disk == {
        "name": "disk_free_bytes", "value": 12_000_000_000, "unit": "B", "label": "/var",
        "warning": 5e9, "critical": 1e9,
    }  # fmt: skip
    assert document["state"] == "problem"
    assert document["summary"]["escola-mar"]["counts"]["warning"] == 1
    assert document["summary"]["escola-sol"]["state"] == "ok"


def test_measured_stays_english_and_is_told_in_each_language_beside_it() -> None:
    seen = answers("escola-mar", finding(measured=words("Seen")))
    for lang in LANGUAGES:
        found = as_document([seen], lang)["schools"]["escola-mar"][0]
        assert found["measured"] == "Seen (en)"
        assert [found["texts"][one]["measured"] for one in LANGUAGES] == [
            "Seen (ca)",
            "Seen (es)",
            "Seen (en)",
        ]


def test_no_text_in_it_steers_a_terminal_that_shows_it() -> None:
    assert bare(json.dumps(as_document([hostile()]), ensure_ascii=False))


def test_the_history_gives_each_asking_and_since_when_all_is_as_it_is(tmp_path) -> None:  # type: ignore[no-untyped-def]
    remember(tmp_path, answers())
    remember(tmp_path, answers())
    document = history_document("escola-mar", read_history(tmp_path, "escola-mar"), 1)
    assert json.loads(json.dumps(document)) == document
    assert len(document["checks"]) == 1
    assert document["checks"][0]["changes"] == []
    assert {one["id"]: one["state"] for one in document["now"]} == {
        "page": "ok", "unit": "problem", "disk:/var": "ok", "certificate": "warning",
    }  # fmt: skip
    assert document["now"][0]["since"] == "2026-11-23T10:15:00Z"


def test_hostile_words_in_a_history_are_printable_in_its_document(tmp_path) -> None:  # type: ignore[no-untyped-def]
    gave = answers("escola-mar", finding(service=HOSTILE))
    remember(tmp_path, gave)
    assert bare(
        json.dumps(
            history_document("escola-mar", read_history(tmp_path, "escola-mar"), 5), ensure_ascii=False
        )
    )
