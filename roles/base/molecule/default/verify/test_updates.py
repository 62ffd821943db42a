"""How systemd takes what provision-busy says of automatic updates. Lessons are planted: for the scenario alone."""

import pytest

UNIT = "apt-daily-upgrade.service"
#: Instead of updates, which would be other ones each day.
STAND_IN = f"/run/systemd/system/{UNIT}.d/zz-stand-in.conf"
LESSONS = "/etc/provision/busy.d/stand-in"
STAMP, RAN = "/var/lib/provision/updates-put-off", "/run/provision-updates-ran"


@pytest.fixture(name="_lessons")
def _planted(host):
    """Lessons that go on, and updates that only say that they ran."""
    settings = rf"[Service]\nExecStartPre=\nExecStart=\nExecStart=/usr/bin/touch {RAN}\n"
    told = r'#!/bin/sh\necho "{\\"meetings\\": 1, \\"participants\\": 9}"\n'
    host.check_output(f"mkdir -p {STAND_IN.rpartition('/')[0]} && printf '{settings}' > {STAND_IN}")
    host.check_output(f"systemctl daemon-reload && rm -f {RAN} {STAMP}")
    host.check_output(f"printf '{told}' > {LESSONS} && chmod 0755 {LESSONS}")
    yield
    host.check_output(f"rm -f {STAND_IN} {LESSONS} {RAN} {STAMP}")
    host.check_output("systemctl stop provision-updates.timer && systemctl daemon-reload")


def run(host):
    """Starts what the timer starts; returns whether updates were installed."""
    host.check_output(f"rm -f {RAN} && systemctl start {UNIT}")
    assert host.run(f"systemctl is-failed {UNIT}").rc != 0
    return host.file(RAN).exists


def waits(host):
    return host.run("systemctl is-active provision-updates.timer").rc == 0


def test_updates_wait_for_the_end_of_lessons_but_not_for_ever(host, _lessons):
    assert not run(host)
    assert waits(host)
    left = "systemctl show --value -p NextElapseUSecMonotonic provision-updates.timer"
    assert host.check_output(left) not in ("", "infinity")
    # The hour is over: as the timer, while its own run is what starts it again.
    assert not run(host)
    assert waits(host)
    host.check_output(f"touch -d '3 days ago' {STAMP}")
    assert run(host)
    assert not run(host)
    host.check_output(f"rm {LESSONS}")
    assert run(host)
    assert not host.file(STAMP).exists
