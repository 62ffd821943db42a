"""In a plan a program's complaint counts, unless what the program stands on is still to come.

The programs are on the server only after the first run, so a plan cannot insist on them; but where all that a role
brings is there, a plan that hears no answer must not say that nothing would change.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.plugins.test import core
from jinja2 import StrictUndefined, meta
from jinja2.nativetypes import NativeEnvironment

from provision import paths
from tests.unit.roles.programs import load

ENVIRONMENT = NativeEnvironment(undefined=StrictUndefined)
ENVIRONMENT.tests |= core.TestModule().tests()


#: Every task of our roles, with the name of its role.
TASKS: list[tuple[str, dict[str, Any]]] = [
    (file.parents[1].name, task)
    for file in sorted(paths.ROLES.glob("*/tasks/*.yml"))
    for task in yaml.safe_load(file.read_text()) or []
]
#: Those that ask a program of ours in a plan too.
ASKED = [
    (role, task)
    for role, task in TASKS
    if task.get("check_mode") is False and "/usr/local/sbin/provision-" in json.dumps(task)
]


def true(text: str, values: dict[str, Any]) -> bool:
    told = ENVIRONMENT.compile_expression(text, undefined_to_none=False)(**values)
    assert isinstance(told, bool)
    return told


def asked_of(text: str) -> set[str]:
    return meta.find_undeclared_variables(ENVIRONMENT.parse("{{ " + text + " }}"))


def test_each_program_that_is_asked_in_a_plan_is_looked_at() -> None:
    assert len(ASKED) == 19
    # Nobody swallows a failure in another way: what is left are packages that apt does not know yet.
    others = [
        str(task["failed_when"])
        for _, task in TASKS
        if "ansible_check_mode" in str(task.get("failed_when")) and all(task != own for _, own in ASKED)
    ]
    assert [text for text in others if "'No package matching' in" not in text] == []


@pytest.mark.parametrize(("role", "task"), ASKED, ids=[f"{role}: {task['name']}" for role, task in ASKED])
def test_in_a_plan_a_complaint_counts_unless_what_it_stands_on_is_to_come(
    role: str, task: dict[str, Any]
) -> None:
    text, own = str(task["failed_when"]), task["register"]
    before = asked_of(text) - {"ansible_check_mode", own}
    known = {other["register"]: (name, other) for name, other in TASKS if "register" in other}
    assert before <= known.keys()
    failed, worked, nothing = {own: {"rc": 1}}, {own: {"rc": 0}}, {"changed": False}
    all_of = {name: {"changed": True} for name in before}
    assert not true(text, {**all_of, **worked, "ansible_check_mode": False})
    # An apply hears it, whatever came before.
    assert true(text, {**all_of, **failed, "ansible_check_mode": False})
    # On a finished server a plan does too.
    assert true(text, {**dict.fromkeys(before, nothing), **failed, "ansible_check_mode": True})
    # Alone in a play there is nothing of other roles.
    here = [name for name in before if known[name][0] == role]
    assert true(text, {**dict.fromkeys(here, nothing), **failed, "ansible_check_mode": True})
    for name in before:
        some = {**dict.fromkeys(before, nothing), name: {"changed": True}}
        assert not true(text, {**some, **failed, "ansible_check_mode": True})
    # On a new server the program itself is to come.
    program = re.findall(r"/usr/local/sbin/(provision-[a-z-]+)", json.dumps(task))[0]
    bringing = [other for name, (_, other) in known.items() if name in before]
    assert any(
        f"../files/{program}" in json.dumps(other) or f'"{program}"' in json.dumps(other)
        for other in bringing
    )


def test_no_file_is_known_by_its_place_in_a_list() -> None:
    assert [task["name"] for _, task in TASKS if re.search(r"results\[\d", json.dumps(task))] == []


def test_a_plan_tells_of_new_ssh_settings() -> None:
    text = next(task["changed_when"] for _, task in ASKED if task["register"] == "base_ssh")
    for file, told in (("/etc/provision/sshd.conf", True), ("/etc/provision/base.json", False)):
        files = {"results": [{"changed": True, "item": {"to": file}}]}
        values = {"base_ssh": {"stdout": ""}, "base_files": files}
        assert true(text, {**values, "ansible_check_mode": True}) is told
        assert not true(text, {**values, "ansible_check_mode": False})


def test_a_plan_asks_nothing_of_a_database_server_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = load("postgresql", "provision-postgresql")

    def ran(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert "psql" not in command
        return subprocess.CompletedProcess(command, 3, "", "")

    monkeypatch.setattr(program.subprocess, "run", ran)
    assert program.main(["17", "--check", "moodle"]) == 0
    assert capsys.readouterr().out == "start the database server\n"


@pytest.mark.parametrize("role", ["php", "redis"])
def test_a_plan_tells_of_a_file_that_somebody_took_away(
    role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = load(role, f"provision-{role}")
    for name in ("SETTINGS", "UNITS", "LOADED"):
        monkeypatch.setattr(program, name, tmp_path)
    wanted = {"name": "moodle", "user": "moodle"}
    running = program.Pool(wanted, "8.4", "Europe/Madrid") if role == "php" else program.Instance(wanted)
    assert running.stale()
