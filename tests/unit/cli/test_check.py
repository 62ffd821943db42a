"""``provision check``: everything that must hold before an apply, asked once."""

import shutil
from pathlib import Path
from typing import Any, Self

import keyring
import pytest
import yaml
from keyring.backends import fail

from provision import paths
from provision.artifacts import Selection
from provision.cli import check
from provision.engine import preparation
from provision.model import load_workspace
from provision.model.service import ArchiveSource

SCHOOL = "escola-marinada"


class Server:
    """In the place of an operation: nothing is contacted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self) -> list[Any]:
        return []


def test_releases_are_chosen_once_and_each_vault_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vilafresca"
    shutil.copytree(paths.ROOT / "inventories" / "example", place)
    asked = tmp_path / "asked"
    client = place / "client"
    client.write_text(f"#!/bin/sh\necho $2 >> {asked}\necho a-password-of-$2\n")
    client.chmod(0o700)
    municipality = yaml.safe_load((place / "municipality.yml").read_text())
    (place / "municipality.yml").write_text(yaml.safe_dump({**municipality, "vault": {"client": "client"}}))
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    chosen: list[str] = []

    def select(_: object, school: Any, **__: object) -> tuple[list[Selection], list[Any]]:
        chosen.append(school.id)
        return [Selection(one, "1", ArchiveSource(kind="archive", files=())) for one in school.services], []

    monkeypatch.setattr(check, "select", select)
    monkeypatch.setattr(preparation, "select", select)
    monkeypatch.setattr(check, "Operation", lambda *_, **__: Server())
    workspace = load_workspace(place)
    preparation.prepare(workspace, SCHOOL)
    chosen.clear()
    asked.unlink()
    checks = check.check_school(workspace, SCHOOL, None)
    assert [one for one in checks if one.state == "problem"] == []
    assert chosen == [SCHOOL]
    ids = asked.read_text().split()
    assert sorted(ids) == sorted(set(ids))
