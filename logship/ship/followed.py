"""Edge: one followed file: opening it, what of it can be read, reading it, comparing it with what is stored.

It stays open while it is followed, so a rename or a deletion takes nothing away. At each look, and at each read after
the bytes are there, the bytes before the end seen last are compared with what they were (the guard): a read of a file
that was replaced meanwhile brings nothing.

Left to others: what a look means (``tailer``), which files there are (``globs``), which stream it is (``identity``).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from dataclasses import dataclass

from logship.ship.birth import birth_ns
from logship.ship.held import Held
from logship.ship.identity import PROGRAM, Evidence
from logship.ship.tailer import Sight, Tailer
from logship.ship.watch import of_descriptor
from logship.spool.ranges import Span
from logship.wire.fields import DIGESTS, Digest

GUARD_BYTES = 4096
FORMERS_MAX = 16
"""So many replaced contents are remembered, to find them in copies; of older ones only how large they were."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoFile(Exception):
    """What a path leads to is nothing to be followed; the text says why."""


@dataclass(frozen=True, slots=True)
class Former:
    """A content that was replaced: ``size`` bytes of it were seen, of which the ``last`` stood at ``guard``.

    ``gone`` counts the bytes of the contents before it.
    """

    gone: int
    size: int
    guard: Span
    last: bytes

    def is_in(self, file: OpenFile) -> bool:
        """Whether the file has, at their place, the bytes that it ended with."""
        with contextlib.suppress(OSError):
            return os.pread(file.descriptor, self.guard.size, self.guard.offset) == self.last
        return False


@dataclass(eq=False)
class OpenFile:
    """A regular file, open, with its evidence."""

    descriptor: int
    evidence: Evidence

    @property
    def size(self) -> int:
        """Now."""
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def open_file(path: str) -> OpenFile:
    """The regular file that ``path`` leads to. Raises OSError, or NoFile for a thing of another kind.

    A FIFO or a device is never opened to wait for somebody; what was opened is looked at once more.
    """
    _check(os.stat(path))  # noqa: PTH116  # paths are text here, many, and looked at often
    descriptor = os.open(path, _FLAGS)
    try:
        facts = os.fstat(descriptor)
        _check(facts)
        return OpenFile(descriptor, Evidence(facts.st_dev, facts.st_ino, birth_ns(descriptor)))
    except BaseException:
        os.close(descriptor)
        raise


def _check(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise NoFile("it is no regular file")


class FileSource:
    """A file as a source. ``read`` may be called by one other thread at a time, the rest by the first one."""

    adopted = False
    program = PROGRAM

    def __init__(self, file: OpenFile, path: str, gone: int = 0) -> None:
        self.path = path
        self.named = True  # a pattern leads to it, or it has no successor
        self.left = False  # no pattern names it any more, though it is where it was: what it has now is the end
        self.acked: int | None = None
        self.acked_at = 0.0
        self.now = 0.0  # of the next look
        self.changed_at = 0.0
        self._file = file
        self._tailer = Tailer(gone)
        self._formers: list[Former] = []  # the first is the oldest
        self._guard = Span(0, 0)
        self._guard_bytes = b""
        self._seen: tuple[int, int, int, int, str] | None = None
        self._lock = threading.Lock()  # over file, tailer and guard

    @property
    def name(self) -> str:
        """For people."""
        return self.path

    @property
    def evidence(self) -> Evidence:
        """What tells the file from all others."""
        return self._file.evidence

    @property
    def file(self) -> OpenFile:
        """What is read now."""
        return self._file

    @property
    def watched(self) -> tuple[int, str]:
        """Where it is heard of that it grows, and what tells that from another file with the same descriptor later."""
        return self._file.evidence.inode, of_descriptor(self._file.descriptor)

    @property
    def over(self) -> bool:
        """Whether nothing is expected of it any more."""
        return self._tailer.over

    @property
    def gone(self) -> int:
        """Bytes of its former contents, as far as they were seen."""
        return self._tailer.gone

    @property
    def size(self) -> int:
        """As at the last look."""
        return self._tailer.size

    def look(self, _ended: bool = False) -> Held | None:
        """What is held, or None when that is as at the last look. Raises OSError."""
        with self._lock:
            facts = os.fstat(self._file.descriptor)
            seen = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_nlink, self.path)
            same = seen == self._seen or self._guarded()
            size = min(facts.st_size, self._tailer.size) if self.left and self.over else facts.st_size
            sight = Sight(size, same, self.named and facts.st_nlink > 0, facts.st_nlink > 0, self.left)
            moved = self._seen is None or seen[4] != self._seen[4]
            gone, had = self._tailer.gone, self._tailer.size
            changed = self._tailer.looked(sight, self.now)
            if self._tailer.gone != gone:
                former = Former(gone, had, self._guard, self._guard_bytes)
                self._formers = [*self._formers[1 - FORMERS_MAX :], former]
            self._seen = seen
            if not changed and not moved:
                return None
            self.changed_at = self.now
            if changed:
                self._guard_at(size)
            return self._held()

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from exactly ``offset``, at most ``size``. Raises OSError, also when it was replaced meanwhile."""
        with self._lock:
            size = min(size, self._tailer.size - offset)
            data = os.pread(self._file.descriptor, size, offset) if size > 0 else b""
            if not self._guarded():
                self._seen = None  # the next look finds out
                raise OSError(errno.ESTALE, "the file was replaced while it was read")
            return data

    def has_digest(self, span: Span, digest: Digest) -> bool | None:
        """Whether the bytes of ``span`` have this digest; None when they cannot be read."""
        try:
            with self._lock:
                return has_digest(self._file, span, digest)
        except OSError:
            return None

    def formers(self, since: int) -> list[Former]:
        """The contents that were replaced since ``since`` bytes were gone, the oldest first."""
        return [former for former in self._formers if former.gone >= since]

    def had(self, copy: OpenFile, since: int) -> bool:
        """Whether a copy holds what the file was seen with since ``since`` bytes were gone, and does not have now."""
        with self._lock, contextlib.suppress(OSError):
            contents = self.formers(since) if self._guarded() else [*self.formers(since), self._present]
            return any(former.is_in(copy) for former in contents)
        return False

    def found_again(self, size: int) -> None:
        """So many of the bytes that are gone are in other files."""
        with self._lock:
            self._tailer.gone -= size
            self._formers, self._seen = [], None

    def go_on_with(self, copy: OpenFile, path: str, gone: int) -> OpenFile:
        """Read ``copy`` from now on, which holds what this file held before it was emptied; what was read until now."""
        with self._lock:
            former, self._file = self._file, copy
            self.path, self.named = path, False
            self._tailer, self._formers = Tailer(gone), []
            self._seen, self._guard, self._guard_bytes = None, Span(0, 0), b""
        return former

    def facts(self) -> os.stat_result:
        """Of the file, now. Raises OSError."""
        with self._lock:
            return os.fstat(self._file.descriptor)

    def note_acked(self, offset: int, now: float) -> None:
        """Nobody needs to know: what is acknowledged is asked of the collector."""
        self.acked, self.acked_at = offset, now

    def delete_acked(self) -> None:
        """The file is its writer's."""

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._file.close()

    @property
    def _present(self) -> Former:
        """The content that it was last seen with."""
        return Former(self._tailer.gone, self._tailer.size, self._guard, self._guard_bytes)

    def _held(self) -> Held:
        size, gone = self._tailer.size, self._tailer.gone
        spans = (Span(0, size),) if size else ()
        return Held(spans, size, True, self._tailer.over, gone=gone, path=self.path)

    def _guarded(self) -> bool:
        guard = self._guard
        return not guard.size or os.pread(self._file.descriptor, guard.size, guard.offset) == self._guard_bytes

    def _guard_at(self, end: int) -> None:
        """Remember the bytes before ``end``."""
        start = max(0, end - GUARD_BYTES)
        self._guard_bytes = os.pread(self._file.descriptor, end - start, start)
        self._guard = Span(start, len(self._guard_bytes))


def has_digest(file: OpenFile, span: Span, digest: Digest) -> bool:
    """Whether the file's bytes of ``span`` have this digest. Raises OSError."""
    if digest.algorithm not in DIGESTS:
        return False
    data = os.pread(file.descriptor, span.size, span.offset)
    return len(data) == span.size and hashlib.new(DIGESTS[digest.algorithm], data).digest() == digest.value
