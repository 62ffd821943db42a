"""One operation against one school: preparation, preflight, lock, Ansible, probes, record.

The steps are those of the design ("A run"); ``plan`` and ``apply`` differ only in check mode and in what they record.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from provision import paths
from provision.artifacts import Selection, Unavailable, record_installed, select
from provision.audit import (
    FileRecorder,
    Person,
    Revision,
    RunIntent,
    RunOutcome,
    RunRecorder,
    last_good,
    new_run_id,
    now,
)
from provision.engine.events import Event, Stats, TaskResult
from provision.engine.lock import HostLock
from provision.engine.preflight import Check, HostState, look
from provision.engine.remedies import remedy_for
from provision.engine.runner import Run, RunRequest, RunResult
from provision.engine.ssh import Connection, host_key_name
from provision.engine.variables import build_inventory
from provision.errors import ArtifactError, Problem, RefusedError, UsageError
from provision.health import ProbeResult, probe_school
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.model.municipality import InternalTls
from provision.secrets import SecretStore
from provision.secrets.ca import ensure_certificates
from provision.secrets.redact import Redactor
from provision.secrets.store import become_password_name

Verb = Literal["plan", "apply"]
Listener = Callable[[Event], None]
#: Seconds that a service has to become healthy after an apply.
PATIENCE = 60.0


@dataclass(slots=True)
class Prepared:
    """A school, ready to be brought to its servers. Nothing has been contacted there.

    Args:
        left_out: services whose source cannot be reached, where that is allowed.
        new_secrets: names of the secrets that were generated just now.
    """

    workspace: Workspace
    school: ResolvedSchool
    only: tuple[str, ...]
    selections: tuple[Selection, ...]
    left_out: tuple[Unavailable, ...]
    new_secrets: tuple[str, ...]
    redactor: Redactor
    sudo_passwords: Mapping[str, str]
    certificates: Mapping[str, str]
    run_id: str = field(default_factory=new_run_id)

    @property
    def services(self) -> list[ResolvedService]:
        """The services that are to be there after the run."""
        chosen = {selection.service for selection in self.selections}
        return [service for service in self.school.services.values() if service.id in chosen]

    @property
    def touched(self) -> list[ResolvedService]:
        """The services that this run is about."""
        return [service for service in self.services if not self.only or service.id in self.only]

    def inventory(self) -> dict[str, Any]:
        """The inventory for Ansible."""
        return build_inventory(
            self.workspace,
            self.school,
            self.selections,
            self.certificates,
            run_id=self.run_id,
            only=self.only,
        )


def prepare(
    workspace: Workspace,
    school_id: str,
    *,
    only: Sequence[str] = (),
    mirror: str | None = None,
    skip_unavailable: bool = False,
) -> Prepared:
    """Check everything that can be checked without the school's servers, and generate what is missing.

    Args:
        only: services to limit the run to.
        mirror: directory or URL with the artifacts.
        skip_unavailable: leave out services whose source cannot be reached (lab workspaces only).

    Raises:
        UsageError: no such school or service; ``skip_unavailable`` for a real school.
        ArtifactError: a source cannot be reached, or is not what the lock file says.
        SecretsError: the vault cannot be opened.
    """
    school = workspace.school(school_id)
    unknown = sorted(set(only) - set(school.services))
    if unknown:
        raise UsageError(
            f"{school.id} has no service {', '.join(unknown)}",
            f"it has: {', '.join(school.services) or 'none'}",
        )
    if skip_unavailable and not workspace.municipality.lab:
        raise UsageError(
            "--skip-unavailable is for disposable servers (lab: true in municipality.yml)",
            "a school gets all of its services, or none: see provision check " + school.id,
        )
    selections, unavailable = select(workspace, school, mirror=mirror)
    if unavailable and not skip_unavailable:
        raise unavailable_error(unavailable)
    store = SecretStore(workspace)
    services = [school.services[selection.service] for selection in selections]
    new = store.ensure(school, [service.definition for service in services])
    certificates: Mapping[str, str] = {}
    if isinstance(school.tls, InternalTls):
        sites = {service.id: [service.hostname] for service in services if service.definition.needs.site}
        issued = ensure_certificates(workspace, school, sites, store=store)
        certificates = {site: item.certificate for site, item in issued.items()}
    values = store.load(school.id)
    return Prepared(
        workspace=workspace,
        school=school,
        only=tuple(only),
        selections=tuple(selections),
        left_out=tuple(unavailable),
        new_secrets=tuple(new),
        redactor=Redactor(values),
        sudo_passwords=_sudo_passwords(school, values),
        certificates=certificates,
    )


def unavailable_error(unavailable: Sequence[Unavailable]) -> ArtifactError:
    """The error for services whose sources cannot be reached."""
    words = "; ".join(
        f"{item.service} {item.version or ''}".strip() + ": " + "; ".join(item.reasons)
        for item in unavailable
    )
    return ArtifactError(
        f"not to be had: {words}", " · ".join(dict.fromkeys(item.remedy for item in unavailable))
    )


def _sudo_passwords(school: ResolvedSchool, values: Mapping[str, Any]) -> dict[str, str]:
    passwords, problems = {}, []
    for host in school.hosts.values():
        if host.become_password:
            name = become_password_name(host.name)
            if values.get(name):
                passwords[host.name] = str(values[name])
            else:
                problems.append(
                    Problem(
                        f"the sudo password of host {host.name} is not in the vault",
                        f"provision secrets set {school.id} {name}",
                        file=school.file,
                    )
                )
    if problems:
        raise RefusedError("a sudo password is missing", problems=problems)
    return passwords


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


@dataclass(slots=True)
class Report:
    """How an operation on one school went.

    Args:
        changes: what changed (or would change), by role, in order.
        failure: the first task that failed.
        outcome: ``ok``, ``failed``, ``unhealthy`` or ``cancelled``.
        record: where the run's record is.
    """

    school: str
    verb: Verb
    run: str
    outcome: str = "ok"
    message: str = ""
    remedy: str = ""
    stats: Stats = field(default_factory=Stats)
    changes: dict[str, list[TaskResult]] = field(default_factory=dict)
    failure: TaskResult | None = None
    probes: list[ProbeResult] = field(default_factory=list)
    seconds: float = 0.0
    record: str = ""
    faults: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def change_count(self) -> int:
        """How many steps changed something, or would."""
        return sum(len(results) for results in self.changes.values())


class Operation:
    """``plan`` and ``apply`` of one school, over one set of connections.

    Use as a context manager: it connects, locks and looks at the hosts at the start, and lets go at the end.

    Args:
        prepared: what to bring where.
        verb: what will be done; ``apply`` takes the school for itself.
        recorder: gets the record; files in the workspace where it is not given.
        preflight: how preflight's findings are shown; may raise to stop.
    """

    def __init__(self, prepared: Prepared, verb: Verb, *, recorder: RunRecorder | None = None) -> None:
        self.prepared = prepared
        self.verb = verb
        self.person = Person.current(prepared.workspace.path)
        self.connections = Connections(prepared)
        self._recorder = recorder or FileRecorder(prepared.workspace.runs_dir, prepared.redactor.data)
        self._stack = ExitStack()
        self._run: Run | None = None
        self._stop = threading.Event()
        self._stop_reason = ""
        self._finish_apt = False

    def __enter__(self) -> "Operation":
        with ExitStack() as stack:
            stack.callback(self.connections.close)
            self.connections.open()
            holder = {
                "person": self.person.name,
                "machine": self.person.machine,
                "since": now(),
                "verb": self.verb,
                "run": self.prepared.run_id,
            }
            for name in sorted(self.prepared.school.hosts):
                stack.enter_context(
                    HostLock(self.connections[name], holder, shared=self.verb == "plan", on_lost=self._lost)
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lost(self) -> None:
        self.cancel("the connection to the school was lost")

    def cancel(self, reason: str) -> None:
        """Stop what is running, in good order; safe from signal handlers and threads."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()
        if self._run:
            self._run.cancel()

    def look(self, *, sources: bool = True) -> list[Check]:
        """Preflight on every host: one table.

        Raises:
            RefusedError: a host cannot be looked at.
        """
        checks: list[Check] = []
        for host in self.prepared.school.hosts.values():
            services = [service for service in self.prepared.services if service.host == host.name]
            state: HostState = look(
                self.prepared.workspace,
                self.prepared.school,
                host,
                self.connections[host.name],
                services,
                sources=sources,
            )
            self._finish_apt = self._finish_apt or state.finish_apt
            checks += state.checks
        return checks

    def plan(self, listen: Listener) -> Report:
        """What would change. Changes nothing and leaves no record: nothing happened."""
        report = Report(self.prepared.school.id, "plan", self.prepared.run_id)
        started = time.monotonic()
        result = self._execute(report, listen, check=True)
        self._conclude(report, result)
        report.seconds = time.monotonic() - started
        return report

    def apply(self, listen: Listener, probing: Callable[[], None] = lambda: None) -> Report:
        """Bring the school into its wanted state, probe it, and write the record.

        Args:
            listen: gets every event.
            probing: called when Ansible is done and the probes begin.
        """
        report = Report(self.prepared.school.id, "apply", self.prepared.run_id)
        started = time.monotonic()
        self._recorder.intend(self._intent())
        report.record = self._recorder.place()
        try:
            result = self._execute(report, listen, check=False)
            self._conclude(report, result)
            if report.outcome == "ok":
                record_installed(self.prepared.workspace, self.prepared.school, self._installed())
                probing()
                report.probes = self.probe(patience=PATIENCE)
                if any(probe.state != "ok" for probe in report.probes):
                    report.outcome = "unhealthy"
                    report.message = "everything was set up, but not every service is healthy"
        except BaseException as error:
            report.outcome = "failed"
            report.message = f"stopped by an error of our own: {error!r}"
            raise
        finally:
            report.seconds = time.monotonic() - started
            self._recorder.end(self._outcome(report))
        return report

    def _installed(self) -> list[Selection]:
        touched = {service.id for service in self.prepared.touched}
        return [selection for selection in self.prepared.selections if selection.service in touched]

    def probe(self, *, patience: float = 0.0) -> list[ProbeResult]:
        """Ask the probes of the services that this run is about."""
        return probe_school(
            self.prepared.workspace,
            self.prepared.school,
            self.prepared.touched,
            self.connections.run_on,
            patience=patience,
        )

    def _execute(self, report: Report, listen: Listener, *, check: bool) -> RunResult:
        inventory = self.prepared.inventory()
        if self._finish_apt:
            inventory["all"]["vars"]["provision_finish_apt"] = True

        def on_event(event: Event) -> None:
            if isinstance(event, TaskResult):
                event = self._redacted(event)
                report.stats.add(event)
                if event.status == "changed":
                    report.changes.setdefault(event.role, []).append(event)
                if event.status in {"failed", "unreachable"} and not event.ignored and report.failure is None:
                    report.failure = event
                if not check:
                    self._recorder.task(event.as_dict())
            listen(event)

        request = RunRequest(
            workspace=self.prepared.workspace.path,
            school=self.prepared.school.id,
            inventory=inventory,
            check=check,
            accelerate=self.prepared.workspace.municipality.accelerate == "auto",
            roles=role_directories(self.prepared.workspace),
        )
        self._run = Run(request, on_event)
        if self._stop.is_set():
            self._run.cancel()
        try:
            return self._run.execute()
        finally:
            self._run = None

    def _redacted(self, event: TaskResult) -> TaskResult:
        clean: dict[str, Any] = self.prepared.redactor.data(asdict(event))
        clean["details"] = tuple(clean["details"])
        return TaskResult(**clean)

    def _conclude(self, report: Report, result: RunResult) -> None:
        report.faults = result.faults
        if result.faults:
            report.notes.append(
                f"{result.faults} of Ansible's events could not be read; the run itself was not affected"
            )
        if self._stop.is_set() or result.outcome == "canceled":
            report.outcome = "cancelled"
            report.message = self._stop_reason or "the run was stopped"
            report.remedy = (
                "nothing was changed"
                if report.verb == "plan"
                else f"the server may be half-way: finish with provision apply {report.school}"
            )
        elif report.failure is not None:
            report.outcome = "failed"
            report.message = f"{report.failure.role}: “{report.failure.name}” failed on {report.failure.host}"
            report.remedy = remedy_for(report.failure.error)
        elif result.outcome != "successful":
            report.outcome = "failed"
            report.message = self.prepared.redactor.text(result.message) or "Ansible ended without saying why"
            report.remedy = remedy_for(report.message)

    def _intent(self) -> RunIntent:
        prepared = self.prepared
        return RunIntent(
            run=prepared.run_id,
            verb=self.verb,
            school=prepared.school.id,
            started=now(),
            person=self.person,
            revision=Revision.of(prepared.workspace.path),
            code=Revision.of(paths.PACKAGE),
            services=[
                {
                    "service": selection.service,
                    "version": selection.version,
                    "source": selection.source.kind,
                    "checksums": dict(selection.checksums),
                    "lab_only": selection.lab_only,
                }
                for selection in prepared.selections
            ],
            hosts=[
                {
                    "name": host.name,
                    "address": host.address,
                    "known_as": host_key_name(host),
                    "host_key": self.connections[host.name].key_fingerprint,
                }
                for host in prepared.school.hosts.values()
            ],
            only=prepared.only,
            content=content_hashes(prepared),
        )

    def _outcome(self, report: Report) -> RunOutcome:
        stats = report.stats
        return RunOutcome(
            outcome=report.outcome,
            ended=now(),
            seconds=round(report.seconds, 3),
            counts={
                "ok": stats.ok,
                "changed": stats.changed,
                "failed": stats.failed,
                "skipped": stats.skipped,
                "unreachable": stats.unreachable,
            },
            changed={
                role: [describe(result) for result in results] for role, results in report.changes.items()
            },
            failure=None
            if report.failure is None
            else {
                "host": report.failure.host,
                "role": report.failure.role,
                "task": report.failure.name,
                "error": report.failure.error,
            },
            probes=[asdict(probe) for probe in report.probes],
            seconds_by_role={role: round(seconds, 3) for role, seconds in stats.seconds_by_role.items()},
            tasks_by_role=stats.tasks_by_role,
            note=report.message,
        )


def describe(result: TaskResult) -> str:
    """One changed step in plain words: the task's name, and what it did where that says more."""
    details = "; ".join(result.details[:8])
    return f"{result.name} ({details})" if details else result.name


def role_directories(workspace: Workspace) -> tuple[Path, ...]:
    """Where roles are looked for: ours, and the workspace's own."""
    own = workspace.path / "roles"
    found = dict.fromkeys(entry.role_dir.parent for entry in workspace.catalog.values())
    return tuple(dict.fromkeys([paths.ROLES, *found, *([own] if own.is_dir() else [])]))


def content_hashes(prepared: Prepared) -> dict[str, str]:
    """SHA-256 of what decided the run: school file, municipality file, playbook, each role that runs."""

    def of(file: Path) -> str:
        return hashlib.sha256(file.read_bytes()).hexdigest()

    hashes = {
        "school": of(prepared.school.file),
        "municipality": of(prepared.workspace.path / "municipality.yml"),
        "site.yml": of(paths.PLAYBOOKS / "site.yml"),
    }
    roles = {part["role"] for host in _hosts_of(prepared.inventory()) for part in host["provision_roles"]}
    for name in sorted(roles):
        for directory in role_directories(prepared.workspace):
            if (directory / name).is_dir():
                hashes[f"role {name}"] = tree_hash(directory / name)
                break
    return hashes


def _hosts_of(inventory: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in inventory["all"]["children"].values():
        yield from group["hosts"].values()


def tree_hash(directory: Path) -> str:
    """SHA-256 over the names and contents of a directory's files, in order of their names."""
    digest = hashlib.sha256()
    for file in sorted(directory.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            name = str(file.relative_to(directory)).encode()
            data = file.read_bytes()
            digest.update(len(name).to_bytes(4) + name + len(data).to_bytes(8) + data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an earlier run of the same school took, by role; empty when there was none."""

    seconds: float
    by_role: Mapping[str, float]
    tasks_by_role: Mapping[str, int]

    @classmethod
    def of(cls, workspace: Workspace, school: str) -> "Estimate | None":
        """From the newest full apply that ended well."""
        run = last_good(workspace.runs_dir, school, "apply")
        if run is None:
            return None
        return cls(float(run.get("seconds", 0)), run.get("seconds_by_role", {}), run.get("tasks_by_role", {}))


def refuse_problems(checks: Sequence[Check], school: str) -> None:
    """Stop before any change when preflight found a problem.

    Raises:
        RefusedError: with every problem.
    """
    problems = [
        Problem(f"{check.area}: {check.subject}: {check.found}", check.remedy)
        for check in checks
        if check.state == "problem"
    ]
    if problems:
        raise RefusedError(
            f"{school} is not ready: nothing was changed",
            f"mend this, then: provision check {school}",
            problems,
        )


@contextmanager
def operation(prepared: Prepared, verb: Verb, *, recorder: RunRecorder | None = None) -> Iterator[Operation]:
    """An ``Operation`` for the length of a block."""
    with Operation(prepared, verb, recorder=recorder) as current:
        yield current
