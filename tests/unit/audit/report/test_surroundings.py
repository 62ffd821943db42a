"""What the report says of a school's services: which ways out they have."""

from dataclasses import replace

import pytest

from provision import paths
from provision.audit.report.surroundings import of_log, of_workspace
from provision.model import ResolvedSchool, Workspace, load_workspace

STORE = "apps.nextcloud.com and github.com"
SCHOOL = "institut-serra-alta"


@pytest.fixture(name="workspace")
def _workspace() -> Workspace:
    return load_workspace(paths.ROOT / "inventories" / "example")


def school(workspace: Workspace, service: str, **settings: object) -> ResolvedSchool:
    """The example's school, with other settings of one service."""
    made = workspace.school(SCHOOL)
    changed = replace(made.services[service], settings={**made.services[service].settings, **settings})
    return replace(made, services={**made.services, service: changed})


def ways_out(workspace: Workspace, service: str, **settings: object) -> set[str]:
    view = of_workspace(workspace, school(workspace, service, **settings)).service(service)
    assert view is not None
    return {to for to, _ in view.outbound}


def test_a_way_out_that_the_school_has_not_opened_is_not_told(workspace: Workspace) -> None:
    assert STORE not in ways_out(workspace, "nextcloud", app_store=False)
    assert STORE in ways_out(workspace, "nextcloud", app_store=True)


def test_a_text_that_is_empty_opens_nothing(workspace: Workspace) -> None:
    mail = "the mail server of the school"
    assert mail not in ways_out(workspace, "moodle", smtp_server="")
    assert mail in ways_out(workspace, "moodle", smtp_server="smtp.escola.cat:587")


def test_without_the_schools_file_all_that_may_be_opened_is_told() -> None:
    view = of_log(SCHOOL, "vila", ["nextcloud"]).service("nextcloud")
    assert view is not None
    assert STORE in {to for to, _ in view.outbound}
    assert view.settings is None


def test_settings_are_shown_as_people_write_them(workspace: Workspace) -> None:
    view = of_workspace(workspace, school(workspace, "nextcloud", app_store=True)).service("nextcloud")
    assert view is not None
    assert dict(view.settings or ())["app_store"] == "true"
