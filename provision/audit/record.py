"""The record of a run: who did what to which school, when, from which revision, with which result, task by task.

``runs/<school>/<run>/run.json`` says who, what and how it ended, for quick reading and for estimates; each step's
result (secrets removed by value) is in the detail beside the audit log, see ``provision.audit.detail``. Writers know
only the small ``RunRecorder`` interface, so that what stands behind it can change.
"""

import contextlib
import getpass
import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Protocol

from provision import __version__
from provision.audit.detail import DetailError, DetailStore, DetailWriter
from provision.audit.log import log_directory
from provision.errors import ProvisionError, RefusedError, UsageError
from provision.files import write_atomically

SCHEMA = "provision/run/v1"


#: Accounts that many people share, so that they name nobody.
_SHARED = frozenset({"root", "admin", "administrator", "debian", "ubuntu", "user", "ansible"})
#: Marks that get into a name when a command is copied from a page or a document.
_QUOTES = tuple("\"'“”„‘’‚«»`´")
_SAY_WHO = (
    'say who you are: git config --global user.name "Your Name" (and user.email), or set PROVISION_PERSON'
)


def now() -> str:
    """The present time in UTC, to the second, in the form of RFC 3339."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id() -> str:
    """An id that sorts by time and that two machines will not both make."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ-") + secrets.token_hex(3)


@dataclass(frozen=True, slots=True)
class Person:
    """Who runs us.

    Args:
        name: ``PROVISION_PERSON``, else git's ``user.name`` and ``user.email``, else the system user.
        user: the operating system's user; behind sudo the one who called it.
        machine: name of the administrator's machine.
    """

    name: str
    user: str
    machine: str

    @classmethod
    def current(cls, workspace: Path) -> "Person":
        """The person at this machine."""
        user = os.environ.get("SUDO_USER") or getpass.getuser()
        name = os.environ.get("PROVISION_PERSON", "")
        if not name:
            name, email = (_git(workspace, "config", f"user.{key}") for key in ("name", "email"))
            name = f"{name} <{email}>" if name and email else name
        return cls(name=name or user, user=user, machine=socket.gethostname())

    def check_named(self) -> None:
        """See that this is a person and no shared account.

        Raises:
            RefusedError: nobody's name is known, or a quotation mark got into it.
        """
        if self.name[:1] in _QUOTES or self.name.partition(" <")[0][-1:] in _QUOTES:
            raise RefusedError(
                f"the name of the person who acts begins or ends with a quotation mark: {self.name}",
                f"{_SAY_WHO}; nothing was changed",
            )
        if self.name in _SHARED:
            raise RefusedError(
                f"the audit log names the person who acts, and “{self.name}” is nobody",
                f"{_SAY_WHO}; nothing was changed",
            )


@dataclass(frozen=True, slots=True)
class Revision:
    """State of the files that a run used: git commit of the workspace, and whether files differed from it."""

    commit: str
    dirty: bool

    @classmethod
    def of(cls, directory: Path, *, besides: Sequence[str] = ()) -> "Revision":
        """The revision of the repository that holds a directory; empty when there is none.

        Args:
            besides: what runs themselves write there; a change in it makes nothing dirty.
        """
        commit = _git(directory, "rev-parse", "HEAD")
        paths = (".", *(f":(exclude){name}" for name in besides))
        return cls(commit, bool(commit and _git(directory, "status", "--porcelain", "--", *paths)))


def _git(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def lacks(directory: Path, commit: str) -> bool:
    """Whether a clone has not come to a commit yet: it does not know it, or stands behind it.

    A history that was written anew, or a branch beside it, is no clone that lags behind.

    Args:
        directory: in the clone; where there is none, nothing is lacking.
        commit: as ``Revision`` has it; another text is none.
    """
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        return False
    head = _git(directory, "rev-parse", "HEAD")
    if not head or head == commit:
        return False
    if not _git(directory, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        return True
    # Both prints of one commit: HEAD is where they meet.
    return _git(directory, "merge-base", "HEAD", commit) == head


@dataclass(frozen=True, slots=True)
class RunIntent:
    """What a run is about to do; written before anything changes.

    Args:
        verb: ``apply`` or ``plan``.
        revision: of the workspace's files; ``code``: of the tool's own, where it runs from a checkout.
        services: id, version, kind of source and whether it is fit for the lab only, of each service.
        hosts: name, address and host-key fingerprint of each host.
        only: services that the run was limited to.
        content: SHA-256 of the school file, the municipality file and of each role that runs.
        why, ticket: the reason in the person's own words, and the number of a request; empty where none was given.
        confirmed: a person saw the plan and agreed to it.
        force: lessons that go on are cut where a step would cut them.
    """

    run: str
    verb: str
    school: str
    started: str
    person: Person
    revision: Revision
    code: Revision
    services: Sequence[Mapping[str, Any]] = ()
    hosts: Sequence[Mapping[str, Any]] = ()
    only: Sequence[str] = ()
    content: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    ticket: str = ""
    confirmed: bool = False
    force: bool = False
    tool: str = f"provision {__version__}"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Args:
        outcome: ``ok``, ``failed``, ``unhealthy``, ``cancelled`` or ``refused``.
        counts: results by status.
        changed: what changed, by role, in plain words.
        failure: the step that failed: host, role, task, error.
        probes: state of each probe.
        seconds: how long it took, and by role.
    """

    outcome: str
    ended: str
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failure: Mapping[str, str] | None = None
    probes: Sequence[Mapping[str, Any]] = ()
    seconds_by_role: Mapping[str, float] = field(default_factory=dict)
    tasks_by_role: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


class RunRecorder(Protocol):
    """What a run tells its record. Nothing may change on a host before ``intend`` has returned.

    Attributes:
        notes: what people should know of the record, in plain words.
    """

    @property
    def notes(self) -> Sequence[str]:
        """See the class."""

    def resume(self, intent: RunIntent) -> str:
        """The id under which the run goes on: its own, or that of a waiting run that intends the same."""

    def intend(self, intent: RunIntent) -> None:
        """Write down what is going to happen, safely on disk."""

    def task(self, result: Mapping[str, Any]) -> None:
        """Write down one task's result."""

    def end(self, outcome: RunOutcome) -> None:
        """Write down how it ended, safely on disk."""

    def place(self) -> str:
        """Where people find the record."""

    def close(self) -> None:
        """Let go of everything; safe to call at any time."""


class FileRecorder:
    """Writes a run's record as files.

    Args:
        directory: the workspace's ``runs``.
        details: where each step's result goes.
        redact: removes secrets from anything that is written.
    """

    def __init__(self, directory: Path, details: DetailStore, redact: Callable[[Any], Any]) -> None:
        self._runs = directory
        self._details = details
        self._redact = redact
        self._directory: Path | None = None
        self._document: dict[str, Any] = {}
        self._detail: DetailWriter | None = None

    @property
    def notes(self) -> Sequence[str]:
        """See ``RunRecorder``."""
        return ()

    def resume(self, intent: RunIntent) -> str:
        """See ``RunRecorder``."""
        return intent.run

    def close(self) -> None:
        """See ``RunRecorder``."""

    def intend(self, intent: RunIntent) -> None:
        """See ``RunRecorder``."""
        self._close_broken_off(intent.school)
        directory = self._runs / intent.school / intent.run
        directory.mkdir(parents=True, mode=0o700)
        self._directory = directory
        self._document = {
            "schema": SCHEMA,
            "provision": __version__,
            **self._redact(asdict(intent)),
            "outcome": "running",
        }
        self._save()
        self._detail = DetailWriter(self._details.file(intent.run))

    def task(self, result: Mapping[str, Any]) -> None:
        """See ``RunRecorder``."""
        self.step(result)

    def step(self, result: Mapping[str, Any]) -> tuple[int, bytes]:
        """Write down one task's result; gives its number and its commitment."""
        return self.detail.append({"at": now(), **self.redacted(dict(result))})

    def redacted(self, value: Any) -> Any:
        """The same text or data without secrets."""
        return self._redact(value)

    @property
    def detail(self) -> DetailWriter:
        """What the steps are written to."""
        assert self._detail is not None  # noqa: S101 - intend comes first
        return self._detail

    def end(self, outcome: RunOutcome) -> None:
        """See ``RunRecorder``."""
        self._document |= self._redact(asdict(outcome))
        self.detail.close()
        self._save()

    def place(self) -> str:
        """See ``RunRecorder``."""
        return str(self._directory) if self._directory else ""

    def _close_broken_off(self, school: str) -> None:
        """A run that was killed outright never said how it ended. The caller holds the school's lock: it is over."""
        for file in (self._runs / school).glob("*/run.json"):
            with contextlib.suppress(ValueError, OSError):
                # Few are: the others, a thousand of them after some years, need not be taken apart.
                if _RUNNING not in file.read_bytes():
                    continue
                document = _read(file)
                if document.get("outcome") == "running":
                    document |= {
                        "outcome": "broken off",
                        "note": f"it was killed or its machine went down; noticed at {now()}",
                    }
                    _write(file, document)

    def _save(self) -> None:
        assert self._directory is not None  # noqa: S101 - intend comes first
        _write(self._directory / "run.json", self._document)


#: Stands in each document of ``FileRecorder`` whose run has not ended.
_RUNNING = b'"outcome": "running"'


def _write(file: Path, document: Mapping[str, Any]) -> None:
    write_atomically(
        file, (json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n").encode(), mode=0o600
    )


#: What everyone who reads a record takes for granted, where it is there.
_KINDS: Mapping[str, type | UnionType] = {
    "run": str, "school": str, "verb": str, "outcome": str, "started": str, "seconds": int | float, "person": dict,
    "counts": dict,
}  # fmt: skip


def _read(file: Path) -> dict[str, Any]:
    """A run's document.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what ``FileRecorder`` writes.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict) or "run" not in document:
        raise ValueError("it is not the record of a run")
    odd = [key for key, kind in _KINDS.items() if key in document and not isinstance(document[key], kind)]
    if odd:
        raise ValueError(f"something else than expected stands at {', '.join(odd)}")
    return document


def list_runs(directory: Path, school: str | None = None) -> Iterator[dict[str, Any]]:
    """The runs of a workspace, newest first; each is read when it is asked for.

    Args:
        directory: the workspace's ``runs``.
        school: only this school's.
    """
    files = directory.glob(f"{school or '*'}/*/run.json")
    for file in sorted(files, key=lambda file: file.parent.name, reverse=True):
        try:
            yield _read(file)
        except (OSError, ValueError):
            yield {
                "run": file.parent.name,
                "school": file.parent.parent.name,
                "outcome": "damaged",
                "verb": "?",
                "started": "",
            }


def find_run(directory: Path, run: str) -> tuple[dict[str, Any], Path]:
    """One run's document, and its directory.

    Args:
        run: its id, or an unambiguous beginning or end of it.

    Raises:
        UsageError: there is none, or several.
        ProvisionError: it is damaged.
    """
    files = [
        file
        for file in directory.glob("*/*/run.json")
        if file.parent.name.startswith(run) or file.parent.name.endswith(run)
    ]
    if len(files) != 1:
        several = ", ".join(sorted(file.parent.name for file in files)[:5])
        raise UsageError(
            f"{run!r} stands for several runs: {several}" if files else f"there is no run {run!r}",
            "see them all with: provision runs list",
        )
    try:
        return _read(files[0]), files[0].parent
    except (OSError, ValueError) as error:
        raise ProvisionError(
            f"{files[0]} is damaged: {error}", "restore it from a backup of the workspace"
        ) from error


def tasks_of(directory: Path) -> Iterator[dict[str, Any]]:
    """The task results of a run, in order; one whose content was erased says so.

    Args:
        directory: the run's, as ``find_run`` gives it: ``<workspace>/runs/<school>/<run>``.

    Raises:
        ProvisionError: the detail is damaged.
    """
    workspace, school, run = directory.parents[2], directory.parent.name, directory.name
    try:
        for line in DetailStore(log_directory(workspace, school) / "detail").read(run):
            yield line.payload if line.payload is not None else {"number": line.number, "erased": line.erased}
    except DetailError as error:
        raise ProvisionError(
            f"the detail of run {run} is damaged: {error}", f"see: provision audit verify {school}"
        ) from error


def forget_steps(directory: Path) -> None:
    """Remove from a run's document what its steps said; the counts stay.

    Args:
        directory: the run's; nothing happens where there is no document.
    """
    file = directory / "run.json"
    if not file.exists():
        return
    try:
        document = _read(file)
    except (ValueError, ProvisionError):
        # Nobody knows what is in a damaged one; whose data it was must go all the same.
        document = {"run": directory.name, "school": directory.parent.name, "outcome": "damaged"}
    failure = document.get("failure")
    document |= {
        "changed": {role: [] for role in document.get("changed") or {}},
        "failure": {**failure, "error": "erased"} if failure else None,
        "probes": [{**probe, "measured": "erased"} for probe in document.get("probes") or []],
    }
    _write(file, document)


def last_good(directory: Path, school: str, verb: str) -> dict[str, Any] | None:
    """The newest run of a kind that ended well, for estimates and for what is installed."""
    for run in list_runs(directory, school):
        if run.get("verb") == verb and run.get("outcome") == "ok" and not run.get("only"):
            return run
    return None
