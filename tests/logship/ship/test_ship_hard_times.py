"""Followed files and the real collector in hard times: wiped, restored, full, far away, behind a thin line."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.network import namespace
from tests.logship.ship.spools import Shipper, until


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "x.log"


@pytest.fixture
def ship(collector: Collector, log: Path, tmp_path: Path) -> Iterator[Callable[..., Shipper]]:
    made: list[Shipper] = []

    def start(*options: str, before: list[str] | None = None) -> Shipper:
        words = ["--follow", str(log), *options]
        made.append(Shipper(collector.url, options=words, log=tmp_path / "ship.json", before=before))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def contents(collector: Collector) -> list[bytes]:
    """Of all streams, the oldest first."""
    return [b"".join(collector.pieces(each["stream"])) for each in collector.streams()]


def has(collector: Collector, *wanted: bytes) -> Callable[[], bool]:
    def there() -> bool:
        try:
            return sum(int(each["next_offset"]) for each in collector.streams()) == sum(map(len, wanted))
        except OSError:
            return False

    return there


@pytest.mark.case(73)
def test_a_wiped_collector_gets_what_the_files_still_hold(
    collector: Collector, ship: Callable[..., Shipper], log: Path, tmp_path: Path
) -> None:
    append(log, b"first\n" * 1000)
    collector.start()
    ship()
    until(has(collector, b"first\n" * 1000), "it is there")
    log.rename(log.with_name("x.log.1"))
    append(log, b"second\n")
    until(has(collector, b"first\n" * 1000, b"second\n"), "both are there")
    collector.kill()
    shutil.rmtree(tmp_path / "store")
    collector.start()
    append(log, b"third\n")
    until(has(collector, b"first\n" * 1000, b"second\nthird\n"), "all of it is there again")
    assert contents(collector) == [b"first\n" * 1000, b"second\nthird\n"]
    assert collector.losses() == []


@pytest.mark.case(72)
def test_a_collector_that_was_restored_from_a_backup_gets_what_it_does_not_have(
    collector: Collector, ship: Callable[..., Shipper], log: Path, tmp_path: Path
) -> None:
    chance = random.Random(72)
    pieces = [chance.randbytes(200_000).hex().encode() for _ in range(3)]
    append(log, pieces[0])
    collector.start()
    ship()
    until(has(collector, pieces[0]), "the beginning is there")
    collector.kill()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    collector.start()
    append(log, pieces[1])
    until(has(collector, *pieces[:2]), "more is there")
    collector.kill()
    shutil.rmtree(tmp_path / "store")
    shutil.copytree(tmp_path / "backup", tmp_path / "store")
    collector.start()
    append(log, pieces[2])
    until(has(collector, *pieces), "all of it is there")
    assert contents(collector) == [b"".join(pieces)]
    assert collector.losses() == []


@pytest.mark.case(92)
def test_while_the_collector_s_disk_is_full_files_wait_and_nothing_is_lost(
    ship: Callable[..., Shipper], log: Path, small_disk: Path, collector: Collector
) -> None:
    """A real file system of 24 MiB, filled by a stranger, with the collector's own reserve set to nothing."""
    collector.words[collector.words.index("--store") + 1] = str(small_disk / "store")
    collector.words += ["--disk-free-min", "0", "--keep-bytes", "0"]
    collector.start()
    noise = random.Random(92).randbytes(30_000_000)
    append(log, noise[:3_000_000])
    shipper = ship()
    until(has(collector, noise[:3_000_000]), "it is there")
    fill(small_disk / "stranger")
    append(log, noise[3_000_000:9_000_000])
    until(lambda: "no answer" in shipper.events(), "it is refused")
    assert all(each["next_offset"] < 9_000_000 for each in collector.streams()), "reading goes on"
    collector.kill()  # a kill while it is full
    collector_may_start(collector, small_disk)
    until(has(collector, noise[:9_000_000]), "all of it, once there is room again", 120)
    assert contents(collector) == [noise[:9_000_000]]
    assert collector.losses() == []


def fill(path: Path) -> None:
    """Until nothing fits any more."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def collector_may_start(collector: Collector, small_disk: Path) -> None:
    """The stranger goes away."""
    (small_disk / "stranger").unlink()
    collector.start()


@pytest.mark.case(93)
def test_a_full_disk_at_the_source_needs_nothing_of_the_shipper(collector: Collector, small_disk: Path) -> None:
    log = small_disk / "x.log"
    fill(log)
    size = log.stat().st_size
    collector.start()
    options = ["--follow", str(log), "--once", "--patience-seconds", "60"]
    assert Shipper(collector.url, options=options).process.wait(120) == 0
    assert [len(each) for each in contents(collector)] == [size]


@pytest.mark.case(82)
def test_behind_a_line_of_64_kbit_a_second_it_goes_forward_without_a_loop_of_time_outs(
    collector: Collector, ship: Callable[..., Shipper], log: Path
) -> None:
    noise = random.Random(82).randbytes(90_000)
    append(log, noise)
    thin = ["tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "64kbit", "burst", "4kb", "limit", "60kb"]
    with namespace(["ip", "link", "set", "lo", "mtu", "1500"], thin) as inside:
        collector.start(before=inside)
        begun = time.monotonic()
        shipper = ship("--once", "--patience-seconds", "60", before=inside)
        assert shipper.process.wait(240) == 0
        seconds = time.monotonic() - begun
        collector.kill()
    collector.start()
    assert contents(collector) == [noise]
    assert collector.losses() == []
    print(f"{len(noise)} bytes in {seconds:.1f} s: {len(noise) * 8 / seconds / 1000:.1f} kbit/s; {shipper.events()}")
    assert seconds > len(noise) * 8 / 64_000 / 2, "the line was not thin"
    assert shipper.events().count("no answer") == 0


@pytest.mark.case(66, 83)
def test_over_a_line_that_loses_packets_every_byte_arrives_once(
    collector: Collector, ship: Callable[..., Shipper], log: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    noise = random.Random(seed).randbytes(1_000_000)
    lossy = ["iptables", "-A", "INPUT", "-p", "tcp", "-m", "statistic", "--mode", "random", "--probability", "0.05"]
    with namespace([*lossy, "-j", "DROP"]) as inside:
        collector.start(before=inside)
        append(log, noise[:500_000])
        first = ship(before=inside)
        time.sleep(1.5)
        first.kill()
        append(log, noise[500_000:])
        assert ship("--once", "--patience-seconds", "100", before=inside).process.wait(240) == 0
        collector.kill()
    collector.start()
    assert contents(collector) == [noise]
    assert collector.losses() == []


@pytest.mark.case(43, 60)
def test_a_hole_arrives_as_the_zeros_it_is_and_costs_little_on_the_way(
    collector: Collector, ship: Callable[..., Shipper], log: Path, tmp_path: Path
) -> None:
    hole = 64 * 1024 * 1024
    append(log, b"before\n")
    os.truncate(log, hole)
    append(log, b"after\n")
    assert log.stat().st_blocks * 512 < 100_000, "the file system has no holes"
    collector.start()
    begun = time.monotonic()
    assert ship("--once", "--patience-seconds", "60").process.wait(240) == 0
    print(f"{hole / (time.monotonic() - begun) / 1e6:.0f} MB/s of hole")
    (stream,) = collector.streams()
    position = 0
    for piece in collector.pieces(stream["stream"]):
        expected = b"before\n" if not position else b""
        expected += bytes(max(0, min(position + len(piece), hole) - position - len(expected)))
        expected += b"after\n" if position + len(piece) > hole else b""
        assert piece == expected
        position += len(piece)
    assert position == hole + 6
    assert sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file()) < 1_000_000
