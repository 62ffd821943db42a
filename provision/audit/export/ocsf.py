"""Open Cybersecurity Schema Framework 1.7.0, JSON Lines.

The schema has no class for configuration management; each type of ours goes to the class that says most about it:

==========================================  =========================================================
run.intent, run.approved, run.started,      API Activity (6003), the verb being the operation
run.ended, lessons.cut, health.checked
task.result of a service / of a host alone  Application Lifecycle (6002) / Device Config State Change (5019)
log.opened, key.*, policy.set,              Entity Management (3004)
secret.rotated
access.* of a session / a grant / a secret  Authentication (3002) / User Access Management (3005) / API Activity
erasure.performed                           API Activity (6003), Delete
drift.found                                 Detection Finding (2004)
log.recovered                               Application Error (6008)
heartbeat, and any type not known here      Base Event (0)
==========================================  =========================================================

``metadata.correlation_uid`` is the run, ``metadata.sequence`` the entry's index, ``raw_data_hash`` the SHA-256 of its
bytes; ``unmapped`` has whatever of ``data`` found no place. Severities are informational but for failures and lessons
that were cut (medium), repairs of the log (low) and what the log does not explain (high).

Source: ocsf/ocsf-schema, branch v1.7.0: events/*, objects/*, dictionary.json.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import provision
from provision.audit.entries import Entry
from provision.audit.export.common import (
    count,
    json_line,
    milliseconds,
    plain,
    sentence,
    succeeded,
    text,
    texts,
)

VERSION: Final = "1.7.0"

CATEGORIES: Final[Mapping[int, str]] = {
    0: "Uncategorized", 2: "Findings", 3: "Identity & Access Management", 5: "Discovery", 6: "Application Activity",
}  # fmt: skip
BASE, FINDING, AUTHENTICATION, ENTITY, USER_ACCESS = 0, 2004, 3002, 3004, 3005
CONFIG_CHANGE, LIFECYCLE, API, APPLICATION_ERROR = 5019, 6002, 6003, 6008
CLASSES: Final[Mapping[int, str]] = {
    BASE: "Base Event", FINDING: "Detection Finding", AUTHENTICATION: "Authentication", ENTITY: "Entity Management",
    USER_ACCESS: "User Access Management", CONFIG_CHANGE: "Device Config State Change",
    LIFECYCLE: "Application Lifecycle", API: "API Activity", APPLICATION_ERROR: "Application Error",
}  # fmt: skip
OTHER: Final = 99
INFORMATIONAL, LOW, MEDIUM, HIGH = 1, 2, 3, 4
_SEVERITIES: Final = {INFORMATIONAL: "Informational", LOW: "Low", MEDIUM: "Medium", HIGH: "High"}
_SERVER: Final = 1
_USER_TYPES: Final = {"person": 1, "school": 1, "tool": 4}
#: Activities of an API for our verbs; any other is "Other", under its own name.
_VERBS: Final = {"plan": (2, "Read"), "check": (2, "Read"), "apply": (3, "Update"), "remove": (4, "Delete")}
_RUN_STEPS: Final = {"run.approved": "Approve", "run.started": "Start", "run.ended": "End"}


@dataclass(frozen=True, slots=True)
class _Filed:
    """Where an entry goes, and what only that class has."""

    uid: int
    activity: int
    activity_name: str
    more: dict[str, Any] = field(default_factory=dict)
    severity: int = INFORMATIONAL


def ocsf_lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    """One line an entry.

    Raises:
        ExportError: an entry has no readable time.
    """
    for entry in entries:
        yield json_line(to_ocsf(entry))


def to_ocsf(entry: Entry) -> dict[str, Any]:
    """An entry as an event of the schema.

    Raises:
        ExportError: it has no readable time.
    """
    filed = _FILE.get(entry.type, _base)(entry)
    when, category = milliseconds(entry), filed.uid // 1000
    good, outcome = succeeded(entry), text(entry.data, "outcome")
    severity = max(filed.severity, MEDIUM) if good is False else filed.severity
    if good is None:
        status: dict[str, Any] = {"status_id": OTHER, "status": outcome} if outcome else {"status_id": 0}
    else:
        status = {"status_id": 1, "status": "Success"} if good else {"status_id": 2, "status": "Failure"}
    if outcome:
        status["status_code"] = outcome
    event: dict[str, Any] = {
        "activity_id": filed.activity,
        "activity_name": filed.activity_name,
        "category_uid": category,
        "category_name": CATEGORIES[category],
        "class_uid": filed.uid,
        "class_name": CLASSES[filed.uid],
        "type_uid": filed.uid * 100 + filed.activity,
        "type_name": f"{CLASSES[filed.uid]}: {filed.activity_name}",
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "time": when,
        "timezone_offset": 0,
        "message": sentence(entry),
        "metadata": _metadata(entry),
        "actor": _actor(entry),
        "raw_data_hash": {
            "algorithm_id": 3,
            "algorithm": "SHA-256",
            "value": hashlib.sha256(entry.raw).hexdigest(),
        },
        "raw_data_size": len(entry.raw),
        **status,
    }
    if text(entry.data, "target", "host"):
        event["device"] = _host(entry) | {"type_id": _SERVER, "type": "Server"}
    duration = count(entry.data, "milliseconds")
    if duration is not None:
        event |= {"duration": duration, "start_time": when - duration, "end_time": when}
    event |= filed.more
    unmapped = {
        name: value
        for name, value in entry.data.items()
        if name not in {"actor", "target", "action", "outcome", "run"}
    }
    if unmapped:
        event["unmapped"] = plain(unmapped)
    return event


def _metadata(entry: Entry) -> dict[str, Any]:
    found = {
        "version": VERSION,
        "product": {"name": "provision", "vendor_name": "provision", "version": provision.__version__},
        "profiles": ["host"],
        "uid": text(entry.event, "id"),
        "original_event_uid": text(entry.event, "id"),
        "original_time": text(entry.event, "time"),
        "event_code": text(entry.event, "type"),
        "sequence": entry.index,
        "log_name": text(entry.event, "source"),
        "log_format": "CloudEvents 1.0",
        "log_version": text(entry.event, "dataschema"),
        "tenant_uid": text(entry.data, "target", "school"),
        "correlation_uid": text(entry.data, "run"),
    }
    return {name: value for name, value in found.items() if value != ""}


def _actor(entry: Entry) -> dict[str, Any]:
    actor = entry.data.get("actor")
    name, kind = text(actor, "name"), text(actor, "kind")
    user: dict[str, Any] = {
        "name": text(actor, "user") or name or "unknown",
        "type_id": _USER_TYPES.get(kind, OTHER),
        "type": {"person": "User", "school": "User", "tool": "Service"}.get(kind, kind or "unknown"),
    }
    if name:
        user["full_name"] = name
    if machine := text(actor, "machine"):
        user["domain"] = machine
    if key := text(actor, "key"):
        user["programmatic_credentials"] = [{"uid": key, "type": "SSH key"}]
    return {"user": user, "app_name": "provision"}


def _host(entry: Entry) -> dict[str, Any]:
    """The server, or where none is named the school, as an endpoint."""
    school, host = text(entry.data, "target", "school"), text(entry.data, "target", "host")
    if not host:
        return {"name": school or "unknown"}
    return {"name": host, "uid": f"{school}/{host}"}


def _machine(entry: Entry) -> dict[str, Any]:
    """Where the person sits."""
    return {"name": text(entry.data, "actor", "machine") or "unknown"}


def _api(entry: Entry, activity: tuple[int, str], **more: Any) -> _Filed:
    api: dict[str, Any] = {
        "operation": text(entry.data, "action") or entry.type,
        "service": {"name": "provision"},
    }
    if run := text(entry.data, "run"):
        api["request"] = {"uid": run}
    return _Filed(
        API, *activity, {"api": api, "src_endpoint": _machine(entry), "dst_endpoint": _host(entry), **more}
    )


def _run(entry: Entry) -> _Filed:
    verb = text(entry.data, "action")
    if entry.type == "run.intent":
        return _api(entry, _VERBS.get(verb, (OTHER, verb or "Run")))
    return _api(entry, (OTHER, _RUN_STEPS[entry.type]))


def _task(entry: Entry) -> _Filed:
    if service := text(entry.data, "target", "service"):
        return _Filed(LIFECYCLE, 8, "Update", {"app": {"name": service}})
    # The class demands a device: a step without a host happened on the machine of whoever ran it.
    place = _host(entry) if text(entry.data, "target", "host") else _machine(entry)
    device = place | {"type_id": _SERVER, "type": "Server"}
    return _Filed(CONFIG_CHANGE, 1, "Log", {"device": device})


def _entity(activity: int, activity_name: str, kind: str, *names: str) -> Callable[[Entry], _Filed]:
    def filed(entry: Entry) -> _Filed:
        of = text(entry.data, "purpose")
        name = next((found for one in names if (found := text(entry.data, one))), "")
        name = name or ", ".join(texts(entry.data, "names")) or text(entry.event, "source") or "unknown"
        entity = {"name": name, "type_id": OTHER, "type": f"{of} {kind}".strip()}
        return _Filed(ENTITY, activity, activity_name, _with_reason(entry, {"entity": entity}))

    return filed


def _policy(entry: Entry) -> _Filed:
    policy = {"name": "tlog-policy", "uid": text(entry.event, "source") or "unknown", "is_applied": True}
    more = {"entity": {"name": "tlog-policy", "type_id": 5, "type": "Policy", "policy": policy}}
    return _Filed(ENTITY, 3, "Update", _with_reason(entry, more))


def _with_reason(entry: Entry, more: dict[str, Any]) -> dict[str, Any]:
    why = text(entry.data, "why")
    return more | {"src_endpoint": _machine(entry)} | ({"comment": why} if why else {})


def _access(entry: Entry) -> _Filed:
    opened, kind = entry.type == "access.opened", text(entry.data, "kind")
    subject = text(entry.data, "subject") or "unknown"
    if kind == "secret":
        resources = [{"name": subject, "type": "Secret"}]
        return _api(entry, (2, "Read") if opened else (OTHER, "Close"), resources=resources)
    more: dict[str, Any] = {"user": {"name": subject}, "src_endpoint": _machine(entry)}
    if kind == "grant":
        more |= {"privileges": ["ssh"], "resources": [_host(entry) | {"type": "Server"}]}
        return _Filed(USER_ACCESS, *((1, "Assign Privileges") if opened else (2, "Revoke Privileges")), more)
    more |= {
        "dst_endpoint": _host(entry),
        "is_remote": True,
        "auth_protocol_id": OTHER,
        "auth_protocol": "SSH",
    }
    return _Filed(AUTHENTICATION, *((1, "Logon") if opened else (2, "Logoff")), more)


def _erasure(entry: Entry) -> _Filed:
    erased = entry.data.get("erased")
    runs = [text(one, "run") for one in erased] if isinstance(erased, list) else []
    return _api(entry, (4, "Delete"), resources=[{"uid": run, "type": "Run detail"} for run in runs if run])


def _drift(entry: Entry) -> _Filed:
    kind, found = text(entry.data, "kind") or "unknown", text(entry.data, "found")
    info: dict[str, Any] = {
        "uid": text(entry.event, "id"),
        "title": f"Not explained by the log: {kind}",
        "types": [kind],
        "created_time": milliseconds(entry),
    }
    if found:
        info["desc"] = found
    # Among findings, a status is where its handling stands.
    more = {"finding_info": info, "is_alert": True, "status_id": 1, "status": "New"}
    return _Filed(FINDING, 1, "Create", more, HIGH)


def _cut(entry: Entry) -> _Filed:
    return replace(_api(entry, (OTHER, "Cut lessons")), severity=MEDIUM)


def _recovered(_: Entry) -> _Filed:
    return _Filed(APPLICATION_ERROR, 1, "General Error", severity=LOW)


def _base(entry: Entry) -> _Filed:
    return _Filed(BASE, OTHER, text(entry.event, "type") or "unknown")


_FILE: Final[Mapping[str, Callable[[Entry], _Filed]]] = {
    "run.intent": _run,
    "run.approved": _run,
    "run.started": _run,
    "run.ended": _run,
    "health.checked": lambda entry: _api(entry, (2, "Read")),
    "lessons.cut": _cut,
    "task.result": _task,
    "log.opened": _entity(1, "Create", "audit log"),
    "key.added": _entity(1, "Create", "key", "key"),
    "key.retired": _entity(9, "Disable", "key", "key"),
    "policy.set": _policy,
    "secret.rotated": _entity(3, "Update", "secret"),
    "access.opened": _access,
    "access.closed": _access,
    "erasure.performed": _erasure,
    "drift.found": _drift,
    "log.recovered": _recovered,
}
