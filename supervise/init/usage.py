"""Edge: what processes use, from /proc, and whether the kernel killed one for want of memory, from the cgroup."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MEMORY_EVENTS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
"""cgroup v2 and v1; both have a line ``oom_kill N``."""


class Usage(NamedTuple):
    """Sum over a process group."""

    rss_bytes: int
    cpu_seconds: float


def usage_by_group() -> dict[int, Usage]:
    """Usage of every process group there is, in one pass over /proc. Processes that end meanwhile are left out."""
    found: dict[int, Usage] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_bytes()
        except OSError:
            continue
        # After the command in parentheses: state ppid pgrp .. utime stime cutime cstime (11-14) .. rss (21); proc(5).
        fields = text[text.rfind(b")") + 2 :].split()
        group = int(fields[2])
        rss, cpu = found.get(group, (0, 0.0))
        ticks = sum(int(field) for field in fields[11:15])
        found[group] = Usage(rss + int(fields[21]) * _PAGE, round(cpu + ticks / _TICKS, 2))
    return found


def process_started() -> float:
    """When this process was started, in seconds since boot (CLOCK_BOOTTIME); execv does not change it."""
    text = Path("/proc/self/stat").read_bytes()
    return int(text[text.rfind(b")") + 2 :].split()[19]) / _TICKS


class OutOfMemory:
    """Counts the kernel's out-of-memory kills in this container's cgroup; never moves where there is no counter."""

    def __init__(self) -> None:
        self._count = self._read()

    def moved(self) -> bool:
        """Whether there was one since the last time this was asked."""
        before, self._count = self._count, self._read()
        return before is not None and self._count is not None and self._count > before

    @staticmethod
    def _read() -> int | None:
        for path in _MEMORY_EVENTS:
            try:
                lines = path.read_text().splitlines()
            except OSError:
                continue
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)
        return None
