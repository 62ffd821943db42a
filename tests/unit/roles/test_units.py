"""The units of all roles, taken together: what systemd does as root in places where a service's user may write."""

import re
from pathlib import Path

import pytest

from provision import paths

TEMPLATES = sorted(paths.ROLES.glob("*/templates/*.service.j2"))


def test_there_are_units() -> None:
    assert len(TEMPLATES) > 5


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_no_directory_of_a_unit_lies_in_one_that_its_user_owns(template: Path) -> None:
    """systemd makes it, and sets owner and mode, before the unit's own limits hold; it may be a link by then."""
    for line in re.findall(
        r"(?m)^(?:State|Cache|Logs|Runtime|Configuration)Directory=(.*)$", template.read_text()
    ):
        assert not [name for name in line.split() if "/" in name], line


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_what_root_starts_before_a_service_writes_nowhere_but_in_places_of_root(template: Path) -> None:
    for line in re.findall(r"(?m)^Exec\w+=[-@:]*[+!](.*(?:\\\n.*)*)", template.read_text()):
        assert "/var/lib/" not in line, line
