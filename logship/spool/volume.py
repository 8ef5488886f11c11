"""Run: what all spool folders of a volume hold, and deleting from those that were left behind.

A volume is shared by the containers of a service, and a folder there stays when its container is removed, until
somebody ships it. Looking is done in small steps, a program's folder at a time, since programs wait for spool: it is
begun when a segment was finished here, at most every ``LOOK_SECONDS``.

From an orphan, whose ``alive`` nobody holds, is deleted under its locks alone, so never while somebody ships it, and
with the loss in its own ledger first. Its streams end where they ended: an empty segment stands for what is gone.

Left to others: deleting from one's own folder (``budget``), shipping orphans (``logship.ship``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from logship.spool import acked, streams
from logship.spool.layout import ALIVE, FOLDER_MODE, SEGMENT_MODE, parse_incarnation, segment_name
from logship.spool.lock import locked
from logship.spool.log import OWN
from logship.spool.losses import LossBook
from logship.spool.ranges import Segment, over_budget
from logship.spool.segment import listed

LOOK_SECONDS = 5.0
REASON = "over the volume's budget"


class Volume:
    """The volume that the folder ``own`` lies on; ``over``: bytes beyond ``bytes_max`` that no orphan could pay."""

    def __init__(self, own: Path, bytes_max: int, say: Callable[..., None]) -> None:
        self.over = 0
        self._own = own
        self._bytes_max = bytes_max
        self._say = say
        self._due: float | None = None
        self._looked_at = -LOOK_SECONDS
        self._looking: Generator[None] | None = None

    def grew(self) -> None:
        """A segment was finished here: it is to be looked at again."""
        if self._bytes_max and self._due is None:
            self._due = self._looked_at + LOOK_SECONDS

    def deadline(self) -> float | None:
        """When the next turn is due."""
        return self._due

    def turn(self, now: float) -> bool:
        """One small step of what is due; whether there is more to do at once. Never raises OSError."""
        if self._looking is None:
            if self._due is None or now < self._due:
                return False
            self._due, self._looked_at = None, now
            self._looking = self._look()
        try:
            next(self._looking)
        except StopIteration:
            self._looking = None
        except OSError as error:  # of the volume's own folder; the next segment tries again
            self._say("volume not looked at", reason=str(error.strerror))
            self._looking = None
        return self._looking is not None

    def close(self) -> None:
        """Stop looking; locks are given back."""
        if self._looking is not None:
            self._looking.close()
            self._looking = None

    def _look(self) -> Generator[None]:
        others = [folder for folder in incarnations(self._own.parent) if folder != self._own]
        held = dict.fromkeys([self._own, *others], 0)
        for folder in held:
            for name in _streams(folder):
                held[folder] += sum(segment.size for segment in listed(folder / name))
                yield
        for folder in others:
            if _over(held, self._bytes_max) <= 0:
                return
            with contextlib.suppress(OSError), orphan(folder) as lock:
                if lock:
                    for freed in self._trim(folder, _over(held, self._bytes_max)):
                        held[folder] -= freed
                        yield
        self.over = max(0, _over(held, self._bytes_max))

    def _trim(self, folder: Path, over: int) -> Iterator[int]:
        """Delete from an orphan, the first of what it can do without; how many bytes, again and again."""
        found: dict[str, list[Segment]] = {}
        book = LossBook(folder)
        before = over
        for name in _streams(folder):
            all_of_it = listed(folder / name)
            found[name] = acked.delete(folder / name, all_of_it)
            freed = sum(segment.size for segment in all_of_it) - sum(segment.size for segment in found[name])
            over -= freed
            yield freed
        held = sum(segment.size for segments in found.values() for segment in segments)
        lost = 0
        for name, segment in over_budget(found, held - over, last_too=True) if over > 0 else []:
            if segment == found[name][-1]:
                (folder / name / segment_name(segment.end)).touch(SEGMENT_MODE)
            lost += book.delete(name, segment, REASON)
            yield segment.size
        if lost:
            self._say(REASON, orphan=folder.name, lost_bytes=lost, over_bytes=before)


def incarnations(root: Path) -> list[Path]:
    """The spool folders in ``root``, the oldest first; those being made or removed have other names. Raises OSError."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if parse_incarnation(entry.name) and entry.is_dir()]
    return [root / name for name in sorted(names)]


@contextlib.contextmanager
def orphan(folder: Path) -> Iterator[bool]:
    """Whether nobody lives, writes or ships there; nobody does while this context lasts. Raises OSError."""
    alive = locked(folder / ALIVE, os.O_RDWR)
    writer = None
    try:
        if alive is not None:
            (folder / OWN).mkdir(FOLDER_MODE, exist_ok=True)
            writer = locked(folder / OWN, os.O_RDONLY | os.O_DIRECTORY)
        yield writer is not None
    finally:
        for descriptor in (writer, alive):
            if descriptor is not None:
                os.close(descriptor)


def _over(held: Mapping[Path, int], bytes_max: int) -> int:
    """By how many bytes the folders are over the budget, without those that have been removed meanwhile."""
    return sum(size for folder, size in held.items() if folder.exists()) - bytes_max


def _streams(folder: Path) -> list[str]:
    """The streams in a spool folder; none when it is gone."""
    with contextlib.suppress(FileNotFoundError):
        return [*streams.folders(folder), OWN]
    return []
