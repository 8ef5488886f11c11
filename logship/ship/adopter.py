"""Run: orphans, spool folders whose PID 1 is gone, shipped to their end, their streams closed, and removed.

At each turn the adopted folders are looked over, and every few seconds the places where others may lie. Nothing is kept
that the folders and the collector would not say again: an adopter that is killed at any instant leaves locks that are
free, streams that say where they end, and at most a folder that is called gone and is so.

Left to others: where folders lie (``places``), whose turn it is (``adoption``), their bytes (``sources``, ``run``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from logship.errors import Fault
from logship.ship.adoption import ADOPTED_MAX, AWAY_SECONDS, Orphan, Progress, Queue
from logship.ship.folder import SpoolFolder
from logship.ship.places import Places
from logship.ship.sources import Lane, Sources

LOOK_SECONDS = 2.0
LOOK_AT_ONCE_SECONDS = 0.2


@dataclass(eq=False)
class Adopted:
    """A folder whose locks are held, and its lanes."""

    folder: SpoolFolder
    lanes: Sequence[Lane]
    progress: Progress


class Adopter:
    """Adopts from ``folders``; ``at_once``: without waiting for those who are nearer."""

    def __init__(
        self,
        folders: Sequence[Path],
        sources: Sources,
        say: Callable[..., None],
        forget: Callable[[Lane], None],
        at_once: bool = False,
    ) -> None:
        self.removed = 0
        self.kept: dict[str, str] = {}  # by path: why it could not be shipped, or removed
        self._sources = sources
        self._say = say
        self._forget = forget
        self._places = Places(folders, sources.once)
        service = sources.given[0].identity["service"] if sources.given else ""
        self._queue = Queue(service, sources.host, at_once)
        self._seen: dict[PurePath, SpoolFolder] = {}
        self._adopted: list[Adopted] = []
        self._look_seconds = LOOK_AT_ONCE_SECONDS if at_once else LOOK_SECONDS
        self._look_at = 0.0
        self._looked = not folders
        self._idle = not folders
        self._calm_at = 0.0

    @property
    def done(self) -> bool:
        """Whether there was nothing left to adopt or to wait for at the last look."""
        return self._looked and not self._adopted and not self._queue.waiting

    @property
    def names(self) -> list[str]:
        """The folders that are adopted, or wait to be."""
        return [*(str(each.folder.path) for each in self._adopted), *map(str, self._seen)]

    def turn(self, now: float, chance: float, calm: bool) -> None:
        """Look after all of it. ``calm``: as far as is known, the collector answers.

        While it does not, whoever has lines of its own to find out with adopts nothing, and after a while gives back
        what it has: only what nobody holds can be trimmed when the volume is full.
        """
        if self._idle:
            return
        if calm:
            self._calm_at = now
        for each in [*self._adopted]:
            self._review(each, now, calm)
        if now >= self._look_at:
            self._look(now, chance)
        if calm or not self._sources.given:
            for path in self._queue.due(now, ADOPTED_MAX - len(self._adopted)):
                self._adopt(path, now)

    def _look(self, now: float, chance: float) -> None:
        mine = [*self._sources.given, *(each.folder for each in self._adopted)]
        skip = {*(folder.path for folder in mine), *self._queue.aside(now)}
        found = self._places.look(skip)
        self._seen = {path: folder for path in found if (folder := self._folder(path)) is not None}
        seen = self._seen.items()
        orphans = [Orphan(path, folder.identity["service"], folder.identity["host"]) for path, folder in seen]
        self._queue.saw(orphans, now, chance)
        self.kept = {path: why for path, why in self.kept.items() if Path(path).exists()}
        self._look_at, self._looked = now + self._look_seconds, True

    def _folder(self, path: Path) -> SpoolFolder | None:
        """The folder, if it is one; one that says it is another, a copy somebody made, is left alone."""
        try:
            folder = self._seen.get(path) or SpoolFolder(path)
        except Fault as fault:
            if path.exists():
                self._sources.once(f"cannot adopt {path}: {fault.cause}")
            return None
        if folder.identity["incarnation"] != path.name or self._sources.holds(path.name):
            self._sources.once(f"cannot adopt {path}: it is a copy of another folder; give one of them another place")
            return None
        return folder

    def _adopt(self, path: PurePath, now: float) -> None:
        folder = self._seen[path]
        if self._sources.holds(folder.identity["incarnation"]):
            self._queue.busy(path, now)  # two copies were seen at once: the next look tells
            return
        try:
            if not folder.adopt():
                self._queue.busy(path, now)
                return
            lanes = self._sources.adopt(folder)
        except OSError as error:
            folder.release()
            self._set_aside(folder, f"cannot adopt it: {error.strerror}", now)
            return
        self._queue.taken(path)
        del self._seen[path]
        self._adopted.append(Adopted(folder, lanes, Progress(now)))
        self._say("INFO", "adopted", **_words(folder))

    def _review(self, each: Adopted, now: float, calm: bool) -> None:
        """One adopted folder: finished, given back, or to be gone on with."""
        if any(lane.sender.out for lane in each.lanes):
            return
        left = [lane.sender for lane in each.lanes if not lane.sender.finished]
        if not left:
            self._remove(each, now)
        elif all(sender.parked for sender in left):
            self._leave(each)
            self._set_aside(each.folder, left[0].trouble, now)
        elif each.progress.stalled(len(left), sum(sender.unacknowledged for sender in left), calm, now):
            self._leave(each)
            longest = max(left, key=lambda sender: sender.unacknowledged)
            self._set_aside(each.folder, f"{longest.origin.program} does not come along", now)
        elif self._sources.given and now - self._calm_at > AWAY_SECONDS:
            self._leave(each)

    def _remove(self, each: Adopted, now: float) -> None:
        folder, sent = each.folder, sum(lane.sent for lane in each.lanes)
        self._close(each)
        try:
            folder.remove()
        except OSError as error:
            self._set_aside(folder, f"all of it is shipped, but it cannot be removed: {error.strerror}", now)
            return
        finally:
            folder.release()
        self.removed += 1
        self._say("INFO", "orphan removed", **_words(folder), sent_bytes=sent)

    def _leave(self, each: Adopted) -> None:
        """Let others, or a later time, have it."""
        self._close(each)
        each.folder.release()

    def _close(self, each: Adopted) -> None:
        self._adopted.remove(each)
        self._sources.drop(each.folder)
        for lane in each.lanes:
            self._forget(lane)

    def _set_aside(self, folder: SpoolFolder, why: str, now: float) -> None:
        """Keep it, say so once, and try again later."""
        self._queue.set_aside(folder.path, now)
        self._seen.pop(folder.path, None)
        if self.kept.get(str(folder.path)) != why:
            self.kept[str(folder.path)] = why
            self._say("WARNING", "orphan kept", **_words(folder), text=why)


def _words(folder: SpoolFolder) -> dict[str, str]:
    return {name: folder.identity[name] for name in ("incarnation", "service", "host")}
