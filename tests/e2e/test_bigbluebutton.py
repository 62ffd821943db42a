"""BigBlueButton on a server that two schools share, by the real commands: check, apply, a lesson, a secret in common.

Three lab servers: one for each school, and one that is dressed as Ubuntu 22.04, with a stand-in for BigBlueButton
(tests/standins/bigbluebutton) behind real nginx, haproxy and coturn.
"""

import hashlib
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.engine.ssh import known_hosts_name, trust_like
from provision.lab import Machine
from provision.model import load_workspace
from tests.e2e.acceptance import say
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh
from tests.standins.bigbluebutton.pack import pack

SITE = "video.prova.test"
ADDRESS = "servidor.video.prova.test"
DRESS = Path(__file__).resolve().parents[1] / "standins/bigbluebutton/dress.sh"


def use(**settings: Any) -> dict[str, Any]:
    return {"host": "video", "hostname": SITE, "settings": settings}


def trust(directory: Path, machine: Machine, address: str) -> None:
    with (directory / ".state/hosts").open("a") as names:
        names.write(f"{machine.address} {address}\n")
    listed = machine.address if machine.port == 22 else f"[{machine.address}]:{machine.port}"
    trust_like(
        load_workspace(directory), known_hosts_name(address, machine.port), machine.known_hosts, listed
    )


@pytest.fixture(scope="module")
def video() -> Iterator[Machine]:
    """The server for video of the municipality."""
    with lab_machine("bbb-video") as machine:
        ssh(machine, "sh -s", stdin=DRESS.read_text())
        ssh(machine, f"echo 127.0.0.1 {SITE} >> /etc/hosts")
        yield machine


@pytest.fixture(scope="module")
def schools(
    request: pytest.FixtureRequest, video: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SchoolOnLab, SchoolOnLab]]:
    """Two schools, each with a server of its own, that name the municipality's as well."""
    say(request, "BigBlueButton and its Ubuntu 22.04: a stand-in")
    directory = tmp_path_factory.mktemp("bbb")
    pack("3.0.10", directory / "mirror")
    with lab_machine("bbb-first") as own, lab_machine("bbb-second") as other:
        shared = {
            "address": ADDRESS,
            "port": video.port,
            "ssh_key": ".state/lab_key",
            "system": "ubuntu-22.04",
        }
        first = make_school(
            directory / "workspace",
            own,
            {"bigbluebutton": use()},
            hosts={"video": shared},
            mirror=str(directory / "mirror"),
        )
        names = first.directory / ".state/hosts"
        names.write_text(f"{own.address} servidor.escola-prova.test\n{video.address} {SITE}\n")
        file = first.directory / "schools/escola-prova.yml"
        data = yaml.safe_load(file.read_text())
        data |= {"name": "Escola segona", "domain": "escola-segona.test"}
        data["hosts"]["main"]["address"] = "servidor.escola-segona.test"
        file.with_name("escola-segona.yml").write_text(yaml.safe_dump(data))
        trust(first.directory, video, ADDRESS)
        trust(first.directory, other, "servidor.escola-segona.test")
        yield first, replace(first, id="escola-segona", machine=other)


def set_video(schools: tuple[SchoolOnLab, SchoolOnLab], **settings: Any) -> None:
    """Both schools want the same of the shared server."""
    for school in schools:
        school.edit(services={"bigbluebutton": use(**settings)})


def call(video: Machine, secret: str, name: str, /, **parameters: str) -> str:
    """A signed call of the API, from the server itself."""
    query = urllib.parse.urlencode(parameters)
    digest = hashlib.sha256((name + query + secret).encode()).hexdigest()
    url = f"http://127.0.0.1:8090/bigbluebutton/api/{name}?{query + '&' if query else ''}checksum={digest}"
    return ssh(video, f"curl -sS '{url}'").stdout


def test_a_server_that_is_too_small_is_refused_with_what_is_wanted_and_found(
    schools: tuple[SchoolOnLab, SchoolOnLab],
) -> None:
    checked = schools[0].json("check", schools[0].id, check=False)
    rows = checked["schools"][schools[0].id]
    (installer,) = (item for item in rows if item["area"] == "artifacts")
    # The city's own copy, out of its mirror; upstream's pinned one would be a warning.
    assert (installer["state"], installer["found"]) == ("ok", "3.0 (archive bbb-install-3.0.sh)")
    found = {item["subject"]: item for item in rows if item["area"] == "host video"}
    assert found["cores"]["state"] == "problem"
    assert "; needed 8 (bigbluebutton)" in found["cores"]["found"]
    assert found["system"]["state"] == "ok"
    alone = found["nothing else"]
    assert (alone["state"], alone["found"]) == ("ok", "nothing; needed nothing but bigbluebutton")
    refused = schools[0].provision("apply", schools[0].id, "--yes", check=False)
    assert refused.returncode == 3
    assert "needed 8 (bigbluebutton)" in refused.stdout + refused.stderr


def test_a_debian_server_is_refused_whatever_the_file_calls_it(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    ssh(video, "cp --remove-destination /usr/lib/os-release /etc/os-release")
    try:
        checked = schools[0].json("check", schools[0].id, check=False)
    finally:
        ssh(video, "sh -s", stdin=DRESS.read_text())
    rows = [
        item
        for item in checked["schools"][schools[0].id]
        if (item["area"], item["subject"]) == ("host video", "system")
    ]
    assert {item["state"] for item in rows} == {"problem"}
    assert any(item["found"].endswith("; needed ubuntu-22.04 (bigbluebutton)") for item in rows)
    # Writing Debian into the file would not help.
    assert not any("write system" in item["remedy"] for item in rows)


def test_the_first_school_sets_it_up_and_the_second_finds_it_as_it_wants_it(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    set_video(schools, allow_small_host=True)
    first, second = schools
    planned = first.provision("plan", first.id)
    assert "Bring BigBlueButton to its release and settings" in planned.stdout
    applied = first.provision("apply", first.id, "--yes")
    assert "is ready" in applied.stdout
    stamp = ssh(video, "stat -c %Y /var/log/provision-bbb-install.log").stdout
    assert "is ready" in second.provision("apply", second.id, "--yes").stdout
    # The installer ran once, and neither undoes what the other did.
    assert ssh(video, "stat -c %Y /var/log/provision-bbb-install.log").stdout == stamp
    for school in schools:
        plan = school.provision("plan", school.id, "--exit-code", check=False)
        assert plan.returncode == 0, plan.stdout


def test_both_schools_have_the_one_secret_and_are_told_so(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    first, second = (school.secret("bigbluebutton_secret") for school in schools)
    assert first == second
    assert "SUCCESS" in call(video, first, "getMeetings")
    assert "checksumError" in call(video, "0" * 64, "getMeetings")
    shown = schools[0].provision("school", "show", schools[0].id).stdout
    assert "escola-segona" in shown
    assert "one secret for all schools" in shown


def test_no_schools_run_cuts_the_lesson_of_another(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    secret = schools[0].secret("bigbluebutton_secret")
    call(video, secret, "create", name="Mates", meetingID="lesson", moderatorPW="mp", attendeePW="ap")
    for name in ("Mestra", "Biel"):
        call(video, secret, "join", fullName=name, meetingID="lesson", password="mp", redirect="false")
    set_video(schools, allow_small_host=True, external_videos=True)
    refused = schools[1].provision("apply", schools[1].id, "--yes", check=False)
    assert refused.returncode == 1
    assert "lessons go on here (meetings: 1, participants: 2)" in refused.stdout + refused.stderr
    assert "--wait MINUTES" in refused.stdout + refused.stderr
    assert "<participantCount>2</participantCount>" in call(video, secret, "getMeetings")
    call(video, secret, "end", meetingID="lesson", password="mp")
    assert "is ready" in schools[1].provision("apply", schools[1].id, "--yes").stdout
    properties = ssh(video, "cat /etc/bigbluebutton/bbb-web.properties").stdout
    assert "disabledFeatures=learningDashboard\n" in properties


def test_whose_lesson_the_other_schools_run_cut_reads_of_it_in_its_own_log(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    first, second = schools
    secret = first.secret("bigbluebutton_secret")
    call(video, secret, "create", name="Mates", meetingID="cut", moderatorPW="mp", attendeePW="ap")
    call(video, secret, "join", fullName="Mestra", meetingID="cut", password="mp", redirect="false")
    set_video(schools, allow_small_host=True, learning_dashboard=True)
    second.provision("apply", second.id, "--yes", "--force")
    # What came from another school waits for the next run.
    first.provision("apply", first.id, "--yes")
    for school in schools:
        (entry,) = school.json("audit", "log", school.id, "--type", "lessons.cut")["entries"]
        told = entry["event"]["data"]
        assert (told["meetings"], told["participants"]) == (1, 1)
        assert (told["by"], bool(told["run"])) == (("", True) if school is second else (second.id, False))


def test_a_new_secret_of_one_school_is_the_others_after_its_next_run(
    schools: tuple[SchoolOnLab, SchoolOnLab], video: Machine
) -> None:
    first, second = schools
    second.provision("secrets", "rotate", second.id, "bigbluebutton_secret", "--yes")
    second.provision("apply", second.id, "--yes")
    new = second.secret("bigbluebutton_secret")
    assert "SUCCESS" in call(video, new, "getMeetings")
    # The other school's run has brought it to the server already: only this school's vault had to follow.
    assert "nothing changed" in first.provision("apply", first.id, "--yes").stdout
    assert first.secret("bigbluebutton_secret") == new
    assert "SUCCESS" in call(video, new, "getMeetings")
