"""Core: how many bytes of each stream came lately, by receipt: what the present rate is."""

from __future__ import annotations

from collections import deque

BUCKET_MS = 10_000
WINDOW_MS = 300_000
LEAST_MS = 20_000
"""A rate of a shorter time is none."""


class Recent:
    """Bytes received of each stream in the last WINDOW_MS. ``began_ms``: since when all is known, None: since ever."""

    def __init__(self, began_ms: int) -> None:
        self.began_ms = began_ms
        self._streams: dict[str, deque[list[int]]] = {}  # [bucket, bytes], rising
        self._pruned = 0

    def add(self, path: str, time_ms: int, size: int) -> None:
        """So many bytes of a stream were received."""
        if not size:
            return
        bucket = time_ms // BUCKET_MS
        held = self._streams.get(path)
        if held is None:
            held = self._streams[path] = deque(maxlen=WINDOW_MS // BUCKET_MS + 1)
        if held and held[-1][0] >= bucket:
            held[-1][1] += size
        else:
            held.append([bucket, size])
        if bucket >= self._pruned + WINDOW_MS // BUCKET_MS:
            self._pruned = bucket
            old = bucket - WINDOW_MS // BUCKET_MS
            self._streams = {path: held for path, held in self._streams.items() if held[-1][0] >= old}

    def seconds(self, now_ms: int) -> float | None:
        """How long a time a rate is of; None: too short a time is known."""
        known = min(WINDOW_MS, now_ms - self.began_ms)
        return known / 1000 if known >= LEAST_MS else None

    def bytes(self, path: str, now_ms: int) -> int:
        """How many bytes came in that time."""
        first = (now_ms - WINDOW_MS) // BUCKET_MS
        return sum(size for bucket, size in [*self._streams.get(path, ())] if bucket > first)
