"""Runs on a school's host, with its own python3 and the standard library only: what preflight must know.

Sent over SSH as text; reads a JSON request on standard input (``hostnames``, ``marks``), prints one JSON object.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path


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


def listeners(ports: set[int]) -> dict[str, str]:
    """Names of the programs that listen on these TCP ports."""
    done = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) > 3:
            port = fields[3].rpartition(":")[2]
            if port.isdigit() and int(port) in ports:
                found[port] = fields[5].split('"')[1] if len(fields) > 5 and '"' in fields[5] else "?"
    return found


def outside() -> dict[str, str]:
    """Programs that listen on a TCP port for others than the server itself, by port; a hundred at most."""
    done = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False)
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) > 3 and len(found) < 100:
            address, _, port = fields[3].rpartition(":")
            if not address.startswith(("127.", "[::1]", "[::ffff:127.")) and not address.endswith("%lo"):
                found[port] = fields[5].split('"')[1] if len(fields) > 5 and '"' in fields[5] else "?"
    return found


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


def apt_sources() -> dict[str, str]:
    """For each apt repository whether its host answers: name, and the error or an empty text."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"], capture_output=True, text=True, check=False
    )
    sites = sorted(set(done.stdout.split()))
    answers = {}
    proxy = subprocess.run(
        ["apt-config", "dump", "Acquire::http::Proxy"], capture_output=True, text=True, check=False
    )
    if proxy.stdout.strip():
        return dict.fromkeys(sites, "")
    for site in sites:
        scheme, _, rest = site.partition("://")
        name, _, port = rest.partition("/")[0].partition(":")
        if scheme not in ("http", "https"):
            answers[site] = ""
            continue
        try:
            address = (name, int(port or (443 if scheme == "https" else 80)))
            socket.create_connection(address, timeout=4).close()
            answers[site] = ""
        except OSError as error:
            answers[site] = str(error)
    return answers


def resolve(names: list[str]) -> dict[str, list[str]]:
    found = {}
    for name in names:
        try:
            found[name] = sorted({str(item[4][0]) for item in socket.getaddrinfo(name, None)})
        except OSError:
            found[name] = []
    return found


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
    answer = {
        "system": "{}-{}".format(release.get("ID", "?"), release.get("VERSION_ID", "?")),
        "pretty": release.get("PRETTY_NAME", "?"),
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "memory_mb": memory_mb(),
        "cpus": len(os.sched_getaffinity(0)),
        "disk_free_mb": disk.free // 2**20,
        "time": time.time(),
        "root": os.geteuid() == 0,
        "systemd": Path("/run/systemd/system").is_dir(),
        "listeners": listeners({80, 443}),
        "outside": outside(),
        "addresses": families(),
        "marks": [path for path in request["marks"] if Path(path).exists()],
        "resolved": resolve(request["hostnames"]),
        "apt": apt_sources() if request["sources"] else {},
        "packages": packages(),
        "apt_interrupted": any(Path("/var/lib/dpkg/updates").glob("[0-9]*")),
        "read_only": not os.access("/etc", os.W_OK),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
