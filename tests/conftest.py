"""How the tests are shared out among workers (``make test``): what shares a server together, the longest first."""

from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent

# How long an example takes says something of the machine's other work, nothing of the code.
settings.register_profile("provision", deadline=None)
settings.load_profile("provision")

#: Groups of tests on lab servers that take minutes, the longest first: who begins a long one last ends alone.
#: A group that is not named here comes before them all, for it may be long; tests without a server fill the gaps.
LONGEST = (
    "roles/etherpad",
    "e2e/test_runs.py",
    "e2e/test_main_job.py[debian-12-npm]",
    "e2e/test_lockout.py",
    "e2e/test_main_job.py[debian-13]",
    "e2e/test_demo.py",
    "e2e/test_acme.py",
    "roles/base",
    "roles/firewall",
    "roles/audit_trail",
    "roles/postgresql",
    "roles/nginx",
    "roles/tls",
    "e2e/test_lab.py",
)


def group(item: pytest.Item) -> str:
    """What must stay with one worker: a role's scenarios, each server of a module, otherwise a file."""
    file = item.path.relative_to(HERE).as_posix()
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if file == "roles/test_molecule.py" and isinstance(scenario := parameters.get("file"), Path):
        return f"roles/{scenario.parents[2].name}"
    if file == "e2e/test_main_job.py":
        return f"{file}[{item.callspec.id}]"  # type: ignore[attr-defined]
    return file


def rank(name: str) -> int:
    """Where a group stands in the queue."""
    if name in LONGEST:
        return 1 + LONGEST.index(name)
    return 0 if name.startswith(("roles/", "e2e/")) else 1 + len(LONGEST)


# Before pytest-xdist's own, which reads the names.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group for pytest-xdist, and bring the groups into order."""
    names = {item: group(item) for item in items}
    for item, name in names.items():
        item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: rank(names[item]))
