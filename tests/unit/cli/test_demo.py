"""What the demo tells its user to type."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.cli.demo import _program
from provision.cli.main import app
from provision.errors import UsageError


def test_after_make_demo_the_commands_shown_work_in_the_users_own_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "provision"):
        (binaries / name).write_text("#!/bin/sh\n")
        (binaries / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(binaries / "python"))
    monkeypatch.setenv("PATH", str(binaries))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    assert _program() == ".venv/bin/provision"
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / ".venv"))
    assert _program() == "provision"
    monkeypatch.chdir("/")
    assert _program() == "provision"
    monkeypatch.setenv("PATH", "/nowhere")
    assert _program() == str(binaries / "provision")


def test_a_release_that_there_is_not_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo", "--release", "buster"])
    assert isinstance(result.exception, UsageError)
    assert list(tmp_path.iterdir()) == []
