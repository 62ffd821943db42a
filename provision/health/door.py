"""The way to a service from outside, as every browser goes it: name, connection, certificate, protocol, headers.

It is the same for all services that have a site; what is behind the door their ``service.yml`` asks.
"""

import http.client
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from provision import names
from provision.health.adapter import places
from provision.health.judging.services import ENDING_PROBLEM, ENDING_WARNING
from provision.health.probes import AGENT, asking, cause_of
from provision.health.result import Figure, Finding, Sentence, State
from provision.health.words.heard import heard
from provision.health.words.outside import DOOR, DOOR_TITLES, OUTSIDE
from provision.health.words.seen import counted, cut, decimal, seen
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.text import printable_line, said_by

#: Seconds from knocking to the first byte of an answer.
SLOW = 3.0
#: What every site of ours says besides its page (role nginx).
HEADERS = ("strict-transport-security", "x-content-type-options", "referrer-policy", "permissions-policy")
#: RFC 8996: these must not be used any more.
_OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
_TIMEOUT = 5.0


def look_at_door(
    workspace: Workspace, school: ResolvedSchool, service: ResolvedService, trusted: ssl.SSLContext | None
) -> list[Finding]:
    """Ask for nothing but the door itself.

    Args:
        trusted: what ``trust_store`` gave; none where it could not be read, which the pages say.

    Returns:
        findings ``dns``, ``tls``, ``headers`` and ``answer``, as far as one leads to the next.
    """
    look = _Look(school, service)
    try:
        addresses = names.resolve_all(workspace.names_file, service.hostname)
    except OSError as error:
        unknown = seen("dns/unknown", reason=heard(printable_line(said_by(error), 150)))
        return [look.finding("dns", "problem", unknown, OUTSIDE["name"])]
    found = [look.finding("dns", "ok", seen("dns/leads", addresses=cut(addresses, 4)))]
    if trusted is None:
        return found
    try:
        with asking(workspace, school, service.hostname, trusted) as connection:
            began = time.monotonic()
            connection.connect()
            shaken = time.monotonic() - began
            line: ssl.SSLSocket = connection.sock
            peer, version = line.getpeercert() or {}, line.version() or "?"
            found.append(look.certificate(peer, version, shaken))
            connection.request("HEAD", "/", headers={"User-Agent": AGENT, "Connection": "close"})
            answer = connection.getresponse()
            found.append(look.answer(answer.status, time.monotonic() - began))
            found.append(look.headers({name.lower() for name, _ in answer.getheaders()}))
    except ssl.SSLCertVerificationError as error:
        return [*found, look.finding("tls", "problem", heard(error.verify_message), OUTSIDE["certificate"])]
    except (OSError, http.client.HTTPException) as error:
        cause = cause_of(error)
        # After the handshake it is the answer that is missing.
        probe = "tls" if found[-1].probe == "dns" else "answer"
        said = seen("no-answer-for", reason=heard(printable_line(said_by(error), 150)))
        found.append(look.finding(probe, "unreachable", said, OUTSIDE[cause or "status"]))
        return found
    # Knocks again, and so comes last: nobody's waiting for an answer is measured with it.
    found[1] = look.without_old(found[1], addresses[0])
    return found


class _Look:
    """One look at one service's door."""

    def __init__(self, school: ResolvedSchool, service: ResolvedService) -> None:
        self._service = service
        self._began = time.monotonic()
        self._values = places(school, service)

    def finding(
        self,
        probe: str,
        state: State,
        measured: Sentence,
        words: tuple[Sentence, Sentence] | None = None,
        *figures: Figure,
        **values: object,
    ) -> Finding:
        """One finding; each tells how long it took since the one before."""
        now = time.monotonic()
        seconds, self._began = now - self._began, now
        meaning, remedy = (one.filled(**self._values, **values) for one in words) if words else (None, None)
        return Finding(
            self._service.id, "", probe, DOOR_TITLES[probe].filled(**self._values), state, measured, meaning, remedy,
            round(seconds, 3), figures,
        )  # fmt: skip

    def certificate(self, peer: dict[str, Any], version: str, seconds: float) -> Finding:
        """Chain and name were checked in the handshake; what is left is its end."""
        left = ssl.cert_time_to_seconds(peer["notAfter"]) - datetime.now(UTC).timestamp()
        days = int(left // 86400)
        issuer = dict(pair for part in peer.get("issuer", ()) for pair in part)
        who = issuer.get("organizationName") or issuer.get("commonName") or "?"
        measured = seen(
            "tls",
            version=version,
            issuer=printable_line(who, 60),
            ends=seen("certificate/ends", span=counted(days, "days")),
            milliseconds=f"{seconds * 1000:.0f}",
        )
        figures = (
            Figure("tls_certificate_left_seconds", round(left), "s", self._service.hostname),
            Figure("tls_handshake_seconds", round(seconds, 4), "s", self._service.hostname),
        )
        if days < ENDING_WARNING:
            state: State = "problem" if days < ENDING_PROBLEM else "warning"
            return self.finding(
                "tls", state, measured, DOOR["ending"], *figures, days=counted(max(0, days), "days")
            )
        return self.finding("tls", "ok", measured, None, *figures)

    def without_old(self, tls: Finding, address: str) -> Finding:
        """The finding ``tls``, with a warning where the server still agrees to an old protocol."""
        if tls.state != "ok" or not (old := self._speaks_old(address)):
            return tls
        measured = seen("tls/old", before=tls.measured, version=old)
        warned = self.finding("tls", "warning", measured, DOOR["old"], *tls.figures, version=old)
        return replace(warned, seconds=tls.seconds)

    def _speaks_old(self, address: str) -> str:
        """The old protocol that the server agrees to; empty when it refuses them, as it should."""
        # Without the system's authorities: reading them takes longer than knocking, and nobody is trusted here.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # Ours would refuse first.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = _OLD
        try:
            with (
                socket.create_connection((address, 443), timeout=_TIMEOUT) as plain,
                context.wrap_socket(plain, server_hostname=self._service.hostname) as line,
            ):
                return line.version() or ""
        except OSError:
            return ""

    def headers(self, told: set[str]) -> Finding:
        """Whether the site tells browsers what they must not do."""
        missing = [name for name in HEADERS if name not in told]
        if missing:
            names_of = seen("headers/missing", names=cut(missing))
            return self.finding("headers", "warning", names_of, DOOR["headers"])
        return self.finding("headers", "ok", seen("headers/all", count=len(HEADERS)))

    def answer(self, status: int, seconds: float) -> Finding:
        """How long people wait; what the answer says is the business of the service's own questions."""
        figure = Figure("answer_seconds", round(seconds, 4), "s", self._service.hostname, warning=SLOW)
        slow = seconds > SLOW
        finding = self.finding(
            "answer",
            "warning" if slow else "ok",
            seen("answer", status=status, seconds=decimal(seconds, 2)),
            DOOR["slow"] if slow else None,
            figure,
            seconds=counted(round(seconds), "seconds"),
        )
        return replace(finding, seconds=round(seconds, 3))
