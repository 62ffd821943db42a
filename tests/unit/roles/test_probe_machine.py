"""What provision-probe tells of disks, the clock and what listens."""

import json
import stat
from typing import Any

import pytest

from tests.unit.roles.probe import Probe, said

NOW = 1_800_000_000.0
DAY = 86400.0


def test_disks_are_those_that_can_fill_up(probe: Probe) -> None:
    for place in ("/srv/with blank/file", "/run/host/incoming/file", "/etc/os-release"):
        probe.put(place, "")
    probe.put(
        "/proc/self/mountinfo",
        "22 27 0:21 / /proc rw - proc proc rw\n"
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "28 27 254:0 /run/x /run/netns rw shared:1 - ext4 /dev/vda rw\n"
        "29 27 254:1 / /srv/with\\040blank rw shared:2 master:1 - xfs /dev/vdb rw\n"
        "30 27 0:24 / /run rw - tmpfs tmpfs rw\n"
        "31 27 0:25 / /run/user/0 rw - tmpfs tmpfs rw\n"
        "32 27 0:50 / /mnt/far rw - nfs4 far:/ rw\n"
        "33 27 0:51 / /var/lib/machine rw - overlay overlay rw\n"
        "34 27 254:7 /release /etc/os-release ro - ext4 /dev/vdc ro\n"
        "35 27 254:8 /incoming /run/host/incoming ro - ext4 /dev/vdd ro\n"
        "broken\n",
    )
    assert probe.machine.mounts() == {"/": "ext4", "/srv/with blank": "xfs", "/run": "tmpfs"}


def steady(days: float, each: float, start: float = 1e9) -> list[Any]:
    """Samples of every hour that grow so many bytes a day."""
    hours = int(days * 24)
    return [[NOW - (hours - hour) * 3600, {"/": start + hour * each / 24}] for hour in range(hours)]


def test_growth_is_known_once_samples_reach_back_a_day(probe: Probe) -> None:
    samples = steady(5, 1e6)
    told = probe.machine.growth(samples, "/", 1e9 + 5e6, NOW)
    assert told["growth_day"] == pytest.approx(1e6)
    assert told["growth_now"] == pytest.approx(1e6)
    young = probe.machine.growth(steady(0.5, 1e6), "/", 1e9 + 5e5, NOW)
    assert (young["growth_day"], young["growth_now"]) == (None, pytest.approx(1e6))
    assert probe.machine.growth([], "/", 1e9, NOW) == {"growth_day": None, "growth_now": None, "span": 0.0}


def test_one_jump_does_not_count_as_growth(probe: Probe) -> None:
    samples = [
        [when, {"/": value["/"] + (5e10 if when > NOW - 2 * DAY else 0)}] for when, value in steady(10, 1e6)
    ]
    assert probe.machine.growth(samples, "/", 1e9 + 1e7 + 5e10, NOW)["growth_day"] == pytest.approx(
        1e6, rel=0.05
    )


def test_samples_are_kept_bounded_and_reach_back_two_months(probe: Probe) -> None:
    kept: list[Any] = []
    for step in range(24 * 4 * 90):
        moment = NOW + step * 900
        kept = probe.machine.thinned([*kept, [moment, {}]], moment)
        assert len(kept) <= 150
    ages = [(moment - sample[0]) / DAY for sample in kept]
    assert 57 <= max(ages) <= 60
    assert len([age for age in ages if age <= 2]) >= 45


def test_samples_that_are_damaged_or_from_the_future_are_left_out(probe: Probe) -> None:
    good = [NOW, {"/": 1}]
    bad = [7, [], [NOW], ["x", {}], [NOW, {"/": "much"}], [NOW, [1]]]
    assert probe.machine.valid_samples({"samples": [*bad, good]}) == [good]
    assert probe.machine.valid_samples("no") == probe.machine.valid_samples({"samples": {}}) == []
    assert probe.machine.thinned([[NOW + 1, {}], good], NOW) == [good]


def test_samples_are_kept_from_one_asking_to_the_next(probe: Probe) -> None:
    probe.put("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
    told = probe.machine.disks()
    assert told["/"]["size"] > told["/"]["free"] > 0
    kept = json.loads((probe.root / "var/lib/provision/probe/disks.json").read_text())
    assert kept["samples"][0][1] == {"/": told["/"]["used"]}
    assert stat.S_IMODE((probe.root / "var/lib/provision/probe").stat().st_mode) & 0o022 == 0


def test_a_disk_that_cannot_be_written_is_told_all_the_same(probe: Probe) -> None:
    probe.put("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
    probe.put("/var/lib/provision", "a file is in the way")
    assert probe.machine.disks()["/"]["size"] > 0


def test_listeners_are_told_with_their_addresses(probe: Probe) -> None:
    head = "  sl  local_address rem_address   st\n"
    probe.put("/proc/net/tcp", head + "   0: 0100007F:2329 00000000:0000 0A\n   1: 00000000:01BB 00000000:0000 0A\n"
        "   2: 0100007F:1F90 0100007F:9999 01\n")  # fmt: skip
    probe.put("/proc/net/tcp6", head + "   0: 00000000000000000000000001000000:2329 0:0 0A\n")
    assert probe.machine.listeners() == [["0.0.0.0", 443], ["127.0.0.1", 9001], ["::1", 9001]]


def test_the_clock_is_told_by_chrony_or_by_systemd(probe: Probe) -> None:
    probe.fake(
        "chronyc", said("C0000207,192.0.2.7,3,1799999000.1,-0.002500,0.1,0.1,1,0,0.1,0.1,0.1,64.5,Normal")
    )
    assert probe.machine.clock() == {"by": "chrony", "synchronised": True, "offset": 0.0025, "stratum": 3}
    probe.fake("chronyc", said("7F7F0101,,0,0,0.0,0,0,0,0,0,0,0,0,Not synchronised"))
    assert probe.machine.clock()["synchronised"] is False
    probe.fake("chronyc", "echo '506 Cannot talk to daemon'; exit 1")
    probe.fake("timedatectl", "echo NTPSynchronized=yes")
    assert probe.machine.clock() == {"by": "systemd", "synchronised": True, "offset": None, "stratum": 0}
