"""The lab itself, on labs of directories of their own, so that this checkout's machines are left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.errors import LabError, UsageError
from provision.lab import Lab, Machine, runtime
from provision.lab.base import extra_certificates
from provision.lab.names import Names
from provision.lab.state import LABS, RUN
from provision.lab.system import Process
from tests.labs import ssh

pytestmark = pytest.mark.lab

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    own = Lab(tmp_path / "one")
    own.directory.mkdir()
    yield own
    own.down()


@pytest.fixture
def second_lab(tmp_path: Path) -> Iterator[Lab]:
    own = Lab(tmp_path / "two")
    own.directory.mkdir()
    yield own
    own.down()


def sudo(*argv: str) -> str:
    """Output of a command that needs root."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    done = subprocess.run(
        [*prefix, *argv],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    return done.stdout


def traces(lab: Lab) -> dict[str, list[str]]:
    """Everything on this computer that carries a lab's name, by kind."""
    names = Names(lab.id)
    marks = (names.bridge, names.prefix, names.nft_table, str(LABS / lab.id))

    def with_mark(text: str) -> list[str]:
        return [line for line in text.splitlines() if any(mark in line for mark in marks)]

    return {
        "links": with_mark(sudo("ip", "-br", "link")),
        "namespaces": with_mark(sudo("ip", "netns", "list")),
        "routes": with_mark(sudo("ip", "route", "show", "table", "all")),
        "rules": with_mark(sudo("nft", "list", "ruleset")),
        "mounts": with_mark(Path("/proc/self/mounts").read_text()),
        "processes": with_mark(sudo("ps", "-eww", "-o", "pid,args")),
        "groups": with_mark(sudo("find", "/sys/fs/cgroup", "-name", f"{names.prefix}*")),
        "files": with_mark(
            sudo(
                "find",
                "/run",
                "/var/lib",
                "-maxdepth",
                "4",
                "-name",
                f"*{lab.id}*",
                "-not",
                "-path",
                "*/proc/*",
            )
        ),
    }


def nothing() -> dict[str, list[str]]:
    kinds = ("links", "namespaces", "routes", "rules", "mounts", "processes", "groups", "files")
    return {kind: [] for kind in kinds}


def processes_of(machine: Machine) -> list[Process]:
    """The processes of a machine, by their own process namespace.

    By start time and not by namespace afterwards: the kernel gives a namespace's number to the next one.
    """
    namespace = ssh(machine, "readlink /proc/1/ns/pid").stdout.strip()
    lines = sudo(
        "sh", "-c", "for d in /proc/[0-9]*; do echo ${d#/proc/} $(readlink $d/ns/pid); done 2>/dev/null"
    )
    found = [Process.of(int(line.split()[0])) for line in lines.splitlines() if line.endswith(namespace)]
    processes = [process for process in found if process is not None]
    assert len(processes) > 3
    return processes


def alive(processes: list[Process]) -> list[Process]:
    return [process for process in processes if process.alive()]


def labs_that_forward() -> list[str]:
    """Labs of this computer that need its forwarding, other tests' among them."""
    file = RUN / "forwarding.json"
    return list(json.loads(file.read_text())["labs"]) if file.exists() else []


def test_up_gives_a_server_that_answers_and_down_leaves_nothing(lab: Lab) -> None:
    forwarding = FORWARD.read_text()
    others_labs = labs_that_forward()
    assert traces(lab) == nothing()

    machine = lab.up("demo", "bookworm")
    assert ssh(machine, "systemctl is-system-running --wait").stdout.strip() == "running"
    assert ssh(machine, ". /etc/os-release; echo $VERSION_CODENAME").stdout.strip() == "bookworm"
    assert ssh(machine, "hostname").stdout.strip() == "demo"
    processes = processes_of(machine)
    during = traces(lab)
    # The list below can fail only if it is able to find something.
    assert all(during[kind] for kind in nothing()), during

    assert lab.down("demo") == ["demo"]
    assert traces(lab) == nothing()
    assert alive(processes) == []
    if not others_labs and not labs_that_forward():
        assert FORWARD.read_text() == forwarding
    assert lab.machines() == []
    assert lab.hosts_file.read_text() == ""
    assert lab.known_hosts.read_text() == ""


def test_a_machine_brings_this_computer_no_new_address(lab: Lab) -> None:
    """Chromium gives up what it loads when one comes or goes: the bridge alone has some, from the lab's beginning."""
    lab.up("demo")
    lab.up("other")
    interfaces = json.loads(sudo("ip", "-json", "address", "show"))
    bridge = Names(lab.id).bridge
    ours = [one for one in interfaces if one["ifname"].startswith(bridge)]
    assert len(ours) == 3
    assert [one["ifname"] for one in ours if one["addr_info"]] == [bridge]


def test_up_again_gives_the_same_machine_at_once(lab: Lab) -> None:
    first = lab.up("demo")
    told: list[str] = []
    lab.report = told.append
    again = lab.up("demo")
    assert (again.pid, again.address) == (first.pid, first.address)
    assert told == []


def test_a_machine_of_another_release_is_not_handed_out_under_the_same_name(lab: Lab) -> None:
    lab.up("demo", "bookworm")
    with pytest.raises(UsageError, match="bookworm"):
        lab.up("demo", "trixie")


def test_a_stopped_machine_keeps_its_disk_its_address_and_its_keys(lab: Lab) -> None:
    machine = lab.up("demo", "trixie")
    ssh(machine, "echo kept >/root/file")
    ssh(machine, "systemd-run --property=ExecStop='touch /root/stopped-cleanly' sleep 1000")
    lab.stop("demo")
    (stopped,) = lab.machines()
    assert not stopped.running
    assert stopped.pid is None
    started = lab.start("demo")
    assert started.running
    assert started.address == machine.address
    # Strict host-key checking: a new key would be refused.
    assert ssh(started, "cat /root/file").stdout == "kept\n"
    assert ssh(started, "ls /root/stopped-cleanly", check=False).returncode == 0


def test_a_machine_that_reboots_itself_comes_back(lab: Lab) -> None:
    machine = lab.up("demo")
    boot = "systemctl show --property=UserspaceTimestampMonotonic --value"
    before = ssh(machine, boot).stdout
    ssh(machine, "echo kept >/root/file")
    ssh(machine, "systemctl reboot", check=False)
    limit = time.monotonic() + 300
    while time.monotonic() < limit:
        done = ssh(machine, f"{boot}; cat /root/file", check=False)
        if done.returncode == 0 and done.stdout != f"{before}kept\n":
            break
        time.sleep(0.2)
    assert done.stdout.endswith("kept\n")
    assert done.stdout != f"{before}kept\n"
    assert lab.machine("demo").running


def test_two_labs_work_at_once_and_do_not_disturb_each_other(lab: Lab, second_lab: Lab) -> None:
    first, second = lab.up("demo"), second_lab.up("demo")
    assert first.address != second.address
    for machine in (first, second):
        ssh(machine, "apt-get update")
    # Neighbours cannot be reached from one lab to the other.
    probe = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{second.address}/22'"
    assert ssh(first, probe, check=False).returncode != 0
    before = traces(second_lab)
    lab.down()
    assert traces(second_lab) == before
    assert ssh(second, "systemctl is-system-running").stdout.strip() == "running"
    ssh(second, "apt-get update")
    assert second_lab.up("demo").pid == second.pid


def test_two_machines_of_one_lab_do_not_end_each_others_services(lab: Lab) -> None:
    first, second = lab.up("one"), lab.up("two")
    ssh(second, "systemd-run --unit=lasting sleep 1000")
    ssh(first, "systemd-run --unit=lasting sleep 1000 && systemctl stop lasting")
    assert ssh(second, "systemctl is-active lasting").stdout.strip() == "active"
    assert ssh(first, "systemctl is-active lasting", check=False).stdout.strip() == "inactive"


def test_names_lead_to_machines_in_the_tool_and_on_every_machine_but_not_on_this_computer(lab: Lab) -> None:
    hosts = Path("/etc/hosts").read_text()
    first, second = lab.up("one"), lab.up("two")
    lab.add_name("Pad.School.Test", "two")
    assert f"{second.address} pad.school.test two" in lab.hosts_file.read_text().splitlines()
    for machine in (first, second):
        assert ssh(machine, "getent hosts pad.school.test").stdout.split()[0] == second.address
        assert ssh(machine, "getent hosts one").stdout.split()[0] == first.address
    assert Path("/etc/hosts").read_text() == hosts
    # The name is known to SSH as well, under the machine's own key.
    keys = subprocess.run(
        ["ssh-keygen", "-F", "pad.school.test", "-f", lab.known_hosts], capture_output=True, check=False
    )
    assert keys.returncode == 0
    lab.down("two")
    assert "pad.school.test" not in lab.hosts_file.read_text()
    assert ssh(first, "getent hosts two", check=False).returncode != 0


def test_another_ssh_port_and_a_further_key_work(lab: Lab, tmp_path: Path) -> None:
    key = tmp_path / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    machine = lab.up("demo", ssh_port=2222, authorized_key=key.with_suffix(".pub"))
    assert machine.port == 2222
    command = [
        str(key) if part == str(machine.ssh_key) else part for part in machine.ssh_command("echo fine")
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "fine\n"


def test_what_one_machine_downloaded_the_next_one_has(lab: Lab) -> None:
    first = lab.up("one", "bookworm")
    ssh(first, "apt-get install -y -qq --no-install-recommends hello")
    lab.down("one")
    second = lab.up("two", "bookworm")
    assert "hello_" in ssh(second, "ls /var/cache/apt/archives").stdout
    done = ssh(second, "apt-get install -y --no-install-recommends hello")
    assert "Need to get 0 B" in done.stdout
    # It is the machine's own: what it does to the file does not reach the others.
    ssh(second, "for f in /var/cache/apt/archives/hello_*; do echo broken >$f; done")
    third = lab.up("three", "bookworm")
    ssh(third, "apt-get install -y --no-install-recommends hello && hello")


def test_a_machines_memory_can_be_limited(lab: Lab) -> None:
    machine = lab.up("demo", memory=512)
    ssh(machine, "systemctl is-system-running --wait")
    # Twice the limit: the kernel ends the program, not the machine.
    done = ssh(machine, "python3 -c 'print(len(bytearray(1024**3)))'", check=False)
    assert done.returncode != 0
    assert ssh(machine, "echo fine").stdout == "fine\n"


@pytest.mark.parametrize(
    "moment",
    ["create_disk", "start", "wait_for_ssh"],
)
def test_what_a_killed_up_left_behind_is_removed_by_the_next(lab: Lab, moment: str) -> None:
    kill_in_up(lab, moment)
    told: list[str] = []
    lab.report = told.append
    machine = lab.up("other")
    assert ssh(machine, "echo fine").stdout == "fine\n"
    assert any("half-made" in line for line in told), told
    assert [machine.name for machine in lab.machines()] == ["other"]
    assert not any("demo" in line for lines in traces(lab).values() for line in lines)
    lab.down()
    assert traces(lab) == nothing()


def test_a_killed_up_can_be_repeated_or_undone(lab: Lab) -> None:
    kill_in_up(lab, "start")
    assert ssh(lab.up("demo"), "echo fine").stdout == "fine\n"
    lab.down()
    kill_in_up(lab, "prepare")
    lab.down()
    assert traces(lab) == nothing()


def kill_in_up(lab: Lab, moment: str) -> None:
    """Make the machine "demo" and be killed outright when a step of that has been done."""
    program = f"""
import os, signal, sys
from pathlib import Path
from provision.lab import Lab, runtime
step = runtime.Runtime.{moment}
def killed(*arguments, **named):
    {"step(*arguments, **named)" if moment != "wait_for_ssh" else "pass"}
    os.kill(os.getpid(), signal.SIGKILL)
runtime.Runtime.{moment} = killed
Lab(Path(sys.argv[1])).up("demo")
"""
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    done = subprocess.run(
        [*prefix, sys.executable, "-c", program, lab.directory],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr
    assert any(traces(lab).values())


@pytest.mark.parametrize("whole", [True, False], ids=["the machine", "only its keeper"])
def test_a_machine_that_was_killed_starts_again_with_its_disk(lab: Lab, whole: bool) -> None:
    machine = lab.up("demo")
    ssh(machine, "echo kept >/root/file; sync")
    processes = processes_of(machine)
    sudo("kill", "-KILL", str(machine.pid), *(str(process.pid) for process in processes if whole))
    limit = time.monotonic() + 60
    while machine.running and time.monotonic() < limit:
        time.sleep(0.05)
    assert not lab.machine("demo").running
    again = lab.up("demo")
    assert ssh(again, "cat /root/file").stdout == "kept\n"
    assert alive(processes) == []
    lab.down()
    assert traces(lab) == nothing()


def test_damaged_notes_do_not_keep_a_lab_alive(lab: Lab) -> None:
    lab.up("demo")
    state = LABS / lab.id / "state.json"
    sudo("sh", "-c", f"echo '{{' >{state}")
    with pytest.raises(LabError):
        lab.machines()
    assert lab.down() == ["demo"]
    assert traces(lab) == nothing()


def test_down_without_a_lab_does_nothing(lab: Lab) -> None:
    assert lab.down() == []
    assert lab.down("demo") == []
    assert traces(lab) == nothing()


@pytest.mark.skipif(os.geteuid() != 0, reason="looks into the privileged part, which only root can call")
def test_a_machine_that_does_not_start_is_removed_and_its_console_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "BOOT_SECONDS", 2.0)
    create = runtime.Runtime.prepare

    def without_ssh(self: runtime.Runtime, *arguments: object) -> None:
        create(self, *arguments)  # type: ignore[arg-type]
        (self.root / "etc/ssh/sshd_config").write_text("nonsense\n")

    monkeypatch.setattr(runtime.Runtime, "prepare", without_ssh)
    with pytest.raises(LabError, match="did not answer"):
        lab.up("demo")
    assert lab.machines() == []
    lab.down()
    assert traces(lab) == nothing()


def test_a_machine_trusts_whom_this_computer_trusts(lab: Lab) -> None:
    machine = lab.up("demo", "trixie")
    bundle = ssh(machine, "cat /etc/ssl/certs/ca-certificates.crt").stdout
    for certificate in extra_certificates():
        assert certificate.read_text().strip() in bundle
    assert ("cafile" in ssh(machine, "cat /etc/npmrc", check=False).stdout) == bool(extra_certificates())
