"""What services say of themselves: each program and the sentences of its service.yml speak of the same faults."""

import re

import pytest

from provision import paths
from provision.health.judging.services import own_words
from provision.health.result import LANGUAGES
from provision.model.catalog import load_catalog
from provision.model.service import OwnProbe

CATALOG, _ = load_catalog([paths.ROLES])
PROBES = [
    (name, probe)
    for name, entry in CATALOG.items()
    for probe in entry.definition.probes
    if isinstance(probe, OwnProbe)
]
#: Where what the probe says in general fits.
GENERAL = {"", "refused", "settings", "checks"}
CODE = re.compile(r'FaultError\(\s*"([a-z]+)"|said\((?:[^()]|\([^()]*\))*, "([a-z]+)"\)|\d: "([a-z]+)"')


def text_of(program: str) -> str:
    """A program's text; a service may have one of a role that it needs."""
    (file,) = paths.ROLES.glob(f"*/files/{program}")
    return file.read_text(encoding="utf-8")


def test_each_of_our_services_says_of_itself_whether_it_works() -> None:
    assert {name for name, _ in PROBES} == set(CATALOG)


def test_no_question_has_the_name_of_another_one_of_the_same_service() -> None:
    for entry in CATALOG.values():
        names = [probe.id for probe in entry.definition.probes]
        assert len(set(names)) == len(names), entry.definition.id


@pytest.mark.parametrize(
    ("service", "probe"), PROBES, ids=lambda one: one if isinstance(one, str) else one.id
)
def test_a_program_knows_its_question_and_gives_the_codes_that_have_sentences(
    service: str, probe: OwnProbe
) -> None:
    text = text_of(probe.program)
    assert f'"{probe.id}": ' in text
    # provision-probe itself says that a program hangs.
    assert [code for code in probe.faults if f'"{code}"' not in text and code != "late"] == []


@pytest.mark.parametrize("program", sorted({probe.program for _, probe in PROBES}))
def test_every_code_that_a_program_gives_has_its_sentences(program: str) -> None:
    probes = [probe for _, probe in PROBES if probe.program == program]
    given = {code for found in CODE.findall(text_of(program)) for code in found if code}
    assert given
    assert given - {code for probe in probes for code in probe.faults} <= GENERAL


@pytest.mark.parametrize(
    ("service", "probe"), PROBES, ids=lambda one: one if isinstance(one, str) else one.id
)
def test_its_sentences_speak_of_the_same_things_in_all_languages(service: str, probe: OwnProbe) -> None:
    for code in ("", *probe.faults):
        for sentence in own_words(probe.advice(code)):
            places = [set(re.findall(r"\{(\w+)\}", sentence.in_(lang))) for lang in LANGUAGES]
            assert places[0] == places[1] == places[2], (service, code)
            assert len({sentence.in_(lang) for lang in LANGUAGES}) == 3, (service, code)
