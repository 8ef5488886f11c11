"""Ports for servers that tests start, stop, and start again at the same place."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_240
"""Below are the ports that people give to their programs."""


def free_port() -> int:
    """A port of the loopback that nobody has, and that the kernel gives to nobody who asks for just any.

    One that was bound to 0 and closed again is such a port, and what runs beside this test may get it next.
    """
    begin, end = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = range(LOWEST, begin) if begin - LOWEST > 10_000 else range(end + 1, 65_536)
    while True:
        port = random.SystemRandom().choice(ports)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
