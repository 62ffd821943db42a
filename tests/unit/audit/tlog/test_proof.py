"""Proof files, and what a log and a witness give each other."""

from pathlib import Path

import pytest

from provision.audit.tlog import (
    MAX_SIZE,
    AddCheckpoint,
    Checkpoint,
    LogProof,
    Note,
    NoteError,
    Policy,
    Signature,
    TreeError,
    decode_cosignatures,
    encode_cosignatures,
    leaf_hash,
    node_hash,
    verify_consistency,
)
from provision.audit.tlog.exchange import MAX_REQUEST
from provision.audit.tlog.proof import MAX_EXTRA, MAX_PROOF
from tests.unit.audit.tlog.logs import (
    AUDITOR,
    CHECKPOINT,
    CITY,
    ENTRIES,
    NOTE,
    ORIGIN,
    SCHOOL,
    TIME,
    a_log,
    some_entries,
)

POLICY = Policy((CITY.verifier,), {"school": SCHOOL.verifier, "other": AUDITOR.verifier}, {}, "school")
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
PROOF = LogProof(1, (LEAVES[0], LEAVES[2]), NOTE.encode())
HEAD = b"c2sp.org/tlog-proof@v1\n"
HASH = b"LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo=\n"


def test_a_proof_is_written_as_the_specification_says() -> None:
    lines = [
        "c2sp.org/tlog-proof@v1",
        "index 1",
        "+UBwq/0toL9ykC6xOoCOeU+VTZ4nRcaCoVj27Q1KwDY=",
        "PR3ndt8IbBrp9wSdK7DAR1rRQYX5h+Bk6NENyy20oyI=",
        "",
        NOTE.encode().decode(),
    ]
    assert PROOF.encode().decode() == "\n".join(lines)
    lines.insert(1, "extra aGVsbG8=")
    assert LogProof(1, PROOF.hashes, PROOF.checkpoint, b"hello").encode().decode() == "\n".join(lines)


@pytest.mark.parametrize("extra", [None, b"", b"x", bytes(MAX_EXTRA)])
def test_a_proof_is_read_as_it_was_written(extra: bytes | None) -> None:
    for index, hashes in ((0, ()), (1, PROOF.hashes), (MAX_SIZE - 1, (LEAVES[0],) * 63)):
        proof = LogProof(index, hashes, PROOF.checkpoint, extra)
        assert LogProof.parse(proof.encode()) == proof


def test_a_proof_shows_the_checkpoint_and_who_cosigned_it() -> None:
    opinion = PROOF.verify(ENTRIES[1], POLICY)
    assert opinion.checkpoint == CHECKPOINT
    assert opinion.logs == (CITY.verifier,)
    assert opinion.witnesses == {"school": TIME}


def test_every_entry_of_a_log_on_disk_is_proved(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(300))
    text = Checkpoint(ORIGIN, 300, reader.root()).text
    note = Note(text).add(CITY.sign(text)).add(SCHOOL.sign(text, TIME)).encode()
    for index in range(0, 300, 7):
        data = LogProof(index, tuple(reader.inclusion_proof(index)), note).encode()
        LogProof.parse(data).verify(b"entry %d" % index, POLICY)


def test_an_entry_that_was_changed_or_is_elsewhere_is_not_proved() -> None:
    for entry in (ENTRIES[0], ENTRIES[1] + b" ", b""):
        with pytest.raises(TreeError, match="does not lead from entry 1"):
            PROOF.verify(entry, POLICY)
    with pytest.raises(TreeError, match="does not lead from entry 0"):
        LogProof(0, PROOF.hashes, PROOF.checkpoint).verify(ENTRIES[1], POLICY)
    with pytest.raises(TreeError, match="has no entry 3"):
        LogProof(3, PROOF.hashes, PROOF.checkpoint).verify(ENTRIES[1], POLICY)


def test_an_inner_node_is_never_proved_as_an_entry() -> None:
    pretended = (LEAVES[0] + LEAVES[1])[:64]
    assert node_hash(LEAVES[0], LEAVES[1]) != leaf_hash(pretended)
    with pytest.raises(TreeError):
        LogProof(0, (LEAVES[2],), PROOF.checkpoint).verify(pretended, POLICY)


def test_a_proof_without_the_cosignatures_that_the_policy_wants_is_refused() -> None:
    strict = Policy(POLICY.logs, POLICY.witnesses, {}, "other")
    with pytest.raises(NoteError, match="not cosigned by other, as the policy wants it, but by school"):
        PROOF.verify(ENTRIES[1], strict)
    alone = Note(CHECKPOINT.text).add(CITY.sign(CHECKPOINT.text)).encode()
    with pytest.raises(NoteError, match="but by nobody"):
        LogProof(1, PROOF.hashes, alone).verify(ENTRIES[1], POLICY)
    assert LogProof(1, PROOF.hashes, alone).verify(ENTRIES[1], Policy(POLICY.logs)).quorum_met


def test_extra_data_is_carried_and_proves_nothing() -> None:
    with pytest.raises(TreeError):
        LogProof(1, PROOF.hashes, PROOF.checkpoint, ENTRIES[1]).verify(b"another entry", POLICY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "begins with"),
        (b"c2sp.org/tlog-proof@v2\nindex 1\n\n", "begins with"),
        (HEAD, "does not say which entry|no checkpoint"),
        (HEAD + b"index 1\n", "no checkpoint"),
        (HEAD + b"index 1\n\n", "does not end"),
        (HEAD + b"\nindex 1\n\n" + PROOF.checkpoint, "does not say which entry"),
        (HEAD + b"index\n\n" + PROOF.checkpoint, "does not say which entry"),
        (HEAD + b"index 01\n\n" + PROOF.checkpoint, "leading zeros"),
        (HEAD + b"index -1\n\n" + PROOF.checkpoint, "not a number"),
        (HEAD + b"index " + b"9" * 500_000 + b"\n\n" + PROOF.checkpoint, "not a number"),
        (HEAD + b"index 9223372036854775807\n\n" + PROOF.checkpoint, "has no entry"),
        (HEAD + b"index 9223372036854775808\n\n" + PROOF.checkpoint, "too large"),
        (HEAD + b"extra\nindex 1\n\n" + PROOF.checkpoint, "does not say which entry"),
        (HEAD + b"extra x\nindex 1\n\n" + PROOF.checkpoint, "not base64"),
        (HEAD + b"index 1\nextra eA==\n\n" + PROOF.checkpoint, "not base64"),
        (HEAD + b"extra eA==\nextra eA==\nindex 1\n\n" + PROOF.checkpoint, "does not say which entry"),
        (HEAD + b"index 1\nAAAA\n\n" + PROOF.checkpoint, "must have 32 bytes"),
        (HEAD + b"index 1\n" + HASH * 64 + b"\n" + PROOF.checkpoint, "at most 63"),
        (HEAD + b"index 1\n" + HASH[:-1] + b"\r\n\n" + PROOF.checkpoint, "not base64"),
        (HEAD + "índex 1\n\n".encode() + PROOF.checkpoint, "other than plain"),
        (HEAD + b"index 1\n\n\n" + PROOF.checkpoint, "no empty lines"),
        (
            HEAD + b"extra " + b"AAAA" * (MAX_EXTRA // 3 + 1) + b"\nindex 1\n\n" + PROOF.checkpoint,
            "extra data",
        ),
        (b"x" * (MAX_PROOF + 1), "larger than"),
    ],
)
def test_a_malformed_proof_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        LogProof.parse(data).verify(ENTRIES[1], POLICY)


@pytest.mark.parametrize(
    ("index", "hashes", "checkpoint"),
    [
        (-1, (), PROOF.checkpoint),
        (MAX_SIZE, (), PROOF.checkpoint),
        (0, (b"short",), PROOF.checkpoint),
        (0, (LEAVES[0],) * 64, PROOF.checkpoint),
        (0, (), b"no note"),
    ],
)
def test_a_proof_that_nobody_could_read_is_not_made(
    index: int, hashes: tuple[bytes, ...], checkpoint: bytes
) -> None:
    with pytest.raises(NoteError):
        LogProof(index, hashes, checkpoint)


def test_a_request_to_a_witness_is_written_and_read(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(300))
    text = Checkpoint(ORIGIN, 300, reader.root()).text
    note = Note(text).add(CITY.sign(text)).encode()
    request = AddCheckpoint(200, tuple(reader.consistency_proof(200)), note)
    data = request.encode()
    assert data.startswith(b"old 200\n")
    assert AddCheckpoint.parse(data) == request
    old = a_log(tmp_path / "old", some_entries(200)).root()
    verify_consistency(request.hashes, request.old, 300, old, reader.root())
    first = AddCheckpoint(0, (), note)
    assert AddCheckpoint.parse(first.encode()) == first


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "must begin"),
        (b"old 1\n", "must begin"),
        (b"new 1\n\n" + PROOF.checkpoint, "must begin"),
        (b"old 1\n\n", "does not end"),
        (b"old 01\n\n" + PROOF.checkpoint, "leading zeros"),
        (b"old 1\nAAAA\n\n" + PROOF.checkpoint, "must have 32 bytes"),
        (b"old 1\n" + HASH * 64 + b"\n" + PROOF.checkpoint, "at most 63"),
        ("öld 1\n\n".encode() + PROOF.checkpoint, "other than plain"),
        (b"x" * (MAX_REQUEST + 1), "larger than"),
    ],
)
def test_a_malformed_request_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        AddCheckpoint.parse(data)


def test_a_request_that_nobody_could_read_is_not_made() -> None:
    for old, hashes in ((-1, ()), (0, (LEAVES[0],) * 64), (0, (b"short",))):
        with pytest.raises(NoteError):
            AddCheckpoint(old, hashes, PROOF.checkpoint)


def test_the_answer_of_a_witness_is_written_read_and_added_to_the_checkpoint() -> None:
    answer = encode_cosignatures(
        [SCHOOL.sign(CHECKPOINT.text, TIME), AUDITOR.sign(CHECKPOINT.text, TIME + 1)]
    )
    note = Note(CHECKPOINT.text).add(CITY.sign(CHECKPOINT.text))
    for signature in decode_cosignatures(answer):
        note = note.add(signature)
    assert POLICY.open(note).witnesses == {"school": TIME, "other": TIME + 1}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "does not end"),
        (b"\n", "no signature line"),
        (encode_cosignatures([Signature("a", b"abcd", b"x")])[:-1], "does not end"),
        (encode_cosignatures([Signature("a", b"abcd", b"x")] * 65), "more than 64"),
        (b"\xff\n", "not UTF-8"),
        (b"x" * 600_000, "larger than"),
    ],
)
def test_a_malformed_answer_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        decode_cosignatures(data)
