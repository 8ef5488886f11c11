"""A program goes on, and every byte is stored or in the ledger, while spool is stopped, hangs or is killed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from logship.spool import losses
from logship.spool.ranges import Span, merged
from logship.spool.segment import listed
from supervise.init.draining import ABSENT
from tests.supervise.init.conftest import until

Life = Any

SPOOL = (
    f'[program.spool]\ncommand = ["{sys.executable}", "-m", "logship", "spool", "--fifo-dir", "FIFOS", "--spool", '
    '"SPOOL", "--copy-to", ""]\ndirectory = "TREE"\ncapture = false\nready = { started = true }\n'
    "restart = { tries = 0, backoff_seconds = 0.2, backoff_seconds_max = 1, start_seconds = 1 }\n"
)
WRITER = """
import hashlib, os, random, sys, time
digest, written, chance = hashlib.blake2b(), 0, random.Random(5)
place, longest = sys.argv[1], 0.0
while not os.path.exists(place + "/enough"):
    piece = chance.randbytes(chance.choice((100, 4096, 30000)))
    began = time.monotonic()
    while piece:
        count = os.write(1, piece)
        digest.update(piece[:count]); written += count
        piece = piece[count:]
    longest = max(longest, time.monotonic() - began)
    time.sleep(0.002)
fresh = place + "/.said"
with open(fresh, "w") as file: file.write(f"{written} {longest}")
os.rename(fresh, place + "/said")
time.sleep(1000)
"""


def declare(life: Life) -> None:
    """A spool and a writer that says at its end how much it wrote, and for how long it waited at most."""
    spool = SPOOL.replace("FIFOS", str(life.run_dir / "fifo")).replace("SPOOL", str(life.run_dir / "spool"))
    tree = Path(__file__).resolve().parents[3]
    writer = f'[program.web]\ncommand = ["{sys.executable}", "-c", {json.dumps(WRITER)}, "{life.folder}"]\n'
    life.start(spool.replace("TREE", str(tree)) + writer)
    life.wait("start", program="web")
    until("bytes are stored", lambda: stored(life))


def folder(life: Life) -> Path:
    found: Path = (life.run_dir / "spool").resolve()
    return found


def stored(life: Life) -> list[Span]:
    return [Span(segment.offset, segment.size) for segment in listed(folder(life) / "web") if segment.size]


def lost(life: Life) -> list[Span]:
    return merged(loss.span for loss in losses.read(folder(life) / "losses.jsonl") if loss.stream == "web")


def written(life: Life) -> tuple[int, float]:
    """What the writer wrote in all, once all of it has left the pipe, and its longest wait in seconds."""
    (life.folder / "enough").touch()
    until("the writer has ended", (life.folder / "said").exists)
    count, longest = (life.folder / "said").read_text().split()
    until("the pipe is empty", lambda: waiting(life) == 0)
    return int(count), float(longest)


def waiting(life: Life) -> int:
    """Bytes in the pipe."""
    descriptor = os.open(life.run_dir / "fifo" / "web", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), "little")
    finally:
        os.close(descriptor)


def check(life: Life, count: int) -> int:
    """Stored and lost are what was written, apart from each other; how much was lost."""
    until("all is counted", lambda: merged([*stored(life), *lost(life)]) == [Span(0, count)])
    assert sum(span.size for span in [*stored(life), *lost(life)]) == count
    return sum(span.size for span in lost(life))


@pytest.mark.case(119)
def test_a_spool_that_hangs_is_killed_and_nothing_is_lost(life: Life) -> None:
    declare(life)
    first = life.wait_program("spool", state="RUNNING")["pid"]
    os.kill(first, signal.SIGSTOP)
    told = life.wait("stuck")
    assert (told["programs"], told["readers"]) == (["web"], ["spool"])
    assert life.wait("exit", program="spool")["signal"] == "SIGKILL"
    life.wait("start", count=2, program="spool")
    count, longest = written(life)
    assert check(life, count) == 0
    assert longest > 5  # it waited behind the full pipe: so all of it is there
    assert life.events("dropping") == []


@pytest.mark.case(119)
def test_while_spool_is_stopped_the_writer_goes_on_and_what_is_dropped_has_its_place(life: Life) -> None:
    declare(life)
    before = life.wait_program("spool", state="RUNNING")["pid"]
    os.kill(before, signal.SIGKILL)  # a kill alone drops nothing
    life.wait("start", count=2, program="spool")
    life.rpc.stopProcess("spool", True)
    life.wait("dropping")
    end = until("the hole has its name", lambda: lost(life))[-1].end
    until("it goes on dropping", lambda: lost(life)[-1].end > end)
    life.rpc.startProcess("spool", True)
    dropped = life.wait("dropped", program="web")
    assert dropped["unplaced_bytes"] == 0
    place = lost(life)[-1].end
    until("bytes are stored again", lambda: stored(life)[-1].end > place + 100_000)
    count, longest = written(life)
    assert check(life, count) == dropped["bytes"] > 0
    assert {loss.reason for loss in losses.read(folder(life) / "losses.jsonl")} == {ABSENT}
    assert longest < 60
    assert life.events("stuck") == []
    assert len(life.events("exit", program="spool")) == 2


def test_a_kill_of_spool_while_it_throws_away_is_counted_by_pid_1s_sink(life: Life) -> None:
    """The link beside the FIFO leads to PID 1's memory; a size set there is a hole for the next spool."""
    declare(life)
    spool = life.wait_program("spool", state="RUNNING")["pid"]
    life.rpc.stopProcess("web", True)
    until("the pipe is empty", lambda: waiting(life) == 0)
    end = stored(life)[-1].end
    sink = life.run_dir / "fifo" / ".web.sink"
    os.truncate(sink, end + 1000)
    os.kill(spool, signal.SIGKILL)
    life.wait("start", count=2, program="spool")
    until("the hole is recorded", lambda: lost(life) == [Span(end, 1000)])
    until("the hole has its name", lambda: listed(folder(life) / "web")[-1].end == end + 1000)
