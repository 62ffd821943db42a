"""Runs against one lab server, with a small service of the test-suite's own (``tests/fixtures/sixth_service``).

That service is the test of the design: one new directory, no change in Python.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from provision import paths
from provision.engine.lock import HostLock
from provision.engine.ssh import Connection
from provision.lab import Machine
from provision.model import load_workspace
from tests.e2e.schools import SchoolOnLab, hello
from tests.labs import lab_machine, ssh

# The lab itself writes the names of its machines into /etc/hosts of each; each run says there that it was the last.
FILES = (
    "find /etc /usr /srv /opt /root /home -xdev -type f ! -path /etc/hosts ! -path /etc/provision/last-run.json "
    "-printf '%p %s %m %T@\\n' | sort"
)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with lab_machine("runs") as made:
        yield made


@pytest.fixture(scope="module")
def school(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> SchoolOnLab:
    return hello(tmp_path_factory.mktemp("school") / "workspace", machine)


def files(machine: Machine) -> set[str]:
    return set(ssh(machine, FILES).stdout.splitlines())


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def run_processes(school: SchoolOnLab) -> list[str]:
    """Processes of this machine that belong to an Ansible run of this school."""
    mine = f"XDG_DATA_HOME={school.directory}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environ = (process / "environ").read_bytes()
                if mine in environ and b"PROVISION_RUN_MARK=" in environ:
                    found.append(
                        f"{process.name} {(process / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                    )
            except OSError:
                continue
    return found


# --- the ordinary way, in order -------------------------------------------------------------------------------------


def test_plan_works_on_a_server_that_never_saw_us_and_changes_nothing_there(school: SchoolOnLab) -> None:
    # A server that has just booted for the first time still writes a few files of its own.
    ssh(school.machine, "systemctl is-system-running --wait", check=False)
    before = files(school.machine)
    done = school.provision("plan", school.id, "--exit-code", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Greeting" in done.stdout
    assert "Write the page (writes /srv/hello/index.html)" in done.stdout
    assert files(school.machine) ^ before == set()


def test_apply_brings_a_sixth_service_to_health_and_records_the_run(school: SchoolOnLab) -> None:
    done = school.provision("apply", school.id, "--yes")
    assert "3 of 3 probes are well" in done.stdout
    run = school.json("runs", "show", "last", "--log")
    assert run["outcome"] == "ok"
    assert run["person"]["name"] == "Ada Administradora"
    assert [service["service"] for service in run["services"]] == ["hello"]
    assert run["hosts"][0]["host_key"].startswith("SHA256:")
    assert set(run["content"]) >= {"school", "municipality", "site.yml", "role base", "role hello"}
    assert any(task["name"] == "Write the page" and task["status"] == "changed" for task in run["tasks"])


def test_after_apply_plan_shows_nothing_and_a_second_apply_changes_nothing(school: SchoolOnLab) -> None:
    plan = school.provision("plan", school.id, "--exit-code")
    assert "nothing would change" in plan.stdout
    before = files(school.machine)
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout
    assert files(school.machine) ^ before == set()


def test_plain_ansible_playbook_with_the_dynamic_inventory_does_what_apply_does(
    school: SchoolOnLab, tmp_path: Path
) -> None:
    binaries = Path(sys.executable).parent
    script = tmp_path / "inventory"
    script.write_text(f'#!/bin/sh\nexec "{binaries}/provision" inventory "$@"\n')
    script.chmod(0o755)
    environment = {
        **school.environment,
        "ANSIBLE_CONFIG": str(paths.PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": f"{paths.ROLES}:{school.directory / 'roles'}",
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    ssh(school.machine, "rm /srv/hello/index.html")
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [
                "ansible-playbook", "-i", script, "--vault-id", f"{school.id}@{binaries}/provision-vault-client",
                paths.PLAYBOOKS / "site.yml",
            ],
            env=environment, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        outputs.append(done.stdout)
    assert "changed=1 " in outputs[0]
    assert "changed=0 " in outputs[1]
    assert ssh(school.machine, "cat /srv/hello/index.html").stdout == "hello from hola.escola-prova.test\n"


def test_plan_shows_differences_in_plain_text_and_apply_of_one_service_makes_them(
    school: SchoolOnLab,
) -> None:
    school.edit(
        services={"hello": {"hostname": "hola.escola-prova.test", "settings": {"greeting": "bon dia"}}}
    )
    plan = school.provision("plan", school.id, "--diff", "--service", "hello")
    assert "+bon dia from hola.escola-prova.test" in plan.stdout
    school.provision("apply", school.id, "--yes", "--service", "hello")
    assert ssh(school.machine, "cat /srv/hello/index.html").stdout.startswith("bon dia")


# --- refused before any change ---------------------------------------------------------------------------------------


def test_a_second_run_is_refused_with_who_holds_the_school_since_when(school: SchoolOnLab) -> None:
    workspace = load_workspace(school.directory)
    host = workspace.school(school.id).hosts["main"]
    holder = {
        "person": "Berta Becària",
        "machine": "other-laptop",
        "since": "2026-11-23T08:00:00Z",
        "verb": "apply",
        "run": "r-1",
    }
    with Connection(workspace, school.id, host) as connection, HostLock(connection, holder):
        for command in ("apply", "plan"):
            done = school.provision(
                command, school.id, *(["--yes"] if command == "apply" else []), check=False
            )
            assert done.returncode == 3
            assert (
                "held by Berta Becària (on other-laptop) since 2026-11-23T08:00:00Z: apply, run r-1"
                in done.stderr
            )
    assert school.provision("plan", school.id, check=False).returncode == 0


def test_a_changed_host_key_stops_everything_and_shows_both_fingerprints(
    school: SchoolOnLab, tmp_path: Path
) -> None:
    known_hosts = school.directory / "known_hosts"
    genuine = known_hosts.read_text()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    other = (tmp_path / "other.pub").read_text().split()
    known_hosts.write_text(f"servidor.escola-prova.test {other[0]} {other[1]}\n")
    before = files(school.machine)
    try:
        done = school.provision("apply", school.id, "--yes", check=False)
        trust = school.provision("school", "trust", school.id, "--yes", check=False)
        replaced = school.provision("school", "trust", school.id, "--yes", "--replace")
    finally:
        learnt = known_hosts.read_text()
        known_hosts.write_text(genuine)
    fingerprint = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "other.pub"], check=True, capture_output=True, text=True
    ).stdout.split()[1]
    now = ssh(school.machine, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[1]
    for text in (done.stderr, trust.stderr):
        assert fingerprint in text
        assert now in text
    assert done.returncode == 3
    assert "--replace" in done.stderr
    assert trust.returncode == 2
    assert files(school.machine) ^ before == set()
    assert "stored in" in replaced.stdout
    assert set(learnt.split()) <= set(genuine.split())


def test_an_unknown_host_key_stops_everything(school: SchoolOnLab) -> None:
    known_hosts = school.directory / "known_hosts"
    genuine = known_hosts.read_text()
    known_hosts.write_text("")
    try:
        done = school.provision("apply", school.id, "--yes", check=False)
    finally:
        known_hosts.write_text(genuine)
    assert done.returncode == 3
    assert f"provision school trust {school.id}" in done.stderr


def test_a_server_that_does_not_answer_is_refused_with_exit_code_3(school: SchoolOnLab) -> None:
    names = school.directory / ".state" / "hosts"
    genuine = names.read_text()
    names.write_text(genuine.replace(school.machine.address, "127.0.0.9"))
    try:
        done = school.provision("apply", school.id, "--yes", check=False)
        table = school.provision("check", school.id, check=False)
    finally:
        names.write_text(genuine)
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert table.returncode == 3
    assert "cannot be reached" in table.stdout


def test_check_shows_one_table_and_changes_nothing(school: SchoolOnLab) -> None:
    before = files(school.machine)
    done = school.provision("check", school.id)
    for subject in (
        "artifacts: hello",
        "secrets: vault",
        "memory",
        "disk",
        "clock",
        "ports",
        "names",
        "package sources",
    ):
        assert subject in done.stdout
    assert "Ready." in done.stdout
    assert files(school.machine) ^ before == set()


def test_a_port_that_another_program_holds_is_a_problem_with_a_remedy(school: SchoolOnLab) -> None:
    ssh(school.machine, "systemctl stop nginx && systemd-run --unit=squatter python3 -m http.server 80")
    try:
        assert wait_for(lambda: "python3" in ssh(school.machine, "ss -Hltnp sport = :80").stdout)
        done = school.provision("apply", school.id, "--yes", check=False)
    finally:
        ssh(school.machine, "systemctl stop squatter && systemctl start nginx")
    assert done.returncode == 3
    assert "port 80 is taken by python3" in done.stderr
    assert "stop and disable python3" in done.stderr


# --- runs that break off --------------------------------------------------------------------------------------------


@pytest.fixture
def slow_step(school: SchoolOnLab) -> Iterator[str]:
    """A step of the service that takes minutes; its command line on the server."""
    tasks = school.directory / "roles" / "hello" / "tasks" / "main.yml"
    genuine = tasks.read_text()
    step = {"name": "Take long", "ansible.builtin.command": {"cmd": "sleep 777"}, "changed_when": True}
    tasks.write_text(yaml.safe_dump([step, *yaml.safe_load(genuine)]))
    yield "sleep 777"
    tasks.write_text(genuine)
    ssh(school.machine, "pkill -fx 'sleep 777' || true")


def busy(school: SchoolOnLab, step: str) -> bool:
    return wait_for(lambda: ssh(school.machine, f"pgrep -fx '{step}'", check=False).returncode == 0, 120)


def finishes(school: SchoolOnLab) -> bool:
    """The next apply ends well; the lock may need its lease to run out."""
    return wait_for(lambda: school.provision("apply", school.id, "--yes", check=False).returncode == 0, 120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_orphan_is_recorded_and_finished_by_the_next(
    school: SchoolOnLab, slow_step: str, number: signal.Signals
) -> None:
    ssh(school.machine, "rm -f /srv/hello/index.html")
    running = school.start("apply", school.id, "--yes")
    assert busy(school, slow_step), running.communicate()
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, out + err
    assert "stopped by" in out
    assert run_processes(school) == []
    last = school.json("runs", "show", "last")
    assert last["outcome"] == "cancelled"
    restore = school.directory / "roles" / "hello" / "tasks" / "main.yml"
    restore.write_text(yaml.safe_dump(yaml.safe_load(restore.read_text())[1:]))
    school.provision("apply", school.id, "--yes")
    assert ssh(school.machine, "test -s /srv/hello/index.html").returncode == 0


def test_a_killed_run_frees_the_school_and_is_closed_in_the_record(
    school: SchoolOnLab, slow_step: str
) -> None:
    running = school.start("apply", school.id, "--yes")
    assert busy(school, slow_step)
    running.kill()
    running.communicate()
    assert wait_for(lambda: not run_processes(school), 60), run_processes(school)
    shutil.copy(
        Path(__file__).parents[1] / "fixtures/sixth_service/hello/tasks/main.yml",
        school.directory / "roles/hello/tasks/main.yml",
    )
    assert finishes(school)
    outcomes = [run["outcome"] for run in school.json("runs", "list")["runs"]]
    assert "broken off" in outcomes
    assert "running" not in outcomes


def test_a_connection_that_is_cut_in_mid_run_fails_the_run_and_the_next_finishes_it(
    school: SchoolOnLab, slow_step: str
) -> None:
    running = school.start("apply", school.id, "--yes")
    assert busy(school, slow_step)
    # For a while the server hears nothing and says nothing: what a cut line looks like from both ends.
    cut = textwrap.dedent("""
        nft 'add table inet cut; add chain inet cut in { type filter hook input priority -300; policy drop; }
             add chain inet cut out { type filter hook output priority -300; policy drop; }'
        sleep 75
        nft delete table inet cut
    """)
    ssh(school.machine, "cat > /run/cut.sh && systemd-run --collect --unit=cut sh /run/cut.sh", stdin=cut)
    out, err = running.communicate(timeout=180)
    assert running.returncode == 1, out + err
    assert school.json("runs", "show", "last")["outcome"] in {"failed", "cancelled"}
    assert run_processes(school) == []
    shutil.copy(
        Path(__file__).parents[1] / "fixtures/sixth_service/hello/tasks/main.yml",
        school.directory / "roles/hello/tasks/main.yml",
    )
    assert wait_for(lambda: ssh(school.machine, "true", check=False).returncode == 0, 120)
    assert finishes(school)


def test_a_failed_step_names_step_host_and_upstreams_own_words(school: SchoolOnLab) -> None:
    tasks = school.directory / "roles" / "hello" / "tasks" / "main.yml"
    genuine = tasks.read_text()
    step = {
        "name": "Fill the disk",
        "ansible.builtin.command": {
            "argv": ["sh", "-c", "echo 'write: No space left on device' >&2; exit 9"]
        },
        "changed_when": True,
    }
    tasks.write_text(yaml.safe_dump([step, *yaml.safe_load(genuine)]))
    try:
        done = school.provision("apply", school.id, "--yes", check=False)
    finally:
        tasks.write_text(genuine)
    assert done.returncode == 1
    assert "“Fill the disk” failed on main" in done.stdout
    assert "No space left on device" in done.stdout
    assert "the server's disk is full" in done.stdout
    assert "--log" in done.stdout


def test_an_unhealthy_service_fails_the_run(school: SchoolOnLab) -> None:
    service = school.directory / "roles" / "hello" / "service.yml"
    genuine = service.read_text()
    service.write_text(genuine.replace("contains: from hola", "contains: adéu"))
    try:
        done = school.provision("apply", school.id, "--yes", check=False, timeout=300)
    finally:
        service.write_text(genuine)
    assert done.returncode == 1
    assert "Not healthy" in done.stdout
    assert school.json("runs", "show", "last")["outcome"] == "unhealthy"


# --- other ways in ----------------------------------------------------------------------------------------------------


def test_several_schools_are_taken_in_turn_and_one_that_fails_does_not_keep_the_others(
    school: SchoolOnLab,
) -> None:
    broken = school.directory / "schools" / "escola-trencada.yml"
    document = yaml.safe_load((school.directory / "schools" / f"{school.id}.yml").read_text())
    document |= {
        "domain": "trencada.test",
        "hosts": {"main": {"address": "127.0.0.9", "ssh_key": ".state/lab_key"}},
        "services": {"hello": {"hostname": "hola.trencada.test"}},
    }
    broken.write_text(yaml.safe_dump(document))
    try:
        done = school.provision("apply", "escola-trencada", school.id, "--yes", check=False)
    finally:
        broken.unlink()
    assert done.returncode == 4
    assert "cannot be reached" in done.stderr
    assert f"{school.id} was as it should be" in done.stdout


def test_without_a_terminal_apply_asks_nobody_and_changes_nothing(school: SchoolOnLab) -> None:
    done = school.provision("apply", school.id, check=False)
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_keys_may_come_from_the_ssh_agent(school: SchoolOnLab) -> None:
    file = school.directory / "schools" / f"{school.id}.yml"
    genuine = file.read_text()
    file.write_text(re.sub(r"\n +ssh_key: [^\n]+", "", genuine))
    assert "ssh_key" not in file.read_text()
    script = (
        'eval "$(ssh-agent -s)" >/dev/null; trap "kill $SSH_AGENT_PID" EXIT; '
        f'ssh-add -q {school.directory}/.state/lab_key; "$@"'
    )
    try:
        without = school.provision("plan", school.id, check=False)
        done = subprocess.run(
            ["sh", "-c", script, "sh", sys.executable, "-m", "provision", "plan", school.id],
            env={key: value for key, value in school.environment.items() if key != "SSH_AUTH_SOCK"},
            cwd=school.directory,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    finally:
        file.write_text(genuine)
    assert without.returncode == 3
    assert "ssh-add" in without.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_ordinary_user_with_a_sudo_password_from_the_vault_behind_a_jump_host_can_apply(
    school: SchoolOnLab, tmp_path: Path
) -> None:
    # The last test on this server: once an ordinary user has set it up, root cannot log in over SSH any more.
    password = "una-contrasenya-ben-llarga"
    ssh(
        school.machine,
        "id tecnic >/dev/null 2>&1 || useradd -m -s /bin/bash tecnic; "
        "install -d -m 700 -o tecnic -g tecnic /home/tecnic/.ssh; "
        "install -m 600 -o tecnic -g tecnic /root/.ssh/authorized_keys /home/tecnic/.ssh/authorized_keys; "
        "echo 'tecnic ALL=(ALL:ALL) ALL' > /etc/sudoers.d/tecnic; chpasswd",
        stdin=f"tecnic:{password}\n",
    )
    other = hello(
        tmp_path / "workspace",
        school.machine,
        host={"user": "tecnic", "become_password": True, "jump": "tecnic@porta.escola-prova.test"},
    )
    names = other.directory / ".state" / "hosts"
    names.write_text(names.read_text() + f"{school.machine.address} porta.escola-prova.test\n")
    # A colleague's workspace: the server has a log by now, and its keys come with the school's secrets.
    for shared in ("secrets", ".state/keys"):
        if (school.directory / shared).exists():
            shutil.copytree(school.directory / shared, other.directory / shared, dirs_exist_ok=True)
    refused = other.provision("plan", other.id, check=False)
    assert refused.returncode == 3
    assert "host_main_become_password" in refused.stderr
    done = subprocess.run(
        [sys.executable, "-m", "provision", "secrets", "set", other.id, "host_main_become_password"],
        env=other.environment, input=password + "\n", text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    untrusted = other.provision("plan", other.id, check=False)
    assert untrusted.returncode == 3
    assert "porta.escola-prova.test is not known yet" in untrusted.stderr
    other.provision("school", "trust", other.id, "--yes")
    applied = other.provision("apply", other.id, "--yes")
    assert "3 of 3 probes are well" in applied.stdout
    for file in other.directory.joinpath("runs").rglob("*"):
        assert file.is_dir() or password not in file.read_text()
