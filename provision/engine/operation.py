"""One operation against one school: connections, lock, preflight, Ansible, probes, record.

The steps are those of the design ("A run"); ``plan`` and ``apply`` differ only in check mode and in what they record.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

from provision import paths
from provision.artifacts import Selection, record_installed
from provision.audit import FileRecorder, Person, Revision, RunIntent, RunOutcome, RunRecorder, now
from provision.audit.detail import DetailStore
from provision.audit.log import log_directory
from provision.audit.opening import check_acting
from provision.audit.record import lacks
from provision.engine.connections import Connections
from provision.engine.cut_lessons import tell_other_schools
from provision.engine.events import Event, TaskResult
from provision.engine.lock import HostLock, holder
from provision.engine.logbook import LogBook, refused
from provision.engine.managed import as_step, folders_of, managed_files, merged, note_files, worth_noting
from provision.engine.preflight import Check, HostState, look
from provision.engine.preparation import Prepared, content_hashes, role_directories
from provision.engine.recorder import LoggedRecorder
from provision.engine.remedies import remedy_for
from provision.engine.report import Report, Verb, describe
from provision.engine.runner import Run, RunRequest, RunResult
from provision.engine.ssh import host_key_name
from provision.errors import Problem, ProvisionError, RefusedError
from provision.health import ProbeResult, probe_school
from provision.health.judging.host import ManagedFile

Listener = Callable[[Event], None]
#: Seconds that a service has to become healthy after something was changed.
PATIENCE = 60.0
#: The same where nothing was changed: a probe may fail once by chance.
PATIENCE_UNCHANGED = 3.0


@dataclass(frozen=True, slots=True)
class Mandate:
    """On whose word a run goes on.

    Args:
        why: the reason in the person's own words. ticket: number of a request.
        confirmed: a person saw the plan and agreed.
        wait: seconds to wait for the school's cosignature, where it must agree, and for the end of lessons before a
            step that would cut them.
        force: such a step cuts them.
        older: a colleague has applied newer files, and they are to be undone.
    """

    why: str = ""
    ticket: str = ""
    confirmed: bool = False
    wait: float = 0.0
    force: bool = False
    older: bool = False


class Operation:
    """``plan`` and ``apply`` of one school, over one set of connections.

    Use as a context manager: it connects, locks and looks at the hosts at the start, and lets go at the end.

    Args:
        prepared: what to bring where.
        verb: what will be done; ``apply`` takes the school for itself.
        recorder: gets the record; the audit log and files in the workspace where it is not given.
        mandate: on whose word an ``apply`` goes on; may be replaced until then.
    """

    def __init__(
        self,
        prepared: Prepared,
        verb: Verb,
        *,
        recorder: RunRecorder | None = None,
        mandate: Mandate | None = None,
    ) -> None:
        self.prepared = prepared
        self.verb = verb
        self.person = Person.current(prepared.workspace.path)
        self.connections = Connections(prepared.workspace, prepared.school, prepared.sudo_passwords)
        self.mandate = mandate or Mandate()
        self._given = recorder
        self._recorder: RunRecorder = recorder or self._files()
        self._stack = ExitStack()
        self._run: Run | None = None
        self._stop = threading.Event()
        self._stop_reason = ""
        self._line_lost = False
        self._record_fault = ""
        #: The run that the lock on the servers names; in the record it may go on under an earlier one's id.
        self._held_as = prepared.run_id
        #: Hosts on which an installation of packages was cut off.
        self._finish_apt: set[str] = set()
        self._packages: dict[str, list[str]] = {}
        #: By host, the files that steps of this run name.
        self._written: dict[str, set[str]] = {}

    def __enter__(self) -> "Operation":
        with ExitStack() as stack:
            stack.callback(self.connections.close)
            self.connections.open()
            held = holder(self.person, self.verb, self.prepared.school.id, self._held_as)
            for name in sorted(self.prepared.school.hosts):
                stack.enter_context(
                    HostLock(self.connections[name], held, shared=self.verb == "plan", on_lost=self._lost)
                )
            if self._given is None and self.verb == "apply" and self.prepared.school.audit.enabled:
                self._recorder = self._logged(stack)
            self._stack = stack.pop_all()
        return self

    def _files(self) -> FileRecorder:
        workspace, school = self.prepared.workspace, self.prepared.school
        details = DetailStore(log_directory(workspace.path, school.id) / "detail")
        return FileRecorder(workspace.runs_dir, details, self.prepared.redactor.data)

    def _logged(self, stack: ExitStack) -> LoggedRecorder:
        prepared = self.prepared
        check_acting(prepared.workspace, self.person)
        try:
            book = LogBook(
                prepared.workspace,
                prepared.school,
                self.person,
                self.connections,
                secrets=prepared.secrets,
            )
        except ProvisionError as error:
            raise refused(error) from error
        recorder = LoggedRecorder(
            book,
            self._files(),
            prepared.school,
            wait=lambda: self.mandate.wait,
            stopped=self._stop.is_set,
            content=lambda: content_hashes(prepared),
            lacks=None if self.mandate.older or prepared.workspace.municipality.lab else self._lacks,
        )
        stack.callback(recorder.close)
        return recorder

    def _lacks(self, commit: str) -> bool:
        return lacks(self.prepared.workspace.path, commit)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lost(self) -> None:
        self._line_lost = True
        self.cancel("the connection to the school was lost")

    def cancel(self, reason: str) -> None:
        """Stop what is running, in good order; safe from signal handlers and threads."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()
        # Called from the lock's thread too, while the run may just be ending.
        run = self._run
        if run:
            run.cancel()

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
                force=self.mandate.force,
            )
            if state.finish_apt:
                self._finish_apt.add(host.name)
            self._packages[host.name] = list(state.packages)
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
        self._begin_record()
        report.record = self._recorder.place()
        try:
            result = self._execute(report, listen, check=False)
            self._conclude(report, result)
            self._note_files(report)
            self._note_what_may_be_cut(report)
            if report.outcome == "ok":
                record_installed(self.prepared.workspace, self.prepared.school, self._installed())
                probing()
                report.probes = self.probe(patience=PATIENCE if report.change_count else PATIENCE_UNCHANGED)
                if self._stop.is_set():
                    self._cancelled(report)
                elif any(probe.state != "ok" for probe in report.probes):
                    report.outcome = "unhealthy"
                    report.message = "everything was set up, but not every service is healthy"
            if self._record_fault:
                report.notes.append(f"the record of this run is incomplete: {self._record_fault}")
                if report.outcome == "ok":
                    report.outcome = "failed"
                    report.message = (
                        f"everything was set up, but the record is incomplete: {self._record_fault}"
                    )
                    report.remedy = "make room for the workspace's runs directory, then apply again"
        except BaseException as error:
            report.outcome = "failed"
            report.message = f"stopped by an error of our own: {error!r}"
            raise
        finally:
            report.seconds = time.monotonic() - started
            self._end_record(report)
        return report

    def _note_files(self, report: Report) -> None:
        """How the files are that provision wrote, for the record: ``health`` compares with it."""
        if report.failure is not None and report.failure.status == "unreachable":
            return
        before: Mapping[str, Sequence[ManagedFile]] = {}
        partly = bool(self.prepared.only) or report.outcome != "ok"
        for host in sorted(self.prepared.school.hosts):
            named = worth_noting(self._written.get(host, ()))
            if not named:
                continue
            try:
                if partly:
                    before = before or managed_files(self.prepared.workspace, self.prepared.school.id)
                old = before.get(host, ())
                paths = sorted({*named, *(file.path for file in old)})
                folders = folders_of(self.prepared.services, host)
                now_there = note_files(self.connections.run_on, host, paths, folders)
                # A run that failed may not have come to what its steps do not name.
                done = folders_of(self.prepared.touched, host) if report.outcome == "ok" else []
                files = merged(old, now_there, named, done) if old else now_there
                self._recorder.task(self.prepared.redactor.data(as_step(host, files)))
            except (OSError, ProvisionError) as error:
                # What it was for is done; health will say that it does not know.
                report.notes.append(str(error))

    def _note_what_may_be_cut(self, report: Report) -> None:
        """A run with ``--force`` that never heard how its last step ended: it may have cut lessons."""
        lost = report.failure is not None and report.failure.status == "unreachable"
        if not self.mandate.force or not (lost or self._line_lost or report.outcome == "cancelled"):
            return
        carrying = {service.host: service.id for service in self.prepared.services if service.definition.busy}
        for host, service in sorted(carrying.items()):
            name = "The run ended before this server had said whether lessons were cut"
            self._keep(report, TaskResult(host, service, name, "", "ok", cut={}))

    def _begin_record(self) -> None:
        try:
            intent = self._intent()
            run = self._recorder.resume(intent)
            if run != intent.run:
                # It was intended before, and had to wait for the school's agreement.
                self.prepared.run_id = run
                intent = replace(intent, run=run)
            self._recorder.intend(intent)
        except RefusedError:
            raise
        except ProvisionError as error:
            raise refused(error) from error
        except OSError as error:
            raise RefusedError(
                f"the record of the run cannot be written: {error}",
                "nothing was changed; make room, or see who owns the workspace's runs directory, and apply again",
            ) from error

    def _end_record(self, report: Report) -> None:
        try:
            self._recorder.end(self._outcome(report))
            report.notes += self._recorder.notes
        except (OSError, ProvisionError) as error:
            raise ProvisionError(
                f"the run ended ({report.outcome}), but its record could not be finished: {error}",
                "make room for the workspace's runs directory; the next apply closes the record as broken off",
            ) from error

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
            stop=self._stop.is_set,
        )

    def _execute(self, report: Report, listen: Listener, *, check: bool) -> RunResult:
        inventory = self.prepared.inventory()
        inventory["all"]["vars"]["provision_busy_words"] = self._busy_words()
        for group in inventory["all"]["children"].values():
            for name, variables in group["hosts"].items():
                # Spares the roles from having apt read all package lists only to learn that nothing is missing.
                variables["provision_packages"] = self._packages.get(name, [])
                if name in self._finish_apt:
                    variables["provision_finish_apt"] = True

        def on_event(event: Event) -> None:
            if isinstance(event, TaskResult):
                if event.cut is not None and not self._may_cut(event.role):
                    event = replace(event, cut=None)
                report.stats.add(event)
                self._written.setdefault(event.host, set()).update(event.files)
                report.notes += [
                    note for line in event.notes if (note := f"{event.role}: {line}") not in report.notes
                ]
                if event.status == "changed":
                    report.changes.setdefault(event.role, []).append(event)
                if event.status in {"failed", "unreachable"} and not event.ignored and report.failure is None:
                    report.failure = event
                if not check:
                    self._keep(report, event)
            listen(event)

        request = RunRequest(
            workspace=self.prepared.workspace.path,
            school=self.prepared.school.id,
            inventory=inventory,
            check=check,
            accelerate=self.prepared.workspace.municipality.accelerate == "auto",
            roles=role_directories(self.prepared.workspace),
        )
        self._run = Run(request, on_event, self.prepared.redactor.data)
        if self._stop.is_set():
            self._run.cancel()
        try:
            return self._run.execute()
        finally:
            self._run = None

    def _keep(self, report: Report, step: TaskResult) -> None:
        """Put a step into the record, and into that of each other school whose lessons it cut."""
        try:
            self._recorder.task(step.as_dict())
        except (OSError, ProvisionError, ValueError) as error:
            # ValueError: something that no entry and no detail can hold.
            self._record_fault = str(error)
        if step.cut is not None:
            workspace, school = self.prepared.workspace, self.prepared.school
            report.notes += tell_other_schools(workspace, school, self.person, self.prepared.run_id, step)

    def _may_cut(self, role: str) -> bool:
        """Whether a step of a role can have cut lessons; the words of what a service runs itself are no proof of it."""
        entry = self.prepared.workspace.catalog.get(role)
        return self.mandate.force and (entry is None or entry.definition.busy)

    def _busy_words(self) -> list[str]:
        """Options of ``provision-busy``: a step that would cut lessons waits, is refused, or cuts them."""
        words = ["--wait", str(math.ceil(self.mandate.wait / 60)), "--run", self._held_as]
        return [*words, "--force"] if self.mandate.force else words

    def _conclude(self, report: Report, result: RunResult) -> None:
        if result.faults:
            report.notes.append(
                f"{result.faults} of Ansible's events could not be read; the run itself was not affected"
            )
        if self._stop.is_set() or result.outcome == "canceled":
            self._cancelled(report)
        elif report.failure is not None:
            report.outcome = "failed"
            report.message = f"{report.failure.role}: “{report.failure.name}” failed on {report.failure.host}"
            report.remedy = remedy_for(
                report.failure.error, report.school, unreachable=report.failure.status == "unreachable"
            )
        elif result.outcome != "successful":
            report.outcome = "failed"
            report.message = result.message or "Ansible ended without saying why"
            report.remedy = remedy_for(report.message, report.school)

    def _cancelled(self, report: Report) -> None:
        # A person who stops a run means the schools behind it as well; a line that is lost says nothing of them.
        report.outcome = "failed" if self._line_lost else "cancelled"
        report.message = self._stop_reason or "the run was stopped"
        report.remedy = (
            "nothing was changed"
            if report.verb == "plan"
            else f"the server may be half-way: finish with provision apply {report.school}"
        )

    def _intent(self) -> RunIntent:
        prepared = self.prepared
        return RunIntent(
            run=prepared.run_id,
            verb=self.verb,
            school=prepared.school.id,
            started=now(),
            person=self.person,
            revision=Revision.of(prepared.workspace.path, besides=("runs", "audit")),
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
            why=self.mandate.why,
            ticket=self.mandate.ticket,
            confirmed=self.mandate.confirmed,
            force=self.mandate.force,
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
