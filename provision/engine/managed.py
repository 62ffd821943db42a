"""The files that provision wrote on a server, as the last run left them: what ``health`` compares with.

At its end a run lets the server's own ``provision-probe`` look at them once, and writes what it says into the run's
record, as a step whose text the audit log binds. So neither who changes a file on the server nor who changes the
server's own list makes a changed file look like an unchanged one.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from provision.audit import tasks_of
from provision.audit.log import log_directory
from provision.errors import ProvisionError
from provision.health.answers import ANSWER_LIMIT, PARTS, Answer
from provision.health.judging.host import ManagedFile
from provision.health.probes import RemoteRun
from provision.model import ResolvedService, Workspace
from provision.text import printable_line

COMMAND = "/usr/local/sbin/provision-probe note"
#: What the step is called in the record.
STEP = "Note how the files are that provision wrote"
#: Where settings and programs are; archives, caches and what is in memory come and go.
_PLACES = ("/etc/", "/usr/local/")
#: Folders in which the host programs of the base roles write.
FOLDERS = ("/etc/nginx/conf.d", "/etc/ssh/sshd_config.d", "/etc/sudoers.d", "/usr/local/sbin")
#: Changes with every run.
_OWN = frozenset({"/etc/provision/last-run.json", "/etc/provision/managed.json"})
#: The most that provision-probe takes.
_MOST = 256
_LINE = re.compile(r"([0-9a-f]{64}) ([^\s:]{1,40}):([^\s:]{1,40}) ([0-7]{4}) (/\S+)")
#: So many runs are looked through for the newest that has noted something.
_RUNS_BACK = 20


def worth_noting(paths: Iterable[str]) -> list[str]:
    """Of the paths that a run's steps name those of settings and programs, each once."""
    return sorted({path for path in paths if path.startswith(_PLACES)} - _OWN)


def folders_of(services: Sequence[ResolvedService], host: str) -> list[str]:
    """Where files lie that no step names: those of the base roles' programs, and of settings with secrets in them."""
    own = [
        folder
        for service in services
        if service.host == host
        for folder in service.definition.backup.config
        if folder.startswith("/etc/")
    ]
    return [*FOLDERS, *own]


def note_files(
    run_on: RemoteRun, host: str, paths: Sequence[str], folders: Sequence[str]
) -> tuple[ManagedFile, ...]:
    """Let a server keep the list and say how the files are.

    Raises:
        ProvisionError: it does not answer, or something else.
    """
    wanted = json.dumps({"files": list(paths)[:_MOST], "folders": list(folders)})
    status, out = run_on(host, COMMAND, wanted)
    try:
        # An answer that is none has no such part.
        text = out if status == 0 and len(out) <= ANSWER_LIMIT else "{}"
        told = PARTS["files"].validate_python(Answer.model_validate_json(text).parts["files"].value)
    except (ValidationError, KeyError, RecursionError):
        raise ProvisionError(
            f"{host} does not tell how the files are that provision wrote (status {status}): "
            f"{printable_line(out, 200)}",
            "the next apply notes them",
        ) from None
    return tuple(
        ManagedFile(path, state.sha256, state.owner, state.group, f"{int(state.mode, 8):04o}")
        for path, state in sorted(told.items())
        if not state.error and path not in _OWN
    )


def merged(
    old: Sequence[ManagedFile],
    new: Sequence[ManagedFile],
    touched: Iterable[str],
    folders: Iterable[str] = (),
) -> list[ManagedFile]:
    """After a run of one service only, or one that failed: what it did not touch stays as an earlier run left it.

    Args:
        touched: paths that the run's steps name.
        folders: where files lie that no step names, although the run wrote them.
    """
    named, within = set(touched), {folder.rstrip("/") for folder in folders}
    kept = {
        file.path: file
        for file in old
        if file.path not in named and file.path.rpartition("/")[0] not in within
    }
    files = {file.path: file for file in new} | kept
    return [files[path] for path in sorted(files)]


def as_step(host: str, files: Sequence[ManagedFile]) -> dict[str, Any]:
    """The step for the run's record."""
    return {
        "host": host,
        "role": "site",
        "name": STEP,
        "action": "provision-probe",
        "status": "ok",
        "details": [f"{one.sha256} {one.owner}:{one.group} {one.mode} {one.path}" for one in files],
        "diff": "",
        "error": "",
        "ignored": False,
        "duration_ms": 0,
    }


def managed_files(workspace: Workspace, school: str) -> Mapping[str, tuple[ManagedFile, ...]]:
    """By host, the files as the newest run left them that noted it; empty where none did.

    Of colleagues' runs too: their detail comes with the log, their ``runs`` by version control or not at all.

    Raises:
        ProvisionError: a run's record is damaged.
    """
    details = log_directory(workspace.path, school) / "detail"
    runs = sorted((file.stem for file in details.glob("*.jsonl")), reverse=True)
    for run in runs[:_RUNS_BACK]:
        found = {
            str(step["host"]): _parsed(step["details"])
            for step in tasks_of(workspace.runs_dir / school / run)
            if step.get("name") == STEP and isinstance(step.get("details"), list)
        }
        if found:
            return found
    return {}


def _parsed(lines: Sequence[object]) -> tuple[ManagedFile, ...]:
    matches = (_LINE.fullmatch(str(line)) for line in lines)
    return tuple(
        ManagedFile(path=one[5], sha256=one[1], owner=one[2], group=one[3], mode=one[4])
        for one in matches
        if one
    )
