"""What the services say of themselves: by programs of their own, and on pages of the server's own loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import threading
import time

from provision_probe import MOST_THINGS, NAME, STEP, LateError, UnanswerableError, allowed, at, run, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

#: Seconds for one program of a service's own; it ends by itself before.
OWN = 5.5
PROGRAM = re.compile(r"provision-[a-z][a-z0-9-]{0,30}")


def own() -> dict[str, Any]:
    """What the services' own programs say. Each is started once for all that it is to tell: starting costs the most."""
    found = allowed().get("own")
    asked: dict[tuple[str, ...], dict[str, str]] = {}
    for one in (found if isinstance(found, list) else [])[:MOST_THINGS]:
        if is_own(one):
            *arguments, last = map(str, one["arguments"])
            asked.setdefault((one["program"], *arguments), {})[last] = f"{one['service']}/{one['probe']}"
    answers: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda *call: answers.update(own_program(*call)), args=call, daemon=True)
        for call in asked.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict(sorted(answers.items()))


def is_own(one: Any) -> bool:
    """Whether an entry names a question to a program of ours, with arguments that are plain words."""
    if not isinstance(one, dict) or set(one) != {"service", "probe", "program", "arguments"}:
        return False
    words = one["arguments"]
    texts = [one["service"], one["probe"], *(words if isinstance(words, list) else [])]
    return (
        isinstance(words, list)
        and 0 < len(words) <= 4
        and all(isinstance(text, str) and NAME.fullmatch(text) for text in texts)
        and isinstance(one["program"], str)
        and bool(PROGRAM.fullmatch(one["program"]))
    )


def own_program(command: tuple[str, ...], questions: dict[str, str]) -> dict[str, Any]:
    """What one program says.

    Args:
        command: its name and first arguments.
        questions: the argument of each question, and by which name it is told.
    """
    nothing = {"state": "", "measured": "", "code": "", "error": "", "late": False}
    began = time.monotonic()
    path = at(f"/usr/local/sbin/{command[0]}")
    said: dict[str, Any] = {}
    out = ""
    nothing["error"] = f"{command[0]} does not tell it"
    try:
        if ours(path):
            out = run(str(path), *command[1:], *questions, seconds=OWN)
        else:
            nothing["error"] = f"{command[0]} is not there, or not root's alone"
    except LateError as error:
        # What it has told before it got stuck holds.
        nothing |= {"error": str(error)[:200], "late": True}
        out = error.said
    except UnanswerableError as error:
        nothing["error"] = str(error)[:200]
    for line in out.splitlines():
        with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError, KeyError):
            told = json.loads(line)
            said[told["probe"]] = {
                "state": told["state"] if told["state"] in ("ok", "warning", "problem") else "",
                "measured": str(told["measured"])[:300],
                "code": told["code"] if NAME.fullmatch(told["code"]) else "",
                "error": "",
                "late": False,
            }
    seconds = round(time.monotonic() - began, 3)
    return {name: {**said.get(question, nothing), "seconds": seconds} for question, name in questions.items()}


def ours(path: Path) -> bool:
    """Whether nobody but root, or whoever we are, can have written a program."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o022


# --- pages of the server's own loopback


def page(question: dict[str, Any]) -> dict[str, Any]:
    """Get a page over HTTP/1.0 from 127.0.0.1, and see whether it is as it should be."""
    address = ("127.0.0.1", question["port"])
    host = f"127.0.0.1:{question['port']}"
    said = f"GET {question['path']} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: provision-probe\r\n\r\n"
    started = time.monotonic()
    answer = b""
    try:
        with socket.create_connection(address, timeout=STEP) as line:
            line.sendall(said.encode("ascii"))
            while len(answer) < 1_000_000:
                line.settimeout(max(0.05, STEP - (time.monotonic() - started)))
                part = line.recv(65536)
                if not part:
                    break
                answer += part
    except OSError as error:
        return {"status": 0, "found": False, "error": why(error), "seconds": time.monotonic() - started}
    head, _, body = answer.partition(b"\r\n\r\n")
    match = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    contains = question.get("contains")
    return {
        "status": int(match[1]) if match else 0,
        "found": not contains or contains in body.decode("utf-8", "replace"),
        "error": "" if match else "it does not speak HTTP",
        "seconds": time.monotonic() - started,
    }


def loopback(questions: list[dict[str, Any]], free: bool) -> list[dict[str, Any]]:
    """The answers in the order of the questions.

    Args:
        free: whether any address may be asked for; else only what root has named.
    """
    named = allowed().get("loopback")
    may = named if isinstance(named, list) else []
    closed = {"status": 0, "found": False, "error": "not allowed", "seconds": 0.0}
    answers: list[dict[str, Any]] = [dict(closed) for _ in questions]

    def ask(place: int, question: dict[str, Any]) -> None:
        answers[place] = page(question)

    threads = [
        threading.Thread(target=ask, args=(place, question), daemon=True)
        for place, question in enumerate(questions)
        if free or question in may
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STEP + 1)
    return answers
