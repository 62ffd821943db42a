"""What must hold after the step to a later release, with a new password and another service beside it."""

import importlib.util
import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

# The tests of every Moodle are beside these in the run; their class for one server is used here too.
_spec = importlib.util.spec_from_file_location(
    "moodle_server", Path(__file__).parents[3] / "verify/test_moodle.py"
)
assert _spec is not None
assert _spec.loader is not None
_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tests)


@pytest.fixture(name="moodle")
def _moodle(host: Any) -> Any:
    return _tests.Moodle(host)


def test_the_later_release_runs_and_the_database_belongs_to_it(host: Any, moodle: Any) -> None:
    version = str(host.ansible.get_variables()["moodle_version"])
    assert host.check_output("readlink /opt/moodle/current") == f"/opt/moodle/releases/{version}"
    assert host.check_output("readlink /opt/moodle/web") == f"/opt/moodle/releases/{version}/public"
    assert moodle.setting("release").startswith(version)


def test_the_site_is_open_again(host: Any, moodle: Any) -> None:
    assert not host.file("/var/lib/moodle/data/climaintenance.html").exists
    assert not host.file("/etc/moodle/upgrading").exists
    assert moodle.get("/login/index.php")["status"] == 200


def test_nothing_more_is_public_than_before(moodle: Any) -> None:
    paths = [*_tests.PUBLIC_PATHS, "admin/cli/cron.php", "cli/cron.php", "config.php", "version.php"]
    answers = moodle.browse(*({"path": f"/{path}"} for path in paths))
    # version.php says nothing to a browser.
    seen = {
        path: len(answer["body"])
        for path, answer in zip(paths, answers, strict=True)
        if answer["status"] != 404
    }
    assert seen in ({}, {"version.php": 0})


# Not among the tests for living schools: for a moment nobody could work.
@pytest.mark.parametrize("way", ["--enable", "--enableold"])
def test_a_maintenance_mode_that_is_left_on_is_told(host: Any, moodle: Any, way: str) -> None:
    def state() -> tuple[str, str]:
        # What its database said is good for a while.
        told = json.loads(
            host.check_output(
                "rm -f /var/lib/provision/probe/moodle-database.json; provision-moodle-health probe state"
            )
        )
        return told["state"], told["code"]

    try:
        assert moodle.program("maintenance.php", way).rc == 0
        assert state() == ("problem", "maintenance")
    finally:
        assert moodle.program("maintenance.php", "--disable").rc == 0
    assert state() == ("ok", "")


def test_moodles_own_checks_find_no_error(moodle: Any) -> None:
    for kind in ("status", "security"):
        assert moodle.program("checks.php", f"--type={kind}").rc in (0, 1), kind


def test_a_course_that_was_there_before_is_still_there(moodle: Any) -> None:
    assert (
        moodle.php("echo $DB->get_field('course', 'fullname', ['shortname' => 'before']);") == "Hi era abans"
    )


def test_the_administrator_has_the_new_password_of_the_vault_and_no_other(moodle: Any) -> None:
    assert moodle.browse(*moodle.login("admin", "Canary-4711-second"))[2]["status"] == 200
    assert moodle.browse(*moodle.login("admin", "Canary-4711-first"))[2]["status"] == 303


def test_no_password_is_in_a_list_of_processes_in_the_journal_or_in_a_file(host: Any) -> None:
    # Not what is looked for itself.
    mark = "Canary-[4]711"
    assert host.run(f"cat /proc/[0-9]*/cmdline | grep -a {mark}").stdout == ""
    assert host.run(f"journalctl --no-pager -o cat -b | grep -a {mark}").stdout == ""
    places = "/etc /opt/moodle /root /run /tmp /usr/local /var/cache /var/lib /var/log /var/tmp"
    assert host.run(f"grep -rlaE {mark} {places}").stdout == ""


def test_links_follow_the_schools_services_and_its_own_lines_stay(moodle: Any) -> None:
    lines = moodle.setting("custommenuitems").splitlines()
    assert "Web|https://escola.test/" in lines
    assert not [line for line in lines if "pad.escola.test" in line]


def test_the_schools_own_bigbluebutton_is_used_and_nothing_else_of_its_network_can_be_reached(
    moodle: Any,
) -> None:
    assert moodle.setting("bigbluebuttonbn_server_url") == "https://video.escola.test/bigbluebutton/"
    assert moodle.setting("bigbluebuttonbn_shared_secret") == "not-a-secret-only-for-these-tests"
    # The school has switched recording on; each room's teacher decides.
    assert moodle.setting("bigbluebuttonbn_recordings_enabled") == "1"
    assert moodle.setting("bigbluebuttonbn_recording_default") == "0"
    # It lets people without an account in: the teacher of an activity may.
    assert moodle.setting("bigbluebuttonbn_guestaccess_enabled") == "1"
    blocked = [ip_network(text) for text in moodle.setting("curlsecurityblockedhosts").split()]

    def is_blocked(address: str) -> bool:
        return any(ip_address(address) in network for network in blocked)

    assert not is_blocked("10.11.12.13")
    for address in ("10.11.12.12", "10.11.12.14", "10.0.0.1", "192.168.1.1", "127.0.0.1"):
        assert is_blocked(address), address


def test_the_release_before_stays_for_a_look(host: Any) -> None:
    before = str(host.ansible.get_variables()["test_release_before"])
    assert host.file(f"/opt/moodle/releases/{before}").is_directory


def test_the_schools_language_is_spoken_where_its_pack_is_beside_the_archive(host: Any, moodle: Any) -> None:
    if host.file("/opt/moodle/current/STAND-IN").exists:
        assert moodle.setting("lang") == "ca"
        assert host.file("/var/lib/moodle/data/lang/ca/langconfig.php").user == "moodle"
    else:
        assert moodle.setting("lang") == "en"
