"""Generates the table of variables in a role's README from ``meta/argument_specs.yml`` and ``defaults/main.yml``.

``python -m tests.unit.engine.role_docs roles/etherpad ...`` rewrites what stands between the two marks.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

START = "<!-- variables -->"
END = "<!-- /variables -->"


def table(role: Path) -> str:
    """The Markdown tables of a role's variables, one for each entry point.

    Args:
        role: the role's directory.
    """
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))[
        "argument_specs"
    ]
    defaults_file = role / "defaults" / "main.yml"
    defaults = (
        yaml.safe_load(defaults_file.read_text(encoding="utf-8")) if defaults_file.exists() else None
    ) or {}
    parts: list[str] = []
    for entry, spec in specs.items():
        options: dict[str, Any] = spec.get("options") or {}
        if len(specs) > 1:
            parts.append(f"### `{entry}`: {_words(spec.get('short_description', ''))}\n")
        if not options:
            parts.append("No variables.\n")
            continue
        parts.append("| variable | type | default | meaning |\n| --- | --- | --- | --- |")
        for name, option in options.items():
            words = _words(option.get("description", ""))
            parts.append(f"| `{name}` | {_type(option)} | {_default(name, option, defaults)} | {words} |")
        parts.append("")
    return "\n".join(parts)


def _type(option: dict[str, Any]) -> str:
    text = str(option.get("type", "str"))
    if option.get("elements"):
        text += f" of {option['elements']}"
    if option.get("choices"):
        text += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
    return text


def _default(name: str, option: dict[str, Any], defaults: dict[str, Any]) -> str:
    if name in defaults:
        value = (
            yaml.safe_dump(defaults[name], default_flow_style=True, allow_unicode=True, width=1000)
            .strip()
            .removesuffix("\n...")
            .strip()
        )
        return f"`{value}`".replace("|", "\\|")
    return "required" if option.get("required") else ""


def _words(description: str | list[str]) -> str:
    text = description if isinstance(description, str) else " ".join(description)
    return " ".join(text.split()).replace("|", "\\|")


def readme(role: Path) -> str:
    """The role's whole README with its table renewed.

    Raises:
        ValueError: the README lacks the mark.
    """
    text = (role / "README.md").read_text(encoding="utf-8")
    before, mark, rest = text.partition(START)
    if not mark:
        raise ValueError(f"{role / 'README.md'} has no line {START}")
    after = rest.partition(END)[2]
    return f"{before}{START}\n\n## Variables\n\n{table(role)}\n{END}{after or chr(10)}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        (Path(name) / "README.md").write_text(readme(Path(name)), encoding="utf-8")
