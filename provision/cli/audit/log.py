"""``provision audit log`` and ``audit show``: the log in plain words."""

import json
import re
import sys
import time
from collections.abc import Iterator
from datetime import tzinfo
from typing import Annotated, Any

import typer
from rich.text import Text

from provision.audit.entries import TYPES, Entry
from provision.audit.log import LogError, SchoolLog
from provision.audit.select import Selection, as_written, chosen, newest, period
from provision.audit.stories import Run, Stories, bound_detail
from provision.audit.telling import Line, tell_entry, tell_run, tone
from provision.audit.tlog.tree import TreeError, verify_consistency
from provision.audit.words import Fields, Language, moment, sentence
from provision.audit.words.terms import KNOWN_OUTCOMES
from provision.cli.audit.places import LogArgument, Place, open_place
from provision.cli.options import JsonOption, LanguageOption, WorkspaceOption, language
from provision.cli.output import console, emit_json, errors, reader_gone
from provision.errors import UsageError
from provision.model.rules import did_you_mean
from provision.text import printable

#: Seconds between two looks at the checkpoint.
POLL = 1.0

_STYLES = {"good": "good", "bad": "bad", "quiet": "quiet", "": ""}
#: Types that happen often and say little: shown weakly.
_WEAK = {"heartbeat", "run.started"}

FromOption = Annotated[
    str | None,
    typer.Option("--from", help="First day or moment: 2026-11-01, 2026-11-01T08:30, 7d.", show_default=False),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last day (included) or moment.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "log",
        epilog="Examples: provision audit log escola-mar · provision audit log escola-mar --from 7d --outcome failed · "
        "provision audit log /media/usb/escola-mar --person Ferrer --lang ca · provision audit log escola-mar --follow",
    )(log)
    app.command(
        "show",
        epilog="Examples: provision audit show escola-mar 12 · provision audit show escola-mar last --detail · "
        "provision audit show escola-mar 20261123T101500Z-3fa2b1 --lang ca",
    )(show)


def log(
    where: LogArgument,
    since: FromOption = None,
    until: ToOption = None,
    person: Annotated[
        list[str] | None,
        typer.Option("--person", help="Part of a name, a system user or a key.", show_default=False),
    ] = None,
    host: Annotated[list[str] | None, typer.Option("--host", help="This server.", show_default=False)] = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", "-s", help="This service or part of a server.", show_default=False),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option("--outcome", help="Such as ok, failed, changed, unhealthy.", show_default=False),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", help="Such as run.ended, or run for all of runs.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The newest so many; 0: all.")] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new entries until Ctrl-C.")
    ] = False,
    lang: LanguageOption = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show the log in plain words, the newest entry last: who did what where, with which outcome.

    Options that are given several times mean any of their values; different options must all fit.
    With --follow, --json prints one document a line.
    """
    place = open_place(where, workspace)
    words = language(lang, place.workspace)
    first, last = period(since, until, place.zone)
    selection = Selection(
        as_written(first),
        as_written(last),
        tuple(person or ()),
        tuple(host or ()),
        tuple(service or ()),
        _outcomes(outcome or []),
        _types(kind or []),
    )
    _notes(place)
    found = newest(place.log.backwards(), selection, limit)
    if json_output and not follow:
        emit_json(
            "provision/audit-log/v1",
            {
                "origin": place.log.origin,
                "size": place.log.size,
                "lang": words,
                "entries": [entry_json(entry, words) for entry in found],
            },
        )
        return
    _print(found, words, place.zone, as_json=json_output)
    if follow:
        try:
            for entry in chosen(following(place.log), selection):
                _print([entry], words, place.zone, as_json=json_output)
                if reader_gone():
                    return
        except KeyboardInterrupt:
            return
    elif not found:
        console.print("No entry fits." if place.log.size else "The log is empty.")
    elif limit and len(found) == limit:
        errors.print(
            f"The newest {limit} of {place.log.size} entries; -n 0 shows all. Times: {place.zone_name}.",
            style="quiet",
        )
    else:
        errors.print(f"Times: {place.zone_name}.", style="quiet")


def show(
    where: LogArgument,
    what: Annotated[
        str,
        typer.Argument(
            metavar="N|ID|RUN",
            help="An entry's number or id, a run's id or a part of it, or 'last' for the newest run.",
            show_default=False,
        ),
    ],
    detail: Annotated[
        bool, typer.Option("--detail", help="Every step of the run that changed or failed, with differences.")
    ] = False,
    lang: LanguageOption = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show one entry, or a run as a whole: what was announced, who, from which revision, what changed, how it ended."""
    place = open_place(where, workspace)
    words = language(lang, place.workspace)
    _notes(place)
    entry = _entry(place.log, what)
    if entry is not None:
        if json_output:
            emit_json("provision/audit-entry/v1", {"origin": place.log.origin, **entry_json(entry, words)})
            return
        _lines(tell_entry(entry, words, place.zone))
        run = Fields(entry.data).text("run")
        if run:
            console.print(f"The whole run: provision audit show {where} {run}", style="quiet", markup=False)
        return
    _show_run(place, what, words, detail=detail, as_json=json_output)


def _show_run(place: Place, what: str, words: Language, *, detail: bool, as_json: bool) -> None:
    stories, versions = Stories(), dict[str, dict[str, str]]()
    current: dict[str, str] = {}
    for entry in place.log.entries():
        data = Fields(entry.data)
        if entry.type in {"run.intent", "run.ended"}:
            versions.setdefault(data.text("run"), dict(current))
        if entry.type == "run.ended":
            current |= {name: version.text() for name, version in data.pairs("versions")}
        stories.add(entry)
    run = _run(stories, what, place.log.size)
    known = bound_detail(place.log, run)
    steps = [known.steps[number] for number in sorted(known.steps)]
    if as_json:
        emit_json(
            "provision/audit-run/v1",
            {
                "origin": place.log.origin,
                "run": run.id,
                "entries": [entry_json(entry, words) for entry in _course(run)],
                "versions_before": versions.get(run.id, {}),
                "changed": run.changes(),
                "erased_steps": known.erased,
                "wrong_steps": known.wrong,
                "detail_problem": known.problem,
                "detail": [
                    {
                        "number": number,
                        "at": step.at,
                        "host": step.host,
                        "service": step.part,
                        "name": step.name,
                        "status": step.status,
                        "phrase": step.phrase(words),
                        "error": step.error,
                        **({"diff": step.diff} if detail else {}),
                    }
                    for number, step in sorted(known.steps.items())
                ],
            },
        )
        return
    _lines(tell_run(run, known, words, place.zone, before=versions.get(run.id, {})))
    if known.problem:
        errors.print(f"The detail cannot be read: {known.problem}", style="bad", markup=False)
    if not detail:
        if any(step.diff for step in steps):
            errors.print("Every difference: --detail", style="quiet")
        return
    for step in steps:
        console.print(Text(f"{moment(step.at, place.zone)} {step.host} {step.part}: {step.name}", "name"))
        console.print(Text(f"  {step.phrase(words)}"))
        for text in (step.diff, step.error):
            if text:
                console.print(Text(printable(text)))


def entry_json(entry: Entry, words: Language) -> dict[str, Any]:
    """An entry for programs: its place, its sentence, and the event as it was written."""
    return {"index": entry.index, "text": sentence(entry, words), "event": entry.event}


def following(log: SchoolLog, poll: float = POLL) -> Iterator[Entry]:
    """New entries as they come.

    Args:
        log: as it is now; what comes after its last entry is given.
        poll: seconds between two looks.

    Raises:
        LogError: the log is not a continuation of what was seen.
    """
    while True:
        time.sleep(poll)
        now = SchoolLog.open(log.directory)
        if now.size == log.size and now.root == log.root:
            continue
        try:
            if now.size < log.size:
                raise TreeError(f"it had {log.size} entries and has {now.size}")
            proof = now.reader.consistency_proof(log.size)
            verify_consistency(proof, log.size, now.size, log.root, now.root)
        except ValueError as error:
            raise LogError(
                f"the log in {log.directory} does not continue what was shown here: {error}",
                f"keep this output, and see: provision audit verify {log.directory}",
            ) from error
        yield from now.entries(log.size, now.size)
        log = now


def _entry(log: SchoolLog, what: str) -> Entry | None:
    """The entry that is meant; None when a run is."""
    # A part of a run's id may consist of digits, too: what no entry has as its number is looked for among the runs.
    if re.fullmatch("0|[1-9][0-9]{0,17}", what) and int(what) < log.size:
        return next(log.entries(int(what), int(what) + 1))
    if len(what) == 36 and what.count("-") == 4:
        for entry in log.backwards():
            if entry.event["id"] == what:
                return entry
    return None


def _run(stories: Stories, what: str, size: int) -> Run:
    runs = stories.runs
    if what in runs:
        return runs[what]
    announced = [run for run in runs.values() if run.intent is not None]
    if what == "last" and announced:
        return max(announced, key=lambda run: run.index)
    found = [name for name in runs if name.startswith(what) or name.endswith(what)]
    if len(found) == 1:
        return runs[found[0]]
    raise UsageError(
        f"{what!r} stands for several runs: {', '.join(sorted(found)[:5])}"
        if found
        else f"there is no entry and no run {what!r} in this log of {size} entries; the first one is 0",
        "see the runs with: provision audit log SCHOOL --type run.intent",
    )


def _course(run: Run) -> list[Entry]:
    entries = [run.intent, run.approved, run.started, run.ended, *run.others]
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.index)


def _types(wanted: list[str]) -> tuple[str, ...]:
    known = {*TYPES, *(name.split(".")[0] for name in TYPES)}
    for name in wanted:
        if name not in known and "." not in name:
            raise UsageError(f"there is no type {name!r}", f"There are: {', '.join(TYPES)}.")
    return tuple(wanted)


def _outcomes(wanted: list[str]) -> tuple[str, ...]:
    for name in wanted:
        if name not in KNOWN_OUTCOMES:
            remedy = did_you_mean(name, KNOWN_OUTCOMES) or f"There are: {', '.join(KNOWN_OUTCOMES)}."
            raise UsageError(f"there is no outcome {name!r}", remedy)
    return tuple(wanted)


def _notes(place: Place) -> None:
    if place.trouble:
        errors.print(
            f"The workspace is not used: {place.trouble}. Times are in UTC.", style="warn", markup=False
        )


def _print(entries: list[Entry], words: Language, zone: tzinfo, *, as_json: bool) -> None:
    for entry in entries:
        if as_json:
            json.dump(entry_json(entry, words), sys.stdout, ensure_ascii=False)
            sys.stdout.write("\n")
            sys.stdout.flush()
            continue
        style = _STYLES[tone(Fields(entry.data).text("outcome"))]
        console.print(
            Text(f"{entry.index:>6}  {moment(Fields(entry.time).text(), zone)}  ", "quiet")
            + Text(sentence(entry, words), style or ("quiet" if entry.type in _WEAK else "")),
        )


def _lines(lines: list[Line]) -> None:
    width = min(24, max((len(line.label) for line in lines), default=0) + 2)
    for line in lines:
        console.print(Text(f"{line.label:<{width}}", "quiet") + Text(line.text, _STYLES[line.tone]))
