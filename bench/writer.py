"""A program that logs at a steady rate: each line says when it was written.

Run as a process of its own (``python -m bench.writer FILE BYTES_A_SECOND SECONDS``), so its clock waits for nobody.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from bench.loglines import WRITER_BYTES, some_lines

STAMP_DIGITS = 20
_TICK_SECONDS = 0.001
_BLOCK_BYTES = 4 * 1024 * 1024


def write(path: Path, bytes_a_second: int, seconds: float) -> None:
    """Append the lines that are due, each millisecond; a delayed turn catches up, its lines stamped when written."""
    block = some_lines("w00", 7, _BLOCK_BYTES).splitlines(keepends=True)
    lines = itertools.cycle(line[WRITER_BYTES:] for line in block)
    begun, written = time.monotonic(), 0
    with path.open("ab", buffering=0) as file:
        while (now := time.monotonic()) < begun + seconds:
            stamp = b"w00 %0*d " % (STAMP_DIGITS, time.monotonic_ns())
            due, parts = int((now - begun) * bytes_a_second) - written, []
            while due > 0:
                parts.append(stamp + next(lines))
                due -= len(parts[-1])
                written += len(parts[-1])
            if parts:
                file.write(b"".join(parts))
            time.sleep(_TICK_SECONDS)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
