"""Breaks a school on purpose, asks what ``provision health`` says, and mends it again."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import paramiko
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision.engine import asking
from provision.health.ask import Answers
from provision.health.result import LANGUAGES, Finding, Sentence
from provision.health.words import FAULTS as WORDS
from provision.health.words.outside import DOOR, OUTSIDE
from provision.model import ServiceEntry, load_workspace
from provision.model.service import OwnProbe
from tests.e2e.faults import MOODLE, Fault
from tests.e2e.schools import SchoolOnLab

#: What says how busy the machine is that carries the lab, and what was wrong before.
ELSEWHERE = frozenset({"host/memory", "host/journal"})
#: Seconds until a fault must be seen, and until everything must be well again.
SEEN, WELL = 60.0, 120.0
#: What systemd remembers of a fault for a day.
FORGET = (
    "systemctl reset-failed; journalctl -q --rotate; journalctl -q --vacuum-time=1s >/dev/null 2>&1; "
    "rm -f /var/lib/provision/probe/updates.json"
)
_WAIT_FOR_PADS = """#!/usr/bin/python3
import time, urllib.request
for _ in range(60):
    try:
        urllib.request.urlopen("http://127.0.0.1:9001/", timeout=5).read()
        break
    except OSError:
        time.sleep(0.5)
"""


class Patient:
    """A healthy school on a lab server.

    Args:
        school: set up, all its services well.
    """

    def __init__(self, school: SchoolOnLab) -> None:
        self.school = school
        self._line = paramiko.SSHClient()
        self._line.load_host_keys(str(school.machine.known_hosts))
        self._line.connect(
            school.machine.address, school.machine.port, "root", key_filename=str(school.machine.ssh_key),
            allow_agent=False, look_for_keys=False,
        )  # fmt: skip
        # What is asked often from one address the firewall takes for an attack: this line stays.
        self.root("cat > /root/wait-for-pads && chmod 755 /root/wait-for-pads", _WAIT_FOR_PADS)
        self._certificates()

    def close(self) -> None:
        """Let go of the server."""
        self._line.close()

    def root(self, command: str, stdin: str = "") -> str:
        """Run something on the server; fails the test with what it said when it fails."""
        into, out, err = self._line.exec_command(command, timeout=120)
        into.write(stdin)
        into.channel.shutdown_write()
        said, complained = out.read().decode(), err.read().decode()
        status = out.channel.recv_exit_status()
        assert status == 0, f"“{command}” ended with {status}: {said}{complained}"
        return said

    def _certificates(self) -> None:
        """Certificates with something wrong, for the key that Moodle's site has."""
        public = serialization.load_pem_public_key(
            self.root("openssl pkey -in /etc/provision/tls/moodle/key.pem -pubout").encode()
        )
        assert isinstance(public, ec.EllipticCurvePublicKey)
        now, day = datetime.now(UTC), timedelta(days=1)
        self.root("mkdir -p /root/certificates")
        for name, start, end, hostname in (
            ("expired", now - 90 * day, now - day, MOODLE),
            ("ending", now - 85 * day, now + 5.5 * day, MOODLE),
            ("early", now + day, now + 90 * day, MOODLE),
            ("other", now - day, now + 90 * day, "altra.escola.test"),
        ):
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
            made = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(subject)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(start)
                .not_valid_after(end)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
                .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
            )
            pem = made.public_bytes(serialization.Encoding.PEM).decode()
            self.root(f"cat > /root/certificates/{name}.pem", pem)

    @property
    def catalog(self) -> Mapping[str, ServiceEntry]:
        """What the services say of themselves."""
        return load_workspace(self.school.directory).catalog

    def ask(self, ahead: float = 0.0) -> Answers:
        """What health says now.

        Args:
            ahead: seconds that our own clock is ahead.
        """
        workspace = load_workspace(self.school.directory)
        return asking.ask_whole(workspace, workspace.school(self.school.id), ahead=ahead)


def sentences(fault: Fault, catalog: Mapping[str, ServiceEntry]) -> tuple[Sentence, Sentence]:
    """Meaning and remedy that a fault must be told with, before anything is filled in."""
    kind, _, name = fault.words.partition(":")
    if kind == "outside":
        return OUTSIDE[name]
    if kind == "door":
        return DOOR[name]
    if kind == "own":
        service, _, probe = fault.where.partition("/")
        (asked,) = (one for one in catalog[service].definition.probes if one.id == probe)
        assert isinstance(asked, OwnProbe)
        advice = asked.faults[name]
        return Sentence.of(advice.meaning), Sentence.of(advice.remedy)
    words = WORDS[fault.words]
    return words.meaning, words.remedy


def key(finding: Finding) -> str:
    """How the list of faults names a question."""
    return f"{finding.service}/{finding.probe}"


def unwell(answers: Answers) -> dict[str, Finding]:
    """What is not well, but for what has its reasons elsewhere."""
    return {key(one): one for one in answers.findings if one.state != "ok" and key(one) not in ELSEWHERE}


def told(answers: Answers) -> dict[str, Finding]:
    """All that is not well."""
    return {key(one): one for one in answers.findings if one.state != "ok"}


def says(finding: Finding, words: tuple[Sentence, Sentence]) -> bool:
    """Whether a finding is told with these sentences, in all three languages."""
    for said, wanted in zip((finding.meaning, finding.remedy), words, strict=True):
        if said is None:
            return False
        for language in LANGUAGES:
            pattern = re.sub(r"\\\{[a-z_]+\\\}", ".*", re.escape(wanted.in_(language)))
            # Catalan says d' before a vowel.
            pattern = pattern.replace(r"de\ .*", r"d(e\ |').*")
            # What belongs to no service is mended without naming one.
            whole = pattern.replace(r"\ \-\-service\ .*", r"(\ \-\-service\ .*)?")
            if not re.fullmatch(whole, said.in_(language)):
                return False
    return True


def until(
    ask: Callable[[], Answers], good: Callable[[Answers], bool], seconds: float
) -> tuple[Answers, float]:
    """Ask again and again; gives the last answers, and after how many seconds they were good."""
    began = time.monotonic()
    while True:
        answers = ask()
        after = time.monotonic() - began
        if good(answers) or after > seconds:
            return answers, after
        time.sleep(1)


@contextmanager
def broken_here(patient: Patient, fault: Fault) -> Iterator[float]:
    """Break something between here and the server; gives by how much our clock is ahead."""
    directory = patient.school.directory
    names, known = directory / ".state" / "hosts", directory / "known_hosts"
    before = {file: file.read_text() for file in (names, known)}
    address = patient.school.machine.address
    ahead = 0.0
    mended = ""
    match fault.id:
        case "name unknown":
            names.write_text(before[names].replace(f" {MOODLE}", ""))
        case "name wrong":
            names.write_text(before[names].replace(f" {MOODLE}", "") + f"127.0.0.9 {MOODLE}\n")
        case "ssh down":
            patient.root("systemctl stop ssh.socket 2>/dev/null; systemctl stop ssh")
            mended = "systemctl start ssh"
        case "host down":
            patient.root(
                "nft add table inet down && nft add chain inet down in '{ type filter hook input priority -300; }' && "
                f"nft add rule inet down in ip saddr {address.rpartition('.')[0]}.0/24 ct state new drop"
            )
            mended = "nft delete table inet down"
        case "key revoked":
            patient.root("mv /root/.ssh/authorized_keys /root/.ssh/kept")
            mended = "mv /root/.ssh/kept /root/.ssh/authorized_keys"
        case "host key changed":
            other = paramiko.ECDSAKey.generate(bits=256)
            lines = [line.split() for line in before[known].splitlines() if line.strip()]
            known.write_text(
                "".join(f"{line[0]} {other.get_name()} {other.get_base64()}\n" for line in lines[:1])
            )
        case "clock off":
            ahead = 300.0
    try:
        yield ahead
    finally:
        for file, text in before.items():
            file.write_text(text)
        if mended:
            patient.root(mended)


@contextmanager
def broken_there(patient: Patient, fault: Fault) -> Iterator[float]:
    """Break something on the server, and mend it; what is remembered of it is forgotten."""
    patient.root(fault.broken)
    try:
        yield 0.0
    finally:
        patient.root(fault.mended)
        patient.root(FORGET)
