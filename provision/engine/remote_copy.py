"""Runs on a school's host as root, with its own python3 and the standard library only: keeps the copy of the log.

Sent over SSH as text. Reads one JSON request a line on standard input, answers with one JSON line each, and ends with
its input. Knows nothing of logs: it lists, hands out and replaces files below one directory, and the small file that
names the last run. People of the school may write into ``inbox``: nothing in there is followed or trusted.
"""

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Sets owners and modes for auditors, and what the web server may show; comes with the role audit_trail.
PUBLISH = "/usr/local/sbin/provision-audit-trail"
MAX_INBOX_FILE = 256 * 1024
MAX_INBOX_FILES = 50
#: Brings what the web server may show to where it reads; not there before the first apply.
PUBLISHER = Path("/usr/local/sbin/provision-audit-trail")


def read_file(path: Path, limit: int) -> bytes | None:
    """A plain file's content; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = stream.read(limit + 1)
    return data if len(data) <= limit else None


def write_file(path: Path, data: bytes, group: int, mode: int) -> None:
    """Replace a file as one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchown(descriptor, 0, group)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_directory(path: Path, group: int) -> None:
    """A directory with those above it, readable by the group."""
    if not path.is_dir():
        make_directory(path.parent, group)
        path.mkdir(mode=0o750)
        os.chown(path, 0, group)


def below(top: Path, name: str) -> Path:
    """The path of a name, which must stay below the directory."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is not a name of a file")
    return top.joinpath(*parts)


def state(top: Path, last_run: Path) -> dict[str, Any]:
    """What is here: the checkpoint, the last run, the sizes of what is not a tile, the school's cosignatures."""
    sizes = {}
    for part in ("checkpoints", "anchors", "detail"):
        for entry in (
            sorted(os.scandir(top / part), key=lambda item: item.name) if (top / part).is_dir() else ()
        ):
            if entry.is_file(follow_symlinks=False):
                sizes[f"{part}/{entry.name}"] = entry.stat(follow_symlinks=False).st_size
    policy = read_file(top / "policy", 1 << 20)
    if policy is not None:
        sizes["policy"] = len(policy)
    inbox = {}
    if (top / "inbox").is_dir() and not (top / "inbox").is_symlink():
        for path in sorted((top / "inbox").iterdir())[:MAX_INBOX_FILES]:
            data = read_file(path, MAX_INBOX_FILE)
            if data is not None:
                inbox[path.name] = text(data)
    return {
        "checkpoint": text(read_file(top / "checkpoint", 1 << 20)),
        "last_run": text(read_file(last_run, 1 << 20)),
        "sizes": sizes,
        "inbox": inbox,
    }


def text(data: bytes | None) -> str | None:
    """Bytes for a JSON document."""
    return None if data is None else base64.b64encode(data).decode()


def put(top: Path, last_run: Path, request: dict[str, Any]) -> None:
    """Replace files in the order given, then remove some."""
    make_directory(top, 0)
    group = top.parent.stat().st_gid
    for name, content in request["files"].items():
        path = below(top, name)
        make_directory(path.parent, group)
        write_file(path, base64.b64decode(content), group, 0o640)
    for name in request["remove"]:
        below(top, name).unlink(missing_ok=True)
    if request.get("last_run"):
        last_run.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_file(last_run, base64.b64decode(request["last_run"]), 0, 0o644)
    # The checkpoint comes last: now the copy is whole, and the web server may show it (role audit_trail).
    if "checkpoint" in request["files"] and PUBLISHER.exists():
        done = subprocess.run([PUBLISHER, "publish"], capture_output=True, text=True, timeout=50, check=False)
        if done.returncode:
            raise OSError(f"{PUBLISHER.name}: {done.stderr.strip()[:500]}")


def answer(top: Path, last_run: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for."""
    match request["do"]:
        case "state":
            return state(top, last_run)
        case "get":
            return {"files": {name: text(read_file(below(top, name), 1 << 25)) for name in request["files"]}}
        case "put":
            put(top, last_run, request)
            return {"publish": True} if request.get("publish") else {}
    raise ValueError("unknown request")


def main() -> None:
    top, last_run = map(Path, json.loads(sys.argv[1]))
    os.umask(0o027)
    for line in sys.stdin.buffer:
        try:
            reply = answer(top, last_run, json.loads(line))
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            reply = {"error": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if "publish" in reply and Path(PUBLISH).exists():
            # After the answer, since nobody needs to wait for it.
            subprocess.run([PUBLISH, "publish"], stdin=subprocess.DEVNULL, capture_output=True, check=False)


main()
