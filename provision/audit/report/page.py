"""The report as one self-contained HTML page."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import jinja2
from markupsafe import Markup

from provision import __version__, paths
from provision.audit.entries import Entry
from provision.audit.report import charts
from provision.audit.report.changes import service_changes
from provision.audit.report.ens import SECTIONS, Category, matrix
from provision.audit.report.facts import Facts, gather
from provision.audit.report.surroundings import Surroundings, of_log
from provision.audit.report.texts import TEXTS
from provision.audit.stories import ReadableLog, Run, gap
from provision.audit.words import (
    Fields,
    action,
    counted,
    failure,
    listed,
    long_date,
    long_time,
    moment,
    number,
    outcome,
    part,
    read_time,
    result,
    sentence,
    span,
    type_name,
    where,
    who,
)
from provision.audit.words.terms import Language

#: Runs and other rows that a table lists; of earlier ones it is said how many there are.
MOST_ROWS = 400
#: Findings of a verdict that are shown.
MOST_FINDINGS = 40


class VerdictLike(Protocol):
    """What the report needs of a verification's verdict; ``provision.audit.verify.Verdict`` is one."""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the log."""

    @property
    def findings(self) -> Sequence[Any]:
        """Each with ``words(lang)`` and ``where(lang)``."""

    @property
    def vouched(self) -> bool:
        """Whether the keys came from somewhere else than the log's own directory."""

    def line(self, lang: str = "en") -> str:
        """The verdict in one line."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A run's outcome: the kind of the chart, and the word."""

    kind: str
    word: str


def kind_of(run: Run) -> str:
    """How charts and marks tell a run's outcome: one of ``charts.KINDS``."""
    if run.ended is None:
        return "none"
    return "good" if run.outcome == "ok" else "bad"


def render_report(
    log: ReadableLog,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    lang: Language = "ca",
    category: Category = "basic",
    verdict: VerdictLike | None = None,
    surroundings: Surroundings | None = None,
    now: datetime | None = None,
) -> str:
    """The report on a period of a school's log.

    Everything that comes from the log is hostile and is escaped; the page holds no script and asks for nothing
    from outside (a content security policy inside it says so to the browser).

    Args:
        log: the school's log.
        since, until: the period, ``until`` not included; None: from the log's first entry, to now.
        category: the school's ENS category, whose column of the matrix is shown.
        verdict: of a verification of the same log; without it the report says that nobody verified.
        surroundings: what the municipality's files say; without it what the log and the shipped roles tell.
        now: when the report is made; for tests.

    Returns:
        HTML.

    Raises:
        LogError: the log cannot be read.
    """
    made = now or datetime.now(UTC)
    facts = gather(log, since, until, lang, now=made)
    around = surroundings or _around(log, facts)
    texts = TEXTS[lang]
    zone = around.zone
    first = since or read_time(facts.log_first) or made
    newest = max(made, read_time(facts.log_last) or made)
    # ``until`` is the moment after the period: the day that is shown is that of its last moment.
    last = min(until - timedelta(milliseconds=1), newest) if until else newest
    css = (paths.TEMPLATES / "report" / "report.css").read_text(encoding="utf-8")
    environment = _environment()
    environment.globals.update(
        t=texts,
        lang=lang,
        n=partial(number, lang=lang),
        counted=lambda value, noun: counted(value, noun, lang),
        time=partial(moment, zone=zone, seconds=False),
        sentence=lambda entry: sentence(entry, lang),
        span=lambda seconds: span(seconds, lang),
        action=partial(action, lang=lang),
        listed=lambda items, most=6: listed(list(items), lang, most),
        type_name=lambda kind: type_name(kind, lang),
        person=lambda entry: who(entry.data, lang),
        where=lambda entry: where(entry.data),
        mark=lambda run: Cell(
            kind_of(run), outcome(run.outcome, lang) if run.ended else texts["none"].lower()
        ),
        title=lambda name: _title(around, name, lang),
    )
    return environment.get_template(
        "report/report.html.j2"
    ).render(
        css=Markup(css),  # noqa: S704 - our own file
        css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        sections=SECTIONS,
        counts=_counts(facts),
        log=log,
        root=base64.b64encode(log.root).decode(),
        around=around,
        facts=facts,
        period=texts["period_text"].format(
            first=long_date(first, zone, lang), last=long_date(last, zone, lang)
        ),
        made=long_time(made, zone, lang),
        verdict=_verdict(verdict, lang),
        summary=_summary(facts),
        chart_runs=_runs_chart(facts, first, last, around, lang),
        chart_changes=_changes_chart(facts, around, lang),
        services=service_changes(log, facts, lang),
        access=_access(facts.access),
        runs=[_run_row(run, lang) for run in reversed(facts.runs[-MOST_ROWS:])],
        runs_more=max(0, len(facts.runs) - MOST_ROWS),
        failures=[_failure_row(run, facts, around, lang) for run in reversed(facts.failed[-MOST_ROWS:])],
        unexplained=_unexplained(facts, around, lang),
        gdpr_categories=texts["g_categories_processing_text"].format(
            services=listed([service.title(lang) for service in around.services], lang, 20)
            or texts["g_unknown"]
        ),
        matrix=matrix(category, lang),
        category=texts[category],
        version=__version__,
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _around(log: ReadableLog, facts: Facts) -> Surroundings:
    """What the log tells of its school: its first entry, and the services that it names."""
    opened = next(iter(log.entries(0, 1)), None) if log.size else None
    data = Fields(opened.data if opened else None)
    named: dict[str, None] = dict.fromkeys(version.service for version in facts.versions)
    for run in facts.runs[-MOST_ROWS:]:
        named |= dict.fromkeys(service.text("service") for service in run.fields().items("services"))
    return of_log(
        data.text("target", "school") or log.origin.rpartition("/")[2],
        data.text("municipality"),
        [name for name in list(named)[:50] if name],
    )


def _title(around: Surroundings, name: str, lang: Language) -> str:
    service = around.service(name)
    return service.title(lang) if service else part(name, lang)


def _verdict(verdict: VerdictLike | None, lang: Language) -> dict[str, Any]:
    texts = TEXTS[lang]
    if verdict is None:
        return {
            "kind": "none",
            "word": texts["verdict_none"],
            "line": texts["verdict_none_text"],
            "findings": [],
            "more": 0,
        }
    # Green is for what somebody else than the city vouches for.
    kind = "bad" if not verdict.ok else "ok" if verdict.vouched else "unvouched"
    found = [
        ": ".join(bit for bit in (one.where(lang), one.words(lang)) if bit)
        for one in verdict.findings[:MOST_FINDINGS]
    ]
    return {
        "kind": kind,
        "word": texts[f"verdict_{kind}"],
        "line": verdict.line(lang),
        "findings": found,
        "more": len(verdict.findings) - len(found),
    }


def _summary(facts: Facts) -> list[tuple[str, int, bool]]:
    """Key of its text, number, and whether somebody should look."""
    good = sum(run.outcome == "ok" for run in facts.runs)
    bad = len(facts.failed)
    return [
        ("s_runs", len(facts.runs), False),
        ("s_good", good, False),
        ("s_bad", bad, bad > 0),
        ("s_changes", sum(facts.changes().values()), False),
        ("s_people", len(facts.people), False),
        ("s_access", len(facts.access) + facts.left_out["access"], False),
        ("s_unexplained", facts.unexplained, facts.unexplained > 0),
    ]


def _counts(facts: Facts) -> dict[str, int]:
    """How much evidence each section has; sections that are not lists have none."""
    return {
        "people": len(facts.people),
        "services": sum(facts.changes().values()),
        "versions": len(facts.versions),
        "runs": len(facts.runs),
        "failures": len(facts.failed),
        "access": len(facts.access) + facts.left_out["access"],
        "unexplained": facts.unexplained,
        "governance": len(facts.keys) + len(facts.erasures),
    }


def _runs_chart(
    facts: Facts, first: datetime, last: datetime, around: Surroundings, lang: Language
) -> dict[str, Any]:
    texts = TEXTS[lang]
    kinds = [(run.time, kind_of(run)) for run in facts.runs]
    bars = charts.over_time(kinds, first, last, around.zone)
    names = {kind: texts[kind] for kind in charts.KINDS}
    numbers = {kind: sum(found == kind for _, found in kinds) for kind in charts.KINDS}
    text = texts["chart_runs_text"].format(
        runs=counted(len(kinds), "run", lang),
        **{kind: number(count, lang) for kind, count in numbers.items()},
    )
    return {
        "svg": charts.columns(bars, names, texts["chart_runs"], text) if kinds else "",
        "text": text,
        "names": names,
        "unit": texts[bars.unit],
        "rows": [
            (label, counts) for label, counts in zip(bars.labels, bars.counts, strict=True) if any(counts)
        ],
    }


def _changes_chart(facts: Facts, around: Surroundings, lang: Language) -> dict[str, Any]:
    texts = TEXTS[lang]
    values = [(_title(around, name, lang), count) for name, count in facts.changes().most_common(20)]
    text = (
        texts["chart_changes_text"].format(
            changes=counted(sum(facts.changes().values()), "change", lang), most=values[0][0]
        )
        if values
        else ""
    )
    svg = charts.rows(values, texts["chart_changes"], text, lang) if values else ""
    return {"svg": svg, "text": text, "rows": values}


def _access(entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
    """Each access with the time of its end; an end stands by itself only where its beginning is not in the period."""
    found: list[tuple[Entry, str]] = []
    open_ones: dict[tuple[str, ...], list[int]] = {}
    for entry in entries:
        data = Fields(entry.data)
        which = (*(data.text(name) for name in ("kind", "subject", "run")), where(entry.data))
        if entry.type == "access.closed" and open_ones.get(which):
            place = open_ones[which].pop(0)
            found[place] = (found[place][0], entry.time)
            continue
        if entry.type == "access.opened":
            open_ones.setdefault(which, []).append(len(found))
        found.append((entry, ""))
    return found


def _run_row(run: Run, lang: Language) -> dict[str, Any]:
    texts, said, end = TEXTS[lang], run.fields(), run.end()
    commit = said.text("workspace", "commit")[:12]
    approvers = (
        [item.text("name") for item in Fields(run.approved.data).items("cosigners")] if run.approved else []
    )
    reasons = [
        said.text("why"),
        said.text("authority", "ticket"),
        said.text("authority", "approver"),
        texts["approved_by"].format(names=listed(approvers, lang)) if approvers else "",
    ]
    return {
        "run": run,
        "verb": said.text("action"),
        "services": [
            " ".join(bit for bit in (item.text("service"), item.text("version")) if bit)
            for item in said.items("services")[:20]
        ],
        "commit": commit,
        "dirty": said.true("workspace", "dirty"),
        "why": "; ".join(reason for reason in reasons if reason),
        "result": result(end, lang) if run.ended else "",
        "took": span(run.seconds, lang) if run.seconds is not None else "",
    }


def _failure_row(run: Run, facts: Facts, around: Surroundings, lang: Language) -> dict[str, Any]:
    texts = TEXTS[lang]
    later = facts.later.get(run.id)
    said = failure(run.end(), lang).strip()
    return {
        "run": run,
        "what": said or result(run.end(), lang),
        "later": later,
        "ended": texts["next_good"].format(
            when=moment(later.time, around.zone, seconds=False), span=span(gap(run.time, later.time), lang)
        )
        if later
        else texts["next_none"],
    }


def _unexplained(facts: Facts, around: Surroundings, lang: Language) -> list[tuple[int, str, str, str]]:
    """Entry, time, kind, text of everything that somebody should explain, by entry."""
    texts = TEXTS[lang]

    def told(entry: Entry | None, kind: str) -> tuple[int, str, str, str]:
        if entry is None:
            return -1, "", texts[kind], ""
        return entry.index, entry.time, texts[kind], sentence(entry, lang)

    found = [told(entry, "u_drift") for entry in facts.drift]
    found += [told(entry, "u_recovered") for entry in facts.recoveries]
    found += [told(entry, "u_cut") for entry in facts.cuts]
    found += [told(run.first, "u_endless") for run in facts.endless]
    found += [told(run.first, "u_unannounced") for run in facts.unannounced]
    for one in facts.gaps:
        text = texts["u_gap"].format(
            span=span(one.seconds, lang),
            since=moment(one.since, around.zone, seconds=False),
            until=moment(one.until, around.zone, seconds=False),
        )
        found.append((one.index, one.since, texts["u_gap_name"], text))
    return sorted(found)[-MOST_ROWS:]


__all__ = ["VerdictLike", "render_report"]
