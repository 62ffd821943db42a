"""What provision-probe tells of certificates and of files that provision wrote."""

import hashlib
import json
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.probe import Probe

DAY = 86400.0


@pytest.fixture(name="certificate")
def _certificate(probe: Probe) -> Path:
    place = probe.root / "etc/provision/tls/wiki"
    place.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-subj", "/CN=wiki.example", "-addext", "subjectAltName=DNS:wiki.example,DNS:*.wiki.example",
         "-keyout", place / "key.pem", "-out", place / "fullchain.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return place


def test_a_certificate_is_told_with_its_names_and_times(probe: Probe, certificate: Path) -> None:
    (certificate.parent / "staged").mkdir()
    (certificate.parent / "deploy.d").mkdir()
    told = probe.files.certificates()
    assert set(told) == {"wiki"}
    one = told["wiki"]
    assert (one["error"], one["key_error"], one["fits"], one["key_mode"]) == ("", "", True, "0600")
    assert (one["names"], one["subject"]) == (["wiki.example", "*.wiki.example"], "CN=wiki.example")
    assert one["not_after"] - one["not_before"] == pytest.approx(9 * DAY)
    assert "PRIVATE" not in json.dumps(told)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Jan  1 00:00:00 1970 GMT", 0),
        ("Feb 29 12:00:00 2024 GMT", 1709208000),
        ("Mar  1 00:00:00 2100 GMT", 4107542400),
        ("Nov 23 16:04:34 2026 GMT", 1795449874),
        ("Dec 31 23:59:59 9999 GMT", 253402300799),
        ("23.11.2026", None),
        ("Nov 23 16:04:34 2026 CET", None),
    ],
)
def test_times_of_certificates_are_those_of_openssl(probe: Probe, text: str, moment: int | None) -> None:
    assert probe.files.certificate_time(text) == moment


def test_a_certificate_that_is_not_right_says_what_is_wrong(probe: Probe, certificate: Path) -> None:
    key = certificate / "key.pem"
    good = key.read_bytes()
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True
    )
    assert probe.files.certificate(certificate)["fits"] is False
    key.write_text("no key")
    assert probe.files.certificate(certificate)["key_error"] == "openssl cannot read it"
    key.write_bytes(good)
    lock = ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-out", key]
    subprocess.run(lock, input=good, check=True, capture_output=True)
    assert b"ENCRYPTED" in key.read_bytes()
    assert probe.files.certificate(certificate)["key_error"] == "openssl cannot read it"
    key.unlink()
    assert probe.files.certificate(certificate)["key_error"] == "No such file or directory"
    (certificate / "fullchain.pem").write_text("no certificate")
    assert probe.files.certificate(certificate)["error"].startswith("openssl: ")
    (certificate / "fullchain.pem").unlink()
    assert probe.files.certificate(certificate)["error"] == "it is not there"


def test_a_file_is_told_by_its_hash_owner_and_mode(probe: Probe) -> None:
    probe.put("/etc/a", "content", 0o640)
    told = probe.files.files(["/etc/a"])["/etc/a"]
    assert told["sha256"] == "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    assert (told["mode"], told["owner"]) == ("0640", probe.files.account(os.getuid(), pwd.getpwuid))


def test_what_is_no_plain_file_is_neither_read_nor_waited_for(probe: Probe) -> None:
    secret = probe.put("/etc/secret", "x")
    (probe.root / "etc/link").symlink_to(secret)
    os.mkfifo(probe.root / "etc/pipe")
    (probe.root / "etc/folder").mkdir()
    probe.given(MOST_FILE=100)
    probe.put("/etc/large", "x" * 101)
    told = probe.files.files([f"/etc/{name}" for name in ("link", "pipe", "folder", "large", "absent")])
    assert [one["error"] for one in told.values()] == [
        "no file",
        "no file",
        "no file",
        "too large",
        "missing",
    ]


def test_a_run_notes_files_and_what_lies_in_folders_and_is_told_how_they_are(probe: Probe) -> None:
    probe.put("/etc/a", "x")
    probe.put("/etc/wiki/settings.json", "{}")
    probe.put("/etc/wiki/more/deep", "x")
    probe.put("/etc/provision/probe.json", "{}")
    probe.core.at("/etc/wiki/link").symlink_to("/etc/shadow")
    wanted = {"files": ["/etc/a", "/etc/gone"], "folders": ["/etc/wiki", "/etc/absent"]}
    told = probe.files.note(json.dumps(wanted))
    assert set(told) == {"/etc/a", "/etc/gone", "/etc/wiki/settings.json"}
    assert told["/etc/gone"] == {"error": "missing"}
    assert told["/etc/a"]["sha256"] == hashlib.sha256(b"x").hexdigest()
    kept = probe.core.at("/etc/provision/managed.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert probe.files.listed() == told
    before = kept.stat()
    assert probe.files.note(json.dumps(wanted)) == told
    assert kept.stat().st_mtime_ns == before.st_mtime_ns, "a second run changes nothing"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"files": 7, "folders": []}', '{"files": ["a"], "folders": []}',
     '{"files": [], "folders": ["/etc/../root"]}', "[" * 50_000],
)  # fmt: skip
def test_a_note_of_anything_else_is_refused_and_the_former_one_stays(probe: Probe, text: str) -> None:
    probe.put("/etc/provision/managed.json", json.dumps({"files": ["/etc/a"]}))
    with pytest.raises(probe.core.RefusedError):
        probe.files.note(text)
    assert probe.files.noted() == ["/etc/a"]


def test_the_note_of_the_last_run_is_bounded(probe: Probe) -> None:
    assert probe.files.last_run() is None
    probe.put(
        "/etc/provision/last-run.json",
        json.dumps({"run": "r1", "intent": 4, "checkpoint": "x" * 9000, "more": [1]}),
    )
    assert probe.files.last_run() == {"run": "r1", "intent": 4, "checkpoint": "x" * 4000}
    for damaged in ("{", "[]", "[" * 50_000):
        probe.put("/etc/provision/last-run.json", damaged)
        with pytest.raises(probe.core.UnanswerableError, match="is damaged"):
            probe.files.last_run()
