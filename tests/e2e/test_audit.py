"""The audit log on a real server: every run in it, two administrators, the school's agreement, and who is lied to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.audit import entries as e
from provision.audit.log import SchoolLog, log_directory
from provision.lab import Machine
from tests.e2e.schools import SchoolOnLab, hello
from tests.labs import lab_machine, ssh

AUDITOR_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea auditora"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with lab_machine("audit") as made:
        yield made


@pytest.fixture(scope="module")
def school(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> SchoolOnLab:
    auditors = [{"login": "auditora", "name": "Aina Auditora", "ssh_keys": [AUDITOR_KEY]}]
    return hello(
        tmp_path_factory.mktemp("school") / "workspace",
        machine,
        audit={"auditors": auditors, "origin": "prova.test"},
    )


@pytest.fixture(scope="module")
def colleague(school: SchoolOnLab, tmp_path_factory: pytest.TempPathFactory) -> SchoolOnLab:
    """Another administrator's machine: what version control has, and no log."""
    directory = tmp_path_factory.mktemp("colleague") / "workspace"
    shutil.copytree(
        school.directory,
        directory,
        ignore=lambda place, _: {"audit", "runs"} if Path(place) == school.directory else set(),
    )
    return SchoolOnLab(directory, school.id, school.machine)


def log_of(school: SchoolOnLab) -> SchoolLog:
    return SchoolLog.open(log_directory(school.directory, school.id))


def types(school: SchoolOnLab, start: int = 0) -> list[str]:
    return [entry.type for entry in log_of(school).entries(start)]


def newest(school: SchoolOnLab, kind: str) -> e.Entry:
    return next(entry for entry in log_of(school).backwards() if entry.type == kind)


def change_greeting(school: SchoolOnLab, text: str) -> None:
    school.edit(services={"hello": {"hostname": "hola.escola-prova.test", "settings": {"greeting": text}}})


# --- in order: each test continues the log of the one before ---------------------------------------------------------


def test_a_run_is_intended_and_signed_before_it_starts_and_ends_with_everything_that_changed(
    school: SchoolOnLab,
) -> None:
    school.provision("apply", school.id, "--yes", "--why", "first installation", "--ticket", "2026/7")
    found = types(school)
    assert found[:5] == ["log.opened", "policy.set", "run.intent", "access.opened", "run.started"]
    assert found[-3:] == ["health.checked", "run.ended", "access.closed"]
    assert set(found[5:-3]) == {"task.result"}
    intent = newest(school, "run.intent").data
    assert intent["why"] == "first installation"
    assert intent["authority"] == {"basis": "unattended", "ticket": "2026/7", "approver": ""}
    assert intent["actor"]["name"] == "Ada Administradora"
    assert intent["actor"]["key"].startswith("SHA256:")
    assert intent["hosts"][0]["host_key"].startswith("SHA256:")
    assert {"school", "municipality", "role hello", "role audit_trail"} <= intent["content"].keys()
    ended = newest(school, "run.ended").data
    changed = [entry for entry in log_of(school).entries() if entry.type == "task.result"]
    assert ended["outcome"] == "ok"
    assert ended["counts"]["changed"] == len(changed)
    size, root = log_of(school).detail.root(ended["run"])
    assert (ended["detail_size"], ended["detail_root"]) == (size, root.hex())
    school.provision("audit", "verify", school.id)


def test_the_server_has_a_copy_that_only_auditors_can_read_and_names_the_run(school: SchoolOnLab) -> None:
    place = f"/var/lib/provision/audit/{school.id}"
    copy = ssh(school.machine, f"cat {place}/checkpoint").stdout
    assert copy == (log_of(school).directory / "checkpoint").read_text()
    last = json.loads(ssh(school.machine, "cat /etc/provision/last-run.json").stdout)
    assert last["run"] == newest(school, "run.ended").data["run"]
    assert last["checkpoint"] == copy
    reading = f"cat {place}/checkpoint {place}/detail/*.jsonl >/dev/null"
    assert ssh(school.machine, f"runuser -u nobody -- sh -c '{reading}'", check=False).returncode != 0
    assert ssh(school.machine, f"runuser -u www-data -- sh -c '{reading}'", check=False).returncode != 0
    as_auditor = f"setpriv --reuid auditora --regid auditors --clear-groups sh -c '{reading}'"
    assert ssh(school.machine, as_auditor).returncode == 0


def test_a_second_administrator_takes_the_log_from_the_server_and_continues_it(
    school: SchoolOnLab, colleague: SchoolOnLab
) -> None:
    before = log_of(school).size
    change_greeting(colleague, "Bon dia de la companya")
    done = colleague.provision("apply", colleague.id, "--yes")
    assert f"{before} entries of the audit log came from the server" in done.stdout + done.stderr
    assert types(colleague)[:before] == types(school)
    # And back: the first administrator is behind now.
    change_greeting(school, "Bon dia de la companya")
    school.provision("apply", school.id, "--yes")
    raw = [entry.raw for entry in log_of(school).entries()]
    assert [entry.raw for entry in log_of(colleague).entries()] == raw[: log_of(colleague).size]
    for one in (school, colleague):
        one.provision("audit", "verify", one.id)


def test_what_was_done_away_from_the_server_waits_and_goes_into_the_log(school: SchoolOnLab) -> None:
    size = log_of(school).size
    school.provision("secrets", "rotate", school.id, "--all", "--yes")
    school.provision("secrets", "show", school.id, "hello_password", "--reveal")
    assert log_of(school).size == size
    school.provision("audit", "sync", school.id, "--heartbeat")
    school.provision("health", school.id, "--record")
    assert types(school, size) == ["secret.rotated", "access.opened", "heartbeat", "health.checked"]


def test_a_run_that_was_killed_is_closed_by_the_next_one(school: SchoolOnLab) -> None:
    size = log_of(school).size
    process = school.start("apply", school.id, "--yes")
    deadline = time.monotonic() + 120
    while "run.started" not in types(school, size) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = newest(school, "run.intent").data["run"]
    # The lock on the server is free again once its lease has run out.
    deadline = time.monotonic() + 90
    while (
        school.provision("apply", school.id, "--yes", check=False).returncode and time.monotonic() < deadline
    ):
        time.sleep(2)
    ends = {
        entry.data["run"]: entry.data["outcome"]
        for entry in log_of(school).entries(size)
        if entry.type == "run.ended"
    }
    assert ends.pop(run) == "broken off"
    assert set(ends.values()) == {"ok"}
    school.provision("audit", "verify", school.id)


def test_a_run_that_the_log_does_not_know_is_reported_and_recorded(school: SchoolOnLab) -> None:
    ssh(
        school.machine,
        """sed -i 's/"run": "[^"]*"/"run": "20260101T000000Z-abcdef"/' /etc/provision/last-run.json""",
    )
    done = school.provision("apply", school.id, "--yes")
    assert "20260101T000000Z-abcdef" in done.stdout + done.stderr
    drift = newest(school, "drift.found").data
    assert drift["kind"] == "unknown-run"
    assert "20260101T000000Z-abcdef" in drift["found"]


def witness(school: SchoolOnLab, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """The school's own command, on a machine that finds the school's names in its own hosts file."""
    hosts = school.directory / ".state" / "hosts.laptop"
    hosts.write_text(Path("/etc/hosts").read_text() + (school.directory / ".state" / "hosts").read_text())
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n", "--preserve-env"]
    done = subprocess.run(
        [
            *sudo, "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts,
            sys.executable, "-m", "provision", "audit", "witness", *words,
        ],
        cwd=school.directory.parent, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def test_in_strict_mode_nothing_changes_before_the_school_has_cosigned_what_it_fetched_by_https(
    school: SchoolOnLab, tmp_path: Path
) -> None:
    custody = tmp_path / "custodi"
    log_key = school.json("audit", "status", school.id)["keys"][0]
    witness(
        school,
        "init",
        "--dir",
        str(custody),
        "--log",
        log_key,
        "--name",
        "escola-prova.test/custodi",
        "--no-passphrase",
    )
    school.provision("audit", "add-witness", school.id, (custody / "public.vkey").read_text().strip())
    school.edit(audit={"strict": True})
    change_greeting(school, "Amb permís de l'escola")
    refused = school.provision("apply", school.id, "--yes", check=False)
    assert refused.returncode == 3
    assert "has not agreed" in refused.stderr
    assert "permís" not in ssh(school.machine, "cat /srv/hello/index.html").stdout
    intent = newest(school, "run.intent").data
    assert intent["strict"]

    password = tmp_path / "password"
    password.write_text(
        school.provision("secrets", "show", school.id, "audit_trail_web_password", "--reveal").stdout
    )
    signing = (
        "sign", "--dir", str(custody), "--from", "https://hola.escola-prova.test", "--password-file", str(password),
        "--ca", str(school.directory / "ca" / "ca.pem"), "--output", str(tmp_path / "file.cosignature"), "--yes",
    )  # fmt: skip
    # The address exists only for who knows the password.
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 32)
    denied = witness(
        school, *[str(wrong) if word == str(password) else word for word in signing], check=False
    )
    assert denied.returncode != 0
    assert not (tmp_path / "file.cosignature").exists()
    timer = witness(school, *signing, check=False)
    assert timer.returncode == 1, "a timer agrees to nothing"
    assert intent["run"] in timer.stderr, "the school reads what it is about to agree to"
    assert not (tmp_path / "file.cosignature").exists()
    witness(school, *signing, "--approve", intent["run"])
    # The auditor's account may put it into the inbox on the server, where the next run finds it.
    place = f"/var/lib/provision/audit/{school.id}/inbox/file.cosignature"
    ssh(
        school.machine,
        f"setpriv --reuid auditora --regid auditors --clear-groups tee {place} >/dev/null",
        stdin=(tmp_path / "file.cosignature").read_text(),
    )
    school.provision("apply", school.id, "--yes")
    assert "permís" in ssh(school.machine, "cat /srv/hello/index.html").stdout
    approved = newest(school, "run.approved").data
    assert approved["run"] == intent["run"], "the run that the school agreed to is the one that went on"
    assert approved["cosigners"][0]["name"] == "escola-prova.test/custodi"
    assert newest(school, "run.ended").data["run"] == intent["run"]
    school.provision("audit", "verify", school.id, "--policy", str(log_of(school).directory / "policy"))
    school.edit(audit={"strict": False})


def test_a_renewed_key_is_vouched_for_by_the_old_one_and_a_colleague_needs_it(
    school: SchoolOnLab, colleague: SchoolOnLab, tmp_path: Path
) -> None:
    former = tmp_path / "policy"
    shutil.copy(log_of(school).directory / "policy", former)
    school.provision(
        "audit", "rotate-key", school.id, "--yes", "--why", "a laptop was stolen", "--second", "ecdsa"
    )
    # Who knows the former key only follows the change.
    school.provision("audit", "verify", school.id, "--policy", str(former))
    # A colleague without the new key can neither write nor be fooled.
    refused = colleague.provision("apply", colleague.id, "--yes", check=False)
    assert refused.returncode == 3
    assert "git pull" in refused.stderr
    shutil.copytree(school.directory / "secrets", colleague.directory / "secrets", dirs_exist_ok=True)
    colleague.provision("audit", "sync", colleague.id)
    assert log_of(colleague).size == log_of(school).size


def test_erased_detail_is_gone_here_and_on_the_server_and_the_log_still_verifies(school: SchoolOnLab) -> None:
    run = next(entry for entry in log_of(school).entries() if entry.type == "run.ended").data["run"]
    file = log_of(school).directory / "detail" / f"{run}.jsonl"
    assert "index.html" in file.read_text()
    school.provision("audit", "erase", school.id, run, "--yes", "--why", "request 2026/14")
    assert "index.html" not in file.read_text()
    there = ssh(school.machine, f"cat /var/lib/provision/audit/{school.id}/detail/{run}.jsonl").stdout
    assert there == file.read_text()
    done = school.provision("audit", "verify", school.id)
    assert "Ada Administradora" in done.stdout, "verify says who erased"


def write_alone(one: SchoolOnLab) -> None:
    """Write a history of one's own, with the city's key, away from the server."""
    subprocess.run(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path\n"
            "from provision.model import load_workspace; from provision.audit import entries as e\n"
            "from provision.audit.keys import KeyStore; from provision.audit.log import log_directory, writing\n"
            "from provision.audit.opening import origin_of\n"
            "place = load_workspace(Path.cwd()); school = place.school(sys.argv[1])\n"
            "keys = KeyStore(place).load(school.id).current\n"
            "with writing(log_directory(place.path, school.id), origin_of(place, school), keys) as writer:\n"
            "    writer.append([e.Heartbeat(actor=e.Actor(name='Alone'), target=e.Target(school=school.id))] * 3)\n",
            one.id,
        ],
        cwd=one.directory, env=one.environment, check=True,
    )  # fmt: skip


def test_what_never_reached_the_server_follows_what_a_colleague_wrote_meanwhile(
    school: SchoolOnLab, colleague: SchoolOnLab
) -> None:
    """As after a run whose line was cut at its end."""
    colleague.provision("audit", "sync", colleague.id)
    write_alone(colleague)
    school.provision("audit", "sync", school.id, "--heartbeat")
    done = colleague.provision("audit", "sync", colleague.id)
    assert "3 entries of the audit log had never reached the server" in done.stderr
    alone = [entry for entry in log_of(colleague).entries() if entry.data["actor"]["name"] == "Alone"]
    assert len(alone) == 3
    assert newest(colleague, "log.recovered").index < alone[0].index
    school.provision("audit", "sync", school.id)
    assert [entry.raw for entry in log_of(school).entries()] == [
        entry.raw for entry in log_of(colleague).entries()
    ]
    for one in (school, colleague):
        one.provision("audit", "verify", one.id)


def test_a_forked_log_is_refused_before_anything_changes_and_both_checkpoints_are_kept(
    school: SchoolOnLab, colleague: SchoolOnLab
) -> None:
    colleague.provision("audit", "sync", colleague.id)
    write_alone(colleague)
    # As from a backup, it does not remember what it left on the server: nobody can say which history is the true one.
    (log_of(colleague).directory / ".state.json").unlink()
    school.provision("audit", "sync", school.id, "--heartbeat")
    change_greeting(colleague, "Una altra història")
    refused = colleague.provision("apply", colleague.id, "--yes", check=False)
    assert refused.returncode == 3
    assert "contradicts" in refused.stderr
    assert "Una altra" not in ssh(colleague.machine, "cat /srv/hello/index.html").stdout
    (place,) = (log_of(colleague).directory / "evidence").glob("*contradiction*")
    assert {file.name for file in place.iterdir()} >= {"server", "workspace"}


def test_a_copy_that_somebody_changed_on_the_server_is_refused_until_a_person_decides(
    school: SchoolOnLab,
) -> None:
    ssh(school.machine, f"sed -i '2s/.*/7/' /var/lib/provision/audit/{school.id}/checkpoint")
    refused = school.provision("apply", school.id, "--yes", check=False)
    assert refused.returncode == 3
    assert "did not sign" in refused.stderr
    school.provision("audit", "sync", school.id, "--replace-copy")
    assert newest(school, "drift.found").data["kind"] == "changed-copy"
    assert (
        ssh(school.machine, f"cat /var/lib/provision/audit/{school.id}/checkpoint").stdout
        == (log_of(school).directory / "checkpoint").read_text()
    )
    school.provision("audit", "verify", school.id)
