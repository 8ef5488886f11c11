"""A program writes 50 MB/s and rotates its file every 2 s; shipper and collector are killed at random all the while."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.logship.ship import rotating_writer
from tests.logship.ship.collector import Collector
from tests.logship.ship.spools import TREE, Shipper

BYTES_PER_SECOND = 50_000_000
ROTATE_SECONDS = 2
SHIP_SECONDS = (0.5, 6.0)
"""How long a shipper lives."""
COLLECT_SECONDS = (2.0, 15.0)
"""How long a collector lives."""
CATCH_UP_SECONDS = 1800


@dataclass
class Writing:
    """The program, in a process of its own, and what it says of each generation it has completed."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def generations(self) -> list[dict[str, Any]]:
        """What it said."""
        self.output.seek(0)
        return [json.loads(line) for line in self.output.read().splitlines()]


@dataclass
class Tally:
    """What was done to ship and collect."""

    ship: int = 0
    collect: int = 0
    lags: list[int] = field(default_factory=list)

    def kills(self) -> int:
        """Together."""
        return self.ship + self.collect


def writing(folder: Path, seconds: float, seed: int) -> Writing:
    """Start the program."""
    backups = int(seconds / ROTATE_SECONDS) + 10  # nothing that may be unread is deleted
    words = [str(folder), "--bytes-per-second", BYTES_PER_SECOND, "--rotate-seconds", ROTATE_SECONDS]
    words += ["--backups", backups, "--seconds", seconds, "--seed", seed]
    output = (folder.parent / "written.json").open("w+b")
    program = [sys.executable, rotating_writer.__file__, *map(str, words)]
    return Writing(subprocess.Popen(program, stdout=output), output)


def kill_until_written(written: Writing, collector: Collector, options: list[str], chance: random.Random) -> Tally:
    """Ship and collect live for a while each, until the program has ended; the first ones for as short as any may."""
    tally = Tally()
    shipper = Shipper(collector.url, options=options)
    now = time.monotonic()
    ship_at, collect_at = now + SHIP_SECONDS[0], now + COLLECT_SECONDS[0]  # so both are killed in a short run, too
    while written.process.poll() is None:
        time.sleep(max(0.0, min(ship_at, collect_at, time.monotonic() + 0.5) - time.monotonic()))
        now = time.monotonic()
        if now >= ship_at:
            shipper.kill()
            tally.ship += 1
            time.sleep(chance.uniform(0, 0.3))
            shipper = Shipper(collector.url, options=options)
            ship_at = time.monotonic() + chance.uniform(*SHIP_SECONDS)
        elif now >= collect_at:
            collector.kill()
            tally.collect += 1
            time.sleep(chance.uniform(0, 0.5))
            collector.start()
            collect_at = time.monotonic() + chance.uniform(*COLLECT_SECONDS)
    shipper.kill()
    return tally


def stored(collector: Collector) -> list[tuple[int, str]]:
    """Length and digest of each stream of a file, in the order of what is in them."""
    found = []
    for stream in collector.streams():
        digest, size, begins = hashlib.blake2b(), 0, b""
        for piece in collector.pieces(stream["stream"]):
            begins = begins or piece[:12]
            digest.update(piece)
            size += len(piece)
        found.append((int(begins), size, digest.hexdigest()))
    return [(size, digest) for _, size, digest in sorted(found)]


def endure(folder: Path, seconds: float) -> None:
    """The whole of it; prints what was done and found."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    logs = folder / "logs"
    logs.mkdir()
    collector = Collector(folder, "--keep-bytes", "0")
    options = ["--follow", str(logs / "x.log"), "--patience-seconds", "60"]
    collector.start()
    begun = time.monotonic()
    written = writing(logs, seconds, seed)
    try:
        tally = kill_until_written(written, collector, options, random.Random(seed))
        assert written.process.returncode == 0
        ended = time.monotonic()
        behind = sum(each["bytes"] for each in written.generations()) - sum(
            each["next_offset"] for each in collector.streams()
        )
        assert Shipper(collector.url, options=[*options, "--once"]).process.wait(CATCH_UP_SECONDS) == 0
        caught_up = time.monotonic()
        generations = written.generations()
        wanted = [(each["bytes"], each["digest"]) for each in generations]
        total = sum(each["bytes"] for each in generations)
        print(f"{total} bytes in {len(wanted)} generations within {ended - begun:.1f} s,", end=" ")
        print(
            f"{total / (ended - begun) / 1e6:.1f} MB/s; ship killed {tally.ship} times, collect {tally.collect} times"
        )
        print(f"at the end {behind} bytes behind, caught up within {caught_up - ended:.1f} s")
        assert tally.ship
        assert tally.collect
        assert stored(collector) == wanted
        assert collector.losses() == []
        print(f"every generation byte-identical (blake2b), {len(collector.streams())} streams, ledger empty")
    finally:
        written.process.kill()
        written.process.wait()
        written.output.close()
        collector.kill()
    checked = subprocess.run(
        [sys.executable, "-m", "logship", "fsck", "--store", str(folder / "store")], cwd=TREE, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    print((checked.stdout + checked.stderr).splitlines()[-1])
    assert checked.returncode == 0
    for large in (logs, folder / "store"):  # what failed is kept to be looked at
        shutil.rmtree(large)


@pytest.mark.case(14, 16, 24, 84, 85, 118)
@pytest.mark.timeout(1200)
def test_lines_at_50_mb_a_second_with_rotation_every_2_s_arrive_once_though_both_sides_are_killed(
    tmp_path: Path,
) -> None:
    endure(tmp_path, 12)


@pytest.mark.case(14, 16, 24, 84, 85, 118)
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_minutes_of_kills_over_a_program_that_writes_50_mb_a_second(tmp_path: Path) -> None:
    """30 GB, so a disk with 60 GB free is wanted."""
    endure(tmp_path, 600)
