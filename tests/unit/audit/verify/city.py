"""A city that keeps a log, a school that cosigns it, and what either may do wrong."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provision.audit import entries as e
from provision.audit.detail import DetailStore, DetailWriter
from provision.audit.log import SchoolLog, writing
from provision.audit.tlog import (
    Checkpoint,
    Kind,
    Note,
    Policy,
    SignerKey,
    TileReader,
    decode_bundle,
    encode_bundle,
    grow,
)

ORIGIN = "provision.example.cat/escola-mar"
WITNESS = "escola-mar.example.cat/custodi"
START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
ACTOR = e.Actor(name="Núria Puig <nuria@example.cat>", user="npuig", machine="portatil-7")
TARGET = e.Target(school="escola-mar", host="main", service="moodle")
NOTHING = e.State(commit="", dirty=False)


class City:
    """Writes a log as the real writer does, one run an hour.

    Args:
        directory: where. runs: how many runs to begin with. witness: whether the policy asks for the school.
        origin: the log's name. strict: whether runs need the school's approval.
    """

    def __init__(
        self,
        directory: Path,
        *,
        runs: int = 0,
        witness: bool = True,
        origin: str = ORIGIN,
        strict: bool = False,
        school: SignerKey | None = None,
    ) -> None:
        self.directory, self.origin, self.strict = directory, origin, strict
        self.keys = [SignerKey.generate(origin)]
        self.school = school or SignerKey.generate(WITNESS, Kind.COSIGNATURE_ED25519)
        self.clock = START
        self.number = 0
        witnesses = {"school": self.school.verifier} if witness else {}
        self.policy = Policy((self.keys[0].verifier,), witnesses, {}, "school" if witness else "none")
        self.write(
            e.LogOpened(
                actor=ACTOR,
                target=TARGET,
                municipality="Exemple",
                keys=[key.verifier.vkey for key in self.keys],
                tool="0.1",
            ),
            e.PolicySet(actor=ACTOR, target=TARGET, policy=self.policy.text, strict=strict),
        )
        (directory / "policy").write_text(self.policy.text, encoding="utf-8")
        self.archive(self.log.note)
        for _ in range(runs):
            self.run()

    @property
    def now(self) -> datetime:
        """A little after the newest entry."""
        return self.clock + timedelta(minutes=1)

    @property
    def log(self) -> SchoolLog:
        """The log as it is on the disk."""
        return SchoolLog.open(self.directory)

    def write(self, *data: e.Data, minutes: int = 1) -> range:
        """Add entries, each so many minutes after the one before."""
        times: list[str | None] = []
        for _ in data:
            self.clock += timedelta(minutes=minutes)
            times.append(e.timestamp(self.clock))
        with writing(self.directory, self.origin, self.keys) as writer:
            return writer.append(data, when=times)

    def intent(self, run: str, *, strict: bool | None = None) -> range:
        """Announce a run."""
        return self.write(
            e.RunIntent(
                actor=ACTOR, target=TARGET, action="apply", run=run, tool="0.1", workspace=NOTHING, code=NOTHING,
                strict=self.strict if strict is None else strict,
            )
        )  # fmt: skip

    def set_policy(self, policy: Policy, *changes: e.Data, strict: bool | None = None) -> range:
        """Another policy, with the entries about its keys."""
        decision = e.PolicySet(
            actor=ACTOR, target=TARGET, policy=policy.text, strict=self.strict if strict is None else strict
        )
        (self.directory / "policy").write_text(policy.text, encoding="utf-8")
        return self.write(*changes, decision)

    def approve(
        self,
        run: str,
        *keys: SignerKey,
        signed: bool = True,
        size: int | None = None,
        claimed: int | None = None,
    ) -> range:
        """What the city writes of an approval: these keys have cosigned what there is.

        Args:
            signed: whether they have. size, claimed: what is said of it instead of what is true.
        """
        time = int(self.clock.timestamp())
        note = self.log.note
        for key in keys if signed else ():
            note = note.add(key.sign(note.text, time))
        if signed:
            self.archive(note)
        named = [
            e.Cosigner(
                name=key.name,
                size=self.log.size if size is None else size,
                time=time if claimed is None else claimed,
            )
            for key in keys
        ]
        return self.write(e.RunApproved(actor=ACTOR, target=TARGET, run=run, cosigners=named))

    def approved_run(self, *keys: SignerKey) -> str:
        """A run that began when these keys had cosigned its intent."""
        run = self.name()
        self.intent(run, strict=True)
        self.approve(run, *keys)
        self.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        self.steps(run)
        return run

    def name(self) -> str:
        """The id of the next run."""
        self.number += 1
        return f"20261102T08{self.number // 60:02}{self.number % 60:02}Z-{self.number:06x}"

    def run(self, steps: int = 4, *, name: str = "", end: bool = True) -> str:
        """A whole run: half of its steps changed something and have an entry of their own."""
        run = name or self.name()
        self.intent(run)
        self.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        self.steps(run, steps, end=end)
        return run

    def steps(self, run: str, steps: int = 4, *, end: bool = True) -> None:
        """The steps and the end of a run."""
        detail = DetailWriter(DetailStore(self.directory / "detail").file(run))
        results: list[e.Data] = []
        for step in range(steps):
            payload: dict[str, Any] = {
                "name": f"step {step} of {run}",
                "host": "main",
                "duration_ms": 12,
                "diff": "+ línia",
            }
            number, commitment = detail.append(payload)
            if step % 2 == 0:
                results.append(
                    e.TaskResult(
                        actor=ACTOR, target=TARGET, action="copy", outcome="changed", run=run, number=number,
                        commitment=commitment.hex(),
                    )
                )  # fmt: skip
        if end:
            results.append(
                e.RunEnded(
                    actor=ACTOR, target=TARGET, run=run, milliseconds=5000, counts={"changed": steps}, outcome="ok",
                    detail_size=steps, detail_root=detail.root().hex(),
                )
            )  # fmt: skip
        detail.close()
        self.write(*results)

    def cosigned_note(self, at: datetime | None = None) -> Note:
        """The newest checkpoint with the school's line."""
        note = self.log.note
        return note.add(self.school.sign(note.text, int((at or self.now).timestamp())))

    def cosign(self, at: datetime | None = None) -> Note:
        """The school cosigns the newest checkpoint, and the city keeps it."""
        note = self.cosigned_note(at)
        self.archive(note)
        return note

    def archive(self, note: Note) -> None:
        """Keep a checkpoint."""
        with writing(self.directory, self.origin, self.keys) as writer:
            writer.archive(note)

    def rotate(self) -> SignerKey:
        """A new key of the log; old and new sign the checkpoint with the entries about it."""
        old, new = self.keys[0], SignerKey.generate(self.origin)
        self.keys = [old, new]
        policy = Policy((new.verifier,), self.policy.witnesses, {}, self.policy.quorum)
        self.write(
            e.KeyAdded(actor=ACTOR, target=TARGET, key=new.verifier.vkey, purpose="log"),
            e.KeyRetired(actor=ACTOR, target=TARGET, key=old.verifier.vkey, purpose="log"),
            e.PolicySet(actor=ACTOR, target=TARGET, policy=policy.text, strict=self.strict),
        )
        self.archive(self.log.note)
        (self.directory / "policy").write_text(policy.text, encoding="utf-8")
        self.keys = [new]
        return old

    def copy(self, name: str) -> Path:
        """A copy of the log in somebody else's hands."""
        target = self.directory.parent / name
        shutil.copytree(self.directory, target)
        return target


def raw_entries(directory: Path) -> list[bytes]:
    """The bytes of every entry."""
    return list(TileReader(directory, SchoolLog.open(directory).size).entries())


def bundle_file(directory: Path) -> Path:
    """The bundle at the right edge of a small log."""
    return next((directory / "tile/entries").rglob("*.p/*"))


def rewrite_bundle(directory: Path, entries: Sequence[bytes]) -> None:
    """What a weak attacker can do: other entries in the file, and nothing else."""
    file = bundle_file(directory)
    file.write_bytes(encode_bundle(entries))


def bundle(directory: Path) -> list[bytes]:
    """The entries of the bundle at the right edge of a small log."""
    return decode_bundle(bundle_file(directory).read_bytes(), None)


def resign(
    directory: Path, entries: Sequence[bytes], keys: Sequence[SignerKey], origin: str = ORIGIN
) -> Note:
    """What the city can do, who has the key: another history with tree and checkpoint to match. The archive stays."""
    shutil.rmtree(directory / "tile")
    growth = grow(TileReader(directory, 0), entries)
    for name, content in growth.files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    text = Checkpoint(origin, growth.size, growth.root).text
    note = Note(text, tuple(key.sign(text) for key in keys))
    (directory / "checkpoint").write_bytes(note.encode())
    return note


def altered(raw: bytes, old: str, new: str) -> bytes:
    """An entry that says something else."""
    assert old.encode() in raw
    return raw.replace(old.encode(), new.encode())
