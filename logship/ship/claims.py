"""Run: of which stream a rotated file is that none is known of: it may be a copy of another one (copytruncate).

A copy is younger than its original, and yet stands for older bytes: by its name it comes before the original, which is
written to, or was and is renamed by now. Such a file is told by what it holds, never by its age alone:

- What the original still holds, or held when it was last looked at, is shipped from there: the copy is left alone.
- What a stream ends with that is, or was, the original's: the copy goes on with that stream, or all of it is stored.
- What is neither nobody has read: it is a file of its own.

Left to others: which files there are (``files``), what follows from it (``families``), comparing (``copies``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from logship.ship.chain import Link, present
from logship.ship.copies import Found, Key, begins_with, younger
from logship.ship.followed import FileSource, NoFile, OpenFile, has_digest, open_file
from logship.ship.globs import Place
from logship.ship.identity import Evidence, Known, Tail, stem
from logship.ship.resting import Resting
from logship.ship.sources import Lane
from logship.values import StreamPath

STREAMS_MAX = 32
"""The tails of so many streams are asked for to find out which of them a file holds: those of its length first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``known``: it is this file. ``copy``: it is left alone, as all of it is in the stream ``stored``, or until the
    stream ``until`` is looked at again, or else until the original does not hold the same any more. ``ask``: for the
    tails of these streams first. Nothing of it: it is a file of its own."""

    known: Known | None = None
    copy: bool = False
    stored: StreamPath | None = None
    until: StreamPath | None = None
    ask: tuple[StreamPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Original:
    """What a file may be a copy of; ``file`` is None where it is not open, ``carries`` where it has no stream."""

    evidence: Evidence
    file: OpenFile | None = None
    source: FileSource | None = None
    unread: int = 0
    """What was gone of it when its stream was last known to be of its content: what came after that is in question."""
    path: str = ""


@dataclass(frozen=True)
class Streams:
    """What the collector has. ``tails`` are None where it does not tell any; ``fitting`` and ``taken`` are the files
    that have been found in ``known`` by now; ``claimed`` the streams of which the copy is known."""

    known: Mapping[str, Known]
    tails: Mapping[StreamPath, Tail | None]
    fitting: Mapping[Key, Known] = field(default_factory=dict)
    taken: Collection[str] = ()
    claimed: Collection[StreamPath] = ()

    def knows(self, stream: _Stream) -> bool:
        """Whether it is known how it ends, or that nobody can tell."""
        return stream.link.path in self.tails or stream.link.path in stream.known.tails

    def tail(self, stream: _Stream) -> Tail | None:
        """How it ends."""
        path = stream.link.path
        return self.tails.get(path) or stream.known.tails.get(path)


@dataclass(frozen=True, slots=True)
class _Stream:
    """One that a file may hold; ``end`` is where, ``last``: its chain ends with it."""

    known: Known
    link: Link
    end: int
    last: bool


@dataclass(frozen=True)
class Claims:
    """What there is: files that are followed, found, at rest; all that are ``seen``, and each family's in ``order``."""

    lanes: Mapping[Key, Lane]
    found: Mapping[Key, Found]
    resting: Resting
    seen: Mapping[Key, Place]
    order: Mapping[str, Sequence[Key]]

    def is_held(self, key: Key) -> bool:
        """Whether a file that was left alone is still to be: not, where nobody would ever look at what it holds."""
        each = self.found[key]
        if each.stored is not None:
            return True
        if each.until is not None and any(lane.sender.carries == each.until for lane in self.lanes.values()):
            return True
        return any(_is_at_hand(original, each.file) for original in self._originals(key))

    def judge(self, key: Key, streams: Streams) -> Verdict:
        """Whose copy the file is that was found there."""
        copy = self.found[key].file
        originals = [*self._originals(key)]
        if any(_is_at_hand(original, copy) for original in originals):
            return Verdict(copy=True)
        evidences = [*(each.evidence for each in originals), *self._unopened(key, streams.known)]
        asked = _streams(evidences, streams, copy.size)
        unknown = tuple(each.link.path for each in asked if not streams.knows(each))
        if unknown:
            return Verdict(ask=unknown)
        # What proves itself by its bytes goes before what only has the length.
        asked.sort(key=lambda each: (tail := streams.tail(each)) is None or tail.digest is None)
        for stream in asked:
            tail = streams.tail(stream)
            if tail is not None and _ends(copy, tail, stream.link.base):
                verdict = self._claim(stream, tail, streams)
                if verdict is not None:
                    return verdict
        return Verdict(known=_unbegun(evidences, streams, copy.evidence))

    def _claim(self, stream: _Stream, tail: Tail, streams: Streams) -> Verdict | None:
        """The file holds what is stored there; None where the stream is of another file, that holds it, too."""
        path, name = stream.link.path, stream.known.id
        if name not in streams.taken:
            return Verdict(known=stream.known) if stream.last else Verdict(copy=True, stored=path)
        if name in self.resting.ids():
            return None if stream.last else Verdict(copy=True, stored=path)
        at = next((at for at, known in streams.fitting.items() if known.id == name), None)
        file, carries = (self.found[at].file, present(stream.known.links)) if at is not None else (None, None)
        of = carries.path if carries is not None else None
        for lane in self.lanes.values():
            if lane.sender.origin.incarnation == name:
                assert isinstance(lane.source, FileSource)
                file, of = lane.source.file, lane.sender.carries
        if of not in (None, path):
            return Verdict(copy=True, stored=path)
        if file is not None and of == path and _ends(file, tail, stream.link.base):
            return None
        return Verdict(copy=True, until=path)

    def _originals(self, key: Key) -> Iterator[Original]:
        """What the file may be a copy of: what is older, and by its name holds what is younger."""
        born = self.found[key].file.evidence
        for at in self._later(key):
            original = None
            if at in self.lanes:
                lane = self.lanes[at]
                assert isinstance(lane.source, FileSource)
                original = Original(lane.source.evidence, lane.source.file, lane.source, lane.sender.gone)
            elif at in self.found:
                original = Original(self.found[at].file.evidence, self.found[at].file)
            else:
                rest = self.resting.get(at)
                original = None if rest is None else Original(rest.evidence, path=self.seen[at].path)
            if original and younger(born, original.evidence):
                yield original

    def _unopened(self, key: Key, known: Mapping[str, Known]) -> Iterator[Evidence]:
        """The same of files that are there and not open, since nothing is in them: as the streams tell of them."""
        born = self.found[key].file.evidence
        there = {
            (device, inode) for device, inode in self._later(key)
            if not ((device, inode) in self.lanes or (device, inode) in self.found or self.resting.get((device, inode)))
        }  # fmt: skip
        for each in known.values():
            if (each.evidence.device, each.evidence.inode) in there and younger(born, each.evidence):
                yield each.evidence

    def _later(self, key: Key) -> Iterator[Key]:
        """The files of its family that come after it."""
        keys = self.order.get(self.found[key].place.family, ())
        passed = key not in keys  # it was removed by now
        for at in keys:
            if passed:
                yield at
            passed |= at == key


def _streams(evidences: Collection[Evidence], streams: Streams, size: int) -> list[_Stream]:
    """The streams that are, or were, of these files, no longer than the file: of its length first, then open ones."""
    found = []
    for known in streams.known.values():
        if any(known.evidence.matches(each) for each in evidences):
            last = present(known.links)
            for link in known.links:
                stored = known.sizes.get(link.path, 0)
                if 0 < stored <= size - link.base and link.path not in streams.claimed:
                    found.append(_Stream(known, link, link.base + stored, link is last))
    found.sort(key=lambda each: (each.end != size, not (each.known.open and each.last), -each.end, each.known.id))
    return found[:STREAMS_MAX]


def _unbegun(evidences: Collection[Evidence], streams: Streams, copy: Evidence) -> Known | None:
    """A stream without a byte that was made for one of these files before the copy was: what was to be sent to it may
    be in the copy now, and still on its way from a shipper that was killed. So both are for the same stream."""
    born = stem(copy.birth or 0)
    fitting = [
        known for known in streams.known.values()
        if known.links and not any(known.sizes.values()) and known.id < born and known.id not in streams.taken
        and any(known.evidence.matches(each) for each in evidences)
    ]  # fmt: skip
    return max(fitting, key=lambda known: known.id, default=None)


def _is_at_hand(original: Original, copy: OpenFile) -> bool:
    """Whether what the copy holds is in the original, or was when that was looked at: its sender will find out."""
    if original.file is not None and begins_with(original.file, copy):
        return True
    if original.source is not None:
        return original.source.had(copy, original.unread)
    return bool(original.path) and _rests_on(original, copy)


def _rests_on(original: Original, copy: OpenFile) -> bool:
    with contextlib.suppress(OSError, NoFile):
        file = open_file(original.path)
        try:
            return file.evidence == original.evidence and begins_with(file, copy)
        finally:
            file.close()
    return False


def _ends(file: OpenFile, tail: Tail, base: int) -> bool:
    """Whether the file ends, or goes on, where the stream ends; of a retired one its length alone is known."""
    if tail.digest is None:
        return file.size == base + tail.end
    with contextlib.suppress(OSError):
        return has_digest(file, tail.span(base), tail.digest)
    return False
