"""How a school is asked whether it is well: over which connections, and what its servers' answers are compared with."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from provision.audit.log import SchoolLog, log_directory
from provision.engine.connections import Connections
from provision.engine.deep import ask_deep
from provision.engine.managed import managed_files
from provision.engine.preparation import services_there, sudo_passwords
from provision.engine.ssh import SUPPORT_USER
from provision.errors import ProvisionError
from provision.health.answers import LastRun
from provision.health.ask import Answers, ask_school
from provision.health.inside import inside
from provision.health.judging.host import ManagedFile
from provision.health.probes import RemoteRun
from provision.health.result import HOST, Finding
from provision.model import ResolvedHost, ResolvedSchool, ResolvedService, Workspace

#: Vaults are opened one after the other: a password client may ask a person, or its keyring, for each.
_vault = threading.Lock()


def ask_whole(
    workspace: Workspace,
    school: ResolvedSchool,
    only: Sequence[str] = (),
    *,
    deep: bool = False,
    ahead: float = 0.0,
) -> Answers:
    """Ask a school all: its services from outside, its hosts from inside.

    Args:
        only: services to ask about; all that are there when empty. Then nothing is said of the servers themselves,
            but for what keeps them from being asked.
        deep: run the acceptance tests of the services as well, which takes minutes.
        ahead: seconds that our own clock is ahead of what it is; for tests.
    """
    there = services_there(workspace, school)
    services = [item for item in there if not only or item.id in only]
    managed = _managed(workspace, school)
    knows = partial(knows_run, workspace, school)

    def clock() -> float:
        return time.time() + ahead

    def look_inside(
        school: ResolvedSchool, services: Sequence[ResolvedService], host: str, run_on: RemoteRun
    ) -> list[Finding]:
        found = inside(
            school, services, host, run_on, managed=managed.get(host, ()), knows=knows, clock=clock
        )
        return [one for one in found if not only or one.service != HOST or one.probe == "probe"]

    answers = ask_school(
        workspace,
        school,
        services,
        _opened(workspace, school),
        inside=look_inside,
        whole=len(services) == len(there),
    )
    if not deep or answers.state == "unreachable":
        return answers
    began = time.monotonic()
    tested = ask_deep(workspace, school, services)
    return replace(
        answers,
        findings=(*answers.findings, *tested),
        seconds=round(answers.seconds + time.monotonic() - began, 3),
    )


def as_support(school: ResolvedSchool, identity: Path | None) -> ResolvedSchool:
    """The school as support people come to it: with their own key, into the account that can only ask.

    Args:
        identity: file of the private key; None for the keys of ssh-agent.
    """

    def host_of(host: ResolvedHost) -> ResolvedHost:
        jump = host.jump
        if jump and "@" not in jump:
            # Without a name the jump host is entered as the user of the host behind it, as the city comes.
            jump = f"{host.user}@{jump}"
        return replace(host, user=SUPPORT_USER, ssh_key=identity, jump=jump, become_password=False)

    return replace(school, hosts={name: host_of(host) for name, host in school.hosts.items()})


def _managed(workspace: Workspace, school: ResolvedSchool) -> Mapping[str, Sequence[ManagedFile]]:
    try:
        return managed_files(workspace, school.id)
    except ProvisionError:
        # That a record is damaged, `audit verify` says; nothing is said of the files then.
        return {}


def knows_run(workspace: Workspace, school: ResolvedSchool, last: LastRun) -> bool | None:
    """Whether our own log has the run that a server names as its last; None where it cannot tell.

    Args:
        last: what the server says.
    """
    try:
        log = SchoolLog.open(log_directory(workspace.path, school.id))
        if not 0 <= last.intent < log.size:
            # Ours may be behind: a colleague's run is in the copy on the server, and comes with the next run.
            return None if last.origin == log.origin else False
        entry = next(log.entries(last.intent, last.intent + 1))
    except (ProvisionError, OSError, StopIteration):
        return None
    return bool(entry.data.get("run") == last.run)


def _opened(workspace: Workspace, school: ResolvedSchool) -> Callable[[], AbstractContextManager[RemoteRun]]:
    @contextmanager
    def opened() -> Iterator[RemoteRun]:
        with _vault:
            passwords = sudo_passwords(workspace, school)
        connections = Connections(workspace, school, passwords)
        try:
            yield connections.run_on
        finally:
            # paramiko looks up from its line ten times a second: nobody waits for it with what is known already.
            threading.Thread(target=connections.close, daemon=True).start()

    return opened
