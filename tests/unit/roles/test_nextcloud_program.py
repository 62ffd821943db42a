"""The role nextcloud's own program: which steps from one release to another it takes."""

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
