"""The traps of ansible-runner, each with the sentence that closes it. Playbooks run on this machine itself."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from provision.engine import runner as runner_module
from provision.engine.events import Event, TaskResult, TaskStarted
from provision.engine.runner import Run, RunRequest, RunResult, memory_directory
from provision.engine.worker import marked

CANARY = "canary-5f2b9c71d0"
PASSWORD = "vault-password-of-the-test"

INVENTORY = {
    "all": {
        "hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}},
        "vars": {},
    }
}


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A memory directory of this test's own, and a variable that tells its processes from other tests'."""
    memory = Path(tempfile.mkdtemp(dir="/dev/shm"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(memory))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    yield memory
    assert list(memory.iterdir()) == [], "something was left behind"
    memory.rmdir()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "workspace"
    directory.mkdir()
    (directory / "municipality.yml").write_text("schema: 1\nid: prova\n")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    key = keys / "escola.key"
    key.write_text(PASSWORD)
    key.chmod(0o600)
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(keys))
    return directory


def request(workspace: Path, tasks: list[dict[str, object]], **more: object) -> RunRequest:
    book = workspace / "book.yml"
    book.write_text(
        yaml.safe_dump([{"name": "Test", "hosts": "all", "gather_facts": False, **more, "tasks": tasks}])
    )
    return RunRequest(
        workspace=workspace, school="escola", inventory=INVENTORY, playbook=str(book), accelerate=False
    )


def command(name: str, *words: str) -> dict[str, object]:
    return {"name": name, "ansible.builtin.command": {"argv": list(words)}, "changed_when": False}


def nothing(_: Event) -> None:
    pass


def private_directories() -> set[Path]:
    return set(memory_directory().glob("prov-*"))


def files_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    for file in directory.rglob("*"):
        if file.is_file():
            try:
                yield file, file.read_bytes()
            except OSError:
                continue


def test_a_run_reports_each_task_and_ends_successful(workspace: Path) -> None:
    events: list[Event] = []
    result = Run(request(workspace, [command("Say hello", "echo", "hello")]), events.append).execute()
    assert result == RunResult("successful", 0, "")
    assert [event.name for event in events if isinstance(event, TaskStarted)] == ["Say hello"]
    assert [(event.name, event.status, event.host) for event in events if isinstance(event, TaskResult)] == [
        ("Say hello", "ok", "here")
    ]


def test_a_failed_task_ends_the_run_as_failed_with_upstreams_own_words(workspace: Path) -> None:
    events: list[Event] = []
    result = Run(
        request(workspace, [command("Break", "sh", "-c", "echo the tap is closed >&2; exit 3")]),
        events.append,
    ).execute()
    assert result.outcome == "failed"
    failed = [event for event in events if isinstance(event, TaskResult) and event.status == "failed"]
    assert "the tap is closed" in failed[0].error


def test_no_secret_of_our_environment_or_vault_is_in_runners_files_arguments_or_environment(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITY_DATABASE_TOKEN", CANARY)
    secrets_file = workspace / "secrets.yml"
    secrets_file.write_text(f"the_secret: {CANARY}\n")
    vault = workspace / "password"
    vault.write_text(PASSWORD)
    subprocess.run(
        [
            Path(sys.executable).parent / "ansible-vault", "encrypt", "--encrypt-vault-id", "escola",
            "--vault-id", f"escola@{vault}", secrets_file,
        ],
        check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    vault.unlink()
    tasks: list[dict[str, object]] = [
        {
            "name": "Use the secret",
            "ansible.builtin.copy": {
                "content": "{{ the_secret }}",
                "dest": str(workspace / "out"),
                "mode": "0600",
            },
            "no_log": True,
        },
        command("Wait", "sleep", "1"),
    ]
    seen: list[str] = []

    def look(event: Event) -> None:
        if isinstance(event, TaskStarted) and event.name == "Wait":
            for directory in private_directories():
                for file, content in files_below(directory):
                    seen.extend(
                        f"{file}: {secret}" for secret in (CANARY, PASSWORD) if secret.encode() in content
                    )
                for file in (directory / "artifacts").glob("*/command"):
                    seen.append("host keys are not checked") if json.loads(file.read_text())["env"][
                        "ANSIBLE_HOST_KEY_CHECKING"
                    ] != "True" else None
                    seen.append("looked")
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and int(process.name) != os.getpid():
                    try:
                        ours = b"PROVISION_RUN_MARK" in (process / "environ").read_bytes()
                        texts = (process / "cmdline").read_bytes() + (
                            (process / "environ").read_bytes() if ours else b""
                        )
                    except OSError:
                        continue
                    if CANARY.encode() in texts or PASSWORD.encode() in texts:
                        seen.append(f"process {process.name}: {texts!r}")

    result = Run(request(workspace, tasks, vars_files=[str(secrets_file)]), look).execute()
    assert result.outcome == "successful", result
    assert (workspace / "out").read_text() == CANARY
    assert seen == ["looked"]


def test_the_private_directory_is_in_memory_and_for_its_owner_only(workspace: Path) -> None:
    modes: list[int] = []

    def look(event: Event) -> None:
        modes.extend(directory.stat().st_mode & 0o777 for directory in private_directories())

    Run(request(workspace, [command("Say hello", "true")]), look).execute()
    assert set(modes) == {0o700}
    assert runner_module._in_memory(memory_directory())


def test_a_fault_in_our_event_code_does_not_stop_a_run_half_way(workspace: Path) -> None:
    def broken(_: Event) -> None:
        raise RuntimeError("a fault in the display")

    last = workspace / "last"
    result = Run(
        request(workspace, [command("First", "true"), command("Last", "touch", str(last))]), broken
    ).execute()
    assert result.outcome == "successful"
    assert result.faults > 0
    assert last.exists()


def test_a_slow_event_consumer_does_not_lose_events(workspace: Path) -> None:
    events: list[Event] = []

    def slow(event: Event) -> None:
        time.sleep(0.3)
        events.append(event)

    tasks = [command(f"Step {number}", "true") for number in range(8)]
    assert Run(request(workspace, tasks), slow).execute().outcome == "successful"
    assert [event.name for event in events if isinstance(event, TaskResult)] == [
        f"Step {number}" for number in range(8)
    ]


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def sleepers() -> list[str]:
    """Command lines of processes that belong to a run of this test."""
    mine = f"XDG_DATA_HOME={os.environ['XDG_DATA_HOME']}".encode()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                environ = (process / "environ").read_bytes()
                if mine in environ and b"PROVISION_RUN_MARK=" in environ:
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def test_cancelling_ends_the_run_and_leaves_no_orphan(workspace: Path) -> None:
    run = Run(
        request(
            workspace, [command("Sleep", "sleep", "300"), command("Never", "touch", str(workspace / "never"))]
        ),
        nothing,
    )
    timer = threading.Thread(
        target=lambda: (wait_for(lambda: any("sleep 300" in line for line in sleepers())), run.cancel())
    )
    timer.start()
    result = run.execute()
    timer.join()
    assert result.outcome == "canceled"
    assert not (workspace / "never").exists()
    assert wait_for(lambda: not sleepers(), 10), sleepers()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_orphan(workspace: Path, number: signal.Signals) -> None:
    made = request(workspace, [command("Sleep", "sleep", "301")])
    program = textwrap.dedent(f"""
        from pathlib import Path
        from provision.engine.runner import Run, RunRequest
        Run(RunRequest(workspace=Path({str(workspace)!r}), school="escola", inventory={made.inventory!r},
                       playbook={made.playbook!r}, accelerate=False), lambda event: None).execute()
    """)
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        assert wait_for(lambda: any("sleep 301" in line for line in sleepers()))
    finally:
        parent.send_signal(number)
        parent.wait()
    assert wait_for(lambda: not sleepers(), 40), sleepers()
    # Nor its private directory: the child removes it.
    assert wait_for(lambda: not private_directories(), 10), private_directories()


def test_a_run_that_is_cancelled_before_it_starts_does_nothing(workspace: Path) -> None:
    run = Run(
        request(
            workspace, [command("Sleep", "sleep", "5"), command("Never", "touch", str(workspace / "never"))]
        ),
        nothing,
    )
    run.cancel()
    assert run.execute().outcome == "canceled"
    assert not (workspace / "never").exists()


def test_marked_finds_only_processes_with_the_mark() -> None:
    with subprocess.Popen(["sleep", "30"], env={**os.environ, "PROVISION_RUN_MARK": "of-this-test"}) as child:
        assert marked("of-this-test") == [child.pid]
        assert marked("of-another-test") == []
        child.kill()
