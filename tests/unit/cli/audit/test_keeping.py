"""``provision audit``: the city keeps a log; what people are told, and what is refused before anything begins."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from provision.audit import entries as e
from provision.audit.keys import LogKeys
from provision.audit.log import LogWriter, log_directory, writing
from provision.audit.opening import establish, policy_for, renew_keys
from provision.audit.tlog import Kind, Note, SignerKey
from provision.cli.audit import keeping
from provision.cli.main import app
from provision.cli.output import _Mode
from provision.errors import UsageError

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
SCHOOL = "escola-pi"
ORIGIN = f"vilaprova.provision.invalid/{SCHOOL}"
ACTOR = e.Actor(name="Ada Puig")
TARGET = e.Target(school=SCHOOL)
NOW = 1_800_000_000


class Town:
    """A workspace with a log, and no server."""

    def __init__(self, path: Path) -> None:
        shutil.copytree(FIXTURES / "workspace", path)
        shutil.copytree(FIXTURES / "roles", path / "roles")
        self.path = path
        self.directory = log_directory(path, SCHOOL)
        self.keys = [SignerKey.generate(ORIGIN)]
        with self.writing() as writer:
            policy = policy_for(self.keys)
            writer.append([e.PolicySet(actor=ACTOR, target=TARGET, policy=policy.text, strict=False)])
            establish(writer, policy)

    @contextmanager
    def writing(self) -> Iterator[LogWriter]:
        with writing(self.directory, ORIGIN, self.keys) as writer:
            yield writer

    @contextmanager
    def book(self, workspace: Any, school: Any, verb: str) -> Iterator[Any]:
        with self.writing() as writer:
            yield SimpleNamespace(writer=writer, actor=ACTOR, directory=self.directory)

    def call(self, *arguments: str) -> Result:
        _Mode.json = False
        try:
            result = CliRunner().invoke(app, [*arguments, "--workspace", str(self.path)])
        finally:
            _Mode.json = False
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def types(self, count: int) -> list[str]:
        with self.writing() as writer:
            return [entry.type for entry in writer.log.entries(writer.size - count)]

    def cosigned(self, key: SignerKey) -> bytes:
        """The newest checkpoint, cosigned, as the school hands it in."""
        note = Note.parse((self.directory / "checkpoint").read_bytes())
        return note.add(key.sign(note.text)).encode()


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    town = Town(tmp_path / "vilaprova")
    monkeypatch.setattr(keeping, "open_book", town.book)
    return town


def witness(name: str = "escola-pi.example/custodi") -> SignerKey:
    return SignerKey.generate(name, Kind.COSIGNATURE_ED25519)


def test_witnesses_are_added_replaced_and_retired_by_commands(town: Town) -> None:
    first, new = witness(), witness("escola-pi.example/new")
    told = town.call("audit", "add-witness", SCHOOL, first.verifier.vkey)
    assert "witness1: escola-pi.example/custodi" in told.stdout
    told = town.call(
        "audit", "add-witness", SCHOOL, new.verifier.vkey, "--replaces", "witness1", "--why", "lost"
    )
    assert "witness1: escola-pi.example/new" in told.stdout
    assert "custodi" not in told.stdout
    assert town.types(3) == ["key.added", "key.retired", "policy.set"]
    told = town.call("audit", "retire-witness", SCHOOL, new.verifier.name, "--why", "left", "--yes")
    assert "no witness now" in told.stdout
    assert town.types(2) == ["key.retired", "policy.set"]
    assert "quorum none" in (town.directory / "policy").read_text()


def test_a_witness_is_not_retired_without_a_reason_or_without_being_asked(town: Town) -> None:
    town.call("audit", "add-witness", SCHOOL, witness().verifier.vkey)
    policy = (town.directory / "policy").read_text()
    with pytest.raises(UsageError, match="reason"):
        town.call("audit", "retire-witness", SCHOOL, "witness1", "--yes")
    with pytest.raises(UsageError, match="nobody to ask"):
        town.call("audit", "retire-witness", SCHOOL, "witness1", "--why", "lost")
    assert (town.directory / "policy").read_text() == policy


def test_status_tells_after_a_renewal_of_the_key_who_cosigned_before_it(town: Town) -> None:
    key = witness()
    town.call("audit", "add-witness", SCHOOL, key.verifier.vkey)
    with town.writing() as writer:
        size = writer.size
        writer.archive(writer.log.note.add(key.sign(writer.log.note.text, NOW)))
        store: Any = SimpleNamespace(save=lambda school, keys: saved.append(keys))
        saved: list[LogKeys] = []
        school: Any = SimpleNamespace(id=SCHOOL, audit=SimpleNamespace(strict=False))
        renew_keys(store, writer, school, ACTOR, second=None, why="")
    town.keys = list(saved[-1].current)
    [told] = json.loads(town.call("audit", "status", SCHOOL, "--json").stdout)["witnesses"]
    assert (told["policy_name"], told["size"], told["time"]) == ("witness1", size, NOW)
    assert f"cosigned {size} of {size + 3} entries" in town.call("audit", "status", SCHOOL).stdout


@pytest.mark.parametrize(
    ("command", "option", "limit"),
    [
        (["apply", SCHOOL, "--yes"], "--why", 2000),
        (["apply", SCHOOL, "--yes"], "--ticket", 200),
        (["audit", "add-witness", SCHOOL, "key"], "--why", 2000),
        (["audit", "retire-witness", SCHOOL, "witness1"], "--why", 2000),
        (["audit", "rotate-key", SCHOOL], "--why", 2000),
        (["audit", "erase", SCHOOL, "run"], "--why", 2000),
    ],
)
def test_a_reason_that_the_log_cannot_hold_is_refused_before_anything_begins(
    town: Town, command: list[str], option: str, limit: int
) -> None:
    with pytest.raises(UsageError) as found:
        town.call(*command, option, "à" * (limit + 1))
    assert found.value.message == f"{option} has {limit + 1} characters; at most {limit} are kept"
    assert found.value.remedy


def test_a_reason_that_just_fits_is_kept_whole(town: Town) -> None:
    reason = "à" * 2000
    town.call("audit", "add-witness", SCHOOL, witness().verifier.vkey, "--why", reason)
    with town.writing() as writer:
        assert next(iter(writer.log.entries(writer.size - 2))).data["why"] == reason


def test_cosign_while_a_run_waits_says_that_the_run_takes_the_file(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = witness()
    town.call("audit", "add-witness", SCHOOL, key.verifier.vkey)
    file = tmp_path / "from-school.cosignature"
    file.write_bytes(town.cosigned(key))
    arguments = ["audit", "cosign", SCHOOL, str(file)]
    # The short time that it waits is nothing for a test to wait for.
    monkeypatch.setattr("provision.audit.cosignatures.HAND_IN_TIMEOUT", 0.0)
    with town.writing():
        told = town.call(*arguments)
        assert "A run that waits for the school takes it" in told.stdout
        document = json.loads(town.call(*arguments, "--json").stdout)
        assert document["state"] == "waiting"
        assert Path(document["file"]).read_bytes() == file.read_bytes()
    document = json.loads(town.call(*arguments, "--json").stdout)
    assert (document["state"], document["file"]) == ("kept", None)
    assert (document["size"], document["cosigners"][0]["name"]) == (3, key.name)
