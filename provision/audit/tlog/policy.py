"""Policies (tlog-policy): which logs and witnesses are known, and which of them must have signed.

One file says what an auditor trusts; it must come from a place that the log's operator does not control.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from provision.audit.tlog.algorithms import Kind
from provision.audit.tlog.checkpoint import Checkpoint
from provision.audit.tlog.encoding import MAX_NAME, NoteError, from_decimal, shown
from provision.audit.tlog.keys import VerifierKey
from provision.audit.tlog.note import Note, open_note

#: Largest policy that is read, in bytes.
MAX_POLICY = 1024 * 1024
#: Most lines in a policy, comments and empty ones too.
MAX_LINES = 10_000
#: Most logs, witnesses and groups, each, in a policy. The specification asks for 32.
MAX_DEFINITIONS = 256
#: The quorum of a policy that asks for no cosignature.
NO_QUORUM = "none"

_LOG_KINDS = frozenset({Kind.ED25519, Kind.ECDSA, Kind.COSIGNATURE_MLDSA44})
_WITNESS_KINDS = frozenset({Kind.COSIGNATURE_ED25519, Kind.COSIGNATURE_MLDSA44})
_SPACE = re.compile(r"[ \t]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class PolicyError(NoteError):
    """A policy is wrong.

    Attributes:
        line: number of the line, from 1; 0 when it is none in particular.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses, or other groups, of which so many must have cosigned.

    Attributes:
        threshold: how many.
        members: names of witnesses and of groups that are defined before this one.
    """

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a policy says of a checkpoint.

    Attributes:
        checkpoint: size and root, signed by the log.
        logs: the keys with which the log signed; at least one.
        witnesses: names (in the policy) of the witnesses that cosigned, and when, in seconds since 1970. A time of 0
            states none.
        quorum_met: whether enough witnesses cosigned.
    """

    checkpoint: Checkpoint
    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, int]
    quorum_met: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """Known logs and witnesses, and the quorum.

    Attributes:
        logs: keys of logs; the name of each is the origin that it may sign for. A log may have several.
        witnesses: keys of witnesses, by their names in the policy.
        groups: groups by name, each defined after its members.
        quorum: name of the witness or group that must have cosigned, or ``none``.
        urls: where a log or witness is reached, by its ``vkey``; whatever the policy says.

    Raises:
        PolicyError: it does not hold together.
    """

    logs: tuple[VerifierKey, ...] = ()
    witnesses: Mapping[str, VerifierKey] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = NO_QUORUM
    urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        draft = _Draft()
        for key in self.logs:
            draft.add_log(key)
        for name, key in self.witnesses.items():
            draft.add_witness(name, key)
        for name, group in self.groups.items():
            draft.add_group(name, group)
        draft.set_quorum(self.quorum)
        for vkey, url in self.urls.items():
            if not url or _SPACE.search(url) or "\n" in url or _FORBIDDEN.search(url):
                raise PolicyError(f"the address of {shown(vkey)} cannot stand in a policy")

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Read a policy.

        Args:
            text: the file.

        Raises:
            PolicyError: it is wrong; the message names the line.
        """
        draft = _Draft()
        for number, line in enumerate(_lines(text), 1):
            if _FORBIDDEN.search(line):
                hint = " (a line must end in a newline alone)" if line.endswith("\r") else ""
                raise PolicyError(f"control characters are not allowed{hint}", number)
            words = _SPACE.split(line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    draft.read(words)
                except PolicyError as error:
                    raise PolicyError(str(error), number) from None
                except NoteError as error:
                    raise PolicyError(f"the key is not usable: {error}", number) from None
        if draft.quorum is None:
            raise PolicyError("there is no quorum line; write 'quorum none' if no cosignature is needed")
        return cls(tuple(draft.logs), draft.witnesses, draft.groups, draft.quorum, draft.urls)

    @property
    def text(self) -> str:
        """The policy as a file."""
        lines = [" ".join(("log", key.vkey, *self._url(key))) for key in self.logs]
        lines += [
            " ".join(("witness", name, key.vkey, *self._url(key))) for name, key in self.witnesses.items()
        ]
        lines += [
            f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in self.groups.items()
        ]
        lines.append(f"quorum {self.quorum}")
        return "\n".join(lines) + "\n"

    def verifiers(self) -> tuple[VerifierKey, ...]:
        """All keys, of logs and of witnesses."""
        return (*self.logs, *self.witnesses.values())

    def satisfied(self, names: Collection[str]) -> bool:
        """Whether these witnesses are enough.

        Args:
            names: names in the policy of the witnesses that cosigned; others are passed over.
        """
        if self.quorum == NO_QUORUM:
            return True
        met = {name for name in names if name in self.witnesses}
        # Each group comes after its members, so one pass is enough, however deep they are nested.
        for name, group in self.groups.items():
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(name)
        return self.quorum in met

    def open(self, note: Note | bytes) -> Opinion:
        """Verify a checkpoint: the log must have signed, and nothing by a known key may be wrong.

        Whether the quorum is met is part of the answer, and no error.

        Args:
            note: the checkpoint with its signatures.

        Raises:
            NoteError: it is no checkpoint, a known key's signature is wrong, or no key of the policy signed for the
                log that it names.
        """
        note = Note.parse(note) if isinstance(note, bytes) else note
        checkpoint = Checkpoint.parse(note.text)
        keys = [key for key in self.logs if key.name == checkpoint.origin]
        if not keys:
            raise NoteError(f"the policy knows no log {shown(checkpoint.origin)}")
        names = {key: name for name, key in self.witnesses.items()}
        opened = open_note(note, (*keys, *names))
        logs = tuple(one.key for one in opened if one.key in keys)
        if not logs:
            raise NoteError(f"the checkpoint is not signed by its log {shown(checkpoint.origin)}")
        witnesses = {names[one.key]: one.timestamp or 0 for one in opened if one.key in names}
        return Opinion(checkpoint, logs, witnesses, self.satisfied(witnesses))

    def _url(self, key: VerifierKey) -> tuple[str, ...]:
        url = self.urls.get(key.vkey)
        return (url,) if url else ()


class _Draft:
    """A policy while it is put together: the rules that need more than one line."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.urls: dict[str, str] = {}
        self._grouped: set[str] = set()
        self._publics: dict[bytes, str] = {}
        self._ids: set[tuple[str, bytes]] = set()

    def read(self, words: list[str]) -> None:
        """Take one line."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.add_log(VerifierKey.parse(vkey))
                self.urls.update((vkey, one) for one in url)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self.add_witness(name, VerifierKey.parse(vkey))
                self.urls.update((vkey, one) for one in url)
            case ["group", name, needed, _, *_]:
                members = tuple(words[3:])
                self.add_group(name, Group(_threshold(needed, len(members)), members))
            case ["quorum", name]:
                self.set_quorum(name)
            case ["log" | "witness" | "group" | "quorum" as word, *_]:
                raise PolicyError(f"this is not how a line that begins with '{word}' is written")
            case _:
                raise PolicyError(
                    f"a line begins with log, witness, group or quorum, not with {shown(words[0])}"
                )

    def add_log(self, key: VerifierKey) -> None:
        if key.kind not in _LOG_KINDS:
            raise PolicyError(f"a key of type {key.kind:#04x} is not for a log")
        if len(self.logs) == MAX_DEFINITIONS:
            raise PolicyError(f"there are more than {MAX_DEFINITIONS} logs")
        self._take(key)
        self.logs.append(key)

    def add_witness(self, name: str, key: VerifierKey) -> None:
        if key.kind not in _WITNESS_KINDS:
            raise PolicyError(f"a key of type {key.kind:#04x} is not for a witness")
        if len(self.witnesses) == MAX_DEFINITIONS:
            raise PolicyError(f"there are more than {MAX_DEFINITIONS} witnesses")
        self._check_new(name)
        self._take(key)
        self.witnesses[name] = key

    def add_group(self, name: str, group: Group) -> None:
        if len(self.groups) == MAX_DEFINITIONS:
            raise PolicyError(f"there are more than {MAX_DEFINITIONS} groups")
        self._check_new(name)
        if not 1 <= group.threshold <= len(group.members):
            raise PolicyError(f"a group of {len(group.members)} cannot ask for {group.threshold}")
        for member in group.members:
            if member not in self.witnesses and member not in self.groups:
                raise PolicyError(f"no witness or group {shown(member)} is defined before this")
            if member in self._grouped:
                raise PolicyError(f"{shown(member)} is a member already: each counts once")
            self._grouped.add(member)
        self.groups[name] = group

    def set_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise PolicyError("there is a quorum already")
        if name != NO_QUORUM and name not in self.witnesses and name not in self.groups:
            raise PolicyError(f"no witness or group {shown(name)} is defined before this")
        self.quorum = name

    def _check_new(self, name: str) -> None:
        # Names are words of this file and nothing else, so they may have signs that a key's name may not.
        if not name or _SPACE.search(name) or "\n" in name or _FORBIDDEN.search(name) or len(name) > MAX_NAME:
            raise PolicyError(f"{shown(name)} cannot be the name of a witness or a group")
        if name == NO_QUORUM:
            raise PolicyError(f"'{NO_QUORUM}' is not a name for a witness or a group")
        if name in self.witnesses or name in self.groups:
            raise PolicyError(f"the name {shown(name)} is taken")

    def _take(self, key: VerifierKey) -> None:
        """No key may stand for two parties, and a log is no witness of itself."""
        if _FORBIDDEN.search(key.name):
            raise PolicyError(f"the key name {shown(key.name)} cannot stand in a policy")
        if key.public in self._publics:
            other = self._publics[key.public]
            raise PolicyError(f"the key of {shown(key.name)} is there already, as that of {shown(other)}")
        if (key.name, key.key_id) in self._ids:
            raise PolicyError(f"two keys have the name {shown(key.name)} and the same id")
        self._publics[key.public] = key.name
        self._ids.add((key.name, key.key_id))


def _lines(text: str | bytes) -> list[str]:
    if len(text) > MAX_POLICY:
        raise PolicyError(f"the policy is larger than {MAX_POLICY} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            raise PolicyError("this is not UTF-8 text", before.count(b"\n") + 1) from None
    lines = text.split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        raise PolicyError(f"the policy has more than {MAX_LINES} lines")
    return lines


def _threshold(word: str, members: int) -> int:
    if word in {"all", "any"}:
        return members if word == "all" else 1
    try:
        return from_decimal(word, "the number")
    except NoteError:
        raise PolicyError(
            f"a group asks for all, any or a number of its members, not for {shown(word)}"
        ) from None
