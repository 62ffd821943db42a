"""Turns what pydantic found into problems that a clerk understands.

pydantic knows what is wrong and where in the data; the document knows where that stands in the file; this module
has the words. Nothing of pydantic's own messages reaches a person.
"""

import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from provision.errors import Problem
from provision.model import municipality, rules, school, service
from provision.model.document import Document, Loc, kind_of


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
    school.Host: {
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


def _slug(text: str) -> str:
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]+", "-", text.lower())).strip("-")


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


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
}

_DOCUMENTS: Mapping[type[BaseModel], str] = {
    school.School: "the school file",
    municipality.Municipality: "the municipality's file",
    service.ServiceDefinition: "this service.yml",
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
    for details in error.errors(include_url=False):
        loc: Loc = tuple(details["loc"])
        nearest, _ = document.nearest(loc)
        kind = details["type"]
        target = (*nearest, loc[-1]) if kind == "missing" and loc else nearest
        # A union reports each of its members, and what was refused while reading is reported already.
        if target in seen or any(target[:end] in document.broken for end in range(1, len(target) + 1)):
            continue
        seen.add(target)
        found.append(
            describe(kind, loc, details.get("ctx") or {}, details.get("input"), document, model, words)
        )
    return found


def describe(
    kind: str,
    loc: Loc,
    context: Mapping[str, Any],
    value: Any,
    document: Document,
    model: type[BaseModel],
    words: Vocabulary,
) -> Problem:
    """One of pydantic's errors in words.

    Args:
        kind: pydantic's type of the error, such as ``missing``.
        loc: where, as pydantic says it.
        context: what pydantic knows besides.
        value: the value that was refused.
        document, model, words: as in ``problems_of``.
    """
    nearest, place = document.nearest(loc)
    if kind == "extra_forbidden":
        return _unknown_key(loc, nearest, document, model)
    if kind == "missing":
        return _missing(loc, nearest, document, model)
    name = _name(nearest)
    at_key = bool(loc) and loc[-1] == "[key]"
    if kind == "provision":
        return document.problem(
            loc, f"{name}{context['message']}", str(context["remedy"]), code=str(context["code"]), key=at_key
        )
    if kind == "string_pattern_mismatch":
        message, remedy = _wrong_form(str(context.get("pattern", "")), _written(value, place.text), words)
        return document.problem(loc, f"{name}{message}", remedy, code="wrong-form", key=at_key)
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _wrong_choice(loc, context, value, document)
    if kind == "union_tag_not_found":
        model_choices = _choices_at(model, loc)
        key = str(context.get("discriminator", "")).strip("'")
        return document.problem(
            loc,
            f'{name}the key "{key}" is missing.',
            f"Add it; allowed: {listed(model_choices)}." if model_choices else "Add it.",
            code="missing-key",
            key=True,
        )
    if kind in _NEEDED:
        message, remedy = wrong_type(_NEEDED[kind], value, place.text, place.quoted)
        return document.problem(loc, f"{name}{message}", remedy, code="wrong-type")
    message, remedy, code = _bounds(kind, context, _written(value, place.text))
    return document.problem(loc, f"{name}{message}", remedy, code=code)


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


def _unknown_key(loc: Loc, nearest: Loc, document: Document, model: type[BaseModel]) -> Problem:
    key = str(loc[-1])
    inside = model_at(model, loc[:-1])
    allowed = keys_of(inside) if inside else ()
    where = _place_name(nearest[:-1] if nearest and nearest[-1] == key else nearest, model)
    ours = OTHER_NAMES.get(inside, {}).get(key.lower()) if inside else None
    message = f'The key "{key}" is not known in {where}. Allowed: {listed(allowed)}.'
    code = "unknown-key"
    if ours:
        remedy = f'It is called "{ours}" here.'
        code = "renamed-key"
    elif guess := rules.did_you_mean(key, allowed):
        remedy = guess
    elif _SECRET_WORD.search(key.lower()):
        remedy = "Secrets do not belong in this file, where everybody can read them: see `provision secrets --help`."
    else:
        remedy = _belongs_elsewhere(key, inside, model)
    return document.problem(loc, message, remedy, code=code, key=True)


def _belongs_elsewhere(key: str, inside: type[BaseModel] | None, model: type[BaseModel]) -> str:
    """Where a key is known that stands in the wrong block."""
    blocks: Mapping[type[BaseModel], str] = {
        school.School: "at the top of the school file",
        school.Host: "in a host",
        school.ServiceUse: "in a service",
        municipality.Municipality: "at the top of municipality.yml",
        municipality.Defaults: 'in "defaults" of municipality.yml',
    }
    if model is service.ServiceDefinition:
        return ""
    places = [where for block, where in blocks.items() if block is not inside and key in keys_of(block)]
    return f"This key belongs {listed(places)}." if places else ""


def _missing(loc: Loc, nearest: Loc, document: Document, model: type[BaseModel]) -> Problem:
    key = str(loc[-1])
    where = _place_name(nearest, model)
    # The parent's own line; at the top, the file's first one.
    inside = model_at(model, loc[:-1])
    about = ""
    if inside:
        for name, info in inside.model_fields.items():
            if (info.alias or name) == key and info.description:
                about = f": {info.description[0].lower()}{info.description[1:].rstrip('.')}"
    remedy = f"Add it{about}."
    if key == "schema":
        remedy = 'Begin the file with "schema: 1".'
    return document.problem(nearest, f'{where} has no "{key}".', remedy, code="missing-key", key=True)


def _wrong_form(pattern: str, text: str, words: Vocabulary) -> tuple[str, str]:
    form = FORMS.get(pattern)
    if form is None:
        return f'"{text}" is written in a way that is not allowed.', ""
    message = f'"{text}" is not {form.what}. Allowed: {form.allowed}.'
    better = form.mend(text)
    if pattern == _pattern(service.System) and not re.match(pattern, better):
        better = rules.meant(text, words.systems)
    if better != text and re.match(pattern, better):
        return message, f'Did you mean "{better}"?'
    return message, f'Such as "{form.example}".' if form.example else ""


def _wrong_choice(loc: Loc, context: Mapping[str, Any], value: Any, document: Document) -> Problem:
    nearest, place = document.nearest(loc)
    expected = str(context.get("expected") or context.get("expected_tags") or "")
    choices = re.findall(r"'([^']*)'", expected) or re.findall(r"[0-9]+", expected)
    if loc and loc[-1] == "schema":
        return document.problem(
            loc,
            f"schema: this file's format is {listed(choices)}, not {_written(value, place.text)}.",
            f'Write "schema: {listed(choices)}". A newer file needs a newer provision.',
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


def _choices_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The tags of the union at ``loc``, such as acme, provided and internal."""
    annotation = _annotation_at(model, loc)
    found: list[str] = []
    for member in _members(annotation):
        for info in member.model_fields.values():
            if get_origin(info.annotation) is not None and info.is_required():
                found.extend(str(choice) for choice in get_args(info.annotation) if isinstance(choice, str))
                break
    return found


def wrong_type(needed: str, value: Any, text: str, quoted: bool) -> tuple[str, str]:
    """Words for a value of another type than ``needed``."""
    if value is None and not text.strip("~").replace("null", "").strip():
        return f"nothing stands here; {needed} is needed.", "Write the value, or remove the key."
    if needed in ("a text", "a file name") and not isinstance(value, dict | list):
        return (
            f"{rules.short(text)} without quotes is read as {kind_of(value)}; {needed} is needed.",
            f'Put it in quotes: "{rules.short(text)}".',
        )
    if needed in ("a whole number", "a number") and quoted and re.fullmatch(r"\s*-?[0-9]+\s*", text):
        return (
            f'"{text}" in quotes is a text; {needed} is needed.',
            f"Write it without quotes: {text.strip()}.",
        )
    if needed == "yes or no" and quoted and text.lower() in ("yes", "no", "true", "false", "on", "off"):
        return (
            f'"{text}" in quotes is a text; yes or no is needed.',
            f"Write it without quotes: {text.lower()}.",
        )
    if needed == "a list" and isinstance(value, str):
        return (
            f'"{rules.short(text)}" is a text; a list is needed.',
            f"Write it as a list of one: [{rules.short(text)}].",
        )
    shown = "" if isinstance(value, dict | list) else f"{rules.short(text)} is "
    found = kind_of(value)
    return (
        f"{shown}{found}; {needed} is needed." if shown else f"here is {found}; {needed} is needed.",
        _REMEDIES.get(needed, ""),
    )


def _bounds(kind: str, context: Mapping[str, Any], text: str) -> tuple[str, str, str]:
    """Words for values that are too small, too large, too few or too many, and for what should never come."""
    match kind:
        case "greater_than_equal":
            return f"{text} is too small; at least {context['ge']} is needed.", "", "out-of-range"
        case "greater_than":
            return f"{text} is too small; more than {context['gt']} is needed.", "", "out-of-range"
        case "less_than_equal":
            return f"{text} is too large; at most {context['le']} is allowed.", "", "out-of-range"
        case "less_than":
            return f"{text} is too large; less than {context['lt']} is needed.", "", "out-of-range"
        case "multiple_of":
            return f"{text} is not a multiple of {context['multiple_of']}.", "", "out-of-range"
        case "too_short":
            least = context.get("min_length", 1)
            return f"at least {least} {'entry is' if least == 1 else 'entries are'} needed.", "", "too-few"
        case "too_long":
            return f"at most {context.get('max_length')} entries are allowed.", "", "too-many"
        case "string_too_short":
            return f"at least {context.get('min_length')} characters are needed.", "", "out-of-range"
        case "string_too_long":
            return f"at most {context.get('max_length')} characters are allowed.", "", "out-of-range"
        case _:
            return (
                f'"{text}" is not possible here.' if text else "this value is not possible here.",
                "Compare with the example files, or see `provision school add --help`.",
                "bad-value",
            )


# Walking through the models, to know which keys are allowed where.


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a block as they are written in the file."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [model for member in get_args(annotation) for model in _members(member)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return []


def _unwrap(annotation: Any) -> Any:
    """Without ``Annotated`` and without ``| None``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            rest = [member for member in get_args(annotation) if member is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation


def _annotation_at(model: type[BaseModel], loc: Loc) -> Any:
    """The annotation of the value at ``loc``, or None where the models know nothing of it."""
    annotation: Any = model
    for part in loc:
        annotation = _unwrap(annotation)
        origin = get_origin(annotation)
        if origin is dict:
            annotation = get_args(annotation)[1]
        elif origin in (tuple, list):
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = next(
                (
                    info.annotation
                    for name, info in annotation.model_fields.items()
                    if (info.alias or name) == part
                ),
                None,
            )
        else:
            # A union: pydantic puts the chosen member's tag here.
            annotation = next((member for member in _members(annotation) if part in _tags(member)), None)
        if annotation is None:
            return None
    return _unwrap(annotation)


def _tags(model: type[BaseModel]) -> set[object]:
    return {choice for info in model.model_fields.values() for choice in get_args(info.annotation)}


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model of the block at ``loc``, or None where there is none or several could be meant."""
    members = _members(_annotation_at(model, loc))
    return members[0] if len(members) == 1 else None
