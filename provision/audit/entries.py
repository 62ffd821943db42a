"""The entries of the audit log: CloudEvents 1.0 in RFC 8785 form, with a small versioned schema for ``data``.

``data`` answers the questions of an audit: who (``actor``), what (``action`` and the fields of its type), when (the
event's ``time``), where (``target``), why (``why``), on whose authority (``authority``), with which outcome.
Writers use the models here, which refuse what they do not know; readers take any entry whose envelope is right, so
that a log of a later version stays readable.

Source: CloudEvents 1.0.2 (context attributes), RFC 8785 (canonical JSON), RFC 9562 (UUID version 7).
"""

import json
import os
import time
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

import rfc8785
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from provision.audit.canonical import canonical
from provision.audit.tlog.keys import MAX_VKEY
from provision.text import printable, printable_line

#: Version of the shape of ``data``; part of each entry.
DATA_SCHEMA = "urn:provision:audit:entry:v1"
#: tlog-tiles counts an entry's length in 16 bits.
MAX_ENTRY = 65_535

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _whole(value: Any) -> Any:
    """Names that the operating system gives may have bytes that are no text; an entry has text only."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


#: Longest text of an entry, in characters; those with a length of their own aside.
MAX_TEXT = 2000
Text = Annotated[str, BeforeValidator(_whole), StringConstraints(max_length=MAX_TEXT)]
#: A public key with its name: about 1,760 characters for ML-DSA-44, and up to 255 bytes of name.
Key = Annotated[str, StringConstraints(max_length=MAX_VKEY)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class EntryError(ValueError):
    """Bytes that are no entry of such a log; says what is wrong."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Actor(_Model):
    """Who acts: a person by name, never a shared account.

    Args:
        name: from the configured identity.
        user: the operating system's user on ``machine``.
        key: fingerprint of the SSH key that opened the server, ``SHA256:…``; empty where none was used.
    """

    kind: Literal["person", "school", "tool"] = "person"
    name: Text
    user: Text = ""
    machine: Text = ""
    key: Text = ""


class Authority(_Model):
    """On whose authority: the number of a request, who agreed to it, and how we know.

    Args:
        basis: ``confirmed`` by the person at the screen, ``unattended`` (``--yes``), ``cosigned`` by the school.
    """

    basis: Literal["confirmed", "unattended", "cosigned"]
    ticket: Text = ""
    approver: Text = ""


class Target(_Model):
    """Where: a school, and as far as known its host and service."""

    school: Text
    host: Text = ""
    service: Text = ""


class Data(_Model):
    """What every entry says; each type adds its own.

    Args:
        action: what is done, one word or two, for programs and for translation.
        why: the reason in the person's own words; empty where none was given.
    """

    type: ClassVar[str]
    actor: Actor
    target: Target
    action: Text
    outcome: Text = "done"
    why: Text = ""
    authority: Authority | None = None


class LogOpened(Data):
    """The first entry of each log."""

    type: ClassVar[str] = "log.opened"
    action: Text = "open log"
    municipality: Text
    keys: list[Key]
    tool: Text


class KeyChange(Data):
    """A key that begins or ceases to count."""

    key: Key
    purpose: Literal["log", "witness"]


class KeyAdded(KeyChange):
    """A key that signs or cosigns from now on. A log's new key is vouched for by the old one, on one checkpoint."""

    type: ClassVar[str] = "key.added"
    action: Text = "add key"


class KeyRetired(KeyChange):
    """A key that counts no more for checkpoints after this entry."""

    type: ClassVar[str] = "key.retired"
    action: Text = "retire key"


class PolicySet(Data):
    """What a checkpoint needs to count, in the tlog-policy format, and whether the school must agree beforehand."""

    type: ClassVar[str] = "policy.set"
    action: Text = "set policy"
    policy: Annotated[str, StringConstraints(max_length=20_000)]
    strict: bool


class State(_Model):
    """State of a directory under version control; ``commit`` is empty where there is none."""

    commit: Text
    dirty: bool


class Service(_Model):
    """A service as it will be installed, with the SHA-256 of each artifact by file name."""

    service: Text
    version: Text
    source: Text
    lab_only: bool = False
    checksums: dict[str, Sha256] = {}


class Host(_Model):
    """A server of the school, and the fingerprint of the host key that it showed."""

    name: Text
    address: Text
    host_key: Text


class RunIntent(Data):
    """What a run is about to do. Nothing is changed before this entry is signed.

    Args:
        workspace: revision of the municipality's files; ``code``: of the tool, where it runs from a checkout.
        content: SHA-256 of the school file, the municipality file, the playbooks and each role that runs.
        only: the services that the run was limited to; empty for all.
        strict: the school must have cosigned this entry before the run goes on.
        force: lessons that go on are cut where a step would cut them.
    """

    type: ClassVar[str] = "run.intent"
    run: Text
    tool: Text
    workspace: State
    code: State
    services: list[Service] = []
    hosts: list[Host] = []
    only: list[Text] = []
    content: dict[str, Sha256] = {}
    strict: bool = False
    force: bool = False
    outcome: Text = "intended"


class Cosigner(_Model):
    """A cosignature that was there: by whom, over how many entries, when (Unix seconds)."""

    name: Text
    size: Count
    time: Count


class RunApproved(Data):
    """The school's cosignature over the intent was there before the run went on."""

    type: ClassVar[str] = "run.approved"
    action: Text = "approve"
    run: Text
    cosigners: list[Cosigner] = []


class RunStarted(Data):
    """From here on something may change."""

    type: ClassVar[str] = "run.started"
    action: Text = "start"
    run: Text


class TaskResult(Data):
    """A step that changed something, or failed. What exactly is in the run's detail, bound by ``commitment``.

    Args:
        number: place of the step in the run's detail, from 0.
    """

    type: ClassVar[str] = "task.result"
    run: Text
    number: Count
    commitment: Sha256


class LessonsCut(Data):
    """A step of a run with ``force`` cut lessons that went on.

    Args:
        run: the run of this school that did it; empty where it was another school's, on a server that they share.
        by, by_run: that other school and its run; empty where it was this school's own.
        meetings, participants: how many were cut; left out where the server could not tell.
    """

    type: ClassVar[str] = "lessons.cut"
    action: Text = "cut lessons"
    run: Text = ""
    by: Text = ""
    by_run: Text = ""
    meetings: Count | None = None
    participants: Count | None = None


class Failure(_Model):
    """The step that a run failed at."""

    host: Text
    service: Text
    task: Text


class RunEnded(Data):
    """How a run ended.

    Args:
        counts: results by status. ``changed``: number of changes by service or base role.
        detail_size, detail_root: number of steps in the run's detail, and the Merkle root (RFC 6962) over
            their commitments, each commitment's 32 bytes being one leaf.
        versions: version of each service afterwards. ``healthy``, ``unhealthy``: numbers of probes.
    """

    type: ClassVar[str] = "run.ended"
    action: Text = "end"
    run: Text
    milliseconds: Count
    counts: dict[str, Count]
    changed: dict[str, Count] = {}
    detail_size: Count
    detail_root: Sha256
    versions: dict[str, Text] = {}
    healthy: Count = 0
    unhealthy: Count = 0
    failure: Failure | None = None


class ServiceHealth(_Model):
    """Numbers of probes of one service."""

    healthy: Count
    unhealthy: Count


class HealthChecked(Data):
    """Probes were asked; ``run`` is the run that asked, empty for a check of its own."""

    type: ClassVar[str] = "health.checked"
    action: Text = "check health"
    run: Text = ""
    services: dict[str, ServiceHealth]


class SecretRotated(Data):
    """Secrets were replaced; their names, never a value."""

    type: ClassVar[str] = "secret.rotated"
    action: Text = "rotate secret"
    names: list[Text]


class Access(Data):
    """An access that begins or ends."""

    kind: Literal["ssh", "secret", "grant"]
    subject: Text
    run: Text = ""


class AccessOpened(Access):
    """A person got at a server or saw a secret.

    Args:
        kind: ``ssh`` for a run's connection, ``secret`` for a value that was shown, ``grant`` for a key let in.
        subject: account on the server, or name of the secret.
    """

    type: ClassVar[str] = "access.opened"
    action: Text = "open access"


class AccessClosed(Access):
    """An access of ``access.opened`` ended."""

    type: ClassVar[str] = "access.closed"
    action: Text = "close access"


class Erased(_Model):
    """Steps of a run's detail whose payload was erased; their commitments stay."""

    run: Text
    numbers: list[Count]


class ErasurePerformed(Data):
    """Personal data was erased from the detail; every proof stays valid."""

    type: ClassVar[str] = "erasure.performed"
    action: Text = "erase"
    erased: list[Erased]


class DriftFound(Data):
    """Something that the log does not explain.

    Args:
        kind: ``unknown-run`` (the server names a run that is not in the log), ``changed-copy`` (the server's copy of
            the log is not what was put there), ``missing-copy``, ``contradiction`` (a checkpoint with our own
            signature that does not fit the log).
        found: what was there instead, in few words.
    """

    type: ClassVar[str] = "drift.found"
    action: Text = "find drift"
    kind: Literal["unknown-run", "changed-copy", "missing-copy", "contradiction"]
    found: Text
    outcome: Text = "unexplained"


class Heartbeat(Data):
    """Nothing happened, and the log is alive: gaps in time without these are suspicious."""

    type: ClassVar[str] = "heartbeat"
    action: Text = "heartbeat"


class Leftover(_Model):
    """A file that a crash left beyond the last signed checkpoint."""

    file: Text
    sha256: Sha256
    bytes: Count


class Following(_Model):
    """Entries that had been signed and had never reached the server, while a colleague went on without them.

    Args:
        shared: how many entries their log and this one have in common.
        size, root: of the tree that they were part of: the shared ones and, word for word, the ``size - shared`` that
            follow the entry which says this.
    """

    shared: Count
    size: Count
    root: Sha256


class LogRecovered(Data):
    """A writer was broken off; what it left unfinished is named here and removed, never taken for signed.

    Args:
        follows: signed entries that come once more, directly behind this one; left out where none do.
    """

    type: ClassVar[str] = "log.recovered"
    action: Text = "recover"
    leftovers: list[Leftover]
    follows: Following | None = None


#: Every type that is written, by its name.
TYPES: Mapping[str, type[Data]] = {
    model.type: model
    for model in (
        LogOpened, KeyAdded, KeyRetired, PolicySet, RunIntent, RunApproved, RunStarted, TaskResult, LessonsCut,
        RunEnded, HealthChecked, SecretRotated, AccessOpened, AccessClosed, ErasurePerformed, DriftFound, Heartbeat,
        LogRecovered,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it was read.

    Args:
        index: its place in the log, from 0.
        raw: its bytes, which are the leaf's data.
        event: the CloudEvent, parsed.
    """

    index: int
    raw: bytes
    event: dict[str, Any]

    @property
    def type(self) -> str:
        """Its type, such as ``run.intent``."""
        return str(self.event["type"])

    @property
    def time(self) -> str:
        """When, as RFC 3339 in UTC with three decimals; texts of this form sort by time."""
        return str(self.event["time"])

    @property
    def data(self) -> dict[str, Any]:
        """What its type says."""
        return self.event["data"]  # type: ignore[no-any-return]


def timestamp(when: datetime | None = None) -> str:
    """A time in the form of the entries: RFC 3339, UTC, three decimals."""
    moment = (when or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def uuid7() -> str:
    """An id that sorts by time (RFC 9562, section 5.7); Python has it from 3.14 on."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def compose(origin: str, data: Data, *, when: str | None = None) -> bytes:
    """The bytes of an entry.

    Args:
        origin: the log's origin; becomes ``source``.
        data: what happened.
        when: time of it, as ``timestamp`` gives it; now when left out.

    Raises:
        EntryError: it is larger than a log's entry may be.
    """
    target = data.target
    event = {
        "specversion": "1.0",
        "id": uuid7(),
        "source": origin,
        "type": data.type,
        "time": when or timestamp(),
        "subject": _plain("/".join(part for part in (target.school, target.host, target.service) if part)),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMA,
        "data": _plain(data.model_dump(mode="json", exclude_none=True)),
    }
    raw = canonical(event)
    if len(raw) > MAX_ENTRY:
        raise EntryError(f"an entry of type {data.type} has {len(raw)} bytes; {MAX_ENTRY} are allowed")
    return raw


def _plain(value: Any) -> Any:
    """Texts in Unicode's form NFC and without what steers a terminal, so that one text has one form of bytes."""
    match value:
        case str():
            shown = printable(value) if "\n" in value else printable_line(value, 20_000)
            return unicodedata.normalize("NFC", shown)
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value


def _no_fraction(text: str) -> Any:
    raise EntryError(f"it has a number that is no integer: {text[:40]}")


def _integer(text: str) -> int:
    if len(text) > 17 or not -(2**53) < (number := int(text)) < 2**53:
        raise EntryError(f"it has a number that not every reader takes for the same: {text[:40]}")
    return number


_READER = json.JSONDecoder(parse_float=_no_fraction, parse_constant=_no_fraction, parse_int=_integer)
_ENVELOPE = ("specversion", "id", "source", "type", "time", "data")


def parse(index: int, raw: bytes) -> Entry:
    """Read an entry's bytes. Types and fields that this version does not know are kept.

    Args:
        index: its place in the log.
        raw: its bytes.

    Raises:
        EntryError: it is no CloudEvent, or has numbers that an entry never has: fractions, and integers from 2**53 on.
    """
    try:
        event = _READER.decode(raw.decode())
        if b"\\u" in raw:
            # An escaped half of a character is no text; everything else can be written in UTF-8.
            json.dumps(event, ensure_ascii=False).encode()
    except EntryError:
        raise
    except (ValueError, RecursionError) as error:
        raise EntryError(f"it is not JSON: {error}") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise EntryError("it is not a CloudEvent with an object as its data")
    wrong = [name for name in _ENVELOPE[:5] if not isinstance(event.get(name), str)]
    if wrong:
        raise EntryError(f"it has no text at {', '.join(wrong)}")
    return Entry(index, raw, event)


def is_canonical(entry: Entry) -> bool:
    """Whether an entry's bytes are the canonical form of what they say (RFC 8785)."""
    try:
        return canonical(entry.event) == entry.raw
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError):
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an entry of every type; ``provision.audit.schema`` publishes it."""
    definitions: dict[str, Any] = {}
    variants = []
    for name, model in TYPES.items():
        schema = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        definitions[model.__name__] = schema
        variants.append(
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"properties": {"data": {"$ref": f"#/$defs/{model.__name__}"}}},
            }
        )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": DATA_SCHEMA,
        "title": "An entry of a school's audit log: CloudEvents 1.0, canonical by RFC 8785",
        "type": "object",
        "required": [*_ENVELOPE, "dataschema"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "format": "uuid"},
            "source": {"type": "string"},
            "type": {"type": "string"},
            "subject": {"type": "string"},
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object"},
            "dataschema": {"const": DATA_SCHEMA},
            "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        },
        "allOf": variants,
        "$defs": definitions,
    }
