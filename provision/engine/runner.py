"""Runs a playbook against one school in a child process, and hands its events on.

Closes the traps of ansible-runner: a private directory in memory that is removed at the end, an environment made
from an allow-list, host-key checking on, no secret in arguments, environment or inventory, no orphan after a
cancellation, and no way for a fault in our own event code to stop a run half-way.
"""

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from provision import paths
from provision.engine.accelerate import mitogen_strategy
from provision.engine.events import Event, Message, from_slim
from provision.errors import RunFailedError

Outcome = Literal["successful", "failed", "canceled", "error"]

_PREFIX = "prov-"

#: What the child may see of our environment: enough for SSH's agent and the system keyring.
_PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
    "VIRTUAL_ENV", "PROVISION_VAULT_CLIENT", "PROVISION_VAULT_PASSWORD_FILE", "PYTHON_KEYRING_BACKEND",
    "XDG_CONFIG_HOME", "XDG_DATA_HOME",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything that a playbook run needs.

    Args:
        workspace: the municipality's directory (for the vault client).
        school: id; also the id of its vault.
        inventory: as ``variables.build_inventory`` makes it.
        check: change nothing, tell what would change, with differences.
        accelerate: use mitogen where possible.
        roles: directories with roles, ours and the workspace's own.
        playbook: file name under ``provision/playbooks``.
    """

    workspace: Path
    school: str
    inventory: dict[str, Any]
    check: bool = False
    accelerate: bool = True
    roles: tuple[Path, ...] = (paths.ROLES,)
    playbook: str = "site.yml"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a playbook run ended.

    Args:
        outcome: ``canceled`` after Ctrl-C, SIGTERM or a lost lock.
        faults: events that our own code could not handle; the run went on regardless.
        message: what went wrong outside any task.
    """

    outcome: Outcome
    faults: int = 0
    message: str = ""


def memory_directory() -> Path:
    """A directory in memory for a run's private files.

    ``/run/user/<uid>`` where systemd made one, else ``/dev/shm``; never the disk, from which a secret might be
    recovered.

    Raises:
        RunFailedError: there is no such place.
    """
    for place in (os.environ.get("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}", "/dev/shm"):  # noqa: S108 - the memory file system
        if place and os.access(place, os.W_OK) and _in_memory(Path(place)):
            return Path(place)
    raise RunFailedError(
        "there is no memory file system for the run's private files", "mount a tmpfs on /dev/shm"
    )


def _in_memory(place: Path) -> bool:
    """Whether a directory is on tmpfs or ramfs, from ``/proc/self/mounts``."""
    resolved = place.resolve()
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, point, file_system, *_ = line.split()
        if resolved.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, file_system
    return kind in {"tmpfs", "ramfs"}


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A 0700 directory in memory that is gone at the end, and what SSH multiplexing left in it too."""
    place = memory_directory()
    _remove_stale(place)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield directory
    finally:
        _close_ssh_masters(directory / "cp")
        shutil.rmtree(directory, ignore_errors=True)
        os.close(held)


def _remove_stale(place: Path) -> None:
    """Remove private directories whose process was killed outright: nobody holds their lock."""
    for directory in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid != os.getuid():
                continue
            held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                # A directory that is just being made is not locked yet: leave it a moment.
                if time.time() - directory.stat().st_mtime > 5:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _close_ssh_masters(directory / "cp")
                    shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(held)


def _close_ssh_masters(directory: Path) -> None:
    for control in directory.glob("*") if directory.is_dir() else ():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={control}", "-O", "exit", "provision"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=5, check=False,
            )  # fmt: skip


def ansible_environment(request: RunRequest, private: Path, mark: str) -> dict[str, str]:
    """Ansible's settings for one run. Nothing secret is in it: ansible-runner writes it into its artifacts."""
    strategy = mitogen_strategy() if request.accelerate else None
    environment = {
        "ANSIBLE_CONFIG": str(paths.PLAYBOOKS / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": os.pathsep.join(str(directory) for directory in request.roles),
        # ansible-runner sets this to False when it is not given.
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        # Ours is the only inventory: the other formats' plug-ins need not be loaded and asked.
        "ANSIBLE_INVENTORY_ENABLED": "ansible.builtin.yaml",
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(private / "cp"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PROVISION_WORKSPACE": str(request.workspace),
        "PROVISION_RUN_MARK": mark,
    }
    if strategy:
        environment |= {"ANSIBLE_STRATEGY_PLUGINS": str(strategy), "ANSIBLE_STRATEGY": "mitogen_linear"}
    return environment


def worker_environment(mark: str) -> dict[str, str]:
    """The child's own environment: an allow-list of ours."""
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    # ansible-playbook is the one that was installed with us, whether or not our environment is activated.
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    )
    return environment | {
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "PROVISION_RUN_MARK": mark,
        "PYTHONUNBUFFERED": "1",
    }


def arguments(request: RunRequest) -> str:
    """Arguments of ansible-playbook; the vault's password comes from a program, never from here."""
    client = Path(sys.executable).parent / "provision-vault-client"
    words = ["--vault-id", f"{request.school}@{client}"]
    if request.check:
        words += ["--check", "--diff"]
    return shlex.join(words)


class Run:
    """One playbook run in a child process.

    Args:
        request: what to run.
        on_event: gets every event, in this thread; what it raises is counted and does not stop the run.
        clean: takes secrets out of whatever JSON can hold.
    """

    def __init__(
        self,
        request: RunRequest,
        on_event: Callable[[Event], None],
        clean: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.request = request
        self._on_event = on_event
        self._clean = clean
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop the run: safe from signal handlers and other threads."""
        self._cancelled.set()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    def execute(self) -> RunResult:
        """Run to the end.

        Raises:
            RunFailedError: the child could not be started.
        """
        mark = uuid.uuid4().hex
        with private_directory() as private:
            for name in ("tmp", "cp"):
                (private / name).mkdir(mode=0o700)
            inventory = private / "inventory.yml"
            inventory.write_text(yaml.safe_dump(self.request.inventory, allow_unicode=True), encoding="utf-8")
            document = {
                "private": str(private),
                "mark": mark,
                "playbook": str(paths.PLAYBOOKS / self.request.playbook),
                "inventory": str(inventory),
                "arguments": arguments(self.request),
                "environment": ansible_environment(self.request, private, mark),
            }
            # A session of its own: the terminal's Ctrl-C must reach only us, who stop it in good order.
            process = subprocess.Popen(
                [sys.executable, "-m", "provision.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=worker_environment(mark),
                cwd="/",
                start_new_session=True,
            )
            self._process = process
            try:
                return self._follow(process, document)
            finally:
                if process.stdin:
                    with contextlib.suppress(OSError):
                        process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def _follow(self, process: subprocess.Popen[str], document: dict[str, Any]) -> RunResult:
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        complaints: list[str] = []
        reader = threading.Thread(target=lambda pipe=process.stderr: complaints.extend(pipe), daemon=True)
        reader.start()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(document) + "\n")
            process.stdin.flush()
        if self._cancelled.is_set():
            self.cancel()
        faults = 0
        result: dict[str, Any] | None = None
        said: deque[str] = deque(maxlen=40)
        for line in process.stdout:
            try:
                data = json.loads(line)
                if "result" in data:
                    result = data["result"]
                else:
                    event = from_slim(data["event"], self._clean)
                    if isinstance(event, Message):
                        said.append(event.text)
                    self._on_event(event)
            except Exception:
                faults += 1
        process.wait()
        reader.join(timeout=5)
        if result is None:
            outcome: Outcome = "canceled" if self._cancelled.is_set() else "error"
            return RunResult(
                outcome,
                faults,
                str(self._clean("".join(complaints)))[-4000:] or "the worker process ended without a result",
            )
        message = str(self._clean(result.get("error", ""))) or (
            "" if result["status"] == "successful" else "\n".join(said)
        )
        return RunResult(_outcome(result), faults + int(result["faults"]), message)


def _outcome(result: dict[str, Any]) -> Outcome:
    match result["status"]:
        case "successful":
            return "successful"
        case "canceled" | "timeout":
            return "canceled"
        case "error":
            return "error"
        case _:
            return "failed"
