"""Charts as inline SVG: no script, no colour as the only sign, each with a title, a description and its numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from markupsafe import Markup

from provision.audit.words import in_zone, number, read_time
from provision.audit.words.terms import Language

#: Outcomes as a chart tells them apart: text key, class of the style sheet.
KINDS = ("good", "bad", "none")
_WIDTH, _LEFT, _TOP, _HEIGHT, _FOOT = 720, 44, 10, 180, 34
_MOST_BARS = 40


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars over time.

    Args:
        unit: ``day``, ``week`` or ``month``.
        labels: of each bar. counts: for each bar, its numbers in the order of ``KINDS``.
    """

    unit: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, int, int], ...]


def over_time(runs: Sequence[tuple[str, str]], first: datetime, last: datetime, zone: tzinfo) -> Bars:
    """Count runs by day, week or month, whatever gives few enough bars.

    Args:
        runs: time and kind of each. first, last: the period.
    """
    start, end = in_zone(first, zone).date(), in_zone(last, zone).date()
    days = (end - start).days + 1
    unit = "day" if days <= _MOST_BARS else "week" if days <= 7 * _MOST_BARS else "month"
    found: dict[str, Counter[str]] = {}
    if unit != "month":
        step = 1 if unit == "day" else 7
        begin = start if unit == "day" else start - timedelta(days=start.weekday())
        for offset in range(0, (end - begin).days + 1, step):
            found[(begin + timedelta(days=offset)).isoformat()] = Counter()
    else:
        year, month = start.year, start.month
        while (year, month) <= (end.year, end.month) and len(found) < 600:
            found[f"{year:04d}-{month:02d}"] = Counter()
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    for time, kind in runs:
        when = in_zone(read_time(time) or datetime.fromtimestamp(0, UTC), zone).date()
        if unit == "week":
            when -= timedelta(days=when.weekday())
        label = when.isoformat() if unit != "month" else when.isoformat()[:7]
        if label in found:
            found[label][kind] += 1
    return Bars(
        unit,
        tuple(found),
        tuple((counts["good"], counts["bad"], counts["none"]) for counts in found.values()),
    )


def columns(bars: Bars, names: dict[str, str], title: str, text: str) -> Markup:
    """Stacked columns over time.

    Args:
        names: word for each of ``KINDS``. title, text: what the chart is, and what it shows.
    """
    most = max((sum(counts) for counts in bars.counts), default=0) or 1
    step = _nice(most)
    top = -(-most // step) * step
    total = _TOP + _HEIGHT + _FOOT
    slot = (_WIDTH - _LEFT) / max(1, len(bars.labels))
    wide = max(3.0, min(28.0, slot * 0.7))
    parts: list[Markup] = []
    for value in range(0, top + 1, step):
        y = _TOP + _HEIGHT * (1 - value / top)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, _WIDTH, y, y)
        )
        parts.append(Markup('<text class="end" x="{}" y="{:.1f}">{}</text>').format(_LEFT - 6, y + 4, value))
    every = max(1, -(-len(bars.labels) // 9))
    for place, (label, counts) in enumerate(zip(bars.labels, bars.counts, strict=True)):
        x = _LEFT + slot * place + (slot - wide) / 2
        y = float(_TOP + _HEIGHT)
        for kind, count in zip(KINDS, counts, strict=True):
            if not count:
                continue
            high = _HEIGHT * count / top
            y -= high
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
                ).format(kind, x, y, wide, high, f"{label}: {count} {names[kind]}")
            )
        if place % every == 0:
            short = label[5:] if bars.unit != "month" else label
            parts.append(
                Markup('<text class="middle" x="{:.1f}" y="{}">{}</text>').format(
                    x + wide / 2, _TOP + _HEIGHT + 18, short
                )
            )
    return _svg("chart-runs", _WIDTH, total, title, text, parts)


def rows(values: Sequence[tuple[str, int]], title: str, text: str, lang: Language) -> Markup:
    """Horizontal bars, each with its name and number.

    Args:
        values: name and number of each, in order.
    """
    most = max((value for _, value in values), default=0) or 1
    high, left = 26, 250
    parts: list[Markup] = []
    for place, (name, value) in enumerate(values):
        y = place * high
        wide = (_WIDTH - left - 70) * value / most
        shown = name if len(name) <= 34 else name[:33] + "…"
        parts.append(Markup('<text class="end" x="{}" y="{}">{}</text>').format(left - 8, y + 17, shown))
        parts.append(
            Markup('<rect class="plain" x="{}" y="{}" width="{:.1f}" height="16"/>').format(
                left, y + 5, max(2.0, wide)
            )
        )
        parts.append(
            Markup('<text x="{:.1f}" y="{}">{}</text>').format(
                left + max(2.0, wide) + 6, y + 17, number(value, lang)
            )
        )
    return _svg("chart-changes", _WIDTH, len(values) * high + 4, title, text, parts)


def _svg(name: str, wide: int, high: int, title: str, text: str, parts: list[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{name}-title {name}-text">'
        '<title id="{name}-title">{}</title><desc id="{name}-text">{}</desc>{}</svg>'
    ).format(wide, high, title, text, Markup("").join(parts), name=name)


def _nice(most: int) -> int:
    """A step for the scale that gives about four lines."""
    for exponent in range(12):
        for base in (1, 2, 5):
            if most <= 4 * base * 10**exponent:
                return int(base * 10**exponent)
    return max(1, most // 4)
