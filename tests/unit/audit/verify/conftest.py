"""A log of three runs, cosigned by the school up to the second, in the city's hands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.audit.verify import Finding, Severity, Verdict, verify
from tests.unit.audit.verify.city import City

Check = Callable[..., Verdict]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is reading; a power cut is not."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def city(tmp_path: Path) -> City:
    """Entries 0 and 1 open the log; runs at 2-6, 7-11 (cosigned, so are 12 entries), 12-16."""
    made = City(tmp_path / "log", runs=2)
    made.cosign()
    made.run()
    return made


@pytest.fixture
def check(city: City) -> Check:
    """Verify with the policy that the auditor got from the school."""
    policy, now = city.policy, city.now

    def run(directory: Path | None = None, **options: object) -> Verdict:
        return verify(directory or city.directory, policy, **{"now": now, **options})  # type: ignore[arg-type]

    return run


def bad(verdict: Verdict) -> list[tuple[str, int | None]]:
    """What speaks against the log: kind and entry of each finding."""
    return [(one.kind, one.entry) for one in verdict.findings if one.severity is Severity.BAD]


def finding(verdict: Verdict, kind: str) -> Finding:
    """The first finding of a kind; it speaks against the log."""
    return next(one for one in verdict.findings if one.kind == kind and one.severity is Severity.BAD)
