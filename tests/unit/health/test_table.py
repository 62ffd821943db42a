"""The table for a terminal."""

from datetime import timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from provision.cli.output import _THEME, file_console
from provision.health.history import Change, Check, History
from provision.health.render import show_history, show_table
from provision.health.render.words import STATE_SIGNS, STATE_WORDS, TEXTS
from provision.health.result import LANGUAGES, STATES
from tests.unit.health.sample import HOSTILE, NOW, answers, bare, finding, hostile, words

MADRID = ZoneInfo("Europe/Madrid")


def shown(gave: object, lang: str = "en", width: int | None = None) -> str:
    text = StringIO()
    console = (
        Console(file=text, theme=_THEME, width=width, force_terminal=False) if width else file_console(text)
    )
    show_table(gave, console, lang, MADRID)  # type: ignore[arg-type]
    return text.getvalue()


def test_what_is_not_well_has_a_sentence_on_what_it_means_and_one_on_what_to_do() -> None:
    text = shown(answers())
    assert "✗ problem" in text
    assert "What it means: Nobody can write. (en)" in text
    assert "What to do: Run provision apply escola-mar, or call the city. (en)" in text
    assert shown(answers("escola-mar", finding())).count("What") == 0


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_of_it_is_in_the_language_that_is_asked_for(lang: str) -> None:
    text = shown(answers("escola-mar", finding(), finding("unit", "warning", measured=words("Seen"))), lang)
    others = set(LANGUAGES) - {lang}
    assert f"Seen ({lang})" in text
    assert f"Question page ({lang})" in text
    assert not [other for other in others if f"({other})" in text]
    assert TEXTS[lang]["means"] in text  # type: ignore[index]
    assert STATE_WORDS[lang]["warning"] in text  # type: ignore[index]


def test_every_language_has_every_word_with_the_same_places_and_every_state_its_own_sign() -> None:
    def places(text: str) -> list[str]:
        return sorted(part.split("}")[0] for part in text.split("{")[1:])

    for lang in LANGUAGES:
        assert set(TEXTS[lang]) == set(TEXTS["en"])
        assert {key: places(text) for key, text in TEXTS[lang].items()} == {
            key: places(text) for key, text in TEXTS["en"].items()
        }
        assert len(set(STATE_WORDS[lang].values())) == len(STATES)
    assert len(set(STATE_SIGNS.values())) == len(STATES)


def test_since_is_in_the_schools_own_time() -> None:
    assert "08:15" in shown(answers("escola-mar", finding())), "07:15 UTC"


def test_what_was_just_found_is_told_apart_from_what_is_older() -> None:
    fresh = answers("escola-mar", finding())
    fresh.since.clear()
    assert "just now" in shown(fresh)
    old = answers("escola-mar", finding())
    old.since.update(dict.fromkeys(old.since, NOW - timedelta(days=2)))
    assert "2026-11-21 11:15" in shown(old)


def test_one_sentence_stands_for_all_that_have_the_same_cause() -> None:
    text = shown(answers("escola-mar", *[finding(f"page{n}", "unreachable") for n in range(8)]))
    assert text.count("What it means") == 1
    assert text.count("no answer") == 8


def test_the_server_comes_under_its_own_name_and_services_under_theirs() -> None:
    lines = [line.strip() for line in shown(answers()).splitlines()]
    assert "Pads & more" in lines
    assert "Server" in lines


def test_of_several_schools_only_what_is_not_well_is_listed() -> None:
    text = StringIO()
    show_table(answers(), file_console(text), "en", MADRID, brief=True)
    show_table(answers("escola-sol", finding()), file_console(text), "en", MADRID, brief=True)
    assert "Question unit" in text.getvalue()
    assert "Question page" not in text.getvalue()
    assert "✓ escola-sol" in text.getvalue()


def test_nothing_of_a_server_steers_the_terminal_or_breaks_a_line() -> None:
    text = shown(hostile())
    assert bare(text)
    assert "[2J" in text, "it is shown, without its escape"
    assert len(text.splitlines()) < 20


def test_markup_of_the_terminal_library_is_text() -> None:
    text = shown(answers("escola-mar", finding(measured="[bold red]x[/] [link=http://evil]y[/link]")))
    assert "[bold red]x[/] [link=http://evil]y[/link]" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_narrow_terminal_loses_no_words(width: int) -> None:
    text = shown(answers("escola-mar", finding(measured="a " * 40 + "end", state="problem")), width=width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "end" in text
    assert text.count("a ") >= 35


def past_with_changes() -> History:
    key = ("pads", "main", "unit")
    return History(
        (
            Check(NOW - timedelta(hours=2), "ok", 1, True, {"ok": 2}, (Change(key, None, "ok"),)),
            Check(NOW - timedelta(hours=1), "problem", 1, True, {}, (Change(key, "ok", "problem"),)),
            Check(NOW, "ok", 1, True, {}, (Change((HOSTILE, "", "x"), "problem", None),)),
        )
    )


def history_text(history: History, limit: int = 20) -> str:
    text = StringIO()
    show_history("escola-mar", history, file_console(text), "en", MADRID, limit)
    return text.getvalue()


def test_the_history_tells_what_changed_and_not_what_appeared_well() -> None:
    text = history_text(past_with_changes())
    assert "2026-11-23 10:15" in text
    assert "pads/main/unit: well → problem" in text
    assert "pads/main/unit: well\n" not in text
    assert "is no longer asked" in text
    assert bare(text)


def test_the_history_says_how_much_of_it_is_not_shown() -> None:
    assert "There are 2 earlier ones: --limit 3" in history_text(past_with_changes(), 1)


def test_a_school_that_nobody_asked_about_says_how_to() -> None:
    assert "provision health escola-mar" in history_text(History())
