"""Core: the damaged places that reads have met: each is news once, and is known while its segment is kept.

Left to others: finding them (``chunks``), telling them (``run``, ``lists``), looking for all there are (``fsck``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PLACES_MAX = 1000
"""Places that are remembered, and so told; whoever has more needs ``logship fsck``, which knows them all."""
PLACES_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes of a stream, from ``start`` up to ``end``, that are not what was written, or cannot be read.

    ``lsn`` is where the journal is broken, ``where`` the same as segment and byte, for people.
    """

    stream: str
    start: int
    end: int
    lsn: int
    where: str
    reason: str

    def record(self) -> dict[str, Any]:
        """As ``/v1/health`` and the log have it."""
        return {
            "stream": self.stream, "start": self.start, "end": self.end, "lsn": self.lsn, "where": self.where,
            "reason": self.reason,
        }  # fmt: skip

    def text(self) -> str:
        """For people: what cannot be read, where it lies, why, what to do."""
        what = f"bytes {self.start} to {self.end} of {self.stream} are damaged: {self.where}: {self.reason}"
        return f"{what}; read on at {self.end} (`logship fsck` finds all damage of the store)"


class Damages:
    """What has been met since the process began. ``tell`` is called once a place, with the first that meets it."""

    def __init__(self, tell: Callable[[Place], None]) -> None:
        self._tell = tell
        self._places: dict[tuple[str, int, int], Place] = {}

    def note(self, place: Place) -> None:
        """A read met this place. One that has no room any more is not told: it would be told at every read."""
        key = place.stream, place.lsn, place.start
        if key not in self._places and len(self._places) < PLACES_MAX:
            self._places[key] = place
            self._tell(place)

    def health(self, first_lsn: int) -> dict[str, object]:
        """The fields of ``/v1/health``: what is known of segments from ``first_lsn`` on; the others are deleted."""
        self._places = {key: place for key, place in self._places.items() if place.lsn >= first_lsn}
        places = list(self._places.values())
        return {
            "damaged_places": len(places),
            "damaged_bytes": sum(place.end - place.start for place in places),
            "damage": [place.record() for place in places[:PLACES_SHOWN_MAX]],
        }
