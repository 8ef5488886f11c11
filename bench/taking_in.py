"""How fast `logship collect` takes log lines in, beside a plain copy from socket to file that syncs as often.

Each round measures every way once, one after the other, and compares it with that round's own copy; the table has the
median of the rounds, and the least and greatest ratio. All numbers are MiB of lines as programs wrote them. What is
stored is read back and compared before anything counts.

The ratio is judged where appends of 1 MiB come from a bare client: that is taking in. Beside it stands the whole way,
from a spool through `ship`, which sends up to 4 MiB at once: its ratio is printed, its memory is judged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from bench.content import SEGMENT_BODIES, Content, contents
from bench.intake import CONNECTIONS, STREAMS, Measured, append, copy, ship, ship_to_nobody
from bench.report import Options, Report

RATIO_MIN = 0.30
SHIP_MIB_MAX = 64
COLLECT_MIB_MAX = 256


@dataclass
class Way:
    """One row: what is measured how, and what came of it.

    ``base``: the copy that it is compared with. ``judged``: whether that ratio has to reach the least one.
    """

    name: str
    measure: Callable[[Path], Measured]
    base: Way | None = None
    judged: bool = True
    found: list[Measured] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """A round's rate in that of its copy."""
        if self.base is None:
            return []
        return [each.rate / peer.rate for each, peer in zip(self.found, self.base.found, strict=True)]

    def row(self) -> list[str]:
        """For the table."""
        mid = median(each.rate for each in self.found)
        ratios = self.ratios
        ratio = [f"{median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"] if ratios else ["", ""]
        taking = _cost([each.cpu_seconds / each.mib for each in self.found])
        shipping = _cost([each.ship_cpu_seconds / each.mib for each in self.found])
        memory = [max(each.peak_mib for each in self.found), max(each.ship_peak_mib for each in self.found)]
        return [self.name, f"{mid:.0f}", *ratio, taking, shipping, *(f"{size:.0f}" if size else "" for size in memory)]


HEAD = (
    "median of the rounds", "MiB/s", "ratio", "ratios", "CPU s/GiB taking in", "shipping", "peak MiB taking in",
    "a shipper",
)  # fmt: skip


def _cost(found: Sequence[float]) -> str:
    """CPU seconds a MiB, told for a GiB."""
    cost = median(found) * 1024
    return f"{cost:.1f}" if cost else ""


def ways(mib: int) -> list[Way]:
    """All rows, each moving about ``mib``."""
    found = []
    for word, compressible in (("lines", True), ("noise", False)):

        def some(streams: int, unmeasured: int = 0, compressible: bool = compressible) -> Content:
            bodies = max(1, mib // streams // SEGMENT_BODIES) * SEGMENT_BODIES
            return contents(unmeasured + bodies, compressible=compressible)

        two, four = some(CONNECTIONS), some(STREAMS, SEGMENT_BODIES)
        base = Way(f"plain copy, {word}", partial(copy, content=two))
        found.append(base)
        found.append(Way(f"ship to collect, {word}", partial(ship, content=four), base, judged=False))
        if compressible:
            found.append(Way("appends to collect, lines in zstd", partial(append, content=two, encoded=True), base))
        found.append(Way(f"appends to collect, {word} plain", partial(append, content=two, encoded=False), base))
        found.append(Way(f"ship to nobody, {word}", partial(ship_to_nobody, content=four)))
    return found


def missed(found: Sequence[Way]) -> list[str]:
    """Each target that is not met, in a sentence."""
    told = []
    for way in found:
        if way.judged and way.ratios and median(way.ratios) < RATIO_MIN:
            told.append(f"{way.name}: {median(way.ratios):.2f} of the plain copy, at least {RATIO_MIN} must be reached")
        ship_peak = max(each.ship_peak_mib for each in way.found)
        if ship_peak >= SHIP_MIB_MAX:
            told.append(f"{way.name}: a shipper had {ship_peak:.0f} MiB, it must stay under {SHIP_MIB_MAX}")
        peak = max(each.peak_mib for each in way.found)
        if way.base is not None and peak >= COLLECT_MIB_MAX:
            told.append(f"{way.name}: the collector had {peak:.0f} MiB, it must stay under {COLLECT_MIB_MAX}")
    return told


def report(options: Options) -> Report:
    """All rounds; each way has a folder of its own, gone before the next one begins."""
    rounds, mib = options.rounds or (2 if options.quick else 5), options.mib or (64 if options.quick else 256)
    found = ways(mib)
    for number in range(rounds):
        options.begin_round()
        for place, way in enumerate(found):
            own = options.folder / f"{number}-{place}"
            try:
                way.found.append(way.measure(own))
            finally:
                shutil.rmtree(own, ignore_errors=True)
                os.sync()
            options.say(f"round {number + 1} of {rounds}: {way.name}: {way.found[-1].rate:.0f} MiB/s")
    title = f"Taking in: {rounds} rounds, {mib} MiB each way, appends of 1 MiB (ship: up to 4), answered when synced"
    limits = f"shippers under {SHIP_MIB_MAX} MiB, the collector under {COLLECT_MIB_MAX} MiB"
    reached = f"appends at least {RATIO_MIN} of the plain copy, {limits}; all that was stored is what was sent"
    return Report(title, HEAD, [way.row() for way in found], missed(found), reached)
