"""Edge: patterns -> the files they name, and the numbered and dated files that rotation made of those.

``/var/log/x.log`` stands for ``x.log.1``, ``x.log.2`` ... and ``x.log-20261123`` too: that is where its bytes are after
a rotation. Compressed files are left out: their bytes were shipped before, or cannot be told apart from others'.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_ROTATED = re.compile(r"[.-]\d[\d.-]{0,31}")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z")
_NUMBER = re.compile(r"\.(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Place:
    """A path. ``family`` is the path of the file that was rotated, else its own; links are resolved."""

    path: str
    family: str
    rotated: bool


class Globs:
    """The patterns. ``trouble`` is told what cannot be looked at, each time."""

    def __init__(self, patterns: Sequence[str], trouble: Callable[[str], None]) -> None:
        self._patterns = tuple(dict.fromkeys(patterns))
        self._trouble = trouble

    def look(self) -> list[Place]:
        """All paths there are now, the rotated ones of a family before it, the oldest first."""
        named: dict[str, None] = {}
        for pattern in self._patterns:
            for path in glob.glob(pattern, recursive=True):  # noqa: PTH207  # patterns are absolute
                if path.endswith(_COMPRESSED):
                    self._trouble(f"{path} is compressed: not followed")
                else:
                    named[path] = None
        found: dict[str, Place] = {}
        for path in self._patterns:
            if path not in named and not glob.has_magic(path):  # between two steps of a rotation
                family = os.path.realpath(path)
                found |= {each: Place(each, family, True) for each in self._rotated(family)}
        for path in sorted(named, key=lambda path: (len(path), path)):  # x.log before x.log.1, which is of its family
            family = os.path.realpath(path)
            if path not in found:
                for each in self._rotated(family):
                    found.setdefault(each, Place(each, family, True))
                found[path] = Place(path, family, False)
        return [*found.values()]

    def _rotated(self, family: str) -> list[str]:
        folder, base = os.path.split(family)
        try:
            names = os.listdir(folder)  # noqa: PTH208  # a list of text is what is wanted
        except OSError as error:
            self._trouble(f"cannot list {folder}: {error.strerror}")
            return []
        found = [name for name in names if name.startswith(base) and _ROTATED.fullmatch(name[len(base) :])]
        return [f"{folder}/{name}" for name in sorted(found, key=lambda name: _age(name[len(base) :]))]


def _age(suffix: str) -> tuple[int, int, str]:
    """Sorts the oldest first: dates rise, numbers fall."""
    number = _NUMBER.fullmatch(suffix)
    return (1, -int(number[1]), "") if number and len(number[1]) < 6 else (0, 0, suffix)
