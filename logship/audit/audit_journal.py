"""Edge: collect's journal, frame by frame from a mark on, for one reader that goes on where it stopped.

Heads are read, and bodies only of streams that are wanted, so following costs little of what is taken in. Left to
others: files (``logship.view.segments``), what frames mean (``audit_book``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logship import zstd
from logship.collect.journal import ZSTD, Frame, Kind, frame_at
from logship.collect.state import State, load
from logship.errors import Fault
from logship.values import Invalid
from logship.view.segments import Gone, Segments, segment_of

DECODED_BYTES_MAX = 1 << 30
"""Only a bound for what a checksum vouches for; intake had its own."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the journal was read: up to ``lsn``; the frame before it began at ``frame_lsn`` and had this checksum."""

    lsn: int
    frame_lsn: int
    check: int


class Frames:
    """The frames of the store in ``folder``. Raises NoStore where there is none yet."""

    def __init__(self, folder: Path) -> None:
        self._segments = Segments(folder)

    def durable(self) -> int:
        """How far the journal goes now."""
        return self._segments.durable()

    def first(self) -> int:
        """Where the oldest segment begins. Raises Gone while there is none."""
        listed = self._segments.listed()
        if not listed:
            raise Gone("the journal has no segment yet")
        return listed[0]

    def known_at(self, segment_lsn: int) -> State:
        """All streams as they were when a segment was begun. Raises Gone, and Fault for damage."""
        frame = self._frame(segment_lsn)
        body = self.body(frame, decode=False)
        state = load(body) if body is not None else Invalid("its body does not check")
        if isinstance(state, Invalid):
            raise _damage(segment_lsn, f"the checkpoint {state.reason}")
        return state

    def follows(self, mark: Mark) -> bool:
        """Whether the journal is still the one that was read up to ``mark``, and goes on from there."""
        listed = self._segments.listed()
        if mark.lsn > self.durable() or segment_of(listed, mark.lsn) is None:
            return False
        if segment_of(listed, mark.frame_lsn) is None:
            return mark.lsn in listed
        try:
            frame = self._frame(mark.frame_lsn)
        except (Gone, Fault):
            return False
        return (frame.end, frame.body_check) == (mark.lsn, mark.check)

    def after(self, lsn: int) -> Iterator[Frame]:
        """The frames from ``lsn`` to the end as it is now. Raises Gone, and Fault for damage."""
        end = self.durable()
        while lsn < end:
            listed = self._segments.listed()
            segment_lsn = segment_of(listed, lsn)
            if segment_lsn is None:
                raise Gone(f"the journal from LSN {lsn} on was deleted")
            bound = min([end, *[other for other in listed if other > segment_lsn][:1]])
            reader = self._segments.reader(segment_lsn)
            while lsn < bound:
                frame = frame_at(reader.read, lsn, bound)
                if isinstance(frame, Invalid):
                    raise _damage(lsn, frame.reason)
                yield frame
                lsn = frame.end

    def body(self, frame: Frame, *, decode: bool = True) -> bytes | None:
        """The bytes that a frame adds to its stream; None when they cannot be read any more. Raises Gone."""
        segment_lsn = segment_of(self._segments.listed(), frame.lsn)
        if segment_lsn is None:
            raise Gone(f"the segment with LSN {frame.lsn} was deleted")
        body = self._segments.read(segment_lsn, frame.body_lsn, frame.body_bytes)
        if not frame.holds(body):
            return None
        decoded = zstd.decode(body, DECODED_BYTES_MAX) if decode and frame.flags & ZSTD else body
        return None if isinstance(decoded, Invalid) else decoded

    def _frame(self, lsn: int) -> Frame:
        segment_lsn = segment_of(self._segments.listed(), lsn)
        if segment_lsn is None:
            raise Gone(f"the segment with LSN {lsn} was deleted")
        frame = frame_at(self._segments.reader(segment_lsn).read, lsn, self.durable())
        if isinstance(frame, Invalid):
            raise _damage(lsn, frame.reason)
        return frame


def mark_after(frame: Frame) -> Mark:
    """The mark behind a frame that was read."""
    return Mark(frame.end, frame.lsn, frame.body_check)


def changes(frame: Frame) -> bool:
    """Whether a frame is about a stream at all."""
    return frame.kind not in (Kind.CHECKPOINT, Kind.LOSSES, Kind.PROOF)


def _damage(lsn: int, reason: str) -> Fault:
    return Fault("read", f"the journal at LSN {lsn}", reason, "run `logship fsck` on the store")
