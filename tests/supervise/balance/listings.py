"""Members as a Serf agent lists them, for tests."""

from __future__ import annotations

import ipaddress
from typing import Any

from supervise.balance.serf import SerfDown

ADDRESS = "10.0.0."


def record(name: str, number: int = 1, status: str = "alive", **tags: str) -> dict[bytes, Any]:
    """A web node at 10.0.0.NUMBER:3000, with other or more tags where given."""
    named = {"role": "webapp", "port": "3000", **tags}
    return {
        b"Name": name.encode(),
        b"Addr": ipaddress.IPv6Address(f"::ffff:{ADDRESS}{number}").packed,
        b"Port": 7946,
        b"Tags": {key.encode(): value.encode() for key, value in named.items()},
        b"Status": status.encode(),
        b"ProtocolCur": 5,
    }


def balancer(status: str = "alive") -> dict[bytes, Any]:
    """The agent's own record."""
    return {**record("ha", 250, status), b"Tags": {b"role": b"ha"}}


class Lister:
    """An agent that lists what it is told to, or does not answer."""

    def __init__(self) -> None:
        self.listing: object = [balancer()]
        self.down = ""

    def members(self) -> object:
        if self.down:
            raise SerfDown(self.down)
        return self.listing

    def lists(self, *records: dict[bytes, Any]) -> None:
        """List these and itself from now on."""
        self.listing = [balancer(), *records]
