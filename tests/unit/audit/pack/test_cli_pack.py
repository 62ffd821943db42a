"""``provision audit pack``: one file, and what people and programs are told."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.cli.main import app
from provision.errors import UsageError
from tests.unit.audit.small_log import SmallLog, everyday

RUNNER = CliRunner()


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path / "log", everyday(), cosigned=True)


def test_a_pack_has_the_report_and_the_readme_in_the_language_that_was_asked_for(
    log: SmallLog, tmp_path: Path
) -> None:
    file = tmp_path / "pack.zip"
    result = RUNNER.invoke(
        app,
        ["audit", "pack", str(log.directory), "-o", str(file), "--policy", str(log.directory / "policy"), "--lang",
         "ca", "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "provision/audit-pack/v1"
    assert document["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (document["entries"], document["proofs"], document["cosigned"]) == (10, 2, 10)
    with zipfile.ZipFile(file) as archive:
        assert {"LLEGIU-ME.md", "report.ca.html", "log/checkpoint", "policy.txt"} <= set(archive.namelist())
        assert b'lang="ca"' in archive.read("report.ca.html")


def test_the_commands_of_the_readme_are_commands_of_this_tool(
    log: SmallLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lang, name in (("ca", "LLEGIU-ME.md"), ("es", "LEEME.md"), ("en", "README.md")):
        file = tmp_path / f"{lang}.zip"
        assert (
            RUNNER.invoke(
                app, ["audit", "pack", str(log.directory), "-o", str(file), "--lang", lang]
            ).exit_code
            == 0
        )
        place = tmp_path / lang
        with zipfile.ZipFile(file) as archive:
            archive.extractall(place)
        monkeypatch.chdir(place)
        told = [
            line.split()[1:]
            for line in (place / name).read_text().splitlines()
            if line.startswith("    provision ")
        ]
        assert [command[1] for command in told] == ["verify", "check-proof"]
        # What it says of this log, which no writer made, is not the point: it runs, and judges.
        assert RUNNER.invoke(app, told[0]).exit_code in {0, 1}
        checked = RUNNER.invoke(app, told[1])
        assert checked.exit_code == 0, checked.output


def test_a_policy_that_is_none_is_refused(log: SmallLog, tmp_path: Path) -> None:
    wrong = tmp_path / "policy"
    wrong.write_text("nonsense\n")
    for file in (wrong, tmp_path / "missing"):
        result = RUNNER.invoke(
            app, ["audit", "pack", str(log.directory), "-o", str(tmp_path / "p.zip"), "--policy", str(file)]
        )
        assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "p.zip").exists()
