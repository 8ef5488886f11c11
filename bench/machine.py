"""What a benchmark runs on, who else works there meanwhile, and what single processes use: all from /proc."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import threading
import time
from collections.abc import Iterable
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
QUIET_CORES_MAX = 0.3
"""What others may use where a machine is called quiet."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, of all its threads. Raises FileNotFoundError when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def parent(pid: int) -> int:
    """The process that started this one, or took it over."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def named(name: str) -> list[int]:
    """All processes with this name, of 15 characters at most."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "comm").read_text() == f"{name}\n":
                found.append(int(path.name))
    return found


def peak_mib(pid: int) -> float:
    """The most memory that was ever resident of this process, shared pages and all: never less than its PSS."""
    return _kib(Path(f"/proc/{pid}/status").read_text(), "VmHWM:") / 1024


def pss_mib(pid: int) -> float:
    """Its memory now, shared pages divided among those who share them."""
    return _kib(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:") / 1024


def _kib(text: str, field: str) -> int:
    """A zombie has no memory fields."""
    found = text.partition(f"\n{field}")[2].split()
    return int(found[0]) if found else 0


WAIT_HELP = "seconds to wait, before each round, for others to be quiet; then it begins regardless (default 0)"


class Watch(threading.Thread):
    """Samples processes until ``stop``: what each used before it ended is known as of the last look, 20 ms before."""

    def __init__(self, pids: Iterable[int]) -> None:
        super().__init__(daemon=True)
        self.cpu: dict[int, float] = dict.fromkeys(pids, 0.0)
        self.peak: dict[int, float] = dict.fromkeys(self.cpu, 0.0)
        self._enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._enough.wait(0.02):
            self.look()

    def look(self) -> None:
        """Once."""
        for pid in self.cpu:
            try:
                self.cpu[pid] = max(self.cpu[pid], cpu_seconds(pid))
                self.peak[pid] = max(self.peak[pid], peak_mib(pid))
            except (FileNotFoundError, ProcessLookupError):
                continue

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._enough.set()
        self.join()
        self.look()


class Neighbours:
    """How much of the machine others use while this goes on."""

    def __init__(self) -> None:
        self.load_before = os.getloadavg()[0]
        self._begun = time.monotonic()
        self._busy = _busy_seconds()

    def told(self, ours: float) -> str:
        """A sentence. ``ours`` is the CPU time, in seconds, that the benchmark and its processes took."""
        seconds = time.monotonic() - self._begun
        others = max(0.0, _busy_seconds() - self._busy - ours) / seconds
        loads = f"load average {self.load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
        return f"Beside it: others used {others:.2f} of {os.cpu_count()} cores; {loads}."


def wait_for_quiet(seconds: float) -> None:
    """Wait for two seconds in which others leave most of the machine idle; at most so long, then go on regardless."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy, begun = _busy_seconds(), time.monotonic()
        time.sleep(2)
        if (_busy_seconds() - busy) / (time.monotonic() - begun) < QUIET_CORES_MAX:
            return


def own_cpu_seconds() -> float:
    """CPU time of this process and of all it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + soft) / TICKS


def described(*packages: str) -> str:
    """The machine, and the versions of what takes part."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal:")) / MIB
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    python = f"Python {platform.python_version()}"
    machine = f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux {platform.release()}"
    return f"{time.strftime('%Y-%m-%d')}: {machine}; {python}{', ' if versions else ''}{versions}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
