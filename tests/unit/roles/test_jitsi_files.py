"""What the role jitsi writes: the policy that browsers follow, logs, and the bridge's address behind a router."""

import json
import re
from typing import Any

import jinja2
import pytest
import yaml

from provision import paths
from provision.engine.variables import site_templates

ROLE = paths.ROLES / "jitsi"
TEMPLATES = ROLE / "templates"


def rendered(name: str, **values: Any) -> str:
    """A template, as far as it needs no filter of Ansible's own but these."""
    environment = site_templates(TEMPLATES)
    environment.filters |= {
        "to_json": json.dumps,
        "to_uuid": lambda text: f"uuid of {text}",
        "to_nice_json": lambda value, indent: json.dumps(value, indent=indent),
    }
    return environment.get_template(name).render(**values)


def policy() -> dict[str, list[str]]:
    """What the site tells browsers, by directive (Content Security Policy Level 3)."""
    site = rendered("nginx-locations.conf.j2", hostname="meet.escola.test")
    (text,) = re.findall(r'^add_header Content-Security-Policy "([^"]*)" always;$', site, re.MULTILINE)
    return {words[0]: words[1:] for part in text.split(";") if (words := part.split())}


def test_no_page_may_reach_another_server() -> None:
    sources = [word for words in policy().values() for word in words]
    assert [word for word in sources if not re.match(r"'|(data|blob):$", word)] == ["wss://meet.escola.test"]


@pytest.mark.parametrize(
    ("directive", "words"),
    [
        ("default-src", ["'self'"]),
        ("script-src", ["'self'", "'unsafe-inline'", "'wasm-unsafe-eval'"]),
        ("worker-src", ["'self'", "blob:"]),
        ("object-src", ["'none'"]),
        ("frame-src", ["'self'"]),
        ("form-action", ["'self'"]),
        ("base-uri", ["'self'"]),
    ],
)
def test_a_page_may_do_what_upstreams_does_and_no_more(directive: str, words: list[str]) -> None:
    assert policy()[directive] == words


def test_who_may_show_the_pages_in_a_frame_is_left_to_the_web_servers_own_header() -> None:
    assert "frame-ancestors" not in policy()


def test_no_location_has_headers_of_its_own_for_it_would_lose_the_policy() -> None:
    site = rendered("nginx-locations.conf.j2", hostname="meet.escola.test")
    inside = re.findall(r"^location [^\n]*\{\n(.*?)^\}", site, re.MULTILINE | re.DOTALL)
    assert len(inside) > 8
    assert not [block for block in inside if "add_header" in block]


def test_what_the_settings_say_stays_readable_for_upstreams_apps_on_telephones() -> None:
    """They wrap the file into a function and take its ``config`` (lib-jitsi-meet/functions.native.ts)."""
    text = rendered("config.js.j2", jitsi_config={"hosts": {"domain": "meet.escola.test"}})
    assert text.startswith("//")
    assert re.search(r'^var config = \{\n  "hosts"', text, re.MULTILINE)
    # Inside a page's <script> this would end it.
    assert "</" not in text
    assert "<!--" not in text


@pytest.mark.parametrize("program", ["Jicofo", "JVB"])
def test_bridge_and_focus_write_warnings_alone(program: str) -> None:
    text = rendered("logging.properties.j2", item={"program": program})
    assert dict(re.findall(r"^(\S+) = (\S+)$", text, re.MULTILINE))[".level"] == "WARNING"
    assert f"programname = {program}\n" in text


def test_logs_go_after_the_days_that_the_school_says_even_when_nothing_new_is_written() -> None:
    text = rendered("logrotate.j2", item={"log": "jicofo.log", "user": "jicofo"}, jitsi_log_days=3)
    words = {line.strip() for line in text.splitlines()}
    assert {"daily", "rotate 3", "maxage 3", "ifempty"} <= words
    assert not {"notifempty", "hourly"} & words


def prosody(authentication: str) -> str:
    return rendered(
        "prosody.cfg.lua.j2",
        jitsi_hostname="meet.escola.test",
        jitsi_authentication=authentication,
        jitsi_turn_secret="t",
        jitsi_token_app_id="provision",
        jitsi_token_secret="s",
        jitsi_token_keys_url="",
        jitsi_token_issuers=[],
        jitsi_token_audiences=[],
    )


@pytest.mark.parametrize("authentication", ["accounts", "token"])
def test_a_broken_connection_leaves_no_file_and_an_ended_lesson_no_shut_room(authentication: str) -> None:
    """Prosody: mod_smacks.lua (smacks_h), muc/mod_muc.lua (muc_tombstones); for all hosts, so before the first."""
    general = prosody(authentication).partition("\nVirtualHost ")[0]
    assert '\nstorage = { smacks_h = "memory" }\n' in general
    assert "\nmuc_tombstones = false\n" in general


def test_with_accounts_a_password_is_the_only_way_in() -> None:
    """Prosody 13: mod_auth_internal_hashed.lua offers OAUTHBEARER too."""
    assert 'disable_sasl_mechanisms = { "DIGEST-MD5", "OAUTHBEARER" }' in prosody("accounts")
    assert "OAUTHBEARER" not in prosody("token")


@pytest.mark.parametrize("authentication", ["accounts", "token"])
def test_upstreams_maintainer_script_finds_nothing_to_mend_in_prosodys_file(authentication: str) -> None:
    """It looks for these (jitsi-meet 31eef95e, debian/jitsi-meet-prosody.postinst)."""
    text = prosody(authentication)
    host = "meet.escola.test"
    for wanted in (
        f"internal.auth.{host}",
        f'Component "focus.{host}" "client_proxy"',
        f'Component "polls.{host}"',
        '--"polls";',
        "unlimited_jids",
        "component_admins_as_room_owners = ",
    ):
        assert wanted in text, wanted
    assert '--plugin_paths = { "/usr/share/jitsi-meet/prosody-plugins/" }' not in text
    rooms = text.partition(f'Component "conference.{host}" "muc"\n')[2]
    assert "restrict_room_creation" in "".join(rooms.splitlines()[:2])


def own_address(local: str, facts: dict[str, Any]) -> str:
    named = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["jitsi_own_address"]
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(named)
    return template.render(jitsi_local_address=local, ansible_facts=facts)


@pytest.mark.parametrize(
    ("local", "facts", "own"),
    [
        ("10.0.0.9", {"default_ipv4": {"address": "10.0.0.5"}}, "10.0.0.9"),
        ("", {"default_ipv4": {"address": "10.0.0.5"}}, "10.0.0.5"),
        ("", {"default_ipv4": {}}, ""),
        ("", {}, ""),
    ],
)
def test_behind_a_router_the_bridges_own_address_is_the_schools_word_or_the_servers_way_out(
    local: str, facts: dict[str, Any], own: str
) -> None:
    assert own_address(local, facts) == own


def test_a_bridge_that_would_not_know_its_own_address_is_an_error_before_anything_is_written() -> None:
    tasks = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    kinds = [next(key for key in task if "." in key) for task in tasks]
    writes = min(
        kinds.index(kind)
        for kind in ("ansible.builtin.template", "ansible.builtin.command", "ansible.builtin.file")
    )
    assert kinds.index("ansible.builtin.assert") < writes


def test_the_bridges_addresses_are_written_only_behind_a_router() -> None:
    common = {"jitsi_hostname": "meet.escola.test", "jitsi_bridge_password": "x"}
    plain = rendered("jvb.conf.j2", **common, jitsi_public_address="", jitsi_own_address="")
    assert "static-mappings" not in plain
    behind = rendered("jvb.conf.j2", **common, jitsi_public_address="192.0.2.7", jitsi_own_address="10.0.0.5")
    assert dict(re.findall(r'(local|public)-address = "(.*)"', behind)) == {
        "local": "10.0.0.5",
        "public": "192.0.2.7",
    }


def test_that_prosody_fetches_an_issuers_keys_is_said_where_auditors_look() -> None:
    service = yaml.safe_load((ROLE / "service.yml").read_text())
    assert "cache_keys_url" in (TEMPLATES / "prosody.cfg.lua.j2").read_text()
    (one,) = service["outbound"]
    assert "token_keys_url" in one["to"]
    assert "Prosody" in one["why"]
