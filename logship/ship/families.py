"""Run: which stream each found file is, among those of its family; and which of a family goes first.

A rotated file may be a copy (copytruncate): ``claims`` says of what. What it holds is shipped from the original, so it
is left alone, until the original is found emptied: then the copy that holds what is stored goes on with the original's
stream, and whose copies the others are is asked again. What is older goes first: the name that a file gets sorts it.

Left to others: finding files, following them (``files``), what copies hold (``copies``), evidence (``identity``).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from logship.ship.claims import Claims, Streams, Verdict
from logship.ship.copies import Found, Key, copies_of, younger
from logship.ship.followed import FileSource
from logship.ship.globs import Place
from logship.ship.held import Held
from logship.ship.identity import Evidence, Known, Tail, candidate, new_id, stem
from logship.ship.lately import Lately, by_inode
from logship.ship.plain import PlainSender
from logship.ship.resting import Resting
from logship.ship.sources import Lane
from logship.values import StreamPath


class Families:
    """All files that are open: followed ones (``lanes``, with the family of each) and others (``found``)."""

    def __init__(self, host: str) -> None:
        self.lanes: dict[Key, Lane] = {}
        self.of: dict[Lane, str] = {}
        self.found: dict[Key, Found] = {}
        self.resting = Resting()
        self._seen: Mapping[Key, Place] = {}  # at the last look
        self._order: dict[str, list[Key]] = {}  # the files of each family then
        self._sizes: Counter[str] = Counter()  # how many of each are open
        self.asked: dict[StreamPath, None] = {}  # streams whose tails are to be known
        self._host = host

    @property
    def _claims(self) -> Claims:
        return Claims(self.lanes, self.found, self.resting, self._seen, self._order)

    @property
    def waiting(self) -> dict[Key, Found]:
        """Files that are to be followed, as soon as it is known what is stored of them."""
        return {key: found for key, found in self.found.items() if not found.copy}

    def assign(
        self,
        known: Mapping[str, Known],
        tails: Mapping[StreamPath, Tail | None],
        now_ns: int,
        others: Collection[str] = (),
    ) -> dict[Key, Known]:
        """Which stream each waiting file is, of those that the collector knows, or a new one; copies are marked.

        ``others`` are ids of files that were taken for gone: one that is there waits until that is through. ``asked``
        are the streams whose tails are to be known first.
        """
        waiting, fitting = self.waiting, dict[Key, Known]()
        self._sizes = Counter([*self.of.values(), *(each.place.family for each in self.found.values())])
        taken, later = self._ids(), set[Key]()
        names = {*taken, *known, *others}
        inodes = by_inode(known)
        for key, found in waiting.items():
            evidence = found.file.evidence
            fits = None if found.fresh else candidate(evidence, inodes.get(evidence.inode, {}), taken)
            if fits is not None and fits.id in others:
                later.add(key)
            elif fits is not None and (fits.begun or not self._has_younger(found, fits.id)):
                taken.add(fits.id)
                fitting[key] = fits
        claimed = {found.stored for found in self.found.values() if found.stored is not None}
        taken |= set(others)
        streams = Streams(known, tails, fitting, taken, claimed)
        self.asked = {}
        for key, found in waiting.items():
            if key in fitting or key in later:
                continue
            verdict = self._claims.judge(key, streams) if found.place.rotated and not found.fresh else Verdict()
            self.asked |= dict.fromkeys(verdict.ask)
            found.copy, found.stored, found.until = verdict.copy, verdict.stored, verdict.until
            if verdict.stored is not None:
                claimed.add(verdict.stored)
            if not verdict.copy and not verdict.ask:
                fitting[key] = verdict.known or self._new(found, names, now_ns)
                taken.add(fitting[key].id)
                names.add(fitting[key].id)
        return fitting

    def assign_alone(
        self, lately: Lately, rotated: Container[str], now_ns: int, others: Collection[str] = ()
    ) -> dict[Key, Known]:
        """The same of files for which the last list holds still, and that have no others in their family."""
        if not any(key in lately for key in self.found):
            return {}
        self._sizes = Counter([*self.of.values(), *(each.place.family for each in self.found.values())])
        fitting, taken = dict[Key, Known](), self._ids()
        names = {*taken, *lately.names, *others}
        for key, found in self.waiting.items():
            family, evidence = found.place.family, found.file.evidence
            alone = not found.place.rotated and family not in rotated and self._sizes[family] == 1
            if key not in lately or found.fresh or not alone:
                continue
            lately.used(key)
            fits = candidate(evidence, lately.at(evidence.inode), taken)
            if fits is None or fits.id not in others:
                fitting[key] = fits or self._new(found, names, now_ns)
                taken.add(fitting[key].id)
                names.add(fitting[key].id)
        return fitting

    def busy(self, known: Mapping[str, Known], waiting: Container[Key]) -> set[str]:
        """The files at the collector that are here, or may be, as those ``waiting`` to be opened: none is gone."""
        there = {each.id for each in known.values() if (each.evidence.device, each.evidence.inode) in waiting}
        return self._ids() | there | {path.rpartition("/")[2].partition(".")[0] for path in self.asked}

    def look(self, seen: Mapping[Key, Place]) -> None:
        """These files are there, those of a family in its order: copies that are none any more are asked about."""
        self._seen, self._order = seen, {}
        if self.found:
            for key, place in seen.items():
                self._order.setdefault(place.family, []).append(key)
        for key, found in self.found.items():
            found.place = seen.get(key, found.place)
            if found.copy and not self._claims.is_held(key):
                found.is_asked_about()

    def turns(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Those of ``lanes``, all that are not through among them, whose turn it may be: the oldest of each family."""
        if not self.lanes:
            return list(lanes)
        first: dict[str, Lane] = {}
        for lane in lanes:
            family = self.of.get(lane)
            before = None if family is None else first.get(family)
            if before is not None and before.sender.origin.incarnation < lane.sender.origin.incarnation:
                continue
            if family is not None and not lane.sender.settled and not lane.sender.parked:
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

    def _ids(self) -> set[str]:
        """Of all that are followed, or at rest."""
        return {*(lane.sender.origin.incarnation for lane in self.lanes.values()), *self.resting.ids()}

    def _new(self, found: Found, taken: Collection[str], now_ns: int) -> Known:
        name = new_id(self._host, found.file.evidence, now_ns, taken, self._has_younger(found))
        return Known(name, found.file.evidence)

    def _is_live(self, lane: Lane) -> bool:
        source = source_of(lane)
        return source.named and os.path.realpath(source.path) == self.of[lane]

    def _has_younger(self, found: Found, name: str = "") -> bool:
        """Whether rotated files are younger than the one written to: what they hold is older, and goes first.

        Than its ``name``, where that is given: it may have got it when they were there.
        """
        if found.place.rotated or self._sizes[found.place.family] < 2:
            return False
        family, lanes = found.place.family, self.lanes.values()
        others = [source_of(each).evidence for each in lanes if self.of[each] == family and not self._is_live(each)]
        others += [each.file.evidence for _, each in copies_of(found.file.evidence, family, self.found)]
        later = [other for other in others if younger(other, found.file.evidence)]
        return any(stem(other.birth or 0) > name for other in later)


def release(copies: Sequence[tuple[Key, Found]]) -> None:
    """What these hold is not what was looked for: whose copies they are is asked again."""
    for _, found in copies:
        found.is_asked_about()


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
