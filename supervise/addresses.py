"""The container's own addresses, as its kernel lists them.

Owns the choice of one where there are several. Leaves names and DNS to others: an address asked of the kernel is right
on every network, with or without an entry in /etc/hosts (a fixed line of that file is the lab's well-known trap).
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from logship.errors import USAGE, Fault

_SIOCGIFADDR = 0x8915  # linux/sockios.h; netdevice(7)
_IF_INET6 = Path("/proc/net/if_inet6")


def own_addresses() -> list[str]:
    """Every usable address, in the order of the interfaces, IPv4 before IPv6."""
    interfaces = [name for _, name in sorted(socket.if_nameindex())]
    found = [address for name in interfaces if (address := _ipv4(name))]
    try:
        table = _IF_INET6.read_text(encoding="ascii")
    except FileNotFoundError:
        table = ""
    return usable([*found, *ipv6_addresses(table)])


def _ipv4(interface: str) -> str | None:
    """The first IPv4 address of an interface; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            reply = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(reply[20:24])


def ipv6_addresses(table: str) -> list[str]:
    """The addresses in the text of /proc/net/if_inet6, in the order of the interfaces.

    A line is address, index, prefix length, scope and flags in hexadecimal, and the interface's name; see
    Documentation of the kernel, ``net/ipv6/addrconf.c``: ``if6_seq_show``.
    """
    rows = [line.split() for line in table.splitlines()]
    ordered = sorted((row for row in rows if len(row) == 6), key=lambda row: int(row[1], 16))
    return [str(ipaddress.IPv6Address(bytes.fromhex(row[0]))) for row in ordered]


def usable(addresses: Iterable[str]) -> list[str]:
    """Those that another container can reach: neither loopback nor link-local, each once."""
    kept = []
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast):
            kept.append(text)
    return list(dict.fromkeys(kept))


def own_address(addresses: list[str], network: str) -> str:
    """The first address, or the first inside ``network`` (like 172.30.0.0/16). Raises Fault when there is none."""
    if not network:
        if addresses:
            return addresses[0]
        raise Fault("find", "this container's own address", "it has only loopback", "attach it to a network")
    try:
        wanted = ipaddress.ip_network(network)
    except ValueError as error:
        raise Fault("take the setting", "SUPERVISE_NETWORK", str(error), "like 172.30.0.0/16", USAGE) from None
    for address in addresses:
        if ipaddress.ip_address(address) in wanted:
            return address
    cause = f"none of {', '.join(addresses) or 'its addresses'} lies in {network}"
    raise Fault("find", "this container's own address", cause, "correct SUPERVISE_NETWORK or attach the network")
