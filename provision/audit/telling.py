"""An entry or a run told in full, as labelled lines; how they are printed is the caller's matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from provision.audit.entries import Entry
from provision.audit.stories import Detail, Run
from provision.audit.words import (
    BAD,
    Fields,
    Language,
    action,
    counted,
    failure,
    listed,
    moment,
    outcome,
    part,
    quote,
    result,
    sentence,
    services,
    span,
    summary,
    type_name,
    where,
)
from provision.audit.words.frames import LABELS

Tone = Literal["", "good", "bad", "quiet"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of what is told.

    Args:
        label: what it is about; empty for a further line of the same.
    """

    label: str
    text: str
    tone: Tone = ""


def tone(said: str) -> Tone:
    """How an outcome is to be taken."""
    if said in BAD:
        return "bad"
    return "good" if said in {"ok", "healthy"} else ""


def tell_entry(entry: Entry, lang: Language, zone: tzinfo) -> list[Line]:
    """One entry: its sentence, and who, when, where, why, on whose authority."""
    labels, data = LABELS[lang], Fields(entry.data)
    lines = [
        Line(labels["entry"], str(entry.index)),
        Line(labels["what"], sentence(entry, lang), tone(data.text("outcome"))),
        Line(labels["type"], f"{type_name(entry.type, lang)} ({Fields(entry.type).text()})"),
        Line(labels["when"], moment(Fields(entry.time).text(), zone)),
        *_actor(data, lang),
        Line(labels["where"], where(entry.data)),
        *_reasons(data, lang),
    ]
    if data.has("outcome"):
        lines.append(Line(labels["outcome"], outcome(data.text("outcome"), lang), tone(data.text("outcome"))))
    return [*lines, Line(labels["id"], Fields(entry.event.get("id")).text(), "quiet")]


def tell_run(
    run: Run, detail: Detail, lang: Language, zone: tzinfo, *, before: Mapping[str, str]
) -> list[Line]:
    """A whole run: intent, who, from which revision, what changed, how it ended.

    Args:
        detail: of ``bound_detail``.
        before: versions of the services before it.
    """
    labels, said, end = LABELS[lang], run.fields(), run.end()
    opening = Fields(run.first.data if run.first else None)
    start = moment(run.time, zone)
    when = start
    if run.ended is not None:
        took = span(run.seconds or 0.0, lang)
        when = labels["until"].format(start=start, end=moment(run.ended.time, zone), span=took)
    lines = [
        Line(labels["run"], f"{Fields(run.id).text()} ({labels['entry']} {run.index})"),
        Line(labels["what"], action(said.text("action"), lang) if run.intent else labels["no intent"]),
        *_actor(opening, lang),
        Line(labels["when"], when),
        *_origin(said, lang),
        *_reasons(said, lang),
    ]
    if run.approved is not None:
        names = [item.text("name") for item in Fields(run.approved.data).items("cosigners")]
        lines.append(
            Line(labels["approved"], listed(names, lang) or Fields(run.approved.data).text("actor", "name"))
        )
    elif said.true("strict"):
        lines.append(Line(labels["approved"], labels["strict"]))
    for host in said.items("hosts"):
        key = labels["host key"].format(key=host.text("host_key")) if host.text("host_key") else ""
        lines.append(
            Line(
                labels["host"],
                ", ".join(bit for bit in (host.text("name"), host.text("address"), key) if bit),
            )
        )
    lines += [Line(labels["services"], name) for name in services(said, lang)]
    lines += _versions(end, before, lang)
    text = (
        outcome(run.outcome, lang) + failure(end, lang) + f": {result(end, lang)}"
        if run.ended is not None
        else labels["no end"]
    )
    lines.append(Line(labels["outcome"], text, tone(run.outcome) if run.ended is not None else "bad"))
    lines += _changes(run, detail, lang)
    lines += [_beside(entry, lang) for entry in run.others]
    return lines


def _beside(entry: Entry, lang: Language) -> Line:
    """What else the log has of a run: who was connected, checks, lessons that it cut."""
    access = entry.type.startswith("access.")
    label = LABELS[lang]["access"] if access else type_name(entry.type, lang)
    return Line(label, sentence(entry, lang), "bad" if entry.type == "lessons.cut" else "")


def _actor(data: Fields, lang: Language) -> list[Line]:
    labels = LABELS[lang]
    name, user, machine = (data.text("actor", field) for field in ("name", "user", "machine"))
    shown = labels["user"].format(name=name, user=user, machine=machine or "?") if user else name
    lines = [Line(labels["who"], shown or "?")]
    if key := data.text("actor", "key"):
        lines.append(Line(labels["key"], key))
    return lines


def _reasons(data: Fields, lang: Language) -> list[Line]:
    labels = LABELS[lang]
    lines = [Line(labels["why"], data.text("why"))] if data.text("why") else []
    if data.has("authority"):
        basis = data.text("authority", "basis")
        bits = [
            labels.get(basis, quote(basis, lang)),
            data.text("authority", "ticket"),
            data.text("authority", "approver"),
        ]
        lines.append(Line(labels["authority"], ", ".join(bit for bit in bits if bit)))
    return lines


def _origin(said: Fields, lang: Language) -> list[Line]:
    labels = LABELS[lang]
    lines = []
    if said.has("workspace"):
        commit = said.text("workspace", "commit")[:12] or labels["no repository"]
        dirty = said.true("workspace", "dirty")
        lines.append(Line(labels["from"], labels["dirty"].format(commit=commit) if dirty else commit))
    if said.text("tool"):
        code = said.text("code", "commit")[:12]
        if code and said.true("code", "dirty"):
            code = labels["dirty"].format(commit=code)
        tool = said.text("tool")
        tool = tool if tool.startswith("provision") else f"provision {tool}"
        lines.append(Line(labels["with"], f"{tool} ({code})" if code else tool))
    return lines


def _versions(end: Fields, before: Mapping[str, str], lang: Language) -> list[Line]:
    lines = []
    for name, version in end.pairs("versions"):
        now, former = version.text(), before.get(name, "")
        if now == former:
            text = f"{name} {now}"
        else:
            text = f"{name} {former} → {now}" if former else f"{name} {now} ({LABELS[lang]['fresh']})"
        lines.append(Line(LABELS[lang]["versions"], text))
    return lines


def _changes(run: Run, detail: Detail, lang: Language) -> list[Line]:
    labels = LABELS[lang]
    lines = []
    for name, count in sorted(run.changes().items()):
        lines.append(Line(part(name, lang), counted(count, "change", lang)))
        done = [step for step in detail.steps.values() if step.part == name and step.status == "changed"]
        lines += [Line("", f"~ {phrase}") for phrase in summary(done, lang)]
    for step in detail.steps.values():
        if step.bad:
            lines.append(
                Line(part(step.part, lang), f"{outcome(step.status, lang)}: {quote(step.name, lang)}", "bad")
            )
            lines += [Line("", f"│ {line}", "quiet") for line in step.error.splitlines()[-15:]]
    for count, key in ((detail.erased, "detail erased"), (detail.wrong, "detail wrong")):
        if count:
            text = labels[key].format(steps=counted(count, "step", lang))
            lines.append(Line(labels["erased" if key == "detail erased" else "steps"], text, "quiet"))
    return lines
