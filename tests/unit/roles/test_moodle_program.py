"""The role moodle's own program: what root does in places where Moodle's user may write."""

import grp
import hashlib
import os
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.programs import load
from tests.unit.roles.stranger import STRANGER, account, as_stranger, given, reachable


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    program: Any = load("moodle", "provision-moodle")
    program.HOME = reachable(tmp_path) / "var-lib-moodle"
    program.DATA = program.HOME / "data"
    program.FILES = program.DATA / "filedir"
    monkeypatch.setattr(program.pwd, "getpwnam", account)
    monkeypatch.setattr(program.grp, "getgrnam", lambda name: grp.struct_group((name, "x", os.getegid(), [])))
    module: types.ModuleType = program
    return module


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path: Path) -> Path:
    """A directory of root's, as /usr/local/sbin is."""
    place = tmp_path / "usr-local-sbin"
    place.mkdir(mode=0o755)
    return place


@pytest.fixture(name="settle")
def _settle(program: types.ModuleType) -> Callable[..., bool]:
    """Puts the directories in order; tells whether anything was to be done."""

    def settle(*, check: bool = False) -> bool:
        moodle = object.__new__(program.Moodle)
        moodle.check, moodle.said = check, False
        moodle.directories()
        return bool(moodle.said)

    return settle


def of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_mode & 0o7777


def test_directories_are_made_and_left_alone_afterwards(
    program: types.ModuleType, settle: Callable[..., bool]
) -> None:
    assert settle(check=True)
    assert not program.HOME.exists()
    assert settle()
    assert of(program.HOME) == (os.geteuid(), 0o711)
    assert (of(program.DATA), of(program.FILES)) == ((STRANGER, 0o710), (STRANGER, 0o2750))
    assert not settle()
    assert not settle(check=True)


def test_what_an_earlier_release_made_gets_its_right_owner(
    program: types.ModuleType, settle: Callable[..., bool]
) -> None:
    for path, mode in ((program.HOME, 0o710), (program.DATA, 0o710), (program.FILES, 0o2750)):
        given(path, mode)
    if os.geteuid() != STRANGER:
        assert settle(check=True)
        assert of(program.HOME) == (STRANGER, 0o710)
    assert settle()
    assert of(program.HOME) == (os.geteuid(), 0o711)


@pytest.mark.parametrize("which", ["DATA", "FILES"])
@pytest.mark.parametrize("check", [False, True])
def test_root_does_not_follow_a_link_of_moodles(
    program: types.ModuleType, settle: Callable[..., bool], elsewhere: Path, which: str, check: bool
) -> None:
    place: Path = getattr(program, which)
    for path in (program.HOME, program.DATA, program.FILES):
        given(path)
    as_stranger('mv "$1" "$1.away"; ln -s "$2" "$1"', place, elsewhere)
    before = of(elsewhere)
    with pytest.raises(program.MoodleError, match=f"{place} is no directory but a link"):
        settle(check=check)
    assert of(elsewhere) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's directories are another's")
def test_moodles_user_cannot_put_a_link_in_place_of_its_data(
    program: types.ModuleType, settle: Callable[..., bool]
) -> None:
    settle()
    with pytest.raises(Exception, match="non-zero exit status"):
        as_stranger('mv "$1" "$1.away" 2>/dev/null', program.DATA)
    # It writes there all the same.
    as_stranger('touch "$1/written" "$2/written"', program.DATA, program.FILES)


def test_the_language_pack_is_not_written_among_moodles_files(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given(program.DATA, 0o777)
    program.PACK = tmp_path / "pack.zip"
    program.PACK.write_bytes(b"PK")
    secret = tmp_path / "secret"
    secret.write_text("root's")
    as_stranger('ln -s "$2" "$1/langpack.zip"', program.DATA, secret)
    monkeypatch.setattr(program.shutil, "chown", lambda *_: None)
    monkeypatch.setattr(
        program.subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=0, stdout="", stderr="")
    )
    moodle = object.__new__(program.Moodle)
    moodle.check, moodle.said, moodle.wanted, moodle.release = False, False, {}, tmp_path
    moodle.settings()
    # By this the role knows that it need not come again.
    assert (tmp_path / f".language-{hashlib.sha256(b'PK').hexdigest()[:16]}").is_file()
    assert secret.read_text() == "root's"
    assert not program.PACK.exists()


#: What a line of our own looks like; the others break lines for str.splitlines() and for no regular expression.
SHAM = 'note: all is well\nx\x0bcut: {"meetings": 41, "participants": 977}\n\u2028note: b\x85cut: {}'


@pytest.mark.parametrize("code", [0, 1])
def test_nothing_that_php_says_looks_like_a_line_of_ours(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    monkeypatch.setattr(
        program.subprocess,
        "run",
        lambda *_, **__: types.SimpleNamespace(returncode=code, stdout=SHAM, stderr=SHAM),
    )
    moodle = object.__new__(program.Moodle)
    moodle.check, moodle.said, moodle.wanted = True, False, {"language": "en"}
    told = ""
    try:
        moodle.settings()
        program.run("runuser")
    except program.MoodleError as error:
        told = str(error)
    said = capsys.readouterr()
    lines = [line for text in (said.out, said.err, told) for line in text.splitlines()]
    assert any("all is well" in line for line in lines)
    assert not [line for line in lines if line.startswith(("note: ", "cut: "))]


def test_a_language_without_its_pack_is_still_told(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        program.subprocess, "run", lambda *_, **__: types.SimpleNamespace(returncode=0, stdout="", stderr="")
    )
    moodle = object.__new__(program.Moodle)
    moodle.check, moodle.said, moodle.wanted = False, False, {"language": "ca"}
    moodle.settings()
    assert capsys.readouterr().err.startswith("note: the language pack ca ")
    (program.DATA / "lang/ca").mkdir(parents=True)
    (program.DATA / "lang/ca/langconfig.php").touch()
    moodle.settings()
    assert capsys.readouterr().err == ""
