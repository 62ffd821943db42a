"""The formats of a transparency log, as C2SP specifies them (https://c2sp.org). They know nothing of schools.

Written after signed-note v1.0.0, tlog-checkpoint v1.0.0 and, as of July 2026, tlog-tiles, tlog-cosignature, tlog-policy
and tlog-proof; trees after RFC 6962. All errors are ``TlogError``: ``TreeError`` for trees, tiles and proofs, and
``NoteError`` (with ``PolicyError``) for everything that is signed.
"""

from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import MAX_SIZE, NoteError, TlogError
from provision.audit.tlog.exchange import AddCheckpoint, decode_cosignatures, encode_cosignatures
from provision.audit.tlog.files import list_names, read_file
from provision.audit.tlog.growth import Edge, Growth, Tile, TileBuilder, grow
from provision.audit.tlog.layout import (
    MAX_ENTRY,
    TILE_WIDTH,
    bundle_path,
    decode_bundle,
    encode_bundle,
    prunable,
    tile_path,
)
from provision.audit.tlog.note import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Kind,
    Note,
    Opened,
    Signature,
    SignerKey,
    VerifierKey,
    open_note,
)
from provision.audit.tlog.policy import NO_QUORUM, Group, Opinion, Policy, PolicyError
from provision.audit.tlog.proof import LogProof
from provision.audit.tlog.tiles import TileReader
from provision.audit.tlog.tree import (
    EMPTY_ROOT,
    HASH_SIZE,
    Frontier,
    NodeReader,
    TreeError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "MAX_ENTRY",
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "MAX_SIZE",
    "NO_QUORUM",
    "TILE_WIDTH",
    "AddCheckpoint",
    "Checkpoint",
    "Edge",
    "Frontier",
    "Group",
    "Growth",
    "Kind",
    "LogProof",
    "NodeReader",
    "Note",
    "NoteError",
    "Opened",
    "Opinion",
    "Policy",
    "PolicyError",
    "Signature",
    "SignerKey",
    "Tile",
    "TileBuilder",
    "TileReader",
    "TlogError",
    "TreeError",
    "VerifierKey",
    "bundle_path",
    "consistency_proof",
    "decode_bundle",
    "decode_cosignatures",
    "encode_bundle",
    "encode_cosignatures",
    "grow",
    "inclusion_proof",
    "leaf_hash",
    "list_names",
    "node_hash",
    "open_note",
    "prunable",
    "read_file",
    "root_of",
    "tile_path",
    "verify_consistency",
    "verify_inclusion",
]
