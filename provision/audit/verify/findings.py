"""What a verification says: findings, and the verdict over all of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import provision.audit.verify.words as w
from provision.audit.verify.sentences import WORDS
from provision.audit.words import span
from provision.text import printable_line

#: Findings of one sort that are kept; of more, only the number is.
KEPT_EACH = 25

Fact = str | int


class Severity(StrEnum):
    """How grave a finding is. Only ``BAD`` makes a log fail."""

    BAD = "bad"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a verification found.

    Args:
        text: key of its words, ``kind/variant``; never shown to people.
        severity: how grave it is.
        entry: number of the (first) entry that it is about; None when it is about no single entry.
        last: the last entry, where it is about several.
        facts: what stands in the words.
    """

    text: str
    severity: Severity
    entry: int | None = None
    last: int | None = None
    facts: dict[str, Fact] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What kind of thing it is, such as ``edited``; stable, for programs."""
        return self.text.partition("/")[0]

    def title(self, lang: str = "en") -> str:
        """The kind in one or two words of a language (``ca``, ``es`` or ``en``)."""
        return w.KINDS[self.kind][lang]

    def where(self, lang: str = "en") -> str:
        """The entry or entries that it is about, in words; empty when it is about none."""
        if self.entry is None:
            return ""
        if self.last is None or self.last == self.entry:
            return w.ENTRY[lang].format(self.entry)
        return w.ENTRIES[lang].format(self.entry, self.last)

    def words(self, lang: str = "en") -> str:
        """What was found, in one sentence, without where."""
        return WORDS[self.text][lang].format(**_shown(self.facts, lang))

    def remedy(self, lang: str = "en") -> str:
        """What to do next; may be empty."""
        return w.REMEDIES[w.REMEDY_OF.get(self.text) or w.REMEDY_OF.get(self.kind, "none")][lang]

    def as_data(self, lang: str = "en") -> dict[str, Any]:
        """For programs."""
        return {
            "kind": self.kind,
            "severity": str(self.severity),
            "entry": self.entry,
            "last_entry": self.last,
            "words": self.words(lang),
            "remedy": self.remedy(lang),
            "facts": self.facts,
        }


def _shown(facts: dict[str, Fact], lang: str) -> dict[str, Fact]:
    """Facts as they stand in a sentence: ``span`` is a number of seconds, texts may come from anywhere."""
    shown: dict[str, Fact] = {}
    for key, value in facts.items():
        if isinstance(value, str):
            shown[key] = printable_line(value, 200)
        else:
            shown[key] = (
                span(value, "ca" if lang == "ca" else "es" if lang == "es" else "en")
                if key == "span"
                else value
            )
    return shown


class Findings:
    """Collects findings; of one sort only the first ones are kept, so that a ruined log cannot fill the memory."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[tuple[str, Severity]] = Counter()

    def add(
        self,
        text: str,
        entry: int | None = None,
        *,
        last: int | None = None,
        severity: Severity = Severity.BAD,
        times: int = 1,
        given: Mapping[str, Fact] | None = None,
        **facts: Fact,
    ) -> None:
        """Note a finding.

        Args:
            times: how often it was found, when the caller kept only the first.
            given: facts that are in a mapping already.
        """
        if self.counts[text, severity] < KEPT_EACH:
            self.kept.append(Finding(text, severity, entry, last, {**(given or {}), **facts}))
        self.counts[text, severity] += times

    def sorted(self) -> tuple[Finding, ...]:
        """Grave ones first, then by entry."""
        order = list(Severity)
        return tuple(
            sorted(
                self.kept,
                key=lambda one: (order.index(one.severity), one.entry is None, one.entry or 0),
            )
        )


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The newest checkpoint that has the cosignatures which the policy asks for.

    Args:
        size: entries that it covers. time: of its oldest needed cosignature, Unix seconds.
        cosigners: the names of the keys that cosigned it.
        after: entries that came later. since: time of the first of them, empty when there is none.
    """

    size: int
    time: int
    cosigners: tuple[str, ...]
    after: int
    since: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased from the detail of a run, when, and by whom."""

    entry: int
    time: str
    actor: str
    run: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out.

    Args:
        origin: the log's name. size, root: what its checkpoint says. first, last: times of the first and last entry.
        vouched: whether keys came from the caller's own policy; else only the directory itself vouches for them.
        cosigned: None when no checkpoint has the cosignatures that are needed.
        quorum: whether the policy asks for any cosignature at all.
        types: number of entries by type. counts: number of findings by sort and severity, also of those not kept.
        anchors: number of checkpoints with a good time stamp.
        longest_gap: seconds between two neighbouring entries at most, and the later one's number.
    """

    origin: str
    size: int
    root: bytes
    first: str
    last: str
    findings: tuple[Finding, ...]
    counts: dict[tuple[str, Severity], int]
    vouched: bool
    quorum: bool
    cosigned: Cosigned | None
    erasures: tuple[Erasure, ...]
    types: dict[str, int]
    anchors: int
    longest_gap: tuple[int, int]

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the log."""
        return not any(severity is Severity.BAD for _, severity in self.counts)

    def number(self, severity: Severity) -> int:
        """How many findings of a severity there were."""
        return sum(count for (_, grade), count in self.counts.items() if grade is severity)

    def line(self, lang: str = "en") -> str:
        """The verdict in one line."""
        origin = printable_line(self.origin)
        if not self.ok:
            first = next(one for one in self.findings if one.severity is Severity.BAD)
            where = first.where(lang)
            return w.VERDICT["bad" if self.number(Severity.BAD) > 1 else "bad-one"][lang].format(
                origin=origin,
                count=self.number(Severity.BAD),
                first=f"{where}: {first.title(lang)}" if where else first.title(lang),
            )
        if not self.vouched:
            key = "unvouched"
        elif self.cosigned is not None and self.cosigned.cosigners:
            key = "cosigned"
        else:
            key = "alone"
        return w.VERDICT[key][lang].format(
            origin=origin,
            size=self.size,
            covered=self.cosigned.size if self.cosigned else 0,
            cosigners=", ".join(map(printable_line, self.cosigned.cosigners)) if self.cosigned else "",
        )

    def as_data(self, lang: str = "en") -> dict[str, Any]:
        """For programs, as ``provision/audit-verify/v1`` has it."""
        return {
            "ok": self.ok,
            "verdict": self.line(lang),
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "first": self.first,
            "last": self.last,
            "keys_vouched": self.vouched,
            "cosigners_required": self.quorum,
            "cosigned": self.cosigned
            and {
                "size": self.cosigned.size,
                "time": w.moment(self.cosigned.time),
                "cosigners": list(self.cosigned.cosigners),
                "entries_after": self.cosigned.after,
                "since": self.cosigned.since,
            },
            "anchors": self.anchors,
            "longest_gap_seconds": self.longest_gap[0],
            "entries_by_type": self.types,
            "erased": [
                {
                    "entry": one.entry,
                    "time": one.time,
                    "by": one.actor,
                    "run": one.run,
                    "steps": list(one.numbers),
                }
                for one in self.erasures
            ],
            "findings": [one.as_data(lang) for one in self.findings],
            "counts": [
                {"text": text, "severity": str(severity), "count": count}
                for (text, severity), count in sorted(self.counts.items())
            ],
        }
