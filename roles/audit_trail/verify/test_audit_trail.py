"""What the role audit_trail promises: who reads the log, and who does not. Nothing is changed."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

PLACE = "/var/lib/provision/audit"
WEB = "/var/lib/provision/audit-web"
ADDRESS = "/.well-known/provision-audit/"


@pytest.fixture(scope="module")
def wanted(host):
    return json.loads(host.file("/etc/provision/audit-trail.json").content_string)


@pytest.fixture(scope="module")
def sites(host, wanted):
    if not wanted["https"]:
        pytest.skip("this server does not serve the log")
    text = host.file("/etc/nginx/conf.d/provision-sites.conf").content_string
    return sorted(set(re.findall(r"^\s*server_name (\S+);", text, re.MULTILINE)))


@pytest.fixture(scope="module")
def trial():
    """What only a test server has: the auditor's key and the password of the address."""
    place = os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY")
    if not place or not (Path(place) / "auditor-key").exists():
        pytest.skip("nobody's key or password is at hand here")
    return Path(place)


def get(host, name, path, password=None, method="GET"):
    """An answer over HTTPS; who signed the certificate is the business of the role tls."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = host.ansible.get_variables()["ansible_host"]
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.sock = context.wrap_socket(
        socket.create_connection((address, 443), timeout=10), server_hostname=name
    )
    headers = {"Host": name}
    if password is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"auditor:{password}".encode()).decode()
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read().decode(errors="replace")


def sftp(host, trial, wanted, commands):
    variables = host.ansible.get_variables()
    login = wanted["auditors"][0]["login"]
    known = variables.get("ansible_ssh_common_args", "") + os.environ.get("ANSIBLE_SSH_ARGS", "")
    found = re.search(r"UserKnownHostsFile=(\S+)", known)
    hosts = found[1] if found else str(Path(__file__).parents[3] / ".lab/known_hosts")
    return subprocess.run(
        [
            "sftp", "-b", "-", "-F", "none", "-i", str(trial / "auditor-key"),
            "-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", "-P", str(variables.get("ansible_port", 22)),
            f"{login}@{variables['ansible_host']}",
        ],
        input=commands, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_log_is_for_root_and_auditors_only(host, wanted):
    for path in (PLACE, f"{PLACE}/{wanted['school']}"):
        place = host.file(path)
        assert (place.user, place.group, place.mode) == ("root", "auditors", 0o750)
    others = host.check_output(
        f"find {PLACE} -not -path '*/inbox*' -not -type l '(' -perm /027 -o -not -user root ')'"
    )
    assert others == ""


def test_what_is_handed_in_cannot_be_taken_away_by_another_auditor(host, wanted):
    inbox = host.file(f"{PLACE}/{wanted['school']}/inbox")
    assert (inbox.user, inbox.group, inbox.mode) == ("root", "auditors", 0o1770)


def test_auditors_have_no_shell_no_password_and_no_sudo(host, wanted):
    for person in wanted["auditors"]:
        user = host.user(person["login"])
        assert user.shell == "/usr/sbin/nologin"
        assert user.groups == ["auditors"]
        assert user.password in {"*", "!*"}
        assert "not allowed" in host.run(f"LC_ALL=C sudo -l -U {person['login']}").stdout
        keys = host.file(f"/etc/ssh/provision-audit-keys/{person['login']}")
        assert (keys.user, keys.mode) == ("root", 0o644)


def test_ssh_gives_auditors_sftp_in_their_place_and_nothing_else(host, wanted):
    for person in wanted["auditors"]:
        told = (
            host.check_output(f"sshd -T -C user={person['login']},host=aula,addr=192.0.2.1")
            .lower()
            .splitlines()
        )
        for line in (
            f"chrootdirectory {PLACE}",
            "forcecommand internal-sftp -u 0027 -p symlink,hardlink,mkdir",
            "permittty no",
            "allowtcpforwarding no",
            "allowstreamlocalforwarding no",
            "allowagentforwarding no",
            "permittunnel no",
            "passwordauthentication no",
        ):
            assert line in told


def test_the_settings_for_auditors_touch_nobody_else(host):
    told = host.check_output("sshd -T -C user=root,host=aula,addr=192.0.2.1").lower()
    assert "chrootdirectory none" in told
    assert "forcecommand none" in told


def test_accounts_without_a_place_in_the_list_have_no_key(host, wanted):
    there = set(host.check_output("ls /etc/ssh/provision-audit-keys").split())
    assert there == {person["login"] for person in wanted["auditors"]}


def test_an_auditor_reads_the_log_and_hands_in_to_the_inbox(host, wanted, trial):
    school = wanted["school"]
    mine = trial / "handed-in"
    mine.write_text("a file of the school\n")
    done = sftp(
        host, trial, wanted,
        f"get /{school}/checkpoint {trial}/fetched\nget /{school}/detail/run-1.jsonl {trial}/fetched-detail\n"
        f"put {mine} /{school}/inbox/mine\nls -l /{school}/inbox\nrm /{school}/inbox/mine\n",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (trial / "fetched").read_text() == "content of checkpoint\n"


@pytest.mark.parametrize(
    "command",
    [
        "put {mine} /{school}/checkpoint",
        "put {mine} /{school}/new",
        "rm /{school}/checkpoint",
        "rename /{school}/checkpoint /{school}/inbox/checkpoint",
        "symlink /etc/shadow /{school}/inbox/link",
        "ln /{school}/checkpoint /{school}/inbox/link",
        "mkdir /{school}/inbox/folder",
        "get /etc/passwd {mine}",
    ],
)
def test_an_auditor_changes_nothing_of_the_log_and_sees_nothing_else(host, wanted, trial, command):
    mine = trial / "mine"
    mine.write_text("a file of the school\n")
    done = sftp(host, trial, wanted, command.format(mine=mine, school=wanted["school"]) + "\n")
    assert done.returncode == 1, done.stdout
    refused = ("Permission denied", "not found", "does not support hardlink")
    assert any(words in done.stderr for words in refused), done.stderr


@pytest.mark.usefixtures("sites")
def test_the_web_server_has_no_rights_where_the_detail_is(host, wanted):
    assert host.run(f"runuser -u www-data -- ls {PLACE}").rc != 0
    assert host.run(f"runuser -u www-data -- ls {WEB}/{wanted['school']}").rc == 0
    assert host.check_output(f"find {WEB} -path '*detail*' -o -path '*inbox*' -o -path '*evidence*'") == ""
    assert host.check_output(f"find {WEB} -perm /027 -o -not -user root") == ""
    assert host.check_output("id -Gn www-data").split() == ["www-data"]


@pytest.mark.parametrize("password", [None, "wrong", ""])
def test_without_the_password_nothing_is_shown(host, sites, password):
    for name in sites:
        for path in ("checkpoint", "", "detail/run-1.jsonl", "missing"):
            answer, _ = get(host, name, ADDRESS + path, password)
            assert answer.status == 401
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_with_the_password_the_log_is_shown_and_the_detail_is_not(host, sites, trial):
    password = (trial / "web-password").read_text().strip()
    for name in sites:
        for path in ("checkpoint", "policy", "tile/0/000.p/3", "tile/entries/000.p/3", "checkpoints/3"):
            answer, text = get(host, name, ADDRESS + path, password)
            assert (answer.status, text) == (200, f"content of {path}\n")
        for path in (
            "detail/run-1.jsonl",
            "inbox/",
            "..%2fdetail/run-1.jsonl",
            "%2e%2e/detail/run-1.jsonl",
            "missing",
        ):
            answer, text = get(host, name, ADDRESS + path, password)
            # What leads above the address is another page of the site.
            assert answer.status in {400, 403, 404} or text == "hello\n", path
        assert get(host, name, ADDRESS + "checkpoint", password, "PUT")[0].status == 403
        assert get(host, name, "/")[1] == "hello\n"


@pytest.mark.usefixtures("sites")
def test_the_password_is_not_on_the_server_in_clear(host):
    file = host.file("/etc/nginx/provision-audit.htpasswd")
    assert (file.user, file.group, file.mode) == ("root", "www-data", 0o640)
    assert re.fullmatch(r"auditor:\{SSHA\}\S+\n", file.content_string)
