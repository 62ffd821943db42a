"""The role etherpad takes a key file for what it is, not for where it came from."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from provision import paths

PROGRAM = paths.ROLES / "etherpad/files/wrong-keys"
# Packets as GnuPG writes them: a main key in the old form of header, a user's name, a subkey in the new form.
MAIN = b"\x04\x60\x00\x00\x00\x16" + b"main" * 60
SUBKEY = b"\x04\x60\x00\x00\x00\x12" + b"sub!" * 60
KEY = (
    b"\x99" + len(MAIN).to_bytes(2, "big") + MAIN
    + b"\xb4\x04name"
    + b"\xce" + bytes([192 + (len(SUBKEY) - 192 >> 8), (len(SUBKEY) - 192) & 255]) + SUBKEY
)  # fmt: skip
FINGERPRINT = hashlib.sha1(b"\x99" + len(MAIN).to_bytes(2, "big") + MAIN, usedforsecurity=False).hexdigest()
OF_SUBKEY = hashlib.sha1(b"\x99" + len(SUBKEY).to_bytes(2, "big") + SUBKEY, usedforsecurity=False).hexdigest()
ARMOUR = (
    b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\nComment: a key\r\n\r\n"
    + base64.encodebytes(KEY).replace(b"\n", b"\r\n")
    + b"=abcd\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n"
)


def ask(file: Path, fingerprint: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *options, f"{file}={fingerprint}"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("content", [KEY, ARMOUR, ARMOUR.replace(b"\r", b""), b"\n" + ARMOUR + ARMOUR])
@pytest.mark.parametrize("fingerprint", [FINGERPRINT, FINGERPRINT.upper()])
def test_a_file_with_the_pinned_key_is_right(tmp_path: Path, content: bytes, fingerprint: str) -> None:
    (tmp_path / "key").write_bytes(content)
    assert ask(tmp_path / "key", fingerprint).stdout == ""
    assert ask(tmp_path / "key", fingerprint, "--must").returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><title>Log in</title>",
        KEY[:40],
        ARMOUR[:90],
        ARMOUR.replace(b"m", b"n"),
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n@@@a\n-----END",
        b"\x99",
        b"\xff\xff\xff",
    ],
)
def test_anything_else_is_wrong_and_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    assert ask(file, FINGERPRINT).stdout == f"{file}\n"
    refused = ask(file, FINGERPRINT, "--must")
    assert refused.returncode == 1
    assert FINGERPRINT in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_file_is_wrong(tmp_path: Path) -> None:
    assert ask(tmp_path / "none", FINGERPRINT).stdout == f"{tmp_path / 'none'}\n"


def test_a_subkey_is_not_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY)
    assert ask(tmp_path / "key", OF_SUBKEY).stdout != ""
