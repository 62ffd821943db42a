"""Findings as JSON: the shapes ``provision/health/v2`` and ``provision/health-history/v1``.

``provision/health/v2``:

- ``asked``: when the first school was asked, UTC; ``state``: of all schools together.
- ``schools``: for each id a list of findings. Of version 1: ``service``, ``id``, ``title``, ``state``, ``measured``,
  ``remedy``, ``seconds``; ``state`` may be ``warning`` and ``unknown`` now as well. New: ``host`` (empty: asked from
  outside), ``since``, ``meaning``, ``figures`` (``name``, ``value``, ``unit``, ``label``, ``warning``, ``critical``),
  ``texts`` (by language ``title``, ``meaning``, ``remedy``, ``measured``). ``measured`` itself is always English.
  ``meaning`` and ``remedy`` are empty when all is well.
- ``summary``: for each id ``name``, ``state``, ``asked``, ``seconds``, ``whole`` (everything was asked), ``counts`` (by
  state).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from provision.health.ask import Answers, overall
from provision.health.history import History
from provision.health.render.common import counts
from provision.health.result import LANGUAGES, Finding
from provision.model.municipality import Language
from provision.text import printable_data

SCHEMA = "provision/health/v2"
HISTORY_SCHEMA = "provision/health-history/v1"


def as_document(schools: Sequence[Answers], lang: Language = "en") -> dict[str, Any]:
    """What stands beside ``schema`` in the document.

    Args:
        lang: of ``title``, ``meaning`` and ``remedy``; all languages are in ``texts``.
    """
    document = {
        "asked": _stamp(min((answers.asked for answers in schools), default=datetime.now(UTC))),
        "state": overall([answers.state for answers in schools]),
        "schools": {
            answers.school: [_finding(answers, finding, lang) for finding in answers.findings]
            for answers in schools
        },
        "summary": {
            answers.school: {
                "name": answers.name,
                "state": answers.state,
                "asked": _stamp(answers.asked),
                "seconds": answers.seconds,
                "whole": answers.whole,
                "counts": counts(answers.findings),
            }
            for answers in schools
        },
    }
    made: dict[str, Any] = printable_data(document)
    return made


def history_document(school: str, history: History, limit: int) -> dict[str, Any]:
    """A school's past: ``checks`` from old to new, and ``now`` with since when each question's state is what it is."""
    return {
        "school": school,
        "checks": [
            {
                "time": _stamp(check.time),
                "state": check.state,
                "seconds": check.seconds,
                "whole": check.whole,
                "counts": dict(check.counts),
                "changes": [
                    {**_key(change.key), "before": change.before, "after": change.after}
                    for change in check.changes
                ],
            }
            for check in history.checks[-limit:]
        ],
        "now": [
            {**_key(key), "state": state, "since": _stamp(since)}
            for key, (state, since) in history.since.items()
        ],
    }


def _finding(answers: Answers, finding: Finding, lang: Language) -> dict[str, Any]:
    def texts(language: Language) -> dict[str, str]:
        return {
            "title": finding.title.in_(language),
            "meaning": finding.meaning.in_(language) if finding.meaning else "",
            "remedy": finding.remedy.in_(language) if finding.remedy else "",
            "measured": finding.measured.in_(language),
        }

    return {
        "service": finding.service,
        "host": finding.host,
        "id": finding.probe,
        **texts(lang),
        "state": finding.state,
        "measured": finding.measured.en,
        "since": _stamp(answers.since_of(finding)),
        "seconds": finding.seconds,
        "figures": [asdict(figure) for figure in finding.figures],
        "texts": {language: texts(language) for language in LANGUAGES},
    }


def _key(key: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("service", "host", "id"), key, strict=True))


def _stamp(moment: datetime) -> str:
    # Not strftime, which looks for the time zone in the file system each time.
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
