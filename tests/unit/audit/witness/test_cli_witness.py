"""``audit witness`` and ``audit cosign``, as the school and the city type them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from provision.audit.entries import Heartbeat, PolicySet, RunIntent, RunStarted, State
from provision.audit.tlog import Checkpoint, Note, Policy, VerifierKey
from provision.audit.witness import DirectorySource, RefusedLogError, WitnessStore, visiting
from provision.cli.main import app
from provision.errors import UsageError
from tests.unit.audit.witness.city import ADA, ORIGIN, SCHOOL, City


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> City:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pass").write_text("quatre gats a la teulada\n")
    return City(tmp_path / "city")


def run(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)], input=given)


def init(city: City, *more: object) -> Result:
    given = more or ("--log", city.keys[0].verifier.vkey)
    return run("witness", "init", "--dir", "home", "--no-passphrase", *given)


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output + repr(result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_whole_way_from_the_first_key_to_the_city(city: City) -> None:
    made = document(
        run(
            "witness", "init", "--dir", "home", "--log", city.directory / "policy", "--name", "escola.example/custodi",
            "--passphrase-file", "pass", "--json",
        )
    )  # fmt: skip
    assert made["schema"] == "provision/witness-init/v1"
    assert made["sealed"] is True
    city.witness = type("Key", (), {"verifier": VerifierKey.parse(made["vkey"])})()
    (city.directory / "policy").write_text(city.policy.text)
    signed = document(
        run(
            "witness",
            "sign",
            "--dir",
            "home",
            "--from",
            "city",
            "--passphrase-file",
            "pass",
            "--yes",
            "--json",
        )
    )
    assert (signed["size"], signed["before"], signed["new"]) == (2, 0, {"log.opened": 1, "policy.set": 1})
    name = "provision.example.cat-escola-mar-2.cosignature"
    assert signed["file"] == name
    taken = document(run("cosign", "./city", name, "--json"))
    assert taken["cosigners"] == [{"name": "escola.example/custodi", "time": signed["time"]}]
    status = document(run("witness", "status", "--dir", "home", "--json"))
    assert (status["entries"], status["signed"]["size"], status["evidence"]) == (2, 2, [])


def test_the_public_line_is_printed_whole_for_copying(city: City) -> None:
    result = init(city)
    assert result.exit_code == 0
    assert (Path("home") / "public.vkey").read_text().strip() in result.stdout.splitlines()
    assert "in clear" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--log", "nonsense+1+2"],
        ["--log", "missing-file"],
        ["--log", "pass"],
        ["--origin", "another.example/log", "--log", "city/policy"],
    ],
)
def test_it_must_be_clear_which_log_is_watched(city: City, words: list[str]) -> None:
    result = run("witness", "init", "--dir", "home", "--no-passphrase", *words)
    assert isinstance(result.exception, UsageError)
    assert not Path("home").exists()


def test_no_key_is_made_in_clear_unless_that_is_said(city: City) -> None:
    result = run("witness", "init", "--dir", "home", "--origin", ORIGIN)
    assert isinstance(result.exception, UsageError)
    assert not Path("home").exists()


@pytest.mark.parametrize(
    ("lang", "words"), [("ca", "primera vegada"), ("es", "primera vez"), ("en", "first time")]
)
def test_what_is_new_is_told_in_the_reader_s_language(city: City, lang: str, words: str) -> None:
    init(city)
    result = run("witness", "sign", "--dir", "home", "--from", "city", "--yes", "--lang", lang)
    assert result.exit_code == 0
    assert words in result.stderr
    assert "Ada Puig" in result.stderr


def test_what_a_hostile_log_says_does_not_reach_the_terminal_raw(city: City) -> None:
    init(city)
    evil = ADA.model_copy(update={"name": "Eva"})
    city.add(Heartbeat(actor=evil, target=SCHOOL))
    city.add_raw([city.raw[0].replace(b"Ada Puig", b"\\u001b[2J\\u202eAda"), b"no entry at all"])
    result = run("witness", "sign", "--dir", "home", "--from", "city", "--yes")
    assert result.exit_code == 0
    assert "\x1b[2J" not in result.output
    assert "\u202e" not in result.output


def test_nobody_is_there_to_ask_so_nothing_is_signed(city: City) -> None:
    init(city)
    result = run("witness", "sign", "--dir", "home", "--from", "city")
    assert isinstance(result.exception, UsageError)
    assert not list(Path().glob("*.cosignature"))


def test_no_for_an_answer_signs_nothing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("output", "audit.witness"):
        monkeypatch.setattr(f"provision.cli.{module}.interactive", lambda: True)
    init(city)
    result = run("witness", "sign", "--dir", "home", "--from", "city", given="n\n")
    assert result.exit_code == 1
    assert WitnessStore.open(Path("home")).note is None
    assert not list(Path().glob("*.cosignature"))


def intent(name: str, *, strict: bool = True) -> RunIntent:
    none = State(commit="", dirty=False)
    return RunIntent(
        actor=ADA,
        target=SCHOOL,
        action="apply",
        run=name,
        tool="0.1",
        workspace=none,
        code=none,
        strict=strict,
    )


def signing(*more: object, given: str | None = None) -> Result:
    return run("witness", "sign", "--dir", "home", "--from", "city", *more, given=given)


def signed_size() -> int:
    found = document(run("witness", "status", "--dir", "home", "--json"))["signed"]
    return int(found["size"]) if found else 0


def refusal(result: Result, kind: str) -> RefusedLogError:
    error = result.exception
    assert isinstance(error, RefusedLogError), result.output
    assert (error.kind, error.exit_code) == (kind, 1)
    assert error.remedy
    return error


@pytest.mark.parametrize("strict", [True, False])
def test_a_timer_agrees_to_no_run_that_waits(city: City, strict: bool) -> None:
    init(city)
    assert signing("--yes").exit_code == 0
    # Whatever the intent says of itself: an approval could name the signature over it.
    city.add(intent("r1", strict=strict), intent("r2"))
    for more in ((), ("--approve", "r1"), ("--approve", "r3"), ("--json",)):
        error = refusal(signing("--yes", *more), "waiting")
        assert "r2" in error.message
        assert signed_size() == 2
        assert WitnessStore.open(Path("home")).checkpoint.size == 2
    assert not list(Path().glob("*-4.cosignature"))
    found = document(signing("--yes", "--approve", "r1", "--approve", "r2", "--json"))
    assert (found["size"], found["waiting_runs"]) == (4, ["r1", "r2"])
    city.beat()
    assert signing("--yes").exit_code == 0


def test_a_run_that_has_begun_or_was_withdrawn_waits_no_more(city: City) -> None:
    init(city)
    assert signing("--yes").exit_code == 0
    city.add(intent("r1", strict=False), RunStarted(actor=ADA, target=SCHOOL, run="r1"))
    assert signing("--yes").exit_code == 0


def test_what_was_stored_and_not_signed_still_waits(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    init(city)
    assert signing("--yes").exit_code == 0
    city.add(intent("r1"))
    with visiting(Path("home"), DirectorySource(city.directory)) as visit:
        visit.take()
    assert "r1" in refusal(signing("--yes"), "waiting").message
    city.beat()
    assert "r1" in refusal(signing("--yes"), "waiting").message
    city.add(RunStarted(actor=ADA, target=SCHOOL, run="r1"))
    assert signing("--yes").exit_code == 0


def test_a_person_agrees_by_signing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    init(city)
    assert signing("--yes").exit_code == 0
    city.add(intent("r1"))
    for module in ("audit.witness", "output"):
        monkeypatch.setattr(f"provision.cli.{module}.interactive", lambda: True)
    result = signing(given="y\n")
    assert result.exit_code == 0, result.output
    assert "A run waits for your signature" in result.stderr or "r1" in result.stderr
    assert signed_size() == 3


def test_a_timer_agrees_to_no_change_of_who_signs_or_is_asked(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rules(policy: Policy, *, strict: bool) -> PolicySet:
        return PolicySet(actor=ADA, target=SCHOOL, policy=policy.text, strict=strict)

    init(city)
    assert signing("--yes").exit_code == 0
    # More duty, and a new key of the log alone, need nobody.
    city.add(rules(city.policy, strict=True))
    assert signing("--yes").exit_code == 0
    alone = Policy(logs=city.policy.logs)
    for change in (rules(city.policy, strict=False), rules(alone, strict=True)):
        city.add(rules(city.policy, strict=True), change)
        before = signed_size()
        refusal(signing("--yes"), "rules")
        assert signed_size() == before
        for module in ("audit.witness", "output"):
            monkeypatch.setattr(f"provision.cli.{module}.interactive", lambda: True)
        assert signing(given="y\n").exit_code == 0
        assert signing("--yes").exit_code == 0


def test_a_key_that_only_the_log_names_must_be_compared_by_a_person(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(city, "--origin", ORIGIN)
    refused = run("witness", "sign", "--dir", "home", "--from", "city", "--yes")
    assert isinstance(refused.exception, UsageError)
    assert WitnessStore.open(Path("home")).note is None
    for module in ("output", "audit.witness"):
        monkeypatch.setattr(f"provision.cli.{module}.interactive", lambda: True)
    result = run("witness", "sign", "--dir", "home", "--from", "city", given="y\ny\n")
    assert result.exit_code == 0, result.output
    assert city.keys[0].verifier.vkey in result.stderr
    assert WitnessStore.open(Path("home")).trust.keys == (city.keys[0].verifier,)


def test_a_wrong_passphrase_signs_nothing_and_forgets_nothing(city: City) -> None:
    run("witness", "init", "--dir", "home", "--log", "city/policy", "--passphrase-file", "pass")
    Path("wrong").write_text("quatre gats al terrat\n")
    result = run("witness", "sign", "--dir", "home", "--from", "city", "--passphrase-file", "wrong", "--yes")
    assert result.exit_code == 1
    assert not list(Path().glob("*.cosignature"))
    assert WitnessStore.open(Path("home")).checkpoint == Checkpoint.parse(city.note.text)


def test_a_fork_is_refused_and_stays_in_the_status(city: City, tmp_path: Path) -> None:
    init(city)
    city.beat(4)
    run("witness", "sign", "--dir", "home", "--from", "city", "--yes")
    city.retold(tmp_path / "fork", [*city.raw[:3], b"{}"])
    for file in Path().glob("*.cosignature"):
        file.unlink()
    result = run("witness", "sign", "--dir", "home", "--from", "fork", "--yes")
    assert isinstance(result.exception, RefusedLogError)
    assert result.exception.exit_code == 1
    assert not list(Path().glob("*.cosignature"))
    status = run("witness", "status", "--dir", "home", "--json")
    assert status.exit_code == 1
    assert [one["proves_fork"] for one in json.loads(status.stdout)["evidence"]] == [True]


def test_evidence_that_was_tampered_with_proves_nothing(city: City, tmp_path: Path) -> None:
    init(city)
    city.beat(4)
    run("witness", "sign", "--dir", "home", "--from", "city", "--yes")
    city.retold(tmp_path / "fork", [*city.raw[:3], b"{}"])
    run("witness", "sign", "--dir", "home", "--from", "fork", "--yes")
    place = next(Path("home/evidence").iterdir())
    larger = Note.parse((place / "larger.checkpoint").read_bytes())
    for name, content in {
        "smaller.checkpoint": larger.encode(),
        "proof.json": b"[" * 60_000,
        "larger.checkpoint": b"",
    }.items():
        before = (place / name).read_bytes()
        (place / name).write_bytes(content)
        status = run("witness", "status", "--dir", "home", "--json")
        assert status.exit_code == 0
        assert [one["proves_fork"] for one in json.loads(status.stdout)["evidence"]] == [False]
        (place / name).write_bytes(before)


def test_the_answer_goes_where_it_is_wanted(city: City) -> None:
    init(city)
    Path("stick").mkdir()
    for out in ("stick", "mine.txt"):
        assert (
            run("witness", "sign", "--dir", "home", "--from", "city", "--yes", "--output", out).exit_code == 0
        )
    assert Path("stick/provision.example.cat-escola-mar-2.cosignature").is_file()
    assert Path("mine.txt").is_file()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b'{"schema":"provision/witness/v1"}', b"[" * 90_000, b"\xff\x00", b"x" * 900_000],
)
def test_a_damaged_directory_is_said_to_be_damaged(city: City, content: bytes) -> None:
    init(city)
    Path("home/witness.json").write_bytes(content)
    result = run("witness", "status", "--dir", "home")
    assert result.exit_code == 1
    assert "damaged" in str(result.exception)
