"""Ship and collect are killed at named points while a program's file rotates: every byte once, nothing recorded."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.failing import POINTS
from tests.logship.ship.spools import TREE, Shipper

KILLS = int(os.environ.get("LOGSHIP_TEST_POINT_KILLS", "1"))
FAILING = [sys.executable, "-m", "tests.logship.ship.failing"]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.kill()


class Program:
    """Writes a numbered line at a time, and rotates its file."""

    def __init__(self, log: Path, chance: random.Random) -> None:
        self.written = bytearray()
        self._log = log
        self._chance = chance
        self._rotations = 0

    def go_on(self) -> None:
        """Some lines more."""
        with self._log.open("ab") as file:
            for _ in range(20):
                line = b"%08d %s\n" % (
                    len(self.written),
                    self._chance.randbytes(self._chance.randrange(600)).hex().encode(),
                )
                file.write(line)
                self.written += line
        if self._chance.random() < 0.3:
            for number in range(self._rotations, 0, -1):
                self._log.with_name(f"x.log.{number}").rename(self._log.with_name(f"x.log.{number + 1}"))
            self._log.rename(self._log.with_name("x.log.1"))
            self._rotations += 1


def until_killed(process: subprocess.Popen[bytes], step: Callable[[], None]) -> None:
    """Take steps until the process has come to its point."""
    deadline = time.monotonic() + 120
    while process.poll() is None:
        assert time.monotonic() < deadline, "the point was not reached"
        step()
        time.sleep(0.05)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.case(61, 66, 84, 85)
@pytest.mark.parametrize("point", [*POINTS])
def test_killed_at_a_point_again_and_again_nothing_is_lost_torn_or_twice(
    collector: Collector, tmp_path: Path, point: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    (tmp_path / "logs").mkdir()
    program = Program(tmp_path / "logs" / "x.log", chance)
    follow = ["--follow", str(tmp_path / "logs" / "x.log"), "--chunk-bytes-max", "4096"]
    words = ["ship", "--to", collector.url, *follow] if point.startswith("ship") else collector.words
    whole: Shipper | None = None
    if point.startswith("ship"):
        collector.start()
    else:
        whole = Shipper(collector.url, options=follow)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [*FAILING, point, str(chance.randrange(1, 9)), *words], cwd=TREE, stderr=subprocess.DEVNULL
        )
        try:
            until_killed(process, program.go_on)
        finally:
            process.kill()
    if whole is not None:
        whole.kill()
        collector.start()
    program.go_on()
    once = Shipper(collector.url, options=[*follow, "--once", "--patience-seconds", "60"])
    assert once.process.wait(180) == 0
    contents = [b"".join(collector.pieces(each["stream"])) for each in collector.streams()]
    assert b"".join(sorted(filter(None, contents))) == bytes(program.written)
    assert collector.losses() == []
