"""One SSH connection to a school's host, with paramiko: for the lock, preflight, and probes.

Host keys are always checked, against the workspace's own ``known_hosts`` and nothing else. An entry is stored under
the name by which the school file knows the host (``host_key_name``), so that a changed address needs no new trust
and an address that somebody else takes over brings none.
"""

import base64
import hashlib
import logging
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from provision import names
from provision.errors import HostKeyError, KeyRefusedError, RefusedError
from provision.files import ReadOnce, write_atomically
from provision.model import ResolvedHost, Workspace
from provision.secrets.store import become_password_name
from provision.text import printable, said_by

# Its threads tell their mishaps to the log, which without a handler is the terminal of whoever works there.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

#: Seconds until a host that does not answer counts as unreachable.
CONNECT_TIMEOUT = 10.0
#: The account of support people (role base): it runs the probe program, whatever else it asks for.
SUPPORT_USER = "provision-health"
#: Nothing that a host sends back may fill the operator's memory.
OUTPUT_LIMIT = 4 * 1024 * 1024


def host_key_name(host: ResolvedHost) -> str:
    """The name of a host in ``known_hosts``, as OpenSSH writes it."""
    return known_hosts_name(host.address, host.port)


def known_hosts_name(address: str, port: int) -> str:
    """``address``, or ``[address]:port`` where the port is not 22."""
    return address if port == 22 else f"[{address}]:{port}"


def fingerprint(key: paramiko.PKey) -> str:
    """The fingerprint as OpenSSH prints it, such as ``SHA256:…``."""
    return blob_fingerprint(key.asbytes())


def blob_fingerprint(blob: bytes) -> str:
    """The fingerprint of a public key as it stands on the wire (RFC 4253, section 6.6)."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class JumpHost:
    """A parsed ``jump`` value."""

    user: str
    address: str
    port: int

    @classmethod
    def parse(cls, text: str, default_user: str) -> "JumpHost":
        """Read ``[user@]host[:port]``."""
        user, _, rest = text.rpartition("@")
        address, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
        return cls(user or default_user, address.strip("[]"), int(port or 22))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on a host answered."""

    status: int
    out: str
    err: str


def _read_key(keys: paramiko.HostKeys, line: str, number: int) -> None:
    if len(line.split()) < 3:
        raise ValueError("it is no host key")
    entry = HostKeyEntry.from_line(line, number)
    # None: of a kind that paramiko does not know.
    if entry is None or entry.key is None:
        return
    for name in entry.hostnames or ():
        keys.add(name, entry.key.get_name(), entry.key)


def _read_keys(file: Path) -> paramiko.HostKeys:
    keys = paramiko.HostKeys()
    number = 0
    try:
        for number, line in enumerate(file.read_text("utf-8").splitlines() if file.exists() else (), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                _read_key(keys, line.strip(), number)
    # What a damaged key makes of itself is anything: a text that is none, a number that is too large.
    except (OSError, paramiko.SSHException, InvalidHostKey, ValueError, IndexError, OverflowError) as error:
        raise RefusedError(
            f"{file}{f', line {number}' if number else ''} cannot be read: {error}",
            "restore it from version control, or remove that line, then: provision school trust SCHOOL",
        ) from error
    return keys


_known_keys = ReadOnce(_read_keys)


def known_keys(workspace: Workspace) -> paramiko.HostKeys:
    """The host keys that the workspace trusts, to be looked at only.

    Raises:
        RefusedError: the file cannot be read.
    """
    return _known_keys(workspace.known_hosts)


def _check_host_key(
    trusted: Mapping[str, paramiko.PKey] | None, name: str, key: paramiko.PKey, school: str
) -> None:
    if trusted is None:
        raise HostKeyError(
            f"the host key of {name} is not known yet ({key.get_name()} {fingerprint(key)})",
            f"compare the fingerprint with the server's console, then: provision school trust {school}",
        )
    same_kind = trusted.get(key.get_name())
    if same_kind is None or same_kind.asbytes() != key.asbytes():
        former = ", ".join(f"{kind} {fingerprint(stored)}" for kind, stored in trusted.items())
        raise HostKeyError(
            f"THE HOST KEY OF {name} HAS CHANGED. Trusted: {former}. Now: {key.get_name()} {fingerprint(key)}.",
            "Somebody may be listening in, or the server was set up anew. Nothing was sent. If you know that the "
            f"server is new, compare the new fingerprint with its console, then: "
            f"provision school trust {school} --replace",
        )


class Connection:
    """An authenticated connection to one host of a school.

    Args:
        workspace: gives ``known_hosts`` and the names.
        school: id, for messages.
        host: the host.

    Raises:
        HostKeyError: its key is unknown or changed.
        RefusedError: it cannot be reached, or does not let us in.
    """

    def __init__(
        self, workspace: Workspace, school: str, host: ResolvedHost, sudo_password: str | None = None
    ) -> None:
        self.host = host
        self.school = school
        self._sudo_password = sudo_password
        self._transports: list[paramiko.Transport] = []
        #: Fingerprint of our key that the host accepted, for the record.
        self.own_key_fingerprint = ""
        try:
            if host.jump:
                jump = JumpHost.parse(host.jump, host.user)
                through = self._open(
                    workspace,
                    self._socket(workspace, jump.address, jump.port),
                    jump.address,
                    jump.port,
                    jump.user,
                )
                # Its name may be one that only the jump host knows.
                address = names.resolve_own(workspace.names_file, host.address) or host.address
                channel = through.open_channel(
                    "direct-tcpip", (address, host.port), ("127.0.0.1", 0), timeout=CONNECT_TIMEOUT
                )
                self.transport = self._open(workspace, channel, host.address, host.port, host.user)
            else:
                plain = self._socket(workspace, host.address, host.port)
                self.transport = self._open(workspace, plain, host.address, host.port, host.user)
        except (OSError, paramiko.SSHException, EOFError) as error:
            self.close()
            raise RefusedError(
                f"{host.name} ({host.address}, port {host.port}) of {school} cannot be reached: {_said(error)}",
                "check that the server is on and the address in the school file is right: "
                f"ssh -p {host.port} {host.user}@{host.address}",
            ) from error
        except BaseException:
            self.close()
            raise

    def _socket(self, workspace: Workspace, address: str, port: int) -> socket.socket:
        return socket.create_connection(
            (names.resolve(workspace.names_file, address), port), timeout=CONNECT_TIMEOUT
        )

    def _open(
        self, workspace: Workspace, sock: socket.socket | paramiko.Channel, address: str, port: int, user: str
    ) -> paramiko.Transport:
        transport = paramiko.Transport(sock)
        self._transports.append(transport)
        transport.banner_timeout = transport.auth_timeout = CONNECT_TIMEOUT
        name = known_hosts_name(address, port)
        trusted = known_keys(workspace).lookup(name)
        if trusted:
            # Ask for the kinds of key that we know, so that a server with several shows one that can be compared.
            options = transport.get_security_options()
            preferred = [
                kind for kind in options.key_types if _key_family(kind) in {_key_family(k) for k in trusted}
            ]
            options.key_types = preferred + [kind for kind in options.key_types if kind not in preferred]
        transport.start_client(timeout=CONNECT_TIMEOUT)
        _check_host_key(trusted, name, transport.get_remote_server_key(), self.school)
        transport.set_keepalive(10)
        self._authenticate(transport, user)
        return transport

    def _authenticate(self, transport: paramiko.Transport, user: str) -> None:
        tried: list[str] = []
        hung_up = False
        for key in self._keys():
            try:
                transport.auth_publickey(user, key)
            except paramiko.AuthenticationException:
                tried.append(fingerprint(key))
                continue
            except (paramiko.SSHException, EOFError):
                if not tried or transport.is_active():
                    raise
                # sshd hangs up after some keys (sshd_config(5), MaxAuthTries: 6), and ours may have been the next.
                hung_up = True
                break
            self.own_key_fingerprint = fingerprint(key)
            return
        where = str(self.host.ssh_key) if self.host.ssh_key else "ssh-agent"
        remedy = (
            "put your public key into the server's authorized_keys, load the key with ssh-add, or set ssh_key in "
            "the school file"
        )
        if hung_up:
            remedy = "the server hangs up after so many keys: name the right one (ssh_key in the school file)"
        if user == SUPPORT_USER:
            remedy = (
                "send the city the public half of your key (the file that ends in .pub), and ask for: "
                f"provision health grant {self.school} --key FILE"
            )
        raise KeyRefusedError(
            f"{self.host.address} does not let {user} in with the keys of {where} "
            f"({', '.join(tried) or 'it has none'})",
            remedy,
        )

    def _keys(self) -> list[paramiko.PKey]:
        if self.host.ssh_key:
            try:
                return [paramiko.PKey.from_path(self.host.ssh_key.expanduser())]
            except (
                OSError, paramiko.SSHException, ValueError, TypeError, AttributeError,
                UnsupportedAlgorithm, paramiko.pkey.UnknownKeyType,
            ) as error:  # fmt: skip
                # The last three are a security key's, a key of another use, and a curve that SSH does not know.
                then = "use --identity agent" if self.host.user == SUPPORT_USER else "leave ssh_key out"
                raise RefusedError(
                    f"the SSH key {self.host.ssh_key} cannot be read: {error}",
                    f"a key with a passphrase belongs into the agent: ssh-add FILE, and {then}",
                ) from error
        return list(paramiko.Agent().get_keys())

    @property
    def key_fingerprint(self) -> str:
        """Fingerprint of the host's key, for the record."""
        return fingerprint(self.transport.get_remote_server_key())

    def sudo(self, command: str) -> tuple[str, str]:
        """A command line that runs ``command`` as root, and what must be sent first on its standard input.

        sudo may or may not read the password (it does not where the user needs none, or has just given it): a line with
        a random mark follows it, and what comes before the mark never reaches the command.
        """
        if self.host.user == "root":
            return command, ""
        if self._sudo_password is None:
            return f"sudo -n -- sh -c {shlex.quote(command)}", ""
        mark = secrets.token_hex(16)
        skip = f'while IFS= read -r line && [ "$line" != {mark} ]; do :; done; {command}'
        return f"sudo -S -p '' -- sh -c {shlex.quote(skip)}", f"{self._sudo_password}\n{mark}\n"

    def check_sudo(self) -> None:
        """See that we can become root; standard input ends at once, so that a wrong password is not asked for again.

        Raises:
            RefusedError: we cannot.
        """
        if self.host.user == "root":
            return
        answer = self.run("true", root=True, timeout=30)
        if answer.status != 0:
            name = become_password_name(self.host.name)
            raise RefusedError(
                f"{self.host.user} cannot become root on {self.host.address}: {printable(answer.err.strip())[-300:]}",
                f"is the sudo password right? provision secrets set {self.school} {name}"
                if self._sudo_password is not None
                else "give the user password-less sudo there, or write become_password: true for the host and put the "
                f"password into the vault: provision secrets set {self.school} {name}",
            )

    def run(self, command: str, *, stdin: str = "", root: bool = False, timeout: float = 60.0) -> Answer:
        """Run one command and wait for it.

        Args:
            command: for the remote user's shell.
            stdin: its standard input.
            root: as root, with sudo where needed.
            timeout: seconds without any output until we give up; for the whole answer four times as many.

        Raises:
            RefusedError: the connection broke or the time ran out.
        """
        before = ""
        if root:
            command, before = self.sudo(command)
        try:
            channel = self.transport.open_session(timeout=CONNECT_TIMEOUT)
            channel.settimeout(timeout)
            channel.exec_command(command)
            channel.sendall((before + stdin).encode())
            channel.shutdown_write()
            deadline = time.monotonic() + 4 * timeout
            with channel:
                out = read_until(channel.recv, deadline, OUTPUT_LIMIT)
                err = read_until(channel.recv_stderr, deadline, OUTPUT_LIMIT)
                # recv_exit_status alone would wait for ever for a server that says nothing more.
                ended = channel.status_event.wait(timeout)
                status = channel.recv_exit_status() if ended else -1
        except (OSError, paramiko.SSHException, EOFError) as error:
            raise RefusedError(
                f"the connection to {self.host.address} broke: {error or 'no answer in time'}",
                "check the line and the server, then run the command again",
            ) from error
        return Answer(status, _decode(out), _decode(err))

    def close(self) -> None:
        """Close the connection and the one to the jump host."""
        for transport in reversed(self._transports):
            transport.close()
        self._transports.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_until(read: Callable[[int], bytes], deadline: float, most: int) -> bytes:
    """All that comes, up to a limit: a server that sends a byte now and then holds nobody up for ever.

    Args:
        read: gives some bytes, at most as many as asked for; none at the end.
        deadline: by ``time.monotonic()``.

    Raises:
        TimeoutError: it did not end before.
    """
    data = bytearray()
    while len(data) < most:
        if time.monotonic() > deadline:
            raise TimeoutError("its answer did not end in time")
        more = read(min(65536, most - len(data)))
        if not more:
            break
        data += more
    return bytes(data)


def _key_family(kind: str) -> str:
    """``rsa-sha2-512`` and ``ssh-rsa`` are signatures of one kind of key."""
    return "ssh-rsa" if kind.startswith("rsa-") else kind


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def scan_host_key(
    workspace: Workspace, school: str, address: str, port: int, behind: ResolvedHost | None
) -> paramiko.PKey:
    """Ask a server for its host key without trusting it or logging in (``provision school trust``).

    Args:
        behind: the host whose jump host leads there; the jump host must be trusted already.

    Raises:
        RefusedError: it does not answer as an SSH server.
    """
    try:
        if behind and behind.jump:
            jump = JumpHost.parse(behind.jump, behind.user)
            gate = replace(behind, address=jump.address, port=jump.port, user=jump.user, jump=None)
            with Connection(workspace, school, gate) as through:
                target = (names.resolve_own(workspace.names_file, address) or address, port)
                channel = through.transport.open_channel(
                    "direct-tcpip", target, ("127.0.0.1", 0), timeout=CONNECT_TIMEOUT
                )
                with paramiko.Transport(channel) as transport:
                    transport.start_client(timeout=CONNECT_TIMEOUT)
                    return transport.get_remote_server_key()
        sock = socket.create_connection(
            (names.resolve(workspace.names_file, address), port), timeout=CONNECT_TIMEOUT
        )
        with sock, paramiko.Transport(sock) as transport:
            transport.start_client(timeout=CONNECT_TIMEOUT)
            return transport.get_remote_server_key()
    except (OSError, paramiko.SSHException, EOFError) as error:
        raise RefusedError(
            f"{address}, port {port}, does not answer as an SSH server: {_said(error)}",
            "check the address and the port in the school file, and that the server is on",
        ) from error


def _said(error: Exception) -> str:
    """Why a server did not let itself be spoken to, in words."""
    silent = ("No existing session", "Error reading SSH protocol banner", "Timeout opening channel")
    if isinstance(error, paramiko.SSHException) and str(error).startswith(silent):
        return "it took the connection and said nothing"
    return said_by(error)


def trust(workspace: Workspace, name: str, key: paramiko.PKey, *, forget: bool) -> None:
    """Store a host key in the workspace's ``known_hosts``.

    Args:
        name: as ``known_hosts_name`` gives it.
        forget: drop what was stored under that name before.
    """
    lines: list[str] = []
    if workspace.known_hosts.exists():
        lines = workspace.known_hosts.read_text(encoding="utf-8").splitlines()
    if forget:
        lines = [line for line in lines if line.split(" ", 1)[0] != name]
    entry = f"{name} {key.get_name()} {key.get_base64()}"
    if entry not in lines:
        lines.append(entry)
    write_atomically(workspace.known_hosts, ("\n".join(lines) + "\n").encode())


def trust_like(workspace: Workspace, name: str, known_hosts: Path, address: str) -> None:
    """Trust the keys that another ``known_hosts`` file has for an address, and no others (the lab made its servers).

    Args:
        name: as ``known_hosts_name`` gives it.
    """
    forget = True
    for key in (paramiko.HostKeys(str(known_hosts)).lookup(address) or {}).values():
        trust(workspace, name, key, forget=forget)
        forget = False
