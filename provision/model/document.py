"""Reads a YAML file into plain data and remembers where each value stands.

Only the plain part of YAML is taken: one document of keys, lists and simple values. Aliases, tags, duplicate
keys and templates are refused, since they make a file that two readers understand in two ways. Scalars are
read by the rules of YAML 1.1, as Ansible reads them: ``no`` and ``3.10`` mean the same in both.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from provision.errors import Problem

#: A path through the data: keys and list indexes.
Loc = tuple[str | int, ...]

#: Largest file that is read, in bytes. A school file has about two thousand.
MAX_BYTES = 256 * 1024
#: Deepest nesting that is read. A service.yml has about eight levels.
MAX_DEPTH = 24

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()
_TAG = "tag:yaml.org,2002:"
# What YAML 1.1 (5.1, "c-printable") does not allow in a text.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
# The line breaks that YAML 1.1 knows; marks count lines by them.
_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)")
_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. Lines and columns count from 1.

    Args:
        line, column: of the value.
        key_line, key_column: of its key; of the value itself in a list.
        text: a simple value as it is written, without quotes; empty for lists and mappings.
        quoted: the value is a text because it stands in quotes.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    text: str = ""
    quoted: bool = False


@dataclass(slots=True)
class Document:
    """A file that was read: its data, the place of each value, and what is wrong with it as YAML.

    ``data`` is None when the file could not be read at all; ``problems`` then says why. ``broken`` holds the
    places whose value was refused and is not in ``data``, so that nobody reports them as missing too.
    """

    path: Path
    data: Any = None
    places: dict[Loc, Place] = field(default_factory=dict)
    broken: set[Loc] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def nearest(self, loc: Loc) -> tuple[Loc, Place]:
        """The deepest value on the way to ``loc`` that stands in the file, with its place.

        Steps that are not in the file are left out: pydantic puts the name of a union's member between keys.
        """
        found: Loc = ()
        for part in loc:
            if (*found, part) in self.places:
                found = (*found, part)
        return found, self.places.get(found, Place(1, 1, 1, 1))

    def problem(self, loc: Loc, message: str, remedy: str = "", *, code: str, key: bool = False) -> Problem:
        """A problem with the value at ``loc``, or with its key."""
        _, place = self.nearest(loc)
        line, column = (place.key_line, place.key_column) if key else (place.line, place.column)
        return Problem(message, remedy, self.path, line, column, code)

    def line_of(self, loc: Loc) -> int:
        """The line of the key at ``loc``."""
        return self.nearest(loc)[1].key_line


def split_lines(text: str) -> list[str]:
    """The lines of a text as YAML counts them."""
    lines = _LINE_BREAK.split(text)
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines


def decode(raw: bytes) -> str:
    """The text of a file's bytes: UTF-8, with or without a byte order mark.

    Raises:
        UnicodeDecodeError: the bytes are no UTF-8.
    """
    return raw.decode("utf-8-sig")


def read_document(path: Path, *, plain: bool = True) -> Document:
    """Read a YAML file.

    Args:
        path: the file.
        plain: refuse templates (``{{``) and private keys in its texts, as people write and share it.

    Returns:
        The document; ``problems`` holds what is wrong. Nothing is raised for the content of a file.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        message, remedy = "This file does not exist.", ""
    except IsADirectoryError:
        message, remedy = "This is a directory, but a file is expected here.", ""
    except OSError as error:
        message = f"This file cannot be read: {error.strerror}."
        remedy = "Check who may read it (ls -l)."
    else:
        return parse_document(path, raw, plain=plain)
    return Document(path, problems=[Problem(message, remedy, path, 0, 0, "unreadable")])


def parse_document(path: Path, raw: bytes, *, plain: bool = True) -> Document:
    """Like ``read_document``, of bytes that are at hand."""
    document = Document(path)
    text = _text(document, raw)
    if text is None:
        return document
    reader = _Reader(document, text, plain)
    try:
        reader.read()
    except yaml.YAMLError as error:
        document.data = None
        document.problems = [_syntax_problem(path, text, error)]
    except _TooDeepError as error:
        document.data = None
        document.problems = [_too_deep(path, error.line, error.column)]
    return document


def _too_deep(path: Path, line: int, column: int) -> Problem:
    return Problem(
        f"This is nested more than {MAX_DEPTH} levels deep.",
        "Look for brackets that are opened again and again.",
        path,
        line,
        column,
        "too-deep",
    )


class _TooDeepError(Exception):
    def __init__(self, mark: Any) -> None:
        super().__init__()
        self.line = mark.line + 1
        self.column = mark.column + 1


def _text(document: Document, raw: bytes) -> str | None:
    """The file's text, or None with the problem noted."""

    def refuse(message: str, remedy: str, code: str, line: int = 1, column: int = 1) -> None:
        document.problems.append(Problem(message, remedy, document.path, line, column, code))

    if len(raw) > MAX_BYTES:
        refuse(
            f"This file is larger than {MAX_BYTES // 1024} KiB, far more than such a file needs.",
            "Check that it is the right file.",
            "too-large",
        )
        return None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        refuse(
            "This file is written in UTF-16.",
            'Save it again as "UTF-8" (in your editor: Save as, Encoding).',
            "encoding",
        )
        return None
    try:
        text = decode(raw)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        refuse(
            "There is a character here that is not UTF-8.",
            'Save the file again as "UTF-8" (in your editor: Save as, Encoding).',
            "encoding",
            *_position(before, len(before)),
        )
        return None
    if found := _UNPRINTABLE.search(text):
        refuse(
            f"There is an invisible control character here (U+{ord(found.group()):04X}).",
            "Delete it and write the line again.",
            "control-character",
            *_position(text, found.start()),
        )
        return None
    return text


def _position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a place in a text."""
    line, start = 1, 0
    for found in _LINE_BREAK.finditer(text, 0, offset):
        line, start = line + 1, found.end()
    return line, offset - start + 1


class _Reader:
    """Builds the data of one document out of the parser's events."""

    def __init__(self, document: Document, text: str, plain: bool) -> None:
        self.document = document
        self.text = text
        self.plain = plain
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))

    def read(self) -> None:
        for event in self.events:
            if isinstance(event, yaml.NodeEvent):
                if self.document.data is None and () not in self.document.places:
                    self._node(event, (), None, 0)
                else:
                    self._problem(
                        event.start_mark,
                        "A second document begins here (a line with ---).",
                        "One file holds one document: remove the line, or make a second file.",
                        "second-document",
                    )
                    return
        if () not in self.document.places:
            self.document.problems.append(
                Problem(
                    "This file is empty.",
                    "Bring it back from version control, or remove it.",
                    self.document.path,
                    1,
                    1,
                    "empty-file",
                )
            )

    def _problem(self, mark: Any, message: str, remedy: str, code: str) -> None:
        self.document.problems.append(
            Problem(message, remedy, self.document.path, mark.line + 1, mark.column + 1, code)
        )

    def _node(self, event: Any, loc: Loc, key_mark: Any, depth: int) -> None:
        """Take the value that begins with ``event`` into the document, unless it is refused."""
        mark = event.start_mark
        if depth > MAX_DEPTH:
            raise _TooDeepError(mark)
        key_mark = key_mark or mark
        where = (mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1)
        self.document.places[loc] = Place(*where)
        if isinstance(event, yaml.AliasEvent):
            self._problem(
                mark,
                f'"*{event.anchor}" repeats another part of the file (a YAML alias). '
                "Aliases are not allowed here.",
                f'Write the value out again; a text that begins with "*" goes in quotes: "*{event.anchor}".',
                "alias",
            )
            self._refuse(loc)
            return
        if event.tag is not None and event.tag not in ("!", f"{_TAG}str"):
            name = event.tag.replace(_TAG, "!!")
            vault = name in ("!vault", "!vault-encrypted")
            self._problem(
                mark,
                f'"{name}" is a YAML tag. Tags are not allowed here.',
                "Secrets are kept in secrets/, by `provision secrets`: remove it here."
                if vault
                else "Write the plain value; a text that begins with an exclamation mark goes in quotes.",
                "tag",
            )
            self._skip(event)
            self._refuse(loc)
            return
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, loc, where)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._put(loc, [])
            self._items(loc, depth)
        else:
            self._put(loc, {})
            self._pairs(loc, depth)

    def _items(self, loc: Loc, depth: int) -> None:
        for index, event in enumerate(self.events):
            if isinstance(event, yaml.SequenceEndEvent):
                return
            self._node(event, (*loc, index), None, depth + 1)

    def _pairs(self, loc: Loc, depth: int) -> None:
        lines: dict[str, int] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._key(event)
            value = next(self.events)
            mark = event.start_mark
            if key is None:
                self._skip(value)
            elif key in lines:
                self._problem(
                    mark,
                    f'The key "{key}" is here a second time; the first is on line {lines[key]}.',
                    "Keep one of the two.",
                    "duplicate-key",
                )
                self._skip(value)
            else:
                lines[key] = mark.line + 1
                self._node(value, (*loc, key), mark, depth + 1)

    def _key(self, event: Any) -> str | None:
        """A key's text, or None with the problem noted."""
        mark = event.start_mark
        if not isinstance(event, yaml.ScalarEvent) or event.tag not in (None, "!", f"{_TAG}str"):
            self._skip(event)
            self._problem(
                mark,
                "Here should stand a key: a plain word, then a colon.",
                "Texts that begin with one of { [ * & ! need quotes.",
                "bad-key",
            )
            return None
        text: str = event.value
        if event.implicit[0] and not isinstance(_plain(text), str):
            kind = _KINDS[type(_plain(text)).__name__]
            self._problem(
                mark,
                f'The key "{text}" is read as {kind}. Keys are texts.',
                f'Put it in quotes: "{text}":',
                "bad-key",
            )
        return text

    def _scalar(self, event: Any, loc: Loc, where: tuple[int, int, int, int]) -> None:
        text: str = event.value
        is_plain = event.implicit[0]
        self.document.places[loc] = Place(*where, text, not is_plain)
        if self.plain and (found := _TEMPLATE.search(text)):
            self._problem(
                event.start_mark,
                f'"{found.group()}" begins a template of Ansible. Templates are not allowed in this file.',
                "Write the value itself.",
                "template",
            )
            self._refuse(loc)
            return
        if self.plain and _PRIVATE_KEY.search(text):
            self._problem(
                event.start_mark,
                "THIS IS A PRIVATE KEY. Whoever can read this file could use it.",
                "Remove it, regard it as known to others and make a new pair. Here belongs only the public "
                'half, one line such as "ssh-ed25519 AAAA...": the file whose name ends in .pub.',
                "private-key",
            )
            self._refuse(loc)
            return
        self._put(loc, _plain(text) if is_plain else text)

    def _refuse(self, loc: Loc) -> None:
        self.document.broken.add(loc)
        if loc and isinstance(loc[-1], int):
            # Keeps the numbers of the entries behind it.
            self._put(loc, None)

    def _put(self, loc: Loc, value: Any) -> None:
        if not loc:
            self.document.data = value
            return
        target = self.document.data
        for part in loc[:-1]:
            target = target[part]
        if isinstance(target, list):
            target.append(value)
        else:
            target[loc[-1]] = value

    def _skip(self, event: Any) -> None:
        """Pass over the value that begins with ``event``."""
        depth = 0
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth == 0:
                return
            event = next(self.events)


_EMPTY = "Bring it back from version control, or remove it."

_KINDS = {
    "bool": "yes or no",
    "int": "a number",
    "float": "a number",
    "NoneType": "nothing",
    "date": "a date",
    "datetime": "a date",
    "str": "a text",
    "list": "a list",
    "dict": "a block of keys",
}


def kind_of(value: Any) -> str:
    """What a value is, in words, with its article."""
    return _KINDS.get(type(value).__name__, "something else")


def _plain(text: str) -> Any:
    """The value of a text without quotes, by the rules of YAML 1.1."""
    if len(text) > 64:
        return text
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).removeprefix(_TAG)
    if tag not in ("int", "float", "bool", "null", "timestamp"):
        return text
    try:
        return getattr(_CONSTRUCTOR, f"construct_yaml_{tag}")(yaml.ScalarNode(f"{_TAG}{tag}", text))
    except (ValueError, OverflowError):
        # Looks like a number or a date and is none, such as 2026-02-31: it stays a text.
        return text


# What the parser says (libyaml, parser.c and scanner.c) -> what is wrong, what to do. The first match counts,
# and the last one always matches.
_SYNTAX: tuple[tuple[str, str, str], ...] = (
    (
        "quoted scalar",
        "A text in quotes begins here and does not end.",
        "Close it with the same sort of quote.",
    ),
    (
        "block mapping",
        "This line does not fit the lines above.",
        "Lines that belong together begin in the same column, and each has a key, a colon and a space.",
    ),
    (
        "block collection",
        "This line does not fit the list above.",
        'Each entry of a list begins with "- ", all in the same column.',
    ),
    (
        "flow sequence",
        "A list in [ ] begins here and is not closed.",
        'Close it with "]"; commas part entries.',
    ),
    (
        "flow mapping",
        "A block in { } begins here and is not closed.",
        'Close it with "}"; commas part entries.',
    ),
    (
        "simple key",
        "This line has no colon.",
        'Each key is followed by a colon and a space: "name: Escola del Mar".',
    ),
    (
        "mapping values are not allowed",
        "A colon is not expected here.",
        "Either this line is indented too far, or the text holds a colon itself and needs quotes.",
    ),
    (
        "unknown escape character",
        "A backslash in double quotes begins something that YAML does not know.",
        "Use single quotes, or write the backslash twice.",
    ),
    (
        "cannot start any token",
        "A text without quotes cannot begin with this character.",
        "Put the text in quotes.",
    ),
    ("block scalar", "The sign after the key is not understood.", "Put the text in quotes."),
    ("", "This cannot be read as YAML.", "Compare the line and the one above with an example."),
)


#: Signs that look like a blank and are none for YAML: no-break, figure and narrow no-break space.
_BLANKS = "\u00a0\u2007\u202f"


def _long_quote(text: str, line: int) -> Any:
    """The quoted text over several lines that ends where the parser stopped (lines from 1): its end was forgotten."""
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text):
            quoted = isinstance(token, yaml.ScalarToken) and token.style in ("'", '"')
            if quoted and token.start_mark.line < token.end_mark.line == line - 1:
                return token
            if token.start_mark.line >= line:
                return None
    return None


def _syntax_problem(path: Path, text: str, error: yaml.YAMLError) -> Problem:
    """What a parser's error means for the person who wrote the file."""
    lines = split_lines(text)
    mark = getattr(error, "problem_mark", None)
    context_mark = getattr(error, "context_mark", None)
    said = f"{getattr(error, 'context', '') or ''}; {getattr(error, 'problem', '') or ''}"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if "maximum nesting depth" in said:
        # libyaml's own limit, at which it gives up before it tells us of the first levels.
        return _too_deep(path, line, column)
    for number, content in enumerate(lines[:line], 1):
        if _CONFLICT.match(content):
            return Problem(
                "Two versions of this file were merged and the place was not settled (a conflict of git).",
                "Choose one of the two versions and remove the lines with <<<<<<<, ======= and >>>>>>>.",
                path,
                number,
                1,
                "merge-conflict",
            )
    for number, content in enumerate(lines[:line], 1):
        indent = content[: len(content) - len(content.lstrip())]
        if "\t" in indent:
            return Problem(
                "This line is indented with a tab. YAML allows only spaces.",
                "Replace the tab by spaces.",
                path,
                number,
                indent.index("\t") + 1,
                "tab",
            )
    for number, content in enumerate(lines[:line], 1):
        blank = re.search(f":[{_BLANKS}]", content.partition("#")[0])
        if blank and number >= line - 1:
            return Problem(
                f"What follows the colon is no blank but a sign that looks like one (U+{ord(blank[0][1]):04X}).",
                "It came from a web page or a text program: delete it and type a blank.",
                path,
                number,
                blank.start() + 2,
                "strange-blank",
            )
    sign, message, remedy = next(entry for entry in _SYNTAX if entry[0] in said)
    if sign.startswith(("quoted", "flow", "simple")) and context_mark:
        # What was opened and not closed is shown where it begins.
        line, column = context_mark.line + 1, context_mark.column + 1
    elif open_quote := _long_quote(text, line):
        line, column = open_quote.start_mark.line + 1, open_quote.start_mark.column + 1
        message = f"A quote begins here and ends only on line {open_quote.end_mark.line + 1}."
        remedy = next(remedy for sign, _, remedy in _SYNTAX if sign.startswith("quoted"))
    # The parser marks a missing end behind the last line.
    line = max(1, min(line, len(lines)))
    column = max(1, min(column, len(lines[line - 1]) + 1))
    return Problem(message, remedy, path, line, column, "broken-yaml")
