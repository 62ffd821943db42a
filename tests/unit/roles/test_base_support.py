"""Support people on a server: what their keys may do stands before each of them; a key brings nothing else along."""

import grp
import json
import os
import pwd
import subprocess
import types
from pathlib import Path

import pytest

from provision import paths
from tests.unit.roles.programs import load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"
ALLOWED = 'restrict,command="/usr/local/sbin/provision-probe ssh" '


@pytest.fixture(name="commands")
def _commands() -> list[tuple[str, ...]]:
    return []


@pytest.fixture(name="program")
def _program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: list[tuple[str, ...]]
) -> types.ModuleType:
    """The program on a server where the account is as it should be."""
    program = load("base", "provision-base")
    for name, value in {
        "SUPPORT_HOME": tmp_path / "health",
        "SUPPORT_KEYS": tmp_path / "keys",
        "SHADOW": tmp_path / "shadow",
        "WANTED": tmp_path / "base.json",
    }.items():
        monkeypatch.setattr(program, name, value)
    (tmp_path / "shadow").write_text("root:*:1::::::\nprovision-health:*:1::::::\n")
    account = pwd.struct_passwd(
        ("provision-health", "x", 990, 980, "", str(tmp_path / "health"), "/usr/local/sbin/provision-probe")
    )
    group = grp.struct_group(("provision-health", "x", 980, []))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: account)
    monkeypatch.setattr(grp, "getgrnam", lambda _name: group)
    monkeypatch.setattr(grp, "getgrall", lambda: [group])
    monkeypatch.setattr(os, "chown", lambda *_: None)

    def run(*command: str, **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(program, "run", run)
    return program


def steps(program: types.ModuleType, check: bool = False) -> object:
    return program.Steps(check)


def test_each_key_may_run_the_probe_and_nothing_else(program: types.ModuleType) -> None:
    program.support(steps(program), [{"name": "Laia Puig", "key": f"{KEY} laia@portàtil"}])
    assert program.SUPPORT_KEYS.read_text() == f"{ALLOWED}{KEY} Laia Puig\n"
    assert program.SUPPORT_KEYS.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ssh-ed25519",
        f'command="/bin/sh" {KEY}',
        'ssh-ed25519 AAAA"B',
        "ssh-ed25519 AAAA,no-restrict",
        "from=*.example AAAA",
    ],
)
def test_what_is_no_key_is_not_written(program: types.ModuleType, key: str) -> None:
    with pytest.raises(program.BaseError, match="no public SSH key"):
        program.support(steps(program), [{"name": "Laia", "key": key}])
    assert not program.SUPPORT_KEYS.exists()


def test_a_line_break_in_a_key_or_a_name_makes_no_second_line(program: types.ModuleType) -> None:
    people = [{"name": f"Laia\n{KEY}\r\n", "key": f"{KEY}\n{KEY}"}]
    program.support(steps(program), people)
    lines = program.SUPPORT_KEYS.read_text().splitlines()
    assert [line.startswith(f"{ALLOWED}{KEY} ") for line in lines] == [True]


def test_who_loses_a_key_loses_the_connections_too(
    program: types.ModuleType, commands: list[tuple[str, ...]]
) -> None:
    program.support(steps(program), [{"name": "Laia", "key": KEY}])
    program.support(steps(program), [{"name": "Laia", "key": KEY}, {"name": "Pau", "key": f"{KEY}2"}])
    ended = ("loginctl", "terminate-user", "provision-health")
    assert ended not in commands
    program.support(steps(program), [{"name": "Pau", "key": f"{KEY}2"}])
    assert ended in commands


def test_a_plan_says_what_is_to_be_done_and_does_nothing(
    program: types.ModuleType, commands: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    program.support(steps(program, check=True), [{"name": "Laia", "key": KEY}])
    assert "keys of provision-health" in capsys.readouterr().out
    assert not program.SUPPORT_KEYS.exists()
    assert not program.SUPPORT_HOME.exists()
    assert commands == []


@pytest.mark.parametrize("password", ["!", "$y$j9T$abc", ""])
def test_the_account_gets_no_password(
    program: types.ModuleType, commands: list[tuple[str, ...]], password: str
) -> None:
    program.SHADOW.write_text(f"root:*:1::::::\nprovision-health:{password}:1::::::\n")
    program.support(steps(program), [])
    assert ("usermod", "--password", "*", "provision-health") in commands


def test_an_account_of_that_name_that_is_a_persons_is_left_alone(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, commands: list[tuple[str, ...]]
) -> None:
    for uid in (0, 1000):
        person = pwd.struct_passwd(("provision-health", "x", uid, uid, "", "/home/x", "/bin/bash"))
        monkeypatch.setattr(pwd, "getpwnam", lambda _name, person=person: person)
        with pytest.raises(program.BaseError, match="account of a person"):
            program.support(steps(program), [{"name": "Laia", "key": KEY}])
    assert commands == []
    assert not program.SUPPORT_KEYS.exists()


def test_further_groups_are_taken_away(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, commands: list[tuple[str, ...]]
) -> None:
    adm = grp.struct_group(("adm", "x", 4, ["provision-health"]))
    monkeypatch.setattr(grp, "getgrall", lambda: [adm])
    program.support(steps(program), [])
    assert any(command[0] == "usermod" and "--groups" in command for command in commands)


def test_what_is_let_in_at_once_changes_no_settings_that_a_run_has_written(program: types.ModuleType) -> None:
    program.WANTED.write_text("{}")
    program.support_now(steps(program), json.dumps([{"name": "Núria", "key": KEY}]))
    assert program.SUPPORT_KEYS.read_text() == f"{ALLOWED}{KEY} Núria\n"
    assert program.WANTED.read_text() == "{}"


def test_of_several_keys_a_bad_one_keeps_all_as_they_were(program: types.ModuleType) -> None:
    program.support_now(steps(program), json.dumps([{"name": "Núria", "key": KEY}]))
    people = [{"name": "Núria", "key": KEY}, {"name": "Pau", "key": "-----BEGIN"}]
    with pytest.raises(program.BaseError):
        program.support_now(steps(program), json.dumps(people))
    assert program.SUPPORT_KEYS.read_text() == f"{ALLOWED}{KEY} Núria\n"


def test_no_program_of_the_role_holds_what_a_template_would_change() -> None:
    """They go to the server as templates, like the settings beside them."""
    files = paths.ROLES / "base" / "files"
    programs = sorted(file for file in (*files.iterdir(), *files.glob("*/*.py")) if file.is_file())
    assert len(programs) >= 3
    for program in programs:
        text = program.read_text()
        assert not any(mark in text for mark in ("{{", "{%", "{#")), program.name
