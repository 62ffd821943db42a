"""What the role postgresql promises, tried as the users of the server. Nothing is changed."""

import pytest


@pytest.fixture(scope="module")
def databases(host):
    """Names of the services' databases and of their owners."""
    listed = admin(
        host,
        "SELECT datname || ' ' || pg_get_userbyid(datdba) FROM pg_database "
        "WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1",
    )
    assert listed
    return [tuple(line.split()) for line in listed.splitlines()]


def admin(host, sql):
    return host.check_output("runuser -u postgres -- psql -XAtqc %s", sql)


def test_the_server_listens_on_no_network(host):
    assert [line for line in host.check_output("ss -Htlnp").splitlines() if "postgres" in line] == []
    assert host.file("/var/run/postgresql/.s.PGSQL.5432").is_socket


def test_each_database_belongs_to_the_role_of_its_name(databases):
    assert [owner for _, owner in databases] == [name for name, _ in databases]


def test_a_service_reaches_its_own_database_without_a_password(host, databases):
    for name, _ in databases:
        assert host.check_output(f"runuser -u {name} -- psql -XAtqc 'SELECT current_user'") == name


def test_a_system_user_cannot_be_another_role(host, databases):
    for name, _ in databases:
        said = host.run(f"runuser -u nobody -- psql -XAtq -U {name} -d {name} -c 'SELECT 1'")
        assert said.rc != 0
        assert "Peer authentication failed" in said.stderr


def test_a_service_cannot_enter_another_database(host, databases):
    names = [name for name, _ in databases]
    for name in names:
        for other in [*names, "postgres"]:
            if other != name:
                assert host.run(f"runuser -u {name} -- psql -XAtq -d {other} -c 'SELECT 1'").rc != 0


def test_no_service_may_do_more_than_it_needs(host):
    mighty = admin(
        host, "SELECT rolname FROM pg_roles WHERE rolcanlogin AND (rolsuper OR rolcreaterole OR rolcreatedb)"
    )
    assert mighty.split() == ["postgres"]


def test_no_password_exists(host):
    assert admin(host, "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL") == "0"


def test_nobody_else_may_connect(host, databases):
    for name, _ in databases:
        assert admin(host, f"SELECT has_database_privilege('pg_monitor', '{name}', 'CONNECT')") == "f"


def test_texts_are_unicode_and_sorted_the_same_on_every_debian(host, databases):
    for name, _ in databases:
        where = f"FROM pg_database WHERE datname = '{name}'"
        assert admin(host, f"SELECT pg_encoding_to_char(encoding) {where}") == "UTF8"
        assert admin(host, f"SELECT datcollate {where}") == "C.UTF-8"


def test_every_setting_is_in_force(host):
    assert admin(host, "SELECT name FROM pg_settings WHERE pending_restart") == ""
    assert admin(host, "SELECT error FROM pg_file_settings WHERE error IS NOT NULL") == ""


def test_the_server_comes_back_with_the_machine(host):
    assert host.service("postgresql").is_enabled
