"""Disposable servers on this computer, for the demo and the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision import errors, paths
from provision.errors import LabError, RefusedError, UsageError
from provision.lab import sources
from provision.lab.base import extra_certificates
from provision.lab.names import (
    check_machine_name,
    check_release,
    hosts_lines,
    known_hosts_lines,
    lab_id,
)
from provision.lab.privileged import Request, perform
from provision.lab.state import LabFiles, LabState, MachineState
from provision.lab.system import Report, environment, lock, write_file

_TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"

# -I: nothing of the caller's environment or directory decides what root runs; -B: no files of root's in the
# checkout.
_AS_ROOT = (
    "import sys; sys.path.insert(0, sys.argv.pop()); from provision.lab._privileged import main; main()"
)


def _silent(_line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Machine:
    """A lab machine, as it was when asked for.

    Args:
        name: its name.
        release: code name of its Debian release.
        system: the system's name in `service.yml`, such as "debian-12".
        address: its IPv4 address.
        port: where its SSH server listens.
        ready: whether it was made to the end; False while it is being made.
        state: the lab's notes on it.
        ssh_key: private key that root's account on it accepts.
        known_hosts: file with its host keys.
        console_log: what it wrote to its console.
    """

    name: str
    release: str
    system: str
    address: str
    port: int
    ready: bool
    state: MachineState = field(repr=False)
    ssh_key: Path
    known_hosts: Path
    console_log: Path

    @property
    def running(self) -> bool:
        """Whether it runs at this moment."""
        return self.state.running()

    @property
    def pid(self) -> int | None:
        """Number of its process on this computer, while it runs."""
        process = self.state.current()
        return process.pid if process is not None else None

    def ssh_command(self, *command: str) -> list[str]:
        """The command line that opens a shell on it as root, or runs a command there."""
        return [
            "ssh",
            "-F",
            "none",
            "-i",
            str(self.ssh_key),
            "-p",
            str(self.port),
            "-o",
            f"UserKnownHostsFile={self.known_hosts}",
            "-o",
            "GlobalKnownHostsFile=none",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "LogLevel=ERROR",
            f"root@{self.address}",
            *(["--", *command] if command else []),
        ]


class Lab:
    """The lab of one checkout or workspace.

    Two directories have two labs, which share nothing but base images and downloaded packages.

    Args:
        directory: whose lab it is; by default the checkout that this program runs from, or for an installed
        program the
            current directory.
        report: told what is being done, a line at a time.
    """

    def __init__(self, directory: Path | None = None, report: Report = _silent) -> None:
        checkout = paths.PACKAGE.parent
        own = checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()
        self.directory = (directory or own).resolve()
        self.id = lab_id(self.directory)
        self.report = report
        self._files = LabFiles(self.id)
        self._private = self.directory / ".lab"

    # --- what others need to reach the machines -------------------------------------------------------------

    @property
    def ssh_key(self) -> Path:
        """The lab's private key; made by the first `up`."""
        return self._private / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of all machines, in OpenSSH's format."""
        return self._private / "known_hosts"

    @property
    def hosts_file(self) -> Path:
        """Names and addresses of all machines, in the format of hosts(5)."""
        return self._private / "hosts"

    def machines(self) -> list[Machine]:
        """All machines, running or not, by name.

        Raises:
            LabError: the lab's notes are damaged.
        """
        state = self._files.load()
        return [self._machine(state, entry) for _, entry in sorted(state.machines.items())] if state else []

    def machine(self, name: str) -> Machine:
        """One machine.

        Raises:
            UsageError: there is none of that name.
        """
        machines = self.machines()
        for machine in machines:
            if machine.name == name:
                return machine
        known = ", ".join(machine.name for machine in machines)
        raise UsageError(
            f"There is no lab machine {name}",
            f"There are: {known}." if known else f"Make it with: provision lab up {name}",
        )

    # --- orders ---------------------------------------------------------------------------------------------

    def up(
        self,
        name: str,
        release: str = "bookworm",
        *,
        memory: int | None = None,
        authorized_key: Path | None = None,
        ssh_port: int = 22,
    ) -> Machine:
        """Return a running machine: the one that is there (a stopped one keeps its disk), or a new one.

        Args:
            name: its name, lower case.
            release: code name of a Debian release; must be the machine's own if it is there already.
            memory: limit in megabytes, for a new machine.
            authorized_key: a further public key that may log in as root, for a new machine.
            ssh_port: where its SSH server listens, for a new machine.

        Raises:
            LabError: it could not be made or did not start.
            RefusedError: this computer cannot run a lab; with the remedy.
            UsageError: the name or the release is wrong.
        """
        check_machine_name(name)
        check_release(release)
        keys = [self._ensure_key()]
        if authorized_key is not None:
            keys.append(authorized_key.read_text().strip())
        self._order(
            "up",
            name=name,
            release=release,
            memory_mb=memory,
            ssh_port=ssh_port,
            authorized_keys=keys,
            settings=self._settings(os.environ),
        )
        return self.machine(name)

    def start(self, name: str) -> Machine:
        """Start a stopped machine with the disk it had.

        Raises:
            LabError: it did not start.
            UsageError: there is none of that name.
        """
        return self.up(name, self.machine(name).release)

    def stop(self, name: str) -> None:
        """Shut a machine down; its disk stays.

        Raises:
            LabError: it could not be stopped.
            UsageError: there is none of that name.
        """
        self._order("stop", name=name)

    def down(self, name: str | None = None) -> list[str]:
        """Remove a machine with its disk, or all of them and with the last one everything that the lab made.

        Also finds and removes what a killed process left half-made. Does nothing where there is nothing.

        Returns:
            the names of the machines removed.

        Raises:
            LabError: something could not be removed.
            UsageError: there are machines, but none of that name.
        """
        removed = self._order("down", name=name)
        return [str(each) for each in removed] if isinstance(removed, list) else []

    def harvest(self, name: str) -> int:
        """Keep the packages that a machine has downloaded, for the machines after it.

        Happens by itself when a machine is stopped or removed.

        Returns:
            the number of files that were new.
        """
        count = self._order("harvest", name=name)
        return count if isinstance(count, int) else 0

    def add_name(self, hostname: str, name: str) -> None:
        """Let a host name lead to a machine, in the tool (`hosts_file`) and on every machine of the lab.

        The hosts file of this computer is not touched.

        Raises:
            UsageError: the name is no host name, or there is no such machine.
        """
        self._order("add_name", name=name, hostname=hostname)

    # --- how it is done -------------------------------------------------------------------------------------

    def _machine(self, state: LabState, entry: MachineState) -> Machine:
        return Machine(
            name=entry.name,
            release=entry.release,
            system=entry.system,
            address=state.address(entry) if state.subnet else "",
            port=entry.ssh_port,
            ready=entry.phase == "ready",
            state=entry,
            ssh_key=self.ssh_key,
            known_hosts=self.known_hosts,
            console_log=self._files.console(entry.name),
        )

    def _ensure_private(self) -> None:
        self._private.mkdir(mode=0o700, exist_ok=True)
        self._private.chmod(0o700)
        ignore = self._private / ".gitignore"
        if not ignore.exists():
            write_file(ignore, "*\n")

    def _ensure_key(self) -> str:
        self._ensure_private()
        with lock(self._private / "lock"):
            if not self.ssh_key.exists():
                new = self.ssh_key.with_suffix(".new")
                for rest in (new, new.with_suffix(".new.pub")):
                    rest.unlink(missing_ok=True)
                argv = [
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    f"provision-lab-{self.id}",
                    "-f",
                    str(new),
                ]
                try:
                    subprocess.run(argv, check=True, capture_output=True, env=environment())
                except FileNotFoundError as error:
                    raise RefusedError(
                        "The program ssh-keygen is missing", "Run provision/lab/setup.sh."
                    ) from error
                except subprocess.CalledProcessError as error:
                    raise LabError(
                        f"No SSH key could be made: {error.stderr.decode(errors='replace')}"
                    ) from error
                new.with_suffix(".new.pub").replace(self.ssh_key.with_suffix(".pub"))
                new.replace(self.ssh_key)
        return self.ssh_key.with_suffix(".pub").read_text().strip()

    def _write_files(self) -> None:
        """Write hosts and known_hosts afresh from the lab's notes."""
        if not self.directory.is_dir():
            return
        self._ensure_private()
        with lock(self._private / "lock"):
            state = self._files.load()
            if state is None or not state.subnet:
                write_file(self.hosts_file, "")
                write_file(self.known_hosts, "")
                return
            write_file(
                self.hosts_file, "".join(f"{line}\n" for line in hosts_lines(state.addresses(), state.names))
            )
            lines = []
            for name, machine in sorted(state.machines.items()):
                names = [name, *(host for host, target in state.names.items() if target == name)]
                lines += known_hosts_lines(state.address(machine), machine.ssh_port, names, machine.host_keys)
            write_file(self.known_hosts, "".join(f"{line}\n" for line in lines))

    def _settings(self, variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """How this computer reaches the network, as far as a machine has to do the same."""
        trusts = bool(extra_certificates())
        environ = sources.proxy_settings(variables)
        if trusts or variables.get("NODE_EXTRA_CA_CERTS"):
            environ["NODE_EXTRA_CA_CERTS"] = _TRUST_STORE
        files = (
            Path("/etc/npmrc"),
            Path("/usr/etc/npmrc"),
            Path("/usr/local/etc/npmrc"),
            Path.home() / ".npmrc",
        )
        npm = sources.npm_settings("\n".join(_read(path) for path in files), variables)
        if trusts or "cafile" in npm:
            npm["cafile"] = _TRUST_STORE
        return {"environment": environ, "npm": npm}

    def _order(self, operation: str, **arguments: object) -> object:
        request = Request.model_validate(
            {
                "operation": operation,
                "directory": str(self.directory),
                "owner": os.getuid(),
                "group": os.getgid(),
                **arguments,
            }
        )
        try:
            if os.geteuid() == 0:
                return perform(request, self.report)
            return self._order_by_sudo(request)
        finally:
            self._write_files()

    def _order_by_sudo(self, request: Request) -> object:
        # Without a terminal nobody could type a password: sudo must say so instead of waiting.
        ask = [] if sys.stdin is not None and sys.stdin.isatty() else ["-n"]
        argv = ["sudo", *ask, "--", sys.executable, "-I", "-B", "-c", _AS_ROOT, str(paths.PACKAGE.parent)]
        try:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            raise RefusedError("The lab needs root, and sudo is not installed", "Run it as root.") from error
        answer: dict[str, object] = {}
        started = False
        with process:
            if process.stdin is not None and process.stdout is not None:
                process.stdin.write(request.model_dump_json())
                process.stdin.close()
                for line in process.stdout:
                    message = json.loads(line)
                    if "started" in message:
                        started = True
                    elif "report" in message:
                        self.report(message["report"])
                    else:
                        answer = message
        if started and not answer:
            raise LabError(
                f"The lab's work as root was cut off (exit code {process.returncode})",
                "Do the same again: what was left half-made is removed first.",
            )
        if not answer:
            raise RefusedError(
                "The lab needs root, and sudo did not give it",
                "Run it as root, or run `sudo -v` first and try again.",
            )
        if "error" in answer:
            kind = getattr(errors, str(answer["error"]), LabError)
            raise kind(str(answer["message"]), str(answer["remedy"]))
        return answer["result"]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
