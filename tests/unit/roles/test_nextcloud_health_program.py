"""The role nextcloud's own program that asks whether it works: against a WebDAV server of ours, over real TLS."""

import contextlib
import json
import os
import re
import ssl
import subprocess
import threading
import time
import types
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provision import paths
from tests.unit.roles.programs import load

PROGRAM = paths.ROLES / "nextcloud/files/provision-nextcloud-health"
TOKEN = "not-a-secret-only-for-these-tests"
CONFIG = "<?php\n$CONFIG = array (\n  'version' => '32.0.2.2',\n  'installed' => true,\n);\n"
VERSION = "<?php\n$OC_Version = array(32,0,2,2);\n$OC_VersionString = '32.0.2';\n"


class Dav:
    """What stands in for nginx and Nextcloud: files by path, and all requests.

    Args:
        instead: statuses that are answered to methods in the place of the right ones; 0: it takes long; -1: no HTTP.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.instead: dict[str, int] = {}
        self.spoil = b""
        self.over = threading.Event()


@contextlib.contextmanager
def served(dav: Dav, folder: Path) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            dav.requests.append((self.command, self.path, dict(self.headers.items())))
            status, content = dav.instead.get(self.command), b""
            if status is not None and status <= 0:
                if status == 0:
                    dav.over.wait(30)
                self.wfile.write(b"\x00\x01 no HTTP")
                return
            login = f"Basic {b64encode(f'provision-probe:{TOKEN}'.encode()).decode()}"
            if status is None and self.headers["Authorization"] != login:
                status = 401
            elif status is None and self.command == "PUT":
                status, dav.files[self.path] = 201, body
            elif status is None and self.command == "GET":
                status, content = 200, dav.files[self.path] + dav.spoil
            elif status is None:
                status = 204 if dav.files.pop(self.path, None) is not None else 404
            self.send_response(status or 500)
            self.send_header("Set-Cookie", "oc_session=abc; path=/; secure; HttpOnly")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_GET = do_DELETE = answer  # noqa: N815 - names of the standard library

        def log_message(self, *_: object) -> None:
            pass

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nuvol.escola.test")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(datetime.now(UTC)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    dav.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(name="dav")
def _dav() -> Dav:
    return Dav()


@pytest.fixture(name="calls")
def _calls() -> list[tuple[str, ...]]:
    return []


@pytest.fixture(name="program")
def _program(
    tmp_path: Path, dav: Dav, calls: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[types.ModuleType]:
    """The program with a Nextcloud of ours, whose database says that the jobs ended a minute ago."""
    module: Any = load("nextcloud", "provision-nextcloud-health")
    module.ACCOUNT, module.CONFIG = str(tmp_path / "account.json"), str(tmp_path / "config.php")
    module.KEPT, module.NOTES = str(tmp_path / "kept-{}.json"), str(tmp_path / "notes")
    module.SOCKET, module.UPTIME = str(tmp_path / "fpm.sock"), str(tmp_path / "uptime")
    module.CURRENT, module.TIMER = str(tmp_path), str(tmp_path / "{}.timer")
    module.WORK, module.ALL = 1.0, 1.3
    account = {"hostname": "nuvol.escola.test", "user": "provision-probe", "token": TOKEN}
    (tmp_path / "account.json").write_text(json.dumps(account))
    (tmp_path / "config.php").write_text(CONFIG)
    (tmp_path / "version.php").write_text(VERSION)
    (tmp_path / "uptime").write_text("999999.5 1.0\n")

    def ran(*command: str, **_: object) -> tuple[int, str, str]:
        calls.append(command)
        return (0, str(int(time.time()) - 60), "") if command[0] == "psql" else (3, "inactive", "")

    module.ran = ran
    with served(dav, tmp_path) as port:
        module.ADDRESS = ("127.0.0.1", port)
        yield module


Asking = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture(name="ask")
def _ask(program: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> Asking:
    def ask(*questions: str) -> dict[str, dict[str, str]]:
        program.TOLD.clear()
        assert program.main(["probe", *questions]) == 0
        return {told.pop("probe"): told for told in map(json.loads, capsys.readouterr().out.splitlines())}

    return ask


def notes(program: types.ModuleType) -> list[str]:
    return sorted(path.name for path in Path(program.NOTES).iterdir()) if Path(program.NOTES).exists() else []


def test_a_file_is_stored_read_and_deleted_and_nothing_stays_behind(
    program: types.ModuleType, dav: Dav, calls: list[tuple[str, ...]], ask: Asking
) -> None:
    told = ask("file")["file"]
    assert (told["state"], told["code"]) == ("ok", "")
    assert told["measured"].startswith("a file stored, read and deleted in ")
    assert [method for method, _, _ in dav.requests] == ["PUT", "GET", "DELETE"]
    assert (dav.files, notes(program)) == ({}, [])
    # Away at once and not to the bin, in one session, and out of the account's news.
    assert all(headers["Host"] == "nuvol.escola.test" for _, _, headers in dav.requests)
    assert dav.requests[-1][2]["X-NC-Skip-Trashbin"] == "true"
    assert [headers.get("Cookie") for _, _, headers in dav.requests] == [
        None,
        "oc_session=abc",
        "oc_session=abc",
    ]
    (query,) = calls
    assert "DELETE FROM oc_activity WHERE affecteduser = 'provision-probe'" in " ".join(query)


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("PUT", 401, "account"),
        ("PUT", 429, "account"),
        ("PUT", 502, "php"),
        ("PUT", 504, "late"),
        ("PUT", 507, "full"),
        ("PUT", 500, "refused"),
        ("PUT", 403, "refused"),
        ("PUT", 204, "refused"),
        ("PUT", -1, "silent"),
        ("GET", 404, "refused"),
        ("DELETE", 423, "refused"),
    ],
)
def test_what_goes_wrong_is_a_problem_with_its_own_sentence(
    program: types.ModuleType, dav: Dav, ask: Asking, method: str, status: int, code: str
) -> None:
    dav.instead[method] = status
    told = ask("file")["file"]
    assert (told["state"], told["code"]) == ("problem", code)
    assert TOKEN not in told["measured"]
    # What may still be there is noted.
    assert {path.rpartition("/")[2] for path in dav.files} <= set(notes(program))


def test_a_file_that_comes_back_with_another_content_is_a_problem(dav: Dav, ask: Asking) -> None:
    dav.spoil = b"x"
    told = ask("file")["file"]
    assert (told["state"], "another content" in told["measured"]) == ("problem", True)
    assert dav.files == {}


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_nextcloud_that_does_not_get_on_is_late_and_its_file_is_noted(
    program: types.ModuleType, dav: Dav, ask: Asking, method: str
) -> None:
    dav.instead[method] = 0
    told = ask("file")["file"]
    assert (told["state"], told["code"]) == ("problem", "late")
    assert len(notes(program)) == 1


def test_a_slow_nextcloud_is_warned_of_and_asked_again(
    program: types.ModuleType, dav: Dav, ask: Asking
) -> None:
    Path(program.SOCKET).touch()
    os.utime(program.SOCKET, (time.time() - 99,) * 2)
    program.SLOW = 0.0
    for _ in range(2):
        told = ask("file")["file"]
        assert (told["state"], told["code"]) == ("warning", "slow")
    assert len(dav.requests) == 6


def test_a_web_server_that_is_stopped_is_silent(program: types.ModuleType, ask: Asking) -> None:
    program.ADDRESS = ("127.0.0.1", 1)
    assert ask("file")["file"]["code"] == "silent"


def test_without_its_account_or_a_note_no_file_is_tried(
    program: types.ModuleType, dav: Dav, ask: Asking, tmp_path: Path
) -> None:
    program.NOTES = str(tmp_path / "config.php/notes")
    assert ask("file")["file"]["code"] == "disk"
    (tmp_path / "account.json").unlink()
    assert ask("file")["file"]["code"] == "account"
    assert dav.requests == []


def test_files_that_a_cut_run_left_behind_go_with_a_later_asking_and_those_of_others_at_work_do_not(
    program: types.ModuleType, dav: Dav, ask: Asking
) -> None:
    ask("file")
    old, gone, fresh, strange = (f"provision-probe-{mark * 12}.txt" for mark in "abcx")
    for name, seconds in ((old, 700), (gone, 700), (fresh, 30), (strange, 700)):
        Path(program.NOTES, name).touch()
        os.utime(f"{program.NOTES}/{name}", (time.time() - seconds,) * 2)
        dav.files[f"/remote.php/dav/files/provision-probe/{name}"] = b"x"
    del dav.files[f"/remote.php/dav/files/provision-probe/{gone}"]
    assert ask("file")["file"]["state"] == "ok"
    assert {path.rpartition("/")[2] for path in dav.files} == {fresh, strange}
    assert notes(program) == sorted([fresh, strange])


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("config.php", "'installed' => true", "'maintenance' => true,\n  'installed' => true", "maintenance"),
        ("config.php", "32.0.2.2", "31.0.9.1", "upgrade"),
        ("version.php", "32,0,2,2", "33,0,0,1", "upgrade"),
        ("config.php", "'installed' => true", "'installed' => false", "missing"),
    ],
)
def test_out_of_service_is_told_by_both_and_nothing_is_tried(
    dav: Dav, ask: Asking, tmp_path: Path, file: str, old: str, new: str, code: str
) -> None:
    (tmp_path / file).write_text((tmp_path / file).read_text().replace(old, new))
    told = ask("file", "state")
    assert {name: (one["state"], one["code"]) for name, one in told.items()} == {
        "file": ("problem", code),
        "state": ("problem", code),
    }
    assert dav.requests == []


def test_the_database_is_asked_once_for_all_questions(
    calls: list[tuple[str, ...]], ask: Asking, tmp_path: Path
) -> None:
    (tmp_path / "checks.timer").touch()
    assert {one["state"] for one in ask("state", "file", "checks").values()} == {"ok"}
    assert [call[0] for call in calls] == ["psql"]


@pytest.mark.parametrize(
    ("seconds", "uptime", "set_up", "busy", "state"),
    [
        (60, 1e6, 1e6, False, "ok"),
        (700, 1e6, 1e6, False, "warning"),
        (700, 1e6, 1e6, True, "ok"),
        (4000, 1e6, 1e6, False, "problem"),
        (4000, 1e6, 1e6, True, "problem"),
        # The server was off; or it has only just been set up.
        (90000, 100, 1e6, False, "ok"),
        (None, 1e6, 100, False, "ok"),
        (None, 1e6, 1e6, False, "problem"),
    ],
)
def test_jobs_that_are_not_done_are_told_unless_they_could_not_be_yet(
    program: types.ModuleType,
    ask: Asking,
    tmp_path: Path,
    seconds: float | None,
    uptime: float,
    set_up: float,
    busy: bool,
    state: str,
) -> None:
    def ran(*command: str, **_: object) -> tuple[int, str, str]:
        if command[0] == "psql":
            return 0, "" if seconds is None else str(int(time.time() - seconds)), ""
        return (0, "activating", "") if busy else (3, "inactive", "")

    program.ran = ran
    (tmp_path / "uptime").write_text(f"{uptime} 1.0\n")
    (tmp_path / "cron.timer").touch()
    os.utime(tmp_path / "cron.timer", (time.time() - set_up,) * 2)
    told = ask("state")["state"]
    assert (told["state"], told["code"]) == (state, "" if state == "ok" else "jobs")


def test_a_database_that_is_down_is_told_with_its_own_words(program: types.ModuleType, ask: Asking) -> None:
    program.ran = lambda *_, **__: (2, "", "psql: error: connection to server failed")
    told = ask("state")["state"]
    assert (told["state"], told["code"]) == ("problem", "database")
    assert "connection to server failed" in told["measured"]


def said(**severities: str) -> str:
    checks = {
        rf"OCA\Settings\SetupChecks\{name}": {"severity": severity} for name, severity in severities.items()
    }
    return json.dumps({"system": checks, "security": {}})


@pytest.mark.parametrize(
    ("out", "state", "code", "measured"),
    [
        (said(PhpModules="success", EmailTestSuccessful="info"), "ok", "", "none of 2 finds a fault"),
        (
            said(PhpModules="success", MemcacheConfigured="warning"),
            "ok",
            "",
            "none of 2 finds a fault, 1 have advice",
        ),
        (said(PhpModules="error", CronInfo="error"), "problem", "checks", "1 of 2 find a fault: PhpModules"),
        (said(CronInfo="error"), "ok", "", "none of 1 finds a fault"),
        (said(CodeIntegrity="error"), "warning", "integrity", "1 of 1 find a fault: CodeIntegrity"),
        (
            said(CodeIntegrity="error", PhpModules="error"),
            "problem",
            "checks",
            "2 of 2 find a fault: CodeIntegrity, PhpModules",
        ),
        ("An unhandled exception", "warning", "unmade", "they could not be made: An unhandled exception"),
        (json.dumps({}), "warning", "unmade", "they could not be made: {}"),
        ("[1]", "warning", "unmade", "they could not be made: [1]"),
    ],
)
def test_its_own_checks_are_kept_and_told_with_their_age(
    program: types.ModuleType, ask: Asking, out: str, state: str, code: str, measured: str
) -> None:
    program.ran = lambda *_, **__: (1, out, "")
    assert program.main(["look"]) == 0
    told = ask("checks")["checks"]
    assert (told["state"], told["code"]) == (state, code)
    assert re.sub(r" \(\d+ s ago\)$", "", told["measured"]) == measured


def test_checks_that_nobody_makes_any_more_are_warned_of(ask: Asking, tmp_path: Path) -> None:
    made = time.time() - 7000
    kept = {"at": made, "value": {"at": made, "state": "ok", "measured": "none", "code": ""}}
    (tmp_path / "kept-checks.json").write_text(json.dumps(kept))
    told = ask("checks")["checks"]
    assert (told["state"], told["code"], told["measured"]) == (
        "warning",
        "unmade",
        "they were made 117 min ago",
    )
    (tmp_path / "uptime").write_text("60 1\n")
    assert ask("checks")["checks"]["state"] == "ok"


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"at": "x"}', '{"at": 1, "value": [1]}', '{"at": 1, "value": {"state": null}}']
)
def test_a_damaged_note_is_as_none(program: types.ModuleType, ask: Asking, tmp_path: Path, kept: str) -> None:
    for name in ("checks", "file", "jobs"):
        (tmp_path / f"kept-{name}.json").write_text(kept)
    Path(program.SOCKET).touch()
    (tmp_path / "checks.timer").touch()
    told = ask("checks", "file", "state")
    assert {one["state"] for one in told.values()} == {"ok"}
    assert told["checks"]["measured"] == "not made yet; they are made every 10 minutes"


def test_that_a_file_was_stored_is_good_for_a_while_as_long_as_php_runs_on_and_it_was_well(
    program: types.ModuleType, dav: Dav, ask: Asking, tmp_path: Path
) -> None:
    def times() -> int:
        asked = len(dav.requests)
        ask("file")
        return len(dav.requests) - asked

    Path(program.SOCKET).touch()
    os.utime(program.SOCKET, (time.time() - 99,) * 2)
    assert [times(), times()] == [3, 0]
    assert re.search(r" s \(\d s ago\)$", ask("file")["file"]["measured"])
    # PHP has been started anew; or it was too long ago; or Nextcloud is out of service.
    os.utime(program.SOCKET, (time.time() + 9,) * 2)
    assert times() == 3
    os.utime(program.SOCKET, (time.time() - 99,) * 2)
    program.FILE_GOOD = -1.0
    assert times() == 3
    program.FILE_GOOD = 120.0
    (tmp_path / "config.php").write_text(CONFIG.replace("true", "false"))
    assert ask("file")["file"]["code"] == "missing"
    (tmp_path / "config.php").write_text(CONFIG)
    (tmp_path / "kept-file.json").unlink()
    dav.instead["PUT"] = 500
    assert [times(), times()] == [2, 2]


def test_the_database_is_asked_for_jobs_only_when_it_is_time_for_the_next(
    program: types.ModuleType, calls: list[tuple[str, ...]], ask: Asking
) -> None:
    assert [ask("state")["state"]["state"] for _ in range(3)] == ["ok"] * 3
    assert len(calls) == 1
    program.keep("jobs", time.time() - 310)
    ask("state")
    assert len(calls) == 2


def test_in_maintenance_what_the_checks_said_before_stays(
    program: types.ModuleType, calls: list[tuple[str, ...]], tmp_path: Path
) -> None:
    (tmp_path / "config.php").write_text(
        CONFIG.replace("'installed'", "'maintenance' => true,\n  'installed'")
    )
    assert program.main(["look"]) == 0
    assert calls == []
    assert not (tmp_path / "kept-checks.json").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["probe"], ["probe", "other"], ["probe", "file", "x"], ["look", "x"]]
)
def test_other_arguments_are_refused(arguments: list[str]) -> None:
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
