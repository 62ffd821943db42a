"""Runs on a school's host as root, with its own python3 and the standard library only: keeps the copy of the log.

Sent over SSH as text. Reads one JSON request a line on standard input, answers with one JSON line each, and ends with
its input. Knows nothing of logs: it lists, hands out and replaces files below one directory, and the small file that
names the last run. People of the school may write into ``inbox``: nothing in there is followed or trusted.

Requests: ``state``; ``get`` files; ``put`` files, and with "publish" let auditors see them; ``take`` out of the inbox
what the city has dealt with, by name and SHA-256: {"do": "take", "files": {name: hex}} -> {"taken": [name, ...]}.
"""

import base64
import contextlib
import grp
import hashlib
import json
import os
import stat
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

#: Sets owners and modes for auditors, bounds the inbox, and brings what the web server may show to where it reads.
#: Comes with the role audit_trail: not there before the first apply.
PUBLISH = Path("/usr/local/sbin/provision-audit-trail")
#: Seconds for it: less than the city waits for the answer to a request that comes after it.
PUBLISH_TIMEOUT = 50
#: The group of those who may read the log.
AUDITORS = "auditors"
#: What is taken from the inbox at a time; the role audit_trail removes what goes beyond. How many names are looked at
#: is bounded as well, since everybody in the group may make as many as the disk holds.
MAX_INBOX_FILE = 256 * 1024
MAX_INBOX_FILES = 50
MAX_INBOX_NAMES = 100_000
#: Bytes of a checkpoint or of the policy.
MAX_SMALL = 1 << 20


def read_file(
    path: Path | str, limit: int, directory: int | None = None, links: int | None = None
) -> bytes | None:
    """A plain file's content; None for anything else.

    Args:
        path: absolute, or with ``directory`` (a descriptor) a name in there.
        limit: bytes; a longer file is none of ours.
        links: how many names the file must have.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
        )
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or links not in (None, found.st_nlink):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(limit + 1)
    finally:
        os.close(descriptor)
    return data if len(data) <= limit else None


def write_file(path: Path, data: bytes, group: int, mode: int) -> None:
    """Replace a file as one step; it is ours (root's), and -1 makes it of our own group."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchown(descriptor, -1, group)
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
        os.chown(path, -1, group)


def below(top: Path, name: str) -> Path:
    """The path of a name, which must stay below the directory."""
    parts = name.split("/")
    if name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is not a name of a file")
    return top.joinpath(*parts)


def state(top: Path, last_run: Path) -> dict[str, Any]:
    """What is here: the checkpoint, the last run, what is not a tile, and what was handed in.

    "sizes" in bytes; "hashes" are SHA-256 of what may change and keep its length; "inbox_more" counts what is in the
    inbox and not in the answer.
    """
    sizes, hashes = {}, {}
    for part in ("checkpoints", "anchors", "detail"):
        for entry in (
            sorted(os.scandir(top / part), key=lambda item: item.name) if (top / part).is_dir() else ()
        ):
            if entry.is_file(follow_symlinks=False):
                sizes[f"{part}/{entry.name}"] = entry.stat(follow_symlinks=False).st_size
                data = read_file(top / part / entry.name, MAX_SMALL) if part == "checkpoints" else None
                if data is not None:
                    hashes[f"{part}/{entry.name}"] = hashlib.sha256(data).hexdigest()
    policy = read_file(top / "policy", MAX_SMALL)
    if policy is not None:
        sizes["policy"] = len(policy)
        hashes["policy"] = hashlib.sha256(policy).hexdigest()
    inbox, more = handed_in(top / "inbox")
    return {
        "checkpoint": text(read_file(top / "checkpoint", MAX_SMALL)),
        "last_run": text(read_file(last_run, MAX_SMALL)),
        "sizes": sizes,
        "hashes": hashes,
        "inbox": {name: text(data) for name, data in inbox.items()},
        "inbox_more": more,
    }


def open_inbox(inbox: Path) -> int | None:
    """A descriptor of the directory, so that every name below it is one step and follows no link."""
    try:
        return os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None


def handed_in(inbox: Path) -> tuple[dict[str, bytes], int]:
    """Files that people of the school put there, as many as we take at a time, and how many more things there are."""
    directory = open_inbox(inbox)
    if directory is None:
        return {}, 0
    try:
        seen, found = 0, []
        with os.scandir(directory) as entries:
            for entry in islice(entries, MAX_INBOX_NAMES):
                seen += 1
                with contextlib.suppress(FileNotFoundError):
                    made = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(made.st_mode) and made.st_size <= MAX_INBOX_FILE and is_text(entry.name):
                        found.append((made.st_uid, made.st_ctime_ns, entry.name))
        files = {}
        for name in in_turn(found)[:MAX_INBOX_FILES]:
            # A file with a second name may be somebody else's, which its owner does not hand in.
            data = read_file(name, MAX_INBOX_FILE, directory, links=1)
            if data is not None:
                files[name] = data
        return files, seen - len(files)
    finally:
        os.close(directory)


def in_turn(found: list[tuple[int, int, str]]) -> list[str]:
    """Names in the order in which they are looked at: everybody's newest, then everybody's second, and so on.

    Whoever puts a thousand files there waits, and nobody else does.

    Args:
        found: owner, time of change and name. The time is that of the inode (ctime): its owner can set the other one.
    """
    places: dict[int, int] = {}
    order = []
    for owner, when, name in sorted(found, key=lambda item: (-item[1], item[2])):
        places[owner] = places.get(owner, 0) + 1
        order.append((places[owner], -when, name))
    return [name for _, _, name in sorted(order)]


def is_text(name: str) -> bool:
    """Whether a name of a file can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def take(top: Path, wanted: dict[str, str]) -> list[str]:
    """Remove files from the inbox that the city has dealt with, unless a newer one has the name by now.

    Args:
        wanted: SHA-256 (hex) of the content, by name.

    Returns:
        names of those that were removed.
    """
    directory = open_inbox(top / "inbox")
    if directory is None:
        return []
    taken = []
    try:
        for name, digest in wanted.items():
            if "/" in name or name in ("", ".", ".."):
                raise ValueError(f"{name!r} is not a name of a file")
            data = read_file(name, MAX_INBOX_FILE, directory)
            if data is not None and hashlib.sha256(data).hexdigest() == digest:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=directory)
                    taken.append(name)
    finally:
        os.close(directory)
    return taken


def text(data: bytes | None) -> str | None:
    """Bytes for a JSON document."""
    return None if data is None else base64.b64encode(data).decode()


def put(top: Path, last_run: Path, request: dict[str, Any]) -> None:
    """Replace files in the order given, then remove some."""
    make_directory(top, -1)
    group = top.parent.stat().st_gid
    for name, content in request["files"].items():
        path = below(top, name)
        make_directory(path.parent, group)
        write_file(path, base64.b64decode(content), group, 0o640)
    for name in request["remove"]:
        below(top, name).unlink(missing_ok=True)
    if request.get("last_run"):
        last_run.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # It names a person: for those who may read the log, who are a group since the first apply.
        write_file(last_run, base64.b64decode(request["last_run"]), auditors(), 0o640)


def auditors() -> int:
    """The group of those who may read the log; -1 where there is none yet."""
    try:
        return grp.getgrnam(AUDITORS).gr_gid
    except KeyError:
        return -1


def publish() -> None:
    """Let auditors and the web server see what is new.

    What fails here is done by the next apply, which calls the same program and says what is wrong.
    """
    if PUBLISH.exists():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [PUBLISH, "publish"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PUBLISH_TIMEOUT,
                check=False,
            )


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
        case "take":
            return {"taken": take(top, request["files"])}
    raise ValueError("unknown request")


def main() -> None:
    """Answer requests until there are no more."""
    top, last_run = map(Path, json.loads(sys.argv[1]))
    os.umask(0o027)
    for line in sys.stdin.buffer:
        try:
            reply = answer(top, last_run, json.loads(line))
        except (OSError, ValueError) as error:
            reply = {"error": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
        if "publish" in reply:
            # After the answer, since nobody needs to wait for it.
            publish()


if __name__ == "__main__":
    main()
