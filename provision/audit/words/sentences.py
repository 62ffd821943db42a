"""An entry as one sentence: who did what where, with which outcome."""

from typing import Any

from provision.audit.entries import Entry
from provision.audit.words.events import PIECES, SENTENCES, TYPE_NAMES
from provision.audit.words.fields import Fields
from provision.audit.words.terms import (
    NOBODY,
    Language,
    action,
    counted,
    listed,
    number,
    outcome,
    quote,
)

#: Outcomes that a sentence says already, or that say nothing more.
_SAID = {
    "run.ended": {"ok", "failed", "unhealthy", "cancelled", "refused", "broken off"},
    "task.result": {"changed", "failed", "unreachable"},
    "health.checked": {"ok", "healthy", "unhealthy", "failed"},
    "drift.found": {"unexplained"},
    "run.intent": {"intended"},
}
_NEUTRAL = {"done", "ok", ""}


def sentence(entry: Entry, lang: Language) -> str:
    """What an entry says, as one line of plain words that is safe on a terminal (not yet in HTML).

    Args:
        entry: any entry, of a later version or with wrong data as well.
        lang: the language.
    """
    data = Fields(entry.data)
    key = _key(entry.type, data)
    text = SENTENCES[lang][key].format_map(_values(entry, data, lang))
    said = data.text("outcome")
    if said not in _NEUTRAL and said not in _SAID.get(entry.type, ()):
        text += f". {PIECES[lang]['outcome'].format(outcome=outcome(said, lang))}"
    reasons = [
        PIECES[lang][name].format_map({name: value})
        for name, value in (
            ("why", data.text("why")),
            ("ticket", data.text("authority", "ticket")),
            ("approver", data.text("authority", "approver")),
        )
        if value
    ]
    return f"{text}. {'; '.join(reasons)}." if reasons else f"{text}."


def type_name(kind: str, lang: Language) -> str:
    """The name of a type of entries; one that is not known is quoted."""
    return TYPE_NAMES[lang].get(kind) or quote(Fields(kind).text(), lang)


def who(data: dict[str, Any], lang: Language) -> str:
    """The name of the person who acted."""
    fields = Fields(data)
    return fields.text("actor", "name") or fields.text("actor", "user") or NOBODY[lang]


def where(data: dict[str, Any]) -> str:
    """Host and service, or the school when neither is known."""
    fields = Fields(data)
    hosts = [fields.text("target", "host")] if fields.has("target", "host") else []
    hosts = [host for host in hosts if host] or [host.text("name") for host in fields.items("hosts")]
    places = [*hosts, fields.text("target", "service")]
    return ", ".join(place for place in places if place) or fields.text("target", "school") or "?"


def short_key(vkey: str) -> str:
    """A verifier key without its public key: name and id, which is what people compare."""
    return "+".join(vkey.split("+")[:2])


def services(fields: Fields, lang: Language) -> list[str]:
    """The services of an intent, with their versions."""
    found = []
    for service in fields.items("services"):
        name = " ".join(part for part in (service.text("service"), service.text("version")) if part)
        found.append(f"{name} ({PIECES[lang]['lab only']})" if service.true("lab_only") else name)
    return [name for name in found if name]


def _key(kind: str, data: Fields) -> str:
    said = data.text("outcome")
    match kind:
        case "key.added" | "key.retired":
            which = "witness" if data.text("purpose") == "witness" else "log"
        case "policy.set":
            which = "strict" if data.true("strict") else "free"
        case "health.checked":
            which = "bad" if _health(data)[0] else "good"
        case "log.recovered" if data.has("follows"):
            which = "follows"
        case "lessons.cut":
            which = "other" if data.text("by") else "own"
        case "task.result" | "run.ended":
            return _known(f"{kind}.{said}", f"{kind}.other")
        case "access.opened" | "access.closed" | "drift.found":
            return _known(f"{kind}.{data.text('kind')}", f"{kind}.other")
        case _:
            return kind if kind in TYPE_NAMES["en"] else "unknown"
    return f"{kind}.{which}"


def _known(key: str, otherwise: str) -> str:
    return key if key in SENTENCES["en"] else otherwise


def _health(data: Fields) -> tuple[int, int, list[str]]:
    """Probes that are not well, all probes, the services they belong to."""
    services = data.pairs("services")
    bad = sum(service.whole("unhealthy") for _, service in services)
    total = bad + sum(service.whole("healthy") for _, service in services)
    return bad, total, [name for name, service in services if service.whole("unhealthy")]


def _values(entry: Entry, data: Fields, lang: Language) -> dict[str, str]:
    """Everything that a sentence may name; cheap enough to be made for each."""
    pieces = PIECES[lang]
    bad, total, sick = _health(data) if entry.type == "health.checked" else (0, 0, [])
    names = data.texts("names") or sick
    planned = services(data, lang)
    only = data.texts("only")
    chosen = [pieces["only"].format(services=listed(only, lang))] if only else []
    erased = data.items("erased")
    leftovers = [item.text("file") for item in data.items("leftovers")]
    cosigners = [item.text("name") for item in data.items("cosigners")]
    return {
        "who": who(entry.data, lang),
        "where": where(entry.data),
        "school": data.text("target", "school") or "?",
        "municipality": data.text("municipality") or "?",
        "key": short_key(data.text("key")) or "?",
        "run": data.text("run") or "?",
        "verb": action(data.text("action"), lang),
        "services": f" ({listed([*planned, *chosen], lang)})" if planned or chosen else "",
        "force": pieces["force"] if data.true("force") else "",
        "lost": _lost(data, lang),
        "by": data.text("by") or "?",
        "by_run": data.text("by_run") or "?",
        "cosigners": pieces["cosigners"].format(names=listed(cosigners, lang)) if cosigners else "",
        "number": number(data.whole("number"), lang),
        "result": result(data, lang),
        "failure": failure(data, lang),
        "checks": counted(total, "check", lang),
        "bad": number(bad, lang),
        "names": listed(names, lang) or pieces["nothing"],
        "subject": data.text("subject") or "?",
        "steps": counted(sum(len(item.items("numbers")) for item in erased), "step", lang),
        "runs": counted(len(erased), "run", lang),
        "found": data.text("found") or "?",
        "count": number(max(0, data.whole("follows", "size") - data.whole("follows", "shared")), lang),
        "files": listed([name for name in leftovers if name], lang) or pieces["nothing"],
        "type": quote(Fields(entry.type).text(), lang),
    }


def _lost(data: Fields, lang: Language) -> str:
    """The lessons that were cut: ``1 lesson, 4 participants``."""
    if not data.has("meetings"):
        return PIECES[lang]["not known"]
    lessons, people = data.whole("meetings"), data.whole("participants")
    return f"{counted(lessons, 'lesson', lang)}, {counted(people, 'participant', lang)}"


def result(data: Fields, lang: Language) -> str:
    """Changes and probes of a run that ended: ``12 changes, 6 of 6 checks well``."""
    changes = sum(count.whole() for _, count in data.pairs("changed")) or data.whole("counts", "changed")
    good, bad = data.whole("healthy"), data.whole("unhealthy")
    parts = [counted(changes, "change", lang) if changes else PIECES[lang]["no changes"]]
    if good + bad:
        parts.append(PIECES[lang]["checks"].format(good=number(good, lang), total=number(good + bad, lang)))
    return ", ".join(parts)


def failure(data: Fields, lang: Language) -> str:
    """The step that a run failed at; empty where it names none."""
    task = data.text("failure", "task")
    place = ", ".join(
        part for part in (data.text("failure", "host"), data.text("failure", "service")) if part
    )
    if not task:
        return ""
    return PIECES[lang]["failure"].format(place=place or "?", task=quote(task, lang))
