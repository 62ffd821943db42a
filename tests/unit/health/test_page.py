"""The page for a whole municipality: what is in it, and what a hostile server cannot put into it."""

import re
from zoneinfo import ZoneInfo

import pytest

from provision.health.history import Check
from provision.health.render import as_page
from provision.health.render.words import STATE_SIGNS, STATE_WORDS, TEXTS
from provision.health.result import LANGUAGES, STATES
from provision.paths import TEMPLATES
from tests.unit.audit.report.test_contrast import contrast
from tests.unit.health.sample import HOSTILE, NOW, answers, bare, finding, hostile, past, words

CSS = (TEMPLATES / "health" / "health.css").read_text("utf-8")


def page(*schools: object, lang: str = "en", checks: dict[str, list[Check]] | None = None) -> str:
    return as_page(
        "Vilafresca & Mar", schools or (answers(),), checks or {},  # type: ignore[arg-type]
        lang=lang, zone=ZoneInfo("Europe/Madrid"), zone_name="Europe/Madrid", now=NOW,  # type: ignore[arg-type]
    )  # fmt: skip


def all_states() -> list[object]:
    return [
        answers(f"escola-{number}", finding("page", state), name=f"Escola {number}")
        for number, state in enumerate(STATES)
    ]


def test_there_is_a_row_for_each_school_the_worst_first() -> None:
    found = re.findall(r'<tr role="row"><th scope="row" role="rowheader" class="(\w+)"', page(*all_states()))
    assert found == list(reversed(STATES))


def test_every_state_has_its_word_and_its_sign_wherever_it_has_its_colour() -> None:
    html = page(*all_states())
    marks = re.findall(r'<span class="mark (\w+)"><span aria-hidden="true">(.)</span> ([^<]+)</span>', html)
    assert {state for state, _, _ in marks} == set(STATES)
    for state, sign, word in marks:
        assert sign == STATE_SIGNS[state]  # type: ignore[index]
        assert word == STATE_WORDS["en"][state]  # type: ignore[index]
    assert html.count('class="mark ') == len(marks)


def test_what_is_not_well_is_open_and_says_what_it_means_and_what_to_do() -> None:
    html = page()
    assert html.count("<details open>") == 2
    assert "<dd>Nobody can write. (en)</dd>" in html
    assert '<dd class="do">Run provision apply escola-mar, or call the city. (en)</dd>' in html
    assert "<details open>" not in page(answers("escola-mar", finding()))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_of_it_is_in_the_language_that_is_asked_for(lang: str) -> None:
    html = page(answers("escola-mar", finding("page", "problem", measured=words("Seen"))), lang=lang)
    assert set(re.findall(r"Seen \(\w+\)", html)) == {f"Seen ({lang})"}
    assert f'<html lang="{lang}">' in html
    assert TEXTS[lang]["title"] in html  # type: ignore[index]
    assert not [other for other in set(LANGUAGES) - {lang} if f"({other})" in html]


def test_the_line_tells_in_words_what_it_shows() -> None:
    html = page(checks={"escola-mar": past("ok", "problem", "ok")})
    assert '<title id="line-0-title">State of Escola Mar, the last 24 hours</title>' in html
    assert re.search(r'<desc id="line-0-text">problem: 1 of 48 pieces; well: 2 of 48 pieces</desc>', html)


def test_in_the_line_every_state_differs_in_height_and_not_only_in_colour() -> None:
    html = page(checks={"escola-mar": past(*STATES)})
    line = html[html.index('<svg class="line"') :]
    bars = re.findall(r'<rect class="(\w+)" [^>]*height="(\d+)"', line[: line.index("</svg>")])
    heights = {state: int(height) for state, height in bars}
    assert set(heights) == set(STATES)
    assert sorted(heights, key=heights.__getitem__) == list(STATES)
    assert len(set(heights.values())) == len(STATES)


def test_a_school_that_nobody_asked_before_has_no_line_and_says_so() -> None:
    assert "no history yet" in page()


def test_nothing_hostile_becomes_markup() -> None:
    html = page(hostile())
    plain = page()
    assert set(re.findall(r"<(\w+)", html)) <= {*re.findall(r"<(\w+)", plain), "svg", "rect", "title", "desc"}
    assert "&lt;script&gt;" in html
    assert "onerror=" in html, "as text"
    assert not re.search(r"<[^>]*onerror", html)
    assert bare(html)


def test_the_name_of_a_municipality_is_escaped() -> None:
    assert "Vilafresca &amp; Mar" in page()
    assert "<script>" not in as_page(
        HOSTILE, [answers()], {}, lang="en", zone=ZoneInfo("UTC"), zone_name="UTC", now=NOW
    )


def test_the_page_forbids_scripts_and_everything_from_outside() -> None:
    html = page()
    assert "default-src 'none'; style-src 'sha256-" in html
    assert "<script" not in html
    assert " style=" not in html
    assert not re.search(r'(?:src|href)="(?!#)', html)


def test_a_hundred_schools_make_a_page_that_a_phone_can_load() -> None:
    many = [answers(f"escola-{number}", name=f"Escola {number}") for number in range(100)]
    html = page(*many, checks={f"escola-{n}": past(*["ok"] * 200) for n in range(100)})
    assert len(html.encode()) < 1_500_000


def variables() -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", CSS))


def test_every_colour_of_text_has_enough_contrast() -> None:
    """WCAG 2.1, success criterion 1.4.3."""
    palette, found = variables(), 0
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", CSS):
        colour = re.search(r"(?<![-\w])color: var\(--([a-z-]+)\)", body)
        if colour is None:
            continue
        own = re.search(r"background: var\(--([a-z-]+)\)", body)
        for ground in [own[1]] if own else ["paper", "soft"]:
            assert contrast(palette[colour[1]], palette[ground]) >= 4.5, selector
            found += 1
    assert found > 15


def test_every_bar_can_be_told_from_the_paper() -> None:
    """WCAG 2.1, success criterion 1.4.11: 3 to 1 for what is no text."""
    for state in STATES:
        body = re.search(rf"^rect\.{state} \{{ ([^}}]*) \}}", CSS, re.MULTILINE)
        assert body
        colours = re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body[1])
        assert max(contrast(colour, "#ffffff") for colour in colours) >= 3
