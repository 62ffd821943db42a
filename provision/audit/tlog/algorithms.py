"""The signature algorithms of notes, one beside the other: Ed25519, ECDSA on P-256, ML-DSA-44.

Keys and signatures are bytes here, as the formats have them; what a signature covers is not decided here.
"""

from enum import IntEnum
from typing import assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from provision.audit.tlog.encoding import NoteError

_ED25519_SIZE = 32
_MLDSA44_SIZE = 1312

#: The prime of the field of edwards25519 (RFC 8032, 5.1).
_FIELD = 2**255 - 19
#: The y coordinates of the points whose order divides 8. Anybody can sign under such a "key".
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


class Kind(IntEnum):
    """The type of a signature, as its byte in signed-note ("Signature types")."""

    ED25519 = 1
    ECDSA = 2
    COSIGNATURE_ED25519 = 4
    COSIGNATURE_MLDSA44 = 6

    @property
    def timestamped(self) -> bool:
        """Whether a signature of this kind states the time at which it was made."""
        return self in {Kind.COSIGNATURE_ED25519, Kind.COSIGNATURE_MLDSA44}


def check_public(kind: Kind, public: bytes) -> None:
    """Refuse a public key that cannot be one, or that anybody can sign for.

    Raises:
        NoteError: it is such a key.
    """
    match kind:
        case Kind.ED25519 | Kind.COSIGNATURE_ED25519:
            if len(public) != _ED25519_SIZE:
                raise NoteError(f"an Ed25519 key has {_ED25519_SIZE} bytes, not {len(public)}")
            y = int.from_bytes(public, "little") & (2**255 - 1)
            if y >= _FIELD or y in _SMALL_ORDER:
                raise NoteError("this Ed25519 key is a point under which anybody can sign")
        case Kind.ECDSA:
            _ecdsa_public(public)
        case Kind.COSIGNATURE_MLDSA44:
            if len(public) != _MLDSA44_SIZE:
                raise NoteError(f"an ML-DSA-44 key has {_MLDSA44_SIZE} bytes, not {len(public)}")
        case _:
            assert_never(kind)


def public_of(kind: Kind, secret: bytes) -> bytes:
    """The public key that belongs to a private one.

    Raises:
        NoteError: the private key is malformed.
    """
    try:
        match kind:
            case Kind.ED25519 | Kind.COSIGNATURE_ED25519:
                return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
            case Kind.ECDSA:
                return _spki(_ecdsa_private(secret).public_key())
            case Kind.COSIGNATURE_MLDSA44:
                return MLDSA44PrivateKey.from_seed_bytes(secret).public_key().public_bytes_raw()
            case _:
                assert_never(kind)
    except NoteError:
        raise
    except ValueError:
        raise NoteError("the private key has the wrong length") from None


def new_secret(kind: Kind) -> bytes:
    """A new private key."""
    match kind:
        case Kind.ED25519 | Kind.COSIGNATURE_ED25519:
            return Ed25519PrivateKey.generate().private_bytes_raw()
        case Kind.ECDSA:
            key = generate_private_key(SECP256R1())
            return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        case Kind.COSIGNATURE_MLDSA44:
            return MLDSA44PrivateKey.generate().private_bytes_raw()
        case _:
            assert_never(kind)


def sign(kind: Kind, secret: bytes, message: bytes) -> bytes:
    """Sign a message with a private key that ``public_of`` took."""
    match kind:
        case Kind.ED25519 | Kind.COSIGNATURE_ED25519:
            return Ed25519PrivateKey.from_private_bytes(secret).sign(message)
        case Kind.ECDSA:
            return _ecdsa_private(secret).sign(message, ECDSA(SHA256()))
        case Kind.COSIGNATURE_MLDSA44:
            return MLDSA44PrivateKey.from_seed_bytes(secret).sign(message)
        case _:
            assert_never(kind)


def holds(kind: Kind, public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature over a message is by the private half of a public key that ``check_public`` took."""
    try:
        match kind:
            case Kind.ED25519 | Kind.COSIGNATURE_ED25519:
                Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
            case Kind.ECDSA:
                _ecdsa_public(public).verify(signature, message, ECDSA(SHA256()))
            case Kind.COSIGNATURE_MLDSA44:
                MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
            case _:
                assert_never(kind)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ecdsa_public(public: bytes) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(public)
    except (ValueError, UnsupportedAlgorithm):
        raise NoteError("the ECDSA key is not a public key in DER") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise NoteError("an ECDSA key must be on the curve P-256")
    # One key must have one spelling, or it could pass as two witnesses.
    if _spki(key) != public:
        raise NoteError("the ECDSA key is not encoded as it must be: DER, with the point uncompressed")
    return key


def _ecdsa_private(secret: bytes) -> EllipticCurvePrivateKey:
    try:
        key = load_der_private_key(secret, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NoteError("the private ECDSA key is not PKCS #8 in DER") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise NoteError("a private ECDSA key must be on the curve P-256")
    return key


def _spki(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
