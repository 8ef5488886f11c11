"""Run: the exact bytes of a stream out of the lake between two offsets, in pieces; and of what is not there, why.

The lake has a stream up to the end of its last line that is sealed: what follows is in the journal, and a line whose
beginning the journal has lost is here when its end is. A file's rows are believed when the file is what the manifest
says, by its digest. Little is held at a time, however long the range. Left to others: files and rows (``reader``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.lake.manifest import RETENTION, File, Manifest
from logship.lake.reader import Reader, Unreadable
from logship.lake.unended import Unended
from logship.view.digests import DAMAGED, NOT_KEPT, UNREADABLE, Hole, Piece
from logship.view.lines import CUT, LINE_BYTES_MAX, PART, TORN

STEP_BYTES = 8 << 20
"""The offsets that are asked of a file in one go, so many and one line more."""
PIECE_BYTES = 1 << 20
CHECKED_SECONDS = 600.0
"""For how long a file is believed after its digest was compared: who verifies every stream reads it once, not each."""
REMEMBERED_MAX, REMEMBERED_BYTES_MAX = 10_000, 4096
"""How many beginnings of lines are kept in memory, and of what size at most: each is asked for by every reading."""
TRIES_MAX = 4
"""How often it is looked anew where a file is that has just gone: it was merged, or retention took it."""
_UNTOLD = "no file of the lake holds them, and nothing says why"
_UNSEALED = "retention deleted them from the journal before they were sealed"
_OLD = "they are older than what is kept"
_NEVER = 1 << 63


@dataclass(slots=True)
class _Walk:
    """How far a reading is: the next offset, and the LSN with which the row before it was complete."""

    position: int
    lsn: int


class Exact:
    """Reads exact bytes of the lake that ``reader`` reads; for any thread. ``clock`` is in seconds."""

    def __init__(self, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._checked: dict[tuple[str, str], tuple[float, str]] = {}
        self._listed: tuple[Manifest, dict[str, list[File]]] | None = None
        self._firsts: dict[tuple[str, str, int], int | None] = {}
        self._befores: dict[tuple[str, int, int], tuple[int, int, bytes] | None] = {}

    def first_offset(self, stream: StreamState) -> int | None:
        """Where what it has of a stream begins; None where it has nothing. Raises Unreadable."""
        for file in self._files(self._reader.manifest(), stream):
            first = self._first_of(file, stream)
            if first is not None:
                return first
        held = self._unended(self._reader.manifest(), stream)
        return None if held is None else held.offset

    def read(self, stream: StreamState, start: int, end: int) -> Iterator[Piece | Hole | None]:
        """All bytes from ``start`` to ``end``, in order, in pieces and holes; None now and then while it looks."""
        walk = _Walk(start, stream.created_lsn)
        for _ in range(TRIES_MAX):
            try:
                manifest = self._reader.manifest()
                yield from self._of_files(manifest, stream, walk, end)
                yield from self._of_unended(manifest, stream, walk, end)
            except Unreadable as error:
                if error.gone:
                    continue  # who has what was not read yet is looked up anew
                if walk.position < end:
                    yield Hole(walk.position, end, UNREADABLE, str(error))
                return
            else:
                yield from self._gap(manifest, stream, walk, end, _NEVER)
                return
        if walk.position < end:
            yield Hole(walk.position, end, DAMAGED, "a file that the lake's manifest names is not there")

    def before(self, path: str, lsn: int, offset: int) -> tuple[int, int, bytes] | None:
        """The line that has the byte before ``offset``: where it begins, with which flags, its bytes up to there.

        It completes at ``lsn`` or later. Of one that ends there, and was known to with ``lsn``, nothing: ``offset`` is
        where the next one begins. None where nothing is known of it.
        """
        key = path, lsn, offset
        try:
            manifest = self._reader.manifest()
            files = self._by_path(manifest).get(path, [])
            if key not in self._befores:
                held = self._reader.unended(manifest).get(path)
                found = held.up_to(offset) if held is not None and held.created_lsn <= lsn <= held.lsn else None
                if found is None:
                    found = self._before(files, path, lsn, offset)
                if found is not None and len(found[2]) > REMEMBERED_BYTES_MAX:
                    return found
                if len(self._befores) >= REMEMBERED_MAX:
                    self._befores.clear()
                self._befores[key] = found
            return self._befores[key]
        except Unreadable:
            return None

    def _before(self, files: list[File], path: str, lsn: int, offset: int) -> tuple[int, int, bytes] | None:
        for file in files:
            first, end = file.streams[path]
            is_later = file.first_lsn > lsn and first >= offset
            if file.end_lsn <= lsn or is_later or offset > end or self._fault(file):
                continue
            found = self._reader.before(file, path, lsn, max(0, offset - LINE_BYTES_MAX), offset)
            if found is None or found[0] + len(found[3]) < offset:
                continue
            begin, completes, flags, data = found
            if begin + len(data) > offset or completes > lsn:  # a start or a close may end it later than its bytes do
                return begin, flags & (CUT | PART), data[: offset - begin]
            goes_on = flags & PART and not flags & TORN and not data.endswith(b"\n")
            return offset, PART if goes_on else 0, b""
        return None

    def _of_files(
        self, manifest: Manifest, stream: StreamState, walk: _Walk, end: int
    ) -> Iterator[Piece | Hole | None]:
        """What the files have, one after the other. Raises Unreadable where one is gone."""
        for file in self._files(manifest, stream):
            first, file_end = file.streams[stream.path]
            of_it_alone = file.first_lsn >= stream.created_lsn
            if walk.position >= end or (of_it_alone and first >= end):
                return
            if of_it_alone and file_end <= walk.position:
                walk.lsn = max(walk.lsn, file.end_lsn)
                continue
            yield None
            what, fault = DAMAGED, self._fault(file)
            if not fault:
                try:
                    yield from self._of_file(manifest, file, stream, walk, end)
                except Unreadable as error:
                    if error.gone:
                        raise
                    what, fault = UNREADABLE, str(error)
            until = min(end, file_end)
            if fault and until > walk.position:
                yield from self._gap(manifest, stream, walk, min(until, max(first, walk.position)), file.first_lsn)
                if until > walk.position:
                    yield Hole(walk.position, until, what, fault)
                walk.position = until
            walk.lsn = max(walk.lsn, file.end_lsn)

    def _of_unended(
        self, manifest: Manifest, stream: StreamState, walk: _Walk, end: int
    ) -> Iterator[Piece | Hole | None]:
        """What is there of a line that had no end yet. Raises Unreadable."""
        held = self._unended(manifest, stream)
        if held is None or held.offset >= end or held.end <= walk.position:
            return
        yield from self._gap(manifest, stream, walk, held.offset, held.lsn)
        yield Piece(walk.position, held.data[walk.position - held.offset : end - held.offset])
        walk.position, walk.lsn = min(end, held.end), held.lsn

    def _unended(self, manifest: Manifest, stream: StreamState) -> Unended | None:
        held = self._reader.unended(manifest).get(stream.path)
        return held if held is not None and held.created_lsn == stream.created_lsn else None

    def _of_file(
        self, manifest: Manifest, file: File, stream: StreamState, walk: _Walk, end: int
    ) -> Iterator[Piece | Hole]:
        """What one file has. Raises Unreadable, when all that is behind ``walk`` was given."""
        first, file_end = file.streams[stream.path]
        low = max(0, walk.position - LINE_BYTES_MAX, first if file.first_lsn >= stream.created_lsn else 0)
        while low < min(end, file_end):
            high = min(end, low + STEP_BYTES)
            held: list[bytes] = []
            size, begin = 0, walk.position
            try:
                for offset, lsn, data in self._reader.exact(file, stream.path, stream.created_lsn, low, high):
                    if offset + len(data) <= walk.position:
                        continue
                    if offset > walk.position or size >= PIECE_BYTES:
                        if held:
                            yield Piece(begin, b"".join(held))
                            held = []
                        yield from self._gap(manifest, stream, walk, offset, lsn)
                        size, begin = 0, walk.position
                    held.append(data[walk.position - offset : end - offset])
                    size += len(held[-1])
                    walk.position, walk.lsn = walk.position + len(held[-1]), lsn
            except Unreadable:
                if held:
                    yield Piece(begin, b"".join(held))
                raise
            if held:
                yield Piece(begin, b"".join(held))
            low = high

    def _gap(self, manifest: Manifest, stream: StreamState, walk: _Walk, end: int, lsn: int) -> Iterator[Hole]:
        """The bytes up to ``end`` are in no file; ``lsn`` is that of the next row. The reading goes on behind them."""
        places = sorted(
            (place.offset, place.offset + place.bytes, place.why)
            for place in manifest.damaged
            if place.stream == stream.path and place.lsn >= stream.created_lsn
        )
        for low, high, why in places:
            if low < end and high > walk.position:
                if low > walk.position:
                    yield self._missing(manifest, stream.path, walk, low, lsn)
                yield Hole(walk.position, min(high, end), DAMAGED, why)
                walk.position = min(high, end)
        if walk.position < end:
            yield self._missing(manifest, stream.path, walk, end, lsn)

    def _missing(self, manifest: Manifest, path: str, walk: _Walk, end: int, lsn: int) -> Hole:
        start, walk.position = walk.position, end
        thinned = (one for one in manifest.thinned if one.stream == path)
        for first_lsn, end_lsn in [
            *((gone.first_lsn, gone.end_lsn) for gone in manifest.deleted),
            *((0, one.end_lsn) for one in thinned),
        ]:
            if first_lsn <= lsn and end_lsn > walk.lsn:
                return Hole(start, end, NOT_KEPT, "retention deleted them from the lake")
        for one in manifest.not_sealed:
            if one.first_lsn <= lsn and one.end_lsn > walk.lsn:
                return Hole(start, end, NOT_KEPT if one.why == RETENTION else DAMAGED, f"not in the lake: {one.why}")
        if lsn >= manifest.sealed_end:
            return Hole(start, end, NOT_KEPT, _UNSEALED if manifest.sealed_end else _OLD)
        return Hole(start, end, DAMAGED, _UNTOLD)

    def _files(self, manifest: Manifest, stream: StreamState) -> list[File]:
        """The files that may have rows of a stream, in the order of their LSNs, which is that of its offsets."""
        return [file for file in self._by_path(manifest).get(stream.path, []) if file.end_lsn > stream.created_lsn]

    def _by_path(self, manifest: Manifest) -> dict[str, list[File]]:
        with self._lock:
            if self._listed is None or self._listed[0] is not manifest:
                by_path: dict[str, list[File]] = {}
                for file in manifest.files:
                    for path in file.streams:
                        by_path.setdefault(path, []).append(file)
                self._listed = manifest, by_path
                self._firsts, self._befores = {}, {}
            return self._listed[1]

    def _first_of(self, file: File, stream: StreamState) -> int | None:
        """Where the first row of a stream in a file begins: of this stream, not of an earlier one of its path."""
        if file.first_lsn >= stream.created_lsn:
            return file.streams[stream.path][0]
        key = file.name, stream.path, stream.created_lsn
        if key not in self._firsts:
            self._firsts[key] = self._reader.first(file, stream.path, stream.created_lsn)
        return self._firsts[key]

    def _fault(self, file: File) -> str:
        """Why the rows of a file are not believed; nothing where it is what was written. Raises Unreadable."""
        now = self._clock()
        with self._lock:
            held = self._checked.get((file.name, file.check))
        if held is not None and now - held[0] < CHECKED_SECONDS:
            return held[1]
        found = self._reader.digest(file)
        fault = "" if found == file.check else f"{file.name} of the lake is not what was written"
        with self._lock:
            self._checked = {key: one for key, one in self._checked.items() if now - one[0] < CHECKED_SECONDS}
            self._checked[file.name, file.check] = now, fault
        return fault
