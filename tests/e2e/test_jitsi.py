"""Jitsi on a school's server by the real commands: installed from a city's copy of the repository, asked, looked
at with a browser, applied while a lesson goes on, and moved from accounts to tokens, the school's own and an issuer's.

The repository is the stand-in of tests/standins/jitsi, signed with a key of its own, on a web server of its own; nginx,
Prosody and coturn are the real ones.
"""

import base64
import hashlib
import hmac
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from provision import paths
from provision.lab import Machine
from tests.e2e.acceptance import accept, say
from tests.e2e.browser import chromium
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh
from tests.standins.jitsi.build import build

SITE = "meet.escola-prova.test"
#: Somebody else's server, which is nowhere.
ELSEWHERE = "elsewhere.example.net"
#: What a link may try to bring back (upstream's configWhitelist.ts has all of these names), and two that it may have.
LINK = {
    "gravatar.disabled": False,
    "disableThirdPartyRequests": False,
    "analytics.disabled": False,
    "localRecording": {"disable": False},
    "recordingService": {"enabled": True},
    "liveStreaming.enabled": True,
    "toolbarButtons": ["recording", "livestreaming"],
    "giphy": {"enabled": True},
    "dropbox.appKey": "x",
    "googleApiApplicationClientID": "x",
    "enableCalendarIntegration": True,
    "p2p.enabled": True,
    "transcribingEnabled": True,
    "whiteboard.enabled": True,
    "deeplinking.disabled": False,
    "subject": "Llatí",
    "hideConferenceTimer": True,
}
#: The issuer of tokens: where its keys are, on the school's own server here, who it is, and for whom its tokens are.
KEYS, ISSUER, AUDIENCE = "http://127.0.0.1:8090/keys.json", "https://sso.escola-prova.test", "jitsi"
#: What the stand-in's bridge says of the lessons that go on.
LESSONS = "/run/jitsi-stand-in.json"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A city's copy of upstream's repository, as ``municipality.yml`` names it."""
    directory = tmp_path_factory.mktemp("jitsi") / "copy"
    fingerprint = build(directory)
    with lab_machine("jitsi-copy") as machine:
        for file in (path for path in directory.rglob("*") if path.is_file()):
            place = Path("/srv/copy") / file.relative_to(directory)
            send(machine, file.read_bytes(), place)
        ssh(machine, "systemd-run -q --unit=copy python3 -m http.server --directory /srv/copy 8000")
        address = f"http://{machine.address}:8000"
        yield {"uri": address, "key_url": f"{address}/key.asc", "fingerprint": fingerprint}


def send(machine: Machine, content: bytes, place: Path) -> None:
    """Put a file onto a machine, as text that any shell bears."""
    ssh(
        machine,
        f"mkdir -p {place.parent} && base64 -d > {place}",
        stdin=base64.b64encode(content).decode(),
    )


@pytest.fixture(scope="module")
def school(
    request: pytest.FixtureRequest, copy: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SchoolOnLab]:
    say(request, "Jitsi's packages, bridge and focus: a stand-in")
    with lab_machine("jitsi-school") as machine:
        made = make_school(
            tmp_path_factory.mktemp("school") / "workspace",
            machine,
            use(),
            repositories={"jitsi": copy},
        )
        yield made


def use(**settings: Any) -> dict[str, Any]:
    return {"jitsi": {"hostname": SITE, "settings": {"teachers": ["anna"], **settings}}}


def states(school: SchoolOnLab, *options: str) -> dict[str, str]:
    """What is not well with Jitsi, and why."""
    asked = school.provision("health", school.id, "--service", "jitsi", "--json", *options, check=False)
    found = json.loads(asked.stdout)["schools"][school.id]
    assert len(found) > 10, asked.stderr
    return {one["id"]: one["measured"] for one in found if one["state"] != "ok"}


def lesson(school: SchoolOnLab, participants: int) -> None:
    """Let a lesson go on, or end it."""
    told = json.dumps({"conferences": 1, "participants": participants})
    ssh(school.machine, f"rm -f {LESSONS}" if not participants else f"echo '{told}' > {LESSONS}")


def started(school: SchoolOnLab) -> str:
    return ssh(school.machine, "systemctl show -p InvocationID --value jitsi-videobridge2 prosody").stdout


def guarding(school: SchoolOnLab) -> bool:
    """Whether a program on the server waits for the end of lessons. The brackets: pgrep's own shell is not meant."""
    return bool(ssh(school.machine, "pgrep -f [p]rovision-busy", check=False).stdout)


def waits(school: SchoolOnLab, minutes: str) -> subprocess.Popen[str]:
    """An apply that has come to where it waits for the end of lessons."""
    waiting = school.start("apply", school.id, "--yes", "--wait", minutes)
    limit = time.monotonic() + 240
    while not guarding(school):
        assert waiting.poll() is None, waiting.communicate()
        assert time.monotonic() < limit
        time.sleep(1)
    return waiting


def test_a_school_gets_its_video_lessons_and_a_further_run_changes_nothing(school: SchoolOnLab) -> None:
    applied = school.provision("apply", school.id, "--yes")
    assert "is ready" in applied.stdout
    planned = school.provision("plan", school.id, "--exit-code", check=False)
    assert planned.returncode == 0, planned.stdout
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout


def test_health_says_that_lessons_can_be_held(school: SchoolOnLab) -> None:
    assert states(school) == {}


def test_the_acceptance_tests_pass_on_the_school(school: SchoolOnLab, tmp_path: Path) -> None:
    accept(school, "jitsi", SITE, tmp_path)
    accept(school, "coturn", SITE, tmp_path)


def test_a_browser_reaches_the_school_alone_whatever_a_link_says(school: SchoolOnLab, tmp_path: Path) -> None:
    """The page of the stand-in does what upstream's does (build of its settings, workers, WebAssembly, worklets)."""
    link = "&".join(f"config.{name}={quote(json.dumps(value))}" for name, value in LINK.items())
    with chromium(school, SITE, tmp_path / "home") as person:
        page = person().new_page()
        page.goto(f"https://{SITE}/UnaSala")
        plain = page.evaluate("window.settings")
        page.goto("about:blank")
        page.goto(f"https://{SITE}/UnaSala#{link}")
        followed = page.evaluate("window.settings")
        reached = page.evaluate("there => window.reach(there)", ELSEWHERE)
    assert followed == {**plain, "subject": "Llatí", "hideConferenceTimer": True}
    assert {name: came for name, came in reached["came"].items() if came != "ok"} == {}
    assert len(reached["came"]) > 12
    assert reached["refused"] == []
    assert {one["directive"] for one in reached["foreign"]} == set(reached["asked"])
    assert all(ELSEWHERE in one["address"] for one in reached["foreign"])


def test_a_lesson_is_not_cut_unasked(school: SchoolOnLab) -> None:
    before = started(school)
    lesson(school, 23)
    try:
        school.edit(services=use(bridge_memory_mb=1600))
        told = school.provision("plan", school.id)
        assert "participants: 23" in told.stdout + told.stderr
        refused = school.provision("apply", school.id, "--yes", check=False)
        assert refused.returncode == 1
        assert "participants: 23" in refused.stdout + refused.stderr
        assert "participants: 23" in school.provision("runs", "show", "last", "--log").stdout
        assert started(school) == before
        waiting = waits(school, "10")
        assert started(school) == before
    finally:
        lesson(school, 0)
    out, err = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, out + err
    assert started(school) != before
    assert states(school) == {}


def test_with_force_a_lesson_is_cut_and_the_record_says_how_many_were_in_it(school: SchoolOnLab) -> None:
    before = started(school)
    lesson(school, 4)
    try:
        school.edit(services=use(bridge_memory_mb=1792))
        applied = school.provision("apply", school.id, "--yes", "--force")
    finally:
        lesson(school, 0)
    assert "participants: 4" in applied.stdout + applied.stderr
    assert started(school) != before
    assert "participants: 4" in school.provision("runs", "show", "last", "--log").stdout
    told = school.provision("audit", "log", school.id, "--type", "lessons.cut", "--lang", "ca").stdout
    assert "--force: 1 classe, 4 participants" in told


def test_from_accounts_to_tokens_is_one_variable_and_one_apply(school: SchoolOnLab, tmp_path: Path) -> None:
    school.edit(services=use(authentication="token"))
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    assert states(school) == {}
    accept(school, "jitsi", SITE, tmp_path, paths.ROLES / "jitsi/molecule/token/verify/test_token.py")
    # The focus itself asks nobody now.
    for number, more in enumerate(
        (
            {"session": "0123456789abcdef"},
            {"to": f"x@focus.{SITE}"},
            {"to": f"focus@auth.{SITE}/focus"},
            {"room": f"cantonada@internal.auth.{SITE}"},
        )
    ):
        wish = json.dumps({"as": "guest", "room": f"cantonada-{number}", **more})
        told = ssh(school.machine, "provision-jitsi-health try", stdin=wish).stdout
        assert json.loads(told) == {"login": "ok", "request": "not-authorized"}, more


# With an issuer's keys nobody here can make a token, and no question would ask the focus for a room: so before that.
def test_a_dead_focus_is_told_and_the_next_apply_starts_it(school: SchoolOnLab) -> None:
    # Its script is done, so systemd takes it for active.
    ssh(school.machine, "kill -9 $(cat /run/jicofo.pid)")
    found = states(school)
    assert {"opening", "focus"} <= set(found), found
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    assert states(school) == {}


def signed(key: rsa.RSAPrivateKey | bytes, head: dict[str, str], **claims: Any) -> str:
    """A token (RFC 7519) with this signature: of RSA, of a shared secret, or none where the secret is empty."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    text = part(json.dumps({"typ": "JWT", **head}).encode()) + b"." + part(json.dumps(claims).encode())
    if isinstance(key, bytes):
        sign = hmac.digest(key, text, hashlib.sha256) if key else b""
    else:
        sign = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return (text + b"." + part(sign)).decode()


def key_set(key: rsa.RSAPrivateKey, name: str) -> dict[str, Any]:
    """What an issuer publishes (RFC 7517)."""

    def number(value: int) -> str:
        return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()

    public = key.public_key().public_numbers()
    one = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": name,
        "n": number(public.n),
        "e": number(public.e),
    }
    return {"keys": [one]}


def test_with_an_issuers_keys_its_tokens_open_rooms_and_no_others(school: SchoolOnLab) -> None:
    machine = school.machine
    key, stranger = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    send(machine, json.dumps(key_set(key, "escola-1")).encode(), Path("/srv/issuer/keys.json"))
    ssh(
        machine,
        "systemd-run -q --unit=issuer python3 -m http.server --bind 127.0.0.1 --directory /srv/issuer 8090",
    )
    school.edit(
        services=use(
            authentication="token", token_keys_url=KEYS, token_issuers=[ISSUER], token_audiences=[AUDIENCE]
        )
    )
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    now = int(time.time())
    head = {"alg": "RS256", "kid": "escola-1"}
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": SITE, "exp": now + 600}

    def attempt(token: str, room: str, do: str = "both") -> dict[str, str]:
        wish = json.dumps({"as": "token", "token": token, "room": room, "do": do})
        told: dict[str, str] = json.loads(ssh(machine, "provision-jitsi-health try", stdin=wish).stdout)
        return told

    # Prosody fetches the keys by itself, after it has started.
    limit = time.monotonic() + 60
    while attempt(signed(key, head, **claims), "proves")["login"] != "ok":
        assert time.monotonic() < limit
        time.sleep(1)
    assert attempt(signed(key, head, **claims), "llati") == {"login": "ok", "request": "ready", "join": "ok"}
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = ssh(machine, "jq -r .token_secret /etc/provision/jitsi/settings.json").stdout.strip().encode()
    wrong = {
        "forged": signed(stranger, head, **claims),
        "of a key that nobody knows": signed(stranger, {**head, "kid": "escola-2"}, **claims),
        "of no key": signed(key, {"alg": "RS256"}, **claims),
        "expired": signed(key, head, **{**claims, "exp": now - 120}),
        "not yet": signed(key, head, **claims, nbf=now + 600),
        "for somebody else": signed(key, head, **{**claims, "aud": "moodle"}),
        "of somebody else": signed(key, head, **{**claims, "iss": "https://example.net"}),
        "signed with the public key as a secret": signed(public, {**head, "alg": "HS256"}, **claims),
        "signed with the vault's secret": signed(secret, {**head, "alg": "HS256"}, **claims),
        "unsigned": signed(b"", {**head, "alg": "none"}, **claims),
    }
    for fault, token in wrong.items():
        told = attempt(token, "llati")
        assert not {"ok", "ready"} & set(told.values()), (fault, told)
    other = attempt(signed(key, head, **claims, room="mates"), "llati", "join")
    assert (other["login"], other["join"] != "ok") == ("ok", True)
    assert states(school) == {}


def test_and_back_to_accounts_is_one_variable_and_one_apply(school: SchoolOnLab) -> None:
    token = ssh(school.machine, "provision-jitsi-health token llati").stdout.strip()
    school.edit(services=use())
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    # Its probe asks for a room as a guest, with a wrong password, and as one of the school.
    assert states(school) == {}
    wish = json.dumps({"as": "token", "token": token, "room": "llati", "do": "both"})
    told = json.loads(ssh(school.machine, "provision-jitsi-health try", stdin=wish).stdout)
    assert not {"ok", "ready"} & set(told.values()), told


def test_a_run_that_is_stopped_while_it_waits_restarts_nothing_when_the_lesson_ends(
    school: SchoolOnLab,
) -> None:
    before = started(school)
    lesson(school, 5)
    try:
        school.edit(services=use(bridge_memory_mb=1600))
        waiting = waits(school, "30")
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=120)
        assert waiting.returncode == 1, out + err
    finally:
        lesson(school, 0)
    # It looks every quarter of a minute.
    limit = time.monotonic() + 60
    while guarding(school):
        assert time.monotonic() < limit
        time.sleep(1)
    assert started(school) == before


def test_under_a_new_host_name_nothing_is_left_of_the_former_one(school: SchoolOnLab) -> None:
    name = "classes.escola-prova.test"
    with (school.directory / ".state/hosts").open("a") as names:
        names.write(f"{school.machine.address} {name}\n")
    ssh(school.machine, f"echo 127.0.0.1 {name} >> /etc/hosts")
    school.edit(services={"jitsi": {**use()["jitsi"], "hostname": name}})
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    assert states(school) == {}
    assert ssh(school.machine, "ls /etc/prosody/conf.d").stdout.split().count(f"{SITE}.cfg.lua") == 0
    assert "nothing changed" in school.provision("apply", school.id, "--yes").stdout
