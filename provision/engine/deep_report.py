"""A plug-in for pytest: writes each test's result as a line of JSON, into the file of ``PROVISION_DEEP_REPORT``."""

import json
import os
from pathlib import Path
from typing import Any

#: Characters of what a failed test said.
_MOST = 4000


def pytest_runtest_logreport(report: Any) -> None:
    """Called by pytest after each step of a test; a test that fails in its preparation counts as failed."""
    if report.when != "call" and report.outcome == "passed":
        return
    if report.when == "teardown" and report.outcome != "failed":
        return
    line = {
        "test": _without_server(report.nodeid.rpartition("::")[2]),
        "outcome": report.outcome,
        "seconds": report.duration,
        "text": report.longreprtext[-_MOST:] if report.outcome == "failed" else "",
    }
    with Path(os.environ["PROVISION_DEEP_REPORT"]).open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(json.dumps(line) + "\n")


def _without_server(name: str) -> str:
    """testinfra puts the server's address into the name of each test; a question has one name wherever it is asked."""
    server = f"ssh://{os.environ.get('PROVISION_DEEP_TARGET', '')}"
    return name.replace(f"[{server}]", "").replace(f"[{server}-", "[")
