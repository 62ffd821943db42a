"""A small log on the disk, made of the formats alone: for tests that need something to read, not a writer."""

from collections.abc import Sequence
from pathlib import Path

from provision.audit.entries import (
    AccessOpened,
    Actor,
    Data,
    DriftFound,
    Heartbeat,
    Host,
    LogOpened,
    PolicySet,
    RunEnded,
    RunIntent,
    RunStarted,
    Service,
    State,
    Target,
    TaskResult,
    compose,
)
from provision.audit.tlog import Checkpoint, Kind, Note, SignerKey, TileReader, grow

ORIGIN = "provision.example.cat/escola-mar"
SCHOOL = "escola-mar"
RUN = "20261123T101500Z-3fa2b1"
ADA = Actor(name="Ada Puig", user="apuig", machine="portatil-7", key="SHA256:abc")
NEVER = "0" * 64


def target(host: str = "", service: str = "") -> Target:
    """A place in the school."""
    return Target(school=SCHOOL, host=host, service=service)


def a_run(run: str = RUN, outcome: str = "ok") -> list[Data]:
    """What one run says."""
    where = target()
    return [
        RunIntent(
            actor=ADA,
            target=where,
            action="apply",
            why="=HYPERLINK(\"http://x\") és l'actualització de tardor",
            run=run,
            tool="0.1.0",
            workspace=State(commit="a" * 40, dirty=False),
            code=State(commit="", dirty=False),
            services=[Service(service="moodle", version="4.5.1", source="tgz", checksums={"m.tgz": "1" * 64})],
            hosts=[Host(name="main", address="192.0.2.10", host_key="SHA256:hk")],
        ),
        RunStarted(actor=ADA, target=where, run=run),
        AccessOpened(actor=ADA, target=target("main"), kind="ssh", subject="provision", run=run),
        TaskResult(
            actor=ADA, target=target("main", "moodle"), action="command", outcome="changed", run=run, number=0,
            commitment="2" * 64,
        ),
        TaskResult(
            actor=ADA, target=target("main"), action="apt", outcome="failed", run=run, number=1, commitment="3" * 64
        ),
        RunEnded(
            actor=ADA, target=where, outcome=outcome, run=run, milliseconds=61_500, counts={"ok": 10, "changed": 1},
            changed={"moodle": 1}, detail_size=0, detail_root=NEVER, versions={"moodle": "4.5.1"}, healthy=3,
        ),
    ]  # fmt: skip


def opening() -> list[Data]:
    """The first entries of a log."""
    return [
        LogOpened(actor=ADA, target=target(), municipality="example", keys=["k"], tool="0.1.0"),
        PolicySet(actor=ADA, target=target(), policy="quorum none\n", strict=False),
    ]


def everyday() -> list[Data]:
    """Entries of several types."""
    return [
        *opening(),
        *a_run(),
        DriftFound(actor=ADA, target=target("main"), kind="unknown-run", found="20261101T000000Z-ffffff"),
        Heartbeat(actor=Actor(kind="tool", name="provision"), target=target()),
    ]


class SmallLog:
    """A log with its keys.

    Args:
        directory: where it is made.
        data: what it says; a day apart, from 2026-11-01 10:00 UTC.
        cosigned: with a witness in the policy, whose cosignature is on the checkpoint.
    """

    def __init__(self, directory: Path, data: Sequence[Data], *, cosigned: bool = False) -> None:
        self.directory = directory
        self.key = SignerKey.generate(ORIGIN)
        self.witness = SignerKey.generate("escola-mar.example/witness", Kind.COSIGNATURE_ED25519)
        self.raw = [
            compose(ORIGIN, one, when=f"2026-11-{day:02d}T10:00:00.000Z") for day, one in enumerate(data, 1)
        ]
        directory.mkdir(parents=True, exist_ok=True)
        growth = grow(TileReader(directory, 0), self.raw)
        for name, content in growth.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        text = Checkpoint(ORIGIN, growth.size, growth.root).text
        self.note = Note(text, (self.key.sign(text),))
        if cosigned:
            self.note = self.note.add(self.witness.sign(text, 1_800_000_000))
        (directory / "checkpoint").write_bytes(self.note.encode())
        lines = [f"log {self.key.verifier.vkey}", f"witness school {self.witness.verifier.vkey}"]
        (directory / "policy").write_text(
            "\n".join([*lines, f"quorum {'school' if cosigned else 'none'}", ""]), encoding="utf-8"
        )
        (directory / "checkpoints").mkdir(exist_ok=True)
        if cosigned:
            (directory / "checkpoints" / str(growth.size)).write_bytes(self.note.encode())
        self.size, self.root = growth.size, growth.root
