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


def resolve(names_file: Path, name: str) -> str:
    """The address of a host.

    Args:
        names_file: the workspace's own names.
        name: a host name, or an address, which comes back as it is.

    Raises:
        OSError: nobody knows the name (``socket.gaierror``).
    """
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    own = read_names(names_file).get(name.lower())
    if own:
        return own
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
