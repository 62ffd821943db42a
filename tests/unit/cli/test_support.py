"""``provision health grant`` and ``revoke``, and asking as one of the support people."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from typer.testing import CliRunner, Result

from provision.audit.outbox import Outbox
from provision.cli import health
from provision.cli.output import _Mode
from provision.cli.school import _description, school_data
from provision.engine import support as bringing
from provision.engine.asking import as_support
from provision.engine.connections import Connections
from provision.engine.ssh import Answer, Connection
from provision.engine.variables import build_inventory
from provision.errors import LockedError, RefusedError, UsageError
from provision.health.inside import COMMAND
from provision.model.support import SupportPerson, write_support
from tests.unit.engine.log_desk import Desk, make_desk
from tests.unit.engine.log_server import SCHOOL

LAIA = "Laia Puig"


class Servers:
    """What the school's servers are told, and what they answer.

    Attributes:
        said: standard input of each command, by the command.
        down, locked: what is wrong, where something is.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.said: list[tuple[str, str]] = []
        self.answer = Answer(0, "", "")
        self.down: dict[str, RefusedError] = {}
        self.locked: LockedError | None = None

    def connections(self, *_: object) -> Any:
        servers = self
        connection = self.desk.server.connect()
        connection.run = self.run  # type: ignore[method-assign,assignment]

        class Opened(dict[str, Connection]):
            def reach(self) -> dict[str, RefusedError]:
                return servers.down

            def close(self) -> None:
                pass

        return Opened(dict.fromkeys(self.desk.school.hosts, connection))

    def run(self, command: str, *, stdin: str = "", root: bool = False) -> Answer:
        assert root
        self.said.append((command, stdin))
        return self.answer

    def lock(self, *_: object) -> Any:
        if self.locked:
            raise self.locked
        return nullcontext()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PROVISION_PERSON", "Ada Administradora")
    return make_desk(tmp_path, monkeypatch)


@pytest.fixture
def servers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Servers:
    found = Servers(desk)
    monkeypatch.setattr(bringing, "Connections", found.connections)
    monkeypatch.setattr(bringing, "HostLock", found.lock)
    return found


def call(desk: Desk, *arguments: object) -> Result:
    app = typer.Typer()
    health.register(app)
    app.callback()(lambda: None)
    _Mode.json = False
    try:
        done = CliRunner().invoke(app, ["health", *map(str, arguments), "-w", str(desk.directory)])
    finally:
        _Mode.json = False
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def public_of(key: Any) -> str:
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return str(key.public_key().public_bytes(*form).decode())


def key_file(desk: Desk, name: str = "laia", remark: str = "") -> Path:
    file = desk.directory.with_name(f"{name}.pub")
    file.write_text(f"# sent on Monday\n{public_of(ed25519.Ed25519PrivateKey.generate())} {remark}\n\n")
    return file


def grant(desk: Desk, name: str = LAIA, **more: str) -> Path:
    file = key_file(desk, name.replace(" ", "-"))
    call(desk, "grant", SCHOOL, "--key", file, "--name", name)
    return file


def test_a_granted_key_is_in_the_workspace_on_the_server_and_in_the_log(desk: Desk, servers: Servers) -> None:
    file = key_file(desk)
    done = call(desk, "grant", SCHOOL, "--key", file, "--name", LAIA, "--why", "nova coordinadora")
    assert done.exit_code == 0
    (person,) = desk.school.support
    assert (person.name, person.key) == (LAIA, " ".join(file.read_text().split("\n")[1].split()[:2]))
    ((command, told),) = servers.said
    assert command == "/usr/local/sbin/provision-base support"
    assert json.loads(told) == [{"name": LAIA, "key": person.key}]
    (entry,) = desk.entries("access.opened")
    assert entry.data["kind"] == "grant"
    assert entry.data["subject"].startswith(f"provision-health, {LAIA}, SHA256:")
    assert (entry.data["actor"]["name"], entry.data["why"]) == ("Ada Administradora", "nova coordinadora")


def test_a_revoked_key_is_gone_from_all_three(desk: Desk, servers: Servers) -> None:
    grant(desk)
    grant(desk, "Pau Roca")
    done = call(desk, "revoke", SCHOOL, "laia puig", "--why", "ha plegat")
    assert done.exit_code == 0
    assert [person.name for person in desk.school.support] == ["Pau Roca"]
    assert [person["name"] for person in json.loads(servers.said[-1][1])] == ["Pau Roca"]
    (entry,) = desk.entries("access.closed")
    assert (entry.data["kind"], entry.data["why"]) == ("grant", "ha plegat")


def test_a_school_names_its_support_people(desk: Desk, servers: Servers) -> None:
    grant(desk)
    (line,) = [text.plain for text in _description(desk.school, desk.workspace) if "support" in text.plain]
    assert LAIA in line
    assert school_data(desk.school)["support"] == [LAIA]


def test_a_key_is_revoked_by_its_file_as_well(desk: Desk, servers: Servers) -> None:
    file = grant(desk)
    assert call(desk, "revoke", SCHOOL, "--key", file).exit_code == 0
    assert desk.school.support == ()


@pytest.mark.parametrize("words", [[], ["Laia Puig", "--key", "x"]])
def test_revoke_wants_a_name_or_a_key(desk: Desk, servers: Servers, words: list[str]) -> None:
    with pytest.raises(UsageError, match="by the name or by the key"):
        call(desk, "revoke", SCHOOL, *words)


def test_who_is_not_there_cannot_be_revoked_and_those_who_are_there_are_named(
    desk: Desk, servers: Servers
) -> None:
    with pytest.raises(UsageError, match="not among"):
        call(desk, "revoke", SCHOOL, "Pau")
    grant(desk)
    with pytest.raises(UsageError, match="not among") as caught:
        call(desk, "revoke", SCHOOL, "Pau")
    assert LAIA in caught.value.remedy


def test_without_a_server_the_key_waits_for_the_next_run_and_the_command_says_so(
    desk: Desk, servers: Servers
) -> None:
    servers.down = {"main": RefusedError("main cannot be reached: no route to host")}
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA)
    assert done.exit_code == 1
    assert "NOT YET" in done.stderr
    assert f"provision apply {SCHOOL}" in done.stderr
    assert [person.name for person in desk.school.support] == [LAIA]
    assert servers.said == []
    assert b"access.opened" in b"".join(Outbox(desk.place).waiting())


def test_of_several_servers_those_that_are_reached_know_at_once(desk: Desk, servers: Servers) -> None:
    desk.edit(hosts={"main": {"address": "192.0.2.10"}, "video": {"address": "192.0.2.11"}}, services={})
    servers.down = {"video": RefusedError("video cannot be reached")}
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["hosts"]) == (1, {"main": None, "video": "video cannot be reached"})
    assert found["log"] == "waiting"
    assert len(servers.said) == 1


def test_where_the_log_cannot_be_opened_a_key_is_taken_away_all_the_same(
    desk: Desk, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(desk)
    monkeypatch.delenv("PROVISION_VAULT_PASSWORD_FILE")
    done = call(desk, "revoke", SCHOOL, LAIA)
    assert done.exit_code == 0
    assert json.loads(servers.said[-1][1]) == []
    assert "audit sync" in done.stderr
    assert len(Outbox(desk.place).waiting()) == 1


def test_while_a_run_is_going_on_nothing_is_put_in_its_way(desk: Desk, servers: Servers) -> None:
    servers.locked = LockedError("Berta is at work on escola")
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA)
    assert (done.exit_code, servers.said) == (1, [])
    assert "Berta is at work" in done.stderr
    assert len(Outbox(desk.place).waiting()) == 1


def test_a_server_of_an_earlier_version_is_told_of_with_the_next_run(desk: Desk, servers: Servers) -> None:
    servers.answer = Answer(2, "", "provision-base settle [--check]")
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA)
    assert done.exit_code == 1
    assert "earlier version" in done.stderr


def test_what_a_server_complains_of_cannot_steer_the_terminal(desk: Desk, servers: Servers) -> None:
    servers.answer = Answer(1, "", "no\x1b[2Jway")
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA)
    assert done.exit_code == 1
    assert "\x1b[2J" not in done.stderr


def test_granting_again_brings_it_to_the_server_again_and_keeps_one_entry_of_the_person(
    desk: Desk, servers: Servers
) -> None:
    file = grant(desk)
    assert call(desk, "grant", SCHOOL, "--key", file, "--name", LAIA).exit_code == 0
    assert len(servers.said) == 2
    assert len(desk.school.support) == 1


def test_one_key_has_one_owner_and_one_name_one_key(desk: Desk, servers: Servers) -> None:
    file = grant(desk)
    with pytest.raises(UsageError, match="that of Laia Puig already"):
        call(desk, "grant", SCHOOL, "--key", file, "--name", "Pau")
    with pytest.raises(UsageError, match="another key already"):
        call(desk, "grant", SCHOOL, "--key", key_file(desk, "other"), "--name", "laia puig")
    assert len(desk.school.support) == 1


def test_the_remark_in_the_key_is_the_name_where_none_is_given(desk: Desk, servers: Servers) -> None:
    call(desk, "grant", SCHOOL, "--key", key_file(desk, remark="laia@portàtil"))
    assert [person.name for person in desk.school.support] == ["laia@portàtil"]
    with pytest.raises(UsageError, match="whose key"):
        call(desk, "grant", SCHOOL, "--key", key_file(desk, "none"))


def test_a_private_key_is_refused_with_a_word_and_nothing_of_it_is_shown(
    desk: Desk, servers: Servers
) -> None:
    secret = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    file = desk.directory.with_name("id_ed25519")
    file.write_bytes(secret)
    with pytest.raises(UsageError, match="IS A PRIVATE KEY") as caught:
        call(desk, "grant", SCHOOL, "--key", file, "--name", LAIA)
    assert secret.splitlines()[1].decode() not in f"{caught.value.message}{caught.value.remedy}"
    assert desk.school.support == ()


@pytest.mark.parametrize(
    "content",
    ["", "hello", "two\nlines", "ssh-dss AAAA x", "x" * 20_000, 'command="sh" ssh-ed25519 AAAA', "\x00\xff"],
)
def test_what_is_no_key_is_refused_and_changes_nothing(desk: Desk, servers: Servers, content: str) -> None:
    file = desk.directory.with_name("key.pub")
    file.write_text(content)
    with pytest.raises(UsageError):
        call(desk, "grant", SCHOOL, "--key", file, "--name", LAIA)
    assert servers.said == []
    assert not (desk.directory / "support").exists()


def test_a_short_rsa_key_is_refused(desk: Desk, servers: Servers) -> None:
    file = desk.directory.with_name("rsa.pub")
    file.write_text(public_of(rsa.generate_private_key(65537, 2048)))
    with pytest.raises(UsageError, match="3072"):
        call(desk, "grant", SCHOOL, "--key", file, "--name", LAIA)


@pytest.mark.parametrize(
    ("lang", "words"), [("ca", "no hi canvia res"), ("es", "no cambia nada"), ("en", "changes nothing there")]
)
def test_what_the_person_must_do_is_told_in_their_language(
    desk: Desk, servers: Servers, lang: str, words: str
) -> None:
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA, "--lang", lang)
    assert words in done.stdout
    assert f"provision health {SCHOOL} --identity" in done.stdout


def test_programs_are_told_what_is_where(desk: Desk, servers: Servers) -> None:
    servers.answer = Answer(1, "", "no room")
    done = call(desk, "grant", SCHOOL, "--key", key_file(desk), "--name", LAIA, "--json")
    found = json.loads(done.stdout)
    assert found["schema"] == "provision/health-grant/v1"
    assert found["hosts"] == {"main": "main cannot take it: no room"}
    assert (found["log"], found["name"], found["key"][:7]) == ("written", LAIA, "SHA256:")


def test_support_people_come_as_their_own_account_with_their_own_key_and_no_password(desk: Desk) -> None:
    desk.edit(
        hosts={
            "main": {
                "address": "192.0.2.10", "user": "tic", "jump": "pont.example.org", "become_password": True,
                "ssh_key": "city_key",
            }
        }
    )  # fmt: skip
    key = Path("/home/laia/.ssh/id_ed25519")
    host = as_support(desk.school, key).hosts["main"]
    assert (host.user, host.ssh_key, host.become_password) == ("provision-health", key, False)
    assert host.jump == "tic@pont.example.org"
    assert as_support(desk.school, None).hosts["main"].ssh_key is None


@pytest.mark.parametrize(("identity", "root"), [(None, True), ("agent", False)])
def test_only_the_city_asks_by_way_of_root(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, identity: str | None, root: bool
) -> None:
    school = as_support(desk.school, None) if identity else desk.school
    asked: list[tuple[str, str, bool]] = []

    def run(command: str, *, stdin: str, root: bool) -> Answer:
        asked.append((command, stdin, root))
        return Answer(0, "{}", "")

    opened = Connections(desk.workspace, school, {})
    connection = SimpleNamespace(
        run=run, transport=SimpleNamespace(is_active=lambda: True), close=lambda: None
    )
    monkeypatch.setattr(opened, "_connect", lambda _host: connection)
    assert opened.run_on("main", COMMAND, "{}") == (0, "{}")
    assert asked == [(COMMAND, "{}", root)]


@pytest.mark.parametrize("option", ["--record", "--deep"])
def test_who_comes_with_their_own_key_writes_no_log_and_runs_no_tests_of_roots(
    desk: Desk, option: str
) -> None:
    with pytest.raises(UsageError, match="neither write the audit log"):
        call(desk, SCHOOL, "--identity", "agent", option)


def test_a_key_that_is_not_there_or_is_the_public_half_is_said_to_be_so(desk: Desk) -> None:
    with pytest.raises(UsageError, match="public half"):
        call(desk, SCHOOL, "--identity", key_file(desk))
    with pytest.raises(UsageError, match="There is no key"):
        call(desk, SCHOOL, "--identity", desk.directory / "missing")


def test_a_new_run_brings_the_same_people_to_the_server(desk: Desk) -> None:
    person = SupportPerson(name=LAIA, key=public_of(ed25519.Ed25519PrivateKey.generate()))
    write_support(desk.directory, SCHOOL, (person,))
    inventory = build_inventory(desk.workspace, desk.school, [], {}, run_id="r")
    (group,) = inventory["all"]["children"].values()
    assert group["hosts"]["main"]["base_support_keys"] == [{"name": LAIA, "key": person.key}]
