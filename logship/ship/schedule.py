"""Core: whose turn it is to talk to the collector, how much it may send, and for how long an answer is waited for.

Two requests may be out, one a stream. The stream served longest ago comes first, so a quiet one waits for one append of
a busy one at most. While the collector does not answer, one request at a time asks whether it does again, after
growing waits. An append is as large as goes through in about a second at the speed measured, so that a thin line makes
progress within its time-out; the first one is small, since nothing is known yet.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from logship.ship.backoff import Backoff

Key = TypeVar("Key", bound=Hashable)

IN_FLIGHT_MAX = 2
CHUNK_BYTES_MIN = 16 * 1024
CHUNK_BYTES_FIRST = 64 * 1024
CHUNK_BYTES_MAX = 4 * 1024 * 1024
CHUNK_SECONDS = 1.0
MEASURED_BYTES_MIN = 8 * 1024
"""What is smaller tells how far away the collector is, not how fast the line."""
TIMEOUT_SECONDS = 10.0
TIMEOUT_FACTOR = 4
SPEED_MIN = 2048.0
SPEED_FIRST = 8192.0
"""Bytes a second that a line is taken to carry before anything is known: 64 kbit/s."""
GATHER_SECONDS_MIN = 0.02
GATHER_SECONDS_MAX = 0.05
GATHER_LONGEST_AT = 12 * 1024 * 1024
"""Bytes a second from which on lines are gathered for longest."""
OUTAGE_GATHER_SECONDS = 0.05
FRAME_BYTES_MAX = 1024
"""What zstd adds to bytes that do not compress, besides 1/128 of them, at the very most."""


class Pace:
    """How fast appends go through, in plain bytes a second, and what follows from it."""

    def __init__(self, chunk_bytes_max: int = CHUNK_BYTES_MAX) -> None:
        self.speed = SPEED_FIRST
        self._bytes_max = chunk_bytes_max
        self._bytes = min(CHUNK_BYTES_FIRST, chunk_bytes_max)

    @property
    def chunk_bytes(self) -> int:
        """How much the next append may carry."""
        return self._bytes

    def limit(self, append_bytes_max: int) -> None:
        """The collector takes no larger bodies than this, encoded or not."""
        room = append_bytes_max - append_bytes_max // 128 - FRAME_BYTES_MAX
        self._bytes_max = max(1, min(self._bytes_max, room))
        self._bytes = min(self._bytes, self._bytes_max)

    def took(self, size: int, seconds: float) -> None:
        """An append of ``size`` plain bytes was answered after ``seconds``."""
        if size < min(MEASURED_BYTES_MIN, self._bytes):
            return
        speed = max(SPEED_MIN, size / max(seconds, 1e-6))
        # A small append waits for the disk like a large one: it can show that the line is fast, not that it is slow.
        self.speed = max(self.speed, speed) if size < self._bytes // 2 else speed
        wanted = int(self.speed * CHUNK_SECONDS)
        self._bytes = max(min(wanted, self._bytes_max, 2 * self._bytes), min(CHUNK_BYTES_MIN, self._bytes_max))

    def crowded(self) -> None:
        """The collector receives as many bytes at once as it can: less of them from here leaves room for others."""
        self._bytes = max(self._bytes // 2, min(CHUNK_BYTES_MIN, self._bytes_max))

    def timed_out(self) -> None:
        """An append was not answered in time: the line may have become thin."""
        self.speed = max(SPEED_MIN, self.speed / 8)
        self._bytes = min(CHUNK_BYTES_MIN, self._bytes_max)

    def timeout_seconds(self, size: int) -> float:
        """How long to wait for the answer to a request with ``size`` bytes."""
        return TIMEOUT_SECONDS + TIMEOUT_FACTOR * size / self.speed


class Gathering:
    """How long lines are gathered before they go out, in ``seconds``: an append costs the same for one as for many.

    That is about a millisecond of a core here and there (docs/performance.md), so the more is written the longer it is
    gathered: 50 appends a second where little is, 20 where much is. And no shorter than an append is on its way, so
    that on a busy machine there are fewer of them. A line that comes alone does not wait.
    """

    def __init__(self) -> None:
        self.seconds = GATHER_SECONDS_MIN

    def took(self, size: int, seconds: float) -> None:
        """An append of ``size`` plain bytes was answered after ``seconds``."""
        wanted = min(GATHER_SECONDS_MAX * size / self.seconds / GATHER_LONGEST_AT, GATHER_SECONDS_MAX)
        self.seconds = max((self.seconds + wanted) / 2, min(seconds, OUTAGE_GATHER_SECONDS), GATHER_SECONDS_MIN)

    def failed(self) -> None:
        """Nobody answers: there is no hurry."""
        self.seconds = OUTAGE_GATHER_SECONDS


class Schedule(Generic[Key]):
    """Who is served next. ``Key`` is whatever tells streams apart."""

    def __init__(self) -> None:
        self._turn = 0
        self._served: dict[Key, int] = {}
        self._backoff = Backoff()
        self.held_until = 0.0

    @property
    def failures(self) -> int:
        """Requests in a row that the collector did not answer, or refused as a whole."""
        return self._backoff.failures

    def free(self, in_flight: int, now: float) -> bool:
        """Whether one more request may go out now."""
        return in_flight < (1 if self.failures else IN_FLIGHT_MAX) and now >= self.held_until

    def pick(self, wanting: Iterable[Key], in_flight: int, now: float) -> Key | None:
        """The next one to be served among those that want to be, or None: nobody, or not now."""
        if not self.free(in_flight, now):
            return None
        key = min(wanting, key=lambda each: self._served.get(each, 0), default=None)
        if key is not None:
            self._turn += 1
            self._served[key] = self._turn
        return key

    def order(self, wanting: Iterable[Key]) -> list[Key]:
        """Those, in the order in which they are to be served."""
        return sorted(wanting, key=lambda each: self._served.get(each, 0))

    def forget(self, key: Key) -> None:
        """It will not be served any more."""
        self._served.pop(key, None)

    def failed(self, now: float, chance: float, retry_after_seconds: int | None = None, absent: bool = False) -> None:
        """The collector did not answer, asked everybody to come back later, or is not there (``absent``)."""
        self.held_until = now + self._backoff.next_seconds(chance, retry_after_seconds, absent)

    def answered(self) -> None:
        """The collector answered."""
        self._backoff.reset()
        self.held_until = 0.0
