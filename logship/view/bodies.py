"""Run: decoded bodies of frames that were read lately, bounded in bytes; for any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict

CACHE_BYTES_MAX = 32 * 1024 * 1024


class Bodies:
    """The bodies by the LSN of their frame. One of more than a quarter of the bound is not kept."""

    def __init__(self, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, lsn: int) -> bytes | None:
        """The body, if it is held."""
        with self._lock:
            found = self._held.get(lsn)
            if found is not None:
                self._held.move_to_end(lsn)
            return found

    def keep(self, lsn: int, body: bytes) -> None:
        """Hold one more; those read longest ago go."""
        with self._lock:
            if lsn in self._held or len(body) > self._bytes_max // 4:
                return
            self._held[lsn] = body
            self._bytes += len(body)
            while self._bytes > self._bytes_max:
                _, oldest = self._held.popitem(last=False)
                self._bytes -= len(oldest)

    def clear(self) -> None:
        """Forget all: another store may be there."""
        with self._lock:
            self._held.clear()
            self._bytes = 0
