"""What pydantic finds reaches people in our words, all of it."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import core_schema

from provision.model.document import parse_document
from provision.model.municipality import AcmeTls, Municipality, ProvidedTls
from provision.model.school import Host, School, ServiceUse
from provision.model.service import ServiceDefinition
from provision.model.shapes import annotation_at, choices_at, keys_of, model_at, rules_of
from provision.model.wording import FORMS, OTHER_NAMES, Finding, Vocabulary, describe, listed

DOCUMENT = parse_document(Path("school.yml"), b"schema: 1\nname: Escola\nhosts:\n  main:\n    port: 99999\n")
FOREIGN = re.compile(
    r"input should|pydantic|valid (string|integer|dict|list)|\btype=|\b(str|int|dict|none)\b|tuple|validation"
)


#: What pydantic may say besides, for whichever error.
CONTEXT = {
    "expected": "'ca', 'es' or 'en'",
    "expected_tags": "'acme', 'provided'",
    "tag": "x",
    "discriminator": "'mode'",
    "pattern": "^x$",
    "ge": 1,
    "gt": 1,
    "le": 1,
    "lt": 1,
    "multiple_of": 2,
    "min_length": 1,
    "max_length": 1,
    "message": "No.",
    "remedy": "",
    "code": "x",
}


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
@pytest.mark.parametrize("loc", [("name",), ("hosts", "main", "port"), ("nowhere", 3)], ids=str)
def test_every_error_that_pydantic_knows_has_our_words(kind: str, loc: tuple[str | int, ...]) -> None:
    for value in ("x", 5, None, [], {}, True):
        for context in (CONTEXT, {}):
            problem = describe(Finding(kind, loc, context, value, DOCUMENT, School, Vocabulary()))
            assert problem.message
            assert not FOREIGN.search(f"{problem.message} {problem.remedy}".lower()), problem
            assert 1 <= problem.line <= 5


def test_an_error_of_the_whole_file_is_described_without_a_name() -> None:
    problem = describe(Finding("model_type", (), {}, [], DOCUMENT, School, Vocabulary()))
    assert problem.message == "Here is a list; a block of keys is needed."


def patterns(part: Any) -> set[str]:
    """Every pattern in pydantic's own schema of a model."""
    if isinstance(part, dict):
        own = {str(part["pattern"])} if part.get("type") == "str" and "pattern" in part else set()
        return own.union(*(patterns(value) for value in part.values()))
    if isinstance(part, list | tuple):
        return set().union(*(patterns(value) for value in part))
    return set()


@pytest.mark.parametrize("model", [School, Municipality, ServiceDefinition])
def test_every_pattern_has_words(model: type[BaseModel]) -> None:
    found = patterns(model.__pydantic_core_schema__)
    assert found
    assert found <= set(FORMS), f"without words: {found - set(FORMS)}"


@pytest.mark.parametrize("pattern", FORMS)
def test_the_example_of_a_form_has_that_form(pattern: str) -> None:
    example = FORMS[pattern].example
    assert not example or re.match(pattern, example)


def test_other_names_lead_to_keys_that_exist_and_are_no_keys_themselves() -> None:
    for model, names in OTHER_NAMES.items():
        for theirs, ours in names.items():
            assert ours in keys_of(model), (model, ours)
            assert theirs not in keys_of(model), (model, theirs)


def test_the_models_can_be_walked() -> None:
    assert model_at(School, ("hosts", "main")) is Host
    assert model_at(School, ("services", "wiki")) is ServiceUse
    assert model_at(School, ("tls", "acme")) is AcmeTls
    assert model_at(Municipality, ("tls", "provided")) is ProvidedTls
    assert model_at(School, ("tls",)) is None
    assert model_at(School, ("nothing", "at", "all")) is None
    assert choices_at(School, ("tls",)) == ["acme", "provided", "internal"]
    assert annotation_at(School, ("hosts", "x", "port")) is int
    assert [rule.__name__ for rule in rules_of(annotation_at(School, ("locale",), whole=True))] == [
        "locale_name"
    ]


def test_lists_are_said_as_people_say_them() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"
    assert listed(["a", "b"], "and") == "a and b"
