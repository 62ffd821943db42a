"""Evidence checked by somebody who has nothing but the files, a hash function and Ed25519: none of our code."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def _signed(file: Path, publics: tuple[bytes, ...]) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint that one of the keys signed."""
    text, _, lines = file.read_text().rpartition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        signature = base64.b64decode(line.split(" ")[2])[4:]
        for public in publics:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode())
            except InvalidSignature:
                continue
            origin, size, root = text.split("\n")[:3]
            return origin, int(size), base64.b64decode(root)
    raise AssertionError(f"{file} is not signed")


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _roots(old: int, new: int, proof: list[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to (RFC 6962, 2.1.2, read from the back)."""

    def sub(size: int, old: int, whole: bool) -> tuple[bytes, bytes]:
        if old == size:
            known = old_root if whole else proof.pop(0)
            return known, known
        split = 1 << (size - 1).bit_length() - 1
        if old <= split:
            first, second = sub(split, old, whole)
            return first, _node(second, proof.pop(0))
        first, second = sub(size - split, old - split, False)
        left = proof.pop(0)
        return _node(left, first), _node(left, second)

    roots = sub(new, old, True)
    assert not proof
    return roots


def proves_fork(place: Path, *publics: bytes) -> bool:
    """Whether the log's key signed two histories that cannot both be true."""
    large = _signed(place / "larger.checkpoint", publics)
    small = _signed(place / "smaller.checkpoint", publics)
    assert large[0] == small[0]
    document = json.loads((place / "proof.json").read_text())
    root = base64.b64decode(document["root_at_smaller_size"])
    proof = [base64.b64decode(one) for one in document["consistency_proof"]]
    assert _roots(small[1], large[1], proof, root) == (root, large[2])
    return root != small[2]
