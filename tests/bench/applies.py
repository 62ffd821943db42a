"""What the audit log adds to a run, and what ARA adds to the same playbook."""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
from dataclasses import dataclass

from tests.bench.figures import Figure, in_turns, timed
from tests.bench.stage import BINARIES, ROOT, Stage

ROUNDS = 7
ARA_ROUNDS = 2
_OFF = "audit: {enabled: false}"


@dataclass(frozen=True)
class _Apply:
    """An apply with clocks in it.

    Args:
        seconds: the whole. log, cpu: seconds, and seconds of processor, of the log's own part.
        copy: of these seconds, those that went into its copy on the server.
        role: seconds of the role that keeps the copy's place on the server in order; without the log it does not run.
    """

    seconds: float
    log: float = 0.0
    cpu: float = 0.0
    copy: float = 0.0
    role: float = 0.0


def measure(stage: Stage) -> list[Figure]:
    """Measure, with the stage open."""
    return [*_log_on_and_off(stage), *_ara(stage)]


def _log_on_and_off(stage: Stage) -> list[Figure]:
    rounds = 1 if stage.small else ROUNDS
    stage.say(f"audit: {rounds} applies with the log, {rounds} without, in turns")
    on: list[_Apply] = []

    def with_log() -> float:
        on.append(_clocked(stage))
        return on[-1].seconds

    def without() -> float:
        with stage.setting(_OFF):
            apply = _clocked(stage)
        assert not apply.log, "the log was not off"
        return apply.seconds

    size = _size(stage)
    series = in_turns(rounds, {"on": with_log, "off": without})
    assert _size(stage) > size and all(one.log for one in on), "the log was not on"
    last = stage.school.json("runs", "show", "last")
    assert last["counts"].get("changed", 0) == 0, "the runs had something to do"
    off = statistics.median(series["off"])
    added = statistics.median(series["on"]) - off
    pairs = [first - second for first, second in zip(series["on"], series["off"], strict=True)]
    own = statistics.median(one.log for one in on)
    cpu = statistics.median(one.cpu for one in on)
    copy = statistics.median(one.copy for one in on)
    role = statistics.median(one.role for one in on)
    return [
        Figure(
            "apply_off",
            "apply, nothing to do, log off",
            off,
            beside=f"{min(series['off']):.2f} to {max(series['off']):.2f} s in {rounds} rounds",
        ),
        Figure(
            "apply_on",
            "the same, log on",
            statistics.median(series["on"]),
            beside=f"{min(series['on']):.2f} to {max(series['on']):.2f} s",
        ),
        Figure(
            "log_costs_percent",
            "the log adds",
            100 * added / off,
            "%",
            aim=2,
            beside=f"{added:+.3f} s; round by round {min(pairs):+.2f} to {max(pairs):+.2f} s",
        ),
        Figure(
            "log_own_percent",
            "time within the log's own code, of an apply without it",
            100 * own / off,
            "%",
            aim=2,
            beside=f"{own:.3f} s, of which {copy:.3f} s wait for its copy on the server",
        ),
        Figure(
            "log_role_percent",
            "the role audit_trail, which runs without a log as well",
            100 * role / off,
            "%",
            beside=f"{role:.3f} s",
        ),
        Figure(
            "log_cpu_ms", "processor time within the log's own code", 1000 * cpu, "ms", digits=1,
            beside=f"{100 * cpu / off:.2f} % of an apply",
        ),
    ]  # fmt: skip


def _clocked(stage: Stage) -> _Apply:
    """One apply, with clocks around what records it."""
    school, file = stage.school, stage.scratch / "clocks.json"
    words = [sys.executable, "-m", "tests.bench.clocked", str(file), *stage.apply_words]
    environment = {**school.environment, "PROVISION_WORKSPACE": str(school.directory)}

    def run() -> None:
        done = subprocess.run(
            words, env=environment, cwd=ROOT, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"apply ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")

    seconds = timed(run)
    clocks = json.loads(file.read_text())
    file.unlink()
    if not any(clocks["log"]):
        return _Apply(seconds)
    wall, cpu = (whole - part for whole, part in zip(clocks["log"], clocks["files"], strict=True))
    role = school.json("runs", "show", "last")["seconds_by_role"]["audit_trail"]
    return _Apply(seconds, wall, cpu, clocks["copy"][0], role)


def _size(stage: Stage) -> int:
    """How many entries the school's log has."""
    lines = (stage.school.directory / "audit" / stage.school.id / "checkpoint").read_text().splitlines()
    return int(lines[1])


def _ara(stage: Stage) -> list[Figure]:
    base = stage.scratch / "ara"
    plugins = subprocess.run(
        [sys.executable, "-m", "ara.setup.callback_plugins"], capture_output=True, text=True, check=True
    ).stdout.strip()
    environment = {
        "ANSIBLE_CALLBACK_PLUGINS": plugins,
        # Its offline database, its settings and its logs: all of it goes with the scratch directory.
        "ARA_BASE_DIR": str(base),
    }
    stage.say("audit: making ARA's database")
    # Its first run would do it, and the first run only.
    subprocess.run(
        [BINARIES / "ara-manage", "migrate"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        cwd=stage.scratch, check=True, capture_output=True,
    )  # fmt: skip
    rounds = 1 if stage.small else ARA_ROUNDS
    stage.say(f"audit: {rounds} runs of plain Ansible with ARA, {rounds} without, in turns")
    series = in_turns(
        rounds,
        {
            "ara": lambda: timed(lambda: stage.stock_ansible(environment)),
            "plain": lambda: timed(stage.stock_ansible),
        },
    )
    recorded = _ara_results(base) // rounds
    assert recorded >= stage.tasks // 2, f"ARA recorded only {recorded} results"
    plain, ara = statistics.median(series["plain"]), statistics.median(series["ara"])
    return [
        Figure("plain_ansible", "plain ansible-playbook over the same roles, nothing to do", plain),
        Figure(
            "ara",
            "the same with ARA's callback and its default offline database",
            ara,
            beside=f"{ara / plain:.2f} of it without; {recorded} results recorded",
        ),
    ]


def _ara_results(base: os.PathLike[str]) -> int:
    """How many results are in ARA's database."""
    database = sqlite3.connect(f"file:{os.fspath(base)}/ansible.sqlite?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM results").fetchone()[0])
    finally:
        database.close()
