"""Ranges of network addresses, for the list of those that Moodle may not be sent to."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

#: IPv4 addresses behind a translator (RFC 6052).
TRANSLATED = ip_network("64:ff9b::/96")


def without(ranges: Iterable[str], addresses: Iterable[str]) -> str:
    """The ranges, one a line, except for single addresses: a range that holds one becomes the ranges around it.

    Args:
        ranges: networks such as 10.0.0.0/8.
        addresses: of hosts that may be reached.

    Raises:
        ValueError: something is no network or no address.
    """
    kept: list[Any] = [ip_network(text) for text in ranges]
    for text in addresses:
        address = ip_address(text)
        single = ip_network(address)
        kept = [
            part
            for network in kept
            for part in (sorted(network.address_exclude(single)) if address in network else [network])
        ]
    return "\n".join(str(network) for network in kept)


def unfit(addresses: Iterable[str], own: Iterable[str]) -> list[str]:
    """Those of the addresses which are no other server's, so that a name which leads there opens nothing.

    A name's owner could lead it to this server itself, or to where a cloud tells its secrets (169.254.169.254).

    Args:
        addresses: of a host that Moodle needs.
        own: those of this server.

    Raises:
        ValueError: something is no address.
    """

    def plain(text: str) -> Any:
        address = ip_address(text.partition("%")[0])
        if address in TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return getattr(address, "ipv4_mapped", None) or address

    ours = {plain(text) for text in own}
    return [
        text
        for text in addresses
        if (address := plain(text)) in ours
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    ]


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by the name that templates use."""
        return {"moodle_without": without, "moodle_unfit": unfit}
