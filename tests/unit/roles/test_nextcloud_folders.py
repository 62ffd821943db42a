"""What root does in the places where Nextcloud's own user may write: by the role's own tasks, and by its program."""

import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import paths
from tests.unit.roles.programs import load
from tests.unit.roles.stranger import STRANGER, account, as_stranger, given, reachable

ROLE = paths.ROLES / "nextcloud"
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
#: The tasks between which root is in these places.
FIRST, LAST = (
    "Refuse to follow a link of Nextcloud's",
    "Keep the place of the file that stands above Nextcloud's own",
)

Run = Callable[..., subprocess.CompletedProcess[str]]


def play(state: Path) -> str:
    """The role's tasks, for the accounts that a test has."""
    tasks: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    names = [task["name"] for task in tasks]
    tasks = tasks[names.index(FIRST) : names.index(LAST) + 1]
    folders = yaml.safe_load((ROLE / "vars/main.yml").read_text())["nextcloud_own_folders"]
    for folder in folders:
        owner = folder.get("owner", "nextcloud")
        folder["owner"] = str(account(owner).pw_uid)
        folder["group"] = str(STRANGER if os.geteuid() == 0 else os.getegid())
    known = {"nextcloud_state": str(state), "nextcloud_app_store": False, "nextcloud_folders": folders}
    book = [{"hosts": "localhost", "gather_facts": False, "vars": known, "tasks": tasks}]
    return yaml.safe_dump(book)


@pytest.fixture(name="state")
def _state(tmp_path: Path) -> Path:
    """As an earlier release made it: all of it Nextcloud's."""
    return given(reachable(tmp_path) / "var-lib-nextcloud", 0o750)


@pytest.fixture(name="run")
def _run(state: Path, tmp_path: Path) -> Run:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "play.yml").write_text(play(state))
        return subprocess.run(
            [str(ANSIBLE_PLAYBOOK), "-i", "localhost,", "-c", "local", str(tmp_path / "play.yml"), *options],
            env=os.environ
            | {
                "ANSIBLE_LOCALHOST_WARNING": "0",
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_mode & 0o7777


def test_folders_get_their_right_owners_and_are_left_alone_afterwards(run: Run, state: Path) -> None:
    given(state / "data", 0o770)
    done = run()
    assert done.returncode == 0, done.stdout
    assert of(state) == (os.geteuid(), 0o750)
    assert of(state / "config") == (os.geteuid(), 0o1770)
    assert of(state / "data") == (STRANGER, 0o770)
    assert of(state / "config/provision.config.php") == (os.geteuid(), 0o600)
    assert "changed=0" in run().stdout


@pytest.mark.parametrize(("name", "options"), [("config", []), ("data", []), ("data", ["--check"])])
def test_root_does_not_follow_a_link_of_nextclouds(
    run: Run, state: Path, tmp_path: Path, name: str, options: list[str]
) -> None:
    elsewhere = tmp_path / "usr-local-sbin"
    elsewhere.mkdir(mode=0o755)
    as_stranger('ln -s "$2" "$1"', state / name, elsewhere)
    before = of(elsewhere)
    done = run(*options)
    assert done.returncode != 0
    assert f"{state / name} is a link" in done.stdout + done.stderr
    assert of(elsewhere) == before
    assert not list(elsewhere.iterdir())


def test_the_settings_that_stand_above_are_not_written_through_a_link(
    run: Run, state: Path, tmp_path: Path
) -> None:
    """Nextcloud could change the whole directory for one of its own, where an earlier release was set up."""
    secret = tmp_path / "secret"
    secret.write_text("root's")
    as_stranger('mkdir "$1/config"; ln -s "$2" "$1/config/provision.config.php"', state, secret)
    done = run()
    assert done.returncode != 0
    assert "provision.config.php is not root's own file" in done.stdout + done.stderr
    assert secret.read_text() == "root's"


# What the program does there.


@pytest.fixture(name="program")
def _program(state: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    program = load("nextcloud", "provision-nextcloud")
    monkeypatch.setattr(program, "CONFIG", state)
    monkeypatch.setattr(program.pwd, "getpwnam", account)
    return program


def test_the_sign_that_lets_it_install_is_no_way_to_another_file(
    program: types.ModuleType, state: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    as_stranger('ln -s "$2" "$1/CAN_INSTALL"', state, secret)
    program.Nextcloud.let_install()
    assert of(secret) == (os.geteuid(), 0o600)
    assert of(state / "CAN_INSTALL") == (STRANGER, 0o640)
    assert (state / "CAN_INSTALL").is_file()


def test_a_config_that_is_no_file_keeps_nobody(
    program: types.ModuleType, state: Path, tmp_path: Path
) -> None:
    as_stranger('mkfifo "$1/config.php"', state)
    assert program.configured("version") is None
    (tmp_path / "other").write_text("  'version' => '1',\n")
    as_stranger('ln -sf "$2" "$1/config.php"', state, tmp_path / "other")
    with pytest.raises(program.NextcloudError, match=r"config\.php is no file that root reads"):
        program.configured("version")
