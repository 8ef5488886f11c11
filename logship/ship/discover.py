"""Edge: spool folders as sources: which programs have a stream there, what of it can be read, reading it, noting acks.

A look costs two stat calls a program while nothing happens. The names and sizes of segments are the truth; hints of the
kernel are not used, since splice(2), by which most segments grow, gives none before Linux 6.5.

Left to others: what follows from a look (``sender``), deleting segments (``logship.spool``).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import time
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.ship.held import Held
from logship.spool import losses, streams
from logship.spool.layout import ACKED, ALIVE, FOLDER_MODE, IDENTITY, LOSSES, STARTS, segment_name
from logship.spool.log import OWN
from logship.spool.ranges import Segment, Span, merged
from logship.spool.reader import StreamReader
from logship.spool.segment import listed
from logship.values import Invalid, parse_stream_path, parse_time
from logship.wire.fields import DIGESTS, Digest, Start

LOCK = "ship"
SETTLED_SECONDS = 0.1
"""A folder changed more lately than this before a look may change again within the same tick of its clock."""
_IDENTITY_BYTES_MAX = 64 * 1024
_STARTS_BYTES_MAX = 4 * 1024 * 1024


class SpoolFolder:
    """The spool of one incarnation. Raises Fault where it is none."""

    def __init__(self, path: Path) -> None:
        try:
            self.path = path.resolve(strict=True)
            self.identity = _identity(self.path / IDENTITY)
        except (OSError, RuntimeError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            hint = "give the folder of an incarnation, or the link /run/supervise/spool"
            raise Fault("ship the spool", str(path), cause, hint, USAGE) from None
        self._lock: int | None = None
        self._alive: int | None = None
        self._losses: dict[str, tuple[tuple[Span, str], ...]] = {}
        self._losses_seen: tuple[int, int] | None = None

    def lock(self) -> bool:
        """Be the one who ships this folder, for this process's life; False while another one is, or it is gone.

        The lock is on a folder, that of the stream of the program ``ship``, so that the name can be both.
        """
        if self._lock is None:
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                (self.path / LOCK).mkdir(FOLDER_MODE)
            self._lock = _locked(self.path / LOCK, os.O_RDONLY | os.O_DIRECTORY)
        return self._lock is not None

    def ended(self) -> bool:
        """Whether the incarnation is over: nobody holds ``alive``, which it held from before it had its name."""
        if self._alive is None:
            self._alive = _locked(self.path / ALIVE, os.O_RDWR)
        return self._alive is not None

    def programs(self) -> list[str]:
        """The programs that have a stream here. Raises OSError."""
        own = [OWN] if (self.path / OWN).is_dir() else []
        return sorted([*streams.folders(self.path), *own])

    def losses_of(self, program: str) -> tuple[tuple[Span, str], ...]:
        """The ranges of the program's stream that have a record of loss."""
        path = self.path / LOSSES
        with contextlib.suppress(OSError):
            facts = path.stat()
            if (facts.st_size, facts.st_mtime_ns) != self._losses_seen:
                self._losses_seen = (facts.st_size, facts.st_mtime_ns)
                found: dict[str, list[tuple[Span, str]]] = {}
                for loss in losses.read(path):
                    found.setdefault(loss.stream, []).append((loss.span, loss.reason))
                self._losses = {stream: tuple(sorted(each)) for stream, each in found.items()}
        return self._losses.get(program, ())


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
        self._seen = (before[0], found[-1].size) if quiet and before and found else None
        self._ended = ended
        spans = tuple(merged(Span(*segment) for segment in found if segment.size))
        end = found[-1].end if found else 0
        losses_known = self.folder.losses_of(self.program)
        return Held(spans, end, bool(found), ended, self._read_starts(), losses_known)

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
        """Say to spool what is acknowledged. Not synced: it follows from what the collector says. Raises OSError."""
        fresh = self._path / f".{ACKED}.new"
        fresh.write_bytes(f"{segment_name(offset)}\n".encode())
        fresh.replace(self._path / ACKED)
        self.acked, self.acked_at = offset, now

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _facts(self) -> tuple[int, int] | None:
        """What changes whenever the stream does: the folder's time and the last segment's size."""
        if not self._segments:
            return None
        try:
            folder = os.stat(self._path)  # noqa: PTH116  # half the time of Path.stat, ten times a second
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


def _identity(path: Path) -> dict[str, str]:
    """The words of ``identity.json``. Raises OSError, or RuntimeError where it says something else."""
    with path.open("rb") as file:
        content = file.read(_IDENTITY_BYTES_MAX)
    try:
        words = json.loads(content)
        found = {name: words[name] for name in ("service", "host", "incarnation")}
        found["created"] = str(words["created"])
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"{path.name} is no identity of an incarnation") from None
    if words.get("v") != 1:
        raise RuntimeError(f"its format version is {words.get('v')!r}, and only 1 is known here")
    for name in ("service", "incarnation", "host"):
        if (
            not isinstance(found[name], str)
            or "/" in found[name]
            or isinstance(parse_stream_path(found[name]), Invalid)
        ):
            raise RuntimeError(f"its {name} cannot be part of a stream's path")
    return found


def _locked(path: Path, flags: int) -> int | None:
    """The file or folder of this name, locked; None when another holds the lock or the name is another's meanwhile."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # noqa: PTH116  # compared with os.fstat
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
