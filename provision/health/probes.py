"""Asks the questions of the services' ``service.yml`` and gives typed answers.

From outside over HTTPS, with the certificate checked; on the host over SSH, in one round trip.
"""

import http.client
import json
import shlex
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provision import names
from provision.errors import ProvisionError
from provision.model import ResolvedSchool, ResolvedService, Workspace
from provision.model.municipality import InternalTls
from provision.model.service import HttpsProbe, LoopbackProbe, UnitProbe
from provision.text import printable

State = Literal["ok", "problem", "unreachable"]

#: A page longer than this is not read to its end.
BODY_LIMIT = 2 * 1024 * 1024
_TIMEOUT = 10.0

# Runs on the host; answers a list of [state, text] in the order of the questions.
_INSIDE = r"""
import http.client, json, subprocess, sys, urllib.error, urllib.request
answers = []
for question in json.load(sys.stdin):
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
        answers.append([False, str(error) or type(error).__name__])
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
        measured: what was seen.
        remedy: what to do next; empty when all is well.
        seconds: how long the answer took.
    """

    service: str
    id: str
    title: str
    state: State
    measured: str
    remedy: str = ""
    seconds: float = 0.0


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
        return ssl.create_default_context(cafile=str(workspace.ca_dir / "ca.pem"))
    return ssl.create_default_context()


class _Https(http.client.HTTPSConnection):
    """HTTPS to a known address, with the name checked in the certificate."""

    def __init__(self, hostname: str, address: str, context: ssl.SSLContext) -> None:
        super().__init__(hostname, 443, timeout=_TIMEOUT, context=context)
        self._address = address
        self._ssl = context

    def connect(self) -> None:
        """Connect to the address instead of looking the name up."""
        plain = socket.create_connection((self._address, 443), timeout=_TIMEOUT)
        self.sock = self._ssl.wrap_socket(plain, server_hostname=self.host)


def fetch(
    workspace: Workspace, school: ResolvedSchool, hostname: str, path: str
) -> tuple[int, Mapping[str, str], str]:
    """Get one page of a school over HTTPS.

    Returns:
        status, headers (lower-case names), and the body's beginning.

    Raises:
        OSError: no answer, or a certificate that is not trusted.
        http.client.HTTPException: the answer is no HTTP.
    """
    address = names.resolve(workspace.names_file, hostname)
    connection = _Https(hostname, address, trust_store(workspace, school))
    try:
        connection.request("GET", path, headers={"User-Agent": "provision-probe", "Connection": "close"})
        answer = connection.getresponse()
        body = _read(answer)
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, body
    finally:
        connection.close()


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
        _https(workspace, school, service, probe)
        for service in services
        for probe in service.definition.probes
        if isinstance(probe, HttpsProbe)
    ]


def _https(
    workspace: Workspace, school: ResolvedSchool, service: ResolvedService, probe: HttpsProbe
) -> ProbeResult:
    started = time.monotonic()

    def result(state: State, measured: str, remedy: str = "") -> ProbeResult:
        return ProbeResult(
            service.id,
            probe.id,
            probe.title.en,
            state,
            measured,
            remedy,
            round(time.monotonic() - started, 3),
        )

    try:
        status, _, body = fetch(workspace, school, service.hostname, probe.path)
    except ssl.SSLCertVerificationError as error:
        return result(
            "problem",
            f"certificate: {error.verify_message}",
            f"provision apply {school.id} --service {service.id}",
        )
    except (OSError, http.client.HTTPException) as error:
        return result(
            "unreachable",
            f"no answer: {printable(str(error))[:200]}",
            "is the server on? does the name point to it?",
        )
    if status != probe.status:
        return result(
            "problem",
            f"answers {status} instead of {probe.status}",
            f"provision apply {school.id} --service {service.id}",
        )
    if probe.contains and (probe.contains in body) == probe.absent:
        what = (
            f"shows {probe.contains!r}, which must not be seen"
            if probe.absent
            else f"answers {status}, but without {probe.contains!r}"
        )
        return result("problem", what, f"provision apply {school.id} --service {service.id}")
    return result("ok", f"answers {status}")


def _inside(
    school: ResolvedSchool, services: Sequence[ResolvedService], run_on: RemoteRun
) -> list[ProbeResult]:
    results: list[ProbeResult] = []
    for host in school.hosts:
        asked = [
            (service, probe)
            for service in services
            if service.host == host
            for probe in service.definition.probes
            if isinstance(probe, UnitProbe | LoopbackProbe)
        ]
        if asked:
            results += _ask_host(school, host, asked, run_on)
    return results


def _ask_host(
    school: ResolvedSchool,
    host: str,
    asked: Sequence[tuple[ResolvedService, UnitProbe | LoopbackProbe]],
    run_on: RemoteRun,
) -> list[ProbeResult]:
    questions: list[dict[str, Any]] = [
        probe.model_dump(include={"kind", "unit", "port", "path", "status", "contains"}) for _, probe in asked
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
                f"{host} gives no answer: {printable(str(error))[:200]}",
                f"provision check {school.id}",
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
            "" if good is True else f"provision apply {school.id} --service {service.id}",
            seconds,
        )
        for (service, probe), (good, text) in zip(asked, answers, strict=True)
    ]


def _checked(status: int, out: str, count: int) -> list[tuple[object, object]]:
    """The host's answers.

    Raises:
        ValueError: it says something else than it was asked.
    """
    if status != 0:
        raise ValueError((out.strip().splitlines() or ["its python3 could not run the questions"])[-1])
    answers = json.loads(out)
    if not isinstance(answers, list) or len(answers) != count:
        raise ValueError("it answered something else than it was asked")
    return [(good, text) for good, text in answers]
