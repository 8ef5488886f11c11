"""Memory of both sides through an outage of hours and while the backlog it left is brought in.

The outage is made of as many tries to reach the collector as 8 hours have, at a shorter distance from each other:
what ship holds may grow with tries, with looks at a file that grows and with what waits, so all three happen as often
as in that time; nothing it does depends on how long it takes. The file grows all the while, by the whole backlog.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from bench import impatient
from bench.delivery import Run
from bench.intake import TREE
from bench.machine import MIB, Watch, peak_mib
from bench.ours import Logship
from bench.peer import Failed, Running, Started, start
from bench.report import Options, Report
from bench.taking_in import COLLECT_MIB_MAX, SHIP_MIB_MAX

OUTAGE_HOURS = 8
BACKLOG_MIB = 20 * 1024
QUICK_MIB = 2 * 1024
_QUICK_TRIES = 5000
_SLICE_BYTES = 256 * MIB
_OUTAGE_SECONDS_MAX = 1800
_TRIES = "tries"
_FREE_FACTOR = 1.5
"""A journal of log lines takes a third of what they are, at most."""


class Impatient(Logship):
    """Ours, with a shipper that lives faster."""

    def shipper(self, folder: Path, number: int, source: Path, port: int) -> Running:
        """ship, by ``bench.impatient``."""
        words = [sys.executable, "-m", "bench.impatient", "ship", "--to", f"http://127.0.0.1:{port}"]
        log = folder / f"ship{number}.log"
        environment = {**os.environ, impatient.COUNT_IN: str(folder / _TRIES)}
        return start("logship ship", [*words, "--follow", str(source)], log, environment, TREE)


def report(options: Options) -> Report:
    """One run."""
    mib = options.backlog_mib or (QUICK_MIB if options.quick else BACKLOG_MIB)
    free = shutil.disk_usage(options.folder).free / MIB
    if free < mib * _FREE_FACTOR:
        raise Failed(f"a backlog of {mib} MiB needs {mib * _FREE_FACTOR:.0f} MiB free, and there are {free:.0f}")
    tries_min = _QUICK_TRIES if options.quick else int(OUTAGE_HOURS * impatient.TRIES_AN_HOUR)
    folder = options.folder / "backlog"
    folder.mkdir()
    options.begin_round()
    try:
        with Started() as started:
            return _report(Run(Impatient(), folder, 1, mib, started), tries_min, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(run: Run, tries_min: int, options: Options) -> Report:
    run.warm_up()
    ship = run.shippers[0]
    mib = sum(lines.size for lines in run.lines) / MIB
    rows = [["before the outage", "", *_peaks(run)]]

    def meanwhile() -> None:
        options.say(f"outage: {tries_min} tries, {mib:.0f} MiB to be written")
        _write_slowly(run)
        _wait_for_tries(run, tries_min)
        rows.append(["after the outage", f"{_tries(run)} tries", "", f"{peak_mib(ship.pid):.0f}"])

    run.outage(meanwhile)
    begun = time.perf_counter()
    watch = Watch([run.collector.pid])
    run.wait(run.total)
    seconds = time.perf_counter() - begun
    watch.stop()
    rows.append(["after the backlog", f"{mib / seconds:.0f} MiB/s", *_peaks(run)])
    options.say(f"backlog: {mib / seconds:.0f} MiB/s; reading it back")
    run.compare()
    rows.append(["after it was read back", "", *_peaks(run)])
    collect, shipper = peak_mib(run.collector.pid), peak_mib(ship.pid)
    missed = []
    if shipper >= SHIP_MIB_MAX:
        missed.append(f"the shipper had {shipper:.0f} MiB, it must stay under {SHIP_MIB_MAX}")
    if collect >= COLLECT_MIB_MAX:
        missed.append(f"the collector had {collect:.0f} MiB, it must stay under {COLLECT_MIB_MAX}")
    title = f"Memory: an outage of {_tries(run)} tries, a backlog of {mib / 1024:.0f} GiB in one file"
    limits = f"the shipper stays under {SHIP_MIB_MAX} MiB, the collector under {COLLECT_MIB_MAX} MiB"
    reached = f"{limits}; all that was written was stored"
    return Report(title, ("peak memory so far, MiB", "", "collector", "shipper"), rows, missed, reached)


def _peaks(run: Run) -> list[str]:
    return [f"{peak_mib(run.collector.pid):.0f}", f"{peak_mib(run.shippers[0].pid):.0f}"]


def _write_slowly(run: Run) -> None:
    """In slices, with the disk's own pace between them: dirty pages of 20 GiB at once would be a test of the kernel."""
    for source, lines in zip(run.sources, run.lines, strict=True):
        left = lines.size
        while left > 0:
            size = min(left, _SLICE_BYTES)
            source.append(lines.part(size))
            os.sync()
            left -= size


def _wait_for_tries(run: Run, tries_min: int) -> None:
    deadline = time.monotonic() + _OUTAGE_SECONDS_MAX
    while _tries(run) < tries_min:
        run.started.check()
        if time.monotonic() > deadline:
            raise Failed(f"only {_tries(run)} of {tries_min} tries in {_OUTAGE_SECONDS_MAX} s")
        time.sleep(0.5)


def _tries(run: Run) -> int:
    """How often it found nobody, to the last few."""
    path = run.folder / _TRIES
    return int(path.read_text() or 0) if path.exists() else 0
