"""The roles base and firewall: nobody is locked out by a run, and somebody who left does not come in."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provision.lab import Lab, Machine
from tests.e2e.role_runs import Outcome, play
from tests.labs import lab_machine, ssh

#: What the timer waits for in these tests; and what a test waits for the timer, at the very most.
TRIAL_SECONDS = 15
PATIENCE_SECONDS = 180


@dataclass
class Server:
    """A lab machine and how the roles are run on it."""

    machine: Machine
    directory: Path

    def play(self, *options: str, roles: Sequence[str] = ("base", "firewall"), **variables: Any) -> Outcome:
        trial = {"base_ssh_trial_seconds": TRIAL_SECONDS, "firewall_trial_seconds": TRIAL_SECONDS}
        # A fresh connection for every run, as a fresh run has one.
        alone = {"ansible_ssh_args": "-o ControlMaster=auto -o ControlPersist=15s -o ConnectTimeout=5"}
        control = {"ansible_control_path_dir": str(self.directory / "control")}
        return play(self.machine, self.directory, roles, *options, **(alone | control | trial | variables))

    def comes_in(self, login: str = "root", key: Path | None = None) -> bool:
        """Whether a new connection is let in."""
        machine = self.machine
        options = [
            *(
                "-F",
                "none",
                "-i",
                str(key or machine.ssh_key),
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "ConnectTimeout=3",
            ),
            *("-o", f"UserKnownHostsFile={machine.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
        ]
        done = subprocess.run(
            ["ssh", *options, f"{login}@{machine.address}", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def is_let_in_again(self) -> bool:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if self.comes_in():
                return True
            time.sleep(1)
        return False


# A lock-out takes minutes to undo itself; molecule has the roles on both Debians.
@pytest.fixture(scope="module", params=["bookworm"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with lab_machine(f"lockout-{request.param}", request.param) as machine:
        yield Server(machine, tmp_path_factory.mktemp("lockout"))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key of an operator."""
    file = tmp_path_factory.mktemp("operator") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


def test_the_first_run_keeps_its_settings_and_a_second_changes_nothing(server: Server) -> None:
    first = server.play()
    assert first.code == 0, first.text
    assert ssh(server.machine, "sshd -T | grep ^passwordauth").stdout == "passwordauthentication no\n"
    assert "policy drop" in ssh(server.machine, "nft list chain inet provision input").stdout
    second = server.play()
    assert (second.code, second.changed) == (0, 0), second.text


def test_ssh_settings_that_lock_us_out_are_taken_back(server: Server) -> None:
    """The run comes as root, but says that it does not: root would never come in again."""
    before = ssh(server.machine, "cat /etc/ssh/sshd_config.d/00-provision.conf").stdout
    outcome = server.play(roles=["base"], base_connect_user="somebody")
    assert outcome.code != 0
    assert "UNREACHABLE" in outcome.text
    assert server.is_let_in_again()
    assert ssh(server.machine, "cat /etc/ssh/sshd_config.d/00-provision.conf").stdout == before
    # And the next run, with the mistake mended, works.
    mended = server.play(roles=["base"])
    assert mended.code == 0, mended.text


def test_rules_of_the_firewall_that_lock_us_out_are_taken_back(server: Server) -> None:
    outcome = server.play(roles=["firewall"], firewall_ssh_from=["192.0.2.0/24"])
    assert outcome.code != 0
    assert "UNREACHABLE" in outcome.text
    assert server.is_let_in_again()
    kept = ssh(server.machine, "cat /var/lib/provision/firewall.nft").stdout
    assert "192.0.2.0" not in kept
    mended = server.play(roles=["firewall"])
    assert mended.code == 0, mended.text


def test_a_change_of_the_rules_by_hand_is_mended(server: Server) -> None:
    ssh(server.machine, "nft add rule inet provision input tcp dport 4444 accept")
    plan = server.play("--check", roles=["firewall"])
    assert plan.changed == 1, plan.text
    assert server.play(roles=["firewall"]).changed == 1
    assert "4444" not in ssh(server.machine, "nft list chain inet provision input").stdout


def test_an_operator_comes_in_only_while_on_the_list(server: Server, key: Path) -> None:
    public = key.with_suffix(".pub").read_text()
    anna = {"login": "anna", "name": "Anna Serra", "ssh_keys": [public]}
    added = server.play(roles=["base"], base_operators=[anna])
    assert added.code == 0, added.text
    assert server.comes_in("anna", key)
    # A key that she puts into her own home does not count, and would not outlive her account.
    home = "/home/anna/.ssh"
    ssh(
        server.machine,
        f"mkdir -p {home} && cat > {home}/authorized_keys && chown -R anna: {home}",
        stdin=public,
    )
    removed = server.play(roles=["base"], base_operators=[])
    assert removed.code == 0, removed.text
    assert not server.comes_in("anna", key)
    assert ssh(server.machine, "test -d /home/anna && echo kept").stdout == "kept\n"
    assert server.play(roles=["base"], base_operators=[]).changed == 0
    # She comes back.
    assert server.play(roles=["base"], base_operators=[anna]).code == 0
    assert server.comes_in("anna", key)


def test_all_of_it_is_there_after_a_restart_of_the_server(server: Server) -> None:
    lab = Lab()
    lab.stop(server.machine.name)
    server.machine = lab.start(server.machine.name)
    assert "policy drop" in ssh(server.machine, "nft list chain inet provision input").stdout
    assert ssh(server.machine, "sshd -T | grep ^passwordauth").stdout == "passwordauthentication no\n"
    public = ssh(server.machine, "cat /etc/ssh/provision-keys/anna").stdout
    again = server.play(base_operators=[{"login": "anna", "name": "Anna Serra", "ssh_keys": [public]}])
    assert (again.code, again.changed) == (0, 0), again.text
