"""What the tests of the formats share: keys whose private halves are published, and small logs on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path

from provision.audit.tlog import (
    Checkpoint,
    Growth,
    Kind,
    Note,
    SignerKey,
    TileReader,
    grow,
    leaf_hash,
    node_hash,
    root_of,
)

ORIGIN = "provision.example.cat/escola-exemple"
#: Keys 1 and 2 of RFC 8032, 7.1.
CITY = SignerKey(
    ORIGIN, Kind.ED25519, bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
SCHOOL = SignerKey(
    "escola-exemple.example.cat/custodi",
    Kind.COSIGNATURE_ED25519,
    bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
)
CITY_ECDSA = SignerKey.generate(ORIGIN, Kind.ECDSA)
CITY_MLDSA = SignerKey.generate(ORIGIN, Kind.COSIGNATURE_MLDSA44)
AUDITOR = SignerKey.generate("auditor.example/w1", Kind.COSIGNATURE_MLDSA44)
TIME = 1760000000

ENTRIES = [b'{"n":0}', b'{"n":1}', b'{"n":2}']
CHECKPOINT = Checkpoint(ORIGIN, 3, root_of(map(leaf_hash, ENTRIES)))
NOTE = Note(CHECKPOINT.text).add(CITY.sign(CHECKPOINT.text)).add(SCHOOL.sign(CHECKPOINT.text, TIME))


def some_entries(count: int, start: int = 0) -> list[bytes]:
    """Entries that all differ."""
    return [b"entry %d" % number for number in range(start, start + count)]


def store(directory: Path, growth: Growth) -> TileReader:
    """Write what grew, remove what it replaces, and read the log at its new size."""
    for path, data in growth.files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for path in growth.obsolete:
        (directory / path).unlink()
    return TileReader(directory, growth.size)


def a_log(directory: Path, entries: Sequence[bytes]) -> TileReader:
    """A log with these entries."""
    return store(directory, grow(TileReader(directory, 0), entries))


def nodes_of(leaves: Sequence[bytes]) -> Callable[[int, int], bytes]:
    """The perfect subtrees of a tree in memory."""
    levels = [list(leaves)]
    while len(row := levels[-1]) > 1:
        levels.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return lambda level, index: levels[level][index]
