"""What the audit log costs: to append to, to verify, to prove an entry of; and what it adds to a run."""

import json
import os
import random
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

from provision.audit import entries as e
from provision.audit.log import SchoolLog, writing
from provision.audit.tlog import SignerKey
from provision.audit.verify.proof import prove
from tests.bench import applies
from tests.bench.biglog import AROUND, ORIGIN, BigLog
from tests.bench.figures import Figure, Part, percentile, timed
from tests.bench.processes import use
from tests.bench.stage import Stage

APPENDS = 300
ENTRIES = 1_000_000
#: Results of a run in the log of so many entries.
RESULTS = 44
RUNS_WITH_DETAIL, STEPS = 2_000, 50
PROOFS = 200


def measure(stage: Stage) -> Part:
    """Measure, with the stage open."""
    figures = [*_append(stage), *_big(stage), *applies.measure(stage)]
    return Part("audit", f"Audit log, on {os.cpu_count()} processors", figures)


def _append(stage: Stage) -> list[Figure]:
    count = 30 if stage.small else APPENDS
    stage.say(f"audit: {count} appends, each signed and on the disk")
    beat = e.TaskResult(
        actor=e.Actor(name="Ada Administradora", user="ada", machine="portatil-7"),
        target=e.Target(school="escola-mar", host="main", service="moodle"),
        action="Write the configuration",
        outcome="changed",
        run="20261123T101500Z-3fa2b1",
        number=0,
        commitment="0" * 64,
    )
    with writing(stage.scratch / "appended", ORIGIN, [SignerKey.generate(ORIGIN)]) as writer:
        # So that tiles and bundles are as full as they are on average, at every level.
        writer.append([beat] * 400)
        taken = [1000 * timed(lambda: writer.append([beat])) for _ in range(count)]
        with mock.patch.object(os, "fsync", wraps=os.fsync) as sync:
            writer.append([beat])
    return [
        Figure(
            "append_ms",
            "append one entry with a signed checkpoint",
            statistics.median(taken),
            "ms",
            aim=5,
            beside=f"median of {count}; {sync.call_count} fsync each",
        ),
        Figure("append_p95_ms", "95 of 100 of these appends take less than", percentile(taken, 95), "ms"),
    ]


def _big(stage: Stage) -> list[Figure]:
    runs = (ENTRIES // (AROUND + RESULTS)) // (10 if stage.small else 1)
    with_detail = RUNS_WITH_DETAIL // (20 if stage.small else 1)
    stage.say(f"audit: making a log of {runs * (AROUND + RESULTS):,} entries")
    big = BigLog(stage.scratch / "big", runs=runs, steps=RESULTS, detail=False)
    stage.say(f"audit: making a log with the detail of {with_detail * STEPS:,} steps")
    deep = BigLog(stage.scratch / "deep", runs=with_detail, steps=STEPS, detail=True)
    return [
        *_verify(stage, big, "verify", f"provision audit verify, {big.size:,} entries", aims=True),
        *_proofs(stage, big),
        *_verify(
            stage, deep, "verify_detail",
            f"provision audit verify, {deep.size:,} entries and the detail of {deep.steps:,} steps", aims=False,
        ),
    ]  # fmt: skip


def _verify(stage: Stage, log: BigLog, name: str, what: str, *, aims: bool) -> list[Figure]:
    stage.say(f"audit: {what}")
    words = ["audit", "verify", str(log.directory), "--policy", str(log.policy), "--json"]
    used = use([sys.executable, "-m", "provision", *words], os.environ, stage.scratch)
    if used.code:
        sys.exit(f"provision audit verify ended with {used.code}:\n{used.output[-3000:]}")
    verdict = json.loads(used.output)
    assert verdict["size"] == log.size and verdict["ok"], "another log was verified"
    return [
        Figure(
            f"{name}_seconds",
            what,
            used.seconds,
            aim=30 if aims else None,
        ),
        Figure(f"{name}_cpu", "processor time of all its processes", used.cpu),
        Figure(
            f"{name}_mb",
            "memory of all its processes at once, at most",
            used.peak,
            "MB",
            aim=300 if aims else None,
            digits=0,
        ),
    ]


def _proofs(stage: Stage, log: BigLog) -> list[Figure]:
    stage.say(f"audit: {PROOFS} proofs from it")
    directory: Path = log.directory
    chance = random.Random(3)
    numbers = [0, log.size - 1, *(chance.randrange(log.size) for _ in range(PROOFS - 2))]
    taken = []
    for number in numbers:
        started = time.perf_counter()
        # Everything but the start of the program: the log is opened anew, and nothing is kept from proof to proof.
        proof, entry = prove(SchoolLog.open(directory), number)
        taken.append(1000 * (time.perf_counter() - started))
        assert proof.index == number and entry
    return [
        Figure(
            "proof_ms",
            f"proof of one of {log.size:,} entries, after start-up",
            statistics.median(taken),
            "ms",
            aim=50,
            beside=f"median of {PROOFS}",
        ),
        Figure("proof_slowest_ms", "the slowest of these proofs", max(taken), "ms", aim=50),
    ]
