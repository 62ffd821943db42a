"""The role base's own program that tells how a server is inside: what it takes, what it tells, and what it bounds."""

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import paths

PROGRAM = paths.ROLES / "base/files/provision-probe"
NOW = 1_800_000_000.0
DAY = 86400.0


def load() -> types.ModuleType:
    loader = importlib.machinery.SourceFileLoader("provision_probe", str(PROGRAM))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A socket's path must be short (unix(7))."""
    return tmp_path_factory.mktemp("p")


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> types.ModuleType:
    """The program, looking at a tree of ours instead of the system's, with short limits."""
    module = load()
    module.ROOT = tmp_path / "root"  # type: ignore[attr-defined]
    (tmp_path / "root").mkdir()
    (tmp_path / "bin").mkdir()
    module.SYSTEM_PATH = f"{tmp_path}/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # type: ignore[attr-defined]
    module.STEP = 0.5  # type: ignore[attr-defined]
    return module


@pytest.fixture(name="put")
def _put(program: types.ModuleType) -> Callable[..., Path]:
    def put(path: str, text: str | bytes, mode: int = 0o644) -> Path:
        file: Path = program.ROOT / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)
        return file

    return put


@pytest.fixture(name="fake")
def _fake(tmp_path: Path) -> Callable[[str, str], None]:
    """Puts a program of ours before the system's."""

    def fake(name: str, script: str) -> None:
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    return fake


def said(text: str) -> str:
    return f"cat <<'END'\n{text}\nEND"


@contextlib.contextmanager
def listening(path: Path, answers: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """A socket that answers a call once it has read something; nothing where there is no answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(4)
        server.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    call, _ = server.accept()
                    answer = answers(call.recv(65536))
                    if answer is None:
                        kept.append(call)
                        continue
                    call.sendall(answer)
                    call.close()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        over.set()
        for call in kept:
            call.close()
        thread.join()


# --- requests

PAGE = {"port": 9001, "path": "/api", "status": 200, "contains": None}


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "no json",
        "[" * 30_000,
        "[]",
        '{"run": ["id"]}',
        '{"schema": "provision/probe/v2"}',
        '{"units": "ssh.service"}',
        '{"units": ["--property=x.service"]}',
        '{"units": ["ssh.service\\n"]}',
        '{"units": ["ssh"]}',
        '{"units": ["$(id).service"]}',
        '{"units": [7]}',
        json.dumps({"units": [f"u{number}.service" for number in range(65)]}),
        '{"files": ["etc/passwd"]}',
        '{"files": ["/etc/../etc/shadow"]}',
        '{"files": ["/etc/ssh/*"]}',
        '{"files": ["/etc/a\\u0000b"]}',
        json.dumps({"files": ["/" + "a/" * 30]}),
        json.dumps({"files": [f"/etc/{number}" for number in range(257)]}),
        json.dumps({"loopback": [PAGE] * 17}),
        json.dumps({"loopback": [{**PAGE, "host": "192.0.2.1"}]}),
        json.dumps({"loopback": [{**PAGE, "path": "/ HTTP/1.0\r\nX: y"}]}),
        json.dumps({"loopback": [{**PAGE, "path": "http://192.0.2.1/"}]}),
        json.dumps({"loopback": [{**PAGE, "port": 0}]}),
        json.dumps({"loopback": [{**PAGE, "port": "22"}]}),
        json.dumps({"loopback": [{**PAGE, "contains": "x" * 600}]}),
    ],
    ids=lambda text: text[:40],
)
def test_a_request_that_is_not_one_is_refused(program: types.ModuleType, request_text: str) -> None:
    with pytest.raises(program.RefusedError):
        program.request_of(request_text)


def test_a_request_may_name_everything_that_a_service_has(program: types.ModuleType) -> None:
    units = [
        "etherpad.service",
        "provision-php@moodle.service",
        "postgresql@15-main.service",
        "dev-a\\x2db.mount",
    ]
    wanted = {
        "units": units,
        "timers": ["a.timer"],
        "files": ["/etc/nginx/conf.d/provision-sites.conf", "/etc/..a"],
    }
    asked = program.request_of(json.dumps({**wanted, "loopback": [PAGE]}))
    assert asked == {**wanted, "loopback": [PAGE]}


def test_a_name_is_looked_at_once(program: types.ModuleType) -> None:
    assert program.request_of('{"units": ["a.service", "a.service"]}')["units"] == ["a.service"]


def executed(way: str, stdin: bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The program itself, as sshd or a shell starts it."""
    return subprocess.run(
        [PROGRAM, way], input=stdin, capture_output=True, env=environment, check=False, timeout=60
    )


@pytest.mark.parametrize(
    "command",
    ["id", "bash", "/usr/local/sbin/provision-probe as-root", "/usr/local/sbin/provision-probe ask; id",
     "/usr/local/sbin/provision-probe ask\nid", " /usr/local/sbin/provision-probe ask", "internal-sftp", "scp -t /",
     "x" * 100_000],
    ids=lambda text: text[:50],
)  # fmt: skip
def test_over_ssh_no_other_command_is_taken(command: str) -> None:
    done = executed("ssh", b"{}", SSH_ORIGINAL_COMMAND=command)
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "schema": "provision/probe/v1",
        "refused": "this key is for the health check and for nothing else",
    }


@pytest.mark.parametrize("command", ["", "/usr/local/sbin/provision-probe ask"])
def test_over_ssh_the_request_is_what_counts(command: str) -> None:
    done = executed("ssh", b'{"shell": "id"}', SSH_ORIGINAL_COMMAND=command)
    assert (done.returncode, b"parts that are not known" in done.stdout) == (2, True)


def test_a_request_that_does_not_end_is_refused() -> None:
    done = executed("ssh", b" " * 200_000)
    assert (done.returncode, b"too long" in done.stdout) == (2, True)


@pytest.mark.parametrize(
    "command", ["/usr/local/sbin/provision-probe ssh", "/usr/local/sbin/provision-probe ask"]
)
def test_as_a_shell_it_runs_itself_and_still_looks_at_what_was_asked_for(command: str) -> None:
    def as_shell(**environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [PROGRAM, "-c", command],
            input=b"[]",
            capture_output=True,
            check=False,
            timeout=60,
            env=environment,
        )

    assert b"for nothing else" in as_shell(SSH_ORIGINAL_COMMAND="id").stdout
    done = as_shell(SSH_ORIGINAL_COMMAND="/usr/local/sbin/provision-probe ask")
    assert (done.returncode, b"refused" in done.stdout) == (2, True)
    assert b"for nothing else" not in done.stdout


def test_who_comes_when_all_places_are_taken_is_told_so_and_a_place_is_free_again_afterwards(
    program: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "WAIT", 0.0)
    folder = tmp_path / "var/lib/provision/health"
    folder.mkdir(parents=True)
    assert program.place_taken() is None
    for number in range(2):
        (folder / f"place-{number}").touch()
    held = [program.place_taken(), program.place_taken()]
    with pytest.raises(program.RefusedError, match="at the same time"):
        program.place_taken()
    os.close(held.pop())
    held.append(program.place_taken())
    for descriptor in held:
        os.close(descriptor)


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["help"], ["ask", "ssh"], ["ssh", "-c", "id"], ["as-root", "--root=/tmp"], ["-c"], ["-c", "id"], ["-i"],
        ["-c", "/usr/local/sbin/provision-probe as-root"], ["-c", "/usr/local/sbin/provision-probe ssh; id"],
        ["-c", "/usr/local/sbin/provision-probe ssh\nid"], ["-c", "/usr/local/sbin/provision-probe ssh", "id"],
    ],
)  # fmt: skip
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")


def test_no_variable_of_the_environment_brings_in_other_code(tmp_path: Path) -> None:
    for name in ("json.py", "subprocess.py", "sitecustomize.py", "usercustomize.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'owned')!r}, 'w').close()\n")
    done = subprocess.run(
        [PROGRAM, "ssh"], input=b"", capture_output=True, check=False, timeout=60, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "json.py"), "PYTHONHOME": "",
             "HOME": str(tmp_path), "PYTHONINSPECT": "1", "SSH_ORIGINAL_COMMAND": "id"},
    )  # fmt: skip
    assert done.returncode == 2
    assert not (tmp_path / "owned").exists()


def test_what_root_looks_at_is_documented_and_the_only_command_of_sudo(program: types.ModuleType) -> None:
    assert program.__doc__
    for name in program.ROOTS:
        assert f"\n    {name} " in program.__doc__
    rules = (paths.ROLES / "base/templates/sudoers-health.j2").read_text().splitlines()
    allowed = [line.partition("NOPASSWD: ")[2] for line in rules if "NOPASSWD" in line]
    assert allowed == [" ".join(program.SUDO[3:])]


def test_it_runs_with_the_oldest_python_of_our_servers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 9))"],
        input=PROGRAM.read_text(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""


# --- bounds


def test_a_part_that_hangs_or_breaks_takes_no_other_with_it(program: types.ModuleType) -> None:
    stuck = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError("no")

    answers = program.gather({"stuck": stuck.wait, "broken": broken, "well": lambda: 7}, 0.3)
    stuck.set()
    assert answers["well"]["value"] == 7
    assert answers["broken"]["reason"] == "ZeroDivisionError: no"
    assert answers["stuck"]["reason"].startswith("no answer within")


def alive(state: Path) -> bool:
    """Whether a process runs, by its file in /proc."""
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_hangs_is_ended_with_all_that_it_started(
    program: types.ModuleType, fake: Callable[[str, str], None], tmp_path: Path
) -> None:
    fake("psst", f"echo $$ > {tmp_path}/pid; sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(program.UnanswerableError, match="psst did not end"):
        program.run("psst")
    for name in ("pid", "child"):
        state = Path(f"/proc/{(tmp_path / name).read_text().strip()}/stat")
        # The kernel takes a moment to end what was killed.
        for _ in range(200):
            if not alive(state):
                break
            time.sleep(0.05)
        assert not alive(state)


def test_a_program_that_says_too_much_is_not_listened_to(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    program.STEP = program.END = 30
    fake("chatter", "yes chatter")
    with pytest.raises(program.UnanswerableError, match="chatter says too much"):
        program.run("chatter", seconds=30)
    assert program.MOST_OUTPUT <= len(program.run("chatter", seconds=30, cut=True)) < 2 * program.MOST_OUTPUT


def test_a_program_that_fails_or_is_not_there_is_named(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    fake("broken", "echo 'no such database' >&2; exit 3")
    with pytest.raises(program.UnanswerableError, match="broken: no such database"):
        program.run("broken")
    with pytest.raises(program.UnanswerableError, match="absent: No such file"):
        program.run("absent")


def test_programs_get_nothing_of_our_environment(
    program: types.ModuleType, fake: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD_X", "evil")
    monkeypatch.setenv("LC_ALL", "ca_ES.UTF-8")
    fake("show", "env")
    shown = program.run("show")
    assert "evil" not in shown and "LC_ALL=C.UTF-8" in shown


def test_an_answer_that_is_too_long_loses_its_longest_part(program: types.ModuleType) -> None:
    parts = {name: {"seconds": 0.1, "value": "x" * size} for name, size in (("small", 10), ("huge", 500_000))}
    told = json.loads(program.document(parts))["parts"]
    assert told == {"small": parts["small"], "huge": {"seconds": 0.1, "reason": "the answer is too long"}}


def test_half_a_character_does_not_spoil_the_answer(program: types.ModuleType) -> None:
    told = program.document({"journal": {"seconds": 0, "value": "\ud800 à \x1b"}})
    assert json.loads(told.decode("utf-8"))["parts"]["journal"]["value"] == "? à \x1b"


def test_who_is_not_root_is_told_what_sudo_tells(
    program: types.ModuleType, fake: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    roots = {name: {"seconds": 0.1, "value": name} for name in program.ROOTS}
    fake(
        "sudo",
        f'[ "$*" = "-n -- /usr/local/sbin/provision-probe as-root" ] || exit 9\n{said(json.dumps({"parts": roots}))}',
    )
    empty = program.request_of("{}")
    assert {name: program.answered(empty, free=False)[name]["value"] for name in program.ROOTS} == {
        name: name for name in program.ROOTS
    }
    fake("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    reasons = {program.answered(empty, free=False)[name]["reason"] for name in program.ROOTS}
    assert reasons == {"not allowed: sudo: a password is required"}


# --- systemd


def test_units_are_told_as_systemd_shows_them(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    fake(
        "systemctl",
        said(
            "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=2\n"
            "StateChangeTimestamp=@1799999000\nExecMainStatus=0\nUnitFileState=enabled\n\n"
            "LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\n"
            "StateChangeTimestamp=\nExecMainStatus=0\nUnitFileState="
        ),
    )
    told = program.units(["a.service", "b.service"])
    assert told["a.service"] == {
        "load": "loaded", "active": "active", "sub": "running", "result": "success", "restarts": 2,
        "since": 1799999000.0, "status": 0, "enabled": "enabled",
    }  # fmt: skip
    assert (told["b.service"]["load"], told["b.service"]["since"]) == ("not-found", None)


def test_an_answer_for_other_units_is_not_taken(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    fake("systemctl", said("LoadState=loaded"))
    with pytest.raises(program.UnanswerableError, match="other units"):
        program.units(["a.service", "b.service"])


def test_a_timer_is_told_with_what_it_starts(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    fake(
        "systemctl",
        'case "$*" in *LastTrigger*)\n'
        + said(
            "LoadState=loaded\nActiveState=active\nLastTriggerUSec=@1799999000\nNextElapseUSecRealtime=@1800001000\n"
            "NextElapseUSecMonotonic=infinity\nUnit=cron.service"
        )
        + "\n;; *)\n"
        + said(
            "LoadState=loaded\nActiveState=inactive\nResult=exit-code\nExecMainStatus=7\nExecMainExitTimestamp=@1799999001"
        )
        + "\n;; esac",
    )
    assert program.timers(["cron.timer"])["cron.timer"] == {
        "load": "loaded", "active": "active", "last": 1799999000.0, "next": 1800001000.0, "monotonic": False,
        "starts": "cron.service", "running": False, "result": "exit-code", "status": 7, "ended": 1799999001.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("@1795449874", 1795449874),
        ("Mon 2026-11-23 16:04:34 UTC", 1795449874),
        ("", None),
        ("n/a", None),
        ("0", None),
        ("infinity", None),
    ],
)
def test_times_are_understood_as_each_systemd_shows_them(
    program: types.ModuleType, text: str, moment: int | None
) -> None:
    assert program.stamp(text) == moment


def test_errors_of_one_cause_are_counted_together_and_the_most_frequent_come_first(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    entries = [
        {"MESSAGE": f"worker {number} of 192.0.2.{number} failed", "_SYSTEMD_UNIT": "php.service",
         "__REALTIME_TIMESTAMP": str(1799999000000000 + number)}
        for number in range(3)
    ]  # fmt: skip
    entries += [
        {"MESSAGE": [27, 91], "SYSLOG_IDENTIFIER": "kernel"},
        {"MESSAGE": "start failed", "UNIT": "a.service"},
    ]
    fake("journalctl", said("\n".join([*map(json.dumps, entries), "no json", "[" * 5000, "7"])))
    told = program.journal()
    assert (told["count"], told["causes"], told["more"]) == (5, 3, False)
    assert told["groups"][0] == {
        "unit": "php.service", "text": "worker <n> of <address> failed", "count": 3, "first": 1799999000.0,
        "last": 1799999000.0,
    } | {key: told["groups"][0][key] for key in ("first", "last")}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("login of anna.puig+x@escola.cat failed", "login of <mail> failed"),
        ("from 192.0.2.7:4711", "from <address>:<n>"),
        ("from 2001:db8::7 port 22", "from <address> port <n>"),
        ("GET /course?id=7&token=s3cret HTTP/1.1", "GET /course?id=<value>&token=<value> HTTP/<n>"),
        ("open(/home/anna/notes.txt)", "open(/home/<name>/notes.txt)"),
        ("session 0123456789abcdef0123 ended", "session <id> ended"),
        ("request 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "request <id>"),
        ("took 12.5 s,  twice", "took <n> s, twice"),
        ("\x1b[31merror\x1b[0m in module", "error in module"),
    ],
)
def test_a_cause_tells_nobodys_name_address_or_secret(
    program: types.ModuleType, message: str, left: str
) -> None:
    assert program.cause(message) == left


def test_a_long_message_is_cut_before_anything_is_looked_for(program: types.ModuleType) -> None:
    assert len(program.cause("a:" * 1_000_000)) <= 200


def test_restarts_and_ends_for_memory_are_counted_by_unit(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    entries = [{"UNIT": "a.service", "MESSAGE_ID": program.RESTART}] * 3
    entries += [{"UNIT": "b.service", "MESSAGE_ID": program.OUT_OF_MEMORY}]
    fake("journalctl", said("\n".join(map(json.dumps, entries))))
    assert program.restarts() == {"restarts": {"a.service": 3}, "out_of_memory": {"b.service": 1}}


# --- the machine


def test_disks_are_those_that_can_fill_up(program: types.ModuleType, put: Callable[..., Path]) -> None:
    for place in ("/srv/with blank/file", "/run/host/incoming/file", "/etc/os-release"):
        put(place, "")
    put(
        "/proc/self/mountinfo",
        "22 27 0:21 / /proc rw - proc proc rw\n"
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "28 27 254:0 /run/x /run/netns rw shared:1 - ext4 /dev/vda rw\n"
        "29 27 254:1 / /srv/with\\040blank rw shared:2 master:1 - xfs /dev/vdb rw\n"
        "30 27 0:24 / /run rw - tmpfs tmpfs rw\n"
        "31 27 0:25 / /run/user/0 rw - tmpfs tmpfs rw\n"
        "32 27 0:50 / /mnt/far rw - nfs4 far:/ rw\n"
        "33 27 0:51 / /var/lib/machine rw - overlay overlay rw\n"
        "34 27 254:7 /release /etc/os-release ro - ext4 /dev/vdc ro\n"
        "35 27 254:8 /incoming /run/host/incoming ro - ext4 /dev/vdd ro\n"
        "broken\n",
    )
    assert program.mounts() == {"/": "ext4", "/srv/with blank": "xfs", "/run": "tmpfs"}


def steady(days: float, each: float, start: float = 1e9) -> list[Any]:
    """Samples of every hour that grow so many bytes a day."""
    hours = int(days * 24)
    return [[NOW - (hours - hour) * 3600, {"/": start + hour * each / 24}] for hour in range(hours)]


def test_growth_is_known_once_samples_reach_back_a_day(program: types.ModuleType) -> None:
    samples = steady(5, 1e6)
    told = program.growth(samples, "/", 1e9 + 5e6, NOW)
    assert told["growth_day"] == pytest.approx(1e6)
    assert told["growth_now"] == pytest.approx(1e6)
    young = program.growth(steady(0.5, 1e6), "/", 1e9 + 5e5, NOW)
    assert (young["growth_day"], young["growth_now"]) == (None, pytest.approx(1e6))
    assert program.growth([], "/", 1e9, NOW) == {"growth_day": None, "growth_now": None, "span": 0.0}


def test_one_jump_does_not_count_as_growth(program: types.ModuleType) -> None:
    samples = [
        [when, {"/": value["/"] + (5e10 if when > NOW - 2 * DAY else 0)}] for when, value in steady(10, 1e6)
    ]
    assert program.growth(samples, "/", 1e9 + 1e7 + 5e10, NOW)["growth_day"] == pytest.approx(1e6, rel=0.05)


def test_samples_are_kept_bounded_and_reach_back_two_months(program: types.ModuleType) -> None:
    kept: list[Any] = []
    for step in range(24 * 4 * 90):
        moment = NOW + step * 900
        kept = program.thinned([*kept, [moment, {}]], moment)
        assert len(kept) <= 150
    ages = [(moment - sample[0]) / DAY for sample in kept]
    assert 57 <= max(ages) <= 60
    assert len([age for age in ages if age <= 2]) >= 45


def test_samples_that_are_damaged_or_from_the_future_are_left_out(program: types.ModuleType) -> None:
    good = [NOW, {"/": 1}]
    bad = [7, [], [NOW], ["x", {}], [NOW, {"/": "much"}], [NOW, [1]]]
    assert program.valid_samples({"samples": [*bad, good]}) == [good]
    assert program.valid_samples("no") == program.valid_samples({"samples": {}}) == []
    assert program.thinned([[NOW + 1, {}], good], NOW) == [good]


def test_samples_are_kept_from_one_asking_to_the_next(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
    told = program.disks()
    assert told["/"]["size"] > told["/"]["free"] > 0
    kept = json.loads((program.ROOT / "var/lib/provision/probe/disks.json").read_text())
    assert kept["samples"][0][1] == {"/": told["/"]["used"]}
    assert stat.S_IMODE((program.ROOT / "var/lib/provision/probe").stat().st_mode) & 0o022 == 0


def test_a_disk_that_cannot_be_written_is_told_all_the_same(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
    put("/var/lib/provision", "a file is in the way")
    assert program.disks()["/"]["size"] > 0


def test_listeners_are_told_with_their_addresses(program: types.ModuleType, put: Callable[..., Path]) -> None:
    head = "  sl  local_address rem_address   st\n"
    put("/proc/net/tcp", head + "   0: 0100007F:2329 00000000:0000 0A\n   1: 00000000:01BB 00000000:0000 0A\n"
        "   2: 0100007F:1F90 0100007F:9999 01\n")  # fmt: skip
    put("/proc/net/tcp6", head + "   0: 00000000000000000000000001000000:2329 0:0 0A\n")
    assert program.listeners() == [["0.0.0.0", 443], ["127.0.0.1", 9001], ["::1", 9001]]


def test_the_clock_is_told_by_chrony_or_by_systemd(
    program: types.ModuleType, fake: Callable[[str, str], None]
) -> None:
    fake("chronyc", said("C0000207,192.0.2.7,3,1799999000.1,-0.002500,0.1,0.1,1,0,0.1,0.1,0.1,64.5,Normal"))
    assert program.clock() == {"by": "chrony", "synchronised": True, "offset": 0.0025, "stratum": 3}
    fake("chronyc", said("7F7F0101,,0,0,0.0,0,0,0,0,0,0,0,0,Not synchronised"))
    assert program.clock()["synchronised"] is False
    fake("chronyc", "echo '506 Cannot talk to daemon'; exit 1")
    fake("timedatectl", "echo NTPSynchronized=yes")
    assert program.clock() == {"by": "systemd", "synchronised": True, "offset": None, "stratum": 0}


# --- updates

#: In the order of deb-version(7).
ORDERED = [
    "0.9", "1.0~~", "1.0~~a", "1.0~", "1.0~rc1", "1.0", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1",
    "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0a", "1.0b", "1.0+git", "1.0.1", "1.2", "1.10", "1:0.1", "2:0~",
]  # fmt: skip


def test_versions_are_ordered_as_dpkg_orders_them(program: types.ModuleType) -> None:
    assert sorted(sorted(ORDERED), key=program.version_key) == ORDERED
    assert program.version_key("1.0-0") == program.version_key("1.0") == program.version_key("0:1.0")


STATUS = """Package: openssl
Status: install ok installed
Version: 3.0.1-1+deb12u1

Package: bash
Status: install ok installed
Version: 5.2-2

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: newer
Status: hold ok installed
Version: 9.0
"""
SECURITY = """Package: openssl
Version: 3.0.1-1+deb12u9
Description: nothing

Package: openssl
Version: 3.0.1-1+deb12u10

Package: gone
Version: 2.0

Package: newer
Version: 8.0

Package: strange
Version: 1.0
"""


@pytest.fixture(name="apt")
def _apt(put: Callable[..., Path]) -> Path:
    put("/var/lib/dpkg/status", STATUS)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    put(f"/var/lib/apt/lists/deb.example_debian_dists_bookworm_main_binary-{machine}_Packages", SECURITY)
    where = f"deb.example_debian-security_dists_bookworm-security_main_binary-{machine}_Packages"
    return put(f"/var/lib/apt/lists/{where}", SECURITY)


@pytest.mark.usefixtures("apt")
def test_security_updates_are_those_that_are_newer_than_what_is_there(program: types.ModuleType) -> None:
    told = program.updates()
    assert (told["security"], told["packages"]) == (1, [["openssl", "3.0.1-1+deb12u1", "3.0.1-1+deb12u10"]])
    assert told["lists_at"] and told["installed_at"] is None


def test_package_lists_are_read_again_only_when_they_changed(
    program: types.ModuleType, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = program.updates()
    asked: list[Any] = []
    monkeypatch.setattr(program, "waiting", lambda lists: asked.append(lists) or [])
    assert program.updates() == first
    assert asked == []
    apt.write_text("")
    assert program.updates()["security"] == 0
    assert len(asked) == 1


def test_without_a_list_of_security_updates_nothing_is_claimed(program: types.ModuleType) -> None:
    with pytest.raises(program.UnanswerableError, match="no list of a security archive"):
        program.updates()


# --- certificates and files


@pytest.fixture(name="certificate")
def _certificate(program: types.ModuleType) -> Path:
    place: Path = program.ROOT / "etc/provision/tls/wiki"
    place.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-subj", "/CN=wiki.example", "-addext", "subjectAltName=DNS:wiki.example,DNS:*.wiki.example",
         "-keyout", place / "key.pem", "-out", place / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    program.STEP = 20
    return place


def test_a_certificate_is_told_with_its_names_and_times(program: types.ModuleType, certificate: Path) -> None:
    (certificate.parent / "staged").mkdir()
    (certificate.parent / "deploy.d").mkdir()
    told = program.certificates()
    assert set(told) == {"wiki"}
    one = told["wiki"]
    assert (one["error"], one["key_error"], one["fits"], one["key_mode"]) == ("", "", True, "0600")
    assert (one["names"], one["subject"]) == (["wiki.example", "*.wiki.example"], "CN=wiki.example")
    assert one["not_after"] - one["not_before"] == pytest.approx(9 * DAY)
    assert "PRIVATE" not in json.dumps(told)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Jan  1 00:00:00 1970 GMT", 0),
        ("Feb 29 12:00:00 2024 GMT", 1709208000),
        ("Mar  1 00:00:00 2100 GMT", 4107542400),
        ("Nov 23 16:04:34 2026 GMT", 1795449874),
        ("Dec 31 23:59:59 9999 GMT", 253402300799),
        ("23.11.2026", None),
        ("Nov 23 16:04:34 2026 CET", None),
    ],
)
def test_times_of_certificates_are_those_of_openssl(
    program: types.ModuleType, text: str, moment: int | None
) -> None:
    assert program.certificate_time(text) == moment


def test_a_certificate_that_is_not_right_says_what_is_wrong(
    program: types.ModuleType, certificate: Path
) -> None:
    key = certificate / "key.pem"
    good = key.read_bytes()
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True
    )
    assert program.certificate(certificate)["fits"] is False
    key.write_text("no key")
    assert program.certificate(certificate)["key_error"] == "openssl cannot read it"
    key.write_bytes(good)
    lock = ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-out", key]
    subprocess.run(lock, input=good, check=True, capture_output=True)
    assert b"ENCRYPTED" in key.read_bytes()
    assert program.certificate(certificate)["key_error"] == "openssl cannot read it"
    key.unlink()
    assert program.certificate(certificate)["key_error"] == "No such file or directory"
    (certificate / "fullchain.pem").write_text("no certificate")
    assert program.certificate(certificate)["error"].startswith("openssl: ")
    (certificate / "fullchain.pem").unlink()
    assert program.certificate(certificate)["error"] == "it is not there"


def test_a_file_is_told_by_its_hash_owner_and_mode(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/etc/a", "content", 0o640)
    told = program.files(["/etc/a"])["/etc/a"]
    assert told["sha256"] == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert (told["mode"], told["owner"]) == ("0640", program.account(os.getuid(), program.pwd.getpwuid))


def test_what_is_no_plain_file_is_neither_read_nor_waited_for(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    secret = put("/etc/secret", "x")
    (program.ROOT / "etc/link").symlink_to(secret)
    os.mkfifo(program.ROOT / "etc/pipe")
    (program.ROOT / "etc/folder").mkdir()
    program.MOST_FILE = 100
    put("/etc/large", "x" * 101)
    told = program.files([f"/etc/{name}" for name in ("link", "pipe", "folder", "large", "absent")])
    assert [one["error"] for one in told.values()] == [
        "no file",
        "no file",
        "no file",
        "too large",
        "missing",
    ]


def test_over_ssh_only_what_root_has_named_is_looked_at(
    program: types.ModuleType, put: Callable[..., Path], fake: Callable[[str, str], None]
) -> None:
    put("/etc/provision/probe.json", json.dumps({"loopback": [PAGE]}))
    put("/etc/provision/managed.json", json.dumps({"files": ["/etc/a", 7, "/etc/../b"]}))
    put("/etc/a", "x")
    put("/etc/shadow", "x")
    fake("systemctl", "exit 1")
    other = {**PAGE, "contains": "root:"}
    asked = program.request_of(json.dumps({"files": ["/etc/a", "/etc/shadow"], "loopback": [PAGE, other]}))
    program.ROOTS.clear()
    told = program.answered(asked, free=False)
    assert set(told["files"]["value"]) == {"/etc/a"}
    assert [one["error"] for one in told["loopback"]["value"]] == ["Connection refused", "not allowed"]
    assert set(program.listed()) == {"/etc/a"}
    assert set(program.answered(asked, free=True)["files"]["value"]) == {"/etc/a", "/etc/shadow"}


def test_a_run_notes_files_and_what_lies_in_folders_and_is_told_how_they_are(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/etc/a", "x")
    put("/etc/wiki/settings.json", "{}")
    put("/etc/wiki/more/deep", "x")
    put("/etc/provision/probe.json", "{}")
    program.at("/etc/wiki/link").symlink_to("/etc/shadow")
    wanted = {"files": ["/etc/a", "/etc/gone"], "folders": ["/etc/wiki", "/etc/absent"]}
    told = program.note(json.dumps(wanted))
    assert set(told) == {"/etc/a", "/etc/gone", "/etc/wiki/settings.json"}
    assert told["/etc/gone"] == {"error": "missing"}
    assert told["/etc/a"]["sha256"] == hashlib.sha256(b"x").hexdigest()
    kept = program.at("/etc/provision/managed.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert program.listed() == told
    before = kept.stat()
    assert program.note(json.dumps(wanted)) == told
    assert kept.stat().st_mtime_ns == before.st_mtime_ns, "a second run changes nothing"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"files": 7, "folders": []}', '{"files": ["a"], "folders": []}',
     '{"files": [], "folders": ["/etc/../root"]}', "[" * 50_000],
)  # fmt: skip
def test_a_note_of_anything_else_is_refused_and_the_former_one_stays(
    program: types.ModuleType, put: Callable[..., Path], text: str
) -> None:
    put("/etc/provision/managed.json", json.dumps({"files": ["/etc/a"]}))
    with pytest.raises(program.RefusedError):
        program.note(text)
    assert program.noted() == ["/etc/a"]


def test_the_note_of_the_last_run_is_bounded(program: types.ModuleType, put: Callable[..., Path]) -> None:
    assert program.last_run() is None
    put(
        "/etc/provision/last-run.json",
        json.dumps({"run": "r1", "intent": 4, "checkpoint": "x" * 9000, "more": [1]}),
    )
    assert program.last_run() == {"run": "r1", "intent": 4, "checkpoint": "x" * 4000}
    for damaged in ("{", "[]", "[" * 50_000):
        put("/etc/provision/last-run.json", damaged)
        with pytest.raises(program.UnanswerableError, match="is damaged"):
            program.last_run()


# --- what services say of themselves


def question(service: str, probe: str, program: str = "", **more: Any) -> dict[str, Any]:
    name = program or f"provision-{service}-health"
    return {"service": service, "probe": probe, "program": name, "arguments": ["probe", probe], **more}


@pytest.fixture(name="own")
def _own(program: types.ModuleType, put: Callable[..., Path]) -> Callable[..., dict[str, Any]]:
    """What is told where root has named these questions, and the programs are these scripts."""

    def own(questions: list[Any], **scripts: str) -> dict[str, Any]:
        put("/etc/provision/probe.json", json.dumps({"own": questions}))
        for service, script in scripts.items():
            put(f"/usr/local/sbin/provision-{service}-health", f"#!/bin/sh\n{script}\n", 0o755)
        told: dict[str, Any] = program.own()
        for one in told.values():
            assert one.pop("seconds") >= 0
        return told

    return own


WELL = {"state": "ok", "measured": "written, read, deleted", "code": "", "error": "", "late": False}
SILENT = {"state": "", "measured": "", "code": "", "error": "", "late": False}


def test_a_service_is_asked_by_its_own_program_once_for_all_its_questions(
    program: types.ModuleType, own: Callable[..., dict[str, Any]]
) -> None:
    pad = json.dumps({"probe": "pad", "state": "ok", "measured": "written, read, deleted", "code": ""})
    late = json.dumps({"probe": "jobs", "state": "warning", "measured": "9 minutes ago", "code": "jobs"})
    told = own(
        [question("wiki", "pad"), question("wiki", "jobs"), question("chat", "room")],
        wiki=f'echo "$@" >> {program.ROOT}/calls\n' + said(f"{pad}\n{late}"),
        chat=said(pad.replace("pad", "room")),
    )
    assert told == {
        "chat/room": WELL,
        "wiki/jobs": {**WELL, "state": "warning", "measured": "9 minutes ago", "code": "jobs"},
        "wiki/pad": WELL,
    }
    assert (program.ROOT / "calls").read_text() == "probe pad jobs\n"


@pytest.mark.parametrize(
    "entry",
    [
        question("wiki", "pad", "sh"),
        question("wiki", "pad", "provision-../../bin/sh"),
        question("wiki", "pad", arguments=[]),
        question("wiki", "pad", arguments=["probe", "--help"]),
        question("wiki", "pad", arguments=["probe", "pad;id"]),
        question("wiki", "pad", arguments="probe"),
        question("wiki", "pad", arguments=["a", "b", "c", "d", "e"]),
        question("wiki", "pad", environment={}),
        question("../wiki", "pad"),
        {},
        "provision-wiki-health",
        None,
    ],
)
def test_nothing_but_programs_of_ours_is_started_with_nothing_but_words(
    own: Callable[..., dict[str, Any]], entry: Any
) -> None:
    assert own([entry], wiki="exit 1") == {}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 3", "provision-wiki-health: status 3"),
        ("echo refused >&2; exit 1", "provision-wiki-health: refused"),
        ("true", "provision-wiki-health does not tell it"),
        ('echo no json; echo \'[1]\'; echo 7; echo \'{"probe": [], "state": "ok"}\'', "does not tell it"),
        ('echo \'{"probe": "other", "state": "ok", "measured": "", "code": ""}\'', "not tell it"),
        ("yes", "provision-wiki-health says too much"),
    ],
)
def test_a_program_that_does_not_answer_is_said_not_to(
    own: Callable[..., dict[str, Any]], script: str, error: str
) -> None:
    told = own([question("wiki", "pad")], wiki=script)["wiki/pad"]
    assert error in told.pop("error")
    assert {**told, "error": ""} == SILENT


def test_a_program_that_hangs_is_ended_and_takes_no_other_with_it(
    program: types.ModuleType, own: Callable[..., dict[str, Any]]
) -> None:
    program.OWN = 0.3
    pad = json.dumps({"probe": "pad", "state": "ok", "measured": "written, read, deleted", "code": ""})
    told = own(
        [question("wiki", "pad"), question("wiki", "room"), question("chat", "pad")],
        wiki=said(pad.replace("pad", "room")) + "\nsleep 60",
        chat=said(pad),
    )
    # What it said before it got stuck holds.
    assert told["chat/pad"] == told["wiki/room"] == WELL
    assert told["wiki/pad"]["late"]
    assert "did not end" in told["wiki/pad"]["error"]


def test_what_a_program_says_is_bounded(own: Callable[..., dict[str, Any]]) -> None:
    strange = {"probe": "pad", "state": "splendid", "measured": "x" * 9000, "code": "a b", "more": [1] * 99}
    told = own([question("wiki", "pad")], wiki=said(json.dumps(strange)))["wiki/pad"]
    assert told == {**SILENT, "measured": "x" * 300}


def test_a_program_that_others_may_write_is_not_started(
    program: types.ModuleType, own: Callable[..., dict[str, Any]], put: Callable[..., Path]
) -> None:
    put("/usr/local/sbin/provision-wiki-health", f"#!/bin/sh\ntouch {program.ROOT}/started\n", 0o777)
    put("/opt/elsewhere", f"#!/bin/sh\ntouch {program.ROOT}/started\n", 0o755)
    (program.ROOT / "usr/local/sbin/provision-chat-health").symlink_to(program.ROOT / "opt/elsewhere")
    told = own([question("wiki", "pad"), question("chat", "pad"), question("mail", "box")])
    assert {name: one["error"] for name, one in told.items()} == {
        f"{service}/{probe}": f"provision-{service}-health is not there, or not root's alone"
        for service, probe in (("chat", "pad"), ("mail", "box"), ("wiki", "pad"))
    }
    assert not (program.ROOT / "started").exists()


def test_programs_get_nothing_of_our_environment_nor_input(
    own: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD_FOR_TESTS", "x")
    script = (
        'printf \'{"probe": "pad", "state": "ok", "code": "", "measured": "%s %s"}\\n\' '
        '"$(env | grep -c FOR_TESTS)" "$(cat | wc -c)"'
    )
    assert own([question("wiki", "pad")], wiki=script)["wiki/pad"]["measured"] == "0 0"


# --- what services lean on


def test_redis_answers_ping_and_tells_what_it_holds(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put(
        "/etc/provision/redis.json",
        json.dumps({"instances": [{"name": name} for name in ("a", "b", "c", "../d", 7)]}),
    )
    info = b"# Memory\r\nused_memory:1048576\r\nmaxmemory:67108864\r\nmaxmemory_policy:noeviction\r\nevicted_keys:0\r\n"
    answer = b"+PONG\r\n$%d\r\n%s\r\n+OK\r\n" % (len(info), info)
    with (
        listening(program.ROOT / "run/redis-a/redis.sock", lambda _: answer),
        listening(program.ROOT / "run/redis-b/redis.sock", lambda _: None),
    ):
        told = program.redis()
    assert set(told) == {"a", "b", "c"}
    assert told["a"]["pong"] is True
    assert (told["a"]["used_memory"], told["a"]["maxmemory"], told["a"]["policy"]) == (
        2**20,
        2**26,
        "noeviction",
    )
    assert told["b"] == {"pong": False, "error": "no answer in time"}
    assert told["c"] == {"pong": False, "error": "its socket is not there"}


def test_redis_that_wants_a_password_or_floods_us_is_not_well(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/etc/provision/redis.json", json.dumps({"instances": [{"name": "a"}, {"name": "b"}]}))
    with (
        listening(program.ROOT / "run/redis-a/redis.sock", lambda _: b"-NOAUTH Authentication required.\r\n"),
        listening(program.ROOT / "run/redis-b/redis.sock", lambda _: b"x" * 3_000_000),
    ):
        told = program.redis()
    assert told["a"]["error"] == "-NOAUTH Authentication required."
    assert (told["b"]["pong"], len(told["b"]["error"])) == (False, 100)


def fastcgi_answer(body: bytes) -> bytes:
    content = b"Content-Type: application/json\r\n\r\n" + body
    padding = -len(content) % 8
    standard_output = (
        b"\1\6\0\1" + len(content).to_bytes(2, "big") + bytes([padding, 0]) + content + b"\0" * padding
    )
    return standard_output + b"\1\3\0\1\0\x08\0\0" + b"\0" * 8


def test_the_queue_of_php_is_read_from_its_status_page(
    program: types.ModuleType, put: Callable[..., Path]
) -> None:
    put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    status = {"pool": "wiki", "listen queue": 2, "active processes": 4, "idle processes": 0, "total processes": 4,
              "max children reached": 7, "slow requests": 0, "evil": "x", "accepted conn": "many"}  # fmt: skip
    asked: list[bytes] = []

    def answers(request: bytes) -> bytes:
        asked.append(request)
        return fastcgi_answer(json.dumps(status).encode())

    with listening(program.ROOT / "run/php-wiki/fpm.sock", answers):
        told = program.php()
    assert told == {
        "wiki": {"answers": True, "error": "", "late": False, "listen_queue": 2, "active_processes": 4,
                 "idle_processes": 0, "total_processes": 4, "max_children_reached": 7, "slow_requests": 0},
    }  # fmt: skip
    assert b"\x0b\x0bSCRIPT_NAME/fpm-status" in asked[0]
    assert asked[0].startswith(b"\1\1\0\1\0\x08\0\0\0\1\0")


def test_php_whose_workers_are_all_busy_is_told_by_the_kernel(
    program: types.ModuleType, put: Callable[..., Path], fake: Callable[[str, str], None]
) -> None:
    put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    path = program.ROOT / "run/php-wiki/fpm.sock"
    fake("ss", said(f"u_str LISTEN 12 511 {path} 4711 * 0"))
    with listening(path, lambda _: None):
        told = program.php()["wiki"]
    assert told == {
        "answers": False, "error": "no answer in time", "late": True, "listen_queue": 12, "listen_queue_len": 511,
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        fastcgi_answer(b"no json"),
        fastcgi_answer(b"[]"),
        b"\1\6\0\1\xff\xff\0\0x",
    ],
)
def test_what_does_not_speak_as_php_does_is_said_to_be_so(
    program: types.ModuleType, put: Callable[..., Path], answer: bytes
) -> None:
    put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    with listening(program.ROOT / "run/php-wiki/fpm.sock", lambda _: answer):
        told = program.php()["wiki"]
    assert (told["answers"], told["late"], told["error"]) == (
        False,
        False,
        "it does not answer as PHP-FPM does",
    )


def test_databases_are_told_with_whether_their_owners_get_in(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def psql(user: str, database: str, query: str) -> str:
        asked.append((user, database))
        if query == program.SIZES:
            sizes = {"nobody": 5, "no_such_user": 6, "Strange Name": 7, "daemon": 8}
            return json.dumps({"connections": 3, "most": 100, "read_only": False, "databases": sizes})
        if user == "daemon":
            raise program.UnanswerableError(
                'psql: error: connection to server failed: FATAL:  role "daemon" is no'
            )
        return "1"

    monkeypatch.setattr(program, "psql", psql)
    told = program.databases()
    assert told["databases"] == {
        "nobody": {"size": 5, "error": ""}, "no_such_user": {"size": 6, "error": None},
        "Strange Name": {"size": 7, "error": None}, "daemon": {"size": 8, "error": 'role "daemon" is no'},
    }  # fmt: skip
    assert asked == [("postgres", "postgres"), ("nobody", "nobody"), ("daemon", "daemon")]


def test_a_database_server_that_is_down_is_told_with_its_own_words(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def psql(*_: str) -> str:
        raise program.UnanswerableError("psql: connection refused")

    monkeypatch.setattr(program, "psql", psql)
    assert program.databases() == {"up": False, "error": "psql: connection refused"}


RULES = (
    "table inet provision {\n chain input {\n  type filter hook input priority filter; policy drop;\n }\n}"
)


def test_the_firewall_is_compared_with_what_provision_loaded(
    program: types.ModuleType, put: Callable[..., Path], fake: Callable[[str, str], None]
) -> None:
    fake("nft", said(RULES))
    assert program.firewall() == {"present": True, "drops": True, "unchanged": None}
    # As provision-firewall writes it down.
    listed = program.hashlib.sha256(f"{RULES}\n".encode() * 3).hexdigest()
    put("/run/provision/firewall.listed", listed)
    assert program.firewall()["unchanged"] is True
    fake("nft", said(RULES.replace("policy drop", "policy accept")))
    assert program.firewall() == {"present": True, "drops": False, "unchanged": False}
    fake("nft", "echo 'No such file or directory' >&2; exit 1")
    assert program.firewall() == {"present": False, "drops": False, "unchanged": None}


@contextlib.contextmanager
def serving(*parts: bytes, end: bool = True) -> Iterator[int]:
    """A port of the loopback that answers each call so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    call, _ = server.accept()
                    call.recv(65536)
                    for part in parts:
                        call.sendall(part)
                    kept.append(call)
                    if end:
                        call.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for call in kept:
            call.close()


@pytest.mark.parametrize(
    ("parts", "contains", "status", "found", "error"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n", b'{"currentVersion": 1}'), "currentVersion", 200, True, ""),
        ((b"HTTP/1.1 200 OK\r\n\r\n", b"maintenance"), "currentVersion", 200, False, ""),
        ((b"HTTP/1.0 503 Busy\r\n\r\n",), None, 503, True, ""),
        ((b"SSH-2.0-x\r\n",), None, 0, True, "it does not speak HTTP"),
        ((b"",), None, 0, True, "it does not speak HTTP"),
    ],
)
def test_a_page_of_the_loopback_is_seen_as_it_is(
    program: types.ModuleType,
    parts: tuple[bytes, ...],
    contains: str | None,
    status: int,
    found: bool,
    error: str,
) -> None:
    with serving(*parts) as port:
        told = program.page({**PAGE, "port": port, "contains": contains})
    assert (told["status"], told["found"], told["error"]) == (status, found, error)


def test_a_page_that_does_not_end_is_not_waited_for(program: types.ModuleType) -> None:
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", end=False) as port:
        assert program.page({**PAGE, "port": port})["error"] == "no answer in time"


def test_nothing_on_a_port_is_told_as_such(program: types.ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert program.page({**PAGE, "port": port})["error"] == "Connection refused"
