"""The log over HTTPS, from servers that behave and servers that do not."""

import base64
import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.audit.witness import HttpsSource, SourceError, WitnessStore, visiting
from tests.unit.audit.witness.city import City, watch

PASSWORD = "a password of the vault"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a log with a password, or misbehaves."""

    protocol_version = "HTTP/1.1"
    top: Path
    trick = ""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"auditor:{PASSWORD}".encode()).decode()
        prefix = "/.well-known/provision-audit/"
        if self.headers.get("Authorization") != wanted:
            self.send_error(401)
        elif self.trick == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "https://192.0.2.1/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.trick == "endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65_536)
            except OSError:
                self.close_connection = True
        elif self.trick == "compressed":
            self._send(b"x", {"Content-Encoding": "gzip"})
        elif self.trick == "broken":
            self.send_error(503)
        elif self.path.startswith(prefix) and (self.top / self.path.removeprefix(prefix)).is_file():
            self._send((self.top / self.path.removeprefix(prefix)).read_bytes(), {})
        else:
            self.send_error(404)

    def _send(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of a moment for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def server(city: City, certificate: Path) -> Iterator[str]:
    handler = type("One", (Handler,), {"top": city.directory, "trick": ""})
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    Handler.trick = ""
    handler.trick = property(lambda self: Handler.trick)  # type: ignore[attr-defined]
    yield f"https://127.0.0.1:{service.server_address[1]}"
    service.shutdown()
    service.server_close()
    thread.join()


def test_the_log_is_fetched_from_any_site_of_the_school(
    city: City, server: str, certificate: Path, tmp_path: Path
) -> None:
    watch(tmp_path / "home", city)
    city.renew()
    city.beat(600)
    source = HttpsSource(server, user="auditor", password=PASSWORD, ca=certificate)
    with visiting(tmp_path / "home", source) as visit:
        assert visit.renewed
        visit.take()
    assert list(WitnessStore.open(tmp_path / "home").reader.entries()) == city.raw


@pytest.mark.parametrize(
    ("trick", "words"),
    [
        ("elsewhere", "leads elsewhere"),
        ("endless", "larger than"),
        ("compressed", "compressed"),
        ("broken", "code 503"),
    ],
)
def test_a_server_that_misbehaves_is_left(server: str, certificate: Path, trick: str, words: str) -> None:
    source = HttpsSource(server, user="auditor", password=PASSWORD, ca=certificate)
    Handler.trick = trick
    with pytest.raises(SourceError, match=words):
        source.read("checkpoint", 100_000)


def test_a_wrong_password_is_said(server: str, certificate: Path) -> None:
    for given in ("wrong", None):
        with pytest.raises(SourceError, match="password"):
            HttpsSource(server, user="auditor", password=given, ca=certificate).read("checkpoint", 1000)


def test_what_is_not_there_is_not_there(server: str, certificate: Path) -> None:
    source = HttpsSource(server, user="auditor", password=PASSWORD, ca=certificate)
    assert source.read("checkpoints/7", 1000) is None


def test_an_authority_that_nobody_knows_is_refused(server: str) -> None:
    with pytest.raises(SourceError, match="does not answer"):
        HttpsSource(server, user="auditor", password=PASSWORD).read("checkpoint", 1000)


@pytest.mark.parametrize(
    "url",
    [
        "http://pad.example.test",
        "https://",
        "ftp://a",
        "https://a:b@c.test/",
        "https://c.test/?x",
        "file:///etc",
    ],
)
def test_an_address_that_is_not_one_of_https_is_refused(url: str) -> None:
    with pytest.raises(SourceError):
        HttpsSource(url)
