"""Runs on a school's host, with its own python3 and the standard library only: what preflight must know.

Sent over SSH as text; reads a JSON request on standard input (``marks``, ``sources``), prints one JSON object.
"""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

#: Seconds in which the host of a package source must answer, once its name is known.
SOURCE = 4.0


def os_release() -> dict[str, str]:
    fields = {}
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        key, _, value = line.strip().partition("=")
        fields[key] = value.strip("\"'")
    return fields


def memory_mb() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return values["MemTotal"] // 1024


def listening() -> list[tuple[str, str, str]]:
    """Who listens on TCP: address, port, name of the program."""
    done = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False)
    found = []
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) > 3:
            address, _, port = fields[3].rpartition(":")
            program = fields[5].split('"')[1] if len(fields) > 5 and '"' in fields[5] else "?"
            found.append((address, port, program))
    return found


def is_outside(address: str) -> bool:
    """Whether others than the server itself can come to it."""
    return not address.startswith(("127.", "[::1]", "[::ffff:127.")) and not address.endswith("%lo")


def families() -> list[str]:
    """Kinds of addresses by which others can reach the server."""
    found = []
    for name, option in (("ipv4", "-4"), ("ipv6", "-6")):
        done = subprocess.run(
            ["ip", option, "-o", "address", "show", "scope", "global"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.stdout.strip():
            found.append(name)
    return found


def proxied() -> set[str]:
    """The schemes that apt asks a proxy for; https as http where it is not set by itself (apt-transport-https(1))."""
    done = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False)
    setting = r'(?m)^Acquire::{}::Proxy[\w-]*(::\S+)? "(?!DIRECT")[^"]'
    found = {scheme for scheme in ("http", "https") if re.search(setting.format(scheme), done.stdout)}
    return found | {"https"} if "http" in found else found


def apt_sources() -> dict[str, str]:
    """For each apt repository whether its host answers: name, and the error or an empty text."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    )
    answers = dict.fromkeys(sorted(set(done.stdout.split())), "")
    direct = {"http", "https"} - proxied()

    def ask(site: str, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=SOURCE).close()
            answers[site] = ""
        except OSError as error:
            answers[site] = str(error)

    threads = []
    for site in answers:
        parts = urllib.parse.urlsplit(site)
        if parts.scheme in direct and parts.hostname:
            answers[site] = f"no answer within {SOURCE * 2:.0f} s"
            port = parts.port or (443 if parts.scheme == "https" else 80)
            # A name server that does not answer holds one up for longer than we wait.
            threads.append(threading.Thread(target=ask, args=(site, parts.hostname, port), daemon=True))
    for thread in threads:
        thread.start()
    end = time.monotonic() + SOURCE * 2
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(answers)


def packages() -> list[str]:
    """Names of the packages that are installed to the end."""
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n"],
        capture_output=True,
        text=True,
        check=False,
    )
    pairs = (line.split() for line in done.stdout.splitlines())
    return sorted({pair[1] for pair in pairs if len(pair) == 2 and pair[0] == "installed"})


def main() -> None:
    request = json.loads(sys.stdin.read())
    release = os_release()
    disk = shutil.disk_usage("/var")
    heard = listening()
    answer = {
        "system": "{}-{}".format(release.get("ID", "?"), release.get("VERSION_ID", "?")),
        "pretty": release.get("PRETTY_NAME", "?"),
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "memory_mb": memory_mb(),
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free_mb": disk.free // 2**20,
        "time": time.time(),
        "systemd": Path("/run/systemd/system").is_dir(),
        "listeners": {port: program for _, port, program in heard if port in ("80", "443")},
        "outside": dict([(port, program) for address, port, program in heard if is_outside(address)][:100]),
        "addresses": families(),
        "marks": [path for path in request["marks"] if Path(path).exists()],
        "apt": apt_sources() if request["sources"] else {},
        "packages": packages(),
        "apt_interrupted": any(Path("/var/lib/dpkg/updates").glob("[0-9]*")),
        "read_only": not os.access("/etc", os.W_OK),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
