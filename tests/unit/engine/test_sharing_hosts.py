"""Several schools use one server of the municipality: its names, its secrets, its certificate, its lock, its words."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keyring
import pytest
import yaml
from keyring.backends import fail
from typer.testing import CliRunner

from provision.artifacts import Selection
from provision.audit.log import log_directory
from provision.audit.outbox import Outbox
from provision.audit.record import Person
from provision.cli.main import app
from provision.engine.cut_lessons import tell_other_schools
from provision.engine.events import TaskResult
from provision.engine.lock import _describe
from provision.engine.preparation import _narrowed
from provision.engine.variables import build_inventory
from provision.errors import ConfigurationError, Problem
from provision.model import Workspace, load_workspace
from provision.model.service import ArchiveSource
from provision.secrets import SecretStore
from provision.secrets.ca import ensure_shared_certificates

PERSON = {"name": "Oficina", "email": "tic@vila.test"}
SECRET = "bigbluebutton_secret"
Write = Callable[..., None]


def school(number: int, **video: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "name": f"Escola {number}",
        "domain": f"escola{number}.test",
        "hosts": {"main": {"address": f"192.0.2.{number}"}},
        "services": {
            "etherpad": {"host": "main", "hostname": f"pad.escola{number}.test"},
            "bigbluebutton": {"host": "video", "hostname": "video.vila.test", **video},
        },
    }


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A municipality with a server for video, and two schools that use it."""
    place = tmp_path / "vila"
    (place / "schools").mkdir(parents=True)
    city = {
        "schema": 1,
        "id": "vila",
        "name": "Vila",
        "contact": PERSON,
        "data_protection_officer": dict(PERSON),
        "tls": {"mode": "internal"},
        "defaults": {"timezone": "Atlantic/Canary", "locale": "es_ES.UTF-8"},
        "hosts": {"video": {"address": "192.0.2.99", "system": "ubuntu-22.04"}},
    }
    (place / "municipality.yml").write_text(yaml.safe_dump(city, sort_keys=False))
    for number in (1, 2):
        (place / f"schools/escola{number}.yml").write_text(yaml.safe_dump(school(number), sort_keys=False))
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(keys))
    monkeypatch.setattr(keyring, "get_keyring", fail.Keyring)
    return place


def problems(place: Path) -> list[Problem]:
    with pytest.raises(ConfigurationError) as caught:
        load_workspace(place)
    return list(caught.value.problems)


def change(place: Path, name: str, act: Callable[[Any], None]) -> None:
    file = place / name
    data = yaml.safe_load(file.read_text())
    act(data)
    file.write_text(yaml.safe_dump(data, sort_keys=False))


def inventory(made: Workspace, name: str) -> dict[str, Any]:
    source = ArchiveSource(kind="archive", files=())
    chosen = [Selection(service, "1", source) for service in made.school(name).services]
    certificates = {service: f"certificate of {service}" for service in made.school(name).services}
    whole = build_inventory(made, made.school(name), chosen, certificates, run_id="r1")
    hosts: dict[str, Any] = whole["all"]["children"][name]["hosts"]
    return hosts


def test_a_service_of_a_school_runs_on_a_server_of_the_municipality(place: Path) -> None:
    made = load_workspace(place)
    for name in ("escola1", "escola2"):
        found = made.school(name)
        assert found.services["bigbluebutton"].host == "video"
        assert (found.hosts["video"].address, found.hosts["video"].shared) == ("192.0.2.99", True)
        assert list(found.own_hosts) == ["main"]
    assert made.sharing("video") == ["escola1", "escola2"]


def test_a_servers_firewall_opens_what_its_own_services_need_and_nothing_for_those_elsewhere(
    place: Path,
) -> None:
    def opened() -> dict[str, set[str]]:
        found = inventory(load_workspace(place), "escola1")
        return {
            name: {f"{port['port']}/{port['protocol']}" for port in host["firewall_ports"]}
            for name, host in found.items()
        }

    meet = {"jitsi": {"host": "main", "hostname": "meet.escola1.test"}}
    lessons = {"10000/udp", "3478/udp", "5349/tcp"}
    before = opened()
    assert not lessons & before["main"]
    assert {"16384/udp", "3478/udp"} <= before["video"]
    change(place, "schools/escola1.yml", lambda data: data["services"].update(meet))
    during = opened()
    assert during["main"] - before["main"] == lessons
    assert during["video"] == before["video"]
    change(place, "schools/escola1.yml", lambda data: data["services"].pop("jitsi"))
    assert opened() == before


def test_whose_lessons_another_schools_run_cut_reads_of_it_in_its_own_log(place: Path) -> None:
    made = load_workspace(place)
    person = Person("Ada", "ada", "tic")
    step = TaskResult(
        "video", "bigbluebutton", "Bring it up", "command", "changed", cut={"meetings": 2, "participants": 40}
    )
    assert tell_other_schools(made, made.school("escola1"), person, "r1", step) == []
    assert Outbox(log_directory(place, "escola1")).waiting() == []
    (waiting,) = map(json.loads, Outbox(log_directory(place, "escola2")).waiting())
    assert (waiting["type"], waiting["source"]) == ("lessons.cut", "vila.provision.invalid/escola2")
    told = waiting["data"]
    assert (told["by"], told["by_run"], told["meetings"], told["participants"]) == ("escola1", "r1", 2, 40)
    assert (told["actor"]["name"], told["target"]["school"]) == ("Ada", "escola2")
    # A server of the school's own is nobody else's matter.
    assert tell_other_schools(made, made.school("escola1"), person, "r1", replace(step, host="main")) == []
    assert len(Outbox(log_directory(place, "escola2")).waiting()) == 1


def test_that_it_could_not_be_left_there_is_said(place: Path) -> None:
    made = load_workspace(place)
    log_directory(place, "escola2").mkdir(parents=True)
    (log_directory(place, "escola2") / "outbox.jsonl").mkdir()
    step = TaskResult("video", "bigbluebutton", "Bring it up", "command", "changed", cut={})
    (note,) = tell_other_schools(made, made.school("escola1"), Person("Ada", "ada", "tic"), "r1", step)
    assert "escola2" in note


def test_a_school_that_does_not_name_the_server_has_nothing_to_do_with_it(place: Path) -> None:
    change(place, "schools/escola2.yml", lambda data: data["services"].pop("bigbluebutton"))
    made = load_workspace(place)
    assert list(made.school("escola2").hosts) == ["main"]
    assert made.sharing("video") == ["escola1"]


@pytest.mark.parametrize(
    ("video", "key"),
    [
        ({"hostname": "classes.vila.test"}, "hostname"),
        ({"version": "3.0"}, "version"),
        ({"settings": {"recording": True}}, "settings"),
    ],
)
def test_schools_that_share_a_server_must_want_the_same_of_it(
    place: Path, video: dict[str, Any], key: str
) -> None:
    (place / "schools/escola2.yml").write_text(yaml.safe_dump(school(2, **video), sort_keys=False))
    (found,) = problems(place)
    assert found.code == "shared-host-differs"
    assert found.message.startswith(f'{key}: escola1 shares the host "video" and wants another one (schools/')
    assert found.file == place / "schools/escola2.yml"
    assert found.line > 1
    assert found.remedy


def test_a_service_for_one_school_is_not_put_on_a_shared_server(place: Path) -> None:
    change(place, "municipality.yml", lambda data: data["hosts"]["video"].update(system="debian-12"))
    change(place, "schools/escola1.yml", lambda data: data["services"].pop("bigbluebutton"))
    change(place, "schools/escola2.yml", lambda data: data["services"].pop("bigbluebutton"))
    change(place, "schools/escola2.yml", lambda data: data["services"]["etherpad"].update(host="video"))
    (found,) = problems(place)
    assert (found.code, found.remedy) == ("not-for-several", "Put it on a host of the school.")
    assert 'host: "video" is for several schools (municipality.yml), and one etherpad serves' in found.message


def test_a_schools_server_is_not_called_as_a_shared_one(place: Path) -> None:
    change(place, "schools/escola2.yml", lambda data: data["hosts"].update(video={"address": "192.0.2.50"}))
    assert "shared-host-name" in [problem.code for problem in problems(place)]


def test_a_shared_server_is_not_a_schools_own_at_the_same_time(place: Path) -> None:
    change(place, "schools/escola2.yml", lambda data: data["hosts"]["main"].update(address="192.0.2.99"))
    (found,) = problems(place)
    assert found.code == "duplicate-address"
    assert 'belongs to the shared host "video" already (municipality.yml, line ' in found.message


def test_another_service_cannot_take_the_shared_ones_name(place: Path) -> None:
    change(
        place,
        "schools/escola2.yml",
        lambda data: data["services"]["etherpad"].update(hostname="video.vila.test"),
    )
    assert "duplicate-hostname" in [problem.code for problem in problems(place)]


def test_a_host_that_nobody_knows_is_told_with_the_shared_ones(place: Path) -> None:
    change(place, "schools/escola2.yml", lambda data: data["services"]["bigbluebutton"].update(host="vidio"))
    (found,) = problems(place)
    assert "Allowed: main or video." in found.message
    assert found.remedy == 'Did you mean "video"?'


def test_what_a_shared_server_is_told_does_not_depend_on_the_school_that_runs(place: Path) -> None:
    change(
        place, "schools/escola1.yml", lambda data: data.update(timezone="Europe/Madrid", locale="ca_ES.UTF-8")
    )
    made = load_workspace(place)
    first, second = (inventory(made, name)["video"] for name in ("escola1", "escola2"))
    assert first == second
    assert (first["base_timezone"], first["base_locale"]) == ("Atlantic/Canary", "es_ES.UTF-8")
    assert [part["role"] for part in first["provision_roles"]] == ["base", "firewall", "tls", "bigbluebutton"]
    assert {
        "port": 16384,
        "to": 32768,
        "protocol": "udp",
        "why": "sound and pictures of the lessons",
    } in first["firewall_ports"]


def test_the_schools_log_stays_on_its_own_server(place: Path) -> None:
    def keepers(made: Workspace) -> list[str]:
        hosts = inventory(made, "escola1")
        return [name for name, host in hosts.items() if "audit_trail_school" in host]

    change(place, "municipality.yml", lambda data: data["hosts"].update(a=data["hosts"].pop("video")))
    for name in ("escola1", "escola2"):
        change(place, f"schools/{name}.yml", lambda data: data["services"]["bigbluebutton"].update(host="a"))
    # "a" comes first in the alphabet.
    assert keepers(load_workspace(place)) == ["main"]


def ensure(made: Workspace, name: str) -> str:
    store = SecretStore(made)
    found = made.school(name)
    store.ensure(found, [service.definition for service in found.services.values()])
    return str(store.load(name)[SECRET])


def test_schools_that_share_a_server_have_its_secret_in_common(place: Path) -> None:
    made = load_workspace(place)
    assert ensure(made, "escola1") == ensure(made, "escola2")
    store = SecretStore(made)
    assert store.load("escola1")["etherpad_api_key"] != store.load("escola2")["etherpad_api_key"]


def test_a_new_secret_reaches_the_other_school_with_its_next_run(place: Path) -> None:
    made = load_workspace(place)
    before = ensure(made, "escola1")
    assert ensure(made, "escola2") == before
    SecretStore(made).rotate_many(made.school("escola2"), [SECRET])
    after = SecretStore(made).load("escola2")[SECRET]
    assert after != before
    assert SecretStore(made).load("escola1")[SECRET] == before
    assert ensure(made, "escola1") == after
    SecretStore(made).set("escola1", SECRET, "by-hand")
    assert ensure(made, "escola2") == "by-hand"


def test_who_replaces_a_secret_in_common_is_told_which_schools_must_follow(place: Path) -> None:
    made = load_workspace(place)
    for name in ("escola1", "escola2"):
        ensure(made, name)
    words = ["secrets", "rotate", "escola1", "--yes", "--workspace", str(place)]
    told = CliRunner().invoke(app, [*words, "bigbluebutton"]).stdout
    assert "provision apply escola2" in told
    document = json.loads(CliRunner().invoke(app, [*words, "bigbluebutton", "--json"]).stdout)
    assert document["also_apply"] == ["escola2"]
    # What is the school's own is nobody else's matter.
    assert "escola2" not in CliRunner().invoke(app, [*words, "etherpad"]).stdout


def test_what_a_school_had_before_its_server_was_shared_stays_the_secret(place: Path) -> None:
    made = load_workspace(place)
    with SecretStore(made).edit("escola2") as values:
        values[SECRET] = "known-to-its-moodle"
    assert ensure(made, "escola2") == "known-to-its-moodle"
    assert ensure(made, "escola1") == "known-to-its-moodle"


def test_who_has_only_the_schools_key_goes_on_with_what_is_in_its_vault(place: Path) -> None:
    made = load_workspace(place)
    known = ensure(made, "escola1")
    (place.parent / "keys/municipality.key").unlink()
    assert ensure(load_workspace(place), "escola1") == known


def test_a_shared_server_has_one_certificate_whoever_runs(place: Path) -> None:
    made = load_workspace(place)
    names = {"bigbluebutton": ["video.vila.test"]}
    texts = []
    for name in ("escola1", "escola2", "escola1"):
        issued = ensure_shared_certificates(made, made.school(name), names)
        texts.append(issued["bigbluebutton"])
    assert len(set(texts)) == 1
    keys = [
        SecretStore(made).load(name)["tls_private_keys"]["bigbluebutton"] for name in ("escola1", "escola2")
    ]
    assert keys[0] == keys[1]


def test_who_comes_second_to_a_shared_server_reads_for_which_school_it_is_held(place: Path) -> None:
    made = load_workspace(place)
    holder = {
        "person": "Mar",
        "machine": "oficina",
        "since": "2026-11-23T20:00:00Z",
        "verb": "apply",
        "run": "r1",
        "school": "escola1",
    }
    hosts = made.school("escola2").hosts
    message, remedy = _describe("escola2", hosts["video"], json.dumps(holder))
    assert message == (
        "the shared server video is held by Mar (on oficina) since 2026-11-23T20:00:00Z: apply for escola1, run r1"
    )
    assert "frees the server by itself" in remedy
    assert _describe("escola2", hosts["main"], json.dumps(holder))[0].startswith("escola2 is held by Mar")


def test_school_show_says_plainly_what_schools_have_in_common(place: Path) -> None:
    shown = CliRunner().invoke(app, ["school", "show", "escola1", "--workspace", str(place)])
    assert shown.exit_code == 0, shown.output
    assert "shared with  escola2" in shown.output
    assert "one secret for all schools that share it" in shown.output
    data = json.loads(
        CliRunner().invoke(app, ["school", "show", "escola1", "--workspace", str(place), "--json"]).output
    )
    assert data["hosts"]["video"]["shared"] is True
    assert data["hosts"]["main"]["shared"] is False


def test_a_run_of_one_service_needs_no_shared_server_of_others(place: Path) -> None:
    loaded = load_workspace(place)
    resolved = loaded.school("escola1")
    others = [name for name, use in resolved.services.items() if not resolved.is_shared(use)]
    assert set(_narrowed(resolved, others).hosts) == set(resolved.own_hosts)
    assert set(_narrowed(resolved, ["bigbluebutton"]).hosts) == set(resolved.hosts)
    assert _narrowed(resolved, []).hosts == resolved.hosts
