"""What the lab does as root. Called directly by root, and through sudo for everybody else (see
`_privileged`).
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from provision.errors import LabError, RefusedError, UsageError
from provision.lab import network
from provision.lab.base import BaseImage
from provision.lab.names import check_hostname, check_machine_name, check_release, choose_octet, lab_id
from provision.lab.runtime import Runtime, machine_directories
from provision.lab.state import CACHE, LABS, RUN, LabFiles, LabState, MachineState
from provision.lab.system import Report, environment, lock, remove_locks, remove_tree

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
    "setsid": "util-linux",
}
#: A machine with all five services needs about this much.
_FREE_BYTES = 2 * 1024**3


class Request(BaseModel):
    """One order to the lab's privileged part."""

    model_config = ConfigDict(extra="forbid")

    operation: Literal["up", "stop", "down", "add_name", "harvest"]
    directory: str
    owner: int
    group: int
    name: str | None = None
    release: str = "bookworm"
    memory_mb: int | None = None
    ssh_port: int = 22
    authorized_keys: list[str] = Field(default_factory=list)
    hostname: str = ""
    settings: dict[str, dict[str, str]] = Field(default_factory=dict)


def preflight() -> None:
    """Check that this computer can run a lab.

    Raises:
        RefusedError: a package or room on the disk is missing; with the remedy.
    """
    missing = sorted({package for program, package in _PROGRAMS.items() if not _which(program)})
    if missing:
        raise RefusedError(
            f"The lab needs packages that are not installed: {', '.join(missing)}",
            f"Run provision/lab/setup.sh, or: apt-get install {' '.join(missing)}",
        )
    for place in (LABS, CACHE):
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free
        if free < _FREE_BYTES:
            raise RefusedError(
                f"Only {free // 1024**2} MB are free in {place}, the lab needs {_FREE_BYTES // 1024**2} MB",
                "Free some disk space, or remove labs that are no longer needed: provision lab down --all",
            )


def _which(program: str) -> str | None:
    return shutil.which(program, path=environment()["PATH"])


def perform(request: Request, report: Report) -> list[str] | int | None:
    """Carry out an order.

    Returns:
        down: the names of the machines removed; harvest: the number of files kept.

    Raises:
        LabError: it did not work.
        RefusedError: it cannot work on this computer.
        UsageError: the order makes no sense.
    """
    if os.geteuid() != 0:
        raise RefusedError("The lab needs root", "Run it as root or with sudo.")
    lab = _Lab(request, report)
    if request.operation == "down":
        return lab.down(request.name)
    name = check_machine_name(request.name or "")
    match request.operation:
        case "up":
            lab.up(name)
        case "stop":
            lab.stop(name)
        case "add_name":
            lab.add_name(request.hostname, name)
        case "harvest":
            return lab.harvest(name)
    return None


class _Lab:
    def __init__(self, request: Request, report: Report) -> None:
        self.request = request
        self.report = report
        self.id = lab_id(Path(request.directory))
        self.files = LabFiles(self.id)

    # --- locks: machine, then global. Nobody takes them in another order. -----------------------------------

    @contextlib.contextmanager
    def _machine_lock(self, name: str) -> Iterator[None]:
        path = RUN / self.id / f"{name}.lock"
        with lock(path, self.report, f"another process works on the lab machine {name}"):
            yield

    @contextlib.contextmanager
    def _state(self) -> Iterator[LabState]:
        """The state under the global lock; saved when the block ends well."""
        with lock(RUN / "lock"):
            state = self._load() or LabState(
                id=self.id,
                directory=str(Path(self.request.directory).resolve()),
                owner=self.request.owner,
                group=self.request.group,
            )
            yield state
            self.files.save(state)

    def _load(self) -> LabState | None:
        state = self.files.load()
        if state is not None and Path(state.directory) != Path(self.request.directory).resolve():
            raise LabError(
                f"Two directories have the same lab number {self.id}: {state.directory} and "
                f"{self.request.directory}",
                "Use another directory for one of them.",
            )
        return state

    # --- orders ---------------------------------------------------------------------------------------------

    def up(self, name: str) -> None:
        request = self.request
        check_release(request.release)
        with self._machine_lock(name):
            state = self._load()
            machine = state.machines.get(name) if state else None
            if machine and machine.phase == "ready":
                if machine.release != request.release:
                    raise UsageError(
                        f"{name} is there already, as a machine of {machine.release}",
                        f"Remove it first (provision lab down {name}), or take another name.",
                    )
                if not machine.running():
                    preflight()
                    self.report(f"Starting {name} with the disk it had")
                    self._boot(name, new=False)
                return
            preflight()
            if machine or name in machine_directories(self.files):
                self.report(f"Removing what is left of a half-made {name}")
                self._destroy(name)
            self._sweep()
            image = BaseImage(request.release).ensure(self.report)
            self.report(f"Making the machine {name} ({request.release})")
            with self._state() as fresh:
                fresh.machines[name] = MachineState(
                    name=name,
                    release=request.release,
                    octet=choose_octet(entry.octet for entry in fresh.machines.values()),
                    base=str(image),
                    memory_mb=request.memory_mb,
                    ssh_port=request.ssh_port,
                )
            try:
                self._boot(name, new=True)
            except (LabError, OSError, KeyboardInterrupt):
                self._destroy(name, keep_console=True)
                raise

    def _boot(self, name: str, *, new: bool) -> None:
        runtime = Runtime(self.files, name)
        with self._state() as state:
            network.ensure(state, self.report)
            machine = state.machines[name]
        # A dead machine's leftovers: it may have been killed, or the computer restarted.
        runtime.end(machine.current())
        runtime.release_host(machine.octet)
        if new:
            machine.storage = (
                "overlay"
                if runtime.create_disk(Path(machine.base), machine.release, self.report) == "overlay"
                else "copy"
            )
            runtime.prepare(machine, self.request.authorized_keys, self.request.settings)
        else:
            runtime.mount(machine)
        if not runtime.write_resolvers():
            self.report(
                f"{name} cannot resolve names: this computer's name servers are reachable from itself only. "
                "Remedy: name one in /etc/resolv.conf that other computers can ask too"
            )
        namespace = network.add_machine(state, name, machine.octet)
        machine.process = runtime.start(machine, namespace, (self.request.owner, self.request.group))
        with self._state() as state:
            state.machines[name] = machine
            self._write_names(state)
        runtime.wait_for_ssh(state.address(machine), machine.ssh_port, machine.process)
        with self._state() as state:
            state.machines[name].phase = "ready"

    def _write_names(self, state: LabState) -> None:
        for name, machine in state.machines.items():
            if machine.running():
                Runtime(self.files, name).write_names(state)

    def stop(self, name: str) -> None:
        with self._machine_lock(name):
            machine = self._existing(name)
            runtime = Runtime(self.files, name)
            runtime.harvest(machine.release)
            runtime.shut_down(machine.current(), self.report)
            runtime.release_host(machine.octet)
            with self._state() as state:
                state.machines[name].process = None
                state.machines[name].unit = ""

    def harvest(self, name: str) -> int:
        with self._machine_lock(name):
            return Runtime(self.files, name).harvest(self._existing(name).release)

    def add_name(self, hostname: str, name: str) -> None:
        hostname = check_hostname(hostname)
        self._existing(name)
        with self._state() as state:
            state.names[hostname] = name
            self._write_names(state)

    def _existing(self, name: str) -> MachineState:
        state = self._load()
        if state is None or name not in state.machines:
            known = ", ".join(sorted(state.machines)) if state else ""
            raise UsageError(
                f"There is no lab machine {name}",
                f"There are: {known}." if known else f"Make it with: provision lab up {name}",
            )
        return state.machines[name]

    def down(self, name: str | None) -> list[str]:
        try:
            state = self.files.load()
        except LabError as error:
            # Damaged notes must not keep a lab alive: everything that we make can be found by its name.
            self.report(error.message)
            state = None
            with lock(RUN / "lock"):
                self.files.state_file.unlink(missing_ok=True)
        known = set(state.machines) if state else set()
        if name is not None:
            check_machine_name(name)
            wanted = {name} & (known | set(self._stray()))
            if not wanted and known:
                raise UsageError(f"There is no lab machine {name}", f"There are: {', '.join(sorted(known))}.")
        else:
            wanted = known | set(self._stray())
        for each in sorted(wanted):
            with self._machine_lock(each):
                self.report(f"Removing {each}")
                self._destroy(each)
        self._sweep()
        self._close_if_empty()
        return sorted(wanted)

    def _destroy(self, name: str, *, keep_console: bool = False) -> None:
        """Remove a machine. Call it with the machine's lock held."""
        state = self.files.load()
        machine = state.machines.get(name) if state else None
        runtime = Runtime(self.files, name)
        console = runtime.console_tail() if keep_console else ""
        if machine and machine.phase == "ready":
            with contextlib.suppress(LabError, OSError):
                runtime.harvest(machine.release)
        runtime.destroy(machine.current() if machine else None, machine.octet if machine else None)
        if keep_console:
            self.report(f"Console of {name}: {console}")
        if state:
            with self._state() as current:
                current.machines.pop(name, None)
                current.names = {host: target for host, target in current.names.items() if target != name}
                self._write_names(current)

    def _stray(self) -> list[str]:
        """Machines of this lab that something of is left, whatever the notes say."""
        prefix = self.files.names.prefix
        found = set(machine_directories(self.files))
        for folder in (
            Path("/run/netns"),
            Path("/sys/fs/cgroup/systemd"),
            Path("/sys/fs/cgroup/unified"),
            Path("/sys/fs/cgroup"),
        ):
            if folder.is_dir():
                found |= {
                    path.name.removeprefix(prefix)
                    for path in folder.iterdir()
                    if path.name.startswith(prefix)
                }
        return sorted(found)

    def _sweep(self) -> None:
        """Remove what a killed process left behind: half-made machines, and things without a note."""
        state = self._load()
        for name, machine in (state.machines if state else {}).items():
            if machine.phase == "making" and self._unlocked(name):
                with self._machine_lock(name):
                    current = self._load()
                    if current and name in current.machines and current.machines[name].phase == "making":
                        self.report(f"Removing what is left of a half-made {name}")
                        self._destroy(name)
        state = self._load()
        for name in self._stray():
            if (state is None or name not in state.machines) and self._unlocked(name):
                with self._machine_lock(name):
                    current = self._load()
                    if current is None or name not in current.machines:
                        self.report(f"Removing what is left of {name}")
                        self._destroy(name)

    def _unlocked(self, name: str) -> bool:
        """Whether nobody is at work on that machine just now."""
        path = RUN / self.id / f"{name}.lock"
        if not path.exists():
            return True
        try:
            with lock(path, block=False):
                return True
        except BlockingIOError:
            return False

    def _close_if_empty(self) -> None:
        """Give back the network and the last files when no machine is left."""
        with lock(RUN / "lock"):
            state = self._load()
            if state is not None and state.machines:
                return
            network.remove(self.id)
            remove_tree(self.files.directory)
            remove_locks(RUN / self.id)
