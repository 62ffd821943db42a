"""Each attack of the threat model, by two attackers: a weak one who can write files, and a strong one, the city itself,
who signs whatever he wants with the log's key. Against the strong one only what others hold helps."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from provision.audit import entries as e
from provision.audit.detail import DetailStore
from provision.audit.log import SchoolLog, writing
from provision.audit.tlog import EMPTY_ROOT, Checkpoint, Kind, Note, Policy, SignerKey, leaf_hash
from provision.audit.verify import Verdict, verify
from tests.unit.audit.verify.city import (
    ACTOR,
    ORIGIN,
    START,
    TARGET,
    City,
    altered,
    bundle,
    bundle_file,
    raw_entries,
    resign,
    rewrite_bundle,
)
from tests.unit.audit.verify.conftest import Check, bad, finding

Change = Callable[[list[bytes]], list[bytes]]


def edit(entries: list[bytes]) -> list[bytes]:
    return [*entries[:4], altered(entries[4], "changed", "ignored"), *entries[5:]]


def delete(entries: list[bytes]) -> list[bytes]:
    return entries[:4] + entries[5:]


def reorder(entries: list[bytes]) -> list[bytes]:
    return [*entries[:4], entries[5], entries[4], *entries[6:]]


def move_far(entries: list[bytes]) -> list[bytes]:
    return [*entries[:4], entries[10], *entries[5:10], entries[4], *entries[11:]]


def insert(entries: list[bytes]) -> list[bytes]:
    made_up = e.compose(ORIGIN, e.Heartbeat(actor=ACTOR, target=TARGET), when=e.timestamp(START))
    return [*entries[:4], made_up, *entries[4:]]


def truncate(entries: list[bytes]) -> list[bytes]:
    return entries[:-2]


def test_an_untouched_log_is_verified(city: City, check: Check) -> None:
    verdict = check()
    assert bad(verdict) == []
    assert verdict.ok
    assert verdict.cosigned is not None
    assert (verdict.cosigned.size, verdict.cosigned.after) == (12, 5)
    assert verdict.line() == (
        f"VERIFIED: the 17 entries of {ORIGIN} fit together, and the first 12 are those that "
        "escola-mar.example.cat/custodi cosigned."
    )


class TestWeakAttacker:
    """He can write the files, and has no key."""

    @pytest.mark.parametrize(
        ("change", "kind", "entry"),
        [
            (edit, "edited", 4),
            (delete, "deleted", 4),
            (reorder, "reordered", 4),
            (move_far, "reordered", 4),
            (insert, "inserted", 4),
            (truncate, "truncated", 15),
        ],
    )
    def test_what_he_did_to_the_entries_is_named_with_its_entry(
        self, city: City, check: Check, change: Change, kind: str, entry: int
    ) -> None:
        rewrite_bundle(city.directory, change(bundle(city.directory)))
        verdict = check()
        assert not verdict.ok
        assert finding(verdict, kind).entry == entry
        # The tree vouches for what was there, so that nothing else is wrong with the checkpoints.
        assert not {"rewritten", "forked", "quorum"} & {one for one, _ in bad(verdict)}

    def test_a_far_move_names_both_places(self, city: City, check: Check) -> None:
        rewrite_bundle(city.directory, move_far(bundle(city.directory)))
        assert {("reordered", 4), ("reordered", 10)} <= set(bad(check()))

    @pytest.mark.parametrize("change", [edit, delete, reorder, insert])
    def test_mending_the_tree_too_does_not_help_him(self, city: City, check: Check, change: Change) -> None:
        note = (city.directory / "checkpoint").read_bytes()
        resign(city.directory, change(raw_entries(city.directory)), city.keys)
        (city.directory / "checkpoint").write_bytes(note)
        verdict = check()
        kinds = {kind for kind, _ in bad(verdict)}
        # After the insertion the tree is one too large, and the files are not those of the checkpoint's size.
        assert kinds & {"rewritten", "truncated"}

    def test_a_bundle_that_is_gone_is_named(self, city: City, check: Check) -> None:
        bundle_file(city.directory).unlink()
        assert finding(check(), "truncated").facts["found"] == 0

    def test_an_old_checkpoint_put_back_is_a_rollback(self, city: City, check: Check) -> None:
        (city.directory / "checkpoint").write_bytes((city.directory / "checkpoints/2").read_bytes())
        found = finding(check(), "rolled-back")
        assert (found.entry, found.last) == (2, 11)
        assert "checkpoints/12 proves 12 entries" in found.words()

    def test_a_damaged_tile_is_named_and_the_entries_are_not_blamed(self, city: City, check: Check) -> None:
        tile = next((city.directory / "tile/0").rglob("*.p/*"))
        data = bytearray(tile.read_bytes())
        data[40] ^= 1
        tile.write_bytes(data)
        assert bad(check()) == [("tile", None)]

    def test_a_forged_checkpoint_has_no_valid_signature(self, city: City, check: Check) -> None:
        note = city.log.note
        forged = Note(Checkpoint(ORIGIN, 17, b"\1" * 32).text, note.signatures)
        (city.directory / "checkpoint").write_bytes(forged.encode())
        assert "signature" in {kind for kind, _ in bad(check())}


class TestStrongAttacker:
    """He has the city's key and signs the new history; the archive with the school's cosignature betrays him."""

    @pytest.mark.parametrize("change", [edit, delete, reorder, insert])
    def test_a_rewritten_history_contradicts_what_the_school_cosigned(
        self, city: City, check: Check, change: Change
    ) -> None:
        resign(city.directory, change(raw_entries(city.directory)), city.keys)
        verdict = check()
        found = finding(verdict, "rewritten")
        # Between the last checkpoint that fits (2 entries) and the one that does not (12).
        assert (found.entry, found.last) == (2, 11)
        assert "escola-mar.example.cat/custodi cosigned 12 entries" in found.words()
        assert "not cosigned" in {one.title() for one in verdict.findings}

    @pytest.mark.parametrize(
        ("change", "kind", "entry"),
        [(edit, "edited", 4), (delete, "deleted", 4), (reorder, "reordered", 4), (insert, "inserted", 4)],
    )
    def test_the_copy_of_the_school_tells_which_entry_it_was(
        self, city: City, check: Check, change: Change, kind: str, entry: int
    ) -> None:
        held = city.copy("held-by-the-school")
        shutil.rmtree(city.directory / "checkpoints")
        resign(city.directory, change(raw_entries(city.directory)), city.keys)
        verdict = check(against=[held])
        assert finding(verdict, kind).entry == entry
        assert "rewritten" in {one for one, _ in bad(verdict)}

    def test_a_shortened_log_that_is_signed_anew_is_a_rollback(self, city: City, check: Check) -> None:
        resign(city.directory, raw_entries(city.directory)[:10], city.keys)
        assert ("rolled-back", 10) in bad(check())

    def test_removing_the_archive_as_well_leaves_him_without_the_cosignature(
        self, city: City, check: Check
    ) -> None:
        resign(city.directory, edit(raw_entries(city.directory)), city.keys)
        shutil.rmtree(city.directory / "checkpoints")
        assert bad(check()) == [("quorum", None)]

    def test_a_rollback_without_archive_is_betrayed_by_the_checkpoint_that_the_school_holds(
        self, city: City, check: Check, tmp_path: Path
    ) -> None:
        held = tmp_path / "held"
        held.write_bytes((city.directory / "checkpoints/12").read_bytes())
        resign(city.directory, raw_entries(city.directory)[:10], city.keys)
        shutil.rmtree(city.directory / "checkpoints")
        assert ("rolled-back", 10) in bad(check(against=[held]))

    def test_what_came_after_the_last_cosignature_he_can_still_rewrite(
        self, city: City, check: Check
    ) -> None:
        # Not a virtue: it is stated, counted, and bounded by --max-age.
        entries = raw_entries(city.directory)
        started = e.RunStarted(actor=ACTOR, target=TARGET, run=e.parse(13, entries[13]).data["run"])
        entries[13] = e.compose(ORIGIN, started, when=e.parse(13, entries[13]).time)
        resign(city.directory, entries, city.keys)
        verdict = check()
        assert verdict.ok
        assert [(one.entry, one.last) for one in verdict.findings if one.text == "quorum/after"] == [(12, 16)]


class TestFork:
    """Two histories under one name."""

    def test_a_split_view_is_proved_by_two_signed_checkpoints(self, city: City, check: Check) -> None:
        auditors = city.copy("shown-to-the-auditor")
        city.write(e.Heartbeat(actor=ACTOR, target=TARGET))
        resign(auditors, [*raw_entries(auditors)[:-1], raw_entries(city.directory)[-1]], city.keys)
        verdict = check(auditors, against=[city.directory / "checkpoint"])
        assert "rolled-back" in {kind for kind, _ in bad(verdict)}
        city.write(e.Heartbeat(actor=ACTOR, target=TARGET))
        resign(auditors, [*raw_entries(auditors), *raw_entries(auditors)[-3:]], city.keys)
        verdict = check(auditors, against=[city.directory / "checkpoint"])
        found = finding(verdict, "forked")
        assert found.facts["size"] == 19
        assert (found.entry, found.last) == (12, 18)

    def test_the_school_that_cosigned_the_other_branch_is_named(self, city: City, check: Check) -> None:
        other = city.copy("other-branch")
        city.run()
        city.cosign()
        with writing(other, ORIGIN, city.keys) as writer:
            writer.append([e.Heartbeat(actor=ACTOR, target=TARGET)] * 6)
        verdict = check(other, against=[city.directory])
        assert finding(verdict, "rewritten").facts["size"] == 22
        assert finding(verdict, "edited").entry == 17

    def test_contradictory_checkpoints_kept_as_evidence_are_reported(self, city: City, check: Check) -> None:
        fork = city.copy("fork")
        note = resign(fork, [*raw_entries(fork)[:-1], raw_entries(fork)[0]], city.keys)
        place = city.directory / "evidence/20261102T120000Z-forked"
        place.mkdir(parents=True)
        (place / "theirs").write_bytes(note.encode())
        (place / "ours").write_bytes(city.log.note.encode())
        (place / "README.txt").write_text("How to check these.", encoding="utf-8")
        verdict = check()
        assert bad(verdict) == [("forked", 12)]
        assert "evidence/20261102T120000Z-forked/theirs" in finding(verdict, "forked").words()

    def test_two_longer_checkpoints_that_contradict_each_other_are_reported(
        self, city: City, check: Check, tmp_path: Path
    ) -> None:
        places = []
        for number in range(2):
            text = Checkpoint(ORIGIN, 40, bytes([number]) * 32).text
            places.append(tmp_path / f"held-{number}")
            places[-1].write_bytes(Note(text, (city.keys[0].sign(text),)).encode())
        assert {"forked", "rolled-back"} == {kind for kind, _ in bad(check(against=places))}


class TestKeys:
    """Swapped keys."""

    def test_a_rotation_that_both_keys_signed_is_accepted(self, city: City, check: Check) -> None:
        city.rotate()
        city.run()
        assert bad(check(now=city.now)) == []

    def test_two_rotations_lead_from_the_old_policy_to_the_newest_key(self, city: City, check: Check) -> None:
        city.rotate()
        city.rotate()
        city.cosign()
        assert bad(check(now=city.now)) == []

    def test_a_policy_with_the_newest_key_only_accepts_the_history_before_it(self, city: City) -> None:
        city.rotate()
        city.run()
        newest = Policy.parse((city.directory / "policy").read_bytes())
        assert bad(verify(city.directory, newest, now=city.now)) == []

    def test_a_log_signed_anew_with_another_key_is_not_trusted(self, city: City, check: Check) -> None:
        thief = SignerKey.generate(ORIGIN)
        resign(city.directory, raw_entries(city.directory), [thief])
        assert ("key-swapped", None) in bad(check())

    def test_a_new_key_that_the_old_one_did_not_vouch_for_is_refused(self, city: City, check: Check) -> None:
        thief = SignerKey.generate(ORIGIN)
        added = e.KeyAdded(actor=ACTOR, target=TARGET, key=thief.verifier.vkey, purpose="log")
        entries = [*raw_entries(city.directory), e.compose(ORIGIN, added, when=e.timestamp(city.now))]
        resign(city.directory, entries, [thief])
        verdict = check(now=city.now + timedelta(minutes=5))
        assert ("key-swapped", 17) in bad(verdict)
        assert thief.verifier.key_id.hex() in finding(verdict, "key-swapped").words()

    def test_a_retired_key_signs_nothing_any_more(self, city: City, check: Check) -> None:
        old = city.rotate()
        city.run()
        resign(city.directory, raw_entries(city.directory), [old])
        assert "key-swapped" in {kind for kind, _ in bad(check(now=city.now))}

    def test_a_log_and_policy_made_up_as_a_whole_are_betrayed_by_the_schools_own_checkpoint(
        self, city: City, tmp_path: Path
    ) -> None:
        made_up = City(tmp_path / "made-up", runs=3, school=city.school)
        assert verify(made_up.directory, made_up.policy, now=made_up.now).cosigned is None
        held = city.directory / "checkpoints/12"
        verdict = verify(made_up.directory, now=made_up.now, against=[held])
        assert {"key-swapped", "rewritten"} <= {kind for kind, _ in bad(verdict)}

    def test_a_policy_from_elsewhere_refuses_a_log_with_other_first_keys(
        self, city: City, check: Check, tmp_path: Path
    ) -> None:
        made_up = City(tmp_path / "made-up", runs=1)
        assert ("key-swapped", 0) in bad(check(made_up.directory, now=made_up.now))

    def test_without_a_policy_it_is_said_that_nothing_else_vouches_for_the_keys(self, city: City) -> None:
        verdict = verify(city.directory, now=city.now)
        assert verdict.ok and not verdict.vouched
        assert verdict.line().startswith("CONSISTENT")
        assert "policy/unvouched" in {one.text for one in verdict.findings}

    def test_a_policy_file_that_no_entry_set_is_a_finding(self, city: City) -> None:
        weaker = Policy(city.policy.logs, city.policy.witnesses, {}, "none")
        (city.directory / "policy").write_text(weaker.text, encoding="utf-8")
        assert ("policy", 1) in bad(verify(city.directory, now=city.now))


class TestReplay:
    """A cosignature, taken from where it belongs."""

    def test_onto_another_size_of_the_same_log(self, city: City, check: Check) -> None:
        line = city.log.archived_at(12)
        assert line is not None
        forged = city.log.note.add(line.signatures[-1])
        (city.directory / "checkpoints/17").write_bytes(forged.encode())
        verdict = check()
        found = finding(verdict, "replayed")
        assert "was made for checkpoints/12" in found.words()
        assert "checkpoints/17" in found.words()

    def test_onto_another_log_of_the_same_school(self, city: City, tmp_path: Path) -> None:
        other = City(
            tmp_path / "other", runs=2, origin="provision.example.cat/escola-nova", school=city.school
        )
        line = city.log.archived_at(12)
        assert line is not None
        (other.directory / "checkpoints/12").write_bytes(other.log.note.add(line.signatures[-1]).encode())
        verdict = verify(other.directory, other.policy, now=other.now)
        assert {"replayed", "quorum"} <= {kind for kind, _ in bad(verdict)}

    def test_a_whole_cosigned_checkpoint_of_another_log(
        self, city: City, check: Check, tmp_path: Path
    ) -> None:
        other = City(
            tmp_path / "other", runs=2, origin="provision.example.cat/escola-nova", school=city.school
        )
        (city.directory / "checkpoints/12").write_bytes(other.cosign().encode())
        verdict = check()
        assert ("foreign", None) in bad(verdict)
        assert ("quorum", None) in bad(verdict)

    def test_an_old_cosigned_checkpoint_under_the_name_of_a_newer_one(self, city: City, check: Check) -> None:
        shutil.copy(city.directory / "checkpoints/12", city.directory / "checkpoints/17")
        verdict = check()
        assert bad(verdict) == [("damaged", None)]
        assert verdict.cosigned is not None and verdict.cosigned.size == 12

    def test_a_stranger_cannot_stand_in_for_the_school(self, city: City, check: Check) -> None:
        stranger = SignerKey.generate("escola-mar.example.cat/custodi", Kind.COSIGNATURE_ED25519)
        note = city.log.note
        (city.directory / "checkpoints/12").unlink()
        (city.directory / "checkpoints/17").write_bytes(
            note.add(stranger.sign(note.text, int(city.now.timestamp()))).encode()
        )
        assert bad(check()) == [("quorum", None)]


class TestDetail:
    """The detail beside the log."""

    def file(self, city: City) -> Path:
        return sorted((city.directory / "detail").glob("*.jsonl"))[0]

    def test_an_altered_step_is_named_with_the_entry_that_commits_to_it(
        self, city: City, check: Check
    ) -> None:
        file = self.file(city)
        file.write_text(file.read_text(encoding="utf-8").replace("step 2 of", "step 9 of"), encoding="utf-8")
        verdict = check()
        found = finding(verdict, "detail-altered")
        assert (found.entry, found.facts["number"]) == (5, 2)

    def test_a_step_with_a_commitment_of_its_own_making_does_not_fit_the_log(
        self, city: City, check: Check
    ) -> None:
        file = self.file(city)
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        other = (
            sorted((city.directory / "detail").glob("*.jsonl"))[1]
            .read_text(encoding="utf-8")
            .splitlines(keepends=True)
        )
        # Step 0 has an entry of its own; step 1 is bound by the root of the whole only.
        file.write_text("".join([other[0], *lines[1:]]), encoding="utf-8")
        assert ("detail-altered", 4) in bad(check())
        file.write_text("".join([lines[0], other[1], *lines[2:]]), encoding="utf-8")
        assert bad(check()) == [("detail-altered", 6)]

    def test_a_missing_step_is_found(self, city: City, check: Check) -> None:
        file = self.file(city)
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(lines[:-1]))
        assert bad(check()) == [("detail-missing", 6)]

    def test_a_missing_file_is_found(self, city: City, check: Check) -> None:
        self.file(city).unlink()
        assert bad(check()) == [("detail-missing", 6)]

    def test_a_file_that_is_no_file_is_refused_and_not_waited_for(
        self, city: City, check: Check, tmp_path: Path
    ) -> None:
        file = self.file(city)
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
        assert bad(check()) == [("detail-altered", 6)]

    def test_an_erased_step_without_an_entry_about_it_is_found(self, city: City, check: Check) -> None:
        run = self.file(city).stem
        DetailStore(city.directory / "detail").erase(run, [1], "01a20844-57f8-7161-a7e2-9a7e8066af7c")
        found = finding(check(), "erased")
        assert (found.entry, found.facts["number"]) == (6, 1)

    def test_an_announced_erasure_keeps_every_proof_and_is_listed(self, city: City, check: Check) -> None:
        run = self.file(city).stem
        erased = e.Erased(run=run, numbers=[0, 1])
        index = city.write(e.ErasurePerformed(actor=ACTOR, target=TARGET, erased=[erased]))[0]
        verdict = check(now=city.now)
        assert [one.text for one in verdict.findings if one.severity == "warning"] == ["erased/not-yet"]
        entry = next(city.log.entries(index))
        DetailStore(city.directory / "detail").erase(run, [0, 1], str(entry.event["id"]))
        verdict = check(now=city.now)
        assert bad(verdict) == []
        assert [(one.entry, one.run, one.numbers, one.actor) for one in verdict.erasures] == [
            (index, run, (0, 1), ACTOR.name)
        ]

    def test_a_copy_without_any_detail_says_that_it_was_not_checked(self, city: City, check: Check) -> None:
        shutil.rmtree(city.directory / "detail")
        verdict = check()
        assert verdict.ok
        assert "detail-missing/all" in {one.text for one in verdict.findings}


class TestTime:
    """Forged times."""

    def dated(self, raw: bytes, minutes: int) -> bytes:
        time = e.parse(0, raw).time
        later = e.timestamp(START + timedelta(minutes=minutes))
        return altered(raw, time, later)

    def test_an_entry_that_is_dated_later_than_its_cosignature_is_found(
        self, city: City, check: Check
    ) -> None:
        # The school signed 17 entries an hour before the newest of them claims to have happened.
        city.cosign(START + timedelta(minutes=5))
        found = finding(check(), "time-forged")
        assert (found.entry, found.last) == (10, 16)
        assert "custodi cosigned it on 2026-11-02T08:05:00Z already" in found.words()

    def test_an_entry_that_goes_back_in_time_is_found(self, city: City, check: Check) -> None:
        entries = raw_entries(city.directory)
        entries[15] = self.dated(entries[15], 2)
        resign(city.directory, entries, city.keys)
        found = finding(check(), "time-order")
        assert (found.entry, found.last) == (15, 15)

    def test_an_entry_of_the_future_is_found(self, city: City, check: Check) -> None:
        entries = raw_entries(city.directory)
        entries[16] = self.dated(entries[16], 600)
        resign(city.directory, entries, city.keys)
        assert ("time-forged", 16) in bad(check())

    def test_a_cosignature_of_the_future_is_found(self, city: City, check: Check) -> None:
        city.cosign(city.now + timedelta(days=3))
        assert bad(check()) == [("time-forged", None)]

    def test_what_waited_on_an_administrators_machine_may_come_late(self, city: City, check: Check) -> None:
        late = e.SecretRotated(actor=ACTOR, target=TARGET, names=["x"])
        with writing(city.directory, ORIGIN, city.keys) as writer:
            writer.append([late, late], when=[e.timestamp(START), e.timestamp(START)])
        verdict = check()
        assert verdict.ok
        late_ones = [
            (one.entry, one.last, one.severity) for one in verdict.findings if one.kind == "time-order"
        ]
        assert late_ones == [(17, 18, "note")]

    def test_clocks_may_differ_by_a_few_minutes(self, city: City, check: Check) -> None:
        city.cosign(city.clock - timedelta(minutes=4))
        assert bad(check()) == []

    def test_a_stale_copy_is_found_when_an_age_is_given(self, city: City, check: Check) -> None:
        later = city.now + timedelta(days=40)
        assert check(now=later).ok
        kinds = bad(check(now=later, max_age=timedelta(days=30)))
        assert {("stale", 16), ("stale", None), ("quorum", 12)} == set(kinds)

    def test_a_silence_longer_than_the_age_is_found(self, city: City, check: Check) -> None:
        city.write(e.Heartbeat(actor=ACTOR, target=TARGET), minutes=60 * 24 * 3)
        city.cosign()
        verdict = check(now=city.now, max_age=timedelta(days=2))
        assert bad(verdict) == [("gap", 17)]
        assert "3\N{NO-BREAK SPACE}d" in finding(verdict, "gap").words()


class TestRuns:
    """What was done behind the log's back."""

    def test_an_intent_without_an_end_is_found(self, city: City, check: Check) -> None:
        city.intent("20261102T100000Z-aaaaaa")
        city.run()
        assert bad(check(now=city.now)) == [("no-end", 17)]

    def test_the_newest_run_may_be_under_way(self, city: City, check: Check) -> None:
        city.intent("20261102T100000Z-aaaaaa")
        assert check(now=city.now).ok
        assert bad(check(now=city.now + timedelta(days=2))) == [("no-end", 17)]

    def test_an_end_without_an_intent_is_found(self, city: City, check: Check) -> None:
        city.steps("20261102T100000Z-aaaaaa")
        assert bad(check(now=city.now)) == [("no-intent", 17)]

    def test_a_run_that_goes_on_after_its_end_is_found(self, city: City, check: Check) -> None:
        run = city.run()
        city.write(
            e.TaskResult(actor=ACTOR, target=TARGET, action="x", run=run, number=0, commitment="0" * 64)
        )
        assert ("run-order", 22) in bad(check(now=city.now))

    def test_a_run_that_ends_twice_is_found(self, city: City, check: Check) -> None:
        run = city.run()
        end = e.RunEnded(
            actor=ACTOR,
            target=TARGET,
            run=run,
            milliseconds=1,
            counts={},
            detail_size=0,
            detail_root="0" * 64,
        )
        city.write(end)
        assert bad(check(now=city.now)) == [("run-order", 22)]

    def test_a_strict_run_that_starts_unapproved_is_found(self, city: City, check: Check) -> None:
        city.intent("20261102T100000Z-aaaaaa", strict=True)
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run="20261102T100000Z-aaaaaa"))
        city.steps("20261102T100000Z-aaaaaa")
        assert bad(check(now=city.now)) == [("unapproved", 18)]

    def test_an_intent_that_hides_that_approval_is_needed_is_found(self, tmp_path: Path) -> None:
        city = City(tmp_path / "log", strict=True)
        city.cosign()
        city.intent("20261102T100000Z-aaaaaa", strict=False)
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run="20261102T100000Z-aaaaaa"))
        city.steps("20261102T100000Z-aaaaaa")
        assert bad(verify(city.directory, city.policy, now=city.now)) == [("unapproved", 3)]

    @pytest.mark.parametrize(
        ("kept", "claimed", "expected"),
        [
            (None, 0, [("unapproved/unproven", "bad")]),
            (0, 0, []),
            (60, 60, [("unapproved/unproven", "bad")]),
            # The kept line may be a second one of the same cosigner: told, and left to a person.
            (60, 0, [("unapproved/late", "warning")]),
        ],
    )
    def test_an_approval_counts_with_the_schools_cosignature_of_that_time_only(
        self, city: City, check: Check, kept: int | None, claimed: int, expected: list[tuple[str, str]]
    ) -> None:
        run = "20261102T100000Z-aaaaaa"
        city.intent(run, strict=True)
        if kept is not None:
            city.cosign(city.clock + timedelta(minutes=kept))
        stated = int((city.clock + timedelta(minutes=claimed)).timestamp())
        cosigner = e.Cosigner(name="escola-mar.example.cat/custodi", size=18, time=stated)
        city.write(e.RunApproved(actor=ACTOR, target=TARGET, run=run, cosigners=[cosigner]))
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        city.steps(run)
        verdict = check(now=city.now + timedelta(hours=2))
        found = [(one.text, one.severity.value) for one in verdict.findings if one.kind == "unapproved"]
        assert found == expected
        assert verdict.ok is all(severity != "bad" for _, severity in expected)

    def test_a_witness_that_only_the_city_announced_approves_nothing(self, city: City, check: Check) -> None:
        own = SignerKey.generate("escola-mar.example.cat/altre", Kind.COSIGNATURE_ED25519)
        city.write(e.KeyAdded(actor=ACTOR, target=TARGET, key=own.verifier.vkey, purpose="witness"))
        run = "20261102T100000Z-aaaaaa"
        city.intent(run, strict=True)
        note = city.log.note
        city.archive(note.add(own.sign(note.text, int(city.clock.timestamp()))))
        cosigner = e.Cosigner(name=own.name, size=city.log.size, time=int(city.clock.timestamp()))
        city.write(e.RunApproved(actor=ACTOR, target=TARGET, run=run, cosigners=[cosigner]))
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        city.steps(run)
        assert bad(check(now=city.now)) == [("unapproved", 19)]
        # The school's next cosignature says that it has seen all of this, not that the key was ever its own.
        city.cosign(city.clock + timedelta(hours=2))
        later = check(now=city.now + timedelta(hours=3))
        assert [(one.text, one.entry) for one in later.findings if one.severity == "bad"] == [
            ("unapproved/unproven", 19)
        ]

    def test_an_intent_that_waits_for_the_school_may_wait_for_long(self, city: City, check: Check) -> None:
        city.intent("20261102T100000Z-aaaaaa", strict=True)
        assert check(now=city.now + timedelta(days=9)).ok

    def test_a_run_that_a_later_one_closed_is_bound_as_far_as_that_one_knew(
        self, city: City, check: Check
    ) -> None:
        run = city.name()
        city.intent(run)
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        city.steps(run, end=False)
        end = e.RunEnded(
            actor=ACTOR, target=TARGET, run=run, milliseconds=0, counts={}, outcome="broken off", detail_size=0,
            detail_root=EMPTY_ROOT.hex(),
        )  # fmt: skip
        city.write(end)
        verdict = check(now=city.now)
        assert verdict.ok
        assert "detail-missing/unbound" in {one.text for one in verdict.findings}
        file = city.directory / f"detail/{run}.jsonl"
        file.write_text(file.read_text(encoding="utf-8").replace("step 2 of", "step 9 of"), encoding="utf-8")
        assert bad(check(now=city.now)) == [("detail-altered", 20)]

    def test_the_end_of_a_run_that_a_colleague_took_for_broken_off_may_come_later(
        self, city: City, check: Check
    ) -> None:
        run = city.name()
        city.intent(run)
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        end = e.RunEnded(
            actor=ACTOR, target=TARGET, run=run, milliseconds=0, counts={}, outcome="broken off", detail_size=0,
            detail_root=EMPTY_ROOT.hex(),
        )  # fmt: skip
        city.write(end)
        city.steps(run)
        assert check(now=city.now).ok
        city.write(end)
        assert "run-order" in {kind for kind, _ in bad(check(now=city.now))}


class TestEntries:
    """Entries that are none, and those that lie about themselves."""

    def signed(self, city: City, raw: bytes) -> None:
        with writing(city.directory, ORIGIN, city.keys) as writer:
            writer.append_raw([raw])

    def test_an_entry_of_another_log_is_found(self, city: City, check: Check) -> None:
        beat = e.Heartbeat(actor=ACTOR, target=TARGET)
        self.signed(city, e.compose("provision.example.cat/other", beat, when=e.timestamp(city.now)))
        assert bad(check()) == [("source", 17)]

    @pytest.mark.parametrize(
        "raw",
        [b"", b"{", b"[]", b"\xff", b'{"data":{}}', b'"x"', b"[" * 60_000, b'{"data":{},"id":1}', b"NaN"],
        ids=range(9),
    )
    def test_bytes_that_are_no_entry_are_found(self, city: City, check: Check, raw: bytes) -> None:
        self.signed(city, raw)
        assert bad(check()) == [("form", 17)]

    @pytest.mark.parametrize(("old", "new"), [('"data":', ' "data":'), ('"why":""', '"why":NaN')])
    def test_an_entry_that_is_not_canonical_is_found(
        self, city: City, check: Check, old: str, new: str
    ) -> None:
        raw = e.compose(ORIGIN, e.Heartbeat(actor=ACTOR, target=TARGET), when=e.timestamp(city.now))
        self.signed(city, altered(raw, old, new))
        assert bad(check()) == [("form", 17)]

    def test_an_entry_whose_fields_are_of_the_wrong_kind_is_found(self, city: City, check: Check) -> None:
        raw = e.compose(ORIGIN, e.RunStarted(actor=ACTOR, target=TARGET, run="r"), when=e.timestamp(city.now))
        self.signed(city, altered(raw, '"run":"r"', '"run":[1]'))
        assert bad(check()) == [("form", 17)]

    def test_a_type_that_this_version_does_not_know_is_no_finding(self, city: City, check: Check) -> None:
        raw = e.compose(ORIGIN, e.Heartbeat(actor=ACTOR, target=TARGET), when=e.timestamp(city.now))
        self.signed(city, altered(raw, '"type":"heartbeat"', '"type":"backup.made"'))
        assert bad(check()) == []

    def test_names_from_the_log_steer_no_terminal(self, city: City, check: Check) -> None:
        raw = e.compose(
            "x\x1b[2Jy\u202e", e.Heartbeat(actor=ACTOR, target=TARGET), when=e.timestamp(city.now)
        )
        self.signed(city, raw)
        words = finding(check(), "source").words()
        assert "\x1b" not in words and "\u202e" not in words

    def test_a_run_cannot_name_a_file_outside_of_the_detail(self, city: City, check: Check) -> None:
        run = "../../checkpoint"
        city.intent(run)
        city.write(e.RunStarted(actor=ACTOR, target=TARGET, run=run))
        end = e.RunEnded(
            actor=ACTOR,
            target=TARGET,
            run=run,
            milliseconds=1,
            counts={},
            detail_size=1,
            detail_root="0" * 64,
        )
        city.write(end)
        assert bad(check(now=city.now)) == [("detail-altered", 19)]


class TestCrash:
    """What a writer that was killed leaves is no attack, and is not taken for signed."""

    def test_files_beyond_the_checkpoint_are_not_part_of_the_log(self, city: City, check: Check) -> None:
        before = (city.directory / "checkpoint").read_bytes()
        old = bundle_file(city.directory)
        content = old.read_bytes()
        city.write(e.Heartbeat(actor=ACTOR, target=TARGET))
        (city.directory / "checkpoint").write_bytes(before)
        old.write_bytes(content)
        assert bad(check()) == []

    def test_what_was_left_over_and_put_aside_is_no_evidence(self, city: City, check: Check) -> None:
        place = city.directory / "evidence/20261102T120000.000000Z-left-over/tile"
        place.mkdir(parents=True)
        (place / "x").write_bytes(b"torn")
        assert check().findings == tuple(one for one in check().findings if one.kind != "evidence")

    def test_a_checkpoint_that_claims_any_size_is_refused_at_once(self, city: City, check: Check) -> None:
        text = Checkpoint(ORIGIN, 2**62, leaf_hash(b"")).text
        (city.directory / "checkpoint").write_bytes(Note(text, (city.keys[0].sign(text),)).encode())
        assert "truncated" in {kind for kind, _ in bad(check())}


def test_every_verdict_says_what_to_do(city: City, check: Check) -> None:
    rewrite_bundle(city.directory, edit(bundle(city.directory)))
    verdict: Verdict = check()
    assert verdict.line() == f"NOT VERIFIED: {ORIGIN} has one problem (entry 4: edited)."
    assert verdict.line("ca") == f"NO VERIFICAT: {ORIGIN} té un problema (entrada 4: modificada)."
    assert all(
        one.remedy(lang) for one in verdict.findings for lang in ("ca", "es", "en") if one.severity == "bad"
    )
    assert SchoolLog.open(city.directory).size == verdict.size
