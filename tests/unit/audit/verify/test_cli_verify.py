"""``audit verify``, ``audit proof`` and ``audit check-proof`` as people and programs use them."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from provision.audit.tlog import Checkpoint, Group, Kind, LogProof, Note, Policy, SignerKey
from provision.audit.verify import check as checking
from provision.audit.verify.proof import prove
from provision.cli.audit import verify as commands
from provision.errors import ProvisionError, UsageError
from tests.unit.audit.verify.city import City, altered, bundle, rewrite_bundle

app = typer.Typer()
commands.register(app)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(autouse=True)
def clock(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day on which the log was written, whatever the machine says."""
    monkeypatch.setattr(checking, "present", lambda: int(city.now.timestamp()))


@pytest.fixture
def policy(city: City, tmp_path: Path) -> Path:
    file = tmp_path / "escola-mar.policy"
    file.write_text(city.policy.text, encoding="utf-8")
    return file


@pytest.fixture
def proof(city: City, tmp_path: Path) -> Path:
    file = tmp_path / "four.tlog-proof"
    assert run("proof", city.directory, 4, "--output", file).exit_code == 0
    return file


def test_the_verdict_stands_in_the_first_line(city: City, policy: Path) -> None:
    result = run("verify", city.directory, "--policy", policy)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith(
        "VERIFIED: the 17 entries of provision.example.cat/escola-mar"
    )


def test_a_bad_log_gives_exit_code_1_and_each_reason_with_entry_kind_and_remedy(
    city: City, policy: Path
) -> None:
    entries = bundle(city.directory)
    entries[4] = altered(entries[4], "changed", "ignored")
    rewrite_bundle(city.directory, entries)
    result = run("verify", city.directory, "--policy", policy, "--lang", "es")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert (
        lines[0]
        == "NO VERIFICADO: provision.example.cat/escola-mar tiene un problema (entrada 4: modificada)."
    )
    assert lines[1] == "  entrada 4, modificada: su texto no es el que se registró"
    assert lines[2].startswith("    Qué hacer: Conserve esta copia")


def test_json_says_the_same_in_a_stable_form(city: City, policy: Path) -> None:
    (city.directory / "checkpoints/12").unlink()
    result = run("verify", city.directory, "--policy", policy, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["schema"], document["ok"], document["size"]) == ("provision/audit-verify/v1", False, 17)
    assert [(one["kind"], one["severity"]) for one in document["findings"]] == [("quorum", "bad")]
    assert document["cosigned"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--max-age", "soon"),
        ("--max-age", "0d"),
        ("--policy", "nowhere"),
        ("--against", "nowhere"),
        ("--tsa-ca", "nowhere"),
        ("--lang", "fr"),
    ],
)
def test_wrong_use_is_told_as_such(city: City, arguments: tuple[str, str]) -> None:
    error = run("verify", city.directory, *arguments).exception
    assert isinstance(error, UsageError)
    assert error.remedy


def test_a_policy_that_is_none_names_its_line(city: City, tmp_path: Path) -> None:
    file = tmp_path / "bad.policy"
    file.write_text("quorum none\nlog x\n", encoding="utf-8")
    assert "line 2" in str(run("verify", city.directory, "--policy", file).exception)


def test_a_proof_is_checked_from_two_small_files_alone(city: City, policy: Path, proof: Path) -> None:
    for file in sorted(city.directory.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    result = run("check-proof", proof, "--policy", policy, "--lang", "ca")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == (
        "PROVAT: l’entrada 4 és al registre provision.example.cat/escola-mar, signada per ell i cosignada per "
        "escola-mar.example.cat/custodi (2026-11-02T08:13:00Z)."
    )
    assert "Núria Puig" in second


def test_a_proof_uses_the_cosigned_checkpoint_where_it_covers_the_entry(city: City) -> None:
    assert prove(city.log, 11)[0].verify(prove(city.log, 11)[1], city.policy).checkpoint.size == 12
    later = prove(city.log, 12)[0]
    assert Policy(city.policy.logs).open(later.checkpoint).checkpoint.size == 17


def test_a_proof_prefers_enough_cosignatures_to_some_and_some_to_none(city: City) -> None:
    archive = city.log.archived_sizes()
    assert archive[-1] == 12
    other = SignerKey.generate("districte.example.cat/custodi", Kind.COSIGNATURE_ED25519)
    witnesses = {"school": city.school.verifier, "other": other.verifier}
    policy = Policy((city.keys[0].verifier,), witnesses, {"both": Group(2, ("school", "other"))}, "both")
    (city.directory / "policy").write_text(policy.text, encoding="utf-8")

    def size(index: int) -> int:
        return Checkpoint.parse(Note.parse(prove(city.log, index)[0].checkpoint).text).size

    assert size(4) == 12, "one of the two is more than none"
    city.cosign()
    assert size(4) == 17, "the newer one of those with one"
    city.run()
    newest = city.cosigned_note()
    city.archive(newest.add(other.sign(newest.text, int(city.now.timestamp()))))
    both = city.log.size
    city.run()
    city.cosign()
    assert size(4) == both, "both, though a newer one has one"
    assert size(both) == city.log.size, "what came after it has only the newer one"


@pytest.mark.parametrize("number", [-1, 17, 2**70])
def test_an_entry_that_is_not_there_cannot_be_proved(city: City, number: int) -> None:
    with pytest.raises(UsageError, match="the log has 17"):
        prove(city.log, number)


def test_a_damaged_log_proves_nothing(city: City) -> None:
    entries = bundle(city.directory)
    rewrite_bundle(city.directory, [*entries[:4], b"{}", *entries[5:]])
    with pytest.raises(ProvisionError, match="entry 4 cannot be proved"):
        prove(city.log, 4)


@pytest.mark.parametrize("what", ["entry", "proof", "policy", "uncosigned"])
def test_what_does_not_belong_together_is_not_proved(
    city: City, policy: Path, proof: Path, tmp_path: Path, what: str
) -> None:
    beside = proof.with_name(proof.name + ".json")
    match what:
        case "entry":
            beside.write_bytes(altered(beside.read_bytes(), "changed", "ignored"))
        case "proof":
            good = LogProof.parse(proof.read_bytes())
            proof.write_bytes(LogProof(5, good.hashes, good.checkpoint).encode())
        case "policy":
            policy.write_text(City(tmp_path / "other").policy.text, encoding="utf-8")
        case "uncosigned":
            assert run("proof", city.directory, 14, "--output", proof).exit_code == 0
    result = run("check-proof", proof, "--policy", policy)
    assert result.exit_code == 1
    assert result.stdout.startswith("NOT PROVED: ")
    document = json.loads(run("check-proof", proof, "--policy", policy, "--json").stdout)
    assert (document["schema"], document["ok"]) == ("provision/audit-check-proof/v1", False)


def test_a_proof_for_programs_has_the_entry_and_who_signed(policy: Path, proof: Path) -> None:
    document = json.loads(run("check-proof", proof, "--policy", policy, "--json").stdout)
    assert (document["ok"], document["entry"], document["size"]) == (True, 4, 12)
    assert document["cosigned_by"] == {"escola-mar.example.cat/custodi": "2026-11-02T08:13:00Z"}
    assert document["event"]["type"] == "task.result"
