"""``provision audit export``: a pipe gets the lines and nothing else, a file is whole or not there."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.audit.log import LogError
from provision.cli.main import app
from provision.errors import UsageError
from tests.unit.audit.export.lines import original
from tests.unit.audit.small_log import SmallLog, everyday

RUNNER = CliRunner()


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path / "log", everyday())


def test_a_pipe_gets_the_entries_and_nothing_else(log: SmallLog) -> None:
    result = RUNNER.invoke(app, ["audit", "export", str(log.directory), "--format", "jsonl"])
    assert result.exit_code == 0, result.output
    assert [original(line + b"\n")[1] for line in result.stdout_bytes.splitlines()] == log.raw


def test_a_file_gets_the_entries_of_the_period_and_is_for_its_owner_alone(
    log: SmallLog, tmp_path: Path
) -> None:
    file = tmp_path / "out.ndjson"
    result = RUNNER.invoke(
        app,
        ["audit", "export", str(log.directory), "-f", "ecs", "--from", "2026-11-03", "--to", "2026-11-04", "-o",
         str(file)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert [json.loads(line)["event"]["sequence"] for line in file.read_text().splitlines()] == [2, 3]
    assert file.stat().st_mode & 0o077 == 0


def test_an_export_that_fails_leaves_the_earlier_file(log: SmallLog, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    file.write_text("earlier")
    bundle = log.directory / "tile/entries/000.p/10"
    bundle.write_bytes(bundle.read_bytes()[:-5])
    result = RUNNER.invoke(app, ["audit", "export", str(log.directory), "-f", "csv", "-o", str(file)])
    assert isinstance(result.exception, LogError)
    assert file.read_text() == "earlier"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["log", "out.csv"]


def test_an_export_is_not_written_into_the_log_itself(log: SmallLog) -> None:
    result = RUNNER.invoke(
        app, ["audit", "export", str(log.directory), "-f", "csv", "-o", str(log.directory / "checkpoint")]
    )
    assert isinstance(result.exception, UsageError)
    assert (log.directory / "checkpoint").read_bytes() == log.note.encode()


def test_a_format_that_there_is_none_of_is_refused(log: SmallLog) -> None:
    assert RUNNER.invoke(app, ["audit", "export", str(log.directory), "-f", "xml"]).exit_code == 2
