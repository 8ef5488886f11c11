"""From a file to where the lines are kept: how fast, and what that costs on either side; also after an outage.

The clock runs from the moment the writer begins to append until all has arrived; every program was started, and had
delivered 1 MiB, before. What has arrived is read back and compared before a number counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.loglines import BLOCK_BYTES, Lines
from bench.machine import MIB, cpu_seconds, peak_mib
from bench.ours import Logship
from bench.peer import Failed, Peer, Running, Started, accepts, free_port
from bench.source import GrowingFile, GrowingSpool

START_SECONDS = 60
STALL_SECONDS = 60
"""So long nothing arrives before a run is given up."""
WARM_BYTES = MIB
OUTAGE_SECONDS = 6
"""Long enough for every sender to have reached its longest wait between two tries."""


@dataclass(frozen=True)
class Delivered:
    """One run: how much in how long; CPU seconds and peak memory of the collector, and of all shippers."""

    mib: float
    seconds: float
    collect_cpu: float
    ship_cpu: float
    collect_peak: float
    ship_peak: float
    """Of the largest shipper."""

    @property
    def rate(self) -> float:
        """MiB a second."""
        return self.mib / self.seconds

    @property
    def told(self) -> str:
        """How it went, for people who wait."""
        return f"{self.rate:.1f} MiB/s"


class Run:
    """One peer with its processes; ``shippers`` files of about ``mib`` / ``shippers`` each."""

    def __init__(self, peer: Peer, folder: Path, shippers: int, mib: int, started: Started) -> None:
        self.peer = peer
        self.folder = folder
        self.port = free_port()
        self.started = started
        make = GrowingSpool if isinstance(peer, Logship) and peer.spool else GrowingFile
        self.sources = [make(folder, number) for number in range(shippers)]
        self._warm = [Lines(number, WARM_BYTES, WARM_BYTES) for number in range(shippers)]
        blocks = max(1, mib * MIB // shippers // BLOCK_BYTES)
        self.lines = [Lines(number, blocks * BLOCK_BYTES) for number in range(shippers)]
        self.total = sum(lines.size for lines in (*self._warm, *self.lines))
        self.shippers: list[Running] = []
        self.collector = self._collect()

    def warm_up(self) -> None:
        """Start the shippers; wait until each has delivered its first lines."""
        for number, source in enumerate(self.sources):
            source.append(self._warm[number])
            ship = self.peer.shipper(self.folder, number, source.path, self.port)
            self.shippers.append(self.started.add(ship))
        self.wait(sum(lines.size for lines in self._warm))

    def write(self) -> None:
        """All the lines."""
        for source, lines in zip(self.sources, self.lines, strict=True):
            source.append(lines)

    def wait(self, size: int) -> None:
        """Until so much has arrived. Raises Failed when nothing comes any more."""
        best, since = -1, time.monotonic()
        while (arrived := self.peer.arrived(self.folder, self.port)) < size:
            if arrived > best:
                best, since = arrived, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise Failed(f"{self.peer.name}: {size - arrived} of {size} bytes do not arrive")
            self.started.check()
            time.sleep(0.02)

    def outage(self, meanwhile: Callable[[], None]) -> None:
        """The collector is stopped, and started again when ``meanwhile`` is done."""
        self.collector.stop()
        self.started.running.remove(self.collector)
        meanwhile()
        self.collector = self._collect()

    def compare(self) -> None:
        """All that was written has arrived, and nothing else. Raises Failed."""
        wanted = {}
        for first, lines in zip(self._warm, self.lines, strict=True):
            digest = hashlib.sha256()
            for block in (*first, *lines):
                digest.update(block)
            wanted[lines.writer] = digest.hexdigest()
        found = self.peer.digests(self.folder, self.port)
        if dict(found) != wanted:
            wrong = sorted(writer for writer in {*found, *wanted} if found.get(writer) != wanted.get(writer))
            raise Failed(f"{self.peer.name}: what arrived of {', '.join(wrong)} is not what was written")

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far of the collector, and of the shippers together."""
        return cpu_seconds(self.collector.pid), sum(cpu_seconds(each.pid) for each in self.shippers)

    def measured(self, begun: float, before: tuple[float, float]) -> Delivered:
        """Since ``begun``, when the CPU seconds were ``before``."""
        seconds = time.perf_counter() - begun
        collect, ship = self.cpu()
        peaks = peak_mib(self.collector.pid), max(peak_mib(each.pid) for each in self.shippers)
        mib = sum(lines.size for lines in self.lines) / MIB
        return Delivered(mib, seconds, collect - before[0], ship - before[1], *peaks)

    def _collect(self) -> Running:
        running = self.started.add(self.peer.collector(self.folder, self.port))
        deadline = time.monotonic() + START_SECONDS
        while not accepts(self.port):
            running.check()
            if time.monotonic() > deadline:
                raise Failed(f"{running.name} does not listen after {START_SECONDS} s")
            time.sleep(0.01)
        return running


def deliver(peer: Peer, folder: Path, shippers: int, mib: int) -> Delivered:
    """Files that grow at once by ``mib`` together, until all of it has arrived."""
    with Started() as started:
        run = Run(peer, folder, shippers, mib, started)
        run.warm_up()
        before, begun = run.cpu(), time.perf_counter()
        run.write()
        run.wait(run.total)
        found = run.measured(begun, before)
        run.compare()
    return found


def catch_up(peer: Peer, folder: Path, shippers: int, mib: int) -> Delivered:
    """The files grow while there is no collector; the clock runs from when it accepts again until all has arrived."""
    with Started() as started:
        run = Run(peer, folder, shippers, mib, started)
        run.warm_up()

        def meanwhile() -> None:
            run.write()
            time.sleep(OUTAGE_SECONDS)

        run.outage(meanwhile)
        shipped = sum(cpu_seconds(each.pid) for each in run.shippers)
        begun = time.perf_counter()
        run.wait(run.total)
        found = run.measured(begun, (0.0, shipped))
        run.compare()
    return found
