"""Core: walking the frames of a segment, and what a frame that does not check means after a crash.

A torn tail is what a crash leaves of a batch that was never synced, so of one that was never acknowledged: it is cut
off. Anything else is damage to bytes that were durable: then the store stays shut, since going on would hide a loss.
The two are told apart by the durable watermark: every frame carries the one of its time, and ``store/durable`` the
newest. (The case list is SHIPPING's 85 to 95; that a tail alone may be dropped is every write-ahead log's rule.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logship.collect.journal import HEAD_BYTES, MAGIC, CutOff, Foreign, Frame, Kind, ReadAt, frame_at
from logship.values import Invalid

_SEARCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Torn:
    """The journal is whole up to ``lsn``; the ``dropped_bytes`` after it were never durable."""

    lsn: int
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class Damaged:
    """At ``lsn`` durable bytes are not what was written."""

    lsn: int
    reason: str


class Walk:
    """The frames from ``start`` to ``end``, in order; ``bodies``: with their checksums compared.

    Iteration ends at the first frame that does not check. Then ``lsn`` is where it begins and ``fault`` what is wrong;
    at the end of a whole segment ``lsn`` is ``end`` and ``fault`` None. The first frame must be a checkpoint.
    ``broken`` is the frame there, where its head checks.
    """

    def __init__(self, read: ReadAt, start: int, end: int, *, bodies: bool) -> None:
        self.lsn = start
        self.fault: Invalid | None = None
        self.broken: Frame | None = None
        self._read = read
        self._start = start
        self._end = end
        self._bodies = bodies

    def __iter__(self) -> Iterator[Frame]:
        while self.lsn < self._end:
            frame = frame_at(self._read, self.lsn, self._end)
            if isinstance(frame, Invalid):
                self.fault = frame
                return
            if (frame.kind is Kind.CHECKPOINT) is not (frame.lsn == self._start):
                self.fault = Invalid("a checkpoint begins a segment, and stands nowhere else")
                return
            if self._bodies and not frame.holds(self._read(frame.body_lsn, frame.body_bytes)):
                self.fault, self.broken = Invalid("the body of the frame does not check"), frame
                return
            yield frame
            self.lsn = frame.end


def judge(read: ReadAt, broken_lsn: int, end: int, published: int | None) -> Torn | Damaged:
    """What it means that the frame at ``broken_lsn`` in the last segment does not check.

    ``published`` is the watermark of ``store/durable``, None where that file says nothing.
    """
    broken = frame_at(read, broken_lsn, end)
    if isinstance(broken, Foreign):
        return Damaged(broken_lsn, broken.reason)
    if published is not None and published > broken_lsn:
        return Damaged(broken_lsn, f"all up to {published} was durable (store/durable says so)")
    if isinstance(broken, CutOff):
        return Torn(broken_lsn, end - broken_lsn)
    # Where the head is whole the body is skipped: what a client sent is no witness, even if it looks like a frame.
    later = _witness(read, broken_lsn, broken_lsn + 1 if isinstance(broken, Invalid) else broken.end, end)
    if later is not None:
        return Damaged(broken_lsn, f"all up to {later.watermark} was durable (the frame at {later.lsn} says so)")
    return Torn(broken_lsn, end - broken_lsn)


def _witness(read: ReadAt, broken_lsn: int, start: int, end: int) -> Frame | None:
    """A frame from ``start`` on that was written when the broken one was durable already."""
    for window_lsn in range(start, end - HEAD_BYTES + 1, _SEARCH_BYTES):
        window = read(window_lsn, _SEARCH_BYTES + len(MAGIC) - 1)
        at = window.find(MAGIC)
        while at >= 0:
            frame = frame_at(read, window_lsn + at, end)
            if not isinstance(frame, Invalid) and frame.watermark > broken_lsn:
                return frame
            at = window.find(MAGIC, at + 1)
    return None
