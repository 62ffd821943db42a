"""Runs as the entries tell them: announced, approved where that is needed, started, ended, in this order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.audit.tlog import Policy
from provision.audit.verify.findings import Findings, Severity
from provision.audit.verify.held import Held
from provision.audit.verify.scan import Results

#: How long the newest run may be under way before its missing end is a finding.
UNDER_WAY = 24 * 3600
#: Clocks of city, school and authority may differ by this much (seconds).
TOLERANCE = 300

TimeOf = Callable[[int], int]


@dataclass(slots=True)
class Run:
    """What the log says of a run; numbers of entries, None for what it does not say.

    Args:
        strict: entry that asks for approval: the intent itself, or the policy in force; None where none does.
        by_policy: whether it is the policy that asks for it.
        cosigners: name, size and time of each cosignature that ``run.approved`` names.
        size, root: of the detail, as ``run.ended`` has them. broken: a later run closed it.
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
    results: Results | None = None


class RunBook:
    """Collects what the entries say about runs, in the order of the log."""

    def __init__(self, findings: Findings) -> None:
        self.runs: dict[str, Run] = {}
        self._findings = findings
        self._strict_since: int | None = None
        self._newest: str | None = None

    def take(self, index: int, kind: str, facts: dict[str, Any]) -> None:
        """Take an entry about a run, or about the policy."""
        if kind == "policy.set":
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
            self._findings.add("run-order/late", index, run=name)
        match slot:
            case "intent":
                self._newest = name
                run.strict = index if facts["strict"] else self._strict_since
                run.by_policy = not facts["strict"] and run.strict is not None
            case "approved":
                run.cosigners = facts["cosigners"]
            case "ended":
                run.size, run.root, run.broken = facts["size"], facts["root"], facts["broken"]

    def take_results(self, name: str, results: Results) -> None:
        """Take the steps that a piece of the log has of a run."""
        run = self.runs.setdefault(name, Run())
        if run.results is None:
            run.results = results
        else:
            run.results.add(results)

    def judge(self, now: int, time_of: TimeOf, held: Sequence[Held], policy: Policy, covered: int) -> None:
        """Say what is wrong with the order of things.

        Args:
            now: Unix seconds. time_of: gives the time of an entry, Unix seconds.
            held: checkpoints whose signatures were verified. policy: whose cosignatures approve.
            covered: entries that the policy's cosigners vouch for: with them for former witnesses named there.
        """
        cosigned = _cosignatures(held)
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
                self._judge_approval(name, run, time_of, cosigned, policy, covered)

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
        cosigned: dict[tuple[str, int], tuple[str, int]],
        policy: Policy,
        covered: int,
    ) -> None:
        if run.intent is None or run.started is None or (run.strict is None and run.approved is None):
            return
        if run.approved is None or run.approved > run.started:
            text = "unapproved/not-strict" if run.by_policy else "unapproved/missing"
            self._findings.add(text, run.started, run=name, policy=run.strict or 0)
            return
        limit = time_of(run.started) + TOLERANCE
        named = ", ".join(cosigner for cosigner, _, _ in run.cosigners[:5]) or "—"
        proven: dict[str, bool] = {}
        for cosigner, size, claimed in run.cosigners:
            found = cosigned.get((cosigner, size))
            # A later line of the same cosigner replaces the one that the run waited for.
            if found is not None and size > run.intent and claimed <= limit:
                proven[found[0]] = found[1] <= limit
        if not _enough(set(proven), policy, run.approved < covered):
            self._findings.add("unapproved/unproven", run.approved, run=name, cosigner=named)
        elif not _enough({one for one, timely in proven.items() if timely}, policy, run.approved < covered):
            self._findings.add(
                "unapproved/late", run.approved, run=name, cosigner=named, severity=Severity.WARNING
            )


def _enough(names: set[str], policy: Policy, vouched: bool) -> bool:
    """Whether these cosigners could approve: those of the policy, or former ones that the policy's vouch for."""
    present = names & set(policy.witnesses)
    if vouched and names - present:
        return True
    return bool(present) and policy.satisfied(present)


def _first(run: Run) -> int | None:
    places = [place for place in (run.approved, run.started, run.ended) if place is not None]
    if run.results is not None:
        places.append(run.results.entries[0])
    return min(places, default=run.intent)


def _cosignatures(held: Sequence[Held]) -> dict[tuple[str, int], tuple[str, int]]:
    """Cosignatures that hold, by the name of the key or of the policy and by size: name in the policy, and the time."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    for one in held:
        for cosignature in one.cosignatures:
            for name in (cosignature.name, cosignature.key.name):
                key = (name, one.checkpoint.size)
                earlier = found.get(key)
                if earlier is None or cosignature.time < earlier[1]:
                    found[key] = (cosignature.name, cosignature.time)
    return found
