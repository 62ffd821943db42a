"""An administrator's machine: a workspace with its vault password, whose only server is played here."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.audit import FileRecorder, Person, Revision, RunIntent, RunOutcome
from provision.audit import entries as e
from provision.audit.detail import DetailStore
from provision.audit.log import SchoolLog, log_directory
from provision.audit.tlog import Kind, Note, SignerKey
from provision.engine import log_copy
from provision.engine.logbook import LogBook
from provision.engine.recorder import LoggedRecorder
from provision.model import ResolvedSchool, Workspace, load_workspace
from provision.secrets.redact import Redactor
from tests.unit.engine.log_server import SCHOOL, Server, connections
from tests.unit.engine.test_variables import workspace

ADA = Person("Ada Administradora", "ada", "portàtil")
WITNESS = SignerKey.generate("escola.example/custodi", Kind.COSIGNATURE_ED25519)
SECRET = "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15"


class Desk:
    """A workspace.

    Args:
        directory: where it is. server: the school's.
        person: who sits there.
    """

    def __init__(self, directory: Path, server: Server, person: Person = ADA) -> None:
        self.directory = directory
        self.server = server
        self.person = person

    @property
    def workspace(self) -> Workspace:
        return load_workspace(self.directory)

    @property
    def school(self) -> ResolvedSchool:
        return self.workspace.school(SCHOOL)

    @property
    def place(self) -> Path:
        return log_directory(self.directory, SCHOOL)

    @property
    def log(self) -> SchoolLog:
        return SchoolLog.open(self.place)

    def edit(self, **changes: Any) -> None:
        """Change the school file."""
        file = self.directory / "schools" / f"{SCHOOL}.yml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))

    def book(self, **more: Any) -> LogBook:
        return LogBook(self.workspace, self.school, self.person, connections(self.server), **more)

    def colleague(self, name: str, person: Person = ADA, *without: str) -> "Desk":
        """Another machine with what version control has, and no log."""
        target = self.directory.with_name(name)
        left = {"audit", "runs", ".state", *without}
        shutil.copytree(
            self.directory, target, ignore=lambda place, _: left if Path(place) == self.directory else set()
        )
        return Desk(target, self.server, person)

    def recorder(
        self,
        book: LogBook | None = None,
        *,
        wait: float = 0.0,
        stopped: Callable[[], bool] = lambda: False,
        content: Callable[[], Mapping[str, str]] | None = None,
        lacks: Callable[[str], bool] | None = None,
    ) -> LoggedRecorder:
        details = DetailStore(self.place / "detail")
        files = FileRecorder(self.workspace.runs_dir, details, Redactor({"api_key": SECRET}).data)
        return LoggedRecorder(
            book or self.book(), files, self.school,
            wait=lambda: wait, stopped=stopped, content=content, lacks=lacks,
        )  # fmt: skip

    def types(self, start: int = 0) -> list[str]:
        return [entry.type for entry in self.log.entries(start)]

    def entries(self, kind: str) -> list[e.Entry]:
        return [entry for entry in self.log.entries() if entry.type == kind]


@contextmanager
def at_work(recorder: LoggedRecorder) -> Iterator[LoggedRecorder]:
    """As ``Operation`` does it: whatever happens, the log is let go of."""
    try:
        yield recorder
    finally:
        recorder.close()


def an_intent(run: str, **changes: Any) -> RunIntent:
    fields: dict[str, Any] = {
        "run": run,
        "verb": "apply",
        "school": SCHOOL,
        "started": "2026-11-23T08:00:00Z",
        "person": ADA,
        "revision": Revision("a" * 40, False),
        "code": Revision("b" * 40, True),
        "services": [
            {"service": "hello", "version": "1.0", "source": "apt", "checksums": {}, "lab_only": False}
        ],
        "hosts": [{"name": "main", "address": "192.0.2.10", "known_as": "x", "host_key": "SHA256:host"}],
        "content": {"school": "c" * 64},
        "why": "la primera",
        "ticket": "2026/7",
        "confirmed": True,
    }
    return RunIntent(**fields | changes)


def a_result(name: str = "Escriu la pàgina", status: str = "changed", **changes: Any) -> Mapping[str, Any]:
    return {
        "host": "main", "role": "hello", "name": name, "action": "copy", "status": status, "details": [], "diff": "",
        "error": "", "ignored": False, "duration_ms": 5, **changes,
    }  # fmt: skip


def an_outcome(outcome: str = "ok", **changes: Any) -> RunOutcome:
    return RunOutcome(outcome, "2026-11-23T08:01:00Z", 60.5, counts={"ok": 3, "changed": 1}, **changes)


def a_run(desk: Desk, run: str, *results: Mapping[str, Any], **changes: Any) -> None:
    """A whole run."""
    with at_work(desk.recorder()) as recorder:
        intent = an_intent(run, **changes)
        recorder.resume(intent)
        recorder.intend(intent)
        for result in results or (a_result(),):
            recorder.task(result)
        recorder.end(an_outcome())


def cosignature(log: SchoolLog, key: SignerKey = WITNESS) -> bytes:
    """The file that the school hands in over the newest checkpoint."""
    note: Note = log.note
    return note.add(key.sign(note.text, int(time.time()))).encode()


def make_desk(top: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A workspace with a vault password, and its server."""
    keys = top / "keys"
    keys.mkdir(mode=0o700)
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(keys))
    server = Server(top / "server")
    monkeypatch.setattr(log_copy, "PLACE", str(server.place))
    monkeypatch.setattr(log_copy, "LAST_RUN", str(server.last_run))
    monkeypatch.setattr("os.fsync", lambda _: None)
    (top / "workspace").mkdir()
    workspace(top / "workspace")
    return Desk(top / "workspace", server)
