"""What the services lean on: PostgreSQL, Redis, PHP and the firewall."""

from __future__ import annotations

import hashlib
import json
import pwd
import re
import socket
import time
from pathlib import Path

from provision_probe import MOST_THINGS, NAME, STEP, UnanswerableError, at, number, parsed, read, run, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def psql(user: str, database: str, query: str) -> str:
    programs = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/psql"),
        key=lambda path: int(re.sub(r"\D", "", path.parts[4]) or 0),
    )
    if not programs:
        raise UnanswerableError("PostgreSQL is not installed")
    target = f"dbname={database} options='-c statement_timeout=2000 -c lock_timeout=1000'"
    # Not Debian's wrapper: it takes more time than the question.
    return run(str(programs[-1]), "-XAtqw", "-d", target, "-c", query, user=user)


SIZES = """SELECT json_build_object('connections', (SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend'), 'most', current_setting('max_connections')::int, 'read_only',
pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on', 'databases', (SELECT
json_object_agg(datname, pg_database_size(oid)) FROM (SELECT datname, oid FROM pg_database WHERE NOT datistemplate
AND datname <> 'postgres' ORDER BY datname LIMIT 32) AS named))"""


def refusal(error: UnanswerableError) -> str:
    """Why PostgreSQL lets nobody in, in its own words, without where psql looked for it."""
    return (str(error).partition("FATAL:")[2].strip() or str(error))[:200]


def databases() -> dict[str, Any]:
    """Whether PostgreSQL answers, how large its databases are, and whether their owners get in."""
    try:
        found = json.loads(psql("postgres", "postgres", SIZES))
    except KeyError:
        return {"up": False, "error": "PostgreSQL is not installed"}
    except UnanswerableError as error:
        return {"up": False, "error": refusal(error)}
    sizes = found.get("databases") or {}
    told: dict[str, Any] = {}
    for name, size in sizes.items():
        told[name] = {"size": size, "error": None}
        if NAME.fullmatch(name) and len(told) <= 8:
            try:
                pwd.getpwnam(name)
            except KeyError:
                continue
            try:
                # As the service does: its own system user, with its own database.
                psql(name, name, "SELECT 1")
                told[name]["error"] = ""
            except UnanswerableError as error:
                told[name]["error"] = refusal(error)
    return {
        "up": True,
        "error": "",
        "connections": found.get("connections"),
        "most": found.get("most"),
        "read_only": found.get("read_only"),
        "databases": told,
    }


def sockets(prefix: str, name: str) -> dict[str, str]:
    """Sockets of what provision has set up, by instance: whether they are there or not."""
    found = {}
    wanted = parsed(at(f"/etc/provision/{prefix}.json"))
    key = {"redis": "instances", "php": "pools"}[prefix]
    listed_ones = wanted.get(key) if isinstance(wanted, dict) else None
    for one in listed_ones[:MOST_THINGS] if isinstance(listed_ones, list) else []:
        instance = one.get("name") if isinstance(one, dict) else None
        if isinstance(instance, str) and NAME.fullmatch(instance):
            found[instance] = str(at(f"/run/{prefix}-{instance}/{name}"))
    return found


def talk(path: str, said: bytes, ends: Callable[[bytes], bool], most: int = 65536) -> bytes:
    """Say something to a socket, and what it answers.

    Raises:
        OSError: it is not there, or does not answer in time (TimeoutError).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(STEP)
        line.connect(path)
        line.sendall(said)
        deadline, answer = time.monotonic() + STEP, b""
        while len(answer) < most and not ends(answer):
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
            part = line.recv(16384)
            if not part:
                break
            answer += part
    return answer


def redis() -> dict[str, Any]:
    found = {}
    for name, path in sockets("redis", "redis.sock").items():
        try:
            # RESP: "+PONG", then a text of the length that it says.
            answer = talk(path, b"PING\r\nINFO\r\nQUIT\r\n", lambda text: text.endswith(b"+OK\r\n"))
        except OSError as error:
            found[name] = {"pong": False, "error": why(error)}
            continue
        text = answer.decode("utf-8", "replace")
        values = dict(re.findall(r"(?m)^([a-z_]{1,40}):([^\r\n]{0,80})", text))
        pong = text.startswith("+PONG")
        found[name] = {
            "pong": pong,
            "error": "" if pong else text.partition("\r\n")[0][:100] or "it says nothing",
            **{
                key: number(values.get(key, ""))
                for key in ("used_memory", "maxmemory", "evicted_keys", "uptime_in_seconds")
            },
            "policy": values.get("maxmemory_policy", ""),
        }
    return found


def fastcgi(path: str) -> bytes:
    """The body of PHP-FPM's status page over FastCGI (FastCGI Specification 1.0, section 3.3)."""

    def record(kind: int, content: bytes) -> bytes:
        return bytes([1, kind, 0, 1]) + len(content).to_bytes(2, "big") + b"\0\0" + content

    pairs = {"SCRIPT_NAME": "/fpm-status", "SCRIPT_FILENAME": "/fpm-status", "QUERY_STRING": "json",
             "REQUEST_METHOD": "GET", "REQUEST_URI": "/fpm-status?json", "SERVER_PROTOCOL": "HTTP/1.1"}  # fmt: skip
    parameters = b"".join(
        bytes([len(key), len(value)]) + key.encode() + value.encode() for key, value in pairs.items()
    )
    # 1 begins (as responder, closed afterwards), 4 has the parameters, 5 the body, each ended by an empty one.
    said = record(1, b"\0\1\0\0\0\0\0\0") + record(4, parameters) + record(4, b"") + record(5, b"")
    records: list[tuple[int, bytes]] = []

    def ends(answer: bytes) -> bool:
        records.clear()
        place = 0
        while place + 8 <= len(answer):
            length, padding = int.from_bytes(answer[place + 4 : place + 6], "big"), answer[place + 6]
            if place + 8 + length > len(answer):
                return False
            records.append((answer[place + 1], answer[place + 8 : place + 8 + length]))
            place += 8 + length + padding
        return any(kind == 3 for kind, _ in records)

    ends(talk(path, said, ends))
    return b"".join(content for kind, content in records if kind == 6).partition(b"\r\n\r\n")[2]


def queue_of(path: str) -> list[int] | None:
    """How many wait at a socket, and how many may, as ss(8) shows it."""
    try:
        out = run("ss", "-Hxl", "src", path)
    except UnanswerableError:
        return None
    for line in out.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] == path and fields[2].isdigit() and fields[3].isdigit():
            return [int(fields[2]), int(fields[3])]
    return None


def php() -> dict[str, Any]:
    """The queue of each PHP-FPM."""
    return {name: pool(path) for name, path in sockets("php", "fpm.sock").items()}


def pool(path: str) -> dict[str, Any]:
    """What one PHP-FPM tells of itself. Where all workers are busy it cannot: then the kernel tells who waits."""
    wanted = (
        "listen queue", "max listen queue", "listen queue len", "idle processes", "active processes",
        "total processes", "max active processes", "max children reached", "slow requests", "accepted conn",
    )  # fmt: skip
    try:
        told = json.loads(fastcgi(path))
        values = {key.replace(" ", "_"): told[key] for key in wanted if isinstance(told.get(key), int)}
    except OSError as error:
        waits = queue_of(path)
        return {
            "answers": False,
            "error": why(error),
            "late": isinstance(error, (socket.timeout, BlockingIOError)),
            **({"listen_queue": waits[0], "listen_queue_len": waits[1]} if waits else {}),
        }
    except (ValueError, AttributeError, RecursionError):
        return {"answers": False, "error": "it does not answer as PHP-FPM does", "late": False}
    return {"answers": True, "error": "", "late": False, **values}


def firewall() -> dict[str, Any]:
    """Whether the rules are there, shut by default, and those that provision loaded (as provision-firewall has it)."""
    chains = [
        run("nft", "--stateless", "list", "chain", "inet", "provision", chain, may_fail=True)
        for chain in ("input", "ssh", "ssh_rate")
    ]
    present = all(chains)
    try:
        noted = read("/run/provision/firewall.listed", 200).strip()
    except OSError:
        noted = ""
    now = hashlib.sha256("".join(chains).encode()).hexdigest() if present else ""
    return {
        "present": present,
        "drops": bool(re.search(r"hook input [^;]*; policy drop;", chains[0])),
        # After a start of the server nothing is noted yet.
        "unchanged": now == noted if present and noted else None,
    }
