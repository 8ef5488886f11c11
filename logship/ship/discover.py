"""Edge: the stream of one program in a spool folder: what of it can be read, reading it, noting what is acknowledged.

A look costs two stat calls a program while nothing happens. The names and sizes of segments are the truth; hints of the
kernel are not used, since splice(2), by which most segments grow, gives none before Linux 6.5.

Left to others: the folder as a whole (``folder``), what follows from a look (``sender``), deleting segments of the
living (``logship.spool``); of an adopted folder they are deleted here.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time

from logship.ship.folder import SpoolFolder
from logship.ship.held import Held
from logship.spool import acked
from logship.spool.layout import STARTS
from logship.spool.ranges import Segment, Span, merged
from logship.spool.reader import StreamReader
from logship.spool.segment import listed
from logship.values import Invalid, parse_time
from logship.wire.fields import DIGESTS, Digest, Start

SETTLED_SECONDS = 0.1
"""A folder changed more lately than this before a look may change again within the same tick of its clock."""
_STARTS_BYTES_MAX = 4 * 1024 * 1024


class SpoolSource:
    """The stream of one program. ``read`` may be called by one other thread at a time, the rest by the first one."""

    def __init__(self, folder: SpoolFolder, program: str) -> None:
        self.folder = folder
        self.program = program
        self.acked: int | None = None  # as the file says
        self.acked_at = 0.0
        self._path = folder.path / program
        self._reader = StreamReader(self._path)
        self._segments: list[Segment] = []
        self._seen: tuple[int, int] | None = None
        self._starts: tuple[Start, ...] = ()
        self._starts_seen: tuple[int, int] | None = None
        self._ended = False

    @property
    def adopted(self) -> bool:
        """Whether the folder is one that another incarnation left behind."""
        return self.folder.adopted

    @property
    def name(self) -> str:
        """For people."""
        return str(self._path)

    @property
    def watched(self) -> tuple[int, str]:
        """Where it is heard of that it grows: its folder."""
        return 0, str(self._path)

    def look(self, ended: bool) -> Held | None:
        """What is held, or None when that is as at the last look. Raises OSError."""
        before, now = self._facts(), time.time_ns()
        if before is not None and before == self._seen and ended == self._ended:
            return None
        found = listed(self._path)
        if _holes(found) != _holes(self._segments):
            found = listed(self._path)  # a segment cut while the listing went on has its full size in this one
        self._segments = found
        quiet = before is not None and now - before[0] > SETTLED_SECONDS * 1e9
        self._seen = (before[0], found[-1].size if found else 0) if quiet and before else None
        self._ended = ended
        spans = tuple(merged(Span(*segment) for segment in found if segment.size))
        end = found[-1].end if found else 0
        losses_known = self.folder.losses_of(self.program)
        if ended and losses_known:  # an orphan over its budget may have no segment left to tell where it ended
            end = max(end, *(lost.span.end for lost in losses_known))
        # Of one that has ended nothing is an answer, too: a crash of the host may have left nothing of what was sent.
        known = end > 0 or bool(found) or ended
        return Held(spans, end, known, ended, self._read_starts(), losses_known)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from exactly ``offset``, at most ``size``; fewer where a hole begins, none in one. Raises OSError."""
        self._reader.seek(offset)
        parts: list[bytes] = []
        while size > 0:
            at = self._reader.offset
            data = self._reader.read(size)
            if not data or self._reader.offset - len(data) != at:
                break
            parts.append(data)
            size -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def has_digest(self, span: Span, digest: Digest) -> bool | None:
        """Whether the bytes of ``span`` have this digest; None when they are not all there."""
        reader = SpoolSource(self.folder, self.program)
        try:
            data = reader.read(span.offset, span.size)
        except OSError:
            return None
        finally:
            reader.close()
        if len(data) < span.size or digest.algorithm not in DIGESTS:
            return None
        return hashlib.new(DIGESTS[digest.algorithm], data).digest() == digest.value

    def note_acked(self, offset: int, now: float) -> None:
        """Say to spool what is acknowledged. Raises OSError."""
        acked.note(self._path, offset)
        self.acked, self.acked_at = offset, now

    def delete_acked(self) -> None:
        """Delete, as spool would, what ``note_acked`` noted; of an adopted folder only. Raises OSError."""
        assert self.folder.adopted
        acked.delete(self._path, listed(self._path))

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _facts(self) -> tuple[int, int] | None:
        """What changes whenever the stream does: the folder's time and the last segment's size, of none 0."""
        try:
            folder = os.stat(self._path)  # noqa: PTH116  # half the time of Path.stat, ten times a second
            if not self._segments:
                return folder.st_mtime_ns, 0
            last = os.stat(self._path / self._segments[-1].name)  # noqa: PTH116
        except FileNotFoundError:
            return None
        return folder.st_mtime_ns, last.st_size

    def _read_starts(self) -> tuple[Start, ...]:
        path = self._path / STARTS
        with contextlib.suppress(OSError):
            facts = path.stat()
            if (facts.st_size, facts.st_mtime_ns) != self._starts_seen and facts.st_size <= _STARTS_BYTES_MAX:
                self._starts_seen = (facts.st_size, facts.st_mtime_ns)
                self._starts = tuple(start for line in path.read_bytes().splitlines() if (start := _start(line)))
        return self._starts


def _holes(found: list[Segment]) -> list[tuple[int, int]]:
    """Ranges between segments that none covers."""
    return [(a.end, b.offset) for a, b in itertools.pairwise(found) if a.end < b.offset]


def _start(line: bytes) -> Start | None:
    try:
        entry = json.loads(line)
        offset, text = int(entry["offset"]), str(entry["time"])
    except (ValueError, KeyError, TypeError):
        return None
    return None if offset < 0 or isinstance(parse_time(text), Invalid) else Start(offset, text)
