"""A workspace with one service that has every kind of source, and a web server on loopback that misbehaves
on request."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision.artifacts import cache, lockfile, select
from provision.model.catalog import ServiceEntry
from provision.model.service import ServiceDefinition

TEXT = {"ca": "Bloc", "es": "Bloc", "en": "Notes"}
INTEGRITY = "sha512-" + "A" * 86 + "=="


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Web:
    """What the server has, and whom it was asked by."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                page = outer.pages.get(self.path)
                if callable(page):
                    page(self)
                    return
                self.send_response(200 if page is not None else 404)
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(page or b"")

            do_HEAD = do_GET  # noqa: N815 - the base class wants this name

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # A client that hangs up in the middle is what some tests are about.
        self.server.handle_error = lambda *arguments: None
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


@pytest.fixture
def other_web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


@dataclass
class Place:
    """A workspace, its one school, and the cache."""

    workspace: Any
    school: Any
    cache: Path
    releases: list[dict[str, Any]] = field(default_factory=list)

    def offer(
        self, *releases: dict[str, Any], version: str | None = None, accept_end_of_life: bool = False
    ) -> None:
        """Let the service ``pad`` have these releases, and the school ask for this version."""
        definition = ServiceDefinition.model_validate(
            {
                "schema": 1,
                "id": "pad",
                "title": TEXT,
                "systems": ["debian-12"],
                "resources": {"memory_mb": 1, "disk_mb": 1},
                "releases": list(releases),
            }
        )
        entry = ServiceEntry(definition, self.workspace.path / "roles" / "pad")
        self.workspace.catalog["pad"] = entry
        self.school.services["pad"] = SimpleNamespace(
            id="pad",
            host="main",
            version=version,
            named=version is not None,
            definition=definition,
            accept_end_of_life=accept_end_of_life,
        )

    def select(self, **options: Any) -> Any:
        return select(self.workspace, self.school, **options)

    def only(self, **options: Any) -> Any:
        """The one selection."""
        chosen, unavailable = self.select(**options)
        assert unavailable == []
        return chosen[0]

    def lock(self) -> lockfile.LockFile:
        return lockfile.LockFile.read(self.workspace.lock_file)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("PROVISION_MIRROR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    kept = tmp_path / "cache"
    monkeypatch.setenv(cache.VARIABLE, str(kept))
    root = tmp_path / "city"
    (root / "roles" / "pad" / "files").mkdir(parents=True)
    (root / "roles" / "pad" / "files" / "package-lock.json").write_text(
        json.dumps({"packages": {"": {}, "node_modules/ep_pad": {"version": "1.0", "integrity": INTEGRITY}}})
    )
    workspace = SimpleNamespace(
        path=root,
        municipality=SimpleNamespace(id="vila", lab=True, mirror=None),
        catalog={},
        lock_file=root / "artifacts.lock",
        state_dir=root / ".state",
    )
    school = SimpleNamespace(
        id="escola-mar",
        locale="ca_ES.UTF-8",
        file=root / "schools" / "escola-mar.yml",
        hosts={"main": SimpleNamespace(system="debian-12")},
        services={},
    )
    workspace.schools = {"escola-mar": school}
    return Place(workspace, school, kept)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    directory = tmp_path / "mirror"
    directory.mkdir()
    return directory


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a program called npm in front; returns the file that it writes its arguments to."""

    def make(body: str) -> Path:
        directory = tmp_path / "bin"
        directory.mkdir(exist_ok=True)
        asked = tmp_path / "npm-asked"
        program = directory / "npm"
        program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n{body}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
        return asked

    return make


def archive(version: str, *files: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": version, "sources": [{"kind": "archive", "files": list(files)}], **more}


def npm_release(version: str = "1.0", **more: Any) -> dict[str, Any]:
    source = {"kind": "npm", "package": "ep_pad", "lock": "package-lock.json"}
    return {"version": version, "sources": [source], "lab_only": True, **more}


@pytest.fixture
def make() -> SimpleNamespace:
    """Builders of releases."""
    return SimpleNamespace(archive=archive, npm=npm_release, integrity=INTEGRITY, sha256=sha256)
