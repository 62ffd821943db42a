"""The inside of a host: one request to its ``provision-probe``, one bounded answer, and findings from it.

What is asked follows from the services' ``service.yml`` (their probes and needs) and from what every server has;
no application is known by name. Nothing that the host answers is trusted: see ``answers``.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from provision.errors import HostKeyError, KeyRefusedError, ProvisionError
from provision.health.adapter import finding_of
from provision.health.answers import ANSWER_LIMIT, Answer
from provision.health.judging.facts import Facts
from provision.health.judging.host import Knows, ManagedFile, judge_host
from provision.health.judging.services import asked_own, asked_pages, judge_services
from provision.health.judging.units import (
    Asked,
    asked_timers,
    asked_units,
    judge_failed,
    judge_timers,
    judge_units,
)
from provision.health.probes import RemoteRun, ask_host
from provision.health.result import HOST, Figure, Finding, Sentence, State
from provision.health.words import FAULTS, TITLES
from provision.health.words.heard import heard
from provision.health.words.seen import cut, decimal, seen
from provision.model import ResolvedSchool, ResolvedService
from provision.text import printable_line

#: What is run on the host; the only text that the account provision-health may send as its command.
COMMAND = "/usr/local/sbin/provision-probe ask"
SCHEMA = "provision/probe/v1"
#: What a shell, or sudo, says of a program that is not there or may not be run.
_NO_PROGRAM = (126, 127)
#: Why a host that is there does not let us in, and what that is called.
_DOORS: dict[type[ProvisionError], tuple[State, str]] = {
    KeyRefusedError: ("unreachable", "probe/key"),
    HostKeyError: ("problem", "probe/host-key"),
}
#: The most that the program takes in one request.
_MOST_UNITS, _MOST_PAGES, _MOST_FILES = 64, 16, 256


def request_for(
    school: ResolvedSchool, services: Sequence[ResolvedService], managed: Sequence[ManagedFile] = ()
) -> str:
    """The request to one host, as JSON.

    Args:
        services: those of the school that are on the host.
        managed: files whose hash, owner and mode are asked for.
    """
    units = dict.fromkeys(one.unit for one in asked_units(tuple(services)))
    timers = dict.fromkeys(one.unit for one in asked_timers(tuple(services), school.tls))
    wanted: dict[str, Any] = {
        "schema": SCHEMA,
        "units": list(units)[:_MOST_UNITS],
        "timers": list(timers)[:_MOST_UNITS],
        "loopback": [probe.question for _, probe in asked_pages(services)][:_MOST_PAGES],
        "files": [file.path for file in managed][:_MOST_FILES],
    }
    return json.dumps(wanted)


def inside(
    school: ResolvedSchool,
    services: Sequence[ResolvedService],
    host: str,
    run_on: RemoteRun,
    *,
    managed: Sequence[ManagedFile] = (),
    knows: Knows | None = None,
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Ask one host all about its inside, in one round trip.

    Args:
        services: those to ask about; the ones on other hosts are left out.
        host: name in the school file.
        run_on: ``run_on(host, command, stdin)`` over SSH, as root or as provision-health.
        managed: files as the last run left them; none where that is not known.
        knows: whether our audit log knows a run.
        clock: our own, Unix time; another one in tests.

    Returns:
        findings about the host (``service`` is ``host``) and about each service; where the host cannot be asked, one
        that says why and ``unknown`` for each question of a ``service.yml``.
    """
    here = tuple(service for service in services if service.host == host)
    asked, began = clock(), time.monotonic()
    try:
        status, out = run_on(host, COMMAND, request_for(school, here, managed))
    except ProvisionError as error:
        state, fault = _DOORS.get(type(error), ("unreachable", "probe/unreachable"))
        return _silent(school, here, host, state, fault, heard(error.message), began)
    arrived = clock()
    if status in _NO_PROGRAM:
        # Before the first run with this version: what the services ask for can be asked without it.
        lacks = _silent(school, (), host, "warning", "probe/missing", seen("probe/missing"), began)
        return [*_without_program(school, here, host, run_on), *lacks]
    if status != 0:
        told = seen("probe/status", status=status, said=_said(out, 200))
        return _silent(school, here, host, "problem", "probe/strange", told, began)
    try:
        answer = parsed(out)
    except StrangeError as error:
        return _silent(school, here, host, "problem", "probe/strange", error.told, began)
    facts = Facts.read(school, host, here, asked, arrived, answer)
    own = _told(facts, round(time.monotonic() - began, 3))
    services_first = [*judge_services(facts), *judge_units(facts), *judge_timers(facts)]
    services_first.sort(key=lambda finding: finding.service == HOST)
    return [*services_first, own, judge_failed(facts), *judge_host(facts, managed, knows)]


def _without_program(
    school: ResolvedSchool, services: tuple[ResolvedService, ...], host: str, run_on: RemoteRun
) -> list[Finding]:
    """The services' own questions, put the way that needs nothing but Python on the host."""
    probes = {
        (service.id, probe.id): (service, probe)
        for service in services
        for probe in service.definition.probes
    }
    return [
        finding_of(school, *probes[result.service, result.id], result)
        # Where the one program is missing, the services' own are as well.
        for result in ask_host(school, host, services, run_on, own=False)
    ]


class StrangeError(Exception):
    """What came back is no answer of the program; ``told`` says what it is, and is safe to show."""

    def __init__(self, told: Sentence) -> None:
        super().__init__(told.en)
        self.told = told


def parsed(text: str) -> Answer:
    """An answer of the program.

    Raises:
        StrangeError: it is too long, or none.
    """
    if len(text) > ANSWER_LIMIT:
        raise StrangeError(seen("probe/long"))
    try:
        return Answer.model_validate_json(text)
    except (ValidationError, RecursionError):
        raise StrangeError(seen("probe/none", said=_said(text, 100))) from None


def _said(text: str, limit: int) -> Sentence:
    """The beginning of what came back, where that is no answer."""
    return heard(printable_line(text, limit)) if text.strip() else seen("nothing")


def _told(facts: Facts, seconds: float) -> Finding:
    used = min(facts.answer.cpu_seconds, 1000.0)
    missing = sorted(facts.reasons)
    measured = seen("probe", seconds=decimal(seconds, 1), cpu=decimal(used, 2))
    if missing:
        measured = seen("probe/missing-parts", before=measured, parts=cut(missing, len(missing)))
    figures = [Figure("probe_seconds", seconds, "s"), Figure("probe_cpu_seconds", used, "s")]
    return facts.finding(
        "probe",
        TITLES["probe"],
        "unknown" if missing else "ok",
        measured,
        "unknown" if missing else "",
        figures=figures,
    )


def _silent(
    school: ResolvedSchool,
    services: tuple[ResolvedService, ...],
    host: str,
    state: State,
    fault: str,
    measured: Sentence,
    began: float,
) -> list[Finding]:
    """Where the host cannot be asked: that it is so, and that nothing is known of what is asked there."""
    seconds = round(time.monotonic() - began, 3)

    def finding(
        probe: str,
        title: Sentence,
        what: State,
        of: str,
        said: Sentence,
        service: ResolvedService | None = None,
        **more: object,
    ) -> Finding:
        values = {"school": school.id, "host": host, **more}
        if service:
            values |= {"service": service.id, "title": Sentence.short(service.definition.title)}
        words = FAULTS[of]
        return Finding(
            service=service.id if service else HOST,
            host=host,
            probe=probe,
            title=title.filled(**values),
            state=what,
            measured=said,
            meaning=words.meaning.filled(**values),
            remedy=words.remedy.filled(**values),
            seconds=seconds,
        )

    questions = [
        *(Asked(probe.id, Sentence.of(probe.title), "", service) for service, probe in asked_own(services)),
        *(Asked(probe.id, Sentence.of(probe.title), "", service) for service, probe in asked_pages(services)),
        *(one for one in asked_units(services) if one.service),
        *(one for one in asked_timers(services, school.tls) if one.service),
    ]
    reason = seen("unknown", reason=measured)
    return [
        *(
            finding(one.probe, one.title, "unknown", "unknown", reason, one.service, unit=one.unit)
            for one in questions
        ),
        finding("probe", TITLES["probe"], state, fault, measured),
    ]
