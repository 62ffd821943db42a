"""Elastic Common Schema, JSON Lines.

Categories and types are pairs that the schema expects of each other. ``event.original`` is the entry itself and
``event.hash`` its leaf's hash; whatever has no field in the schema is found there. ``labels`` is flat and its keys
are few and fixed, so that no log can fill an index with fields.

Source: elastic/ecs, branch 9.4: schemas/event.yml (allowed values and expected_event_types), base, user, host, service.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from provision.audit.entries import Entry
from provision.audit.export.common import count, json_line, leaf, milliseconds, sentence, succeeded, text

VERSION: Final = "9.4.0"


class Kind(NamedTuple):
    """How a type of ours is filed there."""

    category: str
    types: tuple[str, ...]
    kind: str = "event"


_OTHER: Final = Kind("configuration", ("info",))
_KINDS: Final[Mapping[str, Kind]] = {
    "log.opened": Kind("configuration", ("creation",)),
    "key.added": Kind("iam", ("admin", "creation")),
    "key.retired": Kind("iam", ("admin", "deletion")),
    "policy.set": Kind("configuration", ("change",)),
    "run.intent": Kind("configuration", ("info",)),
    "run.approved": Kind("configuration", ("info",)),
    "run.started": Kind("configuration", ("info",)),
    "run.ended": Kind("configuration", ("change",)),
    "task.result": Kind("configuration", ("change",)),
    "lessons.cut": Kind("configuration", ("change",)),
    "health.checked": Kind("host", ("info",)),
    "secret.rotated": Kind("iam", ("admin", "change")),
    "access.opened": Kind("session", ("start",)),
    "access.closed": Kind("session", ("end",)),
    "erasure.performed": Kind("configuration", ("deletion",)),
    "drift.found": Kind("intrusion_detection", ("info",), "alert"),
    "heartbeat": _OTHER,
    "log.recovered": _OTHER,
}
#: Access of other kinds than a session, by type and kind.
_ACCESS: Final[Mapping[tuple[str, str], Kind]] = {
    ("access.opened", "secret"): Kind("configuration", ("access",)),
    ("access.closed", "secret"): _OTHER,
    ("access.opened", "grant"): Kind("iam", ("creation", "user")),
    ("access.closed", "grant"): Kind("iam", ("deletion", "user")),
}
_OUTCOMES: Final = {True: "success", False: "failure", None: "unknown"}


def ecs_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """One line an entry.

    Raises:
        ExportError: an entry has no readable time.
    """
    for entry in entries:
        yield json_line(to_ecs(entry))


def to_ecs(entry: Entry) -> dict[str, Any]:
    """An entry as a document of the schema.

    Raises:
        ExportError: it has no readable time.
    """
    data = entry.data
    filed = _ACCESS.get((entry.type, text(data, "kind"))) or _KINDS.get(entry.type, _OTHER)
    milliseconds(entry)  # or it could not be stored there at all
    person, user = text(data, "actor", "name"), text(data, "actor", "user")
    host, machine, school = (
        text(data, "target", "host"),
        text(data, "actor", "machine"),
        text(data, "target", "school"),
    )
    run_time = count(data, "milliseconds")
    labels = {
        "school": school,
        "run": text(data, "run"),
        "actor_kind": text(data, "actor", "kind"),
        "authority_basis": text(data, "authority", "basis"),
        "ticket": text(data, "authority", "ticket"),
        "approver": text(data, "authority", "approver"),
        "ssh_key": text(data, "actor", "key"),
        "access_kind": text(data, "kind") if entry.type.startswith("access.") else "",
        "access_subject": text(data, "subject") if entry.type.startswith("access.") else "",
    }
    document: dict[str, Any] = {
        "@timestamp": text(entry.event, "time"),
        "ecs": {"version": VERSION},
        "message": sentence(entry),
        "event": {
            "kind": filed.kind,
            "category": [filed.category],
            "type": list(filed.types),
            "action": text(entry.event, "type").replace(".", "-"),
            "outcome": _OUTCOMES[succeeded(entry)],
            "id": text(entry.event, "id"),
            "code": text(entry.event, "type"),
            "module": "provision",
            "dataset": "provision.audit",
            "provider": text(entry.event, "source"),
            "sequence": entry.index,
            "hash": leaf(entry),
            "original": entry.raw.decode("utf-8", "replace"),
            "reason": text(data, "why"),
            "duration": None if run_time is None else run_time * 1_000_000,
        },
        "user": {"name": user or person, "full_name": person},
        "host": {"name": host},
        "service": {"name": text(data, "target", "service")},
        "organization": {"id": school},
        "labels": labels,
        "related": {
            "user": sorted({one for one in (user, person) if one}),
            "hosts": sorted({one for one in (host, machine) if one}),
        },
    }
    return _without_blanks(document)


def _without_blanks(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        kept = _without_blanks(value) if isinstance(value, dict) else value
        if kept not in ("", None, {}, []):
            found[name] = kept
    return found
