"""The program provision-probe, for tests: its modules over a tree of ours, and what stands in for services."""

import contextlib
import importlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provision import paths
from tests.unit.roles.programs import load, parts

FILES = paths.ROLES / "base/files"
PACKAGE = "provision_probe"
#: A question to a page of the server's own.
PAGE = {"port": 9001, "path": "/api", "status": 200, "contains": None}


class Probe:
    """The program and its modules, loaded anew: they look at a tree instead of the system, with short limits.

    A module is an attribute: ``probe.systemd``; ``probe.core`` has what all of them use.
    """

    def __init__(self, place: Path) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        self.program = load("base", "provision-probe")
        self.core: Any = sys.modules[PACKAGE]
        self.root, self.programs = place / "root", place / "bin"
        self.root.mkdir()
        self.programs.mkdir()
        search = f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.given(ROOT=self.root, SYSTEM_PATH=search, STEP=0.5)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return importlib.import_module(f"{PACKAGE}.{name}")

    def given(self, **values: Any) -> None:
        """Let names hold other values, in all modules that have them."""
        for name, value in values.items():
            having = [part for part in parts(self.program) if hasattr(part, name)]
            assert having, name
            for part in having:
                setattr(part, name, value)

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> Path:
        """Write a file of the tree."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)
        return file

    def fake(self, name: str, script: str) -> None:
        """Put a program of ours before the system's."""
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


def said(text: str) -> str:
    """A line of a shell's that says it."""
    return f"cat <<'END'\n{text}\nEND"


def copied(place: Path, library: Path = FILES) -> Path:
    """The program itself in a folder, to be started there.

    Args:
        library: where it has its modules, instead of ``/usr/local/lib``.
    """
    text = (FILES / "provision-probe").read_text(encoding="utf-8")
    assert text.count('sys.path.append("/usr/local/lib")') == text.count("sys.path") == 1
    program = place / "provision-probe"
    program.write_text(text.replace('"/usr/local/lib"', repr(str(library))), encoding="utf-8")
    program.chmod(0o755)
    return program


def executed(
    program: Path, *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The program itself, as sshd or a shell starts it."""
    return subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, env=environment, check=False, timeout=60
    )


@contextlib.contextmanager
def listening(path: Path, answers: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """A socket that answers a call once it has read something; nothing where there is no answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(4)
        server.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    call, _ = server.accept()
                    answer = answers(call.recv(65536))
                    if answer is None:
                        kept.append(call)
                        continue
                    call.sendall(answer)
                    call.close()

        kept: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        over.set()
        for call in kept:
            call.close()
        thread.join()


def fastcgi_answer(body: bytes) -> bytes:
    content = b"Content-Type: application/json\r\n\r\n" + body
    padding = -len(content) % 8
    standard_output = (
        b"\1\6\0\1" + len(content).to_bytes(2, "big") + bytes([padding, 0]) + content + b"\0" * padding
    )
    return standard_output + b"\1\3\0\1\0\x08\0\0" + b"\0" * 8
