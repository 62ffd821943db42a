"""What must hold after the step from 1.8.14 to the release that schools get."""

import json
import shlex
from typing import Any

import pytest

READ = """
import urllib.request, urllib.parse
form = urllib.parse.urlencode({"apikey": open("/etc/etherpad/APIKEY.txt").read(), "padID": "written-before"})
print(urllib.request.urlopen("http://127.0.0.1:9001/api/1/getText", form.encode()).read().decode())
"""


def from_packages(host: Any) -> bool:
    return bool(host.ansible.get_variables()["inventory_hostname"] == "debian13")


def test_a_pad_that_was_there_before_is_still_there(host: Any) -> None:
    answer = json.loads(host.check_output(f"python3 -c {shlex.quote(READ)}"))
    assert answer["data"]["text"] == "això ja hi era\n"


def test_the_running_program_is_the_new_release(host: Any) -> None:
    pid = host.check_output("systemctl show etherpad.service --property=MainPID --value")
    program = host.file(f"/proc/{pid}/cmdline").content_string
    assert "/src/node/server.ts" in program
    root = host.check_output(f"readlink /proc/{pid}/cwd")
    assert root == ("/opt/etherpad" if from_packages(host) else "/opt/etherpad/releases/3.3.1")


def test_the_former_release_is_kept_for_going_back(host: Any) -> None:
    assert host.file("/opt/etherpad/releases/1.8.14/src/node/server.js").is_file


def test_the_files_that_were_sent_are_not_left_behind(host: Any) -> None:
    assert host.check_output("find /var/cache -maxdepth 1 -name 'etherpad-*'") == ""
    assert host.check_output("find /opt/etherpad -maxdepth 2 -name '*.new'") == ""


def test_upstreams_own_unit_is_not_the_one_that_runs(host: Any) -> None:
    unit = host.check_output("systemctl show etherpad.service --property=FragmentPath --value")
    assert unit == "/etc/systemd/system/etherpad.service"


def test_the_repositories_may_bring_only_their_packages(host: Any) -> None:
    if not from_packages(host):
        assert not host.file("/etc/apt/sources.list.d/provision-etherpad.sources").exists
        return
    assert host.package("etherpad").version == "3.3.1-1"
    assert host.package("nodejs").version.startswith("24.")
    policy = host.check_output("apt-cache policy")
    ours = [line.split()[0] for line in policy.splitlines() if "127.0.0.1:8017" in line]
    assert ours
    assert set(ours) == {"-1"}


@pytest.mark.parametrize("name", ["etherpad", "nodesource"])
def test_a_repository_that_another_key_has_signed_is_refused(host: Any, name: str) -> None:
    """The same key file, but another fingerprint is asked for; then the right one."""
    suite = {"etherpad": "stable", "nodesource": "nodistro"}[name]
    results = []
    for wanted in ("stranger", name):
        fingerprint = host.file(f"/srv/stand-in/{wanted}.fingerprint").content_string.strip()
        source = (
            f"Types: deb\nURIs: http://127.0.0.1:8017/{name}\nSuites: {suite}\nComponents: main\n"
            f"Signed-By: /srv/stand-in/{name}.asc {fingerprint}\n"
        )
        done = host.run(
            f"d=$(mktemp -d) && chmod 755 $d && printf %s {shlex.quote(source)} > $d/test.sources && "
            "apt-get update -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$d "
            "-o Dir::State::Lists=$d -o APT::Update::Error-Mode=any; s=$?; rm -rf $d; exit $s"
        )
        results.append(done.rc == 0)
    assert results == [False, True]
