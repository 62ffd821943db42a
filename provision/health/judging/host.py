"""The server itself: disks, memory, clock, updates, firewall, journal, our own files, the last run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provision.health.answers import Clock, Disk, FileState, Firewall, Journal, LastRun, System, Updates
from provision.health.judging.facts import DAY, Facts
from provision.health.result import Figure, Finding, Sentence, State, probe_id
from provision.health.words import TITLES
from provision.health.words.heard import heard
from provision.health.words.seen import counted, cut, decimal, seen, size, span

GIB = 2.0**30
#: Of a disk: a part of it, and so little in bytes that it counts.
DISK_PROBLEM, DISK_WARNING = (0.05, 10 * GIB), (0.10, 50 * GIB)
#: Days until it is full.
FULL_PROBLEM, FULL_WARNING = 1.0, 14.0
INODES_PROBLEM, INODES_WARNING = 0.02, 0.08
MEMORY_PROBLEM, MEMORY_WARNING = 0.04, 0.10
#: Percent of five minutes in which something waited for memory.
PRESSURE = 20.0
#: Load of five and fifteen minutes, for each processor.
LOAD_PROBLEM, LOAD_WARNING = 6.0, 2.0
#: Seconds; Kerberos and one-time passwords stand less than a minute.
CLOCK_PROBLEM, CLOCK_WARNING = 30.0, 2.0
#: Days without a look for updates.
LISTS_OLD = 3.0
#: Errors of one cause in a day.
ERRORS = 20
#: Outcomes of a run: all is as it should be; it has not said yet.
RUN_FINE, RUN_OPEN = "ok", ("intended", "started")

#: Whether our own log knows the run that a host names; None where it cannot tell.
Knows = Callable[[LastRun], bool | None]


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file as the last run left it.

    Args:
        sha256: of its content. mode: such as ``0644``.
    """

    path: str
    sha256: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"


def judge_host(facts: Facts, managed: Sequence[ManagedFile], knows: Knows | None) -> list[Finding]:
    """Everything that is asked of the server itself, but for its units."""
    found = [
        *_disks(facts),
        _memory(facts),
        _load(facts),
        _clock(facts),
        _updates(facts),
        _reboot(facts),
        _firewall(facts),
        _journal(facts),
        _last_run(facts, knows),
    ]
    return [*found, _files(facts, managed)] if managed else found


def _disks(facts: Facts) -> list[Finding]:
    disks: dict[str, Disk] | None = facts.values.get("disks")
    if disks is None:
        return [facts.unknown("disk", TITLES["disk"], "disks", point="/")]
    found = []
    for point, disk in disks.items():
        found.append(_disk(facts, point, disk))
        if disk.inodes:
            found.append(_inodes(facts, point, disk))
    return found


def days_left(disk: Disk) -> float | None:
    """Days until a disk is full: by its growth of two weeks, or by that of the last hours where that means at once."""
    left = [
        disk.free / growth
        for growth, limit in ((disk.growth_day, math.inf), (disk.growth_now, FULL_PROBLEM))
        if growth is not None and growth > 0 and disk.free / growth <= limit
    ]
    return min(left, default=None)


def _disk(facts: Facts, point: str, disk: Disk) -> Finding:
    part = disk.free / disk.size if disk.size else 0.0
    days = days_left(disk)

    def below(limit: tuple[float, float]) -> bool:
        # One in memory is small by design: there a part of it counts alone.
        return part < limit[0] and (disk.kind == "tmpfs" or disk.free < limit[1])

    state: State = "problem"
    if disk.read_only:
        fault = "disk/read-only"
    elif below(DISK_PROBLEM):
        fault = "disk/full"
    elif days is not None and days <= FULL_PROBLEM and part < 0.5:
        fault = "disk/filling"
    elif days is not None and days <= FULL_WARNING:
        state, fault = "warning", "disk/filling"
    elif below(DISK_WARNING):
        state, fault = "warning", "disk/low"
    else:
        state, fault = "ok", ""
    measured = [_free(disk.free, disk.size, part)]
    if disk.growth_day is not None and abs(disk.growth_day) >= 2**20:
        growth = "disk/grows" if disk.growth_day > 0 else "disk/shrinks"
        measured.append(seen(growth, size=size(disk.growth_day)))
    if days is not None and days < 3650:
        measured.append(seen("disk/full-in", span=span(days * DAY)))
    if disk.read_only:
        measured.append(seen("disk/read-only"))
    figures = [
        Figure("disk_free_bytes", disk.free, "B", point),
        Figure("disk_size_bytes", disk.size, "B", point),
    ]
    if days is not None and days < 36500:
        figures.append(Figure("disk_full_in_seconds", round(days * DAY), "s", point))
    return facts.finding(
        probe_id("disk", point),
        TITLES["disk"],
        state,
        Sentence.joined(measured),
        fault,
        part="disks",
        figures=figures,
        point=point,
        days=counted(max(1, math.ceil(days or 0)), "days"),
    )


def _free(free: float, everything: float, part: float) -> Sentence:
    return seen("free", free=size(free), all=size(everything), percent=f"{part * 100:.0f}")


def _inodes(facts: Facts, point: str, disk: Disk) -> Finding:
    part = disk.inodes_free / disk.inodes
    state: State = "problem" if part < INODES_PROBLEM else "warning" if part < INODES_WARNING else "ok"
    return facts.finding(
        probe_id("inodes", point),
        TITLES["inodes"],
        state,
        seen("inodes", count=disk.inodes_free, percent=f"{part * 100:.0f}"),
        "" if state == "ok" else "inodes/full",
        part="disks",
        figures=[Figure("inodes_free", disk.inodes_free, label=point)],
        point=point,
    )


def _memory(facts: Facts) -> Finding:
    system: System | None = facts.values.get("system")
    if system is None:
        return facts.unknown("memory", TITLES["memory"], "system")
    part = system.available / system.memory if system.memory else 0.0
    state: State = "ok"
    if part < MEMORY_PROBLEM:
        state = "problem"
    elif part < MEMORY_WARNING or (system.pressure or 0.0) > PRESSURE:
        state = "warning"
    measured = [_free(system.available, system.memory, part)]
    if system.swap:
        swapped = size(system.swap - min(system.swap, system.swap_free))
        measured.append(seen("memory/swapped", size=swapped))
    return facts.finding(
        "memory",
        TITLES["memory"],
        state,
        Sentence.joined(measured),
        "" if state == "ok" else "memory/low",
        part="system",
        figures=[
            Figure(
                "memory_available_bytes",
                system.available,
                "B",
                warning=round(system.memory * MEMORY_WARNING),
                critical=round(system.memory * MEMORY_PROBLEM),
            ),
            Figure("swap_free_bytes", system.swap_free, "B"),
        ],
    )


def _load(facts: Facts) -> Finding:
    system: System | None = facts.values.get("system")
    if system is None:
        return facts.unknown("load", TITLES["load"], "system")
    # Both must be high: neither a short burst nor one that has just ended counts.
    each = min(system.load[1], system.load[2]) / system.cpus
    state: State = "problem" if each > LOAD_PROBLEM else "warning" if each > LOAD_WARNING else "ok"
    said = Sentence.joined([decimal(value, 2) for value in system.load], " ")
    measured = [seen("load", load=said, cpus=counted(system.cpus, "processors"))]
    if system.container:
        # The kernel counts for all machines that share it: what the neighbours do is not this one's fault.
        state = "ok"
        measured.append(seen("load/shared"))
    measured.append(seen("load/up", span=span(system.uptime)))
    return facts.finding(
        "load",
        TITLES["load"],
        state,
        Sentence.joined(measured),
        "" if state == "ok" else "load/high",
        part="system",
        figures=[
            Figure(
                "load5",
                system.load[1],
                warning=LOAD_WARNING * system.cpus,
                critical=LOAD_PROBLEM * system.cpus,
            ),
            Figure("uptime_seconds", system.uptime, "s"),
        ],
    )


def clock_off(facts: Facts) -> float:
    """How many seconds the host's clock is off ours at least: the answer was written between asking and arriving."""
    told = facts.answer.time
    return max(0.0, facts.asked - told, told - facts.arrived)


def _clock(facts: Facts) -> Finding:
    clock: Clock | None = facts.values.get("clock")
    system: System | None = facts.values.get("system")
    off = clock_off(facts)
    figures = [
        Figure("clock_offset_seconds", round(off, 3), "s", warning=CLOCK_WARNING, critical=CLOCK_PROBLEM)
    ]
    known = clock.offset if clock and clock.offset is not None and clock.synchronised else None
    worst = max(off, known or 0.0)
    state: State = "problem" if worst >= CLOCK_PROBLEM else "warning"
    measured = [
        seen("clock/within", seconds=decimal(off, 1))
        if off < CLOCK_WARNING
        else seen("clock/off", span=span(off))
    ]
    if known is not None:
        measured.append(seen("clock/servers", seconds=decimal(known, 3)))
    contained = bool(system and system.container)
    if worst >= CLOCK_WARNING:
        fault = "clock/off"
    elif clock is None and not contained:
        return facts.unknown("clock", TITLES["clock"], "clock")
    elif clock and not clock.synchronised and not contained:
        fault = "clock/alone"
        measured.append(seen("clock/alone"))
    else:
        # The clock of a container is that of the machine that carries it.
        state, fault = "ok", ""
    return facts.finding(
        "clock",
        TITLES["clock"],
        state,
        Sentence.joined(measured),
        fault,
        part="clock",
        figures=figures,
        seconds=counted(round(worst), "seconds"),
    )


def _updates(facts: Facts) -> Finding:
    updates: Updates | None = facts.values.get("updates")
    if updates is None:
        return facts.unknown("updates", TITLES["updates"], "updates")
    age = max(0.0, facts.answer.time - updates.lists_at) if updates.lists_at is not None else None
    names = [package[0] for package in updates.packages]
    state: State = "warning"
    measured = seen("updates/named" if names else "updates/waiting", count=updates.security, names=cut(names))
    if age is None or age > LISTS_OLD * DAY:
        fault = "updates/old"
    elif updates.security:
        fault = "updates/waiting"
    else:
        state, fault, measured = "ok", "", seen("updates/none")
    return facts.finding(
        "updates",
        TITLES["updates"],
        state,
        seen("updates/looked", before=measured, ago=facts.ago(updates.lists_at)),
        fault,
        part="updates",
        figures=[Figure("updates_security_waiting", updates.security, warning=0)],
        updates=counted(updates.security, "updates"),
        days=counted(int(age // DAY), "days") if age is not None else seen("many-days"),
    )


def _reboot(facts: Facts) -> Finding:
    system: System | None = facts.values.get("system")
    if system is None:
        return facts.unknown("reboot", TITLES["reboot"], "system")
    measured = seen("reboot/not-needed", kernel=system.kernel)
    if system.reboot:
        names = system.reboot_for
        measured = seen("reboot/for", names=cut(names)) if names else seen("reboot/needed")
    return facts.finding(
        "reboot",
        TITLES["reboot"],
        "warning" if system.reboot else "ok",
        measured,
        "reboot/needed" if system.reboot else "",
        part="system",
        figures=[Figure("reboot_required", int(system.reboot), warning=0)],
    )


def _firewall(facts: Facts) -> Finding:
    firewall: Firewall | None = facts.values.get("firewall")
    if firewall is None:
        return facts.unknown("firewall", TITLES["firewall"], "firewall")
    state: State = "problem"
    if not firewall.present:
        fault = "firewall/gone"
    elif not firewall.drops:
        fault = "firewall/open"
    elif firewall.unchanged is False:
        fault = "firewall/changed"
    else:
        state, fault = "ok", ""
    measured = seen(fault or "firewall/well")
    return facts.finding("firewall", TITLES["firewall"], state, measured, fault, part="firewall")


def _journal(facts: Facts) -> Finding:
    journal: Journal | None = facts.values.get("journal")
    if journal is None:
        return facts.unknown("journal", TITLES["journal"], "journal")
    groups = sorted(journal.groups, key=lambda group: -group.count)
    most = groups[0] if groups else None
    many = most is not None and most.count >= ERRORS
    measured = seen("none")
    if journal.count:
        measured = seen(
            "journal/least" if journal.more else "journal",
            errors=counted(journal.count, "errors"),
            causes=counted(journal.causes, "causes"),
        )
    if most:
        measured = seen(
            "journal/most",
            before=measured,
            count=most.count,
            unit=most.unit,
            # Whole: it is what the city is told on the telephone.
            text=Sentence.plain(most.text),
        )
    return facts.finding(
        "journal",
        TITLES["journal"],
        "warning" if many else "ok",
        measured,
        "journal/many" if many else "",
        part="journal",
        figures=[Figure("journal_errors_last_day", journal.count)],
        unit=most.unit if most else "",
        times=counted(most.count if most else 0, "times"),
    )


def _files(facts: Facts, managed: Sequence[ManagedFile]) -> Finding:
    if "files" not in facts.values:
        return facts.unknown("files", TITLES["files"], "files")
    states: dict[str, FileState] = dict(facts.values["files"])
    for path, state in facts.values.get("listed", {}).items():
        if path not in states or states[path].error == "closed":
            states[path] = state
    changed: dict[str, Sentence] = {}
    closed = 0
    for file in managed:
        found = states.get(file.path)
        if found is None or found.error == "closed":
            closed += 1
        elif difference := _difference(file, found):
            changed[file.path] = seen("file", path=file.path, difference=difference)
    names = cut(list(changed.values()))
    measured = [
        seen("files/named" if changed else "files", count=len(changed), all=len(managed), names=names)
    ]
    if closed:
        measured.append(seen("files/closed", count=closed))
    unseen = bool(closed) and not changed
    return facts.finding(
        "files",
        TITLES["files"],
        "warning" if changed else "unknown" if unseen else "ok",
        Sentence.joined(measured, "; "),
        "files/changed" if changed else "unknown" if unseen else "",
        part="files",
        figures=[Figure("files_changed", len(changed), warning=0)],
        files=cut(list(changed), 3),
    )


def _difference(file: ManagedFile, found: FileState) -> Sentence | None:
    if found.error:
        return heard(found.error)
    if found.sha256 != file.sha256:
        return seen("file/content")
    if (found.owner, found.group) != (file.owner, file.group):
        return seen("file/owner", owner=found.owner, group=found.group)
    if int(found.mode, 8) != int(file.mode, 8):
        return seen("file/mode", mode=found.mode)
    return None


def _last_run(facts: Facts, knows: Knows | None) -> Finding:
    title = TITLES["last-run"]
    if "last_run" not in facts.values:
        return facts.unknown("last-run", title, "last_run")
    last: LastRun | None = facts.values["last_run"]
    if last is None:
        none = seen("last-run/none")
        return facts.finding("last-run", title, "warning", none, "last-run/none", part="last_run")
    state: State = "ok"
    fault = ""
    if last.school not in ("", facts.school.id) or (knows and knows(last) is False):
        state, fault = "problem", "last-run/unknown"
    elif last.outcome != RUN_FINE:
        state, fault = "warning", "last-run/open" if last.outcome in RUN_OPEN else "last-run/failed"
    return facts.finding(
        "last-run",
        title,
        state,
        seen(
            "last-run",
            run=last.run,
            person=last.person or "?",
            at=last.at or "?",
            outcome=heard(last.outcome),
        ),
        fault,
        part="last_run",
    )
