"""Certificates of an ACME authority, for real: Debian's pebble, certbot and nginx on two machines."""

import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from provision.lab import Lab, Machine
from tests.e2e.role_runs import Outcome, play
from tests.labs import lab_machine, ssh

SITE = "acme-site.example.test"
SECOND = "acme-second.example.test"
AUTHORITY = "acme-authority.example.test"
DIRECTORY = f"https://{AUTHORITY}:14000/dir"

PEBBLE = {
    "pebble": {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/etc/pebble/pebble.pem",
        "privateKey": "/etc/pebble/pebble.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        # Twenty days: certbot's daily timer finds it due, as it would be two months later.
        "certificateValidityPeriod": 20 * 86400,
    }
}

SET_UP_PEBBLE = f"""
set -eu
apt-get install -q -y --no-install-recommends pebble >/dev/null
mkdir -p /etc/pebble
cd /etc/pebble
cat > config.json
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=Root of a test" \\
    -keyout root.key -out root.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN={AUTHORITY}" \\
    -keyout pebble.key -out pebble.csr 2>/dev/null
printf 'subjectAltName=DNS:{AUTHORITY}' > names
openssl x509 -req -in pebble.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile names \\
    -out pebble.pem 2>/dev/null
systemd-run --quiet --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1 --setenv=PEBBLE_WFE_NONCEREJECT=0 \\
    pebble -config /etc/pebble/config.json -strict=false
for _ in $(seq 100); do
    if ss -Htln | grep -q :14000; then exit 0; fi
    sleep 0.1
done
journalctl -u pebble --no-pager >&2
exit 1
"""


@dataclass
class Scene:
    """The authority, the school's server, and what the playbook is run with."""

    authority: Machine
    server: Machine
    directory: Path

    def play(self, *options: str, **variables: Any) -> Outcome:
        wanted = {
            "nginx_sites": [
                {"name": "pad", "hostname": SITE, "locations": "location / {\n    return 200 hello;\n}\n"}
            ],
            "tls_mode": "acme",
            "tls_certificates": [{"name": "pad", "hostnames": [SITE]}],
            "tls_acme_directory": DIRECTORY,
            "tls_acme_email": "it@example.test",
            "tls_acme_ca": (self.directory / "root.pem").read_text(),
        }
        roles = ["nginx", "tls", {"role": "nginx", "entry": "sites"}]
        return play(self.server, self.directory, roles, *options, **(wanted | variables))

    def served(self) -> str:
        """The certificate that a browser is shown, in PEM form."""
        ask = f"openssl s_client -connect 127.0.0.1:443 -servername {SITE} </dev/null 2>/dev/null"
        return ssh(self.server, f"{ask} | openssl x509").stdout

    def asked(self) -> int:
        """How many orders the authority has seen."""
        log = ssh(self.authority, "journalctl -u pebble --no-pager").stdout
        return len(re.findall(r"/order-plz", log))


# One Debian is enough for what certbot and the authority say to each other; molecule has the role on both.
@pytest.fixture(scope="module", params=["trixie"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    release: str = request.param
    lab = Lab()
    with (
        lab_machine(f"acme-ca-{release}", release) as authority,
        lab_machine(f"acme-{release}", release) as server,
    ):
        lab.add_name(AUTHORITY, authority.name)
        lab.add_name(SITE, server.name)
        lab.add_name(SECOND, server.name)
        ssh(authority, SET_UP_PEBBLE, stdin=json.dumps(PEBBLE))
        directory = tmp_path_factory.mktemp("acme")
        (directory / "root.pem").write_text(ssh(authority, "cat /etc/pebble/root.pem").stdout)
        yield Scene(authority, server, directory)


def test_a_plan_asks_nothing_of_the_authority(scene: Scene) -> None:
    outcome = scene.play("--check")
    assert outcome.code == 0, outcome.text
    assert outcome.changed > 0
    assert scene.asked() == 0
    assert ssh(scene.server, "ls /etc/letsencrypt /etc/nginx", check=False).stdout == ""


def test_the_first_run_gets_a_certificate_and_serves_it(scene: Scene) -> None:
    outcome = scene.play()
    assert outcome.code == 0, outcome.text
    assert scene.asked() == 1
    issued = ssh(scene.server, "openssl x509 -noout -issuer -ext subjectAltName", stdin=scene.served()).stdout
    assert "Pebble" in issued
    assert f"DNS:{SITE}" in issued
    # As a browser that knows the authority would look at it.
    context = ssl.create_default_context(
        cadata=httpx.get(f"https://{scene.authority.address}:15000/roots/0", verify=False).text
    )
    with socket.create_connection((scene.server.address, 443), timeout=10) as plain:
        context.wrap_socket(plain, server_hostname=SITE).close()
    modes = ssh(scene.server, "stat -c '%a %U' /etc/provision/tls/pad/key.pem").stdout.strip()
    assert modes == "600 root"


def test_a_second_run_changes_nothing_and_asks_nothing(scene: Scene) -> None:
    before = scene.asked()
    outcome = scene.play()
    assert outcome.code == 0, outcome.text
    assert outcome.changed == 0, outcome.text
    assert scene.asked() == before
    plan = scene.play("--check")
    assert (plan.code, plan.changed) == (0, 0), plan.text


def test_the_daily_renewal_of_debian_renews_and_nginx_serves_the_new_one(scene: Scene) -> None:
    """Nothing is forced: the certificate is due, and the unit that certbot.timer starts is started."""
    before, orders = scene.served(), scene.asked()
    master = ssh(scene.server, "systemctl show --property=MainPID nginx").stdout
    ssh(scene.server, "systemctl is-enabled certbot.timer && systemctl start certbot.service")
    assert scene.asked() == orders + 1
    assert scene.served() != before
    # Reloaded, not restarted: nobody's connection was cut.
    assert ssh(scene.server, "systemctl show --property=MainPID nginx").stdout == master
    assert scene.play().changed == 0


def test_a_further_name_makes_a_new_certificate(scene: Scene) -> None:
    orders = scene.asked()
    outcome = scene.play(tls_certificates=[{"name": "pad", "hostnames": [SITE, SECOND]}])
    assert outcome.code == 0, outcome.text
    assert scene.asked() == orders + 1
    names = ssh(scene.server, "openssl x509 -noout -ext subjectAltName", stdin=scene.served()).stdout
    assert f"DNS:{SECOND}" in names


def test_an_authority_that_cannot_reach_the_name_is_told_in_plain_words(scene: Scene) -> None:
    outcome = scene.play(
        tls_certificates=[
            {"name": "pad", "hostnames": [SITE, SECOND]},
            {"name": "lost", "hostnames": ["acme-nowhere.example.test"]},
        ]
    )
    assert outcome.code != 0
    assert "gave no certificate for acme-nowhere.example.test" in outcome.text
    assert "port 80 must be open to the authority" in outcome.text
    assert "acme-nowhere.example.test" in outcome.text
    # What worked before works on.
    assert scene.served()
