"""Hostile input: every parser ends in a value or in a documented error, with bounded work and memory."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    MAX_NOTE,
    AddCheckpoint,
    Checkpoint,
    LogProof,
    Note,
    NoteError,
    Policy,
    PolicyError,
    Signature,
    SignerKey,
    TileReader,
    TlogError,
    TreeError,
    VerifierKey,
    decode_bundle,
    decode_cosignatures,
    encode_bundle,
    encode_cosignatures,
    grow,
    verify_consistency,
    verify_inclusion,
)
from provision.audit.tlog.policy import MAX_POLICY
from tests.unit.audit.tlog.logs import (
    AUDITOR,
    CHECKPOINT,
    CITY,
    CITY_ECDSA,
    NOTE,
    SCHOOL,
    TIME,
    a_log,
    some_entries,
)
from tests.unit.audit.tlog.test_policy import EXAMPLE
from tests.unit.audit.tlog.test_proof import PROOF

POLICY = Policy(
    (CITY.verifier, CITY_ECDSA.verifier), {"school": SCHOOL.verifier, "w": AUDITOR.verifier}, {}, "school"
)
FULL = NOTE.add(CITY_ECDSA.sign(CHECKPOINT.text)).add(AUDITOR.sign(CHECKPOINT.text, TIME))


class Parser(NamedTuple):
    """A parser, an input that it takes, the only errors that it may raise, and how its result is written again."""

    read: Callable[[bytes], object]
    good: bytes
    errors: type[TlogError]
    write: Callable[[bytes], bytes | None]


def text(data: bytes) -> str:
    """Bytes as the text that a caller might hand over, broken or not."""
    return data.decode("utf-8", "surrogateescape")


PARSERS = {
    "note": Parser(Note.parse, FULL.encode(), NoteError, lambda data: Note.parse(data).encode()),
    "opened note": Parser(POLICY.open, FULL.encode(), NoteError, lambda data: None),
    "signature": Parser(
        lambda data: Signature.parse(text(data)),
        FULL.signatures[0].line[:-1].encode(),
        NoteError,
        lambda data: Signature.parse(text(data)).line[:-1].encode(),
    ),
    "answer": Parser(
        decode_cosignatures,
        encode_cosignatures(FULL.signatures),
        NoteError,
        lambda data: encode_cosignatures(decode_cosignatures(data)),
    ),
    "checkpoint": Parser(
        lambda data: Checkpoint.parse(text(data)),
        CHECKPOINT.text.encode(),
        NoteError,
        # Extension lines are not kept.
        lambda data: data if data.startswith(Checkpoint.parse(text(data)).text.encode()) else b"another",
    ),
    "key": Parser(
        lambda data: VerifierKey.parse(text(data)),
        CITY_ECDSA.verifier.vkey.encode(),
        NoteError,
        lambda data: VerifierKey.parse(text(data)).vkey.encode(),
    ),
    "private key": Parser(
        lambda data: SignerKey.parse(text(data)),
        CITY_ECDSA.text.encode(),
        NoteError,
        lambda data: SignerKey.parse(text(data)).text.encode(),
    ),
    "policy": Parser(Policy.parse, EXAMPLE.encode(), PolicyError, lambda data: None),
    "policy text": Parser(
        lambda data: Policy.parse(text(data)), EXAMPLE.encode(), PolicyError, lambda data: None
    ),
    "proof": Parser(LogProof.parse, PROOF.encode(), NoteError, lambda data: LogProof.parse(data).encode()),
    "verified proof": Parser(
        lambda data: LogProof.parse(data).verify(b'{"n":1}', POLICY),
        PROOF.encode(),
        TlogError,
        lambda data: None,
    ),
    "request": Parser(
        AddCheckpoint.parse,
        AddCheckpoint(2, PROOF.hashes, FULL.encode()).encode(),
        NoteError,
        lambda data: AddCheckpoint.parse(data).encode(),
    ),
    "bundle": Parser(
        lambda data: decode_bundle(data, None),
        encode_bundle(some_entries(20)),
        TreeError,
        lambda data: encode_bundle(decode_bundle(data, None)),
    ),
}
PIECES = [
    b"\n", b"\n\n", b"\r\n", b"\t", b" ", b"\x00", b"\x7f", b"+", b"=", b"==", b"\xff", b"\xed\xa0\x80", b"\xc2\xa0",
    "—".encode(), "— a AAAAAAAA\n".encode(), b"0", b"-1", b"9" * 30, b"\xff\xff", b"quorum none\n",
    b"group g any g\n", b"index 1\n", b"extra ", b"old 0\n",
]  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn, good: bytes) -> bytes:
    """A good input after a few blows, or something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 40))
        match draw(st.integers(0, 4)):
            case 0:
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[max(place - length, 0) : place]
            case 3:
                data[place : place + draw(st.integers(0, 2))] = draw(st.sampled_from(PIECES))
            case 4:
                del data[place:]
    return bytes(data)


@pytest.mark.parametrize("name", PARSERS)
def test_the_input_that_the_fuzzing_starts_from_is_good(name: str) -> None:
    parser = PARSERS[name]
    parser.read(parser.good)
    assert parser.write(parser.good) in {parser.good, None}


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_parser_raises_only_what_it_documents_and_reads_one_meaning_from_one_spelling(
    name: str, data: st.DataObject
) -> None:
    parser = PARSERS[name]
    value = data.draw(hostile(parser.good))
    try:
        parser.read(value)
    except parser.errors as error:
        assert len(str(error)) < 1000, "a message repeats its input"
        assert str(error).isprintable(), "a message steers the terminal"
        return
    assert parser.write(value) in {value, None}


@contextmanager
def memory(limit: int) -> Iterator[None]:
    """Fails when more than ``limit`` bytes are taken at any time within."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak} bytes were taken"


SIGNATURE = FULL.signatures[0].line.encode()
MEGABYTES = {
    "zeros": bytes(10_000_000),
    "newlines": b"\n" * 10_000_000,
    "digits": b"9" * 10_000_000,
    "dashes": "—".encode() * 3_000_000,
    "spaces": b" " * 10_000_000,
    "signatures": CHECKPOINT.text.encode() + b"\n" + SIGNATURE * 60_000,
    "hashes": b"c2sp.org/tlog-proof@v1\nindex 1\n"
    + b"LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo=\n" * 200_000,
    "extra": b"c2sp.org/tlog-proof@v1\nextra " + b"AAAA" * 2_500_000 + b"\nindex 1\n\n" + FULL.encode(),
    "proof": b"old 1\n" + b"LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo=\n" * 200_000 + b"\n" + FULL.encode(),
    "groups": b"group g any g\n" * 700_000,
    "empty entries": b"\x00\x00" * 5_000_000,
    "key": b"PRIVATE+KEY+" + b"a" * 10_000_000,
}


@pytest.mark.parametrize("name", [name for name in PARSERS if name != "policy text"])
@pytest.mark.parametrize("kind", MEGABYTES)
def test_ten_megabytes_are_refused_without_being_taken_apart(name: str, kind: str) -> None:
    parser, data = PARSERS[name], MEGABYTES[kind]
    # Some take text; its decoding is not their work. A bundle of this size is a common thing.
    limit = 45_000_000 if name in {"signature", "checkpoint", "key", "private key"} else 1_000_000
    limit = len(data) + 1_000_000 if name == "bundle" else limit
    with memory(limit), pytest.raises(parser.errors):
        parser.read(data)


@pytest.mark.parametrize(
    "line", [b"\n", b" \n", b"#\n", b"x\n", b"group g any g\n", b"group g 1" + b" a" * 500 + b"\n"]
)
def test_a_policy_as_large_as_it_may_be_takes_little(line: bytes) -> None:
    data = line * (MAX_POLICY // len(line))
    with memory(20_000_000), pytest.raises(PolicyError):
        Policy.parse(data)


def test_a_note_as_large_as_it_may_be_takes_little() -> None:
    for filling in ("a", "\n", "— a\n", "é"):
        whole = filling * ((MAX_NOTE - 1000) // len(filling.encode())) + "\n"
        data = whole.encode() + b"\n" + SIGNATURE
        with memory(20_000_000):
            assert Note.parse(data).encode() == data


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_of_a_log_end_in_a_documented_error_or_in_a_proof_that_does_not_hold(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("log")
    root = a_log(directory, some_entries(300)).root()
    old_root = TileReader(directory, 256).root()
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    file.write_bytes(data.draw(hostile(before)))
    changed = file.read_bytes() != before
    reader = TileReader(directory, 300)
    index = data.draw(st.integers(0, 299))
    entries: list[bytes] = []
    try:
        entries = list(reader.entries())
        proved = reader.root() == root
        verify_inclusion(reader.inclusion_proof(index), index, 300, reader.leaf(index), root)
        verify_consistency(reader.consistency_proof(256), 256, 300, old_root, root)
        grow(reader, [b"one more"])
    except TreeError:
        return
    if changed and proved and entries == some_entries(300):
        # What was hit is a tile below a root that stands in the tile above it: found where the tiles are compared.
        assert file.relative_to(directory).as_posix() == "tile/0/000"


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 65_537, 2**40, 2**63 - 1])
def test_an_empty_directory_is_no_log_whatever_size_is_claimed(tmp_path: Path, size: int) -> None:
    reader = TileReader(tmp_path, size)
    with memory(1_000_000):
        for read in (
            reader.root,
            reader.frontier,
            lambda: reader.entry(size - 1),
            lambda: next(reader.entries()),
            lambda: next(reader.leaves()),
            lambda: grow(reader, [b"x"]),
        ):
            with pytest.raises(TreeError):
                read()
