"""What the role nextcloud derives: which ways out are closed, and what the web server shows of the app store."""

from typing import Any

import pytest
import yaml

from provision import paths
from provision.engine.variables import site_templates

ROLE = paths.ROLES / "nextcloud"
#: Upstream's own address of the store (lib/private/App/AppStore/Fetcher/Fetcher.php, APP_STORE_URL).
UPSTREAMS_STORE = "https://apps.nextcloud.com/api/v1"


@pytest.fixture(name="variables")
def _variables() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    return found


def site(*, app_store: bool) -> str:
    """The site's locations, as provision makes them of a school's settings."""
    template = site_templates(ROLE / "templates").get_template("nginx-locations.conf.j2")
    return template.render(settings={"app_store": app_store})


def test_an_open_store_does_not_open_the_rest(variables: dict[str, Any]) -> None:
    system = variables["nextcloud_system"]
    assert system["has_internet_connection"] is False
    # The same place, and not the same text: with the same text the store would stay empty.
    assert system["appstoreurl"] != UPSTREAMS_STORE
    assert system["appstoreurl"].replace(":443/", "/") == UPSTREAMS_STORE


def test_no_switch_is_a_text_which_php_would_take_for_true(variables: dict[str, Any]) -> None:
    texts = {name: value for name, value in variables["nextcloud_system"].items() if isinstance(value, str)}
    assert {name for name, value in texts.items() if value.lower() in ("true", "false", "yes", "no")} == set()
    for app, values in variables["nextcloud_app_values"].items():
        for key, (kind, value) in values.items():
            assert kind in ("boolean", "integer", "string", "switch"), (app, key)
            if kind in ("boolean", "switch"):
                assert isinstance(value, bool), (app, key)


def test_the_web_server_shows_apps_of_the_store_only_where_it_is_open() -> None:
    assert "location ^~ /store-apps { return 404; }" in site(app_store=False)
    assert "/var/lib/nextcloud" not in site(app_store=False)
    shown = site(app_store=True)
    assert "location ^~ /store-apps/ {\n    root /var/lib/nextcloud;" in shown
    assert "disable_symlinks on from=/var/lib/nextcloud/store-apps;" in shown
    assert "/store-apps { return 404; }" not in shown
