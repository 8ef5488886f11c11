"""The spool as a real process: every byte once, whatever is killed when."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from logship.spool.layout import parse_segment
from logship.spool.segment import SegmentWriter
from tests.logship.spool.bench import TREE, SpoolBench, until

SEGMENT_BYTES = 1024 * 1024
KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "20"))


class Writer(threading.Thread):
    """Writes random bytes, NULs and newlines among them, in pieces of random size, until it is told to end."""

    def __init__(self, descriptor: int, seed: int, piece_bytes_max: int, pause_seconds: float) -> None:
        super().__init__(daemon=True)
        self.digest = hashlib.blake2b()
        self.written = 0
        self.enough = threading.Event()
        self._descriptor = descriptor
        self._chance = random.Random(seed)
        self._piece_bytes_max = piece_bytes_max
        self._pause_seconds = pause_seconds

    def run(self) -> None:
        noise = self._chance.randbytes(SEGMENT_BYTES) + b"\0" * 4096 + b"\n" * 100
        while not self.enough.is_set():
            start = self._chance.randrange(len(noise))
            piece = noise[start : start + self._chance.randrange(1, self._piece_bytes_max)]
            count = os.write(self._descriptor, piece)
            self.digest.update(piece[:count])
            self.written += count
            if self._pause_seconds:
                time.sleep(self._pause_seconds)
        os.close(self._descriptor)


def stored_digest(bench: SpoolBench, name: str) -> str:
    """The digest of the stream, after its segments were seen to be contiguous and none too large."""
    digest = hashlib.blake2b()
    end = 0
    for path in bench.segments(name):
        assert parse_segment(path.name) == end
        content = path.read_bytes()
        assert len(content) <= SEGMENT_BYTES
        end += len(content)
        digest.update(content)
    return digest.hexdigest()


def test_no_byte_is_lost_or_repeated_when_spool_is_killed_at_random_instants(bench: SpoolBench) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    bench.options = ["--segment-bytes", str(SEGMENT_BYTES)]
    shapes = {"small": (200, 0.0), "large": (200_000, 0.005), "mixed": (20_000, 0.001)}
    writers = {}
    for place, (name, (piece_bytes_max, pause_seconds)) in enumerate(shapes.items()):
        bench.fifo(name)
        writers[name] = Writer(bench.writer(name), seed + place, piece_bytes_max, pause_seconds)
    bench.start()
    for writer in writers.values():
        writer.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.15))
        bench.kill()
        bench.start()
    for writer in writers.values():
        writer.enough.set()
    for name, writer in writers.items():
        writer.join(120)
        until(partial(all_stored, bench, name, writer.written), "all is stored")
        assert stored_digest(bench, name) == writer.digest.hexdigest()
    assert bench.stop() == 0
    assert bench.losses() == []
    print({name: writer.written for name, writer in writers.items()})


def all_stored(bench: SpoolBench, name: str, written: int) -> bool:
    return bench.waiting(name) == 0 and sum(path.stat().st_size for path in bench.segments(name)) >= written


@pytest.mark.case(49, 50, 53, 57)
def test_a_line_of_twenty_megabytes_and_one_without_an_end_are_kept(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", str(SEGMENT_BYTES)]
    bench.fifo("web")
    bench.start()
    line = b"x" * (20 * SEGMENT_BYTES + 1) + b"\n\0\0no end"
    program = bench.writer("web")
    for place in range(0, len(line), 65536):
        os.write(program, line[place : place + 65536])
    assert bench.stop() == 0
    assert bench.stored("web") == line
    os.close(program)


def ends_with(bench: SpoolBench, end: bytes) -> bool:
    return bench.stored("web").endswith(end)


def test_a_link_leads_to_the_newest_segment(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", "4096"]
    program = bench.fifo("web")
    bench.start()
    for number in range(3):
        os.write(program, b"%d" % number * 4096)
        until(partial(ends_with, bench, b"%d" % number), "it is stored")
        latest = bench.spool / "web" / "latest"
        assert latest.read_bytes() == b"%d" % number * 4096
        assert latest.readlink().name == f"{number * 4096:020}"


@pytest.mark.case(113)
def test_what_waits_in_the_pipes_is_taken_at_sigterm_and_at_the_next_start(bench: SpoolBench) -> None:
    early = bench.fifo("web")
    os.write(early, b"before spool\n")
    process = bench.start()
    until(lambda: bench.stored("web") == b"before spool\n", "the early line is stored")
    process.send_signal(signal.SIGSTOP)
    os.write(early, b"while it slept\n")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    assert bench.stored("web") == b"before spool\nwhile it slept\n"
    os.write(early, b"after its end\n")
    bench.start()
    until(lambda: bench.stored("web").endswith(b"after its end\n"), "the late line is stored")


def test_a_program_that_restarts_is_no_end_of_its_stream(bench: SpoolBench) -> None:
    bench.fifo("web")
    bench.start()
    whole = b""
    for turn in range(5):
        program = bench.writer("web")
        os.write(program, b"start %d" % turn)
        os.close(program)
        whole += b"start %d" % turn
        until(lambda: bench.stored("web") == whole, "the start is stored")  # noqa: B023  # called before the next turn
    assert '"closed"' not in bench.own_log()


def test_a_fifo_that_appears_later_is_taken_in_and_one_that_goes_is_let_go(bench: SpoolBench) -> None:
    bench.start()
    os.write(bench.fifo("late"), b"hello\n")
    until(lambda: bench.stored("late") == b"hello\n", "the late FIFO is drained")
    os.write(bench.held["late"], b"last\n")
    (bench.fifo_dir / "late").unlink()
    until(lambda: '"event":"closed","program":"late"' in bench.own_log(), "the FIFO is let go")
    assert bench.stored("late") == b"hello\nlast\n"
    os.close(bench.held.pop("late"))
    os.write(bench.fifo("late"), b"again\n")
    until(lambda: bench.stored("late") == b"hello\nlast\nagain\n", "the new FIFO goes on in the same stream")


def test_nobody_holding_the_fifo_costs_nothing_and_loses_nothing(bench: SpoolBench) -> None:
    """PID 1 holds it; should it ever not, spool neither spins on the hang-up nor drops what comes next."""
    bench.fifo("web")
    process = bench.start()
    os.write(bench.held["web"], b"held\n")
    os.close(bench.held.pop("web"))
    until(lambda: bench.stored("web") == b"held\n", "the line is stored")
    before = cpu_ticks(process.pid)
    time.sleep(0.5)  # no event tells that a process does nothing
    assert cpu_ticks(process.pid) - before <= 10
    for turn in range(3):
        program = bench.writer("web")
        os.write(program, b"%d\n" % turn)
        os.close(program)
    until(lambda: bench.stored("web") == b"held\n0\n1\n2\n", "all is stored")


@pytest.mark.case(98)
def test_a_flooding_program_does_not_starve_the_others(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", str(SEGMENT_BYTES), "--spool-bytes-max", str(4 * SEGMENT_BYTES)]
    bench.fifo("flood")
    quiet = bench.fifo("quiet")
    bench.start()
    flood = subprocess.Popen(["cat", "/dev/zero"], stdout=(bench.fifo_dir / "flood").open("wb"))
    try:
        until(lambda: '"over budget","program":"flood"' in bench.own_log(), "the flood is on")
        for turn in range(20):
            os.write(quiet, b"%d\n" % turn)
            until(lambda: bench.waiting("quiet") == 0, "the quiet program is served")
    finally:
        flood.kill()
        flood.wait()
    assert bench.stop() == 0
    assert bench.stored("quiet") == b"".join(b"%d\n" % turn for turn in range(20))


@pytest.mark.case(79, 100)
def test_over_its_budget_a_stream_loses_its_oldest_segments_counted_exactly(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", "65536", "--spool-bytes-max", "262144"]
    bench.fifo("web")
    bench.fifo("small")
    bench.start()
    program = bench.writer("web")
    produced = random.Random(7).randbytes(1_000_000)
    for place in range(0, len(produced), 4096):
        os.write(program, produced[place : place + 4096])
        if place == 409600:
            bench.kill()
            bench.start()
    os.write(bench.held["small"], b"kept\n")
    assert bench.stop() == 0
    held = bench.stored("web")
    assert produced.endswith(held)
    assert 262144 - 65536 < len(held) <= 262144 + 65536
    losses = bench.losses()
    assert {loss["stream"] for loss in losses} == {"web"}
    assert {loss["reason"] for loss in losses} == {"over budget"}
    assert sum(int(str(loss["bytes"])) for loss in losses) + len(held) == len(produced)
    ends = [int(str(loss["offset"])) + int(str(loss["bytes"])) for loss in losses]
    assert [int(str(loss["offset"])) for loss in losses] == [0, *ends[:-1]]
    # The kill may have come between a deletion and the word on it; the record was there before both.
    assert bench.own_log().count('"over budget"') in (len(losses), len(losses) - 1)
    assert bench.stored("small") == b"kept\n"
    os.close(program)


def test_a_segment_that_is_gone_without_a_record_is_recorded_at_the_next_start(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", "4096"]
    bench.fifo("web")
    bench.start()
    os.write(bench.held["web"], b"x" * 20000)
    until(lambda: len(bench.stored("web")) == 20000, "all is stored")
    bench.kill()
    for path in bench.segments("web")[1:3]:
        path.unlink()
    bench.start()
    assert [(loss["offset"], loss["bytes"], loss["reason"]) for loss in bench.losses()] == [
        (4096, 8192, "found at start")
    ]
    bench.kill()
    bench.start()
    assert len(bench.losses()) == 1


def test_a_second_spool_in_the_same_folder_is_refused(bench: SpoolBench) -> None:
    bench.start()
    words = ["--fifo-dir", str(bench.fifo_dir), "--spool", str(bench.spool), "--copy-to", ""]
    second = subprocess.run(
        [sys.executable, "-m", "logship", "spool", *words], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "another spool works there" in second.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fifo-dir", "/nonexistent"], "no such folder"),
        (["--segment-bytes", "1"], "out of range"),
        (["--segment-bytes", "many"], "no whole number"),
        (["--segment-bytes", "65536", "--spool-bytes-max", "65537"], "two segments"),
    ],
)
def test_bad_settings_are_refused_with_status_2_and_one_sentence(words: list[str], said: str, tmp_path: Path) -> None:
    given = {"LOGSHIP_FIFO_DIR": str(tmp_path), "LOGSHIP_SPOOL": str(tmp_path / "spool")}
    result = subprocess.run(
        [sys.executable, "-m", "logship", "spool", *words],
        cwd=TREE, env={**os.environ, **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "spool").exists()


def test_an_idle_spool_sleeps_and_is_small(bench: SpoolBench) -> None:
    """No timer runs while nothing happens, and it takes less than 24 MB of memory (16 were measured)."""
    for name in ("web", "serf", "balance"):
        bench.fifo(name)
    bench.copy_to = "/dev/null"
    process = bench.start()
    os.write(bench.held["web"], b"hello\n")
    until(lambda: bench.stored("web") == b"hello\n", "the line is stored")
    until(lambda: "web 6\n" in copied(bench), "the line is copied")
    until(lambda: sleeps(process.pid), "it comes to rest")
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    assert pages * resource.getpagesize() < 24 * 1024 * 1024


def test_what_other_processes_write_is_kept_within_the_budget_too(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", "4096", "--spool-bytes-max", "8192"]
    bench.start()
    writer = SegmentWriter(bench.spool / "supervise", 4096)
    for _ in range(20):
        writer.write(json.dumps({"event": "x" * 1000}).encode() + b"\n")
    until(lambda: len(bench.stored("supervise")) <= 8192, "the oldest are deleted")
    deleted = sum(int(str(loss["bytes"])) for loss in bench.losses() if loss["stream"] == "supervise")
    assert deleted + len(bench.stored("supervise")) == writer.offset
    writer.close()


def copied(bench: SpoolBench) -> str:
    with contextlib.suppress(FileNotFoundError):
        return (bench.spool / "copied").read_text()
    return ""


def sleeps(pid: int) -> bool:
    """Whether it does nothing for a second; no event tells that."""
    before = switches(pid)
    time.sleep(1)
    return switches(pid) - before <= 3


def switches(pid: int) -> int:
    """How often the process gave up the CPU to wait."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def cpu_ticks(pid: int) -> int:
    """CPU time of the process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
