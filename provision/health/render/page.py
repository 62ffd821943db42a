"""Findings as one self-contained HTML page: a row a school, for a whole municipality."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from markupsafe import Markup

from provision import __version__, paths
from provision.audit.words import long_time, span
from provision.health.ask import Answers
from provision.health.history import Check, Line, line_of
from provision.health.render.common import (
    bad_ones,
    counts,
    grouped,
    line,
    part_name,
    since_text,
    summary,
    title,
    where,
)
from provision.health.render.words import STATE_SIGNS, TEXTS, state_word
from provision.health.result import STATES, State
from provision.model.municipality import Language

#: Height of a state's bar in a line, and the line's size.
_HEIGHTS: dict[State, int] = {"ok": 5, "unknown": 9, "warning": 13, "problem": 20, "unreachable": 24}
_WIDE, _HIGH, _FOOT = 4, 26, 27


def as_page(
    municipality: str,
    schools: Sequence[Answers],
    checks: Mapping[str, Sequence[Check]],
    *,
    lang: Language,
    zone: tzinfo,
    zone_name: str,
    now: datetime,
) -> str:
    """The page.

    Everything in it is escaped; it holds no script and asks for nothing (a content security policy says so).

    Args:
        municipality: its name.
        checks: former askings by school, for the lines.
        zone: of the times, called ``zone_name``.
        now: where the lines end.
    """
    import jinja2

    css = (paths.TEMPLATES / "health" / "health.css").read_text(encoding="utf-8")
    texts = TEXTS[lang]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    order = sorted(schools, key=lambda answers: (-STATES.index(answers.state), answers.name, answers.school))
    number = counts_of_schools(order)
    return environment.get_template("health/health.html.j2").render(
        css=Markup(css),  # noqa: S704 - our own file
        css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        t=texts,
        lang=lang,
        municipality=line(municipality, 120),
        made=texts["made"].format(when=long_time(now, zone, lang), zone=zone_name),
        schools=[
            _school(answers, checks.get(answers.school, ()), place, lang, zone, now)
            for place, answers in enumerate(order)
        ],
        total=texts["one_school"] if len(order) == 1 else texts["schools"].format(count=len(order)),
        numbers=[(state, state_word(state, lang), number[state]) for state in reversed(STATES)],
        legend=[
            (state, STATE_SIGNS[state], state_word(state, lang), _bars((state,), 14)) for state in STATES
        ],
        none_bar=_bars((None,), 14),
        version=__version__,
    )


def counts_of_schools(schools: Sequence[Answers]) -> dict[State, int]:
    """How many schools are in which state."""
    found: dict[State, int] = dict.fromkeys(STATES, 0)
    for answers in schools:
        found[answers.state] += 1
    return found


def _school(
    answers: Answers, checks: Sequence[Check], place: int, lang: Language, zone: tzinfo, now: datetime
) -> dict[str, Any]:
    services = list(dict.fromkeys(finding.service for finding in answers.findings))
    past, bad = line_of(checks, now), bad_ones(answers.findings)
    return {
        "id": line(answers.school, 80),
        "anchor": f"school-{place}",
        "name": line(answers.name, 120),
        "state": answers.state,
        "sign": STATE_SIGNS[answers.state],
        "word": state_word(answers.state, lang),
        "summary": summary(answers, lang),
        "whole": answers.whole,
        "worst": f"{part_name(answers, bad[0].service, lang)}: {line(bad[0].measured.in_(lang), 160)}"
        if bad
        else "",
        "asked": since_text(answers.asked, now, zone, lang),
        "took": span(answers.seconds, lang) if answers.seconds >= 1 else "< 1\N{NO-BREAK SPACE}s",
        "history": _line(past, line(answers.name, 120), f"line-{place}", lang),
        "days": TEXTS[lang][f"days_{past.days}"],
        "services": [_service(answers, service, lang, zone) for service in services],
    }


def _service(answers: Answers, service: str, lang: Language, zone: tzinfo) -> dict[str, Any]:
    findings = [finding for finding in answers.findings if finding.service == service]
    worst = bad_ones(findings)
    state: State = worst[0].state if worst else "ok"
    return {
        "name": part_name(answers, service, lang),
        "state": state,
        "sign": STATE_SIGNS[state],
        "word": state_word(state, lang),
        "count": f"{counts(findings)['ok']}/{len(findings)}",
        "bad": bool(worst),
        "groups": [
            {
                "meaning": meaning,
                "remedy": remedy,
                "findings": [
                    {
                        "state": finding.state,
                        "sign": STATE_SIGNS[finding.state],
                        "word": state_word(finding.state, lang),
                        "title": title(finding, lang),
                        "where": where(finding, lang),
                        "measured": line(finding.measured.in_(lang)),
                        "since": since_text(answers.since_of(finding), answers.asked, zone, lang),
                    }
                    for finding in group
                ],
            }
            for group, meaning, remedy in grouped(
                [*worst, *(one for one in findings if one.state == "ok")], lang
            )
        ],
    }


def _line(past: Line, school: str, anchor: str, lang: Language) -> Markup:
    """A school's line: the worse the state, the higher the bar; hollow where nothing answered."""
    texts = TEXTS[lang]
    asked = [state for state in past.states if state is not None]
    if not asked:
        return Markup('<span class="quiet">{}</span>').format(texts["line_none"])
    said = "; ".join(
        texts["line_piece"].format(
            state=state_word(state, lang), count=asked.count(state), all=len(past.states)
        )
        for state in reversed(STATES)
        if state in asked
    )
    wide = _WIDE * len(past.states)
    return Markup(
        '<svg class="line" viewBox="0 0 {} {}" role="img" aria-labelledby="{anchor}-title {anchor}-text">'
        '<title id="{anchor}-title">{}</title><desc id="{anchor}-text">{}</desc>{}</svg>'
    ).format(
        wide,
        _FOOT,
        texts["line"].format(school=school, days=texts[f"days_{past.days}"]),
        said,
        _bars(past.states, _WIDE),
        anchor=anchor,
    )


def _bars(states: Sequence[State | None], wide: int) -> Markup:
    parts = [Markup('<line class="ground" x1="0" x2="{}" y1="26.5" y2="26.5"/>').format(wide * len(states))]
    for place, state in enumerate(states):
        if state is not None:
            high = _HEIGHTS[state]
            parts.append(
                Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    state, place * wide + 0.5, _HIGH - high, wide - 1, high
                )
            )
    return Markup("").join(parts)
