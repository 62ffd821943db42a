"""Who may cosign a log, and whose cosignature its checkpoints need."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.audit import entries as e
from provision.audit.log import LogWriter
from provision.audit.opening import establish
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import VerifierKey
from provision.audit.tlog.policy import NO_QUORUM, Group, Policy
from provision.errors import UsageError
from provision.text import printable_line

if TYPE_CHECKING:
    from provision.model import ResolvedSchool

#: Longest text of a policy that a ``policy.set`` entry holds, in characters.
_MAX_POLICY_TEXT = 20_000


def witness_key(vkey: str) -> VerifierKey:
    """The key of a line that ``audit witness init`` printed.

    Raises:
        UsageError: it is no key.
    """
    try:
        return VerifierKey.parse(vkey.strip())
    except TlogError as error:
        raise _no_witness(error) from error


def _no_witness(error: TlogError) -> UsageError:
    return UsageError(
        f"this cannot be a witness: {error}", 'give the line that "provision audit witness init" printed'
    )


def add_witness(
    writer: LogWriter,
    school: "ResolvedSchool",
    actor: e.Actor,
    vkey: str,
    *,
    required: bool | None = None,
    replaces: str = "",
    why: str = "",
) -> Policy:
    """Let a key of the school cosign.

    Args:
        vkey: the line that ``audit witness init`` printed.
        required: from now on a checkpoint needs it. None: as it was with the witness whose place it takes; needed
            where it takes no other's.
        replaces: the witness whose place it takes, which is retired by the same entries: its name in the policy, the
            name of its key, or its key. Empty for none.

    Raises:
        UsageError: it is no key of a cosigner, or is there already; or there is no such witness to replace.
        LogError: the disk is full, ...
    """
    former = writer.log.policy
    place = _witness(former, replaces, school) if replaces else None
    key = witness_key(vkey)
    try:
        if key.vkey in {other.vkey for other in former.witnesses.values()}:
            raise UsageError(f"{key.name} is a witness already", f"see: provision audit status {school.id}")
        if place is not None and required is None:
            # Groups and quorum name their members by these names: the new key stands wherever the old one stood.
            policy = replace(former, witnesses={**former.witnesses, place: key})
        else:
            policy = former if place is None else _without(former, place)
            name = _unused("witness", len(policy.witnesses) + 1, former)
            policy = replace(policy, witnesses={**policy.witnesses, name: key})
            if required is not False:
                policy = _needing(policy, name)
    except TlogError as error:
        raise _no_witness(error) from error
    target = e.Target(school=school.id)
    changes: list[e.Data] = [e.KeyAdded(actor=actor, target=target, key=key.vkey, purpose="witness", why=why)]
    if place is not None:
        changes.append(
            e.KeyRetired(
                actor=actor, target=target, key=former.witnesses[place].vkey, purpose="witness", why=why
            )
        )
    return _set_policy(writer, school, actor, policy, changes)


def retire_witness(
    writer: LogWriter, school: "ResolvedSchool", actor: e.Actor, witness: str, *, why: str = ""
) -> Policy:
    """Let a witness cosign no more. No checkpoint needs it from now on; what it cosigned stays.

    Args:
        witness: its name in the policy, the name of its key, or its key.

    Raises:
        UsageError: there is no such witness.
        LogError: the disk is full, ...
    """
    former = writer.log.policy
    name = _witness(former, witness, school)
    retired = e.KeyRetired(
        actor=actor,
        target=e.Target(school=school.id),
        key=former.witnesses[name].vkey,
        purpose="witness",
        why=why,
    )
    return _set_policy(writer, school, actor, _without(former, name), [retired])


def _set_policy(
    writer: LogWriter, school: "ResolvedSchool", actor: e.Actor, policy: Policy, changes: Sequence[e.Data]
) -> Policy:
    if len(policy.text) > _MAX_POLICY_TEXT:
        raise UsageError(
            f"with so many witnesses the policy has {len(policy.text)} characters; {_MAX_POLICY_TEXT} fit an entry",
            f"retire one that is not used any more: provision audit retire-witness {school.id} NAME --why REASON",
        )
    target = e.Target(school=school.id)
    decision = e.PolicySet(actor=actor, target=target, policy=policy.text, strict=school.audit.strict)
    writer.append([*changes, decision])
    establish(writer, policy)
    return policy


def _witness(policy: Policy, wanted: str, school: "ResolvedSchool") -> str:
    """The name in the policy of the witness that a person means."""
    wanted = wanted.strip()
    if wanted in policy.witnesses:
        return wanted
    fitting = [name for name, key in policy.witnesses.items() if wanted in {key.name, key.vkey}]
    if len(fitting) == 1:
        return fitting[0]
    known = [
        f"{name} ({key.name})" for name, key in policy.witnesses.items() if not fitting or name in fitting
    ]
    raise UsageError(
        f"several witnesses of {school.id} have keys of the name {printable_line(wanted, 100)}"
        if fitting
        else f"{school.id} has no witness {printable_line(wanted, 100)}",
        f"name one of: {', '.join(known)}" if known else "it has none",
    )


def _needing(policy: Policy, name: str) -> Policy:
    """The policy whose checkpoints need one more witness, which it has already."""
    quorum, groups = policy.quorum, dict(policy.groups)
    if quorum == NO_QUORUM:
        return replace(policy, quorum=name)
    group = groups.get(quorum)
    members: tuple[str, ...] = (quorum,)
    if group is not None and group.threshold == len(group.members):
        # A witness may stand in one group only, so that the wider group takes the place of the former one.
        members = groups.pop(quorum).members
    members = (*members, name)
    title = _unused("required", len(members), replace(policy, groups=groups, quorum=NO_QUORUM))
    return replace(policy, groups={**groups, title: Group(len(members), members)}, quorum=title)


def _without(policy: Policy, name: str) -> Policy:
    """The policy without a witness: no group and no quorum needs it any more."""
    gone = {name}
    groups: dict[str, Group] = {}
    for title, group in policy.groups.items():
        members = tuple(member for member in group.members if member not in gone)
        if members:
            groups[title] = Group(min(group.threshold, len(members)), members)
        else:
            gone.add(title)
    quorum = NO_QUORUM if policy.quorum in gone else policy.quorum
    if quorum in groups and len(groups[quorum].members) == 1:
        quorum = groups.pop(quorum).members[0]
    witnesses = {other: key for other, key in policy.witnesses.items() if other != name}
    return replace(policy, witnesses=witnesses, groups=groups, quorum=quorum)


def _unused(word: str, number: int, policy: Policy) -> str:
    """A name for a witness or a group that the policy does not have."""
    while f"{word}{number}" in policy.witnesses or f"{word}{number}" in policy.groups:
        number += 1
    return f"{word}{number}"
