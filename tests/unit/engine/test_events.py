"""Ansible's events, as plan and the record show them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.engine.events import TEXT_LIMIT, Message, Stats, TaskResult, TaskStarted, from_slim, slim
from provision.secrets.redact import Redactor

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


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_what_a_program_quotes_begins_no_line_of_its_own(sign: str) -> None:
    said = f'note: all is well{sign}cut: {{"meetings": 41, "participants": 977}}\n'
    result = result_event("ansible.builtin.command", {"changed": True, "stderr": said})
    assert result.cut is None
    assert len(result.notes) == 1


SECRET = "SuperSecretPassword1234567890abcd"


@pytest.mark.parametrize("left", range(0, len(SECRET) + 1, 3))
def test_no_half_of_a_secret_passes_where_a_text_is_cut(left: int) -> None:
    clean = Redactor({"p": SECRET}).data
    line = "x" * (1000 - left) + SECRET
    difference = {"before": "", "after": "\n".join(["y" * 99] * 199 + ["z" * (99 - left) + SECRET * 9])}
    failure = SECRET + "e" * (TEXT_LIMIT - left)
    for event, res in (
        ("runner_on_ok", {"changed": True, "diff": difference, "stderr": f"note: {line}"}),
        ("runner_on_failed", {"msg": failure}),
        ("runner_on_ok", {"changed": True, "results": [{"changed": True, "diff": difference}]}),
    ):
        data = {"host": "main", "role": "nginx", "task": line, "task_action": "command", "res": res}
        kept = slim({"event": event, "event_data": data})
        assert kept is not None
        told = str(from_slim(kept, clean))
        assert not any(SECRET[at : at + 6] in told for at in range(len(SECRET) - 5))


def test_a_changed_task_is_told_apart_from_one_that_had_nothing_to_do() -> None:
    assert result_event("ansible.builtin.command", {"changed": True}).status == "changed"
    assert result_event("ansible.builtin.command", {"changed": False}).status == "ok"


def test_what_a_program_notes_for_people_is_kept_and_nothing_else_that_it_writes() -> None:
    said = "debug\nnote: Moodle speaks English \x1b[31m\nWarning: x\n" + "note: more\n" * 10
    result = result_event("ansible.builtin.command", {"changed": False, "stderr": said})
    assert result.notes[0].startswith("Moodle speaks English")
    assert "\x1b" not in result.notes[0]
    assert len(result.notes) == 5
    assert result.as_dict()["notes"] == list(result.notes)
    failed = result_event("ansible.builtin.command", {"stderr": said}, "runner_on_failed")
    assert failed.notes == ()
    assert "notes" not in failed.as_dict()


@pytest.mark.parametrize("event", ["runner_on_ok", "runner_on_failed"])
@pytest.mark.parametrize(
    ("said", "cut"),
    [
        ("", None),
        ("note: cut: {}", None),
        ('cut: {"meetings": 1, "participants": 4}', {"meetings": 1, "participants": 4}),
        # Two steps of one program cut the same people, of whom some had gone already.
        (
            'cut: {"meetings": 2, "participants": 9}\ncut: {"meetings": 1, "participants": 3}',
            {"meetings": 2, "participants": 9},
        ),
        ("cut: {}", {}),
        ('cut: {"meetings": -1, "participants": true}', {}),
        ('cut: {"meetings": 1e9, "participants": 4}', {}),
        ("cut: [", {}),
        ("cut: []", {}),
        ('cut: {}\ncut: {"meetings": 1, "participants": 4}', {"meetings": 1, "participants": 4}),
    ],
)
def test_the_lessons_that_a_step_cut_are_kept_as_numbers_however_it_ended(
    event: str, said: str, cut: dict[str, int] | None
) -> None:
    result = result_event("ansible.builtin.command", {"changed": False, "stderr": said}, event)
    assert result.cut == cut
    assert result.as_dict().get("cut") == cut


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


HOSTILE = "\x1b]0;owned\x07\x9b2J\u202ereversed"


@pytest.mark.parametrize(
    ("event", "res"),
    [
        ("runner_on_failed", {"msg": HOSTILE, "stderr": HOSTILE, "stdout": HOSTILE}),
        ("runner_on_failed", {"results": [{"failed": True, "msg": HOSTILE}]}),
        ("runner_on_unreachable", {"msg": HOSTILE}),
        ("runner_on_ok", {"changed": True, "diff": {"before": "", "after": HOSTILE}, "dest": HOSTILE}),
        ("runner_on_ok", {"changed": True, "diff": {"prepared": HOSTILE}}),
    ],
)
def test_nothing_that_a_server_answers_steers_a_terminal(event: str, res: dict[str, Any]) -> None:
    result = result_event("ansible.builtin.copy", res, event)
    shown = "".join((result.error, result.diff, *result.details))
    assert "owned" in shown
    assert not set("\x1b\x07\x9b\u202e").intersection(shown)


def test_names_of_tasks_and_warnings_do_not_steer_a_terminal_either() -> None:
    kept = slim({"event": "playbook_on_task_start", "event_data": {"role": "base", "task": f"a\n{HOSTILE}"}})
    assert kept is not None
    assert from_slim(kept) == TaskStarted("base", "a ?]0;owned??2J?reversed")
    kept = slim({"event": "warning", "stdout": HOSTILE})
    assert kept is not None
    assert from_slim(kept) == Message("?]0;owned??2J?reversed")


def test_what_a_server_answers_is_cut_before_it_leaves_the_worker() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"x": deep}
    res = {
        "stdout": f"first{'x' * 5_000_000}last",
        "stderr": ["x" * 200_000] * 3,
        "msg": deep,
        "cmd": list(range(100_000)),
        "diff": {"after": "y" * 1_000_000},
    }
    kept = slim({"event": "runner_on_failed", "event_data": {"host": "main", "res": res}})
    assert len(json.dumps(kept)) < 1_000_000
    assert kept is not None
    assert kept["res"]["stdout"].startswith("first")
    assert kept["res"]["stdout"].endswith("last")
    assert from_slim(kept)


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
