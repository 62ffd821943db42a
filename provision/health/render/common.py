"""What several ways of showing findings need."""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from provision.health.ask import Answers
from provision.health.render.words import TEXTS
from provision.health.result import HOST, STATES, Finding, State
from provision.model.municipality import Language
from provision.text import printable_line

#: Longest sentence that is shown, in characters.
SENTENCE = 600


def line(text: str, limit: int = 300) -> str:
    """The text on one bounded line without control characters, whoever made the finding."""
    return printable_line(text, limit)


def part_name(answers: Answers, service: str, lang: Language) -> str:
    """The name of a service, or of the server itself."""
    title = answers.titles.get(service)
    if title is not None:
        return line(title.in_(lang), 80)
    return TEXTS[lang]["host"] if service == HOST else line(service, 80)


def where(finding: Finding, lang: Language) -> str:
    """Whence it was asked: the host's name, or from outside."""
    return line(finding.host, 80) if finding.host else TEXTS[lang]["outside"]


def title(finding: Finding, lang: Language) -> str:
    """The question; what it is about behind it, where one question is asked of several things."""
    said = line(finding.title.in_(lang), SENTENCE)
    _, _, of = finding.probe.partition(":")
    return said if not of or of in said else f"{said}: {line(of, 120)}"


def bad_ones(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are not well, the worst first."""
    return sorted(
        (finding for finding in findings if finding.state != "ok"),
        key=lambda finding: -STATES.index(finding.state),
    )


def counts(findings: Sequence[Finding]) -> dict[State, int]:
    """How many are in which state; each state has its number."""
    found: dict[State, int] = dict.fromkeys(STATES, 0)
    for finding in findings:
        found[finding.state] += 1
    return found


def summary(answers: Answers, lang: Language) -> str:
    """A school in one sentence."""
    texts, bad = TEXTS[lang], sum(finding.state != "ok" for finding in answers.findings)
    if not answers.findings:
        return texts["nothing"]
    key = "not_well" if bad else "all_well"
    return texts[key].format(bad=bad, count=len(answers.findings))


def since_text(since: datetime, asked: datetime, zone: tzinfo, lang: Language) -> str:
    """Since when, for a cell: the hour of the same day, else the day as well; ``just now`` for the first time."""
    if since >= asked:
        return TEXTS[lang]["now"]
    local, today = since.astimezone(zone), asked.astimezone(zone)
    return local.strftime("%H:%M" if local.date() == today.date() else "%Y-%m-%d %H:%M")


def grouped(findings: Sequence[Finding], lang: Language) -> list[tuple[list[Finding], str, str]]:
    """Findings of one service with what they mean and what to do, each said once for all that it holds for.

    Returns:
        the findings, meaning, remedy (both empty when all is well), in the order in which each comes up first.
    """
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        said = tuple(
            line(text.in_(lang), SENTENCE) if text and finding.state != "ok" else ""
            for text in (finding.meaning, finding.remedy)
        )
        found.setdefault((said[0], said[1]), []).append(finding)
    return [(group, meaning, remedy) for (meaning, remedy), group in found.items()]
