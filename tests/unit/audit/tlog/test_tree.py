"""The Merkle tree and its proofs."""

import copy
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    TreeError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.audit.tlog.logs import nodes_of, some_entries

#: The tree that tests of Certificate Transparency use everywhere, and its roots at each size.
CT_ENTRIES = [
    bytes.fromhex(one)
    for one in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(entry) for entry in some_entries(300)]
NODE = nodes_of(LEAVES)


def mth(leaves: Sequence[bytes]) -> bytes:
    """The tree hash, word for word as RFC 6962, 2.1, defines it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The audit path of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """The consistency proof of RFC 6962, 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(size: int) -> int:
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def roots(sizes: int) -> list[bytes]:
    frontier = Frontier()
    found = [frontier.root()]
    for leaf in LEAVES[:sizes]:
        frontier.append(leaf)
        found.append(frontier.root())
    return found


def test_the_tree_of_certificate_transparency_has_its_known_root_at_every_size() -> None:
    leaves = [leaf_hash(entry) for entry in CT_ENTRIES]
    assert [root_of(leaves[:size]).hex() for size in range(1, 9)] == CT_ROOTS


def test_the_root_without_entries_is_the_hash_of_nothing() -> None:
    assert root_of([]) == Frontier().root() == EMPTY_ROOT == sha256(b"").digest()


def test_roots_are_what_the_definition_says() -> None:
    assert roots(130) == [mth(LEAVES[:size]) for size in range(131)]


def test_proofs_are_what_the_definition_says() -> None:
    for size in range(1, 50):
        for index in range(size):
            assert inclusion_proof(index, size, NODE) == path(index, LEAVES[:size])
        for old in range(1, size + 1):
            assert consistency_proof(old, size, NODE) == subproof(old, LEAVES[:size], True)


def test_each_entry_is_proved_at_each_size() -> None:
    known = roots(200)
    for size in range(1, 201):
        for index in range(size):
            verify_inclusion(inclusion_proof(index, size, NODE), index, size, LEAVES[index], known[size])


def test_growth_is_proved_between_any_two_sizes() -> None:
    known = roots(200)
    for new in range(201):
        for old in range(new + 1):
            verify_consistency(consistency_proof(old, new, NODE), old, new, known[old], known[new])


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(2, 300))
    return draw(st.integers(0, size - 1)), size


@settings(max_examples=150, deadline=None)
@given(places(), st.data())
def test_a_changed_inclusion_proof_is_always_refused(place: tuple[int, int], data: st.DataObject) -> None:
    index, size = place
    proof, root = inclusion_proof(index, size, NODE), root_of(LEAVES[:size])
    verify_inclusion(proof, index, size, LEAVES[index], root)
    for changed in changes(proof, data):
        with pytest.raises(TreeError):
            verify_inclusion(changed, index, size, LEAVES[index], root)
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index))
    with pytest.raises(TreeError):
        verify_inclusion(proof, other, size, LEAVES[index], root)
    with pytest.raises(TreeError):
        verify_inclusion(proof, index, size, LEAVES[other], root)
    with pytest.raises(TreeError):
        verify_inclusion(proof, index, size, LEAVES[index], flip(root, data))


@settings(max_examples=150, deadline=None)
@given(places(), st.data())
def test_a_changed_consistency_proof_is_always_refused(place: tuple[int, int], data: st.DataObject) -> None:
    old, new = place[0] or 1, place[1]
    proof = consistency_proof(old, new, NODE)
    old_root, new_root = root_of(LEAVES[:old]), root_of(LEAVES[:new])
    verify_consistency(proof, old, new, old_root, new_root)
    for changed in changes(proof, data):
        with pytest.raises(TreeError):
            verify_consistency(changed, old, new, old_root, new_root)
    with pytest.raises(TreeError):
        verify_consistency(proof, old, new, flip(old_root, data), new_root)
    with pytest.raises(TreeError):
        verify_consistency(proof, old, new, old_root, flip(new_root, data))


def changes(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """The proof with one bit changed, one hash less, one more, one twice, or two in the wrong order."""
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = [
        [*proof[:at], flip(proof[at], data), *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof[:at], proof[at], *proof[at:]],
        [*proof, EMPTY_ROOT],
        [*proof[:at], proof[at][:-1], *proof[at + 1 :]],
    ]
    if len(proof) > 1:
        changed.append([*proof[1:], proof[0]])
    return changed


def flip(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 255))
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(32, "big")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_history_that_was_rewritten_is_not_consistent(sizes: list[int]) -> None:
    new = 40
    forged = [*LEAVES[:20], leaf_hash(b"forged"), *LEAVES[21:new]]
    for old in (one for one in sizes if one > 20):
        proof = consistency_proof(old, new, nodes_of(forged))
        with pytest.raises(TreeError):
            verify_consistency(proof, old, new, root_of(LEAVES[:old]), root_of(forged))


def test_two_trees_of_one_size_are_consistent_only_if_they_are_the_same() -> None:
    verify_consistency([], 5, 5, LEAVES[0], LEAVES[0])
    with pytest.raises(TreeError, match="two different trees of 5 entries"):
        verify_consistency([], 5, 5, LEAVES[0], LEAVES[1])


def test_every_tree_grew_out_of_the_empty_one_and_no_other_without_entries() -> None:
    verify_consistency([], 0, 3, EMPTY_ROOT, LEAVES[0])
    with pytest.raises(TreeError, match="without entries"):
        verify_consistency([], 0, 3, LEAVES[0], LEAVES[0])
    with pytest.raises(TreeError, match="without entries"):
        verify_consistency([], 0, 0, EMPTY_ROOT, LEAVES[0])
    with pytest.raises(TreeError, match="must be empty"):
        verify_consistency([LEAVES[0]], 0, 3, EMPTY_ROOT, LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3), (0, MAX_SIZE + 1), (-2, -1)])
def test_a_tree_never_shrinks(old: int, new: int) -> None:
    with pytest.raises(TreeError):
        verify_consistency([], old, new, EMPTY_ROOT, EMPTY_ROOT)
    with pytest.raises(TreeError):
        consistency_proof(old, new, NODE)


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0), (0, MAX_SIZE + 1)])
def test_an_entry_that_is_not_in_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(TreeError):
        verify_inclusion([], index, size, LEAVES[0], LEAVES[0])
    with pytest.raises(TreeError):
        inclusion_proof(index, size, NODE)


def test_a_proof_of_a_million_hashes_is_refused_before_any_is_looked_at() -> None:
    with pytest.raises(TreeError, match="at most"):
        verify_inclusion([b""] * 1_000_000, 0, MAX_SIZE, LEAVES[0], LEAVES[0])


def test_a_proof_in_the_largest_tree_has_63_hashes() -> None:
    asked: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        asked.append((level, index))
        return LEAVES[0]

    proof = inclusion_proof(0, MAX_SIZE, node)
    assert len(proof) == 63
    assert len(asked) < 130


def test_a_frontier_goes_on_from_its_hashes_and_copies_grow_apart() -> None:
    whole = Frontier()
    for leaf in LEAVES[:77]:
        whole.append(leaf)
    again = Frontier(77, whole.hashes)
    copied = copy.copy(whole)
    assert again == whole == copied
    assert repr(again) == "<Frontier of 77 entries>"
    copied.append(LEAVES[77])
    assert copied.root() == root_of(LEAVES[:78])
    assert copy.deepcopy(whole).root() == again.root() == whole.root() == root_of(LEAVES[:77])
    assert copied != whole
    assert whole != "something else"


@pytest.mark.parametrize(
    ("size", "hashes"), [(3, [EMPTY_ROOT]), (1, [b"short"]), (-1, []), (MAX_SIZE + 1, [])]
)
def test_a_frontier_whose_hashes_do_not_fit_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(TreeError):
        Frontier(size, hashes)
