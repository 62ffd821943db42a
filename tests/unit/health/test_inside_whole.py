"""The program on the host and the tool here speak the same language: one whole asking, with nothing made up between."""

import json
import os

import pytest

from provision.health.inside import inside
from tests.unit.health.inside_sample import MANAGED, UNITS, school, service
from tests.unit.roles.probe import Probe, fastcgi_answer, listening, said

UNIT = (
    "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n"
    "StateChangeTimestamp=@1700000000\nExecMainStatus=0\nUnitFileState=enabled"
)
TIMER = (
    "LoadState=loaded\nActiveState=active\nLastTriggerUSec=@1700000000\n"
    "NextElapseUSecRealtime=@4000000000\nUnit=x.service"
)
STARTED = "LoadState=loaded\nActiveState=inactive\nResult=success\nExecMainStatus=0\nExecMainExitTimestamp=@1700000001"
RULES = "type filter hook input priority filter; policy drop;"
ERROR = {"MESSAGE": "it failed", "_SYSTEMD_UNIT": "a.service", "__REALTIME_TIMESTAMP": "1700000000000000"}
INFO = b"used_memory:1048576\r\nmaxmemory:67108864\r\n"
STATUS = {"listen queue": 0, "active processes": 1, "idle processes": 3, "total processes": 4}


def test_what_the_program_answers_is_what_is_understood_here(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A socket's path must be short (unix(7)).
    probe = Probe(tmp_path_factory.mktemp("w"))
    probe.given(STEP=10)
    # Who runs the tests need not be root; and a cluster of PostgreSQL is not theirs to start.
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    sizes = {"connections": 3, "most": 100, "read_only": False, "databases": {"wiki": 7}}
    monkeypatch.setattr(probe.needs, "psql", lambda user, database, query: json.dumps(sizes))
    timers = "\n\n".join([TIMER] * 4)
    scripts = {
        "systemctl": f'case "$*" in *list-units*) ;; *LastTrigger*)\n{said(timers)}\n;; *NRestarts*)\n'
        + said("\n\n".join([UNIT] * len(UNITS)))
        + "\n;; *)\n"
        + said("\n\n".join([STARTED] * 4))
        + "\n;; esac",
        "journalctl": said(json.dumps(ERROR)),
        "nft": said(RULES),
        "chronyc": said("C0000207,192.0.2.7,3,1799999000.1,-0.002500,0.1,0.1,1,0,0.1,0.1,0.1,64.5,Normal"),
        "systemd-detect-virt": "echo none; exit 1",
    }
    for name, script in scripts.items():
        probe.fake(name, script)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    files = {
        "proc/self/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw\n",
        "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        "proc/uptime": "1000.5 2000.1\n",
        "proc/net/tcp": "  sl\n   0: 0100007F:2329 00000000:0000 0A\n",
        "var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n",
        f"var/lib/apt/lists/x-security_main_binary-{machine}_Packages": "Package: a\nVersion: 2\n",
        "etc/provision/redis.json": '{"instances": [{"name": "wiki_sessions"}, {"name": "wiki_cache"}]}',
        "etc/provision/php.json": '{"pools": [{"name": "wiki"}]}',
        "etc/provision/tls/wiki/fullchain.pem": "no certificate",
        "etc/provision/last-run.json": '{"run": "r1", "outcome": "ok", "school": "escola-mar", "intent": 4}',
        "etc/wiki/settings.json": "{}",
        "etc/provision/probe.json": json.dumps(
            {
                "own": [
                    {
                        "service": "wiki",
                        "probe": "pad",
                        "program": "provision-wiki-health",
                        "arguments": ["probe", "pad"],
                    }
                ]
            }
        ),
        "usr/local/sbin/provision-wiki-health": "#!/bin/sh\necho '"
        + '{"probe": "pad", "state": "ok", "measured": "written", "code": ""}'
        + "'\n",
    }
    for path, text in files.items():
        probe.put(path, text, 0o755 if "/sbin/" in path else 0o644)

    asking = probe.asking

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        return 0, asking.document(asking.answered(asking.request_of(stdin), free=True)).decode("utf-8")

    redis = b"+PONG\r\n$%d\r\n%s\r\n+OK\r\n" % (len(INFO), INFO)
    with (
        listening(probe.root / "run/redis-wiki_sessions/redis.sock", lambda _: redis),
        listening(probe.root / "run/redis-wiki_cache/redis.sock", lambda _: redis),
        listening(
            probe.root / "run/php-wiki/fpm.sock", lambda _: fastcgi_answer(json.dumps(STATUS).encode())
        ),
    ):
        findings = inside(school(service()), [service()], "main", run_on, managed=MANAGED)
    states = {(one.service, one.probe): one.state for one in findings}
    told = {one.probe: one.measured.en for one in findings}
    assert {probe for probe, measured in told.items() if "could not" in measured} == set(), told
    # What is wrong here is wrong on purpose: no server on the port, a damaged certificate, an update, another file.
    assert {key for key, state in states.items() if state != "ok" and key[1] not in ("load", "disk:/", "inodes:/")} == {
        ("wiki", "api"), ("wiki", "certificate-file"), ("host", "updates"), ("host", "files"),
    }  # fmt: skip
    assert told["redis:wiki_sessions"] == "answers, holds 1.0 MiB of 64.0 MiB"
    assert told["php-fpm"] == "1 of 4 workers busy, nobody waits"
    assert told["database:wiki"] == "7 B, 3 of 100 connections"
    assert told["updates"].startswith("1 wait: a;")
