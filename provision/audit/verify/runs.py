"""Runs as the entries tell them: announced, approved where that is needed, started, ended, in this order."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.audit.tlog import Policy, VerifierKey
from provision.audit.verify.approval import Cosigners, Standing, standing
from provision.audit.verify.findings import Findings, Severity
from provision.audit.verify.held import Held
from provision.audit.verify.reading import TOLERANCE, has
from provision.audit.verify.scan import Results

#: How long the newest run may be under way before its missing end is a finding.
UNDER_WAY = 24 * 3600
#: Ends of strict mode that are looked at; of a log with more the first ones say enough.
MOST_ENDED = 200

TimeOf = Callable[[int], int]


@dataclass(slots=True)
class Run:
    """What the log says of a run; numbers of entries, None for what it does not say.

    Args:
        strict: entry that asks for approval: the intent itself, or the policy in force; None where none does.
        by_policy: whether it is the policy that asks for it.
        cosigners: name, size and time of each cosignature that ``run.approved`` names.
        size, root: of the detail, as ``run.ended`` has them. broken: a later run closed it; ``closed``: the entry in
            which the first one did.
    """

    intent: int | None = None
    approved: int | None = None
    started: int | None = None
    ended: int | None = None
    strict: int | None = None
    by_policy: bool = False
    cosigners: list[tuple[str, int, int]] = field(default_factory=list)
    size: int = 0
    root: bytes = b""
    broken: bool = False
    closed: int | None = None
    results: Results | None = None


class RunBook:
    """Collects what the entries say about runs, in the order of the log."""

    def __init__(self, findings: Findings) -> None:
        self.runs: dict[str, Run] = {}
        self._findings = findings
        self._strict_since: int | None = None
        self._newest: str | None = None
        # Entries that end strict mode, and those that bring it back.
        self._ended: list[int] = []
        self._again: dict[int, int] = {}
        self._after_end: list[tuple[int, str]] = []
        self._former: dict[tuple[Standing, str], list[tuple[int, str]]] = {}

    def take(self, index: int, kind: str, facts: dict[str, Any]) -> None:
        """Take an entry about a run, or about the policy."""
        if kind == "policy.set":
            if self._strict_since is not None and not facts["strict"]:
                self._ended.append(index)
            elif self._strict_since is None and facts["strict"] and self._ended:
                self._again[self._ended[-1]] = index
            self._strict_since = index if facts["strict"] else None
            return
        name = facts["run"]
        run = self.runs.setdefault(name, Run())
        slot = kind.removeprefix("run.")
        if slot == "ended" and run.broken and not facts["broken"]:
            # A colleague took it for broken off while its own end could not reach the server yet.
            run.ended = None
        if getattr(run, slot) is not None:
            # The first one counts: what came later cannot mend it.
            self._findings.add("run-order/twice", index, run=name, type=kind)
            return
        setattr(run, slot, index)
        if run.ended is not None and slot != "ended":
            self._after_end.append((index, name))
        match slot:
            case "intent":
                self._newest = name
                run.strict = index if facts["strict"] else self._strict_since
                run.by_policy = not facts["strict"] and run.strict is not None
            case "approved":
                run.cosigners = facts["cosigners"]
            case "ended":
                run.size, run.root, run.broken = facts["size"], facts["root"], facts["broken"]
                run.closed = index if run.broken and run.closed is None else run.closed

    def take_results(self, name: str, results: Results) -> None:
        """Take the steps that a piece of the log has of a run."""
        run = self.runs.setdefault(name, Run())
        if run.results is None:
            run.results = results
        else:
            run.results.add(results)

    def whole_run(self, first: int, last: int, shared: int) -> bool:
        """Whether entries that are said to have waited have steps of a run that had not been announced before.

        Args:
            first, last: those entries.
            shared: entries that everybody had then.
        """
        for run in self.runs.values():
            announced = run.intent is not None and run.intent < shared
            if not announced and (
                (run.results is not None and _any_within(run.results.entries, first, last))
                or (run.ended is not None and first <= run.ended <= last and run.size)
            ):
                return True
        return False

    def judge(
        self,
        now: int,
        time_of: TimeOf,
        held: Sequence[Held],
        policy: Policy,
        history: Sequence[tuple[int, Policy]],
        covered: int,
        waited: "array[int]",
    ) -> None:
        """Say what is wrong with the order of things.

        Args:
            now: Unix seconds. time_of: gives the time of an entry, Unix seconds.
            held: checkpoints whose signatures were verified. policy: whose cosignatures approve.
            history: each ``policy.set`` of the log, with its number.
            covered: entries that the policy's cosigners vouch for: with them for former witnesses named there.
            waited: entries that are bound as such that waited for the log, ascending.
        """
        for index, name in self._after_end:
            # A colleague took it for broken off while this waited; that it had begun is told all the same.
            if self.runs[name].closed is None or not has(waited, index):
                self._findings.add("run-order/late", index, run=name)
        cosigners = Cosigners(held)

        def judged(keys: set[VerifierKey], approved: int) -> Standing:
            return standing(
                keys, approved, trusted=policy, history=history, cosigners=cosigners, covered=covered
            )

        for name, run in self.runs.items():
            first = _first(run)
            if run.intent is None:
                self._findings.add("no-intent/run", first, run=name)
            elif first is not None and first < run.intent:
                self._findings.add("run-order/early", first, run=name)
            if run.intent is not None and run.ended is None:
                # One that waits for the school may wait for long.
                waiting = run.strict is not None and run.started is None
                recent = name == self._newest and (waiting or now - time_of(run.intent) < UNDER_WAY)
                self._findings.add(
                    "no-end/under-way" if recent else "no-end/run",
                    run.intent,
                    run=name,
                    severity=Severity.NOTE if recent else Severity.BAD,
                )
            self._judge_results(name, run)
            if run.intent is not None and run.started is not None:
                self._judge_approval(name, run, time_of, cosigners, judged)

        self._tell_former()
        self._tell_ended(policy, history, cosigners)

    def _judge_results(self, name: str, run: Run) -> None:
        if run.results is None:
            return
        first, last = run.results.entries[0], run.results.entries[-1]
        if run.ended is not None and last > run.ended:
            self._findings.add("run-order/late", last, run=name)
        if run.intent is not None and (run.started is None or first < run.started):
            self._findings.add("run-order/unstarted", first, run=name)

    def _judge_approval(
        self,
        name: str,
        run: Run,
        time_of: TimeOf,
        cosigners: Cosigners,
        judged: Callable[[set[VerifierKey], int], Standing],
    ) -> None:
        if run.intent is None or run.started is None or (run.strict is None and run.approved is None):
            return
        if run.approved is None or run.approved > run.started:
            text = "unapproved/not-strict" if run.by_policy else "unapproved/missing"
            self._findings.add(text, run.started, run=name, policy=run.strict or 0)
            return
        limit = time_of(run.started) + TOLERANCE
        named = ", ".join(cosigner for cosigner, _, _ in run.cosigners[:5]) or "—"
        # What the school cosigned when a colleague had withdrawn the run already is no consent to it.
        most = run.approved if run.closed is None else min(run.approved, run.closed)
        proven: dict[VerifierKey, bool] = {}
        for cosigner, size, claimed in run.cosigners:
            # It must have been there when the approval was written: what the log would grow to nobody can have signed.
            if run.intent < size <= most and claimed <= limit:
                # A later line of the same cosigner replaces the one that the run waited for.
                for key, time in cosigners.of(cosigner, size).items():
                    proven[key] = proven.get(key, False) or time <= limit
        found = judged(set(proven), run.approved)
        if found is Standing.NONE or found is Standing.STRANGER:
            text = "unapproved/unproven" if found is Standing.NONE else "unapproved/stranger"
            self._findings.add(text, run.approved, run=name, cosigner=named)
            return
        if judged({key for key, timely in proven.items() if timely}, run.approved) in {
            Standing.NONE,
            Standing.STRANGER,
        }:
            self._findings.add(
                "unapproved/late", run.approved, run=name, cosigner=named, severity=Severity.WARNING
            )
        if found is not Standing.GOOD:
            self._former.setdefault((found, named), []).append((run.approved, name))

    def _tell_ended(
        self, trusted: Policy, history: Sequence[tuple[int, Policy]], cosigners: Cosigners
    ) -> None:
        """Where the city ended that runs wait for the school: whether the school knew before the next one began."""
        loose = sorted(
            (run.intent, run.started, name)
            for name, run in self.runs.items()
            if run.intent is not None
            and run.started is not None
            and run.strict is None
            and run.approved is None
        )
        for index in self._ended[:MOST_ENDED]:
            again = self._again.get(index)
            asked = cosigners.of_change(index, trusted, history)
            unasked = [
                (started, name)
                for intent, started, name in loose
                if index < intent
                and (again is None or intent < again)
                and asked is not None
                and started < asked
            ]
            if not unasked:
                self._findings.add("strict/ended", index, severity=Severity.NOTE)
                continue
            # Between two visits, and put back as it was: the school has never seen runs go on without it.
            hidden = again is not None and asked is not None and again < asked
            self._findings.add(
                "strict/unseen" if hidden else "strict/unasked",
                index,
                run=unasked[0][1],
                count=len(unasked),
                again=again or 0,
                severity=Severity.BAD if hidden else Severity.WARNING,
            )

    def _tell_former(self) -> None:
        """Once for each witness: whoever had one for years had many runs with it."""
        for (found, named), runs in self._former.items():
            text, severity = (
                ("former/witness", Severity.NOTE)
                if found is Standing.FORMER
                else ("former/unseen", Severity.WARNING)
            )
            first, name = min(runs)
            self._findings.add(text, first, run=name, cosigner=named, count=len(runs), severity=severity)


def _any_within(places: "array[int]", first: int, last: int) -> bool:
    """Whether an ascending row has a number from ``first`` to ``last``."""
    place = bisect_left(places, first)
    return place < len(places) and places[place] <= last


def _first(run: Run) -> int | None:
    places = [place for place in (run.approved, run.started, run.ended) if place is not None]
    if run.results is not None:
        places.append(run.results.entries[0])
    return min(places, default=run.intent)
