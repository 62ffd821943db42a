"""A real Chromium that looks at a school's services on a lab machine."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

from provision.lab import Lab
from provision.lab.network import namespace_path
from tests.e2e.schools import SchoolOnLab

#: Longest wait for anything in a window, in milliseconds.
PATIENCE = 180_000


@contextmanager
def chromium(school: SchoolOnLab, hostname: str, home: Path) -> Iterator[Callable[[], BrowserContext]]:
    """A browser that trusts the municipality's authority and nothing else new, and reaches one site only.

    It runs on this computer, in the network of the school's machine.

    What it gives makes a new person's window. All its waits end after :data:`PATIENCE`: where several tests share a
    machine's cores, half a minute is not enough for a page's hundred files.

    Args:
        hostname: of the site, on the school's machine.
        home: the browser's own; is made when it is missing.
    """
    program = home / "chromium"
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certificates = ["certutil", "-d", f"sql:{store}"]
    subprocess.run([*certificates, "-N", "--empty-password"], check=True)
    authority = str(school.directory / "ca" / "ca.pem")
    subprocess.run([*certificates, "-A", "-t", "C,,", "-n", "municipality", "-i", authority], check=True)
    # It gives up what it loads when an address of its computer comes or goes, as other tests' labs have them
    # (ERR_NETWORK_CHANGED). In the network of the school's machine there are no others.
    network = namespace_path(Lab().id, school.machine.name)
    root = "" if os.geteuid() == 0 else "sudo -n "
    inside = f"env HOME={home} nsenter --net={network} {shutil.which('chromium')}"
    program.write_text(f'#!/bin/sh\nexec {root}{inside} "$@"\n')
    program.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-quic",
                f"--host-resolver-rules=MAP {hostname} {school.machine.address}, MAP * ~NOTFOUND",
            ],
        )  # fmt: skip

        def person() -> BrowserContext:
            context = browser.new_context()
            context.set_default_timeout(PATIENCE)
            return context

        yield person
        browser.close()
