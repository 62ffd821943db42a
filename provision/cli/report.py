"""What plan and apply say to people and programs."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from provision.artifacts import Selection, Unavailable
from provision.cli.output import console
from provision.cli.progress import duration
from provision.engine.preflight import Check
from provision.engine.preparation import Prepared
from provision.engine.report import Report, describe
from provision.health import ProbeResult

_MARKS = {"ok": ("✓", "good"), "warning": ("!", "warn"), "problem": ("✗", "bad"), "unreachable": ("✗", "bad")}


#: Columns below which what was found stands under its name instead of beside it.
_NARROW = 80
#: Widest column of names: a longer one has what was found under it.
_WIDEST = 32


def checks_table(checks: Sequence[Check], target: Console) -> None:
    """What was looked at and what was found, a line each, and below it what to do.

    Only sentences are folded, and only on a terminal: names and paths stay whole, so that they can be copied.
    """
    _rows(
        [(check.state, f"{check.area}: {check.subject}", check.found, check.remedy) for check in checks],
        target,
    )


def _rows(rows: Sequence[tuple[str, str, str, str]], target: Console) -> None:
    width = target.width if target.is_terminal else 0
    names = [cell_len(name) for _, name, _, _ in rows if cell_len(name) <= _WIDEST]
    column = 0 if 0 < width < _NARROW else max(names, default=0)
    for state, name, found, remedy in rows:
        mark, style = _MARKS[state]
        beside = column and cell_len(name) <= column
        indent = " " * (column + 4 if column else 4)
        head = Text.assemble((mark, style), " ", name)
        if beside:
            first, *others = fold(found, width - len(indent) if width else 0)
            head.append(" " * (column - cell_len(name) + 2) + first)
        else:
            others = fold(found, width - len(indent) if width else 0)
        target.print(head, soft_wrap=True)
        for line in others:
            target.print(Text(indent + line), soft_wrap=True)
        if remedy:
            for number, line in enumerate(fold(remedy, width - len(indent) - 2 if width else 0)):
                target.print(Text(f"{indent}{'  ' if number else '→ '}{line}"), soft_wrap=True)


def fold(text: str, width: int) -> list[str]:
    """Fold sentences at blanks alone; a word that is too long, such as a path, stays whole.

    Args:
        width: columns; 0 for what goes into a file, where each paragraph is one line.
    """
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines += (
            textwrap.wrap(paragraph, max(width, 20), break_long_words=False, break_on_hyphens=False)
            if width
            else [paragraph]
        ) or [""]
    return lines


def show_concerns(checks: Sequence[Check], target: Console) -> None:
    """What preflight found that is not well; nothing when all is."""
    concerns = [check for check in checks if check.state != "ok"]
    if concerns:
        checks_table(concerns, target)


def probes_table(probes: Sequence[ProbeResult], target: Console) -> None:
    """The state of each service."""
    _rows(
        [(probe.state, f"{probe.service}: {probe.title}", probe.measured, probe.remedy) for probe in probes],
        target,
    )


def prepared_notes(prepared: Prepared, target: Console) -> None:
    """What was generated, what is left out, and which release is not fit for a school, too old, or needs care."""
    if prepared.new_secrets:
        target.print(
            f"Generated into the school's vault: {', '.join(prepared.new_secrets)}",
            style="quiet",
        )
    for selection in prepared.selections:
        if selection.lab_only:
            note = selection.note.en if selection.note else "for disposable servers only"
            target.print(
                f"{selection.service} {selection.version} is for the lab, never for a school: {note}",
                style="warn",
            )
        if step := stepped(selection):
            target.print(step, style="warn" if selection.installed else "quiet", markup=False)
        if selection.ended:
            target.print(ended(selection), style="warn", markup=False)
        if selection.caution:
            target.print(
                f"{selection.service} {selection.version} ({selection.origin}): {selection.caution.en}",
                style="warn",
                markup=False,
            )
    left_out(prepared.left_out, target)


def stepped(selection: Selection) -> str:
    """The sentence about another release than the one that is there; empty where there is none."""
    if selection.installed:
        return (
            f"{selection.service}: {selection.installed} → {selection.version}. Its database goes along, and no way "
            "leads back: have a copy of its data."
        )
    if selection.newer:
        return (
            f"{selection.service} {selection.version} stays. {selection.newer} is there as well: write version: "
            f'"{selection.newer}" into the school\'s file to take it.'
        )
    return ""


def ended(selection: Selection) -> str:
    """The sentence about a release that upstream does not mend any more."""
    return (
        f"{selection.service} {selection.version}: upstream stopped mending it on {selection.ended}; "
        "plan the upgrade to a newer release."
    )


def left_out(unavailable: Iterable[Unavailable], target: Console) -> None:
    """Each service that is left out, with the reason and the remedy."""
    for item in unavailable:
        target.print(f"{item.service} is left out: {'; '.join(item.reasons)}", style="warn", markup=False)
        target.print(f"  what to do: {item.remedy}", markup=False)


def show_plan(report: Report, prepared: Prepared, *, diff: bool) -> None:
    """What would change, by service, in plain words."""
    if report.outcome != "ok":
        show_failure(report, console)
        return
    if not report.change_count:
        console.print(f"{report.school}: nothing would change.", style="good")
        return
    steps = f"{report.change_count} step{'s' if report.change_count != 1 else ''}"
    console.print(f"{report.school}: {steps} would change something.", style="name")
    titles = {service.id: service.definition.title.en for service in prepared.school.services.values()}
    for role, results in report.changes.items():
        console.print(titles.get(role, role), style="name", markup=False)
        for result in results:
            console.print(Text("  ~ ", "change") + Text(describe(result)))
            if diff and result.diff:
                console.print(
                    Syntax(result.diff, "diff", theme="ansi_dark", background_color="default", word_wrap=True)
                    if console.is_terminal
                    else Text(result.diff)
                )
    console.print(
        f"See every difference: provision plan {report.school} --diff. Do it: provision apply {report.school}",
        style="quiet",
    )


def show_failure(report: Report, target: Console) -> None:
    """Which step, on which host, upstream's own words, what to do."""
    word = {"cancelled": "Stopped", "unhealthy": "Not healthy"}.get(report.outcome, "Failed")
    target.print(f"{word}:", style="bad", end=" ")
    target.print(report.message, markup=False)
    if report.failure and report.failure.error:
        for line in report.failure.error.strip().splitlines()[-15:]:
            target.print(f"  │ {line}", markup=False, style="quiet")
    if report.outcome == "unhealthy":
        probes_table([probe for probe in report.probes if probe.state != "ok"], target)
    if report.remedy:
        target.print("What to do:", style="name", end=" ")
        target.print(report.remedy, markup=False)


def show_apply(report: Report, prepared: Prepared) -> None:
    """The short summary of an apply."""
    if report.outcome != "ok":
        show_failure(report, console)
    elif report.change_count:
        console.print(f"{report.school} is ready.", style="good")
    else:
        console.print(f"{report.school} was as it should be: nothing changed.", style="good")
    for role, results in report.changes.items():
        console.print(f"  {role}: {len(results)} changed", markup=False)
    healthy = sum(probe.state == "ok" for probe in report.probes)
    if report.probes:
        console.print(f"  health: {healthy} of {len(report.probes)} probes are well")
    console.print(f"  took {duration(report.seconds)}")
    for note in report.notes:
        console.print(f"  {note}", style="warn", markup=False)
    console.print(f"  record: provision runs show {report.run} (every step: --log)", markup=False)
    if report.outcome == "ok":
        for service in prepared.touched:
            console.print(f"  {service.definition.title.en}: https://{service.hostname}/", markup=False)


def show_several(
    reports: Sequence[Report], failures: Sequence[Mapping[str, Any]], left: Sequence[str], target: Console
) -> None:
    """What became of several schools: how many went well, and a line for each other one.

    Args:
        failures: of schools that were refused, as the JSON output has them.
        left: schools that had no turn.
    """
    good = sum(report.outcome == "ok" for report in reports)
    target.print(
        f"── {good} of {len(reports) + len(failures) + len(left)} schools went well",
        style="name",
        markup=False,
    )
    others = [(one.school, one.outcome, one.message) for one in reports if one.outcome != "ok"]
    others += [(one["school"], "refused", one["error"]) for one in failures]
    others += [(school, "not tried", "") for school in left]
    for school, outcome, message in others:
        target.print(
            f"  {school}: {outcome}" + (f": {message}" if message else ""), style="warn", markup=False
        )


def report_json(report: Report, prepared: Prepared, *, diff: bool = True) -> dict[str, Any]:
    """The documented shape of a plan or an apply, for one school."""
    return {
        "school": report.school,
        "run": report.run,
        "verb": report.verb,
        "outcome": report.outcome,
        "message": report.message,
        "remedy": report.remedy,
        "seconds": round(report.seconds, 3),
        "changes": [
            {
                "host": result.host,
                "role": result.role,
                "task": result.name,
                "details": list(result.details),
                **({"diff": result.diff} if diff else {}),
            }
            for results in report.changes.values()
            for result in results
        ],
        "failure": report.failure.as_dict() if report.failure else None,
        "services": [
            {
                "service": selection.service,
                "version": selection.version,
                "source": selection.source.kind,
                "lab_only": selection.lab_only,
                "caution": selection.caution.en if selection.caution else "",
            }
            for selection in prepared.selections
        ],
        "left_out": [
            {"service": item.service, "reasons": list(item.reasons), "remedy": item.remedy}
            for item in prepared.left_out
        ],
        "probes": [asdict(probe) for probe in report.probes],
        "record": report.record,
    }
