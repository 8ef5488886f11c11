"""Run: which stream each found file is, among those of its family; and which of a family goes first.

A rotated file that is younger than the one that is written to is a copy (copytruncate). What it holds was shipped from
the original, so it is left alone, until the original is found emptied: then the copy that holds what is stored goes on
with the original's stream, and copies younger than that one, which nobody has read, are files of their own. Where
nothing of the original is stored, what it begins with says whether it was emptied. What is older goes first: the name
that a file gets sorts it.

Left to others: finding files, following them (``files``), what copies hold (``copies``), evidence (``identity``).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from logship.ship.copies import Found, Key, begins_with, copies_of, younger
from logship.ship.followed import FileSource
from logship.ship.globs import Place
from logship.ship.held import Held
from logship.ship.identity import Evidence, Known, candidate, new_id
from logship.ship.plain import PlainSender
from logship.ship.resting import Resting
from logship.ship.sources import Lane


class Families:
    """All files that are open: followed ones (``lanes``, with the family of each) and others (``found``)."""

    def __init__(self, host: str) -> None:
        self.lanes: dict[Key, Lane] = {}
        self.of: dict[Lane, str] = {}
        self.found: dict[Key, Found] = {}
        self.resting = Resting()
        self._unknown: set[Key] = set()  # files of which nothing was stored when they were found
        self._host = host

    @property
    def waiting(self) -> dict[Key, Found]:
        """Files that are to be followed, as soon as it is known what is stored of them."""
        return {key: found for key, found in self.found.items() if not found.copy}

    def assign(self, known: Mapping[str, Known], now_ns: int) -> dict[Key, Known]:
        """Which stream each waiting file is, of those that the collector knows, or a new one; copies are marked."""
        waiting = self.waiting
        taken = {*(lane.sender.origin.incarnation for lane in self.lanes.values()), *self.resting.ids()}
        fitting: dict[Key, Known] = {}
        for key, found in waiting.items():
            fits = candidate(found.file.evidence, known, taken)
            if fits is not None:
                taken.add(fits.id)
                if fits.begun or not self._has_younger(found):
                    fitting[key] = fits
        originals = dict(self.resting.originals())
        originals |= {
            self.of[lane]: source_of(lane).evidence
            for key, lane in self.lanes.items()
            if self._is_live(lane) and not self._never_had(key, lane)
        }
        unknown: dict[str, Found] = {}  # originals of which nothing is stored
        for key, found in waiting.items():
            if not found.place.rotated and key in fitting:
                originals[found.place.family] = found.file.evidence
            elif not found.place.rotated:
                unknown[found.place.family] = found
        for key, found in waiting.items():
            if key not in fitting and _is_copy(found, originals, unknown):
                found.copy = True
            elif key not in fitting:
                fitting[key] = self._new(found, {*taken, *known}, now_ns)
                taken.add(fitting[key].id)
        for key, fits in fitting.items():
            (self._unknown.discard if fits.links else self._unknown.add)(key)
        return fitting

    def turns(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Those of ``lanes`` whose turn it may be: of each family the oldest that is not through."""
        if not self.lanes:
            return list(lanes)
        first: dict[str, Lane] = {}
        for lane, family in self.of.items():
            before = first.get(family)
            if before is not None and before.sender.origin.incarnation < lane.sender.origin.incarnation:
                continue
            if not lane.sender.settled and not lane.sender.parked:
                first[family] = lane
        return [lane for lane in lanes if lane not in self.of or first.get(self.of[lane]) is lane]

    def evidence(self) -> Iterator[Evidence]:
        """Of all files there are."""
        yield from (source_of(lane).evidence for lane in self.lanes.values())
        yield from (found.file.evidence for found in self.found.values())
        yield from self.resting.evidence()

    def copies(self, lane: Lane) -> list[tuple[Key, Found]]:
        """What may be copies of its file, the youngest first."""
        return copies_of(source_of(lane).evidence, self.of[lane], self.found)

    def go_on_with(self, lane: Lane, key: Key, found: Found, lost: int) -> Held | None:
        """The lane's file was emptied, and its copy goes on in its place; the file itself is another one now."""
        source = source_of(lane)
        del self.found[key]
        emptied_at = Place(source.path, self.of[lane], not source.named)
        old = next(old for old, each in self.lanes.items() if each is lane)
        del self.lanes[old]
        self.lanes[key] = lane
        emptied = source.go_on_with(found.file, found.place.path, lane.sender.gone)
        self.found[old] = Found(emptied, emptied_at, fresh=True, gone=lost)
        held = source.look()
        lane.goal = held.end if held is not None else 0
        return held

    def settle(self, lane: Lane) -> None:
        """What is stored is what the original holds: so copies there are now hold nothing else.

        Of a lane that went on in a copy that says nothing: younger ones hold what the original had after it.
        """
        if not self._is_live(lane):
            return
        family = self.of[lane]
        for found in self.found.values():
            if found.copy and found.place.family == family:
                found.settled = True

    def _new(self, found: Found, taken: Collection[str], now_ns: int) -> Known:
        name = new_id(self._host, found.file.evidence, now_ns, taken, self._has_younger(found))
        return Known(name, found.file.evidence)

    def _is_live(self, lane: Lane) -> bool:
        source = source_of(lane)
        return source.named and os.path.realpath(source.path) == self.of[lane]

    def _never_had(self, key: Key, lane: Lane) -> bool:
        """Whether nobody has seen or stored a byte of the file: what copies of it hold was not read from it."""
        source = source_of(lane)
        return key in self._unknown and not source.size and not source.gone

    def _has_younger(self, found: Found) -> bool:
        """Whether rotated files are younger than the one written to: what they hold is older, and goes first."""
        if found.place.rotated:
            return False
        family, lanes = found.place.family, self.lanes.values()
        others = [source_of(each).evidence for each in lanes if self.of[each] == family and not self._is_live(each)]
        others += [each.file.evidence for _, each in copies_of(found.file.evidence, family, self.found)]
        return any(younger(other, found.file.evidence) for other in others)


def release(copies: Sequence[tuple[Key, Found]]) -> None:
    """Nobody has read these: they are files of their own."""
    for _, found in copies:
        if not found.settled:
            found.copy, found.fresh = False, True


def is_stored(lane: Lane) -> bool:
    """Whether all that was seen of the file's present content is in its present stream."""
    sender = lane.sender
    if isinstance(sender, PlainSender):
        return sender.settled and sender.position == source_of(lane).size
    return sender.stream is not None and sender.position == sender.stream.end == source_of(lane).size


def source_of(lane: Lane) -> FileSource:
    """Of the lane of a followed file."""
    assert isinstance(lane.source, FileSource)
    return lane.source


def _is_copy(found: Found, originals: Mapping[str, Evidence], unknown: Mapping[str, Found]) -> bool:
    """Whether a file that has no stream is a copy of one that has, or is to have, its bytes."""
    if not found.place.rotated or found.fresh:
        return False
    original = unknown.get(found.place.family)
    if original is not None and younger(found.file.evidence, original.file.evidence):
        return begins_with(original.file, found.file)
    return younger(found.file.evidence, originals.get(found.place.family))
