"""Pictures of the stack into lines for people: what changed while waiting, and what there is at the end (core)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PORT_NAMES = {80: "web application", 1936: "statistics", 9999: "admin (level operator)", 8080: "viewer"}
"""What listens at a port of a container, for those that compose.yaml publishes."""

RESTARTS_MAX = 5
"""So often the engine restarts a container before waiting for it ends; it waits longer each time."""


@dataclass(frozen=True)
class Container:
    """One container of the project: ``status`` and ``health`` are the engine's own words, ``health`` none without a
    check; ``ports`` port of the container -> where it is published, ``address:port``."""

    id: str
    service: str
    number: int
    status: str
    health: str = "none"
    exit_status: int = 0
    restarts: int = 0
    ports: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How ``supervise ctl`` calls it."""
        return f"{self.service}/{self.number}"

    @property
    def state(self) -> str:
        """One word: healthy, starting, unhealthy, running (no check), else the engine's status."""
        if self.status == "running":
            return self.status if self.health == "none" else self.health
        return f"exited with status {self.exit_status}" if self.status == "exited" else self.status

    @property
    def good(self) -> bool:
        """Healthy, or running where nothing is checked."""
        return self.state in ("healthy", "running")


def changes(before: Sequence[Container], after: Sequence[Container], seconds: float) -> list[str]:
    """A line for each container whose state is another than before."""
    known = {item.id: item.state for item in before}
    lines = [
        f"stack: {item.name} {item.state} ({seconds:.1f} s)"
        for item in sorted(after, key=lambda item: (item.service, item.number))
        if known.get(item.id) != item.state
    ]
    gone = {item.id for item in before} - {item.id for item in after}
    return lines + [f"stack: {item.name} is gone" for item in before if item.id in gone]


def is_complete(containers: Sequence[Container], nodes: int) -> bool:
    """Whether all that was asked for is there and good."""
    return sum(item.service == "webapp" for item in containers) == nodes and all(item.good for item in containers)


def hopeless(containers: Sequence[Container]) -> Container | None:
    """A container that waiting does not help: the engine has restarted it too often."""
    return next((item for item in containers if not item.good and item.restarts >= RESTARTS_MAX), None)


def not_good(containers: Sequence[Container], nodes: int) -> str:
    """Who keeps the stack from being complete, for an error."""
    bad = [f"{item.name} is {item.state}" for item in containers if not item.good]
    there = sum(item.service == "webapp" for item in containers)
    return ", ".join(bad) or f"there are {there} webapps, not {nodes}"


def addresses(containers: Sequence[Container]) -> dict[str, str]:
    """Name -> where to look, in the order of the ports' names; ``http://...`` where a browser may."""
    found = {}
    for port, name in PORT_NAMES.items():
        for item in containers:
            if port in item.ports:
                where = item.ports[port].replace("0.0.0.0:", "127.0.0.1:").removesuffix(":80")
                found[name] = where if port == 9999 else f"http://{where}"
    return found


def counted(count: int, noun: str) -> str:
    """``1 network``, ``2 networks``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Bytes for people, in decimal units as docker prints them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def bytes_of(text: str) -> float:
    """The reverse of what docker prints (``54.96MB``); 0 for anything else."""
    units = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
    digits = text.rstrip("BkKMGT")
    try:
        return float(digits) * units[text[len(digits) :]]
    except (KeyError, ValueError):
        return 0.0


def together(histories: Sequence[Sequence[tuple[str, int]]]) -> int:
    """Bytes of all images with what they share counted once.

    A history is an image's build steps, oldest first, as (what tells the step, bytes): images share a layer where
    their histories are the same from the beginning to it.
    """
    seen: dict[tuple[str, ...], int] = {}
    for history in histories:
        path: tuple[str, ...] = ()
        for step, count in history:
            path = (*path, step)
            seen[path] = count
    return sum(seen.values())


@dataclass(frozen=True)
class Disk:
    """What the project takes: each image as docker shows it, all of them together (what they share counts once)
    and the volumes; bytes."""

    images: Mapping[str, int]
    together: int
    volumes: float

    def lines(self) -> list[str]:
        """Sizes an image, then the whole."""
        each = ", ".join(f"{name} {size(count)}" for name, count in sorted(self.images.items()))
        return [
            f"images: {each}",
            f"disk: images {size(self.together)} (what they share counted once), volumes {size(self.volumes)}",
        ]
