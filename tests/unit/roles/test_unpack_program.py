"""What comes with roles/archive: an archive is unpacked whole and only where it belongs, or not at all."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.programs import load


@pytest.fixture
def program() -> Any:
    return load("archive", "provision-unpack")


def packed(directory: Path, *more: tarfile.TarInfo, kind: str = "gz") -> Path:
    archive = directory / "sent"
    with tarfile.open(archive, f"w:{kind}") as tar:
        for name in ("app-1.0/index.php", "app-1.0/lib/setup.php"):
            entry = tarfile.TarInfo(name)
            entry.size = 2000
            tar.addfile(entry, io.BytesIO(b"x" * 2000))
        for entry in more:
            tar.addfile(entry, io.BytesIO(b"y" * entry.size))
    return archive


def run(program: Any, archive: Path, *wanted: str, sha256: str = "") -> int:
    return int(
        program.main(
            [
                str(archive),
                sha256 or hashlib.sha256(archive.read_bytes()).hexdigest(),
                str(archive.parent / "releases" / "1.0.new"),
                *wanted,
            ]
        )
    )


def file(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = 3
    return entry


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def left(archive: Path) -> list[str]:
    """What is there afterwards, anywhere."""
    return sorted(str(path.relative_to(archive.parent)) for path in archive.parent.rglob("*"))


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_what_is_in_the_top_directory_goes_where_it_belongs_and_the_archive_goes(
    program: Any, tmp_path: Path, kind: str
) -> None:
    archive = packed(tmp_path, link("app-1.0/start.php", "lib/setup.php"), kind=kind)
    assert run(program, archive, "index.php", "lib/setup.php") == 0
    there = tmp_path / "releases" / "1.0.new"
    assert (there / "index.php").read_bytes() == b"x" * 2000
    assert (there / "start.php").resolve() == there / "lib" / "setup.php"
    assert not archive.exists()


def test_everybody_may_read_it_and_only_its_owner_change_it(program: Any, tmp_path: Path) -> None:
    closed, open_to_all, tool = (file(f"app-1.0/{name}") for name in ("closed", "open", "tool"))
    closed.mode, open_to_all.mode, tool.mode = 0o600, 0o666, 0o4750
    assert run(program, packed(tmp_path, closed, open_to_all, tool)) == 0
    there = tmp_path / "releases" / "1.0.new"
    assert [(there / name).stat().st_mode & 0o7777 for name in ("closed", "open", "tool", "lib")] == [
        0o644,
        0o644,
        0o755,
        0o755,
    ]


def test_what_a_run_that_was_cut_off_left_there_is_gone(program: Any, tmp_path: Path) -> None:
    old = tmp_path / "releases" / "1.0.new" / "old.php"
    old.parent.mkdir(parents=True)
    old.write_text("half")
    assert run(program, packed(tmp_path)) == 0
    assert not old.exists()


@pytest.mark.parametrize(
    "entry",
    [
        file("app-1.0/../../outside"),
        file("/app-1.0/outside"),
        link("app-1.0/passwords", "/etc/shadow"),
        link("app-1.0/lib/up", "../../1.0"),
        link("app-1.0/hard", "/etc/hostname", tarfile.LNKTYPE),
    ],
    ids=["upwards", "from the root", "link to the root", "link upwards", "hard link"],
)
def test_an_archive_with_anything_outside_its_directory_is_refused_and_nothing_is_left(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: tarfile.TarInfo
) -> None:
    archive = packed(tmp_path, entry)
    assert run(program, archive) == 1
    assert left(archive) == ["releases"]
    assert capsys.readouterr().err.strip()


def test_a_link_that_is_a_folder_for_what_comes_after_it_leads_nowhere(program: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = packed(tmp_path, link("app-1.0/door", str(outside)), file("app-1.0/door/in"))
    assert run(program, archive) == 1
    assert list(outside.iterdir()) == []
    assert left(archive) == ["outside", "releases"]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_truncated_archive_is_refused_and_nothing_is_left(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    archive = packed(tmp_path, kind=kind)
    archive.write_bytes(archive.read_bytes()[:-40])
    assert run(program, archive) == 1
    assert left(archive) == ["releases"]
    assert capsys.readouterr().err.strip()


def test_an_archive_that_changed_on_its_way_is_refused_with_both_checksums(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = packed(tmp_path)
    assert run(program, archive, sha256="0" * 64) == 1
    assert left(archive) == []
    assert "0" * 64 in capsys.readouterr().err


def test_an_archive_that_is_another_than_it_is_called_is_refused(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = packed(tmp_path)
    assert run(program, archive, "index.php", "occ") == 1
    assert left(archive) == ["releases"]
    assert "it has no occ" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["gz", "bz2"])
def test_too_little_room_is_seen_before_the_disk_is_full(
    program: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setattr(program.shutil, "disk_usage", lambda _: program.shutil._ntuple_diskusage(9, 9, 0))
    monkeypatch.setattr(program, "extract", lambda *_: pytest.fail("it has been unpacked"))
    archive = packed(tmp_path, kind=kind)
    assert run(program, archive) == 1
    assert left(archive) == ["releases"]
    assert "No space left on device: 1 MiB are needed" in capsys.readouterr().err
