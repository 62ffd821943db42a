"""Reads the part of HOCON that jvb.conf and jicofo.conf use: objects, dotted keys, lists, strings, comments."""

import json
import re
from typing import Any

TOKEN = re.compile(
    r'\s*(?:(?P<comment>(?:#|//)[^\n]*)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>[{}\[\],=:])|(?P<word>[^\s{}\[\],=:"#]+))'
)


def tokens(text: str) -> list[str]:
    found, at = [], 0
    while match := TOKEN.match(text, at):
        at = match.end()
        if not match["comment"]:
            found.append(match["text"] or match["sign"] or match["word"])
    if text[at:].strip():
        raise ValueError(f"not HOCON: {text[at : at + 40]!r}")
    return found


def value(word: str) -> Any:
    if word.startswith('"'):
        return json.loads(word)
    if word in ("true", "false"):
        return word == "true"
    return int(word) if word.isdecimal() else word


def parse(text: str) -> dict[str, Any]:
    """Everything by its whole key, such as ``jicofo.rest.port``; lists as they are."""
    words, found = tokens(text), {}
    position = 0

    def item() -> Any:
        nonlocal position
        word = words[position]
        position += 1
        if word == "{":
            inner: dict[str, Any] = {}
            objects(inner, "", "}")
            return inner
        if word != "[":
            return value(word)
        items = []
        while words[position] != "]":
            items.append(item())
            if words[position] == ",":
                position += 1
        position += 1
        return items

    def objects(into: dict[str, Any], prefix: str, end: str) -> None:
        nonlocal position
        while position < len(words) and words[position] != end:
            key = str(value(words[position]))
            position += 1
            if words[position] == "{":
                position += 1
                objects(into, f"{prefix}{key}.", "}")
            else:
                position += 1
                if words[position] == "{":
                    position += 1
                    objects(into, f"{prefix}{key}.", "}")
                else:
                    into[prefix + key] = item()
            if position < len(words) and words[position] == ",":
                position += 1
        position += 1

    objects(found, "", "")
    return found
