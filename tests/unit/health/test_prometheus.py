"""The metrics, read by Prometheus' own client, and judged by its own promtool."""

import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from provision import paths
from provision.health.ask import Answers
from provision.health.render import as_metrics
from provision.health.render.prometheus import metric_name
from provision.health.result import STATES, Figure
from tests.unit.health.inside_sample import answered, ask, healthy
from tests.unit.health.sample import NOW, answers, finding, hostile

ODD = 'C:\\n "quoted" {a="b"} é'
TOOLS = paths.ROOT / ".lab" / "tools"


def parsed(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {
        family.name: [(sample.labels, sample.value) for sample in family.samples]
        for family in text_string_to_metric_families(text)
    }


def test_each_probe_is_in_exactly_one_state() -> None:
    found = parsed(as_metrics("vila", [answers()]))["provision_probe_state"]
    by_probe: dict[tuple[str, ...], dict[str, float]] = {}
    for labels, value in found:
        assert (labels["municipality"], labels["school"]) == ("vila", "escola-mar")
        by_probe.setdefault((labels["service"], labels["host"], labels["probe"]), {})[labels["state"]] = value
    assert len(by_probe) == 4
    for states in by_probe.values():
        assert set(states) == set(STATES)
        assert sum(states.values()) == 1
    assert by_probe["pads", "main", "unit"]["problem"] == 1


def test_the_school_as_a_whole_and_the_times_are_there() -> None:
    found = parsed(as_metrics("vila", [answers(), answers("escola-sol", finding())]))
    assert [(labels["school"], value) for labels, value in found["provision_school_ok"]] == [
        ("escola-mar", 0), ("escola-sol", 1),
    ]  # fmt: skip
    assert found["provision_school_asked_timestamp_seconds"][0][1] == NOW.timestamp()
    assert found["provision_school_duration_seconds"][0][1] == 1.25
    assert found["provision_probe_since_timestamp_seconds"][0][1] == NOW.timestamp() - 3 * 3600
    assert found["provision_probe_duration_seconds"][0][1] == 0.12


def test_figures_are_metrics_with_what_they_are_of() -> None:
    ((labels, value),) = parsed(as_metrics("vila", [answers()]))["provision_disk_free_bytes"]
    assert (labels["of"], labels["probe"], value) == ("/var", "disk:/var", 12e9)


def test_a_hostile_server_cannot_forge_a_series() -> None:
    clean = parsed(as_metrics("vila", [answers()]))
    text = as_metrics("vila", [hostile()])
    found = parsed(text)
    assert set(found) <= {*clean, "provision_errors_total_now"}
    assert {labels["school"] for labels, _ in found["provision_probe_ok"]} != {"x"}
    assert all(re.match(r"# |provision_[a-z_]+\{.*\} [-0-9.e+]+$", line) for line in text.splitlines())


def test_a_label_comes_back_as_it_went_in() -> None:
    gave = answers("escola-mar", finding(host=ODD))
    assert parsed(as_metrics("vila", [gave]))["provision_probe_ok"][0][0]["host"] == ODD


def test_no_series_is_there_twice() -> None:
    twice = finding(figures=(Figure("disk_free_bytes", 1), Figure("disk_free_bytes", 2)))
    lines = as_metrics("vila", [answers("escola-mar", twice, twice)]).splitlines()
    series = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_a_figure_takes_no_name_of_ours_and_promises_no_counter() -> None:
    assert metric_name("probe_ok") == "provision_probe_ok_now"
    assert metric_name("errors_total") == "provision_errors_total_now"
    assert metric_name("disk_free_bytes") == "provision_disk_free_bytes"


def test_what_is_no_number_is_left_out() -> None:
    assert "nan" not in as_metrics("vila", [replace(answers(), seconds=math.nan)]).lower()


def test_it_ends_with_a_line_feed_and_each_family_has_help_and_type() -> None:
    text = as_metrics("vila", [answers()])
    assert text.endswith("\n")
    assert text.count("# HELP ") == text.count("# TYPE ") == len(parsed(text))


def promtool() -> str:
    """Prometheus' own checker: the system's, or the one that ``make`` has fetched."""
    found = shutil.which("promtool") or shutil.which("promtool", path=TOOLS)
    assert found, "promtool is missing: sh provision/lab/setup.sh test"
    return found


@pytest.mark.parametrize(
    "gave",
    [
        [answers()],
        [hostile()],
        [
            answers(),
            answers("escola-sol", finding(host=ODD, figures=(Figure("errors_total", 2, label=ODD),))),
        ],
        [*(answers(f"escola-{state}", finding("page", state)) for state in STATES)],
        [answers("escola-mar", *ask(answered(healthy())))],
        [],
    ],
    ids=["plain", "hostile", "odd labels", "every state", "a whole server", "nothing"],
)
def test_promtool_has_nothing_to_object(gave: list[Answers]) -> None:
    assert checked(as_metrics("vila", gave)) == (0, "")


def test_promtool_would_object() -> None:
    # What it only warns of counts as well: it ends with 3.
    assert checked("# TYPE provision_x_total gauge\nprovision_x_total 1\n")[0] == 3
    assert checked('provision_x{a="b} 1\n')[0] == 1


def checked(text: str) -> tuple[int, str]:
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    return done.returncode, done.stdout + done.stderr
