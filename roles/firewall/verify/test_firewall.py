"""What the role firewall promises, tried from outside. For that, two ports are listened on for a moment."""

import contextlib
import re
import socket
import time

import pytest

#: Not among the ports of any service.
CLOSED = 15773
#: Longer than a lab's or a school's network takes, shorter than a person waits.
PATIENCE = 2.0

#: Listens on IPv4 and IPv6; what comes by UDP is sent back.
LISTEN_TCP = """
import socket, time
listener = socket.create_server(("::", {port}), family=socket.AF_INET6, dualstack_ipv6=True)
time.sleep(60)
"""
ECHO_UDP = """
import socket
echo = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
echo.bind(("::", {port}))
while True:
    data, sender = echo.recvfrom(99)
    echo.sendto(data, sender)
"""


@pytest.fixture(scope="module")
def address(host):
    variables = host.ansible.get_variables()
    return variables["ansible_host"]


@contextlib.contextmanager
def listening(host, program, port):
    """A program on the server, gone after a minute at the latest."""
    host.check_output(
        "systemd-run --quiet --collect --unit=provision-verify --property=RuntimeMaxSec=60 "
        "/usr/bin/python3 -c %s",
        program.format(port=port),
    )
    try:
        for _ in range(50):
            if f":{port} " in host.check_output("ss -Htuln"):
                break
            time.sleep(0.1)
        yield
    finally:
        host.run("systemctl stop provision-verify.service")


def reaches(address, port):
    """``open``, ``refused`` (the packet came through, nobody listens) or ``dropped``."""
    try:
        with socket.create_connection((address, port), timeout=PATIENCE):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "dropped"


def test_what_is_not_allowed_is_dropped_even_if_somebody_listens(host, address):
    with listening(host, LISTEN_TCP, CLOSED):
        assert (
            host.run(f"python3 -c \"import socket;socket.create_connection(('127.0.0.1',{CLOSED}),2)\"").rc
            == 0
        )
        assert reaches(address, CLOSED) == "dropped"


def test_what_is_not_allowed_is_dropped_on_ipv6_as_well(host, address):
    device = re.search(r"dev (\S+)", host.backend.run_local(f"ip route get {address}").stdout)
    inside = re.search(r"inet6 (fe80\S+)/", host.check_output("ip -6 address show scope link"))
    if not (device and inside):
        pytest.skip("no IPv6 between here and the server")
    with listening(host, LISTEN_TCP, CLOSED):
        assert reaches(f"{inside[1]}%{device[1]}", CLOSED) == "dropped"
    assert reaches(f"{inside[1]}%{device[1]}", 22) == "open"


def ask_udp(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect((address, port))
        client.send(b"hello")
        try:
            return client.recv(99)
        except TimeoutError:
            return b""
        except ConnectionRefusedError:
            return b"refused"


def test_udp_is_dropped_unless_a_service_needs_it(host, address):
    with listening(host, ECHO_UDP, CLOSED):
        assert ask_udp(address, CLOSED) == b""
    rules = host.check_output("nft list chain inet provision input")
    for port in re.findall(r"^\s*udp dport (\d+) accept", rules, re.MULTILINE):
        with listening(host, ECHO_UDP, int(port)):
            assert ask_udp(address, int(port)) == b"hello"


def test_the_ports_of_the_services_are_open(host, address):
    rules = host.check_output("nft list chain inet provision input")
    ports = [int(port) for port in re.findall(r"^\s*tcp dport (\d+) accept", rules, re.MULTILINE)]
    for port in ports:
        assert reaches(address, port) in ("open", "refused")


def test_ssh_is_open_here(host, address):
    assert reaches(address, int(host.ansible.get_variables().get("ansible_port", 22))) == "open"


def test_the_default_is_to_drop(host):
    assert "policy drop" in host.check_output("nft list chain inet provision input")


def test_the_rules_come_back_with_the_server(host):
    assert host.service("provision-firewall").is_enabled
    kept = host.file("/var/lib/provision/firewall.nft").content_string
    assert kept == host.file("/etc/provision/firewall.nft").content_string


def test_the_rules_were_confirmed_by_a_new_connection(host):
    assert host.run("systemctl is-active provision-trial-firewall.timer").stdout.strip() != "active"


def test_tables_of_other_programs_stay(host):
    assert "flush ruleset" not in host.file("/etc/provision/firewall.nft").content_string
