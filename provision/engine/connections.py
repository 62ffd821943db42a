"""The connections to all hosts of a school."""

from collections.abc import Mapping

from provision.engine.ssh import SUPPORT_USER, Connection
from provision.errors import Problem, RefusedError
from provision.model import ResolvedSchool, Workspace


class Connections:
    """Connections to all hosts of a school, opened once and used by preflight, lock and probes.

    Args:
        sudo_passwords: by host, for those whose user needs one.
    """

    def __init__(
        self, workspace: Workspace, school: ResolvedSchool, sudo_passwords: Mapping[str, str]
    ) -> None:
        self._workspace = workspace
        self._school = school
        self._sudo_passwords = sudo_passwords
        self._open: dict[str, Connection] = {}

    def open(self) -> None:
        """Connect to every host.

        Raises:
            RefusedError: with every host that cannot be reached, not only the first.
        """
        failures = list(self.reach().values())
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise RefusedError(
                f"{len(failures)} hosts of {self._school.id} cannot be used",
                problems=[Problem(error.message, error.remedy) for error in failures],
            )

    def reach(self) -> dict[str, RefusedError]:
        """Connect to every host that can be reached; gives what is wrong with the others, by host."""
        failures = {}
        for host in self._school.hosts.values():
            try:
                self._open[host.name] = self._connect(host.name)
            except RefusedError as error:
                failures[host.name] = error
        return failures

    def __getitem__(self, host: str) -> Connection:
        return self._open[host]

    def run_on(self, host: str, command: str, stdin: str) -> tuple[int, str]:
        """For the probes: status and output (or what it complained of) of a command as root.

        Support people come as they are: their account has no sudo but what the command itself uses. Connects anew
        when the line broke.
        """
        known = self._open.get(host)
        if known is None or not known.transport.is_active():
            if known is not None:
                # By way of a jump host its line to that one would stay.
                known.close()
            self._open[host] = self._connect(host)
        root = self._school.hosts[host].user != SUPPORT_USER
        answer = self._open[host].run(command, stdin=stdin, root=root)
        return answer.status, answer.out if answer.status == 0 else answer.err

    def _connect(self, host: str) -> Connection:
        return Connection(
            self._workspace, self._school.id, self._school.hosts[host], self._sudo_passwords.get(host)
        )

    def close(self) -> None:
        """Close all of them."""
        for connection in self._open.values():
            connection.close()
