"""The JSON Schemas that editors use agree with what the loader accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from provision import paths
from provision.model.catalog import load_catalog
from provision.model.schemas import (
    PUBLISHED,
    municipality_schema,
    school_schema,
    service_schema,
    shipped_catalog,
    write_schemas,
)

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
CATALOG = load_catalog([FIXTURES / "roles"])[0]
EXAMPLE = paths.ROOT / "inventories" / "example"


def complaints(schema: dict[str, Any], file: Path) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    return [
        error.message for error in validator.iter_errors(yaml.safe_load(file.read_text(encoding="utf-8")))
    ]


def test_the_published_schemas_are_up_to_date(tmp_path: Path) -> None:
    write_schemas(tmp_path, shipped_catalog(), services=True)
    for file in sorted(tmp_path.iterdir()):
        published = PUBLISHED / file.name
        assert published.read_text() == file.read_text(), "run: python -m provision.model.schemas"
    assert {file.name for file in PUBLISHED.iterdir()} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("workspace", [paths.DEMO_INVENTORY, EXAMPLE], ids=lambda path: path.name)
def test_the_shipped_files_agree_with_the_published_schemas(workspace: Path) -> None:
    school = json.loads((PUBLISHED / "school.schema.json").read_text())
    assert (
        complaints(
            json.loads((PUBLISHED / "municipality.schema.json").read_text()), workspace / "municipality.yml"
        )
        == []
    )
    files = sorted((workspace / "schools").glob("*.yml"))
    assert files
    for file in files:
        assert complaints(school, file) == []


def test_every_shipped_service_agrees_with_the_published_schema() -> None:
    schema = json.loads((PUBLISHED / "service.schema.json").read_text())
    files = [*paths.ROLES.glob("*/service.yml"), *(FIXTURES / "roles").glob("*/service.yml")]
    assert len(files) > 4
    for file in files:
        assert complaints(schema, file) == [], file


@pytest.mark.parametrize(
    "name",
    [
        "unknown-key",
        "renamed-key",
        "misplaced-key",
        "missing-fields",
        "wrong-types",
        "unquoted",
        "bad-names",
        "out-of-range",
        "bad-hostnames",
        "no-hosts",
        "unknown-service",
        "unknown-settings",
        "wrong-settings",
        "settings-out-of-range",
        "tls-without-mode",
        "tls-wrong-mode",
        "wrong-schema",
        "almost-locale",
    ],
)
def test_an_editor_marks_what_the_loader_refuses(name: str) -> None:
    assert complaints(school_schema(CATALOG), FIXTURES / "bad_schools" / f"{name}.yml")


def test_an_editor_marks_a_wrong_municipality_and_a_wrong_service() -> None:
    for name in ("unknown-key", "missing-fields", "bad-values", "no-languages", "operators"):
        assert complaints(municipality_schema(), FIXTURES / "bad_municipalities" / f"{name}.yml"), name
    for name in ("unknown-key", "wrong-source"):
        assert complaints(service_schema(), FIXTURES / "bad_services" / f"{name}.yml"), name


def test_editors_complete_services_settings_and_releases() -> None:
    services = school_schema(CATALOG)["properties"]["services"]["properties"]
    assert sorted(services) == ["calendar", "chat", "video", "wiki"]
    wiki = services["wiki"]["properties"]
    assert wiki["version"]["anyOf"][0]["enum"] == ["3.10", "3.9", "4.0"]
    upload = wiki["settings"]["properties"]["max_upload_mb"]
    assert upload == {
        "type": "integer",
        "description": "Largest file in MiB (1 to 200).",
        "minimum": 1,
        "maximum": 200,
        "default": 10,
    }
    assert wiki["settings"]["properties"]["theme"]["enum"] == ["plain", "dark"]
    assert wiki["settings"]["properties"]["languages"]["items"] == {
        "type": "string",
        "enum": ["ca", "es", "en"],
    }
    assert wiki["settings"]["properties"]["editors"]["items"]["required"] == ["login"]
    assert "token" not in wiki["settings"]["properties"]


def test_every_key_that_people_write_has_a_description() -> None:
    for schema in (school_schema(CATALOG), municipality_schema()):
        blocks = [schema, *schema["$defs"].values()]
        for block in blocks:
            for key, value in block.get("properties", {}).items():
                assert value.get("description") or key == "mode", (block.get("description"), key)


def test_a_schema_is_written_again_only_when_it_changed(tmp_path: Path) -> None:
    assert len(write_schemas(tmp_path, CATALOG)) == 2
    assert write_schemas(tmp_path, CATALOG) == []
    assert write_schemas(tmp_path, {}) == [tmp_path / "school.schema.json"]
