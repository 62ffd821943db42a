"""Everything here runs on lab machines."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test of this directory, and keep together those that share a server."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.lab)
            # The parameter of a module's fixture is its server: two Debians may be tested at the same time.
            parameter = (
                item.callspec.id if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ""
            )
            shared = parameter if item.path.stem == "test_main_job" else ""
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{shared}"))
