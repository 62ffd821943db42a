"""The program of the role coturn: whom it relays to, and what its passwords are."""

import base64
import hashlib
import hmac
import json
import signal
import socket
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import paths
from tests.unit.roles.programs import load, started


@pytest.fixture(name="program")
def _program() -> types.ModuleType:
    return load("coturn", "provision-coturn")


def wanted(**site: str) -> dict[str, Any]:
    entry = {
        "name": "jitsi",
        "hostname": "meet.escola.test",
        "public_address": "",
        "local_address": "",
        **site,
    }
    return {"secret": "s3cret", "sites": [entry], "total_quota": 1200, "ciphers": "X"}


def lines(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_it_relays_to_this_server_alone(program: types.ModuleType) -> None:
    text = program.settings(wanted(), ["10.0.0.5", "2001:db8::5"])
    assert lines(text, "denied-peer-ip") == [
        "0.0.0.0-255.255.255.255",
        "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]
    assert lines(text, "allowed-peer-ip") == ["10.0.0.5", "2001:db8::5"]
    assert "no-tcp-relay" in text.splitlines()
    assert "no-multicast-peers" in text.splitlines()


@pytest.mark.parametrize("key", ["public_address", "local_address"])
@pytest.mark.parametrize(
    "text",
    [
        "203.0.113.1\nno-auth\nallow-loopback-peers",
        "203.0.113.1\n",
        "10.0.0.0-10.255.255.255",
        "10.0.0.0/8",
        "fe80::1%x\nno-auth",
        "127.0.0.1",
        "0.0.0.0",
        "router.escola.test",
    ],
)
def test_what_is_no_address_does_not_get_into_its_settings(
    program: types.ModuleType, key: str, text: str
) -> None:
    with pytest.raises(program.CoturnError, match=f"{key} of jitsi is no address"):
        program.settings(wanted(**{"public_address": "192.0.2.7", key: text}), ["10.0.0.5"])


def test_behind_a_router_people_are_told_the_routers_address(program: types.ModuleType) -> None:
    text = program.settings(
        wanted(public_address="192.0.2.7", local_address="10.0.0.9"), ["10.0.0.5", "10.0.0.9"]
    )
    assert lines(text, "external-ip") == ["192.0.2.7/10.0.0.9"]
    assert "192.0.2.7" in lines(text, "allowed-peer-ip")
    text = program.settings(wanted(public_address="192.0.2.7"), ["10.0.0.5"])
    assert lines(text, "external-ip") == ["192.0.2.7/10.0.0.5"]


def test_of_several_addresses_the_one_that_leads_out_is_told_to_the_router(program: types.ModuleType) -> None:
    addresses = ["10.0.0.5", "172.17.0.1"]
    behind = wanted(public_address="192.0.2.7")
    assert lines(program.settings(behind, addresses, "172.17.0.1"), "external-ip") == ["192.0.2.7/172.17.0.1"]
    said = wanted(public_address="192.0.2.7", local_address="10.0.0.5")
    assert lines(program.settings(said, addresses, "172.17.0.1"), "external-ip") == ["192.0.2.7/10.0.0.5"]


def test_the_address_that_leads_out_is_asked_of_the_system(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ip = tmp_path / "ip"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ip.write_text(
        '#!/bin/sh\n[ "$*" = "-json -4 route get 192.0.2.7" ] && echo \'[{"prefsrc": "10.0.0.9"}]\'\n'
    )
    ip.chmod(0o755)
    assert program.way_out("192.0.2.7") == "10.0.0.9"
    ip.write_text("#!/bin/sh\necho 'RTNETLINK answers: Network is unreachable' >&2; exit 2\n")
    assert program.way_out("192.0.2.7") == ""


def test_without_a_router_it_has_no_other_address(program: types.ModuleType) -> None:
    assert lines(program.settings(wanted(), ["192.0.2.7"]), "external-ip") == []


@pytest.mark.parametrize("sites", [[], [{"name": "a"}, {"name": "b"}]])
def test_it_serves_one_service(program: types.ModuleType, sites: list[dict[str, str]]) -> None:
    with pytest.raises(program.CoturnError, match="one service"):
        program.settings({**wanted(), "sites": sites}, [])


def test_a_password_is_an_hmac_of_a_name_that_says_when_it_ends(program: types.ModuleType) -> None:
    name, password = program.credentials("s3cret", seconds=60)
    assert name.partition(":")[0].isdecimal()
    assert password == base64.b64encode(hmac.digest(b"s3cret", name.encode(), hashlib.sha1)).decode()


def test_a_signed_message_can_be_read_and_its_signature_be_checked(program: types.ModuleType) -> None:
    key = b"k" * 16
    sent = program.message(program.ALLOCATE, program.attribute(program.USERNAME, b"somebody"), key)
    kind, found = program.parse(sent)
    assert kind == program.ALLOCATE
    assert found[program.USERNAME] == b"somebody"
    assert found[program.INTEGRITY] == hmac.digest(key, sent[:-24], hashlib.sha1)


@pytest.fixture(name="asked")
def _asked(program: types.ModuleType, tmp_path: Path) -> Callable[[], dict[str, str]]:
    program.WANTED = tmp_path / "coturn.json"  # type: ignore[attr-defined]
    program.WANTED.write_text(json.dumps(wanted()))

    def asked() -> dict[str, str]:
        told: dict[str, str] = program.probe("relay")
        assert told.pop("probe") == "relay"
        return told

    return asked


@pytest.mark.parametrize(
    ("right", "wrong", "state", "code"),
    [
        ("ok", "401", "ok", ""),
        ("401", "401", "problem", "refused"),
        ("ok", "ok", "problem", "open"),
        ("486", "401", "problem", "full"),
        ("508", "508", "problem", "full"),
    ],
)
def test_its_probe_wants_the_right_password_let_in_and_the_wrong_one_refused(
    program: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    asked: Callable[[], dict[str, str]],
    right: str,
    wrong: str,
    state: str,
    code: str,
) -> None:
    monkeypatch.setattr(
        program, "allocate", lambda _, password, **__: wrong if password == "wrong" else right
    )
    told = asked()
    assert (told["state"], told["code"]) == (state, code)


def test_without_its_settings_the_probe_says_so(
    program: types.ModuleType, asked: Callable[[], dict[str, str]]
) -> None:
    program.WANTED.unlink()
    assert asked()["code"] == "settings"


@pytest.mark.parametrize(
    "arguments", [["probe"], ["probe", "other"], ["probe", "relay", "--check"], ["certificate", "x"]]
)
def test_arguments_that_it_does_not_know_are_refused(program: types.ModuleType, arguments: list[str]) -> None:
    assert program.main(arguments) == 2


class Turn:
    """What stands in for coturn: a relay for whoever signs with the right password, until they give it back.

    Args:
        hangs: whether it never answers who asks for a relay with a password.
    """

    def __init__(self, program: types.ModuleType, port: socket.socket) -> None:
        self.program, self.port = program, port
        self.relays: set[tuple[str, int]] = set()
        self.hangs = False
        self.reached = threading.Event()
        self.given_back = threading.Event()

    def serve(self) -> None:
        while True:
            data, who = self.port.recvfrom(2048)
            if not data:
                return
            kind, found = self.program.parse(data)
            if self.program.INTEGRITY not in found:
                told = self.program.attribute(self.program.REALM, b"r") + self.program.attribute(
                    self.program.NONCE, b"n"
                )
                self.answer(0x0113, told + self.error(401), who)
            elif kind == self.program.REFRESH:
                self.relays.discard(who)
                self.given_back.set()
            elif self.is_right(data, found):
                self.relays.add(who)
                self.reached.set()
                if not self.hangs:
                    self.answer(0x0103, self.program.attribute(self.program.RELAYED, bytes(8)), who)
            else:
                self.answer(0x0113, self.error(401), who)

    def is_right(self, data: bytes, found: dict[int, bytes]) -> bool:
        name = found[self.program.USERNAME]
        password = base64.b64encode(hmac.digest(b"s3cret", name, hashlib.sha1))
        key = hashlib.md5(b":".join([name, b"r", password]), usedforsecurity=False).digest()
        return hmac.compare_digest(found[self.program.INTEGRITY], hmac.digest(key, data[:-24], hashlib.sha1))

    def error(self, number: int) -> bytes:
        told: bytes = self.program.attribute(self.program.ERROR, bytes([0, 0, number // 100, number % 100]))
        return told

    def answer(self, kind: int, attributes: bytes, who: tuple[str, int]) -> None:
        self.port.sendto(self.program.message(kind, attributes), who)


@pytest.fixture(name="turn")
def _turn(program: types.ModuleType) -> Iterator[Turn]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 0))
        program.PORT = port.getsockname()[1]  # type: ignore[attr-defined]
        turn = Turn(program, port)
        thread = threading.Thread(target=turn.serve)
        thread.start()
        yield turn
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", port.getsockname())
        thread.join()


def test_a_relay_is_opened_and_given_back_at_once(turn: Turn, asked: Callable[[], dict[str, str]]) -> None:
    assert asked() == {
        "state": "ok",
        "measured": "relay with a password of today: ok; with a wrong one: 401",
        "code": "",
    }
    assert turn.reached.is_set()
    assert turn.given_back.wait(30)
    assert turn.relays == set()


@pytest.mark.parametrize(("said", "answers"), [(b"\1", False), (b"\1\1" + bytes(18), True)])
def test_half_an_answer_is_none(program: types.ModuleType, said: bytes, answers: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 0))
        program.PORT = port.getsockname()[1]  # type: ignore[attr-defined]

        def serve() -> None:
            _, who = port.recvfrom(2048)
            port.sendto(said, who)

        thread = threading.Thread(target=serve)
        thread.start()
        assert program.answers() is answers
        thread.join()


def test_a_turn_server_that_says_nothing_is_silent_and_a_relay_that_it_may_have_opened_is_given_back(
    program: types.ModuleType, turn: Turn, asked: Callable[[], dict[str, str]]
) -> None:
    program.WORK = 0.4  # type: ignore[attr-defined]
    turn.hangs = True
    assert asked()["code"] == "silent"
    assert turn.given_back.wait(30)
    assert turn.relays == set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.usefixtures("asked")
def test_a_probe_that_is_told_to_end_gives_its_relay_back(
    program: types.ModuleType, turn: Turn, number: signal.Signals
) -> None:
    turn.hangs = True
    values = {"WANTED": str(program.WANTED), "PORT": program.PORT, "WORK": 60.0}
    running = started("coturn", "provision-coturn", values, "probe", "relay")
    assert turn.reached.wait(30)
    running.send_signal(number)
    assert running.wait(30) == 128 + number
    assert turn.given_back.wait(30)
    assert turn.relays == set()


def test_it_does_not_run_with_the_settings_of_debians_package_which_let_anybody_relay(
    program: types.ModuleType,
) -> None:
    """A package starts its server when it is installed; what stands in the unit then must keep it from that."""
    role = paths.ROLES / "coturn"
    unit = (role / "templates/coturn.service.j2").read_text()
    assert f"ConditionPathExists={program.COPY / 'key.pem'}\n" in unit
    tasks = yaml.safe_load((role / "tasks/main.yml").read_text())
    installs = [task.get("ansible.builtin.apt", {}).get("name") for task in tasks].index("coturn")
    writes = [str(program.DROPIN) in json.dumps(task) for task in tasks].index(True)
    assert writes < installs


def test_its_own_settings_stand_before_what_lets_it_start(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SETTINGS", "COPY", "CERTIFICATES", "DROPIN"):
        setattr(program, name, tmp_path / name)
    site = program.CERTIFICATES / "jitsi"
    site.mkdir(parents=True)
    for name in ("fullchain.pem", "key.pem"):
        (site / name).write_text(name)
    order: list[str] = []
    monkeypatch.setattr(program, "write", lambda path, *_: order.append(path.name))
    monkeypatch.setattr(program, "own_addresses", lambda: ["192.0.2.7"])
    monkeypatch.setattr(program, "true", lambda *_: False)
    monkeypatch.setattr(program, "run", lambda *_: "")
    settler = program.Settler(False, [])
    monkeypatch.setattr(settler, "start", order.append)
    settler.settle(wanted())
    assert order == ["SETTINGS", "fullchain.pem", "key.pem", "start"]


def test_lessons_keep_a_restart_back_but_no_certificate(
    program: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SETTINGS", "COPY", "CERTIFICATES", "DROPIN"):
        setattr(program, name, tmp_path / name)
    for place, text in ((program.CERTIFICATES / "jitsi", "new"), (program.COPY, "old")):
        place.mkdir(parents=True)
        for name in ("fullchain.pem", "key.pem"):
            (place / name).write_text(text)
    order: list[str] = []

    def busy(step: str) -> None:
        order.append(step)
        raise program.BusyError(step)

    monkeypatch.setattr(program, "write", lambda path, content, _: path.write_bytes(content))
    monkeypatch.setattr(program, "own_addresses", lambda: ["192.0.2.7"])
    monkeypatch.setattr(program, "true", lambda *_: True)
    monkeypatch.setattr(program, "stale", lambda: True)
    monkeypatch.setattr(program, "run", lambda *command: order.append(command[1]) or "")
    settler = program.Settler(False, [])
    monkeypatch.setattr(settler, "may", busy)
    for _ in range(2):
        with pytest.raises(program.BusyError):
            settler.settle(wanted())
    # The second time it is the certificate that runs.
    assert order == ["kill", "restart the TURN server", "restart the TURN server"]


def test_a_certificate_that_comes_before_the_server_is_set_up_is_no_fault(
    program: types.ModuleType, tmp_path: Path
) -> None:
    program.WANTED = tmp_path / "coturn.json"  # type: ignore[attr-defined]
    assert program.main(["certificate"]) == 0
    assert program.main(["settle"]) == 1
