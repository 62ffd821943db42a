"""The log in plain words."""

import re
import string
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.audit.entries import TYPES, Entry
from provision.audit.words import (
    KNOWN_OUTCOMES,
    LANGUAGES,
    Language,
    counted,
    events,
    frames,
    listed,
    long_date,
    moment,
    outcome,
    read_step,
    sentence,
    span,
    steps,
    summary,
    terms,
    type_name,
)
from provision.text import printable_line

KINDS = {
    "access.opened": ("ssh", "secret", "grant", "new-kind"),
    "access.closed": ("ssh", "secret", "grant", "new-kind"),
    "lessons.cut": ("own",),
    "drift.found": ("unknown-run", "changed-copy", "missing-copy", "contradiction", "new-kind"),
}
FULL: dict[str, Any] = {
    "actor": {"kind": "person", "name": "Mireia Ferrer", "user": "mferrer", "machine": "tic"},
    "target": {"school": "escola-mar", "host": "main", "service": "etherpad"},
    "run": "20261123T101500Z-3fa2b1", "action": "apply", "municipality": "vilafresca", "purpose": "witness",
    "key": "vilafresca+0a1b2c3d+AAAA", "names": ["etherpad_api_key"], "subject": "root", "found": "tot canviat",
    "by": "escola-riu", "by_run": "20261123T101500Z-5fa2b1", "meetings": 2, "participants": 31, "force": True,
    "number": 12, "healthy": 5, "unhealthy": 1, "changed": {"etherpad": 3}, "why": "Actualització",
    "authority": {"basis": "confirmed", "ticket": "T-1", "approver": "Cap de TIC"},
    "failure": {"host": "main", "service": "etherpad", "task": "Write the settings"},
    "erased": [{"run": "r", "numbers": [1, 2]}], "leftovers": [{"file": "tile/000"}],
    "cosigners": [{"name": "escola-mar.example/custodia"}],
}  # fmt: skip


def entry(kind: str, /, **data: Any) -> Entry:
    event = {"id": "i", "source": "o", "type": kind, "time": "2026-11-23T10:15:00.000Z", "data": data}
    return Entry(7, b"", event)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_a_sentence_for_every_outcome_in_every_language(kind: str, lang: Language) -> None:
    seen = set()
    for said in (*KNOWN_OUTCOMES, "of a later version", ""):
        for variant in KINDS.get(kind, ("",)):
            for strict in (True, False):
                health = {"etherpad": {"healthy": 5, "unhealthy": int(strict)}}
                services = (
                    health if kind == "health.checked" else [{"service": "etherpad", "version": "3.3.1"}]
                )
                data = FULL | {"outcome": said, "kind": variant, "strict": strict, "services": services}
                text = sentence(entry(kind, **data), lang)
                assert text.endswith(".")
                assert len(text) > 20
                assert not re.search(r"[{}]|\?", text), text
                seen.add(text)
    assert len(seen) > 3, "the outcome is not told"


def test_a_sentence_names_who_where_and_the_outcome() -> None:
    data = FULL | {"outcome": "failed"}
    text = sentence(entry("run.ended", **data), "ca")
    for part in (
        "Mireia Ferrer",
        "main",
        "ha fallat",
        "«Write the settings»",
        "3 canvis",
        "5 de 6",
        "Actualització",
        "T-1",
    ):
        assert part in text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_cut_lessons_are_told_with_how_many_were_in_them_and_whose_run_did_it(lang: Language) -> None:
    own = FULL | {"by": "", "outcome": "done"}
    text = sentence(entry("lessons.cut", **own), lang)
    assert "--force" in text
    assert "31 participant" in text
    assert FULL["run"] in text
    other = sentence(entry("lessons.cut", **FULL | {"run": "", "outcome": "done"}), lang)
    assert "escola-riu" in other
    assert FULL["by_run"] in other
    unknown = {name: value for name, value in own.items() if name not in {"meetings", "participants"}}
    assert events.PIECES[lang]["not known"] in sentence(entry("lessons.cut", **unknown), lang)
    assert "--force" in sentence(entry("run.intent", **FULL), lang)
    assert "--force" not in sentence(entry("run.intent", **FULL | {"force": False}), lang)


@pytest.mark.parametrize(
    "table",
    [events.SENTENCES, events.PIECES, events.TYPE_NAMES, frames.LABELS, steps.PHRASES, terms.OUTCOMES, terms.ACTIONS,
     terms.PARTS],
)  # fmt: skip
def test_every_language_has_the_same_texts_with_the_same_places_for_names(
    table: dict[str, dict[str, str]],
) -> None:
    assert set(table) == set(LANGUAGES)
    for lang in LANGUAGES:
        assert table[lang].keys() == table["en"].keys()
        for key, text in table[lang].items():
            assert text.strip(), (lang, key)
            assert placeholders(text) == placeholders(table["en"][key]), (lang, key)


def test_each_type_and_each_outcome_has_a_name() -> None:
    for lang in LANGUAGES:
        assert set(events.TYPE_NAMES[lang]) == set(TYPES)
        assert terms.COUNTED[lang].keys() == terms.COUNTED["en"].keys()
        for name in KNOWN_OUTCOMES:
            assert outcome(name, lang)
            assert outcome(name, lang)[0] not in "«“"


def test_catalan_and_spanish_are_no_copies_of_english() -> None:
    for lang in ("ca", "es"):
        same = [key for key, text in events.SENTENCES[lang].items() if text == events.SENTENCES["en"][key]]
        assert not same


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FULL, "name", "services", "kind"]), inner, max_size=6)
    ),
    max_leaves=15,
)  # fmt: skip


@given(
    st.sampled_from([*TYPES, "state.snapshot"]), st.dictionaries(st.sampled_from([*FULL, "services", "outcome"]), JSON),
    st.sampled_from(LANGUAGES),
)  # fmt: skip
def test_whatever_an_entry_holds_its_sentence_is_one_line_that_steers_no_terminal(
    kind: str, data: dict[str, Any], lang: Language
) -> None:
    text = sentence(entry(kind, **data), lang)
    assert text
    assert printable_line(text, 10**6) == " ".join(text.split())


def test_an_entry_of_a_later_version_is_shown_with_its_type() -> None:
    text = sentence(entry("egress.observed", **FULL), "es")
    assert "«egress.observed»" in text
    assert type_name("egress.observed", "es") == "«egress.observed»"


def test_control_characters_in_names_become_question_marks() -> None:
    data = FULL | {"actor": {"name": "a\x1b[31mb\u202ec\nd"}}
    assert "a?[31mb?c d" in sentence(entry("run.started", **data), "en")


def test_steps_are_told_in_the_language_of_the_reader() -> None:
    made = [
        read_step(
            {
                "name": "Write",
                "details": ["writes /etc/a", "writes /etc/b", "changes /etc/c"],
                "status": "changed",
            }
        ),
        read_step(
            {"name": "Install", "details": ["9 packages: chrony, locales and 7 more"], "status": "changed"}
        ),
        read_step(
            {"name": "Restart", "details": ["x.service restarted, enabled at start-up"], "status": "changed"}
        ),
        read_step({"name": "Put in order", "details": [], "status": "changed"}),
    ]
    assert summary(made, "ca") == [
        "instal·la 9 paquets: chrony, locales i 7 més",
        "escriu 2 fitxers: /etc/a i /etc/b",
        "modifica 1 fitxer: /etc/c",
        "reinicia x.service",
        "fa que s'engegui amb el servidor: x.service",
        "fa els passos «Put in order»",
    ]
    assert summary(made[:1], "en") == ["writes 2 files: /etc/a and /etc/b", "changes 1 file: /etc/c"]


def test_many_things_are_counted_and_only_some_are_named() -> None:
    made = [read_step({"details": [f"writes /etc/{number}"]}) for number in range(40)]
    assert summary(made, "es", most=2) == ["escribe 40 ficheros: /etc/0, /etc/1 y 38 más"]


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=8), st.sampled_from(LANGUAGES))
def test_whatever_a_detail_holds_it_can_be_told(payload: dict[str, Any], lang: Language) -> None:
    step = read_step(payload)
    assert step.phrase(lang)
    assert all(summary([step], lang))


def test_numbers_lists_and_durations_follow_the_language() -> None:
    assert counted(1, "change", "en") == "1 change"
    assert counted(12_345, "change", "ca") == "12.345 canvis"
    assert counted(12_345, "change", "en") == "12,345 changes"
    assert listed(["a", "b", "c"], "ca") == "a, b i c"
    assert listed(["Moodle", "iglesia"], "es") == "Moodle e iglesia"
    assert listed(["Moodle", "hielo"], "es") == "Moodle y hielo"
    assert listed(list("abcdefgh"), "en") == "a, b, c, d, e, f and 2 more"
    assert span(125, "ca") == "2\u00a0min 5\u00a0s"
    assert span(90_000, "es") == "1\u00a0d 1\u00a0h"
    assert span(0, "en") == "0\u00a0s"


def test_days_are_written_out_as_people_write_them() -> None:
    day = datetime(2026, 4, 3, 22, 30, tzinfo=UTC)
    zone = ZoneInfo("Europe/Madrid")
    assert long_date(day, zone, "ca") == "4 d'abril de 2026"
    assert long_date(day, zone, "es") == "4 de abril de 2026"
    assert long_date(day, UTC, "en") == "3 April 2026"
    assert moment("2026-04-03T22:30:05.000Z", zone) == "2026-04-04 00:30:05"


def test_a_time_that_is_none_is_shown_as_it_is() -> None:
    assert moment("yesterday", UTC) == "yesterday"
