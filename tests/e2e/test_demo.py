"""``provision demo``: the first thing that a new user runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.lab import Lab


def demo(place: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PROVISION_VAULT_PASSWORD_FILE"}
    done = subprocess.run(
        [sys.executable, "-m", "provision", "demo", "--directory", str(place)],
        env=environment,
        cwd=place.parent,
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "provision-demo"


def test_the_demo_ends_with_a_healthy_school_and_the_second_one_changes_nothing(place: Path) -> None:
    hosts = Path("/etc/hosts").read_bytes()
    try:
        first = demo(place)
        second = demo(place)
        (machine,) = Lab(place).machines()
        page = subprocess.run(
            [
                "curl", "-sS", "--cacert", place / "ca" / "ca.pem",
                "--resolve", f"pad.escola-demo.test:443:{machine.address}", "https://pad.escola-demo.test/p/prova",
            ],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    finally:
        Lab(place).down()
    for text in (
        "escola-demo is ready",
        "S'obre un full",
        "apply of escola-demo",
        "https://pad.escola-demo.test/",
        "log in",
        "Try next",
    ):
        assert text in first, first
    assert "nothing would change" in second
    assert "nothing changed" in second
    assert "<title>" in page
    assert Path("/etc/hosts").read_bytes() == hosts, "the administrator's own hosts file is nobody's business"
