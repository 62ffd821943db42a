"""Files that provision wrote: certificates, those that a run has noted, and what the last run left behind."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import json
import os
import pwd
import re
import stat

from provision_probe import (
    MOST_THINGS,
    NAME,
    RefusedError,
    UnanswerableError,
    at,
    parsed,
    read,
    run,
    unix_time,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

#: Bytes of a file that is hashed; and how many files may be named.
MOST_FILE, MOST_FILES = 8 * 1024 * 1024, 256
#: No part of a path may lead upwards.
FILE = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9@:+_.,~-]{1,100}){1,20}")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def certificate_time(text: str) -> float | None:
    """A time as openssl writes it, such as "Nov 23 16:04:34 2027 GMT"."""
    found = re.fullmatch(r"(\w{3}) +(\d+) (\d\d):(\d\d):(\d\d) (\d{4,5}) GMT", text.strip())
    if not found or found[1] not in MONTHS:
        return None
    day, hour, minute, second, year = (int(found[place]) for place in range(2, 7))
    return unix_time(year, MONTHS.index(found[1]) + 1, day, hour, minute, second)


def certificate(place: Path) -> dict[str, Any]:
    chain, key = place / "fullchain.pem", place / "key.pem"
    found: dict[str, Any] = {
        "error": "",
        "key_error": "",
        "fits": None,
        "names": [],
        "subject": "",
        "issuer": "",
    }
    try:
        shown_text = run(
            "openssl", "x509", "-in", str(chain), "-noout", "-subject", "-issuer", "-startdate", "-enddate", "-pubkey",
            "-nameopt", "RFC2253", "-ext", "subjectAltName",
        )  # fmt: skip
    except UnanswerableError as error:
        found["error"] = "it is not there" if not chain.exists() else str(error)[:200]
        return found
    for field, name in (("subject", "subject"), ("issuer", "issuer")):
        match = re.search(rf"^{field}=(.*)$", shown_text, re.MULTILINE)
        found[name] = match[1].strip()[:200] if match else ""
    for field, name in (("notBefore", "not_before"), ("notAfter", "not_after")):
        match = re.search(rf"^{field}=(.*)$", shown_text, re.MULTILINE)
        found[name] = certificate_time(match[1]) if match else None
    found["names"] = [name[:253] for name in re.findall(r"DNS:([^,\s]+)", shown_text)][:50]
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
        # With no password given, a key that is locked fails instead of asking.
        public = run("openssl", "pkey", "-in", str(key), "-passin", "pass:", "-pubout")
        found["fits"] = public.strip() in shown_text
        found["key_mode"] = f"{mode:04o}"
    except OSError as error:
        found["key_error"] = error.strerror or "it cannot be read"
    except UnanswerableError:
        found["key_error"] = "openssl cannot read it"
    return found


def certificates() -> dict[str, Any]:
    found: dict[str, Any] = {}
    places = [place for place in sorted(at("/etc/provision/tls").glob("*/")) if NAME.fullmatch(place.name)]
    for place in places[: MOST_THINGS + 1]:
        # Where certificates wait to be put in place is none.
        if place.name != "staged" and place.is_dir():
            found[place.name] = certificate(place)
    return found


def account(number_of: int, get: Callable[[int], Any]) -> str:
    try:
        return str(get(number_of)[0])[:40]
    except KeyError:
        return str(number_of)


def file_state(path: str) -> dict[str, Any]:
    """Hash, owner and mode of a plain file."""
    try:
        descriptor = os.open(
            at(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        )
    except PermissionError:
        return {"error": "closed"}
    except FileNotFoundError:
        return {"error": "missing"}
    except OSError:
        return {"error": "no file"}
    try:
        return opened_state(descriptor)
    finally:
        os.close(descriptor)


def opened_state(descriptor: int) -> dict[str, Any]:
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        return {"error": "no file"}
    if state.st_size > MOST_FILE:
        return {"error": "too large"}
    digest, size = hashlib.sha256(), 0
    # It may grow while it is read.
    while size <= MOST_FILE and (part := os.read(descriptor, 1 << 20)):
        digest.update(part)
        size += len(part)
    return {
        "sha256": digest.hexdigest(),
        "owner": account(state.st_uid, pwd.getpwuid),
        "group": account(state.st_gid, grp.getgrgid),
        "mode": f"{stat.S_IMODE(state.st_mode):04o}",
        "changed": state.st_mtime,
    }


def files(paths: list[str]) -> dict[str, Any]:
    return {path: file_state(path) for path in paths}


def listed() -> dict[str, Any]:
    """The files that the last run has noted."""
    return files(noted())


def noted() -> list[str]:
    """The files that provision wrote, as ``note`` has kept them."""
    found = parsed(at("/etc/provision/managed.json"))
    paths = found.get("files") if isinstance(found, dict) else None
    names = [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []
    return [path for path in names[:MOST_FILES] if FILE.fullmatch(path)]


def note(text: str) -> dict[str, Any]:
    """Keep a list of files, and tell how they are.

    Args:
        text: JSON {"files": [...], "folders": [...]}; of a folder the plain files that lie in it itself.

    Raises:
        RefusedError: it is no such list.
    """
    try:
        found = json.loads(text)
        paths, folders = list(found["files"]), list(found["folders"])
    except (ValueError, RecursionError, KeyError, TypeError):
        raise RefusedError("no list of files") from None
    if not all(isinstance(path, str) and FILE.fullmatch(path) for path in (*paths, *folders)):
        raise RefusedError("something in it is no path")
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(at(folder)) as entries:
            paths += [f"{folder}/{entry.name}" for entry in entries if entry.is_file(follow_symlinks=False)]
    kept = [path for path in dict.fromkeys(sorted(paths)) if FILE.fullmatch(path)][:MOST_FILES]
    place = at("/etc/provision/managed.json")
    if noted() != kept:
        new = place.with_name("managed.json.new")
        new.write_text(json.dumps({"files": kept}, indent=0) + "\n", encoding="utf-8")
        new.chmod(0o600)
        new.replace(place)
    return files(kept)


def last_run() -> dict[str, Any] | None:
    """What the last run left behind; None where there was none."""
    try:
        text = read("/etc/provision/last-run.json", 65536)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UnanswerableError("/etc/provision/last-run.json is damaged") from None
    if not isinstance(found, dict):
        raise UnanswerableError("/etc/provision/last-run.json is damaged")
    return {
        name: found[name][:4000] if isinstance(found[name], str) else found[name]
        for name in ("schema", "run", "outcome", "school", "person", "origin", "intent", "at", "checkpoint")
        if isinstance(found.get(name), (str, int))
    }
