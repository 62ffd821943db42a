"""``audit log`` and ``audit show``, by the command itself."""

import json
import types
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from provision.audit.entries import Heartbeat
from provision.audit.log import LogError, SchoolLog, writing
from provision.cli.audit import log as commands
from provision.cli.options import language
from provision.cli.output import _Mode
from provision.errors import UsageError
from tests.unit.audit.report.sample import ORIGIN, TOOL, Sample, rich_log

HOSTILE = "\x1b[2J<b>\u202e[red]"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_log(tmp_path_factory.mktemp("log") / "escola").directory


def call(*arguments: object) -> Result:
    app = typer.Typer()
    commands.register(app)
    _Mode.json = False
    try:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        _Mode.json = False
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def document(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(*arguments, "--json").stdout)
    return found


def test_the_log_has_one_line_an_entry_and_the_newest_is_last(directory: Path) -> None:
    lines = call("log", directory, "-n", 0, "--lang", "ca").stdout.splitlines()
    assert len(lines) == SchoolLog.open(directory).size
    assert "ha obert el registre" in lines[0]
    assert "el registre és viu" in lines[-1]
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))


@pytest.mark.parametrize(
    ("lang", "words"), [("ca", "ha fallat a main"), ("es", "ha fallado en main"), ("en", "failed at main")]
)
def test_filters_leave_only_what_fits_in_the_language_that_was_asked_for(
    directory: Path, lang: str, words: str
) -> None:
    text = call(
        "log", directory, "--person", "pons", "--outcome", "failed", "--type", "run.ended", "--lang", lang
    ).stdout
    assert len(text.splitlines()) == 1
    assert words in text


def test_programs_get_each_entry_as_it_was_written_with_its_sentence(directory: Path) -> None:
    found = document("log", directory, "-n", 3, "--type", "run")
    assert found["schema"] == "provision/audit-log/v1"
    assert len(found["entries"]) == 3
    last = found["entries"][-1]
    assert last["event"]["type"] == "run.ended"
    assert last["text"].startswith("The run")


def test_a_log_needs_no_workspace_and_a_wrong_place_is_told_apart(tmp_path: Path, directory: Path) -> None:
    assert call("log", directory, "-n", 1).exit_code == 0
    with pytest.raises(UsageError, match="no audit log"):
        call("log", tmp_path)
    with pytest.raises(UsageError, match="no directory"):
        call("log", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no language"):
        call("log", directory, "--lang", "fr")
    with pytest.raises(UsageError, match="no type"):
        call("log", directory, "--type", "runs")


def test_an_entry_is_shown_by_its_number_and_by_its_id(directory: Path) -> None:
    by_number = document("show", directory, 2)
    assert by_number["event"]["type"] == "run.intent"
    assert document("show", directory, by_number["event"]["id"]) == by_number
    text = call("show", directory, 2, "--lang", "es").stdout
    for part in (
        "Mireia Ferrer i Soler",
        "usuario mferrer",
        "Primera instal·lació",
        "T-101",
        "confirmada en la pantalla",
    ):
        assert part in text
    with pytest.raises(UsageError, match="the first one is 0"):
        call("show", directory, 10**6)


def test_a_run_is_shown_whole_with_what_changed_and_from_where(directory: Path) -> None:
    intents = document("log", directory, "-n", 0, "--type", "run.intent")["entries"]
    runs = [one["event"]["data"]["run"] for one in intents]
    text = call("show", directory, runs[2], "--lang", "ca").stdout
    for part in (
        "3.2.0 → 3.3.0",
        "Jordi Pons i Camps",
        "escriu 1 fitxer: /etc/etherpad/settings.json",
        "6 de 6",
        "192.0.2.10",
    ):
        assert part in text
    failed = call("show", directory, runs[1]).stdout
    assert "No space left on device" in failed
    assert document("show", directory, "last")["run"] == runs[-1]
    assert document("show", directory, runs[0][-6:])["run"] == runs[0]
    with pytest.raises(UsageError, match="several runs"):
        call("show", directory, "2026")


def test_differences_are_shown_when_they_are_asked_for(directory: Path) -> None:
    assert "+new" not in call("show", directory, "last").stdout
    assert "+new" in call("show", directory, "last", "--detail").stdout
    assert "diff" not in document("show", directory, "last")["detail"][0]
    assert "+new" in document("show", directory, "last", "--detail")["detail"][0]["diff"]


def test_an_erased_detail_is_named_and_not_shown(directory: Path) -> None:
    erased = document("log", directory, "--type", "erasure.performed")["entries"][0]["event"]["data"][
        "erased"
    ][0]["run"]
    assert "detall esborrat: 2 passos" in call("show", directory, erased, "--lang", "ca").stdout
    assert document("show", directory, erased)["erased_steps"] == 2


def test_a_detail_that_does_not_fit_the_log_is_not_believed(tmp_path: Path) -> None:
    log = rich_log(tmp_path / "log")
    run = document("show", log.directory, "last")["run"]
    file = log.detail.file(run)
    file.write_text(file.read_text("utf-8").replace("firewall.nft", "nothing"), "utf-8")
    found = document("show", log.directory, "last")
    assert found["wrong_steps"] == 1
    assert "nothing" not in json.dumps(found["detail"])


def test_nothing_of_a_log_steers_the_terminal(tmp_path: Path) -> None:
    log = rich_log(tmp_path / "log", HOSTILE)
    shown = (
        call("log", log.directory, "-n", 0).stdout + call("show", log.directory, "last", "--detail").stdout
    )
    assert "<b>?[red]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_log_that_is_followed_gives_what_comes_and_refuses_what_was_rewritten(tmp_path: Path) -> None:
    sample = Sample(tmp_path / "log")
    sample.heartbeats(3)
    log = sample.write()
    coming = commands.following(log, poll=0.0)
    with writing(log.directory, ORIGIN, [sample.key]) as writer:
        writer.append([Heartbeat(actor=TOOL, target=sample.target())])
    assert next(coming).index == 3
    other = Sample(tmp_path / "other")
    other.heartbeats(9)
    forked = other.write()
    for file in forked.directory.rglob("*"):
        if file.is_file():
            (log.directory / file.relative_to(forked.directory)).write_bytes(file.read_bytes())
    with pytest.raises(LogError, match="does not continue"):
        next(coming)


def test_an_outcome_that_is_never_written_is_wrong_usage(directory: Path) -> None:
    with pytest.raises(UsageError, match="no outcome 'faild'") as refused:
        call("log", directory, "--outcome", "faild")
    assert refused.value.remedy == 'Did you mean "failed"?'


def test_no_log_is_no_finding_about_one(tmp_path: Path) -> None:
    with pytest.raises(LogError) as missing:
        SchoolLog.open(tmp_path)
    assert missing.value.exit_code == 2


def test_without_a_language_the_municipalitys_first_is_spoken_and_english_to_programs(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class City:
        languages = ("ca", "es")

    workspace = types.SimpleNamespace(municipality=City)
    monkeypatch.setattr(_Mode, "json", False)
    assert language(None, workspace) == "ca"  # type: ignore[arg-type]
    assert language(None) == "en"
    monkeypatch.setattr(_Mode, "json", True)
    assert language(None, workspace) == "en"  # type: ignore[arg-type]
