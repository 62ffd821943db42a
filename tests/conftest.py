"""How the tests are shared out among workers (``make test``): what shares a server together, the longest first."""

import re

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# How long an example takes says something of the machine's other work, nothing of the code.
settings.register_profile("provision", deadline=None)
settings.load_profile("provision")

#: Groups of tests on lab servers that take minutes, the longest first: who begins a long one last ends alone.
#: A group that is not named here comes before them all, for it may be long; tests without a server fill the gaps.
LONGEST = (
    "tests/e2e/test_health.py",
    "tests/e2e/test_runs.py",
    "tests/e2e/test_main_job.py[debian-12-npm]",
    "tests/e2e/test_nextcloud.py",
    "tests/e2e/test_moodle.py",
    "tests/e2e/test_jitsi.py",
    "tests/e2e/test_bigbluebutton.py",
    "tests/roles/test_molecule.py[bigbluebutton]",
    "tests/e2e/test_audit.py",
    "tests/e2e/test_lockout.py",
    "tests/e2e/test_support.py",
    "tests/e2e/test_main_job.py[debian-13]",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_acme.py",
    "tests/roles/test_molecule.py[audit_trail]",
    "tests/roles/test_molecule.py[firewall]",
    "tests/roles/test_molecule.py[base]",
    "tests/roles/test_molecule.py[archive]",
    "tests/roles/test_molecule.py[tls]",
    "tests/e2e/test_lab.py",
)


def group(nodeid: str) -> str:
    """What must stay with one worker: a role's scenarios, the tests of a school, otherwise a file.

    Args:
        nodeid: pytest's name of a test.
    """
    file, _, test = nodeid.partition("::")
    parameter = re.search(r"\[(.*)\]$", test)
    if parameter and file == "tests/roles/test_molecule.py":
        # Roles have no hyphen; what follows is a scenario's name.
        return f"{file}[{parameter[1].partition('-')[0]}]"
    if parameter and file == "tests/e2e/test_main_job.py":
        return f"{file}[{parameter[1]}]"
    return file


def rank(name: str) -> int:
    """Where a group stands in the queue."""
    if name in LONGEST:
        return 1 + LONGEST.index(name)
    return 0 if name.startswith(("tests/roles/", "tests/e2e/")) else 1 + len(LONGEST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the groups into order."""
    items.sort(key=lambda item: rank(group(item.nodeid)))


class GroupScheduling(LoadScopeScheduling):
    """Hands out whole groups, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """The scheduler of ``make test``.

    pytest-xdist's own for groups takes them from a name that pytest 9.2 no longer lets it change.
    """
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)
