"""From the answers to a ``service.yml``'s questions to findings: where, what it means, what to do."""

from provision.health.judging.services import said_by
from provision.health.probes import ProbeResult, own_sentences
from provision.health.result import HOST, Finding, Sentence, State
from provision.health.words.heard import heard
from provision.health.words.outside import HOST_SILENT, NOT_ASKED, NOT_ASKED_TITLE, OUTSIDE, UNASKED
from provision.health.words.seen import seen
from provision.model import ResolvedSchool, ResolvedService
from provision.model.service import OwnProbe, Probe


def finding_of(
    school: ResolvedSchool, service: ResolvedService, probe: Probe, result: ProbeResult
) -> Finding:
    """One answer as a finding.

    Args:
        service, probe: whose question it was.
        result: the answer.
    """
    inside = not probe.outside
    meaning: Sentence | None = None
    remedy: Sentence | None = None
    if result.state != "ok":
        silent = inside and result.cause == "silent"
        words = HOST_SILENT if silent else OUTSIDE[result.cause or "status"]
        values = places(school, service)
        meaning, remedy = (words[place].filled(**values) for place in (0, 1))
        if isinstance(probe, OwnProbe) and not silent:
            meaning, remedy = own_sentences(school, service, probe)
    measured = heard(result.measured, said_by(service))
    return _finding(service, probe, result.state, measured, (meaning, remedy), result.seconds)


def late(school: ResolvedSchool, service: ResolvedService, probe: Probe, seconds: float) -> Finding:
    """The finding for a question that was still open when the time for the school was over."""
    values = places(school, service)
    meaning, remedy = (words.filled(**values) for words in OUTSIDE["late"])
    measured = seen("late", seconds=f"{seconds:.0f}")
    return _finding(service, probe, "unreachable", measured, (meaning, remedy), round(seconds, 3))


def unasked(service: ResolvedService, probe: Probe, reason: Sentence) -> Finding:
    """The finding for a question that was not put, since something before it went wrong."""
    meaning, remedy = (words.filled(reason=reason) for words in UNASKED)
    return _finding(service, probe, "unknown", seen("unasked", reason=reason), (meaning, remedy), 0.0)


def not_asked(school_id: str, host: str, message: str, remedy: str) -> Finding:
    """The finding for a school, or a host of it, that could not be asked at all.

    Args:
        host: its name; empty for the school, or for what is asked from outside.
        message, remedy: of the error.
    """
    return Finding(
        service=HOST,
        host=host,
        probe="asked",
        title=NOT_ASKED_TITLE,
        state="unknown",
        measured=heard(message),
        meaning=NOT_ASKED[0],
        remedy=NOT_ASKED[1].filled(remedy=remedy or f"provision check {school_id}"),
        seconds=0.0,
    )


def places(school: ResolvedSchool, service: ResolvedService) -> dict[str, object]:
    """What the sentences about a service's door and pages may speak of."""
    return {
        "school": school.id,
        "id": service.id,
        "hostname": service.hostname,
        "address": school.hosts[service.host].address,
        "service": Sentence.of(service.definition.title),
    }


def _finding(
    service: ResolvedService,
    probe: Probe,
    state: State,
    measured: Sentence,
    words: tuple[Sentence | None, Sentence | None],
    seconds: float,
) -> Finding:
    return Finding(
        service=service.id,
        host="" if probe.outside else service.host,
        probe=probe.id,
        title=Sentence.of(probe.title),
        state=state,
        measured=measured,
        meaning=words[0],
        remedy=words[1],
        seconds=seconds,
    )
