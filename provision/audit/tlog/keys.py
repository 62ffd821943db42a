"""Keys that sign notes: what verifies (``vkey``) and what signs, for each type of signature that we use.

Sources: signed-note v1.0.0 ("Signature types", "Verifier keys"), tlog-cosignature, and for ECDSA the program that
signed-note names, github.com/transparency-dev/formats, note/note_verifier.go.
"""

import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self, assert_never

from provision.audit.tlog.algorithms import Kind, check_public, holds, new_secret, public_of, sign
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import (
    MAX_NOTE,
    NoteError,
    checked_name,
    checked_text,
    from_base64,
    shown,
    to_base64,
)

#: Latest time that a cosignature may state, in seconds since 1970 (tlog-cosignature, "Format").
MAX_TIMESTAMP = 2**63 - 1
#: Longest ``vkey`` that is read, in characters: an ML-DSA-44 key has about 1,760 and a name of at most 255 bytes.
MAX_VKEY = 4096

_KEY_ID_SIZE = 4
_TIMESTAMP_SIZE = 8
_PRIVATE = ("PRIVATE", "KEY")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note.

    Attributes:
        name: the name of the key.
        key_id: 4 bytes that tell keys of one name apart; no proof of anything.
        value: the signature itself; for cosignatures with its time before it.
    """

    name: str
    key_id: bytes
    value: bytes

    def __post_init__(self) -> None:
        checked_name(self.name)
        if len(self.key_id) != _KEY_ID_SIZE:
            raise NoteError(f"the id of a key has {_KEY_ID_SIZE} bytes")
        if not self.value:
            raise NoteError(f"the signature of {shown(self.name)} is empty")

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline. Witnesses answer with such lines."""
        return f"— {self.name} {to_base64(self.key_id + self.value)}\n"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a signature line.

        Args:
            line: the line, without its newline.

        Raises:
            NoteError: it is no signature line.
        """
        if len(line) > MAX_NOTE:
            raise NoteError(f"a signature line is larger than {MAX_NOTE} bytes")
        dash, _, rest = line.partition(" ")
        name, space, encoded = rest.partition(" ")
        if dash != "—" or not space:
            raise NoteError(f"this is no signature line: {shown(line)}")
        data = from_base64(encoded, "a signature")
        return cls(name, data[:_KEY_ID_SIZE], data[_KEY_ID_SIZE:])


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that verifies signatures: the public half, with its name.

    Attributes:
        name: name of the key; for a log the same as its origin.
        kind: type of its signatures.
        public: the public key as the format has it: 32 bytes (Ed25519), SubjectPublicKeyInfo in DER (ECDSA) or 1312
            bytes (ML-DSA-44).
        key_id: 4 bytes, made out of the rest.

    Raises:
        NoteError: no such key can be.
    """

    name: str
    kind: Kind
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        checked_name(self.name)
        check_public(self.kind, self.public)
        if self.kind is Kind.ECDSA:
            # Older than the rule that all others follow, and without the name.
            digest = sha256(self.public)
        else:
            digest = sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public)
        object.__setattr__(self, "key_id", digest.digest()[:_KEY_ID_SIZE])

    @property
    def vkey(self) -> str:
        """The key as one word of text."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a ``vkey``.

        Raises:
            NoteError: it is malformed, its id is not that of the key, or we do not know its type.
        """
        if len(vkey) > MAX_VKEY:
            raise NoteError(f"a key has at most {MAX_VKEY} characters")
        name, hexadecimal, data = _parts(vkey, "the key")
        kind, public = _typed(data, "the key")
        key = cls(name, kind, public)
        if key.key_id.hex() != hexadecimal:
            raise NoteError(
                f"the key of {shown(name)} has id {key.key_id.hex()}, and not {shown(hexadecimal)}"
            )
        return key

    def made(self, signature: Signature) -> bool:
        """Whether a signature line says that it is by this key. Nothing is verified."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, note_text: str, signature: Signature) -> int | None:
        """Check a signature over the text of a note.

        Args:
            note_text: the text, with its final newline.
            signature: the line.

        Returns:
            The time that a cosignature states, in seconds since 1970; None for the other kinds.

        Raises:
            NoteError: it is by another key, malformed, or wrong.
        """
        if not self.made(signature):
            raise NoteError(f"the signature of {shown(signature.name)} is not by the key {shown(self.name)}")
        timestamp = None
        value = signature.value
        if self.kind.timestamped:
            timestamp = int.from_bytes(value[:_TIMESTAMP_SIZE], "big")
            value = value[_TIMESTAMP_SIZE:]
            if timestamp > MAX_TIMESTAMP:
                raise NoteError(f"the signature of {shown(self.name)} states a time that cannot be")
        message = _message(self.kind, self.name, note_text, timestamp)
        if not holds(self.kind, self.public, value, message):
            raise NoteError(f"the signature of {shown(self.name)} is wrong")
        return timestamp


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A key that signs notes. Its text is a secret.

    Attributes:
        name: name of the key.
        kind: type of its signatures.
        secret: the private key: a 32-byte seed (Ed25519, ML-DSA-44) or PKCS #8 in DER (ECDSA P-256).

    Raises:
        NoteError: no such key can be.
    """

    name: str
    kind: Kind
    secret: bytes = field(repr=False)
    verifier: VerifierKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "verifier", VerifierKey(self.name, self.kind, public_of(self.kind, self.secret))
        )

    @classmethod
    def generate(cls, name: str, kind: Kind = Kind.ED25519) -> Self:
        """Make a new key.

        Args:
            name: its name; for a log its origin.
            kind: type of its signatures.
        """
        return cls(name, kind, new_secret(kind))

    @property
    def text(self) -> str:
        """The key as one word of text, as the note package of Go writes it. A secret."""
        data = to_base64(bytes([self.kind]) + self.secret)
        return f"{'+'.join(_PRIVATE)}+{self.name}+{self.verifier.key_id.hex()}+{data}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key from its ``text``. No error quotes any of it.

        Raises:
            NoteError: it is malformed, its id is not that of the key, or we do not know its type.
        """
        prefix = "+".join(_PRIVATE) + "+"
        if len(text) > MAX_VKEY or not text.startswith(prefix):
            raise NoteError(f"the private key does not begin with {prefix}")
        name, hexadecimal, data = _parts(text.removeprefix(prefix), "the private key", secret=True)
        kind, secret = _typed(data, "the private key")
        key = cls(name, kind, secret)
        if key.verifier.key_id.hex() != hexadecimal:
            raise NoteError("the private key is damaged: its id is not that of the key")
        return key

    def sign(self, note_text: str, timestamp: int | None = None) -> Signature:
        """Sign the text of a note.

        Args:
            note_text: the text, with its final newline; for ML-DSA-44 it must be a checkpoint.
            timestamp: time that a cosignature states, in seconds since 1970; None is now. The other kinds state none.

        Raises:
            NoteError: the text cannot be signed, or the time cannot be stated.
        """
        if not self.kind.timestamped:
            if timestamp is not None:
                raise NoteError("a signature of this kind states no time")
            value = b""
        else:
            timestamp = int(time.time()) if timestamp is None else timestamp
            if not 0 <= timestamp <= MAX_TIMESTAMP:
                raise NoteError("a cosignature cannot state this time")
            value = timestamp.to_bytes(_TIMESTAMP_SIZE, "big")
        message = _message(self.kind, self.name, note_text, timestamp)
        value += sign(self.kind, self.secret, message)
        return Signature(self.name, self.verifier.key_id, value)


def _message(kind: Kind, name: str, note_text: str, timestamp: int | None) -> bytes:
    """The bytes that a signature of a kind covers."""
    checked_text(note_text, "the text of the note")
    match kind:
        case Kind.ED25519 | Kind.ECDSA:
            return note_text.encode()
        case Kind.COSIGNATURE_ED25519:
            return f"cosignature/v1\ntime {timestamp}\n{note_text}".encode()
        case Kind.COSIGNATURE_MLDSA44:
            checkpoint = Checkpoint.parse(note_text)
            cosigner, origin = name.encode(), checkpoint.origin.encode()
            return b"".join(
                (
                    b"subtree/v1\n\0",
                    bytes([len(cosigner)]),
                    cosigner,
                    (timestamp or 0).to_bytes(_TIMESTAMP_SIZE, "big"),
                    bytes([len(origin)]),
                    origin,
                    (0).to_bytes(8, "big"),
                    checkpoint.size.to_bytes(8, "big"),
                    checkpoint.root,
                )
            )
        case _:
            assert_never(kind)


def _parts(text: str, what: str, *, secret: bool = False) -> tuple[str, str, bytes]:
    """Take ``name+id+base64`` apart. The base64 may have plus signs in it, the name may not."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError(f"{what} is not written as name+id+base64" + ("" if secret else f": {shown(text)}"))
    try:
        return parts[0], parts[1], from_base64(parts[2], what)
    except NoteError:
        if secret:
            raise NoteError(f"{what} is not base64 after its id") from None
        raise


def _typed(data: bytes, what: str) -> tuple[Kind, bytes]:
    """Split the type byte off."""
    try:
        return Kind(data[0]), data[1:]
    except IndexError:
        raise NoteError(f"{what} is empty") from None
    except ValueError:
        raise NoteError(f"{what} is of type {data[0]:#04x}, which is not known here") from None
