"""What the role bigbluebutton promises: the same questions for a lab server and for a school's.

Tests that hold lessons, restart or install are for a stand-in alone; on a school's server nobody's lesson is touched.

What upstream's programs do, and the full names of the files that are named here, stand in the role's README.md.
"""

import hashlib
import json
import secrets
import shlex
import time
import urllib.parse
from xml.etree import ElementTree

import pytest

PROGRAM = "/usr/local/sbin/provision-bigbluebutton"
PROPERTIES = "/etc/bigbluebutton/bbb-web.properties"
STAND_IN = "/usr/share/bbb-web/STAND-IN"


class Server:
    """BigBlueButton as somebody with the secret sees it."""

    def __init__(self, host):
        self.host = host
        self.secret = host.file("/etc/provision/bigbluebutton.secret").content_string.strip()
        self.name = json.loads(host.file("/etc/provision/bigbluebutton.json").content_string)["hostname"]

    def call(self, call, /, algorithm="sha256", secret=None, **parameters):
        """One signed call, over HTTPS by the server's own name (docs/docs/development/api.md, "Usage")."""
        query = urllib.parse.urlencode(parameters)
        digest = hashlib.new(algorithm, (call + query + (secret or self.secret)).encode()).hexdigest()
        url = f"https://{self.name}/bigbluebutton/api/{call}?{query + '&' if query else ''}checksum={digest}"
        return ElementTree.fromstring(self.host.check_output("curl -sS %s", url))

    def probe(self, name):
        return json.loads(self.host.check_output("%s-health probe %s", PROGRAM, name))

    def busy(self):
        return json.loads(self.host.check_output("%s busy", PROGRAM))

    def properties(self):
        lines = self.host.file(PROPERTIES).content_string.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    def settle(self, *, check=False, **changes):
        """The role's last step, with other wishes."""
        wanted = {
            "hostname": self.name,
            "email": "it@vila.test",
            "installer": "",
            "release": json.loads(
                self.host.file("/var/lib/provision/bigbluebutton/installed.json").content_string
            )["release"],
            "at_least": "",
            "mirror": "",
            "proxy": "",
            "small_host": True,
            "recording": False,
            "external_videos": False,
            "learning_dashboard": False,
            "guests": "ask",
            "purge_days": 14,
            "log_days": 7,
            "guard": [],
            **changes,
        }
        command = (
            f"printf %s {shlex.quote(json.dumps(wanted))} | {PROGRAM} settle{' --check' if check else ''}"
        )
        return self.host.run(command)


@pytest.fixture(name="server", scope="module")
def _server(host):
    return Server(host)


@pytest.fixture(name="stand_in")
def _stand_in(host):
    if not host.file(STAND_IN).exists:
        pytest.skip("a school's server: no lesson is held, and nothing restarted, to try something")
    return True


@pytest.fixture(name="lesson")
def _lesson(server, stand_in):
    """A lesson with three people in it."""
    assert stand_in
    made = server.call(
        "create", name="Mates", meetingID="lesson", moderatorPW="mp", attendeePW="ap", record="true"
    )
    assert made.findtext("returncode") == "SUCCESS"
    for name, password in (("Mestra", "mp"), ("Biel", "ap"), ("Aina", "ap")):
        server.call("join", fullName=name, meetingID="lesson", password=password, redirect="false")
    yield "lesson"
    server.call("end", meetingID="lesson", password="mp")


# Acceptance.


@pytest.mark.parametrize("name", ["api", "secret", "meeting", "media", "check"])
def test_each_probe_is_answered_well(server, name):
    """Each probe's own docstring in files/provision-bigbluebutton-health names its source."""
    assert server.probe(name)["state"] == "ok", server.probe(name)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_the_secret_of_the_vault_opens_the_api_and_another_does_not(server, algorithm):
    """Source: api.md@003e3832, "Usage" and "Error handling"; GetChecksumValidator.java@4b5d4e9e (four algorithms)."""
    assert server.call("getMeetings", algorithm).findtext("returncode") == "SUCCESS"
    wrong = server.call("getMeetings", algorithm, secret="0" * 64)
    assert (wrong.findtext("returncode"), wrong.findtext("messageKey")) == ("FAILED", "checksumError")


def test_the_certificate_is_the_one_that_was_given(host, server):
    """Source: bbb-install.sh@c8a743f1, install_haproxy (haproxy on 443 with certbundle.pem)."""
    shown = host.check_output(
        "openssl s_client -connect 127.0.0.1:443 -servername %s </dev/null 2>/dev/null | openssl x509 -outform PEM",
        server.name,
    )
    assert shown.strip() in host.file("/etc/provision/tls/bigbluebutton/fullchain.pem").content_string


def test_secrets_are_for_root_and_bigbluebutton_alone(host):
    """Source: bbb-conf@00013312, --setsecret (where the secret stands); bbb-install.sh@c8a743f1, configure_coturn (who
    may read turn-stun-servers.xml); ansible-role-bigbluebutton@0f62a6f5, configure-bbb.yml (the same for all three).
    """
    for name, mode, group in (
        (PROPERTIES, 0o640, "bigbluebutton"),
        ("/etc/bigbluebutton/bbb-apps-akka.conf", 0o640, "bigbluebutton"),
        ("/etc/bigbluebutton/turn-stun-servers.xml", 0o640, "bigbluebutton"),
        ("/etc/provision/bigbluebutton.secret", 0o600, "root"),
        ("/etc/provision/bigbluebutton.json", 0o600, "root"),
        ("/var/log/provision-bbb-install.log", 0o600, "root"),
    ):
        found = host.file(name)
        assert (found.mode, found.user, found.group) == (mode, "root", group), name


def test_the_secret_is_in_no_list_of_processes_and_in_no_log(host, server):
    mark = f"[{server.secret[0]}]{server.secret[1:]}"
    assert host.run("cat /proc/[0-9]*/cmdline | grep -a %s", mark).stdout == ""
    assert host.run("journalctl --no-pager -o cat -b | grep -a %s", mark).stdout == ""
    assert host.run("grep -rlaE %s /var/log /tmp /var/lib/provision", mark).stdout == ""


def test_settings_of_the_school_are_in_force(server):
    """Source: bigbluebutton.properties@00013312 (names and values); privacy.md@094f4cdc (what they are good for)."""
    found = server.properties()
    assert found["defaultGuestPolicy"] == "ASK_MODERATOR"
    assert found["disableRecordingDefault"] == "true"
    assert found["breakoutRoomsRecord"] == "false"
    assert set(found["disabledFeatures"].split(",")) == {"externalVideos", "learningDashboard"}
    assert found["appLogLevel"] == "ERROR"
    assert found["allowOverrideClientSettingsOnCreateCall"] == "false"


def test_what_upstreams_installer_calls_before_it_brings_it_is_there(host):
    """Source: bbb-install.sh@c8a743f1, check_version."""
    assert host.exists("curl")
    assert host.exists("wget")


def test_no_foreign_stun_or_turn_server_is_told_to_anybody(host, server):
    """Source: bbb-install.sh@c8a743f1, configure_coturn and check_nat; bbb-conf@00013312, check_configuration."""
    text = host.file("/etc/bigbluebutton/turn-stun-servers.xml").content_string
    assert f"turn:{server.name}:3478" in text
    for foreign in ("google", "freeswitch.org", "stun:"):
        assert foreign not in text
    assert "stun.freeswitch.org" not in host.file("/opt/freeswitch/etc/freeswitch/vars.xml").content_string


def test_no_address_of_a_visitor_is_kept(host, server):
    """Source: privacy.md@094f4cdc, "Logs"; bbb-install.sh@c8a743f1, install_haproxy (log-format), install_coturn."""
    mark = f"provision-verify-{secrets.token_hex(8)}"
    host.check_output("curl -sS https://%s/%s", server.name, mark)
    host.check_output("curl -sS http://%s/%s", server.name, mark)
    assert host.run("grep -rl %s /var/log/nginx /var/log/haproxy.log", mark).stdout == ""
    assert "no log" in host.file("/etc/haproxy/haproxy.cfg").content_string
    assert not host.file("/etc/turnserver.conf").contains("^verbose")


def test_ports_of_sound_and_pictures_are_open_in_the_firewall(host, server):
    """Source: configure-firewall.md@15698b34 and install.md@89dc9221 (UDP 16384 to 32768); the probe's media_ports."""
    if host.run("nft list chain inet provision input").rc:
        pytest.skip("no firewall of the role of that name here")
    assert server.probe("media")["measured"].endswith("the firewall lets their UDP ports in")


def test_logs_and_recordings_are_cleared_each_day(host):
    """Source: privacy.md@094f4cdc, "Deleted recordings remain on disk" and "Retention of cache files"."""
    assert host.service("provision-bigbluebutton-purge.timer").is_running
    assert host.service("provision-bigbluebutton-purge.timer").is_enabled
    assert host.run("systemctl start provision-bigbluebutton-purge.service").rc == 0
    assert "MaxRetentionSec=7day" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


@pytest.mark.usefixtures("stand_in")
def test_a_second_run_changes_nothing_and_runs_no_installer(host, server):
    before = host.file("/var/log/provision-bbb-install.log").mtime
    assert server.settle(check=True).stdout == ""
    assert server.settle().stdout == ""
    assert host.file("/var/log/provision-bbb-install.log").mtime == before


# Lessons.


@pytest.mark.usefixtures("lesson")
def test_how_many_lessons_and_people_there_are_is_told(server):
    """Source: get-meetings.ftlx@21f0493b (running, participantCount, hasBeenForciblyEnded)."""
    assert server.busy() == {"meetings": 1, "participants": 3}


@pytest.mark.usefixtures("stand_in")
def test_a_room_without_people_is_no_lesson(server):
    server.call("create", name="Buida", meetingID="empty", moderatorPW="mp", attendeePW="ap")
    try:
        assert server.busy() == {"meetings": 0, "participants": 0}
    finally:
        server.call("end", meetingID="empty", password="mp")


@pytest.mark.usefixtures("lesson")
def test_settings_that_need_a_restart_are_refused_while_a_lesson_runs(server):
    before = server.properties()
    refused = server.settle(external_videos=True)
    assert refused.rc == 1
    assert "lessons go on here (meetings: 1, participants: 3)" in refused.stderr
    assert "would cut them and was not taken: restart BigBlueButton" in refused.stderr
    assert server.properties() == before
    assert server.busy()["participants"] == 3
    # A plan says so, and what would be done.
    told = server.settle(check=True, external_videos=True)
    assert "restart BigBlueButton" in told.stdout
    assert "note: 1 meeting with 3 participants are running" in told.stderr


@pytest.mark.usefixtures("lesson")
def test_a_run_that_changes_nothing_goes_on_beside_a_lesson(server):
    assert server.settle().rc == 0
    assert server.busy()["participants"] == 3


@pytest.mark.usefixtures("lesson")
def test_who_insists_reads_what_was_cut(server):
    forced = server.settle(external_videos=True, guard=["--force"])
    assert forced.rc == 0, forced.stderr
    assert "note: lessons go on here (meetings: 1, participants: 3)" in forced.stderr
    assert 'cut: {"meetings": 1, "participants": 3}' in forced.stderr
    assert server.properties()["disabledFeatures"] == "learningDashboard"
    assert server.busy() == {"meetings": 0, "participants": 0}
    assert server.settle().rc == 0


@pytest.mark.usefixtures("lesson")
def test_nothing_is_recorded_though_a_course_asks_for_it(server):
    """Source: ParamsProcessorUtil.java@00240c92, processRecordMeeting; bigbluebutton.properties@00013312."""
    assert server.call("getMeetingInfo", meetingID="lesson").findtext("recording") == "false"


@pytest.mark.usefixtures("stand_in")
def test_where_recording_is_on_everybody_is_told(server):
    """Source: create.tsx@012e7212 (notifyRecordingIsOn); bigbluebutton.properties@00013312."""
    try:
        assert server.settle(recording=True).rc == 0
        found = server.properties()
        assert (found["disableRecordingDefault"], found["notifyRecordingIsOn"]) == ("false", "true")
        assert found["breakoutRoomsRecord"] == "false"
    finally:
        assert server.settle().rc == 0
    assert server.properties()["notifyRecordingIsOn"] == "false"


# What a cut run left, what somebody changed, what is new.


@pytest.mark.usefixtures("stand_in")
def test_a_restart_that_did_not_come_is_made_up_for(host, server):
    host.check_output("touch /var/lib/provision/bigbluebutton/restart")
    assert "restart BigBlueButton" in server.settle(check=True).stdout
    assert "restart BigBlueButton" in server.settle().stdout
    assert server.settle().stdout == ""


@pytest.mark.usefixtures("stand_in")
def test_settings_of_upstreams_files_are_set_again_after_an_upgrade(host, server):
    """Source: bbb-conf@00013312, start_bigbluebutton (apply-config.sh)."""
    host.check_output("sed -i '/^  no log$/d' /etc/haproxy/haproxy.cfg")
    host.check_output("sed -i '1i verbose' /etc/turnserver.conf")
    # As upstream's installer and packages end: bbb-conf runs apply-config.sh.
    host.check_output("bbb-conf --restart")
    assert server.settle(check=True).stdout == ""
    assert "no log" in host.file("/etc/haproxy/haproxy.cfg").content_string


@pytest.mark.usefixtures("stand_in")
def test_a_foreign_turn_server_is_thrown_out(host, server):
    path = "/etc/bigbluebutton/turn-stun-servers.xml"
    host.check_output("cp /usr/share/bbb-web/WEB-INF/classes/spring/turn-stun-servers.xml %s", path)
    assert f"write {path}" in server.settle().stdout
    assert "google" not in host.file(path).content_string
    assert server.probe("media")["state"] == "ok"


@pytest.mark.usefixtures("stand_in")
def test_lines_that_the_school_wrote_itself_stay(host, server):
    """Source: configuration-files.md@04a8a72e (bbb-web.properties is the server's own)."""
    host.check_output("printf 'muteOnStart=true\\n' >> %s", PROPERTIES)
    assert server.settle(guests="accept").rc == 0
    found = server.properties()
    assert (found["muteOnStart"], found["defaultGuestPolicy"]) == ("true", "ALWAYS_ACCEPT")
    host.check_output("sed -i /^muteOnStart/d %s", PROPERTIES)
    assert server.settle().rc == 0


@pytest.mark.usefixtures("stand_in")
def test_another_secret_in_the_vault_is_the_only_one_from_then_on(host, server):
    place, new = "/etc/provision/bigbluebutton.secret", "1" * 64
    try:
        host.check_output(f"echo {new} > {place}")
        assert server.settle().rc == 0
        assert server.call("getMeetings", secret=new).findtext("returncode") == "SUCCESS"
        assert server.call("getMeetings").findtext("messageKey") == "checksumError"
    finally:
        host.check_output(f"echo {server.secret} > {place}")
        assert server.settle().rc == 0
    assert server.call("getMeetings").findtext("returncode") == "SUCCESS"


@pytest.mark.usefixtures("stand_in")
def test_a_new_certificate_reaches_who_comes(host, server):
    place = "/etc/provision/tls/bigbluebutton"
    host.check_output("cp -a %s /root/certificate-before", place)
    try:
        host.check_output(
            "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=new "
            "-addext subjectAltName=DNS:%s -keyout key.pem -out fullchain.pem 2>/dev/null", place, server.name,
        )  # fmt: skip
        assert host.run("run-parts --exit-on-error /etc/provision/tls/deploy.d").rc == 0
        shown = host.check_output(
            "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -subject"
        )
        assert "CN = new" in shown
    finally:
        host.check_output("cp -a /root/certificate-before/. %s/ && rm -r /root/certificate-before", place)
        assert host.run("run-parts --exit-on-error /etc/provision/tls/deploy.d").rc == 0


@pytest.mark.usefixtures("stand_in")
def test_a_newer_release_is_planned_refused_beside_a_lesson_and_then_installed(host, server):
    newer, place = "/root/newer-bbb-install.sh", "/usr/local/lib/provision-bbb-install.sh"
    digest = host.file(newer).sha256sum
    host.check_output("cp %s %s", newer, place)
    server.call("create", name="Mates", meetingID="late", moderatorPW="mp", attendeePW="ap")
    server.call("join", fullName="Biel", meetingID="late", password="ap", redirect="false")
    told = server.settle(check=True, installer=digest, at_least="3.0.12")
    assert "run the installer of BigBlueButton jammy-300 (another installer is wanted" in told.stdout
    refused = server.settle(installer=digest, at_least="3.0.12")
    assert refused.rc == 1
    assert "would cut them and was not taken: run the installer" in refused.stderr
    assert host.file("/etc/bigbluebutton/bigbluebutton-release").contains("3.0.10")
    server.call("end", meetingID="late", password="mp")
    done = server.settle(installer=digest, at_least="3.0.12")
    assert done.rc == 0, done.stderr
    assert host.file("/etc/bigbluebutton/bigbluebutton-release").contains("3.0.12")
    # Settings and secret outlived it.
    assert server.settle(installer=digest, at_least="3.0.12").stdout == ""
    assert server.call("getMeetings").findtext("returncode") == "SUCCESS"


@pytest.mark.usefixtures("stand_in")
def test_while_the_installer_is_at_work_nobody_opens_or_enters_a_room(host, server):
    """As the installer would leave the doors, here without one. Source: nginx, ngx_http_core_module (location =)."""
    load = (
        "import importlib.machinery as m, importlib.util as u; "
        f"s = u.spec_from_loader('p', m.SourceFileLoader('p', '{PROGRAM}')); p = u.module_from_spec(s); "
        "s.loader.exec_module(p); "
    )

    def answers(call):
        address = f"https://{server.name}/bigbluebutton/api/{call}"
        return host.check_output(f"curl -sk -o /dev/null -w '%{{http_code}}' '{address}'")

    def become(wanted):
        """nginx's former processes answer for a moment after it was told to reload."""
        limit = time.monotonic() + 20
        while (found := [answers(call) for call in calls]) != wanted:
            assert time.monotonic() < limit, found
            time.sleep(0.5)

    calls = ("create", "join", "getMeetings")
    before = [answers(call) for call in calls]
    assert "503" not in before
    host.check_output(f'python3 -B -c "{load}p.close_doors()"')
    try:
        become(["503", "503", before[2]])
    finally:
        host.check_output(f'python3 -B -c "{load}p.open_doors()"')
    become(before)


@pytest.mark.usefixtures("stand_in")
def test_a_release_that_the_installer_does_not_bring_is_an_error_that_says_so(server):
    refused = server.settle(at_least="3.0.99")
    assert refused.rc == 1
    assert "3.0.99 is wanted: look at release and mirror" in refused.stderr


@pytest.mark.usefixtures("stand_in")
def test_an_installer_that_is_not_the_verified_one_is_never_run(host, server):
    before = host.file("/var/log/provision-bbb-install.log").mtime
    refused = server.settle(installer="0" * 64)
    assert refused.rc == 1
    assert "is not the file that was verified" in refused.stderr
    assert host.file("/var/log/provision-bbb-install.log").mtime == before
