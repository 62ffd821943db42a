"""A finding is bounded and printable, whoever makes it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.health.result import (
    FIGURES_LIMIT,
    LANGUAGES,
    MEASURED_LIMIT,
    SENTENCE_LIMIT,
    VALUE_LIMIT,
    Figure,
    Finding,
    Sentence,
    probe_id,
)
from provision.model.service import Text

PLAIN = Sentence("ca", "es", "en")


def finding(probe: str = "disk:/", measured: str = "", meaning: Sentence = PLAIN) -> Finding:
    return Finding("host", "main", probe, PLAIN, "problem", Sentence.plain(measured), meaning, None, 0.1)


def test_a_sentence_is_told_in_each_language() -> None:
    sentence = Sentence.of(Text(ca="bon dia", es="buenos días", en="good morning"))
    assert [sentence.in_(lang) for lang in LANGUAGES] == ["bon dia", "buenos días", "good morning"]


def test_values_stand_in_the_places_of_their_names_each_in_its_language() -> None:
    sentence = Sentence("{title}: {n}", "{title} - {n}", "{n} of {title}")
    assert sentence.filled(n=3, title=PLAIN) == Sentence("ca: 3", "es - 3", "3 of en")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("Etherpad", "d'Etherpad"), ("l'Òscar", "de l'Òscar"), ("Òscar", "d'Òscar"), ("Moodle", "de Moodle")],
)
def test_catalan_says_de_as_it_is_said(value: str, wanted: str) -> None:
    assert Sentence(*["una part de {n}"] * 3).filled(n=value) == Sentence(
        f"una part {wanted}", f"una part de {value}", f"una part de {value}"
    )


@pytest.mark.parametrize("value", ["{n.__class__}", "{title}", "{0}", "%s", "{", "}}", "\\1", "\\g<0>"])
def test_a_value_is_text_and_nothing_more(value: str) -> None:
    assert Sentence(*["<{n}>"] * 3).filled(n=value, title="secret").en == f"<{value}>"


def test_a_place_without_a_value_stays() -> None:
    assert Sentence(*["{other} {n!r} {n:>9} {}"] * 3).filled(n=1).en == "{other} {n!r} {n:>9} {}"


@given(st.text(max_size=1000))
def test_no_value_steers_a_terminal_or_fills_a_screen(value: str) -> None:
    filled = Sentence(*["{n}"] * 3).filled(n=value).en
    assert len(filled) <= VALUE_LIMIT
    assert filled.isprintable() or not value.isprintable()
    assert not set(filled) & {"\x1b", "\x9b", "\n", "\r", "\x07", "\u202e"}


@given(st.text(max_size=2000), st.text(max_size=2000))
def test_a_finding_is_bounded_and_on_one_line(measured: str, meaning: str) -> None:
    made = finding(measured=measured, meaning=Sentence(meaning, meaning, meaning))
    assert made.meaning
    for text, limit in ((made.measured.ca, MEASURED_LIMIT), (made.meaning.ca, SENTENCE_LIMIT)):
        assert len(text) <= limit
        assert not set(text) & {"\x1b", "\x9b", "\n", "\r", "\t", "\x07", "\u202e"}


def test_more_figures_than_anybody_wants_are_left_out() -> None:
    figures = tuple(Figure("n", number) for number in range(1000))
    made = Finding("host", "", "x", PLAIN, "ok", PLAIN, None, None, 0.0, figures)
    assert len(made.figures) == FIGURES_LIMIT


@pytest.mark.parametrize("probe", ["", "Disk", "disk /", "disk\n", "disk=1", 'a"b', "x" * 121, "-x", "à"])
def test_an_id_that_a_monitoring_system_cannot_keep_is_refused(probe: str) -> None:
    with pytest.raises(ValueError, match="no id of a probe"):
        finding(probe)


@given(st.text(max_size=300))
def test_an_id_can_be_made_of_anything(of: str) -> None:
    assert finding(probe_id("disk", of)).probe.startswith("disk")


@pytest.mark.parametrize(
    ("name", "value"),
    [("Free", 1.0), ("free bytes", 1.0), ("1st", 1.0), ("", 1.0), ("x", math.nan), ("x", math.inf)],
)
def test_a_figure_that_a_monitoring_system_would_choke_on_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="no figure"):
        Figure(name, value)
