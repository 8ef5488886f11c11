"""Core: segments and ranges of a stream, and what is missing from it.

Left to others: file names (``layout``), listing a folder (``segment``), writing losses down (``losses``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from logship.spool.layout import parse_segment, segment_name


class Segment(NamedTuple):
    """One file of a stream: the offset of its first byte and its size, both in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.offset + self.size

    @property
    def name(self) -> str:
        """Its file name."""
        return segment_name(self.offset)


class Span(NamedTuple):
    """A range of a stream: ``size`` bytes from ``offset``."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset after its last byte."""
        return self.offset + self.size


def segments(listing: Iterable[tuple[str, int]]) -> list[Segment]:
    """The segments among ``listing`` (pairs of file name and size), in the order of the stream."""
    found = [Segment(offset, size) for name, size in listing if (offset := parse_segment(name)) is not None]
    found.sort()
    return found


def missing(found: Iterable[Segment]) -> list[Span]:
    """The ranges between 0 and the end that no segment covers, in order: what was deleted or dropped."""
    spans: list[Span] = []
    covered = 0
    for segment in found:
        if segment.offset > covered:
            spans.append(Span(covered, segment.offset - covered))
        covered = max(covered, segment.end)
    return spans


def without(spans: Iterable[Span], known: Iterable[Span]) -> list[Span]:
    """What of ``spans`` is in none of ``known``, in order."""
    left = sorted(spans)
    for taken in known:
        cut: list[Span] = []
        for span in left:
            before = min(span.end, taken.offset) - span.offset
            after = span.end - max(span.offset, taken.end)
            if before <= 0 and after <= 0:
                continue
            if before >= span.size or after >= span.size:
                cut.append(span)
                continue
            if before > 0:
                cut.append(Span(span.offset, before))
            if after > 0:
                cut.append(Span(span.end - after, after))
        left = cut
    return left


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same bytes in as few ranges as can be, in order."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.offset <= joined[-1].end:
            joined[-1] = Span(joined[-1].offset, max(joined[-1].end, span.end) - joined[-1].offset)
        else:
            joined.append(span)
    return joined


def over_budget(
    streams: Mapping[str, Sequence[Segment]], bytes_max: int, last_too: bool = False
) -> list[tuple[str, Segment]]:
    """The segments that must go so that all ``streams`` together are within ``bytes_max``, in the order of going.

    Each is the oldest of the stream that holds most by then, so one that floods pays itself and a quiet one keeps what
    it has. The last segment of a stream stays, since it is written, but where nobody writes any more (``last_too``).
    """
    kept = 0 if last_too else 1
    held = {name: sum(segment.size for segment in found) for name, found in streams.items()}
    at = dict.fromkeys(held, 0)
    gone: list[tuple[str, Segment]] = []
    while sum(held.values()) > bytes_max:
        having = [name for name, found in streams.items() if at[name] < len(found) - kept and held[name]]
        if not having:
            break
        name = max(having, key=lambda one: (held[one], one))
        segment = streams[name][at[name]]
        gone.append((name, segment))
        held[name] -= segment.size
        at[name] += 1
    return gone
