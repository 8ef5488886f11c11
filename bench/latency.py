"""How long a line takes from being written to being seen, while a program logs 5 MiB a second."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.delivery import Run
from bench.intake import TREE
from bench.machine import MIB
from bench.ours import Logship, listed
from bench.peer import Failed, Peer, Started
from bench.visible import Reader, of_file, of_stream

BYTES_A_SECOND = 5 * MIB
_SETTLE_SECONDS = 2.0
_DRAIN_SECONDS = 60


@dataclass(frozen=True)
class Ages:
    """Of all lines of one run, in seconds; what both sides used for it, in CPU seconds a second."""

    sorted_ages: Sequence[float]
    collect_cores: float
    ship_cores: float

    def share(self, part: float) -> float:
        """So many of the lines were seen within this time, in milliseconds."""
        return self.sorted_ages[min(len(self.sorted_ages) - 1, int(len(self.sorted_ages) * part))] * 1000

    @property
    def told(self) -> str:
        """How it went, for people who wait."""
        return f"p50 {self.share(0.5):.1f} ms, p99 {self.share(0.99):.1f} ms"


def ages(peer: Peer, folder: Path, seconds: float) -> Ages:
    """One run. Raises Failed when a line that was written is not seen."""
    with Started() as started:
        run = Run(peer, folder, 1, 16, started)
        run.warm_up()
        time.sleep(_SETTLE_SECONDS)
        stream = of_stream(run.port, listed(run.port)[0]["stream"]) if isinstance(peer, Logship) else None
        reader = Reader(stream or of_file(folder / "out"))
        reader.start()
        source = run.sources[0].path
        before, begun = run.cpu(), time.monotonic()
        command = [sys.executable, "-m", "bench.writer", str(source), str(BYTES_A_SECOND), str(seconds)]
        subprocess.run(command, cwd=TREE, check=True)
        collect, ship = run.cpu()
        took = time.monotonic() - begun
        deadline = time.monotonic() + _DRAIN_SECONDS
        while reader.bytes < source.stat().st_size:
            started.check()
            if time.monotonic() > deadline or reader.trouble is not None:
                break
            time.sleep(0.05)
        reader.stop()
        size = source.stat().st_size
        if reader.bytes != size:
            raise Failed(f"{peer.name}: {reader.bytes} of {size} bytes were seen")
    return Ages(sorted(reader.ages), (collect - before[0]) / took, (ship - before[1]) / took)
