"""The roles' own programs say in a sentence what the system refuses them, such as to write on a full disk."""

import builtins
import errno
import io
import os
import pathlib
import subprocess
from typing import NoReturn

import pytest

from provision import paths
from tests.unit.roles.programs import load

#: How each program is called so that it begins to work.
CALLED = {
    "audit_trail/provision-audit-trail": ["publish"],
    "base/provision-base": ["ssh"],
    "base/provision-busy": ["--updates"],
    "base/provision-trial": ["stop", "name"],
    "bigbluebutton/provision-bigbluebutton": ["purge"],
    "coturn/provision-coturn": ["settle"],
    "firewall/provision-firewall": ["undo"],
    "jitsi/provision-jitsi": ["settle"],
    "moodle/provision-moodle": ["settle"],
    "nextcloud/provision-nextcloud": ["password"],
    "php/provision-php": ["settle"],
    "postgresql/provision-postgresql": ["17", "moodle"],
    "redis/provision-redis": ["settle"],
    "tls/provision-tls": ["install", "name=name.test"],
}
#: One has a test of its own for it, the other one only compares keys.
OTHERS = {"archive/provision-unpack", "etherpad/wrong-keys"}


def test_each_program_is_looked_at() -> None:
    found = {
        f"{file.parents[1].name}/{file.name}"
        for file in paths.ROLES.glob("*/files/*")
        if file.is_file() and file.read_text(errors="replace").startswith("#!/usr/bin/python3")
    }
    # What answers the questions of health does so in JSON, faults included.
    assert {name for name in found if not name.endswith(("-health", "-probe"))} == CALLED.keys() | OTHERS


def refused(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/file")


@pytest.mark.parametrize("name", CALLED)
def test_a_full_disk_is_no_traceback(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = load(*name.split("/"))
    monkeypatch.setattr("sys.argv", [name, *CALLED[name]])
    monkeypatch.setattr("sys.stdin", io.StringIO("{}"))
    with monkeypatch.context() as patch:
        for method in ("open", "read_text", "write_text", "unlink"):
            patch.setattr(pathlib.Path, method, refused)
        patch.setattr(builtins, "open", refused)
        patch.setattr(os, "open", refused)
        patch.setattr(subprocess, "run", refused)
        # Nextcloud's reads its arguments itself.
        status = program.main() if name.startswith("nextcloud/") else program.main(CALLED[name])
    assert status == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "No space left on device" in err
    assert "/var/file" in err
    assert "Traceback" not in err
