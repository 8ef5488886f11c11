"""A model of HAProxy's Runtime API as far as the balancer uses it, and the contract it shares with the real one.

``CONTRACT`` is run against the model by the unit tests and against HAProxy itself by tests/e2e/test_balance_edge.py: a
model that drifts from the truth fails there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from supervise.balance.runtime import Actual, Entry

NEW, DELETED, ABSENT = "New server registered.", "Server deleted.", "No such server."
BUSY = "Server still has connections attached to it, cannot remove it."
MOVED = "IP changed from '127.0.0.9' to '127.0.0.8', port changed from '3000' to '3001' by 'stats socket command'"

CONTRACT: list[tuple[str, str]] = [
    ("add server app/x 127.0.0.9:3000 weight 0 cookie abc check inter 500ms fall 2 rise 1", NEW),
    ("add server app/x 127.0.0.9:3000", "Already exists a server with the same name in backend."),
    ("add server nowhere/x 127.0.0.9:3000", "No such backend."),
    ("del server app/y", ABSENT),
    ("set server app/y state maint", ABSENT),
    ("enable server app/y", ABSENT),
    ("enable health app/y", ABSENT),
    ("enable health app/x", ""),
    ("enable health app/x", ""),
    ("enable server app/x", ""),
    ("enable server app/x", ""),
    ("set server app/x health down", ""),
    ("del server app/x", "Only servers in maintenance mode can be deleted."),
    ("set server app/x state drain", ""),
    ("set server app/x state ready", ""),
    ("set server app/x state somewhere", "'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
    ("set server app/x weight 7", ""),
    ("set server app/x weight 257", "Absolute weight can only be between 0 and 256 inclusive."),
    ("set server app/x state maint", ""),
    ("set server app/x state maint", ""),
    ("set server app/x addr 127.0.0.8 port 3001", MOVED),
    ("set server app/x addr 127.0.0.8 port 3001", "nothing changed"),
    ("set server app/x addr 127.0.0.256 port 3001", "Invalid addr '127.0.0.256'"),
    ("add server app_panic/x 127.0.0.9:3000 weight 100 cookie abc", NEW),
    ("enable health app_panic/x", "Health check was not configured on this server, cannot enable."),
    ("enable server app_panic/x", ""),
    ("set server app_panic/x state maint", ""),
    ("del server app_panic/x", DELETED),
    ("del server app/x", DELETED),
    ("del server app/x", ABSENT),
]
"""Commands and their replies, in order, on a HAProxy with our configuration and no servers."""

_SERVER_LINE = re.compile(r"^\s+server (\S+) (\S+) (.*)$")


@dataclass
class Model:
    """HAProxy with the backends ``app`` and ``app_panic``.

    ``alive`` are the addresses whose checks pass; ``sessions`` hold servers from being deleted; ``refuses`` is what
    ``-c`` or the next reload has against a file that contains the key.
    """

    path: Path | None = None
    pid: int = 1
    fingerprint: str = ""
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    sessions: dict[tuple[str, str], int] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    refuses_reload: str = ""
    reloads: int = 0
    checks: int = 0
    commands: list[str] = field(default_factory=list)

    # The edge's interface.

    def look(self) -> Actual:
        entries = {key: replace(entry, sessions=self.sessions.get(key, 0)) for key, entry in self.entries.items()}
        return Actual(self.pid, self.pid, "model", self.fingerprint, entries)

    def run(self, commands: Sequence[str]) -> list[str]:
        self.commands += commands
        return [self._reply(command.split(" ")) for command in commands]

    def check(self, path: Path) -> str:
        self.checks += 1
        text = path.read_text()
        return next((message for key, message in self.refuses.items() if key in text), "")

    def reload(self) -> str:
        self.reloads += 1
        if self.refuses_reload:
            return self.refuses_reload
        self.start()
        return ""

    # What happens by itself.

    def start(self) -> None:
        """A new process on the file: its servers, up until a check says otherwise, and no others."""
        self.pid += 1
        self.entries = {}
        self.sessions = {}
        assert self.path is not None, "a model that starts needs a file"
        backend = ""
        for line in self.path.read_text().splitlines():
            if line.startswith("backend "):
                backend = line.split()[1]
            elif line.strip().startswith("description "):
                self.fingerprint = line.split()[1]
            elif found := _SERVER_LINE.match(line):
                name, place, options = found.groups()
                entry = self._made(backend, name, place, options.split(" "))
                self.entries[backend, name] = replace(
                    entry, admin=0, operating=2, check_state=entry.check_state | (4 if entry.check_state else 0)
                )

    def tick(self) -> None:
        """One round of checks."""
        for key, entry in self.entries.items():
            if entry.check_state & 4 and not entry.in_maintenance:
                passes = entry.address in self.alive
                self.entries[key] = replace(entry, operating=2 if passes else 0, check_result=3 if passes else 2)

    # Commands.

    def _reply(self, words: list[str]) -> str:
        verb = " ".join(words[:2])
        backend, _, name = words[2].partition("/")
        if backend not in ("app", "app_panic"):
            return "No such backend."
        key = (backend, name)
        if verb == "add server":
            if key in self.entries:
                return "Already exists a server with the same name in backend."
            self.entries[key] = self._made(backend, name, words[3], words[4:])
            return NEW
        if key not in self.entries:
            return ABSENT
        entry = self.entries[key]
        if verb == "del server":
            if not entry.in_maintenance:
                return "Only servers in maintenance mode can be deleted."
            if self.sessions.get(key):
                return BUSY
            del self.entries[key]
            return DELETED
        if verb == "enable health":
            if not entry.check_state:
                return "Health check was not configured on this server, cannot enable."
            self.entries[key] = replace(entry, check_state=entry.check_state | 4)
            return ""
        if verb == "enable server":
            self.entries[key] = self._ready(entry)
            return ""
        assert verb == "set server", words
        return self._set(entry, words[3:])

    def _set(self, entry: Entry, words: list[str]) -> str:
        key = (entry.backend, entry.name)
        match words:
            case ["state", "ready"]:
                self.entries[key] = self._ready(replace(entry, admin=entry.admin & ~8))
            case ["state", "drain"]:
                self.entries[key] = replace(self._ready(entry), admin=8)
            case ["state", "maint"]:
                self.entries[key] = replace(entry, admin=entry.admin | 1, operating=0)
            case ["state", _]:
                return "'set server <srv> state' expects 'ready', 'drain' and 'maint'."
            case ["health", "down"]:
                if not entry.in_maintenance and entry.check_state:
                    self.entries[key] = replace(entry, operating=0)
            case ["weight", number]:
                if not 0 <= int(number) <= 256:
                    return "Absolute weight can only be between 0 and 256 inclusive."
                self.entries[key] = replace(entry, weight=int(number))
            case ["addr", address, "port", port]:
                return self._move(entry, address, int(port))
            case _:
                raise AssertionError(words)
        return ""

    def _move(self, entry: Entry, address: str, port: int) -> str:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            return f"Invalid addr '{address}'"
        said = []
        if address != entry.address:
            said.append(f"IP changed from '{entry.address}' to '{address}'")
        if port != entry.port:
            said.append(f"port changed from '{entry.port}' to '{port}'")
        self.entries[entry.backend, entry.name] = replace(entry, address=address, port=port)
        return f"{', '.join(said)} by 'stats socket command'" if said else "nothing changed"

    @staticmethod
    def _ready(entry: Entry) -> Entry:
        """Out of maintenance a server is up at once, whatever its checks will say."""
        return replace(entry, admin=entry.admin & ~1, operating=2) if entry.in_maintenance else entry

    @staticmethod
    def _made(backend: str, name: str, place: str, options: list[str]) -> Entry:
        address, _, port = place.rpartition(":")
        option = dict(pairwise(options))
        return Entry(
            backend=backend,
            name=name,
            address=address.strip("[]"),
            port=int(port),
            weight=int(option.get("weight", "1")),
            cookie=option.get("cookie", ""),
            admin=1,
            operating=0,
            check_state=2 if "check" in options else 0,
        )
