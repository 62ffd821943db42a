"""One machine: its disk, its processes, its packages from the machines before it."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from provision.errors import LabError
from provision.lab import network, sources
from provision.lab.names import hosts_lines, merge_hosts
from provision.lab.state import CACHE, LabFiles, LabState, MachineState
from provision.lab.system import (
    SYSTEMD_BOOTED,
    Process,
    Report,
    cgroups,
    directory_inside,
    kill,
    lock,
    processes_in_cgroup,
    processes_in_namespace,
    read_inside,
    remove_tree,
    run,
    unit_process,
    unmount,
    write_file,
    write_inside,
)

#: How long a machine may take until its SSH server answers; two to three seconds are usual.
BOOT_SECONDS = 120.0
#: How long a clean shutdown may take.
STOP_SECONDS = 45.0

# Downloads are kept for the next machines for so long.
_KEEP_DAYS = 60

_ARCHIVES = "var/cache/apt/archives"
_NPM = "root/.npm/_cacache"
_NSPAWN = Path("/run/systemd/nspawn")
_CGROUPS = Path("/sys/fs/cgroup")

# What systemd-nspawn ends with when the machine restarts itself: the keeper of the unit must start it again.
_REBOOT = 133

# The keeper of a machine on a computer without systemd: arguments are the file for its process number, the
# console's log, control groups to join, "--", and the command. Passes SIGTERM on, and starts the machine
# again when it reboots.
_KEEPER = f"""
pid_file=$1 console=$2; shift 2
exec >>"$console" 2>&1
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 97; shift; done
shift
stop= child=
trap 'stop=1; [ -z "$child" ] || kill -TERM "$child"' TERM
echo $$ >"$pid_file.new" && mv "$pid_file.new" "$pid_file" || exit 97
while [ -z "$stop" ]; do
  "$@" </dev/null &
  child=$!
  # A signal ends the first wait early.
  wait "$child"; code=$?
  while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
  child=
  [ "$code" = {_REBOOT} ] || exit "$code"
done
"""


class Runtime:
    """What is done to one machine as root.

    Args:
        files: where the lab's things lie.
        name: the machine's name.
    """

    def __init__(self, files: LabFiles, name: str) -> None:
        self.files = files
        self.name = name
        self.full_name = files.names.machine(name)
        self.directory = files.machine(name)
        self.root = self.directory / "root"

    # --- disk -----------------------------------------------------------------------------------------------

    def create_disk(self, base: Path, release: str, report: Report) -> str:
        """Lay out a new disk over a base image.

        Returns:
            "overlay", or "copy" where the host cannot mount an overlay (inside some containers).
        """
        self.directory.mkdir(parents=True)
        self.files.directory.joinpath("machines").chmod(0o700)
        for part in ("root", "upper", "work", "cache"):
            (self.directory / part).mkdir(mode=0o755)
        self._cache_layer(base, release)
        if self._mount_overlay(base):
            return "overlay"
        report(
            "This computer cannot mount an overlay here; copying the base image instead (slower, more disk)"
        )
        for source in (base, self.directory / "cache"):
            run("cp", "-a", "--reflink=auto", f"{source}/.", str(self.root))
        return "copy"

    def _cache_layer(self, base: Path, release: str) -> None:
        """A layer of the disk that holds what other machines of this release have downloaded.

        Hard links: instant, and a machine cannot change them, since the layer is below its own.
        """
        layer = self.directory / "cache"
        with lock(CACHE / ".packages.lock"):
            for folder, cache in ((_ARCHIVES, CACHE / "debs" / release), (_NPM, CACHE / "npm" / release)):
                if not cache.is_dir():
                    continue
                target = layer
                for part in Path(folder).parts:
                    target = target / part
                    if not target.exists():
                        target.mkdir()
                        target.chmod(stat.S_IMODE(_mode(base / target.relative_to(layer), 0o755)))
                shutil.copytree(cache, target, dirs_exist_ok=True, copy_function=_link)

    def _mount_overlay(self, base: Path) -> bool:
        # "volatile" spares the disk every fsync: packages and databases of a disposable machine need not
        # survive a power failure. The kernel refuses to mount such a disk again while this mark is there
        # (overlayfs.rst, "Volatile mount"); what was written before is in the page cache or on disk unless
        # the computer crashed.
        mark = self.directory / "work/work/incompat/volatile"
        if mark.is_dir():
            remove_tree(mark)
        layers = (
            f"lowerdir={self.directory / 'cache'}:{base},upperdir={self.directory / 'upper'},"
            f"workdir={self.directory / 'work'}"
        )
        for options in (f"{layers},volatile", layers):
            done = run("mount", "-t", "overlay", self.full_name, "-o", options, str(self.root), check=False)
            if done.returncode == 0:
                return True
        return False

    def mount(self, machine: MachineState) -> None:
        """Mount the disk of a machine that is not running.

        Raises:
            LabError: it cannot be mounted.
        """
        unmount(self.directory)
        if machine.storage == "overlay" and not self._mount_overlay(Path(machine.base)):
            raise LabError(
                f"The disk of {self.name} cannot be mounted",
                f"Make the machine anew: provision lab down {self.name}",
            )

    def prepare(
        self, machine: MachineState, authorized_keys: list[str], settings: dict[str, dict[str, str]]
    ) -> None:
        """Give a new disk what makes it this machine: name, keys, and the way to the network."""
        etc = self.root / "etc"
        (etc / "machine-id").write_text(secrets.token_hex(16) + "\n")
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
        run("ssh-keygen", "-A", "-f", str(self.root))
        machine.host_keys = [
            " ".join(path.read_text().split()[:2])
            for path in sorted((etc / "ssh").glob("ssh_host_*_key.pub"))
        ]
        folder = self.root / "root/.ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        write_file(folder / "authorized_keys", "".join(f"{key}\n" for key in authorized_keys), 0o600)
        if machine.ssh_port != 22:
            (etc / "ssh/sshd_config.d/provision-lab.conf").write_text(f"Port {machine.ssh_port}\n")
        if variables := settings.get("environment"):
            text = "".join(f'{name}="{value}"\n' for name, value in sorted(variables.items()))
            (etc / "environment").write_text(text)
        if npm := settings.get("npm"):
            text = "".join(f"{name}={value}\n" for name, value in sorted(npm.items()))
            # Debian's npm, and one from upstream's archive or package: each looks beside its own prefix.
            for path in ("etc/npmrc", "usr/etc/npmrc", "usr/local/etc/npmrc"):
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_text(text)

    def write_names(self, state: LabState) -> None:
        """Tell the machine the names and addresses of the lab, and the name servers of this computer."""
        lines = hosts_lines(state.addresses(), state.names)
        write_inside(self.root, "etc", "hosts", merge_hosts(read_inside(self.root, "etc", "hosts"), lines))

    def write_resolvers(self) -> bool:
        """Give the machine this computer's name servers; False when none of them can be asked from there."""
        text = ""
        # With systemd-resolved, resolv.conf names a loopback address, and this file the real ones.
        for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
            with contextlib.suppress(OSError):
                text = path.read_text()
            if sources.resolvers(text):
                break
        write_inside(self.root, "etc", "resolv.conf", sources.resolv_conf(text))
        return bool(sources.resolvers(text))

    # --- downloaded packages --------------------------------------------------------------------------------

    def harvest(self, release: str) -> int:
        """Keep what the machine has downloaded, for those after it; returns how many files were new."""
        if not self.root.is_dir() or not (self.root / "etc").is_dir():
            return 0
        with lock(CACHE / ".packages.lock"):
            for cache in (CACHE / "debs" / release, CACHE / "npm" / release):
                _drop_old(cache)
            return self._harvest(_ARCHIVES, CACHE / "debs" / release, ".deb") + self._harvest(
                _NPM, CACHE / "npm" / release, ""
            )

    def _harvest(self, folder: str, cache: Path, ending: str) -> int:
        count = 0
        try:
            with directory_inside(self.root, folder) as top:
                for path, _, names, handle in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                    relative = Path(path)
                    if ending and relative.parts:
                        continue
                    for name in names:
                        target = cache / relative / name
                        if name.endswith(ending) and not target.exists() and not target.is_symlink():
                            target.parent.mkdir(parents=True, exist_ok=True)
                            count += _copy_regular(name, handle, target)
        except LabError:
            # No such directory: nothing was downloaded.
            return 0
        return count

    # --- processes ------------------------------------------------------------------------------------------

    @property
    def _unit(self) -> str:
        return f"{self.full_name}.service"

    def start(self, machine: MachineState, namespace: Path, owner: tuple[int, int]) -> Process:
        """Boot the machine, detached from this process.

        Raises:
            LabError: it does not start at all.
        """
        self.files.consoles.mkdir(exist_ok=True)
        console = self.files.console(self.name)
        write_file(console, "", 0o640, owner)
        nspawn = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--console=read-only",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            f"--machine={self.full_name}",
            f"--hostname={self.name}",
            f"--network-namespace-path={namespace}",
            "--capability=CAP_NET_ADMIN",
        ]
        return (
            self._start_unit(nspawn, machine, console)
            if SYSTEMD_BOOTED.is_dir()
            else self._start_detached(nspawn, machine, console)
        )

    def _start_unit(self, nspawn: list[str], machine: MachineState, console: Path) -> Process:
        """As a transient unit of the host's systemd, so that it outlives the user's session."""
        properties = ["Delegate=yes", "KillMode=mixed", "TasksMax=16384", f"StandardOutput=append:{console}"]
        properties += [
            f"StandardError=append:{console}",
            "Slice=machine.slice",
            f"TimeoutStopSec={STOP_SECONDS:.0f}",
        ]
        properties += [f"RestartForceExitStatus={_REBOOT}", f"SuccessExitStatus={_REBOOT}"]
        properties += ["CollectMode=inactive-or-failed"]
        if machine.memory_mb:
            properties += [f"MemoryMax={machine.memory_mb}M"]
        run("systemctl", "reset-failed", self._unit, check=False)
        run(
            "systemd-run",
            "--quiet",
            f"--unit={self._unit}",
            *(f"--property={p}" for p in properties),
            *nspawn,
        )
        process = unit_process(self._unit)
        if process is None:
            raise LabError(f"{self.name} did not start: {self.console_tail()}")
        machine.unit = self._unit
        return process

    def _start_detached(self, nspawn: list[str], machine: MachineState, console: Path) -> Process:
        """As a process of its own session, in a control group of its own.

        Without a group of its own each machine's systemd would find the others' processes in what it takes
        for its own groups, and end them.
        """
        pid_file = self.directory / "pid"
        pid_file.unlink(missing_ok=True)
        groups = self._make_cgroups(machine)
        argv = ["setsid", "--fork", "sh", "-c", _KEEPER, "sh", str(pid_file), str(console)]
        run(*argv, *(str(group) for group in groups), "--", *nspawn)
        limit = time.monotonic() + 10
        while not pid_file.exists():
            if time.monotonic() > limit:
                raise LabError(f"{self.name} did not start: {self.console_tail()}")
            time.sleep(0.02)
        process = Process.of(int(pid_file.read_text()))
        if process is None:
            raise LabError(f"{self.name} ended at once: {self.console_tail()}")
        return process

    def _cgroup_paths(self) -> list[Path]:
        """Our group in systemd's own hierarchy of version 1, in version 2, and in the memory controller's."""
        tops = [_CGROUPS / "systemd", _CGROUPS / "unified", _CGROUPS / "memory", _CGROUPS]
        return [top / self.full_name for top in tops if (top / "cgroup.procs").exists()]

    def _make_cgroups(self, machine: MachineState) -> list[Path]:
        made = []
        for group in self._cgroup_paths():
            if group.parent.name == "memory" and not machine.memory_mb:
                continue
            try:
                group.mkdir(exist_ok=True)
            except OSError:
                # Read-only in some containers; nspawn then uses the group that we are in.
                continue
            made.append(group)
        if machine.memory_mb:
            self._limit_memory(made, machine.memory_mb)
        return made

    def _limit_memory(self, groups: list[Path], megabytes: int) -> None:
        for group in groups:
            for name in ("memory.limit_in_bytes", "memory.max"):
                if (group / name).exists():
                    (group / name).write_text(str(megabytes * 1024 * 1024))
                    return
        raise LabError(
            "This computer cannot limit a machine's memory: it has no memory controller",
            "Leave out the limit.",
        )

    def wait_for_ssh(self, address: str, port: int, process: Process) -> None:
        """Wait until the machine's SSH server says who it is.

        Raises:
            LabError: the machine ended, or did not answer within `BOOT_SECONDS`; with the end of its console.
        """
        limit = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < limit:
            if not process.alive():
                raise LabError(f"{self.name} ended while it was starting: {self.console_tail()}")
            try:
                with socket.create_connection((address, port), timeout=2) as connection:
                    if connection.recv(64).startswith(b"SSH-2.0"):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise LabError(
            f"{self.name} did not answer on {address} port {port} within {BOOT_SECONDS:.0f} seconds: "
            f"{self.console_tail()}",
            "Is this computer short of memory, or does its firewall keep it from its own bridge?",
        )

    def console_tail(self) -> str:
        """The last lines that the machine wrote to its console, in one line."""
        try:
            text = self.files.console(self.name).read_text(errors="replace")
        except FileNotFoundError:
            return "it wrote nothing"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return " / ".join(lines[-6:]) or "it wrote nothing"

    def shut_down(self, process: Process | None, report: Report) -> None:
        """Shut the machine down as an administrator would, and by force if that takes too long."""
        if process is not None and process.alive():
            # systemd-nspawn(1) turns this into a clean shutdown of the machine.
            process.send(signal.SIGTERM)
            if not process.wait(STOP_SECONDS):
                report(f"{self.name} does not shut down; ending it")
        self.end(process)

    def end(self, process: Process | None) -> None:
        """End every process of the machine at once, whoever started it and whatever became of that."""
        if SYSTEMD_BOOTED.is_dir():
            run("systemctl", "kill", "--signal=SIGKILL", self._unit, check=False)
        namespace = network.namespace_path(self.files.names.id, self.name)
        for _ in range(3):
            found = [process] if process is not None and process.alive() else []
            for group in self._cgroup_paths():
                found += processes_in_cgroup(group)
            found += processes_in_namespace(namespace)
            if not found:
                break
            kill(found)
        if SYSTEMD_BOOTED.is_dir():
            run("systemctl", "stop", self._unit, check=False)
            run("systemctl", "reset-failed", self._unit, check=False)

    def release_host(self, octet: int | None) -> None:
        """Give back what a stopped machine holds of the host: mounts, namespace, cable, groups, locks."""
        if self.root.is_dir():
            about = self.root.stat()
            with contextlib.suppress(OSError):
                (_NSPAWN / "locks" / f"inode-{about.st_dev}:{about.st_ino}").unlink()
        unmount(self.directory)
        network.remove_machine(self.files.names.id, self.name, octet)
        for group in self._cgroup_paths():
            for path in cgroups(group):
                with contextlib.suppress(OSError):
                    path.rmdir()
        for part in ("propagate", "unix-export"):
            with contextlib.suppress(OSError):
                (_NSPAWN / part / self.full_name).rmdir()

    def destroy(self, process: Process | None, octet: int | None) -> None:
        """Remove the machine and its disk for good."""
        self.end(process)
        self.release_host(octet)
        remove_tree(self.directory)
        (self.directory.parent / f".#{self.name}.lck").unlink(missing_ok=True)
        self.files.console(self.name).unlink(missing_ok=True)


def _drop_old(cache: Path) -> None:
    """Remove downloads that were kept long ago: the disk is not ours alone."""
    limit = time.time() - _KEEP_DAYS * 86400
    for path in cache.rglob("*"):
        if path.is_file() and path.stat().st_mtime < limit:
            path.unlink()


def _mode(path: Path, default: int) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return default


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        # The cache lies on another file system.
        shutil.copy2(source, target)
    return target


def _copy_regular(name: str, folder: int, target: Path) -> int:
    """Copy a regular file of a machine's disk; returns how many were copied."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return 0
    with os.fdopen(handle, "rb") as source:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return 0
        temporary = target.with_name(f".{target.name}.new")
        with temporary.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        temporary.replace(target)
    return 1


def machine_directories(files: LabFiles) -> Iterator[str]:
    """Names of the machines that have a directory, with or without an entry in the lab's state."""
    folder = files.directory / "machines"
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            yield path.name
