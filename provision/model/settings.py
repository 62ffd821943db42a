"""Checks a school's ``settings`` of a service against the role's ``argument_specs``.

A range is declared in the description of the option, by the words "(A to B)", "from A to B", "at least A" or
"at most B": an argument specification of Ansible has no other place for it. So is a text that must be an address, by
the words "(an IP address)".
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Any

from provision.errors import Problem
from provision.model import rules
from provision.model.catalog import ServiceEntry
from provision.model.document import Document, Loc
from provision.model.wording import listed, wrong_type

_RANGE = re.compile(r"(?:\bfrom |\()(-?\d+(?:\.\d+)?) to (-?\d+(?:\.\d+)?)\b", re.IGNORECASE)
_LEAST = re.compile(r"\bat least (-?\d+(?:\.\d+)?)\b", re.IGNORECASE)
_MOST = re.compile(r"\bat most (-?\d+(?:\.\d+)?)\b", re.IGNORECASE)

# Ansible's marks for code, options and the like (ansible-doc: "Ansible markup"), such as C(None).
_MARKUP = re.compile(r"\b[BCEILOPRUV]\(([^()]*)\)")

_ADDRESS = "(an IP address)"

_WORDS: Mapping[str, str] = {
    "str": "a text",
    "path": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "list": "a list",
    "dict": "a block of keys",
}


def option_of(entry: ServiceEntry, setting: str) -> dict[str, Any]:
    """The specification of a setting; where the role has none, its type is that of the default."""
    option = dict(entry.options.get(f"{entry.definition.id}_{setting}", {}))
    option.setdefault("default", entry.settings.get(setting))
    if "type" not in option:
        # A default of nothing says nothing about the type.
        option["type"] = {
            bool: "bool",
            int: "int",
            float: "float",
            list: "list",
            dict: "dict",
            str: "str",
        }.get(type(entry.settings.get(setting)), "raw")
    return option


def description_of(option: Mapping[str, Any]) -> str:
    """The description as one plain text; Ansible allows a list of paragraphs, and marks in them."""
    description = option.get("description", "")
    lines = description if isinstance(description, list) else [description]
    return _MARKUP.sub(r"\1", " ".join(str(line).strip() for line in lines if line))


def range_of(option: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Smallest and largest value, where the description names them."""
    if option.get("type") not in ("int", "float"):
        return None, None
    text = description_of(option)
    if found := _RANGE.search(text):
        return float(found[1]), float(found[2])
    least, most = _LEAST.search(text), _MOST.search(text)
    return (float(least[1]) if least else None), (float(most[1]) if most else None)


def check_settings(
    entry: ServiceEntry, settings: Mapping[str, Any], document: Document, loc: Loc
) -> list[Problem]:
    """What is wrong with a school's settings of a service.

    Args:
        entry: the service.
        settings: what the school wrote.
        document: the school file.
        loc: where the settings stand in it.
    """
    found: list[Problem] = []
    for setting, value in settings.items():
        here = (*loc, setting)
        if setting in entry.settings:
            found += _check_value(setting, value, option_of(entry, setting), document, here)
        else:
            found.append(_unknown(entry, setting, document, here))
    return found


def _unknown(entry: ServiceEntry, setting: str, document: Document, loc: Loc) -> Problem:
    service, known = entry.definition.id, sorted(entry.settings)
    new_name = entry.former_settings.get(setting)
    if new_name:
        return document.problem(
            loc,
            f'The setting "{setting}" of {service} was renamed to "{new_name}".',
            f'Write "{new_name}" instead.',
            code="renamed-setting",
            key=True,
        )
    allowed = f"Allowed: {listed(known)}." if known else "It has no settings."
    remedy = rules.did_you_mean(setting, known)
    if setting.startswith(f"{service}_") and setting.removeprefix(f"{service}_") in known:
        remedy = f'Leave the service\'s name out: "{setting.removeprefix(f"{service}_")}".'
    elif setting in ("hostname", "version", "host"):
        remedy = f'"{setting}" stands one level up, beside "settings".'
    elif entry.options.get(f"{service}_{setting}", {}).get("no_log") or any(
        secret.name in (setting, f"{service}_{setting}") for secret in entry.definition.secrets
    ):
        remedy = "This is a secret. It is generated and kept in the vault: see `provision secrets --help`."
    return document.problem(
        loc,
        f'The service {service} has no setting "{setting}". {allowed}',
        remedy,
        code="unknown-setting",
        key=True,
    )


def _check_value(
    setting: str, value: Any, option: Mapping[str, Any], document: Document, loc: Loc
) -> list[Problem]:
    if value is None and option.get("default", ...) is None:
        # Nothing is the default, so nothing may be written.
        return []
    wanted = str(option.get("type", "raw"))
    if not _is_of(value, wanted):
        return [_wrong_type(setting, value, wanted, document, loc)]
    if wanted == "list":
        items = {
            "type": option.get("elements", "raw"),
            **{k: option[k] for k in ("options", "choices") if k in option},
        }
        problems: list[Problem] = []
        for index, item in enumerate(value):
            problems += _check_value(f"{setting}, entry {index + 1}", item, items, document, (*loc, index))
        return problems
    if wanted == "dict" and isinstance(option.get("options"), dict):
        return _check_dict(setting, value, option["options"], document, loc)
    problem = _check_choice(setting, option, document, loc, value)
    return [problem] if problem else []


def _check_choice(
    setting: str, option: Mapping[str, Any], document: Document, loc: Loc, value: Any
) -> Problem | None:
    """Whether a simple value is among the choices and within the range."""
    choices = option.get("choices")
    if isinstance(choices, list) and value not in choices:
        written = document.nearest(loc)[1].text
        return document.problem(
            loc,
            f'{setting}: "{rules.short(written)}" is not possible. Allowed: {listed(choices)}.',
            rules.did_you_mean(written, [str(choice) for choice in choices]),
            code="wrong-choice",
        )
    if (
        value
        and option.get("type") == "str"
        and _ADDRESS in description_of(option)
        and not _is_address(value)
    ):
        return document.problem(
            loc,
            f'{setting}: "{rules.short(str(value))}" is no address of a computer.',
            "Write one IP address and nothing else, such as 203.0.113.7.",
            code="wrong-address",
        )
    least, most = range_of(option)
    limits = [f"at least {least:g}"] if least is not None else []
    limits += [f"at most {most:g}"] if most is not None else []
    if (least is not None and value < least) or (most is not None and value > most):
        message = f"{setting}: {value} is not possible. Allowed: {' and '.join(limits)}."
        return document.problem(loc, message, code="out-of-range")
    return None


def _is_address(text: str) -> bool:
    """One address of one computer: programs on servers have it in their settings as it stands."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    # What follows a "%" may be any text.
    return "%" not in text and not (address.is_unspecified or address.is_multicast or address.is_loopback)


def _check_dict(
    setting: str, value: Mapping[str, Any], options: Mapping[str, Any], document: Document, loc: Loc
) -> list[Problem]:
    """A setting that is a block, whose keys the role declares."""
    found: list[Problem] = []
    for key, item in value.items():
        if key in options:
            found += _check_value(f"{setting}, {key}", item, options[key] or {}, document, (*loc, key))
        else:
            found.append(
                document.problem(
                    (*loc, key),
                    f'{setting}: the key "{key}" is not known. Allowed: {listed(options)}.',
                    rules.did_you_mean(key, options),
                    code="unknown-key",
                    key=True,
                )
            )
    found += [
        document.problem(loc, f'{setting} has no "{key}".', "Add it.", code="missing-key", key=True)
        for key, option in options.items()
        if option.get("required") and key not in value and (*loc, key) not in document.broken
    ]
    return found


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "path": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}


def _is_of(value: Any, wanted: str) -> bool:
    """Whether a value is of a type of Ansible's; ``raw`` takes everything but nothing and dates."""
    if isinstance(value, bool) and wanted in ("int", "float"):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, _KINDS.get(wanted, (str, int, float, list, dict)))


def _wrong_type(setting: str, value: Any, wanted: str, document: Document, loc: Loc) -> Problem:
    place = document.nearest(loc)[1]
    message, remedy = wrong_type(_WORDS.get(wanted, "another value"), value, place.text, place.quoted)
    return document.problem(loc, f"{setting}: {message}", remedy, code="wrong-type")
