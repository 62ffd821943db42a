"""What an Ansible run tells us, in our own few types."""

import difflib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from provision.text import printable, printable_line

Status = Literal["ok", "changed", "failed", "skipped", "unreachable"]

#: Longest text that is kept of one task (a diff, an error).
TEXT_LIMIT = 20_000
#: Longest single text that the worker hands on, in characters: more than Ansible's own limit for differences
#: (``max_diff_size``, 104 448), so that only what a server made up is cut.
_RAW_LIMIT = 120_000
#: Most entries of a list or mapping, and deepest nesting, that the worker hands on of a module's answer.
_RAW_ENTRIES = 2_000
_RAW_DEPTH = 8


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task's result on one host.

    Args:
        role: the role it belongs to: a service, or a base role.
        name: the task's name, in plain words.
        action: Ansible's module.
        duration: seconds.
        details: what was changed, one short sentence each.
        diff: unified text, for ``--diff``.
        error: upstream's own words when it failed.
        notes: what people should know although nothing went wrong: lines of a program's standard error that begin
            with ``note: ``.
        cut: the lessons that it cut: ``meetings`` and ``participants``, or neither where the server could not tell.
            From a line of JSON that begins with ``cut: ``; None where it cut none.
        ignored: it failed, and the role went on (``rescue`` or ``failed_when``).
        files: on the server, that it put in place or found in place.
    """

    host: str
    role: str
    name: str
    action: str
    status: Status
    duration: float = 0.0
    details: tuple[str, ...] = ()
    diff: str = ""
    error: str = ""
    ignored: bool = False
    notes: tuple[str, ...] = ()
    cut: Mapping[str, int] | None = None
    files: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For the record: JSON data without fractions (``duration_ms``), which have no one canonical form."""
        data = asdict(self)
        milliseconds = round(data.pop("duration") * 1000)
        if not data["notes"]:
            del data["notes"]
        if data["cut"] is None:
            del data["cut"]
        # How they are in the end is noted once, for all steps.
        del data["files"]
        lists: dict[str, Any] = {key: list(data[key]) for key in ("details", "notes") if key in data}
        return {**data, "duration_ms": milliseconds, **lists}


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task begins."""

    role: str
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """A line that Ansible prints for people: warnings, and errors that belong to no task."""

    text: str


@dataclass(slots=True)
class Stats:
    """Counts of a whole run."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0
    unreachable: int = 0
    seconds_by_role: dict[str, float] = field(default_factory=dict)
    tasks_by_role: dict[str, int] = field(default_factory=dict)

    def add(self, result: TaskResult) -> None:
        """Count one result."""
        status = "ok" if result.ignored and result.status == "failed" else result.status
        setattr(self, status, getattr(self, status) + 1)
        self.seconds_by_role[result.role] = self.seconds_by_role.get(result.role, 0.0) + result.duration
        self.tasks_by_role[result.role] = self.tasks_by_role.get(result.role, 0) + 1


Event = TaskResult | TaskStarted | Message

#: What a program on the server writes before a line that people should read.
_NOTE = "note: "
_MOST_NOTES = 5
#: And before the number of lessons that it has cut.
_CUT = "cut: "

_STATUS: dict[str, Status] = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}


def slim(event: dict[str, Any]) -> dict[str, Any] | None:
    """Keep of an ansible-runner event what we need (called inside the worker, for each event).

    Returns:
        None for events that say nothing to us.
    """
    kind = event.get("event")
    data = event.get("event_data") or {}
    if kind in _STATUS:
        return {
            "kind": "result",
            "status": _STATUS[kind],
            "host": data.get("host", ""),
            "role": data.get("role", ""),
            "name": data.get("task", ""),
            "action": data.get("resolved_action") or data.get("task_action", ""),
            "duration": data.get("duration") or 0.0,
            "ignored": bool(data.get("ignore_errors")),
            "res": _slim_result(data.get("res") or {}),
        }
    if kind in {"playbook_on_task_start", "playbook_on_handler_task_start"}:
        return {"kind": "task", "role": data.get("role", ""), "name": data.get("task", "")}
    if kind in {"warning", "deprecated", "verbose", "error"}:
        text = (event.get("stdout") or "").strip()
        return {"kind": "message", "text": text[:TEXT_LIMIT]} if text else None
    return None


_KEPT = (
    "changed",
    "msg",
    "diff",
    "dest",
    "path",
    "name",
    "state",
    "stderr",
    "stdout",
    "rc",
    "cmd",
    "exception",
    "censored",
)


def _slim_result(result: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _bounded(result[key]) for key in _KEPT if key in result}
    invocation = result.get("invocation")
    arguments = invocation.get("module_args") if isinstance(invocation, dict) else None
    arguments = arguments if isinstance(arguments, dict) else {}
    kept["args"] = {
        key: _bounded(arguments[key])
        for key in ("name", "path", "dest", "state", "enabled", "pkg", "src")
        if arguments.get(key) is not None
    }
    if isinstance(result.get("results"), list):
        items = [item for item in result["results"][:_RAW_ENTRIES] if isinstance(item, dict)]
        kept["results"] = [{**_slim_result(item), "failed": bool(item.get("failed"))} for item in items]
    return kept


def _bounded(value: Any, depth: int = _RAW_DEPTH) -> Any:
    """A module's answer comes from the server: whatever its size, what is handed on is not too large."""
    match value:
        case str() if len(value) > _RAW_LIMIT:
            half = _RAW_LIMIT // 2
            return f"{value[:half]}\n[cut]\n{value[-half:]}"
        case dict() | list() if depth == 0:
            return "[cut]"
        case dict():
            some = itertools.islice(value.items(), _RAW_ENTRIES)
            return {_bounded(str(key)): _bounded(item, depth - 1) for key, item in some}
        case list():
            return [_bounded(item, depth - 1) for item in value[:_RAW_ENTRIES]]
        case _:
            return value


def from_slim(data: dict[str, Any], clean: Callable[[Any], Any] = lambda value: value) -> Event:
    """The typed event of what ``slim`` kept; no text in it steers a terminal.

    Args:
        data: what ``slim`` returned.
        clean: takes secrets out. Before anything is cut: half a secret would not be known for one.
    """
    match data["kind"]:
        case "task":
            return TaskStarted(role=_line(data["role"]) or "site", name=_line(clean(data["name"])))
        case "message":
            return Message(text=_text(clean(data["text"])))
    result = clean(data["res"])
    status: Status = data["status"]
    if status == "ok" and result.get("changed"):
        status = "changed"
    failed = status in {"failed", "unreachable"}
    return TaskResult(
        host=_line(data["host"]),
        role=_line(data["role"]) or "site",
        name=_line(clean(data["name"])),
        action=_line(data["action"]).removeprefix("ansible.builtin."),
        status=status,
        duration=float(data["duration"]),
        details=tuple(map(_line, _details(str(data["action"]), result))) if status == "changed" else (),
        diff=_text(_diff_text(result)) if status == "changed" else "",
        error=_text(_error_text(result)) if failed else "",
        ignored=bool(data["ignored"]),
        notes=() if failed else _notes(result),
        # What failed afterwards has cut them all the same.
        cut=_cut(result),
        files=() if failed else _files(str(data["action"]).removeprefix("ansible.builtin."), result),
    )


def _files(action: str, result: dict[str, Any]) -> tuple[str, ...]:
    """The files that a step writes, whether it had to or not; none of a step whose output is hidden."""
    if action not in {"copy", "template", "lineinfile", "blockinfile", "assemble"}:
        return ()
    if "results" in result:
        return tuple(path for item in result["results"] for path in _files(action, item))
    args = result.get("args", {})
    path = str(result.get("dest") or result.get("path") or args.get("dest") or args.get("path") or "")
    return (path,) if path.startswith("/") and path == _line(path) and " " not in path else ()


def _lines(result: dict[str, Any]) -> list[str]:
    """What a program wrote to its standard error. By line feeds alone: what it quotes may hold other breaks."""
    return str(result.get("stderr") or "").split("\n")


def _notes(result: dict[str, Any]) -> tuple[str, ...]:
    lines = _lines(result)
    return tuple(_line(line[len(_NOTE) :]) for line in lines if line.startswith(_NOTE))[:_MOST_NOTES]


def _cut(result: dict[str, Any]) -> dict[str, int] | None:
    """Several steps of a program cut the same lessons: the largest number counts."""
    told = [line[len(_CUT) :] for line in _lines(result) if line.startswith(_CUT)]
    found = [numbers for line in told if (numbers := _numbers(line))]
    return max(found, key=lambda numbers: numbers["participants"], default={}) if told else None


def _numbers(line: str) -> dict[str, int]:
    """Empty where they are no numbers: then it is not known how many."""
    try:
        told = json.loads(line)
        numbers = {name: told[name] for name in ("meetings", "participants")}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return numbers if all(type(value) is int and 0 <= value < 2**31 for value in numbers.values()) else {}


def _line(value: object) -> str:
    return printable_line(str(value), 1000)


def _text(value: object) -> str:
    return printable(str(value).replace("\r\n", "\n"))


def _details(action: str, result: dict[str, Any]) -> list[str]:  # noqa: PLR0911 - one for each kind of module
    """What a changed task did, in a few plain words; empty where its name says it all."""
    if "results" in result:
        return [line for item in result["results"] if item.get("changed") for line in _details(action, item)]
    args = result.get("args", {})
    place = args.get("dest") or args.get("path") or result.get("dest") or result.get("path")
    match action.removeprefix("ansible.builtin."):
        case "apt" | "package":
            return _apt_details(result)
        case "copy" | "template" | "lineinfile" | "blockinfile" | "get_url" | "unarchive" | "assemble":
            return [_file_detail(str(place), result)] if place else []
        case "file":
            state = args.get("state") or "file"
            kind = {"directory": "directory", "absent": "removes", "link": "link", "touch": "file"}.get(
                state, "permissions of"
            )
            return [f"{kind} {place}"] if place else []
        case "systemd_service" | "systemd" | "service":
            words = [str(args[key]) for key in ("state",) if args.get(key)]
            if args.get("enabled"):
                words.append("enabled at start-up")
            return [f"{args.get('name', '')} {', '.join(words)}".strip()]
        case "user" | "group":
            return [f"{action.rsplit('.', 1)[-1]} {args.get('name', '')}"]
        case _:
            return []


def _apt_details(result: dict[str, Any]) -> list[str]:
    # apt-get's own lines of a simulation and of a real installation alike.
    text = str(result.get("stdout") or "") + str(
        (result.get("diff") or {}).get("prepared", "") if isinstance(result.get("diff"), dict) else ""
    )
    installed: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in {"Inst", "Setting"}:
            name = words[2] if words[0] == "Setting" and len(words) > 2 else words[1]
            name = name.split(":")[0]
            if name not in installed:
                installed.append(name)
    if not installed:
        return []
    shown = ", ".join(installed[:6])
    more = f" and {len(installed) - 6} more" if len(installed) > 6 else ""
    return [f"{len(installed)} package{'s' if len(installed) > 1 else ''}: {shown}{more}"]


def _file_detail(place: str, result: dict[str, Any]) -> str:
    diffs = result.get("diff")
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if isinstance(diff, dict) and "after" in diff:
            return f"{'changes' if diff.get('before') else 'writes'} {place}"
    return f"writes {place}"


def _diff_text(result: dict[str, Any]) -> str:
    texts: list[str] = []
    if "results" in result:
        texts = [_diff_text(item) for item in result["results"] if item.get("changed")]
        return "\n".join(text for text in texts if text)[:TEXT_LIMIT]
    diffs = result.get("diff")
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(diff, dict):
            continue
        if diff.get("prepared"):
            texts.append(str(diff["prepared"]))
            continue
        before, after = _as_lines(diff.get("before")), _as_lines(diff.get("after"))
        if before == after:
            continue
        header = str(diff.get("after_header") or diff.get("before_header") or result.get("dest") or "")
        texts.append("\n".join(difflib.unified_diff(before, after, header, header, lineterm="", n=2)))
    text = "\n".join(texts)
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "\n[cut]"


def _as_lines(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        return [f"{key}: {value[key]}" for key in sorted(value)]
    return str(value).splitlines()


def _error_text(result: dict[str, Any]) -> str:
    if result.get("censored"):
        return (
            "the task handles secrets, so its output is hidden; look at the service's own log on the server"
        )
    if "results" in result:
        return "\n".join(_error_text(item) for item in result["results"] if item.get("failed"))[
            :TEXT_LIMIT
        ] or str(result.get("msg", ""))
    parts = [str(result[key]).strip() for key in ("msg", "stderr", "exception") if result.get(key)]
    if not result.get("stderr") and result.get("stdout"):
        parts.append(str(result["stdout"]).strip())
    seen: list[str] = []
    for part in parts:
        if part and not any(part in other for other in seen):
            seen.append(part)
    return "\n".join(seen)[-TEXT_LIMIT:] or "no message"
