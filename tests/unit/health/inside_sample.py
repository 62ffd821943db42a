"""A school with one service that needs everything, and what its healthy server answers."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from provision.health.inside import inside
from provision.health.judging.host import Knows, ManagedFile
from provision.health.result import Finding
from provision.model import ResolvedSchool, ResolvedService
from provision.model.municipality import AcmeTls
from provision.model.service import ServiceDefinition
from provision.model.workspace import ResolvedHost

#: The server's clock, and ours: it answered in half a second.
NOW = 1_800_000_000.0
DAY = 86400.0
MANAGED = (ManagedFile("/etc/wiki/settings.json", "a" * 64, "root", "wiki", "0640"),)

_SAYS = {"ca": "Pregunta", "es": "Pregunta", "en": "Question"}
DEFINITION: dict[str, Any] = {
    "schema": 1,
    "id": "wiki",
    "title": {"ca": "Viqui, per escriure", "es": "Wiki, para escribir", "en": "Wiki, for writing"},
    "systems": ["debian-12"],
    "resources": {"memory_mb": 512, "disk_mb": 512},
    "needs": {
        "roles": ["postgresql", "php", "redis"],
        "databases": [{"name": "wiki"}],
        "redis": [{"name": "wiki_sessions"}, {"name": "wiki_cache", "eviction": "allkeys-lru"}],
        "php": {"extensions": ["pgsql"]},
        "site": {"locations": "x.conf.j2"},
    },
    "releases": [{"version": "1.0", "sources": [{"kind": "apt", "packages": ["wiki"]}]}],
    "probes": [
        {"id": "page", "kind": "https", "title": _SAYS},
        {"id": "unit", "kind": "unit", "title": _SAYS, "unit": "wiki.service"},
        {"id": "tasks", "kind": "unit", "title": _SAYS, "unit": "wiki-tasks.timer"},
        {
            "id": "api",
            "kind": "loopback",
            "title": _SAYS,
            "port": 9001,
            "path": "/api",
            "contains": "version",
        },
        {
            "id": "pad",
            "kind": "own",
            "title": _SAYS,
            "program": "provision-wiki-health",
            "meaning": {
                "ca": "A {title} no s'hi escriu.",
                "es": "En {title} no se escribe.",
                "en": "{title} takes none.",
            },
            "remedy": {"ca": "Truqueu: {school}.", "es": "Llame: {school}.", "en": "Call about {school}."},
            "faults": {
                "maintenance": {
                    "meaning": {
                        "ca": "{hostname} descansa.",
                        "es": "{hostname} descansa.",
                        "en": "{hostname} rests.",
                    },
                    "remedy": {"ca": "{service}", "es": "{service}", "en": "End it: {service} on {host}."},
                },
            },
        },
    ],
}


def service(definition: dict[str, Any] = DEFINITION) -> ResolvedService:
    parsed = ServiceDefinition.model_validate_json(json.dumps(definition))
    return ResolvedService(parsed.id, "main", f"{parsed.id}.escola-mar.example", "1.0", {}, parsed)


def school(*services: ResolvedService) -> ResolvedSchool:
    host = ResolvedHost("main", "192.0.2.7", "root", 22, "debian-12", None, None, False)
    return ResolvedSchool(
        "escola-mar", "Escola Mar", "escola-mar.example", "ca_ES.UTF-8", "Europe/Madrid", None,
        AcmeTls(mode="acme", email="it@example.org"), cast(Any, None), {"main": host},
        {one.id: one for one in services}, Path("escola-mar.yml"), cast(Any, None),
    )  # fmt: skip


def unit(**changed: Any) -> dict[str, Any]:
    return {
        "load": "loaded", "active": "active", "sub": "running", "result": "success", "restarts": 0,
        "since": NOW - 3 * DAY, "status": 0, "enabled": "enabled", **changed,
    }  # fmt: skip


def timer(**changed: Any) -> dict[str, Any]:
    return {
        "load": "loaded", "active": "active", "last": NOW - 60, "next": NOW + 60, "monotonic": False,
        "starts": "x.service", "running": False, "result": "success", "status": 0, "ended": NOW - 50, **changed,
    }  # fmt: skip


def disk(**changed: Any) -> dict[str, Any]:
    return {
        "kind": "ext4", "size": 100 * 2**30, "free": 60 * 2**30, "used": 40 * 2**30, "inodes": 1000, "inodes_free": 900,
        "read_only": False, "growth_day": 2.0**20, "growth_now": None, "span": 9 * DAY, **changed,
    }  # fmt: skip


def file(**changed: Any) -> dict[str, Any]:
    return {
        "sha256": "a" * 64,
        "owner": "root",
        "group": "wiki",
        "mode": "0640",
        "changed": NOW - DAY,
        **changed,
    }


UNITS = (
    "wiki.service", "provision-redis@wiki_sessions.service", "provision-redis@wiki_cache.service",
    "provision-php@wiki.service", "nginx.service",
)  # fmt: skip
TIMERS = ("wiki-tasks.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "certbot.timer")
HEALTHY: dict[str, Any] = {
    "system": {
        "memory": 8 * 2**30, "available": 4 * 2**30, "swap": 2**30, "swap_free": 2**30, "pressure": 0.0,
        "load": [0.5, 0.4, 0.3], "cpus": 2, "uptime": 5 * DAY, "kernel": "6.1.0", "container": "", "reboot": False,
        "reboot_for": [],
    },
    "failed": {"count": 0, "units": []},
    "listeners": [["127.0.0.1", 9001], ["::1", 9001], ["::ffff:127.0.0.1", 9001], ["0.0.0.0", 443]],
    "units": {name: unit() for name in UNITS},
    "timers": {name: timer() for name in TIMERS},
    "loopback": [{"status": 200, "found": True, "error": "", "seconds": 0.02}],
    "files": {"/etc/wiki/settings.json": file()},
    "listed": {},
    "disks": {"/": disk(), "/run": disk(kind="tmpfs", size=2**30, free=2**29, growth_day=None)},
    "updates": {"security": 0, "packages": [], "lists_at": NOW - 3600, "installed_at": NOW - 3600},
    "certificates": {
        "wiki": {
            "error": "", "key_error": "", "fits": True, "names": ["wiki.escola-mar.example"], "subject": "CN=x",
            "issuer": "CN=y", "not_before": NOW - 30 * DAY, "not_after": NOW + 60 * DAY, "key_mode": "0600",
        },
    },
    "databases": {
        "up": True, "error": "", "connections": 9, "most": 100, "read_only": False,
        "databases": {"wiki": {"size": 12_345_678, "error": ""}},
    },
    "redis": {
        name: {"pong": True, "error": "", "used_memory": 2e6, "maxmemory": 64e6, "evicted_keys": 0.0, "policy": "x"}
        for name in ("wiki_sessions", "wiki_cache")
    },
    "php": {
        "wiki": {
            "answers": True, "error": "", "late": False, "listen_queue": 0, "listen_queue_len": 511,
            "idle_processes": 3, "active_processes": 1, "total_processes": 4, "max_children_reached": 0,
            "slow_requests": 0,
        },
    },
    "own": {
        "wiki/pad": {
            "state": "ok", "measured": "written, read, deleted in 0.1 s", "code": "", "error": "", "late": False,
            "seconds": 0.2,
        },
    },
    "firewall": {"present": True, "drops": True, "unchanged": True},
    "journal": {
        "count": 2, "more": False, "causes": 1,
        "groups": [{"unit": "x.service", "text": "took <n> s", "count": 2, "first": NOW - DAY, "last": NOW}],
    },
    "restarts": {"restarts": {}, "out_of_memory": {}},
    "clock": {"by": "chrony", "synchronised": True, "offset": 0.001, "stratum": 3},
    "last_run": {"run": "r1", "outcome": "ok", "school": "escola-mar", "person": "Anna", "at": "2027-01-15T08:00:00Z"},
}  # fmt: skip

Parts = dict[str, Any]


def answered(parts: Parts, /, **changed: Any) -> str:
    """The document of provision-probe with these parts."""
    listed = {name: {"seconds": 0.01, "value": value} for name, value in parts.items()}
    return json.dumps(
        {"schema": "provision/probe/v1", "time": NOW, "cpu_seconds": 0.2, "parts": listed, **changed}
    )


def healthy() -> Parts:
    return copy.deepcopy(HEALTHY)


def ask(
    said: str | Callable[[str, str, str], tuple[int, str]],
    *,
    definition: dict[str, Any] = DEFINITION,
    knows: Knows | None = None,
    managed: tuple[ManagedFile, ...] = MANAGED,
) -> list[Finding]:
    """The findings of a host that answers so."""
    times = iter([NOW - 0.2, NOW + 0.3])
    one = service(definition)
    run_on = said if callable(said) else lambda host, command, stdin: (0, said)
    return inside(school(one), [one], "main", run_on, managed=managed, knows=knows, clock=lambda: next(times))
