"""Core: one server of the load balancer as it should be, and its words in HAProxy's language.

The same words go into the file and into the Runtime API, so both say the same: ``default-server`` is not inherited by
servers that are added while HAProxy runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from supervise.balance.membership import endpoint

APP, PANIC = "app", "app_panic"
"""The two backends: ``app`` checks its servers; ``app_panic`` holds the same ones unchecked, and is used only while no
server of ``app`` is usable. A server is in ``app_panic`` once it has passed a check: that is the mark of its admission,
kept by HAProxy itself."""

CHECKS = (
    "check inter 500ms fastinter 200ms downinter 200ms fall 2 rise 1 observe layer4 error-limit 5 on-error mark-down"
)
"""A server is down after two failed checks in a row (the second 200 ms after the first) or five failed connections, and
up after one good check. Five is half of ``retries``: two dead servers together cannot use up the tries of a request.
A newcomer's first check comes after 200 ms."""

COOKIE_DIGITS = 16


@dataclass(frozen=True, order=True)
class Server:
    """A server with a checked name; ``weight`` 0 (drained) to 256; ``cookie`` is what ties a session to it."""

    name: str
    address: str
    port: int
    weight: int
    cookie: str

    @property
    def endpoint(self) -> str:
        return endpoint(self.address, self.port)

    @property
    def checked(self) -> str:
        """Its options in ``app``."""
        return f"weight {self.weight} cookie {self.cookie} {CHECKS}"

    @property
    def unchecked(self) -> str:
        """Its options in ``app_panic``."""
        return f"weight {self.weight} cookie {self.cookie}"


def cookie_value(key: bytes, name: str) -> str:
    """The cookie of a server: the same on every balancer with this key, and no hint to the address in the name."""
    digest = hashlib.blake2b(name.encode(), key=hashlib.blake2b(key).digest(), digest_size=COOKIE_DIGITS // 2)
    return digest.hexdigest()
