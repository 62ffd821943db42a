"""A kill at any point, and a full disk: no acknowledged entry is lost, and nothing is silently mended."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


def python(*arguments: str, timeout: float = 300) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hundreds_of_kills_at_random_lose_nothing_acknowledged_and_every_torn_tail_is_recorded(
    tmp_path: Path,
) -> None:
    found = json.loads(python(str(HERE / "crashing.py"), str(tmp_path / "log"), "300", "20261123"))
    assert found["kills"] == 300
    assert found["entries"] > 300
    assert found["torn"] > 0, "no kill hit a write: the test shows nothing"
    assert found["recovered"] == found["torn"]


@pytest.mark.parametrize("what", ["append", "first", "outbox", "renew", "erase", "archive", "recover"])
def test_death_at_any_system_call_leaves_a_whole_log_that_can_be_continued(tmp_path: Path, what: str) -> None:
    deaths = int(python(str(HERE / "deaths.py"), str(tmp_path), what))
    assert deaths > 5


def test_a_full_file_system_loses_nothing_and_writing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    options = f"size=192k,mode=0777,uid={os.geteuid()}"
    subprocess.run([*sudo, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        found = json.loads(python(str(HERE / "full_disk.py"), str(place)))
    finally:
        subprocess.run([*sudo, "umount", str(place)], check=True)
    assert found["refused"] > 0
    assert found["message"].endswith("No space left on device")
    assert found["after"] > found["before"]
