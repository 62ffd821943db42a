"""The way to a service from outside, over real TLS on a socket of our own."""

import base64
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.health import door, probes
from provision.health.door import HEADERS, look_at_door
from provision.health.probes import ask_outside
from provision.health.result import Finding
from provision.model import Workspace
from provision.model.service import WebSocketProbe
from tests.unit.health.inside_sample import school, service

WIKI = service()
SCHOOL = school(WIKI)
TYPING = WebSocketProbe.model_validate(
    {"id": "typing", "kind": "websocket", "title": {"ca": "x", "es": "x", "en": "x"}, "path": "/socket.io/"}
)
GOOD = "HTTP/1.1 302 Found\r\n" + "".join(f"{name}: x\r\n" for name in HEADERS) + "Content-Length: 0\r\n\r\n"


#: To be offered an old protocol one has to name it.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


class _Names:
    names_file = Path("/nonexistent")


WORKSPACE = cast(Workspace, _Names())


def certificate(directory: Path, days: int, hostname: str = WIKI.hostname) -> Path:
    """A self-signed one with its key, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vila")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days, minutes=5))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = directory / "both.pem"
    place.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return place


@contextmanager
def served(
    place: Path,
    answer: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[ssl.SSLContext], None],
) -> Iterator[ssl.SSLContext]:
    """A server with that certificate; gives what trusts it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place)
    change(context)
    genuine = socket.create_connection
    with socket.create_server(("127.0.0.1", 0)) as listening:
        where = listening.getsockname()
        monkeypatch.setattr(door.names, "resolve_all", lambda *_: ["127.0.0.1"])
        monkeypatch.setattr(probes.names, "resolve", lambda *_: "127.0.0.1")
        monkeypatch.setattr(socket, "create_connection", lambda _a, timeout: genuine(where, timeout=timeout))

        def talk(taken: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(taken, server_side=True) as line:
                line.sendall(answer(line.recv(4096)))

        def serve() -> None:
            while True:
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                # One looks at the door twice at the same time.
                threading.Thread(target=talk, args=(taken,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield ssl.create_default_context(cafile=str(place))


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Finding]]]:
    with ExitStack() as stack:

        def at(
            answer: str = GOOD,
            days: int = 80,
            hostname: str = WIKI.hostname,
            change: Callable[[ssl.SSLContext], None] = lambda _: None,
        ) -> dict[str, Finding]:
            place = certificate(tmp_path, days, hostname)
            trusted = stack.enter_context(served(place, lambda _: answer.encode(), monkeypatch, change))
            return {one.probe: one for one in look_at_door(WORKSPACE, SCHOOL, WIKI, trusted)}

        yield at


def test_a_door_as_it_should_be_is_well_in_all_four_ways(look: Callable[..., dict[str, Finding]]) -> None:
    found = look()
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(
        ("dns", "tls", "headers", "answer"), "ok"
    )
    assert found["tls"].measured.en.startswith("TLSv1.3, by Vila, ends in 80 days")
    assert {figure.name for figure in found["tls"].figures} == {
        "tls_certificate_left_seconds",
        "tls_handshake_seconds",
    }
    assert found["answer"].measured.en.startswith("302 after ")


@pytest.mark.parametrize(("days", "state"), [(13, "warning"), (2, "problem")])
def test_a_certificate_that_ends_soon_says_in_how_many_days(
    look: Callable[..., dict[str, Finding]], days: int, state: str
) -> None:
    found = look(days=days)["tls"]
    assert found.state == state
    assert found.meaning
    assert f"ends in {days} days: then browsers will not open" in found.meaning.en


@pytest.mark.parametrize(
    ("more", "said"), [({"days": -1}, "expired"), ({"hostname": "a.test"}, "not valid for")]
)
def test_a_certificate_that_browsers_refuse_is_a_problem_with_their_reason(
    look: Callable[..., dict[str, Finding]], more: dict[str, Any], said: str
) -> None:
    found = look(**more)
    assert set(found) == {"dns", "tls"}
    assert found["tls"].state == "problem"
    assert said in found["tls"].measured.en


def test_a_server_that_still_speaks_an_old_protocol_is_named(look: Callable[..., dict[str, Finding]]) -> None:
    def old(context: ssl.SSLContext) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1

    found = look(change=old)["tls"]
    assert found.state == "warning"
    assert "still speaks TLSv1.1" in found.measured.en


def test_headers_that_are_missing_are_named(look: Callable[..., dict[str, Finding]]) -> None:
    found = look(GOOD.replace("referrer-policy: x\r\n", ""))["headers"]
    assert (found.state, found.measured.en) == ("warning", "missing: referrer-policy")


def test_a_slow_answer_is_a_warning_with_its_seconds(
    look: Callable[..., dict[str, Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SLOW", 0.0)
    assert look()["answer"].state == "warning"


@pytest.mark.parametrize("answer", ["", "\x1b[2J\r\n\r\n", "HTTP/1.1 200"])
def test_what_is_no_http_is_told_as_the_answer_that_is_missing(
    look: Callable[..., dict[str, Finding]], answer: str
) -> None:
    found = look(answer)
    assert set(found) == {"dns", "tls", "answer"} or answer == "HTTP/1.1 200"
    assert "\x1b" not in "".join(one.measured.en for one in found.values())


def test_a_name_that_nobody_knows_is_told_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(door.names, "resolve_all", unknown)
    (found,) = look_at_door(WORKSPACE, SCHOOL, WIKI, ssl.create_default_context())
    assert (found.probe, found.state) == ("dns", "problem")
    assert found.meaning
    assert "leads nowhere (DNS)" in found.meaning.en


def socket_answer(asked: bytes, accept: str = "") -> bytes:
    key = next(line for line in asked.decode().splitlines() if line.startswith("Sec-WebSocket-Key")).split()[
        1
    ]
    digest = hashes.Hash(hashes.SHA1())
    digest.update(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())
    right = base64.b64encode(digest.finalize()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept or right}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("answer", "state", "measured"),
    [
        (socket_answer, "ok", "opens a WebSocket"),
        (lambda asked: socket_answer(asked, "bm8="), "problem", "answers as no WebSocket does"),
        (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "problem", "answers 400 and opens no WebSocket"),
    ],
)
def test_a_websocket_is_opened_and_its_answer_must_be_to_our_question(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[bytes], bytes],
    state: str,
    measured: str,
) -> None:
    with served(certificate(tmp_path, 80), answer, monkeypatch, lambda _: None) as trusted:
        told = ask_outside(WORKSPACE, SCHOOL, WIKI, TYPING, trusted=trusted)
    assert (told.state, told.measured) == (state, measured)
