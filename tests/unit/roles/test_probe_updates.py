"""What provision-probe tells of security updates."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.probe import Probe

#: In the order of deb-version(7).
ORDERED = [
    "0.9", "1.0~~", "1.0~~a", "1.0~", "1.0~rc1", "1.0", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1",
    "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0a", "1.0b", "1.0+git", "1.0.1", "1.2", "1.10", "1:0.1", "2:0~",
]  # fmt: skip


def test_versions_are_ordered_as_dpkg_orders_them(probe: Probe) -> None:
    assert sorted(sorted(ORDERED), key=probe.updates.version_key) == ORDERED
    assert (
        probe.updates.version_key("1.0-0")
        == probe.updates.version_key("1.0")
        == probe.updates.version_key("0:1.0")
    )


STATUS = """Package: openssl
Status: install ok installed
Version: 3.0.1-1+deb12u1

Package: bash
Status: install ok installed
Version: 5.2-2

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: newer
Status: hold ok installed
Version: 9.0
"""


SECURITY = """Package: openssl
Version: 3.0.1-1+deb12u9
Description: nothing

Package: openssl
Version: 3.0.1-1+deb12u10

Package: gone
Version: 2.0

Package: newer
Version: 8.0

Package: strange
Version: 1.0
"""


@pytest.fixture(name="apt")
def _apt(probe: Probe) -> Path:
    probe.put("/var/lib/dpkg/status", STATUS)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    probe.put(
        f"/var/lib/apt/lists/deb.example_debian_dists_bookworm_main_binary-{machine}_Packages", SECURITY
    )
    where = f"deb.example_debian-security_dists_bookworm-security_main_binary-{machine}_Packages"
    return probe.put(f"/var/lib/apt/lists/{where}", SECURITY)


@pytest.mark.usefixtures("apt")
def test_security_updates_are_those_that_are_newer_than_what_is_there(probe: Probe) -> None:
    told = probe.updates.updates()
    assert (told["security"], told["packages"]) == (1, [["openssl", "3.0.1-1+deb12u1", "3.0.1-1+deb12u10"]])
    assert told["lists_at"] and told["installed_at"] is None


def test_package_lists_are_read_again_only_when_they_changed(
    probe: Probe, apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = probe.updates.updates()
    asked: list[Any] = []
    monkeypatch.setattr(probe.updates, "waiting", lambda lists: asked.append(lists) or [])
    assert probe.updates.updates() == first
    assert asked == []
    apt.write_text("")
    assert probe.updates.updates()["security"] == 0
    assert len(asked) == 1


def test_without_a_list_of_security_updates_nothing_is_claimed(probe: Probe) -> None:
    with pytest.raises(probe.core.UnanswerableError, match="no list of a security archive"):
        probe.updates.updates()
