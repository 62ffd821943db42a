"""What is made here verifies with programs that others wrote, and what they make verifies here.

``aics-tlog`` knows all the formats but policies and post-quantum signatures; ``pymerkle`` knows trees.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    Checkpoint,
    Group,
    Kind,
    Note,
    NoteError,
    Policy,
    Signature,
    SignerKey,
    TileReader,
    TreeError,
    VerifierKey,
    bundle_path,
    consistency_proof,
    decode_bundle,
    encode_bundle,
    grow,
    inclusion_proof,
    leaf_hash,
    open_note,
    root_of,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.audit.tlog.logs import (
    CHECKPOINT,
    CITY,
    CITY_ECDSA,
    ENTRIES,
    NOTE,
    ORIGIN,
    SCHOOL,
    TIME,
    a_log,
    nodes_of,
    some_entries,
    store,
)
from tests.unit.audit.tlog.test_policy import WITNESSES, met

aics = pytest.importorskip("aics_tlog", reason="aics-tlog, the independent implementation, is not installed")
pymerkle = pytest.importorskip("pymerkle", reason="pymerkle is not installed")

TEXT = CHECKPOINT.text
CITY_KEY = Ed25519PrivateKey.from_private_bytes(CITY.secret)
SCHOOL_KEY = Ed25519PrivateKey.from_private_bytes(SCHOOL.secret)
THEIR_CITY = aics.parse_vkey(CITY.verifier.vkey)
THEIR_SCHOOL = aics.parse_vkey(SCHOOL.verifier.vkey)


def test_roots_are_those_of_two_other_programs() -> None:
    theirs, also_theirs = aics.MerkleTree(), pymerkle.InmemoryTree(algorithm="sha256")
    for size in range(300):
        root = root_of(map(leaf_hash, some_entries(size)))
        assert root == theirs.root()
        if size:
            assert root == also_theirs.get_root()
        theirs.append(b"entry %d" % size)
        also_theirs.append_entry(b"entry %d" % size)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.data())
def test_proofs_are_byte_for_byte_theirs_and_verify_on_both_sides(size: int, data: st.DataObject) -> None:
    entries = some_entries(size)
    leaves = [leaf_hash(entry) for entry in entries]
    tree, node, root = aics.MerkleTree(entries), nodes_of(leaves), root_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, node)
    assert proof == tree.inclusion_proof(index)
    assert aics.verify_leaf_inclusion(entries[index], index, size, proof, root)
    old = data.draw(st.integers(0, size))
    old_root = root_of(leaves[:old])
    consistency = consistency_proof(old, size, node)
    assert consistency == tree.consistency_proof(old)
    assert aics.verify_consistency(old, size, old_root, root, consistency)
    verify_inclusion(tree.inclusion_proof(index), index, size, leaves[index], tree.root())
    verify_consistency(tree.consistency_proof(old), old, size, tree.root(old), tree.root())


HASHES = [leaf_hash(entry) for entry in some_entries(12)]


@settings(max_examples=200, deadline=None)
@given(st.integers(-1, 12), st.integers(-1, 12), st.integers(0, 12), st.data())
def test_both_refuse_and_accept_the_same_proofs(
    index: int, size: int, real: int, data: st.DataObject
) -> None:
    """Mostly wrong ones: proofs of another place or size, cut, and stretched."""
    leaves, node = HASHES[:real], nodes_of(HASHES[:real])
    root = root_of(leaves)
    place = data.draw(st.integers(0, max(real - 1, 0)))
    proof = inclusion_proof(place, real, node) if real else []
    cut = data.draw(st.integers(0, len(proof)))
    proof = data.draw(st.sampled_from([proof, proof[:cut], [*proof[:cut], HASHES[0], *proof[cut:]]]))
    leaf = HASHES[max(index, 0) % 12]
    assert aics.verify_inclusion(leaf, index, size, proof, root) == accepted(
        lambda: verify_inclusion(proof, index, size, leaf, root)
    )
    old_root = root_of(HASHES[: max(index, 0)])
    proof = consistency_proof(place, real, node)
    assert aics.verify_consistency(index, size, old_root, root, proof) == accepted(
        lambda: verify_consistency(proof, index, size, old_root, root)
    )


def accepted(check: Callable[[], None]) -> bool:
    try:
        check()
    except TreeError:
        return False
    return True


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 300), min_size=1, max_size=4))
def test_files_are_byte_for_byte_theirs(tmp_path_factory: pytest.TempPathFactory, steps: list[int]) -> None:
    directory = tmp_path_factory.mktemp("ours")
    reader = TileReader(directory, 0)
    theirs = aics.MemoryTileStore()
    writer = aics.IncrementalTileWriter(theirs)
    for step in steps:
        entries = some_entries(step, reader.size)
        reader = store(directory, grow(reader, entries))
        writer.append(entries)
    assert reader.root() == writer.root()
    for file in directory.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == theirs.read(str(file.relative_to(directory)))


def test_their_reader_audits_our_files_and_our_reader_theirs(tmp_path: Path) -> None:
    ours = a_log(tmp_path / "ours", some_entries(700))
    their_reader = aics.FileSystemTileReader(tmp_path / "ours")
    report = aics.audit_tiles(their_reader, 700, ours.root())
    assert report.size == 700
    assert aics.inclusion_proof_from_tiles(their_reader, 612, 700) == ours.inclusion_proof(612)
    assert aics.consistency_proof_from_tiles(their_reader, 257, 700) == ours.consistency_proof(257)
    (tmp_path / "theirs").mkdir()
    aics.tiles.write_tiles(some_entries(700), tmp_path / "theirs")
    reader = TileReader(tmp_path / "theirs", 700)
    assert reader.root() == ours.root()
    assert list(reader.entries()) == some_entries(700)
    grown = store(tmp_path / "theirs", grow(reader, some_entries(90, 700)))
    assert grown.root() == aics.MerkleTree(some_entries(790)).root()


@pytest.mark.parametrize("index", [0, 7, 999, 1000, 1234067, 10**9])
@pytest.mark.parametrize("width", [1, 255, 256])
def test_paths_are_theirs(index: int, width: int) -> None:
    assert tile_path(2, index, width) == aics.tiles.tile_path(2, index, None if width == 256 else width)
    assert bundle_path(index, width) == aics.tiles.entry_bundle_path(index, None if width == 256 else width)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=40))
def test_bundles_are_theirs(entries: list[bytes]) -> None:
    assert encode_bundle(entries) == aics.tiles.build_entry_bundle(entries)
    assert aics.tiles.parse_entry_bundle(encode_bundle(entries)) == decode_bundle(
        encode_bundle(entries), None
    )


def test_our_checkpoint_with_a_cosignature_satisfies_their_verifier() -> None:
    result = aics.verify_checkpoint(aics.parse_note(NOTE.encode()), THEIR_CITY, [THEIR_SCHOOL], 1)
    assert result.ok, result.error
    assert (result.origin, result.size, result.root) == (ORIGIN, 3, CHECKPOINT.root)
    assert result.timestamps == {SCHOOL.name: TIME}


def test_their_checkpoint_with_a_cosignature_satisfies_ours() -> None:
    tree = aics.MerkleTree(ENTRIES)
    note = aics.sign_checkpoint(aics.Checkpoint(ORIGIN, 3, tree.root()), CITY_KEY, ORIGIN)
    _, line = aics.sign_cosignature(SCHOOL_KEY, SCHOOL.name, TIME, ORIGIN, 3, tree.root())
    theirs = aics.Note(note.text, (*note.signatures, line)).to_bytes()
    assert theirs == NOTE.encode()
    policy = Policy((CITY.verifier,), {"school": SCHOOL.verifier}, {}, "school")
    assert policy.open(theirs).quorum_met


def test_keys_are_theirs() -> None:
    for ours, theirs in ((CITY.verifier, THEIR_CITY), (SCHOOL.verifier, THEIR_SCHOOL)):
        assert aics.note.format_vkey(theirs) == ours.vkey
        assert theirs.key_id == ours.key_id
    made = aics.vkey_from_ed25519("a.example/log", Ed25519PrivateKey.generate().public_key())
    assert VerifierKey.parse(aics.note.format_vkey(made)).public == made.public_key


def test_a_second_signature_of_another_kind_does_not_disturb_their_verifier() -> None:
    result = aics.verify_checkpoint(
        aics.parse_note(NOTE.add(CITY_ECDSA.sign(TEXT)).encode()), THEIR_CITY, [THEIR_SCHOOL], 1
    )
    assert result.ok, result.error


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(1, 6), st.sampled_from([None, 0, 3, 5]))
def test_a_policy_decides_as_their_verifier_does(
    cosigned: list[bool], needed: int, forged: int | None
) -> None:
    names = [f"w{number}" for number in range(6)]
    witnesses = {name: key.verifier for name, key in zip(names, WITNESSES, strict=True)}
    group = {"enough": Group(needed, tuple(names))}
    policy = Policy((CITY.verifier,), witnesses, group, "enough")
    note = Note(TEXT).add(CITY.sign(TEXT))
    for number, (key, signed) in enumerate(zip(WITNESSES, cosigned, strict=True)):
        if signed:
            good = key.sign(TEXT, TIME)
            value = bytes(72) if number == forged else good.value
            note = note.add(Signature(good.name, good.key_id, value))
    theirs = aics.verify_checkpoint(
        aics.parse_note(note.encode()),
        THEIR_CITY,
        [aics.parse_vkey(key.verifier.vkey) for key in WITNESSES],
        needed,
    )
    try:
        ours = policy.open(note.encode()).quorum_met
    except NoteError:
        ours = False
    assert ours == theirs.ok
    if forged is None or not cosigned[forged]:
        assert ours == met(
            "enough", group, [name for name, signed in zip(names, cosigned, strict=True) if signed]
        )


def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(NOTE.encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data) - 1))
        match draw(st.sampled_from(["change", "cut", "repeat", "line"])):
            case "change":
                data[place] = draw(st.sampled_from(b"\n\r +=A/\xe2\x80\x94\x00\x7f") | st.integers(0, 255))
            case "cut":
                del data[place : place + draw(st.integers(1, 8))]
            case "repeat":
                data[place:place] = data[place : place + draw(st.integers(1, 80))]
            case "line":
                data[place:place] = b"\n"
        if not data:
            break
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(st.composite(mutated)())
def test_both_open_and_refuse_the_same_notes(data: bytes) -> None:
    ours = theirs = None
    try:
        opened = open_note(Note.parse(data), [CITY.verifier, SCHOOL.verifier])
        checkpoint = Checkpoint.parse(Note.parse(data).text)
        if any(one.key == CITY.verifier for one in opened):
            ours = (checkpoint, sorted(one.key.name for one in opened))
    except NoteError:
        pass
    try:
        result = aics.verify_checkpoint(aics.parse_note(data), THEIR_CITY, [THEIR_SCHOOL], 0)
        if result.ok:
            checkpoint = Checkpoint(result.origin, result.size, result.root)
            theirs = (checkpoint, sorted([ORIGIN, *result.witnesses]))
    except ValueError:
        pass
    if ours != theirs:
        # They read a last line without its newline; the specification has none such.
        assert ours is None
        assert not data.endswith(b"\n")


def test_a_key_of_theirs_signs_under_our_private_format() -> None:
    signer = SignerKey(ORIGIN, Kind.ED25519, Ed25519PrivateKey.generate().private_bytes_raw())
    private = Ed25519PrivateKey.from_private_bytes(SignerKey.parse(signer.text).secret)
    line = aics.sign_note(TEXT, private, ORIGIN)
    assert signer.sign(TEXT) == Signature(line.name, line.key_id, line.signature)
