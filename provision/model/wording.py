"""Turns what pydantic found into problems that a clerk understands.

pydantic knows what is wrong and where in the data; the document knows where that stands in the file; this
module has the words. Nothing of pydantic's own messages reaches a person.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from provision.errors import Problem
from provision.model import municipality, rules, school, service, support
from provision.model.document import Document, Loc, Place, kind_of
from provision.model.shapes import annotation_at, choices_at, keys_of, model_at, rules_of


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words that exist, to guess what was meant by one that does not.

    Args:
        systems: operating systems that some service runs on.
    """

    systems: tuple[str, ...] = ("debian-12", "debian-13")


#: Names that Debian and Ubuntu give their releases, as ``/etc/os-release`` has them in VERSION_CODENAME.
_CODENAMES = {
    "bookworm": "debian-12",
    "trixie": "debian-13",
    "jammy": "ubuntu-22.04",
    "noble": "ubuntu-24.04",
}

#: Keys that had another name in an earlier format, or that people write for ours: model -> theirs -> ours.
OTHER_NAMES: Mapping[type[BaseModel], Mapping[str, str]] = {
    school.School: {
        "title": "name",
        "time_zone": "timezone",
        "tz": "timezone",
        "language": "locale",
        "lang": "locale",
        "servers": "hosts",
        "host": "hosts",
        "apps": "services",
        "applications": "services",
        "service": "services",
        "certificates": "tls",
        "contact": "contact_email",
        "email": "contact_email",
        "fqdn": "domain",
        "version": "schema",
        "format": "schema",
    },
    municipality.Host: {
        "ip": "address",
        "ansible_host": "address",
        "ansible_user": "user",
        "ansible_port": "port",
        "ssh_user": "user",
        "username": "user",
        "login": "user",
        "ssh_port": "port",
        "os": "system",
        "distribution": "system",
        "key": "ssh_key",
        "key_file": "ssh_key",
        "private_key": "ssh_key",
        "ansible_ssh_private_key_file": "ssh_key",
        "bastion": "jump",
        "proxy_jump": "jump",
        "jump_host": "jump",
        "ask_become_pass": "become_password",
    },
    school.ServiceUse: {
        "server": "host",
        "url": "hostname",
        "domain": "hostname",
        "fqdn": "hostname",
        "release": "version",
        "options": "settings",
        "config": "settings",
        "variables": "settings",
        "vars": "settings",
    },
    municipality.Municipality: {
        "dpo": "data_protection_officer",
        "dpd": "data_protection_officer",
        "language": "languages",
        "certificates": "tls",
        "users": "operators",
        "admins": "operators",
        "title": "name",
        "format": "schema",
        "version": "schema",
    },
    municipality.Operator: {"user": "login", "username": "login", "keys": "ssh_keys", "ssh_key": "ssh_keys"},
    support.SupportPerson: {"login": "name", "ssh_keys": "key", "ssh_key": "key"},
    municipality.Contact: {"mail": "email", "e-mail": "email", "telephone": "phone", "tel": "phone"},
    municipality.Defaults: {
        "user": "ssh_user",
        "port": "ssh_port",
        "key": "ssh_key",
        "time_zone": "timezone",
        "ntp_servers": "time_servers",
        "ntp": "time_servers",
        "language": "locale",
        "os": "system",
    },
}

_SECRET_WORD = re.compile(r"passw|secret|token|api_?key|contrasenya|contrase")


@dataclass(frozen=True, slots=True)
class _Form:
    """What texts of a pattern are: with article, what is allowed, an example, and a correction to try."""

    what: str
    allowed: str
    example: str
    mend: Callable[[str], str] = field(default=lambda text: text)


def _letters(text: str) -> str:
    """Small letters without their accents."""
    return "".join(
        sign for sign in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(sign)
    )


def _slug(text: str) -> str:
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]+", "-", _letters(text))).strip("-")


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _letters(text)).strip("_")


def _system(text: str) -> str:
    name = text.strip().lower()
    for codename, system in _CODENAMES.items():
        if codename in name:
            return system
    found = re.fullmatch(r"([a-z]+)[^a-z0-9]*(?:gnu/linux)?[^a-z0-9]*([0-9]+(?:\.[0-9]+)?)(?: ?lts)?", name)
    return f"{found.group(1)}-{found.group(2)}" if found else ""


def _pattern(annotated: Any) -> str:
    return next(str(meta.pattern) for meta in annotated.__metadata__ if getattr(meta, "pattern", None))


#: Patterns of the models -> words. A test sees to it that none is missing.
FORMS: Mapping[str, _Form] = {
    _pattern(municipality.Slug): _Form(
        "a short name", "small letters, digits and hyphens, at most 40", "escola-mar", _slug
    ),
    _pattern(service.Identifier): _Form(
        "a short name",
        "small letters, digits and _, beginning with a letter, at most 31",
        "etherpad",
        _identifier,
    ),
    rules.USER_PATTERN: _Form(
        "a user name",
        "small letters, digits, - and _, beginning with a letter, at most 32",
        "tic",
        _identifier,
    ),
    _pattern(service.System): _Form(
        "an operating system", "its name in small letters, a hyphen, its version", "debian-12", _system
    ),
    _pattern(service.Release): _Form(
        "a version",
        "digits and letters with dots between them",
        "3.3.1",
        lambda text: text.strip().lstrip("vV= "),
    ),
    _pattern(service.Sha256): _Form(
        "a SHA-256 sum", "64 characters from 0-9 and a-f", "", lambda text: text.strip().lower()
    ),
    r"^[0-9A-F]{40}$": _Form(
        "the fingerprint of a key",
        "40 characters from 0-9 and A-F",
        "",
        lambda text: re.sub(r"[\s:]", "", text).upper(),
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._+-]*$": _Form(
        "a file name", "letters, digits and . _ + -, no directory", "etherpad-3.3.1.tar.gz"
    ),
    _pattern(service.AbsolutePath): _Form(
        "a whole path", "begins with /; letters, digits and . _ - /", "/etc/wiki/release"
    ),
    _pattern(service.PhpExtension): _Form(
        "an extension of PHP", "its name as `php -m` prints it, in small letters", "intl", str.lower
    ),
    _pattern(service.PermissionsPolicy): _Form(
        "a Permissions-Policy",
        "features with their origins, separated by commas, without quotation marks, at most 300 characters",
        "camera=(self), microphone=(self)",
    ),
    _pattern(service.PhpSetting): _Form(
        "a name of php.ini", "small letters, digits, . and _", "opcache.memory_consumption", str.lower
    ),
    _pattern(service.Program): _Form(
        "a program of provision", "provision- and small letters, digits and -", "provision-etherpad-health"
    ),
    _pattern(service.Day): _Form("a day", "year-month-day in digits", "2026-09-30"),
}

_DOCUMENTS: Mapping[type[BaseModel], str] = {
    school.School: "the school file",
    municipality.Municipality: "the municipality's file",
    service.ServiceDefinition: "this service.yml",
    support.Support: "the support file",
}

# pydantic's error types for "not of this type" -> what is needed.
_NEEDED: Mapping[str, str] = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "string_unicode": "a text",
    "path_type": "a file name",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "yes or no",
    "bool_parsing": "yes or no",
    "dict_type": "a block of keys",
    "mapping_type": "a block of keys",
    "model_type": "a block of keys",
    "model_attributes_type": "a block of keys",
    "dataclass_type": "a block of keys",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
}

_REMEDIES: Mapping[str, str] = {
    "a list": 'Write each entry in a line of its own that begins with "- ".',
    "a block of keys": "Write each key in a line of its own, indented below this one.",
    "yes or no": "Write yes or no, without quotes.",
    "a whole number": "Write digits only, without quotes.",
    "a number": "Write digits only, without quotes.",
}


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel], words: Vocabulary
) -> list[Problem]:
    """Every problem that pydantic found, in words, at its place in the file.

    Args:
        error: what pydantic raised.
        document: the file that the data came from.
        model: what the file should be.
        words: for guesses at what was meant.
    """
    found: list[Problem] = []
    seen: set[Loc] = set()
    every = error.errors(include_url=False)
    # A key that is misspelt is not missing too.
    for details in every:
        loc: Loc = tuple(details["loc"])
        if details["type"] == "extra_forbidden" and (inside := model_at(model, loc[:-1])):
            seen.add((*document.nearest(loc)[0][:-1], _ours(str(loc[-1]), inside)))
    for details in every:
        loc = tuple(details["loc"])
        nearest, _ = document.nearest(loc)
        kind = details["type"]
        target = (*nearest, loc[-1]) if kind == "missing" and loc else nearest
        # A union reports each of its members, and what was refused while reading is reported already.
        if target in seen or any(target[:end] in document.broken for end in range(1, len(target) + 1)):
            continue
        context, value = details.get("ctx") or {}, details.get("input")
        # A list whose wrong entries were not counted is not too short.
        if kind == "too_short" and isinstance(value, list | dict) and len(value) >= context["min_length"]:
            continue
        seen.add(target)
        found.append(describe(Finding(kind, loc, context, value, document, model, words)))
    return found


@dataclass(frozen=True)
class Finding:
    """One error of pydantic, with what is needed to put it into words.

    Args:
        kind: pydantic's type of the error, such as ``missing``.
        loc: where, as pydantic says it.
        context: what pydantic knows besides.
        value: the value that was refused.
        document, model, words: as for ``problems_of``.
    """

    kind: str
    loc: Loc
    context: Mapping[str, Any]
    value: Any
    document: Document
    model: type[BaseModel]
    words: Vocabulary

    @property
    def nearest(self) -> Loc:
        """The deepest part of ``loc`` that stands in the file."""
        return self.document.nearest(self.loc)[0]

    @property
    def place(self) -> Place:
        """Where that is."""
        return self.document.nearest(self.loc)[1]

    @property
    def at_key(self) -> bool:
        """A key is wrong, not its value."""
        return bool(self.loc) and self.loc[-1] == "[key]"

    @property
    def written(self) -> str:
        """The value as it stands in the file."""
        return _written(self.value, self.place.text)

    def problem(self, message: str, remedy: str, code: str) -> Problem:
        """The problem, with the name of the value in front."""
        name = "The key " if self.at_key else _name(self.nearest)
        message = message if name else message[0].upper() + message[1:]
        return self.document.problem(self.loc, f"{name}{message}", remedy, code=code, key=self.at_key)


def describe(finding: Finding) -> Problem:
    """One of pydantic's errors in words."""
    if finding.kind in _NEEDED:
        return _of_wrong_type(finding)
    return _DESCRIBED.get(finding.kind, _out_of_bounds)(finding)


def _own(finding: Finding) -> Problem:
    """What one of our own rules refused: it brings its words."""
    context = finding.context
    return finding.problem(str(context["message"]), str(context["remedy"]), str(context["code"]))


def _of_wrong_form(finding: Finding) -> Problem:
    pattern = str(finding.context.get("pattern", ""))
    message, remedy = _wrong_form(pattern, finding.written, finding.words)
    return finding.problem(message, remedy, "wrong-form")


def _of_wrong_type(finding: Finding) -> Problem:
    place = finding.place
    if finding.kind == "string_type" and place.text and finding.value is not None:
        # Quotes alone would not mend ``locale: no``: the rule says what it says of that text.
        for rule in rules_of(annotation_at(finding.model, finding.loc, whole=True)):
            try:
                rule(place.text)
            except PydanticCustomError as error:
                return _own(replace(finding, context=error.context or {}))
    message, remedy = wrong_type(_NEEDED[finding.kind], finding.value, place.text, place.quoted)
    return finding.problem(message, remedy, "wrong-type")


def _no_choice(finding: Finding) -> Problem:
    """The key is missing that says which member of a union is meant."""
    key = str(finding.context.get("discriminator", "")).strip("'")
    choices = choices_at(finding.model, finding.loc)
    message = f'{_name(finding.nearest)}the key "{key}" is missing.'
    remedy = f"Add it; allowed: {listed(choices)}." if choices else "Add it."
    return finding.document.problem(finding.loc, message, remedy, code="missing-key", key=True)


def listed(words: Iterable[object], last: str = "or") -> str:
    """``a, b or c``."""
    texts = [str(word) for word in words]
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def _written(value: Any, text: str) -> str:
    """A value as it stands in the file."""
    return rules.short(text if text or not isinstance(value, str) else value)


def _name(loc: Loc) -> str:
    """The value's name in front of a message: the last key, or the entry's number."""
    if not loc:
        return ""
    if isinstance(loc[-1], int):
        keys = [part for part in loc if isinstance(part, str)]
        return f"{keys[-1] if keys else 'list'}, entry {loc[-1] + 1}: "
    return f"{loc[-1]}: "


def _place_name(loc: Loc, model: type[BaseModel]) -> str:
    """Where we are, in words: ``host "main"``."""
    match loc:
        case ():
            return _DOCUMENTS.get(model, "this file")
        case ("hosts", str(name)):
            return f'host "{name}"'
        case ("services", str(name)):
            return f'service "{name}"'
        case (*_, str(key), int(index)):
            return f"{key}, entry {index + 1}"
        case (*_, last):
            return f'"{last}"'
        case _:
            return "this file"


def _ours(key: str, inside: type[BaseModel]) -> str:
    """Our name for a key that is not known; empty when there is no guess."""
    allowed = keys_of(inside)
    other = OTHER_NAMES.get(inside, {}).get(key.lower())
    guess = other or rules.meant(key, allowed)
    sure = difflib.SequenceMatcher(None, key.lower(), guess).ratio() > 0.8
    return "" if _SECRET_WORD.search(key.lower()) and not other and not sure else guess


#: Keys of ``tls`` that belong to another ``mode`` than the one that was chosen.
_OF_OTHER_MODES: Mapping[type[BaseModel] | None, Mapping[str, str]] = {
    chosen: {
        key: mode
        for other, mode in (
            (municipality.AcmeTls, "acme"),
            (municipality.ProvidedTls, "provided"),
        )
        if other is not chosen
        for key in keys_of(other)
        if key not in keys_of(chosen)
    }
    for chosen in (municipality.AcmeTls, municipality.ProvidedTls, municipality.InternalTls)
}


def _unknown_key(finding: Finding) -> Problem:
    loc, nearest, document, model = finding.loc, finding.nearest, finding.document, finding.model
    key = str(loc[-1])
    inside = model_at(model, loc[:-1])
    allowed = keys_of(inside) if inside else ()
    ours = _ours(key, inside) if inside else ""
    where = _place_name(nearest[:-1] if nearest and nearest[-1] == key else nearest, model)
    message = f'The key "{key}" is not known in {where}. Allowed: {listed(allowed)}.'
    code = "unknown-key"
    if inside and ours and OTHER_NAMES.get(inside, {}).get(key.lower()):
        remedy = f'It is called "{ours}" here.'
        code = "renamed-key"
    elif ours:
        remedy = f'Did you mean "{ours}"?'
    elif key in _OF_OTHER_MODES.get(inside, {}):
        remedy = f'"{key}" belongs to "mode: {_OF_OTHER_MODES[inside][key]}": remove the line.'
    elif _SECRET_WORD.search(key.lower()):
        remedy = "Secrets do not belong in this file, where everybody can read them: provision secrets --help"
    else:
        remedy = _belongs_elsewhere(key, inside, model)
    return document.problem(loc, message, remedy, code=code, key=True)


def _belongs_elsewhere(key: str, inside: type[BaseModel] | None, model: type[BaseModel]) -> str:
    """Where a key is known that stands in the wrong block."""
    blocks: Mapping[type[BaseModel], str] = {
        school.School: "at the top of the school file",
        municipality.Host: "in a host",
        school.ServiceUse: "in a service",
        municipality.Municipality: "at the top of municipality.yml",
        municipality.Defaults: 'in "defaults" of municipality.yml',
    }
    if model is service.ServiceDefinition:
        return ""
    places = [where for block, where in blocks.items() if block is not inside and key in keys_of(block)]
    return f"This key belongs {listed(places)}." if places else ""


def _missing(finding: Finding) -> Problem:
    loc, nearest, document, model = finding.loc, finding.nearest, finding.document, finding.model
    key = str(loc[-1])
    where = _place_name(nearest, model)
    # The parent's own line; at the top, the file's first one.
    inside = model_at(model, loc[:-1])
    about = ""
    if inside:
        for name, info in inside.model_fields.items():
            if (info.alias or name) == key and info.description:
                about = f": {_inside(info.description.rstrip('.'))}"
    remedy = f"Add it{about}."
    if key == "schema":
        remedy = 'Begin the file with "schema: 1".'
    message = f'{where[0].upper()}{where[1:]} has no "{key}".'
    return document.problem(nearest, message, remedy, code="missing-key", key=True)


def _inside(sentence: str) -> str:
    """A sentence as it stands behind a colon: a small letter first, unless it begins with an abbreviation."""
    return sentence[0].lower() + sentence[1:] if sentence[1:2].islower() or sentence[1:2] == " " else sentence


def _wrong_form(pattern: str, text: str, words: Vocabulary) -> tuple[str, str]:
    form = FORMS.get(pattern)
    if form is None:
        return f'"{text}" is written in a way that is not allowed.', ""
    message = f'"{text}" is not {form.what}. Allowed: {form.allowed}.'
    better = form.mend(text)
    if pattern == _pattern(service.System) and not re.fullmatch(pattern, better):
        better = rules.meant(text, words.systems)
    if better != text and re.fullmatch(pattern, better):
        return message, f'Did you mean "{better}"?'
    return message, f'Such as "{form.example}".' if form.example else ""


def _wrong_choice(finding: Finding) -> Problem:
    loc, context, value, document = finding.loc, finding.context, finding.value, finding.document
    nearest, place = document.nearest(loc)
    expected = str(context.get("expected") or context.get("expected_tags") or "")
    choices = re.findall(r"'([^']*)'", expected) or re.findall(r"[0-9]+", expected)
    if loc and loc[-1] == "schema":
        return document.problem(
            loc,
            f"schema: this version of provision does not know format {_written(value, place.text)}. "
            f"Allowed: {listed(choices)}.",
            f'Write "schema: {listed(choices)}"; a file of a newer format needs a newer provision.',
            code="wrong-schema",
        )
    tag = context.get("tag")
    if tag is not None:
        # The choice of a union stands one level deeper, in its own key.
        key = str(context.get("discriminator", "")).strip("'")
        loc = (*nearest, key)
        nearest, place = document.nearest(loc)
        value = tag
    text = _written(value, place.text)
    message = f'{_name(nearest)}"{text}" is not possible. Allowed: {listed(choices)}.'
    if not isinstance(value, str) and not place.quoted and place.text:
        message = (
            f"{_name(nearest)}{text} without quotes is read as {kind_of(value)}. Allowed: {listed(choices)}."
        )
    remedy = rules.did_you_mean(text, choices)
    return document.problem(loc, message, remedy, code="wrong-choice")


def wrong_type(needed: str, value: Any, text: str, quoted: bool) -> tuple[str, str]:
    """Words for a value of another type than ``needed``: what is wrong, and what to do."""
    shown, plain = rules.short(text), text.strip().lower()
    message, remedy = f"{shown} is {kind_of(value)}; {needed} is needed.", _REMEDIES.get(needed, "")
    if value is None:
        message = f"nothing stands here; {needed} is needed."
        remedy = "Write the value, or remove the line if it is not needed."
    elif isinstance(value, dict | list):
        message = f"here is {kind_of(value)}; {needed} is needed."
    elif needed in ("a text", "a file name"):
        message = f"{shown} without quotes is read as {kind_of(value)}; {needed} is needed."
        remedy = f'Put it in quotes: "{shown}".'
    elif isinstance(value, float) and not math.isfinite(value):
        message = f"{shown} cannot be used; {needed} is needed."
    elif needed == "a list":
        message, remedy = (
            f'"{shown}" is {kind_of(value)}; a list is needed.',
            f"Write it as a list of one: [{shown}].",
        )
    elif quoted:
        message = f'"{shown}" in quotes is a text; {needed} is needed.'
        numeric = needed in ("a whole number", "a number") and re.fullmatch(r"-?[0-9]+", plain)
        if numeric or (needed == "yes or no" and plain in ("yes", "no", "true", "false", "on", "off")):
            remedy = f"Write it without quotes: {plain}."
    return message, remedy


# pydantic's type -> message with {text} and the error's context, code.
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("{text} is too small; at least {ge} is needed.", "out-of-range"),
    "greater_than": ("{text} is too small; more than {gt} is needed.", "out-of-range"),
    "less_than_equal": ("{text} is too large; at most {le} is allowed.", "out-of-range"),
    "less_than": ("{text} is too large; less than {lt} is needed.", "out-of-range"),
    "multiple_of": ("{text} is not a multiple of {multiple_of}.", "out-of-range"),
    "string_too_short": ("at least {min_length} characters are needed.", "out-of-range"),
    "string_too_long": ("at most {max_length} characters are allowed.", "out-of-range"),
    "too_short": ("there are too few entries; at least {min_length} is needed.", "too-few"),
    "too_long": ("there are too many entries; at most {max_length} are allowed.", "too-many"),
}


def _out_of_bounds(finding: Finding) -> Problem:
    """Values that are too small, too large, too few or too many, and what should never come."""
    text = finding.written
    form, code = _BOUNDS.get(finding.kind, ("", ""))
    try:
        return (
            finding.problem(form.format(text=text, **finding.context), "", code)
            if form
            else _impossible(finding)
        )
    except KeyError:
        return _impossible(finding)


def _impossible(finding: Finding) -> Problem:
    text = finding.written
    message = f'"{text}" is not possible here.' if text else "this value is not possible here."
    return finding.problem(message, "Compare with the example files of the tool.", "bad-value")


_DESCRIBED: Mapping[str, Callable[[Finding], Problem]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "provision": _own,
    "string_pattern_mismatch": _of_wrong_form,
    "literal_error": _wrong_choice,
    "enum": _wrong_choice,
    "union_tag_invalid": _wrong_choice,
    "union_tag_not_found": _no_choice,
}
