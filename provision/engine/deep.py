"""``health --deep``: the acceptance tests of the services' roles, held against the living school.

The tests are those that molecule holds against its own servers (``roles/<id>/verify``), run by pytest in a process of
its own, over SSH as the school file says. What they make they take away again.
"""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from provision import names
from provision.engine.variables import ssh_options
from provision.errors import UsageError
from provision.health.result import Finding, Sentence, State, probe_id
from provision.health.words import FAULTS, TITLES
from provision.health.words.seen import seen
from provision.model import ResolvedHost, ResolvedSchool, ResolvedService, Workspace

#: Seconds for the tests of one service.
LIMIT = 900.0
#: The most that is read of what the tests say, in bytes.
_MOST = 4 * 1024 * 1024
#: Each takes a processor of the administrator's machine.
_AT_ONCE = threading.BoundedSemaphore(max(1, (os.cpu_count() or 2) // 2))
#: Not the words of an assertion, but what it saw.
_SAID = re.compile(r"^E\s+(.*)$", re.MULTILINE)


def check_deep_is_possible() -> None:
    """See that what runs the tests is installed.

    Raises:
        UsageError: it is not.
    """
    missing = [name for name in ("pytest", "testinfra") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--deep needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            "pip install 'provision[deep]', in the Python environment of provision",
        )


def ask_deep(
    workspace: Workspace,
    school: ResolvedSchool,
    services: Sequence[ResolvedService],
    *,
    limit: float = LIMIT,
) -> list[Finding]:
    """Run the acceptance tests of these services, one service after the other.

    Args:
        limit: seconds for each service.

    Returns:
        one finding a test; one alone where the tests could not be run.
    """
    return [finding for service in services for finding in _service(workspace, school, service, limit)]


def _service(
    workspace: Workspace, school: ResolvedSchool, service: ResolvedService, limit: float
) -> Iterator[Finding]:
    tests = workspace.catalog[service.id].role_dir / "verify" / f"test_{service.id}.py"
    if not tests.is_file():
        return
    host = school.hosts[service.host]
    if host.become_password:
        # testinfra's sudo has no way to be given a password that no process list shows.
        yield _impossible(school, service, seen("deep/sudo"))
        return
    with tempfile.TemporaryDirectory(prefix="provision-deep-") as place, _AT_ONCE:
        scratch = Path(place)
        report = scratch / "report.jsonl"
        report.touch()
        try:
            said = _run(
                tests,
                {**_environment(service, report), "PROVISION_DEEP_TARGET": _target(workspace, host)},
                _where(workspace, host, scratch),
                scratch,
                limit,
            )
        except subprocess.TimeoutExpired:
            said = seen("deep/late", seconds=f"{limit:.0f}")
        with report.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(_MOST).splitlines()
        found = [finding for line in lines if (finding := _finding(school, service, line))]
    yield from found
    if said or not found:
        yield _impossible(school, service, said or seen("deep/none"))


def _environment(service: ResolvedService, report: Path) -> dict[str, str]:
    """Only what is needed: no vault password, no workspace."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK", "LANG") if name in os.environ
    }
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PROVISION_DEEP_REPORT": str(report),
        f"{service.id.upper()}_HOSTNAME": service.hostname,
    }


def _target(workspace: Workspace, host: ResolvedHost) -> str:
    return names.resolve_own(workspace.names_file, host.address) or host.address


def _where(workspace: Workspace, host: ResolvedHost, scratch: Path) -> list[str]:
    """How testinfra gets to a host: the same way as everything else, by a settings file for SSH."""
    options = iter(ssh_options(workspace, host))
    lines = [value.replace("=", " ", 1) for option in options if (value := next(options)) and option == "-o"]
    if host.ssh_key:
        lines.append(f'IdentityFile "{host.ssh_key.expanduser()}"')
    config = scratch / "ssh_config"
    config.write_text(
        "Host *\n" + "".join(f"  {line}\n" for line in [*lines, "BatchMode yes", "LogLevel ERROR"])
    )
    target = _target(workspace, host)
    if ":" in target:
        target = f"[{target}]"
    sudo = [] if host.user == "root" else ["--sudo"]
    return [f"--hosts=ssh://{host.user}@{target}:{host.port}", f"--ssh-config={config}", *sudo]


def _run(
    tests: Path, environment: dict[str, str], where: Sequence[str], scratch: Path, limit: float
) -> Sentence | None:
    """Run pytest; gives what kept it from running the tests, nothing where it ran them."""
    settings = scratch / "pytest.ini"
    settings.write_text("[pytest]\n")
    log = scratch / "said"
    with log.open("wb") as said:
        command = [
                sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider",
                "-p", "provision.engine.deep_report", "-c", str(settings), f"--rootdir={scratch}",
                f"--confcutdir={tests.parent}", *where, str(tests),
        ]  # fmt: skip
        # A session of its own: what is ended when the time is over is pytest with its ssh.
        with subprocess.Popen(
            command, env=environment, cwd=scratch, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                status = process.wait(limit)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    # 0: all passed, 1: some failed; everything else says that they did not run to their end.
    if status in (0, 1):
        return None
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4000))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return Sentence.plain(lines[-1] if lines else f"pytest ended with {status}")


def _finding(school: ResolvedSchool, service: ResolvedService, line: str) -> Finding | None:
    """One test's result."""
    try:
        told = json.loads(line)
        name, outcome = str(told["test"]), str(told["outcome"])
        seconds, text = float(told["seconds"]), str(told["text"])
    except (ValueError, KeyError, TypeError):
        return None
    values = {
        "school": school.id,
        "service": service.id,
        "title": Sentence.short(service.definition.title),
        "rule": _rule(name),
    }
    states: dict[str, State] = {"passed": "ok", "failed": "problem", "skipped": "unknown"}
    state = states.get(outcome, "problem")
    words = None if state == "ok" else FAULTS["deep/failed" if state == "problem" else "unknown"]
    said = _SAID.findall(text)
    return Finding(
        service=service.id,
        host=service.host,
        probe=probe_id("deep", name.removeprefix("test_")),
        title=TITLES["deep"].filled(**values),
        state=state,
        measured=seen("deep/passed")
        if state == "ok"
        # What a test says, it says to who wrote it.
        else Sentence.plain(said[0] if said else text.strip().rpartition("\n")[2] or outcome),
        meaning=words.meaning.filled(**values) if words else None,
        remedy=words.remedy.filled(**values) if words else None,
        seconds=round(min(max(seconds, 0.0), LIMIT), 3),
    )


def _rule(name: str) -> str:
    """The rule that a test is called by, as a sentence."""
    text, _, case = name.removeprefix("test_").partition("[")
    text = text.replace("_", " ")
    return text[:1].upper() + text[1:] + (f" ({case.rstrip(']')})" if case else "")


def _impossible(school: ResolvedSchool, service: ResolvedService, reason: Sentence) -> Finding:
    values = {"school": school.id, "service": service.id, "title": Sentence.short(service.definition.title)}
    words = FAULTS["deep/impossible"]
    return Finding(
        service=service.id,
        host=service.host,
        probe="deep",
        title=TITLES["deep"].filled(**values, rule=Sentence("totes", "todas", "all of them")),
        state="unknown",
        measured=reason,
        meaning=words.meaning.filled(**values),
        remedy=words.remedy.filled(**values),
        seconds=0.0,
    )
