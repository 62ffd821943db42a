"""What an operation does when something gets in its way: a stop, a full disk, an unhealthy service."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml

from provision import paths
from provision.audit import FileRecorder, RunIntent, RunOutcome, list_runs
from provision.audit.detail import DetailStore
from provision.engine import operation as operation_module
from provision.engine.events import Event, TaskResult, from_slim, slim
from provision.engine.operation import Mandate, Operation
from provision.engine.preflight import HostState
from provision.engine.preparation import Prepared, content_hashes, tree_hash
from provision.engine.remedies import remedy_for
from provision.engine.runner import RunRequest, RunResult
from provision.engine.ssh import Connection
from provision.errors import ProvisionError, RefusedError
from provision.health import ProbeResult, probe_school
from provision.model import ResolvedHost
from provision.secrets.redact import Redactor
from tests.unit.engine.test_variables import selections, workspace

CHANGED = TaskResult("main", "hello", "Write the page", "copy", "changed")
WELL = ProbeResult("hello", "page", "Page", "ok", "answers 200")


class FakeConnection:
    key_fingerprint = "SHA256:x"


class FakeConnections:
    def __getitem__(self, host: str) -> FakeConnection:
        return FakeConnection()

    def run_on(self, host: str, command: str, stdin: str) -> tuple[int, str]:
        raise AssertionError("the probes are played back")


class FakeRun:
    """Plays back what a run would have told."""

    events: tuple[Event, ...] = (CHANGED,)
    outcome = "successful"

    requests: ClassVar[list[RunRequest]] = []

    def __init__(
        self, request: RunRequest, on_event: Callable[[Event], None], clean: Callable[[Any], Any]
    ) -> None:
        self.requests.append(request)
        self.on_event = on_event
        self.clean = clean

    def execute(self) -> RunResult:
        for event in self.events:
            self.on_event(event)
        return RunResult("successful")

    def cancel(self) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Operation]:
    monkeypatch.setattr(operation_module, "Run", FakeRun)
    monkeypatch.setattr(operation_module, "probe_school", lambda *_, **__: [WELL])
    (tmp_path / "workspace").mkdir()
    loaded = workspace(tmp_path / "workspace")

    def make(recorder: Any = None) -> Operation:
        prepared = Prepared(
            workspace=loaded,
            school=loaded.school("escola"),
            only=(),
            selections=tuple(selections("hello")),
            left_out=(),
            new_secrets=(),
            redactor=Redactor({"hello_password": "a-secret-of-the-school"}),
            sudo_passwords={},
            certificates={"hello": "certificate", "adeu": "certificate"},
        )
        current = Operation(prepared, "apply", recorder=recorder)
        current.connections = FakeConnections()  # type: ignore[assignment]
        return current

    return make


def nothing(_: Event) -> None:
    pass


def test_the_record_holds_what_ran_of_roles_that_others_include(made: Callable[..., Operation]) -> None:
    prepared = made().prepared
    before = content_hashes(prepared)
    assert {"site.yml", "ansible.cfg", "role hello", "role base"} <= before.keys()
    catalog = dict(prepared.workspace.catalog)
    hello = catalog["hello"]
    needs = hello.definition.needs.model_copy(update={"includes": ("archive",)})
    definition = hello.definition.model_copy(update={"needs": needs})
    catalog["hello"] = replace(hello, definition=definition)
    after = content_hashes(replace(prepared, workspace=replace(prepared.workspace, catalog=catalog)))
    assert after == {**before, "role archive": tree_hash(paths.ROLES / "archive")}


def test_the_roles_are_told_which_packages_preflight_has_seen(
    made: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_module, "look", lambda *_, **__: HostState((), False, ("nginx", "sudo")))
    current = made()

    def told() -> list[Any]:
        current.plan(nothing)
        (group,) = FakeRun.requests[-1].inventory["all"]["children"].values()
        return [variables["provision_packages"] for variables in group["hosts"].values()]

    # Without a look they have to ask apt.
    assert set(map(tuple, told())) == {()}
    current.look()
    assert set(map(tuple, told())) == {("nginx", "sudo")}


def test_an_installation_is_finished_where_it_was_cut_off_and_not_on_the_schools_other_servers(
    made: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    current = made()
    monkeypatch.setattr(operation_module, "look", lambda *_, **__: HostState((), True, ()))
    current.look()
    current.plan(nothing)
    whole = FakeRun.requests[-1].inventory["all"]
    (group,) = whole["children"].values()
    assert [variables["provision_finish_apt"] for variables in group["hosts"].values()] == [True]
    assert "provision_finish_apt" not in whole["vars"]


def test_no_interrupted_installation_is_finished_before_it_is_asked_whether_lessons_go_on() -> None:
    """What it brings up to date may be Prosody or Java, whose packages start them again."""
    (play,) = yaml.safe_load((paths.PLAYBOOKS / "site.yml").read_text())
    steps = [json.dumps(task) for task in play["tasks"]]
    finishes = next(number for number, step in enumerate(steps) if "dpkg --configure" in step)
    asks = next(number for number, step in enumerate(steps) if "sbin/provision-busy" in step)
    assert asks < finishes
    assert play["tasks"][asks]["when"] == play["tasks"][finishes]["when"]


@pytest.mark.parametrize(
    ("mandate", "words"),
    [(Mandate(), ["0"]), (Mandate(wait=90.0), ["2"]), (Mandate(force=True), ["0", "--force"])],
)
def test_the_roles_are_told_what_becomes_of_lessons_and_for_which_run_the_servers_are_held(
    made: Callable[..., Operation], mandate: Mandate, words: list[str]
) -> None:
    current = made()
    current.mandate = mandate
    held = current.prepared.run_id
    # What the school had agreed to before goes on under the id of that time.
    current.prepared.run_id = "earlier"
    current.plan(nothing)
    told = FakeRun.requests[-1].inventory["all"]["vars"]["provision_busy_words"]
    assert told == ["--wait", words[0], "--run", held, *words[1:]]


class FullDisk(FileRecorder):
    """A recorder whose disk is full from a certain moment on."""

    def __init__(self, directory: Path, when: str) -> None:
        super().__init__(directory, DetailStore(directory.parent / "detail"), lambda value: value)
        self.when = when

    def _full(self, moment: str) -> None:
        if self.when == moment:
            raise OSError(28, "No space left on device")

    def intend(self, intent: RunIntent) -> None:
        self._full("intend")
        super().intend(intent)

    def task(self, result: Mapping[str, Any]) -> None:
        self._full("task")
        super().task(result)

    def end(self, outcome: RunOutcome) -> None:
        self._full("end")
        super().end(outcome)


def test_a_run_that_ends_well_is_recorded_so(made: Callable[..., Operation]) -> None:
    current = made()
    report = current.apply(nothing)
    assert (report.outcome, report.change_count) == ("ok", 1)
    (run,) = list_runs(current.prepared.workspace.runs_dir)
    assert run["outcome"] == "ok"
    assert run["changed"] == {"hello": ["Write the page"]}


def test_nothing_is_run_when_the_intent_cannot_be_written(
    made: Callable[..., Operation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the run was started")

    monkeypatch.setattr(operation_module, "Run", never)
    with pytest.raises(RefusedError, match="No space left on device"):
        made(FullDisk(tmp_path / "runs", "intend")).apply(nothing)


def test_a_hole_in_the_record_fails_the_run_in_plain_words(
    made: Callable[..., Operation], tmp_path: Path
) -> None:
    report = made(FullDisk(tmp_path / "runs", "task")).apply(nothing)
    assert report.outcome == "failed"
    assert "the record is incomplete" in report.message
    assert "No space left on device" in report.message


def test_a_record_that_cannot_be_finished_is_an_error_in_plain_words(
    made: Callable[..., Operation], tmp_path: Path
) -> None:
    with pytest.raises(ProvisionError, match="its record could not be finished"):
        made(FullDisk(tmp_path / "runs", "end")).apply(nothing)


def test_a_stop_while_probing_cancels_the_run(made: Callable[..., Operation]) -> None:
    current = made()
    report = current.apply(nothing, probing=lambda: current.cancel("stopped by Ctrl-C"))
    assert report.outcome == "cancelled"
    assert report.message == "stopped by Ctrl-C"
    assert next(list_runs(current.prepared.workspace.runs_dir))["outcome"] == "cancelled"


LOST = TaskResult("main", "hello", "Bring it up", "command", "unreachable", error="gone")


@pytest.mark.parametrize(
    ("force", "busy", "events", "stop", "told"),
    [
        (True, True, (CHANGED,), True, True),
        (True, True, (LOST,), False, True),
        (True, True, (CHANGED,), False, False),
        (False, True, (CHANGED,), True, False),
        (True, False, (CHANGED,), True, False),
    ],
)
def test_a_forced_run_that_did_not_hear_the_end_of_its_step_says_that_it_may_have_cut_lessons(
    made: Callable[..., Operation],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    force: bool,
    busy: bool,
    events: tuple[Event, ...],
    stop: bool,
    told: bool,
) -> None:
    kept: list[Mapping[str, Any]] = []

    class Keeping(FileRecorder):
        def task(self, result: Mapping[str, Any]) -> None:
            kept.append(result)

    service = SimpleNamespace(host="main", id="hello", definition=SimpleNamespace(busy=busy))
    monkeypatch.setattr(Prepared, "services", (service,))
    monkeypatch.setattr(FakeRun, "events", events)
    current = made(Keeping(tmp_path / "runs", DetailStore(tmp_path / "detail"), lambda value: value))
    current.mandate = Mandate(force=force)
    current.apply(lambda _: current.cancel("stopped by Ctrl-C") if stop else None)
    assert [(step["host"], step["cut"]) for step in kept if "cut" in step] == [("main", {})] * told


def test_a_stop_ends_the_patience_of_the_probes(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    loaded = workspace(tmp_path / "workspace")
    school = loaded.school("escola")
    asked: list[str] = []

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        asked.append(host)
        return 1, "python3: not found"

    results = probe_school(
        loaded, school, [school.services["hello"]], run_on, patience=3600, stop=lambda: True
    )
    assert asked == ["main"]
    assert {result.state for result in results} == {"unreachable"}
    assert any("python3: not found" in result.measured for result in results)


@pytest.mark.parametrize(("lost", "outcome"), [(True, "failed"), (False, "cancelled")])
def test_a_line_that_is_lost_is_no_person_who_stops_the_run(
    made: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch, lost: bool, outcome: str
) -> None:
    current = made()

    def execute(_: FakeRun) -> RunResult:
        current._lost() if lost else current.cancel("stopped by Ctrl-C")
        return RunResult("canceled")

    monkeypatch.setattr(FakeRun, "execute", execute)
    report = current.apply(nothing)
    assert report.outcome == outcome
    assert "finish with provision apply" in report.remedy
    assert next(iter(list_runs(current.prepared.workspace.runs_dir)))["outcome"] == outcome


def test_no_secret_reaches_the_report_or_the_record(
    made: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"host": "main", "role": "hello", "task": "Leak", "res": {"msg": "key is a-secret-of-the-school"}}
    told = slim({"event": "runner_on_failed", "event_data": said})
    assert told is not None

    def execute(self: FakeRun) -> RunResult:
        self.on_event(from_slim(told, self.clean))
        return RunResult("failed")

    monkeypatch.setattr(FakeRun, "execute", execute)
    current = made()
    report = current.apply(nothing)
    assert report.failure is not None
    assert report.failure.error == "key is ‹secret:hello_password›"
    for file in current.prepared.workspace.runs_dir.rglob("*"):
        assert file.is_dir() or "a-secret-of-the-school" not in file.read_text()


@pytest.mark.parametrize("sudo_reads_it", [True, False], ids=["sudo asks", "sudo does not ask"])
def test_the_sudo_password_never_reaches_the_command(sudo_reads_it: bool) -> None:
    connection = object.__new__(Connection)
    connection.host = ResolvedHost("main", "192.0.2.1", "tecnic", 22, "debian-12", None, None, True)
    connection._sudo_password = "una-contrasenya"
    command, before = connection.sudo("cat; echo end")
    assert "una-contrasenya" not in command
    if sudo_reads_it:
        before = before.split("\n", 1)[1]
    shell = command.replace("sudo -S -p '' -- ", "")
    done = subprocess.run(
        ["sh", "-c", shell], input=before + "the data\n", text=True, capture_output=True, check=True
    )
    assert done.stdout == "the data\nend\n"


@pytest.mark.parametrize(
    ("error", "unreachable", "words"),
    [
        ("write: No space left on device", False, "disk is full"),
        ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", True, "went away"),
        ("Failed to connect to mirror: Connection timed out", False, "package sources"),
        ("Host key verification failed.", True, "provision school trust escola"),
        ("Permission denied (publickey)", True, "does not let us in"),
        ("No package matching 'etherpad' is available", False, "apt-get update"),
        ("something nobody has seen", False, "applying again goes on"),
    ],
)
def test_known_causes_have_a_remedy(error: str, unreachable: bool, words: str) -> None:
    assert words in remedy_for(error, "escola", unreachable=unreachable)
