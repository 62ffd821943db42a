"""A hundred schools to ask: their web sites and their SSH on lab servers, slow and dead ones among them.

What the schools' own servers have to do is measured elsewhere (``health.py``): here each says what a real one said, so
that the two processors are left to who asks.
"""

import datetime
import json
import os
import statistics
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.artifacts import LockFile
from provision.artifacts.lockfile import Choice
from provision.engine.ssh import known_hosts_name, trust_like
from provision.health.inside import COMMAND, request_for
from provision.lab import Machine
from provision.model import ResolvedSchool, load_workspace
from provision.model.service import HttpsProbe
from tests.bench.figures import Figure
from tests.bench.stage import Stage
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh

SCHOOLS, SLOW, DEAD = 100, 10, 10
ROUNDS = 3
#: Seconds that a slow school takes for each answer.
SLOWNESS = 2
#: Those that have no WebSocket, which a web server's fixed answer is none.
SERVICES = {"moodle": "moodle", "nextcloud": "nuvol"}
#: Answers each question after so many seconds; nginx has no such word.
_SLOW_WEB = """
import http.server, ssl, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(float(sys.argv[1]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *words):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/chain.pem", "/root/key.pem")
server = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Slow)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""


def hundred_schools(stage: Stage, told_by: SchoolOnLab) -> list[Figure]:
    """Ask them all, several times.

    Args:
        told_by: a real school, whose server's answer all of them give.
    """
    count = 10 if stage.small else SCHOOLS
    place = stage.scratch / "many"
    with lab_machine(f"{stage.machine_name}-many") as near, lab_machine(f"{stage.machine_name}-far") as far:
        stage.say(f"{count} schools")
        school = _workspace(place, near, far, told_by, count)
        _play(near, place, school, told_by, slow=False)
        _play(far, place, school, told_by, slow=True)
        taken = [_ask(school) for _ in range(1 if stage.small else ROUNDS)]
    seconds = statistics.median(one[0] for one in taken)
    memory = max(one[1] for one in taken)
    answered = taken[-1][2]
    return [
        Figure(
            "health_many", f"{count} schools, {SLOW} of them slow and {DEAD} dead", seconds, aim=20,
            beside=f"{answered} answered",
        ),
        Figure("health_many_memory_mb", "memory of it, at most", memory, unit="MB", aim=300, digits=0),
    ]  # fmt: skip


def _hostnames(number: int) -> dict[str, str]:
    return {service: f"{name}.escola-{number:03}.test" for service, name in SERVICES.items()}


def _workspace(place: Path, near: Machine, far: Machine, told_by: SchoolOnLab, count: int) -> SchoolOnLab:
    """The schools' files, as an administrator has them after their first apply."""
    versions = {name: choice.version for name, choice in _choices(told_by).items()}
    first = make_school(
        place,
        near,
        {name: {"hostname": hostname, "version": versions[name]} for name, hostname in _hostnames(0).items()},
        school="escola-000",
        address="servidor.escola-000.test",
    )
    pattern = (place / "schools" / "escola-000.yml").read_text()
    lines = []
    workspace = load_workspace(place)
    for number in range(count):
        (place / "schools" / f"escola-{number:03}.yml").write_text(
            pattern.replace("escola-000", f"escola-{number:03}").replace(
                "domain: escola-prova.test", f"domain: escola-{number:03}.test"
            )
        )
        machine = far if number < SLOW else near
        # Nobody has this address: a server that is off.
        address = (
            near.address.rpartition(".")[0] + ".250" if SLOW <= number < SLOW + DEAD else machine.address
        )
        host = f"servidor.escola-{number:03}.test"
        lines.append(f"{address} {host} {' '.join(_hostnames(number).values())}\n")
        trust_like(workspace, known_hosts_name(host, machine.port), machine.known_hosts, machine.address)
    (place / ".state" / "hosts").write_text("".join(lines))
    with LockFile.edit(place / "artifacts.lock", place / ".state") as lock:
        for number in range(count):
            lock.choices[f"escola-{number:03}"] = {
                name: Choice(version=versions[name], kind="archive", installed=True) for name in SERVICES
            }
    return first


def _choices(school: SchoolOnLab) -> dict[str, Choice]:
    return dict(LockFile.read(school.directory / "artifacts.lock").choices[school.id])


def _play(machine: Machine, place: Path, school: SchoolOnLab, told_by: SchoolOnLab, *, slow: bool) -> None:
    """Web server and probe program that say what a healthy school's say, or say it slowly."""
    resolved = load_workspace(school.directory).school(school.id)
    answer = ssh(told_by.machine, COMMAND, stdin=_request(resolved)).stdout
    ssh(machine, "cat > /root/answer.json", stdin=answer)
    program = f"#!/bin/sh\ncat > /dev/null\nsleep {SLOWNESS if slow else 0}\ncat /root/answer.json\n"
    ssh(
        machine,
        "cat > /usr/local/sbin/provision-probe && chmod 755 /usr/local/sbin/provision-probe",
        stdin=program,
    )
    # Thirty schools are asked at the same time, and here they are one server.
    ssh(
        machine,
        "echo 'MaxStartups 500' > /etc/ssh/sshd_config.d/many.conf && systemctl reload ssh && sleep 1",
    )
    chain, key = _certificate(place / "ca" / "ca.pem")
    ssh(machine, "cat > /root/chain.pem", stdin=chain)
    ssh(machine, "umask 077; cat > /root/key.pem", stdin=key)
    if slow:
        ssh(machine, "cat > /root/web.py", stdin=_SLOW_WEB)
        ssh(machine, f"systemd-run -q --unit=web python3 /root/web.py {SLOWNESS}")
        return
    ssh(machine, "apt-get -qq install -y nginx-light >/dev/null")
    ssh(machine, "cat > /etc/nginx/sites-enabled/default", stdin=_sites(resolved))
    ssh(machine, "nginx -t -q && systemctl restart nginx")


def _request(school: ResolvedSchool) -> str:
    return request_for(school, tuple(school.services.values()))


_kept: dict[Path, tuple[str, str]] = {}


def _certificate(authority: Path) -> tuple[str, str]:
    """One for all the schools' names, of an authority that the workspace trusts; the same for both servers."""
    if authority in _kept:
        return _kept[authority]
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)

    def build(
        name: str, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - day)
        made = made.not_valid_after(now + 90 * day)
        for extension in extensions:
            made = made.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return made.sign(own, hashes.SHA256())

    root = build("authority", own.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    hostnames = [hostname for number in range(SCHOOLS) for hostname in _hostnames(number).values()]
    leaf = build(
        "schools", key.public_key(), x509.SubjectAlternativeName([x509.DNSName(name) for name in hostnames])
    )
    pem = serialization.Encoding.PEM
    authority.parent.mkdir(exist_ok=True)
    authority.write_bytes(root.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _kept[authority] = leaf.public_bytes(pem).decode(), private.decode()
    return _kept[authority]


def _sites(school: ResolvedSchool) -> str:
    """nginx's settings: each page that is asked for has the answer that is wanted."""
    servers = []
    for service in school.services.values():
        pages = {
            probe.path: probe
            for probe in service.definition.probes
            if isinstance(probe, HttpsProbe) and not probe.absent
        }
        locations = "".join(
            f'location = "{path.partition("?")[0]}" {{ return {probe.status} {json.dumps(probe.contains or "x")}; }}\n'
            for path, probe in pages.items()
            if path != "/"
        )
        root = pages.get("/")
        text = json.dumps((root.contains if root else "") or "x")
        servers.append(
            "server {\n listen 443 ssl;\n ssl_certificate /root/chain.pem;\n ssl_certificate_key /root/key.pem;\n"
            f" server_name ~^{SERVICES[service.id]}\\.;\n default_type text/html;\n"
            " add_header Strict-Transport-Security x always; add_header X-Content-Type-Options x always;\n"
            " add_header Referrer-Policy x always; add_header Permissions-Policy x always;\n"
            f"{locations} location / {{ return {root.status if root else 404} {text}; }}\n}}\n"
        )
    return "".join(servers)


def _ask(school: SchoolOnLab) -> tuple[float, float, int]:
    """Seconds, megabytes at most, and how many schools gave an answer."""
    file = school.directory / "asked.json"
    file.unlink(missing_ok=True)
    began = time.monotonic()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "provision", "health", "--all", "--format", "json", "--output", str(file)],
        {**school.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    _, _, used = os.wait4(child, 0)
    seconds = time.monotonic() - began
    schools = json.loads(file.read_text())["schools"]
    # That a name leads somewhere can be told of a dead server too.
    answered = sum(
        any(one["state"] == "ok" and one["host"] for one in findings) for findings in schools.values()
    )
    return seconds, used.ru_maxrss / 1024, answered
