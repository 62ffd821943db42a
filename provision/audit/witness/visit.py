"""A visit of the witness: fetch what is new, see that it continues what was seen, keep it, and only then cosign.

Nothing of the source is believed. The new entries, put behind the copy that the witness has, must give the root that
the log signed: that one comparison shows that nothing was changed, removed, reordered or inserted.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from provision.audit.entries import Entry, EntryError, parse
from provision.audit.tlog import (
    MAX_NOTE,
    TILE_WIDTH,
    Checkpoint,
    Frontier,
    Note,
    NoteError,
    Policy,
    SignerKey,
    TileBuilder,
    TileReader,
    TlogError,
    TreeError,
    VerifierKey,
    bundle_path,
    consistency_proof,
    encode_bundle,
    leaf_hash,
    open_note,
)
from provision.audit.tlog.layout import TILE_BITS, split_hashes
from provision.audit.tlog.tree import perfect_subtrees
from provision.audit.witness.errors import NoLogHereError, RefusedLogError, SourceError, WitnessError
from provision.audit.witness.evidence import Evidence, EvidenceError
from provision.audit.witness.news import News
from provision.audit.witness.sources import MissingPartError, Source, SourceTree
from provision.audit.witness.store import Trust, WitnessStore

#: Most bytes of entries that one visit takes.
MAX_BYTES = 8 << 30
#: How often a source may be renewed while it is read.
_TRIES = 3
_ASK = "do not sign; ask the city in writing, and tell your data protection officer"


@dataclass(slots=True)
class Visit:
    """What a visit found. Everything in it was verified; nothing of it counts before ``take``.

    Args:
        old: the last state that was seen. new: the one that the source has.
        note: the new checkpoint with the signatures of the log, and no other lines.
        trust: the log's keys from now on; ``first_use`` says that they come from the log itself and a person must
            compare them; ``renewed``: keys that the former ones vouched for.
        news: what is new.
    """

    store: WitnessStore
    old: Checkpoint
    new: Checkpoint
    note: Note
    trust: Trust
    news: News
    first_use: bool = False
    renewed: tuple[VerifierKey, ...] = ()
    _files: list[str] = field(default_factory=list)
    _obsolete: list[str] = field(default_factory=list)
    _archive: dict[int, Note] = field(default_factory=dict)
    _taken: bool = False

    def waiting(self, key: VerifierKey) -> dict[str, Entry]:
        """The announcements of runs that a cosignature by this key would be the first to agree to.

        They may have been seen before: what was stored need not have been signed. Asked before ``take``.

        Args:
            key: the school's.

        Raises:
            WitnessError: the copy of the log, or an archived checkpoint, is damaged.
        """
        signed = self.store.cosigned(key)
        before = News()
        try:
            reader = TileReader(self.store.directory, self.old.size)
            start = min(signed[0] if signed else 0, self.old.size)
            for index, raw in enumerate(reader.entries(start), start):
                # To look for the word first spares most of the time that a long log takes.
                if b'"run.' in raw:
                    before.look_at_run(index, raw)
        except TlogError as error:
            raise WitnessError(
                f"the copy of the log in {self.store.directory} is damaged: {error}"
            ) from error
        left = {run: entry for run, entry in before.pending.items() if run not in self.news.settled}
        return {**left, **self.news.pending}

    @property
    def loosened(self) -> list[int]:
        """New entries by which the city ended that runs wait for the school."""
        return self.news.loosened

    def take(self) -> None:
        """Make the new state the last one that was seen.

        Raises:
            WitnessError: it cannot be stored; the last state is as it was before.
        """
        with _disk(self.store.directory):
            if self.store.note is None or self.new.size > self.old.size:
                self.store.take(
                    self.note,
                    self._files,
                    self._obsolete,
                    trust=self.trust,
                    policy=self.news.policy if self.news.rules else None,
                    archive=self._archive,
                )
        self._taken = True

    def cosign(self, key: SignerKey, now: int | None = None) -> Note:
        """Cosign the state that was stored.

        Args:
            now: seconds since 1970; the clock's when left out.

        Returns:
            the checkpoint with the log's lines and the school's.

        Raises:
            RefusedLogError: the clock is behind the last cosignature.
            WitnessError: it was not stored, or cannot be kept.
        """
        if not self._taken or self.store.checkpoint != self.new:
            raise WitnessError("nothing is cosigned before it is stored")
        moment = int(time.time()) if now is None else now
        last = self.store.cosigned(key.verifier)
        if last is not None and moment < last[1]:
            raise RefusedLogError(
                "clock",
                "the clock of this machine is behind the time of your last cosignature",
                "set the clock, then try again: a cosignature says when the log was seen",
            )
        signature = key.sign(self.note.text, moment)
        answer = self.note.add(signature)
        with _disk(self.store.directory):
            self.store.archive(self.new.size, answer)
            self.store.restate(answer)
        return answer


@contextmanager
def visiting(directory: Path, source: Source) -> Iterator[Visit]:
    """Look at a log, and hold the witness's directory meanwhile.

    Args:
        directory: the witness's.
        source: where the log is.

    Raises:
        RefusedLogError: the log must not be cosigned; where it was forked, the proof is kept.
        SourceError: the source does not give a whole log.
        WitnessError: the witness's own directory is damaged, in use, or full.
    """
    with ExitStack() as stack:
        with _disk(directory):
            store = stack.enter_context(WitnessStore.open(directory).locked())
            visit = _look(store, source)
        yield visit


def file_name(checkpoint: Checkpoint) -> str:
    """Name of the file for the city: ``provision.example.cat-escola-mar-70000.cosignature``."""
    slug = "".join(
        sign if sign.isascii() and (sign.isalnum() or sign == ".") else "-" for sign in checkpoint.origin
    )
    return f"{slug.strip('.-') or 'log'}-{checkpoint.size}.cosignature"


def _look(store: WitnessStore, source: Source) -> Visit:
    for attempt in range(_TRIES):
        raw = _read_checkpoint(source)
        try:
            return _Look(store, source, raw).visit()
        except MissingPartError as error:
            # The city may have renewed the copy while it was read.
            if attempt + 1 == _TRIES or _read_checkpoint(source) == raw:
                raise SourceError(
                    f"the copy in {source.name} is not whole: {error}", "ask the city for a whole copy"
                ) from error
    raise AssertionError


def _read_checkpoint(source: Source) -> bytes:
    raw = source.read("checkpoint", MAX_NOTE)
    if raw is None:
        raise NoLogHereError(
            f"there is no audit log in {source.name}: no file “checkpoint”", "is this the right place?"
        )
    return raw


def _last_rules(store: WitnessStore) -> tuple[Policy | None, bool | None]:
    """The policy that the stored log states last, and whether runs waited for the school."""
    reader = store.reader
    try:
        for number in reversed(range(-(-reader.size // TILE_WIDTH))):
            for raw in reversed(reader.bundle(number)):
                # To look for the word first spares most of the time that a long log takes.
                if b'"policy.set"' in raw and (entry := parse(0, raw)).type == "policy.set":
                    return Policy.parse(str(entry.data.get("policy"))), entry.data.get("strict") is True
    except (TlogError, EntryError):
        # What can be read of it was told when it was new.
        pass
    return None, None


class _Look:
    """One reading of a source.

    Args:
        raw: its checkpoint.
    """

    def __init__(self, store: WitnessStore, source: Source, raw: bytes) -> None:
        self.store, self.source = store, source
        self.old = store.checkpoint
        try:
            self.whole = Note.parse(raw)
            self.new = Checkpoint.parse(self.whole.text)
        except NoteError as error:
            raise SourceError(
                f"the checkpoint in {source.name} is damaged: {error}", "ask for another copy"
            ) from error
        self.news = News()
        self.news.policy, self.news.strict = _last_rules(store)
        self.files: list[str] = []
        self.obsolete: list[str] = []
        self.archive: dict[int, Note] = {}

    def visit(self) -> Visit:
        trust = self.store.trust
        if self.new.origin != trust.origin:
            raise RefusedLogError(
                "foreign",
                f"this is the log {self.new.origin}, and you watch {trust.origin}",
                "take the right place, or make a witness for that log in another directory",
            )
        signed = self._signed_by((*trust.keys, *trust.former))
        if self.new.size < self.old.size or (
            self.new.size == self.old.size and self.new.root != self.old.root
        ):
            self._refuse_backwards(bool(signed))
        if self.new.size > self.old.size:
            self._fetch(bool(signed))
        first_use = not trust.keys
        start = trust if trust.keys else Trust(trust.origin, tuple(self.news.opened))
        after = self._follow(start)
        lines = self._signed_by(after.keys)
        if not lines:
            self._refuse_unsigned(after, first_use)
        return Visit(
            store=self.store,
            old=self.old,
            new=self.new,
            note=_with_lines(self.whole, lines),
            trust=after,
            news=self.news,
            first_use=first_use,
            renewed=() if first_use else tuple(key for key in after.keys if key not in trust.keys),
            _files=self.files,
            _obsolete=self.obsolete,
            _archive=self.archive,
        )

    def _signed_by(self, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Which of these keys signed the source's checkpoint.

        Raises:
            RefusedLogError: a signature by one of them is wrong.
        """
        mine = [key for key in keys if any(key.made(signature) for signature in self.whole.signatures)]
        if not mine:
            return ()
        try:
            return tuple(opened.key for opened in open_note(self.whole, mine))
        except NoteError as error:
            raise RefusedLogError(
                "unsigned", f"the checkpoint in {self.source.name} bears a forged signature: {error}", _ASK
            ) from error

    def _refuse_backwards(self, signed: bool) -> None:
        """Fewer entries than were seen, or other ones."""
        if not signed:
            self._refuse_unsigned(self.store.trust, first_use=False)
        try:
            there = TileReader(self.store.directory, self.new.size).root()
            hashes = self.store.reader.consistency_proof(self.new.size)
        except TlogError as error:
            raise WitnessError(
                f"the copy of the log in {self.store.directory} is damaged: {error}"
            ) from error
        if there == self.new.root:
            raise RefusedLogError(
                "older",
                f"the log in {self.source.name} has {self.new.size} entries, and you have seen {self.old.size}: "
                "it is an old copy, or the end was cut off",
                "ask for the newest copy; if the city says that this is the newest, " + _ASK,
            )
        self._fork(there, hashes)

    def _fork(self, root: bytes, hashes: Sequence[bytes]) -> None:
        """Keep the proof and refuse. Returns only when it proves nothing."""
        ours = self.store.note
        if ours is None:
            return
        trust = self.store.trust
        keys = (*trust.keys, *trust.former)
        lines = self._signed_by(keys)
        try:
            notes = (ours, _with_lines(self.whole, lines))
            if self.new.size > self.old.size:
                notes = (notes[1], notes[0])
            evidence = Evidence.of(*notes, root, hashes, keys)
        except (EvidenceError, NoteError):
            return
        place = evidence.save(self.store.evidence, "fork")
        raise RefusedLogError(
            "fork",
            f"the log was rewritten: the city signed two different histories of its first "
            f"{min(self.old.size, self.new.size)} entries",
            f"keep {place}, which proves it; {_ASK}",
            place,
        )

    def _fetch(self, signed: bool) -> None:
        """Bring the new entries to the staging place, and see that they give the signed root."""
        tree = SourceTree(self.source, self.new.size)
        try:
            root = self._stage(tree)
        except MissingPartError:
            raise
        except TreeError as error:
            self._diagnose(tree, signed)
            self._refuse_stranger(signed)
            raise RefusedLogError(
                "damaged",
                f"the copy in {self.source.name} is damaged: {error}",
                "ask the city for another copy",
            ) from error
        if root != self.new.root:
            self._diagnose(tree, signed)
            self._refuse_stranger(signed)
            raise RefusedLogError(
                "damaged",
                f"the entries in {self.source.name} do not give the root of its checkpoint: the copy was altered",
                "ask the city for another copy; if that one is the same, " + _ASK,
            )

    def _diagnose(self, tree: SourceTree, signed: bool) -> None:
        """Find out whether the log's own tree says something else of what was seen: then it was forked."""
        if not signed:
            return
        try:
            subtrees = perfect_subtrees(0, self.old.size)
            root = Frontier(self.old.size, [tree.node(*one) for one in subtrees]).root()
            hashes = consistency_proof(self.old.size, self.new.size, tree.node)
        except (TlogError, SourceError):
            return
        if root != self.old.root:
            self._fork(root, hashes)

    def _stage(self, tree: SourceTree) -> bytes:
        reader, size = self.store.reader, self.old.size
        frontier = reader.frontier()
        builder = TileBuilder(
            size, [_edge(reader, level) for level in range(-(-size.bit_length() // TILE_BITS))]
        )
        before = builder.partial()
        number, width = divmod(size, TILE_WIDTH)
        kept = reader.bundle(number) if width else []
        total = 0
        while number * TILE_WIDTH < self.new.size:
            fresh = tree.bundle(number)[len(kept) :]
            for raw in fresh:
                leaf = leaf_hash(raw)
                frontier.append(leaf)
                for tile in builder.append(leaf):
                    self._put(tile.path, tile.data)
                self.news.look(frontier.size - 1, raw, frontier)
                total += len(raw)
            if total > MAX_BYTES:
                raise SourceError(f"{self.source.name} gives more than {MAX_BYTES} bytes", "ask the city why")
            bundle = [*kept, *fresh]
            self._put(bundle_path(number, len(bundle)), encode_bundle(bundle))
            kept, number = [], number + 1
        after = builder.partial()
        for tile in after:
            if tile not in before:
                self._put(tile.path, tile.data)
        self.obsolete = [tile.path for tile in before if tile not in after]
        if width:
            self.obsolete.append(bundle_path(size // TILE_WIDTH, width))
        return frontier.root()

    def _put(self, name: str, content: bytes) -> None:
        self.store.stage(name, content)
        self.files.append(name)

    def _follow(self, trust: Trust) -> Trust:
        """Follow renewals of the log's key: a new one counts from the checkpoint that the old one signed as well."""
        for size, root in sorted(self.news.roots.items()):
            offered = [key for index, key in self.news.added if index < size and key.name == trust.origin]
            offered = [key for key in offered if key not in (*trust.keys, *trust.former)]
            for note in self._vouching(size, root) if offered else ():
                try:
                    signed = [opened.key for opened in open_note(note, (*trust.keys, *offered))]
                except NoteError:
                    continue
                fresh = [key for key in offered if key in signed]
                if not fresh or not any(key in trust.keys for key in signed):
                    continue
                retired = {key for index, key in self.news.retired if index < size}
                keys = [key for key in (*trust.keys, *fresh) if key not in retired]
                former = [key for key in trust.keys if key in retired]
                trust = replace(trust, keys=tuple(keys or fresh), former=(*trust.former, *former))
                self.archive[size] = _with_lines(note, signed)
                break
        return trust

    def _vouching(self, size: int, root: bytes) -> Iterator[Note]:
        """The checkpoints of this size that the source has, as far as they fit the entries."""
        if size == self.new.size:
            yield self.whole
        data = self.source.read(f"checkpoints/{size}", MAX_NOTE)
        try:
            note = Note.parse(data) if data is not None else None
            fits = note is not None and Checkpoint.parse(note.text) == Checkpoint(self.new.origin, size, root)
        except NoteError:
            return
        if note is not None and fits:
            yield note

    def _refuse_stranger(self, signed: bool) -> None:
        """What nobody known has signed is not called a damaged copy of the log."""
        if not signed and self.store.trust.keys:
            self._refuse_unsigned(self.store.trust, first_use=False)

    def _refuse_unsigned(self, trust: Trust, first_use: bool) -> None:
        if self.news.added:
            raise RefusedLogError(
                "unsigned",
                "the log names a new key of the city, and no checkpoint that the former key signed as well",
                "ask the city for a copy with its folder “checkpoints”; without that signature, " + _ASK,
            )
        known = ", ".join(key.vkey.rsplit("+", 1)[0] for key in trust.keys)
        what = "its first entry names no key that signed it" if first_use else f"known is {known or 'none'}"
        raise RefusedLogError(
            "unsigned", f"the checkpoint in {self.source.name} is not signed with the log's key: {what}", _ASK
        )


def _edge(reader: TileReader, level: int) -> list[bytes]:
    count = reader.size >> level * TILE_BITS
    return split_hashes(reader.tile(level, count // TILE_WIDTH)) if count % TILE_WIDTH else []


def _with_lines(note: Note, keys: Sequence[VerifierKey]) -> Note:
    """The note with the signatures of these keys only."""
    return Note(note.text, tuple(line for line in note.signatures if any(key.made(line) for key in keys)))


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WitnessError(
            f"{error.filename or directory} cannot be read or written: {error.strerror or error}",
            "nothing was signed, and what you have seen before is as it was; make room or mend the permissions",
        ) from error


__all__ = ["Visit", "file_name", "visiting"]
