"""Units and timers of systemd: those that a ``service.yml`` asks for, and those that the base roles start."""

from dataclasses import dataclass

from provision.health.answers import Restarts, Timer, Unit
from provision.health.judging.facts import Facts
from provision.health.result import Figure, Finding, Sentence, State, probe_id
from provision.health.words import TITLES
from provision.health.words.heard import heard
from provision.health.words.seen import counted, cut, seen, span
from provision.model import ResolvedService
from provision.model.municipality import AcmeTls
from provision.model.service import UnitProbe

#: So many restarts in a day are no accident.
RESTARTS = 3
#: Seconds by which a timer may be late: systemd may wait to start several together.
LATE = 3600.0
#: What keeps security updates coming on Debian and Ubuntu.
UPDATE_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
#: Of ``systemctl is-enabled``: starts with the server, or with what needs it. Empty: made while the server runs.
_STARTS = frozenset(
    {"enabled", "enabled-runtime", "static", "alias", "generated", "indirect", "linked", "transient", ""}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A unit that should run.

    Args:
        probe: id of the finding.
        service: whose it is; none for the server's own.
    """

    probe: str
    title: Sentence
    unit: str
    service: ResolvedService | None = None


def asked_units(services: tuple[ResolvedService, ...]) -> list[Asked]:
    """What should run on a host with these services."""
    found = [
        Asked(probe.id, Sentence.of(probe.title), probe.unit, service)
        for service in services
        for probe in service.definition.probes
        if isinstance(probe, UnitProbe) and not probe.unit.endswith(".timer")
    ]
    named = {(one.service.id if one.service else "", one.unit) for one in found}
    for service in services:
        needs = service.definition.needs
        units = [f"provision-redis@{redis.name}.service" for redis in needs.redis]
        if needs.php:
            units.append(f"provision-php@{service.id}.service")
        found += [
            Asked(probe_id("unit", unit), TITLES["unit"], unit, service)
            for unit in units
            if (service.id, unit) not in named
        ]
    if any(service.definition.needs.site for service in services):
        found.append(Asked("unit:nginx.service", TITLES["unit"], "nginx.service"))
    return found


def asked_timers(services: tuple[ResolvedService, ...], tls: object) -> list[Asked]:
    """The timers that should run on a host with these services."""
    found = [
        Asked(probe.id, Sentence.of(probe.title), probe.unit, service)
        for service in services
        for probe in service.definition.probes
        if isinstance(probe, UnitProbe) and probe.unit.endswith(".timer")
    ]
    units = list(UPDATE_TIMERS)
    if isinstance(tls, AcmeTls) and any(service.definition.needs.site for service in services):
        units.append("certbot.timer")
    return found + [Asked(probe_id("timer", unit), TITLES["timer"], unit) for unit in units]


def judge_units(facts: Facts) -> list[Finding]:
    """Whether everything runs that should, and has not started again too often."""
    units: dict[str, Unit] | None = facts.values.get("units")
    return [
        _unit(facts, asked, units[asked.unit])
        if units is not None and asked.unit in units
        else facts.unknown(asked.probe, asked.title, "units", asked.service, unit=asked.unit)
        for asked in asked_units(tuple(facts.services))
    ]


def _unit(facts: Facts, asked: Asked, unit: Unit) -> Finding:
    lately: Restarts | None = facts.values.get("restarts")
    count = lately.restarts.get(asked.unit, 0) if lately else 0
    killed = lately.out_of_memory.get(asked.unit, 0) if lately else 0
    state, fault = _opinion(unit, count, killed)
    said = heard(f"{unit.active} ({unit.sub})") if unit.load != "not-found" else seen("unit/not-installed")
    if unit.since:
        said = seen("unit/since", state=said, span=span(max(0.0, facts.answer.time - unit.since)))
    measured = [said]
    if unit.result not in ("success", ""):
        measured.append(heard(unit.result))
    if count:
        measured.append(seen("unit/restarts", count=counted(count, "restarts")))
    if killed:
        measured.append(seen("unit/memory", count=counted(killed, "times")))
    return facts.finding(
        asked.probe,
        asked.title,
        state,
        Sentence.joined(measured),
        fault,
        service=asked.service,
        part="units",
        figures=[Figure("unit_restarts_last_day", count, label=asked.unit, warning=RESTARTS)]
        if lately
        else (),
        unit=asked.unit,
        times=counted(killed if fault == "unit/memory" else count, "times"),
    )


def _opinion(unit: Unit, count: int, killed: int) -> tuple[State, str]:
    state: State = "problem"
    if unit.load in ("not-found", "error", "bad-setting"):
        fault = "unit/missing"
    elif unit.active == "failed":
        fault = "unit/failed"
    elif unit.sub == "auto-restart" or (unit.active == "activating" and count >= RESTARTS):
        fault = "unit/looping"
    elif unit.active in ("activating", "reloading"):
        state, fault = "warning", "unit/starting"
    elif unit.active != "active":
        fault = "unit/stopped"
    elif killed:
        state, fault = "warning", "unit/memory"
    elif count >= RESTARTS:
        state, fault = "warning", "unit/restarts"
    elif unit.enabled not in _STARTS:
        state, fault = "warning", "unit/disabled"
    else:
        state, fault = "ok", ""
    return state, fault


def judge_timers(facts: Facts) -> list[Finding]:
    """Whether what should be done regularly is done, and worked the last time."""
    timers: dict[str, Timer] | None = facts.values.get("timers")
    return [
        _timer(facts, asked, timers[asked.unit])
        if timers is not None and asked.unit in timers
        else facts.unknown(asked.probe, asked.title, "timers", asked.service, unit=asked.unit)
        for asked in asked_timers(tuple(facts.services), facts.school.tls)
    ]


def _timer(facts: Facts, asked: Asked, timer: Timer) -> Finding:
    now = facts.answer.time
    worse: State = "problem" if asked.service else "warning"
    state, fault = worse, ""
    if timer.load == "not-found" or timer.active != "active":
        fault = "timer/stopped"
    elif timer.result not in ("success", "") and not timer.running:
        fault = "timer/failed"
    elif timer.next is not None and now - timer.next > LATE and not timer.running:
        fault = "timer/late"
    else:
        state = "ok"
    measured = [seen("timer", state=heard(timer.active), ago=facts.ago(timer.last))]
    if timer.running:
        measured.append(seen("timer/at-work"))
    elif timer.last is not None:
        measured.append(heard(timer.result) if timer.result else seen("timer/no-result"))
    figures = (
        [Figure("timer_last_start_age_seconds", max(0.0, now - timer.last), "s", asked.unit)]
        if timer.last
        else []
    )
    return facts.finding(
        asked.probe,
        asked.title,
        state,
        seen("unit/not-installed") if timer.load == "not-found" else Sentence.joined(measured),
        fault,
        service=asked.service,
        part="timers",
        figures=figures,
        unit=asked.unit,
    )


def judge_failed(facts: Facts) -> Finding:
    """Whether anything else has failed: what belongs to a service is told there."""
    title = TITLES["units-failed"]
    if "failed" not in facts.values:
        return facts.unknown("units-failed", title, "failed")
    own = {one.unit for one in asked_units(tuple(facts.services))}
    own |= {timer.starts for timer in facts.values.get("timers", {}).values()}
    others = [unit for unit in facts.values["failed"].units if unit not in own]
    return facts.finding(
        "units-failed",
        title,
        "warning" if others else "ok",
        seen("failed", units=cut(others)) if others else seen("none"),
        "units-failed/some" if others else "",
        part="failed",
        figures=[Figure("units_failed", len(others), warning=0)],
        units=cut(others, 3),
    )
