"""What plan and apply say before they begin."""

from types import SimpleNamespace
from typing import Any, cast

from provision.artifacts import Selection
from provision.cli.output import console
from provision.cli.report import prepared_notes
from provision.model.service import AptSource, ArchiveSource, Text

SOURCE = AptSource(kind="apt", packages=("cloud",))


def said(*selections: Selection) -> str:
    prepared = SimpleNamespace(new_secrets=(), selections=selections, left_out=())
    with console.capture() as captured:
        prepared_notes(cast(Any, prepared), console)
    return captured.get().replace("\n", " ").strip()


def test_a_release_past_its_end_of_life_is_named_so() -> None:
    told = said(Selection("cloud", "32.0.15", SOURCE, ended="2026-09-30"))
    assert told == (
        "cloud 32.0.15: upstream stopped mending it on 2026-09-30; plan the upgrade to a newer release."
    )


def test_a_release_that_upstream_mends_is_not_named() -> None:
    assert said(Selection("cloud", "34.0.4", SOURCE)) == ""


def test_what_has_to_be_known_of_an_archive_is_said_with_its_name() -> None:
    old = ArchiveSource(
        kind="archive",
        files=(ArchiveSource.File(name="cloud-1.sh", role="installer"),),
        caution=Text(ca="És vell.", es="Es viejo.", en="It is old."),
    )
    assert said(Selection("cloud", "1.0", old)) == "cloud 1.0 (archive cloud-1.sh): It is old."
