"""What the role php promises, asked from PHP itself as nginx asks it. What is changed is put back."""

import json
import re
import shlex

import pytest

# A request as nginx sends it, with nothing but Debian's Python: socket, script, query.
FASTCGI = """
import socket, struct, sys
where, script, query = sys.argv[1:]
def record(kind, data):
    return struct.pack(">BBHHBB", 1, kind, 1, len(data), 0, 0) + data
values = {"REQUEST_METHOD": "GET", "SCRIPT_FILENAME": script, "SCRIPT_NAME": script, "QUERY_STRING": query}
sent = b"".join(bytes([len(name), len(value)]) + (name + value).encode() for name, value in values.items())
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(60)
connection.connect(where)
begin = record(1, struct.pack(">HB5x", 1, 0))
connection.sendall(begin + record(4, sent) + record(4, b"") + record(5, b""))
answer = connection.makefile("rb")
while True:
    kind, size, padding = struct.unpack(">xBxxHBx", answer.read(8))
    data = answer.read(size)
    answer.read(padding)
    if kind == 3:
        break
    (sys.stdout if kind == 6 else sys.stderr).write(data.decode())
"""
LOOK = """<?php
$written = [];
foreach (["/opt", "/etc", "/run", "/var/lib", $_GET["data"], "/tmp"] as $place) {
    $written[$place] = @file_put_contents("$place/provision-verify", "x") !== false;
    @unlink("$place/provision-verify");
}
file_put_contents("/tmp/provision-verify", "x");
error_clear_last();
rename("/tmp/provision-verify", "$_GET[data]/provision-verify");
$moved = error_get_last();
unlink("$_GET[data]/provision-verify");
echo json_encode([
    "ini" => ini_get_all(null, false), "user" => posix_getpwuid(posix_geteuid())["name"],
    "opcache" => opcache_get_status(false), "written" => $written,
    "moved" => $moved,
    "extensions" => array_map("strtolower", get_loaded_extensions()), "home" => @scandir("/root") !== false,
]);
"""
REACH = """<?php
$reached = [];
foreach (explode(",", $_GET["redis"]) as $name) {
    try {
        $redis = new Redis;
        $redis->connect("/run/redis-$name/redis.sock");
        $reached["redis $name"] = $redis->ping() == true;
    } catch (Throwable $error) {
        $reached["redis $name"] = false;
    }
}
foreach (explode(",", $_GET["databases"]) as $name) {
    $connection = @pg_connect("host=/var/run/postgresql dbname=$name user=$name");
    $reached["database $name"] = $connection && pg_fetch_result(pg_query("SELECT current_user"), 0) == $name;
}
echo json_encode($reached);
"""
FAIL = """<?php
function login(string $password) { throw new RuntimeException("the door is closed"); }
login("a-secret-word");
"""
COUNT = "<?php echo opcache_get_status()['opcache_statistics']['num_cached_scripts'];"
# What PHP on the command line always sets by itself.
OF_THE_COMMAND_LINE = {
    "display_errors",
    "html_errors",
    "max_execution_time",
    "max_input_time",
    "output_buffering",
}


class Php:
    """The pools of one server."""

    def __init__(self, host, place):
        self.host, self.place = host, place
        self.wanted = json.loads(host.file("/etc/provision/php.json").content_string)
        self.pools = {pool["name"]: pool for pool in self.wanted["pools"]}

    def request(self, pool, script, query="", user="www-data"):
        """What PHP answers a user of the server, as it stands."""
        socket = f"/run/php-{pool}/fpm.sock"
        arguments = " ".join(shlex.quote(part) for part in (FASTCGI, socket, script, query))
        return self.host.run(f"cd / && runuser -u {user} -- python3 -c {arguments}")

    def answer(self, pool, script, query=""):
        done = self.request(pool, f"{self.place}/{script}.php", query)
        assert done.rc == 0, done.stderr
        return json.loads(done.stdout.partition("\r\n\r\n")[2])

    def shown(self, pool, name):
        return self.host.check_output(
            f"systemctl show provision-php@{pool}.service --property={name} --value"
        )

    def settle(self, *arguments):
        return self.host.run(" ".join(["provision-php", "settle", *arguments]))


@pytest.fixture(name="php", scope="module")
def _php(host):
    place = host.check_output("mktemp -d /run/provision-verify.XXXXXX && chmod 0755 /run/provision-verify.*")
    for name, text in {"look": LOOK, "reach": REACH, "fail": FAIL, "count": COUNT}.items():
        host.check_output(f"printf %s {shlex.quote(text)} > {place}/{name}.php")
    php = Php(host, place)
    assert php.pools
    yield php
    host.check_output(f"rm -r {place}")


@pytest.fixture(name="looks", scope="module")
def _looks(php):
    """What a worker of each pool sees."""
    return {name: php.answer(name, "look", f"data=/var/lib/{name}") for name in php.pools}


def test_every_pool_runs_and_starts_with_the_server(host, php):
    for name in php.pools:
        unit = host.service(f"provision-php@{name}.service")
        assert unit.is_running
        assert unit.is_enabled


def test_every_process_of_a_pool_is_its_users_and_none_is_roots(host, php, looks):
    lines = [line.split(None, 1) for line in host.check_output("ps -eo user:32,args").splitlines()]
    masters = {user for user, what in lines if what.startswith("php-fpm: master")}
    workers = {user for user, what in lines if what.startswith("php-fpm: pool")}
    assert masters == workers == {pool["user"] for pool in php.pools.values()}
    for name, pool in php.pools.items():
        assert looks[name]["user"] == pool["user"]


def test_its_users_cannot_log_in(host, php):
    for pool in php.pools.values():
        user = host.user(pool["user"])
        assert (user.shell, user.groups) == ("/usr/sbin/nologin", [pool["user"]])
        assert host.check_output(f"getent shadow {pool['user']}").split(":")[1][0] in "!*"


def test_nothing_listens_on_a_network(host):
    assert [line for line in host.check_output("ss -Hltunp").splitlines() if "php" in line] == []


def test_nginx_reaches_a_pool_and_other_users_do_not(php):
    for name, pool in php.pools.items():
        assert "pong" in php.request(name, "/fpm-ping").stdout
        for other in {"nobody", *(each["user"] for each in php.pools.values())} - {pool["user"]}:
            refused = php.request(name, "/fpm-ping", user=other)
            assert refused.rc != 0
            assert "PermissionError" in refused.stderr, (name, other)


def test_the_worker_sees_the_settings_that_were_asked_for(php, looks):
    for name, pool in php.pools.items():
        ini = looks[name]["ini"]
        asked = {
            "expose_php": False,
            "display_errors": False,
            "zend.exception_ignore_args": True,
            "opcache.enable": True,
            "session.cookie_secure": True,
            "session.cookie_httponly": True,
            "date.timezone": php.wanted["timezone"],
            "memory_limit": f"{pool['memory_limit_mb']}M",
            "upload_max_filesize": f"{pool['upload_mb']}M",
            "post_max_size": f"{pool['upload_mb']}M",
            **pool["settings"],
        }
        for key, value in asked.items():
            spelled = (
                {True: {"1", "On"}, False: {"", "0", "Off"}}
                if isinstance(value, bool)
                else {value: {str(value)}}
            )
            assert ini[key] in spelled[value], key


def test_the_extensions_that_were_asked_for_are_there(php, looks):
    for name, pool in php.pools.items():
        there = {*looks[name]["extensions"], "opcache"}
        assert set(pool["extensions"]) <= there


def test_the_compiled_code_is_kept(php, looks):
    for name in php.pools:
        assert looks[name]["opcache"]["opcache_enabled"] is True


def test_the_command_line_has_the_same_settings(host, php, looks):
    show = "echo json_encode(ini_get_all(null, false));"
    for name, pool in php.pools.items():
        said = host.check_output(f"cd / && runuser -u {pool['user']} -- php-{name} -r '{show}'")
        values = json.loads(said)
        text = host.file(f"/etc/provision/php/{name}/90-provision.ini").content_string
        ours = set(re.findall(r"(?m)^([\w.]+) =", text)) - OF_THE_COMMAND_LINE
        assert {key: values[key] for key in ours} == {key: looks[name]["ini"][key] for key in ours}


def test_a_pool_may_write_to_its_own_data_and_to_its_own_tmp_only(php, looks):
    for name in php.pools:
        written = {place for place, could in looks[name]["written"].items() if could}
        assert written == {f"/var/lib/{name}", "/tmp"}
        assert looks[name]["home"] is False
        assert looks[name]["moved"] is None
        assert php.shown(name, "PrivateTmp") == "yes"


def test_the_unit_takes_every_right_away_that_php_does_not_need(php):
    for name in php.pools:
        for key, value in {
            "NoNewPrivileges": "yes",
            "ProtectSystem": "strict",
            "PrivateDevices": "yes",
            "RestrictNamespaces": "yes",
            "CapabilityBoundingSet": "",
        }.items():
            assert php.shown(name, key) == value, key
        assert int(php.shown(name, "MemoryMax")) < 2**40


def test_a_pool_reaches_its_own_redis_and_database_and_no_others(php):
    names = ",".join(php.pools)
    for name in php.pools:
        reached = php.answer(name, "reach", f"redis={names}&databases={names}")
        assert {what for what, could in reached.items() if could} == {f"redis {name}", f"database {name}"}


def test_the_workers_follow_from_the_memory(host, php):
    total = int(re.search(r"MemTotal:\s+(\d+)", host.file("/proc/meminfo").content_string)[1]) // 1024
    rest = total - total % 256 - php.wanted["other_memory_mb"]
    for name, pool in php.pools.items():
        share = rest * pool["share"] // sum(each["share"] for each in php.pools.values())
        share -= pool["settings"].get("opcache.memory_consumption", 128)
        share -= 32 if "apcu" in pool["extensions"] else 0
        text = host.file(f"/etc/provision/php/{name}/fpm.conf").content_string
        assert int(re.search(r"max_children = (\d+)", text)[1]) == min(
            max(share // pool["process_mb"], 4), 64
        )


def test_an_error_is_told_to_the_journal_without_arguments_and_not_to_people(host, php):
    for name in php.pools:
        said = php.request(name, f"{php.place}/fail.php")
        assert "Status: 500" in said.stdout
        assert "door" not in said.stdout
        host.check_output("journalctl --sync")
        logged = host.check_output(f"journalctl -u provision-php@{name}.service --since -1min -o cat")
        assert "the door is closed" in logged
        assert "a-secret-word" not in logged


def test_a_wrong_setting_is_refused_and_the_running_php_stays(host, php):
    name = next(iter(php.pools))
    before = php.shown(name, "MainPID")
    ini = host.file(f"/etc/provision/php/{name}/90-provision.ini").content_string
    text = host.file("/etc/provision/php.json").content_string
    try:
        for setting, value in {
            "no.such_setting": 1,
            "memory_limit": "much",
            "opcache.memory_consumption": 1,
        }.items():
            wrong = json.loads(text)
            wrong["pools"][0]["settings"][setting] = value
            host.check_output(f"printf %s {shlex.quote(json.dumps(wrong))} > /etc/provision/php.json")
            done = php.settle()
            assert done.rc == 1, setting
            assert setting in done.stderr
            assert host.file(f"/etc/provision/php/{name}/90-provision.ini").content_string == ini
            assert php.shown(name, "MainPID") == before
    finally:
        host.check_output(f"printf %s {shlex.quote(text)} > /etc/provision/php.json")
    assert php.settle("--check").stdout == ""
    assert "pong" in php.request(name, "/fpm-ping").stdout


def test_a_reload_forgets_the_compiled_code_and_keeps_the_unit(php):
    for name in php.pools:
        php.answer(name, "look", "data=/tmp")
        assert php.answer(name, "count") > 1
        before = php.shown(name, "MainPID")
        php.host.check_output(f"systemctl reload provision-php@{name}.service")
        assert php.answer(name, "count") == 1
        assert php.shown(name, "MainPID") == before
        assert php.shown(name, "ActiveState") == "active"


@pytest.mark.parametrize("command", ["restart {0}", "stop {0} && systemctl start {0}"])
def test_what_debian_does_to_its_unit_reaches_every_pool(host, php, command):
    before = {name: php.shown(name, "MainPID") for name in php.pools}
    debians = f"php{php.wanted['version']}-fpm.service"
    host.check_output(f"systemctl {command.format(debians)}")
    for name in php.pools:
        # This waits for what has begun already, as nothing else does.
        host.check_output(f"systemctl start provision-php@{name}.service")
        assert php.shown(name, "MainPID") not in ("0", before[name])
        assert "pong" in php.request(name, "/fpm-ping").stdout
    assert php.settle().stdout == ""
