"""Whatever a server answers, what is made of it is bounded, printable and harmless to show."""

import html
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.audit.export.spreadsheet import guarded
from provision.health.answers import ANSWER_LIMIT, PARTS
from provision.health.result import FIGURES_LIMIT, LANGUAGES, MEASURED_LIMIT, SENTENCE_LIMIT, Finding
from tests.unit.health.inside_sample import NOW, answered, ask, file, healthy

#: Steers a terminal, turns the writing round, opens a page and a spreadsheet, and asks for another value.
EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\u2066 <script>alert(1)</script> =cmd|'/c calc'!A1 "
    "{school} {0.__class__} %s \r\n\x00\ud800"
)

#: Turn round the direction in which a terminal writes.
DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c")


def texts(finding: Finding) -> list[str]:
    told = [finding.title, finding.measured, *(one for one in (finding.meaning, finding.remedy) if one)]
    labels = [figure.label for figure in finding.figures]
    return [finding.probe, *labels, *(one.in_(lang) for one in told for lang in LANGUAGES)]


def harmless(findings: list[Finding]) -> None:
    assert findings
    for finding in findings:
        assert all(len(finding.measured.in_(lang)) <= MEASURED_LIMIT for lang in LANGUAGES)
        assert len(finding.figures) <= FIGURES_LIMIT
        for text in texts(finding):
            assert len(text) <= SENTENCE_LIMIT
            assert not [sign for sign in text if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"}]
            assert not set(text) & DIRECTION


def probe_of(findings: list[Finding]) -> Finding:
    (found,) = [one for one in findings if one.probe == "probe"]
    return found


def poisoned(value: Any, evil: str) -> Any:
    """The same shape with every text replaced."""
    match value:
        case str():
            return evil
        case dict():
            return {key: poisoned(item, evil) for key, item in value.items()}
        case list():
            return [poisoned(item, evil) for item in value]
        case _:
            return value


def test_every_text_of_an_answer_may_be_hostile() -> None:
    harmless(ask(json.dumps(poisoned(json.loads(answered(healthy())), EVIL))))
    # No program that writes JSON as it should writes half a character: then nothing is taken.
    findings = ask(answered(poisoned(healthy(), EVIL.rstrip("\ud800"))))
    harmless(findings)
    # They were taken in, not only thrown away as a whole.
    assert any("owned" in one.measured.en for one in findings)


def test_names_that_a_server_chooses_may_be_hostile() -> None:
    parts = healthy()
    parts["disks"] = {EVIL + str(number): disk for number, disk in enumerate(parts["disks"].values())}
    parts["databases"]["databases"] |= {EVIL: {"size": 1, "error": EVIL}}
    parts["files"] = {EVIL: file(), "/etc/wiki/settings.json": file(owner=EVIL)}
    parts["failed"] = {"count": 2, "units": [EVIL, EVIL]}
    parts["journal"]["groups"][0] |= {"unit": EVIL, "text": EVIL, "count": 99}
    harmless(ask(answered(parts)))


def test_a_text_of_a_server_names_no_value_of_ours() -> None:
    parts = healthy()
    parts["journal"]["groups"][0] |= {"unit": "{school} {count}", "count": 99}
    (found,) = [one for one in ask(answered(parts)) if one.probe == "journal"]
    assert found.meaning
    assert found.meaning.en == "{school} {count} writes the same error again and again (99 times in a day)."


def test_a_page_and_a_spreadsheet_get_what_they_need_from_those_who_write_them() -> None:
    parts = healthy()
    parts["databases"] = {"up": False, "error": '=HYPERLINK("http://evil") <img src=x onerror=alert(1)>'}
    (found,) = [one for one in ask(answered(parts)) if one.probe == "database:wiki"]
    assert "<img" in found.measured.en and "<" not in html.escape(found.measured.en)
    assert guarded(found.measured.en).startswith("'=")


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        '{"a":' * 50_000,
        answered(healthy())[:-20],
        "null",
        "[]",
        '"well"',
        "{}",
        "NaN",
        answered({}, time="now"),
        answered({}, time=float("inf")),
        answered({}, time=-1),
        answered({}, cpu_seconds=1e300),
        answered({}, parts=[1, 2]),
        answered({}, parts={"../../etc": {"seconds": 1}}),
        answered(
            {},
            parts={
                f"p{chr(97 + number % 26)}{'x' * (number // 26)}": {"seconds": 1} for number in range(200)
            },
        ),
        '{"schema": "provision/probe/v1", "refused": "no"}',
        "\ud800",
        EVIL,
    ],
    ids=lambda said: repr(said[:24]),
)
def test_what_is_no_answer_is_one_problem_and_nothing_else(said: str) -> None:
    findings = ask(said)
    harmless(findings)
    assert probe_of(findings).state == "problem"
    assert {one.state for one in findings if one.probe != "probe"} == {"unknown"}


def test_an_answer_that_is_too_long_is_not_read_at_all() -> None:
    findings = ask(" " * (ANSWER_LIMIT + 1))
    assert probe_of(findings).measured.en == "the answer is too long"


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1,
        -1,
        1e400,
        "x",
        [],
        [[]],
        {},
        {"x": None},
        [None] * 1000,
        {str(n): {} for n in range(1000)},
    ],
    ids=repr,
)
def test_a_part_of_the_wrong_kind_fails_alone(name: str, value: Any) -> None:
    parts = healthy()
    parts[name] = value
    findings = ask(answered(parts))
    harmless(findings)
    whole = {one.probe: one.state for one in findings}
    # At most what leans on this part is touched: something else is still told as well.
    assert whole["memory" if name != "system" else "journal"] == "ok"


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def test_a_part_that_is_nested_too_deeply_fails_alone() -> None:
    parts = healthy()
    parts["journal"] = deep(100)
    states = {one.probe: one.state for one in ask(answered(parts))}
    assert (states["journal"], states["memory"]) == ("unknown", "ok")


@pytest.mark.parametrize("number", [2**70, -1, 1.5, 1e30, True, "7", None])
def test_numbers_out_of_bounds_are_not_taken(number: Any) -> None:
    parts = healthy()
    parts["updates"]["security"] = number
    (found,) = [one for one in ask(answered(parts)) if one.probe == "updates"]
    assert found.state == "unknown"


def test_a_clock_at_the_end_of_time_is_said_to_be_off() -> None:
    for moment in (0, 253402300799):
        findings = ask(answered(healthy(), time=moment))
        harmless(findings)
        (found,) = [one for one in findings if one.probe == "clock"]
        assert found.state == "problem"


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from([EVIL, NOW, 0, ""]),
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A healthy answer with something else in some of its places."""
    parts = healthy()
    for _ in range(draw(st.integers(1, 4))):
        place: Any = parts
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                place = inner
                continue
            place[key] = draw(anything)
            break
    return answered(parts)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_no_answer_makes_it_fail(said: str) -> None:
    harmless(ask(said))
