"""What is to be typed has quotes that a shell and a settings file know."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import provision
from provision.audit import Person
from provision.errors import RefusedError

SOURCES = Path(provision.__file__).parent
#: A command or a word to be typed that stands in typographic quotes, or has one among its arguments.
TYPED = re.compile(
    r"[“«](?:provision|git|keyring|ssh|ssh-keygen|sudo|pip|apt|audit (?:status|witness|sync)|agent[”»]|origin:|id:)"
    r"|(?:git config|keyring set|--[a-z-]+) [^.;]{0,40}?[“”]"
)


def texts() -> Iterator[tuple[Path, int, str]]:
    """Each text of our sources with its file and line. Health speaks in three languages, each with its own quotes
    around a whole command."""
    for file in sorted(SOURCES.rglob("*.py")):
        if file.parent == SOURCES / "health" / "words":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
                yield file, node.lineno, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield file, node.lineno, node.value


def test_nothing_to_be_typed_has_typographic_quotes():
    assert [f"{file}:{line}: {text}" for file, line, text in texts() if TYPED.search(text)] == []


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("Mireia Ferrer <mferrer@vilanova.example>", True),
        ("Núria d'Ací", True),
        ("“Mireia", False),
        ("Ferrer” <mferrer@vilanova.example>", False),
        ('"Mireia Ferrer"', False),
        ("«Mireia»", False),
        ("root", False),
    ],
)
def test_a_person_is_named_without_quotation_marks(name, right):
    person = Person(name, "mferrer", "tic")
    if right:
        person.check_named()
        return
    with pytest.raises(RefusedError) as refused:
        person.check_named()
    assert 'git config --global user.name "Your Name"' in refused.value.remedy
