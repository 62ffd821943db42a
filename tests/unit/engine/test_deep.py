"""``health --deep``: how the acceptance tests are run, and what becomes of their results."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.engine import deep
from provision.engine.deep import ask_deep
from provision.health.result import Finding
from provision.model import ResolvedService, Workspace
from tests.unit.health.inside_sample import school, service

WIKI = service()
SCHOOL = school(WIKI)
TESTS = r"""
import os
import pytest

def test_the_name_comes_from_the_environment():
    assert os.environ["WIKI_HOSTNAME"] == "@NAME@"

def test_no_password_reaches_the_tests():
    assert not [name for name in os.environ if "VAULT" in name or name == "PROVISION_WORKSPACE"]

@pytest.mark.parametrize("page", ["start", "\x1b[2J<b>"])
def test_a_rule_that_is_not_kept(page):
    assert page == "other", "\x1b[31m" + "x" * 9000

@pytest.fixture
def broken():
    raise OSError("the server is away")

def test_what_cannot_be_prepared(broken):
    pass

@pytest.mark.skip(reason="no")
def test_left_out():
    pass
""".replace("@NAME@", WIKI.hostname)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    role = tmp_path / "wiki"
    (role / "verify").mkdir(parents=True)
    # Where the tests go is tried on a real server.
    monkeypatch.setattr(deep, "_where", lambda *_: [])
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", "/secret")
    workspace = cast(
        Workspace,
        SimpleNamespace(catalog={"wiki": SimpleNamespace(role_dir=role)}, names_file=tmp_path / "names"),
    )

    def asked(tests: str | None = TESTS, **options: Any) -> list[Finding]:
        if tests is not None:
            (role / "verify" / "test_wiki.py").write_text(tests)
        return ask_deep(workspace, SCHOOL, [cast(ResolvedService, WIKI)], **options)

    return asked


def test_each_test_is_a_finding_with_its_rule_as_title(ask: Any) -> None:
    found = {one.probe: one for one in ask()}
    good = found["deep:the_name_comes_from_the_environment"]
    assert (good.state, good.measured.en) == ("ok", "passed")
    assert good.title.en == "Acceptance test: The name comes from the environment"
    assert found["deep:no_password_reaches_the_tests"].state == "ok"
    bad = found["deep:a_rule_that_is_not_kept_start_"]
    assert bad.state == "problem"
    assert bad.meaning
    assert bad.remedy
    assert bad.remedy.en.startswith("Run “provision apply")
    assert found["deep:what_cannot_be_prepared"].state == "problem"
    assert "the server is away" in found["deep:what_cannot_be_prepared"].measured.en
    assert found["deep:left_out"].state == "unknown"


def test_what_a_hostile_server_makes_a_test_say_is_bounded_and_steers_no_terminal(ask: Any) -> None:
    for one in ask():
        text = one.measured.en + one.title.en + one.probe
        assert "\x1b" not in text
        assert len(one.measured.en) <= 300


@pytest.mark.parametrize("tests", ["import nothing_like_that\n", "", "def test_x(:\n"])
def test_tests_that_do_not_run_say_so_in_one_finding(ask: Any, tests: str) -> None:
    (found,) = ask(tests)
    assert (found.probe, found.state) == ("deep", "unknown")
    assert found.meaning
    assert "could not be run to their end" in found.meaning.en


def test_tests_that_hang_are_ended_and_what_was_found_stays(ask: Any) -> None:
    found = ask("import time\ndef test_quick():\n    pass\ndef test_slow():\n    time.sleep(60)\n", limit=6.0)
    assert [one.probe for one in found] == ["deep:quick", "deep"]
    assert found[1].measured.en == "not ended after 6 s"


def test_what_tests_that_hang_have_started_is_ended_too(ask: Any, tmp_path: Path) -> None:
    note = tmp_path / "started"
    tests = (
        "import subprocess\ndef test_slow():\n"
        f"    subprocess.run(['sh', '-c', 'echo $$ > {note}; exec sleep 60'])\n"
    )
    ask(tests, limit=6.0)
    status = Path("/proc") / note.read_text().strip() / "status"

    def lives() -> bool:
        """Who takes in orphans may be slow to bury them (Z)."""
        try:
            return "State:\tZ" not in status.read_text()
        except OSError:
            return False

    end = time.monotonic() + 20
    while lives():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_service_without_such_tests_has_none(ask: Any) -> None:
    assert ask(None) == []


def test_where_sudo_asks_for_a_password_it_is_said(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = next(iter(SCHOOL.hosts.values()))
    monkeypatch.setitem(SCHOOL.hosts, WIKI.host, replace(host, become_password=True))
    (found,) = ask()
    assert found.measured.en == "sudo asks for a password on this server"


@pytest.mark.parametrize(
    "line", ["", "[]", "{", '{"test": 1}', json.dumps({"test": "x", "outcome": "passed"})]
)
def test_a_damaged_line_of_the_report_is_left_out(line: str) -> None:
    assert deep._finding(SCHOOL, WIKI, line) is None


def test_what_is_missing_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        deep.importlib.util, "find_spec", lambda name: None if name == "testinfra" else object()
    )
    with pytest.raises(Exception, match="--deep needs testinfra, which is not installed") as caught:
        deep.check_deep_is_possible()
    assert "pip install 'provision[deep]'" in str(getattr(caught.value, "remedy", ""))
