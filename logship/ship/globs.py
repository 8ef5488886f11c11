"""Edge: patterns -> the files they name, and the numbered and dated files that rotation made of those.

``/var/log/x.log`` stands for ``x.log.1``, ``x.log.2`` ... and ``x.log-20261123`` too: that is where its bytes are after
a rotation. Compressed files are left out: their bytes were shipped before; else they are looked into (``vanished``).

While no folder changed, which its own time of change says, all names are as they were and are not read again. That is a
hint: it is not taken of a folder that changed a moment ago, since clocks are coarse, nor for long.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logship.ship.packed import READABLE

_ROTATED = re.compile(r"[.-]\d[\d.-]{0,31}")
_SUFFIX = re.compile(r"[.-]\d[\d.-]{0,31}$")
COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")
_NUMBER = re.compile(r"\.(\d{1,9})")
KEPT_SECONDS = 10.0
"""Names are read again after so long at the latest."""
SETTLED_SECONDS = 2.0
"""A folder's time of change tells the next one for sure when it is so old: two may fall into one tick of its clock."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path. ``family`` is the path of the file that was rotated, else its own; links are resolved."""

    path: str
    family: str
    rotated: bool


@dataclass(frozen=True, slots=True)
class _Names:
    """What is in a folder: its own path, all names, which are links, what rotation may have made of each."""

    real: str
    names: list[str]
    links: set[str]
    by_base: dict[str, list[str]]


class _Stamp(NamedTuple):
    """What tells that nothing was made, renamed or removed in a folder; None: it is not there."""

    device: int
    inode: int
    changed_ns: int


class Globs:
    """The patterns. ``trouble`` is told what cannot be looked at, each time."""

    def __init__(
        self, patterns: Sequence[str], trouble: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patterns = tuple(dict.fromkeys(patterns))
        self._trouble = trouble
        self._clock = clock
        self._folders: dict[str, _Names] = {}  # of the last look
        self._stamps: dict[str, _Stamp | None] = {}  # of those, before they were read
        self._kept: list[Place] = []
        self._kept_until = 0.0
        self._certain = not any(glob.has_magic(each.rpartition("/")[0]) or "**" in each for each in self._patterns)

    def look(self) -> list[Place]:
        """All paths there are now, the rotated ones of a family before it, the oldest first."""
        if self._clock() < self._kept_until and all(_stamp(each) == stamp for each, stamp in self._stamps.items()):
            return self._kept
        now, begun_ns = self._clock(), time.time_ns()
        self._folders, self._stamps = {}, {}
        self._kept = self._all()
        last = max((stamp.changed_ns for stamp in self._stamps.values() if stamp is not None), default=0)
        settled = self._certain and last < begun_ns - SETTLED_SECONDS * 1e9
        self._kept_until = now + KEPT_SECONDS if settled else 0.0
        return self._kept

    def _all(self) -> list[Place]:
        named: dict[str, None] = {}
        for pattern in self._patterns:
            for path in self._matching(pattern):
                if path.endswith(COMPRESSED):
                    self._trouble(f"{path} is compressed: not followed")
                else:
                    named[path] = None
        found: dict[str, Place] = {}
        for path in self._gone(named):  # between two steps of a rotation, or its writer has nothing to say since
            family = self._family(path)
            found |= {each: Place(each, family, True) for each in self._rotated(family)}
        for path in sorted(named, key=lambda path: (len(path), path)):  # x.log before x.log.1, which is of its family
            if path not in found:
                family = self._family(path)
                for each in self._rotated(family):
                    found.setdefault(each, Place(each, family, True))
                found[path] = Place(path, family, False)
        return [*found.values()]

    def family_of(self, path: str) -> str | None:
        """The path of the file that one at this path is, or was rotated from; None where no pattern leads to it."""
        folder, base = os.path.split(path)
        names = [base, *(base[:at] for at in range(len(base)) if _ROTATED.fullmatch(base, at))]
        for name in names:
            wanted = f"{folder}/{name}"
            if any(wanted == each or fnmatch.fnmatchcase(wanted, each) for each in self._patterns):
                return wanted
        return None

    def packed(self, family: str) -> list[str]:
        """Compressed files that were made of the file, or of what rotation made of it."""
        folder, base = os.path.split(family)
        found = []
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder)):  # noqa: PTH208  # a list of text is what is wanted
                stem, ending = os.path.splitext(name)  # noqa: PTH122  # of text
                rotated = stem == base or (stem.startswith(base) and _ROTATED.fullmatch(stem, len(base)))
                if rotated and ending in READABLE:
                    found.append(f"{folder}/{name}")
        return found

    def _gone(self, named: Collection[str]) -> list[str]:
        """The paths that patterns name, where there is only what rotation made of the file."""
        found = [pattern for pattern in self._patterns if not glob.has_magic(pattern)]
        for pattern in filter(glob.has_magic, self._patterns):
            for path in self._matching(f"{pattern}[.-][0-9]*"):
                stem = _SUFFIX.sub("", path)
                if stem != path and path not in named:
                    found.append(stem)
        return [path for path in dict.fromkeys(found) if path not in named]

    def _matching(self, pattern: str) -> list[str]:
        """The paths that a pattern names. What is in a folder is read once a look, and the names that match picked."""
        folder, _, last = pattern.rpartition("/")
        if glob.has_magic(folder) or "**" in last or not glob.has_magic(last):
            return glob.glob(pattern, recursive=True)  # noqa: PTH207  # patterns are absolute
        found = fnmatch.filter(self._names(folder).names, last)
        return [f"{folder}/{name}" for name in found if name[0] != "." or last[0] == "."]

    def _family(self, path: str) -> str:
        """The path without links."""
        folder, _, base = path.rpartition("/")
        names = self._names(folder)
        return os.path.realpath(path) if base in names.links else f"{names.real}/{base}"

    def _rotated(self, family: str) -> list[str]:
        """What rotation made of the file, the oldest first."""
        folder, _, base = family.rpartition("/")
        found = self._names(folder).by_base.get(base)
        if not found:
            return []
        return [f"{folder}/{name}" for name in sorted(found, key=lambda name: _age(name[len(base) :]))]

    def _names(self, folder: str) -> _Names:
        if folder not in self._folders:
            self._stamps[folder] = _stamp(folder)
            self._folders[folder] = self._listed(folder)
        return self._folders[folder]

    def _listed(self, folder: str) -> _Names:
        found = _Names(os.path.realpath(folder or "/").rstrip("/"), [], set(), {})
        try:
            with os.scandir(folder or "/") as entries:
                for entry in entries:
                    name = entry.name
                    found.names.append(name)
                    if entry.is_symlink():
                        found.links.add(name)
                    for place in range(len(name.rstrip("0123456789.-")), len(name) - 1):
                        if _ROTATED.fullmatch(name, place):
                            found.by_base.setdefault(name[:place], []).append(name)
        except FileNotFoundError:  # nor is anything in it
            pass
        except OSError as error:
            self._trouble(f"cannot list {folder}: {error.strerror}")
        return found


def _stamp(folder: str) -> _Stamp | None:
    with contextlib.suppress(OSError):
        facts = os.stat(folder or "/")  # noqa: PTH116  # paths are text here
        return _Stamp(facts.st_dev, facts.st_ino, max(facts.st_mtime_ns, facts.st_ctime_ns))
    return None


def _age(suffix: str) -> tuple[int, int, str]:
    """Sorts the oldest first: dates rise, numbers fall."""
    number = _NUMBER.fullmatch(suffix)
    return (1, -int(number[1]), "") if number and len(number[1]) < 6 else (0, 0, suffix)
