"""What the role coturn promises, tried on the server. What is changed is put back."""

import json
import re
import shlex
from typing import Any


def served(host: Any) -> str:
    """Fingerprint of the certificate that is shown over TLS."""
    command = (
        "openssl s_client -connect 127.0.0.1:5349 < /dev/null 2> /dev/null | openssl x509 -noout -fingerprint"
    )
    return str(host.check_output(command))


def started(host: Any) -> str:
    return str(host.check_output("systemctl show coturn --property=ActiveEnterTimestampMonotonic"))


def test_a_password_of_today_opens_a_relay_and_a_wrong_one_does_not(host: Any) -> None:
    told = json.loads(host.check_output("provision-coturn probe relay"))
    assert told["state"] == "ok", told


def test_a_password_that_has_ended_opens_nothing(host: Any) -> None:
    script = (
        "import importlib.machinery as m,importlib.util as u,json,sys;sys.dont_write_bytecode=True;"
        "l=m.SourceFileLoader('c','/usr/local/sbin/provision-coturn');s=u.spec_from_loader('c',l);"
        "c=u.module_from_spec(s);l.exec_module(c);"
        "secret=json.loads(c.WANTED.read_text())['secret'];"
        "print(c.allocate(*c.credentials(secret)),c.allocate(*c.credentials(secret,-60)))"
    )
    assert host.check_output(f'python3 -c "{script}"') == "ok 401"


def test_it_denies_the_whole_world_and_allows_this_server(host: Any) -> None:
    conf = host.check_output("cat /etc/turnserver.conf")
    own = set(re.findall(r"inet6? (\S+)/\d+ .*scope global", host.check_output("ip -o address")))
    assert own <= set(re.findall(r"^allowed-peer-ip=(.*)$", conf, re.MULTILINE))
    assert "denied-peer-ip=0.0.0.0-255.255.255.255" in conf


def test_people_are_told_the_routers_address_where_there_is_one(host: Any) -> None:
    conf = host.check_output("cat /etc/turnserver.conf")
    sites = json.loads(host.check_output("cat /etc/provision/coturn.json"))["sites"]
    public = {site["public_address"] for site in sites} - {""}
    assert {told.partition("/")[0] for told in re.findall(r"^external-ip=(.*)$", conf, re.M)} == public


def test_it_runs_as_its_own_user_and_nobody_else_reads_its_secret(host: Any) -> None:
    pid = host.check_output("systemctl show coturn --property=MainPID --value")
    assert host.check_output(f"ps -o user= -p {pid}").strip() in ("turnserver", "turnser+")
    for path in ("/etc/turnserver.conf", "/etc/provision/coturn/key.pem", "/etc/provision/coturn.json"):
        assert host.run(f"runuser -u nobody -- cat {path}").rc != 0, path


def test_plain_tcp_and_the_command_line_are_shut(host: Any) -> None:
    """turnserver.conf(5): no-tcp, no-cli (5766)."""
    ports = {int(line.split()[3].rpartition(":")[2]) for line in host.check_output("ss -H -lnt").splitlines()}
    assert 5349 in ports
    assert not ports & {3478, 5766}


def test_a_new_certificate_is_shown_without_a_restart(host: Any) -> None:
    """SIGUSR2: coturn, pull request 236."""
    site = json.loads(host.check_output("cat /etc/provision/coturn.json"))["sites"][0]["name"]
    folder = f"/etc/provision/tls/{site}"
    before, since = served(host), started(host)
    host.check_output(f"cp -a {folder} /root/former")
    host.check_output(
        f"cd {folder} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=new "
        "-keyout key.pem -out fullchain.pem"
    )
    try:
        host.check_output("/etc/provision/tls/deploy.d/coturn")
        wanted = host.check_output(f"openssl x509 -noout -fingerprint -in {folder}/fullchain.pem")
        host.check_output(
            "for i in 1 2 3 4 5 6 7 8 9 10; do openssl s_client -connect 127.0.0.1:5349 < /dev/null 2> /dev/null "
            f"| openssl x509 -noout -fingerprint | grep -qxF '{wanted}' && exit 0; sleep 0.5; done; exit 1"
        )
        assert wanted != before
        assert started(host) == since
    finally:
        host.check_output(f"rm -rf {folder} && mv /root/former {folder} && provision-coturn settle")


def test_a_settled_server_has_nothing_more_to_do(host: Any) -> None:
    told = host.run("provision-coturn settle --check")
    assert (told.rc, told.stdout) == (0, "")


def test_it_is_not_restarted_under_lessons(host: Any) -> None:
    lessons = """#!/bin/sh
echo '{"meetings": 1, "participants": 24}'
"""
    host.check_output(f"printf %s {shlex.quote(lessons)} > /etc/provision/busy.d/test")
    host.check_output("chmod 755 /etc/provision/busy.d/test")
    host.check_output('sed -i.test \'s/"total_quota": [0-9]*/"total_quota": 3/\' /etc/provision/coturn.json')
    since = started(host)
    told = host.run("provision-coturn settle")
    unchanged = started(host)
    host.check_output(
        "rm /etc/provision/busy.d/test; mv /etc/provision/coturn.json.test /etc/provision/coturn.json"
    )
    host.check_output("provision-coturn settle")
    assert told.rc == 75
    assert "participants: 24" in told.stderr
    assert unchanged == since
