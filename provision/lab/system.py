"""The host's processes, mounts and locks, as the lab uses them."""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel

from provision.errors import LabError

#: Says what is being done, in one line.
Report = Callable[[str], None]

#: systemd's own test for "systemd is pid 1", see sd_booted(3).
SYSTEMD_BOOTED = Path("/run/systemd/system")

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """A small environment for the programs that we start: an ordinary user's PATH lacks /usr/sbin."""
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"} | (extra or {})


def run(*argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program and catch its output.

    Args:
        argv: program and arguments.
        stdin: what it reads; nothing when None.
        check: whether a failure is an error.

    Raises:
        LabError: it is missing, or it failed and `check` is set; with its own words.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"The program {argv[0]} is missing", "Run provision/lab/setup.sh.") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise LabError(f"“{' '.join(argv[:4])}…” failed: {said}")
    return done


def boot_id() -> str:
    """Identifies this boot of the kernel (random(4)): process numbers mean nothing in the next one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """When a process started, in ticks since boot (proc(5), stat, field 22); None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets and may itself hold spaces and brackets.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


class Process(BaseModel):
    """A process that cannot be taken for another one: a number alone is given out again."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that has this number now, if there is one."""
        started = start_time(pid)
        return None if started is None else cls(pid=pid, started=started, boot=boot_id())

    def alive(self) -> bool:
        return self.boot == boot_id() and start_time(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Asked after the handle is open: from here on the number cannot change its owner unnoticed.
            if self.alive():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended; False when it has not after so many seconds."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            return bool(select.select([handle], [], [], seconds)[0])
        finally:
            os.close(handle)


def unit_process(unit: str) -> Process | None:
    """The main process of a unit of the host's systemd; None when it has none."""
    pid = run("systemctl", "show", "--property=MainPID", "--value", unit, check=False).stdout.strip()
    return Process.of(int(pid)) if pid.isdigit() and int(pid) else None


def kill(processes: Sequence[Process], seconds: float = 15) -> None:
    """End processes at once and wait until they are gone.

    Raises:
        LabError: one of them is still there after that time.
    """
    for process in processes:
        process.send(signal.SIGKILL)
    limit = time.monotonic() + seconds
    for process in processes:
        if not process.wait(max(0.1, limit - time.monotonic())):
            raise LabError(
                f"Process {process.pid} of a lab machine does not end",
                "It may hang in the kernel (see `ps`); restart this computer if it stays.",
            )


def processes_in_namespace(namespace: Path) -> list[Process]:
    """Processes whose network namespace is the one bound to a path."""
    try:
        wanted = namespace.stat()
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            own = (entry / "ns/net").stat()
        except OSError:
            continue
        if (own.st_dev, own.st_ino) == (wanted.st_dev, wanted.st_ino):
            process = Process.of(int(entry.name))
            if process is not None:
                found.append(process)
    return found


def cgroups(top: Path) -> list[Path]:
    """A control group and all below it, the innermost first; groups may come and go meanwhile."""
    return [Path(path) for path, _, _ in os.walk(top, topdown=False)]


def processes_in_cgroup(top: Path) -> list[Process]:
    """Processes in a control group and those below it."""
    found = []
    for group in cgroups(top):
        with contextlib.suppress(OSError):
            for line in (group / "cgroup.procs").read_text().split():
                process = Process.of(int(line))
                if process is not None:
                    found.append(process)
    return found


def mount_points(below: Path) -> list[Path]:
    """Mount points at or below a directory, the innermost first (proc(5), mountinfo)."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if point == below or below in point.parents:
            points.append(point)
    return sorted(points, key=lambda path: len(path.parts), reverse=True)


def unmount(below: Path) -> None:
    """Unmount everything at and below a directory.

    Raises:
        LabError: something stays mounted.
    """
    for point in mount_points(below):
        for attempt in range(20):
            done = run("umount", str(point), check=False)
            if done.returncode == 0 or point not in mount_points(below):
                break
            # The kernel lets go of a killed machine's files a moment after its last process is gone.
            time.sleep(0.05 * (attempt + 1))
        else:
            # Something on the host (a shell, a file indexer) is in there: detach it now, the kernel tidies up
            # later.
            run("umount", "--lazy", str(point), check=False)
    left = mount_points(below)
    if left:
        raise LabError(f"{left[0]} stays mounted", f"Find out who uses it: fuser -vm {left[0]}")


def remove_tree(path: Path) -> None:
    """Remove a directory, but never anything that is mounted there.

    Raises:
        LabError: something is mounted there.
    """
    if mount_points(path):
        raise LabError(f"{path} is not removed: something is mounted there")
    if path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def lock(
    path: Path, report: Report | None = None, waiting_for: str = "", *, block: bool = True
) -> Iterator[None]:
    """Hold a lock that the kernel takes back when this process dies.

    Args:
        path: the lock file; it stays.
        report: told when somebody else holds it.
        waiting_for: what the other one does.
        block: whether to wait for the other one.

    Raises:
        BlockingIOError: somebody else holds it and `block` is not set.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not block:
                    raise
                if report and waiting_for:
                    report(f"Waiting: {waiting_for}")
                fcntl.flock(handle, fcntl.LOCK_EX)
            # The former holder may have removed the file (`remove_locks`): then what we hold protects
            # nothing.
            if _same_file(handle, path):
                yield
                return
        finally:
            os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def remove_locks(directory: Path) -> None:
    """Remove the lock files of a directory that nobody holds, and the directory when it is empty then."""
    for path in directory.glob("*.lock"):
        with contextlib.suppress(BlockingIOError), lock(path, block=False):
            path.unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()


def write_file(path: Path, text: str, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Replace a file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, mode)
        if owner is not None:
            os.fchown(handle, *owner)
        file.write(text)
    temporary.replace(path)


@contextlib.contextmanager
def directory_inside(root: Path, relative: str) -> Iterator[int]:
    """Open a directory of a machine's disk without following any link out of it.

    A machine's root user decides what lies on its disk; a link there must not lead the host astray.

    Args:
        root: the machine's root directory.
        relative: path below it, such as "etc".

    Raises:
        LabError: a part of the path is a link or no directory.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(root, flags)
    try:
        for part in Path(relative).parts:
            try:
                deeper = os.open(part, flags, dir_fd=handle)
            except OSError as error:
                raise LabError(
                    f"{relative} on the machine's disk cannot be used: {error.strerror}"
                ) from error
            os.close(handle)
            handle = deeper
        yield handle
    finally:
        os.close(handle)


def read_inside(root: Path, directory: str, name: str, limit: int = 1_000_000) -> str:
    """Read a small regular file of a machine's disk; empty when it is missing or no regular file."""
    with directory_inside(root, directory) as folder:
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return ""
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return ""
            return file.read(limit).decode(errors="replace")


def write_inside(root: Path, directory: str, name: str, text: str, mode: int = 0o644) -> None:
    """Replace a file of a machine's disk in one step, owned by root."""
    with directory_inside(root, directory) as folder:
        temporary = f".{name}.provision-lab"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, mode, dir_fd=folder)
        with os.fdopen(handle, "w") as file:
            os.fchmod(handle, mode)
            file.write(text)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
