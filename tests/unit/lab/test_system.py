import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provision.errors import LabError
from provision.lab import system


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"])


def test_a_process_is_known_by_its_start_so_that_a_reused_number_is_never_signalled() -> None:
    child = sleeper()
    try:
        process = system.Process.of(child.pid)
        assert process is not None
        other = process.model_copy(update={"started": process.started - 1})
        assert process.alive()
        assert not other.alive()
        other.send(signal.SIGKILL)
        assert child.poll() is None
        process.send(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert not process.alive()
    finally:
        child.kill()
        child.wait()


def test_a_process_of_an_earlier_boot_is_gone() -> None:
    own = system.Process.of(os.getpid())
    assert own is not None
    assert own.alive()
    assert not own.model_copy(update={"boot": "another"}).alive()


def test_a_zombie_does_not_run() -> None:
    child = sleeper()
    process = system.Process.of(child.pid)
    assert process is not None
    process.send(signal.SIGKILL)
    assert process.wait(60)
    # Not reaped yet: the number is still there, the process is not.
    assert Path(f"/proc/{child.pid}").exists()
    assert not process.alive()
    child.wait()


def test_a_program_name_with_brackets_and_spaces_does_not_confuse_the_start_time(tmp_path: Path) -> None:
    odd = tmp_path / "a) b (c"
    odd.symlink_to("/bin/sleep")
    child = subprocess.Popen([odd, "1000"])
    try:
        reference = sleeper()
        try:
            first, second = system.start_time(child.pid), system.start_time(reference.pid)
            assert first is not None
            assert second is not None
            assert first <= second
        finally:
            reference.kill()
            reference.wait()
    finally:
        child.kill()
        child.wait()


def test_a_failed_program_tells_its_own_words() -> None:
    with pytest.raises(LabError, match="No such file"):
        system.run("ls", "/does/not/exist")


def test_a_missing_program_is_an_error_with_a_remedy() -> None:
    with pytest.raises(LabError) as caught:
        system.run("no-such-program-at-all")
    assert "setup.sh" in caught.value.remedy


def test_a_link_on_a_machines_disk_does_not_lead_a_write_out_of_it(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "hosts").write_text("ours")
    (root / "etc").symlink_to(outside)
    with pytest.raises(LabError):
        system.write_inside(root, "etc", "hosts", "theirs")
    assert (outside / "hosts").read_text() == "ours"


def test_a_linked_file_on_a_machines_disk_is_replaced_and_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (tmp_path / "hosts").write_text("ours")
    (root / "etc/hosts").symlink_to(tmp_path / "hosts")
    assert system.read_inside(root, "etc", "hosts") == ""
    system.write_inside(root, "etc", "hosts", "new")
    assert (tmp_path / "hosts").read_text() == "ours"
    assert (root / "etc/hosts").read_text() == "new"


def test_a_pipe_on_a_machines_disk_does_not_make_the_host_wait(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/hosts")
    assert system.read_inside(tmp_path, "etc", "hosts") == ""


def test_a_lock_is_held_by_one_at_a_time_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with system.lock(path), pytest.raises(BlockingIOError), system.lock(path, block=False):
        pass
    with system.lock(path, block=False):
        pass


def test_a_lock_is_given_back_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    program = (
        "import sys, time; from pathlib import Path; from provision.lab.system import lock\n"
        "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(1000)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), system.lock(path, block=False):
            pass
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with system.lock(path, block=False):
        pass


def test_who_waits_for_a_lock_is_told_why_and_never_holds_a_removed_file(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    told: list[str] = []
    waiting, done = threading.Event(), threading.Event()

    def report(line: str) -> None:
        told.append(line)
        waiting.set()

    def wait() -> None:
        with system.lock(path, report, "somebody works here"):
            # The file that is locked is the one that the next one will find.
            with pytest.raises(BlockingIOError), system.lock(path, block=False):
                pass
            done.set()

    thread = threading.Thread(target=wait)
    with system.lock(path):
        thread.start()
        assert waiting.wait(60)
        path.unlink()
    thread.join(60)
    assert done.is_set()
    assert told == ["Waiting: somebody works here"]


def test_locks_that_are_held_are_not_removed(tmp_path: Path) -> None:
    directory = tmp_path / "locks"
    with system.lock(directory / "held.lock"):
        with system.lock(directory / "free.lock"):
            pass
        system.remove_locks(directory)
        assert [path.name for path in directory.iterdir()] == ["held.lock"]
    system.remove_locks(directory)
    assert not directory.exists()


def test_a_file_is_replaced_in_one_step_with_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    with path.open() as reader:
        system.write_file(path, "new", 0o600)
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]
