"""Core: a compose file as ``docker compose config --format json`` prints it, with the line of every key.

That form has anchors, merges, variables and defaults resolved by compose itself, and needs no YAML reader here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from logship.audit.lints.lint import DOCKER_GRACE_SECONDS, Place
from logship.audit.lints.source import Source, Unreadable

_DURATION = re.compile(r"([0-9.]+)(h|ms|m|us|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_SPACE = re.compile(r"[ \t\r\n]*")
DEPTH_MAX = 50


@dataclass(frozen=True)
class Service:
    """One service: its table, as compose resolved it."""

    name: str
    table: dict[str, Any]

    @property
    def image(self) -> str:
        """The image's name, or ""."""
        return str(self.table.get("image", ""))

    @property
    def grace_seconds(self) -> float:
        """How long the engine waits at a stop."""
        text = str(self.table.get("stop_grace_period", ""))
        parts = _DURATION.findall(text)
        return sum(float(count) * _UNITS[unit] for count, unit in parts) if parts else DOCKER_GRACE_SECONDS

    @property
    def mounts(self) -> list[str]:
        """Where something that outlives a container is mounted in its containers: no tmpfs."""
        return [target for target, kind in self._targets() if kind != "tmpfs"]

    @property
    def in_memory(self) -> list[str]:
        """Where a tmpfs is mounted in its containers, which ends with each of them."""
        return [target for target, kind in self._targets() if kind == "tmpfs"] + [*map(tmpfs_target, self.tmpfs)]

    @property
    def tmpfs(self) -> list[str]:
        """What its key ``tmpfs`` says, each as ``TARGET[:OPTIONS]``."""
        said = self.table.get("tmpfs") or []
        return [said] if isinstance(said, str) else [str(item) for item in said]

    def _targets(self) -> list[tuple[str, str]]:
        volumes = self.table.get("volumes") or []
        items = [item for item in volumes if isinstance(item, dict)]
        return [(str(item.get("target", "")).rstrip("/"), str(item.get("type", ""))) for item in items]

    @property
    def binds(self) -> list[str]:
        """The files and folders of the host that are mounted in its containers."""
        volumes = self.table.get("volumes", [])
        found = [item for item in volumes if isinstance(item, dict) and item.get("type") == "bind"]
        return [str(item.get("source", "")) for item in found]


def tmpfs_target(said: str) -> str:
    """Where an item of a service's key ``tmpfs`` is mounted."""
    return said.partition(":")[0].rstrip("/")


@dataclass
class Compose:
    """The services of a file, and the name of its project, where it says one."""

    source: Source
    services: list[Service] = field(init=False)
    project: str = field(init=False, default="")
    _lines: dict[tuple[str, ...], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        data = self._parse()
        tables = data.get("services", {}) if isinstance(data, dict) else {}
        self.project = str(data.get("name") or "") if isinstance(data, dict) else ""
        self.services = [Service(name, table) for name, table in tables.items() if isinstance(table, dict)]

    def place(self, *path: str) -> Place:
        """The line of a key, else of the table that would hold it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self.source.place(self._lines.get(path, 1))

    def _parse(self) -> Any:
        try:
            data = json.loads(self.source.text)
        except json.JSONDecodeError as error:
            raise Unreadable(self.source.place(error.lineno), f"not JSON: {error.msg}") from None
        self._walk(_SPACE.match(self.source.text).end(), ())  # type: ignore[union-attr]  # it matches everywhere
        return data

    def _walk(self, at: int, path: tuple[str, ...]) -> int:
        """Note the lines of all keys of the value at ``at``; its end. The text is one that json took."""
        text, decoder = self.source.text, json.JSONDecoder()
        if len(path) > DEPTH_MAX:
            raise Unreadable(self.source.place(0), "tables within tables without end")
        if text[at] not in "{[":
            return decoder.raw_decode(text, at)[1]
        close = "}" if text[at] == "{" else "]"
        at, number = self._skip(at + 1), 0
        while text[at] != close:
            key = str(number)
            if close == "}":
                line = text.count("\n", 0, at) + 1
                key, at = decoder.raw_decode(text, at)
                self._lines[(*path, key)] = line
                at = self._skip(self._skip(at) + 1)
            at = self._skip(self._walk(at, (*path, key)))
            number += 1
            if text[at] == ",":
                at = self._skip(at + 1)
        return at + 1

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self.source.text, at)
        return found.end() if found else at
