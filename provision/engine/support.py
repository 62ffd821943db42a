"""Support people and a school's servers: letting them in, taking them out, and coming as one of them."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from provision.audit import Person
from provision.audit import entries as e
from provision.audit.log import log_directory
from provision.audit.opening import acting, actor_of, origin_of
from provision.audit.outbox import Outbox
from provision.engine.connections import Connections
from provision.engine.lock import HostLock, holder
from provision.engine.logbook import LogBook
from provision.engine.preparation import sudo_passwords
from provision.engine.ssh import blob_fingerprint
from provision.errors import LockedError, ProvisionError, RefusedError
from provision.model import ResolvedSchool, Workspace
from provision.model.support import SupportPerson
from provision.text import printable_line

#: Takes the list of people on standard input, and lets in those and nobody else (role base).
_COMMAND = "/usr/local/sbin/provision-base support"


def key_fingerprint(key: str) -> str:
    """The fingerprint of a public key as OpenSSH prints it, such as ``SHA256:…``.

    Args:
        key: type and base64, as in ``authorized_keys``.
    """
    try:
        blob = base64.b64decode(key.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    return blob_fingerprint(blob)


@dataclass(slots=True)
class Brought:
    """What became of a change of support people.

    Args:
        done: the hosts that know of it.
        missed: why not, by host; they learn of it with the next run.
        waiting: why it is not in the log yet, but in the outbox; empty where it is.
        notes: what else people should know.
    """

    done: list[str] = field(default_factory=list)
    missed: dict[str, str] = field(default_factory=dict)
    waiting: str = ""
    notes: list[str] = field(default_factory=list)


def bring(
    workspace: Workspace,
    school: ResolvedSchool,
    people: Sequence[SupportPerson],
    entry: Callable[[e.Actor], e.Data],
    keep: Callable[[], object],
) -> Brought:
    """Record a change of support people, keep it in the workspace, and bring it to every server that is reached.

    Servers that are not reached, and all of them while somebody else works on the school, get it with the next run.

    Args:
        people: all who may ask from now on.
        entry: what the audit log is to say, by who acts.
        keep: writes the workspace's file; nothing is changed before the record is on the disk.

    Raises:
        ProvisionError: it cannot be recorded; nothing is changed.
    """
    person = acting(workspace)
    brought = Brought()
    connections = None
    with ExitStack() as stack:
        try:
            connections = Connections(workspace, school, sudo_passwords(workspace, school))
            stack.callback(connections.close)
            brought.missed = {host: error.message for host, error in connections.reach().items()}
            held = holder(person, "health", school.id)
            for host in sorted(school.hosts.keys() - brought.missed):
                stack.enter_context(HostLock(connections[host], held))
        except LockedError as error:
            brought.missed = dict.fromkeys(school.hosts, error.message)
        except ProvisionError as error:
            brought.missed |= dict.fromkeys(school.hosts.keys() - brought.missed, error.message)
        _record(workspace, school, person, connections, entry, brought)
        keep()
        for host in sorted(school.hosts.keys() - brought.missed):
            assert connections is not None  # noqa: S101 - else all are missed
            try:
                _let_in(connections, host, people)
            except RefusedError as error:
                brought.missed[host] = error.message
            else:
                brought.done.append(host)
    return brought


def _record(
    workspace: Workspace,
    school: ResolvedSchool,
    person: Person,
    connections: Connections | None,
    entry: Callable[[e.Actor], e.Data],
    brought: Brought,
) -> None:
    """Into the log where all servers are at hand, since it grows where administrators meet; else into the outbox."""
    if not school.audit.enabled:
        return
    if not brought.missed and connections is not None:
        written = False
        try:
            with LogBook(workspace, school, person, connections) as book:
                book.add(entry(book.actor))
                written = True
                book.place_copy()
                brought.notes += book.notes
        except ProvisionError as error:
            if written:
                brought.notes.append(f"the server's copy of the log is behind: {error.message}")
            else:
                brought.waiting = error.message
        if written:
            return
    else:
        brought.waiting = "not all servers are at hand"
    Outbox(log_directory(workspace.path, school.id)).add(
        origin_of(workspace, school), [entry(actor_of(person))]
    )


def _let_in(connections: Connections, host: str, people: Sequence[SupportPerson]) -> None:
    told = json.dumps([person.model_dump() for person in people])
    answer = connections[host].run(_COMMAND, stdin=told, root=True)
    if answer.status == 0:
        return
    said = printable_line((answer.err or answer.out).strip(), 300)
    if answer.status in (2, 126, 127):
        said = "it was last set up by an earlier version, or not at all"
    raise RefusedError(f"{host} cannot take it: {said or f'status {answer.status}'}")
