"""``provision audit anchor``: what people and programs are told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.audit.timestamp import TimeStampError
from provision.cli.main import app
from provision.errors import UsageError
from tests.unit.audit.anchor.conftest import Authority
from tests.unit.audit.small_log import SmallLog, everyday

RUNNER = CliRunner()


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path / "log", everyday(), cosigned=True)


def test_an_authority_that_was_named_stamps_the_newest_checkpoint(
    log: SmallLog, authority: Authority
) -> None:
    arguments = ["audit", "anchor", str(log.directory), "--authority", authority.url, "--ca"]
    result = RUNNER.invoke(app, [*arguments, str(authority.directory / "ca.pem"), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["schema"] == "provision/audit-anchor/v1"
    assert (document["size"], document["authority"]) == (log.size, "CN=Segell de temps")
    assert Path(document["file"]).read_bytes()
    told = RUNNER.invoke(app, [*arguments, str(authority.directory / "ca.pem"), "--cosigned"])
    assert f"{log.size} entries were there at" in told.stdout


def test_without_an_authority_it_is_said_where_one_is_configured(log: SmallLog) -> None:
    result = RUNNER.invoke(app, ["audit", "anchor", str(log.directory)])
    assert isinstance(result.exception, UsageError)
    assert "municipality.yml" in result.exception.remedy
    result = RUNNER.invoke(app, ["audit", "anchor", str(log.directory), "--authority", "https://tsa.example"])
    assert isinstance(result.exception, UsageError)
    assert "--ca" in result.exception.remedy


def test_a_log_that_nobody_cosigned_has_nothing_cosigned_to_stamp(
    tmp_path: Path, authority: Authority
) -> None:
    log = SmallLog(tmp_path / "alone", everyday())
    result = RUNNER.invoke(
        app,
        ["audit", "anchor", str(log.directory), "--cosigned", "--authority", authority.url, "--ca",
         str(authority.directory / "ca.pem")],
    )  # fmt: skip
    assert isinstance(result.exception, UsageError)
    assert "cosigned yet" in result.exception.message


def test_an_authority_that_refuses_is_an_error_of_one_line(log: SmallLog, authority: Authority) -> None:
    authority.behaviour = lambda _: (200, "text/html", b"\x1b]0;owned\x07")
    result = RUNNER.invoke(
        app,
        ["audit", "anchor", str(log.directory), "--authority", authority.url, "--ca",
         str(authority.directory / "ca.pem")],
    )  # fmt: skip
    assert isinstance(result.exception, TimeStampError)
    assert "\x1b" not in result.exception.message
    assert not (log.directory / "anchors").exists()
