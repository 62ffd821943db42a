"""Who could agree to a run, and whether they did.

Whoever verifies trusts the witnesses of a policy of their own. A school may have had others before: a key that was
lost, a laptop that was given away. Those could agree under the policy that was in force then. But the city writes the
policies alone; so it matters whether the witnesses whose place they took had cosigned that change before the run began.
"""

from collections.abc import Collection, Sequence
from enum import Enum, auto
from math import inf

from provision.audit.tlog import Policy, VerifierKey
from provision.audit.verify.held import Held


class Standing(Enum):
    """How good an approval is.

    Attributes:
        GOOD: those agreed whom whoever verifies trusts.
        FORMER: those agreed who stood for the school then, and nothing speaks against them.
        UNSEEN: the same, but nobody before them had seen them come; or a witness that is trusted was passed over, with
            its own knowledge or that of another one that is trusted.
        STRANGER: they took the place of a witness that is trusted, and none of these knew.
        NONE: nobody agreed who could.
    """

    GOOD = auto()
    FORMER = auto()
    UNSEEN = auto()
    STRANGER = auto()
    NONE = auto()


class Cosigners:
    """The cosignatures that hold: who signed trees of which sizes, and when."""

    def __init__(self, held: Sequence[Held]) -> None:
        self._named: dict[tuple[str, int], dict[VerifierKey, int]] = {}
        self._sizes: dict[VerifierKey, list[int]] = {}
        for one in held:
            size = one.checkpoint.size
            for cosignature in one.cosignatures:
                self._sizes.setdefault(cosignature.key, []).append(size)
                for name in (cosignature.name, cosignature.key.name):
                    times = self._named.setdefault((name, size), {})
                    times[cosignature.key] = min(
                        cosignature.time, times.get(cosignature.key, cosignature.time)
                    )

    def of(self, name: str, size: int) -> dict[VerifierKey, int]:
        """The keys of this name, or this name in the policy, that cosigned a tree, and when (Unix seconds).

        A new key may have the name of the old one, so that there may be several.
        """
        return self._named.get((name, size), {})

    def of_change(self, index: int, trusted: Policy, history: Sequence[tuple[int, Policy]]) -> float | None:
        """The size of the smallest tree by whose cosignatures a change of the rules was known.

        Args:
            index: of its entry.
            trusted: the policy of whoever verifies: what its witnesses have seen is known.
            history: each ``policy.set``; so is what those have seen who cosigned before the change.

        Returns:
            infinity where nobody has cosigned it yet; None where there was nobody to do so.
        """
        past = [policy for place, policy in history if place < index and policy.witnesses]
        if not past:
            return None
        seen: set[VerifierKey] = set()
        later = sorted(
            ((size, key) for key, sizes in self._sizes.items() for size in sizes if size > index),
            key=lambda one: one[0],
        )
        for size, key in later:
            seen.add(key)
            if _met(trusted, seen) or _met(past[-1], seen):
                return size
        return inf

    def between(self, above: int, most: int) -> set[VerifierKey]:
        """The keys that cosigned a tree of more than ``above`` and at most ``most`` entries."""
        return {key for key, sizes in self._sizes.items() if any(above < size <= most for size in sizes)}


def standing(
    keys: Collection[VerifierKey],
    approved: int,
    *,
    trusted: Policy,
    history: Sequence[tuple[int, Policy]],
    cosigners: Cosigners,
    covered: int,
) -> Standing:
    """How good an approval by these keys is.

    Args:
        keys: whose cosignatures over the intent were there.
        approved: number of the entry that names them.
        trusted: the policy of whoever verifies.
        history: each ``policy.set`` of the log, with its number.
        covered: entries that the trusted policy's cosigners vouch for; former witnesses count only there.
    """
    if _met(trusted, keys):
        return Standing.GOOD
    past = [policy for index, policy in history if index < approved]
    if not past or approved >= covered or not _met(past[-1], keys):
        return Standing.NONE
    ours = set(trusted.witnesses.values())
    change = _not_agreed([one for one in history if one[0] < approved], approved, trusted, cosigners)
    before = past if change is None else past[:change]
    passed_over = (ours & {key for policy in before for key in policy.witnesses.values()}) - set(keys)
    if change is None:
        return Standing.UNSEEN if passed_over else Standing.FORMER
    if ours.isdisjoint(keys):
        return Standing.STRANGER if passed_over else Standing.UNSEEN
    # One that is trusted agreed, and saw what had become of the others.
    return Standing.UNSEEN if passed_over else Standing.FORMER


def _met(policy: Policy, keys: Collection[VerifierKey]) -> bool:
    """Whether these keys are enough for a policy; one it takes in any case."""
    names = {name for name, key in policy.witnesses.items() if key in keys}
    return bool(names) and policy.satisfied(names)


def _not_agreed(
    past: Sequence[tuple[int, Policy]], approved: int, trusted: Policy, cosigners: Cosigners
) -> int | None:
    """The newest change of who cosigns that those before it had not cosigned; its place in ``past``.

    A log begins without witnesses, and nobody need agree to the first one. But a policy that takes all of them away is
    a change like another.
    """
    for place in range(len(past) - 1, 0, -1):
        index, after = past[place]
        before = past[place - 1][1]
        if not before.witnesses or _demands(before) == _demands(after):
            continue
        seen = cosigners.between(index, approved)
        if _met(trusted, seen):
            return None
        if not _met(before, seen):
            return place
    return None


def _demands(policy: Policy) -> tuple[object, ...]:
    """What a policy says of witnesses; a new key of the log alone changes nothing of it."""
    return dict(policy.witnesses), dict(policy.groups), policy.quorum
