"""What a run's steps did, in plain words, from the detail beside the log.

The detail names each step as its role does, in English, and says what it did in a few fixed forms (``writes PATH``,
``3 packages: a, b, c``). Those forms are told in the reader's language and summed up; a step that has none of them is
named.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.audit.words.fields import Fields
from provision.audit.words.terms import MORE, Language, counted, listed, number, quote

#: What was done to things, in the order in which it is told.
KINDS = (
    "packages", "writes", "changes", "removes", "directory", "file", "link", "permissions", "user", "group",
    "restarted", "reloaded", "started", "stopped", "enabled", "other",
)  # fmt: skip

PHRASES: dict[Language, dict[str, str]] = {
    "ca": {
        "packages": "instal·la {count}: {things}",
        "writes": "escriu {count}: {things}",
        "changes": "modifica {count}: {things}",
        "removes": "elimina {things}",
        "directory": "crea o ajusta carpetes: {things}",
        "file": "crea o ajusta fitxers: {things}",
        "link": "posa enllaços: {things}",
        "permissions": "ajusta els permisos: {things}",
        "user": "crea o ajusta comptes: {things}",
        "group": "crea o ajusta grups: {things}",
        "restarted": "reinicia {things}",
        "reloaded": "fa rellegir la configuració a {things}",
        "started": "engega {things}",
        "stopped": "atura {things}",
        "enabled": "fa que s'engegui amb el servidor: {things}",
        "other": "fa els passos {things}",
    },
    "es": {
        "packages": "instala {count}: {things}",
        "writes": "escribe {count}: {things}",
        "changes": "modifica {count}: {things}",
        "removes": "elimina {things}",
        "directory": "crea o ajusta carpetas: {things}",
        "file": "crea o ajusta ficheros: {things}",
        "link": "pone enlaces: {things}",
        "permissions": "ajusta los permisos: {things}",
        "user": "crea o ajusta cuentas: {things}",
        "group": "crea o ajusta grupos: {things}",
        "restarted": "reinicia {things}",
        "reloaded": "hace releer la configuración a {things}",
        "started": "pone en marcha {things}",
        "stopped": "detiene {things}",
        "enabled": "hace que arranque con el servidor: {things}",
        "other": "hace los pasos {things}",
    },
    "en": {
        "packages": "installs {count}: {things}",
        "writes": "writes {count}: {things}",
        "changes": "changes {count}: {things}",
        "removes": "removes {things}",
        "directory": "makes or adjusts directories: {things}",
        "file": "makes or adjusts files: {things}",
        "link": "sets links: {things}",
        "permissions": "adjusts the permissions: {things}",
        "user": "makes or adjusts accounts: {things}",
        "group": "makes or adjusts groups: {things}",
        "restarted": "restarts {things}",
        "reloaded": "makes {things} read the settings again",
        "started": "starts {things}",
        "stopped": "stops {things}",
        "enabled": "starts with the server from now on: {things}",
        "other": "takes the steps {things}",
    },
}
_COUNTED = {"packages": "package", "writes": "file", "changes": "file"}

_PREFIXED = (
    ("writes ", "writes"),
    ("changes ", "changes"),
    ("removes ", "removes"),
    ("directory ", "directory"),
    ("file ", "file"),
    ("link ", "link"),
    ("permissions of ", "permissions"),
    ("user ", "user"),
    ("group ", "group"),
)
_PACKAGES = re.compile(r"^(\d{1,6}) packages?: (.*?)(?: and (\d{1,6}) more)?$")
_UNIT = re.compile(
    r"^(\S+) ((?:restarted|reloaded|started|stopped|enabled at start-up)(?:, enabled at start-up)?)$"
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a step did.

    Args:
        kind: one of ``KINDS``.
        things: what it was done to, as far as it is named.
        count: how many in all.
    """

    kind: str
    things: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run's detail.

    Args:
        name: in English, as the role has it.
        part: the service or part of the server that it belongs to.
        deeds: what it did; empty where its name says it all.
    """

    at: str
    host: str
    part: str
    name: str
    status: str
    error: str
    diff: str
    ignored: bool
    milliseconds: int
    deeds: tuple[Deed, ...]

    @property
    def bad(self) -> bool:
        """Whether it ended the run."""
        return self.status in {"failed", "unreachable"} and not self.ignored

    def phrase(self, lang: Language) -> str:
        """What it did, in the reader's language where that can be told, else its name."""
        return "; ".join(summary([self], lang)) if self.deeds else quote(self.name, lang)


def read_step(payload: Mapping[str, Any]) -> Step:
    """A step from a line of the detail, whatever stands there."""
    fields = Fields(payload)
    deeds = [deed for text in fields.texts("details")[:200] for deed in _deeds(text)]
    diff, error = payload.get("diff"), payload.get("error")
    return Step(
        at=fields.text("at"),
        host=fields.text("host"),
        part=fields.text("role"),
        name=fields.text("name"),
        status=fields.text("status"),
        error=error if isinstance(error, str) else "",
        diff=diff if isinstance(diff, str) else "",
        ignored=fields.true("ignored"),
        milliseconds=fields.whole("duration_ms"),
        deeds=tuple(deeds),
    )


def _deeds(text: str) -> list[Deed]:
    if found := _PACKAGES.match(text):
        names = tuple(name for name in found[2].split(", ") if name)
        return [Deed("packages", names, max(int(found[1]), len(names)))]
    if found := _UNIT.match(text):
        states = [state.removesuffix(" at start-up") for state in found[2].split(", ")]
        return [Deed(state, (found[1],), 1) for state in states]
    for prefix, kind in _PREFIXED:
        if text.startswith(prefix) and len(text) > len(prefix):
            return [Deed(kind, (text[len(prefix) :],), 1)]
    return [Deed("other", (text,), 1)]


def summary(steps: Iterable[Step], lang: Language, most: int = 4) -> list[str]:
    """What several steps did together, one phrase a kind of deed.

    Args:
        steps: in order; those that changed something.
        most: how many things are named of each kind.
    """
    things: dict[str, dict[str, None]] = {}
    unnamed: dict[str, int] = {}
    for step in steps:
        for deed in step.deeds or (Deed("other", (quote(step.name, lang),), 1),):
            things.setdefault(deed.kind, {}).update(dict.fromkeys(deed.things))
            unnamed[deed.kind] = unnamed.get(deed.kind, 0) + deed.count - len(deed.things)
    phrases = []
    for kind in KINDS:
        if kind not in things:
            continue
        names, rest = list(things[kind]), unnamed[kind]
        total = len(names) + rest
        noun = _COUNTED.get(kind)
        shown = names[:most]
        if total > len(shown):
            shown.append(MORE[lang].format(count=number(total - len(shown), lang)))
        text = listed(shown, lang, most + 1)
        phrases.append(
            PHRASES[lang][kind].format(
                things=text, count=counted(total, noun, lang) if noun else number(total, lang)
            )
        )
    return phrases
