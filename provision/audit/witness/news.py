"""What is new in a log since the last visit: counted, and the keys and rules that it names."""

from collections import Counter
from dataclasses import dataclass, field

from provision.audit.entries import Entry, EntryError, parse
from provision.audit.tlog import Frontier, NoteError, Policy, VerifierKey
from provision.audit.words import Fields

#: Sizes after a new key's entry at which the checkpoint that vouches for it may be: the entries of a renewal are
#: written together, and the checkpoint is signed after the last of them.
_VOUCHED_WITHIN = 32
#: Most entries and keys that are kept to be shown.
MOST_SHOWN = 200
#: Changes of keys and rules are shown apart from these, so that no crowd of others hides them.
_RULES = frozenset({"log.opened", "key.added", "key.retired", "policy.set"})
_MAX_KEYS = 64
_SHOWN = frozenset(
    {
        "run.intent", "run.approved", "run.ended", "secret.rotated", "access.opened", "erasure.performed",
        "drift.found", "log.recovered",
    }
)  # fmt: skip


@dataclass(slots=True)
class News:
    """New entries, as far as a person must know of them before cosigning.

    Args:
        counts: entries by type; what is no entry of a known form counts as ``?``.
        shown: entries worth a line each, at most ``MOST_SHOWN``; ``hidden`` is how many more there are.
        rules: changes of keys and of who must agree to what, at most ``MOST_SHOWN``; ``hidden_rules``: how many more.
        pending: announcements of runs that wait for this cosignature.
        settled: runs that have begun or ended.
        opened: the log's keys as its first entry names them.
        added, retired: keys of the log, with the number of the entry that names them.
        roots: of the sizes at which a new key may be vouched for.
        policy: the newest that the log states; ``strict``: whether runs wait for the school.
            Before the first look they are what was seen last.
        loosened: entries that end that runs wait. replaced: entries after which others than before must cosign, where
            anybody had to.
    """

    counts: Counter[str] = field(default_factory=Counter)
    shown: list[Entry] = field(default_factory=list)
    hidden: int = 0
    rules: list[Entry] = field(default_factory=list)
    hidden_rules: int = 0
    pending: dict[str, Entry] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    opened: list[VerifierKey] = field(default_factory=list)
    added: list[tuple[int, VerifierKey]] = field(default_factory=list)
    retired: list[tuple[int, VerifierKey]] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    policy: Policy | None = None
    strict: bool | None = None
    loosened: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)

    @property
    def entries(self) -> int:
        """How many there are."""
        return self.counts.total()

    def look(self, index: int, raw: bytes, frontier: Frontier) -> None:
        """Take one more entry.

        Args:
            index: its number. raw: its bytes.
            frontier: the tree with this entry as its last.
        """
        try:
            entry = parse(index, raw)
            data = Fields(entry.data)
        except EntryError:
            self.counts["?"] += 1
            return
        self.counts[entry.type] += 1
        self._take_keys(entry, data)
        if self.added and index - self.added[-1][0] < _VOUCHED_WITHIN:
            self.roots[frontier.size] = frontier.root()
        self._take_run(entry, data)
        if entry.type == "policy.set":
            self._take_policy(entry, data)
        if entry.type in _RULES:
            if len(self.rules) < MOST_SHOWN:
                self.rules.append(entry)
            else:
                self.hidden_rules += 1
        if entry.type in _SHOWN and not (entry.type == "access.opened" and data.text("kind") == "ssh"):
            if len(self.shown) < MOST_SHOWN:
                self.shown.append(entry)
            else:
                self.hidden += 1

    def look_at_run(self, index: int, raw: bytes) -> None:
        """Take what an entry that was seen before says of a run."""
        try:
            entry = parse(index, raw)
        except EntryError:
            return
        self._take_run(entry, Fields(entry.data))

    def _take_run(self, entry: Entry, data: Fields) -> None:
        run = data.text("run")
        match entry.type:
            # One that waits for nobody is written together with its start: whatever it says, this one waits.
            case "run.intent":
                self.pending[run] = entry
            case "run.started" | "run.ended":
                self.pending.pop(run, None)
                self.settled.add(run)

    def _take_keys(self, entry: Entry, data: Fields) -> None:
        if entry.type == "log.opened" and entry.index == 0:
            texts = [_whole(entry, "keys", number) for number in range(len(data.items("keys")))][:_MAX_KEYS]
            self.opened = [key for text in texts if (key := _key(text))]
        elif entry.type in {"key.added", "key.retired"} and data.text("purpose") == "log":
            into = self.added if entry.type == "key.added" else self.retired
            key = _key(entry.data.get("key"))
            if key is not None and len(into) < _MAX_KEYS:
                into.append((entry.index, key))

    def _take_policy(self, entry: Entry, data: Fields) -> None:
        text = entry.data.get("policy")
        try:
            policy = Policy.parse(text) if isinstance(text, str) else self.policy
        except NoteError:
            return
        former, self.policy = self.policy, policy
        if (
            former is not None
            and policy is not None
            and former.witnesses
            and not _same_demands(former, policy)
        ):
            _note(self.replaced, entry.index)
        if self.strict and not data.true("strict"):
            _note(self.loosened, entry.index)
        self.strict = data.true("strict")


def _note(places: list[int], index: int) -> None:
    if len(places) < MOST_SHOWN:
        places.append(index)


def _same_demands(one: Policy, other: Policy) -> bool:
    return (dict(one.witnesses), dict(one.groups), one.quorum) == (
        dict(other.witnesses),
        dict(other.groups),
        other.quorum,
    )


def _whole(entry: Entry, name: str, number: int) -> object:
    """A key has up to 1,800 characters, more than ``Fields`` shows."""
    values = entry.data[name]
    return values[number] if isinstance(values, list) else None


def _key(text: object) -> VerifierKey | None:
    try:
        return VerifierKey.parse(text) if isinstance(text, str) else None
    except NoteError:
        return None
