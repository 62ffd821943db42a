"""Every role keeps the contract of the design, as far as files can show it."""

from pathlib import Path

import pytest
import yaml

from provision import paths
from tests.unit.engine import role_docs

ROLES = sorted(directory for directory in paths.ROLES.iterdir() if (directory / "tasks").is_dir())


@pytest.fixture(params=ROLES, ids=[role.name for role in ROLES])
def role(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_there_are_roles() -> None:
    assert {"base", "firewall", "nginx", "tls", "postgresql", "etherpad"} <= {role.name for role in ROLES}


def test_the_readme_has_the_table_of_the_roles_present_variables(role: Path) -> None:
    assert role_docs.readme(role) == (role / "README.md").read_text(encoding="utf-8"), (
        f"python -m tests.unit.engine.role_docs roles/{role.name}"
    )


def test_every_default_is_specified_and_commented(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    options = {name for spec in specs.values() for name in spec.get("options") or {}}
    text = (role / "defaults" / "main.yml").read_text() if (role / "defaults" / "main.yml").exists() else ""
    lines = text.splitlines()
    for name in yaml.safe_load(text) or {}:
        assert name in options, f"{name} is not in argument_specs"
        place = next(number for number, line in enumerate(lines) if line.startswith(f"{name}:"))
        assert lines[place - 1].startswith("#"), f"{name} has no comment"


def test_the_role_has_molecule_and_testinfra_tests(role: Path) -> None:
    assert (role / "molecule" / "default" / "converge.yml").is_file()
    assert (role / "verify" / f"test_{role.name}.py").is_file()


def test_every_variable_of_the_role_carries_its_name(role: Path) -> None:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    names = {name for spec in specs.values() for name in spec.get("options") or {}}
    assert {name for name in names if not name.startswith((f"{role.name}_", "provision_"))} == set()


def test_the_table_shows_types_choices_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "defaults").mkdir()
    spec = {
        "main": {
            "options": {"x_mode": {"type": "str", "choices": ["a", "b"], "description": ["One.", "Two."]}}
        }
    }
    (tmp_path / "meta" / "argument_specs.yml").write_text(yaml.safe_dump({"argument_specs": spec}))
    (tmp_path / "defaults" / "main.yml").write_text("x_mode: a\n")
    assert "| `x_mode` | str: `a`, `b` | `a` | One. Two. |" in role_docs.table(tmp_path)
