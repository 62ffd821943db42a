"""The role nextcloud's own program: which steps from one release to another it takes."""

import io
import json
import socket
import struct
import subprocess
import threading
import types
from pathlib import Path

import pytest

from tests.unit.roles.programs import load

#: As upstream writes it.
VERSION = """<?php
$OC_Version = array(33,0,9,1);
$OC_VersionString = '33.0.9';
$OC_Edition = '';
$OC_Channel = 'stable';
$OC_VersionCanBeUpgradedFrom = array (
  'nextcloud' =>
  array (
    '32.0' => true,
    '33.0' => true,
  ),
  'owncloud' =>
  array (
    '10.13' => true,
  ),
);
"""


@pytest.fixture(name="program")
def _program() -> types.ModuleType:
    return load("nextcloud", "provision-nextcloud")


@pytest.fixture(name="release")
def _release(tmp_path: Path) -> Path:
    (tmp_path / "version.php").write_text(VERSION)
    return tmp_path


def test_a_release_says_its_own_version_and_where_it_can_be_reached_from(
    program: types.ModuleType, release: Path
) -> None:
    assert program.release_version(release) == "33.0.9.1"
    assert program.upgrades_from(release) == {"32.0", "33.0"}


@pytest.mark.parametrize("present", ["32.0.2.2", "33.0.1.0", "33.0.9.1"])
def test_one_step_up_is_taken(program: types.ModuleType, release: Path, present: str) -> None:
    assert program.refusal(present, release) is None


@pytest.mark.parametrize("present", ["31.0.8.1", "10.13.0.0"])
def test_a_step_that_leaves_a_release_out_is_refused(
    program: types.ModuleType, release: Path, present: str
) -> None:
    why = program.refusal(present, release)
    assert "32.0, 33.0 only" in why
    assert present in why


@pytest.mark.parametrize("present", ["33.0.10.0", "34.0.0.1"])
def test_a_step_back_is_refused(program: types.ModuleType, release: Path, present: str) -> None:
    assert "cannot go back" in program.refusal(present, release)


def test_a_release_that_names_nothing_is_refused(program: types.ModuleType, tmp_path: Path) -> None:
    (tmp_path / "version.php").write_text("<?php\n")
    with pytest.raises(program.NextcloudError, match="names no version"):
        program.release_version(tmp_path)


def test_values_of_config_php_are_read_as_nextcloud_writes_them(
    program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "CONFIG", tmp_path)
    assert program.configured("version") is None
    (tmp_path / "config.php").write_text(
        "<?php\n$CONFIG = array (\n  'version' => '32.0.2.2',\n  'installed' => true,\n"
        "  'redis' => \n  array (\n    'version' => 'not this one',\n  ),\n);\n"
    )
    assert program.configured("version") == "32.0.2.2"
    assert program.configured("installed") == "true"
    assert program.configured("maintenance") is None


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("systemctl", "stop", "some.timer"), "systemctl stop some.timer"),
        (("runuser", "-u", "nextcloud", "--", "php", "/occ", "--no-ansi", "upgrade"), "php /occ upgrade"),
    ],
)
def test_a_program_that_fails_is_named_whoever_runs_it(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], named: str
) -> None:
    failed = subprocess.CompletedProcess(command, 1, "", "no\n")
    monkeypatch.setattr(program.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(program.NextcloudError) as error:
        program.run(*command)
    assert str(error.value).startswith(f"{named}:\n")
    assert str(error.value).endswith("no")


def test_a_plan_before_nextcloud_is_installed_tells_of_the_password(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(program, "CONFIG", tmp_path)
    for words, status in ((["password", "--check"], 0), (["password"], 1)):
        monkeypatch.setattr("sys.argv", ["provision-nextcloud", *words])
        monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
        assert program.main() == status
    out, err = capsys.readouterr()
    assert out == "set the administrator's name and password\n"
    assert "is not installed" in err


def test_a_plan_asks_no_more_of_a_release_that_was_cut_off(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    release: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("CONFIG", "BEGUN", "CURRENT"):
        monkeypatch.setattr(program, name, release / name.lower())
    program.CONFIG.mkdir()
    (program.CONFIG / "config.php").write_text("  'version' => '32.0.2.2',\n  'installed' => true,\n")
    program.CURRENT.symlink_to(release)
    program.BEGUN.touch()
    asked = program.Nextcloud("33.0.9", True)
    monkeypatch.setattr(asked, "release", release)
    asked.settle({"hostname": "cloud.escola.test"})
    assert capsys.readouterr().out == (
        "upgrade Nextcloud from 32.0.2.2 to 33.0.9 (there is no way back: have a copy of its data and its database)\n"
    )


def test_an_answer_that_is_cut_off_is_waited_out(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = str(tmp_path / "fpm.sock")
    monkeypatch.setattr(program, "SOCKET", place)
    monkeypatch.setattr(program, "CURRENT", tmp_path)
    monkeypatch.setattr(program.time, "sleep", lambda _: None)
    told = json.dumps({"installed": True, "needsDbUpgrade": False, "versionstring": "33.0.9"}).encode()
    page = b"Status: 200 OK\r\n\r\n" + told
    whole = struct.pack(">BBHHBx", 1, 6, 1, len(page), 0) + page + struct.pack(">BBHHBx8x", 1, 3, 1, 8, 0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()

        def serve() -> None:
            for answer in (whole[:5], whole):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        program.Nextcloud("33.0.9", False).wait("cloud.escola.test")
        thread.join()


@pytest.mark.parametrize("code", [0, 1])
def test_nothing_that_php_says_looks_like_a_line_of_ours(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    sham = 'note: all is well\nx\x0bcut: {"meetings": 41, "participants": 977}\n\u2028note: b\x85cut: {}'
    monkeypatch.setattr(
        program.subprocess,
        "run",
        lambda *_, **__: types.SimpleNamespace(returncode=code, stdout=sham, stderr=sham),
    )
    told = ""
    try:
        program.Nextcloud("33.0.9", check=True).settings({})
    except program.NextcloudError as error:
        told = str(error)
    lines = [*capsys.readouterr().out.splitlines(), *told.splitlines()]
    assert any("all is well" in line for line in lines)
    assert not [line for line in lines if line.startswith(("note: ", "cut: "))]
