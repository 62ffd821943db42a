"""The programs of the role jitsi, for tests: with a school's settings in a directory of an ordinary user."""

import types
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.programs import load, parts


def placed(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A program that reads the school's settings in a directory.

    Args:
        name: of the program.
    """
    program = load("jitsi", name)
    for module in parts(program):
        monkeypatch.setattr(module, "STAGED", directory)
    return program


def wanted(**more: Any) -> dict[str, Any]:
    return {
        "hostname": "meet.test", "authentication": "accounts", "teachers": ["anna"], "token_app_id": "provision",
        "token_issuers": [], "token_audiences": [], "token_keys_url": "", "token_secret": "s",
        "focus_password": "f", **more,
    }  # fmt: skip
