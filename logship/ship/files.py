"""Run: the followed files: told apart by evidence, each with its sender among all lanes.

A file that nobody knows yet waits until the collector has said which files of this host it knows. Files of one family
(``x.log`` and what rotation made of it) are sent one after the other, the oldest first.

So many are open at a time as the limit of descriptors allows. Of those all of which is stored, the ones quiet for
longest are let go of.

Left to others: finding and opening them (``finder``), evidence (``identity``), which of a family is what
(``families``), files that are let go of (``resting``), one file (``followed``), its streams (``sender``).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from logship.ship.chain import Origin
from logship.ship.copies import Found, Key, match, nowhere
from logship.ship.families import Families, is_stored, release, source_of
from logship.ship.finder import Finder
from logship.ship.followed import FileSource
from logship.ship.globs import Place
from logship.ship.held import Held
from logship.ship.identity import PROGRAM, Evidence, Known
from logship.ship.inquiry import Inquiry
from logship.ship.lately import Lately
from logship.ship.missing import MISSED_SECONDS, Missing
from logship.ship.resting import Rest
from logship.ship.sender import Sender
from logship.ship.sources import Lane, Sources
from logship.ship.states import Prove
from logship.ship.vanished import VanishedFile
from logship.spool.layout import stamp
from logship.values import StreamPath

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
LOOK_SHARE = 40
"""Looking for files takes one part in so many of a processor at most: ten thousand are looked at every 2 s or so."""
STARVED_SHARE, STARVED_SECONDS_MAX = 9, 5.0
"""A look that takes longer than it should, since others have the processor, is not to take all that is left for ship:
nine times as long is for shipping then, if that is not longer than this."""
ROOM_SECONDS = 0.5
"""How often room is made for files that wait: many at a time, since all that were opened are asked about at once."""
QUIET_SECONDS = 10.0
"""A file is not let go of before it was quiet for so long, where there is room."""
QUIET_MAX = 100
"""So many quiet files stay open all the same."""


class Files:
    """All followed files. ``forget`` is told of lanes that are over."""

    def __init__(
        self,
        patterns: Sequence[str],
        service: str,
        host: str,
        sources: Sources,
        forget: Callable[[Lane], None],
        once: bool = False,
    ) -> None:
        self.service = service
        self.host = host
        self._sources = sources
        self._forget = forget
        self._families = Families(host)
        self._resting = self._families.resting
        self._finder = Finder(self._families, sources.once, self._follow)
        self.follow(patterns)
        self._look_at = self._room_at = 0.0
        self.inquiry = Inquiry()
        self._lately = Lately()
        self._missing = Missing(0.0 if once else MISSED_SECONDS)
        self._gone: set[Evidence] = set()  # of files that were found gone
        self._looked = False

    def follow(self, patterns: Sequence[str]) -> None:
        """These are the patterns from now on. What a file that none of them names has now is still shipped."""
        self._finder.follow(patterns)
        self._look_at = 0.0

    @property
    def patterns(self) -> tuple[str, ...]:
        """What names the files."""
        return self._finder.patterns

    def wants(self, now: float) -> bool | StreamPath:
        """What is to be asked: a stream's tail; whether there are files of which nobody knows whether they have any."""
        return self.inquiry.wants(now, self._families.asked, self._in_question)

    def asks_list(self) -> None:
        """The list is asked for."""
        self.inquiry.listing = True
        self._resting.asked()
        self._lately.asked(self._finder.waiting)

    @property
    def pending(self) -> bool:
        """Whether there are files that were not looked at, or have no stream yet."""
        if self._finder.globs is None:
            return False
        ungoaled = any(lane.folder is None and lane.goal is None for lane in self._sources.lanes.values())
        return not self._looked or self._finder.waits > 0 or self._in_question or ungoaled

    @property
    def _in_question(self) -> bool:
        if self._finder.globs is None:
            return False
        doubted = bool(self._resting) and self._resting.doubted
        return doubted or self._missing.in_question or any(not found.copy for found in self._families.found.values())

    def look(self, now: float, busy: bool) -> None:
        """Find files. ``busy``: something grew lately."""
        if self._finder.globs is None:
            return
        for lane in self._families.lanes.values():
            source_of(lane).now = now
        if now < self._look_at:
            self._make_room(now)
            return
        begun, used = time.monotonic(), time.thread_time()
        self._clear()
        if not self._finder.waits:
            self._rest(now)
        self._make_room(now)
        self._finder.look()
        self._follow_at_once()
        self._missing.look(now)
        ended = time.monotonic()
        pause = max(
            BUSY_SECONDS if busy or self._finder.waits else IDLE_SECONDS, LOOK_SHARE * (time.thread_time() - used)
        )
        self._look_at = ended + max(pause, min(STARVED_SHARE * (ended - begun), STARVED_SECONDS_MAX))
        self._looked = True

    def listed(self, known: Mapping[str, Known], now_ns: int) -> None:
        """The collector knows these files of this host."""
        self._resting.listed(known)
        self._lately.came(known)
        gone = self._ids_gone()
        for key, fits in self._families.assign(known, self.inquiry.tails, now_ns, gone).items():
            self._follow(key, self._families.found.pop(key), fits)
        if not self._families.asked:
            self.inquiry.over()
        globs = self._finder.globs
        assert globs is not None
        certain: dict[str, Known] = {}
        if self._sources.speaks is Sender:  # else checkpoints of files that are gone stay
            busy = self._families.busy(known, self._finder.waiting) | gone
            certain = {name: each for name, each in known.items() if name not in busy}
        for each in self._missing.listed(certain, [*self._families.evidence(), *self._gone], globs.family_of):
            self._gone.add(each.evidence)
            packed = globs.packed(globs.family_of(each.path) or each.path)
            source = VanishedFile(each.path, each.end, packed)
            self._add(Lane(source, Sender(self._origin(each.id, each.path, each.evidence))), each)

    def proves(self, lane: Lane, command: Prove) -> tuple[bool | None, Held | None]:
        """Whether the file of ``lane`` has the bytes that are stored, or a copy that was made before it was emptied.

        And what it holds now, where that is not what the sender knows.
        """
        if isinstance(lane.source, VanishedFile):
            found, held = lane.source.proves(command)
            lane.goal = held.end if held else 0
            return found, held
        source, gone = source_of(lane), lane.sender.gone
        if source.gone == gone and command.digest is not None:
            same = source.has_digest(command.span, command.digest)
            if same is not False:
                return same, None
        self._finder.look()
        copies = self._families.copies(lane)
        files, formers = [found.file for _, found in copies], source.formers(gone)
        matched = match(command, formers, files)
        if matched is not None:
            release(copies[: matched.place])
            return True, self._families.go_on_with(lane, *copies[matched.place], matched.lost)
        release(copies)
        source.found_again(sum(former.size for former in formers) - nowhere(formers, files))
        return False, source.look()

    def doubt(self) -> None:
        """The collector may not know any more what it was known to have."""
        self._resting.doubted = True
        self.inquiry.over()
        self._lately.over()

    def turns(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Those of ``lanes`` whose turn it may be."""
        return self._families.turns(lanes)

    def _clear(self) -> None:
        """Let go of files that are over, all of which is stored."""
        for key, lane in [*self._families.lanes.items()]:
            if lane.sender.finished:
                self._let_go(key, lane)
        for lane in [*self._sources.lanes.values()]:
            if _has_gone(lane) and lane.sender.finished:
                self._drop(lane)

    def _make_room(self, now: float) -> None:
        """For files that wait, if it is time to."""
        if self._finder.waits and now >= self._room_at:
            self._room_at = now + ROOM_SECONDS
            self._rest(now)
            self._finder.open_waiting()
            self._follow_at_once()

    def _rest(self, now: float) -> None:
        """Let go of files that are quiet, all of which is stored, where there are many, or others wait."""
        lanes = self._families.lanes
        idle = [key for key, lane in lanes.items() if lane.sender.settled and is_stored(lane)]
        idle.sort(key=lambda key: source_of(lanes[key]).changed_at)
        quiet = [key for key in idle if now - source_of(lanes[key]).changed_at >= QUIET_SECONDS]
        count = max(min(self._finder.waits, len(idle)), len(quiet) - QUIET_MAX)
        for key in idle[:count]:
            self._let_go(key, lanes[key])

    def _let_go(self, key: Key, lane: Lane) -> None:
        source, sender = source_of(lane), lane.sender
        with contextlib.suppress(OSError):
            facts = source.facts()
            stored = is_stored(lane) and facts.st_size == sender.position
            if not (stored or sender.finished):
                return  # it grew
            place = Place(source.path, self._families.of[lane], not source.named)
            if stored:
                self._resting.put(key, _rest_of(lane, facts, place))
        del self._families.lanes[key], self._families.of[lane]
        self._drop(lane)
        self._finder.closed(key)

    def _drop(self, lane: Lane) -> None:
        del self._sources.lanes[lane.key]
        lane.source.close()
        self._forget(lane)

    # what becomes of it

    def _follow_at_once(self) -> None:
        """Follow files that were opened now, and of which the last list said what they are."""
        families = self._families
        for key, fits in families.assign_alone(
            self._lately, self._finder.rotated, time.time_ns(), self._ids_gone()
        ).items():
            self._follow(key, families.found.pop(key), fits)
        if not self._finder.waits:
            self._lately.over()

    def _ids_gone(self) -> set[str]:
        return {lane.sender.origin.incarnation for lane in self._sources.lanes.values() if _has_gone(lane)}

    def _follow(self, key: Key, found: Found, known: Known) -> None:
        place = found.place
        source = FileSource(found.file, place.path, found.gone)
        lane = Lane(source, self._sources.speaks(self._origin(known.id, place.path, found.file.evidence)))
        self._families.lanes[key], self._families.of[lane] = lane, place.family
        self._add(lane, known)

    def _add(self, lane: Lane, known: Known) -> None:
        self._sources.lanes[lane.key] = lane
        lane.sender.listed(known.links, 0.0, 0.0)

    def _origin(self, name: str, path: str, evidence: Evidence) -> Origin:
        facts = (
            ("host", self.host), ("kind", "plain"), ("path", path), *evidence.facts(), ("created", stamp(time.time())),
        )  # fmt: skip
        return Origin(self.service, self.host, PROGRAM, name, facts)


def _rest_of(lane: Lane, facts: os.stat_result, place: Place) -> Rest:
    """A file all of which is stored."""
    sender, evidence, known, end, closed = lane.sender, source_of(lane).evidence, None, 0, lane.sender.finished
    if isinstance(sender, Sender) and sender.stream is not None:
        known = Known(sender.origin.incarnation, evidence, links=[*sender.links])
        end, closed = sender.stream.end - sender.stream.base, sender.stream.closed
    return Rest(facts.st_size, facts.st_mtime_ns, place, evidence, known, end, closed)


def _has_gone(lane: Lane) -> bool:
    return isinstance(lane.source, VanishedFile)
