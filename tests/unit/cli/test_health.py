"""``provision health`` and ``provision health history``, by the commands themselves."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from provision.cli import health
from provision.cli.output import _Mode
from provision.engine import asking
from provision.errors import ConfigurationError, RefusedError, UsageError
from provision.health.ask import Answers
from provision.health.result import State
from provision.model import ResolvedSchool, ResolvedService
from provision.paths import ROOT
from tests.unit.health.sample import answers, bare, finding

SCHOOLS = ["escola-el-roure", "escola-marinada", "institut-serra-alta"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "vilafresca"
    shutil.copytree(ROOT / "inventories" / "example", directory)
    return directory


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, State]:
    """What each school's page is found to be; the network is left alone."""
    found: dict[str, State] = dict.fromkeys(SCHOOLS, "ok")

    def ask(
        _w: object, school: ResolvedSchool, services: Sequence[ResolvedService], _h: object, **options: Any
    ) -> Answers:
        findings = [finding("page", found[school.id], service=service.id) for service in services]
        gave = answers(school.id, *findings, name=school.name)
        return replace(
            gave, findings=tuple(findings), asked=datetime.now(UTC), since={}, whole=options["whole"]
        )

    monkeypatch.setattr(asking, "ask_school", ask)
    return found


def call(*arguments: object) -> Result:
    app = typer.Typer()
    health.register(app)
    app.callback()(lambda: None)
    _Mode.json = False
    try:
        result = CliRunner().invoke(app, ["health", *map(str, arguments)])
    finally:
        _Mode.json = False
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("state", "code"), [("ok", 0), ("warning", 1), ("problem", 1), ("unknown", 1), ("unreachable", 3)]
)
def test_exit_code_is_0_when_all_is_well_1_with_problems_and_3_when_nothing_answers(
    workspace: Path, states: dict[str, State], state: State, code: int
) -> None:
    states["escola-marinada"] = state
    assert call("escola-marinada", "-w", workspace).exit_code == code


def test_one_school_that_does_not_answer_among_others_is_a_problem(
    workspace: Path, states: dict[str, State]
) -> None:
    states["escola-marinada"] = "unreachable"
    assert call("--all", "-w", workspace).exit_code == 1


def test_the_table_speaks_the_municipalitys_language_or_the_one_that_is_asked_for(
    workspace: Path, states: dict[str, State]
) -> None:
    states["escola-marinada"] = "problem"
    assert "Què cal fer: Run provision" in call("escola-marinada", "-w", workspace).stdout
    assert "Qué hay que hacer" in call("escola-marinada", "-w", workspace, "--lang", "es").stdout
    with pytest.raises(UsageError):
        call("escola-marinada", "-w", workspace, "--lang", "fr")


def test_all_asks_every_school_in_the_order_of_the_workspace(
    workspace: Path, states: dict[str, State]
) -> None:
    found = json.loads(call("--all", "-w", workspace, "--json").stdout)
    assert found["schema"] == "provision/health/v2"
    assert list(found["schools"]) == SCHOOLS


def test_format_json_and_json_are_the_same(workspace: Path, states: dict[str, State]) -> None:
    def shape(*options: str) -> Any:
        found = json.loads(call("escola-marinada", "-w", workspace, *options).stdout)
        return {
            key: sorted(found[key]) if isinstance(found[key], dict) else found[key]
            for key in ("schema", "schools")
        }

    assert shape("--json") == shape("--format", "json")


def test_all_and_names_together_or_neither_is_a_wrong_use(workspace: Path, states: dict[str, State]) -> None:
    for words in (("--all", "escola-marinada"), ()):
        with pytest.raises(UsageError):
            call(*words, "-w", workspace)


def test_a_service_that_no_school_has_is_a_wrong_use_and_one_that_is_there_is_a_part(
    workspace: Path, states: dict[str, State]
) -> None:
    with pytest.raises(UsageError, match="mailserver"):
        call("escola-marinada", "-w", workspace, "--service", "mailserver")
    found = json.loads(call("institut-serra-alta", "-w", workspace, "--service", "etherpad", "--json").stdout)
    assert {one["service"] for one in found["schools"]["institut-serra-alta"]} == {"etherpad"}


def test_a_plugin_prints_one_line_and_has_its_own_exit_codes(
    workspace: Path, states: dict[str, State]
) -> None:
    states["escola-marinada"] = "problem"
    done = call("escola-marinada", "-w", workspace, "--format", "nagios", "--lang", "en")
    assert done.exit_code == 2
    assert done.stdout.startswith("escola-marinada CRITICAL - ")
    states["escola-marinada"] = "warning"
    assert call("escola-marinada", "-w", workspace, "--format", "nagios").exit_code == 1


def test_a_plugin_that_cannot_ask_is_unknown_and_not_critical(tmp_path: Path, workspace: Path) -> None:
    for words in (
        ("escola-marinada", "-w", tmp_path),
        ("no-such-school", "-w", workspace),
        ("-w", workspace),
        ("escola-marinada", "-w", workspace, "--every", "none"),
        ("escola-marinada", "-w", workspace, "--evry", "5"),
        ("escola-marinada", "-w", workspace, "--output", tmp_path / "nowhere" / "file"),
    ):
        done = call(*words, "--format", "nagios")
        assert done.exit_code == 3
        assert done.stdout.startswith("HEALTH UNKNOWN - ")


def test_a_plugin_names_the_first_mistake_of_the_configuration(workspace: Path) -> None:
    file = workspace / "schools" / "escola-marinada.yml"
    file.write_text(file.read_text().replace("hosts:", "host:"))
    done = call("escola-marinada", "-w", workspace, "--format", "nagios")
    assert done.exit_code == 3
    assert "schools/escola-marinada.yml:" in done.stdout and "hosts" in done.stdout
    assert "Problem(" not in done.stdout


def test_a_file_that_cannot_be_written_is_told_before_schools_are_asked(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_ask", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(UsageError, match="no directory") as caught:
        call("escola-marinada", "-w", workspace, "--html", "--output", tmp_path / "nowhere" / "file")
    assert caught.value.remedy.startswith("mkdir -p ")
    with pytest.raises(UsageError, match="is a directory"):
        call("escola-marinada", "-w", workspace, "--html", "--output", tmp_path)


def test_a_school_of_which_nothing_answers_is_3_although_its_name_is_known(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(_w: object, school: ResolvedSchool, *_: object, **__: object) -> Answers:
        silent = [finding("page", "unreachable"), finding("unit", "unknown", host="main")]
        return answers(school.id, finding("dns"), *silent, finding("probe", "unreachable", host="main"))

    monkeypatch.setattr(asking, "ask_school", off)
    assert call("escola-marinada", "-w", workspace).exit_code == 3


def test_metrics_for_all_schools_go_into_a_file_that_the_collector_may_read(
    tmp_path: Path, workspace: Path, states: dict[str, State]
) -> None:
    file = tmp_path / "provision.prom"
    done = call("--all", "-w", workspace, "--format", "prometheus", "--output", file)
    assert done.stdout == ""
    assert 'provision_school_ok{municipality="vilafresca",school="escola-marinada"} 1' in file.read_text()
    assert file.stat().st_mode & 0o044 == 0o044 & ~health._umask()


@pytest.mark.parametrize("form", [["--format", "html"], ["--html"]])
def test_the_page_goes_into_a_file_for_its_owner_and_has_the_line_of_former_askings(
    tmp_path: Path, workspace: Path, states: dict[str, State], form: list[str]
) -> None:
    call("--all", "-w", workspace)
    file = tmp_path / "schools.html"
    call("--all", "-w", workspace, *form, "-o", file)
    html = file.read_text()
    assert html.count('class="line" viewBox') == 3
    assert "Ajuntament de Vilafresca del Mar" in html
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_table_in_a_file_has_no_colours(tmp_path: Path, workspace: Path, states: dict[str, State]) -> None:
    file = tmp_path / "health.txt"
    call("escola-marinada", "-w", workspace, "--output", file)
    assert "Escola Marinada" in file.read_text()
    assert bare(file.read_text())


def test_history_tells_what_was_found_before_and_since_when(
    workspace: Path, states: dict[str, State]
) -> None:
    assert "provision health escola-marinada" in call("history", "escola-marinada", "-w", workspace).stdout
    for state in ("ok", "problem", "problem"):
        states["escola-marinada"] = state  # type: ignore[assignment]
        call("escola-marinada", "-w", workspace)
    text = call("history", "escola-marinada", "-w", workspace, "--lang", "en").stdout
    assert "etherpad/page: well → problem" in text
    found = json.loads(call("history", "escola-marinada", "-w", workspace, "--json").stdout)
    assert found["schema"] == "provision/health-history/v1"
    assert [check["state"] for check in found["checks"]] == ["ok", "problem", "problem"]
    assert found["now"][0]["since"] == found["checks"][1]["time"]


def test_a_mistyped_command_is_not_taken_for_a_school(workspace: Path) -> None:
    with pytest.raises(UsageError) as caught:
        call("histroy", "escola-marinada", "-w", workspace)
    assert caught.value.remedy == "Did you mean: provision health history?"


def test_a_school_that_is_called_history_can_be_asked_as_well(
    workspace: Path, states: dict[str, State]
) -> None:
    file = workspace / "schools" / "escola-marinada.yml"
    file.rename(file.with_name("history.yml"))
    states["history"] = "ok"
    found = json.loads(call("-w", workspace, "--json", "--", "history").stdout)
    assert list(found["schools"]) == ["history"]


def test_help_is_that_of_the_question_and_names_the_history() -> None:
    text = " ".join(call("--help").stdout.split())
    assert "--format" in text
    assert "provision health history" in text
    assert "provision health grant" in text


def test_who_cannot_write_the_history_is_told_what_was_found_all_the_same(
    workspace: Path, states: dict[str, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(health, "remember", full)
    done = call("escola-marinada", "-w", workspace)
    assert done.exit_code == 0
    assert "Escola Marinada" in done.stdout
    assert "not remembered: No space left on device" in done.stderr


def test_who_cannot_lock_the_history_is_told_what_was_found_all_the_same(
    workspace: Path, states: dict[str, State]
) -> None:
    (workspace / ".state" / "health" / "escola-marinada.lock").mkdir(parents=True)
    done = call("escola-marinada", "-w", workspace)
    assert done.exit_code == 0
    assert "Escola Marinada" in done.stdout
    assert "escola-marinada.jsonl cannot be written: Is a directory" in done.stderr


def test_nothing_to_ask_is_refused(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_w: object, school: ResolvedSchool, *_: object, **__: object) -> Answers:
        return replace(answers(school.id), findings=())

    monkeypatch.setattr(asking, "ask_school", nothing)
    with pytest.raises(RefusedError, match="nothing to ask"):
        call("escola-marinada", "-w", workspace)


def test_watching_asks_again_and_a_plugin_is_not_watched(
    workspace: Path, states: dict[str, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(health.time, "sleep", sleep)
    call("escola-marinada", "-w", workspace, "--watch", "--every", "5")
    assert len(slept) == 3
    assert all(1 <= seconds <= 5 for seconds in slept)
    done = call("escola-marinada", "-w", workspace, "--watch", "--format", "nagios")
    assert (done.exit_code, done.stdout.split(" - ")[0]) == (3, "HEALTH UNKNOWN")


# --- files of other schools that are wrong ---------------------------------------------------------------------------


@pytest.fixture
def half_saved(workspace: Path, states: dict[str, State]) -> Path:
    """A colleague is just writing the file of one school, and the support file of another."""
    file = workspace / "schools" / "escola-marinada.yml"
    file.write_text(file.read_text().replace("services:", "servies:"))
    (workspace / "support").mkdir(exist_ok=True)
    (workspace / "support" / "escola-el-roure.yml").write_text("schema: 1\npeple: []\n")
    return workspace


def test_a_school_whose_file_is_wrong_does_not_keep_others_from_being_asked(half_saved: Path) -> None:
    one = call("institut-serra-alta", "-w", half_saved)
    assert one.exit_code == 0
    assert "servies" in one.stderr
    assert "Files of schools are wrong: escola-el-roure, escola-marinada." in one.stderr
    every = call("--all", "-w", half_saved, "--json")
    assert every.exit_code == 1
    # A wrong support file keeps nobody from asking.
    assert list(json.loads(every.stdout)["schools"]) == ["escola-el-roure", "institut-serra-alta"]
    assert call("history", "institut-serra-alta", "-w", half_saved).exit_code == 0


def test_the_school_whose_file_is_wrong_is_refused_when_it_is_named(half_saved: Path) -> None:
    for words in (["escola-marinada"], ["history", "escola-marinada"]):
        with pytest.raises(ConfigurationError) as caught:
            call(*words, "-w", half_saved)
        assert {problem.file.name for problem in caught.value.problems if problem.file} == {
            "escola-marinada.yml"
        }


def test_monitoring_goes_on_and_hears_of_the_file_that_is_wrong(half_saved: Path) -> None:
    metrics = call("--all", "-w", half_saved, "--format", "prometheus").stdout
    values = {
        school: f'provision_school_files_ok{{municipality="vilafresca",school="{school}"}} '
        for school in SCHOOLS
    }
    assert values["escola-marinada"] + "0\n" in metrics
    assert values["escola-el-roure"] + "0\n" in metrics
    assert values["institut-serra-alta"] + "1\n" in metrics
    plugin = call("institut-serra-alta", "-w", half_saved, "--format", "nagios")
    assert (plugin.exit_code, plugin.stderr) == (0, "")
    every = call("--all", "-w", half_saved, "--format", "nagios")
    assert every.exit_code == 3
    assert "escola-marinada" in every.stdout


def test_with_all_files_right_nothing_is_said_of_them(workspace: Path, states: dict[str, State]) -> None:
    metrics = call("--all", "-w", workspace, "--format", "prometheus")
    assert metrics.stderr == ""
    assert metrics.exit_code == 0
    assert metrics.stdout.count("provision_school_files_ok{") == len(SCHOOLS)
