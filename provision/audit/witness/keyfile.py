"""The school's key on the school's laptop: one small file, sealed with a passphrase.

The passphrase goes through scrypt (RFC 7914) to a key for AES-256-GCM; the public key is bound to the sealed one, so
that no file can be put together from two. Parameters: those that OWASP's Password Storage Cheat Sheet names as its
strongest for scrypt, N = 2^17, r = 8, p = 1, which take 128 MiB and some tenths of a second.
"""

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from provision.audit.tlog import Kind, NoteError, SignerKey, TlogError, VerifierKey, read_file
from provision.audit.witness.errors import WitnessError
from provision.files import write_atomically

#: Characters that a passphrase needs at least.
MIN_PASSPHRASE = 10
KEY_FILE = "witness.key"
PUBLIC_FILE = "public.vkey"
_SCHEMA = "provision/witness-key/v1"
_LOG_N = 17
#: Largest cost that is accepted from a file: 2^20 takes 1 GiB.
_MAX_LOG_N = 20
_MAX_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The key as it lies on the disk.

    Args:
        verifier: its public half.
        sealed: whether a passphrase is needed.
    """

    verifier: VerifierKey
    sealed: bool
    _document: dict[str, Any]

    @classmethod
    def read(cls, directory: Path) -> "KeyFile":
        """The key of a witness's directory.

        Raises:
            WitnessError: there is none, or it is damaged.
        """
        file = directory / KEY_FILE
        try:
            data = read_file(directory, KEY_FILE, _MAX_FILE)
        except (TlogError, OSError) as error:
            raise WitnessError(f"{file} cannot be read: {error}") from error
        if data is None:
            raise WitnessError(
                f"there is no key in {directory}", "make one with: provision audit witness init --dir DIR"
            )
        try:
            document = json.loads(data)
            known = document["schema"] == _SCHEMA
            key = cls(VerifierKey.parse(document["vkey"]), "sealed" in document, document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WitnessError(
                f"{file} is damaged",
                "bring it back from your backup; without it, make a new key and tell the city",
            ) from error
        if not known:
            raise WitnessError(f"{file} was written by another version", "use a newer version of provision")
        return key

    def open(self, passphrase: str | None) -> SignerKey:
        """The key itself.

        Args:
            passphrase: needed when the key is sealed.

        Raises:
            WitnessError: it does not open.
        """
        try:
            text = self._unsealed(passphrase) if self.sealed else str(self._document["plain"])
            key = SignerKey.parse(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The error itself could quote the key.
            raise WitnessError(
                f"the key file is damaged ({type(error).__name__})", "use your backup of it"
            ) from None
        if key.verifier != self.verifier:
            raise WitnessError(
                "the key file is damaged: its two halves do not belong together", "use your backup of it"
            )
        return key

    def _unsealed(self, passphrase: str | None) -> str:
        if passphrase is None:
            raise WitnessError("the key is sealed with a passphrase", "give it, or --passphrase-file FILE")
        box = {name: base64.b64decode(self._document[name]) for name in ("salt", "nonce", "sealed")}
        cost = self._document["log_n"]
        if not isinstance(cost, int) or not 10 <= cost <= _MAX_LOG_N:
            raise WitnessError("the key file asks for more memory than it may", "use your backup of it")
        try:
            plain = AESGCM(_derive(passphrase, box["salt"], cost)).decrypt(
                box["nonce"], box["sealed"], self.verifier.vkey.encode()
            )
        except InvalidTag:
            raise WitnessError(
                "the passphrase is not the one of this key",
                "try again; it cannot be found out in another way",
            ) from None
        return plain.decode()


def make_key(
    directory: Path, name: str, passphrase: str | None, *, ml_dsa: bool = False, log_n: int = _LOG_N
) -> VerifierKey:
    """Make the school's key and keep it.

    Args:
        directory: where; must exist.
        name: name of the key, such as ``escola-mar.example.cat/custodi``.
        passphrase: seals it; None leaves it in clear, for the owner of the file alone.
        ml_dsa: ML-DSA-44 instead of Ed25519.
        log_n: cost of scrypt, as a power of two.

    Raises:
        WitnessError: there is a key already, the name cannot be, the passphrase is too short.
        OSError: the disk is full, ...
    """
    if (directory / KEY_FILE).exists():
        raise WitnessError(
            f"there is a key in {directory} already",
            "use another directory for a new one; never overwrite a key",
        )
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
        raise WitnessError(
            f"the passphrase has fewer than {MIN_PASSPHRASE} characters",
            "take four or five words that nobody guesses",
        )
    try:
        key = SignerKey.generate(name, Kind.COSIGNATURE_MLDSA44 if ml_dsa else Kind.COSIGNATURE_ED25519)
    except NoteError as error:
        raise WitnessError(
            f"{name!r} cannot be the name of a key: {error}", "such as school.example.cat/keeper"
        ) from error
    vkey = key.verifier.vkey
    document: dict[str, Any] = {"schema": _SCHEMA, "vkey": vkey}
    if passphrase is None:
        document["plain"] = key.text
    else:
        salt, nonce = os.urandom(32), os.urandom(12)
        sealed = AESGCM(_derive(passphrase, salt, log_n)).encrypt(nonce, key.text.encode(), vkey.encode())
        document |= {"kdf": "scrypt", "log_n": log_n, "cipher": "AES-256-GCM"}
        document |= {
            part: base64.b64encode(value).decode()
            for part, value in (("salt", salt), ("nonce", nonce), ("sealed", sealed))
        }
    write_atomically(directory / PUBLIC_FILE, f"{vkey}\n".encode())
    # Last: from here on there is a key.
    write_atomically(directory / KEY_FILE, json.dumps(document, indent=1).encode() + b"\n", mode=0o600)
    return key.verifier


def _derive(passphrase: str, salt: bytes, log_n: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(passphrase.encode())
