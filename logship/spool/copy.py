"""Edge: the copy of all streams for ``docker logs``, read back from the segments and written to the container's output.

The copy is a convenience and gives way to everything: the target is opened anew with O_NONBLOCK (the flag then is this
open file's alone, not PID 1's), and an engine that stops reading costs memory for one buffer and nothing else. The
segments are the queue: a stream's copy may lag ``LAG_BYTES_MAX`` behind its end, then whole lines are left out,
counted, and told in one line when the target takes something again. So it is, too, with what is beyond ``RATE_BYTES``
a second: for each byte of a line the engine takes several times what all of capture and shipping takes. Where each
stream's copy stands is kept in a small file, so a restart goes on there; a killed spool may repeat the last buffer's
lines.

Left to others: what a copied line looks like (``lines``), when to look at a stream (``run``).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from logship.spool.layout import COPIED
from logship.spool.lines import LineCutter, not_a_snapshot, prefix
from logship.spool.log import OWN
from logship.spool.reader import StreamReader

LINE_BYTES_MAX = 64 * 1024
READ_BYTES = 64 * 1024
TURN_BYTES = 256 * 1024
LAG_BYTES_MAX = 1024 * 1024
RATE_BYTES = 512 * 1024
"""Of all streams together, a second, for long: the engine spends a tenth of a core on a MiB a second."""
BURST_BYTES = 4 * 1024 * 1024
"""What may be written at once after a rest."""
UNFINISHED_SECONDS = 1.0
"""A line without its end is shown after this long: a last word before a crash often has none."""
REOPEN_SECONDS = 5.0
SAY_SECONDS = 1.0
SNAPPING = ("supervise", "ship")


class CopiedStream:
    """How far the copy of one stream is; ``end`` is the stream's end as far as it was told."""

    def __init__(self, folder: Path, offset: int, line_prefix: bytes) -> None:
        self.end = offset
        self.unfinished_since = 0.0
        self._prefix = line_prefix
        self._reader = StreamReader(folder, offset)
        self._cutter = LineCutter(line_prefix, LINE_BYTES_MAX, not_a_snapshot if folder.name in SNAPPING else None)

    @property
    def lag(self) -> int:
        """Bytes of the stream that were not looked at."""
        return max(0, self.end - self._reader.offset)

    @property
    def unfinished(self) -> bool:
        """Whether a line waits for its end."""
        return self._cutter.unread > 0

    @property
    def done(self) -> int:
        """The offset of the first byte that has not come out as a line."""
        return self._reader.offset - self._cutter.unread

    def take(self, now: float) -> tuple[int, bytes]:
        """Look at the next bytes, at most ``READ_BYTES``: how many, and the lines they finish."""
        skipped = self._reader.skipped_bytes
        data = self._reader.read(READ_BYTES)
        if not data:  # the end is a hole, or the folder is gone
            self.end = self._reader.offset
            return 0, b""
        lost = self._reader.skipped_bytes - skipped
        lines = self._cutter.flush() + self._prefix + b"[%d bytes lost here]\n" % lost if lost else b""
        lines += self._cutter.feed(data)
        self.unfinished_since = now
        return len(data), lines

    def flush(self) -> tuple[int, bytes]:
        """The unfinished line, as ``take`` gives lines."""
        return self._cutter.unread, self._cutter.flush()

    def skip(self) -> int:
        """Leave out the oldest lines; how many. Goes to half the lag that is allowed, or one turn's bytes far."""
        lines = passed = 0
        while passed < TURN_BYTES and self.lag > LAG_BYTES_MAX // 2:
            data = self._reader.read(READ_BYTES)
            if not data:
                self.end = self._reader.offset
                break
            passed += len(data)
            lines += data.count(b"\n")
            cut = data.rfind(b"\n") + 1
            if cut:
                self._cutter.reset()
            self._cutter.feed(data[cut:])
        return lines


class Copy:
    """The copies of all streams, taking turns at one target. Times are of a clock that never goes back, in seconds."""

    def __init__(self, target: str, spool: Path, width: int) -> None:
        self.lost_lines = 0
        self.descriptor: int | None = None
        self.blocked = False
        self._target = target
        self._spool = spool
        self._width = width
        self._streams: dict[str, CopiedStream] = {}
        self._next = 0
        self._pending = b""
        self._kept = self._read_places()
        self._places: int | None = None
        self._reopen_at = 0.0
        self._said_at = -SAY_SECONDS
        self._allowance = float(BURST_BYTES)
        self._allowed_at: float | None = None  # when that was so

    def grew(self, name: str, end: int) -> None:
        """The stream ``name`` now ends at ``end``. One that is new begins where the copy was, else at 0."""
        stream = self._streams.get(name)
        if stream is None:
            offset = min(self._kept.get(name, 0), end)
            stream = CopiedStream(self._spool / name, offset, prefix(name, self._width))
            self._streams[name] = stream
        stream.end = max(stream.end, end)

    def turn(self, now: float) -> bool:
        """Do one turn's share of the work; whether more could be done at once. Never raises OSError, never waits."""
        for stream in self._streams.values():
            if stream.lag > LAG_BYTES_MAX:
                self.lost_lines += stream.skip()
        if self.blocked or not self._allowed(now) or not self._open(now):
            return False
        budget = TURN_BYTES
        while budget > 0:
            done = self._write(now) if self._pending else self._compose(now)
            if done == 0:
                return False
            budget -= done
        return self._allowance > 0

    def last_turns(self) -> None:
        """The end is near: from now on as much is written as the target takes."""
        self._allowance = float("inf")

    def unblock(self) -> None:
        """The target takes bytes again."""
        self.blocked = False

    def deadline(self) -> float | None:
        """When a turn is due though no stream grew; None: never, or when the target takes bytes again."""
        if self.blocked:
            return None
        due = [stream.unfinished_since + UNFINISHED_SECONDS for stream in self._streams.values() if stream.unfinished]
        if self.lost_lines:
            due.append(self._said_at + SAY_SECONDS)
        if self._pending or any(stream.lag for stream in self._streams.values()):
            due.append(0.0)
        first = min(due, default=None)
        if first is not None and self._allowance <= 0 and self._allowed_at is not None:
            first = max(first, self._allowed_at + (1 - self._allowance) / RATE_BYTES)
        return first if self.descriptor is not None or first is None else max(first, self._reopen_at)

    def close(self) -> None:
        """Let go of the target; it is opened again when there is something to write."""
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor = None
        self.blocked = False

    def _compose(self, now: float) -> int:
        """Make the next lines pending: a word on lines left out, else those of the next stream in turn.

        Returns how many bytes were looked at, which may end no line; 0 when there are none.
        """
        if self.lost_lines and now >= self._said_at + SAY_SECONDS:
            lost, self.lost_lines, self._said_at = self.lost_lines, 0, now
            self._pending = prefix(OWN, self._width) + b"%d lines not copied\n" % lost
            return len(self._pending)
        streams = list(self._streams.values())
        for step in range(len(streams)):
            stream = streams[(self._next + step) % len(streams)]
            looked = 0
            if stream.lag:
                looked, self._pending = stream.take(now)
            elif stream.unfinished and now >= stream.unfinished_since + UNFINISHED_SECONDS:
                looked, self._pending = stream.flush()
            if looked:
                self._next = (self._next + step + 1) % len(streams)
                return looked
        self._keep_places()
        return 0

    def _write(self, now: float) -> int:
        """Write what is pending; how much went. 0: the target is full or gone."""
        assert self.descriptor is not None
        try:
            count = os.write(self.descriptor, self._pending)
        except BlockingIOError:
            self.blocked = True
            return 0
        except OSError:
            self.close()
            self._reopen_at = now + REOPEN_SECONDS
            return 0
        self._allowance -= count
        self._pending = self._pending[count:]
        if not self._pending:
            self._keep_places()
        return count

    def _allowed(self, now: float) -> bool:
        """Whether the pace leaves anything to be written now."""
        if self._allowed_at is not None and self._allowance < BURST_BYTES:
            self._allowance = min(BURST_BYTES, self._allowance + (now - self._allowed_at) * RATE_BYTES)
        self._allowed_at = now
        return self._allowance > 0

    def _open(self, now: float) -> bool:
        if self.descriptor is None and now >= self._reopen_at:
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                self.descriptor = os.open(self._target, flags)
            except OSError:
                self._reopen_at = now + REOPEN_SECONDS
        return self.descriptor is not None

    def _keep_places(self) -> None:
        """Write down how far each copy is: a hundred bytes for each buffer written."""
        self._kept.update({name: stream.done for name, stream in self._streams.items()})
        text = "".join(f"{name} {offset}\n" for name, offset in self._kept.items()).encode()
        with contextlib.suppress(OSError):
            if self._places is None:
                self._places = os.open(self._spool / COPIED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            os.pwrite(self._places, text, 0)
            os.ftruncate(self._places, len(text))

    def _read_places(self) -> dict[str, int]:
        places: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for line in (self._spool / COPIED).read_bytes().decode(errors="replace").splitlines():
                name, _, number = line.rpartition(" ")
                if name and number.isascii() and number.isdigit():
                    places[name] = int(number)
        return places
