"""What a server tells of its inside becomes the right finding, with the right sentences, and no other one lies."""

import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from provision.errors import RefusedError
from provision.health.inside import COMMAND, inside, request_for
from provision.health.result import LANGUAGES, Finding, State
from provision.health.words import FAULTS, TITLES
from tests.unit.health.inside_sample import (
    DAY,
    DEFINITION,
    MANAGED,
    NOW,
    Parts,
    answered,
    ask,
    disk,
    file,
    healthy,
    school,
    service,
    timer,
    unit,
)

GIB = 2**30


@dataclass(frozen=True)
class Case:
    """A fault of the server, and what is to be said of it.

    Args:
        breaks: changes the healthy answer.
        measured: what the finding's line holds. also: other probes that must turn too.
    """

    fault: str
    breaks: Callable[[Parts], object]
    of: str
    probe: str
    state: State
    measured: str
    also: tuple[str, ...] = ()


def at(*path: str | int, **changed: Any) -> Callable[[Parts], object]:
    """Change values somewhere in the answer."""

    def breaks(parts: Parts) -> None:
        place: Any = parts
        for step in path:
            place = place[step]
        place.update(changed)

    return breaks


def put(name: str, value: Any) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name: value})


WIKI = ("certificates", "wiki")
GROUP = {"unit": "php", "text": "cannot write", "count": 40, "first": NOW - DAY, "last": NOW}
CASES = [
    Case(
        "unit/missing",
        at("units", "wiki.service", load="not-found", active="inactive", sub="dead", since=None),
        "wiki",
        "unit",
        "problem",
        "not installed",
    ),
    Case(
        "unit/stopped",
        at("units", "wiki.service", active="inactive", sub="dead"),
        "wiki",
        "unit",
        "problem",
        "inactive (dead)",
    ),
    Case(
        "unit/failed",
        at("units", "wiki.service", active="failed", sub="failed", result="exit-code"),
        "wiki",
        "unit",
        "problem",
        "failed (failed) since 3 days, exit-code",
    ),
    Case(
        "unit/looping",
        at("units", "wiki.service", active="activating", sub="auto-restart", result="signal"),
        "wiki",
        "unit",
        "problem",
        "activating (auto-restart)",
    ),
    Case(
        "unit/starting",
        at("units", "wiki.service", active="activating", sub="start"),
        "wiki",
        "unit",
        "warning",
        "activating (start)",
    ),
    Case(
        "unit/restarts",
        at("restarts", "restarts", **{"wiki.service": 4}),
        "wiki",
        "unit",
        "warning",
        "4 restarts in a day",
    ),
    Case(
        "unit/memory",
        at("restarts", "out_of_memory", **{"provision-php@wiki.service": 2}),
        "wiki",
        "unit:provision-php@wiki.service",
        "warning",
        "ended 2 times for its memory",
    ),
    Case(
        "unit/disabled",
        at("units", "provision-redis@wiki_cache.service", enabled="disabled"),
        "wiki",
        "unit:provision-redis@wiki_cache.service",
        "warning",
        "active (running)",
    ),
    Case(
        "unit/stopped",
        at("units", "nginx.service", active="inactive", sub="dead"),
        "host",
        "unit:nginx.service",
        "problem",
        "inactive",
    ),
    Case(
        "loopback/silent",
        at("loopback", 0, status=0, error="Connection refused"),
        "wiki",
        "api",
        "problem",
        "Connection refused",
    ),
    Case(
        "loopback/other",
        at("loopback", 0, status=503),
        "wiki",
        "api",
        "problem",
        "answers 503 instead of 200",
    ),
    Case("loopback/other", at("loopback", 0, found=False), "wiki", "api", "problem", "but without: version"),
    Case(
        "unknown",
        at("loopback", 0, error="not allowed", status=0),
        "wiki",
        "api",
        "unknown",
        "does not let this key",
    ),
    Case(
        "bound/open",
        put("listeners", [["0.0.0.0", 9001], ["127.0.0.1", 9001]]),
        "wiki",
        "bound:9001",
        "problem",
        "listens on 0.0.0.0",
    ),
    Case("php-fpm/missing", put("php", {}), "wiki", "php-fpm", "problem", "not set up"),
    Case(
        "php-fpm/gone",
        at("php", "wiki", answers=False, error="its socket is not there"),
        "wiki",
        "php-fpm",
        "problem",
        "its socket is not there",
    ),
    Case(
        "php-fpm/exhausted",
        at("php", "wiki", answers=False, error="no answer in time", late=True, listen_queue=12),
        "wiki",
        "php-fpm",
        "problem",
        "12 requests wait",
    ),
    Case(
        "php-fpm/queue",
        at("php", "wiki", listen_queue=3, active_processes=4),
        "wiki",
        "php-fpm",
        "warning",
        "4 of 4 workers busy, 3 requests wait",
    ),
    Case(
        "redis/missing",
        put("redis", {"wiki_cache": healthy()["redis"]["wiki_cache"]}),
        "wiki",
        "redis:wiki_sessions",
        "problem",
        "not set up",
    ),
    Case(
        "redis/gone",
        at("redis", "wiki_sessions", pong=False, error="its socket is not there"),
        "wiki",
        "redis:wiki_sessions",
        "problem",
        "socket",
    ),
    Case(
        "redis/full",
        at("redis", "wiki_sessions", used_memory=63.9e6),
        "wiki",
        "redis:wiki_sessions",
        "problem",
        "60.9 MiB of 61.0 MiB",
    ),
    Case(
        "redis/full",
        at("redis", "wiki_sessions", used_memory=56e6),
        "wiki",
        "redis:wiki_sessions",
        "warning",
        "53.4 MiB of 61.0 MiB",
    ),
    Case(
        "database/down",
        put("databases", {"up": False, "error": "connection refused"}),
        "wiki",
        "database:wiki",
        "problem",
        "connection refused",
    ),
    Case("database/missing", at("databases", databases={}), "wiki", "database:wiki", "problem", "not there"),
    Case(
        "database/refused",
        at("databases", "databases", "wiki", error="role is not permitted to log in"),
        "wiki",
        "database:wiki",
        "problem",
        "not permitted",
    ),
    Case(
        "database/read-only", at("databases", read_only=True), "wiki", "database:wiki", "problem", "read only"
    ),
    Case(
        "database/crowded",
        at("databases", connections=95),
        "wiki",
        "database:wiki",
        "warning",
        "95 of 100 connections",
    ),
    Case(
        "certificate-file/missing",
        put("certificates", {}),
        "wiki",
        "certificate-file",
        "problem",
        "not there",
    ),
    Case(
        "certificate-file/damaged",
        at(*WIKI, error="openssl: Could not read"),
        "wiki",
        "certificate-file",
        "problem",
        "Could not read",
    ),
    Case(
        "certificate-file/key",
        at(*WIKI, key_error="openssl cannot read it", fits=None),
        "wiki",
        "certificate-file",
        "problem",
        "key: openssl",
    ),
    Case(
        "certificate-file/key-other",
        at(*WIKI, fits=False),
        "wiki",
        "certificate-file",
        "problem",
        "another certificate",
    ),
    Case(
        "certificate-file/key-open",
        at(*WIKI, key_mode="0644"),
        "wiki",
        "certificate-file",
        "warning",
        "mode 0644",
    ),
    Case(
        "certificate-file/name",
        at(*WIKI, names=["*.other.example", "wiki.example"]),
        "wiki",
        "certificate-file",
        "problem",
        "for *.other.example, wiki.example",
    ),
    Case(
        "certificate-file/early",
        at(*WIKI, not_before=NOW + 2 * DAY),
        "wiki",
        "certificate-file",
        "problem",
        "valid only in 2 days",
    ),
    Case(
        "certificate-file/expired",
        at(*WIKI, not_after=NOW - 2 * DAY),
        "wiki",
        "certificate-file",
        "problem",
        "ended 2 days ago",
    ),
    Case(
        "certificate-file/ending",
        at(*WIKI, not_after=NOW + 6.5 * DAY),
        "wiki",
        "certificate-file",
        "warning",
        "ends in",
    ),
    Case(
        "certificate-file/ending",
        at(*WIKI, not_after=NOW + 1.5 * DAY),
        "wiki",
        "certificate-file",
        "problem",
        "ends in 36 hours",
    ),
    Case(
        "timer/stopped",
        at("timers", "wiki-tasks.timer", active="inactive"),
        "wiki",
        "tasks",
        "problem",
        "inactive",
    ),
    Case(
        "timer/failed",
        at("timers", "wiki-tasks.timer", result="exit-code"),
        "wiki",
        "tasks",
        "problem",
        "exit-code",
    ),
    Case(
        "timer/late",
        at("timers", "wiki-tasks.timer", last=NOW - 3 * DAY, next=NOW - 2 * DAY),
        "wiki",
        "tasks",
        "problem",
        "3 days ago",
    ),
    Case(
        "timer/stopped",
        at("timers", "certbot.timer", load="not-found", active="inactive"),
        "host",
        "timer:certbot.timer",
        "warning",
        "not installed",
    ),
    Case(
        "disk/full", at("disks", "/", free=GIB), "host", "disk:/", "problem", "1.0 GiB of 100 GiB free (1%)"
    ),
    Case("disk/full", at("disks", "/run", free=2**24), "host", "disk:/run", "problem", "16.0 MiB"),
    Case("disk/low", at("disks", "/", free=9 * GIB, growth_day=0.0), "host", "disk:/", "warning", "(9%)"),
    Case(
        "disk/filling",
        at("disks", "/", growth_day=10.0 * GIB),
        "host",
        "disk:/",
        "warning",
        "grows by 10.0 GiB a day, full in 6 days",
    ),
    Case(
        "disk/filling",
        at("disks", "/", free=30 * GIB, growth_now=90.0 * GIB),
        "host",
        "disk:/",
        "problem",
        "full in 8 hours",
    ),
    Case("disk/read-only", at("disks", "/", read_only=True), "host", "disk:/", "problem", "read only"),
    Case(
        "inodes/full",
        at("disks", "/", inodes_free=10),
        "host",
        "inodes:/",
        "problem",
        "room for 10 more files",
    ),
    Case(
        "inodes/full",
        at("disks", "/", inodes_free=50),
        "host",
        "inodes:/",
        "warning",
        "room for 50 more files",
    ),
    Case("memory/low", at("system", available=GIB // 5), "host", "memory", "problem", "205 MiB of 8.0 GiB"),
    Case("memory/low", at("system", pressure=40.0), "host", "memory", "warning", "4.0 GiB"),
    Case(
        "load/high",
        at("system", load=[9.0, 8.0, 7.0]),
        "host",
        "load",
        "warning",
        "9.00 8.00 7.00 on 2 processors",
    ),
    Case("load/high", at("system", load=[29.0, 28.0, 27.0]), "host", "load", "problem", "29.00"),
    Case("clock/off", at("clock", offset=7.0), "host", "clock", "warning", "7.000 s off its time servers"),
    Case(
        "clock/alone", at("clock", synchronised=False), "host", "clock", "warning", "follows no other clock"
    ),
    Case(
        "updates/waiting",
        at("updates", security=2, packages=[["openssl", "1", "2"], ["bash", "1", "2"]]),
        "host",
        "updates",
        "warning",
        "2 wait: openssl, bash",
    ),
    Case(
        "updates/old",
        at("updates", lists_at=NOW - 9 * DAY),
        "host",
        "updates",
        "warning",
        "looked 9 days ago",
    ),
    Case(
        "reboot/needed",
        at("system", reboot=True, reboot_for=["linux-image"]),
        "host",
        "reboot",
        "warning",
        "needed, for linux-image",
    ),
    Case(
        "units-failed/some",
        put("failed", {"count": 2, "units": ["quota.service", "wiki.service"]}),
        "host",
        "units-failed",
        "warning",
        "failed: quota.service",
    ),
    Case(
        "journal/many",
        put("journal", {"count": 42, "more": True, "causes": 3, "groups": [GROUP]}),
        "host",
        "journal",
        "warning",
        "at least 42 errors of 3 causes; most often (40) php: cannot write",
    ),
    Case(
        "firewall/gone",
        put("firewall", {"present": False, "drops": False, "unchanged": None}),
        "host",
        "firewall",
        "problem",
        "not there",
    ),
    Case(
        "firewall/open",
        at("firewall", drops=False, unchanged=False),
        "host",
        "firewall",
        "problem",
        "lets in",
    ),
    Case("firewall/changed", at("firewall", unchanged=False), "host", "firewall", "problem", "other rules"),
    Case(
        "files/changed",
        put("files", {"/etc/wiki/settings.json": file(sha256="b" * 64)}),
        "host",
        "files",
        "warning",
        "/etc/wiki/settings.json (content)",
    ),
    Case(
        "files/changed",
        put("files", {"/etc/wiki/settings.json": file(owner="wiki")}),
        "host",
        "files",
        "warning",
        "(belongs to wiki:wiki)",
    ),
    Case(
        "files/changed",
        put("files", {"/etc/wiki/settings.json": file(mode="0666")}),
        "host",
        "files",
        "warning",
        "(mode 0666)",
    ),
    Case(
        "files/changed",
        put("files", {"/etc/wiki/settings.json": {"error": "missing"}}),
        "host",
        "files",
        "warning",
        "(missing)",
    ),
    Case(
        "unknown",
        put("files", {"/etc/wiki/settings.json": {"error": "closed"}}),
        "host",
        "files",
        "unknown",
        "1 could not be asked",
    ),
    Case("last-run/none", put("last_run", None), "host", "last-run", "warning", "none yet"),
    Case("last-run/failed", at("last_run", outcome="failed"), "host", "last-run", "warning", "r1 by Anna"),
    Case("last-run/open", at("last_run", outcome="started"), "host", "last-run", "warning", "started"),
    Case(
        "last-run/unknown", at("last_run", school="escola-rival"), "host", "last-run", "problem", "r1 by Anna"
    ),
]
#: Faults that have a test of their own below.
ELSEWHERE = {
    "probe/unreachable", "probe/key", "probe/host-key", "probe/missing", "probe/strange",
    "deep/failed", "deep/impossible",
}  # fmt: skip


#: What PostgreSQL and OpenSSL say in words of their own.
FOREIGN = {"connection refused", "role is not permitted to log in", "openssl: Could not read"}


def only(findings: list[Finding], of: str, probe: str) -> Finding:
    (found,) = [one for one in findings if (one.service, one.probe) == (of, probe)]
    return found


def sentences(finding: Finding) -> list[str]:
    told = [finding.title, *(one for one in (finding.meaning, finding.remedy) if one)]
    return [sentence.in_(lang) for sentence in told for lang in LANGUAGES]


def test_a_healthy_server_has_nothing_that_is_not_well() -> None:
    findings = ask(answered(healthy()))
    assert {(one.service, one.probe): one.measured.en for one in findings if one.state != "ok"} == {}
    assert all(one.meaning is None and one.remedy is None for one in findings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.probe}-{case.state}")
def test_the_right_probe_turns_with_the_right_sentence_and_no_other_lies(case: Case) -> None:
    parts = healthy()
    case.breaks(parts)
    findings = ask(answered(parts))
    found = only(findings, case.of, case.probe)
    assert found.state == case.state
    assert case.measured in found.measured.en
    assert found.measured.ca != found.measured.en or found.measured.en in FOREIGN
    assert [one.probe for one in findings if one.state != "ok"] == [case.probe]
    meaning = string.Formatter().parse(FAULTS[case.fault].meaning.en)
    assert found.meaning and found.remedy
    assert all(text in found.meaning.en for text, _, _, _ in meaning)
    assert not [text for text in sentences(found) if "{" in text or "}" in text or "--service host" in text]


def test_every_fault_that_has_words_is_among_the_cases() -> None:
    assert {case.fault for case in CASES} | ELSEWHERE == set(FAULTS)


@pytest.mark.parametrize("key", FAULTS)
def test_each_sentence_speaks_of_the_same_things_in_all_languages(key: str) -> None:
    for sentence in FAULTS[key]:
        places = [
            {place for _, place, _, _ in string.Formatter().parse(sentence.in_(lang)) if place}
            for lang in LANGUAGES
        ]
        assert places[0] == places[1] == places[2]
        assert len({sentence.in_(lang) for lang in LANGUAGES}) == 3


def test_each_title_is_there_in_all_languages() -> None:
    for title in TITLES.values():
        assert all(title.in_(lang) for lang in LANGUAGES)


def test_a_service_is_called_by_its_name_and_the_command_names_it() -> None:
    parts = healthy()
    parts["units"]["wiki.service"] = unit(active="inactive", sub="dead")
    found = only(ask(answered(parts)), "wiki", "unit")
    assert found.meaning and found.remedy
    assert found.meaning.en == "wiki.service is stopped: Wiki does not work, or not all of it."
    assert (
        found.remedy.ca == "Executeu «provision apply escola-mar --service wiki», o truqueu a l'ajuntament."
    )


@pytest.mark.parametrize(
    ("told", "state", "meaning", "remedy"),
    [
        ({}, "ok", "", ""),
        (
            {"state": "problem", "measured": "it refuses"},
            "problem",
            "Wiki takes none.",
            "Call about escola-mar.",
        ),
        ({"state": "warning", "code": "unheard"}, "warning", "Wiki takes none.", "Call about escola-mar."),
        (
            {"state": "problem", "code": "maintenance"},
            "problem",
            "wiki.escola-mar.example rests.",
            "End it: wiki on main.",
        ),
        (
            {"state": "", "error": "x did not end within 6 s", "late": True},
            "problem",
            "Wiki takes",
            "Call about",
        ),
        ({"state": "", "error": "x is not there"}, "unknown", "", ""),
        ({"state": ""}, "unknown", "", ""),
    ],
)
def test_what_a_service_says_of_itself_is_told_in_its_own_words(
    told: dict[str, Any], state: State, meaning: str, remedy: str
) -> None:
    parts = healthy()
    parts["own"]["wiki/pad"].update(told)
    found = only(ask(answered(parts)), "wiki", "pad")
    assert found.state == state
    assert all(told[name] in found.measured.en for name in ("measured", "error") if name in told)
    if state == "ok":
        assert (found.meaning, found.remedy) == (None, None)
    else:
        assert found.meaning and found.remedy
        assert (meaning in found.meaning.en, remedy in found.remedy.en) == (True, True)
        assert not [text for text in sentences(found) if "{" in text]


def test_a_question_that_the_server_does_not_list_is_unknown() -> None:
    parts = healthy()
    parts["own"] = {}
    found = only(ask(answered(parts)), "wiki", "pad")
    assert (found.state, "does not list it" in found.measured.en) == ("unknown", True)


def test_what_could_not_be_asked_is_unknown_and_says_why() -> None:
    parts = json.loads(answered(healthy()))
    for name in parts["parts"]:
        parts["parts"][name] = {"seconds": 3.0, "reason": "psql did not end within 3 s"}
    findings = ask(json.dumps(parts))
    assert {one.state for one in findings} == {"unknown"}
    assert "psql did not end within 3 s" in only(findings, "wiki", "database:wiki").measured.en
    healthy_ones = {(one.service, one.probe) for one in ask(answered(healthy()))}
    names = {(one.service, one.probe) for one in findings}
    # Nothing is silently left out; without the disks' names there is one finding for all.
    assert healthy_ones - names == {
        ("host", f"{kind}:{place}") for kind in ("disk", "inodes") for place in ("/", "/run")
    }
    assert names - healthy_ones == {("host", "disk")}


def test_one_part_that_fails_takes_no_other_with_it() -> None:
    parts = healthy()
    parts["databases"] = "all is well, believe me"
    findings = ask(answered(parts))
    assert {one.probe for one in findings if one.state != "ok"} == {"database:wiki", "probe"}
    assert "the server's answer makes no sense" in only(findings, "wiki", "database:wiki").measured.en


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (0.2, "ok", "within 0.0 s"),
        (-1.5, "ok", "within 1.3 s"),
        (5.3, "warning", "5 s off"),
        (-7200.2, "problem", "2 hours off"),
    ],
)
def test_the_clock_is_compared_with_ours_and_the_way_there_is_allowed_for(
    ahead: float, state: State, said: str
) -> None:
    found = only(ask(answered(healthy(), time=NOW + ahead)), "host", "clock")
    assert (found.state, said in found.measured.en) == (state, True)


def test_a_container_is_not_blamed_for_the_clock_of_its_machine() -> None:
    parts = healthy()
    parts["system"]["container"] = "systemd-nspawn"
    parts["clock"]["synchronised"] = False
    assert only(ask(answered(parts)), "host", "clock").state == "ok"


def test_a_cache_that_may_throw_out_what_is_old_may_be_full() -> None:
    parts = healthy()
    parts["redis"]["wiki_cache"]["used_memory"] = 64e6
    assert only(ask(answered(parts)), "wiki", "redis:wiki_cache").state == "ok"


def test_a_burst_of_a_few_hours_does_not_cry_that_the_disk_is_full_next_week() -> None:
    parts = healthy()
    parts["disks"]["/"] = disk(growth_now=20.0 * GIB)
    assert only(ask(answered(parts)), "host", "disk:/").state == "ok"


def test_a_timer_that_is_at_work_is_not_late() -> None:
    parts = healthy()
    parts["timers"]["wiki-tasks.timer"] = timer(next=NOW - 2 * DAY, running=True, result="exit-code")
    assert only(ask(answered(parts)), "wiki", "tasks").state == "ok"


def test_a_wildcard_certificate_is_good_for_one_level_only() -> None:
    for name, state in (
        ("*.escola-mar.example", "ok"),
        ("*.example", "problem"),
        ("*.mar.example", "problem"),
    ):
        parts = healthy()
        parts["certificates"]["wiki"]["names"] = [name]
        assert only(ask(answered(parts)), "wiki", "certificate-file").state == state


def test_a_run_that_our_log_does_not_know_is_a_problem_and_one_that_nobody_can_tell_is_not() -> None:
    for known, state in ((True, "ok"), (None, "ok"), (False, "problem")):
        findings = ask(answered(healthy()), knows=lambda _, known=known: known)  # type: ignore[misc]
        assert only(findings, "host", "last-run").state == state


def test_files_that_only_root_may_read_are_told_by_root() -> None:
    parts = healthy()
    parts["files"] = {"/etc/wiki/settings.json": {"error": "closed"}}
    parts["listed"] = {"/etc/wiki/settings.json": file(mode="0600")}
    assert "mode 0600" in only(ask(answered(parts)), "host", "files").measured.en


def test_without_a_record_nothing_is_said_of_files() -> None:
    assert "files" not in {one.probe for one in ask(answered(healthy()), managed=())}


def test_the_request_names_what_the_services_declare_and_nothing_else() -> None:
    wanted = json.loads(request_for(school(service()), [service()], MANAGED))
    assert wanted["units"] == [
        "wiki.service", "provision-redis@wiki_sessions.service", "provision-redis@wiki_cache.service",
        "provision-php@wiki.service", "nginx.service",
    ]  # fmt: skip
    assert wanted["timers"] == [
        "wiki-tasks.timer",
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "certbot.timer",
    ]
    assert wanted["loopback"] == [{"port": 9001, "path": "/api", "status": 200, "contains": "version"}]
    assert wanted["files"] == ["/etc/wiki/settings.json"]


def test_a_host_is_asked_once_with_the_fixed_command() -> None:
    calls = []

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        calls.append((host, command))
        return 0, answered(healthy())

    ask(run_on)
    assert calls == [("main", COMMAND)]


def test_a_host_that_is_not_reached_says_so_once_and_nothing_else_is_claimed() -> None:
    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        raise RefusedError("main (192.0.2.7, port 22) of escola-mar cannot be reached: timed out")

    findings = ask(run_on)
    found = only(findings, "host", "probe")
    assert (found.state, found.meaning and "cannot be entered" in found.meaning.en) == ("unreachable", True)
    assert {one.state for one in findings if one is not found} == {"unknown"}
    assert {one.probe for one in findings if one.service == "wiki"} >= {"unit", "tasks", "api", "pad"}
    assert not [text for one in findings for text in sentences(one) if "{" in text]


@pytest.mark.parametrize(
    ("status", "out", "said"),
    [
        (2, "the request is too long", "status 2: the request is too long"),
        (-1, "", "status -1: nothing"),
        (0, "", "no answer of provision-probe: nothing"),
        (0, "<html>hello</html>", "no answer of provision-probe: <html>hello</html>"),
    ],
)
def test_a_host_with_a_broken_program_is_a_problem(status: int, out: str, said: str) -> None:
    found = only(ask(lambda host, command, stdin: (status, out)), "host", "probe")
    assert (found.state, said in found.measured.en) == ("problem", True)
    assert found.remedy and "provision apply escola-mar" in found.remedy.en


def test_a_host_that_lacks_the_program_is_still_asked_what_the_services_ask() -> None:
    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        if command == COMMAND:
            return 127, "sh: 1: provision-probe: not found"
        return 0, json.dumps([[question["kind"] == "unit", "as it is"] for question in json.loads(stdin)])

    findings = ask(run_on)
    assert {(one.service, one.probe, one.state) for one in findings} == {
        ("wiki", "unit", "ok"), ("wiki", "tasks", "ok"), ("wiki", "api", "problem"), ("host", "probe", "warning"),
    }  # fmt: skip
    found = only(findings, "host", "probe")
    assert found.remedy and "provision apply escola-mar" in found.remedy.en


def test_only_the_services_of_the_host_are_asked_for() -> None:
    sent = []

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        sent.append(json.loads(stdin))
        return 0, answered({})

    inside(school(service()), [service()], "other", run_on)
    assert sent[0]["units"] == [] and sent[0]["loopback"] == []


def test_a_service_with_nothing_but_a_page_has_no_inside() -> None:
    plain = {**DEFINITION, "needs": {}, "probes": DEFINITION["probes"][:1]}
    assert {one.service for one in ask(answered(healthy()), definition=plain)} == {"host"}


def test_a_container_is_not_blamed_for_what_its_neighbours_do() -> None:
    parts = healthy()
    parts["system"] |= {"load": [29.0, 28.0, 27.0], "container": "lxc"}
    found = only(ask(answered(parts)), "host", "load")
    assert found.state == "ok"
    assert "with its neighbours'" in found.measured.en
