"""Upstream's OpenPGP keys, and signatures that are checked with a pinned one (RFC 9580; by Sequoia)."""

from pathlib import Path

from pysequoia import Cert, Sig, verify

from provision.artifacts.lockfile import MismatchError
from provision.errors import ArtifactError
from provision.model.service import Signature


def fingerprints(data: bytes) -> list[str]:
    """Fingerprints of the public keys in a key file, binary or armoured.

    Returns:
        hexadecimal digits in capitals for each key, in the file's order.

    Raises:
        ValueError: it is no OpenPGP key file.
    """
    try:
        found = [certificate.fingerprint.upper() for certificate in Cert.split_bytes(data)]
    except RuntimeError as error:
        raise ValueError(_reason(error)) from error
    if not found:
        raise ValueError("there is no public key in it")
    return found


def check_signature(name: str, path: Path, pinned: Signature, signature: bytes, key: bytes) -> None:
    """Hold a file against upstream's signature of it.

    Args:
        name: the file's name, for messages.
        path: the file.
        pinned: whose signature it must be.
        signature: content of ``<name>.asc``.
        key: file with the public key, binary or armoured.

    Raises:
        MismatchError: the key is another one, or the signature is not one of this file by that key.
        ArtifactError: the key or the signature cannot be read.
    """
    try:
        certificates = Cert.split_bytes(key)
    except RuntimeError as error:
        raise ArtifactError(
            f"The key {pinned.key} cannot be read: {_reason(error)}.", f"Fetch it again from {pinned.key_url}"
        ) from error
    found = [certificate.fingerprint.upper() for certificate in certificates]
    wanted = [item for item in certificates if item.fingerprint.upper() == pinned.fingerprint]
    if not wanted:
        raise MismatchError(
            pinned.key,
            pinned.fingerprint,
            ", ".join(found),
            f"{pinned.key} is not the key that service.yml pins: its fingerprint is {', '.join(found) or 'none'}, and "
            f"should be {pinned.fingerprint}.",
            f"Fetch it again from {pinned.key_url}. If it stays so, treat it as an attack, and ask upstream.",
        )
    try:
        verify(file=path, store=lambda _keys: wanted, signature=Sig.from_bytes(signature))
    except RuntimeError as error:
        raise MismatchError(
            name,
            pinned.fingerprint,
            "no signature by it",
            f"{name} does not have a good signature of the key {pinned.fingerprint}: {_reason(error)}.",
            f"Fetch {name} and {name}.asc again. If it stays so, treat it as an attack, and ask upstream.",
        ) from error


def _reason(error: RuntimeError) -> str:
    # What follows is a trace of the library's own inside.
    return str(error).partition("\n")[0].rstrip(". ")
