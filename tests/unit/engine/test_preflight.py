"""What must hold on a host before anything is changed there."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import paths
from provision.engine.preflight import Check, Facts, HostState, look
from provision.engine.ssh import Answer, Connection
from provision.errors import RefusedError
from provision.model import Workspace, load_workspace
from provision.model.catalog import load_catalog
from provision.model.municipality import InternalTls
from provision.model.service import Alone, Port, Resources

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
NAME = "docs.escola-pi.example"
FACTS: dict[str, Any] = {
    "system": "debian-12",
    "pretty": "Debian GNU/Linux 12 (bookworm)",
    "python": "3.11.2",
    "architecture": "x86_64",
    "memory_mb": 64_000,
    "cpus": 16,
    "disk_free_mb": 500_000,
    "time": 0,
    "systemd": True,
    "listeners": {"80": "nginx"},
    "outside": {"22": "sshd", "80": "nginx"},
    "addresses": ["ipv4", "ipv6"],
    "marks": [],
    "apt": {"https://mirror.example/debian": ""},
    "apt_interrupted": False,
    "packages": ["nginx", "libstdc++6"],
    "read_only": False,
}


class Server:
    """Stands for a connection: answers one command with one text."""

    def __init__(self, answer: str, status: int = 0, err: str = "") -> None:
        self.answer = Answer(status, answer, err)

    def run(self, command: str, **options: Any) -> Answer:
        return self.answer


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shutil.copytree(FIXTURES / "workspace", tmp_path / "vilaprova")
    return load_workspace(tmp_path / "vilaprova", FIXTURES / "roles")


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The only names that resolve, with their addresses."""
    entries: dict[str, list[str]] = {}

    def getaddrinfo(name: str, *_: object, **__: object) -> list[Any]:
        if name not in entries:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in entries[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return entries


def state(made: Workspace, server: Server, *, address: str = "192.0.2.10", acme: bool = True) -> HostState:
    school = made.school("escola-pi")
    host = replace(school.hosts["main"], address=address)
    if not acme:
        school = replace(school, tls=InternalTls(mode="internal"))
    services = list(school.services.values())
    return look(made, school, host, cast("Connection", server), services)


def answers(
    made: Workspace, server: Server, *, address: str = "192.0.2.10", acme: bool = True
) -> list[Check]:
    return list(state(made, server, address=address, acme=acme).checks)


def facts(**changes: Any) -> Server:
    return Server(json.dumps({**FACTS, "time": time.time(), **changes}))


def names_check(found: list[Check]) -> Check:
    return next(check for check in found if check.subject == "names")


def test_a_server_in_order_has_no_problem(workspace: Workspace, dns: dict[str, list[str]]) -> None:
    dns[NAME] = ["192.0.2.10"]
    assert {check.state for check in answers(workspace, facts())} == {"ok"}


@pytest.mark.parametrize("key", sorted(FACTS))
@pytest.mark.parametrize("value", [None, [], "\x1b[2J", -1, 1e308], ids=repr)
def test_an_answer_with_a_garbled_value_is_refused_by_its_name_in_plain_words(
    workspace: Workspace, dns: dict[str, list[str]], key: str, value: object
) -> None:
    if isinstance(value, str) and isinstance(FACTS[key], str):
        shown = "".join(check.found + check.remedy for check in answers(workspace, facts(**{key: value})))
        assert "\x1b" not in shown
        return
    if isinstance(value, list) and isinstance(FACTS[key], list):
        assert answers(workspace, facts(**{key: value}))
        return
    with pytest.raises(RefusedError) as caught:
        answers(workspace, facts(**{key: value}))
    assert caught.value.message == f"192.0.2.10 answered something else than expected: no usable {key}"


@pytest.mark.parametrize("key", sorted(FACTS))
def test_an_answer_that_lacks_a_value_is_refused(workspace: Workspace, key: str) -> None:
    with pytest.raises(RefusedError, match=f"no usable {key}"):
        answers(workspace, Server(json.dumps({name: FACTS[name] for name in FACTS if name != key})))


def test_the_packages_that_are_there_are_told(workspace: Workspace, dns: dict[str, list[str]]) -> None:
    assert state(workspace, facts()).packages == ("nginx", "libstdc++6")


@pytest.mark.parametrize(
    "name", ["{{ lookup('pipe', 'id') }}", "{% if %}", "", "a b", "nginx\n", "-rf", "Ä", "a" * 201]
)
def test_a_name_that_is_no_packages_name_never_gets_into_the_inventory(
    workspace: Workspace, name: str
) -> None:
    with pytest.raises(RefusedError, match="no usable packages"):
        state(workspace, facts(packages=["nginx", name]))


@pytest.mark.parametrize("text", ["", "hello", "[]", "null", "[" * 100_000, '{"memory_mb": 1' + "0" * 9999])
def test_an_answer_that_is_no_object_is_refused(workspace: Workspace, text: str) -> None:
    with pytest.raises(RefusedError, match="answered something else than expected"):
        answers(workspace, Server(text))


def test_nothing_that_a_server_says_about_itself_steers_a_terminal(
    workspace: Workspace, dns: dict[str, list[str]]
) -> None:
    hostile = "\x1b]0;owned\x07\x9b2J\u202ereversed"
    found = answers(
        workspace,
        facts(system=hostile, pretty=hostile, listeners={hostile: hostile}, apt={hostile: hostile}),
    )
    shown = "".join(check.found + check.remedy for check in found)
    assert shown.count("owned") >= 4
    assert not set("\x1b\x07\x9b\u202e").intersection(shown)
    with pytest.raises(RefusedError) as caught:
        answers(workspace, Server("", 1, f"sudo: {hostile}\n"))
    assert "owned" in caught.value.message
    assert not set("\x1b\x07\x9b\u202e").intersection(caught.value.message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(sorted(FACTS)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_whatever_a_server_answers_is_read_or_refused(
    workspace: Workspace, dns: dict[str, list[str]], changes: dict[str, Any]
) -> None:
    try:
        found = answers(workspace, facts(**changes))
    except RefusedError as error:
        assert error.remedy
    else:
        assert found


@pytest.mark.parametrize(
    ("seen", "address", "acme", "state"),
    [
        (["93.184.216.34"], "93.184.216.34", True, "ok"),
        (["2606:2800::1", "93.184.216.34"], "93.184.216.34", True, "ok"),
        (["93.184.216.35"], "93.184.216.34", True, "problem"),
        (["93.184.216.35"], "93.184.216.34", False, "warning"),
        (["93.184.216.35"], "10.0.0.5", True, "warning"),
        (["2606:2800::1"], "93.184.216.34", True, "warning"),
        ([], "93.184.216.34", True, "problem"),
        ([], "93.184.216.34", False, "warning"),
    ],
    ids=[
        "the server",
        "the server and its IPv6",
        "another one",
        "another one, without ACME",
        "behind a router",
        "only an IPv6 that cannot be compared",
        "unknown",
        "unknown, without ACME",
    ],
)
def test_a_name_that_leads_elsewhere_stops_a_run_that_needs_it_for_a_certificate(
    workspace: Workspace, dns: dict[str, list[str]], seen: list[str], address: str, acme: bool, state: str
) -> None:
    if seen:
        dns[NAME] = seen
    check = names_check(answers(workspace, facts(), address=address, acme=acme))
    assert check.state == state
    assert bool(check.remedy) == (state != "ok")
    assert all(text in check.found for text in seen)
    if state != "ok":
        assert address in check.found + check.remedy


def test_the_workspaces_own_names_may_lead_anywhere(workspace: Workspace, dns: dict[str, list[str]]) -> None:
    workspace.state_dir.mkdir()
    workspace.names_file.write_text(f"93.184.216.35 {NAME}\n")
    assert names_check(answers(workspace, facts(), address="93.184.216.34")).state == "ok"


def test_a_server_that_only_its_jump_host_knows_is_not_compared(
    workspace: Workspace, dns: dict[str, list[str]]
) -> None:
    dns[NAME] = ["93.184.216.34"]
    assert names_check(answers(workspace, facts(), address="aula.intern")).state == "ok"


# All services that may share a server.


@pytest.mark.parametrize(
    ("memory_mb", "disk_mb", "state"),
    # What Linux has of 8 GB, and of a server that was sold with 6; a disk may be full of what is installed already.
    [(7800, 500_000, "ok"), (5900, 500_000, "problem"), (7600, 500_000, "problem"), (7800, 60_000, "ok")],
)
def test_a_server_has_the_memory_of_all_its_services_together_or_is_refused_with_the_sum(
    workspace: Workspace, dns: dict[str, list[str]], memory_mb: int, disk_mb: int, state: str
) -> None:
    catalog, _ = load_catalog([paths.ROLES])
    school = workspace.school("escola-pi")
    one = next(iter(school.services.values()))
    services = [
        replace(one, id=name, definition=entry.definition, settings={})
        for name, entry in sorted(catalog.items())
        if not entry.definition.dedicated_host
    ]
    assert {"etherpad", "jitsi", "moodle", "nextcloud"} <= {service.id for service in services}
    server = cast("Connection", facts(memory_mb=memory_mb, disk_free_mb=disk_mb))
    found = {
        check.subject: check
        for check in look(workspace, school, school.hosts["main"], server, services).checks
    }
    memory = found["memory"]
    parts = {"system": 400} | {service.id: service.definition.resources.memory_mb for service in services}
    sums = " + ".join(f"{name} {part}" for name, part in parts.items())
    assert memory.found == f"{memory_mb} MiB; needed {sum(parts.values())} ({sums})"
    assert memory.state == state
    assert bool(memory.remedy) is (state != "ok")


# A service that needs a server of its own.


ALONE = "/etc/lessons/release"


def dedicated(made: Workspace, server: Server, *, small: bool = False) -> dict[str, Check]:
    """What is found on the server of a service that needs one of its own, by what was looked at."""
    school = made.school("escola-pi")
    service = next(iter(school.services.values()))
    definition = service.definition.model_copy(
        update={
            "dedicated_host": True,
            "alone": Alone(until=ALONE, packages=("apache2-bin",)),
            "resources": Resources(
                memory_mb=15_360,
                disk_mb=51_200,
                cpus=8,
                addresses=("ipv4", "ipv6"),
                architectures=("x86_64",),
                small_host="small",
            ),
            "ports": (
                Port(port=80, why="web", programs=("nginx",)),
                Port(port=443, why="web", programs=("haproxy", "nginx")),
            ),
        }
    )
    use = replace(service, definition=definition, settings={**service.settings, "small": small})
    host = replace(school.hosts["main"], address="192.0.2.10")
    found = look(made, school, host, cast("Connection", server), [use]).checks
    return {check.subject: check for check in found}


def test_a_server_of_the_right_size_with_nothing_else_on_it_will_do(
    workspace: Workspace, dns: dict[str, list[str]]
) -> None:
    dns[NAME] = ["192.0.2.10"]
    found = dedicated(workspace, facts(memory_mb=15_900, cpus=8, outside={"22": "sshd"}, listeners={}))
    assert {check.state for check in found.values()} == {"ok"}
    # The whole server's memory counts: the system has no share of its own on top of it.
    assert found["memory"].found == "15900 MiB; needed 15360 (wiki 15360)"


@pytest.mark.parametrize(
    ("changes", "subject", "found"),
    [
        ({"memory_mb": 7900}, "memory", "7900 MiB; needed 15360 (wiki 15360)"),
        ({"cpus": 4}, "cores", "4; needed 8 (wiki)"),
        ({"addresses": ["ipv4"]}, "addresses", "IPv4; needed IPv4 and IPv6 (wiki)"),
        ({"addresses": []}, "addresses", "none; needed IPv4 and IPv6 (wiki)"),
    ],
)
def test_a_server_that_is_too_small_is_refused_with_what_is_wanted_and_what_is_there(
    workspace: Workspace, dns: dict[str, list[str]], changes: dict[str, Any], subject: str, found: str
) -> None:
    server = facts(**{"outside": {"22": "sshd"}, "listeners": {}, **changes})
    check = dedicated(workspace, server)[subject]
    assert (check.state, check.found) == ("problem", found)
    assert check.remedy
    # The word for tests lets it pass, and says so all the same.
    assert dedicated(workspace, server, small=True)[subject].state == "warning"


@pytest.mark.parametrize("small", [False, True])
def test_a_server_of_another_system_or_kind_is_refused_with_what_is_wanted_and_what_is_there(
    workspace: Workspace, dns: dict[str, list[str]], small: bool
) -> None:
    server = facts(system="ubuntu-22.04", pretty="Ubuntu 22.04.5 LTS", architecture="aarch64")
    found = dedicated(workspace, server, small=small)
    assert (found["system"].state, found["system"].found) == (
        "problem",
        "Ubuntu 22.04.5 LTS; needed debian-12 or debian-13 (wiki)",
    )
    assert found["system"].remedy == "take a server with debian-12 or debian-13 for wiki"
    assert (found["architecture"].state, found["architecture"].found) == (
        "problem",
        "aarch64; needed x86_64 (wiki)",
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"outside": {"22": "sshd", "5432": "postgres"}}, "postgres on port 5432"),
        ({"packages": ["apache2-bin"]}, "package apache2-bin"),
    ],
)
def test_whatever_else_is_on_a_server_of_its_own_is_told(
    workspace: Workspace, dns: dict[str, list[str]], changes: dict[str, Any], found: str
) -> None:
    server = facts(**{"outside": {"22": "sshd"}, "listeners": {}, **changes})
    for small in (False, True):
        check = dedicated(workspace, server, small=small)["nothing else"]
        assert check.state == "problem"
        assert check.found.startswith(found)


def test_once_the_service_is_there_what_listens_is_its_own(
    workspace: Workspace, dns: dict[str, list[str]]
) -> None:
    dns[NAME] = ["192.0.2.10"]
    mine = {"22": "sshd", "80": "nginx", "443": "haproxy", "3478": "turnserver", "8888": "mediasoup"}
    found = dedicated(
        workspace, facts(outside=mine, listeners={"80": "nginx", "443": "haproxy"}, marks=[ALONE])
    )
    assert {check.state for check in found.values()} == {"ok"}


def test_another_web_server_than_the_services_own_is_in_the_way(
    workspace: Workspace, dns: dict[str, list[str]]
) -> None:
    found = dedicated(workspace, facts(listeners={"443": "apache2"}, outside={"443": "apache2"}))
    assert found["ports"].state == "problem"
    assert "haproxy or nginx needs the port" in found["ports"].remedy


def test_what_a_server_tells_about_itself_is_what_is_read(workspace: Workspace) -> None:
    script = (paths.PACKAGE / "engine/remote_look.py").read_text()
    request = {"sources": False, "marks": ["/etc/os-release", "/etc/not-there"]}
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    told = Facts.model_validate_json(done.stdout)
    assert told.marks == ["/etc/os-release"]
    assert told.cpus >= 1
    assert set(told.addresses) <= {"ipv4", "ipv6"}


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("", {"http", "https"}),
        ('Acquire::http::Proxy "";', {"http", "https"}),
        ('Acquire::http::Proxy::packages.vila.test "DIRECT";', {"http", "https"}),
        ('Acquire::https::Proxy "http://proxy.vila.test:3142";', {"http"}),
        ('Acquire::http::Proxy "http://proxy.vila.test:3142";', set()),
        ('Acquire::http::Proxy-Auto-Detect "/usr/bin/auto-apt-proxy";', set()),
    ],
)
def test_package_sources_are_asked_directly_unless_apt_asks_a_proxy(
    tmp_path: Path, setting: str, asked: set[str]
) -> None:
    for name, said in (
        ("apt-config", setting),
        ("apt-get", "http://127.0.0.1:1/debian\nhttps://127.0.0.1:1/x\nfile:/srv/x"),
        (
            "ss",
            'LISTEN 0 128 0.0.0.0:443 0.0.0.0:* users:(("nginx",pid=1,fd=2))\nLISTEN 0 1 127.0.0.1:80 0.0.0.0:*',
        ),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", (paths.PACKAGE / "engine/remote_look.py").read_text()],
        input=json.dumps({"sources": True, "marks": []}), capture_output=True, text=True, check=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    told = Facts.model_validate_json(done.stdout)
    assert {site.partition(":")[0] for site, error in told.apt.items() if error} == asked
    assert set(told.apt) == {"http://127.0.0.1:1/debian", "https://127.0.0.1:1/x", "file:/srv/x"}
    assert (told.listeners, told.outside) == ({"443": "nginx", "80": "?"}, {"443": "nginx"})


class Lessons(Server):
    """A server that is in order, and says this of its lessons."""

    def __init__(self, busy: str, status: int = 0) -> None:
        super().__init__(json.dumps({**FACTS, "time": time.time()}))
        self.busy = Answer(status, busy, "")
        self.asked: list[str] = []

    def run(self, command: str, **options: Any) -> Answer:
        if " busy" not in command:
            return super().run(command, **options)
        self.asked.append(command)
        return self.busy


def lessons(made: Workspace, server: Lessons, *, force: bool = False) -> list[Check]:
    school = made.school("escola-pi")
    services = list(school.services.values())
    busy = services[0].definition.model_copy(update={"busy": True})
    services[0] = replace(services[0], definition=busy)
    host = replace(school.hosts["main"], address="192.0.2.10")
    checks = look(made, school, host, cast("Connection", server), services, force=force).checks
    return [check for check in checks if check.subject.startswith("lessons")]


def test_lessons_that_go_on_are_told_before_anything_is_changed(workspace: Workspace) -> None:
    server = Lessons('{"meetings": 3, "participants": 57}\n')
    (found,) = lessons(workspace, server)
    assert found.state == "warning"
    assert "meetings: 3, participants: 57" in found.found
    assert "--wait" in found.remedy
    assert "cuts them" in lessons(workspace, server, force=True)[0].remedy
    assert all("/usr/local/sbin/provision-" in command for command in server.asked)


@pytest.mark.parametrize("answer", ["", '{"meetings": 0, "participants": 0}'])
def test_no_lessons_and_a_server_that_has_nothing_yet_are_no_matter(
    workspace: Workspace, answer: str
) -> None:
    assert lessons(workspace, Lessons(answer)) == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [("", 1), ("x", 0), ("[]", 0), ('{"meetings": -1, "participants": 2}', 0), ('{"meetings": "3"}', 0)],
)
def test_an_answer_that_says_nothing_about_lessons_is_told_as_that(
    workspace: Workspace, answer: str, status: int
) -> None:
    (found,) = lessons(workspace, Lessons(answer, status))
    assert "cannot be told" in found.found


def test_services_without_lessons_are_not_asked(workspace: Workspace) -> None:
    server = Lessons("{}")
    state(workspace, server)
    assert server.asked == []
