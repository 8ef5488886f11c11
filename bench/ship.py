"""How fast `logship collect` takes log lines in, beside a plain copy from socket to file that syncs as often.

    python -m bench.ship [--quick] [--mib 256] [--rounds 5] [--dir build/bench]

Each round measures every way once, one after the other, and compares it with that round's own copy; the table has the
median of the rounds, and the least and greatest ratio. All numbers are MiB of lines as programs wrote them. What is
stored is read back and compared before anything counts. Exit status: 1 when a target is missed, or a byte is wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from bench.content import SEGMENT_BODIES, Content, contents
from bench.intake import CONNECTIONS, STREAMS, TREE, Measured, WrongBytes, append, copy, ship, ship_to_nobody
from bench.machine import WAIT_HELP, Neighbours, described, own_cpu_seconds, wait_for_quiet
from bench.table import table

RATIO_MIN = 0.30
SHIP_MIB_MAX = 64
COLLECT_MIB_MAX = 256


@dataclass
class Way:
    """One row: what is measured how, and what came of it. ``base``: the copy that it is compared with."""

    name: str
    measure: Callable[[Path], Measured]
    base: Way | None = None
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
        found.append(Way(f"ship to collect, {word}", partial(ship, content=four), base))
        if compressible:
            found.append(Way("appends to collect, lines in zstd", partial(append, content=two, encoded=True), base))
        found.append(Way(f"appends to collect, {word} plain", partial(append, content=two, encoded=False), base))
        found.append(Way(f"ship to nobody, {word}", partial(ship_to_nobody, content=four)))
    return found


def missed(found: Sequence[Way]) -> list[str]:
    """Each target that is not met, in a sentence."""
    told = []
    for way in found:
        if way.ratios and median(way.ratios) < RATIO_MIN:
            told.append(f"{way.name}: {median(way.ratios):.2f} of the plain copy, at least {RATIO_MIN} must be reached")
        ship_peak = max(each.ship_peak_mib for each in way.found)
        if ship_peak >= SHIP_MIB_MAX:
            told.append(f"{way.name}: a shipper had {ship_peak:.0f} MiB, it must stay under {SHIP_MIB_MAX}")
        peak = max(each.peak_mib for each in way.found)
        if way.base is not None and peak >= COLLECT_MIB_MAX:
            told.append(f"{way.name}: the collector had {peak:.0f} MiB, it must stay under {COLLECT_MIB_MAX}")
    return told


def measure(found: Sequence[Way], rounds: int, folder: Path, patience: float) -> None:
    """All rounds; each way has a folder of its own, gone before the next one begins."""
    for number in range(rounds):
        wait_for_quiet(patience)
        for place, way in enumerate(found):
            own = folder / f"{number}-{place}"
            try:
                way.found.append(way.measure(own))
            finally:
                shutil.rmtree(own, ignore_errors=True)
                os.sync()
            print(f"round {number + 1} of {rounds}: {way.name}: {way.found[-1].rate:.0f} MiB/s", file=sys.stderr)


def main() -> int:
    """Measure, print, judge; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ship", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds of 64 MiB: does it work, not how fast")
    parser.add_argument("--mib", type=int, help="how much each way moves in a round (default 256)")
    parser.add_argument("--rounds", type=int, help="how many rounds (default 5)")
    parser.add_argument("--dir", type=Path, default=TREE / "build" / "bench", help="where stores are made and removed")
    parser.add_argument("--wait", type=float, default=0, help=WAIT_HELP)
    options = parser.parse_args()
    rounds, mib = options.rounds or (2 if options.quick else 5), options.mib or (64 if options.quick else 256)
    if rounds < 1 or mib < 1:
        parser.error("--rounds and --mib are at least 1")
    options.dir.mkdir(parents=True, exist_ok=True)
    neighbours, before = Neighbours(), own_cpu_seconds()
    found = ways(mib)
    try:
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            measure(found, rounds, Path(folder), options.wait)
    except WrongBytes as error:
        print(f"bench-ship: nothing is reported: {error}", file=sys.stderr)
        return 1
    print(described("zstandard", "uvicorn", "httptools", "uvloop", "starlette", "msgpack"))
    print(f"{rounds} rounds, {mib} MiB each way and round, appends of 1 MiB, each answered when it is synced.")
    print(neighbours.told(own_cpu_seconds() - before))
    print()
    print(table(HEAD, [way.row() for way in found]))
    print()
    verdict = missed(found)
    for sentence in verdict:
        print(f"MISSED: {sentence}")
    if not verdict:
        limits = f"shippers under {SHIP_MIB_MAX} MiB, the collector under {COLLECT_MIB_MAX} MiB"
        print(f"Reached: every ratio at least {RATIO_MIN}, {limits}; all that was stored is what was sent.")
    return 1 if verdict else 0


if __name__ == "__main__":
    sys.exit(main())
