"""The rule of the role base that keeps its own way into a server open."""

import base64
import grp
import json
import pwd
import types
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.programs import load

OLD, NEW = "ssh-ed25519 AAAAold anna@old", "ssh-ed25519 AAAAnew anna@new"


class Server:
    """The parts of a server that the rule looks at: one account that the administrator's machine comes as."""

    def __init__(self, program: types.ModuleType, root: Path, login: str) -> None:
        self.program, self.root, self.login, self.members = program, root, login, set[str]()
        self.own_keys = root / "home/.ssh/authorized_keys"
        self.own_keys.parent.mkdir(parents=True)
        self.operator_keys = root / "keys" / login
        self.operator_keys.parent.mkdir()

    def make_operator(self, keys: str) -> None:
        self.members.add(self.login)
        self.operator_keys.write_text(keys)
        (self.root / "sshd.conf").touch()

    def guard(self, *operators: tuple[str, list[str]], connect_user: str | None = None) -> None:
        listed = [{"login": login, "name": login, "ssh_keys": keys} for login, keys in operators]
        wanted: dict[str, Any] = {"connect_user": connect_user or self.login, "operators": listed}
        self.program.guard(wanted)


@pytest.fixture(name="program")
def _program() -> types.ModuleType:
    return load("base", "provision-base")


@pytest.fixture(name="server")
def _server(program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(program, tmp_path, "anna")
    monkeypatch.setattr(program, "KEYS", tmp_path / "keys")
    monkeypatch.setattr(program, "SSH_ACTIVE", tmp_path / "sshd.conf")

    def account(login: str) -> pwd.struct_passwd:
        if login != server.login:
            raise KeyError(login)
        return pwd.struct_passwd((login, "x", 1000, 1000, "", str(tmp_path / "home"), "/bin/bash"))

    monkeypatch.setattr(pwd, "getpwnam", account)
    group = lambda name: grp.struct_group((name, "x", 999, sorted(server.members)))  # noqa: E731
    monkeypatch.setattr(grp, "getgrnam", group)
    return server


def test_the_account_that_we_come_as_is_not_removed_from_the_operators(server: Server) -> None:
    server.make_operator(OLD)
    with pytest.raises(server.program.BaseError, match="put 'anna' back"):
        server.guard(("berta", [NEW]))


def test_an_operator_whom_we_do_not_come_as_may_be_removed(server: Server) -> None:
    server.make_operator(OLD)
    server.guard(connect_user="root")


def test_the_account_that_we_come_as_becomes_an_operator_only_with_a_key_that_opens_it(
    server: Server,
) -> None:
    server.own_keys.write_text(f"# {NEW}\n{OLD}\n")
    with pytest.raises(server.program.BaseError, match="authorized_keys"):
        server.guard(("anna", [NEW]))
    server.guard(("anna", [NEW, OLD]))


def test_a_key_counts_whatever_options_and_remark_stand_beside_it(server: Server) -> None:
    server.own_keys.write_text('from="10.0.0.0/8",no-pty ssh-ed25519 AAAAold other remark\n')
    server.guard(("anna", [OLD]))


def test_without_a_key_file_nothing_shows_that_a_new_key_would_open_the_account(server: Server) -> None:
    with pytest.raises(server.program.BaseError, match="none of the operator's new keys"):
        server.guard(("anna", [NEW]))


def test_the_keys_of_an_operator_that_we_come_as_are_not_all_replaced(server: Server) -> None:
    server.own_keys.write_text(NEW)
    server.make_operator(OLD)
    with pytest.raises(server.program.BaseError, match="keys/anna"):
        server.guard(("anna", [NEW]))
    server.guard(("anna", [OLD, NEW]))


def test_before_the_ssh_settings_are_loaded_the_accounts_own_keys_count(server: Server) -> None:
    server.own_keys.write_text(OLD)
    server.make_operator(NEW)
    (server.root / "sshd.conf").unlink()
    with pytest.raises(server.program.BaseError, match="authorized_keys"):
        server.guard(("anna", [NEW]))


def test_an_account_that_is_no_operator_and_does_not_become_one_is_left_alone(server: Server) -> None:
    server.guard(("berta", [NEW]))


def test_the_refusal_comes_before_any_change_and_in_a_plan_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.make_operator(OLD)
    settings = json.dumps({"connect_user": "anna", "timezone": "UTC", "locale": "C.UTF-8", "operators": []})
    (tmp_path / "base.json").write_text(settings)
    monkeypatch.setattr(server.program, "WANTED", tmp_path / "base.json")
    monkeypatch.setattr(server.program.subprocess, "run", lambda *_, **__: None)
    encoded = base64.b64encode(settings.encode()).decode()
    for arguments in (["settle"], ["settle", "--check"], ["guard", encoded]):
        assert server.program.main(arguments) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "put 'anna' back" in said.err
