"""The role moodle's own program that asks whether it works: what its files and its database say, and its own checks."""

import json
import os
import re
import subprocess
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision import paths
from tests.unit.roles.programs import load

PROGRAM = paths.ROLES / "moodle/files/provision-moodle-health"
VERSION = "<?php\n$version  = 2024100706.00;\n$release  = '4.5.6 (Build: 20250811)';\n"
RELEASE = {"version": "2024100706", "release": "4.5.6 (Build: 20250811)"}


class Server:
    """What stands in for what the program asks.

    Args:
        values: of Moodle's database; None: it cannot be reached. busy: whether tasks are at work.
        said: what its own checks say.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] | None = RELEASE | {"lastcronstart": str(int(time.time()) - 30)}
        self.busy = False
        self.said = ""
        self.calls: list[str] = []

    def ran(self, *command: str, **_: object) -> tuple[int, str, str]:
        self.calls.append(command[0])
        if command[0] == "psql":
            if self.values is None:
                return 2, "", "psql: error: connection to server failed"
            return 0, "\n".join(f"{name}={value}" for name, value in self.values.items()), ""
        if command[0] == "systemctl":
            return (0, "activating", "") if self.busy else (3, "inactive", "")
        return 0, self.said, ""


@pytest.fixture(name="server")
def _server() -> Server:
    return Server()


@pytest.fixture(name="program")
def _program(tmp_path: Path, server: Server) -> types.ModuleType:
    module: Any = load("moodle", "provision-moodle-health")
    module.CURRENT, module.TIMER = str(tmp_path), str(tmp_path / "{}.timer")
    module.CLOSED, module.UPGRADING = str(tmp_path / "climaintenance.html"), str(tmp_path / "upgrading")
    module.KEPT, module.UPTIME = str(tmp_path / "kept-{}.json"), str(tmp_path / "uptime")
    (tmp_path / "version.php").write_text(VERSION)
    (tmp_path / "uptime").write_text("999999.5 1.0\n")
    module.ran = server.ran
    program: types.ModuleType = module
    return program


Asking = Callable[[str], dict[str, str]]


@pytest.fixture(name="ask")
def _ask(program: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> Asking:
    def ask(question: str) -> dict[str, str]:
        assert program.main(["probe", question]) == 0
        told: dict[str, str] = json.loads(capsys.readouterr().out)
        assert told.pop("probe") == question
        return told

    return ask


def test_in_service_it_tells_its_release_and_when_its_tasks_began(ask: Asking) -> None:
    told = ask("state")
    assert (told["state"], told["code"]) == ("ok", "")
    assert re.fullmatch(
        r"release 4\.5\.6 \(Build: 20250811\), its tasks were last begun: 3\d s ago", told["measured"]
    )


def test_the_database_is_asked_again_after_a_while_and_whenever_it_was_not_well(
    program: types.ModuleType, ask: Asking, server: Server
) -> None:
    assert [ask("state")["state"] for _ in range(3)] == ["ok"] * 3
    assert server.calls == ["psql"]
    program.DATABASE_GOOD = -1.0
    assert server.values is not None
    server.values["maintenance_enabled"] = "1"
    assert [ask("state")["code"] for _ in range(2)] == ["maintenance"] * 2
    program.DATABASE_GOOD = 45.0
    server.values["maintenance_enabled"] = "0"
    program.keep("database", [1])
    assert ask("state")["state"] == "ok"
    assert len(server.calls) == 4


@pytest.mark.parametrize(
    ("remembered", "now"),
    [
        # Asked just before the tasks of this minute began, and told when they would be late.
        ({"lastcronstart": 181}, {"lastcronstart": 20}),
        ({"version": "2024042200"}, {}),
        ({"maintenance_enabled": "1"}, {}),
        ({"version": 5}, {}),
    ],
)
def test_what_is_remembered_is_never_a_reason_to_complain(
    program: types.ModuleType, ask: Asking, server: Server, remembered: dict[str, Any], now: dict[str, Any]
) -> None:
    moment = int(time.time())
    for values in (remembered, now):
        if "lastcronstart" in values:
            values["lastcronstart"] = str(moment - values["lastcronstart"])
    assert server.values is not None
    program.keep("database", server.values | remembered)
    server.values |= now
    assert ask("state")["state"] == "ok"
    assert "psql" in server.calls


@pytest.mark.parametrize("place", ["public/version.php", "version.php"])
def test_the_program_is_found_where_each_release_has_it(
    program: types.ModuleType, tmp_path: Path, place: str
) -> None:
    (tmp_path / "version.php").unlink()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(VERSION)
    assert program.program() == 2024100706.0


@pytest.mark.parametrize(
    ("file", "code"), [("climaintenance.html", "maintenance"), ("upgrading", "upgrade"), ("", "missing")]
)
def test_what_its_files_say_is_told_without_the_database(
    program: types.ModuleType, ask: Asking, server: Server, tmp_path: Path, file: str, code: str
) -> None:
    if file:
        (tmp_path / file).touch()
    else:
        program.CURRENT = str(tmp_path / "nowhere")
    told = ask("state")
    assert (told["state"], told["code"], server.calls) == ("problem", code, [])


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": "2024042200"}, "upgrade"),
        ({"version": "2025041400.00"}, "upgrade"),
        ({"version": "2024100706.00"}, ""),
        ({"maintenance_enabled": "1"}, "maintenance"),
        ({"maintenance_enabled": "0"}, ""),
        ({"lastcronstart": "0"}, "jobs"),
    ],
)
def test_what_its_database_says_is_told(
    ask: Asking, server: Server, changed: dict[str, str], code: str
) -> None:
    assert server.values is not None
    server.values |= changed
    told = ask("state")
    assert (told["state"], told["code"]) == ("problem" if code else "ok", code)


def test_a_database_that_is_down_or_empty_is_told(ask: Asking, server: Server) -> None:
    server.values = None
    told = ask("state")
    assert (told["code"], "connection to server failed" in told["measured"]) == ("database", True)
    server.values = {}
    assert ask("state")["code"] == "upgrade"


@pytest.mark.parametrize(
    ("seconds", "uptime", "set_up", "busy", "state"),
    [
        (150, 1e6, 1e6, False, "ok"),
        (200, 1e6, 1e6, False, "warning"),
        (200, 1e6, 1e6, True, "ok"),
        (4000, 1e6, 1e6, True, "problem"),
        (90000, 100, 1e6, False, "ok"),
        (None, 1e6, 60, False, "ok"),
        (None, 1e6, 1e6, False, "problem"),
    ],
)
def test_tasks_that_are_not_done_are_told_unless_they_could_not_be_yet(
    ask: Asking,
    server: Server,
    tmp_path: Path,
    seconds: int | None,
    uptime: float,
    set_up: float,
    busy: bool,
    state: str,
) -> None:
    server.values = RELEASE | ({} if seconds is None else {"lastcronstart": str(int(time.time()) - seconds)})
    server.busy = busy
    (tmp_path / "uptime").write_text(f"{uptime} 1.0\n")
    (tmp_path / "cron.timer").touch()
    os.utime(tmp_path / "cron.timer", (time.time() - set_up,) * 2)
    told = ask("state")
    assert (told["state"], told["code"]) == (state, "" if state == "ok" else "jobs")


@pytest.mark.parametrize(
    ("said", "state", "code", "measured"),
    [
        ({"core_upgradecheck": "ok", "core_antivirus": "na"}, "ok", "", "none of 2 finds a fault"),
        (
            {"core_environment": "critical", "a": "warning"},
            "problem",
            "checks",
            "2 of 2 find a fault: core_environment, a",
        ),
        ({"core_environment": "error"}, "problem", "checks", "1 of 1 find a fault: core_environment"),
        (
            {"tool_task_adhocqueue": "warning"},
            "warning",
            "checks",
            "1 of 1 find a fault: tool_task_adhocqueue",
        ),
        ({"tool_task_cronrunning": "critical"}, "ok", "", "none of 1 finds a fault"),
        ({}, "warning", "unmade", "they could not be made: {}"),
        ([1], "warning", "unmade", "they could not be made: [1]"),
        ("Exception", "warning", "unmade", 'they could not be made: "Exception"'),
    ],
)
def test_its_own_checks_are_kept_and_told_with_their_age(
    program: types.ModuleType, ask: Asking, server: Server, said: Any, state: str, code: str, measured: str
) -> None:
    server.said = json.dumps(said)
    assert program.main(["look"]) == 0
    told = ask("checks")
    assert (told["state"], told["code"]) == (state, code)
    assert re.sub(r" \(\d+ s ago\)$", "", told["measured"]) == measured


def test_in_maintenance_what_the_checks_said_before_stays(
    program: types.ModuleType, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "climaintenance.html").touch()
    assert program.main(["look"]) == 0
    assert server.calls == []


def test_checks_that_nobody_makes_any_more_are_warned_of(ask: Asking, tmp_path: Path) -> None:
    told = ask("checks")
    assert (told["state"], told["code"], told["measured"]) == ("warning", "unmade", "they were made never")
    (tmp_path / "checks.timer").touch()
    assert ask("checks")["state"] == "ok"


@pytest.mark.parametrize(
    "arguments", [[], ["probe"], ["probe", "other"], ["probe", "state", "x"], ["look", "x"]]
)
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
