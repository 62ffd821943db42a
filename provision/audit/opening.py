"""Whose log it is, and with which keys: from the workspace's files to what a writer needs."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from provision import __version__
from provision.audit import entries as e
from provision.audit.keys import KeyStore, LogKeys, Second, generate, second_of
from provision.audit.log import LogError, LogWriter, SchoolLog, log_directory, read_bounded
from provision.audit.record import Person
from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import SignerKey
from provision.audit.tlog.policy import Policy
from provision.audit.tlog.tiles import TILE_WIDTH, TileReader
from provision.text import printable_line

if TYPE_CHECKING:
    from provision.model import ResolvedSchool, Workspace

#: What a log's name ends in, before the school, where ``audit.origin`` does not say otherwise.
_UNOWNED = ".provision.invalid"
#: Largest policy file that is compared, in bytes; ours have at most 20,000 characters.
_MAX_POLICY_FILE = 64 * 1024
#: Remembers how far the log was searched for ``policy.set``; the writer's own, not part of the log.
_MARK = ".policy-index"


def origin_of(workspace: "Workspace", school: "ResolvedSchool") -> str:
    """The name of a school's log.

    Without ``audit.origin`` it lies below ``.invalid`` (RFC 6761), a name that nobody can own and mistake for theirs.
    """
    base = workspace.municipality.audit.origin or f"{workspace.municipality.id}{_UNOWNED}"
    return f"{base}/{school.id}"


def check_origin(directory: Path, origin: str) -> None:
    """See that a log, if there is one, still has the name that the workspace gives it.

    The name is part of each signature and each key, so that no log can change it.

    Args:
        directory: the log's. origin: as ``origin_of`` gives it today.

    Raises:
        LogError: it has another name; says which line of ``municipality.yml`` gives it back.
    """
    try:
        found = printable_line(SchoolLog.open(directory).origin)
    except LogError:
        # There is none, or it is damaged: whoever opens it says so.
        return
    if found == origin:
        return
    base, _, school = found.rpartition("/")
    wanted, _, other = origin.rpartition("/")
    if school != other:
        raise LogError(
            f"{directory} holds the log {found}, and the log of this school is {origin}",
            f"was the school's file or this directory renamed? The log belongs to the school with the id {school}",
        )
    raise LogError(
        f"the name of the log changed in municipality.yml: it is {found}, and would be {origin} now; a log keeps "
        "its name, which is part of every key and signature",
        f"in municipality.yml, {_restoring(base, wanted)}; then try again",
    )


def _restoring(base: str, wanted: str) -> str:
    """The line that gives the logs the beginning of their names back."""
    line = f'"origin: {base}" under "audit:"'
    if not base.endswith(_UNOWNED):
        return f"write {line}"
    if not wanted.endswith(_UNOWNED):
        return f'remove "origin: {wanted}" under "audit:"'
    return f'restore "id: {base.removesuffix(_UNOWNED)}", or, if the new id is to stay, write {line}'


def acting(workspace: "Workspace") -> Person:
    """The person who acts, for whatever writes an entry.

    Raises:
        RefusedError: nobody's name is known.
    """
    person = Person.current(workspace.path)
    check_acting(workspace, person)
    return person


def check_acting(workspace: "Workspace", person: Person) -> None:
    """See that a person may write entries; on disposable servers it may be a shared account.

    Raises:
        RefusedError: nobody's name is known.
    """
    if not workspace.municipality.lab:
        person.check_named()


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
    establish(writer, policy)


def establish(writer: LogWriter, policy: Policy) -> None:
    """What follows a ``policy.set`` entry: its checkpoint is kept, then the file ``policy`` replaced.

    The file comes last: as long as it is the former one, ``mend_policy`` knows that the rest may be missing as well.

    Raises:
        LogError: the disk is full, ...
    """
    writer.archive(writer.log.note)
    writer.set_policy(policy)


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
    establish(writer, policy)
    store.save(school.id, LogKeys(new))
    writer.keys = list(new)


def mend_policy(writer: LogWriter) -> bool:
    """Make the file ``policy`` what the newest ``policy.set`` entry says, where a kill came between the two.

    Keeps the newest checkpoint then as well, and in any case one that a former key of the log signed together with
    today's: without it nobody could follow from the one to the other. Reads the entries that were added since the last
    time, not the whole log.

    Returns:
        whether anything had to be mended.

    Raises:
        LogError: the log cannot be read or written, or that entry holds no policy that this version understands.
    """
    if not writer.size:
        return False
    log = writer.log
    mark = _Mark.read(log)
    index = _newest_policy(log, mark.size if mark else 0)
    content = _content(log.directory / "policy")
    mended = False
    if index is None and mark is not None:
        index = mark.index
    if index is None:
        return False
    if mark is None or index != mark.index or content is None or _digest(content) != mark.sha256:
        policy = _policy_at(log, index)
        wanted = policy.text.encode()
        if content != wanted:
            if (log.directory / "policy").is_symlink():
                # Never read, and never to be written through: what it points to is not ours.
                (log.directory / "policy").unlink()
            establish(writer, policy)
            mended = True
        content = wanted
    ids = {key.key_id for key in log.policy.logs}
    if (
        any(line.name == log.origin and line.key_id not in ids for line in log.note.signatures)
        and log.archived_at(log.size) is None
    ):
        writer.archive(log.note)
        mended = True
    new = _Mark(log.size, log.root.hex(), index, _digest(content))
    # Written seldom: to read a bundle again costs less than to write a file safely.
    if mark is None or (index, new.sha256) != (mark.index, mark.sha256) or new.size - mark.size >= TILE_WIDTH:
        with suppress(LogError):
            writer.put(_MARK, new.text.encode())
    return mended


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the newest ``policy.set`` of a tree stands.

    Args:
        size, root: the tree that was searched. index: the entry. sha256: of the policy's text.
    """

    size: int
    root: str
    index: int
    sha256: str

    @property
    def text(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}) + "\n"

    @classmethod
    def read(cls, log: SchoolLog) -> "_Mark | None":
        """What was remembered, if it is about the beginning of this very log."""
        try:
            mark = cls(**json.loads(read_bounded(log.directory / _MARK, 4096)))
            fits = 0 <= mark.index < mark.size <= log.size
            return mark if fits and TileReader(log.directory, mark.size).root().hex() == mark.root else None
        except (OSError, ValueError, TypeError, RecursionError, TlogError):
            return None


def _newest_policy(log: SchoolLog, start: int) -> int | None:
    """Index of the newest ``policy.set`` from ``start`` on."""
    stop = log.size
    try:
        while stop > start:
            begin = max(start, (stop - 1) // TILE_WIDTH * TILE_WIDTH)
            for index, raw in reversed(list(enumerate(log.reader.entries(begin, stop), begin))):
                # Entries are canonical, so that the type of one stands in it as it is.
                if b'"policy.set"' in raw and e.parse(index, raw).type == e.PolicySet.type:
                    return index
            stop = begin
    except (TlogError, e.EntryError, OSError) as error:
        raise LogError(
            f"the entries of {log.directory} cannot be read: {error}", "see: provision audit verify"
        ) from error
    return None


def _policy_at(log: SchoolLog, index: int) -> Policy:
    try:
        return Policy.parse(str(e.parse(index, log.reader.entry(index)).data["policy"]))
    except (TlogError, e.EntryError, KeyError, OSError) as error:
        raise LogError(
            f"entry {index} of {log.directory} sets a policy that cannot be read: {error}",
            "was it written by a newer version of provision? Then install that; else see: provision audit verify",
        ) from error


def _content(file: Path) -> bytes | None:
    try:
        return read_bounded(file, _MAX_POLICY_FILE)
    except OSError:
        return None


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
