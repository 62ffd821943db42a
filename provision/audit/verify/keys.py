"""Which keys a log had when, and which of them whoever verifies has reason to trust."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.audit.tlog import NoteError, Policy, PolicyError, VerifierKey
from provision.audit.verify.findings import Findings, Severity
from provision.audit.verify.held import Held, Role, shown_key


@dataclass(slots=True)
class KeyHistory:
    """What the entries say about keys.

    Args:
        since: size of the smallest tree that a log's key may sign. until: size of the largest one.
        witnesses: every key that was ever announced as a witness's, by its ``vkey``: a new key may have the old name.
        policy: the newest ``policy.set``: its entry and text. policies: all of them that can be read.
    """

    opened: list[VerifierKey] = field(default_factory=list)
    added: list[tuple[int, VerifierKey]] = field(default_factory=list)
    since: dict[VerifierKey, int] = field(default_factory=dict)
    until: dict[VerifierKey, int] = field(default_factory=dict)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    policy: tuple[int, str] | None = None
    policies: list[tuple[int, Policy]] = field(default_factory=list)

    def take(self, index: int, kind: str, facts: dict[str, Any], findings: Findings) -> None:
        """Take an entry about keys."""
        try:
            match kind:
                case "log.opened":
                    if index:
                        findings.add("form/opened-again", index)
                        return
                    self.opened = [VerifierKey.parse(key) for key in facts["keys"]]
                    self.since |= dict.fromkeys(self.opened, 0)
                case "key.added":
                    key = VerifierKey.parse(facts["key"])
                    if facts["purpose"] == "log":
                        self.added.append((index, key))
                        self.since.setdefault(key, index + 1)
                        self.until.pop(key, None)
                    else:
                        self.witnesses[key.vkey] = key
                case "key.retired":
                    key = VerifierKey.parse(facts["key"])
                    if facts["purpose"] == "log":
                        self.until[key] = index + 1
                case "policy.set":
                    self.policy = (index, facts["policy"])
                    policy = Policy.parse(facts["policy"])
                    self.policies.append((index, policy))
                    self.witnesses |= {key.vkey: key for key in policy.witnesses.values()}
        except (NoteError, PolicyError) as error:
            findings.add("form/data", index, type=kind, field=str(error))

    def valid(self, key: VerifierKey, size: int) -> bool:
        """Whether a key was one of the log's when a tree of this size was signed."""
        return key in self.since and self.since[key] <= size <= self.until.get(key, size)

    def trusted(
        self, policy: Policy, origin: str, held: Sequence[Held], findings: Findings
    ) -> set[VerifierKey]:
        """The keys of the policy, and those that they vouched for since.

        A new key is vouched for by a checkpoint that covers its ``key.added`` and that a key which the log had already
        signed as well.
        """
        trusted = {key for key in policy.logs if key.name == origin}
        for index, key in self.added:
            vouchers = {
                other
                for one in held
                if key in one.logs and one.checkpoint.size > index
                for other in one.logs
                if other != key and self.valid(other, index)
            }
            if vouchers & trusted:
                trusted.add(key)
            elif not vouchers:
                # Whoever put the new key into the policy trusts it for another reason; the break is told all the same.
                severity = Severity.WARNING if key in trusted else Severity.BAD
                findings.add("key-swapped/rotation", index, key=shown_key(key), severity=severity)
        return trusted


def check_log_signatures(
    held: Sequence[Held], history: KeyHistory, trusted: set[VerifierKey], origin: str, findings: Findings
) -> None:
    """See that the log itself signed each checkpoint, with a key that was valid then; the newest with a trusted one."""
    for one in held:
        size = one.checkpoint.size
        if not one.logs:
            foreign = [
                f"{line.name} ({line.key_id.hex()})" for line in one.note.signatures if line.name == origin
            ]
            if one.role is Role.EVIDENCE:
                findings.add("evidence/unreadable", file=one.source, severity=Severity.WARNING)
            elif foreign:
                findings.add("key-swapped/invalid", file=one.source, size=size, key=", ".join(foreign))
            else:
                findings.add("signature/none", file=one.source)
            continue
        valid = [key for key in one.logs if history.valid(key, size)]
        shown = ", ".join(map(shown_key, one.logs))
        if not valid and one.role is not Role.EVIDENCE:
            findings.add("key-swapped/invalid", file=one.source, size=size, key=shown)
        elif one.role is Role.CURRENT and not trusted.intersection(valid):
            findings.add("key-swapped/untrusted", file=one.source, key=shown)


def check_policy(
    history: KeyHistory, given: Policy | None, own: Policy | None, origin: str, findings: Findings
) -> None:
    """See that keys and policy of the directory are those that the entries announced."""
    announced = set(history.since)
    if own is not None:
        for key in own.logs:
            if key.name == origin and key not in announced:
                findings.add("key-swapped/policy", key=shown_key(key))
        if history.policy is not None:
            index, text = history.policy
            try:
                changed = Policy.parse(text) != own
            except PolicyError:
                changed = True
            if changed:
                findings.add("policy/changed", index)
    if given is not None and announced and not announced.intersection(given.logs):
        findings.add("key-swapped/opening", 0)
