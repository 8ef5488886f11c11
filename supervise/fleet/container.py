"""Core: one container of the compose project, made from the engine's listing.

Owns the reading of labels and of the engine's own words; who asks the engine is ``engine.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONEOFF = "com.docker.compose.oneoff"

_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


@dataclass(frozen=True)
class Container:
    """A container as the engine lists it.

    ``state`` is the engine's word (running, exited, paused, restarting, created, dead), ``status`` its sentence ("Up 2
    minutes (healthy)"), ``health`` is healthy, unhealthy, starting or "" where the image has no check. ``addresses``
    are those of its networks in the order of the networks' names, ``created`` is in seconds since 1970, ``ports`` reads
    as in ``docker ps``.
    """

    id: str
    name: str
    service: str
    number: int
    state: str
    health: str
    image: str
    addresses: tuple[str, ...]
    created: int
    status: str = ""
    command: str = ""
    ports: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How people name it: ``webapp/2``; its name where it has no number."""
        return f"{self.service}/{self.number}" if self.number else self.name

    @property
    def is_running(self) -> bool:
        return self.state == "running"


def from_listing(item: Mapping[str, Any]) -> Container | None:
    """The container that one item of the engine's listing describes; None for a one-off of ``compose run``."""
    labels = item.get("Labels") or {}
    if SERVICE not in labels or labels.get(ONEOFF, "False").lower() == "true":
        return None
    number = labels.get(NUMBER, "")
    status = item.get("Status", "")
    health = _HEALTH.search(status)
    networks = (item.get("NetworkSettings") or {}).get("Networks") or {}
    return Container(
        id=item["Id"],
        name=(item.get("Names") or ["/" + item["Id"][:12]])[0].lstrip("/"),
        service=labels[SERVICE],
        number=int(number) if number.isdecimal() else 0,
        state=item.get("State", ""),
        health=health.group(1) if health else "",
        image=item.get("Image", ""),
        addresses=tuple(networks[name]["IPAddress"] for name in sorted(networks) if networks[name].get("IPAddress")),
        created=int(item.get("Created", 0)),
        status=status,
        command=item.get("Command", ""),
        ports=tuple(sorted({_port(port) for port in item.get("Ports") or ()})),
    )


def in_order(containers: list[Container]) -> list[Container]:
    """By service, then number: the order of every table."""
    return sorted(containers, key=lambda container: (container.service, container.number, container.name))


def _port(port: Mapping[str, Any]) -> str:
    inside = f"{port.get('PrivatePort')}/{port.get('Type', 'tcp')}"
    return f"{port.get('IP', '')}:{port['PublicPort']}->{inside}" if port.get("PublicPort") else inside
