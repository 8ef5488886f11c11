"""Edge: making finished segments durable, in a thread of its own.

fdatasync of 8 MiB waits for the disk, hundreds of milliseconds on a busy one; the drain must not wait with it, since a
program behind a full pipe would. The thread takes descriptors of finished segments, syncs file and folder and closes
them.

What a host crash can lose (the end of spool or of a container loses nothing: the page cache stays): of each stream's
active segment what the kernel has not written back by itself, about its last half minute (dirty_expire_centisecs plus
dirty_writeback_centisecs: 35 s), and finished segments that still wait here. Whoever ships the stream holds most of
that elsewhere by then.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from pathlib import Path

QUEUE_MAX = 64


class Syncer:
    """Takes descriptors over and closes them, synced; beyond ``QUEUE_MAX`` unsynced, and the kernel does it later."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[int, Path] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.unsynced = 0

    def add(self, descriptor: int, folder: Path) -> None:
        """Sync and close ``descriptor``, and sync the folder its name stands in; soon."""
        if self._queue.qsize() >= QUEUE_MAX:
            self.unsynced += 1
            os.close(descriptor)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="sync", daemon=True)
            self._thread.start()
        self._queue.put((descriptor, folder))

    def finish(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for all that was added; whether it was done."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            descriptor, folder = item
            with contextlib.suppress(OSError):  # a disk that fails here fails at the next write too, and is told there
                os.fdatasync(descriptor)
            os.close(descriptor)
            with contextlib.suppress(OSError):
                parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(parent)
                finally:
                    os.close(parent)
