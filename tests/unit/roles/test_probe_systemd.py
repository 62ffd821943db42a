"""What provision-probe tells of units, timers and the journal."""

import json

import pytest

from tests.unit.roles.probe import Probe, said


def test_units_are_told_as_systemd_shows_them(probe: Probe) -> None:
    probe.fake(
        "systemctl",
        said(
            "LoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=2\n"
            "StateChangeTimestamp=@1799999000\nExecMainStatus=0\nUnitFileState=enabled\n\n"
            "LoadState=not-found\nActiveState=inactive\nSubState=dead\nResult=success\nNRestarts=0\n"
            "StateChangeTimestamp=\nExecMainStatus=0\nUnitFileState="
        ),
    )
    told = probe.systemd.units(["a.service", "b.service"])
    assert told["a.service"] == {
        "load": "loaded", "active": "active", "sub": "running", "result": "success", "restarts": 2,
        "since": 1799999000.0, "status": 0, "enabled": "enabled",
    }  # fmt: skip
    assert (told["b.service"]["load"], told["b.service"]["since"]) == ("not-found", None)


def test_an_answer_for_other_units_is_not_taken(probe: Probe) -> None:
    probe.fake("systemctl", said("LoadState=loaded"))
    with pytest.raises(probe.core.UnanswerableError, match="other units"):
        probe.systemd.units(["a.service", "b.service"])


def test_a_timer_is_told_with_what_it_starts(probe: Probe) -> None:
    probe.fake(
        "systemctl",
        'case "$*" in *LastTrigger*)\n'
        + said(
            "LoadState=loaded\nActiveState=active\nLastTriggerUSec=@1799999000\nNextElapseUSecRealtime=@1800001000\n"
            "NextElapseUSecMonotonic=infinity\nUnit=cron.service"
        )
        + "\n;; *)\n"
        + said(
            "LoadState=loaded\nActiveState=inactive\nResult=exit-code\nExecMainStatus=7\nExecMainExitTimestamp=@1799999001"
        )
        + "\n;; esac",
    )
    assert probe.systemd.timers(["cron.timer"])["cron.timer"] == {
        "load": "loaded", "active": "active", "last": 1799999000.0, "next": 1800001000.0, "monotonic": False,
        "starts": "cron.service", "running": False, "result": "exit-code", "status": 7, "ended": 1799999001.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("@1795449874", 1795449874),
        ("Mon 2026-11-23 16:04:34 UTC", 1795449874),
        ("", None),
        ("n/a", None),
        ("0", None),
        ("infinity", None),
    ],
)
def test_times_are_understood_as_each_systemd_shows_them(probe: Probe, text: str, moment: int | None) -> None:
    assert probe.systemd.stamp(text) == moment


def test_errors_of_one_cause_are_counted_together_and_the_most_frequent_come_first(probe: Probe) -> None:
    entries = [
        {"MESSAGE": f"worker {number} of 192.0.2.{number} failed", "_SYSTEMD_UNIT": "php.service",
         "__REALTIME_TIMESTAMP": str(1799999000000000 + number)}
        for number in range(3)
    ]  # fmt: skip
    entries += [
        {"MESSAGE": [27, 91], "SYSLOG_IDENTIFIER": "kernel"},
        {"MESSAGE": "start failed", "UNIT": "a.service"},
    ]
    probe.fake("journalctl", said("\n".join([*map(json.dumps, entries), "no json", "[" * 5000, "7"])))
    told = probe.systemd.journal()
    assert (told["count"], told["causes"], told["more"]) == (5, 3, False)
    assert told["groups"][0] == {
        "unit": "php.service", "text": "worker <n> of <address> failed", "count": 3, "first": 1799999000.0,
        "last": 1799999000.0,
    } | {key: told["groups"][0][key] for key in ("first", "last")}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("login of anna.puig+x@escola.cat failed", "login of <mail> failed"),
        ("from 192.0.2.7:4711", "from <address>:<n>"),
        ("from 2001:db8::7 port 22", "from <address> port <n>"),
        ("GET /course?id=7&token=s3cret HTTP/1.1", "GET /course?id=<value>&token=<value> HTTP/<n>"),
        ("open(/home/anna/notes.txt)", "open(/home/<name>/notes.txt)"),
        ("session 0123456789abcdef0123 ended", "session <id> ended"),
        ("request 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "request <id>"),
        ("took 12.5 s,  twice", "took <n> s, twice"),
        ("\x1b[31merror\x1b[0m in module", "error in module"),
    ],
)
def test_a_cause_tells_nobodys_name_address_or_secret(probe: Probe, message: str, left: str) -> None:
    assert probe.systemd.cause(message) == left


def test_a_long_message_is_cut_before_anything_is_looked_for(probe: Probe) -> None:
    assert len(probe.systemd.cause("a:" * 1_000_000)) <= 200


def test_restarts_and_ends_for_memory_are_counted_by_unit(probe: Probe) -> None:
    entries = [{"UNIT": "a.service", "MESSAGE_ID": probe.systemd.RESTART}] * 3
    entries += [{"UNIT": "b.service", "MESSAGE_ID": probe.systemd.OUT_OF_MEMORY}]
    probe.fake("journalctl", said("\n".join(map(json.dumps, entries))))
    assert probe.systemd.restarts() == {"restarts": {"a.service": 3}, "out_of_memory": {"b.service": 1}}
