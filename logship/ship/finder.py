"""Run: finding the files that patterns name, and opening them as far as there is room; where they are by now.

Files that wait are opened in the order in which they came.

Left to others: patterns (``globs``), opening one (``opening``), which of a family is what (``families``), making room
(``files``).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice

from logship.ship.copies import Found, Key
from logship.ship.families import Families, source_of
from logship.ship.globs import Globs, Place
from logship.ship.identity import Known
from logship.ship.opening import Opener
from logship.ship.room import files_max


class Finder:
    """Of all patterns. ``again`` is told of a file at rest that is opened again, and which it is at the collector."""

    def __init__(
        self, families: Families, trouble: Callable[[str], None], again: Callable[[Key, Found, Known], None]
    ) -> None:
        self.patterns: tuple[str, ...] = ()
        self.globs: Globs | None = None  # there never was a pattern
        self._families = families
        self._trouble = trouble
        self._again = again
        self._opener = Opener(trouble)
        self._files_max = 0
        self._asking: dict[Key, Place] = {}  # they are to be opened when there is room, the first one first
        self.rotated: set[str] = set()  # families of which there is more than the file written to
        self._left = False  # patterns were taken away, and nobody looked since

    def follow(self, patterns: Sequence[str]) -> None:
        """These are the patterns from now on."""
        self.patterns = tuple(dict.fromkeys(patterns))
        self.globs = Globs(self.patterns, self._trouble) if self.patterns or self.globs else None
        self._files_max = self._files_max or (files_max() if patterns else 0)
        self._left = True

    @property
    def waits(self) -> int:
        """So many files wait to be opened."""
        return len(self._asking)

    @property
    def waiting(self) -> Collection[Key]:
        """Those."""
        return self._asking.keys()

    def look(self) -> None:
        """Find what is new, and where the others are by now."""
        assert self.globs is not None
        seen: dict[Key, Place] = {}
        asking: dict[Key, Place] = {}
        self.rotated = rotated = set()
        for place in self.globs.look():
            try:
                facts = os.stat(place.path)  # noqa: PTH116  # text paths, many, several times a second
            except FileNotFoundError:
                continue
            except OSError as error:
                self._trouble(f"cannot look at {place.path}: {error.strerror}")
                continue
            key = facts.st_dev, facts.st_ino
            if key not in seen or (seen[key].rotated and not place.rotated):
                seen[key] = place
            if place.rotated:
                rotated.add(place.family)
            if self._is_new(key, facts, place, place.family in rotated):
                asking[key] = place
        self._asking = {key: asking[key] for key in self._asking if key in asking}
        self._open(asking)
        self._named(seen)

    def open_waiting(self) -> None:
        """Open those that wait, as far as there is room now."""
        self._open({})

    def closed(self, key: Key) -> None:
        """The file is not open any more."""
        self._opener.closed(key)

    def _open(self, more: Mapping[Key, Place]) -> None:
        """Open those that ask for it, the first ones first, as far as there is room."""
        self._asking |= more
        room = self._files_max - len(self._families.lanes) - len(self._families.found)
        for key in [*islice(self._asking, max(0, room))]:
            self._open_one(key, self._asking.pop(key))
        if self._asking:
            self._trouble(f"{self._files_max} files are open; others wait until one of them is stored and quiet")

    def _named(self, seen: Mapping[Key, Place]) -> None:
        """Where the files are now."""
        live = {place.family for place in seen.values() if not place.rotated}
        for key, lane in self._families.lanes.items():
            source, at = source_of(lane), seen.get(key)
            if at is not None:
                source.path, self._families.of[lane] = at.path, at.family
                source.left = False
            elif self._left and _is_at(source.path, key):
                source.left = True
            source.named = at is not None and (not at.rotated or at.family not in live)
        found = self._families.found
        for key in [key for key, each in found.items() if key not in seen and (each.copy or self._left)]:
            found.pop(key).file.close()
            self._opener.closed(key)
        self._left = False
        self._families.resting.keep(seen)
        self._families.look(seen)

    def _is_new(self, key: Key, facts: os.stat_result, place: Place, in_family: bool) -> bool:
        """Whether it is to be opened. An empty one is only where others of its family may be copies of what it had."""
        if key in self._families.lanes or key in self._families.found or key in self._opener.own:
            return False
        if not stat.S_ISREG(facts.st_mode):
            self._trouble(f"{place.path} is no regular file: not followed")
            return False
        rest = self._families.resting.get(key)
        if rest is None:
            return facts.st_size > 0 or (in_family and not place.rotated)
        return not rest.is_as_it_was(facts.st_size, facts.st_mtime_ns, place)

    def _open_one(self, key: Key, place: Place) -> None:
        file = self._opener.open(key, place.path)
        if file is None:
            return
        self._families.found[key] = Found(file, place)
        rest = self._families.resting.pop(key)
        sure = rest is not None and rest.evidence == file.evidence and not self._families.resting.doubted
        if sure and rest is not None and rest.known is not None:
            self._again(key, self._families.found.pop(key), rest.known)


def _is_at(path: str, key: Key) -> bool:
    """Whether this very file is still there."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)  # noqa: PTH116
        return (facts.st_dev, facts.st_ino) == key
    return False
