"""Run: the followed files: found by patterns, told apart by evidence, each with its sender among all lanes.

A file that nobody knows yet waits until the collector has said which files of this host it knows. Files of one family
(``x.log`` and what rotation made of it) are sent one after the other, the oldest first.

So many are open at a time as the limit of descriptors allows. Of those all of which is stored, the ones quiet for
longest are let go of; files that wait are opened in the order in which they came.

Left to others: patterns (``globs``), evidence (``identity``), which of a family is what (``families``), files that are
let go of (``resting``), one file (``followed``), its streams (``sender``).
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence

from logship.ship.chain import Origin
from logship.ship.copies import Found, Key, match, nowhere
from logship.ship.families import Families, is_stored, release, source_of
from logship.ship.followed import FileSource
from logship.ship.globs import Globs, Place
from logship.ship.held import Held
from logship.ship.identity import PROGRAM, Evidence, Known
from logship.ship.inquiry import Inquiry
from logship.ship.missing import MISSED_SECONDS, Missing
from logship.ship.opening import Opener
from logship.ship.resting import Rest
from logship.ship.room import files_max
from logship.ship.sender import Sender
from logship.ship.sources import Lane, Sources
from logship.ship.states import Prove
from logship.ship.vanished import VanishedFile
from logship.spool.layout import stamp
from logship.values import StreamPath

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
LOOK_SHARE = 10
"""Looking for files takes one part in so many of a processor at most: ten thousand are looked at every 1 to 2 s."""
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
        self._asking: dict[Key, Place] = {}  # they are to be opened when there is room, the first one first
        self._opener = Opener(sources.once)
        self._files_max = files_max() if patterns else 0
        self.patterns: tuple[str, ...] = ()
        self._globs: Globs | None = None
        self._left = False  # patterns were taken away, and nobody looked since
        self.follow(patterns)
        self._look_at = self._room_at = 0.0
        self.inquiry = Inquiry()
        self._missing = Missing(0.0 if once else MISSED_SECONDS)
        self._gone: set[Evidence] = set()  # of files that were found gone
        self._looked = False

    def follow(self, patterns: Sequence[str]) -> None:
        """These are the patterns from now on. What a file that none of them names has now is still shipped."""
        self.patterns = tuple(dict.fromkeys(patterns))
        self._globs = Globs(self.patterns, self._sources.once) if self.patterns or self._globs else None
        self._files_max = self._files_max or (files_max() if patterns else 0)
        self._left, self._look_at = True, 0.0

    def wants(self, now: float) -> bool | StreamPath:
        """What is to be asked: a stream's tail; whether there are files of which nobody knows whether they have any."""
        return self.inquiry.wants(now, self._families.asked, self._in_question)

    @property
    def pending(self) -> bool:
        """Whether there are files that were not looked at, or have no stream yet."""
        if self._globs is None:
            return False
        ungoaled = any(lane.folder is None and lane.goal is None for lane in self._sources.lanes.values())
        return not self._looked or bool(self._asking) or self._in_question or ungoaled

    @property
    def _in_question(self) -> bool:
        if self._globs is None:
            return False
        doubted = bool(self._resting) and self._resting.doubted
        return doubted or self._missing.in_question or any(not found.copy for found in self._families.found.values())

    def look(self, now: float, busy: bool) -> None:
        """Find files. ``busy``: something grew lately."""
        if self._globs is None:
            return
        for lane in self._families.lanes.values():
            source_of(lane).now = now
        if now < self._look_at:
            self._make_room(now)
            return
        begun = time.thread_time()
        self._clear()
        if not self._asking:
            self._rest(now)
        self._make_room(now)
        self._scan()
        self._missing.look(now)
        took = time.thread_time() - begun
        self._look_at = now + max(BUSY_SECONDS if busy or self._asking else IDLE_SECONDS, LOOK_SHARE * took)
        self._looked = True

    def listed(self, known: Mapping[str, Known], now_ns: int) -> None:
        """The collector knows these files of this host."""
        self._resting.listed(known)
        gone = {lane.sender.origin.incarnation for lane in self._sources.lanes.values() if _has_gone(lane)}
        for key, fits in self._families.assign(known, self.inquiry.tails, now_ns, gone).items():
            self._follow(key, self._families.found.pop(key), fits)
        if not self._families.asked:
            self.inquiry.over()
        assert self._globs is not None
        certain: dict[str, Known] = {}
        if self._sources.speaks is Sender:  # else checkpoints of files that are gone stay
            busy = self._families.busy() | gone
            certain = {name: each for name, each in known.items() if name not in busy}
        for each in self._missing.listed(certain, [*self._families.evidence(), *self._gone], self._globs.family_of):
            self._gone.add(each.evidence)
            packed = self._globs.packed(self._globs.family_of(each.path) or each.path)
            source = VanishedFile(each.path, each.stored, packed)
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
        self._scan()
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

    def turns(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Those of ``lanes`` whose turn it may be."""
        return self._families.turns(lanes)

    # what there is

    def _scan(self) -> None:
        assert self._globs is not None
        seen: dict[Key, Place] = {}
        asking: dict[Key, Place] = {}
        rotated: set[str] = set()  # families of which there is more than the file written to
        for place in self._globs.look():
            try:
                facts = os.stat(place.path)  # noqa: PTH116  # text paths, many, several times a second
            except FileNotFoundError:
                continue
            except OSError as error:
                self._sources.once(f"cannot look at {place.path}: {error.strerror}")
                continue
            key = facts.st_dev, facts.st_ino
            if key not in seen or (seen[key].rotated and not place.rotated):
                seen[key] = place
            if place.rotated:
                rotated.add(place.family)
            if self._is_new(key, facts, place, place.family in rotated):
                asking[key] = place
        self._asking = {key: asking[key] for key in self._asking if key in asking}
        self._open_asking(asking)
        self._named(seen)

    def _open_asking(self, more: Mapping[Key, Place]) -> None:
        """Open those that ask for it, as far as there is room."""
        asking, self._asking = {**self._asking, **more}, {}
        for key, place in asking.items():
            if self._is_full:
                self._asking[key] = place
            else:
                self._open(key, place)
        if self._asking:
            self._sources.once(f"{self._files_max} files are open; others wait until one of them is stored and quiet")

    @property
    def _is_full(self) -> bool:
        return len(self._families.lanes) + len(self._families.found) >= self._files_max

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
        self._resting.keep(seen)
        self._families.look(seen)

    def _is_new(self, key: Key, facts: os.stat_result, place: Place, in_family: bool) -> bool:
        """Whether it is to be opened. An empty one is only where others of its family may be copies of what it had."""
        if key in self._families.lanes or key in self._families.found or key in self._opener.own:
            return False
        if not stat.S_ISREG(facts.st_mode):
            self._sources.once(f"{place.path} is no regular file: not followed")
            return False
        rest = self._resting.get(key)
        if rest is None:
            return facts.st_size > 0 or (in_family and not place.rotated)
        return not rest.is_as_it_was(facts.st_size, facts.st_mtime_ns, place)

    def _open(self, key: Key, place: Place) -> None:
        file = self._opener.open(key, place.path)
        if file is None:
            return
        self._families.found[key] = Found(file, place)
        rest = self._resting.pop(key)
        sure = rest is not None and rest.evidence == file.evidence and not self._resting.doubted
        if sure and rest is not None and rest.known is not None:
            self._follow(key, self._families.found.pop(key), rest.known)

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
        if self._asking and now >= self._room_at:
            self._room_at = now + ROOM_SECONDS
            self._rest(now)
            self._open_asking({})

    def _rest(self, now: float) -> None:
        """Let go of files that are quiet, all of which is stored, where there are many, or others wait."""
        lanes = self._families.lanes
        idle = [key for key, lane in lanes.items() if lane.sender.settled and is_stored(lane)]
        idle.sort(key=lambda key: source_of(lanes[key]).changed_at)
        quiet = [key for key in idle if now - source_of(lanes[key]).changed_at >= QUIET_SECONDS]
        count = max(min(len(self._asking), len(idle)), len(quiet) - QUIET_MAX)
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
        self._opener.closed(key)

    def _drop(self, lane: Lane) -> None:
        del self._sources.lanes[lane.key]
        lane.source.close()
        self._forget(lane)

    # what becomes of it

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


def _is_at(path: str, key: Key) -> bool:
    """Whether this very file is still there."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)  # noqa: PTH116
        return (facts.st_dev, facts.st_ino) == key
    return False
