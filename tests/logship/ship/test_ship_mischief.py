"""Shipper and collector, both real, with a line or a proxy between them that does harm: every byte once, in order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.mischief import KINDS, Mischief
from tests.logship.ship.spools import Shipper, Spool, Writer, until

OPTIONS = ["--chunk-bytes-max", "16384"]
TIMES = 3


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spools")
    yield made
    made.end()


@pytest.fixture
def ship(spool: Spool) -> Iterator[Callable[..., Shipper]]:
    made: list[Shipper] = []

    def start(line: Mischief, *options: str) -> Shipper:
        made.append(Shipper(line.url, spool.path, options=[*options, *OPTIONS]))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(("twice",), marks=pytest.mark.case(68), id="a proxy sends requests twice"),
        pytest.param(("unanswered",), marks=pytest.mark.case(61, 83), id="answers are lost"),
        pytest.param(("late",), marks=pytest.mark.case(67, 68), id="requests come when they were given up"),
        pytest.param(("cut",), marks=pytest.mark.case(66), id="requests are cut at any byte"),
        pytest.param(("flipped",), marks=pytest.mark.case(69), id="bits of bodies change"),
        pytest.param(KINDS, marks=pytest.mark.case(61, 66, 67, 68, 69), id="all of it"),
    ],
)
def test_every_byte_arrives_once_whatever_the_line_does_to_requests(
    collector: Collector, spool: Spool, ship: Callable[..., Shipper], kinds: tuple[str, ...]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    line = Mischief(collector.port, seed, *kinds)
    writer = Writer(spool, "web", seed, 20_000, 0.01)
    shipper = ship(line)
    writer.start()
    until(lambda: all(line.done[kind] >= TIMES for kind in kinds), "each was done")
    writer.enough.set()
    writer.join(60)
    shipper.kill()
    line.good = True
    line.wait_for_late()
    assert ship(line, "--once").process.wait(120) == 0
    found = collector.read("web")
    print(f"{writer.written} bytes, requests: {dict(line.done)}")
    assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
    assert collector.losses() == []
    line.close()


@pytest.mark.case(83)
def test_answers_that_do_not_come_for_long_double_nothing_when_they_come_again(
    collector: Collector, spool: Spool, ship: Callable[..., Shipper]
) -> None:
    """Requests arrive, no answer to an append does: a partition one way. What is sent again is stored once."""
    line = Mischief(collector.port, 1, "unanswered", share=1)
    ship(line)
    content = b""
    for turn in range(2 * TIMES):
        piece = b"".join(b"%d %d line\n" % (turn, number) for number in range(1000))
        spool.write("web", piece)
        content += piece
        until(lambda: line.done["unanswered"] > turn, "an append was not answered")  # noqa: B023  # called at once
    line.good = True
    until(lambda: spool.acked("web") == len(content), "all is acknowledged")
    assert collector.read("web") == content
    assert collector.losses() == []
    line.close()
