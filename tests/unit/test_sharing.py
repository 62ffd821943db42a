"""How ``make test`` shares out its work: tests that share a server must never meet it from two workers."""

from pathlib import Path

import pytest

from tests.conftest import LONGEST, group, rank

TESTS = Path(__file__).resolve().parents[1]


def test_the_tests_of_a_file_stay_together() -> None:
    first, second = (f"tests/e2e/test_runs.py::test_{name}" for name in ("plan", "stop[15]"))
    assert group(first) == group(second) == "tests/e2e/test_runs.py"


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (
            "tests/roles/test_molecule.py::test_role[etherpad]",
            "tests/roles/test_molecule.py::test_role[etherpad-upgrade]",
            True,
        ),
        (
            "tests/roles/test_molecule.py::test_role[etherpad]",
            "tests/roles/test_molecule.py::test_role[nginx]",
            False,
        ),
        (
            "tests/e2e/test_main_job.py::test_a[debian-13]",
            "tests/e2e/test_main_job.py::test_b[debian-13]",
            True,
        ),
        (
            "tests/e2e/test_main_job.py::test_a[debian-13]",
            "tests/e2e/test_main_job.py::test_a[debian-12-npm]",
            False,
        ),
    ],
)
def test_only_what_has_servers_of_its_own_is_taken_apart(one: str, other: str, together: bool) -> None:
    assert (group(one) == group(other)) == together


def test_what_is_named_as_long_is_there_and_begins_first() -> None:
    for name in LONGEST:
        file, _, parameter = name.partition("[")
        assert (TESTS.parent / file).is_file(), name
        if "molecule" in file:
            assert (TESTS.parent / "roles" / parameter.rstrip("]") / "molecule").is_dir(), name
    unknown, last = rank("tests/e2e/test_new.py"), rank("tests/unit/test_text.py")
    assert unknown < rank(LONGEST[0]) < rank(LONGEST[-1]) < last
