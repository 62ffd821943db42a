"""``provision init`` and ``provision school``: how files come to be."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from provision.cli import init as init_module
from provision.cli import school as school_module
from provision.cli.main import app
from provision.errors import ConfigurationError, ProvisionError, UsageError
from provision.model import load_workspace, scaffold
from provision.model.scaffold import SchoolAnswers, add_school, yaml_text

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
PEOPLE = [
    "--name", "Ajuntament de Vilaprova", "--contact-name", "Oficina TIC",
    "--contact-email", "tic@vilaprova.cat", "--dpo-name", "Roser Vall", "--dpo-email", "dpd@vilaprova.cat",
]  # fmt: skip
MAR = ["--name", "Escola del Mar", "--domain", "escola-mar.cat", "--address", "192.0.2.20"]


def run(*words: str | Path, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=answers)


def good(*words: str | Path, answers: str | None = None) -> str:
    result = run(*words, answers=answers)
    assert result.exception is None, result.exception
    return result.stdout


def refused(*words: str | Path) -> ProvisionError:
    result = run(*words)
    assert isinstance(result.exception, ProvisionError), (result.exception, result.output)
    return result.exception


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROVISION_WORKSPACE", raising=False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a person who answers."""
    monkeypatch.setattr(init_module, "interactive", lambda: True)
    monkeypatch.setattr(school_module, "interactive", lambda: True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with the invented services."""
    workspace = tmp_path / "vilaprova"
    good("init", workspace, *PEOPLE)
    shutil.copytree(FIXTURES / "roles", workspace / "roles")
    return workspace


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()
    }


def test_a_new_workspace_is_right_as_it_is(tmp_path: Path) -> None:
    text = good("init", "vilaprova", *PEOPLE)
    workspace = load_workspace(tmp_path / "vilaprova")
    assert workspace.municipality.id == "vilaprova"
    assert workspace.municipality.name == "Ajuntament de Vilaprova"
    assert workspace.schools == {}
    assert (tmp_path / "vilaprova" / ".gitignore").read_text() == "/.state/\n/audit/\n"
    subprocess.run(["git", "init", "--quiet", "vilaprova"], cwd=tmp_path, check=True)
    for name, ignored in {
        "audit/escola/checkpoint": True,
        ".state/keys": True,
        "secrets/audit/escola.keys": False,
    }.items():
        asked = subprocess.run(
            ["git", "check-ignore", "--quiet", name], cwd=tmp_path / "vilaprova", check=False
        )
        assert (asked.returncode == 0) is ignored, name
    assert "git init vilaprova" in text


def test_init_makes_no_repository(tmp_path: Path) -> None:
    good("init", "vilaprova", *PEOPLE)
    assert not (tmp_path / "vilaprova" / ".git").exists()


@pytest.mark.parametrize("mode", ["acme", "provided", "internal"])
def test_each_way_to_certificates_makes_a_right_file(mode: str, tmp_path: Path) -> None:
    good("init", "un", *PEOPLE, "--tls", mode, "--lab")
    municipality = load_workspace(tmp_path / "un").municipality
    assert municipality.tls.mode == mode
    assert municipality.lab


def test_the_id_is_made_of_the_directory_or_given() -> None:
    good("init", "Vila Prova", *PEOPLE)
    assert yaml.safe_load(Path("Vila Prova/municipality.yml").read_text())["id"] == "vila-prova"
    good("init", "dos", *PEOPLE, "--id", "altra")
    assert yaml.safe_load(Path("dos/municipality.yml").read_text())["id"] == "altra"
    assert refused("init", "tres", *PEOPLE, "--id", "Vila Prova").remedy == 'Did you mean "vila-prova"?'


def test_without_a_terminal_the_missing_options_are_named() -> None:
    error = refused("init", "un", "--name", "Vilaprova")
    assert isinstance(error, UsageError)
    assert "--contact-name, --contact-email, --dpo-name, --dpo-email" in error.message
    assert not Path("un").exists()


def test_at_a_terminal_it_asks_for_what_is_missing_and_again_after_a_wrong_answer(
    terminal: None, tmp_path: Path
) -> None:
    good("init", "un", *PEOPLE[:4], answers="nobody\ntic@vilaprova.cat\nRoser  Vall\ndpd@vilaprova.cat\n")
    assert load_workspace(tmp_path / "un").municipality.data_protection_officer.name == "Roser Vall"


def test_answers_that_cannot_be_leave_nothing_behind() -> None:
    error = refused("init", "un", *PEOPLE[:-1], "not an address")
    assert isinstance(error, ConfigurationError)
    assert error.problems[0].code == "bad-email"
    assert error.problems[0].file is None
    assert not Path("un").exists()


def test_a_directory_with_other_things_is_refused_and_left_alone() -> None:
    Path("un").mkdir()
    Path("un/letter.odt").write_text("x")
    assert "letter.odt" in refused("init", "un", *PEOPLE).message
    assert tree(Path("un")) == {"letter.odt": b"x"}
    Path("file").touch()
    assert "is a file" in refused("init", "file", *PEOPLE).message


def test_an_empty_git_repository_is_an_empty_directory() -> None:
    Path("un/.git").mkdir(parents=True)
    assert "git init" not in good("init", "un", *PEOPLE)


def test_a_workspace_is_completed_and_not_changed() -> None:
    good("init", "un", *PEOPLE)
    before = tree(Path("un"))
    assert "Nothing was changed" in good("init", "un")
    Path("un/README.md").unlink()
    Path("un/municipality.yml").write_bytes(before["municipality.yml"] + b"# mine\n")
    assert "README.md" in good("init", "un", "--name", "Other")
    assert tree(Path("un")) == {**before, "municipality.yml": before["municipality.yml"] + b"# mine\n"}


def test_init_reports_in_json(tmp_path: Path) -> None:
    document = json.loads(good("init", "un", *PEOPLE, "--json"))
    assert document["schema"] == "provision/init/v1"
    assert document["workspace"] == str(tmp_path / "un")
    assert "un/municipality.yml" in document["written"]


def test_a_new_school_is_right_as_it_is(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-s", "wiki", "--user", "tic", "--port", "2222", "-w", place)
    school = load_workspace(place).school("escola-mar")
    assert school.services["wiki"].hostname == "docs.escola-mar.cat"
    assert (school.hosts["main"].user, school.hosts["main"].port) == ("tic", 2222)


def test_the_host_name_of_a_service_can_be_given(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-s", "wiki=viqui.escola-mar.cat", "-w", place)
    assert load_workspace(place).school("escola-mar").services["wiki"].hostname == "viqui.escola-mar.cat"


def test_the_examples_in_a_new_file_are_right_when_their_sign_is_removed(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-s", "wiki", "-w", place)
    file = place / "schools" / "escola-mar.yml"
    bare = re.sub(r"^( *)# (?=[a-z_]+:|  )", r"\1", file.read_text(), flags=re.MULTILINE)
    file.write_text(bare)
    school = load_workspace(place).school("escola-mar")
    assert school.contact_email == "direccio@escola-mar.cat"
    assert school.hosts["main"].jump == "user@jump-host.example.org"
    assert school.services["wiki"].version == "3.10"
    assert school.raw.services["wiki"].settings["max_upload_mb"] == 10


@pytest.mark.parametrize(
    "name", ["Escola: del #Mar", "'quoted'", "no", "3.10", "- Mar", "Ça & là", "a: b", 'x "y"', "é\\n"]
)
def test_any_name_survives_the_way_into_the_file(name: str, place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "--name", name, "-w", place)
    assert load_workspace(place).school("escola-mar").name == name
    assert yaml.safe_load(yaml_text(name)) == name


def test_a_school_is_never_overwritten(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-w", place)
    before = tree(place)
    assert "already" in refused("school", "add", "escola-mar", *MAR, "--name", "Other", "-w", place).message
    assert tree(place) == before


def test_a_school_that_somebody_else_adds_at_the_same_time_is_not_overwritten(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = load_workspace(place)
    file = place / "schools" / "escola-mar.yml"
    check = scaffold.load_workspace

    def check_slowly(*args: object, **kwargs: object) -> object:
        result = check(*args, **kwargs)  # type: ignore[arg-type]
        file.write_text("the other's\n")
        return result

    monkeypatch.setattr(scaffold, "load_workspace", check_slowly)
    answers = SchoolAnswers("escola-mar", "Mar", "escola-mar.cat", "192.0.2.20", {})
    with pytest.raises(UsageError, match="already"):
        add_school(workspace, answers)
    assert file.read_text() == "the other's\n"
    assert list((place / "schools").iterdir()) == [file]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--address", "192.0.2.20:22"], "bad-address"),
        (["--domain", "https://escola-mar.cat"], "bad-hostname"),
        (["--system", "debian-9"], "unknown-system"),
        (["--port", "70000"], "out-of-range"),
        (["-s", "wiki=nope"], "bad-hostname"),
        (["-s", "wiki", "-s", "chat"], "cannot-share-host"),
        (["-s", "video"], "unsupported-system"),
        (["--domain", "escola-pi.cat"], "duplicate-domain"),
        (["--name", "{{ x }}"], "template"),
    ],
)
def test_a_file_that_would_be_wrong_is_not_written(options: list[str], code: str, place: Path) -> None:
    good(
        "school",
        "add",
        "escola-pi",
        "--name",
        "Pi",
        "--domain",
        "escola-pi.cat",
        "--address",
        "192.0.2.9",
        "-w",
        place,
    )
    before = tree(place)
    error = refused("school", "add", "escola-mar", *MAR, *options, "-w", place)
    assert isinstance(error, ConfigurationError)
    assert code in [problem.code for problem in error.problems]
    assert tree(place) == before


def test_a_service_that_does_not_exist_is_guessed(place: Path) -> None:
    assert (
        refused("school", "add", "escola-mar", *MAR, "-s", "wikki", "-w", place).remedy
        == 'Did you mean "wiki"?'
    )
    assert "twice" in refused("school", "add", "mar", *MAR, "-s", "wiki", "-s", "wiki", "-w", place).message


def test_an_id_that_cannot_be_one_is_refused_with_one_that_can(place: Path) -> None:
    assert refused("school", "add", "Escola Mar", *MAR, "-w", place).remedy == 'Did you mean "escola-mar"?'


def test_school_add_without_a_terminal_names_the_missing_options(place: Path) -> None:
    assert "--domain, --address" in refused("school", "add", "mar", "--name", "Mar", "-w", place).message


def test_school_add_at_a_terminal_asks(terminal: None, place: Path) -> None:
    shutil.rmtree(place / "roles" / "video")
    shutil.rmtree(place / "roles" / "calendar")
    # What does not run on the school's server is not asked for.
    catalog = sorted(
        name
        for name, entry in load_workspace(place).catalog.items()
        if "debian-12" in entry.definition.systems
    )
    assert "bigbluebutton" not in catalog
    answers = "Escola del Mar\nescola-mar.cat\n192.0.2.20\n" + "".join(
        "y\n" if name == "wiki" else "n\n" for name in catalog
    )
    good("school", "add", "escola-mar", "-w", place, answers=answers)
    assert list(load_workspace(place).school("escola-mar").services) == ["wiki"]


def test_the_workspace_gets_a_schema_with_its_own_services(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-w", place)
    schema = json.loads((place / ".schema" / "school.schema.json").read_text())
    assert "wiki" in schema["properties"]["services"]["properties"]
    first = (place / "schools" / "escola-mar.yml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../.schema/school.schema.json"


def test_schools_are_listed_and_shown_for_people_and_programs(place: Path) -> None:
    assert "no school yet" in good("school", "list", "-w", place)
    good("school", "add", "escola-mar", *MAR, "-s", "wiki", "-w", place)
    listed = good("school", "list", "-w", place)
    assert "escola-mar" in listed
    assert "wiki" in listed
    document = json.loads(good("school", "list", "-w", place, "--json"))
    assert document["schema"] == "provision/schools/v1"
    assert [school["id"] for school in document["schools"]] == ["escola-mar"]
    shown = good("school", "show", "escola-mar", "-w", place)
    assert "https://docs.escola-mar.cat" in shown
    assert "3.10 for a new school" in shown
    assert "Debian 12" in shown
    document = json.loads(good("school", "show", "escola-mar", "-w", place, "--json"))
    assert document["schema"] == "provision/school/v1"
    assert document["services"]["wiki"]["settings"]["max_upload_mb"] == 10
    assert document["notes"] == []


def test_notes_are_shown_with_the_school(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-s", "wiki", "-w", place)
    file = place / "schools" / "escola-mar.yml"
    file.write_text(file.read_text().replace('# version: "3.10"', 'version: "3.9"'))
    assert "support has ended" in good("school", "show", "escola-mar", "-w", place)
    document = json.loads(good("school", "show", "escola-mar", "-w", place, "--json"))
    assert [note["code"] for note in document["notes"]] == ["end-of-life"]


def test_what_is_written_for_people_is_not_taken_for_markup(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "--name", "[bold]Escola[/bold]", "-w", place)
    assert "[bold]Escola[/bold]" in good("school", "list", "-w", place)
    assert "[bold]Escola[/bold]" in good("school", "show", "escola-mar", "-w", place)


def test_accents_go_to_their_letters_in_a_proposed_id(place: Path) -> None:
    error = refused("school", "add", "Escòla Çaïra", "--workspace", place, *MAR)
    assert 'Did you mean "escola-caira"?' in error.remedy


def test_a_directory_with_a_blank_is_quoted_where_it_is_to_be_typed(tmp_path: Path) -> None:
    text = good("init", "Vila Nova", *PEOPLE, "--id", "vilanova")
    assert "git init 'Vila Nova'" in text
    assert "--workspace 'Vila Nova'" in text


def test_comments_of_settings_are_whole_sentences(place: Path) -> None:
    good("school", "add", "escola-mar", "--workspace", place, *MAR)
    assert " ...\n" not in (place / "schools" / "escola-mar.yml").read_text()


def test_a_school_whose_file_is_wrong_keeps_no_other_from_being_listed_shown_or_opened(place: Path) -> None:
    good("school", "add", "escola-mar", *MAR, "-w", place)
    good(
        "school",
        "add",
        "escola-pi",
        "--name",
        "Pi",
        "--domain",
        "pi.cat",
        "--address",
        "192.0.2.30",
        "-w",
        place,
    )
    file = place / "schools" / "escola-pi.yml"
    file.write_text(file.read_text().replace("domain:", "domani:"))
    listed = run("school", "list", "-w", place)
    assert (listed.exit_code, "escola-mar.cat" in listed.stdout, "domani" in listed.stderr) == (1, True, True)
    document = run("school", "list", "-w", place, "--json")
    assert document.exit_code == 1
    assert [school["id"] for school in json.loads(document.stdout)["schools"]] == ["escola-mar"]
    for words in (["school", "show"], ["secrets", "show"]):
        shown = run(*words, "escola-mar", "-w", place)
        assert shown.exit_code == 0, shown.output
        assert "Files of schools are wrong: escola-pi." in shown.stderr
        assert isinstance(refused(*words, "escola-pi", "-w", place), ConfigurationError)
    # Who is about to change something is stopped by any mistake.
    for words in (["check"], ["plan"], ["apply"]):
        assert isinstance(refused(*words, "escola-mar", "-w", place), ConfigurationError)
