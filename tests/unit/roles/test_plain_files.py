"""What a role's task hands through Ansible's ``template`` although it is no template: programs, units."""

import re
from pathlib import Path

import pytest

from provision import paths

#: A task names such a file beside its templates.
FILES = sorted(
    {
        role / "files" / name
        for role in paths.ROLES.iterdir()
        for tasks in role.glob("tasks/*.yml")
        for name in re.findall(r"\.\./files/([\w./-]+)", tasks.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.name}")
def test_nothing_in_it_is_taken_for_a_template(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert [mark for mark in ("{{", "{%", "{#") if mark in text] == []


def test_there_are_such_files() -> None:
    assert len(FILES) > 15
