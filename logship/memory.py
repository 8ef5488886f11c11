"""Edge: memory of the C library: pieces of some MiB that come and go are not given back and taken anew each time.

glibc takes a large piece from the kernel and gives it back when it is freed, page by page: a chunk of 4 MiB is 1,024
page faults, each time. With thresholds of its own (mallopt(3)) it keeps what it had, at most KEPT_BYTES_MAX beyond what
is in use, and once for all threads: else each would keep its own. Other C libraries have no such knobs, or take no
notice; then it is as before.
"""

from __future__ import annotations

import contextlib
import ctypes

PIECE_BYTES_MAX = 16 * 1024 * 1024
"""Larger ones come from the kernel, as ever."""
KEPT_BYTES_MAX = 16 * 1024 * 1024
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep() -> bool:
    """Keep the memory of large pieces from now on; whether the C library does."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        knobs = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, PIECE_BYTES_MAX), (_TRIM_THRESHOLD, KEPT_BYTES_MAX))
        return all(mallopt(knob, value) for knob, value in knobs)
    return False
