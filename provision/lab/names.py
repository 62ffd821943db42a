"""How a lab names what it makes, and which addresses it takes. Pure functions."""

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from provision.errors import LabError, UsageError

#: Debian releases a machine can be made of, with the name that `service.yml` uses for the system.
RELEASES = {"bookworm": "debian-12", "trixie": "debian-13"}

# Host name and namespace name at once; the longest name that we make of it must stay under the 64 characters
# of a Linux host name.
_MACHINE = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_HOSTNAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)

# Asked for in this order. 10.208.0.0/12 first: home routers, Docker and Kubernetes take their defaults
# elsewhere.
_POOLS = tuple(ipaddress.IPv4Network(pool) for pool in ("10.208.0.0/12", "172.16.0.0/12", "192.168.0.0/16"))

#: Addresses of machines within the lab's /24; .1 is the host's bridge.
FIRST_OCTET, LAST_OCTET = 2, 254


def lab_id(directory: Path) -> str:
    """Six hexadecimal digits that stand for a checkout or workspace, the same for every path to it.

    Six, because the name of a network interface has at most 15 characters (linux/if.h, IFNAMSIZ).
    """
    return hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:6]


def check_machine_name(name: str) -> str:
    """Return the name if a machine can have it.

    Raises:
        UsageError: it is no lower-case host name of at most 40 characters.
    """
    if not _MACHINE.fullmatch(name):
        raise UsageError(
            f"“{name}” cannot be the name of a lab machine",
            "Use 1 to 40 lower-case letters, digits and hyphens, with a letter first.",
        )
    return name


def check_hostname(name: str) -> str:
    """Return the name in lower case if it is a host name.

    Raises:
        UsageError: it is none.
    """
    name = name.lower().rstrip(".")
    if not _HOSTNAME.fullmatch(name):
        raise UsageError(f"“{name}” is not a host name", "Use a name such as pad.school.example.")
    return name


def check_release(release: str) -> str:
    """Return the release if machines can be made of it.

    Raises:
        UsageError: it is unknown.
    """
    if release not in RELEASES:
        raise UsageError(
            f"The lab makes no machines of “{release}”", f"Choose one of: {', '.join(RELEASES)}."
        )
    return release


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that carries a lab's name on the host.

    Args:
        id: what `lab_id` gave.
    """

    id: str

    @property
    def bridge(self) -> str:
        return f"pv{self.id}"

    @property
    def nft_table(self) -> str:
        return f"provision_lab_{self.id}"

    @property
    def prefix(self) -> str:
        """What the names of this lab's machines, namespaces, units and control groups begin with."""
        return f"provision-{self.id}-"

    def machine(self, name: str) -> str:
        """Name of a machine, its network namespace, its unit and its control group."""
        return f"{self.prefix}{name}"

    def veth(self, octet: int) -> str:
        """Name of the host's end of a machine's cable."""
        return f"{self.bridge}v{octet}"


def choose_subnet(
    seed: str, taken: Iterable[ipaddress.IPv4Network], wanted: ipaddress.IPv4Network | None = None
) -> ipaddress.IPv4Network:
    """Choose a /24 that nothing else uses.

    The first candidate depends on the seed, so that a checkout usually gets the same addresses again.

    Args:
        seed: the lab's id.
        taken: networks of routes, addresses, resolvers and other labs; the default route is ignored.
        wanted: taken first if it is free, such as the one the lab had before.

    Raises:
        LabError: no private /24 is free.
    """
    used = [network for network in taken if network.prefixlen > 0]
    start = int(hashlib.sha256(f"subnet {seed}".encode()).hexdigest(), 16)
    # A VPN may route all of 10.0.0.0/8: then a /24 of it is still better than no lab, if nothing narrower is
    # there.
    for broad in (0, 17):
        conflicts = [network for network in used if network.prefixlen >= broad]
        if wanted is not None and not any(wanted.overlaps(network) for network in conflicts):
            return wanted
        for pool in _POOLS:
            count = 2 ** (24 - pool.prefixlen)
            for step in range(count):
                base = int(pool.network_address) + ((start + step) % count) * 256
                candidate = ipaddress.IPv4Network((base, 24))
                if not any(candidate.overlaps(network) for network in conflicts):
                    return candidate
    raise LabError(
        "No private network address is free for the lab",
        "Every /24 of 10.208.0.0/12, 172.16.0.0/12 and 192.168.0.0/16 is in use on this machine. "
        "Disconnect a VPN, or remove other labs (`provision lab down` in their checkouts).",
    )


def choose_octet(used: Iterable[int]) -> int:
    """Choose the last part of a new machine's address.

    Raises:
        LabError: all 253 addresses of the lab are in use.
    """
    taken = set(used)
    for octet in range(FIRST_OCTET, LAST_OCTET + 1):
        if octet not in taken:
            return octet
    raise LabError("The lab has 253 machines already", "Remove some with `provision lab down NAME`.")


def hosts_lines(addresses: dict[str, str], names: dict[str, str]) -> list[str]:
    """Lines of hosts(5) for a lab.

    Args:
        addresses: address of each machine.
        names: further host names, each with its machine; names of machines that are gone are left out.
    """
    lines = []
    for machine, address in sorted(addresses.items()):
        extra = sorted(name for name, target in names.items() if target == machine)
        lines.append(" ".join([address, *extra, machine]))
    return lines


_BEGIN, _END = "# provision lab: begin (rewritten by the lab)", "# provision lab: end"


def merge_hosts(current: str, lines: list[str]) -> str:
    """Put the lab's lines into a machine's /etc/hosts, leaving everything else as it is."""
    kept: list[str] = []
    inside = False
    for line in current.splitlines():
        if line == _BEGIN:
            inside = True
        elif line == _END:
            inside = False
        elif not inside:
            kept.append(line)
    return "\n".join([*kept, _BEGIN, *lines, _END]) + "\n"


def known_hosts_lines(address: str, port: int, names: Iterable[str], keys: Iterable[str]) -> list[str]:
    """Lines of an OpenSSH known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) for one machine.

    Args:
        address: its address.
        port: where its SSH server listens.
        names: the names it has.
        keys: public host keys, "type base64".
    """
    hosts = [address, *sorted(names)]
    marked = ",".join(host if port == 22 else f"[{host}]:{port}" for host in hosts)
    return [f"{marked} {key}" for key in keys]
