"""Takes secrets out of text and data, by value, whatever shape they were written in.

A log, a record or a message may hold a secret as it is, or as a tool wrote it: escaped in JSON, quoted for
a shell or a URL, in base64. ``Redactor`` knows all these forms of the values that it is given. It works by
value, since a rule by name (``password=...``) misses what has another name, and Ansible's ``no_log`` covers
only what a task's author thought of.
"""

import base64
import html
import json
import re
import shlex
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from provision.text import printable

#: Shorter values are not replaced: they are part of ordinary words, and a text without them could not be
#: read.
SHORTEST: Final = 6
#: Stands where a named mark would itself hold a secret (one called like its variable, say). Shorter than
#: any secret, so that replacing ends.
_PLAIN_MARK: Final = "‹***›"


class Redactor:
    """Replaces every secret value by ``‹secret:NAME›``.

    Args:
        values: secrets by name, as ``SecretStore.load`` returns them (nested mappings and lists are
            followed), or just the values, which are then all called by the same mark, ``‹secret›``.
    """

    def __init__(self, values: Mapping[str, Any] | Iterable[str]) -> None:
        named = _leaves(values) if isinstance(values, Mapping) else (("", value) for value in values)
        marks: dict[str, str] = {}
        for name, value in named:
            for needle in _forms(value):
                marks.setdefault(needle, f"‹secret:{name}›" if name else "‹secret›")
        self._marks = marks
        self._pattern = re.compile(_trie_pattern(marks)) if marks else None

    def text(self, text: str) -> str:
        """The text without secrets.

        Args:
            text: any text; a large one is gone through once.
        """
        if self._pattern is None:
            return text
        marks = self._marks
        clean = self._pattern.sub(lambda match: marks[match.group()], text)
        # A mark, alone or with its neighbours, may spell a secret again. Each round makes the text shorter.
        while self._pattern.search(clean):
            clean = self._pattern.sub(_PLAIN_MARK, clean)
        return clean

    def data(self, value: Any) -> Any:
        """The same data without secrets, in keys as in values.

        Args:
            value: what JSON can hold; also tuples, sets and bytes. Mappings come back as ``dict``, sets as
                lists.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            clean: dict[Any, Any] = {}
            for key, item in value.items():
                new = self.data(key)
                number = 2
                while new in clean:
                    new = f"{self.data(key)} ({number})"
                    number += 1
                clean[new] = self.data(item)
            return clean
        if isinstance(value, list | set | frozenset):
            return [self.data(item) for item in value]
        if isinstance(value, tuple):
            return tuple(self.data(item) for item in value)
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = str(value)
            clean = self.text(number)
            return value if clean == number else clean
        return value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield from _leaves({str(number): item for number, item in enumerate(value)}, f"{name}.")
        elif isinstance(value, bytes):
            yield name, value.decode("utf-8", "replace")
        elif value is not None and not isinstance(value, bool):
            yield name, str(value)


def _forms(value: str) -> Iterator[str]:
    """Every way in which a value may have been written, each at least ``SHORTEST`` characters long."""
    parts = [value, value.strip()]
    if "\n" in value:
        # A PEM body, or any other file: tools print, wrap and cut such values by line.
        parts += [line.strip() for line in value.splitlines() if not line.startswith("-----")]
    seen: set[str] = set()
    for part in parts:
        if len(part) < SHORTEST or part in seen:
            continue
        seen.add(part)
        for form in _written(part):
            if len(form) >= SHORTEST:
                yield form
        # What a server says is made printable before it comes to us.
        shown = printable(part)
        if shown != part and len(shown) >= SHORTEST:
            yield shown


def _written(value: str) -> Iterator[str]:
    yield value
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        # JSON inside JSON, as in a log line that quotes a module's answer.
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield repr(value)[1:-1]
    yield value.replace("\n", "\r\n")
    yield shlex.quote(value).removeprefix("'").removesuffix("'")
    yield value.replace("'", "'\\''")
    yield re.sub(r'([$`"\\])', r"\\\1", value)
    yield value.replace("'", "''")
    yield html.escape(value)
    yield html.escape(value, quote=False)
    raw = value.encode("utf-8", "surrogatepass")
    for quoted in (
        urllib.parse.quote(raw, safe=""),
        urllib.parse.quote(raw),
        urllib.parse.quote_plus(raw),
        urllib.parse.quote_plus(raw, safe="/"),
    ):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), quoted)
    yield raw.hex()
    yield raw.hex().upper()
    for before in range(3):
        # Base64 of a longer text that holds the value ("user:password", a whole file) depends on where in a
        # group of three bytes the value begins; take the characters that hold bits of the value alone.
        coded = base64.b64encode(b"\0" * before + raw).decode()
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        inner = coded[first:last]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))


def _trie_pattern(needles: Iterable[str]) -> str:
    """A pattern that matches the longest needle at each place.

    A plain alternation tries every needle at every character; a tree of common beginnings tries only what
    can still match.
    """
    return _branch(sorted(set(needles)), 0)


def _branch(needles: list[str], start: int) -> str:
    """Pattern for sorted ``needles``, which all have the same first ``start`` characters."""
    optional = len(needles[0]) == start
    rest = needles[1:] if optional else needles
    alternatives = []
    index = 0
    while index < len(rest):
        end = index
        while end < len(rest) and rest[end][start] == rest[index][start]:
            end += 1
        group = rest[index:end]
        common = _common(group[0], group[-1], start)
        tail = _branch(group, common) if len(group) > 1 else ""
        if len(group) == 1:
            common = len(group[0])
        alternatives.append(re.escape(group[0][start:common]) + tail)
        index = end
    if not alternatives:
        return ""
    pattern = "(?:" + "|".join(alternatives) + ")"
    return pattern + "?" if optional else pattern


def _common(first: str, last: str, start: int) -> int:
    """Length of the common beginning of two strings of a sorted group, from ``start`` on."""
    length = start
    for one, other in zip(first[start:], last[start:], strict=False):
        if one != other:
            break
        length += 1
    return length
