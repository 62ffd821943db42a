"""What our own services say of themselves, taken together."""

from pathlib import Path

import pytest
import yaml

from provision import paths
from provision.engine.variables import SYSTEM_MEMORY_MB
from provision.model.catalog import ServiceEntry, load_catalog
from provision.model.document import parse_document
from provision.model.settings import check_settings

CATALOG, PROBLEMS = load_catalog([paths.ROLES])
#: What Linux has of a server that is sold with 8 GB.
EIGHT_GB = 7800


def test_nothing_is_wrong_with_them() -> None:
    assert PROBLEMS == []


def test_all_that_may_share_a_host_fit_on_one_of_8_gb() -> None:
    needed = {
        name: entry.definition.resources.memory_mb
        for name, entry in CATALOG.items()
        if not entry.definition.dedicated_host
    }
    assert SYSTEM_MEMORY_MB + sum(needed.values()) <= EIGHT_GB, needed


def test_nobody_gets_a_release_on_request_without_naming_it() -> None:
    for entry in CATALOG.values():
        for system in entry.definition.systems:
            assert entry.releases_for(system, unasked=True), f"{entry.definition.id} on {system}"
            assert not any(release.on_request for release in entry.releases_for(system, unasked=True))


@pytest.mark.parametrize(
    ("service", "system", "lines"),
    [
        ("moodle", "debian-12", {"4.5", "5.1"}),
        ("moodle", "debian-13", {"5.1", "5.2", "5.3"}),
        ("nextcloud", "debian-12", {"32", "33", "34"}),
        ("nextcloud", "debian-13", {"32", "33", "34", "35"}),
    ],
)
def test_each_system_gets_the_releases_that_upstream_supports_on_it(
    service: str, system: str, lines: set[str]
) -> None:
    parts = 2 if service == "moodle" else 1
    offered = [release.version for release in CATALOG[service].releases_for(system)]
    assert {".".join(version.split(".")[:parts]) for version in offered} == lines


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG.keys())
def test_a_redis_instance_and_a_database_belong_to_one_service_only(entry: ServiceEntry) -> None:
    others = [other.definition.needs for other in CATALOG.values() if other is not entry]
    needs = entry.definition.needs
    assert not {item.name for item in needs.redis} & {item.name for other in others for item in other.redis}
    assert not {item.name for item in needs.databases} & {
        item.name for other in others for item in other.databases
    }


def test_a_service_says_which_roles_its_own_tasks_include() -> None:
    """The record of a run holds what they were; a role without a service.yml could not say it."""
    found: dict[str, set[str]] = {}
    for file in paths.ROLES.glob("*/tasks/*.yml"):
        for task in yaml.safe_load(file.read_text()) or []:
            for verb in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
                if verb in task:
                    found.setdefault(file.parents[1].name, set()).add(task[verb]["name"])
    said = {name: set(entry.definition.needs.includes) for name, entry in CATALOG.items()}
    assert found
    assert found == {name: roles for name, roles in said.items() if roles}


@pytest.mark.parametrize("setting", ["public_address", "local_address"])
@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("203.0.113.7", True),
        ("2001:db8::7", True),
        ("203.0.113.1\\nno-auth", False),
        ("10.0.0.0-10.255.255.255", False),
        ("10.0.0.0/8", False),
        ("fe80::1%x\\nno-auth", False),
        ("127.0.0.1", False),
        ("router.escola.test", False),
    ],
)
def test_the_addresses_of_a_router_are_addresses(setting: str, text: str, good: bool) -> None:
    """They stand as they are in the settings of programs that would take a line of its own for theirs."""
    document = parse_document(Path("school.yml"), f'settings:\n  {setting}: "{text}"\n'.encode())
    found = check_settings(CATALOG["jitsi"], document.data["settings"], document, ("settings",))
    assert [(problem.line, problem.code) for problem in found] == ([] if good else [(2, "wrong-address")])
