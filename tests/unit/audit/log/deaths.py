"""``python deaths.py DIR WHAT``: die at each system call of one kind of change; the log must be whole after each."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from provision.audit import entries as e
from provision.audit.detail import DetailWriter
from provision.audit.keys import LogKeys
from provision.audit.log import SchoolLog, writing
from provision.audit.opening import policy_for, renew_keys, settled
from provision.audit.outbox import Outbox
from provision.audit.tlog.note import open_note
from provision.files import write_atomically
from tests.unit.audit.log.crashing import ACTOR, KEY, ORIGIN, TARGET, crashed_everywhere, heartbeat, recovered

SCHOOL: Any = SimpleNamespace(id="escola", audit=SimpleNamespace(strict=False))


class PlainKeys:
    """The keys of a log in a plain file: what seals them is tested elsewhere."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self, school: str) -> LogKeys:
        from provision.audit.tlog.keys import SignerKey

        current, coming = self._file.read_text().split("|")
        return LogKeys(
            tuple(map(SignerKey.parse, current.split(" "))),
            tuple(map(SignerKey.parse, coming.split(" "))) if coming else (),
        )

    def save(self, school: str, keys: LogKeys) -> None:
        text = "|".join(" ".join(key.text for key in part) for part in (keys.current, keys.coming))
        write_atomically(self._file, text.encode())


def whole(directory: Path, keys: list[Any]) -> SchoolLog | None:
    """The log, read from end to end; and it can be continued."""
    with writing(directory, ORIGIN, keys) as writer:
        before = writer.size
        writer.record_leftovers(recovered)
        writer.append([heartbeat(before)])
    log = SchoolLog.open(directory)
    assert [entry.index for entry in log.entries()] == list(range(log.size))
    assert log.reader.root() == log.root
    open_note(log.note, [key.verifier for key in keys])
    return log


def append(top: Path) -> int:
    directory = top / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        # So that the change crosses from one tile to the next.
        writer.append([heartbeat(number) for number in range(250)])

    def change() -> None:
        with writing(directory, ORIGIN, [KEY]) as writer:
            writer.append([heartbeat(writer.size + number) for number in range(10)])

    return count(change, lambda: whole(directory, [KEY]))


def first(top: Path) -> int:
    number = 0

    def change() -> None:
        with writing(top / f"log{number}", ORIGIN, [KEY]) as writer:
            writer.append([heartbeat(0)])
            writer.set_policy(policy_for([KEY]))
            writer.archive(writer.log.note)

    deaths = 0
    for _ in crashed_everywhere(change):
        deaths += 1
        whole(top / f"log{number}", [KEY])
        number += 1
    return deaths


def outbox(top: Path) -> int:
    directory = top / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
    box = Outbox(directory)
    said = 0

    def change() -> None:
        with writing(directory, ORIGIN, [KEY]) as writer:
            box.send(writer)

    deaths = 0
    box.add(ORIGIN, [e.SecretRotated(actor=ACTOR, target=TARGET, names=[f"secret{said}"])])
    for _ in crashed_everywhere(change):
        deaths += 1
        said += 1
        log = whole(directory, [KEY])
        assert log is not None
        # What waited is in the log or still waits.
        there = [entry.data["names"][0] for entry in log.entries() if entry.type == e.SecretRotated.type]
        waiting = [e.parse(0, raw).data["names"][0] for raw in box.waiting()]
        assert {*there, *waiting} == {f"secret{number}" for number in range(said)}
        assert len(there) == len(set(there)), "an entry is twice in the log"
        box.add(ORIGIN, [e.SecretRotated(actor=ACTOR, target=TARGET, names=[f"secret{said}"])])
    return deaths


def renew(top: Path) -> int:
    directory = top / "log"
    (top / "audit").mkdir()
    directory = top / "audit" / "escola"
    store: Any = PlainKeys(top / "keys")
    store.save("escola", LogKeys((KEY,)))
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
        writer.set_policy(policy_for([KEY]))

    def change() -> None:
        keys = settled(store, top, "escola").current
        with writing(directory, ORIGIN, keys) as writer:
            renew_keys(store, writer, SCHOOL, ACTOR, second=None, why="test")

    def check() -> None:
        log = whole(directory, list(settled(store, top, "escola").current))
        assert log is not None
        # From each key to the next there is a checkpoint that both signed: whoever knows the first one can follow.
        chain = {KEY.verifier.key_id}
        for _, note in log.archived():
            signers = {signature.key_id for signature in note.signatures}
            if signers & chain:
                chain |= signers
        assert {signature.key_id for signature in log.note.signatures} <= chain

    return count(change, check)


def erase(top: Path) -> int:
    directory = top / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])
    detail = DetailWriter(directory / "detail" / "r1.jsonl")
    for number in range(5):
        detail.append({"number": number})
    detail.close()
    store = SchoolLog.open(directory).detail
    root = store.root("r1")

    def check() -> None:
        assert store.root("r1") == root

    return count(lambda: store.erase("r1", [1, 3], "entry"), check)


def archive(top: Path) -> int:
    directory = top / "log"
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(0)])

    def change() -> None:
        with writing(directory, ORIGIN, [KEY]) as writer:
            writer.archive(writer.log.note)

    def check() -> None:
        whole(directory, [KEY])
        assert all(note.signatures for _, note in SchoolLog.open(directory).archived())

    return count(change, check)


def recover(top: Path) -> int:
    """Die while what a killed writer left is put aside and recorded: the log tells of it in the end, at most twice."""
    before = top / "before"
    with writing(before, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(number) for number in range(3)])
    planted = {}
    for name in ("tile/0/000.p/9", "tile/0/001.p/1", "tile/entries/000.p/9"):
        (before / name).parent.mkdir(exist_ok=True)
        (before / name).write_bytes(name.encode())
        planted[name] = (before / name).read_bytes()
    number = 0

    def place() -> Path:
        return top / f"log{number}"

    def change() -> None:
        with writing(place(), ORIGIN, [KEY]) as writer:
            writer.record_leftovers(recovered)

    deaths = 0
    shutil.copytree(before, place())
    for _ in crashed_everywhere(change):
        deaths += 1
        log = whole(place(), [KEY])
        assert log is not None
        told = Counter(
            item["file"]
            for entry in log.entries()
            if entry.type == e.LogRecovered.type
            for item in entry.data["leftovers"]
        )
        # A death while it was being recorded leaves more of its own.
        assert all(1 <= told[name] <= 2 for name in planted), f"death {deaths}: {told}"
        kept = {
            str(file.relative_to(aside)): file.read_bytes()
            for aside in (place() / "evidence").glob("*-left-over")
            for file in (aside / "tile").rglob("*")
            if file.is_file()
        }
        assert kept.items() >= planted.items()
        assert set(kept) == set(told), "something was put aside and not told, or the other way round"
        with writing(place(), ORIGIN, [KEY]) as writer:
            assert not writer.leftovers, "what was recorded is told again and again"
        number += 1
        shutil.copytree(before, place())
    return deaths


def count(change: Callable[[], None], check: Callable[[], object]) -> int:
    """How often the change died before it came through, with the check holding after each death."""
    deaths = 0
    for _ in crashed_everywhere(change):
        deaths += 1
        check()
    check()
    return deaths


KINDS = {
    "append": append,
    "first": first,
    "outbox": outbox,
    "renew": renew,
    "erase": erase,
    "archive": archive,
    "recover": recover,
}
os.umask(0o022)
print(KINDS[sys.argv[2]](Path(sys.argv[1])))
