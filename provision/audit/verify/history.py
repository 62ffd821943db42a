"""Whether every checkpoint that somebody holds is one of this log, and who cosigned how much of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.audit.tlog import (
    MAX_NOTE,
    NO_QUORUM,
    TILE_WIDTH,
    Checkpoint,
    Note,
    Policy,
    TileReader,
    TlogError,
    VerifierKey,
    bundle_path,
    read_file,
    tile_path,
)
from provision.audit.verify.diagnose import compare, entry_hashes, tile_hashes
from provision.audit.verify.findings import Cosigned, Findings, Severity
from provision.audit.verify.held import Held, Role, shown_key
from provision.audit.verify.times import Limit
from provision.audit.verify.tree import Tree
from provision.audit.verify.words import moment
from provision.audit.witness.evidence import Evidence, EvidenceError, list_evidence

#: Clocks may differ by this much (seconds).
_TOLERANCE = 300
#: Pieces of evidence that are looked at.
_MAX_EVIDENCE = 100


def judge_tree(
    directory: Path, checkpoint: Checkpoint, tree: Tree, held: Sequence[Held], findings: Findings
) -> dict[int, bytes | None]:
    """Compare entries, tiles and the checkpoint; say which of them is wrong, and where.

    Returns:
        The roots at the sizes that were asked for, from the side that the checkpoint vouches for.
    """
    size = checkpoint.size
    by_entries = tree.roots.get(size) == checkpoint.root
    by_tiles = tree.tile_roots.get(size) == checkpoint.root
    for name in tree.bad_tiles:
        findings.add("tile/file", file=name)
    if by_entries:
        for number in tree.differing:
            name = tile_path(0, number, min(size - number * TILE_WIDTH, TILE_WIDTH))
            findings.add("tile/file", file=name)
        return tree.roots
    for number, (count, error) in tree.unreadable.items():
        # What is short by some entries is told entry by entry, if the tiles know them.
        if number < tree.end and (not count or not by_tiles):
            first = number * TILE_WIDTH
            last = min(first + TILE_WIDTH, size) - 1
            findings.add(
                "damaged/bundle", first, last=last, file=bundle_path(number, last - first + 1), error=error
            )
    if by_tiles:
        _compare_own(directory, tree, findings)
        return tree.tile_roots
    if tree.end < -(-size // TILE_WIDTH) or (tree.unreadable and max(tree.unreadable) == tree.end - 1):
        findings.add("truncated/end", tree.count, last=size - 1, size=size, found=tree.count)
        return tree.roots
    fits = (
        one.checkpoint.size
        for one in held
        if one.checkpoint.size < size and tree.roots.get(one.checkpoint.size) == one.checkpoint.root
    )
    findings.add("rewritten/root", max(fits, default=0), last=size - 1)
    if tree.differing:
        _compare_own(directory, tree, findings)
    return tree.roots


def _compare_own(directory: Path, tree: Tree, findings: Findings) -> None:
    """Entries against the tiles of the same log."""
    start = min(tree.differing, default=0) * TILE_WIDTH
    compare(
        entry_hashes(directory, tree.size, start, tree.end),
        tile_hashes(directory, tree.size, start),
        start,
        findings,
    )


def judge_evidence(
    directory: Path, origin: str, log_keys: Sequence[VerifierKey], findings: Findings
) -> frozenset[str]:
    """Check what a witness kept as proof that the log was forked: two signed checkpoints and why they contradict.

    Returns:
        The directories that prove it, as ``evidence/<name>``.
    """
    proven = set()
    for place in list_evidence(directory / "evidence")[:_MAX_EVIDENCE]:
        if not (place / "proof.json").is_file():
            continue
        name = f"evidence/{place.name}"
        try:
            larger, smaller = Evidence.load(place).check(log_keys)
        except EvidenceError:
            findings.add("evidence/unreadable", file=name, severity=Severity.WARNING)
            continue
        if larger.origin == origin:
            proven.add(name)
            findings.add(
                "forked/proof",
                0,
                last=max(smaller.size - 1, 0),
                size=smaller.size,
                more=larger.size,
                source=name,
            )
    return frozenset(proven)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the held checkpoints show of a log.

    Args:
        fitting: those that are of this log and fit it.
        limits: times that its entries cannot be later than.
    """

    fitting: list[Held]
    limits: list[Limit]


def judge_held(
    directory: Path,
    size: int,
    held: Sequence[Held],
    roots: dict[int, bytes | None],
    now: int,
    proven: frozenset[str],
    findings: Findings,
) -> Standing:
    """Compare each held checkpoint with the log.

    Args:
        size: of the log. roots: its roots at all sizes that were asked for. now: Unix seconds.
        proven: directories whose evidence was told already.
    """
    fitting: list[Held] = []
    beyond: dict[int, Held] = {}
    contradicting: list[Held] = []
    for one in held:
        if not one.logs and not one.cosignatures:
            continue
        its = one.checkpoint
        if its.size > size and one.source.rpartition("/")[0] in proven:
            continue
        if its.size > size:
            findings.add(
                "rolled-back/checkpoint", size, last=its.size - 1, source=one.source, size=its.size, have=size
            )
            other = beyond.setdefault(its.size, one)
            if other.checkpoint.root != its.root:
                findings.add("forked/two", size=its.size, source=other.source, other=one.source)
        elif roots.get(its.size) == its.root:
            fitting.append(one)
        elif one.role is not Role.CURRENT:
            contradicting.append(one)
    agreed = sorted(one.checkpoint.size for one in fitting)
    for one in contradicting:
        since = max((place for place in agreed if place < one.checkpoint.size), default=0)
        _say_contradiction(one, since, findings)
    for copy in dict.fromkeys(one.copy for one in contradicting if one.copy):
        _compare_copy(directory, size, copy, findings)
    for one in fitting:
        if one.role is Role.EVIDENCE:
            findings.add("evidence/kept", file=one.source, severity=Severity.NOTE)
    return Standing(fitting, _limits(fitting, now, findings))


def _say_contradiction(one: Held, since: int, findings: Findings) -> None:
    size = one.checkpoint.size
    for cosignature in one.cosignatures:
        findings.add(
            "rewritten/cosigned",
            since,
            last=size - 1,
            cosigner=cosignature.key.name,
            size=size,
            time=moment(cosignature.time),
            source=one.source,
        )
    if not one.cosignatures:
        findings.add(
            "forked/checkpoint",
            since,
            last=size - 1,
            key=shown_key(one.logs[0]),
            size=size,
            source=one.source,
        )


def _compare_copy(directory: Path, size: int, copy: Path, findings: Findings) -> None:
    """The entries against another copy's tiles: tells what was done to which entry since the copy was taken."""
    try:
        theirs = Checkpoint.parse(_text_of(copy))
        reader = TileReader(copy, theirs.size)
        if theirs.size and reader.root() != theirs.root:
            return
    except TlogError:
        return
    common = min(size, theirs.size)
    if common:
        compare(entry_hashes(directory, common, 0), tile_hashes(copy, common, 0), 0, findings)


def _text_of(copy: Path) -> str:
    return Note.parse(read_file(copy, "checkpoint", MAX_NOTE) or b"").text


def _limits(fitting: Sequence[Held], now: int, findings: Findings) -> list[Limit]:
    limits = []
    for one in fitting:
        for cosignature in one.cosignatures:
            if cosignature.time > now + _TOLERANCE:
                findings.add(
                    "time-forged/signature",
                    cosigner=cosignature.key.name,
                    time=moment(cosignature.time),
                    source=one.source,
                )
            elif cosignature.time:
                limits.append(
                    Limit(
                        one.checkpoint.size,
                        cosignature.time,
                        cosignature.key.name,
                        one.source,
                        "time-forged/cosigned",
                    )
                )
    return limits


def judge_quorum(
    fitting: Sequence[Held],
    policy: Policy,
    size: int,
    time_of: Callable[[int], int],
    now: int,
    max_age: int | None,
    findings: Findings,
) -> Cosigned | None:
    """Find the newest checkpoint with the cosignatures that are needed, and say what came after it."""
    needed = policy.quorum != NO_QUORUM
    best: Cosigned | None = None
    for one in fitting:
        counting = [cosignature for cosignature in one.cosignatures if cosignature.name in policy.witnesses]
        names = {cosignature.name: cosignature.time for cosignature in counting}
        if not one.logs or not names or not policy.satisfied(names):
            continue
        time = _met_at(policy, names) if needed else max(names.values())
        if best is None or (one.checkpoint.size, time) > (best.size, best.time):
            after = size - one.checkpoint.size
            since = moment(time_of(one.checkpoint.size)) if after else ""
            cosigners = tuple(cosignature.key.name for cosignature in counting)
            best = Cosigned(one.checkpoint.size, time, cosigners, after, since)
    if not needed:
        findings.add("policy/no-cosigner", severity=Severity.WARNING)
    if best is None:
        if needed:
            findings.add("quorum/none", quorum=policy.quorum)
        return None
    late = max_age is not None and needed
    if best.after:
        overdue = late and max_age is not None and now - time_of(best.size) > max_age
        findings.add(
            "quorum/after",
            best.size,
            last=size - 1,
            count=best.after,
            since=best.since,
            severity=Severity.BAD if overdue else Severity.NOTE,
        )
    if late and max_age is not None and now - best.time > max_age:
        findings.add("stale/cosigned", time=moment(best.time), span=max_age)
    return best


def _met_at(policy: Policy, names: dict[str, int]) -> int:
    """When the quorum was met: by the newest cosignatures that are enough, the oldest of them."""
    enough: set[str] = set()
    for name, time in sorted(names.items(), key=lambda one: -one[1]):
        enough.add(name)
        if policy.satisfied(enough):
            return time
    return 0
