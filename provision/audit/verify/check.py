"""The whole verification of a log, step by step."""

import multiprocessing
import threading
import time as clock
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from provision.audit.anchor import check_anchors
from provision.audit.log import SchoolLog
from provision.audit.tlog import TILE_WIDTH, Policy, TlogError, VerifierKey, read_file
from provision.audit.tlog.policy import MAX_POLICY
from provision.audit.verify import detail, scan
from provision.audit.verify.findings import Erasure, Findings, Severity, Verdict
from provision.audit.verify.held import Held, gather, verify_signatures
from provision.audit.verify.history import judge_evidence, judge_held, judge_quorum, judge_tree
from provision.audit.verify.keys import KeyHistory, check_log_signatures, check_policy
from provision.audit.verify.runs import RunBook
from provision.audit.verify.times import Limit, check_limits, check_order, shown
from provision.audit.verify.tree import Tree
from provision.audit.verify.unseen import check_unseen
from provision.audit.verify.waiting import MOST, Recovery, bound, unbound

#: Entries, or steps of runs, from which on the work is spread over several processes.
SPREAD = 4 * scan.PIECE * TILE_WIDTH

_KEY_TYPES = frozenset({"log.opened", "key.added", "key.retired", "policy.set"})
_RUN_TYPES = frozenset({"policy.set", "run.intent", "run.approved", "run.started", "run.ended"})

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def verify(
    directory: Path,
    policy: Policy | None = None,
    *,
    max_age: timedelta | None = None,
    now: datetime | None = None,
    tsa_roots: Sequence[bytes] | None = None,
    against: Sequence[Path] = (),
    workers: int = 2,
) -> Verdict:
    """Verify a log, offline.

    Args:
        directory: the log, or a copy of it, from whomever: nothing in it is trusted.
        policy: keys and cosigners that the caller trusts, from a place that the city does not control. Without it the
            directory's own is used, and the verdict says that nothing else vouches for the keys.
        max_age: how old the newest entry and the newest cosignature may be, and how long a gap between entries.
        now: the present time, for tests.
        tsa_roots: PEM files of time-stamp authorities that the caller trusts.
        against: signed checkpoints, or directories with other copies of the log, that somebody else holds.
        workers: processes to use for a large log; 1 does everything in this one.

    Raises:
        LogError: there is no log, or its checkpoint cannot be read.
        UsageError: ``against`` or ``tsa_roots`` are unusable.
    """
    verification = _Verification(
        SchoolLog.open(directory),
        policy,
        None if max_age is None else int(max_age.total_seconds()),
        int(now.timestamp()) if now else present(),
    )
    with ExitStack() as stack:
        pool = None
        if workers > 1 and verification.size >= SPREAD:
            pool = stack.enter_context(_pool(workers))
        return verification.run(pool, workers, tsa_roots, against)


def present() -> int:
    """The present time in Unix seconds."""
    return int(clock.time())


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork is quick and shares memory, but unsafe beside other threads.
    method = "fork" if threading.active_count() == 1 else "spawn"
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


def _spread(
    pool: Executor | None, workers: int, function: Callable[[_In], _Out], jobs: Iterable[_In]
) -> Iterator[_Out]:
    """Results in the order of the jobs, with only a few of them ahead of whoever takes them."""
    if pool is None:
        yield from map(function, jobs)
        return
    waiting: deque[Future[_Out]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@dataclass(slots=True)
class _Details:
    """A batch of runs whose detail is to be checked."""

    directory: Path
    batch: list[detail.Expected]

    def check(self) -> list[detail.Detail]:
        return detail.check(self.directory, self.batch)


def _check_details(job: _Details) -> list[detail.Detail]:
    return job.check()


@dataclass(slots=True)
class _Erasing:
    """An ``erasure.performed`` entry."""

    entry: int
    time: str
    actor: str
    named: dict[str, set[int]] = field(default_factory=dict)


class _Verification:
    """What is known so far."""

    def __init__(self, log: SchoolLog, policy: Policy | None, max_age: int | None, now: int) -> None:
        self.log = log
        self.directory = log.directory
        self.origin, self.size = log.origin, log.size
        self.given = policy
        self.max_age, self.now = max_age, now
        self.findings = Findings()
        self.keys = KeyHistory()
        self.book = RunBook(self.findings)
        self.times: array[int] = array("q")
        self.away: array[int] = array("Q")
        self.recoveries: list[Recovery] = []
        self.types: Counter[str] = Counter()
        self.erasings: dict[str, _Erasing] = {}

    def run(
        self, pool: Executor | None, workers: int, tsa_roots: Sequence[bytes] | None, against: Sequence[Path]
    ) -> Verdict:
        """All checks."""
        findings = self.findings
        held = gather(self.directory, self.log.note, self.origin, against, findings)
        own = self._own_policy()
        tree = self._scan(pool, workers, held)
        policy = self.given or own or self._opening_policy()
        verify_signatures(held, self._log_keys(policy), self._witnesses(policy), findings)
        trusted = self.keys.trusted(policy, self.origin, held, findings)
        check_log_signatures(held, self.keys, trusted, self.origin, findings)
        check_policy(self.keys, self.given, own, self.origin, findings)
        if self.given is None:
            findings.add("policy/unvouched", severity=Severity.WARNING)

        roots = judge_tree(self.directory, self.log.checkpoint, tree, held, findings)
        proven = judge_evidence(self.directory, self.origin, self._log_keys(policy), findings)
        standing = judge_held(self.directory, self.size, held, roots, self.now, proven, findings)
        cosigned = judge_quorum(
            standing.fitting, policy, self.size, self._time_of, self.now, self.max_age, findings
        )
        anchored = self._anchors(tsa_roots, standing.fitting)
        waited = bound(self.directory, self.size, self.recoveries, self.book)
        away = array("Q", sorted({*self.away, *waited}))
        claimed = unbound(self.times, away, self.recoveries, self.book)
        longest = check_order(self.times, away, claimed, self.now, self.max_age, findings)
        check_limits(self.times, [*standing.limits, *anchored], findings)
        older = array("Q", sorted({*away, *claimed}))
        check_unseen(self.times, older, standing.limits, anchored, self.book, findings)
        covered = cosigned.size if cosigned else 0
        self.book.judge(
            self.now, self._time_of, standing.fitting, policy, self.keys.policies, covered, waited
        )
        self._details(pool, workers)
        return Verdict(
            origin=self.origin,
            size=self.size,
            root=self.log.root,
            first=shown(self.times[0]) if self.times else "",
            last=shown(self.times[-1]) if self.times else "",
            findings=findings.sorted(),
            counts=dict(findings.counts),
            vouched=self.given is not None,
            quorum=policy.quorum != "none",
            cosigned=cosigned,
            erasures=self._erasures(),
            types=dict(sorted(self.types.items())),
            anchors=len(anchored),
            longest_gap=longest,
        )

    def _own_policy(self) -> Policy | None:
        severity = Severity.BAD if self.given is None else Severity.WARNING
        try:
            data = read_file(self.directory, "policy", MAX_POLICY)
            if data is not None:
                return Policy.parse(data)
            self.findings.add("policy/missing", error="policy", severity=severity)
        except TlogError as error:
            self.findings.add("policy/missing", error=str(error), severity=severity)
        return None

    def _opening_policy(self) -> Policy:
        """Where there is no policy at all: the keys that the log says it was opened with."""
        try:
            return Policy(logs=tuple(self.keys.opened))
        except TlogError:
            return Policy()

    def _scan(self, pool: Executor | None, workers: int, held: Sequence[Held]) -> Tree:
        """Read every entry."""
        sizes = {one.checkpoint.size for one in held if one.checkpoint.size <= self.size}
        tree = Tree(self.directory, self.size, frozenset(sizes))
        wanted = sorted(sizes - {0})
        number = 0
        pieces = _spread(pool, workers, scan.work, scan.jobs(self.directory, self.size, self.origin, wanted))
        for piece in pieces:
            first = number
            for bundle in piece.bundles:
                tree.add(number, bundle)
                number += 1
            self._take(piece)
            if tree.end <= first:
                # A checkpoint may claim any size: where a whole piece is missing, nothing more is looked for.
                break
        tree.finish()
        return tree

    def _take(self, piece: scan.Piece) -> None:
        self.times.extend(piece.times)
        self.types.update(piece.types)
        self.away.extend(piece.away)
        kept: Counter[str] = Counter()
        for text, index, facts in piece.problems:
            kept[text] += 1
            more = piece.overflow[text] - scan.KEPT if kept[text] == scan.KEPT else 0
            self.findings.add(text, index, times=1 + max(more, 0), given=facts)
        for name, results in piece.results.items():
            self.book.take_results(name, results)
        for index, kind, facts in piece.events:
            if kind in _KEY_TYPES:
                self.keys.take(index, kind, facts, self.findings)
            if kind in _RUN_TYPES:
                self.book.take(index, kind, facts)
            elif kind == "log.recovered":
                self._take_recovery(index, facts)
            elif kind == "erasure.performed":
                self._take_erasing(index, facts)

    def _take_recovery(self, index: int, facts: dict[str, Any]) -> None:
        if (facts["checkpoint"] or "size" in facts) and len(self.recoveries) < MOST:
            self.recoveries.append(Recovery(index, **facts))

    def _take_erasing(self, index: int, facts: dict[str, Any]) -> None:
        erasing = self.erasings.setdefault(facts["id"], _Erasing(index, facts["time"], facts["actor"]))
        for run, numbers in facts["erased"]:
            erasing.named.setdefault(run, set()).update(numbers)

    def _time_of(self, index: int) -> int:
        """The time of an entry in Unix seconds; 0 where it has none."""
        return max(self.times[index] // 1000, 0) if 0 <= index < len(self.times) else 0

    def _log_keys(self, policy: Policy) -> list[VerifierKey]:
        """Every key that the log ever had, as it says itself, and those of the policy."""
        return [*(key for key in policy.logs if key.name == self.origin), *self.keys.since]

    def _witnesses(self, policy: Policy) -> dict[str, VerifierKey]:
        """The policy's witnesses by their names there, and former ones of the log by their keys.

        Only the policy's count for its quorum; former ones still show what they once signed.
        """
        known = set(policy.witnesses.values())
        former = {name: key for name, key in self.keys.witnesses.items() if key not in known}
        return {**former, **policy.witnesses}

    def _anchors(self, roots: Sequence[bytes] | None, fitting: Sequence[Held]) -> list[Limit]:
        sizes = {one.checkpoint.size for one in fitting}
        good = []
        for result in check_anchors(self.directory, roots):
            if result.problem is not None or result.time is None:
                self.findings.add("anchor/bad", size=result.size, error=result.problem or "")
            elif result.size in sizes:
                time = int(result.time.timestamp())
                source = f"anchors/{result.size}.tsr"
                good.append(Limit(result.size, time, result.authority, source, "time-forged/anchored"))
        return good

    def _details(self, pool: Executor | None, workers: int) -> None:
        """The detail of every run against the log, and what was erased of it."""
        expected = [
            one for name, run in self.book.runs.items() if (one := detail.expected_of(name, run)) is not None
        ]
        if not expected:
            return
        if not (self.directory / "detail").is_dir():
            self.findings.add("detail-missing/all", runs=len(expected), severity=Severity.WARNING)
            return
        with ExitStack() as stack:
            if pool is None and workers > 1 and sum(one.size for one in expected) >= SPREAD:
                # Few entries, but many steps that changed nothing.
                pool = stack.enter_context(_pool(workers))
            self._compare_details(_spread(pool, workers, _check_details, _batches(self.directory, expected)))

    def _compare_details(self, batches: Iterable[list[detail.Detail]]) -> None:
        erased: dict[tuple[str, str], set[int]] = {}
        here: set[str] = set()
        for found in chain.from_iterable(batches):
            for text, entry, facts in found.problems:
                severity = Severity.WARNING if text == "detail-missing/unbound" else Severity.BAD
                self.findings.add(text, entry, given=facts, severity=severity)
            if found.steps:
                here.add(found.run)
            for identity, numbers in found.erased.items():
                erased[identity, found.run] = set(numbers)
                self._judge_erased(found, identity, numbers)
        self._judge_named(erased, here)

    def _judge_erased(self, one: detail.Detail, identity: str, numbers: "array[int]") -> None:
        """Every erased step must be one that its entry names."""
        erasing = self.erasings.get(identity)
        named = erasing.named.get(one.run, set()) if erasing else set()
        unexplained = [number for number in numbers if number not in named]
        if unexplained:
            self.findings.add(
                "erased/unexplained", one.entry, run=one.run, number=unexplained[0], count=len(unexplained)
            )

    def _judge_named(self, erased: dict[tuple[str, str], set[int]], here: set[str]) -> None:
        """Every step that an entry names must be erased, by that entry or another."""
        gone: dict[str, set[int]] = {}
        for (_, run), numbers in erased.items():
            gone.setdefault(run, set()).update(numbers)
        for erasing in self.erasings.values():
            for run, numbers in erasing.named.items():
                left = numbers - gone.get(run, set()) if run in here else set()
                if left:
                    self.findings.add(
                        "erased/not-yet", erasing.entry, run=run, count=len(left), severity=Severity.WARNING
                    )

    def _erasures(self) -> tuple[Erasure, ...]:
        return tuple(
            Erasure(one.entry, one.time, one.actor, run, tuple(sorted(numbers)))
            for one in self.erasings.values()
            for run, numbers in one.named.items()
        )


def _batches(directory: Path, expected: Iterable[detail.Expected]) -> Iterator[_Details]:
    batch: list[detail.Expected] = []
    steps = 0
    for one in expected:
        batch.append(one)
        steps += max(one.size, len(one.numbers))
        if steps >= detail.BATCH:
            yield _Details(directory, batch)
            batch, steps = [], 0
    if batch:
        yield _Details(directory, batch)
