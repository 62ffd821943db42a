"""The main job on a real server, by the real commands: one school file, one command, a running and recorded server."""

import json
import re
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import BrowserContext, Frame, Page

from provision.artifacts import ArtifactCache
from provision.audit.keys import KeyStore, LogKeys
from provision.health import fetch
from provision.lab import Lab
from provision.model import load_workspace
from provision.secrets import SecretStore
from tests.e2e.browser import chromium
from tests.e2e.schools import SchoolOnLab, make_school
from tests.labs import lab_machine, ssh

PAD = "pad.escola-prova.test"
#: The npm release is what a machine has that reaches only Debian, Python and npm. On the other Debian it is the real
#: one; a machine without it would only do the same once more.
CASES = [
    pytest.param(("bookworm", True), id="debian-12-npm"),
    pytest.param(
        ("trixie", False),
        id="debian-13",
        marks=pytest.mark.skipif(
            ArtifactCache().find("etherpad-3.3.1.tar.gz") is None,
            reason="the artifact cache has no Etherpad 3.3.1: Debian 13 is left to the role's own tests",
        ),
    ),
]


@pytest.fixture(scope="module", params=CASES)
def school(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchoolOnLab]:
    release, only_npm = request.param
    directory = tmp_path_factory.mktemp("main-job")
    with pytest.MonkeyPatch.context() as patch, lab_machine(f"main-{release}", release) as machine:
        if only_npm:
            (directory / "empty-cache").mkdir()
            patch.setenv("PROVISION_CACHE", str(directory / "empty-cache"))
        yield make_school(directory / "workspace", machine, {"etherpad": {"hostname": PAD}})


def secrets_of(school: SchoolOnLab) -> dict[str, str]:
    """Every secret of the school, by name, one entry a line of a private key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROVISION_VAULT_PASSWORD_FILE", school.environment["PROVISION_VAULT_PASSWORD_FILE"])
        workspace = load_workspace(school.directory)
        values = SecretStore(workspace).load(school.id)
        keys = KeyStore(workspace).load(school.id) if KeyStore(workspace).exists(school.id) else LogKeys(())
    # The last part of a private key's line is the key itself.
    found = {f"log key:{number}": key.text.rpartition("+")[2] for number, key in enumerate(keys.current)}
    for name, value in values.items():
        texts = value.values() if isinstance(value, dict) else [value]
        for text in texts:
            for number, line in enumerate(str(text).splitlines()):
                if not line.startswith("-----"):
                    found[f"{name}:{number}"] = line
    return found


class ProcessWatch:
    """Samples the arguments of every process on this machine and on the server, which are its children's too."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        # How often each process was looked at: arguments change at the start only, and reading all of them always
        # would slow down what is watched.
        self._looked: Counter[str] = Counter()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._end.wait(0.05):
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and self._looked[process.name] < 20:
                    self._looked[process.name] += 1
                    try:
                        self.lines.add(
                            (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                        )
                    except OSError:
                        continue

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def write_all_of_the_audit(school: SchoolOnLab) -> None:
    """Everything that the audit log can be made into, beside the workspace's other files; the pack is unpacked."""
    place = school.directory / "handed-out"
    place.mkdir()
    school.provision("audit", "report", school.id, "--output", str(place / "report.html"))
    for form in ("jsonl", "csv", "ocsf", "ecs"):
        school.provision(
            "audit", "export", school.id, "--format", form, "--output", str(place / f"log.{form}")
        )
    school.provision("audit", "proof", school.id, "2", "--output", str(place / "entry.tlog-proof"))
    school.provision("audit", "pack", school.id, "--output", str(place / "pack.zip"))
    with zipfile.ZipFile(place / "pack.zip") as pack:
        pack.extractall(place / "pack")
    (place / "log.txt").write_text(school.provision("audit", "log", school.id, "-n", "0").stdout)
    (place / "show.txt").write_text(school.provision("audit", "show", school.id, "last", "--detail").stdout)


def test_an_apply_from_nothing_ends_healthy_and_no_secret_is_anywhere_but_where_it_belongs(
    school: SchoolOnLab,
) -> None:
    """The canary: known values are searched on both machines' disks, in the journal, in ``ps`` and in all output."""
    planned = school.provision("plan", school.id, "--diff")
    school.provision("audit", "init", school.id)
    known = secrets_of(school)
    for name in ("etherpad_api_key", "tls_private_keys", "audit_trail_web_password", "log key"):
        assert any(secret.startswith(name) for secret in known)
    with ProcessWatch() as processes:
        applied = school.provision("apply", school.id, "--yes")
    assert "is ready" in applied.stdout
    shown = school.provision("runs", "show", "last", "--log")
    write_all_of_the_audit(school)
    outputs = {
        "plan": planned.stdout + planned.stderr,
        "apply": applied.stdout + applied.stderr,
        "runs show": shown.stdout,
        "journal": ssh(school.machine, "journalctl --no-pager -o cat").stdout,
        "inventory": school.provision("inventory", "--list").stdout,
        "ps": "\n".join(processes.lines),
    }
    contents = {place: text.encode() for place, text in outputs.items()}
    for file in school.directory.rglob("*"):
        contents[str(file)] = file.read_bytes() if file.is_file() else b""
    found = [
        f"{name} is in {place}"
        for place, content in contents.items()
        for name, value in known.items()
        if value.encode() in content
    ]
    assert found == []
    assert len(processes.lines) > 20
    on_server = ssh(
        school.machine,
        "cat > /run/canaries && grep -rlaF -f /run/canaries / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev "
        "--exclude=canaries 2>/dev/null; rm /run/canaries",
        stdin="\n".join(known.values()) + "\n",
        check=False,
    ).stdout.split()
    allowed = re.compile(r"/etc/etherpad/|/etc/provision/tls/|/var/lib/etherpad/")
    assert on_server
    assert [file for file in on_server if not allowed.match(file)] == []
    for file in on_server:
        mode = ssh(school.machine, f"stat -c '%a %U %G' {file}").stdout.split()
        assert mode[0][-1] == "0", f"{file} can be read by everyone: {mode}"


def test_after_apply_plan_is_empty_and_a_second_apply_changes_nothing(school: SchoolOnLab) -> None:
    plan = school.provision("plan", school.id, "--exit-code", check=False)
    assert plan.returncode == 0, plan.stdout
    second = school.provision("apply", school.id, "--yes")
    assert "nothing changed" in second.stdout


def test_every_answer_carries_the_security_headers(school: SchoolOnLab) -> None:
    workspace = load_workspace(school.directory)
    loaded = workspace.school(school.id)
    for path in ("/", "/p/prova", "/favicon.ico", "/does-not-exist", "/admin", "/stats", "/health"):
        status, headers, _ = fetch(workspace, loaded, PAD, path)
        assert int(re.findall(r"max-age=(\d+)", headers["strict-transport-security"])[0]) >= 15552000, (
            path,
            status,
        )
        assert headers["x-content-type-options"] == "nosniff", path
        assert "referrer-policy" in headers, path
        assert headers["server"] == "nginx", path
        if path in {"/admin", "/stats", "/health", "/does-not-exist"}:
            assert status == 404, path


def inner(page: Page) -> Frame:
    """The editor's innermost frame."""
    page.wait_for_selector("iframe[name=ace_outer]")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        frame = page.frame("ace_inner")
        if frame and frame.query_selector("#innerdocbody[contenteditable=true]"):
            return frame
        page.wait_for_timeout(100)
    raise AssertionError("the editor did not open: " + page.content()[:2000])


@pytest.fixture
def browsers(school: SchoolOnLab, tmp_path: Path) -> Iterator[Callable[[], BrowserContext]]:
    """Real Chromium windows of separate people, which trust the municipality's authority and nothing else new."""
    with chromium(school, PAD, tmp_path / "home") as person:
        yield person


@pytest.mark.browser
def test_two_browser_windows_see_each_others_typing_over_https(
    school: SchoolOnLab, browsers: Callable[[], BrowserContext]
) -> None:
    first, second = browsers().new_page(), browsers().new_page()
    failed: list[str] = []
    for page in (first, second):
        page.on("requestfailed", lambda request: failed.append(request.url))
        answer = page.goto(f"https://{PAD}/p/classe-de-prova")
        assert answer is not None
        assert answer.ok
        details = answer.security_details()
        assert details is not None
        assert details["protocol"] in {"TLS 1.3", "TLS 1.2"}
    one, two = inner(first), inner(second)
    one.click("#innerdocbody")
    first.keyboard.press("Control+A")
    first.keyboard.type("Bon dia des de la primera finestra")
    two.wait_for_selector("text=Bon dia des de la primera finestra")
    two.click("#innerdocbody")
    second.keyboard.press("Control+End")
    second.keyboard.press("Enter")
    second.keyboard.type("i bon dia des de la segona")
    one.wait_for_selector("text=i bon dia des de la segona")
    assert [url for url in failed if PAD not in url] == [], "the page asked somebody else for something"


def test_a_reboot_brings_everything_back(school: SchoolOnLab) -> None:
    lab = Lab()
    lab.stop(school.machine.name)
    lab.start(school.machine.name)
    deadline = time.monotonic() + 90
    while (
        health := school.provision("health", school.id, "--json", check=False)
    ).returncode and time.monotonic() < deadline:
        time.sleep(1)
    assert health.returncode == 0, health.stdout
    probes = json.loads(health.stdout)["schools"][school.id]
    assert len(probes) >= 6
    assert (
        "default deny" in ssh(school.machine, "nft list ruleset").stdout
        or "policy drop" in ssh(school.machine, "nft list ruleset").stdout
    )
    assert school.provision("plan", school.id, "--exit-code", check=False).returncode == 0


def test_a_rotated_secret_reaches_the_server_with_the_next_apply(school: SchoolOnLab) -> None:
    before = secrets_of(school)
    school.provision("secrets", "rotate", school.id, "etherpad_api_key", "--yes")
    after = secrets_of(school)
    assert before["etherpad_api_key:0"] != after["etherpad_api_key:0"]
    assert school.provision("plan", school.id, "--exit-code", check=False).returncode == 1
    assert "is ready" in school.provision("apply", school.id, "--yes").stdout
    assert school.provision("plan", school.id, "--exit-code", check=False).returncode == 0


def test_a_wrong_setting_is_refused_with_line_and_remedy_before_anything_is_contacted(
    school: SchoolOnLab,
) -> None:
    file = school.directory / "schools" / f"{school.id}.yml"
    genuine = file.read_text()
    document: dict[str, Any] = yaml.safe_load(genuine)
    document["services"]["etherpat"] = document["services"].pop("etherpad")
    file.write_text(yaml.safe_dump(document))
    try:
        done = school.provision("apply", school.id, "--yes", check=False)
    finally:
        file.write_text(genuine)
    assert done.returncode == 2
    assert "etherpad" in done.stderr
    assert re.search(rf"{school.id}\.yml:\d+:\d+", done.stderr)
