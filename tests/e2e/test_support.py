"""Support people see how a school's server is, and cannot do anything else with their key: tried by breaking out."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from provision.lab import Machine
from tests.e2e.schools import SchoolOnLab, hello
from tests.labs import lab_machine, ssh

ACCOUNT = "provision-health"
PROBE = "/usr/local/sbin/provision-probe"
ASK = f"{PROBE} ask"
REQUEST = json.dumps({"units": [], "timers": [], "loopback": [], "files": []})
#: What an attack that works leaves behind, or says.
MARK = "/tmp/broke-out"
OUT = "uid="


def new_key(file: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", file.name, "-f", str(file)], check=True
    )
    return file


@dataclass
class Desk:
    """The city's workspace with its school on a lab machine, and the keys of two support people.

    Args:
        laia: may ask. pau: gets a key and loses it.
    """

    city: SchoolOnLab
    laia: Path
    pau: Path

    @property
    def machine(self) -> Machine:
        return self.city.machine

    def client(self, program: str, key: Path, *options: str) -> list[str]:
        """A client of OpenSSH as the account, without anybody's own settings."""
        port = "-P" if program in ("scp", "sftp") else "-p"
        given = {
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.machine.known_hosts),
            "ConnectTimeout": "10",
        }
        settings = [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
        # The first of two users counts.
        user = ["-o", f"User={ACCOUNT}"]
        return [
            program,
            "-F",
            "none",
            "-i",
            str(key),
            port,
            str(self.machine.port),
            *settings,
            *options,
            *user,
        ]

    def comes(
        self, *words: str, options: Sequence[str] = (), stdin: str = "", key: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``ssh`` as Laia, with a command or none."""
        return subprocess.run(
            [*self.client("ssh", key or self.laia, *options), self.machine.address, *words],
            input=stdin, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def asks(self, request: str = REQUEST, key: Path | None = None) -> dict[str, Any]:
        done = self.comes(ASK, stdin=request, key=key)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def lets_in(self, key: Path) -> bool:
        return self.comes(ASK, stdin=REQUEST, key=key).returncode == 0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A school after its first run; Laia was let in before it, when the server knew nothing of provision yet."""
    top = tmp_path_factory.mktemp("support")
    with lab_machine("support", "bookworm") as machine:
        found = Desk(hello(top / "city", machine), new_key(top / "laia"), new_key(top / "pau"))
        early = found.city.provision(
            "health", "grant", found.city.id, "--key", f"{found.laia}.pub", "--name", "Laia Puig", check=False
        )
        assert (early.returncode, "NOT YET" in early.stderr) == (1, True), early.stderr
        found.city.provision("apply", found.city.id, "--yes")
        yield found


@pytest.fixture(scope="module")
def helper(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> SchoolOnLab:
    """Laia's own copy of the workspace: what version control has, so no key and no password of the city."""
    copy = tmp_path_factory.mktemp("laia") / "city"
    city = desk.city.directory
    shutil.copytree(
        city, copy, ignore=lambda place, _: {".state", "runs", "audit"} if Path(place) == city else set()
    )
    (copy / ".state").mkdir()
    shutil.copy(city / ".state" / "hosts", copy / ".state")
    return SchoolOnLab(copy, desk.city.id, desk.machine)


def states(document: dict[str, Any], school: str) -> dict[tuple[str, str], str]:
    return {(one["service"], one["id"]): one["state"] for one in document["schools"][school]}


# --- what they are for


def test_a_support_person_sees_what_the_city_sees(desk: Desk, helper: SchoolOnLab) -> None:
    seen = helper.json("health", helper.id, "--identity", str(desk.laia), check=False)
    ours = desk.city.json("health", desk.city.id, check=False)
    theirs, own = states(seen, helper.id), states(ours, desk.city.id)
    assert {theirs[key] for key in theirs if key[0] == "hello"} == {"ok"}
    # How a run left its files only the city's own record knows.
    assert own.keys() - theirs.keys() == {("host", "files")}
    assert theirs == {key: own[key] for key in theirs}


def test_who_has_no_key_there_is_told_whom_to_ask(desk: Desk, helper: SchoolOnLab) -> None:
    done = helper.provision("health", helper.id, "--identity", str(desk.pau), "--lang", "en", check=False)
    assert done.returncode != 0
    assert f"provision health grant {helper.id}" in done.stdout + done.stderr


def test_a_key_is_let_in_at_once_and_taken_away_at_once_with_the_connections_that_are_open(
    desk: Desk,
) -> None:
    city = desk.city
    assert not desk.lets_in(desk.pau)
    city.provision("health", "grant", city.id, "--key", f"{desk.pau}.pub", "--name", "Pau Roca")
    assert desk.lets_in(desk.pau)
    assert desk.lets_in(desk.laia)
    with connection(desk, desk.pau) as transport:
        assert run(transport, ASK, REQUEST)[0] == 0
        city.provision("health", "revoke", city.id, "Pau Roca", "--why", "ha plegat")
        until = time.monotonic() + 60
        while transport.is_active() and time.monotonic() < until:
            time.sleep(0.2)
        assert not transport.is_active()
    assert not desk.lets_in(desk.pau)
    assert desk.lets_in(desk.laia)
    told = city.provision("audit", "log", city.id, "--lang", "en").stdout
    assert f"gave access to {city.id}: {ACCOUNT}, Pau Roca, SHA256:" in told
    assert f"took back the access to {city.id}: {ACCOUNT}, Pau Roca, SHA256:" in told
    assert "Laia Puig" in told


# --- other commands


@pytest.mark.parametrize(
    "command",
    [
        "id", "sh", "bash -i", "/bin/sh -c id", "sudo -n id", "cat /etc/shadow",
        "python3 -c 'import os; os.system(\"id\")'",
        f"touch {MARK}", f"{ASK}; id", f"{ASK} && id", f"{ASK}\nid", f"{ASK} | id", f"{ASK} $(id)", f"{ASK} `id`",
        f" {ASK}", f"{ASK} ", f"{ASK} -c id", f"{PROBE} as-root", f"{PROBE} note", f"{PROBE}", f"{PROBE} -c id",
        f"sudo -n {PROBE} as-root", "scp -t /tmp", "scp -f /etc/shadow", "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "rsync --server --sender . /etc/shadow", "crontab -", "at now", "ssh-keygen -D /tmp/x.so", "../../bin/sh",
        "x" * 100_000, "-i", "",
    ],
)  # fmt: skip
def test_no_other_command_runs(desk: Desk, command: str) -> None:
    with connection(desk, desk.laia) as transport:
        status, out, err = run(transport, command, f"id\n* * * * * touch {MARK}\n")
    assert status == 2, out
    assert OUT not in out + err
    assert set(json.loads(out)) == {"schema", "refused"}


def test_without_a_command_there_is_no_shell(desk: Desk) -> None:
    done = desk.comes(stdin=f"id\ntouch {MARK}\n")
    assert (done.returncode, OUT in done.stdout) == (2, False)


def test_a_terminal_is_not_given(desk: Desk) -> None:
    done = desk.comes("id", options=["-tt"], stdin="id\n")
    assert "PTY allocation request failed" in done.stderr
    assert done.returncode != 0
    assert OUT not in done.stdout


@pytest.mark.parametrize("subsystem", ["sftp", "netconf", "../../../bin/sh"])
def test_no_subsystem_is_there(desk: Desk, subsystem: str) -> None:
    done = desk.comes(subsystem, options=["-s"], stdin="id\n")
    assert done.returncode != 0
    assert OUT not in done.stdout


def test_files_are_neither_fetched_nor_sent(desk: Desk, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("x")
    address = desk.machine.address
    for command, text in (
        (
            [*desk.client("sftp", desk.laia, "-b", "-"), address],
            f"get /etc/passwd {mine}\nput {mine} {MARK}\n",
        ),
        ([*desk.client("scp", desk.laia, "-s"), f"{address}:/etc/passwd", str(tmp_path / "got")], ""),
        ([*desk.client("scp", desk.laia, "-O"), f"{address}:/etc/passwd", str(tmp_path / "got")], ""),
        ([*desk.client("scp", desk.laia, "-O"), str(mine), f"{address}:{MARK}"], ""),
    ):
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0, command
    assert not (tmp_path / "got").exists()
    assert mine.read_text() == "x"


# --- forwarding


@pytest.mark.parametrize(
    "target", ["127.0.0.1:22", "127.0.0.1:5432", "127.0.0.1:9099", "[::1]:22", "192.0.2.1:443"]
)
def test_no_port_is_reached_through_the_server(desk: Desk, target: str) -> None:
    """``-W`` asks for what ``-L`` and ``-D`` ask for."""
    done = desk.comes(options=["-W", target])
    assert done.returncode != 0
    assert "administratively prohibited" in done.stderr
    assert done.stdout == ""


def test_no_socket_is_reached_through_the_server(desk: Desk, tmp_path: Path) -> None:
    """Root reaches it in the same way: it is the account that does not."""

    def answer(name: str, key: Path, *options: str) -> bytes:
        mine = tmp_path / name
        words = ["-N", "-L", f"{mine}:/run/dbus/system_bus_socket", *options]
        process = subprocess.Popen([*desk.client("ssh", key, *words), desk.machine.address])
        try:
            until = time.monotonic() + 30
            while not mine.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(30)
                line.connect(str(mine))
                # Shut, in one of two ways.
                with suppress(ConnectionResetError, BrokenPipeError):
                    line.sendall(b"\0AUTH\r\n")
                    return line.recv(100)
            return b""
        finally:
            # ssh may miss a gentler signal just before it waits for its next event, and then waits for ever.
            process.kill()
            process.wait(30)

    assert answer("root", desk.machine.ssh_key, "-o", "User=root").startswith(b"REJECTED")
    assert answer("laia", desk.laia) == b""


@pytest.mark.parametrize(
    "where", ["0:127.0.0.1:22", "127.0.0.1:8765:127.0.0.1:22", f"{MARK}.sock:127.0.0.1:22", "0"]
)
def test_the_server_listens_for_nobody(desk: Desk, where: str) -> None:
    done = desk.comes(options=["-N", "-o", "ExitOnForwardFailure=yes", "-R", where])
    assert done.returncode == 255
    assert (
        "remote port forwarding failed" in done.stderr.lower() or "forwarding failed" in done.stderr.lower()
    )


# --- what comes along with a session


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """An agent that the server would like to use."""
    place = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not place.exists() and time.monotonic() < until:
        time.sleep(0.05)
    yield place
    process.terminate()
    process.wait(20)


def test_nothing_of_the_callers_environment_agent_or_screen_comes_along(desk: Desk, agent: Path) -> None:
    """Seen in the process itself, which waits for the rest of its request."""
    evil = {
        "LD_PRELOAD": "/tmp/x.so", "BASH_ENV": "/tmp/x", "ENV": "/tmp/x", "PYTHONPATH": "/tmp", "LC_EVIL": "() { :; }",
        "LC_ALL": "/../../tmp/x", "LANG": "() { id; }", "PATH": "/tmp", "HOME": "/tmp", "PYTHONSTARTUP": "/tmp/x",
        "PROVISION_ACCEPTS": "x", "TZ": "/tmp/x", "SUDO_ASKPASS": "/tmp/x",
    }  # fmt: skip
    options = ["-A", "-X", "-o", "SetEnv=" + " ".join(f'{name}="{value}"' for name, value in evil.items())]
    process = subprocess.Popen(
        [*desk.client("ssh", desk.laia, *options), desk.machine.address, ASK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": "/usr/bin:/bin", "SSH_AUTH_SOCK": str(agent), "DISPLAY": ":7", "HOME": str(agent.parent)},
    )  # fmt: skip
    try:
        listing = (
            "for p in $(pgrep -u provision-health -f 'provision-probe'); do tr '\\0' '\\n' </proc/$p/environ; done; "
            "ls -A /tmp | grep ^ssh- || true"
        )
        found = ""
        until = time.monotonic() + 15
        while "SSH_CONNECTION" not in found and time.monotonic() < until:
            found = ssh(desk.machine, listing).stdout
        seen = dict(line.partition("=")[::2] for line in found.splitlines())
        assert "SSH_CONNECTION" in seen
        assert not seen.keys() & (evil.keys() - {"PATH", "HOME", "LANG", "TZ"})
        assert not seen.keys() & {"SSH_AUTH_SOCK", "DISPLAY", "XAUTHORITY", "SSH_TTY"}
        assert not {seen.get(name) for name in ("PATH", "HOME", "LANG", "TZ")} & set(evil.values())
        assert not [line for line in found.splitlines() if line.startswith("ssh-")]
        out, err = process.communicate(REQUEST, timeout=60)
    finally:
        process.kill()
        process.wait(30)
    assert process.returncode == 0, err
    assert json.loads(out)["schema"] == "provision/probe/v1"


def test_what_lies_in_the_home_of_the_account_is_not_read(desk: Desk) -> None:
    """Nobody but root can put it there, and even then it does not count."""
    place = "/var/lib/provision/health/.ssh"
    public = Path(f"{desk.pau}.pub").read_text()
    ssh(
        desk.machine,
        f"mkdir {place} && cat > {place}/authorized_keys && printf '#!/bin/sh\\ntouch {MARK}-rc\\n' > {place}/rc && "
        f"echo BASH_ENV={MARK} > {place}/environment && chmod 755 {place}/rc && chown -R {ACCOUNT}: {place}",
        stdin=public,
    )
    try:
        assert not desk.lets_in(desk.pau)
        assert desk.lets_in(desk.laia)
        assert ssh(desk.machine, f"test ! -e {MARK}-rc && echo none").stdout == "none\n"
    finally:
        ssh(desk.machine, f"rm -r {place}")


def test_the_account_cannot_write_into_its_own_home(desk: Desk) -> None:
    done = ssh(
        desk.machine, f"setpriv --reuid {ACCOUNT} --clear-groups sh -c 'echo > ~{ACCOUNT}/x'", check=False
    )
    assert done.returncode != 0


def test_no_password_opens_the_account(desk: Desk) -> None:
    done = desk.comes("id", options=["-o", "PubkeyAuthentication=no", "-o", "BatchMode=no"])
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize(
    "shell", [f"su {ACCOUNT} -c id", f"su - {ACCOUNT}", f"su {ACCOUNT} -c '{PROBE} as-root'"]
)
def test_even_without_ssh_the_account_has_no_shell(desk: Desk, shell: str) -> None:
    done = ssh(desk.machine, shell, check=False, stdin="id\n")
    assert (done.returncode, OUT in done.stdout) == (2, False)


# --- requests


@pytest.mark.parametrize(
    "request_text",
    [
        " " * 300_000, "[" * 60_000, '{"units": ' * 9000, "\x00\x00", "null", "[]", "id\n", '{"shell": "id"}',
        '{"units": ["ssh.service; id"]}', '{"units": ["-H root@127.0.0.1"]}', '{"units": ["--root=/tmp"]}',
        '{"timers": ["../x.timer"]}', '{"files": ["/etc/../etc/shadow"]}', '{"files": ["/etc/*"]}',
        '{"files": ["x\\n"]}',
        '{"loopback": [{"port": 22}]}', '{"loopback": [{"port": 99999, "path": "/", "status": 200, "contains": null}]}',
        '{"loopback": [{"port": 80, "path": "/ HTTP/1.0\\r\\nX: y", "status": 200, "contains": null}]}',
        json.dumps({"units": [f"u{number}.service" for number in range(1000)]}), '{"units": 1e999}',
    ],
)  # fmt: skip
def test_hostile_requests_are_refused(desk: Desk, request_text: str) -> None:
    done = desk.comes(ASK, stdin=request_text)
    assert done.returncode == 2, done.stdout
    assert set(json.loads(done.stdout)) == {"schema", "refused"}


def test_files_and_pages_that_root_has_not_named_are_not_looked_at(desk: Desk) -> None:
    page = {"port": 22, "path": "/", "status": 200, "contains": None}
    secret = ["/etc/shadow", "/root/.ssh/authorized_keys", "/etc/ssh/ssh_host_ed25519_key", "/etc/passwd"]
    told = desk.asks(json.dumps({"files": secret, "loopback": [page]}))
    assert told["parts"]["files"]["value"] == {}
    assert [one["error"] for one in told["parts"]["loopback"]["value"]] == ["not allowed"]
    assert not set(secret) & told["parts"]["listed"]["value"].keys()


def test_no_key_and_no_password_is_in_the_answer(desk: Desk) -> None:
    text = json.dumps(desk.asks())
    shadow = ssh(desk.machine, "cut -d: -f2 /etc/shadow").stdout.split()
    secrets = [word for word in shadow if len(word) > 8] + [desk.city.secret("hello_password")]
    assert not [secret for secret in secrets if secret in text]
    assert "PRIVATE KEY" not in text


def test_when_all_places_are_taken_the_next_is_told_so_and_afterwards_all_is_well(desk: Desk) -> None:
    home = "/var/lib/provision/health"
    holder = subprocess.Popen(
        desk.machine.ssh_command(
            f"for p in {home}/place-*; do exec 9<$p; flock 9; sleep 60 9<&9 & done; echo held; read -r _; "
            "kill $(jobs -p)"
        ),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = desk.comes(ASK, stdin=REQUEST)
        assert (done.returncode, "at the same time" in done.stdout) == (2, True)
    finally:
        holder.communicate("\n", timeout=30)
    assert desk.lets_in(desk.laia)


def test_many_at_once_are_answered_or_told_to_wait_and_the_city_comes_in_meanwhile(desk: Desk) -> None:
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(desk.comes, ASK, stdin=REQUEST) for _ in range(12)]
        assert ssh(desk.machine, "echo in").stdout == "in\n"
        done = [one.result() for one in asked]
    answered = [one for one in done if one.returncode == 0]
    waiting = [one for one in done if one.returncode == 2 and "at the same time" in one.stdout]
    assert answered
    assert len(answered) + len(waiting) == len(done), [one.stderr for one in done]


# --- sudo


@pytest.mark.parametrize(
    "command",
    [
        "id", "-s", "-i", "-l id", f"{PROBE}", f"{PROBE} ask", f"{PROBE} note", f"{PROBE} as-root --root=/tmp",
        f"{PROBE} -c id",
        f"-u postgres {PROBE} as-root", f"-g adm {PROBE} as-root", f"LD_PRELOAD=/tmp/x.so {PROBE} as-root",
        f"PYTHONPATH=/tmp {PROBE} as-root", f"-E {PROBE} as-root", "-e /etc/passwd", "python3 -c 1",
        f"/usr/bin/python3 {PROBE} as-root",
        f"-D /tmp {PROBE} as-root", f"-R /tmp {PROBE} as-root",
    ],
)  # fmt: skip
def test_sudo_lets_the_account_run_one_command_with_one_argument(desk: Desk, command: str) -> None:
    """By whoever would get at the account without the probe program."""
    done = ssh(desk.machine, f"runuser -u {ACCOUNT} -- sudo -n {command}", check=False)
    assert done.returncode != 0
    assert OUT not in done.stdout


def test_the_one_command_of_sudo_reads_nothing_of_the_callers(desk: Desk) -> None:
    command = (
        f"runuser -u {ACCOUNT} -- env LD_PRELOAD= PYTHONPATH=/tmp HOME=/tmp LC_ALL=x sudo -n {PROBE} as-root"
    )
    ssh(desk.machine, f'printf \'open("{MARK}-python", "w")\\n\' > /tmp/json.py')
    done = ssh(desk.machine, command, stdin="id\n" * 100_000)
    assert set(json.loads(done.stdout)) == {"schema", "time", "cpu_seconds", "parts"}
    ssh(desk.machine, "rm /tmp/json.py")


# --- afterwards


def test_all_of_this_left_nothing_on_the_server(desk: Desk) -> None:
    assert ssh(desk.machine, f"ls -d {MARK}* || true").stdout == ""
    owned = f"find / -xdev -user {ACCOUNT} -not -path '/proc/*' -not -path '/sys/*'"
    assert ssh(desk.machine, owned).stdout == ""
    assert ssh(desk.machine, f"crontab -l -u {ACCOUNT} 2>/dev/null || true").stdout == ""


def test_the_next_run_finds_the_keys_as_they_are_to_be(desk: Desk) -> None:
    keys = "cat /etc/ssh/provision-health-keys"
    before = ssh(desk.machine, keys).stdout
    ssh(
        desk.machine,
        "sed 's/restrict,command=[^ ]* [^ ]* //' -i /etc/ssh/provision-health-keys; "
        f"usermod -s /bin/sh -aG adm {ACCOUNT}",
    )
    # The forced command stands in sshd's own settings as well.
    assert desk.comes("id").returncode == 2
    desk.city.provision("apply", desk.city.id, "--yes")
    assert ssh(desk.machine, keys).stdout == before
    assert (
        ssh(desk.machine, f"id -Gn {ACCOUNT}; getent passwd {ACCOUNT} | cut -d: -f7").stdout
        == f"{ACCOUNT}\n{PROBE}\n"
    )
    assert desk.lets_in(desk.laia)


class connection:  # noqa: N801 - reads as a function
    """A connection of paramiko, which sends what OpenSSH's client would not."""

    def __init__(self, desk: Desk, key: Path) -> None:
        self.transport = paramiko.Transport((desk.machine.address, desk.machine.port))
        self.transport.connect(username=ACCOUNT, pkey=paramiko.PKey.from_path(key))

    def __enter__(self) -> paramiko.Transport:
        return self.transport

    def __exit__(self, *_: object) -> None:
        self.transport.close()


def run(transport: paramiko.Transport, command: str, stdin: str) -> tuple[int, str, str]:
    """Status and output of a command."""
    channel = transport.open_session(timeout=20)
    channel.settimeout(60)
    channel.exec_command(command)
    channel.sendall(stdin.encode())
    channel.shutdown_write()
    out = channel.makefile("rb").read().decode()
    err = channel.makefile_stderr("rb").read().decode()
    return channel.recv_exit_status(), out, err
