"""Why a server that is there does not let us in: each reason has its own words, and nothing is claimed of the rest."""

import pytest

from provision.errors import HostKeyError, KeyRefusedError, RefusedError
from provision.health.result import Finding
from tests.unit.health.inside_sample import ask


def told(error: RefusedError) -> tuple[Finding, set[str]]:
    """What is said of the asking itself, and the states of all else."""

    def run_on(host: str, command: str, stdin: str) -> tuple[int, str]:
        raise error

    findings = ask(run_on)
    (found,) = [one for one in findings if (one.service, one.probe) == ("host", "probe")]
    return found, {one.state for one in findings if one is not found}


@pytest.mark.parametrize(
    ("error", "state", "meaning", "remedy"),
    [
        (RefusedError("cannot be reached: timed out"), "unreachable", "cannot be entered", "provision check"),
        (KeyRefusedError("does not let us in"), "unreachable", "is there", "provision health grant"),
        (HostKeyError("THE HOST KEY HAS CHANGED"), "problem", "Nothing was sent", "provision school trust"),
    ],
)
def test_each_reason_for_staying_outside_has_its_own_words(
    error: RefusedError, state: str, meaning: str, remedy: str
) -> None:
    found, others = told(error)
    assert (found.state, found.measured.en) == (state, error.message)
    assert found.meaning
    assert found.remedy
    assert meaning in found.meaning.en
    assert remedy in found.remedy.en
    for sentence in (found.meaning, found.remedy):
        assert len({sentence.ca, sentence.es, sentence.en}) == 3
        assert "{" not in sentence.ca + sentence.es + sentence.en
    assert others == {"unknown"}
