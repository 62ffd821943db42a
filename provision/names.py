"""Turns host names into addresses, with the workspace's own names before DNS.

A workspace may hold ``.state/hosts`` in the form of hosts(5). The lab writes its disposable schools' names there, so
that they resolve inside the tool without touching the administrator's ``/etc/hosts``.
"""

import ipaddress
import socket
from pathlib import Path


def read_names(file: Path) -> dict[str, str]:
    """Read a file in the form of hosts(5).

    Args:
        file: the file; a missing one means no names.

    Returns:
        address by lower-case name; the first line that names a host wins, as in the C library.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    names: dict[str, str] = {}
    for line in text.splitlines():
        address, *hosts = line.split("#", 1)[0].split() or [""]
        for host in hosts:
            names.setdefault(host.lower(), address)
    return names


def resolve_own(names_file: Path, name: str) -> str | None:
    """The address of a host as far as it is known without asking anybody.

    Args:
        names_file: the workspace's own names.
        name: a host name, or an address, which comes back as it is.

    Returns:
        None for a name that only DNS, or a jump host, may know.
    """
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        return read_names(names_file).get(name.lower())


def resolve_all(names_file: Path, name: str) -> list[str]:
    """Every address of a host, the preferred one first.

    Args:
        names_file: the workspace's own names.
        name: a host name, or an address, which comes back as it is.

    Raises:
        OSError: nobody knows the name (``socket.gaierror``).
    """
    own = resolve_own(names_file, name)
    if own:
        return [own]
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def resolve(names_file: Path, name: str) -> str:
    """The preferred address of a host; see ``resolve_all``.

    Raises:
        OSError: nobody knows the name (``socket.gaierror``).
    """
    return resolve_all(names_file, name)[0]
