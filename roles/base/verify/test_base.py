"""What the role base promises, asked of a running server. Nothing is changed."""

import json
import re
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wanted(host):
    return json.loads(host.file("/etc/provision/base.json").content_string)


@pytest.fixture(scope="module")
def sshd(host):
    """The settings that sshd really uses, by name."""
    found = {}
    for line in host.check_output("sshd -T").splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, value)
    return found


def test_ssh_refuses_every_password(host, sshd):
    assert sshd["passwordauthentication"] == "no"
    assert sshd["kbdinteractiveauthentication"] == "no"
    said = host.run(
        "ssh -v -o NumberOfPasswordPrompts=0 -o PubkeyAuthentication=no -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null root@127.0.0.1 true || echo refused"
    )
    assert said.stdout.strip() == "refused"
    offered = re.findall(r"Authentications that can continue: (.*)", said.stderr)
    assert offered
    assert {method for line in offered for method in line.strip().split(",")} == {"publickey"}


def test_root_never_comes_in_by_password(sshd):
    assert sshd["permitrootlogin"] in ("no", "without-password", "prohibit-password")


def test_ssh_forwards_neither_screens_nor_agents(sshd):
    assert sshd["x11forwarding"] == "no"
    assert sshd["allowagentforwarding"] == "no"
    assert sshd["allowtcpforwarding"] in ("no", "local")


@pytest.mark.parametrize(
    ("setting", "weak"),
    [
        ("kexalgorithms", r"sha1$|group14|nistp|group-exchange"),
        ("ciphers", r"cbc|arcfour|3des"),
        ("macs", r"sha1|md5|umac-64"),
    ],
)
def test_ssh_uses_no_weak_algorithm(sshd, setting, weak):
    offered = sshd[setting].split(",")
    assert offered
    assert [name for name in offered if re.search(weak, name)] == []


def test_the_ssh_settings_were_confirmed_by_a_new_connection(host):
    assert host.run("systemctl is-active provision-trial-ssh.timer").stdout.strip() != "active"
    active = host.file("/etc/ssh/sshd_config.d/00-provision.conf").content_string
    assert active == host.file("/etc/provision/sshd.conf").content_string


def test_operators_have_an_account_sudo_and_keys_that_only_root_writes(host, wanted):
    assert host.group("provision-operators").exists
    for person in wanted["operators"]:
        user = host.user(person["login"])
        assert "provision-operators" in user.groups
        assert user.password == "*" or person["login"] == wanted["connect_user"]
        assert host.check_output(f"runuser -u {person['login']} -- sudo -n id -u") == "0"
        keys = host.file(f"/etc/ssh/provision-keys/{person['login']}")
        assert keys.content_string.splitlines() == [key.strip() for key in person["ssh_keys"]]
        assert (keys.user, keys.mode) == ("root", 0o644)


def test_nobody_else_has_a_key_of_an_operator(host, wanted):
    listed = set(host.check_output("ls /etc/ssh/provision-keys").split())
    assert listed == {person["login"] for person in wanted["operators"]}


def test_sudo_rules_are_sound_and_not_for_everybody_to_read(host):
    rules = host.file("/etc/sudoers.d/provision-operators")
    assert (rules.user, rules.group, rules.mode) == ("root", "root", 0o440)
    host.check_output("visudo -c")


def test_support_people_have_an_account_that_can_only_ask(host, wanted):
    user = host.user("provision-health")
    assert 0 < user.uid < 1000
    assert user.groups == ["provision-health"]
    assert user.password == "*"
    assert user.shell == "/usr/local/sbin/provision-probe"
    home = host.file(user.home)
    assert (home.user, home.group, home.mode) == ("root", "root", 0o755)
    for place in host.check_output(f"find {user.home} -mindepth 1").split():
        assert (host.file(place).user, host.file(place).mode) == ("root", 0o640)
    keys = host.file("/etc/ssh/provision-health-keys")
    assert (keys.user, keys.group, keys.mode) == ("root", "root", 0o644)
    lines = keys.content_string.splitlines()
    assert len(lines) == len(wanted["support"])
    for line, person in zip(lines, wanted["support"], strict=True):
        assert line.startswith('restrict,command="/usr/local/sbin/provision-probe ssh" ' + person["key"])


def test_what_support_people_are_told_by_is_roots(host):
    for path, mode in (
        ("/usr/local/sbin/provision-probe", 0o755),
        ("/etc/provision/probe.json", 0o644),
        ("/etc/sudoers.d/provision-health", 0o440),
    ):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "root", mode)
    json.loads(host.file("/etc/provision/probe.json").content_string)
    parts = "/usr/local/lib/provision_probe"
    assert host.file(f"{parts}/asking.py").mode == 0o644
    assert host.check_output(f"find {parts} ! -user root -o ! -type l -perm /022") == ""


def test_ssh_gives_support_people_one_program_and_nothing_else(host):
    told = host.check_output("sshd -T -C user=provision-health,host=aula,addr=192.0.2.1").lower().splitlines()
    for line in (
        "forcecommand /usr/local/sbin/provision-probe ssh",
        "authorizedkeysfile /etc/ssh/provision-health-keys",
        "authenticationmethods publickey",
        "disableforwarding yes",
        "allowtcpforwarding no",
        "allowstreamlocalforwarding no",
        "allowagentforwarding no",
        "x11forwarding no",
        "permittunnel no",
        "permitopen none",
        "permitlisten none",
        "permittty no",
        "permituserrc no",
        "permituserenvironment no",
        "maxsessions 2",
    ):
        assert line in told
    assert [line for line in told if line.startswith("acceptenv")] == ["acceptenv provision_accepts_none"]
    others = host.check_output("sshd -T -C user=root,host=aula,addr=192.0.2.1").lower()
    assert "forcecommand none" in others


def test_sudo_gives_support_people_one_command_without_a_choice_in_it(host):
    allowed = host.check_output("LC_ALL=C sudo -l -U provision-health")
    commands = [line.strip() for line in allowed.partition("may run")[2].splitlines()[1:] if line.strip()]
    assert commands == ["(root : root) NOPASSWD: /usr/local/sbin/provision-probe as-root"]


def test_only_security_updates_come_by_themselves(host):
    settings = host.check_output("apt-config dump")
    origins = re.findall(
        r'^Unattended-Upgrade::(?:Origins-Pattern|Allowed-Origins):: "(.*)";', settings, re.MULTILINE
    )
    assert origins
    assert all("security" in origin.lower() for origin in origins)
    assert 'APT::Periodic::Unattended-Upgrade "1";' in settings
    assert host.service("apt-daily-upgrade.timer").is_enabled


def test_updates_ask_whether_lessons_go_on(host):
    unit = host.check_output(
        "systemctl show -p ExecCondition -p DropInPaths -p NeedDaemonReload apt-daily-upgrade.service"
    )
    assert "/usr/local/sbin/provision-busy --updates" in unit
    assert "NeedDaemonReload=no" in unit
    # It runs only when a run was put off.
    again = host.check_output("systemctl show -p Triggers -p LoadState provision-updates.timer").splitlines()
    assert set(again) == {"Triggers=apt-daily-upgrade.service", "LoadState=loaded"}


def test_the_server_does_not_restart_by_itself(host):
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in host.check_output("apt-config dump")


def test_the_journal_has_an_end(host):
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert re.search(r"^SystemMaxUse=\d+M$", settings, re.MULTILINE)
    assert re.search(r"^MaxRetentionSec=\d+day$", settings, re.MULTILINE)


def test_what_services_do_by_themselves_gives_way_to_people(host):
    assert host.check_output("systemctl show -p CPUWeight -p IOWeight background.slice").split() == [
        "CPUWeight=10",
        "IOWeight=10",
    ]


def test_time_zone_and_locale_are_those_of_the_school(host, wanted):
    assert host.file("/etc/localtime").linked_to.endswith(f"/{wanted['timezone']}")
    known = {name.lower().replace("-", "") for name in host.check_output("locale -a").split()}
    assert wanted["locale"].lower().replace("-", "") in known
    assert f"LANG={wanted['locale']}" in host.file("/etc/default/locale").content_string


def test_the_time_service_runs_where_there_is_a_clock_to_set_and_serves_nobody(host):
    assert host.package("chrony").is_installed
    if host.run("systemd-detect-virt --container").rc != 0:
        assert host.service("chrony").is_running
    ports = re.findall(r"[:\]](\d+)\s", host.check_output("ss -Huln"))
    assert not {"123", "323"} & set(ports)


def test_kernel_settings_hold_where_the_machine_lets_them(host):
    written = host.file("/etc/sysctl.d/60-provision.conf").content_string
    assert "kernel.dmesg_restrict = 1" in written
    if host.run("systemd-detect-virt --container").rc != 0:
        assert host.sysctl("kernel.dmesg_restrict") == 1
        assert host.sysctl("net.ipv4.tcp_syncookies") == 1


def test_an_operator_comes_in_with_the_listed_key(host, wanted):
    """From here, where the molecule scenario's operator has the key that molecule uses."""
    variables = host.ansible.get_variables()
    key = variables.get("ansible_private_key_file", "")
    logins = [person["login"] for person in wanted["operators"]]
    if not key:
        pytest.skip("the private keys of a real school's operators are not here")
    options = ["-F", "none", "-i", key, "-p", str(variables.get("ansible_port", 22))]
    for option in (
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={Path(key).with_name('known_hosts')}",
    ):
        options += ["-o", option]
    done = subprocess.run(
        ["ssh", *options, f"{logins[0]}@{variables['ansible_host']}", "sudo -n id -un"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "root", done.stderr
