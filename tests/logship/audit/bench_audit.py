"""How fast HAProxy's lines are audited, beside counting their newlines and looking at each in a loop of Python.

.venv/bin/python -m tests.logship.audit.bench_audit
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from logship.audit.audit_numbers import Numbers
from logship.audit.audit_scan import Scanner
from tests.logship.audit.audit_world import line

LINES = 400_000
CHUNK_BYTES = 1 << 20
RUNS = 3
_TAIL = re.compile(rb" pid=(\d+) lc=\d+ tt=\d+ n=(\d+)$")


def audited(data: bytes) -> int:
    """As `logship audit` does it; how many lines are missing."""
    scanner, numbers = Scanner(), Numbers()
    for offset in range(0, len(data), CHUNK_BYTES):
        found = scanner.take(offset, data[offset : offset + CHUNK_BYTES])
        for these in found.numbers.values():
            numbers.take(these, found.locate)
    return numbers.missing(numbers.end)


def looped(data: bytes) -> int:
    """A set of numbers, a line at a time."""
    seen = {int(match[2]) for each in data.split(b"\n") if (match := _TAIL.search(each))}
    return max(seen) - len(seen)


def main() -> None:
    """Print it, after the answers were compared."""
    lines = [line(7, number) for number in range(1, LINES + 1)]
    texts = {"whole": b"".join(lines), "every 50th missing": b"".join(each for at, each in enumerate(lines) if at % 50)}
    for name, data in texts.items():
        assert audited(data) == looped(data), "the answers are equal"
        ways: dict[str, Callable[[], int]] = {
            "audit": lambda data=data: audited(data),  # type: ignore[misc]  # bound now, not when it is called
            "a loop": lambda data=data: looped(data),  # type: ignore[misc]
            "newlines alone": lambda data=data: data.count(b"\n"),  # type: ignore[misc]
        }
        for way, work in ways.items():
            best = min(_seconds(work) for _ in range(RUNS))
            print(f"{name:20} {way:16} {len(data) / best / 1e6:8,.0f} MB/s")


def _seconds(work: Callable[[], int]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
