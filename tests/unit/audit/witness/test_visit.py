"""What the witness cosigns, and what it refuses."""

from pathlib import Path

import pytest

from provision.audit.entries import AccessOpened, PolicySet, RunIntent, State
from provision.audit.tlog import Checkpoint, Note, SignerKey, TileReader, leaf_hash, open_note, root_of
from provision.audit.witness import (
    DirectorySource,
    RefusedLogError,
    SourceError,
    Trust,
    Visit,
    WitnessError,
    WitnessStore,
    file_name,
    list_evidence,
    visiting,
)
from provision.audit.witness.news import MOST_SHOWN
from provision.audit.witness.words import told
from tests.unit.audit.witness.city import ADA, ORIGIN, SCHOOL, City, watch
from tests.unit.audit.witness.independent import proves_fork


def sign(home: Path, city: City, now: int = 1_800_000_000) -> Note:
    with visiting(home, DirectorySource(city.directory)) as visit:
        visit.take()
        return visit.cosign(city.witness, now)


def refused(home: Path, place: Path) -> RefusedLogError:
    before = state(home)
    with pytest.raises(RefusedLogError) as found, visiting(home, DirectorySource(place)):
        pass
    assert state(home) == before
    return found.value


def state(home: Path) -> dict[str, bytes]:
    """Everything that the witness keeps, but the evidence."""
    return {
        str(file.relative_to(home)): file.read_bytes()
        for file in sorted(home.rglob("*"))
        if file.is_file() and "evidence" not in file.parts and file.name != ".lock"
    }


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def home(tmp_path: Path, city: City) -> Path:
    watch(tmp_path / "home", city)
    return tmp_path / "home"


@pytest.mark.parametrize("steps", [(1,), (3, 250, 1), (254, 1, 1), (600, 0, 513), (1, 2_000, 48)])
def test_the_copy_is_that_of_the_city_whatever_the_steps_it_grew_in(
    city: City, home: Path, steps: tuple[int, ...]
) -> None:
    for step in steps:
        city.add_raw([f'{{"n":{city.size + number}}}'.encode() for number in range(step)])
        sign(home, city)
        store = WitnessStore.open(home)
        assert store.checkpoint == Checkpoint.parse(city.note.text)
    assert list(store.reader.entries()) == city.raw
    assert store.reader.root() == root_of(leaf_hash(raw) for raw in city.raw)
    theirs = {
        str(file.relative_to(city.directory))
        for file in (city.directory / "tile").rglob("*")
        if file.is_file()
    }
    ours = {str(file.relative_to(home)) for file in (home / "tile").rglob("*") if file.is_file()}
    assert ours == theirs
    assert all((home / name).read_bytes() == (city.directory / name).read_bytes() for name in ours)


def test_the_answer_bears_the_signatures_of_the_log_and_of_the_school(city: City, home: Path) -> None:
    note = sign(home, city, 1_800_000_123)
    assert Note.parse(note.encode()).text == city.note.text
    opinion = city.policy.open(note)
    assert opinion.logs == (city.keys[0].verifier,)
    assert opinion.witnesses == {"school": 1_800_000_123}
    assert (
        (home / f"checkpoints/{city.size}").read_bytes()
        == (home / "checkpoint").read_bytes()
        == note.encode()
    )


def test_lines_by_others_are_not_passed_on(city: City, home: Path) -> None:
    other = SignerKey.generate("somebody.example")
    (city.directory / "checkpoint").write_bytes(city.note.add(other.sign(city.note.text)).encode())
    assert {line.name for line in sign(home, city).signatures} == {ORIGIN, city.witness.name}


def test_the_same_size_again_is_cosigned_with_a_new_time(city: City, home: Path) -> None:
    sign(home, city, 1_800_000_000)
    note = sign(home, city, 1_800_009_000)
    assert city.policy.open(note).witnesses == {"school": 1_800_009_000}
    assert len(note.signatures) == 2


def test_a_clock_behind_the_last_cosignature_is_refused(city: City, home: Path) -> None:
    sign(home, city, 1_800_000_000)
    with pytest.raises(RefusedLogError, match="clock"):
        sign(home, city, 1_799_999_999)


def test_nothing_is_cosigned_before_it_is_stored(city: City, home: Path) -> None:
    with (
        visiting(home, DirectorySource(city.directory)) as visit,
        pytest.raises(WitnessError, match="before"),
    ):
        visit.cosign(city.witness)
    assert WitnessStore.open(home).note is None


def test_what_was_only_looked_at_leaves_no_trace(city: City, home: Path) -> None:
    before = state(home)
    with visiting(home, DirectorySource(city.directory)) as visit:
        assert visit.news.entries == city.size
    assert state(home) == before
    assert not (home / ".incoming").exists()


def test_a_rewritten_entry_is_refused_and_the_proof_kept(city: City, home: Path, tmp_path: Path) -> None:
    city.beat(300)
    sign(home, city)
    raw = [*city.raw[:100], b'{"another":"story"}', *city.raw[101:]]
    fork = city.retold(tmp_path / "fork", raw)
    for grown in (False, True):
        if grown:
            fork.beat(40)
        error = refused(home, fork.directory)
        assert error.kind == "fork"
        assert error.evidence is not None
        assert proves_fork(error.evidence, city.keys[0].verifier.public)
    assert len(list_evidence(home / "evidence")) == 2


def test_a_shortened_and_continued_log_is_refused_and_the_proof_kept(
    city: City, home: Path, tmp_path: Path
) -> None:
    city.beat(20)
    sign(home, city)
    fork = city.retold(tmp_path / "fork", city.raw[:15])
    fork.beat(3)
    error = refused(home, fork.directory)
    assert error.kind == "fork"
    assert error.evidence is not None
    assert proves_fork(error.evidence, city.keys[0].verifier.public)
    assert "README.txt" in {file.name for file in error.evidence.iterdir()}


def test_the_same_fork_seen_again_is_kept_once(city: City, home: Path, tmp_path: Path) -> None:
    city.beat(5)
    sign(home, city)
    fork = city.retold(tmp_path / "fork", [*city.raw[:-1], b"{}"])
    assert refused(home, fork.directory).evidence == refused(home, fork.directory).evidence


def test_an_old_copy_is_refused_and_proves_nothing(city: City, home: Path, tmp_path: Path) -> None:
    city.beat(10)
    sign(home, city)
    error = refused(home, city.retold(tmp_path / "old", city.raw[:-3]).directory)
    assert error.kind == "older"
    assert error.evidence is None


@pytest.mark.parametrize("what", ["entry", "hash", "both"])
def test_a_copy_that_was_altered_on_its_way_is_refused_and_blames_nobody(
    city: City, home: Path, tmp_path: Path, what: str
) -> None:
    city.beat(10)
    sign(home, city)
    city.beat(20)
    for file in (city.directory / "tile").rglob("*"):
        if file.is_file() and (("entries" in file.parts) == (what == "entry") or what == "both"):
            data = bytearray(file.read_bytes())
            data[-40] ^= 1
            file.write_bytes(data)
    if what == "hash":
        # The hashes are computed from the entries, so that theirs do not matter.
        sign(home, city)
        return
    error = refused(home, city.directory)
    assert error.kind == "damaged"
    assert not list_evidence(home / "evidence")


def test_a_log_that_another_key_signed_is_refused(city: City, home: Path, tmp_path: Path) -> None:
    sign(home, city)
    impostor = City(tmp_path / "impostor")
    impostor.beat(9)
    assert refused(home, impostor.directory).kind == "unsigned"


def test_a_forged_signature_is_refused(city: City, home: Path) -> None:
    line = city.keys[0].sign(Checkpoint(ORIGIN, 1, bytes(32)).text)
    (city.directory / "checkpoint").write_bytes(Note(city.note.text, (line,)).encode())
    assert refused(home, city.directory).kind == "unsigned"


def test_another_log_is_refused(city: City, tmp_path: Path) -> None:
    WitnessStore.create(tmp_path / "other", Trust("provision.example.cat/escola-bosc", ()))
    assert refused(tmp_path / "other", city.directory).kind == "foreign"


@pytest.mark.parametrize("later", [0, 3, 300])
def test_a_new_key_counts_when_the_old_one_vouches_for_it(city: City, home: Path, later: int) -> None:
    sign(home, city)
    city.renew()
    city.renew()
    city.beat(later)
    with visiting(home, DirectorySource(city.directory)) as visit:
        assert visit.renewed == (city.keys[0].verifier,)
        visit.take()
        visit.cosign(city.witness, 1_800_000_001)
    store = WitnessStore.open(home)
    assert store.trust.keys == (city.keys[0].verifier,)
    assert len(store.trust.former) == 2
    city.beat()
    sign(home, city, 1_800_000_002)


@pytest.mark.parametrize(("archive", "both"), [(False, True), (True, False)])
def test_a_new_key_that_nobody_vouches_for_is_refused(
    city: City, home: Path, archive: bool, both: bool
) -> None:
    sign(home, city)
    city.renew(archive=archive, both=both)
    city.beat()
    error = refused(home, city.directory)
    assert error.kind == "unsigned"
    assert "new key" in error.message


def test_a_retired_key_signs_no_more(city: City, home: Path) -> None:
    old = list(city.keys)
    city.renew()
    sign(home, city)
    city.keys = old
    city.beat()
    assert refused(home, city.directory).kind == "unsigned"


def test_a_fork_that_a_former_key_signed_is_still_proof(city: City, home: Path, tmp_path: Path) -> None:
    city.beat(10)
    sign(home, city)
    old = city.keys[0]
    fork = city.retold(tmp_path / "fork", [*city.raw[:5], b"{}"])
    city.renew()
    sign(home, city)
    city.beat()
    sign(home, city)
    (home / "checkpoint").write_bytes(Note(city.note.text, (city.keys[0].sign(city.note.text),)).encode())
    error = refused(home, fork.directory)
    assert error.kind == "fork"
    assert error.evidence is not None
    assert proves_fork(error.evidence, old.verifier.public, city.keys[0].verifier.public)


def test_without_a_known_key_the_first_visit_takes_those_of_the_log_and_says_so(
    city: City, tmp_path: Path
) -> None:
    WitnessStore.create(tmp_path / "home", Trust(ORIGIN, ()))
    city.renew()
    with visiting(tmp_path / "home", DirectorySource(city.directory)) as visit:
        assert visit.first_use
        assert visit.trust.keys == (city.keys[0].verifier,)
        visit.take()
    with visiting(tmp_path / "home", DirectorySource(city.directory)) as visit:
        assert not visit.first_use


def test_a_run_that_waits_for_the_school_is_named(city: City, home: Path) -> None:
    def intent(run: str) -> RunIntent:
        none = State(commit="", dirty=False)
        return RunIntent(
            actor=ADA, target=SCHOOL, action="apply", run=run, tool="0.1.0", workspace=none, code=none, strict=True
        )  # fmt: skip

    city.add(intent("r1"))
    with visiting(home, DirectorySource(city.directory)) as visit:
        assert list(visit.news.pending) == ["r1"]
        assert visit.news.counts["run.intent"] == 1


def rules(city: City, *, strict: bool) -> PolicySet:
    return PolicySet(actor=ADA, target=SCHOOL, policy=city.policy.text, strict=strict)


def test_changes_of_the_rules_are_shown_however_much_else_is_new(city: City, home: Path) -> None:
    city.add(rules(city, strict=True))
    see(home, city)
    access = AccessOpened(actor=ADA, target=SCHOOL, kind="secret", subject="x")
    city.add(*[access] * (MOST_SHOWN + 5), rules(city, strict=False))
    index = city.size - 1
    with visiting(home, DirectorySource(city.directory)) as visit:
        assert visit.news.hidden == 5
        assert [entry.index for entry in visit.news.rules] == [index]
        # That strict mode was on is known from the visit before.
        assert visit.loosened == [index]
        lines = [line for kind, line in told(visit, "en") if kind == "warn"]
        assert lines == [f"From entry {index} on runs do not wait for your signature"]
        visit.take()
    city.add(rules(city, strict=False), rules(city, strict=True))
    with visiting(home, DirectorySource(city.directory)) as visit:
        assert visit.loosened == []


def see(home: Path, city: City) -> None:
    with visiting(home, DirectorySource(city.directory)) as visit:
        visit.take()


def test_a_source_that_is_renewed_while_it_is_read_is_read_again(city: City, home: Path) -> None:
    class Moving(DirectorySource):
        grown = False

        def read(self, path: str, limit: int) -> bytes | None:
            data = super().read(path, limit)
            if path == "checkpoint" and not self.grown:
                Moving.grown = True
                city.beat(30)
            return data

    with visiting(home, Moving(city.directory)) as visit:
        assert visit.new.size == city.size


def test_a_copy_that_is_not_whole_is_no_log(city: City, home: Path) -> None:
    next((city.directory / "tile/entries").rglob("*.p/*")).unlink()
    with pytest.raises(SourceError, match="not whole"), visiting(home, DirectorySource(city.directory)):
        pass


def test_a_copy_damaged_on_the_laptop_is_noticed_before_anything_is_signed(city: City, home: Path) -> None:
    sign(home, city)
    tile = next((home / "tile/0").rglob("*.p/*"))
    tile.write_bytes(bytes(len(tile.read_bytes())))
    with (
        pytest.raises(WitnessError, match="does not give the root"),
        visiting(home, DirectorySource(city.directory)),
    ):
        pass


def test_a_stick_with_one_log_on_it_is_enough(city: City, home: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    (stick / "audit").mkdir(parents=True)
    city.directory.rename(stick / "audit/escola-mar")
    with visiting(home, DirectorySource(stick)) as visit:
        assert visit.new.size == city.size


def test_a_link_on_a_stick_is_not_followed(city: City, home: Path, tmp_path: Path) -> None:
    (city.directory / "checkpoint").rename(tmp_path / "elsewhere")
    (city.directory / "checkpoint").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError), visiting(home, DirectorySource(city.directory)):
        pass


def test_two_at_once_are_refused(city: City, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.audit.witness.store._LOCK_SECONDS", 0.05)
    source = DirectorySource(city.directory)
    with visiting(home, source), pytest.raises(WitnessError, match="another process"), visiting(home, source):
        pass


def test_the_file_for_the_city_is_named_after_log_and_size() -> None:
    assert (
        file_name(Checkpoint("provision.example.cat/escola-mar", 70_000, bytes(32)))
        == "provision.example.cat-escola-mar-70000.cosignature"
    )
    assert "/" not in file_name(Checkpoint("../../etc/passwd", 1, bytes(32)))


def test_what_is_shown_comes_from_the_verified_entries(city: City, home: Path) -> None:
    with visiting(home, DirectorySource(city.directory)) as visit:
        found: Visit = visit
    assert [entry.type for entry in found.news.rules] == ["log.opened", "policy.set"]
    assert found.news.strict is False
    assert open_note(found.note, [city.keys[0].verifier])
    assert TileReader(city.directory, city.size).root() == found.new.root
