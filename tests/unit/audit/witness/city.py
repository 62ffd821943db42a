"""A city that writes a log, honestly or not, made of the formats alone."""

import copy
from collections.abc import Sequence
from pathlib import Path

from provision.audit.entries import (
    Actor,
    Data,
    Heartbeat,
    KeyAdded,
    KeyRetired,
    LogOpened,
    PolicySet,
    Target,
    compose,
)
from provision.audit.tlog import Checkpoint, Kind, Note, Policy, SignerKey, TileReader, grow
from provision.audit.witness import Trust, WitnessStore

ORIGIN = "provision.example.cat/escola-mar"
ADA = Actor(name="Ada Puig", user="apuig", machine="portatil-7")
SCHOOL = Target(school="escola-mar")


class City:
    """A log and its keys.

    Args:
        directory: where the log is made.
    """

    def __init__(self, directory: Path, keys: Sequence[SignerKey] | None = None) -> None:
        self.directory = directory
        self.keys = list(keys or [SignerKey.generate(ORIGIN)])
        self.witness = SignerKey.generate("escola-mar.example.cat/custodi", Kind.COSIGNATURE_ED25519)
        self.raw: list[bytes] = []
        self.add(
            LogOpened(
                actor=ADA, target=SCHOOL, municipality="example", tool="0.1.0",
                keys=[key.verifier.vkey for key in self.keys],
            ),
            PolicySet(actor=ADA, target=SCHOOL, policy=self.policy.text, strict=False),
        )  # fmt: skip

    @property
    def policy(self) -> Policy:
        """The log's keys, and the school as a witness that is not required."""
        return Policy(
            logs=tuple(key.verifier for key in self.keys), witnesses={"school": self.witness.verifier}
        )

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.raw)

    @property
    def trust(self) -> Trust:
        """What the school knows from elsewhere."""
        return Trust(ORIGIN, tuple(key.verifier for key in self.keys))

    def add(self, *data: Data) -> None:
        """Write entries, as ``LogWriter`` lays them out."""
        self.add_raw([compose(ORIGIN, one) for one in data])

    def beat(self, times: int = 1) -> None:
        """Write heartbeats."""
        self.add(*[Heartbeat(actor=ADA, target=SCHOOL)] * times)

    def add_raw(self, raw: Sequence[bytes]) -> None:
        """Write entries by their bytes."""
        growth = grow(TileReader(self.directory, self.size), raw)
        for name, content in growth.files.items():
            (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / name).write_bytes(content)
        self.raw += raw
        self.sign(Checkpoint(ORIGIN, growth.size, growth.root))
        for name in growth.obsolete:
            (self.directory / name).unlink()
        (self.directory / "policy").write_text(self.policy.text)

    def sign(self, checkpoint: Checkpoint) -> None:
        """Sign any checkpoint, true or not, and put it in the place of the newest."""
        note = Note(checkpoint.text, tuple(key.sign(checkpoint.text) for key in self.keys))
        (self.directory / "checkpoint").write_bytes(note.encode())

    @property
    def note(self) -> Note:
        """The newest checkpoint."""
        return Note.parse((self.directory / "checkpoint").read_bytes())

    def retold(self, directory: Path, raw: Sequence[bytes]) -> "City":
        """Another history, signed with the same keys."""
        other = copy.copy(self)
        other.directory, other.raw = directory, []
        other.add_raw(raw)
        return other

    def renew(self, *, archive: bool = True, both: bool = True) -> None:
        """A new key: named in the log, vouched for by the old one on one checkpoint."""
        old, new = self.keys, [SignerKey.generate(ORIGIN)]
        self.keys = [*old, *new] if both else new
        self.add(
            *(KeyAdded(actor=ADA, target=SCHOOL, key=key.verifier.vkey, purpose="log") for key in new),
            *(KeyRetired(actor=ADA, target=SCHOOL, key=key.verifier.vkey, purpose="log") for key in old),
            PolicySet(
                actor=ADA, target=SCHOOL, strict=False,
                policy=Policy(logs=tuple(key.verifier for key in new)).text,
            ),
        )  # fmt: skip
        if archive:
            self.archive(self.note)
        self.keys = new

    def archive(self, note: Note) -> None:
        """Keep a checkpoint."""
        place = self.directory / "checkpoints"
        place.mkdir(exist_ok=True)
        (place / str(Checkpoint.parse(note.text).size)).write_bytes(note.encode())


def watch(directory: Path, city: City) -> WitnessStore:
    """A witness that knows the city's key from elsewhere."""
    return WitnessStore.create(directory, city.trust)
