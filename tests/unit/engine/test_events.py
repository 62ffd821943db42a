"""Ansible's events, as plan and the record show them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.engine.events import TEXT_LIMIT, Message, Stats, TaskResult, from_slim, slim

APT_SIMULATION = """Reading package lists...
Inst libjs (6.1 Debian:12/stable [all])
Inst nginx (1.22.1-9 Debian:12/stable [amd64])
Conf libjs (6.1 Debian:12/stable [all])
"""


def result_event(action: str, res: dict[str, Any], event: str = "runner_on_ok") -> TaskResult:
    data = {
        "host": "main",
        "role": "nginx",
        "task": "A step",
        "task_action": action,
        "duration": 1.5,
        "res": res,
    }
    kept = slim({"event": event, "event_data": data})
    assert kept is not None
    result = from_slim(kept)
    assert isinstance(result, TaskResult)
    return result


def test_a_changed_task_is_told_apart_from_one_that_had_nothing_to_do() -> None:
    assert result_event("ansible.builtin.command", {"changed": True}).status == "changed"
    assert result_event("ansible.builtin.command", {"changed": False}).status == "ok"


@pytest.mark.parametrize(
    ("action", "res", "words"),
    [
        ("ansible.builtin.apt", {"changed": True, "stdout": APT_SIMULATION}, ("2 packages: libjs, nginx",)),
        (
            "ansible.builtin.template",
            {
                "changed": True,
                "diff": [{"before": "", "after": "x"}],
                "invocation": {"module_args": {"dest": "/etc/x"}},
            },
            ("writes /etc/x",),
        ),
        (
            "ansible.builtin.copy",
            {
                "changed": True,
                "diff": {"before": "y", "after": "x"},
                "invocation": {"module_args": {"dest": "/etc/x"}},
            },
            ("changes /etc/x",),
        ),
        (
            "ansible.builtin.file",
            {"changed": True, "invocation": {"module_args": {"path": "/srv/x", "state": "directory"}}},
            ("directory /srv/x",),
        ),
        (
            "ansible.builtin.systemd_service",
            {
                "changed": True,
                "invocation": {"module_args": {"name": "nginx.service", "state": "started", "enabled": True}},
            },
            ("nginx.service started, enabled at start-up",),
        ),
        ("ansible.builtin.command", {"changed": True}, ()),
    ],
)
def test_a_change_is_told_in_plain_words(action: str, res: dict[str, Any], words: tuple[str, ...]) -> None:
    assert result_event(action, res).details == words


def test_only_the_changed_items_of_a_loop_are_told() -> None:
    items = [
        {"changed": True, "invocation": {"module_args": {"path": "/srv/a", "state": "directory"}}},
        {"changed": False, "invocation": {"module_args": {"path": "/srv/b", "state": "directory"}}},
    ]
    assert result_event("ansible.builtin.file", {"changed": True, "results": items}).details == (
        "directory /srv/a",
    )


def test_the_difference_of_a_file_is_kept_as_a_unified_text() -> None:
    diff = result_event(
        "ansible.builtin.copy",
        {"changed": True, "diff": [{"before": "a\nb\n", "after": "a\nc\n", "after_header": "/etc/x"}]},
    ).diff
    assert "-b" in diff.splitlines()
    assert "+c" in diff.splitlines()


def test_upstreams_own_words_are_kept_once() -> None:
    failed = result_event(
        "ansible.builtin.command",
        {"msg": "non-zero return code", "stderr": "no space left", "stdout": "noise"},
        "runner_on_failed",
    )
    assert failed.status == "failed"
    assert failed.error == "non-zero return code\nno space left"


def test_of_a_failed_loop_the_failed_items_words_are_kept() -> None:
    res = {
        "msg": "One or more items failed",
        "results": [{"failed": True, "msg": "bad"}, {"failed": False, "msg": "good"}],
    }
    assert result_event("ansible.builtin.command", res, "runner_on_failed").error == "bad"


def test_a_hidden_task_says_that_it_is_hidden() -> None:
    assert (
        "hidden"
        in result_event(
            "ansible.builtin.copy", {"censored": "the output has been hidden"}, "runner_on_failed"
        ).error
    )


def test_a_very_long_difference_is_cut() -> None:
    res = {"changed": True, "diff": [{"before": "", "after": "line\n" * 100_000}]}
    assert len(result_event("ansible.builtin.copy", res).diff) <= TEXT_LIMIT + 10


def test_warnings_come_through_and_empty_lines_do_not() -> None:
    kept = slim({"event": "warning", "stdout": "[WARNING]: the clock\n"})
    assert kept is not None
    assert from_slim(kept) == Message("[WARNING]: the clock")
    assert slim({"event": "verbose", "stdout": "  "}) is None
    assert slim({"event": "EOF"}) is None


def test_a_tolerated_failure_is_not_counted_as_one() -> None:
    stats = Stats()
    stats.add(TaskResult("main", "base", "x", "command", "failed", ignored=True))
    stats.add(TaskResult("main", "base", "y", "command", "failed"))
    assert (stats.ok, stats.failed) == (1, 1)


@given(
    st.dictionaries(
        st.sampled_from(["changed", "msg", "stderr", "stdout", "rc"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    )
)
def test_no_plain_result_of_a_module_breaks_the_reading(res: dict[str, Any]) -> None:
    for event in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped"):
        assert result_event("ansible.builtin.command", res, event).host == "main"
