"""Run: the sources of all spool folders, given or adopted, each with its sender; looking at them again and again.

Left to others: what a look finds (``discover``), which folders are adopted (``adopter``), talking to the collector
(``run``).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from logship.ship.ahead import AnySource
from logship.ship.chain import Origin
from logship.ship.discover import SpoolSource
from logship.ship.folder import SpoolFolder
from logship.ship.held import Held
from logship.ship.lag import Age
from logship.ship.plain import PlainSender
from logship.ship.plain_states import PlainCommands
from logship.ship.sender import Sender
from logship.ship.states import Commands, State
from logship.ship.watch import Key as WatchKey
from logship.spool.instance import container_id, instance_name
from logship.spool.layout import stamp

FOLDER_SECONDS = 1.0
"""How often it is looked whether there are new programs, whether the incarnation is over, whether a lock is free."""
ACKED_SECONDS = 1.0
"""How often an acknowledgement is noted for spool; it deletes whole segments, so no hurry."""
_KINDS = {"haproxy": "haproxy", "serf": "serf", "supervisord": "supervisord", "supervise": "events"}

AnyCommands = Commands | PlainCommands


@dataclass(eq=False)
class Lane:
    """A source and its sender. ``acked`` is the offset to be noted for spool."""

    source: AnySource
    sender: Sender | PlainSender
    acked: int | None = None
    goal: int | None = None
    """Where the source ended when it was first seen."""
    age: Age = field(default_factory=Age)
    sent: int = 0
    """Bytes of it that were taken."""

    @property
    def adopted(self) -> bool:
        """Whether it is of a folder that another incarnation left behind."""
        return self.source.adopted

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others: the incarnation, or the file, and the program."""
        return self.sender.origin.incarnation, self.source.program

    def listed_in(self, incarnations: Collection[str]) -> bool:
        """Whether what it waits for is a list that another lane has asked for already."""
        return self.sender.state is State.LISTING and self.sender.origin.incarnation in incarnations

    @property
    def folder(self) -> SpoolFolder | None:
        """The spool folder it is of; None for a followed file."""
        return self.source.folder if isinstance(self.source, SpoolSource) else None


class Sources:
    """All lanes, found and kept up to date by ``look``."""

    def __init__(self, folders: Sequence[SpoolFolder], instance: str, say: Callable[..., None]) -> None:
        self.lanes: dict[tuple[str, str], Lane] = {}
        self.given = tuple(folders)
        self.waiting: list[SpoolFolder] = list(folders)  # for their lock
        self.host = socket.gethostname()
        self.speaks: type[Sender | PlainSender] = Sender
        self._locked: list[SpoolFolder] = []
        self._ended: set[SpoolFolder] = set()
        self._noted: set[SpoolFolder] = set()
        self._say = say
        self._told: set[str] = set()
        self._folders_at = 0.0
        self._container = container_id(self.host)
        self._given_instance = instance
        self._instance = instance
        if folders and not instance:
            self._instance = instance_name(self._container)

    def look(self, now: float, whole: bool = False) -> Iterator[tuple[Lane, Held]]:
        """The sources that changed since the last look; ``whole``: new ones among them that no look has found yet."""
        if whole or now >= self._folders_at:
            self._folders_at = now + FOLDER_SECONDS
            self._look_at_folders()
        for lane in self.lanes.values():
            try:
                held = lane.source.look(lane.folder in self._ended)
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
                    if lane.adopted:
                        source.delete_acked()  # nobody else would, and the volume may be full
                except OSError as error:
                    source.acked_at = now
                    self._trouble("cannot note what is acknowledged of", source, error)

    @property
    def behind_bytes(self) -> int:
        """Bytes held that are not acknowledged."""
        return sum(lane.sender.unacknowledged for lane in self.lanes.values())

    @property
    def watched(self) -> dict[WatchKey, str]:
        """Where it is heard of that they grow."""
        found = [(lane.key, lane.source.watched) for lane in self.lanes.values()]
        return {(key, *watched): watched[1] for key, watched in found if watched is not None}

    @property
    def own(self) -> list[Lane]:
        """The lanes of the folders given."""
        return [lane for lane in self.lanes.values() if not lane.adopted]

    def adopt(self, folder: SpoolFolder) -> list[Lane]:
        """Take in a folder whose locks are held. Raises OSError, then nothing is taken in."""
        programs = folder.programs()
        self._ended.add(folder)
        made = {program: Lane(SpoolSource(folder, program), self._sender(folder, program)) for program in programs}
        for program, lane in made.items():
            key = (folder.identity["incarnation"], program)
            assert key not in self.lanes, key
            self.lanes[key] = lane
        return [*made.values()]

    def drop(self, folder: SpoolFolder) -> None:
        """Forget an adopted folder of which no request is out."""
        for key, lane in [*self.lanes.items()]:
            if lane.folder is folder:
                assert not lane.sender.out, key
                lane.source.close()
                del self.lanes[key]
        self._ended.discard(folder)

    def renew(self, speaks: type[Sender | PlainSender], now: float, chance: float) -> list[tuple[Lane, AnyCommands]]:
        """Give every source a sender of this kind, from now on and for good. Nothing may be out."""
        self.speaks = speaks
        found: list[tuple[Lane, AnyCommands]] = []
        for lane in self.lanes.values():
            assert not lane.sender.out, lane.key
            former, lane.acked = lane.sender, None
            lane.sender = speaks(former.origin)
            found.append((lane, lane.sender.looked(former.held, now, chance)))
        return found

    def holds(self, incarnation: str) -> bool:
        """Whether a folder of this name was given, or is adopted."""
        given = any(folder.identity["incarnation"] == incarnation for folder in self.given)
        return given or any(name == incarnation for name, _ in self.lanes)

    def once(self, text: str) -> None:
        """Say a trouble that may be met again and again."""
        if text not in self._told and len(self._told) < 1000:
            self._told.add(text)
            self._say("WARNING", "trouble", text=text)

    def snapshot(self, now: float) -> list[dict[str, Any]]:
        """How far behind each source is, the farthest first; ``behind_bytes`` is null while that is being asked."""
        found = [_behind(lane, now) for lane in self.lanes.values()]
        return sorted(found, key=lambda one: -1 if one["behind_bytes"] is None else one["behind_bytes"], reverse=True)

    def _look_at_folders(self) -> None:
        for folder in [*self.waiting]:
            try:
                locked = folder.lock()
            except OSError as error:
                self.once(f"cannot lock {folder.path}: {error.strerror}")
                continue
            if locked:
                self.waiting.remove(folder)
                self._locked.append(folder)
            else:
                self.once(f"another shipper works on {folder.path}, or it is gone; tried again")
        for folder in self._locked:
            self._note_instance(folder)
            if folder not in self._ended and folder.ended():
                self._ended.add(folder)
            try:
                programs = folder.programs()
            except OSError as error:
                self.once(f"cannot list {folder.path}: {error.strerror}")
                continue
            for program in programs:
                key = (folder.identity["incarnation"], program)
                if key not in self.lanes:
                    self.lanes[key] = Lane(SpoolSource(folder, program), self._sender(folder, program))

    def _sender(self, folder: SpoolFolder, program: str) -> Sender | PlainSender:
        words = folder.identity
        instance, container = self._named(folder)
        facts = {"host": words["host"], "container": container}
        if program in _KINDS:
            facts["kind"] = _KINDS[program]
        facts["created"] = words["created"]
        return self.speaks(Origin(words["service"], instance, program, words["incarnation"], tuple(facts.items())))

    def _named(self, folder: SpoolFolder) -> tuple[str, str]:
        """Instance and container in the paths and sources of the folder's streams.

        This container knows its own; of another one's folder only its own ship could tell, and noted it there.
        """
        host = folder.identity["host"]
        own = host == self.host
        noted = folder.instance()
        if folder.adopted or not (own or self._given_instance):
            return noted or ((self._instance or host, self._container) if own else (host, host))
        return self._instance, self._container if own else noted[1] if noted else host

    def _note_instance(self, folder: SpoolFolder) -> None:
        """Whoever adopts the folder has to know it when this container is gone."""
        if folder in self._noted:
            return
        try:
            folder.note_instance(*self._named(folder))
            self._noted.add(folder)
        except OSError as error:
            self.once(f"cannot note the instance in {folder.path}: {error.strerror}")

    def _trouble(self, what: str, source: AnySource, error: OSError) -> None:
        self.once(f"{what} {source.name}: {error.strerror}")


def _behind(lane: Lane, now: float) -> dict[str, Any]:
    """``since``: when the oldest byte was found that waits; with ``at_least`` it was there before this process was."""
    sender = lane.sender
    found: dict[str, Any] = {"program": lane.source.program, "incarnation": sender.origin.incarnation}
    found["behind_bytes"] = sender.unacknowledged if lane.acked is not None or sender.certain else None
    if isinstance(sender, PlainSender):
        found["lost_bytes"] = sender.lost_bytes
    waiting = lane.age.waiting(sender.position) if found["behind_bytes"] else None
    if waiting is not None:
        found["since"] = stamp(time.time() - (now - waiting.since))
        if waiting.at_least:
            found["at_least"] = True
    return found
