"""Asking schools: what an answer becomes, and that nobody holds up anybody."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from provision.errors import Problem, RefusedError
from provision.health import ask as ask_module
from provision.health.adapter import finding_of
from provision.health.ask import Answers, ask_many, ask_school, overall
from provision.health.probes import Cause, ProbeResult, RemoteRun
from provision.health.result import LANGUAGES, Finding, State
from provision.health.words.outside import OUTSIDE
from provision.model import ResolvedSchool, ResolvedService, Workspace
from tests.unit.health.inside_sample import school, service
from tests.unit.health.sample import HOSTILE, NOW, answers, bare, finding

WIKI = service()
SCHOOL = school(WIKI)
WORKSPACE = cast(Workspace, object())
PAGES = [probe for probe in WIKI.definition.probes if probe.kind == "https"]


def said(state: State = "ok", cause: Cause = "", measured: str = "answers 200") -> Callable[..., ProbeResult]:
    def page(_w: object, _s: object, asked: ResolvedService, probe: Any, **_: object) -> ProbeResult:
        return ProbeResult(asked.id, probe.id, probe.title.en, state, measured, "", 0.1, cause)  # type: ignore[arg-type]

    return page


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_module, "ask_outside", said())
    monkeypatch.setattr(ask_module, "trust_store", lambda *_: None)
    monkeypatch.setattr(ask_module, "look_at_door", lambda *_: [])


def hosts(run_on: RemoteRun) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[RemoteRun]:
        yield run_on

    return opened


def well(host: str, command: str, stdin: str) -> tuple[int, str]:
    return 0, '[[true, "active"], [true, "active"], [true, "answers 200"], [true, "written"]]'


def ask(run_on: RemoteRun = well, **options: Any) -> Answers:
    return ask_school(WORKSPACE, SCHOOL, [WIKI], hosts(run_on), **options)


def by_probe(gave: Answers) -> dict[str, Finding]:
    return {one.probe: one for one in gave.findings}


def test_every_question_of_the_service_is_a_finding_in_the_order_of_its_file() -> None:
    gave = ask()
    assert [one.probe for one in gave.findings] == [probe.id for probe in WIKI.definition.probes]
    assert [one.host for one in gave.findings] == ["", "main", "main", "main", "main"]
    assert gave.state == "ok"
    assert all(one.meaning is None and one.remedy is None for one in gave.findings)


CAUSES: list[Cause] = [
    "silent",
    "late",
    "name",
    "refused",
    "certificate",
    "status",
    "exposed",
    "content",
    "down",
]


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_its_own_sentence_in_each_language_with_the_command_or_the_city(cause: Cause) -> None:
    result = said("problem", cause)(None, None, WIKI, PAGES[0])
    found = finding_of(SCHOOL, WIKI, PAGES[0], result)
    assert found.meaning
    assert found.remedy
    for lang in LANGUAGES:
        assert WIKI.definition.title.model_dump()[lang] in found.meaning.in_(lang)
        assert "{" not in found.meaning.in_(lang) + found.remedy.in_(lang)
        assert "provision " in found.remedy.in_(lang) or "192.0.2.7" in found.remedy.in_(lang)
    meanings = [OUTSIDE[other][0].en for other in CAUSES]
    assert len(set(meanings)) == len(CAUSES)


def test_a_page_that_waits_in_vain_for_a_connection_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def page(_w: object, _s: object, of: ResolvedService, probe: Any, **_: object) -> ProbeResult:
        asked.append(probe.id)
        return ProbeResult(of.id, probe.id, "", "unreachable", "no answer: timed out", "", 10.0, "silent")

    monkeypatch.setattr(ask_module, "ask_outside", page)
    several = replace(
        WIKI,
        definition=WIKI.definition.model_copy(
            update={"probes": tuple(PAGES[0].model_copy(update={"id": f"p{n}"}) for n in range(5))}
        ),
    )
    gave = ask_school(WORKSPACE, SCHOOL, [several], hosts(well))
    assert asked == ["p0"]
    assert [one.state for one in gave.findings] == ["unreachable"] * 5


def test_a_slow_page_is_no_reason_to_leave_the_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(_w: object, _s: object, of: ResolvedService, probe: Any, **_: object) -> ProbeResult:
        slow = probe.id == "p0"
        return ProbeResult(
            of.id, probe.id, "", "unreachable" if slow else "ok", "", "", 1.0, "late" if slow else ""
        )

    monkeypatch.setattr(ask_module, "ask_outside", page)
    update = {"probes": tuple(PAGES[0].model_copy(update={"id": f"p{n}"}) for n in range(3))}
    several = replace(WIKI, definition=WIKI.definition.model_copy(update=update))
    gave = ask_school(WORKSPACE, SCHOOL, [several], hosts(well))
    assert [one.state for one in gave.findings] == ["unreachable", "ok", "ok"]


def test_a_host_that_never_answers_is_late_and_its_pages_are_told_all_the_same() -> None:
    released = threading.Event()

    def hang(host: str, command: str, stdin: str) -> tuple[int, str]:
        released.wait(60)
        return 0, "[]"

    gave = ask(hang, limit=0.3)
    released.set()
    found = by_probe(gave)
    assert found["page"].state == "ok"
    assert [found[name].state for name in ("unit", "tasks", "api")] == ["unreachable"] * 3
    assert found["unit"].measured.en.startswith("not answered when")
    assert gave.state == "problem"


def test_a_host_that_cannot_be_asked_is_not_known_and_says_why_and_what_to_do() -> None:
    @contextmanager
    def refused() -> Iterator[RemoteRun]:
        raise RefusedError(
            "a password is missing", problems=[Problem("no sudo password", "provision secrets set x y")]
        )
        yield well

    gave = ask_school(WORKSPACE, SCHOOL, [WIKI], refused)
    found = by_probe(gave)
    assert found["page"].state == "ok"
    assert (found["unit"].state, found["unit"].measured.en) == ("unknown", "not asked: no sudo password")
    asked = found["asked"]
    assert (asked.service, asked.host, asked.state) == ("host", "main", "unknown")
    assert asked.remedy
    assert "provision secrets set x y" in asked.remedy.ca


@pytest.mark.parametrize(
    "out",
    [
        "",
        "[]",
        "{}",
        "7",
        "[" * 100_000,
        '[["\\u001b[2J", "x"]]',
        '[[true, {"a": 1}], [1, 2], [null, null]]',
        HOSTILE,
    ],
)
def test_a_hostile_answer_of_a_host_is_bounded_text_in_a_finding(out: str) -> None:
    gave = ask(lambda *_: (0, out))
    for one in gave.findings:
        assert len(one.measured.en) <= 300
        assert bare(one.measured.en)
    assert by_probe(gave)["page"].state == "ok"
    assert by_probe(gave)["unit"].state != "ok" or "true" in out


def test_the_inside_of_a_host_is_asked_instead_of_its_own_questions_where_there_is_somebody_to() -> None:
    def inside(
        of: ResolvedSchool, services: Sequence[ResolvedService], host: str, run: RemoteRun
    ) -> list[Finding]:
        assert run("main", "x", "")
        return [
            finding("disk:/", "warning", service="host", host=host),
            finding("unit", service="wiki", host=host),
        ]

    found = by_probe(ask(inside=inside))
    assert found["disk:/"].state == "warning"
    assert found["unit"].measured.en == "answers 200"
    assert (found["api"].state, found["api"].measured.en) == ("unknown", "not asked: nothing is told of it")


def test_a_fault_of_our_own_in_one_place_is_told_and_spoils_nothing_else() -> None:
    def inside(*_: object) -> list[Finding]:
        raise ZeroDivisionError("x")

    found = by_probe(ask(inside=inside))
    assert found["page"].state == "ok"
    assert found["unit"].measured.en == "not asked: ZeroDivisionError: x"


def test_a_school_is_unreachable_only_where_nothing_of_it_answers() -> None:
    assert overall(["unreachable", "unreachable"]) == "unreachable"
    assert overall(["unreachable", "unknown"]) == "unreachable"
    assert overall(["unreachable", "ok"]) == "problem"
    assert overall(["warning", "unknown", "ok"]) == "warning"
    assert overall(["unknown", "ok"]) == "unknown"
    assert overall(["ok"]) == "ok"
    assert overall([]) == "unknown"


def schools(count: int) -> list[ResolvedSchool]:
    return [replace(SCHOOL, id=f"escola-{number}") for number in range(count)]


def test_a_school_that_hangs_holds_up_no_other() -> None:
    hanging = threading.Event()

    def one(of: ResolvedSchool) -> Answers:
        if of.id == "escola-0":
            hanging.wait(60)
        return replace(answers(), school=of.id)

    given = ask_many(schools(20), one, at_once=2)
    first = [next(given).school for _ in range(19)]
    assert "escola-0" not in first
    hanging.set()
    assert next(given).school == "escola-0"


def test_no_more_schools_than_allowed_are_asked_at_once() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def one(of: ResolvedSchool) -> Answers:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return replace(answers(), school=of.id)

    assert len(list(ask_many(schools(30), one, at_once=4))) == 30
    assert most <= 4


def test_a_school_whose_asking_fails_is_not_known_and_the_others_are_told() -> None:
    def one(of: ResolvedSchool) -> Answers:
        if of.id == "escola-1":
            raise RefusedError("the vault cannot be opened", "provision check escola-1")
        return replace(answers("x", finding()), school=of.id)

    gave = {each.school: each for each in ask_many(schools(3), one)}
    assert gave["escola-1"].state == "unknown"
    assert gave["escola-1"].findings[0].measured.en == "the vault cannot be opened"
    assert gave["escola-0"].state == gave["escola-2"].state == "ok"
    assert gave["escola-0"].asked == NOW
