"""What the role moodle derives: where Moodle may not be sent, and which programs a browser may not start."""

import importlib.util
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from provision import paths

ROLE = paths.ROLES / "moodle"
#: A school's own network, its router, the server itself, and the ways in which IPv6 writes them.
INSIDE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.31.0.9", "192.168.1.1", "100.64.0.1", "169.254.169.254",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:192.168.1.1", "64:ff9b::a00:1", "fd00::5", "fe80::1",
]  # fmt: skip
OUTSIDE = ["93.184.216.34", "2a01:4f8::1"]


@pytest.fixture(name="variables")
def _variables() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    return found


def filters() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("moodle_filter", ROLE / "filter_plugins" / "moodle.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.FilterModule().filters()
    return found


def without(ranges: list[str], addresses: list[str]) -> list[Any]:
    """What the role's filter leaves of the ranges."""
    made: str = filters()["moodle_without"](ranges, addresses)
    return [ip_network(line) for line in made.splitlines()]


def blocked(address: str, ranges: list[Any]) -> bool:
    return any(ip_address(address) in part for part in ranges)


def test_moodle_cannot_be_sent_into_the_schools_network_in_whatever_spelling(
    variables: dict[str, Any],
) -> None:
    ranges = without(variables["moodle_blocked_ranges"], [])
    assert [address for address in INSIDE if not blocked(address, ranges)] == []
    assert [address for address in OUTSIDE if blocked(address, ranges)] == []


@pytest.mark.parametrize("server", ["192.168.1.20", "10.0.0.1", "fd00::20"])
def test_only_the_address_that_the_school_needs_is_opened(variables: dict[str, Any], server: str) -> None:
    ranges = without(variables["moodle_blocked_ranges"], [server])
    assert not blocked(server, ranges)
    for step in (-1, 1):
        assert blocked(str(ip_address(server) + step), ranges)
    assert [address for address in INSIDE if not blocked(address, ranges)] == []


def test_an_address_that_is_nobodys_opens_nothing(variables: dict[str, Any]) -> None:
    before = without(variables["moodle_blocked_ranges"], [])
    assert without(variables["moodle_blocked_ranges"], ["93.184.216.34"]) == before


def test_a_name_that_leads_to_no_other_server_opens_nothing(variables: dict[str, Any]) -> None:
    own = ["192.168.1.20", "fe80::1234", "fd00::20"]
    wrong = [
        "127.0.0.1", "127.0.1.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "::", "::1", "fe80::9%eth0",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "192.168.1.20", "::ffff:192.168.1.20", "fd00::20",
    ]  # fmt: skip
    right = ["192.168.1.21", "10.0.0.1", "fd00::21", "93.184.216.34"]
    assert filters()["moodle_unfit"]([*wrong, *right], own) == wrong
    assert filters()["moodle_unfit"](right, []) == []
    # What is so stays closed, and a task of the role says so before Moodle gets its settings.
    assert "difference(moodle_video_unfit)" in variables["moodle_settings"]["curlsecurityblockedhosts"]
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    names = [task["name"] for task in tasks]
    (said,) = [task for task in tasks if "moodle_video_unfit" in str(task.get("ansible.builtin.assert"))]
    assert names.index(said["name"]) < names.index("Write Moodle's settings")


@pytest.mark.parametrize(
    ("path", "closed"),
    [
        ("/admin/cli/cron.php", True),
        ("/lib/classes/component.php", True),
        ("/lib/classes/task/manager.php", True),
        ("/lib/tests/other/spreadsheettestpage.php", True),
        ("/admin/tool/behat/tests/fixtures/core/showtime.php", True),
        ("/vendor/phpunit/phpunit/src/Util/eval-stdin.php", True),
        ("/lib/tests/other/chartjstestpage.php/x/y.css", True),
        ("/login/index.php", False),
        ("/index.php", False),
        ("/theme/styles.php/boost/1/all", False),
        # What is behind a program is its own business: a teacher may have called a file or a folder so.
        ("/pluginfile.php/5/mod_resource/content/1/tests/classes/cli.php", False),
        ("/draftfile.php/5/user/draft/1/vendor/x.php", False),
        ("/lib/ajax/service.php", False),
        ("/mod/data/view.php", False),
    ],
)
def test_parts_of_programs_are_closed_however_deep_they_lie(path: str, closed: bool) -> None:
    site = (ROLE / "templates" / "nginx-locations.conf.j2").read_text()
    (rule,) = re.findall(r"^ +location ~ (\S+\(cli\|\S+) \{$", site, re.MULTILINE)
    assert bool(re.match(rule, path)) is closed


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/node_modules/cli/cli.js", False),
        ("/vendor/bin/x.js", False),
        ("/privacy/tests/fixtures/logo.png", False),
        ("/tests/x.css", False),
        ("/.hidden.js", False),
        ("/pix/i/lock.svg", True),
        ("/lib/editor/tiny/js/tinymce/tinymce.min.js", True),
        ("/mod/quiz/pix/monologo.svg", True),
        ("/lib/db/install.xml", False),
        ("/composer.json", False),
    ],
)
def test_only_what_is_for_browsers_is_shown_as_it_is(path: str, shown: bool) -> None:
    site = (ROLE / "templates" / "nginx-locations.conf.j2").read_text()
    (rule,) = re.findall(r"^location ~\* (\S+woff2\S+) \{$", site, re.MULTILINE)
    assert bool(re.search(rule, path, re.IGNORECASE)) is shown
