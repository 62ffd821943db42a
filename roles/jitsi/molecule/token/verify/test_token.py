"""What must hold after the step from accounts to tokens. Tokens are made by hand here, as an issuer would make them."""

import base64
import hashlib
import hmac
import json
import secrets
import shlex
import time
from typing import Any

import pytest


@pytest.fixture(name="wanted", scope="module")
def _wanted(host: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(host.check_output("cat /etc/provision/jitsi/settings.json"))
    return read


def part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(secret: str, head: dict[str, str] | None = None, **claims: Any) -> str:
    signed = (
        part(json.dumps(head or {"alg": "HS256", "typ": "JWT"}).encode())
        + b"."
        + part(json.dumps(claims).encode())
    )
    return (signed + b"." + part(hmac.new(secret.encode(), signed, hashlib.sha256).digest())).decode()


def attempt(host: Any, word: str, room: str, do: str = "request") -> dict[str, str]:
    wish = json.dumps({"as": "token", "token": word, "room": room, "do": do})
    told: dict[str, str] = json.loads(
        host.check_output(f"printf %s {shlex.quote(wish)} | provision-jitsi-health try")
    )
    return told


def claims(wanted: dict[str, Any], room: str, **more: Any) -> dict[str, Any]:
    return {
        "iss": wanted["token_app_id"], "aud": wanted["token_app_id"], "sub": wanted["hostname"], "room": room,
        "exp": int(time.time()) + 600, **more,
    }  # fmt: skip


def test_the_school_is_set_to_tokens(wanted: dict[str, Any]) -> None:
    assert wanted["authentication"] == "token"


def test_a_token_opens_its_room(host: Any, wanted: dict[str, Any]) -> None:
    room = f"test-{secrets.token_hex(6)}"
    told = attempt(host, token(wanted["token_secret"], **claims(wanted, room)), room, "both")
    assert told == {"login": "ok", "request": "ready", "join": "ok"}


@pytest.mark.parametrize("fault", ["forged", "expired", "not yet", "another issuer", "unsigned", "torn"])
def test_a_token_that_is_not_right_opens_nothing(host: Any, wanted: dict[str, Any], fault: str) -> None:
    """jitsi-meet, resources/prosody-plugins/luajwtjitsi.lib.lua (verify)."""
    room, secret = f"test-{secrets.token_hex(6)}", wanted["token_secret"]
    now = int(time.time())
    word = {
        "forged": token("another secret", **claims(wanted, room)),
        "expired": token(secret, **claims(wanted, room, exp=now - 120)),
        "not yet": token(secret, **claims(wanted, room, nbf=now + 600)),
        "another issuer": token(secret, **claims(wanted, room, iss="somebody")),
        "unsigned": token(secret, {"alg": "none", "typ": "JWT"}, **claims(wanted, room)).rpartition(".")[0]
        + ".",
        "torn": token(secret, **claims(wanted, room))[:-5],
    }[fault]
    told = attempt(host, word, room, "both")
    assert "ok" not in told.values()
    assert "ready" not in told.values()


def test_a_token_for_one_room_does_not_lead_into_another(host: Any, wanted: dict[str, Any]) -> None:
    """jitsi-meet, resources/prosody-plugins/token/util.lib.lua (verify_room)."""
    mine, other = (f"test-{secrets.token_hex(6)}" for _ in range(2))
    assert attempt(host, token(wanted["token_secret"], **claims(wanted, other)), other)["request"] == "ready"
    told = attempt(host, token(wanted["token_secret"], **claims(wanted, mine)), other, "join")
    assert told["login"] == "ok"
    assert told["join"] != "ok"


def test_teachers_accounts_of_before_open_nothing_now(host: Any, wanted: dict[str, Any]) -> None:
    wish = json.dumps({"as": "account", "name": wanted["teachers"][0], "password": "x", "room": "x"})
    told = json.loads(host.check_output(f"printf %s {shlex.quote(wish)} | provision-jitsi-health try"))
    assert told["login"] in ("invalid-mechanism", "not-authorized")
    assert host.run(f"provision-jitsi password {wanted['teachers'][0]}").rc == 1
