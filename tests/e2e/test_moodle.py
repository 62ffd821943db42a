"""Moodle on a real server, by the real commands: from nothing to a login in a browser, and a new password.

With the real archive in the artifact cache it is the real Moodle, on Debian 13; otherwise the stand-in of
tests/standins, and the test says so. Debian 12, the older layout and the step between releases are in the role's
molecule scenarios.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh
from tests.standins.moodle.pack import pack

SITE = "moodle.escola-prova.test"
VERSION = "5.1.3"
CACHE = Path.home() / ".cache" / "provision" / "artifacts"
CHECKOUT = Path(__file__).resolve().parents[2]


def say(request: pytest.FixtureRequest, text: str) -> None:
    """A line of the run's own output, whatever is captured."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter:
        reporter.write_line(f"\n{text}")


@pytest.fixture(scope="module")
def school(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchoolOnLab]:
    directory = tmp_path_factory.mktemp("moodle")
    real = (CACHE / f"moodle-{VERSION}.tgz").is_file()
    say(request, f"Moodle {VERSION}: {'the real archive' if real else 'a stand-in'}")
    with pytest.MonkeyPatch.context() as patch, lab_machine("moodle-trixie", "trixie") as machine:
        if not real:
            pack(VERSION, directory / "cache")
            patch.setenv("PROVISION_CACHE", str(directory / "cache"))
        # Moodle asks itself for pages that must not be there.
        ssh(machine, f"echo 127.0.0.1 {SITE} >> /etc/hosts")
        yield make_school(
            directory / "workspace", machine, {"moodle": {"hostname": SITE, "version": VERSION}}
        )


def password_of(school: SchoolOnLab) -> str:
    return school.provision("secrets", "show", school.id, "moodle_admin_password", "--reveal").stdout.strip()


@pytest.fixture
def page(school: SchoolOnLab, tmp_path: Path) -> Iterator[Page]:
    """A real Chromium that trusts the municipality's authority, and reaches this site only."""
    store = tmp_path / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certificates = ["certutil", "-d", f"sql:{store}"]
    subprocess.run([*certificates, "-N", "--empty-password"], check=True)
    authority = str(school.directory / "ca" / "ca.pem")
    subprocess.run([*certificates, "-A", "-t", "C,,", "-n", "municipality", "-i", authority], check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            env={**os.environ, "HOME": str(tmp_path)},
            args=[
                "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-quic",
                f"--host-resolver-rules=MAP {SITE} {school.machine.address}, MAP * ~NOTFOUND",
            ],
        )  # fmt: skip
        yield browser.new_context().new_page()
        browser.close()


def log_in(page: Page, password: str) -> None:
    # Moodle's script makes the password field anew once it has loaded; what was typed before is lost.
    page.goto(f"https://{SITE}/login/index.php", timeout=120_000, wait_until="networkidle")
    page.fill("#username", "admin")
    page.fill("#password", password)
    with page.expect_navigation(timeout=120_000):
        page.click("#loginbtn")


def test_an_apply_from_nothing_ends_healthy_and_a_second_one_changes_nothing(school: SchoolOnLab) -> None:
    applied = school.provision("apply", school.id, "--yes")
    assert "is ready" in applied.stdout
    assert password_of(school) not in applied.stdout + applied.stderr
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout


def test_it_is_as_a_school_gets_it(school: SchoolOnLab, tmp_path: Path) -> None:
    """The role's own acceptance tests, as they run against a live school's server."""
    machine = school.machine
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host *\n  IdentityFile {machine.ssh_key}\n  IdentitiesOnly yes\n  LogLevel ERROR\n"
        f"  UserKnownHostsFile {machine.known_hosts}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n"
    )
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider",
            str(CHECKOUT / "roles/moodle/verify/test_moodle.py"),
            f"--hosts=ssh://root@{machine.address}:{machine.port}", f"--ssh-config={config}",
        ],
        env={**os.environ, "MOODLE_HOSTNAME": SITE},
        cwd=CHECKOUT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert re.search(r"\d\d passed", done.stdout), done.stdout


@pytest.mark.browser
def test_the_administrator_logs_in_with_a_real_browser_and_sees_a_course(
    school: SchoolOnLab, page: Page
) -> None:
    number = ssh(
        school.machine,
        "runuser -u moodle -- php-moodle",
        stdin="<?php define('CLI_SCRIPT', true); require '/opt/moodle/current/config.php'; "
        "require_once $CFG->dirroot . '/course/lib.php'; "
        "$c = ['fullname' => 'Ciències de la Terra', 'shortname' => 'terra', 'category' => 1, 'summary' => '']; "
        "echo '#', create_course((object) $c)->id;",
    ).stdout.rpartition("#")[2]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log_in(page, password_of(school))
    assert page.url.startswith(f"https://{SITE}/"), page.url
    assert "/login/" not in page.url, page.inner_text("body")[:1000]
    answer = page.goto(f"https://{SITE}/course/view.php?id={number}", timeout=120_000)
    assert answer is not None
    assert answer.ok
    assert "Ciències de la Terra" in page.inner_text("body")
    strangers = {url for url in asked if not url.startswith((f"https://{SITE}/", "data:", "blob:"))}
    assert strangers == set(), "the page asked somebody else for something"


@pytest.mark.browser
def test_a_new_password_in_the_vault_is_the_administrators_after_an_apply(
    school: SchoolOnLab, page: Page
) -> None:
    before = password_of(school)
    school.provision("secrets", "rotate", school.id, "moodle", "--yes")
    after = password_of(school)
    assert after != before
    school.provision("apply", school.id, "--yes")
    log_in(page, before)
    assert "/login/" in page.url
    log_in(page, after)
    assert "/login/" not in page.url
