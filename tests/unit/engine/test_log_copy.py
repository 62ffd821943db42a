"""The copy of a log on a school's server: placed, grown, taken from; and never believed."""

import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from provision.audit import entries as e
from provision.audit.detail import DetailWriter
from provision.audit.log import LogError, LogWriter, SchoolLog, writing
from provision.audit.opening import policy_for
from provision.audit.timestamp import load_roots
from provision.audit.tlog import Checkpoint, Kind, Note, Policy, SignerKey
from provision.engine import log_copy as module
from provision.engine.log_beside import fetch_beside, follow_erasures
from provision.engine.log_copy import CopyError, CopyState, LogCopy
from provision.engine.log_meeting import (
    ContradictionError,
    hand_over,
    partial_names,
    take_over,
    tile_names,
)
from tests.unit.audit.anchor.conftest import Authority
from tests.unit.audit.log.crashing import ACTOR, KEY, ORIGIN, TARGET, heartbeat
from tests.unit.engine.log_server import SCHOOL, Server, a_state, coded, hostile

WITNESS = SignerKey.generate("escola.example/custodi", Kind.COSIGNATURE_ED25519)
OTHER = SignerKey.generate(ORIGIN)
RUN = "20261123T101500Z-3fa2b1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's own slowness is nothing that is tried here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server(tmp_path / "server")
    monkeypatch.setattr(module, "PLACE", str(made.place))
    monkeypatch.setattr(module, "LAST_RUN", str(made.last_run))
    return made


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return tmp_path / "ours"


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return tmp_path / "theirs"


@contextmanager
def meeting(server: Server) -> Iterator[LogCopy]:
    copy = LogCopy(server.connect(), SCHOOL)
    try:
        yield copy
    finally:
        copy.close()


@contextmanager
def at_work(directory: Path) -> Iterator[LogWriter]:
    with writing(directory, ORIGIN, [KEY]) as writer:
        if not (directory / "policy").exists():
            writer.set_policy(policy_for([KEY]))
        yield writer


def write(directory: Path, count: int = 1) -> None:
    """Add entries to a log on its own."""
    with at_work(directory) as writer:
        writer.append([heartbeat(writer.size + number) for number in range(count)])


def meet(server: Server, directory: Path, *, add: int = 0) -> int:
    """What an administrator does: take over, add, hand over."""
    with at_work(directory) as writer, meeting(server) as copy:
        state = copy.state()
        taken = take_over(copy, state, writer, [KEY.verifier])
        if add:
            writer.append([heartbeat(writer.size + number) for number in range(add)])
        if writer.size:
            hand_over(copy, state, writer.log)
        return taken


def raw(directory: Path) -> list[bytes]:
    return [entry.raw for entry in SchoolLog.open(directory).entries()]


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a log, without the writer's lock."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }


def test_the_first_copy_is_a_whole_log_and_nothing_of_the_writers_state_is_in_it(
    server: Server, ours: Path
) -> None:
    write(ours, 3)
    for name in ("outbox.jsonl", "pending.json", "evidence/x/server", "inbox/file", "detail/.r.jsonl.1.tmp"):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        (ours / name).write_text("not for the school")
    for name in ("checkpoints/2", "anchors/2.tsr", f"detail/{RUN}.jsonl"):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        (ours / name).write_text("for the school")
    assert meet(server, ours) == 0
    assert raw(server.copy) == raw(ours)
    found = server.files()
    assert set(found) == {
        "checkpoint", "policy", "tile/0/000.p/3", "tile/entries/000.p/3", "checkpoints/2", "anchors/2.tsr",
        f"detail/{RUN}.jsonl",
    }  # fmt: skip
    assert all((ours / name).read_bytes() == content for name, content in found.items())


def test_the_copy_is_for_its_group_and_nobody_else(server: Server, ours: Path) -> None:
    write(ours, 3)
    meet(server, ours)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in server.copy.rglob("*") if path.is_file()}
    assert modes == {0o640}
    assert {stat.S_IMODE(path.stat().st_mode) for path in server.copy.rglob("*") if path.is_dir()} == {0o750}


@pytest.mark.parametrize(
    "sizes",
    [(1, 2, 255, 256, 257), (255, 511, 512, 513), (256, 768), (300, 300), (200, 65_537, 65_538)],
    ids=str,
)
def test_the_copy_grows_over_the_borders_of_tiles_and_keeps_no_obsolete_one(
    server: Server, ours: Path, sizes: Sequence[int]
) -> None:
    with at_work(ours) as writer, meeting(server) as copy:
        state = copy.state()
        for size in sizes:
            writer.append_raw([b'{"n":%d}' % number for number in range(writer.size, size)])
            state = hand_over(copy, state, writer.log)
            tiles = {name for name in server.files() if name.startswith("tile/")}
            assert tiles == set(tile_names(0, size))
    log = SchoolLog.open(server.copy)
    assert (log.size, log.reader.root()) == (sizes[-1], log.root)
    found = server.files()
    assert {name: found[name] for name in tiles} == {
        name: content for name, content in contents(ours).items() if name.startswith("tile/")
    }


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_names_of_tiles_are_those_of_the_format(size: int) -> None:
    names = tile_names(0, size)
    assert len(names) == len(set(names))
    assert set(partial_names(size)) == {name for name in names if ".p/" in name}
    for former in (0, 1, 200, 256, 65_536, size):
        if former <= size:
            # What a smaller tree has for good, a larger one need not be given again.
            kept = {name for name in tile_names(0, former) if ".p/" not in name}
            assert set(tile_names(former, size)) == set(names) - kept - (
                set(partial_names(former)) & set(partial_names(size))
            )


def test_a_tree_of_70000_entries_has_the_tiles_that_the_specification_names() -> None:
    names = tile_names(0, 70_000)
    assert [name for name in names if ".p/" in name] == [
        "tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1",
    ]  # fmt: skip
    assert len([name for name in names if name.startswith("tile/0/")]) == 274


def test_two_administrators_who_meet_at_the_copy_write_one_history(
    server: Server, ours: Path, theirs: Path
) -> None:
    assert meet(server, ours, add=3) == 0
    assert meet(server, theirs, add=2) == 3
    assert meet(server, ours, add=260) == 2
    assert meet(server, theirs) == 260
    assert meet(server, ours) == 0
    assert raw(ours) == raw(theirs) == raw(server.copy)
    assert len(raw(ours)) == 265
    for directory in (ours, theirs, server.copy):
        log = SchoolLog.open(directory)
        assert log.reader.root() == log.root


def test_taking_over_begins_in_the_middle_of_a_bundle_and_ends_in_another(
    server: Server, ours: Path, theirs: Path
) -> None:
    meet(server, ours, add=100)
    meet(server, theirs)
    meet(server, ours, add=500)
    assert meet(server, theirs) == 500
    assert raw(theirs) == raw(ours)
    assert contents(theirs)["checkpoint"] == contents(ours)["checkpoint"]


# --- the program on the server ---------------------------------------------------------------------------------------


def test_an_empty_server_has_no_copy_no_run_and_no_inbox(server: Server) -> None:
    with meeting(server) as copy:
        state = copy.state()
        assert (state.note, state.last_run, dict(state.sizes), dict(state.inbox)) == (None, None, {}, {})
        assert copy.get(["checkpoint"]) == {"checkpoint": None}


def test_the_last_run_is_named_beside_the_copy_for_those_who_may_read_the_log(
    server: Server, ours: Path
) -> None:
    write(ours)
    with at_work(ours) as writer, meeting(server) as copy:
        hand_over(copy, copy.state(), writer.log, last_run=b'{"run": "r1"}\n')
        assert copy.state().last_run == {"run": "r1"}
    assert stat.S_IMODE(server.last_run.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "name",
    ["../x", "..", "/etc/passwd", "a/../../x", "a//b", "./a", "a/.", "", "a/..", "inbox/../../x", "x\0y"],
)
def test_no_name_leads_out_of_the_copys_directory(server: Server, ours: Path, name: str) -> None:
    write(ours)
    meet(server, ours)
    before = contents(server.top)
    with meeting(server) as copy:
        for request in (
            lambda: copy.get([name]),
            lambda: copy.put([(name, b"x")]),
            lambda: copy.put([], remove=[name]),
        ):
            with pytest.raises(CopyError, match="failed"):
                request()
        # It goes on speaking afterwards.
        assert copy.state().note is not None
    assert contents(server.top) == before


def test_what_is_no_plain_file_is_neither_listed_nor_read(server: Server, ours: Path, tmp_path: Path) -> None:
    write(ours)
    meet(server, ours)
    secret = tmp_path / "shadow"
    secret.write_text("root:secret")
    (server.copy / "detail").mkdir()
    (server.copy / "detail" / "a.jsonl").symlink_to(secret)
    os.mkfifo(server.copy / "detail" / "b.jsonl")
    (server.copy / "detail" / "c.jsonl").mkdir()
    (server.copy / "policy").unlink()
    (server.copy / "policy").symlink_to(secret)
    with meeting(server) as copy:
        assert not [name for name in copy.state().sizes if name.startswith(("detail/", "policy"))]
        names = ["detail/a.jsonl", "detail/b.jsonl", "detail/c.jsonl", "policy", "detail", "nothing"]
        assert set(copy.get(names).values()) == {None}


def test_a_file_is_never_written_through_a_link(server: Server, ours: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    server.copy.mkdir(parents=True)
    (server.copy / "checkpoint").symlink_to(victim)
    write(ours)
    with at_work(ours) as writer, meeting(server) as copy:
        hand_over(copy, CopyState(), writer.log)
    assert victim.read_text() == "as it was"
    assert not (server.copy / "checkpoint").is_symlink()


def test_the_inbox_is_read_as_far_as_it_is_plain_small_and_not_too_full(
    server: Server, tmp_path: Path
) -> None:
    secret = tmp_path / "shadow"
    secret.write_text("root:secret")
    server.put_into_inbox("a-cosignature", b"plain")
    server.put_into_inbox("b-largest", b"x" * 256 * 1024)
    server.put_into_inbox("c-too-large", b"x" * (256 * 1024 + 1))
    server.put_into_inbox("d-\x1b[2J", b"odd name")
    inbox = server.copy / "inbox"
    (inbox / "e-link").symlink_to(secret)
    os.mkfifo(inbox / "f-pipe")
    (inbox / "g-directory").mkdir()
    (inbox / os.fsdecode(b"h-\xff")).write_bytes(b"its name is no text")
    with meeting(server) as copy:
        found = copy.state().inbox
        assert {name: len(content) for name, content in found.items()} == {
            "a-cosignature": 5, "b-largest": 256 * 1024, "d-\x1b[2J": 8,
        }  # fmt: skip
        for number in range(200):
            server.put_into_inbox(f"z{number:03}", b"z")
        assert len(copy.state().inbox) <= 50


def test_an_inbox_that_is_a_link_is_not_looked_into(server: Server, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("secret")
    server.copy.mkdir(parents=True)
    (server.copy / "inbox").symlink_to(tmp_path / "elsewhere")
    with meeting(server) as copy:
        assert dict(copy.state().inbox) == {}


def test_a_full_disk_on_the_server_is_an_error_with_a_remedy_and_the_former_copy_stays_whole(
    server: Server, ours: Path
) -> None:
    write(ours, 200)
    meet(server, ours)
    before = SchoolLog.open(server.copy)
    write(ours, 100)
    with at_work(ours) as writer, meeting(server) as copy:
        state = copy.state()
        server.full.touch()
        with pytest.raises(CopyError, match="No space left on device") as caught:
            hand_over(copy, state, writer.log)
        assert "make room" in caught.value.remedy
        assert SchoolLog.open(server.copy).root == before.root == SchoolLog.open(server.copy).reader.root()
        assert not [name for name in server.files() if name.endswith(".tmp")]
        server.full.unlink()
        hand_over(copy, state, writer.log)
    assert raw(server.copy) == raw(ours)


def test_a_program_that_dies_is_an_error_in_plain_words(server: Server, ours: Path) -> None:
    write(ours)
    with meeting(server) as copy:
        copy.state()
        copy._channel._process.kill()  # type: ignore[attr-defined]
        copy._channel._process.wait()  # type: ignore[attr-defined]
        with pytest.raises(CopyError) as caught:
            copy.state()
        assert caught.value.remedy


def test_a_server_without_python_says_so(server: Server) -> None:
    copy = hostile(b"", said=b"sh: 1: python3: not found\x1b[2J\n")
    with pytest.raises(CopyError, match="python3: not found") as caught:
        copy.state()
    assert "\x1b" not in caught.value.message


# --- what lies beside the tiles --------------------------------------------------------------------------------------


def a_run(writer: LogWriter, *steps: str, run: str = RUN) -> None:
    """A run with its detail, ended."""
    detail = DetailWriter(writer.directory / "detail" / f"{run}.jsonl")
    for step in steps:
        detail.append({"name": step})
    detail.close()
    writer.append(
        [
            e.RunEnded(
                actor=ACTOR, target=TARGET, run=run, outcome="ok", milliseconds=1, counts={}, detail_size=detail.size,
                detail_root=detail.root().hex(),
            )
        ]
    )  # fmt: skip


def erase(writer: LogWriter, numbers: list[int], run: str = RUN) -> None:
    entry = e.ErasurePerformed(
        actor=ACTOR, target=TARGET, why="2026/14", erased=[e.Erased(run=run, numbers=numbers)]
    )
    index = writer.append([entry]).start
    writer.log.detail.erase(run, numbers, e.parse(index, writer.log.reader.entry(index)).event["id"])


def fetch(server: Server, directory: Path, *authority: bytes) -> list[str]:
    with at_work(directory) as writer, meeting(server) as copy:
        state = copy.state()
        before = writer.size
        take_over(copy, state, writer, [KEY.verifier])
        follow_erasures(writer.log, before, directory.parent / "runs")
        return fetch_beside(copy, state, writer, authority)


def test_erased_detail_goes_from_the_server_too(server: Server, ours: Path) -> None:
    with at_work(ours) as writer:
        a_run(writer, "alumne Pere", "res")
    meet(server, ours)
    assert "Pere" in (server.copy / "detail" / f"{RUN}.jsonl").read_text()
    with at_work(ours) as writer:
        erase(writer, [0])
    meet(server, ours)
    assert "Pere" not in (server.copy / "detail" / f"{RUN}.jsonl").read_text()
    assert SchoolLog.open(server.copy).detail.root(RUN) == SchoolLog.open(ours).detail.root(RUN)


def test_a_policy_that_changed_but_not_in_size_is_replaced_on_the_server(server: Server, ours: Path) -> None:
    write(ours)
    meet(server, ours)
    with at_work(ours) as writer:
        policy = policy_for([OTHER])
        assert len(policy.text) == len(policy_for([KEY]).text)
        writer.set_policy(policy)
    meet(server, ours)
    assert server.files()["policy"].decode() == policy.text


def with_witness(writer: LogWriter, *witnesses: SignerKey) -> None:
    """Let these keys cosign from now on."""
    keys = {f"w{number}": key.verifier for number, key in enumerate(witnesses)}
    writer.set_policy(Policy(logs=(KEY.verifier,), witnesses=keys))


def cosign(writer: LogWriter, *witnesses: SignerKey, after: int = 0) -> None:
    """Archive the newest checkpoint with these cosignatures."""
    note = writer.log.note
    for key in witnesses:
        note = note.add(key.sign(note.text, int(time.time()) + after))
    writer.archive(note)


def test_a_colleague_gets_detail_and_cosignatures_from_the_copy(
    server: Server, ours: Path, theirs: Path
) -> None:
    former = SignerKey.generate("escola.example/antic", Kind.COSIGNATURE_ED25519)
    stranger = SignerKey.generate("escola.example/estrany", Kind.COSIGNATURE_ED25519)
    with at_work(ours) as writer:
        writer.append([e.KeyAdded(actor=ACTOR, target=TARGET, key=former.verifier.vkey, purpose="witness")])
        a_run(writer, "one", "two")
        cosign(writer, WITNESS, former, stranger)
    meet(server, ours)
    with at_work(theirs) as writer:
        with_witness(writer, WITNESS)
    assert fetch(server, theirs) == []
    assert (theirs / f"detail/{RUN}.jsonl").read_bytes() == (ours / f"detail/{RUN}.jsonl").read_bytes()
    names = {line.name for line in Note.parse((theirs / "checkpoints" / "2").read_bytes()).signatures}
    assert names == {ORIGIN, WITNESS.name, former.name}


def test_cosignatures_of_both_sides_come_together_and_the_newer_one_stays(
    server: Server, ours: Path, theirs: Path
) -> None:
    other = SignerKey.generate("escola.example/segon", Kind.COSIGNATURE_ED25519)
    with at_work(ours) as writer:
        writer.append([heartbeat(0)])
        with_witness(writer, WITNESS, other)
        cosign(writer, WITNESS, after=60)
    meet(server, ours)
    meet(server, theirs)
    with at_work(theirs) as writer:
        with_witness(writer, WITNESS, other)
        cosign(writer, WITNESS, other)
    assert fetch(server, theirs) == []
    meet(server, theirs)
    assert fetch(server, ours) == []
    policy = SchoolLog.open(ours).policy
    opinions = [
        policy.open(Note.parse((place / "checkpoints" / "1").read_bytes())) for place in (ours, theirs)
    ]
    assert opinions[0].witnesses == opinions[1].witnesses
    assert opinions[0].witnesses["w0"] > opinions[0].witnesses["w1"]


def test_what_a_colleague_erased_is_erased_here_and_does_not_come_back(
    server: Server, ours: Path, theirs: Path
) -> None:
    with at_work(ours) as writer:
        a_run(writer, "alumne Pere", "res")
    meet(server, ours)
    fetch(server, theirs)
    stale = (server.copy / "detail" / f"{RUN}.jsonl").read_bytes()
    with at_work(ours) as writer:
        erase(writer, [0])
    meet(server, ours)
    fetch(server, theirs)
    assert "Pere" not in (theirs / "detail" / f"{RUN}.jsonl").read_text()
    # A server that still has it, and an administrator who has it no more.
    (server.copy / "detail" / f"{RUN}.jsonl").write_bytes(stale)
    (theirs / "detail" / f"{RUN}.jsonl").unlink()
    fetch(server, theirs)
    file = theirs / "detail" / f"{RUN}.jsonl"
    assert not file.exists() or "Pere" not in file.read_text()


@pytest.mark.parametrize(
    "name",
    [
        f"detail/{RUN}.jsonl",
        "detail/20991123T101500Z-ffffff.jsonl",
        "checkpoints/1",
        "checkpoints/2",
        "checkpoints/99999",
        "anchors/1.tsr",
        "anchors/evil.pem",
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"nonsense\n", b"[" * 100_000, b"{}\n"], ids=lambda one: repr(one[:9])
)
def test_what_does_not_fit_the_log_is_left_on_the_server(
    server: Server, ours: Path, theirs: Path, name: str, content: bytes
) -> None:
    with at_work(ours) as writer:
        a_run(writer, "one", "two")
    meet(server, ours)
    (server.copy / name).parent.mkdir(parents=True, exist_ok=True)
    (server.copy / name).write_bytes(content)
    fetch(server, theirs)
    assert not (theirs / name).exists()


def test_time_stamps_are_taken_from_an_authority_that_the_workspace_trusts_and_from_no_other(
    server: Server, ours: Path, theirs: Path, tmp_path: Path
) -> None:
    authority, other = Authority(tmp_path / "authority"), Authority(tmp_path / "other")
    with at_work(ours) as writer:
        writer.append([heartbeat(0)])
        request = (
            TimestampRequestBuilder()
            .data(writer.log.note.text.encode())
            .hash_algorithm(HashAlgorithm.SHA256)
            .cert_request(cert_request=True)
            .build()
        )
        writer.put("anchors/1.tsr", authority.sign(request.as_bytes()))
        writer.put("anchors/tsa.pem", other.ca + authority.ca)
    meet(server, ours)
    for trusted in ((), (other.ca,)):
        # Who knows no authority leaves them there and says nothing of it.
        assert fetch(server, theirs, *trusted) == (["anchors/1.tsr"] if trusted else [])
        assert not (theirs / "anchors" / "1.tsr").exists()
    (theirs / "anchors" / "tsa.pem").unlink()
    assert fetch(server, theirs, authority.ca) == []
    assert (theirs / "anchors" / "1.tsr").read_bytes() == (ours / "anchors" / "1.tsr").read_bytes()
    assert load_roots([(theirs / "anchors" / "tsa.pem").read_bytes()]) == load_roots([authority.ca])


def test_altered_detail_is_left_on_the_server(server: Server, ours: Path, theirs: Path) -> None:
    with at_work(ours) as writer:
        a_run(writer, "one", "two")
    meet(server, ours)
    file = server.copy / "detail" / f"{RUN}.jsonl"
    file.write_text(file.read_text().replace('"one"', '"six"'))
    assert fetch(server, theirs) == [f"detail/{RUN}.jsonl"]
    assert not (theirs / "detail" / f"{RUN}.jsonl").exists()


@pytest.mark.parametrize("there", [False, True], ids=["new here", "here already"])
def test_a_forged_signature_on_a_kept_checkpoint_never_comes_here(
    server: Server, ours: Path, theirs: Path, there: bool
) -> None:
    with at_work(ours) as writer:
        writer.append([heartbeat(0)])
        with_witness(writer, WITNESS)
        writer.archive(writer.log.note)
    meet(server, ours)
    if there:
        fetch(server, theirs)
        with at_work(theirs) as writer:
            writer.set_policy(SchoolLog.open(ours).policy)
    note = SchoolLog.open(ours).note
    genuine = WITNESS.sign(note.text)
    forged = type(genuine)(genuine.name, genuine.key_id, genuine.value[:-1] + b"\0")
    (server.copy / "checkpoints" / "1").write_bytes(note.add(forged).encode())
    fetch(server, theirs)
    file = theirs / "checkpoints" / "1"
    if file.exists():
        found = Note.parse(file.read_bytes())
        assert forged not in found.signatures
        SchoolLog.open(ours).policy.open(found)


# --- hostile servers -------------------------------------------------------------------------------------------------


NONSENSE: list[Any] = [
    b"",
    b"\n",
    b"not JSON\n",
    b"\xff\xfe\n",
    b"[]\n",
    b"null\n",
    b'"text"\n',
    b"{}\n",
    b'{"checkpoint": null',
    b"[" * 1_000_000 + b"\n",
    b'{"a":' * 100_000 + b"\n",
    {"error": "\x1b]0;gotcha\x07 disk full"},
    {"error": {"deep": [1]}},
    a_state(checkpoint="not base64!"),
    a_state(checkpoint=7),
    a_state(checkpoint={}),
    a_state(last_run="%%%"),
    a_state(last_run=[1]),
    a_state(sizes=7),
    a_state(sizes=[["a"]]),
    a_state(sizes={"a": "many"}),
    a_state(sizes={"a": None}),
    a_state(sizes={"a": float("nan")}),
    a_state(sizes={"a": float("inf")}),
    b'{"checkpoint":null,"last_run":null,"inbox":{},"sizes":{"a":1e999}}\n',
    b'{"checkpoint":null,"last_run":null,"inbox":{},"sizes":{"a":%s}}\n' % (b"9" * 10_000),
    a_state(hashes=7),
    a_state(inbox="x"),
    a_state(inbox={"a": "é"}),
    a_state(inbox={"a": 7}),
    a_state(inbox_more="x"),
]


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer)[:40])
def test_nonsense_is_an_error_that_names_the_server_and_steers_no_terminal(answer: Any) -> None:
    with pytest.raises(CopyError, match=r"192\.0\.2\.10") as caught:
        hostile(answer, said=b"\x1b[31mred").state()
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    "answer",
    [{}, {"files": None}, {"files": []}, {"files": {"b": ""}}, {"files": {"a": 7}}, {"files": {"a": "?"}}],
    ids=repr,
)
def test_nonsense_instead_of_a_file_is_an_error(answer: Any) -> None:
    with pytest.raises(CopyError, match="nonsense"):
        hostile(answer).get(["a"])


def test_an_endless_answer_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module._MAX_ANSWER <= 64 * 1024 * 1024
    monkeypatch.setattr(module, "_MAX_ANSWER", 1024 * 1024)
    copy = hostile(iter(lambda: b"x" * 65_536, b""))
    with pytest.raises(CopyError):
        copy.state()
    assert copy._channel.handed_over <= 1024 * 1024 + 2 * 65_536  # type: ignore[attr-defined]


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for_longer_than_a_few_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10**9, 50))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    copy = hostile(iter(lambda: b"x", b""))
    with pytest.raises(CopyError):
        copy.state()
    assert copy._channel.handed_over < 50  # type: ignore[attr-defined]


def test_an_answer_of_millions_of_little_things_is_refused_before_it_fills_the_memory() -> None:
    many = b'{"checkpoint":null,"last_run":null,"inbox":{},"sizes":{},"x":[' + b"[]," * 3_000_000 + b"0]}\n"
    with pytest.raises(CopyError, match="nonsense"):
        hostile(many).state()


def test_an_inbox_fuller_than_the_program_ever_gives_is_refused() -> None:
    with pytest.raises(CopyError, match="nonsense"):
        hostile(a_state(inbox={f"f{number}": "" for number in range(10_000)})).state()
    with pytest.raises(CopyError, match="nonsense"):
        hostile(a_state(inbox={"f": coded(b"x" * 1024 * 1024)})).state()


def test_after_a_broken_answer_no_later_one_is_taken_for_another_questions() -> None:
    """A late answer to the first question must not pass for one to the second."""

    def never() -> Iterator[bytes]:
        raise TimeoutError
        yield b""

    copy = hostile(never(), {}, {})
    with pytest.raises(CopyError):
        copy.put([("a", b"x")])
    with pytest.raises(CopyError):
        copy.put([("b", b"y")])


@pytest.mark.parametrize(
    "document", [b"{", b"[]", b"null", b"7", b"\xff", b"[" * 100_000, b"", b'{"a":' * 5_000]
)
def test_a_last_run_that_cannot_be_read_is_none(document: bytes) -> None:
    assert hostile(a_state(last_run=coded(document))).state().last_run is None


def test_of_a_last_run_only_texts_and_numbers_are_kept() -> None:
    deep = json.loads("[" * 300 + "]" * 300)
    document = json.dumps({"run": deep, "person": {"name": "x"}, "origin": "o", "intent": 7}).encode()
    assert hostile(a_state(last_run=coded(document))).state().last_run == {"origin": "o", "intent": 7}


# A copy that lies: what it hands out is a log, only not ours.


def unchanged(directory: Path, server: Server, error: type[LogError]) -> LogError:
    """Meet a copy that is refused; the log here stays as it is."""
    before = contents(directory)
    with pytest.raises(error) as caught:
        meet(server, directory)
    after = {
        name: content for name, content in contents(directory).items() if not name.startswith("evidence/")
    }
    assert after == before
    assert caught.value.remedy
    return caught.value


def replaced(server: Server, note: bytes) -> None:
    (server.copy / "checkpoint").write_bytes(note)


@pytest.fixture
def behind(server: Server, ours: Path, theirs: Path) -> Path:
    """A log that has 3 of the 300 entries of the copy."""
    meet(server, ours, add=3)
    meet(server, theirs)
    meet(server, ours, add=297)
    return theirs


def signed(origin: str, size: int, root: bytes, key: SignerKey) -> bytes:
    text = Checkpoint(origin, size, root).text
    return Note(text, (key.sign(text),)).encode()


@pytest.mark.parametrize("size", [2, 3, 300, 10**15])
def test_a_copy_that_another_key_signed_is_refused(behind: Path, server: Server, size: int) -> None:
    replaced(server, signed(ORIGIN, size, b"\1" * 32, OTHER))
    error = unchanged(behind, server, LogError)
    assert not isinstance(error, ContradictionError)
    assert "did not sign" in error.message


def test_a_copy_of_another_log_is_refused(behind: Path, server: Server) -> None:
    other = "provision.example.cat/altra"
    replaced(server, signed(other, 300, b"\1" * 32, SignerKey.generate(other)))
    assert other in unchanged(behind, server, LogError).message


@pytest.mark.parametrize(
    "note",
    [b"", b"\n", b"nonsense", b"\xff" * 100, b"\n" * 100_000, b"x\n1\n\n\n\x1b\n"],
    ids=lambda n: repr(n[:9]),
)
def test_a_damaged_checkpoint_of_the_copy_is_refused(behind: Path, server: Server, note: bytes) -> None:
    replaced(server, note)
    assert "\x1b" not in unchanged(behind, server, LogError).message


@pytest.mark.parametrize("name", ["tile/entries/000", "tile/entries/001.p/44"])
def test_a_copy_without_its_entries_is_refused(behind: Path, server: Server, name: str) -> None:
    (server.copy / name).unlink()
    error = unchanged(behind, server, LogError)
    assert not isinstance(error, ContradictionError)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"\0\1", b"\xff\xff", b"\0\0" * 256, b"\0\1x" * 300, b"\0\1x" * 44],
    ids=lambda content: repr(content[:6]),
)
def test_a_copy_with_other_entries_is_damaged_and_no_contradiction(
    behind: Path, server: Server, content: bytes
) -> None:
    (server.copy / "tile" / "entries" / "001.p" / "44").write_bytes(content)
    assert not isinstance(unchanged(behind, server, LogError), ContradictionError)


def test_one_altered_entry_of_the_copy_is_damage_and_no_contradiction(behind: Path, server: Server) -> None:
    file = server.copy / "tile" / "entries" / "000"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"number 200", b"number 999"))
    assert content != file.read_bytes()
    assert not isinstance(unchanged(behind, server, LogError), ContradictionError)


def test_altered_tiles_of_the_copy_accuse_nobody_of_a_fork(behind: Path, server: Server) -> None:
    for name in ("tile/entries/000", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"):
        file = server.copy / name
        file.write_bytes(file.read_bytes()[:-1] + b"\xee")
    assert not isinstance(unchanged(behind, server, LogError), ContradictionError)


@pytest.mark.parametrize(("mine", "other"), [(2, 300), (300, 2), (2, 2), (1, 2)])
def test_two_histories_that_the_city_signed_are_a_contradiction(
    server: Server, ours: Path, theirs: Path, mine: int, other: int
) -> None:
    meet(server, ours, add=5)
    meet(server, theirs)
    write(theirs, mine)
    meet(server, ours, add=other)
    unchanged(theirs, server, ContradictionError)


def test_an_earlier_state_of_the_copy_is_brought_up_to_date(
    server: Server, ours: Path, tmp_path: Path
) -> None:
    meet(server, ours, add=3)
    earlier = server.files()
    meet(server, ours, add=400)
    for file in [path for path in server.copy.rglob("*") if path.is_file()]:
        file.unlink()
    for name, content in earlier.items():
        (server.copy / name).write_bytes(content)
    assert meet(server, ours) == 0
    assert raw(server.copy) == raw(ours)


def test_our_own_full_disk_accuses_nobody(
    behind: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = unchanged(behind, server, LogError)
    assert "No space left on device" in error.message
    assert not isinstance(error, ContradictionError)


def test_huge_bundles_are_not_collected_before_they_are_checked(behind: Path, server: Server) -> None:
    """The checkpoint is the city's, so what it covers has a certain size; the server makes each entry 60 kB."""
    (server.copy / "tile" / "entries" / "000").write_bytes((b"\xea\x60" + b"x" * 60_000) * 256)
    started = time.process_time()
    unchanged(behind, server, LogError)
    assert time.process_time() - started < 60


def test_json_of_the_last_run_is_written_as_text_that_every_reader_understands(
    server: Server, ours: Path
) -> None:
    write(ours)
    with at_work(ours) as writer, meeting(server) as copy:
        hand_over(copy, copy.state(), writer.log, last_run=json.dumps({"person": "Núria"}).encode())
        assert copy.state().last_run == {"person": "Núria"}
