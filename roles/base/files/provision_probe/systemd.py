"""What systemd tells: units, timers, and the journal of the last day."""

from __future__ import annotations

import json
import re

from provision_probe import MOST_THINGS, UnanswerableError, number, run, unix_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How many causes of errors are told.
MOST_GROUPS = 20
#: systemd.journal-fields(7), systemd's sd-messages.h: a restart was scheduled; the kernel ended a process of a unit.
RESTART, OUT_OF_MEMORY = "5eb03494b6584870a536b337290809b3", "fe6faa94e7774663a0da52717891d8ef"


def stamp(text: str) -> float | None:
    """A time of systemd's, by itself or, as older ones show some, in words; it has 0, n/a or nothing for never."""
    found = re.search(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d) UTC", text)
    return unix_time(*map(int, found.groups())) if found else number(text) or None


def shown(properties: str, units: list[str]) -> list[dict[str, str]]:
    """Properties of units, in their order."""
    if not units:
        return []
    out = run("systemctl", "show", "--no-pager", "--timestamp=unix", f"--property={properties}", "--", *units)
    blocks = out.strip("\n").split("\n\n")
    if len(blocks) != len(units):
        raise UnanswerableError("systemctl answers for other units than it was asked for")
    return [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]


def units(names: list[str]) -> dict[str, Any]:
    properties = (
        "LoadState,ActiveState,SubState,Result,NRestarts,StateChangeTimestamp,ExecMainStatus,UnitFileState,Type,"
        "NeedDaemonReload"
    )
    return {
        name: {
            "load": unit.get("LoadState", ""),
            "active": unit.get("ActiveState", ""),
            "sub": unit.get("SubState", ""),
            "result": unit.get("Result", ""),
            "restarts": int(number(unit.get("NRestarts", "")) or 0),
            "since": stamp(unit.get("StateChangeTimestamp", "")),
            "status": int(number(unit.get("ExecMainStatus", "")) or 0),
            "enabled": unit.get("UnitFileState", ""),
        }
        for name, unit in zip(names, shown(properties, names), strict=False)
    }


def failed() -> dict[str, Any]:
    out = run("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full")
    names = [line.split()[0] for line in out.splitlines() if line.split()]
    return {"count": len(names), "units": names[:MOST_THINGS]}


def timers(names: list[str]) -> dict[str, Any]:
    """Timers, and how the last run of what they start went."""
    first = shown(
        "LoadState,ActiveState,LastTriggerUSec,NextElapseUSecRealtime,NextElapseUSecMonotonic,Unit", names
    )
    services = [
        unit.get("Unit") or name.replace(".timer", ".service")
        for name, unit in zip(names, first, strict=False)
    ]
    second = shown("LoadState,ActiveState,Result,ExecMainStatus,ExecMainExitTimestamp", services)
    return {
        name: {
            "load": timer.get("LoadState", ""),
            "active": timer.get("ActiveState", ""),
            "last": stamp(timer.get("LastTriggerUSec", "")),
            "next": stamp(timer.get("NextElapseUSecRealtime", "")),
            "monotonic": timer.get("NextElapseUSecMonotonic", "") not in ("", "infinity", "0"),
            "starts": starts,
            "running": service.get("ActiveState", "") in ("active", "activating"),
            "result": service.get("Result", ""),
            "status": int(number(service.get("ExecMainStatus", "")) or 0),
            "ended": stamp(service.get("ExecMainExitTimestamp", "")),
        }
        for name, timer, starts, service in zip(names, first, services, second, strict=False)
    }


def journal_lines(*arguments: str) -> list[dict[str, Any]]:
    out = run(
        "journalctl",
        "--no-pager",
        "--quiet",
        "--since=-24h",
        "--output=json",
        "--reverse",
        *arguments,
        cut=True,
    )
    found = []
    for line in out.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def restarts() -> dict[str, Any]:
    """How often each unit was started again by systemd, or ended for its memory, in the last day."""
    again: dict[str, int] = {}
    killed: dict[str, int] = {}
    for entry in journal_lines(
        "--lines=2000",
        "--output-fields=UNIT,MESSAGE_ID",
        f"MESSAGE_ID={RESTART}",
        f"MESSAGE_ID={OUT_OF_MEMORY}",
    ):
        counts = again if entry.get("MESSAGE_ID") == RESTART else killed
        unit = str(entry.get("UNIT", "?"))[:150]
        counts[unit] = counts.get(unit, 0) + 1

    def most(counts: dict[str, int]) -> dict[str, int]:
        return dict(sorted(counts.items(), key=lambda item: -item[1])[:MOST_THINGS])

    return {"restarts": most(again), "out_of_memory": most(killed)}


#: What is different in each line of one cause, or says who somebody is; in this order.
CAUSES = (
    (re.compile(r"\x1b\[[0-9;]*[A-Za-z]"), ""),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "<mail>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F-]{22}\b"), "<id>"),
    (re.compile(r"(?<![\w.])(\d{1,3}\.){3}\d{1,3}(?![\w])"), "<address>"),
    (re.compile(r"(?<![\w:])(?=[0-9a-fA-F]*:[0-9a-fA-F]*:)[0-9a-fA-F:]{4,45}(?![\w:])"), "<address>"),
    (re.compile(r"([?&][\w.-]{1,40}=)[^\s&\"']+"), r"\1<value>"),
    (re.compile(r"/home/[^/\s]+"), "/home/<name>"),
    (re.compile(r"\b(0x)?(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<id>"),
    (re.compile(r"\d+([.,:]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)


def cause(message: str) -> str:
    """A message without what makes it different from others of the same cause."""
    text = message[:600]
    for pattern, instead in CAUSES:
        text = pattern.sub(instead, text)
    return text.strip()[:200]


def journal() -> dict[str, Any]:
    """Errors of the last day, those of one cause together, the most frequent first."""
    entries = journal_lines(
        "--lines=500", "--priority=err", "--output-fields=MESSAGE,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER"
    )
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        message = entry.get("MESSAGE")
        if not isinstance(message, str):
            message = "(a message that is no text)"
        # systemd and the kernel speak of the unit that they name.
        unit = str(entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or "?")[
            :150
        ]
        moment = (number(str(entry.get("__REALTIME_TIMESTAMP", ""))) or 0.0) / 1e6
        group = groups.setdefault((unit, cause(message)), {"count": 0, "first": moment, "last": moment})
        group["count"] += 1
        group["first"] = min(group["first"], moment)
    most = sorted(groups.items(), key=lambda item: -item[1]["count"])[:MOST_GROUPS]
    return {
        "count": len(entries),
        "more": len(entries) >= 500,
        "causes": len(groups),
        "groups": [{"unit": unit, "text": text, **group} for (unit, text), group in most],
    }
