"""What provision-probe tells of what services lean on."""

import hashlib
import json

import pytest

from tests.unit.roles.probe import Probe, fastcgi_answer, listening, said


def test_redis_answers_ping_and_tells_what_it_holds(probe: Probe) -> None:
    probe.put(
        "/etc/provision/redis.json",
        json.dumps({"instances": [{"name": name} for name in ("a", "b", "c", "../d", 7)]}),
    )
    info = b"# Memory\r\nused_memory:1048576\r\nmaxmemory:67108864\r\nmaxmemory_policy:noeviction\r\nevicted_keys:0\r\n"
    answer = b"+PONG\r\n$%d\r\n%s\r\n+OK\r\n" % (len(info), info)
    with (
        listening(probe.root / "run/redis-a/redis.sock", lambda _: answer),
        listening(probe.root / "run/redis-b/redis.sock", lambda _: None),
    ):
        told = probe.needs.redis()
    assert set(told) == {"a", "b", "c"}
    assert told["a"]["pong"] is True
    assert (told["a"]["used_memory"], told["a"]["maxmemory"], told["a"]["policy"]) == (
        2**20,
        2**26,
        "noeviction",
    )
    assert told["b"] == {"pong": False, "error": "no answer in time"}
    assert told["c"] == {"pong": False, "error": "its socket is not there"}


def test_redis_that_wants_a_password_or_floods_us_is_not_well(probe: Probe) -> None:
    probe.put("/etc/provision/redis.json", json.dumps({"instances": [{"name": "a"}, {"name": "b"}]}))
    with (
        listening(probe.root / "run/redis-a/redis.sock", lambda _: b"-NOAUTH Authentication required.\r\n"),
        listening(probe.root / "run/redis-b/redis.sock", lambda _: b"x" * 3_000_000),
    ):
        told = probe.needs.redis()
    assert told["a"]["error"] == "-NOAUTH Authentication required."
    assert (told["b"]["pong"], len(told["b"]["error"])) == (False, 100)


def test_the_queue_of_php_is_read_from_its_status_page(probe: Probe) -> None:
    probe.put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    status = {"pool": "wiki", "listen queue": 2, "active processes": 4, "idle processes": 0, "total processes": 4,
              "max children reached": 7, "slow requests": 0, "evil": "x", "accepted conn": "many"}  # fmt: skip
    asked: list[bytes] = []

    def answers(request: bytes) -> bytes:
        asked.append(request)
        return fastcgi_answer(json.dumps(status).encode())

    with listening(probe.root / "run/php-wiki/fpm.sock", answers):
        told = probe.needs.php()
    assert told == {
        "wiki": {"answers": True, "error": "", "late": False, "listen_queue": 2, "active_processes": 4,
                 "idle_processes": 0, "total_processes": 4, "max_children_reached": 7, "slow_requests": 0},
    }  # fmt: skip
    assert b"\x0b\x0bSCRIPT_NAME/fpm-status" in asked[0]
    assert asked[0].startswith(b"\1\1\0\1\0\x08\0\0\0\1\0")


def test_php_whose_workers_are_all_busy_is_told_by_the_kernel(probe: Probe) -> None:
    probe.put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    path = probe.root / "run/php-wiki/fpm.sock"
    probe.fake("ss", said(f"u_str LISTEN 12 511 {path} 4711 * 0"))
    with listening(path, lambda _: None):
        told = probe.needs.php()["wiki"]
    assert told == {
        "answers": False, "error": "no answer in time", "late": True, "listen_queue": 12, "listen_queue_len": 511,
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        fastcgi_answer(b"no json"),
        fastcgi_answer(b"[]"),
        b"\1\6\0\1\xff\xff\0\0x",
    ],
)
def test_what_does_not_speak_as_php_does_is_said_to_be_so(probe: Probe, answer: bytes) -> None:
    probe.put("/etc/provision/php.json", json.dumps({"pools": [{"name": "wiki"}]}))
    with listening(probe.root / "run/php-wiki/fpm.sock", lambda _: answer):
        told = probe.needs.php()["wiki"]
    assert (told["answers"], told["late"], told["error"]) == (
        False,
        False,
        "it does not answer as PHP-FPM does",
    )


def test_databases_are_told_with_whether_their_owners_get_in(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def psql(user: str, database: str, query: str) -> str:
        asked.append((user, database))
        if query == probe.needs.SIZES:
            sizes = {"nobody": 5, "no_such_user": 6, "Strange Name": 7, "daemon": 8}
            return json.dumps({"connections": 3, "most": 100, "read_only": False, "databases": sizes})
        if user == "daemon":
            raise probe.core.UnanswerableError(
                'psql: error: connection to server failed: FATAL:  role "daemon" is no'
            )
        return "1"

    monkeypatch.setattr(probe.needs, "psql", psql)
    told = probe.needs.databases()
    assert told["databases"] == {
        "nobody": {"size": 5, "error": ""}, "no_such_user": {"size": 6, "error": None},
        "Strange Name": {"size": 7, "error": None}, "daemon": {"size": 8, "error": 'role "daemon" is no'},
    }  # fmt: skip
    assert asked == [("postgres", "postgres"), ("nobody", "nobody"), ("daemon", "daemon")]


def test_a_database_server_that_is_down_is_told_with_its_own_words(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def psql(*_: str) -> str:
        raise probe.core.UnanswerableError("psql: connection refused")

    monkeypatch.setattr(probe.needs, "psql", psql)
    assert probe.needs.databases() == {"up": False, "error": "psql: connection refused"}


RULES = (
    "table inet provision {\n chain input {\n  type filter hook input priority filter; policy drop;\n }\n}"
)


def test_the_firewall_is_compared_with_what_provision_loaded(probe: Probe) -> None:
    probe.fake("nft", said(RULES))
    assert probe.needs.firewall() == {"present": True, "drops": True, "unchanged": None}
    # As provision-firewall writes it down.
    listed = hashlib.sha256(f"{RULES}\n".encode() * 3).hexdigest()
    probe.put("/run/provision/firewall.listed", listed)
    assert probe.needs.firewall()["unchanged"] is True
    probe.fake("nft", said(RULES.replace("policy drop", "policy accept")))
    assert probe.needs.firewall() == {"present": True, "drops": False, "unchanged": False}
    probe.fake("nft", "echo 'No such file or directory' >&2; exit 1")
    assert probe.needs.firewall() == {"present": False, "drops": False, "unchanged": None}
