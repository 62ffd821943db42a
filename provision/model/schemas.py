"""JSON Schemas of the workspace's files, so that editors complete them and mark mistakes while typing.

``python -m provision.model.schemas`` writes the published copies anew (``provision/model/schema/``). A
workspace gets its own from ``provision init`` and ``provision school add``, with its own services too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from provision import paths
from provision.files import write_atomically
from provision.model.catalog import ServiceEntry, load_catalog
from provision.model.municipality import Municipality
from provision.model.school import School, ServiceUse
from provision.model.service import ServiceDefinition
from provision.model.settings import description_of, option_of, range_of

#: Where the published copies are.
PUBLISHED = Path(__file__).parent / "schema"
#: The directory of a workspace's own copies.
WORKSPACE_DIR = ".schema"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES: Mapping[str, str] = {
    "str": "string",
    "path": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}


def municipality_schema() -> dict[str, Any]:
    """The schema of ``municipality.yml``."""
    return _finished(Municipality, "municipality.yml: what holds for all schools")


def service_schema() -> dict[str, Any]:
    """The schema of a role's ``service.yml``."""
    return _finished(ServiceDefinition, "service.yml: what a service tells the tool about itself")


def school_schema(catalog: Mapping[str, ServiceEntry]) -> dict[str, Any]:
    """The schema of a school file, with each service of the catalog and its settings.

    Args:
        catalog: the services by id.
    """
    schema = _finished(School, "schools/<id>.yml: one school")
    schema["properties"]["services"] = {
        "type": "object",
        "description": "The services, switched on.",
        "additionalProperties": False,
        "properties": {name: _service_use(entry) for name, entry in sorted(catalog.items())},
    }
    schema["$defs"].pop(ServiceUse.__name__, None)
    return schema


def _finished(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema: dict[str, Any] = _without_null(model.model_json_schema(by_alias=True))
    schema.pop("title", None)
    return {"$schema": _DIALECT, "title": title, **schema}


def _without_null(part: Any) -> Any:
    """A schema without ``null`` and without titles that pydantic makes of names: both confuse completion."""
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    made = {
        key: (
            {name: _without_null(inner) for name, inner in value.items()}
            if key in ("properties", "$defs")
            else _without_null(value)
        )
        for key, value in part.items()
        if key != "title" and not (key == "default" and value is None)
    }
    choices = made.get("anyOf")
    if choices and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del made["anyOf"]
        made = {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **made}
    return made


def _service_use(entry: ServiceEntry) -> dict[str, Any]:
    schema: dict[str, Any] = _without_null(ServiceUse.model_json_schema(by_alias=True))
    properties = schema["properties"]
    properties["version"] = {
        "description": properties["version"]["description"],
        # The list is for completion; releases of a newer tool are not marked as mistakes.
        "anyOf": [
            {"enum": [release.version for release in entry.definition.releases]},
            {"type": "string", "pattern": properties["version"]["pattern"]},
        ],
    }
    properties["settings"] = {
        "type": "object",
        "description": properties["settings"]["description"],
        "additionalProperties": False,
        "properties": {
            name: _setting(option_of(entry, name), default)
            for name, default in sorted(entry.settings.items())
        },
    }
    return {
        "type": "object",
        "description": entry.definition.title.en,
        "additionalProperties": False,
        "required": schema["required"],
        "properties": properties,
    }


def _setting(option: Mapping[str, Any], default: Any = None) -> dict[str, Any]:
    """The schema of one setting, from the role's specification."""
    made: dict[str, Any] = {}
    wanted = str(option.get("type", "raw"))
    if wanted in _TYPES:
        made["type"] = _TYPES[wanted]
    if description := description_of(option):
        made["description"] = description
    if "choices" in option and wanted != "list":
        made["enum"] = option["choices"]
    least, most = range_of(option)
    if least is not None:
        made["minimum"] = int(least) if least.is_integer() else least
    if most is not None:
        made["maximum"] = int(most) if most.is_integer() else most
    inner = option.get("options")
    block: dict[str, Any] = {}
    if isinstance(inner, dict):
        block = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: _setting(value) for key, value in inner.items()},
            "required": sorted(key for key, value in inner.items() if value.get("required")),
        }
    if wanted == "list":
        made["items"] = block or _setting(
            {
                "type": option.get("elements", "raw"),
                **({"choices": option["choices"]} if "choices" in option else {}),
            }
        )
    elif wanted == "dict":
        made.update(block)
    if default is not None:
        made["default"] = default
    return made


def write_schemas(
    directory: Path, catalog: Mapping[str, ServiceEntry], *, services: bool = False
) -> list[Path]:
    """Write the schemas, as far as they differ from what is there.

    Args:
        directory: made when it is missing.
        catalog: the services that school files may name.
        services: write the schema of ``service.yml`` too.

    Returns:
        The files that were written.

    Raises:
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    schemas = {"school": school_schema(catalog), "municipality": municipality_schema()}
    if services:
        schemas["service"] = service_schema()
    written = []
    for name, schema in schemas.items():
        file = directory / f"{name}.schema.json"
        content = f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n".encode()
        if not file.exists() or file.read_bytes() != content:
            write_atomically(file, content)
            written.append(file)
    return written


def shipped_catalog() -> dict[str, ServiceEntry]:
    """The services that come with the tool."""
    return load_catalog([paths.ROLES])[0]


if __name__ == "__main__":
    write_schemas(PUBLISHED, shipped_catalog(), services=True)
