"""Shipper and collector, both real, killed at random instants: every byte once, in order."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, Writer, until

KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "8"))


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.kill()


@pytest.mark.case(47, 71, 74, 84, 85)
def test_every_byte_arrives_once_while_both_sides_are_killed(collector: Collector, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    spool = Spool(tmp_path / "spools")
    shapes = {"large": (200_000, 0.02), "mixed": (20_000, 0.01), "small": (300, 0.002)}
    writers = {name: Writer(spool, name, seed, *shape) for name, shape in shapes.items()}
    for writer in writers.values():
        writer.start()
    collector.start()
    for turn in range(KILLS):
        shipper = Shipper(collector.url, spool.path, options=["--chunk-bytes-max", "65536"])
        time.sleep(chance.uniform(0.3, 1.5))
        if turn % 2:
            collector.kill()
            time.sleep(chance.uniform(0, 0.3))
            collector.start()
            time.sleep(chance.uniform(0, 0.5))
        shipper.kill()
    for writer in writers.values():
        writer.enough.set()
        writer.join(60)
    assert Shipper(collector.url, spool.path, options=["--once"]).process.wait(120) == 0
    for name, writer in writers.items():
        found = collector.read(name)
        assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
        assert spool.acked(name) == writer.written
    spool.end()
    print({name: writer.written for name, writer in writers.items()})


def test_orphans_arrive_once_and_are_gone_while_adopters_and_the_collector_are_killed(
    collector: Collector, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    place = tmp_path / "spools"
    left: dict[str, bytes] = {}
    for number in range(20):
        spool = Spool(place, f"20261123T2015{number:02}Z-9f2c51aa", 65536, host=socket.gethostname())
        left[spool.incarnation] = chance.randbytes(chance.randrange(2_000_000))
        spool.write("web", left[spool.incarnation])
        spool.end()
    collector.start()
    homes = [Spool(tmp_path / "homes", f"20261123T2016{number:02}Z-9f2c51aa") for number in range(2)]
    options = ["--adopt", str(place), "--chunk-bytes-max", "4096"]
    adopters = [Shipper(collector.url, home.path, options=options) for home in homes]
    turn = 0
    while any(place.iterdir()):
        turn += 1
        time.sleep(chance.uniform(0.3, 1.5) * (1 + turn / 10))
        if turn % 3 == 2:
            collector.kill()
            time.sleep(chance.uniform(0, 0.3))
            collector.start()
        else:
            adopters[turn % 2].kill()
            adopters[turn % 2] = Shipper(collector.url, homes[turn % 2].path, options=options)
        assert turn < 100
    for each in adopters:
        each.kill()
    for incarnation, content in left.items():
        assert collector.read("web", incarnation) == content
        assert collector.closed
    print(f"{turn} kills, {sum(map(len, left.values()))} bytes")
    for home in homes:
        home.end()


def test_a_followed_file_is_found_again_by_what_the_collector_knows_of_it(collector: Collector, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"one\n")
    collector.start()
    options = ["--follow", str(log), "--service", "shop"]
    assert Shipper(collector.url, options=[*options, "--once"]).process.wait(120) == 0
    collector.kill()
    collector.start()
    with log.open("ab") as file:
        file.write(b"two\n")
    log.rename(tmp_path / "x.log.1")
    assert Shipper(collector.url, options=[*options, "--once"]).process.wait(120) == 0
    with urllib.request.urlopen(f"{collector.url}/v1/streams?source.program=file", timeout=60) as reply:
        found = [json.loads(line) for line in reply.read().splitlines()]
    assert [(each["next_offset"], each["source"]["path"]) for each in found] == [(8, f"{log}.1")]
    assert found[0]["stream"].startswith("shop/")


def test_a_shipper_outlives_a_collector_that_comes_later(collector: Collector, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spools")
    spool.write("web", b"early\n")
    shipper = Shipper(collector.url, spool.path, log=tmp_path / "log")
    until(lambda: (tmp_path / "log").exists() and "no answer" in shipper.events(), "it has noticed")
    collector.start()
    until(reads(collector, b"early\n"), "the line is there")
    assert shipper.stop() == 0
    spool.end()


def reads(collector: Collector, content: bytes, incarnation: str = INCARNATION) -> Callable[[], bool]:
    def there() -> bool:
        try:
            return collector.read("web", incarnation) == content
        except OSError:
            return False

    return there
