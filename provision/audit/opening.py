"""Whose log it is, and with which keys: from the workspace's files to what a writer needs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provision import __version__
from provision.audit import entries as e
from provision.audit.keys import KeyStore, LogKeys, Second, generate, second_of
from provision.audit.log import LogError, LogWriter, SchoolLog, log_directory
from provision.audit.record import Person
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import SignerKey, VerifierKey
from provision.audit.tlog.policy import NO_QUORUM, Group, Policy
from provision.errors import UsageError

if TYPE_CHECKING:
    from provision.model import ResolvedSchool, Workspace


def origin_of(workspace: "Workspace", school: "ResolvedSchool") -> str:
    """The name of a school's log.

    Without ``audit.origin`` it lies below ``.invalid`` (RFC 6761), a name that nobody can own and mistake for theirs.
    """
    base = workspace.municipality.audit.origin or f"{workspace.municipality.id}.provision.invalid"
    return f"{base}/{school.id}"


def actor_of(person: Person, key: str = "") -> e.Actor:
    """A person as entries name them.

    Args:
        key: fingerprint of the SSH key that was used.
    """
    return e.Actor(name=person.name, user=person.user, machine=person.machine, key=key)


def first_entries(
    workspace: "Workspace", school: "ResolvedSchool", actor: e.Actor, keys: Sequence[SignerKey]
) -> tuple[list[e.Data], Policy]:
    """What a new log begins with, and its first policy: the city's keys, no witness yet."""
    target = e.Target(school=school.id)
    policy = policy_for(keys)
    return [
        e.LogOpened(
            actor=actor,
            target=target,
            municipality=workspace.municipality.name,
            keys=[key.verifier.vkey for key in keys],
            tool=f"provision {__version__}",
        ),
        e.PolicySet(actor=actor, target=target, policy=policy.text, strict=school.audit.strict),
    ], policy


def policy_for(keys: Sequence[SignerKey], former: Policy | None = None) -> Policy:
    """A policy with these keys of the log and the witnesses of the former one."""
    logs = tuple(key.verifier for key in keys)
    return Policy(logs=logs) if former is None else replace(former, logs=logs, urls={})


def open_new(
    writer: LogWriter,
    workspace: "Workspace",
    school: "ResolvedSchool",
    actor: e.Actor,
    keys: Sequence[SignerKey],
) -> None:
    """Begin a log."""
    data, policy = first_entries(workspace, school, actor, keys)
    writer.append(data)
    writer.set_policy(policy)
    writer.archive(writer.log.note)


def keys_for(
    store: KeyStore, workspace: "Workspace", school: "ResolvedSchool", *, second: Second | None = None
) -> LogKeys:
    """The keys of a school's log, made for a school that has none yet.

    Raises:
        LogError: there is a log, and its keys have gone.
    """
    if store.exists(school.id):
        return settled(store, workspace.path, school.id)
    if (log_directory(workspace.path, school.id) / "checkpoint").exists():
        raise LogError(
            f"the keys of the audit log of {school.id} have gone: {store.file(school.id)}",
            "bring them back from version control or from a backup; a log without its key can be read, not continued",
        )
    return store.make(school.id, origin_of(workspace, school), second)


def settled(store: KeyStore, workspace: Path, school: str) -> LogKeys:
    """The keys, with a renewal that was broken off either finished or taken back.

    The renewal counts from the checkpoint that both keys signed; before it nothing was ever signed with the new ones.
    """
    keys = store.load(school)
    if not keys.coming:
        return keys
    ids = {key.verifier.key_id for key in keys.coming}
    directory = log_directory(workspace, school)
    try:
        note = SchoolLog.open(directory).note
    except LogError:
        note = None
    signed = note is not None and any(signature.key_id in ids for signature in note.signatures)
    if note is not None and signed:
        # Without this checkpoint, which both signed, nobody could follow from the old keys to the new ones.
        LogWriter(directory, "", (), SchoolLog.open(directory)).archive(note)
    keys = LogKeys(keys.coming) if signed else LogKeys(keys.current)
    store.save(school, keys)
    return keys


def renew_keys(
    store: KeyStore,
    writer: LogWriter,
    school: "ResolvedSchool",
    actor: e.Actor,
    *,
    second: Second | None,
    why: str,
) -> None:
    """New keys for a log. Old and new sign the checkpoint with the ``key.added`` and ``key.retired`` entries.

    A kill at any point leaves either the old keys or the new ones, never none: see ``settled``.

    Raises:
        LogError: the disk is full, ...
    """
    old = writer.keys
    new = generate(writer.origin, second or second_of(old))
    store.save(school.id, replace(LogKeys(tuple(old)), coming=new))
    policy = policy_for(new, writer.log.policy)
    target = e.Target(school=school.id)
    writer.keys = [*old, *new]
    writer.append(
        [
            *(
                e.KeyAdded(actor=actor, target=target, key=key.verifier.vkey, purpose="log", why=why)
                for key in new
            ),
            *(
                e.KeyRetired(actor=actor, target=target, key=key.verifier.vkey, purpose="log", why=why)
                for key in old
            ),
            e.PolicySet(actor=actor, target=target, policy=policy.text, strict=school.audit.strict),
        ]
    )
    writer.archive(writer.log.note)
    writer.set_policy(policy)
    store.save(school.id, LogKeys(new))
    writer.keys = list(new)


def add_witness(
    writer: LogWriter, school: "ResolvedSchool", actor: e.Actor, vkey: str, *, required: bool, why: str = ""
) -> Policy:
    """Let a key of the school cosign.

    Args:
        vkey: the line that ``audit witness init`` printed.
        required: from now on a checkpoint needs it.

    Raises:
        UsageError: it is no key of a cosigner, or is there already.
    """
    former = writer.log.policy
    try:
        key = VerifierKey.parse(vkey.strip())
        if key.vkey in {other.vkey for other in former.witnesses.values()}:
            raise UsageError(f"{key.name} is a witness already", f"see: provision audit status {school.id}")
        name = f"witness{len(former.witnesses) + 1}"
        policy = replace(former, witnesses={**former.witnesses, name: key})
        if required:
            members = _required(former)
            if members:
                group = f"required{len(members) + 1}"
                policy = replace(
                    policy,
                    groups={**former.groups, group: Group(len(members) + 1, (*members, name))},
                    quorum=group,
                )
            else:
                policy = replace(policy, quorum=name)
    except TlogError as error:
        raise UsageError(
            f"this cannot be a witness: {error}", "give the line that “provision audit witness init” printed"
        ) from error
    target = e.Target(school=school.id)
    writer.append(
        [
            e.KeyAdded(actor=actor, target=target, key=key.vkey, purpose="witness", why=why),
            e.PolicySet(actor=actor, target=target, policy=policy.text, strict=school.audit.strict),
        ]
    )
    writer.set_policy(policy)
    writer.archive(writer.log.note)
    return policy


def _required(policy: Policy) -> tuple[str, ...]:
    """The witnesses that a checkpoint needs, as ``add_witness`` wrote them down."""
    if policy.quorum == NO_QUORUM:
        return ()
    group = policy.groups.get(policy.quorum)
    return group.members if group else (policy.quorum,)
