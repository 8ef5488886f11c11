"""Run: the followed files: found by patterns, told apart by evidence, each with its sender among all lanes.

A file that nobody knows yet waits until the collector has said which files of this host it knows. Files of one family
(``x.log`` and what rotation made of it) are sent one after the other, the oldest first.

A rotated file that is younger than the one that is written to is a copy (copytruncate). What it holds was shipped from
the original, so it is left alone, until the original is found emptied: then the copy that holds what is stored goes on
with the original's stream, and copies younger than that one, which nobody has read, are files of their own.

Left to others: patterns (``globs``), evidence (``identity``), one file (``followed``), its streams (``sender``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Callable, Mapping, Sequence

from logship.ship.chain import Origin
from logship.ship.copies import Found, Key, begins_with, copies_of, match, nowhere, younger
from logship.ship.filelock import lock
from logship.ship.followed import FileSource, NoFile, open_file
from logship.ship.globs import Globs, Place
from logship.ship.held import Held
from logship.ship.identity import PROGRAM, Evidence, Known, candidate, new_id
from logship.ship.sources import Lane, Sources
from logship.ship.states import Prove
from logship.spool.layout import stamp

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0
LIST_AGAIN_SECONDS = 1.0
FILES_MAX = 1000
"""So many files are followed, or wait to be; the others when one of these is over."""
KEY = ("", PROGRAM)
"""Of the job that asks for the list: no lane has it."""


class Files:
    """All followed files. ``forget`` is told of lanes that are over."""

    def __init__(
        self, patterns: Sequence[str], service: str, host: str, sources: Sources, forget: Callable[[Lane], None]
    ) -> None:
        self.service = service
        self.host = host
        self.listing = False  # the list is asked for
        self._sources = sources
        self._forget = forget
        self._lanes: dict[Key, Lane] = {}
        self._families: dict[Lane, str] = {}
        self._found: dict[Key, Found] = {}
        self._done: dict[Key, tuple[int, int]] = {}  # files that are over: size and time of change then
        self._locks: dict[Key, socket.socket] = {}
        self._own = _own_output()
        self.patterns: tuple[str, ...] = ()
        self._globs: Globs | None = None
        self._left = False  # patterns were taken away, and nobody looked since
        self.follow(patterns)
        self._look_at = 0.0
        self._list_at = 0.0
        self._looked = False

    def follow(self, patterns: Sequence[str]) -> None:
        """These are the patterns from now on. What a file that none of them names has now is still shipped."""
        self.patterns = tuple(dict.fromkeys(patterns))
        self._globs = Globs(self.patterns, self._sources.once) if self.patterns or self._globs else None
        self._left, self._look_at = True, 0.0

    def wants_list(self, now: float) -> bool:
        """Whether there are files of which nobody knows whether they have streams."""
        return not self.listing and now >= self._list_at and self._waiting

    def not_listed(self, now: float) -> None:
        """The list did not come."""
        self._list_at = now + LIST_AGAIN_SECONDS

    @property
    def pending(self) -> bool:
        """Whether there are files that were not looked at, or have no stream yet."""
        if self._globs is None:
            return False
        return not self._looked or self._waiting or any(lane.goal is None for lane in self._lanes.values())

    @property
    def _waiting(self) -> bool:
        return any(not found.copy for found in self._found.values())

    def look(self, now: float, busy: bool) -> None:
        """Find files. ``busy``: something grew lately."""
        if self._globs is None:
            return
        for lane in self._lanes.values():
            _source(lane).now = now
        if now < self._look_at:
            return
        self._look_at = now + (BUSY_SECONDS if busy else IDLE_SECONDS)
        self._clear()
        self._scan()
        self._looked = True

    def listed(self, known: Mapping[str, Known], now_ns: int) -> None:
        """The collector knows these files of this host."""
        waiting = {key: found for key, found in self._found.items() if not found.copy}
        taken = {lane.sender.origin.incarnation for lane in self._lanes.values()}
        fitting: dict[Key, Known] = {}
        for key, found in waiting.items():
            fits = candidate(found.file.evidence, known, taken)
            if fits is not None:
                taken.add(fits.id)
                if fits.begun or not self._has_younger(found):
                    fitting[key] = fits
        originals = {
            self._families[lane]: _source(lane).evidence for lane in self._lanes.values() if self._is_live(lane)
        }
        unknown: dict[str, Found] = {}  # originals of which nothing is stored
        for key, found in waiting.items():
            if not found.place.rotated and key in fitting:
                originals[found.place.family] = found.file.evidence
            elif not found.place.rotated:
                unknown[found.place.family] = found
        for key, found in waiting.items():
            fits = fitting.get(key)
            if fits is None and self._is_copy(found, originals, unknown):
                found.copy = True
                continue
            if fits is None:
                name = new_id(self.host, found.file.evidence, now_ns, {*taken, *known}, self._has_younger(found))
                taken.add(name)
                fits = Known(name, found.file.evidence)
            del self._found[key]
            self._follow(key, found, fits)

    def proves(self, lane: Lane, command: Prove) -> tuple[bool | None, Held | None]:
        """Whether the file of ``lane`` has the bytes that are stored, or a copy that was made before it was emptied.

        And what it holds now, where that is not what the sender knows.
        """
        source, gone = _source(lane), lane.sender.gone
        if source.gone == gone and command.digest is not None:
            same = source.has_digest(command.span, command.digest)
            if same is not False:
                self._settle(self._families[lane])
                return same, None
        self._scan()
        copies = copies_of(source.evidence, self._families[lane], self._found)
        files, formers = [found.file for _, found in copies], source.formers(gone)
        matched = match(command, formers, files)
        if matched is not None:
            self._release(copies[: matched.place])
            return True, self._go_on_with(lane, *copies[matched.place], matched.lost)
        self._release(copies)
        source.found_again(sum(former.size for former in formers) - nowhere(formers, files))
        return False, source.look()

    def doubt(self) -> None:
        """The collector may not know any more what it was known to have."""
        self._done.clear()

    def turns(self, lanes: Sequence[Lane]) -> list[Lane]:
        """Those of ``lanes`` whose turn it may be: of each family the oldest that is not through."""
        if not self._lanes:
            return list(lanes)
        first: dict[str, Lane] = {}
        for lane in sorted(self._lanes.values(), key=lambda lane: lane.sender.origin.incarnation):
            if not lane.sender.settled and not lane.sender.parked:
                first.setdefault(self._families[lane], lane)
        return [lane for lane in lanes if lane not in self._families or first.get(self._families[lane]) is lane]

    # what there is

    def _scan(self) -> None:
        assert self._globs is not None
        seen: dict[Key, Place] = {}
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
            if self._is_new(key, facts, place):
                self._open(place)
        live = {place.family for place in seen.values() if not place.rotated}
        for key, lane in self._lanes.items():
            source, at = _source(lane), seen.get(key)
            if at is not None:
                source.path, self._families[lane] = at.path, at.family
                source.left = False
            elif self._left and _is_at(source.path, key):
                source.left = True
            source.named = at is not None and (not at.rotated or at.family not in live)
        gone = [key for key, found in self._found.items() if key not in seen and (found.copy or self._left)]
        for key in gone:
            self._let_go(key)
        self._left = False
        self._done = {key: each for key, each in self._done.items() if key in seen}

    def _is_new(self, key: Key, facts: os.stat_result, place: Place) -> bool:
        if key in self._lanes or key in self._found or key in self._own:
            return False
        if not stat.S_ISREG(facts.st_mode):
            self._sources.once(f"{place.path} is no regular file: not followed")
            return False
        if not facts.st_size or self._done.get(key) == (facts.st_size, facts.st_mtime_ns):
            return False
        if len(self._lanes) + len(self._found) >= FILES_MAX:
            self._sources.once(f"{FILES_MAX} files are followed: {place.path}, and what comes after it, waits")
            return False
        return True

    def _open(self, place: Place) -> None:
        try:
            file = open_file(place.path)
        except FileNotFoundError:
            return
        except NoFile as error:
            self._sources.once(f"{place.path} is not followed: {error}")
            return
        except OSError as error:
            self._sources.once(f"cannot open {place.path}: {error.strerror}; tried again")
            return
        key = file.evidence.device, file.evidence.inode
        if key in self._lanes or key in self._found:  # another file than a moment ago
            file.close()
            return
        if file.evidence.birth is None:
            self._sources.once(f"{place.path}: its file system knows no time of birth; device and inode must do")
        if key not in self._locks:
            try:
                held = lock(file.evidence)
            except OSError:
                held = None
            if held is None:
                file.close()
                self._sources.once(f"another shipper follows {place.path}; tried again")
                return
            self._locks[key] = held
        self._found[key] = Found(file, place)

    def _clear(self) -> None:
        """Let go of files that are over, all of which is stored."""
        for key, lane in [*self._lanes.items()]:
            if not lane.sender.finished:
                continue
            source = _source(lane)
            with contextlib.suppress(OSError):
                facts = os.stat(source.path)  # noqa: PTH116
                if (facts.st_dev, facts.st_ino) == key and facts.st_size == source.size:
                    self._done[key] = facts.st_size, facts.st_mtime_ns
            del self._lanes[key], self._families[lane], self._sources.lanes[lane.key]
            source.close()
            self._unlock(key)
            self._forget(lane)

    # which it is

    def _follow(self, key: Key, found: Found, known: Known) -> None:
        place, evidence = found.place, found.file.evidence
        facts = (
            ("host", self.host), ("kind", "plain"), ("path", place.path), *evidence.facts(),
            ("created", stamp(time.time())),
        )  # fmt: skip
        origin = Origin(self.service, self.host, PROGRAM, known.id, facts)
        source = FileSource(found.file, place.path, found.gone)
        lane = Lane(source, self._sources.speaks(origin))
        self._sources.lanes[lane.key] = lane
        self._lanes[key], self._families[lane] = lane, place.family
        lane.sender.listed(known.links, 0.0, 0.0)

    def _is_live(self, lane: Lane) -> bool:
        return os.path.realpath(_source(lane).path) == self._families[lane] and _source(lane).named

    def _is_copy(self, found: Found, originals: Mapping[str, Evidence], unknown: Mapping[str, Found]) -> bool:
        """Whether a file that has no stream is a copy of one that has, or is to have, its bytes."""
        if not found.place.rotated or found.fresh:
            return False
        original = unknown.get(found.place.family)
        if original is not None and younger(found.file.evidence, original.file.evidence):
            return begins_with(original.file, found.file)
        return younger(found.file.evidence, originals.get(found.place.family))

    def _has_younger(self, found: Found) -> bool:
        """Whether rotated files are younger than the one written to: what they hold is older, and goes first."""
        if found.place.rotated:
            return False
        family, lanes = found.place.family, self._lanes.values()
        others = [
            _source(each).evidence for each in lanes if self._families[each] == family and not self._is_live(each)
        ]
        others += [each.file.evidence for _, each in copies_of(found.file.evidence, family, self._found)]
        return any(younger(other, found.file.evidence) for other in others)

    def _settle(self, family: str) -> None:
        """What is stored is what the original holds: so copies there are now hold nothing else."""
        for found in self._found.values():
            if found.copy and found.place.family == family:
                found.settled = True

    def _release(self, copies: Sequence[tuple[Key, Found]]) -> None:
        """Nobody has read these: they are files of their own."""
        for _, found in copies:
            if not found.settled:
                found.copy, found.fresh = False, True

    def _go_on_with(self, lane: Lane, key: Key, found: Found, lost: int) -> Held | None:
        """The lane's file was emptied, and its copy goes on in its place; the file itself is another one now."""
        source, family = _source(lane), self._families[lane]
        del self._found[key]
        path, named = source.path, source.named
        old = next(old for old, each in self._lanes.items() if each is lane)
        del self._lanes[old]
        self._lanes[key] = lane
        emptied = source.go_on_with(found.file, found.place.path, lane.sender.gone)
        self._found[old] = Found(emptied, Place(path, family, not named), fresh=True, gone=lost)
        held = source.look()
        lane.goal = held.end if held is not None else 0
        return held

    def _let_go(self, key: Key) -> None:
        self._found.pop(key).file.close()
        self._unlock(key)

    def _unlock(self, key: Key) -> None:
        held = self._locks.pop(key, None)
        if held is not None:
            held.close()


def _source(lane: Lane) -> FileSource:
    assert isinstance(lane.source, FileSource)
    return lane.source


def _is_at(path: str, key: Key) -> bool:
    """Whether this very file is still there."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)  # noqa: PTH116
        return (facts.st_dev, facts.st_ino) == key
    return False


def _own_output() -> set[Key]:
    """Where this process writes its own log: shipping that would never end."""
    found = set()
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            facts = os.fstat(descriptor)
            found.add((facts.st_dev, facts.st_ino))
    return found
