"""Core: SHA-256 of a stream's bytes, a step of offsets at a time and of all of them, over what is there.

A hole is a range that nobody can give; the digest of a step that has some is that of the bytes around them, so whoever
holds the same bytes leaves the same ranges out. Left to others: reading (``extents``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DAMAGED = "damage"
NOT_KEPT = "not kept"
UNREADABLE = "unreadable"
"""They are there, for all that is known, and here they cannot be read: in the lake, without what reads it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a stream."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes from ``start`` to ``end`` that cannot be given, and why. An empty one is a break in the order."""

    start: int
    end: int
    what: str
    text: str

    def fields(self) -> dict[str, Any]:
        """As the API says it."""
        return {"from": self.start, "to": self.end, "what": self.what, "text": self.text}


class Digests:
    """Takes pieces and holes that follow on each other from ``start`` on; gives a record a step of ``step`` bytes."""

    def __init__(self, start: int, step: int) -> None:
        self._start = self._position = start
        self._step = step
        self._all = hashlib.sha256()
        self._bytes = 0
        self._damaged_bytes = self._damages = 0
        self._missing = {NOT_KEPT: 0, UNREADABLE: 0}
        self._begin()

    def feed_all(self, parts: Iterable[Piece | Hole]) -> list[dict[str, Any]]:
        """The same of several."""
        return [record for one in parts for record in self.feed(one)]

    def feed(self, one: Piece | Hole) -> list[dict[str, Any]]:
        """The records of the steps that are over with it."""
        found: list[dict[str, Any]] = []
        if isinstance(one, Hole):
            self._damages += one.what == DAMAGED
            if one.what == DAMAGED:
                self._damaged_bytes += one.end - one.start
            else:
                self._missing[one.what] += one.end - one.start
            if one.start == one.end:
                self._holes.append(one)
        start, end = (one.offset, one.offset + len(one.data)) if isinstance(one, Piece) else (one.start, one.end)
        assert start == self._position, "what is digested follows on each other"
        while self._position < end:
            until = min(end, self._step_end)
            if isinstance(one, Piece):
                data = memoryview(one.data)[self._position - start : until - start]
                self._digest.update(data)
                self._all.update(data)
                self._step_bytes += len(data)
            else:
                self._holes.append(Hole(self._position, until, one.what, one.text))
            self._position = until
            if until == self._step_end:
                found.append(self._record())
        return found

    def finish(self) -> list[dict[str, Any]]:
        """The last step, where it is a shorter one, and the digest of it all."""
        found = [self._record()] if self._position > self._from or self._holes else []
        total = {
            "type": "total", "from": self._start, "to": self._position, "bytes": self._bytes,
            "sha256": self._all.hexdigest(), "damages": self._damages, "damaged_bytes": self._damaged_bytes,
            "not_kept_bytes": self._missing[NOT_KEPT], "unreadable_bytes": self._missing[UNREADABLE],
        }  # fmt: skip
        return [*found, total]

    def _begin(self) -> None:
        self._from = self._position
        self._step_end = self._position + self._step
        self._digest = hashlib.sha256()
        self._step_bytes = 0
        self._holes: list[Hole] = []

    def _record(self) -> dict[str, Any]:
        record = {
            "type": "digest", "from": self._from, "to": self._position, "bytes": self._step_bytes,
            "sha256": self._digest.hexdigest(), "holes": [hole.fields() for hole in self._holes],
        }  # fmt: skip
        self._bytes += self._step_bytes
        self._begin()
        return record
