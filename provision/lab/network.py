"""A lab's network: one bridge, one cable and one namespace a machine, and the way out through the host."""

import contextlib
import ipaddress
import json
import re
import shutil
import socket
from pathlib import Path

from pydantic import BaseModel, ValidationError

from provision.errors import LabError
from provision.lab.names import Names, choose_subnet
from provision.lab.state import LABS, RUN, LabState
from provision.lab.system import Report, boot_id, environment, run, write_file

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def exists(interface: str) -> bool:
    """Whether there is a network interface of that name.

    Asked of the kernel and not of /sys, which shows another network's interfaces inside some containers.
    """
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def taken_networks(own: str) -> list[ipaddress.IPv4Network]:
    """Networks that a new lab must keep out of: routes, addresses, name servers, and what other labs have.

    Args:
        own: id of the lab that asks; what it has itself does not count.
    """
    taken = []
    for route in json.loads(run("ip", "-j", "-4", "route", "show", "table", "all").stdout or "[]"):
        if route.get("dst", "default") != "default" and route.get("dev") != Names(own).bridge:
            with contextlib.suppress(ValueError):
                taken.append(ipaddress.IPv4Network(route["dst"], strict=False))
    for link in json.loads(run("ip", "-j", "-4", "addr").stdout or "[]"):
        if link.get("ifname") != Names(own).bridge:
            taken += [
                ipaddress.IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
                for address in link.get("addr_info", [])
            ]
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/etc/resolv.conf").read_text().splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                with contextlib.suppress(ValueError):
                    taken.append(ipaddress.IPv4Network(words[1]))
    for path in LABS.glob("*/state.json"):
        if path.parent.name != own:
            with contextlib.suppress(OSError, ValueError, KeyError):
                taken.append(ipaddress.IPv4Network(json.loads(path.read_text())["subnet"]))
    return taken


def _mtu(interface: str) -> int:
    """The packet size of an interface; Ethernet's where there is none."""
    links = json.loads(run("ip", "-j", "link", "show", "dev", interface, check=False).stdout or "[]")
    return int(links[0]["mtu"]) if links else 1500


def _mtu_outwards() -> int:
    """The packet size of the way out; a larger one would make downloads hang in a tunnel."""
    routes = json.loads(run("ip", "-j", "-4", "route", "show", "default").stdout or "[]")
    devices = [route["dev"] for route in routes if "dev" in route]
    return _mtu(devices[0]) if devices else 1500


def ensure(state: LabState, report: Report) -> None:
    """Make the bridge and the way out, or mend what is missing of them; sets `state.subnet`.

    Call it with the global lock held and save the state afterwards.
    """
    names = Names(state.id)
    if not exists(names.bridge):
        wanted = ipaddress.IPv4Network(state.subnet) if state.subnet else None
        state.subnet = str(choose_subnet(state.id, taken_networks(state.id), wanted))
        run(
            "ip",
            "link",
            "add",
            names.bridge,
            "mtu",
            str(_mtu_outwards()),
            "type",
            "bridge",
            "forward_delay",
            "0",
        )
    run("ip", "addr", "replace", f"{state.gateway()}/24", "dev", names.bridge)
    run("ip", "link", "set", names.bridge, "up")
    table = f"ip {names.nft_table}"
    # Machines reach the internet; the internet, other labs and neighbours in the host's network do not reach
    # them.
    run(
        "nft",
        "-f",
        "-",
        stdin=f"""
table {table} {{}}
delete table {table}
table {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {state.subnet} oifname != "{names.bridge}" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    oifname "{names.bridge}" iifname != "{names.bridge}" ct state != {{ established, related }} drop
  }}
}}
""",
    )
    _forwarding_on(state.id)
    _pass_docker(names)
    for obstacle in obstacles(run("nft", "-j", "list", "ruleset", check=False).stdout):
        report(obstacle.format(bridge=names.bridge))


def _without_own_addresses(interface: str) -> None:
    """Have the kernel give a cable's end no IPv6 address of its own: the bridge has one, by which machines are reached.

    Each that comes or goes makes browsers on this machine give up what they are loading (Chromium:
    ERR_NETWORK_CHANGED).
    """
    run("ip", "link", "set", interface, "addrgenmode", "none", check=False)


def remove(id: str) -> None:
    """Remove the bridge, the rules and every cable of a lab. Call it with the global lock held."""
    names = Names(id)
    for _, interface in socket.if_nameindex():
        if re.fullmatch(rf"{names.bridge}v\d+", interface):
            run("ip", "link", "delete", interface, check=False)
    if exists(names.bridge):
        run("ip", "link", "delete", names.bridge)
    if names.nft_table in run("nft", "list", "tables", "ip", check=False).stdout.split():
        run("nft", "delete", "table", "ip", names.nft_table)
    _unpass_docker(names)
    _forwarding_off(id)


def add_machine(state: LabState, name: str, octet: int) -> Path:
    """Make a machine's namespace and cable afresh; returns the namespace's path."""
    names = Names(state.id)
    namespace, cable = names.machine(name), names.veth(octet)
    remove_machine(state.id, name, octet)
    mtu = str(_mtu(names.bridge))
    run("ip", "netns", "add", namespace)
    run(
        "ip",
        "link",
        "add",
        cable,
        "mtu",
        mtu,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "mtu",
        mtu,
        "netns",
        namespace,
    )
    _without_own_addresses(cable)
    run("ip", "link", "set", cable, "master", names.bridge, "up")
    inside = ("ip", "-n", namespace)
    run(*inside, "addr", "add", f"{ipaddress.IPv4Network(state.subnet)[octet]}/24", "dev", "eth0")
    run(*inside, "link", "set", "lo", "up")
    run(*inside, "link", "set", "eth0", "up")
    run(*inside, "route", "add", "default", "via", state.gateway())
    return namespace_path(state.id, name)


def namespace_path(id: str, name: str) -> Path:
    return Path("/run/netns") / Names(id).machine(name)


def remove_machine(id: str, name: str, octet: int | None) -> None:
    """Remove a machine's namespace and cable, as far as they are there."""
    names = Names(id)
    if octet is not None and exists(names.veth(octet)):
        run("ip", "link", "delete", names.veth(octet), check=False)
    if namespace_path(id, name).exists():
        run("ip", "netns", "delete", names.machine(name))


# --- forwarding: a setting of the whole host, shared by all labs --------------------------------------------


class _Forwarding(BaseModel):
    """What the setting was before the first lab, and which labs need it now."""

    boot: str
    former: str
    labs: list[str]


_RECORD = RUN / "forwarding.json"


def _forwarding_record() -> _Forwarding | None:
    """What was noted in this boot; after a restart of the computer the setting is its own again."""
    try:
        record = _Forwarding.model_validate_json(_RECORD.read_text())
    except (FileNotFoundError, ValidationError):
        return None
    return record if record.boot == boot_id() else None


def _forwarding_on(id: str) -> None:
    record = _forwarding_record() or _Forwarding(boot=boot_id(), former=_FORWARD.read_text().strip(), labs=[])
    record.labs = sorted({*record.labs, id})
    # Written first: if we die in between, the former value is still known.
    write_file(_RECORD, record.model_dump_json())
    if _FORWARD.read_text().strip() != "1":
        try:
            _FORWARD.write_text("1")
        except OSError as error:
            raise LabError(
                f"Forwarding of packets cannot be switched on here: {error.strerror}",
                "Inside a container, switch it on outside: sysctl net.ipv4.ip_forward=1",
            ) from error


def _forwarding_off(id: str) -> None:
    record = _forwarding_record()
    if record is None:
        return
    record.labs = [lab for lab in record.labs if lab != id and exists(Names(lab).bridge)]
    if record.labs:
        write_file(_RECORD, record.model_dump_json())
        return
    if _FORWARD.read_text().strip() != record.former:
        _FORWARD.write_text(record.former)
    _RECORD.unlink()


# --- other firewalls: an "accept" of ours does not undo a "drop" of theirs ----------------------------------


def obstacles(ruleset: str) -> list[str]:
    """What in the host's firewall would swallow the machines' packets, with the remedy.

    Args:
        ruleset: what ``nft -j list ruleset`` prints; it shows the rules of iptables-nft, ufw and firewalld
        too.

    Returns:
        sentences with ``{bridge}`` for the bridge's name; empty when the way is free or Docker's own hook
        opens it.
    """
    try:
        items = json.loads(ruleset or "{}").get("nftables", [])
    except ValueError:
        return []
    chains = [item["chain"] for item in items if "chain" in item]
    if any(chain["name"] == "DOCKER-USER" for chain in chains):
        return []
    found = []
    for chain in chains:
        if chain.get("hook") != "forward" or chain.get("family") not in {"ip", "inet"}:
            continue
        if chain["table"] == "firewalld":
            found.append(
                "firewalld may keep the machines from the internet. Remedy: "
                "firewall-cmd --zone=trusted --add-interface={bridge}"
            )
        elif chain.get("policy") == "drop":
            found.append(
                f"The firewall of this computer (table {chain['table']}, chain {chain['name']}) drops "
                "forwarded packets, so the machines may not reach the internet. "
                "Remedy with ufw: ufw route allow in on {bridge}"
            )
    return found


def _docker_rules(names: Names) -> list[list[str]]:
    comment = ["-m", "comment", "--comment", names.nft_table, "-j", "ACCEPT"]
    return [
        ["DOCKER-USER", "-i", names.bridge, *comment],
        ["DOCKER-USER", "-o", names.bridge, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", *comment],
    ]


def _has_docker_chain() -> bool:
    return bool(shutil.which("iptables", path=environment()["PATH"])) and (
        run("iptables", "-w", "-n", "-L", "DOCKER-USER", check=False).returncode == 0
    )


def _pass_docker(names: Names) -> None:
    """Docker lets nothing through that is not its own, but leaves the chain DOCKER-USER to the administrator.

    See "Packet filtering and firewalls" in Docker's manual.
    """
    if _has_docker_chain():
        for rule in _docker_rules(names):
            if run("iptables", "-w", "-C", *rule, check=False).returncode != 0:
                run("iptables", "-w", "-I", *rule)


def _unpass_docker(names: Names) -> None:
    if _has_docker_chain():
        for rule in _docker_rules(names):
            while run("iptables", "-w", "-D", *rule, check=False).returncode == 0:
                pass
