"""A pack: whoever unpacks it verifies it, with this tool's formats and with programs that others wrote."""

import contextlib
import hashlib
import io
import json
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aics_tlog import cli

from provision.audit.entries import Data, Heartbeat, compose
from provision.audit.log import LogError, SchoolLog
from provision.audit.pack import Packed, write_pack
from provision.audit.packreadme import NAMES
from provision.audit.select import Selection
from provision.audit.tlog import Checkpoint, LogProof, Note, NoteError, Policy, TileReader, grow, tile_path
from provision.audit.verify import verify
from provision.audit.words import LANGUAGES, Language
from provision.errors import UsageError
from tests.unit.audit.small_log import ADA, ORIGIN, RUN, SmallLog, a_run, everyday, opening, target


def packed(log: SmallLog, file: Path, lang: Language = "en", **options: object) -> Packed:
    return write_pack(SchoolLog.open(log.directory), file, lang=lang, **options)  # type: ignore[arg-type]


def unpacked(file: Path, place: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        archive.extractall(place)
    return place


def commands(readme: str) -> list[str]:
    """The README's commands: its indented lines that begin with a program."""
    return [
        line.strip()
        for line in readme.splitlines()
        if re.match(r"    (aics-tlog|\{ printf|dd|sed|openssl|provision) ", line)
    ]


def theirs(command: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    """What ``aics-tlog`` answers to a command of the README: its exit code and its report."""
    program, *arguments = shlex.split(command)
    assert program == "aics-tlog"
    monkeypatch.chdir(place)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.main(arguments)
    return code, json.loads(out.getvalue())


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    made = SmallLog(tmp_path / "log", everyday(), cosigned=True)
    detail = made.directory / "detail"
    detail.mkdir()
    (detail / f"{RUN}.jsonl").write_text('{"commitment":"00","erased":"x"}\n')
    return made


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_readmes_commands_verify_the_pack_with_a_program_that_somebody_else_wrote(
    log: SmallLog, tmp_path: Path, lang: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(log, tmp_path / "pack.zip", lang)
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    readme = (place / NAMES[lang]).read_text(encoding="utf-8")
    assert log.key.verifier.vkey in readme
    assert log.witness.verifier.vkey in readme
    shutil.copy(place / "log" / "checkpoint", place / "kept")
    told = [line for line in commands(readme) if line.startswith("aics-tlog")]
    assert [line.split()[1] for line in told] == [
        "verify-checkpoint", "verify-checkpoint", "verify-inclusion", "verify-consistency",
    ]  # fmt: skip
    for command in told:
        code, report = theirs(
            re.sub(r"--old-checkpoint \S+", "--old-checkpoint kept", command), place, monkeypatch
        )
        assert (code, report["ok"]) == (0, True), (command, report)
        assert report.get("size", log.size) == log.size
        if "--quorum" in command:
            assert report["cosignatures"] == 1


def test_the_readmes_way_by_hand_leads_to_the_same_hash_twice(log: SmallLog, tmp_path: Path) -> None:
    packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    readme = (place / "README.md").read_text(encoding="utf-8")
    by_hand = [line for line in commands(readme) if line.startswith(("{ printf", "dd"))]
    assert len(by_hand) == 2
    stated = re.search(r"^    ([0-9a-f]{64})$", readme, re.MULTILINE)
    assert stated is not None
    for command in by_hand:
        done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=True)
        assert done.stdout.split()[0] == stated[1]


def test_a_changed_entry_fails_the_readmes_commands(
    log: SmallLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    entry = place / "proofs" / "000002-run.intent.tlog-proof.json"
    entry.write_bytes(entry.read_bytes().replace(b"Ada", b"Eva"))
    (command,) = (line for line in commands((place / "README.md").read_text()) if "verify-inclusion" in line)
    code, report = theirs(command, place, monkeypatch)
    assert (code, report["ok"]) == (1, False)


def test_each_announcement_and_end_of_a_run_has_a_proof_that_needs_nothing_but_the_policy(
    log: SmallLog, tmp_path: Path
) -> None:
    result = packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    proofs = sorted((place / "proofs").glob("*.tlog-proof"))
    assert [file.name for file in proofs] == ["000002-run.intent.tlog-proof", "000007-run.ended.tlog-proof"]
    assert result.proofs == 2
    policy = Policy.parse((place / "policy.txt").read_bytes())
    for file in proofs:
        proof = LogProof.parse(file.read_bytes())
        entry = file.with_name(f"{file.name}.json").read_bytes()
        assert proof.verify(entry, policy).quorum_met


def test_proofs_lead_to_the_cosigned_checkpoint_and_later_entries_to_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = SmallLog(tmp_path / "log", [*opening(), *a_run()], cosigned=True)
    grown = grow_by(early, a_run("second"))
    result = packed(early, tmp_path / "pack.zip")
    assert (result.cosigned, result.entries) == (8, grown)
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    policy = Policy.parse((place / "policy.txt").read_bytes())
    sizes = {}
    for file in (place / "proofs").glob("*.tlog-proof"):
        proof, entry = LogProof.parse(file.read_bytes()), file.with_name(f"{file.name}.json").read_bytes()
        sizes[file.name[:6]] = Checkpoint.parse(Note.parse(proof.checkpoint).text).size
        if sizes[file.name[:6]] == 8:
            assert proof.verify(entry, policy).quorum_met
        else:
            with pytest.raises(NoteError, match="not cosigned by school"):
                proof.verify(entry, policy)
    assert sizes == {"000002": 8, "000007": 8, "000008": 14, "000013": 14}
    told = [line for line in commands((place / "README.md").read_text()) if line.startswith("aics-tlog")]
    reports = [theirs(line, place, monkeypatch) for line in told[:-1]]
    assert [(code, report.get("size")) for code, report in reports] == [(0, 14), (0, 8), (0, 14)]


def grow_by(log: SmallLog, data: Sequence[Data]) -> int:
    """Append to a small log, signed by the city alone."""
    raw = [compose(ORIGIN, one, when="2026-11-20T10:00:00.000Z") for one in data]
    growth = grow(TileReader(log.directory, log.size), raw)
    for name, content in growth.files.items():
        (log.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (log.directory / name).write_bytes(content)
    text = Checkpoint(ORIGIN, growth.size, growth.root).text
    (log.directory / "checkpoint").write_bytes(Note(text, (log.key.sign(text),)).encode())
    return growth.size


def test_this_tool_says_the_same_of_the_unpacked_log_as_of_the_log_itself(
    log: SmallLog, tmp_path: Path
) -> None:
    packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    policy, now = SchoolLog.open(log.directory).policy, datetime(2026, 11, 24, tzinfo=UTC)
    one, other = (verify(where, policy, now=now).as_data() for where in (log.directory, place / "log"))
    assert one == other
    assert one["size"] == log.size


def test_the_same_log_gives_the_same_bytes_and_the_sums_are_right(log: SmallLog, tmp_path: Path) -> None:
    first, second = (packed(log, tmp_path / name) for name in ("one.zip", "two.zip"))
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "one.zip").read_bytes()).hexdigest()
    place = unpacked(tmp_path / "one.zip", tmp_path / "here")
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=place, capture_output=True, check=False
    )
    assert done.returncode == 0
    listed = {line.split("  ", 1)[1] for line in (place / "SHA256SUMS").read_text().splitlines()}
    there = {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
    assert listed == there - {"SHA256SUMS"}


def test_only_what_belongs_to_the_log_is_packed(log: SmallLog, tmp_path: Path) -> None:
    for name in (
        ".lock",
        "outbox.jsonl",
        "pending.json",
        "secret.key",
        "tile/0/stray",
        "checkpoints/not-a-size",
    ):
        (log.directory / name).write_text("not to be handed over")
    (log.directory / "anchors").mkdir()
    (log.directory / "anchors" / "notes.txt").write_text("x")
    packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    assert sorted(str(file.relative_to(place / "log")) for file in (place / "log").rglob("*") if file.is_file()) == [
        "checkpoint", "checkpoints/10", f"detail/{RUN}.jsonl", "policy", "tile/0/000.p/10", "tile/entries/000.p/10",
    ]  # fmt: skip


def test_a_log_of_several_tile_levels_is_packed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "log"
    log = SmallLog(directory, opening())
    beat = Heartbeat(actor=ADA, target=target())
    log.size = grow_by(log, [beat] * 600)
    for partial in ((0, 2, 90), (1, 0, 2)):
        assert (directory / tile_path(*partial)).exists()
    packed(log, tmp_path / "pack.zip")
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    tiles = {
        file.relative_to(place / "log"): file.read_bytes()
        for file in (place / "log/tile").rglob("*")
        if file.is_file()
    }
    assert all((directory / name).read_bytes() == data for name, data in tiles.items())
    assert len(tiles) == 7
    (command,) = commands((place / "README.md").read_text())[1:2]
    assert "verify-checkpoint" in command
    assert theirs(command, place, monkeypatch)[0] == 0


def test_detail_can_be_left_out(log: SmallLog, tmp_path: Path) -> None:
    packed(log, tmp_path / "pack.zip", detail=False)
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    assert not (place / "log" / "detail").exists()
    assert "log/detail" not in (place / "README.md").read_text()


def test_the_report_is_in_it_under_its_language(log: SmallLog, tmp_path: Path) -> None:
    result = packed(log, tmp_path / "pack.zip", "ca", report=lambda: "<!doctype html><p>àéï")
    assert result.report
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    assert (place / "report.ca.html").read_text(encoding="utf-8") == "<!doctype html><p>àéï"
    assert "report.ca.html" in (place / "LLEGIU-ME.md").read_text(encoding="utf-8")


def test_proofs_are_of_the_period_that_was_asked_for(log: SmallLog, tmp_path: Path) -> None:
    result = packed(log, tmp_path / "pack.zip", selection=Selection(since="2026-11-05T00:00:00.000Z"))
    assert result.proofs == 1
    assert "000007-run.ended.tlog-proof.json" in " ".join(zipfile.ZipFile(tmp_path / "pack.zip").namelist())
    nothing = packed(log, tmp_path / "none.zip", selection=Selection(since="2027-01-01T00:00:00.000Z"))
    assert nothing.proofs == 0
    place = unpacked(tmp_path / "none.zip", tmp_path / "here")
    assert "by hand" not in (place / "README.md").read_text().lower().replace("with others, and by hand", "")


def test_a_policy_that_was_given_is_the_one_in_the_pack(log: SmallLog, tmp_path: Path) -> None:
    given = Policy.parse(f"log {log.key.verifier.vkey}\nquorum none\n")
    result = packed(log, tmp_path / "pack.zip", policy=given)
    assert result.cosigned is None
    place = unpacked(tmp_path / "pack.zip", tmp_path / "here")
    assert Policy.parse((place / "policy.txt").read_bytes()) == given
    assert (place / "log" / "policy").read_bytes() == (log.directory / "policy").read_bytes()


def test_a_policy_of_another_log_is_refused(log: SmallLog, tmp_path: Path) -> None:
    other = SmallLog(tmp_path / "other", opening())
    with pytest.raises(UsageError, match="does not fit this log"):
        packed(log, tmp_path / "pack.zip", policy=SchoolLog.open(other.directory).policy)
    assert not (tmp_path / "pack.zip").exists()


def test_a_log_that_does_not_fit_its_checkpoint_is_not_packed_and_an_earlier_pack_stays(
    log: SmallLog, tmp_path: Path
) -> None:
    (tmp_path / "pack.zip").write_bytes(b"earlier")
    bundle = log.directory / tile_path(0, 0, log.size)
    good = bundle.read_bytes()
    bundle.write_bytes(bytes(32) + good[32:])
    with pytest.raises(LogError, match="does not fit its signed checkpoint"):
        packed(log, tmp_path / "pack.zip")
    bundle.write_bytes(good)
    entries = log.directory / "tile/entries/000.p/10"
    entries.write_bytes(entries.read_bytes().replace(b"Ada Puig", b"Eva Puig"))
    with pytest.raises(LogError, match="entry 2 does not fit"):
        packed(log, tmp_path / "pack.zip")
    entries.unlink()
    with pytest.raises(LogError):
        packed(log, tmp_path / "pack.zip")
    assert (tmp_path / "pack.zip").read_bytes() == b"earlier"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "pack.zip"]


def test_a_pack_is_not_written_into_the_log_itself(log: SmallLog) -> None:
    with pytest.raises(UsageError, match="lies in the directory of the log"):
        packed(log, log.directory / "pack.zip")


def test_an_archived_checkpoint_over_a_symbolic_link_is_not_packed(log: SmallLog, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (log.directory / "detail" / "link.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(LogError):
        packed(log, tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()


def test_a_pack_is_for_its_owner_alone(log: SmallLog, tmp_path: Path) -> None:
    packed(log, tmp_path / "pack.zip")
    assert (tmp_path / "pack.zip").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(io.BytesIO((tmp_path / "pack.zip").read_bytes())) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
