"""A time-stamp authority of our own: ``openssl ts -reply`` behind a small web server."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Answer = tuple[int, str, bytes]

_CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {directory}/serial
signer_cert = {directory}/tsa.pem
{certs}
signer_key = {directory}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Authority:
    """Its certificates, and what it answers."""

    url = ""

    def __init__(self, directory: Path, *, ends: timedelta = timedelta(days=30), chain: bool = False) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate(
            "Arrel de proves", root_key, "Arrel de proves", root_key, None, timedelta(days=90)
        )
        usage = ExtendedKeyUsageOID.TIME_STAMPING
        certificate = _certificate("Segell de temps", key, "Arrel de proves", root_key, usage, ends)
        self.ca = root.public_bytes(Encoding.PEM)
        (directory / "ca.pem").write_bytes(self.ca)
        (directory / "tsa.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (directory / "tsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (directory / "serial").write_text("01\n")
        certs = f"certs = {directory}/ca.pem" if chain else ""
        (directory / "openssl.cnf").write_text(_CONFIGURATION.format(directory=directory, certs=certs))
        #: What becomes of a request; a test puts something else here.
        self.behaviour: Callable[[bytes], Answer] = lambda request: self.reply(self.sign(request))
        self.requests: list[bytes] = []

    def sign(self, request: bytes, *arguments: str) -> bytes:
        """The answer to a request, as OpenSSL makes it."""
        (self.directory / "request.tsq").write_bytes(request)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", "openssl.cnf", "-section", "here", "-queryfile", "request.tsq",
             "-out", "response.tsr", *arguments],
            cwd=self.directory, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        return (self.directory / "response.tsr").read_bytes()

    @staticmethod
    def reply(body: bytes) -> Answer:
        """An HTTP answer as it should be."""
        return 200, "application/timestamp-reply", body


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier | None,
    ends: timedelta,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def serve() -> Iterator[Callable[[Authority], Authority]]:
    """Puts an authority on a local address."""
    servers: list[ThreadingHTTPServer] = []

    def start(authority: Authority) -> Authority:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                authority.requests.append(body)
                if self.headers["content-type"] != "application/timestamp-query":
                    self.send_error(415)
                    return
                status, kind, answer = authority.behaviour(body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                if status == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        authority.url = f"http://127.0.0.1:{server.server_port}/tsa"
        return authority

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def authority(tmp_path: Path, serve: Callable[[Authority], Authority]) -> Authority:
    """An authority that does what it should."""
    return serve(Authority(tmp_path / "authority"))
