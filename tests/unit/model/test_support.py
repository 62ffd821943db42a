"""``support/<id>.yml``: who may see how a school's servers are, as it stands in the workspace."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from provision.errors import Problem
from provision.model import Workspace
from provision.model.support import SupportPerson, write_support

Write = Callable[[str, object], Path]
Problems = Callable[[], list[Problem]]
Load = Callable[[], Workspace]


def public(kind: str) -> str:
    """A fresh public key."""
    make: dict[str, Callable[[], Any]] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    }
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return str(make[kind]().public_key().public_bytes(*form).decode())


def support(*people: dict[str, str], **more: object) -> dict[str, object]:
    return {"schema": 1, "people": list(people), **more}


def codes(problems: list[Problem]) -> list[str]:
    return [problem.code for problem in problems]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa-3072"])
def test_people_of_the_support_belong_to_their_school(kind: str, write: Write, load: Load) -> None:
    key = public(kind)
    write("support/escola-pi.yml", support({"name": "Laia Puig", "key": f"{key} laia@portàtil"}))
    (person,) = load().school("escola-pi").support
    assert (person.name, person.key) == ("Laia Puig", key)


def test_a_school_without_a_file_has_nobody(load: Load) -> None:
    assert load().school("escola-pi").support == ()


def test_what_is_written_is_what_is_read(place: Path, load: Load) -> None:
    people = (
        SupportPerson(name="Núria: «la tècnica»", key=public("ed25519")),
        SupportPerson(name="# 1", key=public("ecdsa")),
    )
    file = write_support(place, "escola-pi", people)
    assert load().school("escola-pi").support == people
    assert file.read_text(encoding="utf-8").startswith("# Who may see")
    write_support(place, "escola-pi", ())
    assert load().school("escola-pi").support == ()


def test_a_short_rsa_key_that_operators_may_have_is_too_short_here(write: Write, problems: Problems) -> None:
    write("support/escola-pi.yml", support({"name": "Pau", "key": public("rsa-2048")}))
    (problem,) = problems()
    assert problem.code == "weak-ssh-key"
    assert "3072" in problem.message


def test_a_file_of_no_school_is_told_with_the_school_that_was_meant(write: Write, problems: Problems) -> None:
    write("support/escola-ppi.yml", support())
    (problem,) = problems()
    assert (problem.code, problem.remedy) == ("unknown-school", 'Did you mean "escola-pi"?')


def test_a_name_and_a_key_stand_once(write: Write, problems: Problems) -> None:
    key = public("ed25519")
    twice = support({"name": "Pau", "key": key}, {"name": "PAU", "key": f"{key} other remark"})
    write("support/escola-pi.yml", twice)
    assert codes(problems()) == ["duplicate-key", "duplicate-name"]


def test_mistakes_of_form_are_told_at_their_line(write: Write, problems: Problems) -> None:
    write("support/escola-pi.yml", "schema: 1\npeople:\n- nom: Pau\n  key: ssh-ed25519\n")
    found = problems()
    assert {(problem.code, problem.line) for problem in found} >= {("bad-ssh-key", 4)}
    assert {problem.line for problem in found} == {3, 4}


def test_a_template_in_a_name_never_reaches_ansible(write: Write, problems: Problems) -> None:
    write("support/escola-pi.yml", support({"name": "{{ lookup('pipe', 'id') }}", "key": public("ed25519")}))
    assert "template" in codes(problems())


def test_other_files_beside_are_left_alone(write: Write, problems: Problems) -> None:
    for name in ("README.md", ".escola-pi.yml.swp"):
        write(f"support/{name}", "{{ nonsense")
    assert problems() == []
    write("support/escola-pi.yaml", support())
    assert codes(problems()) == ["bad-id"]
