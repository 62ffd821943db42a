"""The record of a run in the audit log: intent before any change, each change, the end; and beside it the files."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from provision.audit import entries as e
from provision.audit.record import FileRecorder, RunIntent, RunOutcome
from provision.engine.log_copy import CopyError
from provision.engine.logbook import LogBook
from provision.errors import RefusedError, UsageError
from provision.model import ResolvedSchool
from provision.text import printable_line

#: Seconds between two signings while a run goes on: one signing brings all results since the last to the disk.
_BATCH_SECONDS = 2.0
_BATCH_SIZE = 100
_RECORDED = frozenset({"changed", "failed", "unreachable"})


class LoggedRecorder:
    """A ``RunRecorder`` that writes the audit log, leaves a copy on the server, and keeps the files of a run.

    Args:
        book: not yet entered; ``resume`` does that.
        files: keeps the run's files and its detail.
        school: whose run it is.
        wait: seconds to wait for the school's cosignature, where it must agree.
        stopped: whether somebody wants us to give up.
    """

    def __init__(
        self,
        book: LogBook,
        files: FileRecorder,
        school: ResolvedSchool,
        *,
        wait: Callable[[], float] = lambda: 0.0,
        stopped: Callable[[], bool] = lambda: False,
        content: Callable[[], Mapping[str, str]] | None = None,
        lacks: Callable[[str], bool] | None = None,
    ) -> None:
        self._book = book
        self._files = files
        self._school = school
        self._wait = wait
        self._stopped = stopped
        self._content = content
        self._lacks = lacks
        self._intent: RunIntent | None = None
        self._index = -1
        self._entered = False
        self._pending: list[e.Data] = []
        self._signed_at = 0.0

    @property
    def notes(self) -> list[str]:
        """What people should know, in plain words."""
        return self._book.notes

    def close(self) -> None:
        """Let go of the log; safe to call at any time."""
        if self._entered:
            self._entered = False
            self._book.__exit__(None, None, None)

    def resume(self, intent: RunIntent) -> str:
        """The run under which this is to be done: a waiting one that intends the very same, or this.

        Runs that were broken off get their end here, and waiting ones that intend something else are withdrawn.

        Raises:
            ProvisionError: the log cannot be written, or contradicts the copy on the server.
            RefusedError: a colleague has applied what these files have not.
        """
        self._book.__enter__()
        self._entered = True
        self._check_revision()
        run = intent.run
        for index, other, started in self._book.open_intents():
            if not started and self._school.audit.strict and self._same(index, intent):
                self._index, run = index, other
                continue
            self._close_open(other, "broken off" if started else "withdrawn")
        return run

    def _check_revision(self) -> None:
        """A clone that was not pulled would undo what a colleague has applied: keys of people who left, for one."""
        last = self._book.last_begun()
        commit = str((last.data.get("workspace") or {}).get("commit", "")) if last is not None else ""
        if last is not None and self._lacks is not None and self._lacks(commit):
            raise RefusedError(
                f"{last.data['actor']['name']} applied revision {commit[:12]} of the workspace on {last.time[:10]}, "
                "and these files are older",
                "nothing was changed. Get the newer ones first: git pull (whoever applied them must have pushed). To "
                "undo them all the same: --older",
            )

    def _same(self, index: int, intent: RunIntent) -> bool:
        """Whether a waiting intent says the same but for its run and its time."""
        # As it would be written: a text has one form in the log, however it was typed.
        ours = e.parse(index, e.compose(self._book.origin, self._compose(intent))).data
        theirs = e.parse(index, self._book.writer.log.reader.entry(index)).data
        varying = {"run", "actor", "authority"}
        same = {key: value for key, value in ours.items() if key not in varying}
        return same == {key: value for key, value in theirs.items() if key not in varying} and ours["actor"][
            "name"
        ] == theirs.get("actor", {}).get("name")

    def _close_open(self, run: str, outcome: str) -> None:
        # What of its detail reached the disk is bound now; a power cut may have left less than whole lines.
        size, root, _ = self._book.writer.log.detail.root_until_damage(run)
        self._book.add(
            e.RunEnded(
                actor=self._book.actor, target=self._book.target, run=run, outcome=outcome, milliseconds=0, counts={},
                detail_size=size, detail_root=root.hex(),
            )
        )  # fmt: skip
        self._book.notes.append(f"run {run} never said how it ended; the audit log says now: {outcome}")

    def _compose(self, intent: RunIntent) -> e.RunIntent:
        why, ticket = self._files.redacted(intent.why), self._files.redacted(intent.ticket)
        for what, text in (("reason", why), ("ticket", ticket)):
            if len(text) > e.MAX_TEXT:
                raise UsageError(
                    f"the {what} is longer than {e.MAX_TEXT} characters", "say it in fewer words"
                )
        basis = "confirmed" if intent.confirmed else "unattended"
        return e.RunIntent(
            actor=self._book.actor,
            target=self._book.target,
            action=intent.verb,
            why=why,
            authority=e.Authority(basis=basis, ticket=ticket),
            run=intent.run,
            tool=intent.tool,
            workspace=e.State(commit=intent.revision.commit, dirty=intent.revision.dirty),
            code=e.State(commit=intent.code.commit, dirty=intent.code.dirty),
            services=[
                e.Service(
                    service=item["service"],
                    version=item["version"],
                    source=item["source"],
                    lab_only=item["lab_only"],
                    checksums=dict(item["checksums"]),
                )
                for item in intent.services
            ],
            hosts=[
                e.Host(name=item["name"], address=item["address"], host_key=item["host_key"])
                for item in intent.hosts
            ],
            only=list(intent.only),
            content=dict(intent.content),
            strict=self._school.audit.strict,
            force=intent.force,
        )

    def intend(self, intent: RunIntent) -> None:
        """See ``RunRecorder``; ``resume`` was called before and named the run.

        Raises:
            RefusedError: the school must agree first, and has not yet.
        """
        book, target = self._book, self._book.target
        self._intent = intent
        access = self._access(e.AccessOpened, intent.run)
        start = e.RunStarted(actor=book.actor, target=target, run=intent.run)
        if self._school.audit.strict:
            if self._index < 0:
                self._index = book.add(self._compose(intent)).start
            self._place("intended", needed=True)
            cosigners = book.wait_for_cosignature(self._index, self._wait(), self._stopped)
            if not cosigners:
                raise RefusedError(
                    f"the school has not agreed to run {intent.run} yet (entry {self._index} of its audit log)",
                    'nothing was changed. Let the school run "provision audit witness sign" and hand in the file '
                    f"(provision audit cosign {self._school.id} FILE), then give the same command again",
                )
            if self._content is not None and self._content() != intent.content:
                raise RefusedError(
                    f"what run {intent.run} is made of has changed while the school was asked",
                    "nothing was changed. Bring the files back as they were (git status), or give the same command "
                    "again: the school is asked anew",
                )
            approved = e.RunApproved(
                actor=book.actor,
                target=target,
                run=intent.run,
                cosigners=cosigners,
                authority=e.Authority(
                    basis="cosigned",
                    ticket=self._files.redacted(intent.ticket),
                    approver=", ".join(item.name for item in cosigners),
                ),
            )
            book.add(approved, *access, start)
        else:
            self._index = book.add(self._compose(intent), *access, start).start
        # Where the server has a copy, others go on from there: nothing begins that they could not see.
        self._place("started", needed=book.placed)
        self._files.intend(intent)
        self._signed_at = time.monotonic()

    def _access(
        self, kind: type[e.AccessOpened] | type[e.AccessClosed], run: str
    ) -> list[e.AccessOpened | e.AccessClosed]:
        """The connections of a run to each host, opened or closed."""
        return [
            kind(
                actor=self._book.actor,
                target=e.Target(school=self._school.id, host=host.name),
                kind="ssh",
                subject=f"{host.user}@{host.address}",
                run=run,
            )
            for host in self._school.hosts.values()
        ]

    def _place(self, outcome: str, *, needed: bool = False) -> None:
        assert self._intent is not None  # noqa: S101 - only called from intend and end
        try:
            self._book.place_copy(self._book.last_run(self._intent.run, self._index, outcome))
        except CopyError as error:
            if needed:
                raise
            self.notes.append(f"{error.message}; {error.remedy}")

    def task(self, result: Mapping[str, Any]) -> None:
        """See ``RunRecorder``."""
        assert self._intent is not None  # noqa: S101 - intend comes first
        number, commitment = self._files.step(result)
        cut, recorded = result.get("cut"), result["status"] in _RECORDED
        if cut is None and not recorded:
            return
        # Without secrets before they are cut: half of one would pass.
        host, role, name = (
            printable_line(self._files.redacted(str(result[key])), longest)
            for key, longest in (("host", 200), ("role", 200), ("name", e.MAX_TEXT))
        )
        target = e.Target(school=self._school.id, host=host, service=role)
        if cut is not None:
            self._pending.append(
                e.LessonsCut(actor=self._book.actor, target=target, run=self._intent.run, **cut)
            )
        if recorded:
            self._pending.append(
                e.TaskResult(
                    actor=self._book.actor,
                    target=target,
                    action=name,
                    outcome=str(result["status"]),
                    run=self._intent.run,
                    number=number,
                    commitment=commitment.hex(),
                )
            )
        # Lessons that were cut are on the disk, whatever comes next.
        if (
            cut is not None
            or time.monotonic() - self._signed_at > _BATCH_SECONDS
            or len(self._pending) >= _BATCH_SIZE
        ):
            self._sign()

    def _sign(self) -> None:
        if self._pending:
            # First the detail, then what binds it: after a power cut the log never names a step that is not there.
            self._files.detail.sync()
            self._book.add(*self._pending)
            self._pending.clear()
        self._signed_at = time.monotonic()

    def end(self, outcome: RunOutcome) -> None:
        """See ``RunRecorder``."""
        assert self._intent is not None  # noqa: S101 - intend comes first
        book, run = self._book, self._intent.run
        detail = self._files.detail
        ended = e.RunEnded(
            actor=book.actor,
            target=book.target,
            run=run,
            outcome=outcome.outcome,
            milliseconds=round(outcome.seconds * 1000),
            counts=dict(outcome.counts),
            changed={role: len(changes) for role, changes in outcome.changed.items()},
            detail_size=detail.size,
            detail_root=detail.root().hex(),
            versions={item["service"]: item["version"] for item in self._intent.services},
            healthy=sum(probe["state"] == "ok" for probe in outcome.probes),
            unhealthy=sum(probe["state"] != "ok" for probe in outcome.probes),
            failure=None
            if outcome.failure is None
            else e.Failure(
                host=printable_line(outcome.failure["host"], 200),
                service=printable_line(outcome.failure["role"], 200),
                task=printable_line(self._files.redacted(outcome.failure["task"]), e.MAX_TEXT),
            ),
        )
        health = [health_entry(book, outcome.probes, run)] if outcome.probes else []
        try:
            self._files.end(outcome)
        finally:
            book.add(*self._pending, *health, ended, *self._access(e.AccessClosed, run))
            self._pending.clear()
            self._place(outcome.outcome)

    def place(self) -> str:
        """See ``RunRecorder``."""
        return self._files.place()


def health_entry(book: LogBook, probes: Any, run: str = "") -> e.HealthChecked:
    """What probes found, as numbers by service."""
    services: dict[str, list[int]] = {}
    for probe in probes:
        services.setdefault(probe["service"], [0, 0])[probe["state"] != "ok"] += 1
    return e.HealthChecked(
        actor=book.actor,
        target=book.target,
        run=run,
        outcome="problems" if any(bad for _, bad in services.values()) else "ok",
        services={
            name: e.ServiceHealth(healthy=good, unhealthy=bad) for name, (good, bad) in services.items()
        },
    )
