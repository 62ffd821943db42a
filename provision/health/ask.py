"""Ask schools, many at once: one that is slow or dead holds up no other, and nothing waits for ever.

Every piece of work runs in a daemon thread, so that one which hangs in a system call is left behind when its time is
over: it ends with the time-out of its socket, or with the program.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from provision.errors import ProvisionError
from provision.health.adapter import finding_of, late, not_asked, unasked
from provision.health.door import look_at_door
from provision.health.probes import ProbeResult, RemoteRun, ask_host, ask_outside, trust_store
from provision.health.result import Finding, Sentence, State
from provision.health.words.heard import heard
from provision.health.words.seen import seen
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.model.service import Probe

#: Seconds that one school may take; what is not answered then is said to be late.
SCHOOL_LIMIT = 15.0
#: Schools that are asked at the same time.
AT_ONCE = 32

#: Opens a way to run commands on the hosts of a school, for one thread.
OpenHosts = Callable[[], AbstractContextManager[RemoteRun]]
#: Asks all about the inside of a host, instead of its services' own questions alone: school, services, host's name,
#: way to run commands.
Inside = Callable[[ResolvedSchool, Sequence[ResolvedService], str, RemoteRun], list[Finding]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What asking one school gave.

    Args:
        name: the school's name for people.
        titles: of the services, by id.
        asked: when it was asked.
        seconds: how long it took.
        whole: whether all was asked; otherwise a part only (``--service``).
        since: for each key of ``keys``, since when its state is what it is.
    """

    school: str
    name: str
    findings: tuple[Finding, ...]
    asked: datetime
    seconds: float
    whole: bool = True
    titles: dict[str, Sentence] = field(default_factory=dict)
    since: dict[tuple[str, str, str], datetime] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The state of the school as a whole."""
        # Its name may lead to it although it is off.
        beyond = overall([finding.state for finding in self.findings if finding.probe != "dns"])
        return beyond if beyond == "unreachable" else overall([finding.state for finding in self.findings])

    def since_of(self, finding: Finding) -> datetime:
        """Since when a finding's state is what it is, as far as anybody asked before."""
        return self.since.get(key_of(finding), self.asked)


def key_of(finding: Finding) -> tuple[str, str, str]:
    """What stays the same from one asking to the next."""
    return finding.service, finding.host, finding.probe


def overall(states: Sequence[State]) -> State:
    """The state of what is made of several.

    ``unreachable`` only where nothing was reached: where something answers and something does not, that is a problem.
    What could not be asked behind it does not count.
    """
    found = set(states)
    if not found:
        return "unknown"
    if "unreachable" in found and found <= {"unreachable", "unknown"}:
        return "unreachable"
    if found & {"problem", "unreachable"}:
        return "problem"
    return "warning" if "warning" in found else "unknown" if "unknown" in found else "ok"


def ask_school(
    workspace: Workspace,
    school: ResolvedSchool,
    services: Sequence[ResolvedService],
    open_hosts: OpenHosts,
    *,
    inside: Inside | None = None,
    whole: bool = True,
    limit: float = SCHOOL_LIMIT,
) -> Answers:
    """Ask one school: its services from outside and its hosts from inside, all at the same time.

    Args:
        services: those to ask about.
        open_hosts: gives the way to a host; entered and left in the host's own thread.
        inside: asks a host about its inside; without it only the services' own questions are put.
        whole: whether ``services`` are all that the school has there.
        limit: seconds after which what is still open is said to be late.
    """
    asked, started = datetime.now(UTC), time.monotonic()
    arrived: queue.SimpleQueue[_News] = queue.SimpleQueue()
    running = 0
    for service in services:
        if service.definition.needs.site or any(probe.outside for probe in service.definition.probes):
            running += 1
            _start(partial(_outside, workspace, school, service), (service.id, ""), arrived.put)
    for host in school.hosts:
        if inside or any(_has_inside(service, host) for service in services):
            running += 1
            _start(partial(_inside, school, services, host, open_hosts, inside), ("", host), arrived.put)
    found: dict[tuple[str, str, str], Finding] = {}
    failed: dict[tuple[str, str], Sentence] = {}
    while running and (left := limit - (time.monotonic() - started)) > 0:
        try:
            news = arrived.get(timeout=left)
        except queue.Empty:
            break
        if isinstance(news, _End):
            running -= 1
            failed[news.of] = heard(_said(news.error)) if news.error else seen("nothing-told")
            if news.error:
                broken = _failed(school.id, news.of[1], news.error)
                found.setdefault(key_of(broken), broken)
            continue
        for finding in news:
            # Two answers to one question: the first stays, as for whoever reads them by their key.
            found.setdefault(key_of(finding), finding)
    order: dict[tuple[str, str, str], int] = {}
    for service in services:
        for probe in service.definition.probes:
            outside = probe.outside
            key = (service.id, "" if outside else service.host, probe.id)
            order[key] = len(order)
            if key in found:
                continue
            reason = failed.get((service.id, "") if outside else ("", service.host))
            found[key] = (
                unasked(service, probe, reason)
                if reason
                else late(school, service, probe, time.monotonic() - started)
            )
    findings = sorted(found.values(), key=lambda one: order.get(key_of(one), len(order)))
    return Answers(
        school.id,
        school.name,
        tuple(findings),
        asked,
        round(time.monotonic() - started, 3),
        whole=whole,
        titles={service.id: Sentence.of(service.definition.title) for service in school.services.values()},
    )


def ask_many(
    schools: Sequence[ResolvedSchool],
    ask: Callable[[ResolvedSchool], Answers],
    *,
    at_once: int = AT_ONCE,
) -> Iterator[Answers]:
    """Ask several schools, so many at the same time; each is given as soon as it has answered.

    Args:
        ask: asks one school, and ends by itself within a bounded time.
    """
    waiting: queue.SimpleQueue[ResolvedSchool] = queue.SimpleQueue()
    for school in schools:
        waiting.put(school)
    arrived: queue.SimpleQueue[Answers] = queue.SimpleQueue()

    def work() -> None:
        while True:
            try:
                school = waiting.get_nowait()
            except queue.Empty:
                return
            asked, started = datetime.now(UTC), time.monotonic()
            try:
                arrived.put(ask(school))
            except Exception as error:
                arrived.put(
                    Answers(
                        school.id,
                        school.name,
                        (_failed(school.id, "", error),),
                        asked,
                        round(time.monotonic() - started, 3),
                    )
                )

    for _ in range(min(at_once, len(schools))):
        _daemon(work)
    for _ in schools:
        yield arrived.get()


def _daemon(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


@dataclass(frozen=True, slots=True)
class _End:
    """A piece of work is over.

    Args:
        of: service and host; one of both is empty.
        error: what broke it off.
    """

    of: tuple[str, str]
    error: Exception | None = None


_News = list[Finding] | _End


def _start(
    job: Callable[[Callable[[_News], None]], None], of: tuple[str, str], put: Callable[[_News], None]
) -> None:
    """Do a piece of work in a thread; its end is told in any case."""

    def work() -> None:
        try:
            job(put)
        except Exception as error:
            put(_End(of, error))
        else:
            put(_End(of))

    _daemon(work)


def _failed(school_id: str, host: str, error: Exception) -> Finding:
    remedy = ""
    if isinstance(error, ProvisionError):
        # Of several problems the first is named: when it is mended, the next one comes up.
        problems = getattr(error, "problems", ())
        remedy = problems[0].remedy if problems else error.remedy
    return not_asked(school_id, host, _said(error), remedy)


def _said(error: Exception) -> str:
    if not isinstance(error, ProvisionError):
        return f"{type(error).__name__}: {error}"
    problems = getattr(error, "problems", ())
    return problems[0].message if problems else error.message


def _outside(
    workspace: Workspace,
    school: ResolvedSchool,
    service: ResolvedService,
    put: Callable[[_News], None],
) -> None:
    """The service's pages, one after the other; after one wait in vain for a connection the others need none."""
    try:
        trusted = trust_store(workspace, school)
    except OSError:
        # Each page says it in its own words.
        trusted = None
    silent: ProbeResult | None = None
    for probe in service.definition.probes:
        if not probe.outside:
            continue
        if silent is None:
            result = ask_outside(workspace, school, service, probe, trusted=trusted)
            silent = result if result.cause == "silent" else None
        else:
            result = replace(silent, id=probe.id, title=probe.title.en, seconds=0.0)
        put([finding_of(school, service, probe, result)])
    if service.definition.needs.site and silent is None:
        put(look_at_door(workspace, school, service, trusted))


def _inside(
    school: ResolvedSchool,
    services: Sequence[ResolvedService],
    host: str,
    open_hosts: OpenHosts,
    inside: Inside | None,
    put: Callable[[_News], None],
) -> None:
    with open_hosts() as run_on:
        if inside:
            put(inside(school, services, host, run_on))
            return
        results = ask_host(school, host, services, run_on)
    probes: dict[tuple[str, str], tuple[ResolvedService, Probe]] = {
        (service.id, probe.id): (service, probe)
        for service in services
        for probe in service.definition.probes
    }
    put([finding_of(school, *probes[result.service, result.id], result) for result in results])


def _has_inside(service: ResolvedService, host: str) -> bool:
    return service.host == host and any(not probe.outside for probe in service.definition.probes)
