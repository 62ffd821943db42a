"""How provision-probe runs other programs."""

import time
from pathlib import Path

import pytest

from tests.unit.roles.probe import Probe


def alive(state: Path) -> bool:
    """Whether a process runs, by its file in /proc."""
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_hangs_is_ended_with_all_that_it_started(probe: Probe, tmp_path: Path) -> None:
    probe.fake("psst", f"echo $$ > {tmp_path}/pid; sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(probe.core.UnanswerableError, match="psst did not end"):
        probe.core.run("psst")
    for name in ("pid", "child"):
        state = Path(f"/proc/{(tmp_path / name).read_text().strip()}/stat")
        # The kernel takes a moment to end what was killed.
        for _ in range(200):
            if not alive(state):
                break
            time.sleep(0.05)
        assert not alive(state)


def test_a_program_that_says_too_much_is_not_listened_to(probe: Probe) -> None:
    probe.fake("chatter", "yes chatter")
    with pytest.raises(probe.core.UnanswerableError, match="chatter says too much"):
        probe.core.run("chatter", seconds=30)
    cut = len(probe.core.run("chatter", seconds=30, cut=True))
    assert probe.core.MOST_OUTPUT <= cut < 2 * probe.core.MOST_OUTPUT


def test_a_program_that_fails_or_is_not_there_is_named(probe: Probe) -> None:
    probe.fake("broken", "echo 'no such database' >&2; exit 3")
    with pytest.raises(probe.core.UnanswerableError, match="broken: no such database"):
        probe.core.run("broken")
    with pytest.raises(probe.core.UnanswerableError, match="absent: No such file"):
        probe.core.run("absent")


def test_programs_get_nothing_of_our_environment(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_X", "evil")
    monkeypatch.setenv("LC_ALL", "ca_ES.UTF-8")
    probe.fake("show", "env")
    shown = probe.core.run("show")
    assert "evil" not in shown and "LC_ALL=C.UTF-8" in shown
