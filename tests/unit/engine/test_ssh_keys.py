"""With which keys a host is asked to let us in, and what people are told when it does not."""

import base64
import logging
import socket
import struct
import threading
import types
from pathlib import Path
from typing import Any, cast

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from provision.engine.ssh import Connection, known_keys, scan_host_key
from provision.errors import KeyRefusedError, RefusedError


class Transport:
    """An sshd that hangs up when it has refused some keys (MaxAuthTries).

    Args:
        most: keys that it looks at.
    """

    def __init__(self, most: int) -> None:
        self.left = most

    def is_active(self) -> bool:
        return self.left > 0

    def auth_publickey(self, user: str, key: paramiko.PKey) -> None:
        if not self.is_active():
            raise paramiko.SSHException("No existing session")
        self.left -= 1
        raise paramiko.AuthenticationException("Authentication failed.")


def connection(monkeypatch: pytest.MonkeyPatch, keys: int, ssh_key: Path | None = None) -> Connection:
    made = cast(Any, Connection.__new__(Connection))
    made.school = "escola"
    made.host = types.SimpleNamespace(address="192.0.2.1", user="root", ssh_key=ssh_key)
    if ssh_key is None:
        agent = [paramiko.ECDSAKey.generate(bits=256) for _ in range(keys)]
        monkeypatch.setattr(made, "_keys", lambda: agent, raising=False)
    return cast(Connection, made)


@pytest.mark.parametrize(
    ("keys", "most", "remedy"), [(3, 6, "authorized_keys"), (8, 6, "name the right one")]
)
def test_a_host_that_refuses_all_keys_or_hangs_up_after_some_is_on(
    monkeypatch: pytest.MonkeyPatch, keys: int, most: int, remedy: str
) -> None:
    with pytest.raises(KeyRefusedError) as caught:
        connection(monkeypatch, keys)._authenticate(cast(Any, Transport(most)), "root")
    assert caught.value.message.count("SHA256:") == min(keys, most)
    assert remedy in caught.value.remedy


def test_a_line_that_breaks_at_the_first_key_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(paramiko.SSHException, match="No existing session"):
        connection(monkeypatch, 1)._authenticate(cast(Any, Transport(0)), "root")


def security_key() -> bytes:
    """As ``ssh-keygen -t ed25519-sk`` writes it (OpenSSH, PROTOCOL.key and PROTOCOL.u2f)."""

    def text(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    kind = text(b"sk-ssh-ed25519@openssh.com")
    public = kind + text(b"\1" * 32) + text(b"ssh:")
    private = b"\0\0\0\1" * 2 + public + b"\1" + text(b"handle") + text(b"") + text(b"comment")
    private += bytes(range(1, 1 + -len(private) % 8))
    body = (
        b"openssh-key-v1\0"
        + text(b"none") * 2
        + text(b"")
        + struct.pack(">I", 1)
        + text(public)
        + text(private)
    )
    lines = base64.encodebytes(body)
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + lines + b"-----END OPENSSH PRIVATE KEY-----\n"


def pem(key: x25519.X25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "content",
    [
        security_key(),
        pem(x25519.X25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256K1())),
        b"no key",
        b"",
    ],
    ids=["security key", "x25519", "secp256k1", "no key", "empty"],
)
def test_a_key_that_cannot_be_used_is_told_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    file = tmp_path / "id"
    file.write_bytes(content)
    with pytest.raises(RefusedError, match=str(file)) as caught:
        connection(monkeypatch, 0, file)._keys()
    assert "ssh-add" in caught.value.remedy


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "192.0.2.1 ssh-ed25519 AAAB",
        "192.0.2.1 ssh-ed25519 AAABC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        "192.0.2.1 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABgYGB",
        "192.0.2.1 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB",
    ],
)
def test_a_damaged_line_of_known_hosts_is_told_with_its_number(tmp_path: Path, line: str) -> None:
    good = paramiko.ECDSAKey.generate(bits=256)
    file = tmp_path / "known_hosts"
    first = f"# ours\n[192.0.2.9]:2222 {good.get_name()} {good.get_base64()}\n"
    file.write_text(first + line + "\n")
    workspace = cast(Any, types.SimpleNamespace(known_hosts=file))
    with pytest.raises(RefusedError, match=f"{file}, line 3 cannot be read") as caught:
        known_keys(workspace)
    assert "school trust" in caught.value.remedy
    file.write_text(first)
    found = known_keys(workspace).lookup("[192.0.2.9]:2222")
    assert found is not None
    assert found[good.get_name()].asbytes() == good.asbytes()


def test_a_server_that_takes_the_connection_and_says_nothing_is_told_in_words_and_without_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        hanging_up = threading.Thread(target=hang_up)
        hanging_up.start()
        workspace = cast(Any, types.SimpleNamespace(names_file=tmp_path / "names"))
        with pytest.raises(RefusedError, match="it took the connection and said nothing"):
            scan_host_key(workspace, "escola", "127.0.0.1", server.getsockname()[1], None)
        hanging_up.join()
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("paramiko").handlers)
    assert capfd.readouterr() == ("", "")
