"""A rich log of a few months, with detail: what reports and sentences are tried on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provision.audit.detail import DetailWriter
from provision.audit.entries import (
    AccessClosed,
    AccessOpened,
    Actor,
    Authority,
    Cosigner,
    Data,
    DriftFound,
    Erased,
    ErasurePerformed,
    Failure,
    HealthChecked,
    Heartbeat,
    Host,
    KeyAdded,
    Leftover,
    LessonsCut,
    LogOpened,
    LogRecovered,
    PolicySet,
    RunApproved,
    RunEnded,
    RunIntent,
    RunStarted,
    SecretRotated,
    Service,
    ServiceHealth,
    State,
    Target,
    TaskResult,
    compose,
    parse,
    timestamp,
)
from provision.audit.log import SchoolLog, writing
from provision.audit.tlog import Kind, Policy, SignerKey

ORIGIN = "vilafresca.provision.invalid/escola-marinada"
SCHOOL = "escola-marinada"
MIREIA = Actor(
    name="Mireia Ferrer i Soler",
    user="mferrer",
    machine="tic-07",
    key="SHA256:9m1Hq0Kcb2yT4oQf7tq0aWmJvQ2mYt3J5ZcXbH2l8sA",
)
JORDI = Actor(
    name="Jordi Pons i Camps",
    user="jpons",
    machine="guardia",
    key="SHA256:Zt4Yb7mXo0Qn1W3s8dFv6RkLpE5jH2cUaG9iTqNeB0w",
)
TOOL = Actor(kind="tool", name="provision")
DIRECTION = Actor(
    kind="school", name="Direcció de l'Escola Marinada", user="direccio", machine="portatil-direccio"
)
START = datetime(2026, 9, 1, 7, 30, tzinfo=UTC)

#: Steps as the roles have them: part, name, action, details.
STEPS = [
    ("base", "Install the tools that every server needs", "apt", ["9 packages: libc-l10n, chrony, locales and 6 more"]),
    ("base", "Write the settings of the server", "template", ["writes /etc/provision/b.json", "changes /etc/chrony"]),
    ("base", "Put time zone, language, operators and services in order", "command", []),
    ("firewall", "Write the rules of the firewall", "template", ["writes /etc/provision/firewall.nft"]),
    ("firewall", "Put the rules on trial", "command", []),
    ("nginx", "Write the sites", "template", ["writes /etc/nginx/conf.d/provision-sites.conf"]),
    ("nginx", "Remove the example site of Debian", "file", ["removes /etc/nginx/sites-enabled/default"]),
    ("tls", "Put the certificates in place", "command", []),
    ("postgresql", "Install PostgreSQL", "apt", ["16 packages: libicu72, ssl-cert and 14 more"]),
    ("etherpad", "Create Etherpad's own user", "user", ["user etherpad"]),
    ("etherpad", "Write Etherpad's settings", "template", ["writes /etc/etherpad/settings.json"]),
    ("etherpad", "Switch to the release", "file", ["link /opt/etherpad/current"]),
    ("etherpad", "Start Etherpad", "systemd_service", ["etherpad.service started, enabled at start-up"]),
    ("etherpad", "Etherpad | Restart Etherpad", "systemd_service", ["etherpad.service restarted"]),
]  # fmt: skip


@dataclass
class Sample:
    """Builds a log entry by entry.

    Args:
        hostile: put markup and control characters wherever a name can stand.
    """

    directory: Path
    hostile: str = ""

    def __post_init__(self) -> None:
        self.entries: list[Data] = []
        self.key = SignerKey.generate(ORIGIN)
        self.witness = SignerKey.generate("escola-marinada.example/custodia", Kind.COSIGNATURE_ED25519)
        log, witness = self.key.verifier.vkey, self.witness.verifier.vkey
        self.policy = Policy.parse(f"log {log}\nwitness school {witness}\nquorum none\n")
        self.erasures: list[tuple[int, str]] = []
        self.times: list[str] = []
        self.now = START

    def target(self, host: str = "", service: str = "") -> Target:
        return Target(school=SCHOOL, host=host + self.hostile if host else "", service=service)

    def actor(self, actor: Actor) -> Actor:
        return actor.model_copy(update={"name": actor.name + self.hostile, "key": actor.key + self.hostile})

    def add(self, data: Data, **later: float) -> int:
        self.now += timedelta(**later) if later else timedelta(seconds=7)
        self.entries.append(data)
        self.times.append(timestamp(self.now))
        return len(self.entries) - 1

    def heartbeats(self, days: int) -> None:
        for _ in range(days):
            self.now = self.now.replace(hour=5, minute=0)
            self.add(Heartbeat(actor=TOOL, target=self.target()), days=1)

    def run(
        self,
        actor: Actor,
        version: str,
        outcome: str = "ok",
        *,
        steps: list[tuple[str, str, str, list[str]]] = STEPS,
        why: str = "",
        authority: Authority | None = None,
        dirty: bool = False,
        end: bool = True,
        strict: bool = False,
        erase: bool = False,
    ) -> str:
        actor = self.actor(actor)
        run = f"{self.now:%Y%m%dT%H%M%SZ}-{len(self.entries):06x}"
        common: dict[str, Any] = {"actor": actor, "run": run}
        self.add(
            RunIntent(
                **common, target=self.target(), action="apply", tool="0.1.0", why=why + self.hostile if why else "",
                authority=authority, strict=strict,
                workspace=State(commit=f"{len(self.entries):040x}"[::-1], dirty=dirty),
                code=State(commit="", dirty=False), content={"school.yml": "ab" * 32},
                services=[Service(service="etherpad", version=version, source="apt", checksums={"e.deb": "cd" * 32})],
                hosts=[Host(name="main", address="192.0.2.10", host_key="SHA256:hostkeyhostkeyhostkey")],
            ),
            hours=2,
        )  # fmt: skip
        if strict:
            cosigner = Cosigner(
                name="escola-marinada.example/custodia", size=len(self.entries), time=1_790_000_000
            )
            self.add(
                RunApproved(actor=DIRECTION, target=self.target(), run=run, cosigners=[cosigner]), minutes=20
            )
        self.add(AccessOpened(**common, target=self.target("main"), kind="ssh", subject="provisio"))
        self.add(RunStarted(**common, target=self.target()))
        writer = DetailWriter(self.directory / "detail" / f"{run}.jsonl")
        changed: dict[str, int] = {}
        failed = None
        for place, (role, name, action, details) in enumerate(steps):
            last = outcome == "failed" and place == len(steps) - 1
            status = "failed" if last else "changed"
            payload = {
                "at": timestamp(self.now), "host": "main", "role": role, "name": name + self.hostile, "action": action,
                "status": status, "duration_ms": 700,
                "details": [] if last else [text + self.hostile for text in details],
                "diff": "--- a\n+++ b\n-old\n+new\n" + self.hostile, "ignored": False,
                "error": "E: No space left on device" + self.hostile if last else "",
            }  # fmt: skip
            number, commitment = writer.append(payload)
            self.add(
                TaskResult(
                    **common, target=self.target("main", role), action=action, outcome=status, number=number,
                    commitment=commitment.hex(),
                )
            )  # fmt: skip
            if last:
                failed = Failure(host="main", service=role, task=name + self.hostile)
            else:
                changed[role] = changed.get(role, 0) + 1
        size, root = writer.size, writer.root()
        writer.close()
        if end:
            healthy = outcome in {"ok", "unhealthy"}
            self.add(
                RunEnded(
                    **common, target=self.target(), outcome=outcome, milliseconds=47_250, changed=changed,
                    counts={"ok": 40, "changed": sum(changed.values()), "failed": int(failed is not None)},
                    detail_size=size, detail_root=root.hex(), failure=failed,
                    versions={"etherpad": version} if healthy else {},
                    healthy=(6 if outcome == "ok" else 4) if healthy else 0,
                    unhealthy=2 if outcome == "unhealthy" else 0,
                ),
                seconds=40,
            )  # fmt: skip
            self.add(AccessClosed(**common, target=self.target("main"), kind="ssh", subject="provisio"))
        if erase:
            index = self.add(
                ErasurePerformed(
                    actor=actor, target=self.target(), why="Petició d'una persona interessada",
                    erased=[Erased(run=run, numbers=[0, 1])],
                ),
                hours=1,
            )  # fmt: skip
            self.erasures.append((index, run))
        return run

    def write(self) -> SchoolLog:
        """Write everything, and erase what was to be erased."""
        raw = [compose(ORIGIN, data, when=when) for data, when in zip(self.entries, self.times, strict=True)]
        with writing(self.directory, ORIGIN, [self.key]) as writer:
            writer.append_raw(raw)
            writer.set_policy(self.policy)
            log = writer.log
        for index, run in self.erasures:
            log.detail.erase(run, [0, 1], parse(index, raw[index]).event["id"])
        return log


def rich_log(directory: Path, hostile: str = "") -> SchoolLog:
    """A log in which everything happens that a report tells."""
    log = Sample(directory, hostile)
    add, target = log.add, log.target
    add(
        LogOpened(
            actor=log.actor(MIREIA),
            target=target(),
            municipality="vilafresca",
            keys=[log.key.verifier.vkey],
            tool="0.1.0",
        )
    )
    add(PolicySet(actor=MIREIA, target=target(), policy=log.policy.text, strict=False))
    log.run(
        MIREIA,
        "3.2.0",
        why="Primera instal·lació",
        authority=Authority(basis="confirmed", ticket="T-101", approver="Cap de TIC"),
    )
    add(
        KeyAdded(
            actor=DIRECTION,
            target=target(),
            key=log.witness.verifier.vkey,
            purpose="witness",
        ),
        days=1,
    )
    log.heartbeats(6)
    add(
        AccessOpened(
            actor=log.actor(JORDI),
            target=target(),
            kind="secret",
            subject="etherpad_api_key",
            why="Integració amb el Moodle",
        )
    )
    log.heartbeats(5)
    log.run(JORDI, "3.3.0", "failed", steps=STEPS[:9], why="Actualització de seguretat")
    log.run(JORDI, "3.3.0", steps=STEPS[8:])
    add(SecretRotated(actor=JORDI, target=target(), names=["etherpad_api_key"], why="S'havia vist"), hours=3)
    log.heartbeats(4)
    add(
        AccessOpened(
            actor=MIREIA,
            target=target("main"),
            kind="grant",
            subject="SHA256:novaclau (Jordi Pons, portàtil)",
        )
    )
    log.heartbeats(8)
    log.run(MIREIA, "3.3.1", "unhealthy", steps=STEPS[9:], dirty=True)
    log.run(MIREIA, "3.3.1", steps=STEPS[12:], erase=True)
    services = {"etherpad": ServiceHealth(healthy=5, unhealthy=1)}
    add(HealthChecked(actor=MIREIA, target=target(), outcome="unhealthy", services=services), days=1)
    add(PolicySet(actor=DIRECTION, target=target(), policy=log.policy.text, strict=True), hours=1)
    log.run(JORDI, "3.3.1", steps=[], strict=True, authority=Authority(basis="cosigned"))
    add(Heartbeat(actor=TOOL, target=target()), days=4)
    add(
        LogRecovered(
            actor=TOOL,
            target=target(),
            leftovers=[Leftover(file="tile/entries/001.p/12", sha256="e" * 64, bytes=4021)],
        )
    )
    log.heartbeats(9)
    log.run(JORDI, "3.3.1", steps=STEPS[:4], end=False)
    found = "20261028T090000Z-c0ffee" + hostile
    add(DriftFound(actor=TOOL, target=target("main"), kind="unknown-run", found=found), hours=5)
    log.heartbeats(3)
    add(
        LessonsCut(
            actor=MIREIA, target=target("main"), by="escola-riu", by_run="r9", meetings=2, participants=31
        )
    )
    log.run(MIREIA, "3.3.1", "cancelled", steps=STEPS[:2])
    log.run(MIREIA, "3.3.1", steps=STEPS[3:8])
    log.heartbeats(39)
    return log.write()


def long_log(directory: Path, entries: int) -> SchoolLog:
    """A log with so many entries, most of them steps."""
    log = Sample(directory)
    log.add(
        LogOpened(
            actor=MIREIA,
            target=log.target(),
            municipality="vilafresca",
            keys=[log.key.verifier.vkey],
            tool="0.1.0",
        )
    )
    while len(log.entries) < entries:
        log.run(MIREIA if len(log.entries) % 3 else JORDI, "3.3.1", steps=STEPS * 2)
    return log.write()
