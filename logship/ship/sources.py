"""Run: the sources of all spool folders given, each with its sender; looking at them again and again.

Left to others: what a look finds (``discover``), talking to the collector (``run``).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from logship.ship.chain import Origin
from logship.ship.discover import SpoolFolder, SpoolSource
from logship.ship.held import Held
from logship.ship.instance import container_id, instance_name
from logship.ship.lag import Age
from logship.ship.sender import Sender
from logship.ship.states import State
from logship.spool.layout import stamp

FOLDER_SECONDS = 1.0
"""How often it is looked whether there are new programs, whether the incarnation is over, whether a lock is free."""
ACKED_SECONDS = 1.0
"""How often an acknowledgement is noted for spool; it deletes whole segments, so no hurry."""
_KINDS = {"haproxy": "haproxy", "serf": "serf", "supervisord": "supervisord", "supervise": "events"}


@dataclass(eq=False)
class Lane:
    """A source and its sender. ``acked`` is the offset to be noted for spool."""

    source: SpoolSource
    sender: Sender
    acked: int | None = None
    goal: int | None = None
    """Where the source ended when it was first seen."""
    age: Age = field(default_factory=Age)


class Sources:
    """All lanes, found and kept up to date by ``look``."""

    def __init__(self, folders: Sequence[SpoolFolder], instance: str, say: Callable[..., None]) -> None:
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.waiting: list[SpoolFolder] = list(folders)  # for their lock
        self._locked: list[SpoolFolder] = []
        self._ended: set[SpoolFolder] = set()
        self._say = say
        self._told: set[str] = set()
        self._folders_at = 0.0
        host = socket.gethostname()
        self._host = host
        self._container = container_id(host)
        self._given = instance
        self._instance = instance or instance_name(self._container)

    def look(self, now: float, whole: bool = False) -> Iterator[tuple[Lane, Held]]:
        """The sources that changed since the last look; ``whole``: new ones among them that no look has found yet."""
        if whole or now >= self._folders_at:
            self._folders_at = now + FOLDER_SECONDS
            self._look_at_folders()
        for lane in self.lanes.values():
            try:
                held = lane.source.look(lane.source.folder in self._ended)
            except OSError as error:
                self._trouble("cannot look at", lane.source, error)
                continue
            if held is not None:
                if lane.goal is None:
                    lane.goal = held.end
                lane.age.found(held.end, now)
                yield lane, held

    def note_acked(self, now: float, all_now: bool = False) -> None:
        """Tell spool what is acknowledged."""
        for lane in self.lanes.values():
            source = lane.source
            if lane.acked is None or lane.acked == source.acked:
                continue
            if all_now or now - source.acked_at >= ACKED_SECONDS:
                try:
                    source.note_acked(lane.acked, now)
                except OSError as error:
                    source.acked_at = now
                    self._trouble("cannot note what is acknowledged of", source, error)

    @property
    def behind_bytes(self) -> int:
        """Bytes held that are not acknowledged."""
        return sum(lane.sender.unacknowledged for lane in self.lanes.values())

    def snapshot(self, now: float) -> list[dict[str, Any]]:
        """How far behind each source is, the farthest first; ``behind_bytes`` is null while that is being asked."""
        found = [_behind(lane, now) for lane in self.lanes.values()]
        return sorted(found, key=lambda one: -1 if one["behind_bytes"] is None else one["behind_bytes"], reverse=True)

    def _look_at_folders(self) -> None:
        for folder in [*self.waiting]:
            try:
                locked = folder.lock()
            except OSError as error:
                self._once(f"cannot lock {folder.path}: {error.strerror}")
                continue
            if locked:
                self.waiting.remove(folder)
                self._locked.append(folder)
            else:
                self._once(f"another shipper works on {folder.path}, or it is gone; tried again")
        for folder in self._locked:
            if folder not in self._ended and folder.ended():
                self._ended.add(folder)
            try:
                programs = folder.programs()
            except OSError as error:
                self._once(f"cannot list {folder.path}: {error.strerror}")
                continue
            for program in programs:
                key = (folder.identity["incarnation"], program)
                if key not in self.lanes:
                    self.lanes[key] = Lane(SpoolSource(folder, program), Sender(self._origin(folder, program)))

    def _origin(self, folder: SpoolFolder, program: str) -> Origin:
        words = folder.identity
        own = words["host"] == self._host
        facts = {"host": words["host"], "container": self._container if own else words["host"]}
        if program in _KINDS:
            facts["kind"] = _KINDS[program]
        facts["created"] = words["created"]
        instance = self._instance if own or self._given else words["host"]
        return Origin(words["service"], instance, program, words["incarnation"], tuple(facts.items()))

    def _trouble(self, what: str, source: SpoolSource, error: OSError) -> None:
        self._once(f"{what} {source.folder.path / source.program}: {error.strerror}")

    def _once(self, text: str) -> None:
        if text not in self._told and len(self._told) < 1000:
            self._told.add(text)
            self._say("WARNING", "trouble", text=text)


def _behind(lane: Lane, now: float) -> dict[str, Any]:
    """``since``: when the oldest byte was found that waits; with ``at_least`` it was there before this process was."""
    sender, words = lane.sender, lane.source.folder.identity
    found: dict[str, Any] = {"program": lane.source.program, "incarnation": words["incarnation"]}
    known = lane.acked is not None or sender.state in (State.BETWEEN, State.CREATING, State.DRAINED)
    found["behind_bytes"] = sender.unacknowledged if known else None
    waiting = lane.age.waiting(sender.position) if found["behind_bytes"] else None
    if waiting is not None:
        found["since"] = stamp(time.time() - (now - waiting.since))
        if waiting.at_least:
            found["at_least"] = True
    return found
