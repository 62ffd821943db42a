"""Asks the questions of the services' ``service.yml`` and gives typed answers.

From outside over HTTPS, with the certificate checked; on the host over SSH, in one round trip.
"""

import functools
import hashlib
import http.client
import json
import secrets
import shlex
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from provision import names
from provision.errors import ProvisionError
from provision.health.result import Sentence
from provision.health.words.seen import seen
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.model.municipality import InternalTls
from provision.model.service import HttpsProbe, LoopbackProbe, OwnProbe, Probe, UnitProbe, WebSocketProbe
from provision.text import printable, printable_line, said_by

State = Literal["ok", "problem", "unreachable"]
#: What is behind a state that is not well: the adapter's sentences go by it. ``silent``: waited in vain for a
#: connection; ``late``: for an answer; ``name``: it leads nowhere.
Cause = Literal[
    "", "silent", "late", "name", "refused", "certificate", "status", "exposed", "content", "down"
]

#: A page longer than this is not read to its end.
BODY_LIMIT = 2 * 1024 * 1024
_TIMEOUT = 10.0
AGENT = "provision-probe"

# Runs on the host; answers a list of [state, text] or [state, text, code] in the order of the questions.
_INSIDE = r"""
import http.client, json, subprocess, sys, urllib.error, urllib.request
answers = []
def own(question):
    command = ["/usr/local/sbin/" + question["program"], *question["arguments"]]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, cwd="/")
        told = json.loads(done.stdout)
        return [told["state"] in ("ok", "warning"), told["measured"], told["code"]]
    except (OSError, subprocess.SubprocessError) as error:
        return [False, said_by(error), ""]
    except (ValueError, KeyError, TypeError):
        return [False, (done.stderr or done.stdout).strip()[:300] or "status %d" % done.returncode, ""]
for question in json.load(sys.stdin):
    if question["kind"] == "own":
        answers.append(own(question))
        continue
    if question["kind"] == "unit":
        done = subprocess.run(["systemctl", "is-active", question["unit"]], capture_output=True, text=True)
        answers.append([done.stdout.strip() == "active", done.stdout.strip() or done.stderr.strip()])
        continue
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open("http://127.0.0.1:%d%s" % (question["port"], question["path"]), timeout=10) as page:
            status, body = page.status, page.read(1000000).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(1000000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        answers.append([False, said_by(error)])
        continue
    right, there = status == question["status"], not question["contains"] or question["contains"] in body
    said = "answers %d" % status
    answers.append([right and there, said if there or not right else said + ", but without: " + question["contains"]])
print(json.dumps(answers))
"""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One answered question.

    Args:
        title: the question, in English.
        measured: what was seen, in English, as the record of a run keeps it: ``words.heard`` has the other languages.
        remedy: what to do next; empty when all is well.
        seconds: how long the answer took.
        cause: what is behind it; empty when all is well.
    """

    service: str
    id: str
    title: str
    state: State
    measured: str
    remedy: str = ""
    seconds: float = 0.0
    cause: Cause = ""


#: Runs a shell command as root on a host, by its name, and gives status and standard output.
RemoteRun = Callable[[str, str, str], tuple[int, str]]


def probe_school(
    workspace: Workspace,
    school: ResolvedSchool,
    services: Sequence[ResolvedService],
    run_on: RemoteRun,
    *,
    patience: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
) -> list[ProbeResult]:
    """Ask every question of these services.

    Args:
        run_on: ``run_on(host, command, stdin)`` over SSH.
        patience: seconds to ask again what is not well yet (services that have just been started).
        stop: whether somebody wants us to stop asking again.
    """
    deadline = time.monotonic() + patience
    while True:
        results = [*_outside(workspace, school, services), *_inside(school, services, run_on)]
        if all(result.state == "ok" for result in results) or time.monotonic() >= deadline or stop():
            order = {
                (service.id, probe.id): number
                for service in services
                for number, probe in enumerate(service.definition.probes)
            }
            places = {service.id: number for number, service in enumerate(services)}
            return sorted(
                results, key=lambda result: (places[result.service], order[result.service, result.id])
            )
        time.sleep(1)


def trust_store(workspace: Workspace, school: ResolvedSchool) -> ssl.SSLContext:
    """The certificates that we trust for a school: its municipality's own authority, or the system's."""
    if isinstance(school.tls, InternalTls):
        authority = workspace.ca_dir / "ca.pem"
        if not authority.exists():
            raise FileNotFoundError(f"{authority} is not there: provision apply {school.id} makes it")
        # Renewed by another program while this one runs (health --watch), it is another file.
        about = authority.stat()
        return _authority(str(authority), about.st_ino, about.st_mtime_ns)
    return _system_store()


@functools.cache
def _system_store() -> ssl.SSLContext:
    """Read once: it takes longer than getting a page, and a municipality has hundreds of pages."""
    return ssl.create_default_context()


@functools.lru_cache(maxsize=4)
def _authority(file: str, _inode: int, _written: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=file)


class _SilentError(TimeoutError):
    """Nothing came back when we knocked."""


class _Https(http.client.HTTPSConnection):
    """HTTPS to a known address, with the name checked in the certificate."""

    def __init__(self, hostname: str, address: str, context: ssl.SSLContext) -> None:
        super().__init__(hostname, 443, timeout=_TIMEOUT, context=context)
        self._address = address
        self._ssl = context

    def connect(self) -> None:
        """Connect to the address instead of looking the name up."""
        try:
            plain = socket.create_connection((self._address, 443), timeout=_TIMEOUT)
            self.sock = self._ssl.wrap_socket(plain, server_hostname=self.host)
        except TimeoutError as error:
            raise _SilentError(said_by(error)) from error


@contextmanager
def asking(
    workspace: Workspace, school: ResolvedSchool, hostname: str, trusted: ssl.SSLContext | None
) -> Iterator[http.client.HTTPSConnection]:
    """A connection to a school's host name that is not open yet, closed at the end.

    Raises:
        OSError: nobody knows the name.
    """
    address = names.resolve(workspace.names_file, hostname)
    connection = _Https(hostname, address, trusted or trust_store(workspace, school))
    try:
        yield connection
    finally:
        connection.close()


def fetch(
    workspace: Workspace,
    school: ResolvedSchool,
    hostname: str,
    path: str,
    *,
    trusted: ssl.SSLContext | None = None,
) -> tuple[int, Mapping[str, str], str]:
    """Get one page of a school over HTTPS.

    Args:
        trusted: what ``trust_store`` gave, for who gets several pages: reading the system's store takes longer than
            getting a page.

    Returns:
        status, headers (lower-case names), and the body's beginning.

    Raises:
        OSError: no answer, or a certificate that is not trusted.
        http.client.HTTPException: the answer is no HTTP.
    """
    with asking(workspace, school, hostname, trusted) as connection:
        connection.request("GET", path, headers={"User-Agent": AGENT, "Connection": "close"})
        answer = connection.getresponse()
        body = _read(answer)
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, body


def _change_over(
    workspace: Workspace,
    school: ResolvedSchool,
    hostname: str,
    path: str,
    trusted: ssl.SSLContext | None,
) -> tuple[int, bool]:
    """Ask for a WebSocket; gives the status, and whether the answer is one to this very question.

    Raises:
        OSError, http.client.HTTPException: as ``fetch``.
    """
    key = b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "User-Agent": AGENT, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key, "Origin": f"https://{hostname}",
    }  # fmt: skip
    # RFC 6455, section 1.3.
    wanted = b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest())  # noqa: S324
    with asking(workspace, school, hostname, trusted) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Sec-WebSocket-Accept", "").encode() == wanted


def _read(answer: http.client.HTTPResponse) -> str:
    """The body's beginning; a server that trickles is not listened to for ever.

    Raises:
        OSError: it takes too long.
    """
    deadline = time.monotonic() + 2 * _TIMEOUT
    body = b""
    while len(body) < BODY_LIMIT and (part := answer.read1(65536)):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError("the page does not end")
    return body.decode("utf-8", "replace")


def _outside(
    workspace: Workspace, school: ResolvedSchool, services: Sequence[ResolvedService]
) -> list[ProbeResult]:
    return [
        ask_outside(workspace, school, service, probe)
        for service in services
        for probe in service.definition.probes
        if probe.outside
    ]


def ask_outside(
    workspace: Workspace,
    school: ResolvedSchool,
    service: ResolvedService,
    probe: Probe,
    *,
    trusted: ssl.SSLContext | None = None,
) -> ProbeResult:
    """Ask one question from outside.

    Args:
        trusted: what ``trust_store`` gave, for who asks several.
    """
    started = time.monotonic()
    again = f"provision apply {school.id} --service {service.id}"
    state: State = "problem"
    remedy = again
    cause: Cause
    try:
        if isinstance(probe, WebSocketProbe):
            state, measured, cause = _websocket(workspace, school, service, probe, trusted)
        elif isinstance(probe, HttpsProbe):
            state, measured, cause = _page(workspace, school, service, probe, trusted)
        else:
            raise TypeError(f"{probe.id} is not asked from outside")
    except ssl.SSLCertVerificationError as error:
        measured, cause = seen("page/certificate", reason=error.verify_message).en, "certificate"
    except (OSError, http.client.HTTPException) as error:
        state, measured, cause = (
            "unreachable",
            seen("no-answer-for", reason=Sentence.plain(printable_line(said_by(error), 200))).en,
            cause_of(error),
        )
        remedy = "is the server on? does the name point to it?"
    return ProbeResult(
        service.id,
        probe.id,
        probe.title.en,
        state,
        measured,
        "" if state == "ok" else remedy,
        round(time.monotonic() - started, 3),
        cause,
    )


def _page(
    workspace: Workspace,
    school: ResolvedSchool,
    service: ResolvedService,
    probe: HttpsProbe,
    trusted: ssl.SSLContext | None,
) -> tuple[State, str, Cause]:
    status, _, body = fetch(workspace, school, service.hostname, probe.path, trusted=trusted)
    if status != probe.status:
        exposed = status < 400 <= probe.status
        return (
            "problem",
            seen("page/instead", status=status, wanted=probe.status).en,
            "exposed" if exposed else "status",
        )
    if probe.contains and (probe.contains in body) == probe.absent:
        if probe.absent:
            return "problem", seen("page/shows", wanted=repr(probe.contains)).en, "exposed"
        without = seen("page/without-it", status=status, wanted=repr(probe.contains))
        return "problem", without.en, "content"
    return "ok", seen("page/answers", status=status).en, ""


def _websocket(
    workspace: Workspace,
    school: ResolvedSchool,
    service: ResolvedService,
    probe: WebSocketProbe,
    trusted: ssl.SSLContext | None,
) -> tuple[State, str, Cause]:
    status, right = _change_over(workspace, school, service.hostname, probe.path, trusted)
    if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
        return "problem", seen("websocket/none", status=status).en, "content"
    if not right:
        return "problem", seen("websocket/strange").en, "content"
    return "ok", seen("websocket/opens").en, ""


def cause_of(error: Exception) -> Cause:
    """What is behind a page that gave no answer."""
    if isinstance(error, _SilentError):
        return "silent"
    if isinstance(error, TimeoutError):
        return "late"
    if isinstance(error, socket.gaierror):
        return "name"
    # What is no HTTP came over a connection all the same.
    return "refused" if isinstance(error, OSError) else "status"


def _inside(
    school: ResolvedSchool, services: Sequence[ResolvedService], run_on: RemoteRun
) -> list[ProbeResult]:
    results: list[ProbeResult] = []
    for host in school.hosts:
        results += ask_host(school, host, services, run_on)
    return results


def ask_host(
    school: ResolvedSchool,
    host: str,
    services: Sequence[ResolvedService],
    run_on: RemoteRun,
    *,
    own: bool = True,
) -> list[ProbeResult]:
    """Ask a host all questions about its services in one round trip; nothing where there is none to ask.

    Args:
        own: whether the services' own programs are there to be asked.
    """
    asked = [
        (service, probe)
        for service in services
        if service.host == host
        for probe in service.definition.probes
        if isinstance(probe, UnitProbe | LoopbackProbe) or (own and isinstance(probe, OwnProbe))
    ]
    if not asked:
        return []
    questions: list[dict[str, Any]] = [
        {"kind": probe.kind, "program": probe.program, "arguments": probe.arguments}
        if isinstance(probe, OwnProbe)
        else probe.model_dump(include={"kind", "unit", "port", "path", "status", "contains"})
        for _, probe in asked
    ]
    started = time.monotonic()
    try:
        status, out = run_on(host, f"python3 -c {shlex.quote(_INSIDE)}", json.dumps(questions))
        answers = _checked(status, out, len(asked))
    except (ProvisionError, ValueError, TypeError) as error:
        return [
            ProbeResult(
                service.id,
                probe.id,
                probe.title.en,
                "unreachable",
                seen(
                    "host/no-answer", host=host, reason=Sentence.plain(printable_line(said_by(error), 200))
                ).en,
                f"provision check {school.id}",
                cause="silent",
            )
            for service, probe in asked
        ]
    seconds = round(time.monotonic() - started, 3)
    return [
        ProbeResult(
            service.id,
            probe.id,
            probe.title.en,
            "ok" if good is True else "problem",
            printable(str(text))[:300],
            "" if good is True else _remedy(school, service, probe, str(code)),
            seconds,
            "" if good is True else "down" if isinstance(probe, UnitProbe) else "content",
        )
        for (service, probe), (good, text, code) in zip(asked, answers, strict=True)
    ]


def _remedy(
    school: ResolvedSchool, service: ResolvedService, probe: UnitProbe | LoopbackProbe | OwnProbe, code: str
) -> str:
    if isinstance(probe, OwnProbe):
        return own_sentences(school, service, probe, code)[1].en
    return f"provision apply {school.id} --service {service.id}"


def own_sentences(
    school: ResolvedSchool, service: ResolvedService, probe: OwnProbe, code: str = ""
) -> tuple[Sentence, Sentence]:
    """Meaning and remedy of what a service's own program has found."""
    advice = probe.advice(code)
    values = {"school": school.id, "host": service.host, "hostname": service.hostname, "service": service.id}
    title = Sentence.short(service.definition.title)
    meaning, remedy = (
        Sentence.of(text).filled(**values, title=title) for text in (advice.meaning, advice.remedy)
    )
    return meaning, remedy


def _checked(status: int, out: str, count: int) -> list[tuple[object, object, object]]:
    """The host's answers.

    Raises:
        ValueError: it says something else than it was asked.
    """
    if status != 0:
        raise ValueError((out.strip().splitlines() or ["its python3 could not run the questions"])[-1])
    answers = json.loads(out)
    if not isinstance(answers, list) or len(answers) != count:
        raise ValueError("it answered something else than it was asked")
    return [(good, text, *(code or [""])) for good, text, *code in answers]
