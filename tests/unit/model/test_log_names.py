"""Where a log is open, ``municipality.yml`` cannot give it another name unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provision.model import Workspace

Load = Callable[[], Workspace]
SCHOOL = "escola-pi"


def checkpoint(place: Path, content: str | bytes) -> None:
    file = place / "audit" / SCHOOL / "checkpoint"
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def city(place: Path, **changes: object) -> None:
    file = place / "municipality.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


def renamed(load: Load) -> list[str]:
    return [note.message for note in load().notes if note.code == "log-renamed"]


def test_a_log_that_has_its_name_is_fine(place: Path, load: Load) -> None:
    checkpoint(place, f"vilaprova.provision.invalid/{SCHOOL}\n3\nroot\n")
    assert renamed(load) == []
    city(place, audit={"origin": "vilaprova.provision.invalid"}, id="vilanova")
    assert renamed(load) == []


@pytest.mark.parametrize("changes", [{"audit": {"origin": "log.vilaprova.example"}}, {"id": "vilanova"}])
def test_a_change_that_would_rename_a_log_is_told_with_both_names(
    place: Path, load: Load, changes: dict[str, object]
) -> None:
    checkpoint(place, f"vilaprova.provision.invalid/{SCHOOL}\n3\nroot\n")
    city(place, **changes)
    [message] = renamed(load)
    assert f'"vilaprova.provision.invalid/{SCHOOL}"' in message
    [note] = [note for note in load().notes if note.code == "log-renamed"]
    assert note.line > 0
    assert note.remedy


@pytest.mark.parametrize(
    "content", [b"", b"\xff\n", b"\x1b[2J/escola-pi\n", b"vila.example/other\n", b"x" * 5000]
)
def test_a_damaged_checkpoint_is_for_others_to_tell(place: Path, load: Load, content: bytes) -> None:
    checkpoint(place, content)
    assert renamed(load) == []
