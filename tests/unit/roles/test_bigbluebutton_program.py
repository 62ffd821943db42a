"""The program of the role bigbluebutton: what it reads and writes, without a BigBlueButton."""

import contextlib
import json
import re
import subprocess
import types
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provision import paths
from tests.unit.roles.bigbluebutton import STANDIN, installed, placed
from tests.unit.roles.programs import parts
from tests.unit.roles.stranger import as_stranger, given, reachable

WANTED: dict[str, Any] = {
    "hostname": "video.vila.test",
    "email": "it@vila.test",
    "installer": "a" * 64,
    "release": "jammy-300",
    "at_least": "",
    "mirror": "",
    "proxy": "",
    "small_host": False,
    "recording": False,
    "external_videos": False,
    "learning_dashboard": False,
    "guests": "ask",
    "purge_days": 14,
    "log_days": 7,
    "guard": [],
}
DAY = 86400.0


@pytest.fixture(name="program")
def _program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    return placed("provision-bigbluebutton", tmp_path, monkeypatch)


def made(program: types.ModuleType, **changes: Any) -> Any:
    return program.BigBlueButton({**WANTED, **changes}, check=True)


# When the installer runs.


def test_what_is_as_wanted_needs_no_installer(program: types.ModuleType) -> None:
    installed(program)
    assert made(program).reason() == ""
    # Nobody has the file at hand: what is there stays.
    assert made(program, installer="").reason() == ""
    assert made(program, at_least="3.0.9").reason() == ""


@pytest.mark.parametrize(
    ("state", "wanted", "why"),
    [
        ({}, {"release": "jammy-301"}, "another release is wanted: jammy-300 → jammy-301"),
        ({}, {"installer": "b" * 64}, "another installer is wanted: aaaaaaaaaaaa → bbbbbbbbbbbb"),
        (
            {},
            {"hostname": "classe.vila.test"},
            "another host name is wanted: video.vila.test → classe.vila.test",
        ),
        ({}, {"at_least": "3.0.12"}, "3.0.10 is older than 3.0.12"),
        ({"unfinished": True}, {}, "an installation was cut off"),
    ],
)
def test_the_reason_for_the_installer_is_told(
    program: types.ModuleType, state: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    installed(program, **state)
    assert made(program, **wanted).reason() == why


@pytest.mark.parametrize(("state", "more"), [({}, True), ({"unfinished": True}, False)])
def test_a_plan_asks_no_more_of_what_was_cut_off(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], more: bool
) -> None:
    installed(program, **state)
    asking = made(program, at_least="3.0.12")
    monkeypatch.setattr(asking, "check", True)
    monkeypatch.setattr(asking, "tell_busy", lambda: None)
    assert asking.install() is more


def test_versions_are_compared_as_numbers(program: types.ModuleType) -> None:
    order = ["", "3.0.0-beta.1", "3.0.9", "3.0.10", "3.1"]
    assert sorted(["3.1", "3.0.10", *order[:3]], key=program.version_of) == order


def test_the_installer_gets_explicit_options_and_no_secret(program: types.ModuleType) -> None:
    options = made(program).options()
    assert options == ["-v", "jammy-300", "-s", "video.vila.test", "-e", "it@vila.test", "-d"]
    more = made(program, mirror="packages.vila.test", proxy="10.0.0.1:3142", small_host=True).options()
    assert more[7:] == ["-r", "packages.vila.test", "-p", "10.0.0.1:3142", "-j"]


def test_the_pinned_installer_is_verified_by_its_checksum_and_commit() -> None:
    service = (paths.ROLES / "bigbluebutton/service.yml").read_text()
    assert "c8a743f123c3e3f36caa1861e170058930be2ebb/bbb-install.sh" in service
    assert "sha256: 87e92a904b24a94eb8b2efd4ffdc9ca253d7227d2608806b51b8e60cf5980338" in service


@pytest.mark.parametrize(
    ("status", "hours", "said"),
    [
        (1, 0.1, "the installer ended with 1"),
        (0, 0.1, "the installer ended, but BigBlueButton is not there"),
        (1, 2.0, "the installer was ended after 2 hours"),
    ],
)
def test_what_became_of_the_installer_is_told(
    program: types.ModuleType, status: int, hours: float, said: str
) -> None:
    assert made(program).after_install(status, hours * 3600).startswith(said)


def test_an_installer_that_waits_for_ever_is_ended_and_its_apt_waits_for_another(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Upstream's own: it waits for a file of bbb-web, whether its package came or not.
    program.INSTALLER.parent.mkdir(parents=True)
    program.INSTALLER.write_text("true\n")
    program.CERTIFICATE.mkdir(parents=True)
    program.APT.parent.mkdir(parents=True)
    program.INSTALL_LOG.parent.mkdir(parents=True)
    for name in ("fullchain.pem", "key.pem"):
        (program.CERTIFICATE / name).touch()
    called: list[list[str]] = []

    def ran(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        called.append(command)
        return subprocess.CompletedProcess(command, 1, "", "")

    monkeypatch.setattr(program.subprocess, "run", ran)
    monkeypatch.setattr(program.shutil, "which", lambda _: "/usr/bin/it")
    monkeypatch.setattr(program, "true", lambda *_: False)
    with pytest.raises(program.BigBlueButtonError, match="the installer ended with 1"):
        made(program, installer="").run_installer()
    command = called[-1]
    assert "RuntimeMaxSec=2h" in command
    assert f"APT_CONFIG={program.APT}" in command
    assert program.APT.read_text() == 'DPkg::Lock::Timeout "600";\n'


# Settings.


def test_only_our_keys_of_a_properties_file_change(program: types.ModuleType) -> None:
    before = "# comment\nmuteOnStart=true\nsecuritySalt=old\nsecuritySalt=older\n\n#disabledFeatures=chat\n"
    after = program.with_properties(before, {"securitySalt": "new", "disabledFeatures": "chat"})
    assert after == (
        "# comment\nmuteOnStart=true\nsecuritySalt=new\n\n#disabledFeatures=chat\ndisabledFeatures=chat\n"
    )
    assert program.with_properties(after, {"securitySalt": "new", "disabledFeatures": "chat"}) == after


def test_every_key_that_we_set_is_one_that_upstream_knows(program: types.ModuleType) -> None:
    known = {
        line.partition("=")[0]
        for line in (STANDIN / "bigbluebutton.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    }
    assert set(made(program).properties()) <= known


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ("true", "false", "false", "false")),
        ({"recording": True}, ("false", "true", "true", "false")),
    ],
)
def test_recording_is_off_as_a_whole_or_told_to_everybody(
    program: types.ModuleType, wanted: dict[str, Any], expected: tuple[str, ...]
) -> None:
    found = made(program, **wanted).properties()
    keys = (
        "disableRecordingDefault",
        "allowStartStopRecording",
        "notifyRecordingIsOn",
        "breakoutRoomsRecord",
    )
    assert tuple(found[key] for key in keys) == expected
    # Nobody is recorded before they are told.
    assert found["autoStartRecording"] == found["allowStartStopRecording"]
    # Nor while the recording is stopped.
    assert found["recordFullDurationMedia"] == "false"


def test_who_opens_a_room_cannot_change_what_browsers_are_told(program: types.ModuleType) -> None:
    assert made(program).properties()["allowOverrideClientSettingsOnCreateCall"] == "false"


@pytest.mark.parametrize(
    ("guests", "policy"), [("ask", "ASK_MODERATOR"), ("accept", "ALWAYS_ACCEPT"), ("deny", "ALWAYS_DENY")]
)
def test_guests_are_treated_as_the_school_says(program: types.ModuleType, guests: str, policy: str) -> None:
    assert made(program, guests=guests).properties()["defaultGuestPolicy"] == policy


@pytest.mark.parametrize(
    "before",
    [
        "",
        "freeswitch:\n  ip: 192.0.2.1",
        "log:\n  level: verbose\nfreeswitch:\n  ip: 192.0.2.1\n",
        "log:\n    filename: '/var/log/x.log'\n    level: 'verbose'\n\nfreeswitch:\n    ip: 'x'\n",
        "log:\n  filename: /var/log/x.log\n",
    ],
)
def test_the_log_level_of_the_video_server_is_set_once_and_nothing_else_is_lost(
    program: types.ModuleType, before: str
) -> None:
    import yaml

    after = program.with_log_level(before, "error")
    assert program.with_log_level(after, "error") == after
    old, new = yaml.safe_load(before) or {}, yaml.safe_load(after)
    assert new["log"]["level"] == "error"
    old.setdefault("log", {})["level"] = "error"
    assert new == old


def test_what_a_school_wrote_into_apply_config_stays(program: types.ModuleType) -> None:
    own = "#!/bin/bash\nsource /etc/bigbluebutton/bbb-conf/apply-lib.sh\n\n"
    after = program.with_hook(own)
    assert after.startswith(own.rstrip("\n"))
    assert after.endswith(f"\n{program.HOOK}\n")
    assert program.with_hook(after) == after
    assert program.with_hook("").startswith("#!/bin/bash\n")


def test_only_the_servers_own_turn_is_offered_and_no_stun(program: types.ModuleType) -> None:
    text = program.turn_file("video.vila.test", "c2VjcmV0==")
    assert program.turn_urls(text) == {
        "turn:video.vila.test:3478",
        "turns:video.vila.test:443?transport=tcp",
    }
    assert "c2VjcmV0==" in text
    ElementTree.fromstring(text)
    foreign = (STANDIN / "turn-stun-servers.xml").read_text()
    assert program.turn_urls(foreign) == {"stun:stun.l.google.com:19302"}


def test_the_logs_of_upstreams_own_programs_become_quiet_once(program: types.ModuleType) -> None:
    installer = (STANDIN / "bbb-install.sh").read_text()
    quiet = program.without_log(installer)
    assert "frontend nginx_or_turn\n  no log\n" in quiet
    assert program.without_log(quiet) == quiet
    silent = program.without_verbose("min-port=1\nverbose\n\nfingerprint\n")
    assert silent == "min-port=1\n\nfingerprint\n"
    switch = program.with_quiet_switch((STANDIN / "switch.conf.xml").read_text())
    assert '<param name="loglevel" value="warning"/>' in switch
    assert program.with_quiet_switch(switch) == switch


def test_no_lesson_is_cut_to_keep_coturn_quiet_and_it_is_not_forgotten(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in (
        (program.TURNSERVER, "verbose\n"),
        (program.HAPROXY, "frontend nginx_or_turn\n  bind x\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(program, "true", lambda *_: True)
    monkeypatch.setattr(program, "run", lambda *command, **_: ran.append(command))

    def unknown() -> dict[str, int]:
        raise program.SilentError("no answer")

    monkeypatch.setattr(program, "busy", lambda: {"meetings": 1, "participants": 9})
    assert program.hook(check=False) == ["keep no addresses in haproxy's log"]
    monkeypatch.setattr(program, "busy", unknown)
    assert program.hook(check=False) == []
    assert program.hook(check=True) == ["keep no addresses in coturn's log"]
    monkeypatch.setattr(program, "busy", lambda: {"meetings": 0, "participants": 0})
    assert program.hook(check=False) == ["keep no addresses in coturn's log"]
    assert ran == [("systemctl", "reload", "haproxy.service"), ("systemctl", "try-restart", "coturn.service")]
    assert program.TURNSERVER.read_text() == ""
    assert program.hook(check=True) == []


def planted(file: Path, target: Path, top: Path) -> None:
    """A link in place of a file, by the user who owns everything from ``top`` on."""
    reachable(top.parent)
    for path in (top, *(place for place in file.parents if top in place.parents)):
        given(path)
    as_stranger('ln -sf "$2" "$1"', file, target)


def test_hook_changes_no_file_behind_a_link_of_freeswitchs(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It reads, and then writes as root: what is read could be the user's own text, what is written any file."""
    monkeypatch.setattr(program, "true", lambda *_: False)
    noisy = '<param name="loglevel" value="info"/>\n'
    other = tmp_path / "sudoers"
    other.write_text(noisy)
    switch = parts(program)[1].SWITCH
    switch.parent.mkdir(parents=True)
    planted(switch, other, program.FREESWITCH)
    with pytest.raises(program.BigBlueButtonError, match=r"switch\.conf\.xml: not what upstream puts there"):
        program.hook(check=False)
    assert other.read_text() == noisy
    as_stranger('rm "$1"; mv "$2" "$2.away"; ln -s "$3" "$2"', switch, switch.parent, tmp_path)
    (tmp_path / switch.name).write_text(noisy)
    with pytest.raises(program.BigBlueButtonError, match="autoload_configs: not what upstream puts there"):
        program.hook(check=False)
    assert (tmp_path / switch.name).read_text() == noisy


def test_a_file_that_is_another_one_by_the_time_it_is_written_is_not_written(
    program: types.ModuleType, tmp_path: Path
) -> None:
    other = tmp_path / "sudoers"
    other.write_text("root's")
    switch = parts(program)[1].SWITCH
    switch.parent.mkdir(parents=True)
    switch.write_text("quiet")

    def meanwhile(text: str) -> str:
        planted(switch, other, program.FREESWITCH)
        return f"{text} and more"

    program.rewrite(switch, meanwhile)
    assert other.read_text() == "root's"


def test_the_secret_of_webhooks_is_written_through_no_link(program: types.ModuleType, tmp_path: Path) -> None:
    other = tmp_path / "sudoers"
    other.write_text("sharedSecret: old\n")
    program.WEBHOOKS.parent.mkdir(parents=True)
    planted(program.WEBHOOKS, other, program.WEBHOOKS_HOME)
    with pytest.raises(program.BigBlueButtonError, match=r"default\.yml: not what upstream puts there"):
        program.Edit(program.WEBHOOKS, "sharedSecret: new\n", mode=None).do()
    assert other.read_text() == "sharedSecret: old\n"


# Old things.


def test_what_is_too_old_goes_and_the_rest_stays(program: types.ModuleType, tmp_path: Path) -> None:
    import os

    now = 1_800_000_000.0
    program.WANTED.write_text(json.dumps({"purge_days": 14, "log_days": 7}))

    def put(name: str, days: float) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (now - days * DAY, now - days * DAY))
        return path

    gone = [
        put("var/log/nginx/access.log.3.gz", 8),
        put("var/log/turnserver/turnserver.log.1", 8),
        put("var/log/bigbluebutton/bbb-web.2026-11-01.log", 9),
        put("var/log/syslog.2.gz", 8),
        put("var/log/kern.log.1", 8),
        put("var/bigbluebutton/recording/raw/old/events.xml", 15),
        put("var/bigbluebutton/events/old", 15),
    ]
    stays = [
        put("var/log/nginx/access.log.1", 6),
        # Somebody still writes there.
        put("var/log/nginx/access.log", 30),
        put("var/log/syslog", 30),
        # Who came in as an administrator is not about those who are taught.
        put("var/log/auth.log.4.gz", 30),
        put("var/bigbluebutton/recording/raw/new/events.xml", 13),
        put("var/bigbluebutton/events/new", 13),
        put("var/bigbluebutton/published/presentation/kept/index.html", 400),
        put("var/bigbluebutton/deleted/presentation/binned/metadata.xml", 400),
    ]
    program.purge(now)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)
    # From the day on which it was seen in the bin, whatever its files' own dates are.
    program.purge(now + 13 * DAY)
    assert stays[-1].exists()
    program.purge(now + 15 * DAY)
    assert not stays[-1].exists()
    assert stays[-2].exists()


@pytest.mark.parametrize("place", ["recording", "recording/raw", "events", "deleted", "deleted/presentation"])
def test_what_is_too_old_is_not_looked_for_behind_a_link(
    program: types.ModuleType, tmp_path: Path, place: str
) -> None:
    """Who runs as one of BigBlueButton's users would have root remove any directory of the server."""
    import os

    now = 1_800_000_000.0
    program.WANTED.write_text(json.dumps({"purge_days": 14, "log_days": 7}))
    school = reachable(tmp_path) / "var/lib/provision-school"
    for name in ("raw/audit", "presentation/audit", "audit"):
        (school / name).mkdir(parents=True)
        (school / name / "checkpoint").write_text("signed")
    for path in (*school.rglob("*"), school):
        os.utime(path, (now - 400 * DAY, now - 400 * DAY))
    for name in ("recording/raw", "events", "deleted/presentation"):
        for path in (program.DATA / name, *(program.DATA / name).relative_to(program.DATA).parents):
            given(program.DATA / path)
    other = program.DATA / "events/old"
    other.write_text("x")
    os.utime(other, (now - 15 * DAY, now - 15 * DAY))
    as_stranger('mv "$1" "$1.away"; ln -s "$2" "$1"', program.DATA / place, school)
    before = sorted(school.rglob("*"))
    for days in (0, 20):
        with pytest.raises(
            program.BigBlueButtonError, match=f"{program.DATA / place}: not what upstream puts there"
        ):
            program.purge(now + days * DAY)
    assert sorted(school.rglob("*")) == before
    # The rest is done all the same.
    assert not other.exists()


def test_logs_are_not_looked_for_behind_a_link(program: types.ModuleType, tmp_path: Path) -> None:
    import os

    now = 1_800_000_000.0
    program.WANTED.write_text(json.dumps({"purge_days": 14, "log_days": 7}))
    logs = reachable(tmp_path) / "var/log/other"
    logs.mkdir(parents=True)
    (logs / "syslog.1").write_text("x")
    os.utime(logs / "syslog.1", (now - 400 * DAY, now - 400 * DAY))
    as_stranger('ln -s "$2" "$1/below"', given(program.LOGS[1]), logs)
    as_stranger('ln -s "$2" "$1/bbb-webrtc-sfu"', given(program.LOGS[4].parent), logs)
    with pytest.raises(program.BigBlueButtonError, match="bbb-webrtc-sfu: not what upstream puts there"):
        program.purge(now)
    assert (logs / "syslog.1").exists()


def test_what_goes_each_night_may_be_removed_by_the_unit_that_does_so(
    program: types.ModuleType, tmp_path: Path
) -> None:
    """ProtectSystem=strict lets a unit write nowhere but where it says (systemd.exec(5))."""
    unit = (paths.ROLES / "bigbluebutton/templates/provision-bigbluebutton-purge.service.j2").read_text()
    assert "ProtectSystem=strict\n" in unit
    told = re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    writable = [tmp_path / word.lstrip("-/") for line in told for word in line.split()]
    for file in (*program.LOGS, program.SYSTEM_LOGS, program.STATE, program.DATA):
        assert any(file.is_relative_to(place) for place in writable), file


# Lessons.


def meeting(name: str, people: int, *, ended: bool = False) -> str:
    return (
        f"<meeting><meetingID>{name}</meetingID><running>{str(people > 0).lower()}</running>"
        f"<participantCount>{people}</participantCount>"
        f"<hasBeenForciblyEnded>{str(ended).lower()}</hasBeenForciblyEnded></meeting>"
    )


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ("", (0, 0)),
        (meeting("a", 0), (0, 0)),
        (meeting("a", 3) + meeting("b", 20), (2, 23)),
        (meeting("a", 3, ended=True), (0, 0)),
        (meeting("provision-probe-1", 1), (0, 0)),
    ],
)
def test_a_lesson_is_a_room_with_people_that_is_not_our_own(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, listed: str, found: tuple[int, int]
) -> None:
    installed(program)
    answer = ElementTree.fromstring(
        f"<response><returncode>SUCCESS</returncode><meetings>{listed}</meetings></response>"
    )
    monkeypatch.setattr(program, "ask", lambda *_, **__: answer)
    monkeypatch.setattr(program, "true", lambda *_: True)
    assert program.busy() == {"meetings": found[0], "participants": found[1]}


@pytest.mark.parametrize(("status", "words"), [(0, ["--force"]), (75, ["--wait", "5", "--run", "r1"])])
def test_a_step_that_cuts_lessons_is_taken_only_when_the_guard_lets_it(
    program: types.ModuleType, capsys: pytest.CaptureFixture[str], status: int, words: list[str]
) -> None:
    program.GUARD.parent.mkdir(parents=True)
    program.GUARD.write_text(f'#!/bin/sh\necho "cut: $*" >&2\nexit {status}\n')
    program.GUARD.chmod(0o755)
    asked = f"cut: {' '.join(words)} restart it"
    if status:
        with pytest.raises(program.BigBlueButtonError, match=asked):
            made(program, guard=words).guard("restart it")
        return
    made(program, guard=words).guard("restart it")
    assert capsys.readouterr().err == f"{asked}\n"


@pytest.mark.parametrize(
    ("running", "left", "known"),
    [
        ({"bbb-apps-akka.service"}, {}, False),
        (set(), {}, True),
        # We have stopped it ourselves, and all else with it.
        ({"bbb-apps-akka.service"}, {"unfinished": True}, True),
    ],
)
def test_lessons_may_go_on_where_only_what_opens_rooms_is_dead(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    running: set[str],
    left: dict[str, Any],
    known: bool,
) -> None:
    installed(program, **left)
    monkeypatch.setattr(program, "true", lambda *command: command[-1] in running)
    if known:
        assert program.busy() == {"meetings": 0, "participants": 0}
        return
    with pytest.raises(program.BigBlueButtonError, match="bbb-apps-akka"):
        program.busy()
    program.RESTART.touch()
    assert program.busy() == {"meetings": 0, "participants": 0}


@pytest.fixture(name="doors")
def _doors(program: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, with whether the doors were closed then; the installer is no longer at work."""
    done: list[str] = []

    def true(*command: str) -> bool:
        if command[:2] != ("systemctl", "is-active"):
            done.append(f"{' '.join(command)}: {'closed' if program.CLOSED.exists() else 'open'}")
        return command[:2] != ("systemctl", "is-active")

    monkeypatch.setattr(program, "true", true)
    monkeypatch.setattr(program.time, "sleep", lambda _: None)
    program.LOCK.parent.mkdir(parents=True)
    return done


CLOSING, OPENING = ["nginx -t -q: closed", "systemctl reload nginx: closed"], ["systemctl reload nginx: open"]


def test_who_slips_in_before_the_installer_is_let_stay(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str]
) -> None:
    answers, asked = [1, 0], list[str]()
    monkeypatch.setattr(program, "busy", lambda: {"meetings": answers.pop(0), "participants": 9})
    monkeypatch.setattr(program.BigBlueButton, "guard", lambda _, step: asked.append(step))
    made(program).clear("the installer")
    assert (answers, asked) == ([], ["the installer"] * 2)
    assert doors == CLOSING + OPENING + CLOSING
    text = program.CLOSED.read_text()
    assert "location = /bigbluebutton/api/join {" in text
    assert "return 503" in text


@pytest.mark.parametrize("ends", [None, "the installer failed"])
def test_people_come_in_again_whatever_became_of_the_run(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str], ends: str | None
) -> None:
    def settle(self: Any) -> None:
        monkeypatch.setattr(program, "busy", lambda: {"meetings": 0, "participants": 0})
        monkeypatch.setattr(program.BigBlueButton, "guard", lambda *_: None)
        self.clear("the installer")
        if ends:
            raise program.BigBlueButtonError(ends)

    monkeypatch.setattr(program.BigBlueButton, "settle", settle)
    with pytest.raises(program.BigBlueButtonError) if ends else contextlib.nullcontext():
        program.settle(WANTED, check=False)
    assert doors == CLOSING + OPENING


def test_after_a_run_that_was_killed_people_come_in_again_when_the_installer_has_ended(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, doors: list[str]
) -> None:
    program.close_doors()
    doors.clear()
    calm = program.true
    monkeypatch.setattr(program, "true", lambda *command: program.INSTALL_UNIT in command or calm(*command))
    program.upkeep()
    assert program.CLOSED.exists()
    monkeypatch.setattr(program, "true", calm)
    program.upkeep()
    assert doors == OPENING


def test_an_nginx_that_does_not_take_it_goes_on_as_before(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "true", lambda *_: False)
    program.close_doors()
    assert not program.CLOSED.exists()
    assert "note: nginx cannot keep people out" in capsys.readouterr().err
