"""The monitoring plugin, by the rules of https://www.monitoring-plugins.org/doc/guidelines.html."""

import re

import pytest

from provision.health.render import as_plugin, as_unknown
from provision.health.render.nagios import LIMIT
from provision.health.result import LANGUAGES, Figure, State
from provision.model.municipality import Language
from tests.unit.health.sample import answers, bare, finding, hostile, words

DATA = re.compile(
    r"'([^'=|]+)'=(-?[0-9.e+]+)(s|%|B|c)?(?:;(-?[0-9.e+]+:?)?)?(?:;(-?[0-9.e+]+:?)?)?(?:;(-?[0-9.e+]+)?)?(?:;(-?[0-9.e+]+)?)?"
)


def data_of(text: str) -> list[re.Match[str]]:
    """The performance data, each piece as the guideline has it."""
    first = text.splitlines()[0]
    assert first.count("|") == 1
    rest, found = first.split("|")[1].strip(), []
    while rest:
        match = DATA.match(rest)
        assert match, rest
        found.append(match)
        rest = rest[match.end() :].lstrip(" ")
    return found


@pytest.mark.parametrize(
    ("states", "word", "code"),
    [
        (["ok", "ok"], "OK", 0),
        (["ok", "warning"], "WARNING", 1),
        (["ok", "unknown"], "UNKNOWN", 3),
        (["warning", "unknown"], "WARNING", 1),
        (["warning", "problem", "unknown"], "CRITICAL", 2),
        (["unreachable"], "CRITICAL", 2),
    ],
)
def test_word_and_exit_code_fit_the_worst_state(states: list[State], word: str, code: int) -> None:
    gave = answers("escola-mar", *[finding(f"p{n}", state) for n, state in enumerate(states)])
    text, exit_code = as_plugin([gave])
    assert text.startswith(f"escola-mar {word} - ")
    assert exit_code == code


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_was_measured_is_in_the_language_that_is_asked_for(lang: Language) -> None:
    text, _ = as_plugin([answers("escola-mar", finding("page", "problem", measured=words("Seen")))], lang)
    assert set(re.findall(r"Seen \(\w+\)", text)) == {f"Seen ({lang})"}
    assert f"Seen ({lang})" in text.splitlines()[0]


def test_nothing_asked_is_unknown() -> None:
    empty = answers("escola-mar", finding())
    text, code = as_plugin([type(empty)("escola-mar", "Escola Mar", (), empty.asked, 0.1)])
    assert (text.startswith("escola-mar UNKNOWN - "), code) == (True, 3)


def test_performance_data_is_as_the_guideline_has_it() -> None:
    found = {match[1]: match for match in data_of(as_plugin([answers()])[0])}
    assert found["time"][0] == "'time'=1.25s;;;0"
    assert found["not_well"][0] == "'not_well'=2;;;0;4"
    disk = found["main/disk_free_bytes/var"]
    assert disk[0] == "'main/disk_free_bytes/var'=12000000000B;5000000000:;1000000000:;0"
    assert found["main/cpu_used_percent"][0].endswith("=12.5%;80;95;0;100")


def test_the_first_line_names_what_matters_and_the_lines_after_it_what_to_do() -> None:
    lines = as_plugin([answers()])[0].splitlines()
    assert "Pads ＆ more: failed" in lines[0].split("|")[0]
    assert lines[1].startswith("PROBLEM Pads ＆ more: Question unit (en): failed")
    assert "Run provision apply escola-mar, or call the city." in lines[1]
    assert lines[2].startswith("WARNING Server: ")


def test_several_schools_make_one_answer() -> None:
    text, code = as_plugin([answers("escola-sol", finding()), answers()])
    assert text.startswith("2 schools CRITICAL - ")
    assert "escola-mar/Pads" in text
    assert {"escola-mar/time", "escola-sol/time"} <= {match[1] for match in data_of(text)}
    assert code == 2


def test_a_hostile_server_cannot_forge_performance_data_or_steer_what_reads_it() -> None:
    text, code = as_plugin([hostile()])
    assert bare(text)
    assert code == 2
    assert text.count("|") == 1
    assert not set(text) & set('`$<>"~&')
    assert {match[1].split("/")[-1] for match in data_of(text)} & {"evil"} == set()
    assert all(len(line) < 2000 for line in text.splitlines())


def test_all_of_it_fits_into_what_nagios_keeps() -> None:
    figures = tuple(Figure("disk_free_bytes", n, "B", f"/mnt/{n}") for n in range(32))
    many = [
        finding(f"probe{n}", "problem", measured="é" * 300, meaning="à" * 600, figures=figures, host=f"h{n}")
        for n in range(60)
    ]
    text, _ = as_plugin([answers("escola-mar", *many)])
    assert len(text.encode()) <= LIMIT < 8192
    data_of(text)


def test_what_cannot_be_asked_at_all_is_unknown_and_not_critical() -> None:
    text, code = as_unknown("There is no workspace | here\n<b>")
    assert code == 3
    assert text == "HEALTH UNKNOWN - There is no workspace ¦ here ‹b›\n"
