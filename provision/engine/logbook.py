"""The audit log in the hands of whoever works on a school's server: meet, check, add, sign, leave a copy.

Only one person does so at a time: the caller holds the lock of the school's host.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from provision.audit import entries as e
from provision.audit.cosignatures import CosignatureError, TakenIn, take_in
from provision.audit.cosigned import cosigned_beyond, log_keys
from provision.audit.keys import KeyStore, Second
from provision.audit.log import LogError, LogWriter, SchoolLog, log_directory, read_bounded, writing
from provision.audit.opening import actor_of, check_origin, keys_for, mend_policy, open_new, origin_of
from provision.audit.outbox import Outbox
from provision.audit.record import Person
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import MAX_NOTE, Note, SignerKey, VerifierKey, open_note
from provision.audit.tlog.tiles import TileReader
from provision.engine.connections import Connections
from provision.engine.log_beside import fetch_beside, follow_erasures
from provision.engine.log_copy import CopyState, LogCopy
from provision.engine.log_meeting import (
    ChangedCopyError,
    ContradictionError,
    continues,
    hand_over,
    known_keys,
    take_over,
)
from provision.errors import ProvisionError, RefusedError
from provision.files import write_atomically
from provision.model import ResolvedSchool, Workspace
from provision.model.certificates import authorities
from provision.secrets import SecretStore
from provision.text import printable_line

#: Seconds between two looks for the school's cosignature.
_LOOK_AGAIN = 5.0
LAST_RUN_SCHEMA = "provision/last-run/v1"


class OwnState:
    """What this workspace remembers of its dealings with a log; losing it loses nothing but convenience.

    Attributes:
        placed: the checkpoint that the server's copy had when we left it. strict: what the newest policy entry said.
        erasures: number of entries whose erasures were followed here.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            found = json.loads(read_bounded(file, MAX_NOTE))
            self.placed: str | None = found["placed"]
            self.strict: bool | None = found["strict"]
            self.erasures: int = found["erasures"]
        except (OSError, ValueError, KeyError, TypeError):
            self.placed, self.strict, self.erasures = None, None, 0

    def save(self) -> None:
        """Write it down.

        Raises:
            LogError: the disk is full, ...
        """
        found = {"placed": self.placed, "strict": self.strict, "erasures": self.erasures}
        try:
            write_atomically(self._file, json.dumps(found).encode(), mode=0o600)
        except OSError as error:
            raise LogError(
                f"{self._file} cannot be written: {error.strerror}", "make room, then try again"
            ) from error


class LogBook:
    """A school's log, open for writing, with its copy on the server.

    Use as a context manager. Entering meets the copy: takes what others added, refuses a contradiction, and records
    what a crash left, what waited in the outbox, and what the server says that the log does not explain.

    Args:
        person: who acts.
        connections: open connections to the school's hosts; None for a log that has not been on a server yet.
        second: for a log that begins now, see ``KeyStore.make``.
        replace_copy: put our log in the place of a copy that is not signed by us.
        secrets: knows the school's vault password already, which may come from a person's hands.

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
        secrets: SecretStore | None = None,
    ) -> None:
        self._workspace = workspace
        self.school = school
        self.notes: list[str] = []
        self._second = second
        self._replace_copy = replace_copy
        self._stack = ExitStack()
        self._state = CopyState()
        self._copies: list[LogCopy] = []
        key = ""
        if connections is not None:
            # A shared server keeps no school's log.
            hosts = sorted(school.own_hosts)
            key = connections[hosts[0]].own_key_fingerprint
            # Started now, asked later: their start on the servers takes a moment.
            self._copies = [LogCopy(connections[host], school.id) for host in hosts]
        self.actor = actor_of(person, key)
        self.target = e.Target(school=school.id)
        self.origin = origin_of(workspace, school)
        self.directory = log_directory(workspace.path, school.id)
        self._secrets = secrets or SecretStore(workspace)
        self.keys = KeyStore(workspace, self._secrets)
        self._own = OwnState(self.directory / ".state.json")

    @property
    def placed(self) -> bool:
        """Whether the server has a copy, or had one."""
        return self._state.note is not None or self._own.placed is not None

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
            check_origin(self.directory, self.origin)
            keys = keys_for(self.keys, self._workspace, self.school, second=self._second)
            stack.push(self._entered(keys.current, made))
            self._tidy()
            self._stack = stack.pop_all()
        return self

    def _entered(self, keys: Sequence[SignerKey], made: bool) -> ExitStack:
        """The log, open for writing, and in step with its copy."""
        for again in (True, False):
            with ExitStack() as stack:
                self._writer = stack.enter_context(
                    writing(self.directory, self.origin, keys, former=self._former_keys(keys))
                )
                try:
                    self._meet(made)
                except ContradictionError as error:
                    if again and self._step_back(error):
                        continue
                    error.keep(self._writer)
                    raise
                return stack.pop_all()
        raise AssertionError("the second round returns or raises")  # pragma: no cover

    def _former_keys(self, keys: Sequence[SignerKey]) -> list[VerifierKey]:
        """Keys of our own log that signed it before today's: a colleague has renewed them, and their entries come."""
        try:
            log = SchoolLog.open(self.directory)
        except LogError:
            return []
        try:
            open_note(log.note, [key.verifier for key in keys])
        except TlogError:
            with suppress(LogError):
                return log_keys(log)
        return []

    def _step_back(self, error: ContradictionError) -> bool:
        """Give way to the copy where ours differs only in what never came to the server and nobody has cosigned.

        A run whose line was cut leaves such entries, and a colleague may have gone on without them. They wait in the
        outbox, word for word, and follow what the copy has, behind an entry that binds them; our checkpoint over them
        is kept, and named in the log.

        Returns:
            whether the log ends now where the copy was placed last.
        """
        writer, placed = self._writer, self._own.placed
        if placed is None:
            return False
        note = Note.parse(placed.encode())
        size = Checkpoint.parse(note.text).size
        witnesses = list(writer.log.policy.witnesses.values())
        cosigned = any(
            at > size and any(key.made(line) for key in witnesses for line in kept.signatures)
            for at, kept in writer.log.archived()
        )
        if not size < writer.size or cosigned or not continues(self._copies[0], error.theirs, writer, size):
            return False
        # Among what is left over, which the next writer names in the log by its hash.
        writer.put(f"{_evidence('left-over')}/checkpoint", writer.log.note.encode())
        outbox, left = Outbox(self.directory), list(writer.log.reader.entries(size))
        # They wait already where somebody was killed in the middle of this.
        if not set(left).issubset(outbox.waiting()):
            outbox.keep([e.compose(self.origin, self._following(size)), *left])
        # From here on the entries beyond are what a crash leaves: put aside and recorded by the next writer.
        writer.put("checkpoint", note.encode())
        # What a colleague erased stands among the entries that come in the place of ours.
        self._own.erasures = min(self._own.erasures, size)
        self.notes.append(
            f"{writer.size - size} entries of the audit log had never reached the server, and a colleague went on "
            "without them: they follow the colleague's now"
        )
        return True

    def _following(self, shared: int) -> e.LogRecovered:
        """What binds the entries that come once more: without it their dates would look like an older log's."""
        log = self._writer.log
        note = log.note.encode()
        return e.LogRecovered(
            actor=self.actor,
            target=self.target,
            leftovers=[e.Leftover(file="checkpoint", sha256=sha256(note).hexdigest(), bytes=len(note))],
            follows=e.Following(shared=shared, size=log.size, root=log.root.hex()),
        )

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
        self._secrets.ensure(self.school, [])
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
        mend_policy(writer)
        self._check_keys_count()
        follow_erasures(writer.log, self._own.erasures, self._workspace.runs_dir / self.school.id)
        self._own.erasures = writer.size
        if self._copies:
            odd = fetch_beside(self._copies[0], self._state, writer, self._authority())
            self.notes += [f"left on the server, since it does not fit the audit log: {name}" for name in odd]
        if self._copies and state.note is None and self._was_placed():
            self._drift("missing-copy", "the server has no copy of the log; was it set up anew?")

    def _authority(self) -> list[bytes]:
        """The certificates of the time-stamp authority that the workspace trusts, where it names one."""
        configured = self.school.audit.time_stamp
        if configured is None:
            return []
        try:
            return [authorities(self._workspace.path / configured.ca_file.expanduser()).encode()]
        except (OSError, ValueError):
            return []

    def _take_over(self, verifiers: Sequence[VerifierKey]) -> int:
        """What others added; a copy that is not ours is replaced only by a person's decision, and kept."""
        if not self._copies:
            return 0
        try:
            return take_over(self._copies[0], self._state, self._writer, verifiers)
        except ChangedCopyError as error:
            if not self._replace_copy or self._state.note is None:
                raise
            self._writer.put(_evidence("changed-copy"), self._state.note)
            self._drift("changed-copy", f"{error.message}; ours was put in its place by a person's decision")
            self._state = CopyState(last_run=self._state.last_run)
            return 0

    def _check_keys_count(self) -> None:
        """See that our keys still are those of the log: a colleague may have renewed them.

        Raises:
            LogError: they were retired; what they sign would not count.
        """
        ours = {key.verifier.vkey for key in self._writer.keys}
        if {key.vkey for key in self._writer.log.policy.logs} != ours:
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
        left = len(writer.leftovers)
        if left:
            writer.record_leftovers(
                lambda found: e.LogRecovered(actor=self.actor, target=self.target, leftovers=found)
            )
            self.notes.append(
                f"an earlier writer of the audit log was broken off: {left} unfinished files were put aside; what had "
                "been signed is whole"
            )
        sent = Outbox(self.directory).send(writer)
        if sent:
            self.notes.append(f"what had waited is in the audit log now ({sent} entries)")
        if self._own.strict is not None and self._own.strict != self.school.audit.strict:
            self.add(
                e.PolicySet(
                    actor=self.actor,
                    target=self.target,
                    policy=writer.log.policy.text,
                    strict=self.school.audit.strict,
                )
            )
            if not self.school.audit.strict and writer.log.policy.witnesses:
                self.notes.append(
                    "runs do not wait for the school any more, and the audit log says so: let the school sign before "
                    "the next run (provision audit witness sign); else audit verify will ask why it was not told"
                )
        self._own.strict = self.school.audit.strict
        self._check_last_run(self._state.last_run)
        for copy in self._copies[1:]:
            self._check_last_run(copy.state().last_run)
        self._take_in()
        self._own.save()

    def _check_last_run(self, last: dict[str, Any] | None) -> None:
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
            return
        self._check_last_checkpoint(str(last.get("checkpoint", "")))

    def _check_last_checkpoint(self, text: str) -> None:
        """The log must continue what the last run left on the server: else both it and its copy were set back."""
        writer = self._writer
        try:
            note = Note.parse(text.encode())
            open_note(note, known_keys(writer))
            last = Checkpoint.parse(note.text)
        except (TlogError, UnicodeEncodeError):
            self._drift(
                "unknown-run", "the server's note of its last run bears a checkpoint that we did not sign"
            )
            return
        if last.size <= writer.size and TileReader(writer.directory, last.size).root() == last.root:
            return
        writer.put(_evidence("last-run"), note.encode())
        self._drift(
            "contradiction",
            f"the last run left a signed checkpoint of {last.size} entries on the server, which this log does not "
            "continue: the log and its copy were set back or rewritten",
        )

    def _take_in(self) -> None:
        """The school's cosignatures, from our own inbox and from the server's."""
        inbox = self.directory / "inbox"
        for file in sorted(inbox.glob("*")) if inbox.is_dir() else ():
            if file.is_file() and not file.is_symlink() and not file.name.startswith("."):
                try:
                    if self._take(file.name, read_bounded(file, MAX_NOTE)):
                        file.unlink()
                except OSError as error:
                    self._say(f"{file} cannot be read: {error.strerror}")
        done = {name: data for name, data in self._state.inbox.items() if self._take(name, data)}
        if self._copies:
            self._copies[0].take(done)
        if self._state.inbox_more:
            self._say(f"the inbox on the server has {self._state.inbox_more} files more, not looked at yet")

    def _take(self, name: str, content: bytes) -> bool:
        """Take in one file; gives whether it may go: it is kept, or will never be of use."""
        try:
            taken: TakenIn = take_in(self._writer, content)
        except CosignatureError as error:
            if error.kind != "replayed":
                self._say(
                    f"the cosignature file {printable_line(name, 80)} was not taken: {error.message}; {error.remedy}"
                )
            return error.kind != "ahead"
        except ProvisionError as error:
            self._say(f"the cosignature file {printable_line(name, 80)} was not taken: {error.message}")
            return False
        if taken.new:
            self._say(f"cosigned by {', '.join(taken.names)} up to entry {taken.size - 1}")
        return True

    def _say(self, note: str) -> None:
        """Tell once, however often it is looked at."""
        if note not in self.notes:
            self.notes.append(note)

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

    def last_begun(self) -> e.Entry | None:
        """The intent of the newest run that had begun."""
        begun = set()
        for entry in self._writer.log.backwards():
            run = str(entry.data.get("run", ""))
            if entry.type == e.RunStarted.type:
                begun.add(run)
            elif entry.type == e.RunIntent.type and run in begun:
                return entry
        return None

    def cosigned_beyond(self, index: int) -> list[e.Cosigner]:
        """The cosignatures over an entry that meet the policy's quorum; empty as long as they do not."""
        witnesses = self._writer.log.policy.witnesses
        return [
            e.Cosigner(name=witnesses[name].name, size=size, time=moment)
            for name, size, moment in cosigned_beyond(self._writer.log, index)
        ]

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
                self._own.placed = self._writer.log.note.encode().decode()
                self._own.save()
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


def _evidence(what: str) -> str:
    """A new name below the log's directory for something that must not be lost."""
    return f"evidence/{e.timestamp().replace(':', '')}-{what}"


def refused(error: ProvisionError) -> RefusedError:
    """An error of the log before anything was changed."""
    return RefusedError(error.message, error.remedy or "nothing was changed")
