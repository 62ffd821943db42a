"""RFC 3161 time stamps: asking an authority for one, and checking one offline.

Knows messages, certificates and the network, and nothing of logs; ``provision.audit.anchor`` puts them beside one.

Source: RFC 3161 (messages; section 3.4 for HTTP), RFC 5816, RFC 5652 (SignedData).
"""

import hashlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provision.artifacts.web import reason
from provision.errors import ProvisionError, UsageError
from provision.text import printable_line

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse

#: A response has a signature and a few certificates: some 5 kB.
MAX_RESPONSE: Final = 256 * 1024
MAX_ROOTS: Final = 1024 * 1024
#: How far the authority's clock may be from ours when it answers.
MAX_SKEW: Final = timedelta(hours=1)
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_GRANTED, _GRANTED_WITH_MODS = 0, 1
_STATUS = {
    2: "refused the request",
    3: "wants to be asked again later",
    4: "warns that its certificate will be revoked",
    5: "says that its certificate was revoked",
}
_NEXT = "Nothing was stored. Try again later, or ask whoever runs the authority."


class TimeStampError(ProvisionError):
    """There is no time stamp, or it proves nothing; nothing was stored."""


@dataclass(frozen=True, slots=True)
class TimeStamp:
    """A time stamp that was checked.

    Args:
        response: the authority's answer as it came, byte for byte (``TimeStampResp``, DER).
        time: what it proves: the text was there at this time.
        authority: subject of the certificate that signed.
    """

    response: bytes
    time: datetime
    authority: str


def load_roots(pem: Sequence[bytes]) -> list[x509.Certificate]:
    """The certificates of an authority's chain.

    Args:
        pem: contents of files, each with one certificate or several.

    Raises:
        UsageError: there is none, or they cannot be read.
    """
    remedy = "Get the authority's root certificate as PEM from its web page, and name the file with --ca."
    try:
        found = [one for data in pem for one in x509.load_pem_x509_certificates(data)]
    except ValueError:
        raise UsageError(
            "the file of the authority's certificates is not PEM, or is damaged", remedy
        ) from None
    if not found:
        raise UsageError(
            "there is no certificate of a time-stamp authority to check its answers with", remedy
        )
    return list(dict.fromkeys(found))


def request_time_stamp(
    text: bytes, url: str, roots: Sequence[x509.Certificate], *, timeout: float = 30.0
) -> TimeStamp:
    """Ask an authority to sign the SHA-256 of a text together with the time, and check the answer.

    Args:
        text: what is stamped; only its SHA-256 leaves this machine.
        url: the authority's address, http or https.
        roots: certificates that the authority's own must lead to.
        timeout: seconds for the whole answer.

    Raises:
        TimeStampError: it cannot be reached, refuses, or its answer is not a valid stamp of this text.
        UsageError: ``url`` is no address.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    if not url.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"{printable_line(url)} is no address of a time-stamp authority",
            "Give one that begins with https:// or http:// (the answer is signed either way).",
        )
    request = (
        TimestampRequestBuilder()
        .data(text)
        .hash_algorithm(HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    answer = _ask(url, request.as_bytes(), timeout)
    stamp = check_time_stamp(answer, text, roots, request=request)
    skew = stamp.time - datetime.now(UTC)
    if abs(skew) > MAX_SKEW:
        raise TimeStampError(
            f"the authority's clock says {stamp.time:%Y-%m-%d %H:%M:%S} UTC, more than an hour from this machine's",
            "Set this machine's clock (timedatectl). If it is right, the authority's stamps are worth nothing.",
        )
    return stamp


def check_time_stamp(
    response: bytes,
    text: bytes,
    roots: Sequence[x509.Certificate],
    *,
    request: "TimeStampRequest | None" = None,
) -> TimeStamp:
    """Check a time stamp, without a network: the authority's certificate must have been valid when it signed.

    Args:
        response: the authority's answer (DER).
        text: what it must be a stamp of.
        roots: certificates that the authority's own must lead to.
        request: what it must be the answer to, where that is known.

    Raises:
        TimeStampError: it proves nothing; says why.
    """
    from rfc3161_client import VerificationError, VerifierBuilder

    if len(response) > MAX_RESPONSE:
        raise TimeStampError("the answer of the time-stamp authority is too large", _NEXT)
    try:
        answer = _decode(response)
        _accepted(answer)
        info = answer.tst_info
        imprint = info.message_imprint
        if imprint.hash_algorithm != _SHA256 or imprint.message != hashlib.sha256(text).digest():
            raise TimeStampError("the time stamp is one of another text", _NEXT)
        if request is not None and info.nonce != request.nonce:
            raise TimeStampError(
                "the authority answered with a time stamp that was made for another request (wrong nonce)",
                _NEXT,
            )
        verifier = VerifierBuilder(roots=list(roots)).build()
        verifier.verify_message(answer, text)
        return TimeStamp(response, info.gen_time.astimezone(UTC), _signer(answer))
    except VerificationError as error:
        raise TimeStampError(f"the time stamp cannot be trusted: {_plainly(str(error))}", _NEXT) from error
    except ValueError as error:
        raise TimeStampError(
            f"the authority's answer is no time stamp: {printable_line(str(error), 120)}", _NEXT
        ) from error


def chain_pem(roots: Sequence[x509.Certificate]) -> bytes:
    """Certificates as one PEM file."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in roots)


def _ask(url: str, request: bytes, timeout: float) -> bytes:
    """POST a request; the body of the answer (RFC 3161, section 3.4)."""
    name = printable_line(httpx.URL(url).host if _parses(url) else url, 100)
    until = time.monotonic() + timeout
    headers = {
        "content-type": "application/timestamp-query",
        "accept": "application/timestamp-reply",
        "accept-encoding": "identity",
        "user-agent": "provision",
    }
    try:
        with (
            httpx.Client(
                verify=ssl.create_default_context(),
                timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            ) as client,
            client.stream("POST", url, content=request, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise TimeStampError(
                    f"the time-stamp authority {name} answers {answer.status_code} "
                    f"{printable_line(answer.reason_phrase, 60)}".rstrip(),
                    "Check the authority's address; some want to know you beforehand. Nothing was stored.",
                )
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/timestamp-reply":
                raise TimeStampError(
                    f"{name} answers with {printable_line(kind, 60) or 'something'} instead of a time stamp",
                    "Check the authority's address, and that no proxy stands between. Nothing was stored.",
                )
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > MAX_RESPONSE:
                    raise TimeStampError(f"the answer of {name} is too large for a time stamp", _NEXT)
                if time.monotonic() > until:
                    raise TimeStampError(f"{name} answers too slowly", _NEXT)
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TimeStampError(
            f"the time-stamp authority {name} cannot be reached: {printable_line(reason(error), 120)}",
            "Nothing was stored. See whether this machine has a network and the address is right; the log "
            "itself is complete without a stamp.",
        ) from error


def _parses(url: str) -> bool:
    try:
        return bool(httpx.URL(url).host)
    except httpx.InvalidURL:
        return False


def _decode(response: bytes) -> "TimeStampResponse":
    """Parse an answer.

    Authorities built on OpenSSL send their certificates in the order of the chain, while DER wants a set to be
    sorted and the parser insists. The certificates are not under the signature: they are sorted before parsing.

    Raises:
        ValueError: it is no answer.
    """
    from rfc3161_client import decode_timestamp_response

    try:
        return decode_timestamp_response(response)
    except ValueError:
        mended = _sort_certificates(response)
        if mended == response:
            raise
        return decode_timestamp_response(mended)


def _sort_certificates(response: bytes) -> bytes:
    """An answer with the set ``SignedData.certificates`` in DER's order; unchanged where it has none."""
    span = (0, len(response))
    # TimeStampResp -> timeStampToken (ContentInfo) -> content [0] -> SignedData -> certificates [0]
    for tag, place in ((0x30, 0), (0x30, 1), (0xA0, 1), (0x30, 0), (0xA0, 3)):
        children = _children(response, *span)
        if len(children) <= place or response[children[place][0]] != tag:
            return response
        span = children[place][1:]
    certificates = [response[start:end] for start, _, end in _children(response, *span)]
    return response[: span[0]] + b"".join(sorted(certificates)) + response[span[1] :]


def _children(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """The DER values in a part of ``data``: where each starts, where its content does, and where it ends.

    Raises:
        ValueError: it is not DER.
    """
    found = []
    while start < end:
        content = start + 2
        length = data[start + 1] if content <= end else 0x80
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4 or content + octets > end:
                raise ValueError("a length in it is wrong")
            length = int.from_bytes(data[content : content + octets])
            content += octets
        if content + length > end:
            raise ValueError("it is cut short")
        found.append((start, content, content + length))
        start = content + length
    return found


def _accepted(answer: "TimeStampResponse") -> None:
    """Raise when the authority said no."""
    if answer.status in {_GRANTED, _GRANTED_WITH_MODS}:
        return
    said = "; ".join(printable_line(text, 150) for text in answer.status_string[:3])
    meaning = _STATUS.get(answer.status, f"answers with status {answer.status}")
    raise TimeStampError(
        f"the time-stamp authority {meaning}" + (f": {said}" if said else ""),
        "Nothing was stored. Ask whoever runs the authority what it needs (some must know you beforehand).",
    )


def _signer(answer: "TimeStampResponse") -> str:
    """Subject of the certificate that signed an answer whose signature was checked."""
    infos = answer.signed_data.signer_infos
    for data in answer.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(data)
        for info in infos:
            if (certificate.issuer, certificate.serial_number) == (info.issuer, info.serial_number):
                return printable_line(certificate.subject.rfc4514_string(), 200)
    return "(unnamed)"


#: What the library's own words mean; the first that fits counts.
_WORDS: Final = (
    ("certificate has expired", "the authority's certificate had expired when it signed"),
    ("not yet valid", "the authority's certificate was not valid yet when it signed"),
    (
        "local issuer certificate",
        "the authority's certificate does not lead to a certificate that you trust (--ca)",
    ),
    ("self-signed", "the authority's certificate does not lead to a certificate that you trust (--ca)"),
    ("self signed", "the authority's certificate does not lead to a certificate that you trust (--ca)"),
    ("EKU", "the certificate that signed is not one for time stamps"),
    ("unsupported certificate purpose", "the certificate that signed is not one for time stamps"),
    ("Certificates neither", "it carries no certificate of the authority"),
    ("PKIStatus", "the authority granted it only with changes"),
    ("signature failure", "the signature is wrong"),
    ("digest failure", "the signature is wrong"),
)


def _plainly(text: str) -> str:
    return next((words for part, words in _WORDS if part in text), printable_line(text, 150))
