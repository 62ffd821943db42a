"""What the role redis promises, tried as the users of the server. What is changed is put back."""

import json

import pytest


@pytest.fixture(name="instances", scope="module")
def _instances(host):
    listed = json.loads(host.file("/etc/provision/redis.json").content_string)["instances"]
    assert listed
    return listed


def ask(host, instance, command, user=None):
    path = f"/run/redis-{instance['name']}/redis.sock"
    return host.run(f"runuser -u {user or instance['user']} -- redis-cli -s {path} {command}")


def unit(instance):
    return f"provision-redis@{instance['name']}.service"


def shown(host, instance, name):
    return host.check_output(f"systemctl show {unit(instance)} --property={name} --value")


def settle(host):
    return host.run("provision-redis settle")


def test_every_instance_runs_and_starts_with_the_server(host, instances):
    for instance in instances:
        assert host.service(unit(instance)).is_running
        assert host.service(unit(instance)).is_enabled


def test_every_instance_is_a_process_of_its_own_users(host, instances):
    users = {
        line.split()[0]: line
        for line in host.check_output("ps -eo user:32,args").splitlines()
        if "redis-server" in line
    }
    assert set(users) == {instance["user"] for instance in instances}


def test_nothing_listens_on_a_network(host):
    assert [line for line in host.check_output("ss -Hltunp").splitlines() if "redis" in line] == []


def test_only_its_own_user_reaches_an_instance(host, instances):
    for instance in instances:
        assert ask(host, instance, "PING").stdout == "PONG\n"
        for other in {"nobody", "www-data", *(each["user"] for each in instances)} - {instance["user"]}:
            refused = ask(host, instance, "PING", user=other)
            assert "Permission denied" in refused.stdout + refused.stderr, (instance, other)


def test_it_holds_and_evicts_what_was_asked_for(host, instances):
    for instance in instances:
        said = ask(host, instance, "CONFIG GET 'maxmemory*'").stdout.splitlines()
        values = dict(zip(said[::2], said[1::2], strict=True))
        assert values["maxmemory"] == str(instance["memory_mb"] * 2**20)
        assert values["maxmemory-policy"] == instance["eviction"]


def test_nothing_is_written_to_a_disk(host, instances):
    for instance in instances:
        assert ask(host, instance, "CONFIG GET save").stdout.splitlines() == ["save", ""]
        assert ask(host, instance, "CONFIG GET appendonly").stdout.splitlines() == ["appendonly", "no"]
        assert host.check_output(f"stat -f -c %T /run/redis-{instance['name']}") == "tmpfs"


def test_the_unit_takes_every_right_away_that_redis_does_not_need(host, instances):
    for instance in instances:
        for name, value in {
            "NoNewPrivileges": "yes",
            "ProtectSystem": "strict",
            "ProtectHome": "yes",
            "PrivateTmp": "yes",
            "CapabilityBoundingSet": "",
            "RestrictAddressFamilies": "AF_UNIX",
        }.items():
            assert shown(host, instance, name) == value, name
        assert int(shown(host, instance, "MemoryMax")) < 2**40


def test_other_limits_are_taken_up_without_losing_what_it_holds(host, instances):
    instance = instances[0]
    wanted = host.file("/etc/provision/redis.json").content_string
    more = json.loads(wanted)
    more["instances"][0] |= {"memory_mb": instance["memory_mb"] + 8, "eviction": "volatile-ttl"}
    ask(host, instance, "SET provision-verify held")
    try:
        host.check_output(f"printf %s '{json.dumps(more)}' > /etc/provision/redis.json")
        told = host.run("provision-redis settle --check")
        assert told.rc == 0
        assert f"/etc/provision/redis/{instance['name']}.conf" in told.stdout
        done = settle(host)
        assert done.rc == 0, done.stderr
        assert "restart" not in done.stdout
        assert settle(host).stdout == ""
        limit = ask(host, instance, "CONFIG GET maxmemory").stdout.splitlines()[1]
        assert int(limit) == (instance["memory_mb"] + 8) * 2**20
        assert ask(host, instance, "GET provision-verify").stdout == "held\n"
    finally:
        host.check_output(f"printf %s '{wanted}' > /etc/provision/redis.json")
        assert settle(host).rc == 0
        ask(host, instance, "DEL provision-verify")


@pytest.mark.parametrize("command", ["restart {0}", "stop {0} && systemctl start {0}"])
def test_what_debian_does_to_its_unit_reaches_every_instance(host, instances, command):
    before = {instance["name"]: shown(host, instance, "MainPID") for instance in instances}
    host.check_output(f"systemctl {command.format('redis-server.service')}")
    for instance in instances:
        # This waits for what has begun already, as nothing else does.
        host.check_output(f"systemctl start {unit(instance)}")
        assert shown(host, instance, "MainPID") not in ("0", before[instance["name"]])
        assert ask(host, instance, "PING").stdout == "PONG\n"
    assert settle(host).stdout == ""
