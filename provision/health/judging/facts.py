"""What a host has told, and how it becomes findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from provision.health.answers import PARTS, Answer
from provision.health.result import HOST, Figure, Finding, Sentence, State
from provision.health.words import APPLY, APPLY_ALL, FAULTS, SERVER, Fault
from provision.health.words.heard import heard
from provision.health.words.seen import ago, seen
from provision.model import ResolvedSchool, ResolvedService

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Facts:
    """One answer of one host, with what it is an answer to.

    Args:
        host: its name in the school file.
        services: those of the school that are on this host.
        asked, arrived: our own clock, Unix time.
        values: of each part that was told and is as it should be.
        reasons: of each part that was not.
    """

    school: ResolvedSchool
    host: str
    services: Sequence[ResolvedService]
    asked: float
    arrived: float
    answer: Answer
    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, Sentence] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        school: ResolvedSchool,
        host: str,
        services: Sequence[ResolvedService],
        asked: float,
        arrived: float,
        answer: Answer,
    ) -> "Facts":
        """Check each part of an answer by itself."""
        facts = cls(school, host, services, asked, arrived, answer)
        for name, form in PARTS.items():
            part = answer.parts.get(name)
            if part is None:
                facts.reasons[name] = seen("not-told")
            elif part.reason is not None:
                facts.reasons[name] = heard(part.reason)
            else:
                try:
                    facts.values[name] = form.validate_python(part.value)
                except (ValidationError, RecursionError):
                    facts.reasons[name] = seen("no-sense")
        return facts

    def seconds(self, part: str) -> float:
        """How long the host took for a part."""
        told = self.answer.parts.get(part)
        return round(min(told.seconds, 1000.0), 3) if told else 0.0

    def finding(
        self,
        probe: str,
        title: Sentence,
        state: State,
        measured: Sentence,
        fault: str | Fault = "",
        *,
        service: ResolvedService | None = None,
        part: str = "",
        figures: Sequence[Figure] = (),
        **values: object,
    ) -> Finding:
        """A finding with the sentences of a fault.

        Args:
            fault: ``kind/variant`` of the words, or the words themselves; none when all is well.
            service: whose it is; none for the server itself.
            part: of the answer, for the time that it took.
            values: what the sentences speak of, besides school, host, service and its title.
        """
        return self._finding(probe, title, state, measured, fault, service, part, figures, values)

    def _finding(
        self,
        probe: str,
        title: Sentence,
        state: State,
        measured: Sentence,
        fault: str | Fault,
        service: ResolvedService | None,
        part: str,
        figures: Sequence[Figure],
        values: Mapping[str, object],
    ) -> Finding:
        known: dict[str, object] = {"school": self.school.id, "host": self.host, "title": SERVER}
        if service:
            known |= {
                "service": service.id,
                "title": Sentence.short(service.definition.title),
                "hostname": service.hostname,
            }
        known.update(values)
        words = fault if isinstance(fault, Fault) else FAULTS[fault] if fault else None
        if words and not service and words.remedy == APPLY:
            # What no service owns is mended without naming one.
            words = words._replace(remedy=APPLY_ALL)
        return Finding(
            service=service.id if service else HOST,
            host=self.host,
            probe=probe,
            title=title.filled(**known),
            state=state,
            measured=measured,
            meaning=words.meaning.filled(**known) if words else None,
            remedy=words.remedy.filled(**known) if words else None,
            seconds=self.seconds(part),
            figures=tuple(figures),
        )

    def unknown(
        self, probe: str, title: Sentence, part: str, service: ResolvedService | None = None, **values: object
    ) -> Finding:
        """The finding for what could not be asked."""
        measured = seen("unknown", reason=self.reasons.get(part) or seen("not-told"))
        return self._finding(probe, title, "unknown", measured, "unknown", service, part, (), values)

    def ago(self, moment: float | None) -> Sentence:
        """How long ago something was on the host's own clock."""
        return ago(None if moment is None else self.answer.time - moment)
