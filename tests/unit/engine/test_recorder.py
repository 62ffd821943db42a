"""A run in the audit log: intent first, each change, the end; agreed to where that is asked for; whatever happens."""

import errno
import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.audit import Person
from provision.audit import entries as e
from provision.audit.cosigners import add_witness
from provision.audit.log import LogError, LogWriter
from provision.audit.record import lacks
from provision.engine import logbook as logbook_module
from provision.engine import operation as operation_module
from provision.engine.events import Event, TaskResult
from provision.engine.log_copy import CopyError
from provision.engine.operation import Operation
from provision.engine.preparation import Prepared
from provision.engine.recorder import _BATCH_SIZE
from provision.errors import ProvisionError, RefusedError
from provision.health import ProbeResult
from provision.secrets.redact import Redactor
from tests.unit.engine.log_desk import (
    SECRET,
    WITNESS,
    Desk,
    a_result,
    a_run,
    an_intent,
    an_outcome,
    at_work,
    cosignature,
    make_desk,
)
from tests.unit.engine.test_operation import WELL, FakeConnections, FakeRun
from tests.unit.engine.test_variables import selections


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(tmp_path, monkeypatch)


@pytest.fixture
def strict(desk: Desk) -> Desk:
    """A school that must agree to each run."""
    with desk.book() as book:
        add_witness(book.writer, desk.school, book.actor, WITNESS.verifier.vkey, required=True)
        book.place_copy()
    desk.edit(audit={"strict": True})
    return desk


def last_run(desk: Desk) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(desk.server.last_run.read_text())
    return found


def test_a_run_is_in_the_log_from_its_intent_to_its_end(desk: Desk) -> None:
    a_run(desk, "r1", a_result(), a_result(status="ok"), a_result("Falla", "failed"))
    assert desk.types() == [
        "log.opened", "policy.set", "run.intent", "access.opened", "run.started", "task.result", "task.result",
        "run.ended", "access.closed",
    ]  # fmt: skip
    intent, ended = desk.entries("run.intent")[0].data, desk.entries("run.ended")[0].data
    assert (intent["why"], intent["actor"]["name"], intent["actor"]["key"]) == (
        "la primera", "Ada Administradora", "SHA256:own",
    )  # fmt: skip
    assert intent["authority"] == {"basis": "confirmed", "ticket": "2026/7", "approver": ""}
    assert (ended["outcome"], ended["milliseconds"], ended["detail_size"]) == ("ok", 60_500, 3)
    results = [entry.data for entry in desk.entries("task.result")]
    assert [(result["number"], result["outcome"]) for result in results] == [(0, "changed"), (2, "failed")]
    lines = list(desk.log.detail.read("r1"))
    assert [lines[result["number"]].commitment.hex() for result in results] == [
        result["commitment"] for result in results
    ]
    assert desk.log.detail.root("r1") == (3, bytes.fromhex(ended["detail_root"]))


def test_nothing_may_change_before_the_intent_is_signed_and_on_the_server(desk: Desk) -> None:
    with at_work(desk.recorder()) as recorder:
        intent = an_intent("r1")
        assert recorder.resume(intent) == "r1"
        recorder.intend(intent)
        assert desk.types()[-1] == "run.started"
        assert desk.server.files()["checkpoint"] == (desk.place / "checkpoint").read_bytes()
        found = last_run(desk)
        assert (found["run"], found["outcome"], found["intent"]) == ("r1", "started", 2)
        assert found["checkpoint"].encode() == desk.server.files()["checkpoint"]


def test_the_server_names_the_run_and_its_outcome_and_has_the_whole_log_at_the_end(desk: Desk) -> None:
    a_run(desk, "r1")
    assert (last_run(desk)["run"], last_run(desk)["outcome"]) == ("r1", "ok")
    files = desk.server.files()
    assert files["checkpoint"] == (desk.place / "checkpoint").read_bytes()
    assert files["detail/r1.jsonl"] == (desk.place / "detail" / "r1.jsonl").read_bytes()


@pytest.mark.parametrize("status", ["ok", "changed", "failed"])
@pytest.mark.parametrize("cut", [{"meetings": 1, "participants": 23}, {}])
def test_lessons_that_a_step_cut_are_in_the_log_before_the_next_step(
    desk: Desk, status: str, cut: dict[str, int]
) -> None:
    with at_work(desk.recorder()) as recorder:
        recorder.resume(an_intent("r1"))
        recorder.intend(an_intent("r1", force=True))
        recorder.task(a_result("Restart the bridge", status, cut=cut))
        (entry,) = desk.entries("lessons.cut")
        recorder.end(an_outcome())
    assert desk.entries("run.intent")[0].data["force"] is True
    assert (entry.data["run"], entry.data["target"]["host"]) == ("r1", "main")
    assert {name: entry.data[name] for name in ("meetings", "participants") if name in entry.data} == cut
    assert len(desk.entries("task.result")) == (status != "ok")


def test_probes_are_in_the_log_as_numbers(desk: Desk) -> None:
    with at_work(desk.recorder()) as recorder:
        recorder.resume(an_intent("r1"))
        recorder.intend(an_intent("r1"))
        probes = [
            {"service": "hello", "state": "ok", "measured": "x"},
            {"service": "hello", "state": "failed", "measured": "secret page"},
        ]
        recorder.end(an_outcome("unhealthy", probes=probes))
    (health,) = desk.entries("health.checked")
    assert health.data["services"] == {"hello": {"healthy": 1, "unhealthy": 1}}
    assert (health.data["outcome"], health.data["run"]) == ("problems", "r1")
    assert "secret page" not in health.raw.decode()
    assert desk.types()[-3:] == ["health.checked", "run.ended", "access.closed"]


def test_results_are_signed_in_batches_and_all_before_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    append = LogWriter.append

    def counted(self: LogWriter, data: Any, **more: Any) -> range:
        sizes.append(len(data))
        return append(self, data, **more)

    monkeypatch.setattr(LogWriter, "append", counted)
    monkeypatch.setattr("provision.engine.recorder._BATCH_SECONDS", 3600.0)
    a_run(desk, "r1", *(a_result(f"Pas {number}") for number in range(2 * _BATCH_SIZE + 5)))
    assert len(desk.entries("task.result")) == 2 * _BATCH_SIZE + 5
    assert [entry.data["action"] for entry in desk.entries("task.result")][-1] == f"Pas {2 * _BATCH_SIZE + 4}"
    # The intent with what follows it, two full batches, and the rest with the end.
    assert sizes[-4:] == [3, _BATCH_SIZE, _BATCH_SIZE, 5 + 2]


# --- runs that never ended -------------------------------------------------------------------------------------------


def broken_off(desk: Desk, run: str, **changes: Any) -> None:
    """A run whose machine went down."""
    with at_work(desk.recorder()) as recorder:
        intent = an_intent(run, **changes)
        recorder.resume(intent)
        recorder.intend(intent)
        recorder.task(a_result())
        recorder.task(a_result())


def ends(desk: Desk) -> list[tuple[str, str]]:
    return [(entry.data["run"], entry.data["outcome"]) for entry in desk.entries("run.ended")]


def test_a_run_that_was_broken_off_is_closed_once_by_the_next_one(desk: Desk) -> None:
    broken_off(desk, "r1")
    a_run(desk, "r2")
    a_run(desk, "r3")
    assert ends(desk) == [("r1", "broken off"), ("r2", "ok"), ("r3", "ok")]
    ended = desk.entries("run.ended")[0].data
    assert (ended["detail_size"], ended["detail_root"]) == (2, desk.log.detail.root("r1")[1].hex())


def test_several_runs_that_were_broken_off_are_each_closed(desk: Desk) -> None:
    for run in ("r1", "r2", "r3"):
        broken_off(desk, run)
    a_run(desk, "r4")
    assert ends(desk) == [("r1", "broken off"), ("r2", "broken off"), ("r3", "broken off"), ("r4", "ok")]


def test_the_person_is_told_which_run_never_ended(desk: Desk) -> None:
    broken_off(desk, "r1")
    with at_work(desk.recorder()) as recorder:
        recorder.resume(an_intent("r2"))
        assert any("run r1 never said how it ended" in note for note in recorder.notes)


def test_damaged_detail_of_a_broken_off_run_stops_no_later_run(desk: Desk) -> None:
    broken_off(desk, "r1")
    with (desk.place / "detail" / "r1.jsonl").open("ab") as stream:
        stream.write(b"\0\0\0\n[]\n")
    a_run(desk, "r2")
    assert ends(desk) == [("r1", "broken off"), ("r2", "ok")]
    assert desk.entries("run.ended")[0].data["detail_size"] == 2


def test_a_run_that_a_colleague_left_open_is_closed_on_this_machine(desk: Desk) -> None:
    a_run(desk, "r1")
    colleague = desk.colleague("other")
    broken_off(colleague, "r2")
    a_run(desk, "r3")
    assert ends(desk)[-2:] == [("r2", "broken off"), ("r3", "ok")]


def test_files_that_a_colleague_has_applied_newer_ones_of_are_not_applied(desk: Desk) -> None:
    a_run(desk, "r1")
    size = desk.log.size
    asked: list[str] = []

    def older(commit: str) -> bool:
        asked.append(commit)
        return True

    with at_work(desk.recorder(lacks=older)) as recorder:
        with pytest.raises(RefusedError, match="Ada Administradora applied revision aaaaaaaaaaaa") as caught:
            recorder.resume(an_intent("r2"))
        assert "git pull" in caught.value.remedy
        assert "--older" in caught.value.remedy
    assert (asked, desk.log.size) == (["a" * 40], size)


def test_a_clone_lacks_what_it_does_not_know_or_stands_behind(tmp_path: Path) -> None:
    def git(place: str, *words: str) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", "-C", str(tmp_path / place), *who, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(place: str, name: str) -> str:
        (tmp_path / place / name).touch()
        git(place, "add", ".")
        git(place, "commit", "-qm", name)
        return git(place, "rev-parse", "HEAD")

    (tmp_path / "ada").mkdir()
    git("ada", "init", "-q")
    first = commit("ada", "one")
    git(".", "clone", "-q", "ada", "berta")
    second = commit("ada", "two")
    berta = tmp_path / "berta"
    assert (lacks(berta, first), lacks(berta, second)) == (False, True)
    git("berta", "fetch", "-q")
    assert lacks(berta, second)
    # She goes on beside it, as after a history that was written anew: nothing of hers is merely older.
    third = commit("berta", "three")
    assert not lacks(berta, second)
    assert lacks(tmp_path / "ada", third)
    assert not lacks(tmp_path, second), "no version control"
    assert not lacks(berta, "--help")


# --- a school that must agree ----------------------------------------------------------------------------------------


def refused(desk: Desk, run: str, **changes: Any) -> str:
    """A run that waits for the school; gives its id."""
    with at_work(desk.recorder()) as recorder:
        intent = an_intent(run, **changes)
        name = recorder.resume(intent)
        with pytest.raises(RefusedError, match="has not agreed") as caught:
            recorder.intend(an_intent(name, **changes))
        assert "nothing was changed" in caught.value.remedy
        assert "witness sign" in caught.value.remedy
    return name


def test_a_run_waits_with_its_intent_signed_until_the_school_has_cosigned(strict: Desk) -> None:
    before = strict.log.size
    assert refused(strict, "r1") == "r1"
    assert strict.types(before)[-1] == "run.intent"
    assert "run.started" not in strict.types(before)
    assert last_run(strict)["outcome"] == "intended"
    assert not (strict.workspace.runs_dir / "escola" / "r1").exists()
    assert strict.server.files()["checkpoint"] == (strict.place / "checkpoint").read_bytes()


def test_what_the_school_agreed_to_goes_on_under_the_id_that_it_saw(strict: Desk) -> None:
    refused(strict, "r1")
    strict.server.put_into_inbox("custodi.cosignature", cosignature(strict.log))
    size = strict.log.size
    with at_work(strict.recorder()) as recorder:
        run = recorder.resume(an_intent("r2"))
        assert run == "r1"
        recorder.intend(an_intent(run))
        recorder.end(an_outcome())
    assert strict.types(size) == [
        "run.approved",
        "access.opened",
        "run.started",
        "run.ended",
        "access.closed",
    ]
    approved = strict.entries("run.approved")[0].data
    assert approved["run"] == "r1"
    assert [(item["name"], item["size"]) for item in approved["cosigners"]] == [(WITNESS.name, size)]
    assert approved["authority"] == {"basis": "cosigned", "ticket": "2026/7", "approver": WITNESS.name}
    assert [entry.data["run"] for entry in strict.entries("run.intent")] == ["r1"]


def test_what_has_changed_while_the_school_was_asked_is_not_what_it_agreed_to(strict: Desk) -> None:
    refused(strict, "r1")
    strict.server.put_into_inbox("custodi.cosignature", cosignature(strict.log))
    size = strict.log.size
    with at_work(strict.recorder(content=lambda: {"school": "d" * 64})) as recorder:
        intent = an_intent(recorder.resume(an_intent("r2")))
        with pytest.raises(RefusedError, match="has changed while the school was asked") as caught:
            recorder.intend(intent)
    assert "nothing was changed" in caught.value.remedy
    assert strict.types(size) == []
    with at_work(strict.recorder(content=lambda: {"school": "c" * 64})) as recorder:
        recorder.intend(an_intent(recorder.resume(an_intent("r2"))))
        recorder.end(an_outcome())
    assert "run.started" in strict.types(size)


def test_asking_again_for_the_same_adds_no_second_intent(strict: Desk) -> None:
    for run in ("r1", "r2", "r3"):
        assert refused(strict, run) == "r1"
    assert len(strict.entries("run.intent")) == 1


@pytest.mark.parametrize(
    "why", ["dos  espais", "  vora ", "tab\tulador", "edicio\u0301", "\x1b[31mroig", "a\nb"]
)
def test_the_same_reason_is_the_same_however_it_was_typed(strict: Desk, why: str) -> None:
    assert refused(strict, "r1", why=why) == "r1"
    assert refused(strict, "r2", why=why) == "r1"


@pytest.mark.parametrize(
    "changes",
    [
        {"why": "una altra raó"},
        {"content": {"school": "d" * 64}},
        {"only": ("hello",)},
        {"services": []},
        {"hosts": []},
        {"tool": "provision 9"},
        {"force": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_school_agreed_to_stands_for_nothing_else(strict: Desk, changes: dict[str, Any]) -> None:
    refused(strict, "r1")
    strict.server.put_into_inbox("custodi.cosignature", cosignature(strict.log))
    assert refused(strict, "r2", **changes) == "r2"
    assert ends(strict) == [("r1", "withdrawn")]


def test_what_was_agreed_with_one_person_is_not_done_by_another(strict: Desk) -> None:
    refused(strict, "r1")
    strict.server.put_into_inbox("custodi.cosignature", cosignature(strict.log))
    other = strict.colleague("other", Person("Berta Companya", "berta", "torre"))
    assert refused(other, "r2") == "r2"
    assert ends(other) == [("r1", "withdrawn")]


def test_a_cosignature_of_before_the_intent_is_no_agreement(strict: Desk) -> None:
    with strict.book() as book:
        book.place_copy()
    early = cosignature(strict.log)
    refused(strict, "r1")
    strict.server.put_into_inbox("custodi.cosignature", early)
    assert refused(strict, "r2") == "r1"


def test_a_cosignature_that_comes_while_the_run_waits_lets_it_go_on(
    strict: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            strict.server.put_into_inbox("custodi.cosignature", cosignature(strict.log))

    monkeypatch.setattr(logbook_module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with at_work(strict.recorder(wait=3600.0)) as recorder:
        recorder.resume(an_intent("r1"))
        recorder.intend(an_intent("r1"))
    assert looks == 3
    assert strict.types()[-1] == "run.started"


def test_who_gives_up_waiting_is_refused_and_is_told_of_a_bad_file_once(
    strict: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        strict.server.put_into_inbox("nonsense", b"\x1b[2J")

    monkeypatch.setattr(logbook_module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with at_work(strict.recorder(wait=3600.0, stopped=lambda: looks >= 5)) as recorder:
        recorder.resume(an_intent("r1"))
        with pytest.raises(RefusedError):
            recorder.intend(an_intent("r1"))
        told = [note for note in recorder.notes if "nonsense" in note]
    assert looks == 5
    assert len(told) == 1
    assert "\x1b" not in told[0]


# --- when something fails --------------------------------------------------------------------------------------------


def test_a_server_that_takes_no_copy_refuses_the_run_once_others_go_on_from_there(desk: Desk) -> None:
    a_run(desk, "r1")
    with at_work(desk.recorder()) as recorder:
        recorder.resume(an_intent("r2"))
        desk.server.full.touch()
        with pytest.raises(ProvisionError, match="No space left on device"):
            recorder.intend(an_intent("r2"))


def test_a_full_disk_on_the_server_loses_no_run_that_goes_on(desk: Desk) -> None:
    with at_work(desk.recorder()) as recorder:
        recorder.resume(an_intent("r1"))
        recorder.intend(an_intent("r1"))
        desk.server.full.touch()
        recorder.task(a_result())
        recorder.end(an_outcome())
        assert any("No space left on device" in note and "make room" in note for note in recorder.notes)
    assert ends(desk) == [("r1", "ok")]
    assert len(desk.entries("task.result")) == 1
    desk.server.full.unlink()
    a_run(desk, "r2")
    assert desk.server.files()["checkpoint"] == (desk.place / "checkpoint").read_bytes()


def test_whoever_was_refused_leaves_the_log_free_for_the_next(desk: Desk) -> None:
    recorder = desk.recorder()
    recorder.close()
    with at_work(recorder):
        recorder.resume(an_intent("r1"))
    recorder.close()
    a_run(desk, "r2")
    assert ends(desk) == [("r2", "ok")]


@pytest.fixture
def operation(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Operation]:
    """An apply whose Ansible is played back, and whose record is the log."""
    monkeypatch.setattr(operation_module, "Run", FakeRun)
    monkeypatch.setattr(operation_module, "probe_school", lambda *_, **__: [WELL])

    def make(*events: Event) -> Operation:
        monkeypatch.setattr(FakeRun, "events", events)
        prepared = Prepared(
            workspace=desk.workspace,
            school=desk.school,
            only=(),
            selections=tuple(selections("hello")),
            left_out=(),
            new_secrets=(),
            redactor=Redactor({"api_key": SECRET}),
            sudo_passwords={},
            certificates={"hello": "certificate", "adeu": "certificate"},
        )
        current = Operation(prepared, "apply", recorder=desk.recorder())
        current.connections = FakeConnections()  # type: ignore[assignment]
        return current

    return make


def changed(name: str = "Escriu", **changes: Any) -> TaskResult:
    return TaskResult("main", "hello", name, "copy", "changed", **changes)


def test_a_log_that_cannot_be_written_fails_the_run_in_plain_words_and_lets_ansible_finish(
    desk: Desk, operation: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.engine.recorder._BATCH_SECONDS", -1.0)
    add = logbook_module.LogBook.add
    full = [False]

    def failing(self: Any, *data: e.Data) -> range:
        if full[0] and data and data[0].type == "task.result" and len(data) < 3:
            raise LogError("the audit log cannot be written: No space left on device", "make room")
        return add(self, *data)

    monkeypatch.setattr(logbook_module.LogBook, "add", failing)
    heard: list[str] = []

    def listen(event: Event) -> None:
        full[0] = True
        if isinstance(event, TaskResult):
            heard.append(event.name)

    current = operation(changed("a"), changed("b"), changed("c"))
    report = current.apply(listen)
    current._recorder.close()
    assert heard == ["a", "b", "c"]
    assert report.outcome == "failed"
    assert "the record is incomplete" in report.message
    assert "No space left on device" in report.message
    assert report.remedy
    # There was room again at the end: all that happened is in the log.
    assert [entry.data["action"] for entry in desk.entries("task.result")] == ["a", "b", "c"]
    assert ends(desk)[-1][1] == "failed"


def test_a_disk_that_is_full_to_the_end_is_said_and_the_next_run_closes_this_one(
    desk: Desk, operation: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    current = operation(changed())
    run = current.prepared.run_id

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:

        def listen(_: Event) -> None:
            patch.setattr(os, "fsync", full)

        with pytest.raises(ProvisionError, match="its record could not be finished") as caught:
            current.apply(listen)
        current._recorder.close()
    assert "No space left on device" in caught.value.message
    assert caught.value.remedy
    a_run(desk, "r2")
    assert ends(desk) == [(run, "broken off"), ("r2", "ok")]


def test_no_fault_of_the_record_goes_unsaid(
    desk: Desk, operation: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> None:
        raise e.EntryError("an entry of type task.result has 70000 bytes")

    current = operation(changed())
    monkeypatch.setattr(current._recorder, "task", odd)
    report = current.apply(lambda _: None)
    current._recorder.close()
    assert report.outcome == "failed"
    assert "70000 bytes" in report.message


def test_no_secret_is_in_any_file_of_the_log_nor_on_the_server(
    desk: Desk, operation: Callable[..., Operation]
) -> None:
    leak = TaskResult(
        "main", "hello", f"Escriu {SECRET}", "command", "failed", details=(SECRET,), diff=f"+{SECRET}", error=SECRET,
        ignored=True,
    )  # fmt: skip
    current = operation(changed(f"x {SECRET}"), leak)
    current.mandate = operation_module.Mandate(why=f"la clau és {SECRET}", ticket=SECRET)
    report = current.apply(lambda _: None)
    current._recorder.close()
    assert report.outcome == "ok"
    searched = 0
    for top in (desk.directory / "audit", desk.directory / "runs", desk.server.top):
        for file in top.rglob("*"):
            if file.is_file():
                searched += 1
                assert SECRET.encode() not in file.read_bytes(), file
    assert searched > 12
    assert "‹secret:api_key›" in desk.entries("run.intent")[0].data["why"]


def test_what_a_hostile_server_says_is_bounded_and_steers_no_terminal(desk: Desk) -> None:
    odd = "\x1b[2J\u202e" + "n" * 1_000_000
    a_run(
        desk, "r1",
        a_result(odd, host=odd, role=odd, error=odd, diff="d" * 3_000_000, details=[odd] * 5),
        a_result("després", "failed"),
    )  # fmt: skip
    first, second = desk.entries("task.result")
    assert len(first.raw) < 10_000
    assert b"\\u001b" not in first.raw
    assert "\u202e" not in first.raw.decode()
    assert second.data["action"] == "després"
    lines = list(desk.log.detail.read("r1"))
    assert [line.fits for line in lines] == [True, True]
    assert (desk.place / "detail" / "r1.jsonl").stat().st_size < 2_000_000


@pytest.mark.parametrize("field", ["why", "ticket"])
def test_a_reason_that_no_entry_holds_is_refused_in_plain_words(desk: Desk, field: str) -> None:
    with at_work(desk.recorder()) as recorder:
        intent = an_intent("r1", **{field: "x" * 5_000})
        with pytest.raises(ProvisionError, match="longer than") as caught:
            recorder.resume(intent)
            recorder.intend(intent)
    assert caught.value.remedy


def test_a_server_that_keeps_no_copy_at_all_refuses_the_run(
    operation: Callable[..., Operation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise CopyError("the copy of the log on 192.0.2.10 cannot be reached", "look at the line")

    monkeypatch.setenv("PROVISION_PERSON", "Ada Administradora")
    monkeypatch.setattr(operation_module, "LogBook", unreachable)
    with pytest.raises(RefusedError, match="cannot be reached"):
        operation()._logged(ExitStack())


def test_unhealthy_services_are_counted(desk: Desk, operation: Callable[..., Operation]) -> None:
    current = operation(changed())
    ill = ProbeResult("hello", "page", "Page", "failed", "answers 500")
    current.probe = lambda **_: [WELL, ill]  # type: ignore[method-assign]
    assert current.apply(lambda _: None).outcome == "unhealthy"
    current._recorder.close()
    ended = desk.entries("run.ended")[-1].data
    assert (ended["outcome"], ended["healthy"], ended["unhealthy"]) == ("unhealthy", 1, 1)
