"""The Merkle tree of RFC 6962, section 2.1 (the same as RFC 9162, section 2.1), over SHA-256.

Verification follows the algorithms of RFC 9162, 2.1.3.2 and 2.1.4.2, and shares nothing with the making of proofs but
the hash of a node.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Self

from provision.audit.tlog.encoding import MAX_SIZE, TlogError

HASH_SIZE = 32
#: The root of a tree without entries: SHA-256 of nothing.
EMPTY_ROOT = sha256().digest()
#: Longest inclusion or consistency proof of a tree of up to ``MAX_SIZE`` entries.
MAX_PROOF_HASHES = 64

#: Gives the hash of the perfect subtree of ``2**level`` leaves that is number ``index`` (from 0) at its level.
NodeReader = Callable[[int, int], bytes]


class TreeError(TlogError):
    """A tree, tile, bundle or proof is malformed, missing, or does not prove what it should."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry, as a leaf of the tree."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbouring subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, largest first.

    It knows the root of the tree and needs no more than 63 hashes for it, however many entries there are.

    Args:
        size: how many entries the tree has.
        hashes: the roots of its perfect subtrees, one for each bit that is set in ``size``, largest subtree first.

    Raises:
        TreeError: the hashes do not fit the size.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self._size = _checked_size(size)
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise TreeError(
                f"a tree of {size} entries has {size.bit_count()} perfect subtrees, not {len(self._hashes)}"
            )
        if any(len(one) != HASH_SIZE for one in self._hashes):
            raise TreeError(f"a hash must have {HASH_SIZE} bytes")

    @property
    def size(self) -> int:
        """How many entries the tree has."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add one entry.

        Args:
            leaf: its ``leaf_hash``.
        """
        hashes = self._hashes
        size = self._size
        while size & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        """The root of the tree."""
        return _fold(self._hashes)

    def copy(self) -> Self:
        """The same edge, to grow on its own."""
        return type(self)(self._size, self._hashes)

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frontier):
            return NotImplemented
        return self._size == other._size and self._hashes == other._hashes

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Frontier of {self._size} entries>"


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of the tree that has exactly these leaves.

    Args:
        leaf_hashes: the ``leaf_hash`` of each entry, in order.
    """
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The proof that an entry is in a tree: PATH(m, D[n]) of RFC 6962, 2.1.1.

    Args:
        index: number of the entry, from 0.
        size: entries of the tree.
        node: gives the hashes of perfect subtrees; about as many are asked for as the tree is high.

    Returns:
        The hashes from the leaf's sibling upwards.

    Raises:
        TreeError: there is no such entry; and what ``node`` raises.
    """
    _checked_index(index, size)
    proof = []
    low, high = 0, size
    while high - low > 1:
        split = low + _split(high - low)
        if index < split:
            proof.append(_root_of_range(split, high, node))
            high = split
        else:
            proof.append(_root_of_range(low, split, node))
            low = split
    proof.reverse()
    return proof


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """The proof that a tree only grew: PROOF(m, D[n]) of RFC 6962, 2.1.2.

    Args:
        old: size of the smaller tree. From 0, and to the same size, the proof is empty.
        new: size of the larger tree.
        node: gives the hashes of perfect subtrees of the larger tree.

    Raises:
        TreeError: the sizes are in the wrong order; and what ``node`` raises.
    """
    if not 0 <= old <= _checked_size(new):
        raise TreeError(f"a tree of {new} entries did not grow out of one of {old}")
    proof: list[bytes] = []
    if old in (0, new):
        return proof
    low, high = 0, new
    while old != high:
        split = low + _split(high - low)
        if old <= split:
            proof.append(_root_of_range(split, high, node))
            high = split
        else:
            proof.append(_root_of_range(low, split, node))
            low = split
    if low:
        # Who checks knows the old root itself only when it is a perfect subtree of the new tree from its start.
        proof.append(_root_of_range(low, high, node))
    proof.reverse()
    return proof


def verify_inclusion(proof: Sequence[bytes], index: int, size: int, leaf: bytes, root: bytes) -> None:
    """Check that an entry is in a tree (RFC 9162, 2.1.3.2).

    Args:
        proof: the hashes from the leaf's sibling upwards.
        index: number of the entry, from 0.
        size: entries of the tree.
        leaf: ``leaf_hash`` of the entry.
        root: root of the tree, from a checkpoint that was verified.

    Raises:
        TreeError: it is not proved.
    """
    _checked_index(index, size)
    _check_hashes(proof, leaf, root)
    running = leaf
    for sibling, on_the_left in _climb(proof, index, size - 1, "inclusion"):
        running = node_hash(sibling, running) if on_the_left else node_hash(running, sibling)
    if running != root:
        raise TreeError(f"the inclusion proof does not lead from entry {index} to the root of the tree")


def verify_consistency(proof: Sequence[bytes], old: int, new: int, old_root: bytes, new_root: bytes) -> None:
    """Check that the tree ``new`` holds the tree ``old`` unchanged as its beginning (RFC 9162, 2.1.4.2).

    Args:
        proof: the hashes of the proof.
        old: size of the smaller tree; every tree begins with the empty one.
        new: size of the larger tree.
        old_root: root of the smaller tree.
        new_root: root of the larger tree.

    Raises:
        TreeError: it is not proved.
    """
    if not 0 <= old <= _checked_size(new):
        raise TreeError(f"a tree of {new} entries did not grow out of one of {old}")
    _check_hashes(proof, old_root, new_root)
    _check_empty(old, old_root)
    _check_empty(new, new_root)
    if old in (0, new):
        if proof:
            raise TreeError("the consistency proof must be empty here")
        if old == new and old_root != new_root:
            raise TreeError(f"there are two different trees of {new} entries")
        return
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise TreeError("the consistency proof is too short for the sizes of the trees")
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    old_running = new_running = hashes[0]
    for sibling, on_the_left in _climb(hashes[1:], place, last, "consistency"):
        if on_the_left:
            old_running = node_hash(sibling, old_running)
            new_running = node_hash(sibling, new_running)
        else:
            new_running = node_hash(new_running, sibling)
    if old_running != old_root:
        raise TreeError(f"the consistency proof does not lead to the root of the tree of {old} entries")
    if new_running != new_root:
        raise TreeError(f"the consistency proof does not lead to the root of the tree of {new} entries")


def _climb(siblings: Sequence[bytes], place: int, last: int, what: str) -> Iterator[tuple[bytes, bool]]:
    """The way from a node up to the root: for each sibling, whether it is on the left.

    Args:
        siblings: the hashes of the proof.
        place: number of the node at its level ("fn" in RFC 9162).
        last: number of the last node at that level ("sn").
        what: the kind of proof, for the message.
    """
    for sibling in siblings:
        if last == 0:
            raise TreeError(f"the {what} proof is too long for the size of the tree")
        on_the_left = bool(place & 1) or place == last
        yield sibling, on_the_left
        if on_the_left:
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        place >>= 1
        last >>= 1
    if last:
        raise TreeError(f"the {what} proof is too short for the size of the tree")


def perfect_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """The perfect subtrees, as (level, index), that the leaves from ``start`` up to but not ``end`` fall into.

    Args:
        start: a multiple of the largest power of two that fits between ``start`` and ``end``, as every range in a proof
            has it.
        end: first leaf that is not meant.
    """
    subtrees = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append((level, start >> level))
        start += 1 << level
    return subtrees


def _root_of_range(start: int, end: int, node: NodeReader) -> bytes:
    return _fold([node(level, index) for level, index in perfect_subtrees(start, end)])


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees that lie side by side, largest first."""
    if not hashes:
        return EMPTY_ROOT
    running = hashes[-1]
    for left in reversed(hashes[:-1]):
        running = node_hash(left, running)
    return running


def _split(size: int) -> int:
    """The largest power of two that is smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _checked_size(size: int) -> int:
    if not 0 <= size <= MAX_SIZE:
        raise TreeError(f"a tree cannot have {size} entries")
    return size


def _checked_index(index: int, size: int) -> None:
    if not 0 <= index < _checked_size(size):
        raise TreeError(f"a tree of {size} entries has no entry {index}")


def _check_empty(size: int, root: bytes) -> None:
    if size == 0 and root != EMPTY_ROOT:
        raise TreeError("a tree without entries has only one root, and this is another")


def _check_hashes(proof: Sequence[bytes], *hashes: bytes) -> None:
    if len(proof) > MAX_PROOF_HASHES:
        raise TreeError(f"a proof has at most {MAX_PROOF_HASHES} hashes, not {len(proof)}")
    if any(len(one) != HASH_SIZE for one in (*proof, *hashes)):
        raise TreeError(f"a hash must have {HASH_SIZE} bytes")
