"""The machine: disks and how they grow, memory and load, the clock, and what listens."""

from __future__ import annotations

import os
import re
import socket
import sys
import time

from provision_probe import MOST_THINGS, UnanswerableError, at, keep, number, read, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAY = 86400.0
#: File systems of disks; those of a network could keep us waiting for ever.
REAL = {
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "f2fs",
    "reiserfs",
    "jfs",
    "bcachefs",
    "overlay",
    "tmpfs",
}
#: tmpfs that stop a server when they are full; there are many others.
TMPFS = {"/run", "/tmp", "/dev/shm"}  # noqa: S108 - places to look at, not to write


def mounts() -> dict[str, str]:
    """Mount points of disks, and their file systems; of each disk the first."""
    found: dict[str, str] = {}
    seen = set()
    for line in read("/proc/self/mountinfo").splitlines():
        # proc(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
        fields, _, rest = line.partition(" - ")
        parts, kind = fields.split(), rest.split(" ")[0]
        if len(parts) < 5 or kind not in REAL:
            continue
        device, point = parts[2], re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), parts[4])
        if device in seen or (kind == "tmpfs" and point not in TMPFS) or (kind == "overlay" and point != "/"):
            continue
        # What a container is given by its manager is not its own: folders of the other side, files over files.
        if point.startswith("/run/host/") or not at(point).is_dir():
            continue
        seen.add(device)
        found[point] = kind
    return dict(list(found.items())[:MOST_THINGS])


def thinned(samples: list[Any], now: float) -> list[Any]:
    """Of the last two days one sample an hour, before that one a day, for sixty days."""
    kept: list[Any] = []
    for sample in samples:
        age = now - sample[0]
        if age < 0 or age > 60 * DAY:
            continue
        apart = 3600.0 if age <= 2 * DAY else DAY
        if not kept or sample[0] - kept[-1][0] >= apart - 60:
            kept.append(sample)
    return kept[-150:]


def valid_samples(kept: Any) -> list[Any]:
    """Samples as they were written: [time, {mount point: bytes used}]."""
    samples = kept.get("samples") if isinstance(kept, dict) else None
    if not isinstance(samples, list):
        return []
    return sorted(
        (
            sample
            for sample in samples[:200]
            if isinstance(sample, list)
            and len(sample) == 2
            and isinstance(sample[0], (int, float))
            and isinstance(sample[1], dict)
            and all(isinstance(used, (int, float)) for used in sample[1].values())
        ),
        key=lambda sample: sample[0],
    )


def growth(samples: list[Any], point: str, used: float, now: float) -> dict[str, Any]:
    """Bytes a day: of the last two weeks (the median of all slopes, Theil and Sen), and of the last hours.

    None as long as the samples do not reach back a day, or an hour.
    """
    past = [
        (moment, values[point]) for moment, values in samples if point in values and now - moment <= 14 * DAY
    ]
    points = [*past[:: max(1, len(past) // 40)], (now, used)]
    long = hours = None
    if now - points[0][0] >= DAY:
        slopes = [
            (second[1] - first[1]) / (second[0] - first[0])
            for number, first in enumerate(points)
            for second in points[number + 1 :]
            if second[0] - first[0] >= 1800
        ]
        long = sorted(slopes)[len(slopes) // 2] * DAY if slopes else None
    lately = [(moment, value) for moment, value in past if 3600 <= now - moment <= 6 * 3600]
    if lately:
        hours = (used - lately[0][1]) / (now - lately[0][0]) * DAY
    return {"growth_day": long, "growth_now": hours, "span": now - points[0][0]}


def disks() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for point, kind in mounts().items():
        try:
            state = os.statvfs(at(point))
        except OSError:
            continue
        if not state.f_blocks:
            continue
        found[point] = {
            "kind": kind,
            "size": state.f_blocks * state.f_frsize,
            # What others than root may still write.
            "free": state.f_bavail * state.f_frsize,
            "used": (state.f_blocks - state.f_bfree) * state.f_frsize,
            "inodes": state.f_files,
            "inodes_free": state.f_favail,
            "read_only": bool(state.f_flag & os.ST_RDONLY),
        }
    now = time.time()
    sample = [int(now), {point: disk["used"] for point, disk in found.items() if disk["kind"] != "tmpfs"}]

    def change(kept: Any) -> Any:
        samples = [one for one in valid_samples(kept) if one[0] <= now]
        for point, disk in found.items():
            disk.update(growth(samples, point, disk["used"], now))
        return {"samples": thinned([*samples, sample], now)}

    keep("disks.json", change)
    return found


def system() -> dict[str, Any]:
    """Memory, load, time since the start."""
    memory = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in read("/proc/meminfo").splitlines()
        if len(line.split()) > 1 and line.split()[1].isdigit()
    }
    try:
        pressure = number(re.findall(r"some .*avg300=([0-9.]+)", read("/proc/pressure/memory"))[0])
    except (OSError, IndexError):
        pressure = None
    virtual = run("systemd-detect-virt", "--container", may_fail=True).strip()
    return {
        "memory": memory.get("MemTotal", 0),
        "available": memory.get("MemAvailable", 0),
        "swap": memory.get("SwapTotal", 0),
        "swap_free": memory.get("SwapFree", 0),
        "pressure": pressure,
        "load": list(os.getloadavg()),
        "cpus": os.cpu_count() or 1,
        "uptime": number(read("/proc/uptime").split()[0]) or 0.0,
        "kernel": os.uname().release,
        "container": "" if virtual == "none" else virtual[:40],
        "reboot": at("/run/reboot-required").exists(),
        "reboot_for": sorted(set(lines_of("/run/reboot-required.pkgs")))[:MOST_THINGS],
    }


def lines_of(path: str) -> list[str]:
    try:
        return read(path, 16384).split()
    except OSError:
        return []


def clock() -> dict[str, Any]:
    """What keeps the time, and how many seconds it is off, where that is known."""
    try:
        # chronyc(1), tracking, as values with commas between them: the fifth is the offset, the last the leap state.
        fields = run("chronyc", "-n", "-c", "tracking").strip().split(",")
    except UnanswerableError:
        fields = []
    offset = number(fields[4]) if len(fields) > 13 else None
    if offset is not None:
        return {
            "by": "chrony",
            "synchronised": fields[13] != "Not synchronised",
            # Which way it is off is not asked: only how far.
            "offset": abs(offset),
            "stratum": int(number(fields[2]) or 0),
        }
    out = run("timedatectl", "show", "--property=NTPSynchronized")
    return {"by": "systemd", "synchronised": out.strip().endswith("=yes"), "offset": None, "stratum": 0}


def listeners() -> list[list[Any]]:
    """Addresses and ports on which anything listens, over TCP."""
    found = set()
    for path, width in (("/proc/net/tcp", 4), ("/proc/net/tcp6", 16)):
        try:
            lines = read(path, 4 << 20).splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # proc_net_tcp(5): state 0A is LISTEN; an address is words of 32 bits in the machine's order.
            if len(fields) > 3 and fields[3] == "0A":
                address, port = fields[1].split(":")
                raw = bytes.fromhex(address)
                words = b"".join(
                    raw[place : place + 4][:: -1 if sys.byteorder == "little" else 1]
                    for place in range(0, width, 4)
                )
                found.add(
                    (
                        socket.inet_ntop(socket.AF_INET if width == 4 else socket.AF_INET6, words),
                        int(port, 16),
                    )
                )
    return [list(one) for one in sorted(found, key=lambda one: (one[1], one[0]))[:100]]
