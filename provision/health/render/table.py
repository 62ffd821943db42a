"""Findings as a table for a terminal."""

from collections.abc import Sequence
from datetime import tzinfo

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from provision.audit.words import moment, span
from provision.health.ask import Answers
from provision.health.history import Change, Check, History
from provision.health.render.common import grouped, line, part_name, since_text, summary, title, where
from provision.health.render.words import STATE_SIGNS, TEXTS, state_word
from provision.health.result import State
from provision.model.municipality import Language

_STYLES: dict[State, str] = {
    "ok": "good",
    "warning": "warn",
    "problem": "bad",
    "unreachable": "bad",
    "unknown": "warn",
}
#: Most changes of one asking that are named.
_MOST_CHANGES = 6


def show_table(
    answers: Answers, target: Console, lang: Language, zone: tzinfo, *, brief: bool = False
) -> None:
    """One school: what was asked, its state, what was measured, since when; for what is not well what to do.

    Args:
        brief: only what is not well, since several schools are shown.
        target: a console with the styles ``good``, ``warn``, ``bad``, ``quiet`` and ``name``.
        zone: of the times.
    """
    texts = TEXTS[lang]
    target.print(
        Text.assemble(
            (f"{STATE_SIGNS[answers.state]} ", _STYLES[answers.state]),
            (line(answers.school, 80), "name"),
            f"  {line(answers.name, 120)}: {summary(answers, lang)}",
            (f" ({texts['took'].format(span=_took(answers.seconds, lang))})", "quiet"),
        )
    )
    if not answers.whole:
        target.print(Text(f"  {texts['part']}", "quiet"))
    shown = [finding for finding in answers.findings if not brief or finding.state != "ok"]
    services = list(dict.fromkeys(finding.service for finding in shown))
    sizes = _sizes(answers, target.width, lang, zone)
    for service in services:
        target.print(Text(f"  {part_name(answers, service, lang)}", "name"))
        of_service = [finding for finding in shown if finding.service == service]
        for findings, meaning, remedy in grouped(of_service, lang):
            rows = _grid(sizes)
            for finding in findings:
                rows.add_row(
                    "",
                    Text(
                        f"{STATE_SIGNS[finding.state]} {state_word(finding.state, lang)}",
                        _STYLES[finding.state],
                    ),
                    Text(f"{title(finding, lang)} ({where(finding, lang)})"),
                    Text(line(finding.measured.in_(lang))),
                    Text(since_text(answers.since_of(finding), answers.asked, zone, lang), "quiet"),
                )
            target.print(rows)
            for key, sentence in (("means", meaning), ("do", remedy)):
                if sentence:
                    said = Text.assemble((f"{texts[key]}: ", "name"), sentence)
                    target.print(Padding(said, (0, 0, 0, 6), expand=False))


def _sizes(answers: Answers, width: int, lang: Language, zone: tzinfo) -> tuple[int, int, int, int]:
    """Widths of the columns, the same for all tables of a school."""
    states = max((cell_len(state_word(finding.state, lang)) for finding in answers.findings), default=4) + 2
    since = max(
        (
            cell_len(since_text(answers.since_of(finding), answers.asked, zone, lang))
            for finding in answers.findings
        ),
        default=4,
    )
    left = max(20, width - 4 - states - since - 6)
    asked = max(
        (cell_len(f"{title(finding, lang)} ({where(finding, lang)})") for finding in answers.findings),
        default=10,
    )
    measured = max((cell_len(line(finding.measured.in_(lang))) for finding in answers.findings), default=10)
    if asked + measured > left:
        asked = min(asked, max(left - measured, left * 3 // 5))
        measured = left - asked
    return states, max(8, asked), max(8, measured), since


def _grid(sizes: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=2)
    for size in sizes:
        table.add_column(width=size, overflow="fold")
    return table


def _took(seconds: float, lang: Language) -> str:
    shown = f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    return span(seconds, lang) if seconds >= 60 else shown if lang == "en" else shown.replace(".", ",")


def show_history(
    school: str, history: History, target: Console, lang: Language, zone: tzinfo, limit: int
) -> None:
    """A school's past: each asking with what changed in it, from old to new.

    Args:
        limit: how many askings.
    """
    texts = TEXTS[lang]
    if not history.checks:
        target.print(Text(texts["no_history"].format(school=line(school, 80))))
        return
    earlier = len(history.checks) - limit
    if earlier > 0:
        target.print(Text(texts["earlier"].format(count=earlier, all=len(history.checks)), "quiet"))
    table = Table(box=None, pad_edge=False, show_header=True, header_style="name")
    for name in ("when", "state", "changes"):
        table.add_column(texts[name], overflow="fold")
    for check in history.checks[-limit:]:
        table.add_row(
            Text(moment(check.time.isoformat(), zone, seconds=False)),
            Text(f"{STATE_SIGNS[check.state]} {state_word(check.state, lang)}", _STYLES[check.state]),
            Text(_changes(check, lang)),
        )
    target.print(table)


def _changes(check: Check, lang: Language) -> str:
    texts = TEXTS[lang]
    # What appears and is well is no news.
    told = [change for change in check.changes if change.before is not None or change.after != "ok"]
    said = [_change(change, lang) for change in told[:_MOST_CHANGES]]
    if len(told) > _MOST_CHANGES:
        said.append(texts["more"].format(count=len(told) - _MOST_CHANGES))
    return "; ".join(said)


def _change(change: Change, lang: Language) -> str:
    service, host, probe = change.key
    key = "gone" if change.after is None else "appeared" if change.before is None else "changed"
    return TEXTS[lang][key].format(
        what="/".join(line(part, 120) for part in (service, host, probe) if part),
        before=state_word(change.before, lang) if change.before else "",
        after=state_word(change.after, lang) if change.after else "",
    )
