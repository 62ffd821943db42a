"""``audit report``, by the command itself."""

import json
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
import typer
from typer.testing import CliRunner, Result

from provision.audit.log import LogError, log_directory
from provision.cli import main
from provision.cli.audit import report
from provision.cli.output import _Mode
from provision.errors import UsageError
from provision.paths import ROOT
from tests.unit.audit.report.sample import SCHOOL, rich_log


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report-command") / "vilafresca"
    shutil.copytree(ROOT / "inventories" / "example", directory)
    rich_log(log_directory(directory, SCHOOL))
    return directory


def call(*arguments: object) -> Result:
    app = typer.Typer()
    report.register(app)
    app.callback()(lambda: None)
    _Mode.json = False
    try:
        result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    finally:
        _Mode.json = False
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_school_of_the_workspace_is_reported_in_its_own_language_and_time(
    tmp_path: Path, workspace: Path
) -> None:
    file = tmp_path / "informe.html"
    shown = call(SCHOOL, "--workspace", workspace, "--output", file).stdout
    html = file.read_text("utf-8")
    assert '<html lang="ca">' in html
    assert "Les hores són de Europe/Madrid" in html
    assert "Escola Marinada" in html
    assert "Ajuntament de Vilafresca del Mar" in html
    assert str(file) in shown
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_log_is_verified_first_and_the_page_and_the_command_say_the_same(
    tmp_path: Path, workspace: Path
) -> None:
    file = tmp_path / "report.html"
    arguments = (log_directory(workspace, SCHOOL), "--lang", "en", "--output", file, "--category", "high")
    said = json.loads(call(*arguments, "--json").stdout)
    html = file.read_text("utf-8")
    assert said["schema"] == "provision/audit-report/v1"
    assert said["ok"] is False, "a run of the sample has no end"
    assert said["verdict"] in html
    assert '<section class="verdict bad"' in html
    assert "for the category high" in html


def test_an_auditor_needs_the_copy_of_the_log_only(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "usb"
    shutil.copytree(log_directory(workspace, SCHOOL), copy)
    monkeypatch.chdir(tmp_path)
    call(copy, "--lang", "es", "--from", "2026-09-01", "--to", "2026-09-30")
    html = (tmp_path / f"audit-report-{SCHOOL}.html").read_text("utf-8")
    assert "1 de septiembre de 2026 – 30 de septiembre de 2026" in html
    assert "sin los ficheros del municipio" in html


def test_a_policy_may_be_a_link_as_for_the_other_commands(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "trusted").symlink_to(log_directory(workspace, SCHOOL) / "policy")
    call(
        log_directory(workspace, SCHOOL),
        "--policy",
        tmp_path / "trusted",
        "--output",
        tmp_path / "report.html",
    )
    assert (tmp_path / "report.html").is_file()


def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path: Path, workspace: Path) -> None:
    log, file = log_directory(workspace, SCHOOL), tmp_path / "report.html"
    with pytest.raises(UsageError, match="no category"):
        call(log, "--category", "huge", "--output", file)
    with pytest.raises(UsageError, match="is no policy"):
        call(log, "--policy", log / "checkpoint", "--output", file)
    with pytest.raises(LogError, match="no audit log"):
        call("escola-el-roure", "--workspace", workspace, "--output", file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["log", "-n", "1"], "Sense novetats"),
        (["show", "0"], "ha obert el registre"),
        (["verify"], "NO VERIFICAT"),
    ],
)
def test_the_other_commands_speak_the_municipalitys_first_language_as_well(
    workspace: Path, command: list[str], said: str
) -> None:
    _Mode.json = False
    words = [command[0], SCHOOL, *command[1:], "--workspace", str(workspace)]
    assert said in CliRunner().invoke(main.app, ["audit", *words]).stdout


def test_a_pack_is_in_the_municipalitys_first_language(tmp_path: Path, workspace: Path) -> None:
    file = tmp_path / "pack.zip"
    CliRunner().invoke(main.app, ["audit", "pack", SCHOOL, "-o", str(file), "--workspace", str(workspace)])
    assert "report.ca.html" in ZipFile(file).namelist()


def test_programs_and_whoever_has_no_workspace_get_english(workspace: Path) -> None:
    log = ["audit", "log", SCHOOL, "--workspace", str(workspace), "--json"]
    document = json.loads(CliRunner().invoke(main.app, log).stdout)
    _Mode.json = False
    assert document["lang"] == "en"
    alone = ["audit", "log", str(log_directory(workspace, SCHOOL))]
    assert "Nothing new" in CliRunner().invoke(main.app, alone).stdout
