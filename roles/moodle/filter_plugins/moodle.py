"""Ranges of network addresses, for the list of those that Moodle may not be sent to."""

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any


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


class FilterModule:
    """What Ansible finds here."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by the name that templates use."""
        return {"moodle_without": without}
