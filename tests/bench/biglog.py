"""A log as a school has it after years, made fast: entries of the real writer with id, time, run, hashes replaced."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provision.audit import entries as e
from provision.audit.detail import DetailStore, DetailWriter
from provision.audit.tlog import (
    TILE_WIDTH,
    Checkpoint,
    Frontier,
    Kind,
    Note,
    Policy,
    SignerKey,
    TileBuilder,
    bundle_path,
    encode_bundle,
    leaf_hash,
)

ORIGIN = "provision.example.cat/escola-mar"
#: The school cosigns once in so many runs.
COSIGNED = 50
#: Entries of a run besides its results.
AROUND = 6
#: Seconds between two entries: a million of them are nearly five years.
STEP = 150
#: Every so manieth step of a run changes something, in a log with detail.
CHANGES = 10

_ACTOR = e.Actor(
    name="Núria Puig <nuria.puig@example.cat>", user="npuig", machine="portatil-7", key=f"SHA256:{'k' * 43}"
)
_TARGET = e.Target(school="escola-mar")
_HOST = e.Target(school="escola-mar", host="main")
_RUN, _TIME = "20000101T000000Z-000000", "2000-01-01T00:00:00.000Z"
_COMMITMENT, _ROOT = "c" * 64, "d" * 64


class _Template:
    """An entry whose varying parts can be replaced, which is many times faster than making each."""

    def __init__(self, data: e.Data) -> None:
        self._raw = e.compose(ORIGIN, data, when=_TIME)
        self._id = json.loads(self._raw)["id"].encode()

    def filled(self, number: int, time: bytes, run: bytes, **hashes: bytes) -> bytes:
        raw = self._raw.replace(self._id, b"01a20844-57f8-7161-a7e2-%012x" % number)
        raw = raw.replace(_TIME.encode(), time).replace(_RUN.encode(), run)
        for name, placeholder in (("commitment", _COMMITMENT), ("root", _ROOT)):
            if name in hashes:
                raw = raw.replace(placeholder.encode(), hashes[name])
        return raw


class BigLog:
    """Makes a log of many runs.

    Args:
        directory: where; made here.
        runs: how many runs.
        steps: of each run.
        detail: whether its steps have a detail, and one in ``CHANGES`` changed something; else there is no detail, and
            all changed something.

    Attributes:
        size: how many entries it has. policy: a file with its policy, outside of the log. steps: of all runs.
    """

    def __init__(self, directory: Path, *, runs: int, steps: int, detail: bool) -> None:
        self.directory = directory
        self.policy = directory.with_suffix(".policy")
        self.steps = runs * steps if detail else 0
        self._frontier, self._builder, self._bundle = Frontier(), TileBuilder(), list[bytes]()
        self._key = SignerKey.generate(ORIGIN)
        self._school = SignerKey.generate("escola-mar.example.cat/custodi", Kind.COSIGNATURE_ED25519)
        policy = Policy((self._key.verifier,), {"school": self._school.verifier}, {}, "school")
        directory.mkdir(parents=True)
        (directory / "checkpoints").mkdir()
        (directory / "policy").write_text(policy.text)
        self.policy.write_text(policy.text)
        changed = list(range(0, steps, CHANGES)) if detail else list(range(steps))
        count = 2 + runs * (AROUND + len(changed))
        self._start = datetime.now(UTC) - timedelta(days=1, seconds=STEP * count)
        self._add(_Template(self._opened()))
        self._add(_Template(e.PolicySet(actor=_ACTOR, target=_TARGET, policy=policy.text, strict=False)))
        before, results, after = _run_templates(steps, changed)
        for number in range(runs):
            run = f"20200101T000000Z-{number:06x}".encode()
            written = self._write_detail(run.decode(), steps) if detail else None
            for template in before:
                self._add(template, run)
            for step, template in zip(changed, results, strict=True):
                made = written[0][step] if written else hashlib.sha256(run + b"%d" % step).digest()
                self._add(template, run, commitment=made.hex().encode())
            for template in after:
                self._add(template, run, root=written[1].hex().encode() if written else b"0" * 64)
            if number % COSIGNED == COSIGNED - 1:
                self._cosign()
        self._finish()

    @property
    def size(self) -> int:
        """See the class."""
        return self._frontier.size

    def _opened(self) -> e.LogOpened:
        keys = [self._key.verifier.vkey]
        return e.LogOpened(actor=_ACTOR, target=_TARGET, municipality="Exemple", keys=keys, tool="provision")

    def _now(self) -> datetime:
        return self._start + timedelta(seconds=STEP * self.size)

    def _add(self, template: _Template, run: bytes = b"", **hashes: bytes) -> None:
        raw = template.filled(self.size, e.timestamp(self._now()).encode(), run, **hashes)
        self._bundle.append(raw)
        leaf = leaf_hash(raw)
        self._frontier.append(leaf)
        for tile in self._builder.append(leaf):
            self._put(tile.path, tile.data)
        if len(self._bundle) == TILE_WIDTH:
            self._put_bundle()

    def _put(self, name: str, content: bytes) -> None:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def _put_bundle(self) -> None:
        self._put(bundle_path((self.size - 1) // TILE_WIDTH, len(self._bundle)), encode_bundle(self._bundle))
        self._bundle.clear()

    def _note(self) -> Note:
        text = Checkpoint(ORIGIN, self.size, self._frontier.root()).text
        return Note(text, (self._key.sign(text),))

    def _cosign(self) -> None:
        note = self._note()
        note = note.add(self._school.sign(note.text, int(self._now().timestamp())))
        self._put(f"checkpoints/{self.size}", note.encode())

    def _finish(self) -> None:
        if self._bundle:
            self._put_bundle()
        for tile in self._builder.partial():
            self._put(tile.path, tile.data)
        self._put("checkpoint", self._note().encode())

    def _write_detail(self, run: str, steps: int) -> tuple[list[bytes], bytes]:
        """The commitments of a run's steps, and their root."""
        writer = DetailWriter(DetailStore(self.directory / "detail").file(run))
        commitments = [writer.append(_step(number))[1] for number in range(steps)]
        root = writer.root()
        writer.close()
        return commitments, root


def _step(number: int) -> dict[str, Any]:
    """What a step leaves: most change nothing and say little, some show a difference."""
    changed = number % CHANGES == 0
    return {
        "at": "2026-11-23T10:15:00Z",
        "host": "main",
        "role": "nginx",
        "name": "Write the site of each application that nginx serves",
        "action": "ansible.builtin.template",
        "status": "changed" if changed else "ok",
        "details": ["/etc/nginx/sites-available/moodle: línies noves"] if changed else [],
        "diff": "+    add_header Referrer-Policy same-origin;\n" * 20 if changed else "",
        "error": "",
        "ignored": False,
        "duration_ms": 340 + number,
    }


def _run_templates(
    steps: int, changed: list[int]
) -> tuple[list[_Template], list[_Template], list[_Template]]:
    """The entries of a run: before its results, its results, after them."""
    who: dict[str, Any] = {"actor": _ACTOR, "run": _RUN}
    ssh: dict[str, Any] = {"target": _HOST, "kind": "ssh", "subject": "provision@servidor.escola-mar.cat"}
    hashes = ("schools/escola-mar.yml", "municipality.yml", "roles/base", "roles/nginx", "roles/moodle")
    before = [
        e.RunIntent(
            **who,
            target=_TARGET,
            action="apply",
            why="actualització de tardor",
            authority=e.Authority(basis="confirmed", ticket="SAU-2026/1234"),
            tool="provision 0.1.0",
            workspace=e.State(commit="a" * 40, dirty=False),
            code=e.State(commit="b" * 40, dirty=False),
            services=[
                e.Service(
                    service="moodle", version="4.5.1", source="archive", checksums={"moodle.tgz": "1" * 64}
                )
            ],
            hosts=[e.Host(name="main", address="192.0.2.10", host_key=f"SHA256:{'h' * 43}")],
            content=dict.fromkeys(hashes, "2" * 64),
        ),
        e.AccessOpened(**who, **ssh),
        e.RunStarted(**who, target=_TARGET),
    ]
    service = e.Target(school="escola-mar", host="main", service="moodle")
    results = [
        e.TaskResult(
            **who,
            target=service,
            action="Write the site of each application that nginx serves",
            outcome="changed",
            number=number,
            commitment=_COMMITMENT,
        )
        for number in changed
    ]
    after = [
        e.HealthChecked(
            **who, target=_TARGET, outcome="ok", services={"moodle": e.ServiceHealth(healthy=7, unhealthy=0)}
        ),
        e.RunEnded(
            **who,
            target=_TARGET,
            outcome="ok",
            milliseconds=61_234,
            counts={"ok": steps - len(changed), "changed": len(changed)},
            changed={"moodle": len(changed)},
            detail_size=steps,
            detail_root=_ROOT,
            versions={"moodle": "4.5.1"},
            healthy=7,
        ),
        e.AccessClosed(**who, **ssh),
    ]
    assert len(before) + len(after) == AROUND
    return list(map(_Template, before)), list(map(_Template, results)), list(map(_Template, after))
