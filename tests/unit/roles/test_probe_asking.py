"""Requests that provision-probe takes, and answers that it puts together."""

import json
import os
import sys
import threading
from pathlib import Path

import pytest

from tests.unit.roles.probe import PACKAGE, PAGE, Probe, said


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "no json",
        "[" * 30_000,
        "[]",
        '{"run": ["id"]}',
        '{"schema": "provision/probe/v2"}',
        '{"units": "ssh.service"}',
        '{"units": ["--property=x.service"]}',
        '{"units": ["ssh.service\\n"]}',
        '{"units": ["ssh"]}',
        '{"units": ["$(id).service"]}',
        '{"units": [7]}',
        json.dumps({"units": [f"u{number}.service" for number in range(65)]}),
        '{"files": ["etc/passwd"]}',
        '{"files": ["/etc/../etc/shadow"]}',
        '{"files": ["/etc/ssh/*"]}',
        '{"files": ["/etc/a\\u0000b"]}',
        json.dumps({"files": ["/" + "a/" * 30]}),
        json.dumps({"files": [f"/etc/{number}" for number in range(257)]}),
        json.dumps({"loopback": [PAGE] * 17}),
        json.dumps({"loopback": [{**PAGE, "host": "192.0.2.1"}]}),
        json.dumps({"loopback": [{**PAGE, "path": "/ HTTP/1.0\r\nX: y"}]}),
        json.dumps({"loopback": [{**PAGE, "path": "http://192.0.2.1/"}]}),
        json.dumps({"loopback": [{**PAGE, "port": 0}]}),
        json.dumps({"loopback": [{**PAGE, "port": "22"}]}),
        json.dumps({"loopback": [{**PAGE, "contains": "x" * 600}]}),
    ],
    ids=lambda text: text[:40],
)
def test_a_request_that_is_not_one_is_refused(probe: Probe, request_text: str) -> None:
    with pytest.raises(probe.core.RefusedError):
        probe.asking.request_of(request_text)


def test_a_request_may_name_everything_that_a_service_has(probe: Probe) -> None:
    units = [
        "etherpad.service",
        "provision-php@moodle.service",
        "postgresql@15-main.service",
        "dev-a\\x2db.mount",
    ]
    wanted = {
        "units": units,
        "timers": ["a.timer"],
        "files": ["/etc/nginx/conf.d/provision-sites.conf", "/etc/..a"],
    }
    asked = probe.asking.request_of(json.dumps({**wanted, "loopback": [PAGE]}))
    assert asked == {**wanted, "loopback": [PAGE]}


def test_a_name_is_looked_at_once(probe: Probe) -> None:
    assert probe.asking.request_of('{"units": ["a.service", "a.service"]}')["units"] == ["a.service"]


def test_who_comes_when_all_places_are_taken_is_told_so_and_a_place_is_free_again_afterwards(
    probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe.core, "ROOT", tmp_path)
    monkeypatch.setattr(probe.asking, "WAIT", 0.0)
    folder = tmp_path / "var/lib/provision/health"
    folder.mkdir(parents=True)
    assert probe.asking.place_taken() is None
    for number in range(2):
        (folder / f"place-{number}").touch()
    held = [probe.asking.place_taken(), probe.asking.place_taken()]
    with pytest.raises(probe.core.RefusedError, match="at the same time"):
        probe.asking.place_taken()
    os.close(held.pop())
    held.append(probe.asking.place_taken())
    for descriptor in held:
        os.close(descriptor)


def test_a_part_that_hangs_or_breaks_takes_no_other_with_it(probe: Probe) -> None:
    stuck = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError("no")

    answers = probe.asking.gather({"stuck": stuck.wait, "broken": broken, "well": lambda: 7}, 0.3)
    stuck.set()
    assert answers["well"]["value"] == 7
    assert answers["broken"]["reason"] == "ZeroDivisionError: no"
    assert answers["stuck"]["reason"].startswith("no answer within")


def test_an_answer_that_is_too_long_loses_its_longest_part(probe: Probe) -> None:
    parts = {name: {"seconds": 0.1, "value": "x" * size} for name, size in (("small", 10), ("huge", 500_000))}
    told = json.loads(probe.asking.document(parts))["parts"]
    assert told == {"small": parts["small"], "huge": {"seconds": 0.1, "reason": "the answer is too long"}}


def test_half_a_character_does_not_spoil_the_answer(probe: Probe) -> None:
    told = probe.asking.document({"journal": {"seconds": 0, "value": "\ud800 à \x1b"}})
    assert json.loads(told.decode("utf-8"))["parts"]["journal"]["value"] == "? à \x1b"


def test_who_is_not_root_is_told_what_sudo_tells(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    roots = {name: {"seconds": 0.1, "value": name} for name in probe.asking.ROOTS}
    probe.fake(
        "sudo",
        f'[ "$*" = "-n -- /usr/local/sbin/provision-probe as-root" ] || exit 9\n{said(json.dumps({"parts": roots}))}',
    )
    empty = probe.asking.request_of("{}")
    assert {name: probe.asking.answered(empty, free=False)[name]["value"] for name in probe.asking.ROOTS} == {
        name: name for name in probe.asking.ROOTS
    }
    probe.fake("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    reasons = {probe.asking.answered(empty, free=False)[name]["reason"] for name in probe.asking.ROOTS}
    assert reasons == {"not allowed: sudo: a password is required"}
    assert not {f"{PACKAGE}.needs", f"{PACKAGE}.updates"} & sys.modules.keys(), "only root needs them"


def test_over_ssh_only_what_root_has_named_is_looked_at(probe: Probe) -> None:
    probe.put("/etc/provision/probe.json", json.dumps({"loopback": [PAGE]}))
    probe.put("/etc/provision/managed.json", json.dumps({"files": ["/etc/a", 7, "/etc/../b"]}))
    probe.put("/etc/a", "x")
    probe.put("/etc/shadow", "x")
    probe.fake("systemctl", "exit 1")
    other = {**PAGE, "contains": "root:"}
    asked = probe.asking.request_of(
        json.dumps({"files": ["/etc/a", "/etc/shadow"], "loopback": [PAGE, other]})
    )
    probe.given(ROOTS=(), of_root=dict)
    told = probe.asking.answered(asked, free=False)
    assert set(told["files"]["value"]) == {"/etc/a"}
    assert [one["error"] for one in told["loopback"]["value"]] == ["Connection refused", "not allowed"]
    assert set(probe.files.listed()) == {"/etc/a"}
    assert set(probe.asking.answered(asked, free=True)["files"]["value"]) == {"/etc/a", "/etc/shadow"}
