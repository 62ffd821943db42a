"""Moodle on a real server, by the real commands: from nothing to a login in a browser, and a new password.

With the real archive in the artifact cache it is the real Moodle, on Debian 13; otherwise the stand-in of
tests/standins, and the test says so. Debian 12, the older layout and the step between releases are in the role's
molecule scenarios.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from provision.artifacts import ArtifactCache
from tests.e2e.acceptance import accept, say
from tests.e2e.bad_archives import see_bad_archives, see_full_disk
from tests.e2e.browser import chromium
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh
from tests.standins.moodle.pack import pack

SITE = "moodle.escola-prova.test"
VERSION = "5.1.3"


@pytest.fixture(scope="module")
def school(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchoolOnLab]:
    directory = tmp_path_factory.mktemp("moodle")
    real = ArtifactCache().find(f"moodle-{VERSION}.tgz") is not None
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
    return school.secret("moodle_admin_password")


@pytest.fixture
def page(school: SchoolOnLab, tmp_path: Path) -> Iterator[Page]:
    with chromium(school, SITE, tmp_path / "home") as person:
        yield person().new_page()


def log_in(page: Page, password: str) -> None:
    # Moodle's script makes the password field anew once it has loaded; what was typed before is lost.
    page.goto(f"https://{SITE}/login/index.php", wait_until="networkidle")
    page.fill("#username", "admin")
    page.fill("#password", password)
    with page.expect_navigation():
        page.click("#loginbtn")


def test_a_bad_archive_and_a_full_disk_leave_nothing_half_installed(
    school: SchoolOnLab, tmp_path: Path
) -> None:
    see_bad_archives(school, "moodle", pack(VERSION, tmp_path / "good"), tmp_path)
    see_full_disk(school, "moodle")


def test_the_next_apply_ends_healthy_and_a_further_one_changes_nothing(school: SchoolOnLab) -> None:
    applied = school.provision("apply", school.id, "--yes")
    assert "is ready" in applied.stdout
    assert password_of(school) not in applied.stdout + applied.stderr
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout


def test_it_is_as_a_school_gets_it(school: SchoolOnLab, tmp_path: Path) -> None:
    """The role's own acceptance tests, as they run against a live school's server."""
    accept(school, "moodle", SITE, tmp_path)


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
    answer = page.goto(f"https://{SITE}/course/view.php?id={number}")
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
