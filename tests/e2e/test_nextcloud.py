"""Nextcloud on a real server, by the real commands: from nothing, over a full disk, to a new password and release.

With the real archive in the artifact cache it is the real Nextcloud, otherwise the stand-in of tests/standins, and the
test says so. The step between releases is always made with stand-ins. The browser needs a whole archive: where the one
in the cache lacks dist/core-common.js, no page can be made, and the browser is left out with a line that says so.
"""

import base64
import hashlib
import http.client
import json
import socket
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page

from provision.artifacts import ArtifactCache
from tests.e2e.acceptance import accept, say
from tests.e2e.bad_archives import see_full_disk
from tests.e2e.browser import chromium
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh
from tests.standins.nextcloud.pack import pack

SITE = "nuvol.escola-prova.test"
VERSION = "32.0.2"
REAL = ArtifactCache().directory / f"nextcloud-{VERSION}.tar.bz2"
#: Stand-ins of the releases that the steps go through.
STEPS = ("32.0.15", "33.0.9", "34.0.4")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact cache with stand-ins for all releases but the one that is really there."""
    directory = tmp_path_factory.mktemp("cache")
    for version in STEPS:
        pack(version, directory)
    if REAL.is_file():
        (directory / REAL.name).symlink_to(REAL)
    else:
        pack(VERSION, directory)
    lines = []
    for archive in sorted(directory.iterdir()):
        with archive.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {archive.name}\n")
    (directory / "SHA256SUMS").write_text("".join(lines))
    return directory


@pytest.fixture(scope="module")
def school(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SchoolOnLab]:
    say(request, f"Nextcloud {VERSION}: {'the real archive' if REAL.is_file() else 'a stand-in'}")
    with pytest.MonkeyPatch.context() as patch, lab_machine("nextcloud") as machine:
        patch.setenv("PROVISION_CACHE", str(cache))
        # Nextcloud looks at itself as others see it.
        ssh(machine, f"echo 127.0.0.1 {SITE} >> /etc/hosts")
        services = {"nextcloud": {"hostname": SITE, "version": VERSION, "accept_end_of_life": True}}
        yield make_school(tmp_path_factory.mktemp("nextcloud") / "workspace", machine, services)


def password_of(school: SchoolOnLab) -> str:
    return school.secret("nextcloud_admin_password")


def ask(school: SchoolOnLab, path: str, password: str = "") -> tuple[int, str]:
    """Status and body of a page, as somebody gets them who trusts the municipality's authority."""
    context = ssl.create_default_context(cafile=str(school.directory / "ca" / "ca.pem"))
    connection = http.client.HTTPSConnection(SITE, context=context)
    plain = socket.create_connection((school.machine.address, 443), 120)
    connection.sock = context.wrap_socket(plain, server_hostname=SITE)
    login = base64.b64encode(f"admin:{password}".encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {login}"} if password else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def may_enter(school: SchoolOnLab, password: str) -> bool:
    """Whether the administrator gets in with this password: asks by WebDAV for a file that is not there."""
    status, _ = ask(school, "/remote.php/dav/files/admin/nothing-here", password)
    assert status in (404, 401)
    return status == 404


def status_of(school: SchoolOnLab) -> dict[str, Any]:
    _, body = ask(school, "/status.php")
    told: dict[str, Any] = json.loads(body)
    return told


def ask_for(school: SchoolOnLab, version: str) -> None:
    file = school.directory / "schools" / f"{school.id}.yml"
    text = yaml.safe_load(file.read_text())
    text["services"]["nextcloud"]["version"] = version
    file.write_text(yaml.safe_dump(text, allow_unicode=True))


# --- the ordinary way, in order -------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_half_installed(school: SchoolOnLab) -> None:
    see_full_disk(school, "nextcloud")


def test_the_next_apply_ends_healthy_and_a_further_one_changes_nothing(school: SchoolOnLab) -> None:
    applied = school.provision("apply", school.id, "--yes")
    assert "is ready" in applied.stdout
    assert password_of(school) not in applied.stdout + applied.stderr
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout


def test_it_is_as_a_school_gets_it(school: SchoolOnLab, tmp_path: Path) -> None:
    """The role's own acceptance tests, as they run against a live school's server."""
    accept(school, "nextcloud", SITE, tmp_path)


@pytest.fixture
def page(school: SchoolOnLab, tmp_path: Path) -> Iterator[Page]:
    with chromium(school, SITE, tmp_path / "home") as person:
        yield person().new_page()


@pytest.mark.browser
def test_a_file_is_uploaded_with_a_real_browser(
    request: pytest.FixtureRequest, cache: Path, school: SchoolOnLab, page: Page, tmp_path: Path
) -> None:
    with tarfile.open(cache / REAL.name) as archive:
        whole = any(member.name == "nextcloud/dist/core-common.js" for member in archive)
    if not whole:
        say(
            request,
            "The archive lacks dist/core-common.js, without which Nextcloud makes no page: no browser here.",
        )
        return
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"https://{SITE}/login")
    page.fill("#user", "admin")
    page.fill("#password", password_of(school))
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)
    page.goto(f"https://{SITE}/apps/files")
    sent = tmp_path / "redacció.txt"
    sent.write_text("escrit a classe\n")
    page.locator("input[data-cy-upload-picker-input]").first.set_input_files(sent)
    page.wait_for_load_state("networkidle")
    path = "/remote.php/dav/files/admin/redacci%C3%B3.txt"
    assert ask(school, path, password_of(school)) == (200, "escrit a classe\n")
    strangers = {url for url in asked if not url.startswith((f"https://{SITE}/", "data:", "blob:"))}
    assert strangers == set(), "the page asked somebody else for something"


def test_a_new_password_in_the_vault_is_the_administrators_after_an_apply(school: SchoolOnLab) -> None:
    before = password_of(school)
    assert may_enter(school, before)
    school.provision("secrets", "rotate", school.id, "nextcloud", "--yes")
    after = password_of(school)
    assert after != before
    school.provision("apply", school.id, "--yes")
    assert may_enter(school, after)
    assert not may_enter(school, before)


# --- the app store ----------------------------------------------------------------------------------------------------

#: An app as an administrator installs it: Nextcloud itself unpacks it there, as its own user.
INSTALL_APP = r"""
set -eu
mkdir -p /srv/of-the-web-server
echo 'let secret' > /srv/of-the-web-server/secret.js
chown root:www-data /srv/of-the-web-server/secret.js
chmod 0640 /srv/of-the-web-server/secret.js
runuser -u nextcloud -- sh -eu <<'END'
umask 0027
cd /var/lib/nextcloud/store-apps
mkdir -p quiz/appinfo quiz/js
echo '<?xml version="1.0"?><info><id>quiz</id><name>Quiz</name><summary>Quiz</summary><description>Quiz</description>
<version>1.0.0</version><licence>agpl</licence><author>Prova</author><namespace>Quiz</namespace><category>games</category>
<bugs>https://example.org</bugs><dependencies><nextcloud min-version="30" max-version="99"/></dependencies></info>
' > quiz/appinfo/info.xml
echo 'let quiz' > quiz/js/quiz.js
echo '<?php echo "ran";' > quiz/quiz.php
echo 'let hidden' > quiz/js/.hidden.js
ln -sf /srv/of-the-web-server/secret.js quiz/js/link.js
END
"""
#: Asks for the list of apps as the page of apps does; what would go out comes to us, who tell where it would have gone.
ASK_STORE = r"""<?php
define('OC_CONSOLE', 1);
$_SERVER['argv'] = $argv = ['occ'];
$_SERVER['SCRIPT_FILENAME'] = '/opt/nextcloud/current/occ';
require_once '/opt/nextcloud/current/lib/base.php';
$out = new class implements OCP\Http\Client\IClientService {
    public bool $asked = false;
    public function newClient(): OCP\Http\Client\IClient {
        $this->asked = true;
        throw new RuntimeException('this test asks nobody');
    }
};
$fetcher = OCP\Server::get(OC\App\AppStore\Fetcher\AppFetcher::class);
$base = new ReflectionClass(OC\App\AppStore\Fetcher\Fetcher::class);
$base->getProperty('clientService')->setValue($fetcher, $out);
$fetcher->get();
echo $out->asked ? $base->getMethod('getEndpoint')->invoke($fetcher) : 'nobody', "\n";
"""


def occ(school: SchoolOnLab, arguments: str) -> str:
    command = (
        f"cd / && runuser -u nextcloud -- php-nextcloud /opt/nextcloud/current/occ --no-ansi {arguments}"
    )
    return ssh(school.machine, command).stdout


def app_is_on(school: SchoolOnLab) -> bool:
    return "quiz" in json.loads(occ(school, "app:list --output=json"))["enabled"]


def store(school: SchoolOnLab, is_open: bool) -> str:
    """Opens or closes it, as the city does; what the run said."""
    file = school.directory / "schools" / f"{school.id}.yml"
    text = yaml.safe_load(file.read_text())
    text["services"]["nextcloud"]["settings"] = {"app_store": is_open}
    file.write_text(yaml.safe_dump(text, allow_unicode=True))
    return school.provision("apply", school.id, "--yes").stdout


def asked(school: SchoolOnLab, request: pytest.FixtureRequest) -> str:
    """Whom Nextcloud asks for apps; nothing of the stand-in, which has no store."""
    if not REAL.is_file():
        say(request, "The stand-in asks no store: whom the real Nextcloud would ask is not tried.")
        return ""
    return ssh(
        school.machine, "cd / && runuser -u nextcloud -- php-nextcloud", stdin=ASK_STORE
    ).stdout.strip()


def test_an_open_store_opens_nothing_else(school: SchoolOnLab, request: pytest.FixtureRequest) -> None:
    store(school, is_open=True)
    system = json.loads(occ(school, "config:list system --output=json"))["system"]
    assert system["appstoreenabled"] is True
    # What would let out push messages, look-ups, and questions about passwords.
    assert system["has_internet_connection"] is False
    others = ("updatechecker", "allow_local_remote_servers", "lookup_server", "connectivity_check_domains")
    assert [system[name] for name in others] == [False, False, "", []]
    assert [place["writable"] for place in system["apps_paths"]] == [False, True]
    assert asked(school, request) in ("https://apps.nextcloud.com:443/api/v1/apps.json", "")
    ssh(school.machine, INSTALL_APP)
    occ(school, "app:enable quiz")
    assert app_is_on(school)
    assert ask(school, "/store-apps/quiz/js/quiz.js") == (200, "let quiz\n")
    # Neither its programs by themselves, nor what hides, nor what the web server may read and the app may not.
    climbing = ("../../data/.ncdata", "../config/config.php")
    for path in ("quiz.php", "quiz.php/x", "js/.hidden.js", "js/link.js", "", *climbing):
        status, body = ask(school, f"/store-apps/quiz/{path}")
        assert status in (403, 404), (path, status, body)
    assert ssh(school.machine, "runuser -u www-data -- ls /var/lib/nextcloud", check=False).returncode != 0
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout


def test_a_store_that_is_closed_takes_its_apps_along(
    school: SchoolOnLab, request: pytest.FixtureRequest
) -> None:
    store(school, is_open=False)
    system = json.loads(occ(school, "config:list system --output=json"))["system"]
    assert (system["appstoreenabled"], system["has_internet_connection"]) == (False, False)
    assert [place["writable"] for place in system["apps_paths"]] == [False]
    assert asked(school, request) in ("nobody", "")
    assert not app_is_on(school)
    assert ask(school, "/store-apps/quiz/js/quiz.js")[0] == 404
    modes = ssh(school.machine, "stat -c '%U %a' /var/lib/nextcloud /opt/nextcloud/current/apps").stdout
    assert modes == "root 750\nroot 755\n"
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout
    assert status_of(school)["installed"]


def test_its_apps_stay_off_when_it_is_opened_again(school: SchoolOnLab) -> None:
    store(school, is_open=True)
    assert not app_is_on(school)
    occ(school, "app:enable quiz")
    assert app_is_on(school)
    store(school, is_open=False)
    assert not app_is_on(school)


def test_a_file_that_overrules_the_schools_settings_is_told(school: SchoolOnLab) -> None:
    """The service may put files beside provision.config.php: what they say is not taken for the school's word."""
    beside = "/var/lib/nextcloud/config/zz.config.php"
    text = "<?php $CONFIG = ['has_internet_connection' => 'false'];"
    ssh(school.machine, f"runuser -u nextcloud -- tee {beside}", stdin=text)
    refused = school.provision("apply", school.id, "--yes", check=False)
    assert refused.returncode == 1
    assert (
        "does not follow provision.config.php in: has_internet_connection" in refused.stdout + refused.stderr
    )
    ssh(school.machine, f"rm {beside}")
    school.provision("apply", school.id, "--yes")


# --- from release to release, with stand-ins ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stand_in(school: SchoolOnLab) -> SchoolOnLab:
    """The same server with the stand-in of the first step's release, as it is after an apply from nothing."""
    ssh(
        school.machine,
        "systemctl stop provision-nextcloud-cron.timer provision-php@nextcloud.service && "
        "rm -rf /opt/nextcloud /var/lib/nextcloud/config /var/lib/nextcloud/data && "
        "runuser -u nextcloud -- psql -Xq -d nextcloud -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public;'",
    )
    ask_for(school, STEPS[0])
    school.provision("apply", school.id, "--yes")
    return school


def test_a_step_that_leaves_a_release_out_is_refused_before_anything_changes(stand_in: SchoolOnLab) -> None:
    ask_for(stand_in, STEPS[2])
    refused = stand_in.provision("apply", stand_in.id, "--yes", check=False)
    assert refused.returncode != 0
    assert "without leaving one out" in refused.stdout + refused.stderr
    assert ssh(stand_in.machine, "ls /opt/nextcloud/releases").stdout == f"{STEPS[0]}\n"
    assert status_of(stand_in)["versionstring"] == STEPS[0]


def test_the_next_release_takes_the_place_of_the_former_which_stays(stand_in: SchoolOnLab) -> None:
    ask_for(stand_in, STEPS[1])
    stand_in.provision("apply", stand_in.id, "--yes")
    told = status_of(stand_in)
    assert (told["versionstring"], told["maintenance"], told["needsDbUpgrade"]) == (STEPS[1], False, False)
    assert ssh(stand_in.machine, "ls /opt/nextcloud/releases").stdout == f"{STEPS[0]}\n{STEPS[1]}\n"
    assert may_enter(stand_in, password_of(stand_in))


def test_an_upgrade_that_was_cut_off_is_finished_by_the_next_apply(stand_in: SchoolOnLab) -> None:
    ask_for(stand_in, STEPS[2])
    machine = stand_in.machine
    # The stand-in's own upgrade breaks off when it sees this, as a full disk or a lost server would break it off.
    ssh(machine, "touch /var/lib/nextcloud/data/break-off")
    broken = stand_in.provision("apply", stand_in.id, "--yes", check=False)
    assert broken.returncode != 0
    assert "broken off" in broken.stdout + broken.stderr
    ssh(machine, "rm /var/lib/nextcloud/data/break-off")
    stand_in.provision("apply", stand_in.id, "--yes")
    told = status_of(stand_in)
    assert (told["versionstring"], told["maintenance"], told["needsDbUpgrade"]) == (STEPS[2], False, False)


def test_a_database_without_its_settings_is_left_alone(stand_in: SchoolOnLab) -> None:
    machine = stand_in.machine
    ssh(machine, "mv /var/lib/nextcloud/config/config.php /root/config.php")
    refused = stand_in.provision("apply", stand_in.id, "--yes", check=False)
    assert refused.returncode != 0
    assert "bring back config.php from a backup" in refused.stdout + refused.stderr
    ssh(machine, "mv /root/config.php /var/lib/nextcloud/config/config.php")
    stand_in.provision("apply", stand_in.id, "--yes")
    assert may_enter(stand_in, password_of(stand_in))
