"""Fingerprints of OpenPGP public keys, so that a pinned fingerprint is held against the key file that is
shipped."""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Final

_PUBLIC_KEY: Final = 6
_BEGIN: Final = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


def fingerprints(data: bytes) -> list[str]:
    """Fingerprints of the primary keys in a key file, binary or armoured.

    Version 4 keys only (RFC 9580, 5.5.4.2): SHA-1 over 0x99, the packet's length in two octets, and its body.

    Args:
        data: the file.

    Returns:
        40 hexadecimal digits in capitals for each primary key, in the file's order.

    Raises:
        ValueError: it is no OpenPGP key file.
    """
    found = []
    for tag, body in _packets(_dearmoured(data) if _BEGIN in data else data):
        if tag == _PUBLIC_KEY:
            if body[:1] != b"\x04":
                raise ValueError("a key of another version than 4")
            framed = b"\x99" + len(body).to_bytes(2, "big") + body
            found.append(hashlib.sha1(framed, usedforsecurity=False).hexdigest().upper())
    if not found:
        raise ValueError("no public key")
    return found


def _dearmoured(data: bytes) -> bytes:
    """The binary form of an armoured file (RFC 9580, 6.2); several blocks are joined, checksums passed
    over."""
    result = b""
    for block in data.split(_BEGIN)[1:]:
        lines = [line.strip() for line in block.split(b"-----END PGP", 1)[0].splitlines()]
        # Headers end at the first empty line; the line of the checksum begins with “=”.
        body = lines[lines.index(b"", 1) + 1 :] if b"" in lines[1:] else lines
        try:
            result += base64.b64decode(
                b"".join(line for line in body if not line.startswith(b"=")), validate=True
            )
        except binascii.Error as error:
            raise ValueError("damaged armour") from error
    return result


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each packet (RFC 9580, 4.2)."""
    place = 0
    while place < len(data):
        head = data[place]
        if not head & 0x80:
            raise ValueError("no OpenPGP packet")
        if head & 0x40:
            tag, (start, length) = head & 0x3F, _new_length(data, place + 1)
        else:
            tag, size = (head >> 2) & 0x0F, head & 3
            if size == 3:
                raise ValueError("a packet without a length")
            start = place + 1 + (1 << size)
            length = int.from_bytes(data[place + 1 : start], "big")
        if start + length > len(data):
            raise ValueError("a packet that is cut short")
        yield tag, data[start : start + length]
        place = start + length


def _new_length(data: bytes, place: int) -> tuple[int, int]:
    """Where the body of a packet starts, and its length (RFC 9580, 4.2.1)."""
    first = data[place] if place < len(data) else 255
    if first < 192:
        return place + 1, first
    if first < 224 and place + 1 < len(data):
        return place + 2, ((first - 192) << 8) + data[place + 1] + 192
    if first == 255 and place + 5 <= len(data):
        return place + 5, int.from_bytes(data[place + 1 : place + 5], "big")
    raise ValueError("a packet in pieces")
