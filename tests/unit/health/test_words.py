"""What was measured is told in three languages, whoever measured it."""

import ast
import itertools
import re
import string
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import paths
from provision.health.result import LANGUAGES, MEASURED_LIMIT, Sentence
from provision.health.words.heard import HEARD, heard
from provision.health.words.seen import COUNTS, SEEN, ago, counted, cut, decimal, size, span
from provision.model.catalog import load_catalog
from provision.model.service import OwnProbe

CATALOG, _ = load_catalog([paths.ROLES])
SAID = {
    name: tuple(Sentence.of(text) for text in entry.definition.said)
    for name, entry in CATALOG.items()
    if any(isinstance(probe, OwnProbe) for probe in entry.definition.probes)
}
ALL = [
    *SEEN.values(),
    *HEARD,
    *(one for pair in COUNTS.values() for one in pair),
    *itertools.chain(*SAID.values()),
]


def places(text: str) -> set[str]:
    return {place for _, place, _, _ in string.Formatter().parse(text) if place}


@pytest.mark.parametrize("sentence", ALL, ids=lambda sentence: sentence.en[:50])
def test_each_sentence_is_there_in_all_languages_and_speaks_of_nothing_that_the_english_does_not_hold(
    sentence: Sentence,
) -> None:
    assert all(sentence.in_(lang).strip() for lang in LANGUAGES)
    assert places(sentence.ca) == places(sentence.es)
    assert places(sentence.ca) <= places(sentence.en)


@pytest.mark.parametrize(
    ("number", "what", "wanted"),
    [
        (1, "days", Sentence("1 dia", "1 día", "1 day")),
        (2, "days", Sentence("2 dies", "2 días", "2 days")),
        (0, "requests-wait", Sentence("0 peticions esperen", "0 peticiones esperan", "0 requests wait")),
        (1, "requests-wait", Sentence("1 petició espera", "1 petición espera", "1 request waits")),
        (1, "times", Sentence("1 cop", "1 vez", "1 time")),
    ],
)
def test_one_is_not_several(number: int, what: str, wanted: Sentence) -> None:
    assert counted(number, what) == wanted


def test_quantities_are_written_as_each_language_writes_them() -> None:
    assert decimal(0.25, 2) == Sentence("0,25", "0,25", "0.25")
    assert size(12.34 * 2**30) == Sentence("12,3 GiB", "12,3 GiB", "12.3 GiB")
    assert size(900) == Sentence.plain("900 B")
    assert span(3 * 86400) == Sentence("3 dies", "3 días", "3 days")
    assert (ago(7200), ago(None).ca) == (Sentence("fa 2 hores", "hace 2 horas", "2 hours ago"), "mai")
    assert cut(["a", "b", "c"], 2) == Sentence("a, b i 1 més", "a, b y 1 más", "a, b and 1 more")


@pytest.mark.parametrize(
    ("text", "ca"),
    [
        ("psql did not end within 3 s", "psql no ha acabat en 3 s"),
        ("no answer: [Errno 111] Connection refused", "no hi ha resposta: connexió refusada"),
        ("certificate: certificate has expired", "certificat: ha caducat"),
        ("active (running)", "en marxa (running)"),
        ("answers 404 instead of 200", "respon 404 i no 200"),
        ("createPad: no answer within 4 s", "createPad: sense resposta en 4 s"),
        ("they were made 3 hours ago", "fetes per última vegada: fa 3 hores"),
        ("they were made never", "fetes per última vegada: mai"),
        (
            "main (10.0.0.2, port 22) of escola-mar cannot be reached: timed out",
            "no es pot arribar a main (10.0.0.2, port 22; escola escola-mar): sense resposta a temps",
        ),
        ("FATAL:  la base de datos no existe", "FATAL: la base de datos no existe"),
        ("{seconds} {0} \\1", "{seconds} {0} \\1"),
    ],
)
def test_what_is_known_is_told_in_catalan_and_the_rest_as_it_was_said(text: str, ca: str) -> None:
    told = heard(text)
    assert told.ca == ca
    assert told.en == " ".join(text.split())


def test_a_service_knows_what_its_own_programs_say() -> None:
    assert (
        heard("a pad written, read and deleted in 0.42 s", SAID["etherpad"]).ca
        == "full escrit, llegit i esborrat en 0,42 s"
    )
    assert (
        heard("a file stored, read and deleted in 0.42 s (12 s ago)", SAID["nextcloud"]).es
        == "fichero guardado, leído y borrado en 0,42 s (hace 12 s)"
    )
    assert (
        heard("release 4.5.6 (Build: 20250811), its tasks were last begun: 30 s ago", SAID["moodle"]).ca
        == "versió 4.5.6 (Build: 20250811), les seves tasques van començar per última vegada: fa 30 s"
    )


@given(st.text(max_size=2000))
def test_whatever_a_server_says_the_english_is_its_text_and_all_are_bounded(text: str) -> None:
    told = heard(text, SAID["nextcloud"])
    assert len(told.en) <= MEASURED_LIMIT
    for lang in LANGUAGES:
        assert not set(told.in_(lang)) & {"\x1b", "\x9b", "\n", "\r", "\t", "\x07", "\u202e"}


@pytest.mark.parametrize(
    "part", ["no answer: ", "not allowed: ", "x: ", " (", " ago)", "; wrong: ", "certificate: "]
)
def test_no_text_takes_long_however_it_is_made(part: str) -> None:
    began = time.process_time()
    told = heard(part * 3000, SAID["jitsi"])
    assert time.process_time() - began < 0.2
    assert len(told.ca) < 10 * MEASURED_LIMIT


# What our own programs on a server say: found in their source, so that none of it is forgotten.


class Texts:
    """The texts that a program may put together, with 7 for whatever is only known when it runs."""

    def __init__(self, tree: ast.AST) -> None:
        self.names: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                self.names.setdefault(node.targets[0].id, []).extend(self.of(node.value))

    def of(self, node: ast.AST) -> list[str]:
        match node:
            case ast.Constant(value=str() as text):
                return [text]
            case ast.JoinedStr(values=parts):
                return self.joined(parts)
            case ast.FormattedValue(value=value):
                return self.of(value) or ["7"]
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return ["".join(pair) for pair in itertools.product(self.of(left), self.of(right))]
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.of(body), *self.of(orelse)]
            case ast.BoolOp(values=values):
                return [text for value in values for text in self.of(value) if text]
            case ast.Name(id=name):
                return self.names.get(name, [])
        return []

    def joined(self, parts: list[ast.expr]) -> list[str]:
        return ["".join(some) for some in itertools.product(*(self.of(part) for part in parts))]


def spoken(program: Path, calls: tuple[str, ...]) -> Iterator[str]:
    """What a program gives to these calls as its last text, or as an ``error`` or ``reason``."""
    tree = ast.parse(program.read_text(encoding="utf-8"))
    texts = Texts(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[*_, _] as arguments) if name in calls:
                where = 0 if len(arguments) == 1 else 1
                yield from texts.of(arguments[where])
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in ("error", "reason"):
                        yield from texts.of(value)


#: The same in every language, or words of another program that follow a colon.
_NO_WORDS = re.compile(r"[\w.]*(: 7|/7)?\Z|API 7, BigBlueButton 7\Z|7: 7: 7\Z|7 7\Z")


def untold(texts: Iterator[str], said: tuple[Sentence, ...] = ()) -> list[str]:
    shown = {" ".join(text.split()) for text in texts}
    return sorted(text for text in shown if not _NO_WORDS.match(text) and heard(text, said).ca == text)


def programs_of(service: str) -> list[Path]:
    """The programs that a service asks itself with, and what they share with others of their role."""
    names = {probe.program for probe in CATALOG[service].definition.probes if isinstance(probe, OwnProbe)}
    files = [file for file in paths.ROLES.glob("*/files/*") if file.name in names]
    assert len(files) == len(names)
    return [*files, *(shared for file in files for shared in file.parent.glob("provision_*.py"))]


@pytest.mark.parametrize("service", SAID)
def test_all_that_a_services_own_programs_word_is_told_in_catalan(service: str) -> None:
    texts = [
        text for file in programs_of(service) for text in spoken(file, ("said", "FaultError", "SilentError"))
    ]
    assert len(texts) > 3
    assert untold(iter(texts), SAID[service]) == []


def test_all_that_the_probe_itself_words_is_told_in_catalan() -> None:
    files = paths.ROLES / "base" / "files"
    programs = [files / "provision-probe", *sorted((files / "provision_probe").glob("*.py"))]
    texts = [text for file in programs for text in spoken(file, ("UnanswerableError", "LateError"))]
    assert len(texts) > 15
    assert untold(iter(texts)) == []


@pytest.mark.parametrize("service", SAID)
def test_a_sentence_of_a_service_is_one_that_its_programs_say(service: str) -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in programs_of(service))
    for sentence in SAID[service]:
        words = [part.strip(" :;,(){}") for part in re.split(r"\{[a-z]+\}", sentence.en)]
        missing = [
            part
            for part in words
            if part and not re.fullmatch(r"[\d]+|not-authorized", part) and part not in text
        ]
        assert missing == [], sentence.en
