"""Core: what may go: the oldest finished segments by age and size, then the streams of which nothing is left.

Where there is a lake, only segments go that it holds: what is to be sealed waits, whatever its age and size.

A stream that retention removed is kept as a tombstone, so that nobody sends it again: PUT and POST say that it ended
and where. Tombstones go ``tombstone_seconds`` after they were last asked for. Segments are deleted first, tombstones
recorded after: a crash between loses nothing, since the next run finds the same streams empty; and a full disk is no
obstacle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from logship.collect.stream import StreamState
from logship.values import StreamPath

DAY_SECONDS = 24 * 3600
ASKED_MS_STEP = DAY_SECONDS * 1000
"""That a tombstone was asked for is recorded at most once a day."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept: bytes of journal, seconds since a segment's newest frame (None: no bound), and tombstones.

    ``sealed_bytes``: how much of the journal is kept though the lake has it, too, if less than ``journal_bytes``.
    """

    journal_bytes: int | None = None
    age_seconds: int | None = None
    sealed_bytes: int | None = None
    tombstone_seconds: int = 90 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Age:
    """A segment as retention sees it: where it begins and ends, and when its newest frame was written."""

    lsn: int
    end: int
    newest_ms: int


def deletable(segments: Sequence[Age], policy: Policy, now_ms: int, sealed_end: int | None = None) -> int:
    """How many of the oldest segments may go. The last one, which is being written, never does.

    ``sealed_end``: nobody needs the journal below it, since the lake has it (None: there is no lake).
    """
    bounds = [policy.journal_bytes, None if sealed_end is None else policy.sealed_bytes]
    bytes_max = min((bound for bound in bounds if bound is not None), default=None)
    total = segments[-1].end - segments[0].lsn if segments else 0
    gone = 0
    for segment in segments[:-1]:
        too_old = policy.age_seconds is not None and now_ms - segment.newest_ms > policy.age_seconds * 1000
        too_many = bytes_max is not None and total > bytes_max
        is_needed = sealed_end is not None and segment.end > sealed_end
        if is_needed or not (too_old or too_many):
            break
        total -= segment.end - segment.lsn
        gone += 1
    return gone


@dataclass(frozen=True, slots=True)
class Ends:
    """Streams that become tombstones (or were asked for as such), and tombstones that are forgotten."""

    retire: list[StreamPath]
    forget: list[StreamPath]


def ended(
    streams: Iterable[StreamState],
    first_offset: Callable[[StreamState], int],
    kept_lsn: int,
    asked: frozenset[StreamPath],
    policy: Policy,
    now_ms: int,
    *,
    has_lake: bool = False,
) -> Ends:
    """Which streams end. ``kept_lsn`` is where the journal begins, ``asked`` the tombstones somebody asked for lately.

    A closed stream becomes a tombstone when all of it is below ``kept_lsn``; an open one, whose program may only be
    quiet, not before nothing came for as long as tombstones are kept. So does a closed one of which a lake has had
    bytes (``proof``) when there is no lake: it may only be out of sight. A tombstone whose bytes a lake has after all
    (it was away, or is an old one) is not forgotten while that has them: who is not known is not read.
    """
    retire, forget = [], []
    for stream in streams:
        if stream.retired_ms is not None:
            idle_ms = now_ms - stream.retired_ms
            if stream.path in asked and idle_ms > ASKED_MS_STEP:
                retire.append(stream.path)
            elif idle_ms > policy.tombstone_seconds * 1000 and first_offset(stream) == stream.next_offset:
                forget.append(stream.path)
        elif max(stream.created_lsn, stream.last_lsn or 0) < kept_lsn and first_offset(stream) == stream.next_offset:
            idle_ms = now_ms - (stream.last_append_ms or stream.created_ms)
            is_over = stream.closed and (has_lake or stream.proof is None)
            if is_over or idle_ms > policy.tombstone_seconds * 1000:
                retire.append(stream.path)
    return Ends(retire, forget)
