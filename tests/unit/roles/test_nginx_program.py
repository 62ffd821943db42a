"""The program of the role nginx: when it asks whether lessons go on. Server and systemd are stand-ins."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from provision import paths

Settle = Callable[..., tuple[int, str]]


@pytest.fixture(name="settle")
def _settle(tmp_path: Path) -> Settle:
    """Runs it; tells its exit code and, in order, what it called that changes something."""
    stubs, called = tmp_path / "stubs", tmp_path / "called"
    for folder in ("stubs", "nginx/conf.d", "unit", "run"):
        (tmp_path / folder).mkdir(parents=True)
    scripts = {
        "nginx": "",
        "systemctl": f'case "$1" in show|is-*) ;; *) echo "$*" >> {called};; esac',
        # Its answer is the test's.
        "provision-busy": f'echo "busy $*" >> {called}; [ ! -e {tmp_path}/lessons ] || exit 75',
    }
    for name, script in scripts.items():
        (stubs / name).write_text(f"#!/bin/sh\n{script}\n")
        (stubs / name).chmod(0o755)
    text = (paths.ROLES / "nginx/files/provision-nginx").read_text()
    for before, after in (
        ("PATH=/usr/sbin:", f"PATH={stubs}:/usr/sbin:"),
        ("/usr/local/sbin/provision-busy", str(stubs / "provision-busy")),
        ("/etc/systemd/system/nginx.service.d", str(tmp_path / "unit")),
        ("/run/provision/loaded", str(tmp_path / "run")),
        ("/etc/nginx", str(tmp_path / "nginx")),
        ("/etc/provision", str(tmp_path / "tls")),
    ):
        assert before in text
        text = text.replace(before, after)
    program = tmp_path / "provision-nginx"
    program.write_text(text)
    (tmp_path / "nginx/nginx.conf").touch()
    (tmp_path / "unit/provision.conf").touch()
    (tmp_path / "run/nginx").touch()
    os.utime(tmp_path / "run/nginx", (2e9, 2e9))

    def settle(*words: str) -> tuple[int, str]:
        called.write_text("")
        done = subprocess.run(
            ["sh", str(program), "settle", *words], capture_output=True, text=True, check=False
        )
        return done.returncode, called.read_text()

    return settle


def newer(file: Path) -> None:
    os.utime(file, (2.1e9, 2.1e9))


def test_a_reload_cuts_nobody_and_asks_nobody(settle: Settle, tmp_path: Path) -> None:
    (tmp_path / "lessons").touch()
    assert settle() == (0, "")
    newer(tmp_path / "nginx/nginx.conf")
    assert settle("--wait", "5") == (0, "reload nginx.service\n")


def test_a_file_that_was_taken_away_is_news_too(settle: Settle, tmp_path: Path) -> None:
    addition = tmp_path / "nginx/conf.d/addition.conf"
    addition.touch()
    since = addition.parent.stat().st_mtime_ns
    os.utime(tmp_path / "run/nginx", ns=(since, since))
    assert settle() == (0, "")
    addition.unlink()
    assert settle() == (0, "reload nginx.service\n")
    assert settle() == (0, "")


def test_the_place_where_candidates_are_tested_is_no_news(settle: Settle, tmp_path: Path) -> None:
    newer(tmp_path / "nginx")
    assert settle() == (0, "")


def test_a_restart_asks_with_what_the_run_says(settle: Settle, tmp_path: Path) -> None:
    newer(tmp_path / "unit/provision.conf")
    assert settle("--check", "--wait", "5", "--force") == (0, "")
    asked = "busy --wait 5 --force restart nginx\n"
    assert settle("--wait", "5", "--force") == (0, asked + "daemon-reload\nrestart nginx.service\n")


def test_lessons_keep_a_restart_back_but_no_certificate(settle: Settle, tmp_path: Path) -> None:
    (tmp_path / "lessons").touch()
    newer(tmp_path / "unit/provision.conf")
    assert settle() == (75, "busy restart nginx\nreload nginx.service\n")
    # It is not forgotten.
    (tmp_path / "lessons").unlink()
    assert settle() == (0, "busy restart nginx\ndaemon-reload\nrestart nginx.service\n")


def test_a_server_without_the_role_base_restarts_as_ever(settle: Settle, tmp_path: Path) -> None:
    (tmp_path / "stubs/provision-busy").unlink()
    newer(tmp_path / "unit/provision.conf")
    assert settle("--wait", "0") == (0, "daemon-reload\nrestart nginx.service\n")
