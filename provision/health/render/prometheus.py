"""Findings for Prometheus: its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/ is the source; names and units follow
https://prometheus.io/docs/practices/naming/, as ``promtool check metrics`` demands.

- ``provision_probe_state``: a series for each state, 1 for the one that it is, with the labels ``municipality``,
  ``school``, ``service``, ``host`` (empty: asked from outside), ``probe`` and ``state``.
- ``provision_probe_ok``: 1 or 0, with the same labels but ``state``.
- ``provision_probe_since_timestamp_seconds``, ``provision_probe_duration_seconds``: as their names say.
- ``provision_school_state``, ``provision_school_ok``, ``provision_school_asked_timestamp_seconds``,
  ``provision_school_duration_seconds``: of each school as a whole.
- ``provision_school_files_ok``: whether the school's files in the workspace are right; where not, it may not have
  been asked.
- ``provision_<figure>``: what probes measured; ``of`` says what it is of.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from provision.health.ask import Answers
from provision.health.render.common import line
from provision.health.result import STATES

#: Most series of one name: a server that shows ever more things must not fill a monitoring system.
MOST_SERIES = 50_000
#: Ends of names that mean something else than a number measured just now.
_TYPED = re.compile(r"_(total|count|sum|bucket|info)$")
_HELP = {
    "provision_probe_state": "State of a probe: 1 for the state that it is in, 0 for the others.",
    "provision_probe_ok": "Whether a probe is well.",
    "provision_probe_since_timestamp_seconds": "Since when a probe has been in its state.",
    "provision_probe_duration_seconds": "How long the answer to a probe took.",
    "provision_school_state": "State of a school: 1 for the state that it is in, 0 for the others.",
    "provision_school_ok": "Whether everything of a school is well.",
    "provision_school_asked_timestamp_seconds": "When the school was asked.",
    "provision_school_duration_seconds": "How long asking the whole school took.",
    "provision_school_files_ok": "Whether the school's files are right; if not, it may not have been asked.",
}

Labels = tuple[tuple[str, str], ...]


def as_metrics(municipality: str, schools: Sequence[Answers], files: Mapping[str, bool] | None = None) -> str:
    """The document that a scrape gives.

    Args:
        municipality: its id, a label of every series.
        files: whether the files of each school are right, by its id; also of schools that could not be asked.
    """
    families: dict[str, dict[Labels, float]] = {name: {} for name in _HELP}

    def add(name: str, labels: Iterable[tuple[str, str]], value: float) -> None:
        series = families.setdefault(name, {})
        if len(series) < MOST_SERIES and math.isfinite(value):
            # A series must not be there twice: the first stays.
            series.setdefault(tuple((key, line(text, 200)) for key, text in labels), float(value))

    for name, right in (files or {}).items():
        add("provision_school_files_ok", [("municipality", municipality), ("school", name)], right)
    for answers in schools:
        school = [("municipality", municipality), ("school", answers.school)]
        for state in STATES:
            add("provision_school_state", [*school, ("state", state)], answers.state == state)
        add("provision_school_ok", school, answers.state == "ok")
        add("provision_school_asked_timestamp_seconds", school, answers.asked.timestamp())
        add("provision_school_duration_seconds", school, answers.seconds)
        for finding in answers.findings:
            probe = [
                *school,
                ("service", finding.service),
                ("host", finding.host),
                ("probe", finding.probe),
            ]
            for state in STATES:
                add("provision_probe_state", [*probe, ("state", state)], finding.state == state)
            add("provision_probe_ok", probe, finding.state == "ok")
            add("provision_probe_since_timestamp_seconds", probe, answers.since_of(finding).timestamp())
            add("provision_probe_duration_seconds", probe, finding.seconds)
            for figure in finding.figures:
                add(metric_name(figure.name), [*probe, ("of", figure.label)], figure.value)
    return "".join(_family(name, series) for name, series in families.items() if series)


def metric_name(figure: str) -> str:
    """The name of a figure's metric."""
    name = "provision_" + re.sub(r"[^a-z0-9_]", "_", figure.lower())[:100]
    # Not one of ours, and not one that promises a counter or a histogram.
    return f"{name}_now" if name in _HELP or _TYPED.search(name) else name


def _family(name: str, series: dict[Labels, float]) -> str:
    said = _HELP.get(name, "What a probe measured.")
    lines = [f"# HELP {name} {said}", f"# TYPE {name} gauge"]
    for labels, value in series.items():
        shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        lines.append(f"{name}{{{shown}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
