"""What Ansible receives of a school."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import paths
from provision.artifacts import Selection
from provision.engine.ssh import JumpHost, host_key_name, known_hosts_name
from provision.engine.variables import build_inventory, ssh_options
from provision.errors import ConfigurationError
from provision.model import Workspace, load_workspace
from provision.model.service import AptSource
from provision.names import read_names, resolve, resolve_all, resolve_own

HELLO = Path(__file__).resolve().parents[2] / "fixtures" / "sixth_service" / "hello"
PERSON = {"name": "Oficina", "email": "tic@prova.test"}


def workspace(directory: Path, host: dict[str, Any] | None = None, **municipality: Any) -> Workspace:
    for name in ("hello", "adeu"):
        shutil.copytree(HELLO, directory / "roles" / name)
        for file in (directory / "roles" / name).rglob("*"):
            if file.is_file():
                file.write_text(
                    file.read_text()
                    .replace("hello", name)
                    .replace("9099", "9098" if name == "adeu" else "9099")
                )
    (directory / "schools").mkdir()
    (directory / "municipality.yml").write_text(
        yaml.safe_dump(
            {
                "schema": 1,
                "id": "prova",
                "name": "Prova",
                "contact": PERSON,
                "data_protection_officer": dict(PERSON),
                "tls": {"mode": "internal"},
                **municipality,
            }
        )
    )
    (directory / "schools" / "escola.yml").write_text(
        yaml.safe_dump(
            {
                "schema": 1,
                "name": "Escola",
                "domain": "escola.test",
                "hosts": {"main": {"address": "192.0.2.10", **(host or {})}},
                "services": {
                    "hello": {"hostname": "hola.escola.test", "settings": {"greeting": "bon dia"}},
                    "adeu": {"hostname": "adeu.escola.test"},
                },
            }
        )
    )
    return load_workspace(directory)


def selections(*services: str) -> list[Selection]:
    return [
        Selection(service, "1.0", AptSource(kind="apt", packages=("python3-minimal",)))
        for service in services
    ]


def host_variables(made: Workspace, *services: str, only: tuple[str, ...] = ()) -> dict[str, Any]:
    chosen = selections(*services)
    certificates = {service: f"certificate of {service}" for service in services}
    inventory = build_inventory(made, made.school("escola"), chosen, certificates, run_id="r1", only=only)
    found: dict[str, Any] = inventory["all"]["children"]["escola"]["hosts"]["main"]
    return found


def test_base_roles_get_merged_lists_of_what_the_services_need(tmp_path: Path) -> None:
    host = host_variables(workspace(tmp_path), "hello", "adeu")
    assert [site["hostname"] for site in host["nginx_sites"]] == ["adeu.escola.test", "hola.escola.test"]
    assert host["postgresql_databases"] == [{"name": "adeu"}, {"name": "hello"}]
    assert [(port["port"], port["protocol"]) for port in host["firewall_ports"]] == [
        (80, "tcp"),
        (443, "tcp"),
    ]
    assert [item["certificate"] for item in host["tls_certificates"]] == [
        "certificate of adeu",
        "certificate of hello",
    ]


def test_roles_come_in_order_and_a_service_that_is_not_there_is_not_in_the_list(tmp_path: Path) -> None:
    roles = host_variables(workspace(tmp_path), "hello")["provision_roles"]
    assert roles == [
        {"role": "base"},
        {"role": "firewall"},
        {"role": "nginx"},
        {"role": "tls"},
        {"role": "audit_trail"},
        {"role": "postgresql"},
        {"role": "hello"},
        {"role": "nginx", "entry": "sites"},
    ]


def test_who_is_no_auditor_any_more_loses_access_also_where_no_log_is_kept(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    for school in made.schools.values():
        # The settings as the loader has resolved them.
        object.__setattr__(school, "audit", school.audit.model_copy(update={"enabled": False}))
    host = host_variables(made, "hello")
    assert {"role": "audit_trail"} in host["provision_roles"]
    assert host["audit_trail_auditors"] == []


def test_a_run_of_one_service_still_gives_base_roles_the_whole_hosts_lists(tmp_path: Path) -> None:
    host = host_variables(workspace(tmp_path), "hello", "adeu", only=("adeu",))
    assert [part["role"] for part in host["provision_roles"]] == [
        "base",
        "firewall",
        "nginx",
        "tls",
        "postgresql",
        "adeu",
        "nginx",
    ]
    assert len(host["nginx_sites"]) == 2
    assert len(host["postgresql_databases"]) == 2


def test_pools_and_instances_are_asked_for_by_services_and_share_what_the_others_leave(
    tmp_path: Path,
) -> None:
    made = workspace(tmp_path)
    service = made.school("escola").services["adeu"]
    needs = {
        "roles": ["postgresql", "redis", "php"],
        "redis": [{"name": "adeu_cache", "memory_mb": 100, "eviction": "allkeys-lru"}],
        "php": {"extensions": ["gd"], "upload_mb": "most_mb", "settings": {"max_input_vars": 5000}},
    }
    object.__setattr__(service, "settings", {**service.settings, "most_mb": 64})
    changes = {
        "needs": service.definition.needs.model_validate(needs),
        "resources": service.definition.resources.model_copy(update={"memory_mb": 1000}),
    }
    object.__setattr__(service, "definition", service.definition.model_copy(update=changes))
    host = host_variables(made, "hello", "adeu")
    assert host["redis_instances"] == [
        {"name": "adeu_cache", "user": "adeu", "memory_mb": 100, "eviction": "allkeys-lru"}
    ]
    assert host["php_pools"] == [
        {
            "name": "adeu",
            "user": "adeu",
            "extensions": ["gd"],
            "memory_limit_mb": 128,
            "upload_mb": 64,
            "process_mb": 64,
            "settings": {"max_input_vars": 5000},
            "share": 900,
        }
    ]
    # The system, the database server, the instance, and the service without a pool.
    assert host["php_other_memory_mb"] == 400 + 384 + 100 + 32
    assert [part["role"] for part in host["provision_roles"]][5:8] == ["postgresql", "redis", "php"]


def test_a_turn_server_is_asked_for_with_the_addresses_that_settings_name(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    service = made.school("escola").services["adeu"]
    needs = {
        "roles": ["coturn"],
        "site": {
            "locations": service.definition.needs.site.locations if service.definition.needs.site else "",
            "permissions_policy": "camera=(self)",
        },
        "turn": {"public_address": "outer", "local_address": "inner"},
    }
    object.__setattr__(service, "settings", {**service.settings, "outer": "192.0.2.7", "inner": ""})
    changes = {"needs": service.definition.needs.model_validate(needs)}
    object.__setattr__(service, "definition", service.definition.model_copy(update=changes))
    host = host_variables(made, "hello", "adeu")
    assert host["coturn_sites"] == [
        {"name": "adeu", "hostname": "adeu.escola.test", "public_address": "192.0.2.7", "local_address": ""}
    ]
    policies = {site["name"]: site.get("permissions_policy") for site in host["nginx_sites"]}
    assert policies == {"adeu": "camera=(self)", "hello": None}


def test_every_service_is_told_which_others_the_school_has(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    inventory = build_inventory(
        made, made.school("escola"), selections("hello"), {"hello": "certificate"}, run_id="r1"
    )
    told = inventory["all"]["vars"]["provision_services"]
    assert list(told) == ["hello"]
    assert (told["hello"]["hostname"], told["hello"]["host"]) == ("hola.escola.test", "main")
    assert told["hello"]["settings"]["greeting"] == "bon dia"


def test_settings_become_role_variables_and_reach_the_site(tmp_path: Path) -> None:
    host = host_variables(workspace(tmp_path), "hello")
    assert host["hello_greeting"] == "bon dia"
    assert host["hello_hostname"] == "hola.escola.test"
    assert "proxy_pass http://127.0.0.1:9099;" in host["nginx_sites"][0]["locations"]


def test_no_text_of_a_school_file_is_taken_for_a_template_by_ansible(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    object.__setattr__(made.school("escola"), "name", "{{ lookup('pipe', 'id') }}")
    with pytest.raises(ConfigurationError) as caught:
        host_variables(made, "hello")
    assert "provision_school.name" in caught.value.problems[0].message


def test_host_keys_come_from_the_workspace_alone_and_are_always_checked(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    options = ssh_options(made, made.school("escola").hosts["main"])
    assert f"UserKnownHostsFile={tmp_path / 'known_hosts'}" in options
    assert {"GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"} <= set(
        options
    )
    assert "HostKeyAlias=192.0.2.10" in options


def test_a_jump_hosts_own_connection_is_checked_just_the_same(tmp_path: Path) -> None:
    made = workspace(tmp_path, host={"jump": "porta@192.0.2.1:2222", "port": 2200})
    options = ssh_options(made, made.school("escola").hosts["main"])
    proxy = next(option for option in options if option.startswith("ProxyCommand="))
    for word in (
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={tmp_path / 'known_hosts'}",
        "[192.0.2.1]:2222",
        "-l porta",
        "-W",
    ):
        assert word in proxy
    assert "HostKeyAlias=[192.0.2.10]:2200" in options


def effective(options: list[str], directory: Path) -> dict[str, str]:
    """What OpenSSH makes of the options, with a configuration of the administrator that forwards everything."""
    (directory / "ssh").mkdir()
    config = directory / "ssh" / "config"
    config.write_text("Host *\n ForwardAgent yes\n ForwardX11 yes\n LocalForward 9999 127.0.0.1:9\n")
    config.chmod(0o600)
    # OpenSSH takes the last -F; a configuration is read where ours does not say otherwise.
    done = subprocess.run(
        ["ssh", "-F", str(config), *options, "-G", "server.test"], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.mark.parametrize("jump", [None, "porta@192.0.2.1:2222"])
def test_the_administrators_agent_screen_and_forwardings_reach_no_server(
    tmp_path: Path, jump: str | None
) -> None:
    made = workspace(tmp_path, host={"jump": jump} if jump else None)
    options = ssh_options(made, made.school("escola").hosts["main"])
    if jump:
        proxy = next(option for option in options if option.startswith("ProxyCommand="))
        _, *options = shlex.split(proxy.removeprefix("ProxyCommand="))
        options = options[: options.index("-W")]
    found = effective(options, tmp_path)
    assert (found["forwardagent"], found["forwardx11"]) == ("no", "no")
    assert "localforward" not in found
    assert found["stricthostkeychecking"] in {"yes", "true"}


@pytest.mark.parametrize("jump", [None, "porta@192.0.2.1:2222"])
def test_with_a_key_of_its_own_no_other_key_is_tried(tmp_path: Path, jump: str | None) -> None:
    host = {"ssh_key": "keys/id", **({"jump": jump} if jump else {})}
    made = workspace(tmp_path, host=host)
    options = ssh_options(made, made.school("escola").hosts["main"])
    assert "IdentitiesOnly=yes" in options
    proxies = [option for option in options if option.startswith("ProxyCommand=")]
    assert all("IdentitiesOnly=yes" in proxy for proxy in proxies)
    assert len(proxies) == (1 if jump else 0)


def test_without_a_key_of_its_own_the_agents_keys_are_tried(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    assert "IdentitiesOnly=yes" not in ssh_options(made, made.school("escola").hosts["main"])


def test_a_name_that_only_the_jump_host_knows_is_handed_on_to_it(tmp_path: Path) -> None:
    made = workspace(tmp_path, host={"address": "aula.intern.invalid", "jump": "porta.escola.invalid"})
    assert host_variables(made, "hello")["ansible_host"] == "aula.intern.invalid"
    options = ssh_options(made, made.school("escola").hosts["main"])
    assert next(option for option in options if option.startswith("ProxyCommand=")).endswith(
        " porta.escola.invalid"
    )


def test_a_name_that_does_not_resolve_stands_in_the_inventory_as_it_is(tmp_path: Path) -> None:
    made = workspace(tmp_path, host={"address": "nou.escola.invalid"})
    assert host_variables(made, "hello")["ansible_host"] == "nou.escola.invalid"


def test_the_workspaces_own_name_of_a_server_is_what_ssh_gets(tmp_path: Path) -> None:
    made = workspace(tmp_path, host={"address": "aula.escola.test", "jump": "porta.escola.test"})
    made.state_dir.mkdir()
    made.names_file.write_text("10.0.0.7 aula.escola.test\n10.0.0.8 porta.escola.test\n")
    assert host_variables(made, "hello")["ansible_host"] == "10.0.0.7"
    options = ssh_options(made, made.school("escola").hosts["main"])
    assert next(option for option in options if option.startswith("ProxyCommand=")).endswith(" 10.0.0.8")


def test_a_sudo_password_is_only_named_never_there(tmp_path: Path) -> None:
    host = host_variables(workspace(tmp_path, host={"user": "tecnic", "become_password": True}), "hello")
    assert host["ansible_become_password"] == "{{ host_main_become_password }}"
    assert host["ansible_become"] is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("porta.cat", JumpHost("root", "porta.cat", 22)),
        ("joan@porta.cat:2222", JumpHost("joan", "porta.cat", 2222)),
        ("joan@2001:db8::1", JumpHost("joan", "2001:db8::1", 22)),
    ],
)
def test_a_jump_host_is_read_as_ssh_reads_it(text: str, expected: JumpHost) -> None:
    assert JumpHost.parse(text, "root") == expected


def test_host_keys_are_stored_as_openssh_writes_them(tmp_path: Path) -> None:
    made = workspace(tmp_path, host={"port": 2222})
    assert host_key_name(made.school("escola").hosts["main"]) == "[192.0.2.10]:2222"
    assert known_hosts_name("a.cat", 22) == "a.cat"


def test_the_workspaces_own_names_come_before_dns(tmp_path: Path) -> None:
    names = tmp_path / "hosts"
    names.write_text("# lab\n10.0.0.7 servidor.test Pad.Servidor.test # ours\n10.0.0.8 servidor.test\n")
    assert read_names(names) == {"servidor.test": "10.0.0.7", "pad.servidor.test": "10.0.0.7"}
    assert resolve(names, "PAD.servidor.test") == "10.0.0.7"
    assert resolve(names, "[2001:db8::1]") == "2001:db8::1"
    assert resolve(names, "localhost") in {"127.0.0.1", "::1"}
    assert resolve_all(names, "pad.servidor.test") == ["10.0.0.7"]
    assert [resolve_own(names, name) for name in ("Servidor.test", "[2001:db8::1]", "localhost")] == [
        "10.0.0.7",
        "2001:db8::1",
        None,
    ]
    with pytest.raises(OSError, match=r".+"):
        resolve(names, "does-not-exist.invalid")


def test_every_role_that_site_yml_may_name_is_shipped() -> None:
    assert {"base", "firewall", "nginx", "tls", "postgresql"} <= {role.name for role in paths.ROLES.iterdir()}


def test_the_audit_log_has_an_address_where_there_is_a_site(tmp_path: Path) -> None:
    host = host_variables(workspace(tmp_path), "hello")
    assert host["audit_trail_school"] == "escola"
    assert host["audit_trail_https"] is True
    assert host["audit_trail_auditors"] == []
