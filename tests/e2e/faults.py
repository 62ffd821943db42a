"""Ways in which a school's server breaks, each with the question that must notice it and the sentence to be said.

``test_health.py`` breaks a healthy school in each way; ``fault_table.py`` writes the same list for people to read.
"""

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal

MOODLE, CLOUD, PAD = "moodle.escola-prova.test", "nuvol.escola-prova.test", "pad.escola-prova.test"
TLS = "/etc/provision/tls/moodle"


@dataclass(frozen=True)
class Fault:
    """One way.

    Args:
        what: in words, for the table.
        broken, mended: what root runs on the server.
        where: ``service/probe`` that must turn.
        state: into what.
        words: of the sentence: ``kind/variant`` of ``provision.health.words``, ``outside:CAUSE``, ``door:NAME``, or
            ``own:CODE`` of the service's own program.
        also: other questions that rightly turn, as patterns of ``service/probe``.
        blinds: it keeps us from looking inside, so that all other questions to the inside may be unknown.
    """

    id: str
    what: str
    broken: str
    mended: str
    where: str
    words: str
    state: Literal["warning", "problem", "unreachable", "unknown"] = "problem"
    also: tuple[str, ...] = ()
    blinds: bool = False

    def explains(self, where: str, state: str) -> bool:
        """Whether a question that turned is this one, or one that rightly turns with it."""
        if where == self.where or any(fnmatch(where, pattern) for pattern in self.also):
            return True
        return self.blinds and state == "unknown"


def _unit(unit: str, service: str, probe: str, *also: str) -> tuple[Fault, ...]:
    return (
        Fault(
            f"stopped {unit}", f"`{unit}` is stopped", f"systemctl stop {unit}", f"systemctl start {unit}",
            f"{service}/{probe}", "unit/stopped", also=(f"{service}/*", *also),
        ),
    )  # fmt: skip


def _certificate(
    id_: str, what: str, command: str, words: str, state: Literal["problem", "warning"] = "problem"
) -> Fault:
    return Fault(
        id_, what,
        f"cp -a {TLS} /root/tls && {command}",
        f"rm -rf {TLS} && mv /root/tls {TLS}",
        "moodle/certificate-file", words, state, ("host/files",),
    )  # fmt: skip


def _drop_in(unit: str, line: str) -> tuple[str, str]:
    folder = f"/etc/systemd/system/{unit}.d"
    return (
        f"mkdir -p {folder} && printf '[Service]\\n{line}\\n' > {folder}/fault.conf && systemctl daemon-reload",
        f"rm -r {folder} && systemctl daemon-reload && systemctl reset-failed {unit} ; ",
    )


def _file(path: str, command: str) -> tuple[str, str]:
    """Something is done to a file; how it was before is put back."""
    return f"cp -a {path} /root/before && {command}", f"cp -a /root/before {path}"


def _nginx(path: str, change: str) -> tuple[str, str]:
    """A setting of nginx is changed by hand."""
    reload_ = "nginx -t -q && systemctl reload nginx && sleep 1"
    return (
        f"cp -a {path} /root/before && sed -i '{change}' {path} && {reload_}",
        f"cp -a /root/before {path} && {reload_}",
    )


# As often as it likes: systemd's own patience with it is another fault.
_LOOP = _drop_in(
    "etherpad.service",
    "ExecStart=\\nExecStart=/bin/false\\nRestart=always\\nRestartSec=2\\n[Unit]\\nStartLimitIntervalSec=0",
)
_FAILS = _drop_in("etherpad.service", "ExecStart=\\nExecStart=/bin/false\\nRestart=no")
_CRON = _drop_in("provision-moodle-cron.service", "ExecStart=\\nExecStart=/bin/false")
_HBA = _file(
    "/etc/postgresql/15/main/pg_hba.conf",
    "sed -i '1i local nextcloud nextcloud reject' /etc/postgresql/15/main/pg_hba.conf",
)
_CERT = f"cp /root/certificates/{{}}.pem {TLS}/fullchain.pem"
_HEADERS = "/etc/nginx/snippets/provision-headers.conf"
_SITES = "/etc/nginx/conf.d/provision-sites.conf"
_PSQL = "runuser -u postgres -- psql -Xq -c"
_ALL_PAGES = ("etherpad/*", "moodle/*", "nextcloud/*")

FAULTS: tuple[Fault, ...] = (
    # --- programs
    *_unit("etherpad.service", "etherpad", "unit"),
    *_unit("nginx.service", "host", "unit:nginx.service", *_ALL_PAGES),
    *_unit("provision-php@moodle.service", "moodle", "pool"),
    *_unit("provision-php@nextcloud.service", "nextcloud", "pool"),
    *_unit("provision-redis@moodle_sessions.service", "moodle", "sessions"),
    *_unit("provision-redis@nextcloud.service", "nextcloud", "unit:provision-redis@nextcloud.service"),
    Fault(
        "crash loop",
        "a service ends each time that it starts",
        f"{_LOOP[0]} && systemctl restart etherpad; sleep 6",
        f"{_LOOP[1]} systemctl restart etherpad",
        "etherpad/unit",
        "unit/looping",
        also=("etherpad/*", "host/units-failed"),
    ),
    Fault(
        "failed",
        "a service has failed and stays down",
        f"{_FAILS[0]} && systemctl restart etherpad || true; sleep 1",
        f"{_FAILS[1]} systemctl restart etherpad",
        "etherpad/unit",
        "unit/failed",
        also=("etherpad/*", "host/units-failed"),
    ),
    Fault(
        "restarts",
        "a service was killed and started again three times",
        "for n in 1 2 3; do systemctl kill -s KILL etherpad; sleep 8; done; /root/wait-for-pads",
        "true",
        "etherpad/unit",
        "unit/restarts",
        "warning",
    ),
    Fault(
        "out of memory",
        "the kernel ended a service for its memory",
        "printf 'MESSAGE=killed\\nPRIORITY=4\\n"
        "MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef\\nUNIT=etherpad.service\\n' | "
        "logger --journald",
        "true",
        "etherpad/unit",
        "unit/memory",
        "warning",
    ),
    Fault(
        "not installed",
        "a service's unit is gone",
        "mv /etc/systemd/system/etherpad.service /root/ && systemctl daemon-reload && systemctl stop etherpad",
        "mv /root/etherpad.service /etc/systemd/system/ && systemctl daemon-reload && systemctl start etherpad",
        "etherpad/unit",
        "unit/missing",
        also=("etherpad/*", "host/files"),
    ),
    Fault(
        "not at start",
        "a service does not start with the server",
        "systemctl disable -q etherpad",
        "systemctl enable -q etherpad",
        "etherpad/unit",
        "unit/disabled",
        "warning",
    ),
    Fault(
        "wrong address",
        "a service can be reached from everywhere",
        "cp -a /etc/etherpad/settings.json /root/before && "
        'sed -i \'s/"ip": *"127.0.0.1"/"ip": "0.0.0.0"/\' /etc/etherpad/settings.json && '
        "systemctl restart etherpad && /root/wait-for-pads",
        "cp -a /root/before /etc/etherpad/settings.json && systemctl restart etherpad",
        "etherpad/bound:9001",
        "bound/open",
        also=("host/files",),
    ),
    Fault(
        "other program",
        "another program took the service's place",
        "systemctl stop etherpad && systemd-run -q --unit=thief "
        "python3 -m http.server 9001 --bind 127.0.0.1 --directory /usr/share/doc; sleep 1",
        "systemctl stop thief; systemctl start etherpad",
        "etherpad/api",
        "loopback/other",
        also=("etherpad/*",),
    ),
    Fault(
        "other unit failed",
        "something else on the server has failed",
        "systemd-run -q --unit=strange false; sleep 1",
        "systemctl reset-failed",
        "host/units-failed",
        "units-failed/some",
        "warning",
    ),
    # --- what they lean on
    Fault(
        "database down",
        "PostgreSQL is stopped",
        "systemctl stop postgresql@15-main",
        "systemctl start postgresql@15-main",
        "moodle/database:moodle",
        "database/down",
        also=_ALL_PAGES,
    ),
    Fault(
        "database refuses",
        "the database does not let the service in",
        f"{_HBA[0]} && systemctl reload postgresql@15-main && "
        f"{_PSQL} \"select pg_terminate_backend(pid) from pg_stat_activity where datname='nextcloud'\" >/dev/null",
        f"{_HBA[1]} && systemctl reload postgresql@15-main",
        "nextcloud/database:nextcloud",
        "database/refused",
        also=("nextcloud/*", "host/files"),
    ),
    Fault(
        "database gone",
        "the service's database is not there",
        f"systemctl stop etherpad && {_PSQL} 'alter database etherpad rename to lost'",
        f"{_PSQL} 'alter database lost rename to etherpad' && systemctl start etherpad",
        "etherpad/database:etherpad",
        "database/missing",
        also=("etherpad/*",),
    ),
    Fault(
        "database read only",
        "the database takes nothing more",
        f"{_PSQL} 'alter system set default_transaction_read_only=on' && systemctl reload postgresql@15-main",
        f"PGOPTIONS='-c default_transaction_read_only=off' {_PSQL} "
        "'alter system reset default_transaction_read_only' && "
        "systemctl reload postgresql@15-main",
        "moodle/database:moodle",
        "database/read-only",
        also=_ALL_PAGES,
    ),
    Fault(
        "database crowded",
        "the database has hardly a connection left",
        "runuser -u postgres -- sh -c 'for n in $(seq 182); do "
        'psql -Xq -c "select pg_sleep(60)" >/dev/null 2>&1 & done; sleep 4\'',
        f"{_PSQL} \"select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' "
        'and pid<>pg_backend_pid()" >/dev/null; sleep 1',
        "moodle/database:moodle",
        "database/crowded",
        "warning",
        also=("*/database:*",),
    ),
    Fault(
        "redis full",
        "a store that may throw nothing away is full",
        "runuser -u nextcloud -- sh -c 'redis-cli -s /run/redis-nextcloud/redis.sock "
        "config set maxmemory-policy noeviction; "
        "redis-cli -s /run/redis-nextcloud/redis.sock config set maxmemory 1kb' >/dev/null",
        "systemctl restart provision-redis@nextcloud",
        "nextcloud/redis:nextcloud",
        "redis/full",
        also=("nextcloud/*",),
    ),
    Fault(
        "php exhausted",
        "every worker of PHP is busy",
        "systemctl kill -s STOP --kill-whom=all provision-php@moodle",
        "systemctl kill -s CONT --kill-whom=all provision-php@moodle",
        "moodle/php-fpm",
        "php-fpm/exhausted",
        also=("moodle/*",),
    ),
    Fault(
        "php socket gone",
        "nothing leads to PHP any more",
        "rm /run/php-moodle/fpm.sock",
        "systemctl restart provision-php@moodle",
        "moodle/php-fpm",
        "php-fpm/gone",
        also=("moodle/*",),
    ),
    # --- certificates (those of /root/certificates are made by the test, for the key that is there)
    _certificate(
        "certificate expired",
        "the certificate has ended",
        _CERT.format("expired"),
        "certificate-file/expired",
    ),
    _certificate(
        "certificate ends",
        "the certificate ends in five days",
        _CERT.format("ending"),
        "certificate-file/ending",
        "warning",
    ),
    _certificate(
        "certificate of another name",
        "the certificate is for another name",
        _CERT.format("other"),
        "certificate-file/name",
    ),
    _certificate(
        "certificate too early",
        "the certificate is not valid yet",
        _CERT.format("early"),
        "certificate-file/early",
    ),
    _certificate(
        "key of another",
        "the key belongs to another certificate",
        f"openssl ecparam -genkey -name prime256v1 -noout -out {TLS}/key.pem",
        "certificate-file/key-other",
    ),
    _certificate("key damaged", "the key is damaged", f"echo x > {TLS}/key.pem", "certificate-file/key"),
    _certificate(
        "certificate damaged",
        "the certificate is damaged",
        f"echo x > {TLS}/fullchain.pem",
        "certificate-file/damaged",
    ),
    _certificate(
        "certificate gone", "the certificate is gone", f"rm {TLS}/fullchain.pem", "certificate-file/missing"
    ),
    _certificate(
        "key open",
        "everybody on the server can read the key",
        f"chmod 0644 {TLS}/key.pem",
        "certificate-file/key-open",
        "warning",
    ),
    Fault(
        "certificate served",
        "browsers get a certificate that has ended",
        f"cp -a {TLS} /root/tls && {_CERT.format('expired')} && systemctl reload nginx; sleep 1",
        f"rm -rf {TLS} && mv /root/tls {TLS} && systemctl reload nginx; sleep 1",
        "moodle/tls",
        "outside:certificate",
        also=("moodle/*",),
    ),
    # --- the site
    Fault(
        "error page",
        "the site answers with an error",
        *_nginx(_SITES, f"s/server_name {PAD};/server_name {PAD}; return 503;/"),
        "etherpad/page",
        "outside:status",
        also=("etherpad/*", "host/files"),
    ),
    Fault(
        "exposed",
        "what must be closed can be seen from the internet",
        *_nginx(_SITES, "s/|stats|/|gone|/"),
        "etherpad/stats_closed",
        "outside:exposed",
        also=("host/files",),
    ),
    Fault(
        "headers gone",
        "somebody took the protections of browsers away",
        *_nginx(_HEADERS, "/Referrer-Policy/d"),
        "moodle/headers",
        "door:headers",
        "warning",
        also=("*/headers", "host/files"),
    ),
    Fault(
        "old protocol",
        "the server speaks a protocol that can be listened to",
        *_nginx(
            "/etc/nginx/nginx.conf",
            "s/ssl_protocols .*/ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;/; "
            "s/ssl_ciphers .*/ssl_ciphers ALL:@SECLEVEL=0;/",
        ),
        "moodle/tls",
        "door:old",
        "warning",
        also=("*/tls", "host/files"),
    ),
    Fault(
        "slow",
        "answers take seconds",
        *_nginx(
            _SITES,
            "1i limit_req_zone $server_name zone=slow:1m rate=15r/m;\n"
            f"s/server_name {MOODLE};/& limit_req zone=slow burst=99;/",
        ),
        "moodle/answer",
        "door:slow",
        "warning",
        also=("moodle/*", "host/files"),
    ),
    Fault(
        "web shut",
        "the firewall lets nobody in to the web server",
        "nft insert rule inet provision input tcp dport '{ 80, 443 }' drop",
        "/usr/local/sbin/provision-firewall settle >/dev/null; systemctl restart provision-firewall",
        "etherpad/page",
        "outside:silent",
        "unreachable",
        also=(*_ALL_PAGES, "host/firewall"),
    ),
    # --- the server
    Fault(
        "firewall gone",
        "the firewall's rules are not there",
        "nft delete table inet provision",
        "systemctl restart provision-firewall",
        "host/firewall",
        "firewall/gone",
    ),
    Fault(
        "firewall open",
        "the firewall lets in what is not forbidden",
        "nft chain inet provision input '{ policy accept; }'",
        "systemctl restart provision-firewall",
        "host/firewall",
        "firewall/open",
    ),
    Fault(
        "firewall changed",
        "somebody has opened a port by hand",
        "nft add rule inet provision input tcp dport 8080 accept",
        "systemctl restart provision-firewall",
        "host/firewall",
        "firewall/changed",
    ),
    Fault(
        "disk full",
        "a disk is full",
        "head -c $(df --output=avail -B1 /tmp | tail -1) /dev/zero > /tmp/full || true",
        "rm -f /tmp/full",
        "host/disk:/tmp",
        "disk/full",
    ),
    Fault(
        "inodes full",
        "a disk has room, but not for one more file",
        "mount -o remount,nr_inodes=60 /tmp && (cd /tmp && seq 100 | xargs -n1 touch) 2>/dev/null; true",
        "cd /tmp && seq 100 | xargs rm -f && mount -o remount,nr_inodes=400k /tmp",
        "host/inodes:/tmp",
        "inodes/full",
        # What Moodle does every minute needs a file in there.
        also=("moodle/timer",),
    ),
    Fault(
        "disk filling",
        "a disk will be full in some days",
        "cp -a /var/lib/provision/probe/disks.json /root/before; "
        "python3 -c \"import json,os,time; s=os.statvfs('/'); used=(s.f_blocks-s.f_bfree)*s.f_frsize; "
        "free=s.f_bavail*s.f_frsize; now=int(time.time()); "
        "json.dump({'samples': [[now-3600*h, {'/': used-free*h//(24*9)}] for h in range(72,0,-1)]}, "
        "open('/var/lib/provision/probe/disks.json','w'))\"",
        "cp -a /root/before /var/lib/provision/probe/disks.json",
        "host/disk:/",
        "disk/filling",
        "warning",
    ),
    Fault(
        "update waits",
        "a security update waits",
        "printf 'Package: openssl\nVersion: 99.0\nArchitecture: amd64\n\n' > "
        '"/var/lib/apt/lists/x_dists_bookworm-security_main_binary-$(dpkg --print-architecture)_Packages"',
        "rm /var/lib/apt/lists/x_dists_bookworm-security_*",
        "host/updates",
        "updates/waiting",
        "warning",
    ),
    Fault(
        "no updates looked for",
        "the server has not looked for updates for days",
        "find /var/lib/apt/periodic /var/lib/apt/lists -maxdepth 1 -exec touch -d '9 days ago' {} +",
        "touch /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp",
        "host/updates",
        "updates/old",
        "warning",
    ),
    Fault(
        "reboot",
        "the server has to be started anew",
        "touch /run/reboot-required",
        "rm /run/reboot-required",
        "host/reboot",
        "reboot/needed",
        "warning",
    ),
    Fault(
        "errors",
        "something complains all the time",
        'for n in $(seq 30); do logger -p user.err -t strange "disk sda: error $n"; done; sleep 1',
        "true",
        "host/journal",
        "journal/many",
        "warning",
    ),
    Fault(
        "file edited",
        "somebody has changed a setting by hand",
        *_file("/etc/moodle/config.php", "echo '// quick fix' >> /etc/moodle/config.php"),
        "host/files",
        "files/changed",
        "warning",
    ),
    Fault(
        "mode changed",
        "everybody may read a file with a secret",
        *_file("/etc/moodle/config.php", "chmod 0644 /etc/moodle/config.php"),
        "host/files",
        "files/changed",
        "warning",
    ),
    Fault(
        "owner changed",
        "a program may change its own settings",
        *_file("/etc/moodle/config.php", "chown moodle /etc/moodle/config.php"),
        "host/files",
        "files/changed",
        "warning",
    ),
    Fault(
        "file gone",
        "somebody has removed a file of ours",
        *_file("/etc/sudoers.d/provision-operators", "rm /etc/sudoers.d/provision-operators"),
        "host/files",
        "files/changed",
        "warning",
    ),
    Fault(
        "timer stopped",
        "a regular task is not started any more",
        "systemctl stop provision-moodle-cron.timer",
        "systemctl start provision-moodle-cron.timer",
        "moodle/timer",
        "timer/stopped",
        also=("moodle/state",),
    ),
    Fault(
        "timer fails",
        "a regular task fails each time",
        f"{_CRON[0]} && systemctl start provision-moodle-cron.service || true",
        f"{_CRON[1]} systemctl start provision-moodle-cron.service",
        "moodle/timer",
        "timer/failed",
        also=("moodle/state", "host/units-failed"),
    ),
    Fault(
        "no updates by themselves",
        "the server no longer looks for updates by itself",
        "systemctl stop apt-daily.timer",
        "systemctl start apt-daily.timer",
        "host/timer:apt-daily.timer",
        "timer/stopped",
        "warning",
    ),
    Fault(
        "run unknown",
        "somebody else has changed the server with provision",
        *_file(
            "/etc/provision/last-run.json",
            'sed -i \'s/"run": *"[^"]*"/"run": "20990101T000000Z-ffffff"/\' /etc/provision/last-run.json',
        ),
        "host/last-run",
        "last-run/unknown",
    ),
    Fault(
        "run broken off",
        "the last run has not ended",
        *_file(
            "/etc/provision/last-run.json",
            'sed -i \'s/"outcome": *"[^"]*"/"outcome": "started"/\' /etc/provision/last-run.json',
        ),
        "host/last-run",
        "last-run/open",
        "warning",
    ),
    Fault(
        "run failed",
        "the last run has failed",
        *_file(
            "/etc/provision/last-run.json",
            'sed -i \'s/"outcome": *"[^"]*"/"outcome": "failed"/\' /etc/provision/last-run.json',
        ),
        "host/last-run",
        "last-run/failed",
        "warning",
    ),
    Fault(
        "no run",
        "nobody knows of a run",
        *_file("/etc/provision/last-run.json", "rm /etc/provision/last-run.json"),
        "host/last-run",
        "last-run/none",
        "warning",
    ),
    Fault(
        "probe gone",
        "the probe program is not there",
        "mv /usr/local/sbin/provision-probe /root/",
        "mv /root/provision-probe /usr/local/sbin/",
        "host/probe",
        "probe/missing",
        "warning",
        blinds=True,
    ),
    Fault(
        "probe other",
        "another program took the probe's place",
        "mv /usr/local/sbin/provision-probe /root/ && printf '#!/bin/sh\necho hello\n' > "
        "/usr/local/sbin/provision-probe && "
        "chmod 755 /usr/local/sbin/provision-probe",
        "mv /root/provision-probe /usr/local/sbin/",
        "host/probe",
        "probe/strange",
        blinds=True,
    ),
    # --- the applications
    Fault(
        "moodle in maintenance",
        "Moodle was left in maintenance",
        "runuser -u moodle -- php-moodle /opt/moodle/current/admin/cli/maintenance.php --enable >/dev/null",
        "runuser -u moodle -- php-moodle /opt/moodle/current/admin/cli/maintenance.php --disable >/dev/null",
        "moodle/state",
        "own:maintenance",
        also=("moodle/*",),
    ),
    Fault(
        "nextcloud in maintenance",
        "Nextcloud was left in maintenance",
        "runuser -u nextcloud -- php-nextcloud /opt/nextcloud/current/occ maintenance:mode --on >/dev/null",
        "runuser -u nextcloud -- php-nextcloud /opt/nextcloud/current/occ maintenance:mode --off >/dev/null",
        "nextcloud/state",
        "own:maintenance",
        also=("nextcloud/*",),
    ),
    Fault(
        "nextcloud half upgraded",
        "an upgrade of Nextcloud was broken off",
        *_file(
            "/var/lib/nextcloud/config/config.php",
            "sed -i \"s/'version' => '[0-9.]*'/'version' => '31.0.0.1'/\" /var/lib/nextcloud/config/config.php",
        ),
        "nextcloud/state",
        "own:upgrade",
        also=("nextcloud/*",),
    ),
    Fault(
        "api key",
        "the pads' key is not the one that Etherpad has",
        *_file("/etc/etherpad/APIKEY.txt", "echo 0000 > /etc/etherpad/APIKEY.txt"),
        "etherpad/written",
        "own:key",
        also=("host/files",),
    ),
)

#: What is wrong on this side, or between here and there; the test makes it.
HERE: tuple[Fault, ...] = (
    Fault("name unknown", "the name leads nowhere", "", "", "moodle/dns", "outside:name", also=("moodle/*",)),
    Fault(
        "name wrong",
        "the name leads to another machine",
        "",
        "",
        "moodle/page",
        "outside:refused",
        "unreachable",
        also=("moodle/*",),
    ),
    Fault(
        "ssh down",
        "SSH does not answer",
        "",
        "",
        "host/probe",
        "probe/unreachable",
        "unreachable",
        blinds=True,
    ),
    Fault(
        "host down",
        "the server does not answer at all",
        "",
        "",
        "host/probe",
        "probe/unreachable",
        "unreachable",
        also=_ALL_PAGES,
        blinds=True,
    ),
    Fault(
        "key revoked",
        "the server does not let us in any more",
        "",
        "",
        "host/probe",
        "probe/key",
        "unreachable",
        blinds=True,
    ),
    Fault(
        "host key changed",
        "the server shows another host key",
        "",
        "",
        "host/probe",
        "probe/host-key",
        blinds=True,
    ),
    Fault("clock off", "the server's clock is off", "", "", "host/clock", "clock/off"),
)
