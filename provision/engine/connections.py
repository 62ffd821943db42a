"""The connections to all hosts of a school."""

from provision.engine.preparation import Prepared
from provision.engine.ssh import Connection
from provision.errors import Problem, RefusedError


class Connections:
    """Connections to all hosts of a school, opened once and used by preflight, lock and probes."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._open: dict[str, Connection] = {}

    def open(self) -> None:
        """Connect to every host.

        Raises:
            RefusedError: with every host that cannot be reached, not only the first.
        """
        failures: list[RefusedError] = []
        for host in self._prepared.school.hosts.values():
            try:
                self._open[host.name] = Connection(
                    self._prepared.workspace,
                    self._prepared.school.id,
                    host,
                    self._prepared.sudo_passwords.get(host.name),
                )
            except RefusedError as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise RefusedError(
                f"{len(failures)} hosts of {self._prepared.school.id} cannot be used",
                problems=[Problem(error.message, error.remedy) for error in failures],
            )

    def __getitem__(self, host: str) -> Connection:
        return self._open[host]

    def run_on(self, host: str, command: str, stdin: str) -> tuple[int, str]:
        """For the probes: status and output of a command as root; connects anew when the line broke."""
        if host not in self._open or not self._open[host].transport.is_active():
            self._open[host] = Connection(
                self._prepared.workspace,
                self._prepared.school.id,
                self._prepared.school.hosts[host],
                self._prepared.sudo_passwords.get(host),
            )
        answer = self._open[host].run(command, stdin=stdin, root=True)
        return answer.status, answer.out

    def close(self) -> None:
        """Close all of them."""
        for connection in self._open.values():
            connection.close()
