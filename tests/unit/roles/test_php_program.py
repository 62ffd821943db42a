"""The role php's own program: how many workers a pool has, and which settings are taken."""

import json
import types
from typing import Any

import pytest

from provision import paths
from provision.engine.variables import _pools as pools_of
from provision.model.catalog import load_catalog
from provision.model.workspace import ResolvedService
from tests.unit.roles.programs import load

EIGHT_GB = "MemTotal:        8037532 kB\nMemFree:         1000000 kB\n"


@pytest.fixture(name="program")
def _program() -> types.ModuleType:
    return load("php", "provision-php")


def pools(
    program: types.ModuleType, *wanted: dict[str, Any], other: int = 0, memory: str = EIGHT_GB
) -> list[Any]:
    """What the program makes of these pools on a server with this memory."""
    listed = [{"name": f"pool{number}", "user": f"pool{number}"} | pool for number, pool in enumerate(wanted)]
    text = {"version": "8.4", "timezone": "Europe/Madrid", "other_memory_mb": other, "pools": listed}
    _, made = program.read_pools(json.dumps(text), memory)
    return list(made)


def test_pools_share_what_the_rest_of_the_server_leaves_by_their_shares(program: types.ModuleType) -> None:
    # 7680 of 7849 MiB, 3000 for others: 3510 and 1170, from which OPcache's 128 come off.
    first, second = pools(
        program, {"share": 3000, "process_mb": 120}, {"share": 1000, "process_mb": 100}, other=3000
    )
    assert (first.workers, second.workers) == ((3510 - 128) // 120, (1170 - 128) // 100)


def test_memory_that_workers_share_is_counted_once(program: types.ModuleType) -> None:
    settings = {"opcache.memory_consumption": 256, "apc.shm_size": "128M"}
    (pool,) = pools(program, {"process_mb": 200, "extensions": ["APCu"], "settings": settings}, other=3000)
    assert pool.workers == (4680 - 256 - 128) // 200


def test_a_little_less_memory_changes_nothing(program: types.ModuleType) -> None:
    assert program.memory_mb("MemTotal: 8037532 kB\n") == program.memory_mb("MemTotal: 8000000 kB\n") == 7680


@pytest.mark.parametrize(("other", "process_mb", "workers"), [(100000, 120, 4), (0, 20, 64)])
def test_there_are_never_too_few_or_too_many_workers(
    program: types.ModuleType, other: int, process_mb: int, workers: int
) -> None:
    (pool,) = pools(program, {"process_mb": process_mb}, other=other)
    assert pool.workers == workers
    assert f"pm.max_children = {workers}\n" in pool.files()[pool.place / "fpm.conf"]


@pytest.mark.parametrize(
    ("text", "mib"), [("64M", 64), ("1g", 1024), ("65536K", 64), ("67108864", 64), (67108864, 64)]
)
def test_amounts_of_memory_are_read_as_php_reads_them(
    program: types.ModuleType, text: object, mib: int
) -> None:
    assert program.quantity_mb(text) == mib


def test_the_services_own_settings_win_over_the_roles(program: types.ModuleType) -> None:
    (pool,) = pools(program, {"settings": {"session.gc_divisor": 50, "opcache.validate_timestamps": False}})
    lines = pool.files()[pool.place / "90-provision.ini"].splitlines()
    assert [line for line in lines if line.startswith(("session.gc_divisor", "opcache.v"))] == [
        "session.gc_divisor = 50",
        "opcache.validate_timestamps = Off",
    ]


@pytest.mark.parametrize(
    ("pool", "named"),
    [
        ({"settings": {"error_log": 'x"\nextension = "evil.so'}}, "error_log"),
        ({"settings": {"mail.log": "${HOME}"}}, "mail.log"),
        ({"settings": {"zend_extension": "evil.so"}}, "zend_extension"),
        ({"settings": {"memory limit": 1}}, "memory limit"),
        ({"settings": {"precision": 1.5}}, "precision"),
        ({"name": "../etc"}, "../etc"),
        ({"user": "root\nUser=x"}, "root"),
        ({"process_mb": 0}, "pool0"),
    ],
)
def test_what_would_mean_something_else_in_a_file_is_refused(
    program: types.ModuleType, pool: dict[str, Any], named: str
) -> None:
    with pytest.raises(program.PhpError) as refused:
        pools(program, pool)
    assert named in str(refused.value)


def test_a_value_is_compared_in_whatever_way_php_spells_it(program: types.ModuleType) -> None:
    assert program.plain(True) == program.plain("On") == program.plain("1")
    assert program.plain(False) == program.plain("Off") == program.plain("no value") == program.plain("")
    assert program.plain("256M") != program.plain("128M")


def test_the_pools_of_all_services_fit_beside_the_rest_of_8_gb(program: types.ModuleType) -> None:
    catalog, _ = load_catalog([paths.ROLES])
    services = [
        ResolvedService(name, "main", f"{name}.escola.test", None, dict(entry.settings), entry.definition)
        for name, entry in catalog.items()
        if not entry.definition.dedicated_host
    ]
    asked = pools_of(services)
    text = {
        "version": "8.4",
        "timezone": "Europe/Madrid",
        "other_memory_mb": asked["php_other_memory_mb"],
        "pools": asked["php_pools"],
    }
    _, made = program.read_pools(json.dumps(text), EIGHT_GB)
    assert {pool.name for pool in made} == {"moodle", "nextcloud"}
    # Fewer would let a class wait that opens a page at once.
    assert min(pool.workers for pool in made) >= 8
    taken = sum(pool.workers * pool.process_mb + pool.shared_mb for pool in made)
    assert asked["php_other_memory_mb"] + taken <= 7680
