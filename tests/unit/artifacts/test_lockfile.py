"""``artifacts.lock``: read strictly, written in one step, and quiet in a diff."""

import multiprocessing
from datetime import date

import pytest

from provision.artifacts import LockFile, lockfile
from provision.artifacts.lockfile import Choice, LockedFile
from provision.errors import ArtifactError

ENTRY = LockedFile(sha256="a" * 64, size=3, source="https://x.example/a", date=date(2026, 1, 2))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "artifacts.lock"


def edit(path):
    return LockFile.edit(path, path.parent / ".state")


def test_what_was_written_is_read(path):
    with edit(path) as lock:
        lock.files["b.tar"] = ENTRY
        lock.files["a.tar"] = ENTRY
        lock.choices["escola"] = {"pad": Choice(version="1.10", kind="apt", installed=True)}
    again = LockFile.read(path)
    assert again.files == {"a.tar": ENTRY, "b.tar": ENTRY}
    assert again.choices["escola"]["pad"].version == "1.10"


def test_entries_are_sorted_so_that_a_new_one_adds_lines_and_changes_none(path):
    with edit(path) as lock:
        lock.files["b.tar"] = ENTRY
        lock.choices["z"] = {"pad": Choice(version="1", kind="apt")}
    before = path.read_text().splitlines()
    with edit(path) as lock:
        lock.files["a.tar"] = ENTRY
        lock.choices["a"] = {"pad": Choice(version="1", kind="apt")}
    after = path.read_text().splitlines()
    assert [line for line in after if line in before] != []
    remaining = iter(after)
    assert all(line in remaining for line in before)
    assert after.index("  a.tar:") < after.index("  b.tar:")


def test_an_edit_without_a_change_does_not_touch_the_file(path):
    with edit(path) as lock:
        lock.files["a.tar"] = ENTRY
    before = path.stat().st_mtime_ns
    with edit(path):
        pass
    assert path.stat().st_mtime_ns == before


def test_an_edit_that_fails_writes_nothing(path):
    with pytest.raises(RuntimeError), edit(path) as lock:
        lock.files["a.tar"] = ENTRY
        raise RuntimeError
    assert not path.exists()


def test_a_missing_file_is_empty(path):
    assert LockFile.read(path) == LockFile()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("schema: 1\nfiles: [", "line 2, is no valid YAML"),
        ("schema: 1\nfiles:\n  a: {sha256: short, size: 1, source: x, date: 2026-01-01}\n", "files.a.sha256"),
        ("schema: 1\nnonsense: 1\n", "nonsense"),
        ("- 1\n", "is damaged"),
        ("schema: 1\nfiles: 2026-13-45\n", "is no valid YAML"),
        ("schema: 2\n", "newer provision"),
        ("schema: 1\n<<<<<<< HEAD\nfiles: {}\n=======\n>>>>>>> x\n", "merge conflict"),
        ("\ufffe\x00", "is no valid YAML"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it_and_is_not_overwritten(path, text, says):
    path.write_text(text)
    with pytest.raises(ArtifactError, match=says) as caught:
        LockFile.read(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy
    assert caught.value.exit_code == 2
    with pytest.raises(ArtifactError), edit(path):
        pass
    assert path.read_text() == text


def _add(path, number) -> None:
    with edit(path) as lock:
        lock.files[f"{number}.tar"] = ENTRY


def test_processes_that_write_at_the_same_time_lose_nothing(path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(path, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert set(LockFile.read(path).files) == {f"{number}.tar" for number in range(8)}


def test_forget_says_whether_there_was_an_entry():
    lock = LockFile(files={"a.tar": ENTRY})
    assert lock.forget("a.tar")
    assert not lock.forget("a.tar")
    assert lock.files == {}


def test_a_school_without_services_changes_no_line(path):
    with edit(path) as lock:
        lock.files["a.tar"] = ENTRY
    before = path.stat().st_mtime_ns
    with edit(path) as lock:
        lock.choices.setdefault("escola", {})
    assert path.stat().st_mtime_ns == before


def test_what_is_only_looked_at_is_read_once_while_it_is_the_same(path, monkeypatch):
    parsed = []
    real = lockfile._parsed
    monkeypatch.setattr(lockfile, "_parsed", lambda text: parsed.append(text) or real(text))
    with edit(path) as lock:
        lock.files["a.tar"] = ENTRY
    for _ in range(5):
        assert set(lockfile.locked_content(path).files) == {"a.tar"}
    assert len(parsed) == 1
    with edit(path) as lock:
        lock.files["b.tar"] = ENTRY
    assert set(lockfile.locked_content(path).files) == {"a.tar", "b.tar"}
