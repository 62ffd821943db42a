"""Whether an upstream source answers, asked from the administrator's machine without making anybody wait.

All addresses are asked at once, each for three seconds at most. Good answers hold for an hour, in the
workspace's ``.state``; bad ones for the life of the process.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from provision.artifacts.lockfile import LockedPackage, MismatchError
from provision.artifacts.web import offers, starts_with
from provision.errors import ArtifactError
from provision.files import write_atomically
from provision.model.service import AptSource, NpmSource

#: Seconds that one address may take.
TIMEOUT: Final = 3.0
#: Seconds that ``npm view`` may take: it starts slowly.
NPM_TIMEOUT: Final = 20.0
#: Seconds that a good answer holds.
KEPT: Final = 3600.0
_IN_RELEASE: Final = "-----BEGIN PGP SIGNED MESSAGE-----"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said.

    Args:
        problem: None when it answers as it should, else why not, in words.
        remark: what should be known although it is available, such as that it could not be checked.
    """

    problem: str | None
    remark: str = ""


class Prober:
    """Asks sources, each at most once.

    Args:
        state_dir: where good answers are kept; None: nowhere.
        timeout: seconds for one address.
    """

    def __init__(self, state_dir: Path | None = None, timeout: float = TIMEOUT) -> None:
        self._file = state_dir / "probes.json" if state_dir is not None else None
        self._timeout = timeout
        self._answers: dict[str, Answer] = {}
        self._good: dict[str, float] = {}
        self._new = False
        if self._file is not None:
            # A damaged or future file costs one round of questions.
            with suppress(OSError, ValueError, AttributeError, TypeError):
                now = time.time()
                kept = json.loads(self._file.read_text(encoding="utf-8"))
                self._good = {str(key): float(when) for key, when in kept.items() if 0 <= now - when < KEPT}

    def prefetch(self, addresses: Iterable[str]) -> None:
        """Ask all these addresses (as ``repository_addresses`` and upstream's URLs have them) at once.

        A name server that does not answer holds a thread for longer than any timeout of ours; such a thread
        is left to itself.
        """
        wanted = [
            item for item in dict.fromkeys(addresses) if item not in self._answers and item not in self._good
        ]
        if not wanted:
            return
        answers: dict[str, Answer] = {}

        def ask(address: str) -> None:
            answers[address] = Answer(self._ask(address))

        threads = [threading.Thread(target=ask, args=(item,), daemon=True) for item in wanted]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self._timeout + 1
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for address in wanted:
            host = urlsplit(address.partition(" ")[2] or address).hostname
            self._remember(
                address, answers.get(address, Answer(f"{host} cannot be reached: no answer in time"))
            )

    def file(self, url: str) -> Answer:
        """Whether a server has a file."""
        return self._known(url)

    def repositories(self, source: AptSource) -> Answer:
        """Whether all repositories of an apt source answer with a release file."""
        problems = [self._known(address).problem for address in repository_addresses(source)]
        return Answer("; ".join(dict.fromkeys(filter(None, problems))) or None)

    def package(self, source: NpmSource, version: str, locked: LockedPackage) -> Answer:
        """Whether the registry of this machine's npm has the package that the role's lock file pins.

        Args:
            source: the package.
            version: its release.
            locked: what the role's lock file says of it.

        Raises:
            MismatchError: the registry has another content under this version.
        """
        name = f"{source.package}@{version}"
        key = f"npm {name} {locked.integrity}"
        if key not in self._answers and key not in self._good:
            self._remember(key, _npm_view(name, locked.integrity))
        return self._answers.get(key, Answer(None))

    def save(self) -> None:
        """Keep the good answers; not being able to is no fault."""
        if self._file is None or not self._new:
            return
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(
                self._file, json.dumps(self._good, indent=0, sort_keys=True).encode(), mode=0o600
            )

    def _known(self, address: str) -> Answer:
        if address in self._good:
            return Answer(None)
        if address not in self._answers:
            self.prefetch([address])
        return self._answers.get(address, Answer(None))

    def _remember(self, key: str, answer: Answer) -> None:
        self._answers[key] = answer
        if answer.problem is None and not answer.remark:
            self._good[key] = time.time()
            self._new = True

    def _ask(self, address: str) -> str | None:
        kind, _, rest = address.partition(" ")
        return _release_file(rest, self._timeout) if kind == "apt" else offers(address, self._timeout)


def repository_addresses(source: AptSource) -> list[str]:
    """What ``Prober.prefetch`` asks for an apt source."""
    addresses = []
    for repository in source.repositories:
        base = repository.uri.rstrip("/")
        # A suite that ends in a slash is a path, and the repository is flat (sources.list(5)).
        path = (
            repository.suite.lstrip("/") if repository.suite.endswith("/") else f"dists/{repository.suite}/"
        )
        addresses.append(f"apt {base}/{path}")
    return addresses


def package_pins(source: NpmSource, role_dir: Path, version: str) -> LockedPackage:
    """What a role's npm lock file says of the package.

    Args:
        source: the package.
        role_dir: the role.
        version: the release.

    Raises:
        ArtifactError: the lock file is missing or does not have this package in this version.
    """
    path = role_dir / "files" / source.lock
    try:
        data = path.read_bytes()
        entry = json.loads(data)["packages"][f"node_modules/{source.package}"]
        integrity, locked_version = str(entry["integrity"]), str(entry["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} does not pin {source.package}.", "Mend the role, or reinstall provision."
        ) from error
    if locked_version != version:
        raise ArtifactError(
            f"{path} pins {source.package} {locked_version}, and service.yml offers {version}.",
            "Mend the role, or reinstall provision.",
        )
    return LockedPackage(integrity=integrity, lock_sha256=hashlib.sha256(data).hexdigest())


def _release_file(directory: str, timeout: float) -> str | None:
    """Why an apt repository does not answer; None when it does."""
    if directory.startswith("file:"):
        path = Path(urlsplit(directory).path)
        present = any((path / name).is_file() for name in ("InRelease", "Release"))
        return None if present else f"{path} has no release file"
    host = urlsplit(directory).hostname
    problem, text = starts_with(f"{directory}InRelease", timeout)
    if problem is None and _IN_RELEASE in text:
        return None
    if problem is not None and "cannot be reached" in problem:
        return problem
    older, text = starts_with(f"{directory}Release", timeout)
    if older is None and any(field in text for field in ("Codename:", "Suite:", "Origin:")):
        return None
    return problem or older or f"{host} answers with something else than a package repository"


def _npm_view(name: str, integrity: str) -> Answer:
    npm = shutil.which("npm")
    if npm is None:
        return Answer(None, "not checked: npm is not installed on this machine")
    with tempfile.TemporaryDirectory(prefix="provision-npm-") as scratch:
        command = [npm, "view", name, "dist.integrity", "--json", f"--cache={scratch}", "--logs-max=0"]
        command += ["--fetch-retries=0", f"--fetch-timeout={int(TIMEOUT * 1000)}", "--no-update-notifier"]
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, timeout=NPM_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            return Answer("the npm registry gives no answer in time")
        except OSError as error:
            return Answer(None, f"not checked: npm cannot be started ({error.strerror})")
    try:
        found: Any = json.loads(done.stdout)
    except ValueError:
        found = None
    if isinstance(found, list):
        found = found[0] if found else None
    if done.returncode != 0 or not isinstance(found, str):
        missing = "E404" in done.stderr or "E404" in done.stdout or (done.returncode == 0 and found is None)
        return Answer(
            f"the npm registry does not have {name}" if missing else "the npm registry cannot be reached"
        )
    return _compared(name, integrity, found)


def _compared(name: str, pinned: str, found: str) -> Answer:
    """Hold the registry's integrity value against the pinned one (Subresource Integrity, 3.1:
    ``sha512-BASE64``)."""
    ours, theirs = _digests(pinned), _digests(found)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return Answer(None, "not checked: the registry gives another kind of checksum")
    if ours[common[-1]] != theirs[common[-1]]:
        raise MismatchError(
            name,
            pinned,
            found,
            f"{name} in the npm registry is not what the role pins: it has {found}, and should have "
            f"{pinned}.",
            "Do not install it. Treat it as an attack, and tell the maintainers of provision.",
        )
    return Answer(None)


def _digests(integrity: str) -> dict[str, bytes]:
    found = {}
    for part in integrity.split():
        kind, _, digest = part.partition("-")
        with suppress(ValueError):
            found[kind] = base64.b64decode(digest)
    return found
