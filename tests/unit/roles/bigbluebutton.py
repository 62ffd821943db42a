"""The programs of the role bigbluebutton, for tests: over directories of an ordinary user."""

import json
import types
from pathlib import Path
from typing import Any

import pytest

from provision import paths
from tests.unit.roles.programs import load, parts

STANDIN = paths.PACKAGE.parent / "tests/standins/bigbluebutton/files"


def placed(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A program whose files are all in a directory, with the secret of the role.

    Args:
        name: of the program.
    """

    def within(path: Path) -> Path:
        return directory / str(path).lstrip("/")

    program = load("bigbluebutton", name)
    for module in parts(program):
        for known, value in list(vars(module).items()):
            if isinstance(value, Path) and value.is_absolute():
                monkeypatch.setattr(module, known, within(value))
            elif known == "LOGS":
                monkeypatch.setattr(module, known, tuple(map(within, value)))
    monkeypatch.setattr(program.os, "fchown", lambda *_: None)
    program.SECRET.parent.mkdir(parents=True)
    program.SECRET.write_text("0123abcd\n")
    return program


def installed(program: types.ModuleType, release: str = "3.0.10", **state: Any) -> None:
    """Have a BigBlueButton that the installer brought.

    Args:
        state: what the program notes of it otherwise.
    """
    _, shared = parts(program)
    shared.RELEASE.parent.mkdir(parents=True, exist_ok=True)
    shared.RELEASE.write_text(f"BIGBLUEBUTTON_RELEASE={release}\n")
    known = {"release": "jammy-300", "hostname": "video.vila.test", "installer": "a" * 64}
    shared.STATE.mkdir(parents=True, exist_ok=True)
    (shared.STATE / "installed.json").write_text(json.dumps({**known, **state}))
