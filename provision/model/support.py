"""``support/<id>.yml``: who may see how a school's servers are, and nothing else.

``provision health grant`` and ``revoke`` write these files; that they are files of their own keeps every remark of a
person's in the school file.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, WithJsonSchema

from provision.errors import Problem
from provision.files import write_atomically
from provision.model import rules
from provision.model.document import Document
from provision.model.service import Line, Strict

SUPPORT_DIR = "support"
_HEADER = """\
# Who may see how the servers of this school are, and nothing else. Written by `provision health grant` and `revoke`;
# what is changed here by hand comes to the servers with the next `provision apply`.
"""

SupportKey = Annotated[
    str,
    AfterValidator(rules.support_key),
    WithJsonSchema({"type": "string", "pattern": r"^(ssh|ecdsa|sk)-\S+\s+[A-Za-z0-9+/]+=*(\s.*)?$"}),
]


class SupportPerson(Strict):
    """Somebody who may ask the servers how they are, with this key."""

    name: Annotated[Line, Field(description="The person's name.")]
    key: Annotated[SupportKey, Field(description="Public SSH key: the line of the .pub file.")]


class Support(Strict):
    """One support file. The school's id is the file's name without ``.yml``."""

    format: Annotated[Literal[1], Field(alias="schema", description="Version of this file's format.")]
    people: Annotated[tuple[SupportPerson, ...], Field(description="Who may ask, each with a key.")] = ()


def support_file(workspace: Path, school: str) -> Path:
    """Where a school's support people are listed."""
    return workspace / SUPPORT_DIR / f"{school}.yml"


def write_support(workspace: Path, school: str, people: tuple[SupportPerson, ...]) -> Path:
    """Write a school's support file; gives its path.

    Raises:
        OSError: the disk is full, ...
    """
    file = support_file(workspace, school)
    file.parent.mkdir(exist_ok=True)
    data = {"schema": 1, "people": [person.model_dump() for person in people]}
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=2000)
    write_atomically(file, f"{_HEADER}{text}".encode())
    return file


def check_support(document: Document, support: Support, schools: AbstractSet[str]) -> Iterator[Problem]:
    """What is wrong with a file beyond its form: nobody's school, or a name or key that is there twice."""
    school = document.path.stem
    if document.path.suffix != ".yml":
        yield document.problem(
            (),
            f'Support files end in ".yml", this one in "{document.path.suffix}".',
            f'Rename it to "{school}.yml".',
            code="bad-id",
        )
    if school not in schools:
        yield document.problem(
            (),
            f'There is no school "{school}".',
            rules.did_you_mean(school, schools) or "Remove the file, or rename it after its school.",
            code="unknown-school",
        )
    seen: dict[tuple[str, str], int] = {}
    for index, person in enumerate(support.people):
        for what, value in (("name", person.name), ("key", person.key)):
            loc = ("people", index, what)
            # Names are looked for without regard to capitals.
            value = value.casefold() if what == "name" else value  # noqa: PLW2901
            if (what, value) in seen:
                yield document.problem(
                    loc,
                    f"This {what} is here a second time; the first is on line {seen[what, value]}.",
                    "Each key once; who has several gives each a name, such as “Laia Puig, portable”.",
                    code=f"duplicate-{what}",
                )
            seen.setdefault((what, value), document.line_of(loc))
