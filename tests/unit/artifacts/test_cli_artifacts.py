"""The commands around artifacts, over a whole workspace."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from provision.artifacts.cache import VARIABLE
from provision.cli.artifacts import app
from provision.errors import UsageError

MUNICIPALITY = """\
schema: 1
id: vila
name: Vila
contact: {name: TIC, email: tic@vila.example}
data_protection_officer: {name: DPD, email: dpd@vila.example}
tls: {mode: internal}
"""
SCHOOL = """\
schema: 1
name: NAME
domain: NAME.example
hosts:
  main: {address: ADDRESS}
services:
  sixth: {hostname: six.NAME.example}
  seventh: {hostname: seven.NAME.example}
"""
SERVICE = """\
schema: 1
id: ID
title: {ca: Sis, es: Seis, en: Six}
systems: [debian-12]
resources: {memory_mb: 1, disk_mb: 1}
releases:
  - version: "2"
    sources:
      - kind: archive
        files:
          - {name: ID-2.tar.gz, role: archive}
  - version: "1"
    sources:
      - kind: archive
        files:
          - {name: ID-1.tar.gz, role: archive, url: "https://upstream.example/ID-1.tar.gz"}
"""


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"municipality.yml": MUNICIPALITY}
    for number, name in enumerate(("mar", "bosc"), start=1):
        files[f"schools/{name}.yml"] = SCHOOL.replace("NAME", name).replace("ADDRESS", f"192.0.2.{number}")
    for name in ("sixth", "seventh"):
        files[f"roles/{name}/service.yml"] = SERVICE.replace("ID", name)
        files[f"roles/{name}/defaults/main.yml"] = "---\n{}\n"
        files[f"roles/{name}/meta/argument_specs.yml"] = "---\nargument_specs: {main: {options: {}}}\n"
    for name, text in files.items():
        path = tmp_path / "city" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PROVISION_WORKSPACE", str(tmp_path / "city"))
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("PROVISION_MIRROR", str(mirror))
    for name in ("sixth", "seventh"):
        (mirror / f"{name}-2.tar.gz").write_text(name)
    return tmp_path / "city"


@pytest.fixture
def mirror(city: Path) -> Path:
    return city.parent / "mirror"


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_list_shows_what_is_here_what_is_not_and_what_it_is_checked_against(city, mirror):
    items = {item["name"]: item for item in json.loads(run("list", "mar", "--json").stdout)["artifacts"]}
    # A school without a lab gets the newest release, so only that is listed for it.
    assert set(items) == {"sixth-2.tar.gz", "seventh-2.tar.gz"}
    assert items["sixth-2.tar.gz"]["here"]
    assert items["sixth-2.tar.gz"]["place"] == str(mirror)
    assert items["sixth-2.tar.gz"]["checksum"] is None
    run("lock")
    everything = {item["name"]: item for item in json.loads(run("list", "--json").stdout)["artifacts"]}
    assert everything["sixth-2.tar.gz"]["checksum"] == sha256("sixth")
    assert everything["sixth-2.tar.gz"]["known_from"] == "artifacts.lock"
    assert everything["sixth-2.tar.gz"]["used_by"] == ["bosc", "mar"]
    assert everything["sixth-1.tar.gz"]["place"] == "https://upstream.example/sixth-1.tar.gz"
    assert not everything["sixth-1.tar.gz"]["here"]
    assert "sixth-1.tar.gz" in run("list").stdout


def test_lock_records_what_every_school_needs_and_then_finds_it_unchanged(city):
    first = run("lock", "--json")
    assert first.exit_code == 0
    assert json.loads(first.stdout)["recorded"] == ["seventh-2.tar.gz", "sixth-2.tar.gz"]
    again = json.loads(run("lock", "--json").stdout)
    assert (again["recorded"], again["unchanged"]) == ([], ["seventh-2.tar.gz", "sixth-2.tar.gz"])


def test_lock_shows_every_difference_with_both_checksums_and_changes_nothing(city, mirror):
    run("lock")
    before = (city / "artifacts.lock").read_bytes()
    for name in ("sixth", "seventh"):
        (mirror / f"{name}-2.tar.gz").write_text("changed")
    done = run("lock")
    assert done.exit_code == 1
    for part in (
        sha256("sixth"),
        sha256("seventh"),
        sha256("changed"),
        "--accept sixth-2.tar.gz",
        "2 changed",
    ):
        assert part in done.stdout
    assert (city / "artifacts.lock").read_bytes() == before


def test_lock_accepts_one_named_difference_and_no_other(city, mirror):
    run("lock")
    for name in ("sixth", "seventh"):
        (mirror / f"{name}-2.tar.gz").write_text("changed")
    done = json.loads(run("lock", "--accept", "sixth-2.tar.gz", "--json").stdout)
    assert [item["name"] for item in done["changed"]] == ["seventh-2.tar.gz"]
    text = (city / "artifacts.lock").read_text()
    assert sha256("changed") in text
    assert sha256("seventh") in text
    assert sha256("sixth") not in text


def test_accept_of_an_unknown_name_says_what_was_meant(city):
    run("lock")
    done = run("lock", "--accept", "sixth-2.tar.bz")
    assert isinstance(done.exception, UsageError)
    assert "sixth-2.tar.gz" in done.exception.remedy


def test_lock_says_what_cannot_be_had(city, mirror):
    (mirror / "sixth-2.tar.gz").unlink()
    done = run("lock")
    assert done.exit_code == 1
    assert "sixth cannot be had now" in done.stdout
    assert "Put sixth-2.tar.gz into a directory" in done.stdout


def test_fetch_makes_a_mirror_that_serves_the_school_without_any_other_source(
    city, mirror, tmp_path, monkeypatch
):
    target = tmp_path / "stick"
    done = run("fetch", "mar", "--output", str(target))
    assert done.exit_code == 0
    assert f"--mirror {target}" in done.stdout
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=target, check=True, capture_output=True
    )
    for file in mirror.iterdir():
        file.unlink()
    monkeypatch.delenv("PROVISION_MIRROR")
    assert run("lock").exit_code == 1
    assert run("lock", "--mirror", str(target)).exit_code == 0


def test_fetch_says_which_files_it_could_not_get_and_fetches_the_others(city, mirror, tmp_path):
    (mirror / "sixth-2.tar.gz").unlink()
    done = json.loads(run("fetch", "--output", str(tmp_path / "stick"), "--json").stdout)
    assert [item["name"] for item in done["files"]] == ["seventh-2.tar.gz"]
    assert [item["name"] for item in done["failed"]] == ["sixth-2.tar.gz"]
    assert sorted(path.name for path in (tmp_path / "stick").iterdir()) == ["SHA256SUMS", "seventh-2.tar.gz"]
    assert run("fetch").exit_code == 1


def test_fetch_does_not_miss_a_citys_own_copy_where_upstreams_archive_is_here(city, mirror):
    service = city / "roles/sixth/service.yml"
    upstream = '{name: up-2.tar.gz, role: archive, url: "https://upstream.example/up-2.tar.gz"}'
    text = service.read_text().replace(
        "          - {name: sixth-2.tar.gz, role: archive}\n",
        "          - {name: sixth-2.tar.gz, role: archive}\n"
        f"      - kind: archive\n        files:\n          - {upstream}\n",
    )
    service.write_text(text)
    (mirror / "sixth-2.tar.gz").rename(mirror / "up-2.tar.gz")
    done = run("fetch", "--json")
    assert [item["name"] for item in json.loads(done.stdout)["failed"]] == []
    assert done.exit_code == 0
    # Where neither is here, both are told.
    (mirror / "up-2.tar.gz").unlink()
    failed = json.loads(run("fetch", "--json").stdout)["failed"]
    assert {item["name"] for item in failed} == {"sixth-2.tar.gz", "up-2.tar.gz"}


def test_list_folds_no_name_and_is_not_wider_than_what_it_says(city):
    text = run("list").stdout
    assert "  archive sixth-1.tar.gz\n    from            https://upstream.example/sixth-1.tar.gz\n" in text
    assert max(map(len, text.splitlines())) < 200
