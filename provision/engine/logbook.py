"""The audit log in the hands of whoever works on a school's server: meet, check, add, sign, leave a copy.

Only one person does so at a time: the caller holds the lock of the school's host.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from provision.audit import entries as e
from provision.audit.cosignatures import CosignatureError, TakenIn, take_in
from provision.audit.keys import KeyStore, Second
from provision.audit.log import LogError, LogWriter, log_directory, read_bounded, writing
from provision.audit.opening import actor_of, keys_for, open_new, origin_of
from provision.audit.outbox import Outbox
from provision.audit.record import Person
from provision.audit.tlog.keys import VerifierKey
from provision.audit.tlog.note import MAX_NOTE
from provision.audit.tlog.policy import Policy
from provision.engine.connections import Connections
from provision.engine.log_copy import (
    ContradictionError,
    CopyState,
    LogCopy,
    fetch_beside,
    follow_erasures,
    hand_over,
    take_over,
)
from provision.errors import ProvisionError, RefusedError
from provision.model import ResolvedSchool, Workspace
from provision.secrets import SecretStore
from provision.text import printable_line

#: Seconds between two looks for the school's cosignature.
_LOOK_AGAIN = 5.0
LAST_RUN_SCHEMA = "provision/last-run/v1"


class LogBook:
    """A school's log, open for writing, with its copy on the server.

    Use as a context manager. Entering meets the copy: takes what others added, refuses a contradiction, and records
    what a crash left, what waited in the outbox, and what the server says that the log does not explain.

    Args:
        person: who acts.
        connections: open connections to the school's hosts; None for a log that has not been on a server yet.
        second: for a log that begins now, see ``KeyStore.make``.
        replace_copy: put our log in the place of a copy that is not signed by us.

    Attributes:
        notes: what people should know, in plain words.
    """

    def __init__(
        self,
        workspace: Workspace,
        school: ResolvedSchool,
        person: Person,
        connections: Connections | None,
        *,
        second: Second | None = None,
        replace_copy: bool = False,
    ) -> None:
        self._workspace = workspace
        self.school = school
        self.notes: list[str] = []
        self._second = second
        self._replace_copy = replace_copy
        self._connections = connections
        self._stack = ExitStack()
        self._state = CopyState()
        self._copies: list[LogCopy] = []
        key = ""
        if connections is not None:
            hosts = sorted(school.hosts)
            key = connections[hosts[0]].own_key_fingerprint
            # Started now, asked later: their start on the servers takes a moment.
            self._copies = [LogCopy(connections[host], school.id) for host in hosts]
        self.actor = actor_of(person, key)
        self.target = e.Target(school=school.id)
        self.origin = origin_of(workspace, school)
        self.directory = log_directory(workspace.path, school.id)
        self.keys = KeyStore(workspace, SecretStore(workspace))

    @property
    def writer(self) -> LogWriter:
        """Adds entries; only inside the block."""
        return self._writer

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._close_copies)
            if self._copies:
                self._state = self._copies[0].state()
            made = self._check_keys()
            keys = keys_for(self.keys, self._workspace, self.school, second=self._second)
            self._writer = stack.enter_context(writing(self.directory, self.origin, keys.current))
            self._meet(made)
            self._tidy()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _close_copies(self) -> None:
        for copy in self._copies:
            copy.close()

    def _check_keys(self) -> bool:
        """Whether the keys are still to be made; first of all the school's vault, with its password."""
        if self.keys.exists(self.school.id):
            return False
        if self._state.note is not None:
            raise LogError(
                f"the server has an audit log of {self.school.id}, and this workspace has not its keys: "
                f"{self.keys.file(self.school.id)}",
                "get them from a colleague or from version control (git pull)",
            )
        SecretStore(self._workspace).ensure(self.school, [])
        return True

    def _meet(self, made: bool) -> None:
        writer, state = self._writer, self._state
        verifiers = [key.verifier for key in writer.keys]
        if not writer.size and state.note is None:
            runs = self._workspace.runs_dir / self.school.id
            if not made and (state.last_run is not None or (runs.is_dir() and any(runs.iterdir()))):
                raise LogError(
                    f"the audit log of {self.school.id} has gone: there are keys and runs, and no log here nor on the "
                    "server",
                    f"bring {self.directory} back from a backup or from the school's copy "
                    "(its witness has every entry)",
                )
            open_new(writer, self._workspace, self.school, self.actor, writer.keys)
            return
        taken = self._take_over(verifiers)
        if taken:
            self.notes.append(f"{taken} entries of the audit log came from the server: a colleague's")
            self._fetch_policy()
            follow_erasures(writer.log, writer.size - taken)
        self._check_keys_count()
        if self._copies:
            odd = fetch_beside(self._copies[0], self._state, writer.log)
            self.notes += [f"left on the server, since it does not fit the audit log: {name}" for name in odd]
        if self._copies and state.note is None and self._was_placed():
            self._drift("missing-copy", "the server has no copy of the log; was it set up anew?")

    def _take_over(self, verifiers: Sequence[VerifierKey]) -> int:
        """What others added; a copy that is not ours is replaced only by a person's decision, and kept."""
        if not self._copies:
            return 0
        try:
            return take_over(self._copies[0], self._state, self._writer, verifiers)
        except ContradictionError:
            raise
        except LogError:
            if not self._replace_copy or self._state.note is None:
                raise
            self._writer.put(f"evidence/{e.timestamp().replace(':', '')}-changed-copy", self._state.note)
            self._drift("changed-copy", "a checkpoint that we did not sign; replaced by a person's decision")
            self._state = CopyState(last_run=self._state.last_run)
            return 0

    def _fetch_policy(self) -> None:
        """The newest policy is in the log itself, signed."""
        for entry in self._writer.log.backwards():
            if entry.type == e.PolicySet.type:
                self._writer.set_policy(Policy.parse(str(entry.data["policy"])))
                return

    def _check_keys_count(self) -> None:
        """See that our keys still are those of the log: a colleague may have renewed them.

        Raises:
            LogError: they were retired; what they sign would not count.
        """
        ours = {key.verifier.vkey for key in self._writer.keys}
        try:
            known = {key.vkey for key in self._writer.log.policy.logs}
        except LogError:
            known = set()
        if known != ours:
            # The file may be the older one, after a renewal that was broken off; the log itself knows.
            self._fetch_policy()
            known = {key.vkey for key in self._writer.log.policy.logs}
        if known != ours:
            raise LogError(
                f"the key of the audit log of {self.school.id} was renewed, and this workspace has the former one",
                "get the new one from a colleague or from version control (git pull)",
            )

    def _was_placed(self) -> bool:
        return any(entry.type == e.RunEnded.type for entry in self._writer.log.backwards())

    def _drift(self, kind: Any, found: str) -> None:
        self.add(e.DriftFound(actor=self.actor, target=self.target, kind=kind, found=found))
        self.notes.append(f"recorded in the audit log: {found}")

    def _tidy(self) -> None:
        writer = self._writer
        if writer.leftovers:
            self.add(e.LogRecovered(actor=self.actor, target=self.target, leftovers=writer.leftovers[:200]))
            self.notes.append(
                f"an earlier writer of the audit log was broken off: {len(writer.leftovers)} unfinished files were put "
                "aside; what had been signed is whole"
            )
        sent = Outbox(self.directory).send(writer)
        if sent:
            self.notes.append(f"{sent} entries that had waited are in the audit log now")
        self._check_last_run()
        self._take_in()

    def _check_last_run(self) -> None:
        last = self._state.last_run
        if last is None:
            return
        run, index = str(last.get("run", "")), last.get("intent")
        try:
            known = (
                last.get("origin") == self.origin
                and isinstance(index, int)
                and 0 <= index < self._writer.size
                and e.parse(index, self._writer.log.reader.entry(index)).data.get("run") == run
            )
        except (ValueError, OSError):
            known = False
        if not known:
            who = printable_line(str(last.get("person", "somebody")), 100)
            self._drift(
                "unknown-run",
                f"the server says that its last run was {printable_line(run, 60)} by {who}, of which this log knows "
                "nothing",
            )

    def _take_in(self) -> None:
        """The school's cosignatures, from our own inbox and from the server's."""
        inbox = self.directory / "inbox"
        for file in sorted(inbox.glob("*")) if inbox.is_dir() else ():
            if file.is_file() and not file.is_symlink() and not file.name.startswith("."):
                try:
                    self._take(file.name, read_bounded(file, MAX_NOTE))
                except OSError as error:
                    self.notes.append(f"{file} cannot be read: {error.strerror}")
        for name, content in self._state.inbox.items():
            self._take(name, content)

    def _take(self, name: str, content: bytes) -> None:
        try:
            taken: TakenIn = take_in(self._writer, content)
        except CosignatureError as error:
            # A file stays in the inbox, and was taken in before.
            if error.kind != "replayed":
                self.notes.append(
                    f"the cosignature file {printable_line(name, 80)} was not taken: {error.message}; {error.remedy}"
                )
            return
        except ProvisionError as error:
            self.notes.append(
                f"the cosignature file {printable_line(name, 80)} was not taken: {error.message}"
            )
            return
        if taken.new:
            self.notes.append(f"cosigned by {', '.join(taken.names)} up to entry {taken.size - 1}")

    def add(self, *data: e.Data) -> range:
        """Add entries, signed and on the disk when this returns."""
        return self._writer.append(data)

    def open_intents(self) -> list[tuple[int, str, bool]]:
        """Runs that said what they were about to do and never how they ended, oldest first.

        One run at a time works on a school, and each closes what an earlier one left open: so none is older than the
        last run that ended.

        Returns:
            index of the intent, run, whether it had started.
        """
        found, started = [], set()
        for entry in self._writer.log.backwards():
            run = str(entry.data.get("run", ""))
            if entry.type == e.RunEnded.type:
                break
            if entry.type == e.RunStarted.type:
                started.add(run)
            elif entry.type == e.RunIntent.type:
                found.append((entry.index, run, run in started))
        return found[::-1]

    def cosigned_beyond(self, index: int) -> list[e.Cosigner]:
        """The cosignatures over an entry that meet the policy's quorum; empty as long as they do not."""
        policy = self._writer.log.policy
        for size, note in reversed(self._writer.log.archived()):
            if size <= index:
                break
            opinion = policy.open(note)
            if opinion.quorum_met and opinion.witnesses:
                return [
                    e.Cosigner(name=policy.witnesses[name].name, size=size, time=moment)
                    for name, moment in opinion.witnesses.items()
                ]
        return []

    def wait_for_cosignature(
        self, index: int, seconds: float, stopped: Callable[[], bool]
    ) -> list[e.Cosigner]:
        """Look again and again whether the school has cosigned an entry.

        Args:
            seconds: how long; 0 looks once.
            stopped: whether somebody wants us to give up.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = self.cosigned_beyond(index)
            if found or stopped() or time.monotonic() >= deadline:
                return found
            time.sleep(min(_LOOK_AGAIN, max(0.0, deadline - time.monotonic())))
            if self._copies:
                self._state = self._copies[0].state()
            self._take_in()

    def place_copy(self, last_run: dict[str, Any] | None = None) -> None:
        """Bring the copy on the server up to date, and say there which run was the last.

        Raises:
            CopyError: it cannot be written.
        """
        told = None if last_run is None else (json.dumps(last_run, ensure_ascii=False) + "\n").encode()
        for number, copy in enumerate(self._copies):
            if number == 0:
                self._state = hand_over(copy, self._state, self._writer.log, last_run=told)
            elif told is not None:
                copy.put([], last_run=told)

    def last_run(self, run: str, intent: int, outcome: str) -> dict[str, Any]:
        """What the server keeps of a run."""
        log = self._writer.log
        return {
            "schema": LAST_RUN_SCHEMA,
            "run": run,
            "outcome": outcome,
            "school": self.school.id,
            "person": self.actor.name,
            "origin": self.origin,
            "intent": intent,
            "at": e.timestamp(),
            "checkpoint": log.note.encode().decode(),
        }


def refused(error: ProvisionError) -> RefusedError:
    """An error of the log before anything was changed."""
    return RefusedError(error.message, error.remedy or "nothing was changed")
