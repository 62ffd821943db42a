"""``provision health`` on a real server with three services, which is broken in each way of ``faults.py`` and mended.

Moodle and Nextcloud are stand-ins; tests/e2e/test_moodle.py and test_nextcloud.py ask the real ones.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.acceptance import say
from tests.e2e.breaking import (
    ELSEWHERE,
    SEEN,
    WELL,
    Patient,
    broken_here,
    broken_there,
    says,
    sentences,
    told,
    until,
    unwell,
)  # fmt: skip
from tests.e2e.faults import CLOUD, FAULTS, HERE, MOODLE, PAD, Fault
from tests.e2e.schools import make_school
from tests.labs import lab_machine, ssh
from tests.standins.moodle.pack import pack as pack_moodle
from tests.standins.nextcloud.pack import pack as pack_nextcloud

RELEASES = {"moodle": ("5.1.3", pack_moodle), "nextcloud": ("32.0.2", pack_nextcloud)}


@pytest.fixture(scope="module")
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch, lab_machine("health") as machine:
        # The real trees that can be had lack files, and Nextcloud rightly finds fault with that.
        for version, pack in RELEASES.values():
            pack(version, cache)
        files = [file for file in sorted(cache.iterdir()) if file.name != "SHA256SUMS"]
        sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
        (cache / "SHA256SUMS").write_text("".join(sums))
        patch.setenv("PROVISION_CACHE", str(cache))
        say(request, "Moodle and Nextcloud: stand-ins")
        ssh(machine, f"echo 127.0.0.1 {MOODLE} {CLOUD} {PAD} >> /etc/hosts")
        services = {
            "etherpad": {"hostname": PAD},
            "moodle": {"hostname": MOODLE, "version": RELEASES["moodle"][0]},
            "nextcloud": {"hostname": CLOUD, "version": RELEASES["nextcloud"][0], "accept_end_of_life": True},
        }
        school = make_school(tmp_path_factory.mktemp("health") / "workspace", machine, services)
        school.provision("apply", school.id, "--yes")
        there = Patient(school)
        yield there
        there.close()


@pytest.fixture(autouse=True)
def well(patient: Patient) -> None:
    """Before each fault everything is well."""
    answers, _ = until(patient.ask, lambda one: not unwell(one), WELL)
    assert unwell(answers) == {}


@pytest.mark.parametrize("fault", [*FAULTS, *HERE], ids=lambda fault: fault.id)
def test_a_fault_turns_the_right_question_with_the_right_sentence_and_no_other_one_lies(
    patient: Patient, fault: Fault
) -> None:
    breaking = broken_here if fault in HERE else broken_there
    with breaking(patient, fault) as ahead:
        answers, after = until(
            lambda: patient.ask(ahead),
            lambda one: fault.where in told(one) and told(one)[fault.where].state == fault.state,
            SEEN,
        )
    found = told(answers)
    seen = {name: (one.state, one.measured.en) for name, one in found.items()}
    assert fault.where in found, seen
    finding = found[fault.where]
    assert finding.state == fault.state, finding
    assert says(finding, sentences(fault, patient.catalog)), finding
    assert {name for name in found if not fault.explains(name, found[name].state)} - ELSEWHERE == set(), seen
    if times := os.environ.get("PROVISION_FAULT_TIMES"):
        with Path(times).open("a") as stream:
            stream.write(json.dumps({"fault": fault.id, "after": round(after, 1)}) + "\n")


def test_the_command_tells_all_of_it_and_ends_with_0(patient: Patient) -> None:
    school = patient.school
    asked = school.provision("health", school.id, "--json", check=False)
    document = json.loads(asked.stdout)
    states = {
        f"{one['service']}/{one['id']}": one["state"]
        for one in document["schools"][school.id]
        if one["state"] != "ok"
    }
    assert set(states) <= ELSEWHERE, states
    assert asked.returncode == int(bool(states))


def test_the_acceptance_tests_of_the_services_are_in_the_same_table(patient: Patient) -> None:
    school = patient.school
    asked = school.provision("health", school.id, "--deep", "--json", check=False)
    probes = {one["id"]: one for one in json.loads(asked.stdout)["schools"][school.id]}
    deep = {name: one["state"] for name, one in probes.items() if name.startswith("deep:")}
    assert len(deep) > 50, asked.stderr
    assert {name: probes[name]["measured"] for name, state in deep.items() if state != "ok"} == {}


def test_who_has_no_testinfra_is_told_what_to_install(patient: Patient, tmp_path: Path) -> None:
    school = patient.school
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'testinfra' else find(name, *a)\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        asked = school.provision("health", school.id, "--deep", check=False)
    assert asked.returncode == 2
    assert "pip install 'provision[deep]'" in asked.stderr
