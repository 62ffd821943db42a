"""What the roles' PHP is worth: a page of Moodle and one of Nextcloud under load, beside Debian's default pool."""

import base64
import hashlib
import os
import re
import statistics
import sys
from functools import partial
from pathlib import Path
from unittest import mock

from provision.artifacts import ArtifactCache
from tests.bench.figures import Figure, Part, in_turns
from tests.bench.stage import Stage
from tests.labs import ssh
from tests.standins.moodle.pack import pack as pack_moodle
from tests.standins.nextcloud.pack import pack as pack_nextcloud

SERVICES = {"moodle": "moodle.escola-prova.test", "nextcloud": "nuvol.escola-prova.test"}
#: Page of each service, and what it holds when it is the right one.
PAGES = {"moodle": ("/login/index.php", "logintoken"), "nextcloud": ("/status.php", '"installed":true')}
#: Names of archives of each service in the artifact cache.
ARCHIVES = {"moodle": "moodle-*.tgz", "nextcloud": "nextcloud-*.tar.bz2"}
STAND_INS = {"moodle": ("5.1.3", pack_moodle), "nextcloud": ("32.0.2", pack_nextcloud)}
ROUNDS, SECONDS, CONNECTIONS = 3, 10, 16
#: Where the files of the other PHP lie on the server.
PLACE = "/etc/provision-bench"
#: What each service's own settings say besides, where there is no Redis and no APCu.
WITHOUT_REDIS = {
    "moodle": (
        "/etc/moodle/config.php",
        "$CFG->session_handler_class = '\\core\\session\\file';\n"
        "$CFG->altcacheconfigpath = '/var/lib/moodle/provision-bench';\n",
    ),
    "nextcloud": (
        "/var/lib/nextcloud/config/provision.config.php",
        "unset($CONFIG['memcache.local'], $CONFIG['memcache.distributed'], $CONFIG['memcache.locking'],\n"
        "    $CONFIG['redis']);\n",
    ),
}
# As root on the server: Debian's own pool, as it is delivered, once for each service, with its master as root. Only
# whose it is and its socket differ. Both PHPs run side by side; which one nginx asks is one word of its settings.
SET_UP = """
set -eu
services=$(ls -d /etc/provision/php/*/ | xargs -n 1 basename)
version=$(sed -n 's/.*"version": "\\(.*\\)".*/\\1/p' /etc/provision/php.json)
apt-get -qq install -y curl wrk > /dev/null
echo "127.0.0.1 $NAMES" >> /etc/hosts
mkdir -p "$PLACE/pools"
printf '%s\\n' '[global]' 'daemonize = no' 'error_log = syslog' "include = $PLACE/pools/*.conf" > "$PLACE/fpm.conf"
for service in $services; do
    sed -e "s/^\\[www\\]/[$service]/" -e "s/^\\(user\\|group\\) = .*/\\1 = $service/" \\
        -e "s#^listen = .*#listen = /run/provision-bench/$service.sock#" \\
        "/etc/php/$version/fpm/pool.d/www.conf" > "$PLACE/pools/$service.conf"
    echo 'php_admin_flag[opcache.enable] = off' >> "$PLACE/pools/$service.conf"
    # Without these the services do not run at all.
    grep -E '^(max_input_vars|memory_limit|date.timezone) ' "/etc/provision/php/$service/90-provision.ini" |
        sed 's/^\\([^ ]*\\) /php_admin_value[\\1] /' >> "$PLACE/pools/$service.conf"
done
install -d -o moodle -g moodle /var/lib/moodle/provision-bench
systemd-run --quiet --unit provision-bench-php -p Type=notify -p RuntimeDirectory=provision-bench $BINDS \\
    "/usr/sbin/php-fpm$version" --nodaemonize --fpm-config "$PLACE/fpm.conf"
cp /etc/nginx/conf.d/provision-sites.conf "$PLACE/role.conf"
sed 's#unix:/run/php-\\([a-z]*\\)/fpm.sock#unix:/run/provision-bench/\\1.sock#' "$PLACE/role.conf" \\
    > "$PLACE/debian.conf"
if cmp -s "$PLACE/role.conf" "$PLACE/debian.conf"; then echo "nginx asks no PHP" >&2; exit 1; fi
"""
# Another PHP, and what the page says with it: the first answer of a worker compiles everything and fills caches.
SWITCH = """
set -eu
cp "$PLACE/$KIND.conf" /etc/nginx/conf.d/provision-sites.conf
systemctl reload nginx
sleep 1
for number in 1 2 3 4; do curl --silent --show-error --insecure --fail "$URL" > "$PLACE/page"; done
cat "$PLACE/page"
"""


def measure(stage: Stage) -> Part:
    """Measure, on a server of its own with both services."""
    own = stage.another("web", SERVICES)
    mirror = stand_ins(own.scratch / "mirror")
    with mock.patch.dict(os.environ, {"PROVISION_MIRROR": str(mirror)} if mirror else {}), own.open():
        versions = own.installed
        if missing := SERVICES.keys() - versions.keys():
            sys.exit(f"{' and '.join(sorted(missing))} could not be installed: nothing to put a load on")
        for service in versions:
            versions[service] += ", a stand-in" if is_stand_in(own, service) else ", the real one"
        set_up(own)
        rounds = 1 if own.small else ROUNDS
        own.say(f"web: {rounds} rounds of {SECONDS} seconds for each page and each PHP")
        series = in_turns(
            rounds,
            {
                f"{service}_{kind}": partial(load, own, service, kind)
                for service in SERVICES
                for kind in ("role", "debian")
            },
        )
    medians = {name: statistics.median(values) for name, values in series.items()}
    figures = []
    for service, version in versions.items():
        page, _ = PAGES[service]
        ratio = medians[f"{service}_role"] / medians[f"{service}_debian"]
        figures += [
            Figure(
                f"{service}_role",
                f"(a) {service} {version}, {page}, as the roles set it up",
                medians[f"{service}_role"],
                "answers/s",
                beside=f"{ratio:.1f} times (b)",
                digits=1,
            ),
            Figure(
                f"{service}_debian",
                "(b) the same with Debian's default pool, without OPcache and Redis",
                medians[f"{service}_debian"],
                "answers/s",
                digits=1,
            ),
        ]
    return Part("web", f"Pages under load: wrk with {CONNECTIONS} connections on the server itself", figures)


def stand_ins(directory: Path) -> Path | None:
    """Pack a stand-in of each service that the artifact cache has no archive of.

    Args:
        directory: is made, and is a mirror then.

    Returns:
        The mirror; None when nothing is missing.
    """
    cache = ArtifactCache().directory
    missing = {service for service, archive in ARCHIVES.items() if not list(cache.glob(archive))}
    if not missing:
        return None
    directory.mkdir()
    for service in missing:
        version, pack = STAND_INS[service]
        pack(version, directory)
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in directory.iterdir()]
    (directory / "SHA256SUMS").write_text("".join(sums))
    return directory


def is_stand_in(stage: Stage, service: str) -> bool:
    """Whether what runs is a small program of ours: each says so where its release stands."""
    said = run(stage, f"cd /opt/{service}/current && cat version.php public/version.php 2> /dev/null || true")
    return "stand-in" in said


def set_up(stage: Stage) -> None:
    """Put the other PHP beside the roles' own."""
    stage.say("web: setting up Debian's default pool beside the roles' own")
    binds = []
    for service, (file, more) in WITHOUT_REDIS.items():
        text = run(stage, f"cat {file}")
        copy = f"{PLACE}/{service}.php"
        encoded = base64.b64encode((text + "\n" + more).encode()).decode()
        # Its owner and mode too: there are secrets in it.
        run(
            stage,
            f"mkdir -p {PLACE} && install -m 0600 /dev/null {copy} && base64 -d > {copy} "
            f"&& chown --reference={file} {copy} && chmod --reference={file} {copy}",
            stdin=encoded,
        )
        binds.append(f"-p BindReadOnlyPaths={copy}:{file}")
    run(stage, f"NAMES='{' '.join(SERVICES.values())}' PLACE={PLACE} BINDS='{' '.join(binds)}'\n{SET_UP}")


def load(stage: Stage, service: str, kind: str) -> float:
    """Answers a second of a service's page with one of the two PHPs.

    Args:
        kind: ``role`` or ``debian``.
    """
    page, holds = PAGES[service]
    url = f"https://{SERVICES[service]}{page}"
    text = run(stage, f"PLACE={PLACE} KIND={kind} URL={url}\n{SWITCH}")
    if holds not in text:
        sys.exit(f"{url} is not the page that it should be ({kind}):\n{text[:2000]}")
    seconds = 2 if stage.small else SECONDS
    said = run(
        stage, f"wrk --threads 2 --connections {CONNECTIONS} --duration {seconds}s --timeout 30s {url}"
    )
    found = re.search(r"^Requests/sec:\s+([\d.]+)", said, re.MULTILINE)
    if not found or "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"wrk did not get the page each time ({service}, {kind}):\n{said}")
    return float(found[1])


def run(stage: Stage, command: str, stdin: str = "") -> str:
    """Run a shell script on the server as root, and give what it says."""
    return ssh(stage.school.machine, command, stdin=stdin).stdout
