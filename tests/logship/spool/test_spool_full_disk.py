"""A full disk: no program waits for it, and what it cost is counted to the byte."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.spool.layout import parse_segment
from logship.spool.ranges import Span, merged
from tests.logship.spool.bench import SpoolBench, until

MIB = 1024 * 1024
KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "20"))
PRODUCED_MAX = 256 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def full_bench(tmp_path: Path, small_disk: Path) -> Iterator[SpoolBench]:
    """A bench whose spool folder is on the small disk, beside a file that fills all of it but 2 MiB."""
    bench = SpoolBench(tmp_path, small_disk / "spool")
    bench.options = ["--segment-bytes", str(MIB)]
    (small_disk / "ballast").write_bytes(bytes(6 * MIB))
    yield bench
    bench.close()


def holes(bench: SpoolBench, name: str) -> list[Span]:
    """What losses.jsonl says is missing from the stream."""
    found = [loss for loss in bench.losses() if loss["stream"] == name]
    return merged(Span(int(str(loss["offset"])), int(str(loss["bytes"]))) for loss in found)


def check_what_is_stored(bench: SpoolBench, name: str, produced: bytes) -> int:
    """Every stored byte stands at its offset; stored and lost make up what was produced. How many were lost."""
    covered = []
    for path in bench.segments(name):
        offset, content = parse_segment(path.name), path.read_bytes()
        assert offset is not None
        assert hashlib.blake2b(content).digest() == hashlib.blake2b(produced[offset : offset + len(content)]).digest()
        covered.append(Span(offset, len(content)))
    lost = holes(bench, name)
    assert merged([*covered, *lost]) == [Span(0, len(produced))]
    assert sum(span.size for span in [*covered, *lost]) == len(produced)
    return sum(span.size for span in lost)


@pytest.mark.case(93, 124)
def test_a_program_goes_on_and_every_byte_is_stored_or_counted(full_bench: SpoolBench, small_disk: Path) -> None:
    produced = random.Random(3).randbytes(6 * MIB)
    full_bench.fifo("web")
    full_bench.start()
    program = full_bench.writer("web")
    for place in range(0, 4 * MIB, 65536):
        os.write(program, produced[place : place + 65536])  # would wait for ever if nobody took it
    until(lambda: full_bench.waiting("web") == 0, "the pipe is emptied")
    assert len(full_bench.stored("web")) < 3 * MIB
    (small_disk / "ballast").unlink()
    for place in range(4 * MIB, 6 * MIB, 65536):
        os.write(program, produced[place : place + 65536])
    until(lambda: full_bench.waiting("web") == 0, "the pipe is emptied")
    until(lambda: resumed(full_bench, program), "bytes are stored again")
    marker = produced + b"!" * (end_of(full_bench) - len(produced))
    assert full_bench.stop() == 0
    assert check_what_is_stored(full_bench, "web", marker) > MIB
    assert '"event":"storing","program":"web","reason":"No space left on device"' in full_bench.own_log()
    assert {loss["reason"] for loss in full_bench.losses()} == {"not stored: No space left on device"}
    os.close(program)


def resumed(bench: SpoolBench, program: int) -> bool:
    os.write(program, b"!")
    until(lambda: bench.waiting("web") == 0, "the byte is taken")
    return bench.stored("web").endswith(b"!") and '"storing"' in bench.own_log()


def end_of(bench: SpoolBench) -> int:
    last = bench.segments("web")[-1]
    return int(last.name) + last.stat().st_size


def test_a_kill_on_a_full_disk_leaves_the_loss_in_the_names(full_bench: SpoolBench, small_disk: Path) -> None:
    produced = random.Random(4).randbytes(4 * MIB)
    full_bench.fifo("web")
    full_bench.start()
    program = full_bench.writer("web")
    for place in range(0, len(produced), 65536):
        os.write(program, produced[place : place + 65536])
    until(lambda: full_bench.waiting("web") == 0, "the pipe is emptied")
    full_bench.kill()
    (small_disk / "ballast").unlink()
    full_bench.start()
    until(lambda: end_of(full_bench) == len(produced), "the stream ends where the program is")
    assert check_what_is_stored(full_bench, "web", produced) > MIB
    os.write(program, b"stored again\n")
    until(lambda: full_bench.stored("web").endswith(b"stored again\n"), "storing goes on")
    os.close(program)


def test_a_disk_that_takes_not_even_a_name_costs_bytes_and_no_time(bench: SpoolBench) -> None:
    """Something stands where the stream's folder should be, so there is no place for a hole's name either."""
    bench.fifo("web")
    (bench.spool / "web").write_bytes(b"in the way")
    bench.start()
    program = bench.writer("web")
    os.write(program, bytes(4 * MIB))  # would wait for ever if nobody took it
    until(lambda: bench.waiting("web") == 0, "the pipe is emptied")
    (bench.spool / "web").unlink()
    until(lambda: resumed(bench, program), "bytes are stored again")
    assert bench.stop() == 0
    produced = bytes(4 * MIB) + b"!" * (end_of(bench) - 4 * MIB)
    assert check_what_is_stored(bench, "web", produced) >= 4 * MIB
    os.close(program)


class Chaos:
    """Room on the disk that comes and goes, and a ledger that cannot be written for a while."""

    def __init__(self, disk: Path, chance: random.Random) -> None:
        self._ballast = disk / "ballast"
        self._book = disk / "spool" / "losses.jsonl"
        self._chance = chance
        self._read_only = False

    def change(self) -> None:
        """Another state than before, perhaps."""
        if self._chance.random() < 0.5:
            with contextlib.suppress(OSError):
                self._ballast.write_bytes(bytes(self._chance.randrange(8 * MIB)))
        else:
            self._ballast.unlink(missing_ok=True)
        if self._chance.random() < 0.3:
            self.let_write() if self._read_only else self.forbid()

    def forbid(self) -> None:
        subprocess.run(["mount", "--bind", str(self._book), str(self._book)], check=True)
        self._read_only = True
        remount = ["mount", "-o", "remount,ro,bind", str(self._book)]
        until(lambda: subprocess.run(remount, capture_output=True, check=False).returncode == 0, "nobody writes it")

    def let_write(self) -> None:
        if self._read_only:
            subprocess.run(["umount", str(self._book)], check=True)
        self._read_only = False


@pytest.mark.case(93, 124)
@pytest.mark.parametrize("budget", [[], ["--spool-bytes-max", str(2 * MIB), "--spool-container-bytes-max", str(MIB)]])
def test_on_a_disk_that_fills_and_empties_kills_at_random_instants_lose_and_repeat_no_count(
    full_bench: SpoolBench, small_disk: Path, budget: list[str]
) -> None:
    """What was written is what is stored and what is in the ledger, to the byte, each byte at its place."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    full_bench.options = ["--segment-bytes", str(MIB // 4), *budget]
    full_bench.fifo("web")
    full_bench.start()
    chaos = Chaos(small_disk, chance)
    writer = Noise(full_bench.writer("web"), seed)
    writer.start()
    try:
        for _ in range(KILLS):
            if chance.random() < 0.5:  # at a start that is slow, too, some kills come when it works
                until(lambda: takes_sigterm(full_bench), "spool is up")
            time.sleep(chance.uniform(0, 0.2))
            chaos.change()
            time.sleep(chance.uniform(0, 0.2))
            assert full_bench.process is not None
            assert full_bench.process.poll() is None
            full_bench.kill()
            if chance.random() < 0.5:
                chaos.change()
            full_bench.start(told=False)
        chaos.let_write()
        with contextlib.suppress(OSError):
            (small_disk / "ballast").write_bytes(bytes(8 * MIB))
        until(lambda: something_is_lost(full_bench), "it is too much at last, whatever was before")
    finally:
        writer.enough.set()
        chaos.let_write()
    writer.join(60)
    assert not writer.is_alive()  # nothing waited for the disk
    (small_disk / "ballast").unlink(missing_ok=True)
    until(lambda: full_bench.waiting("web") == 0, "the pipe is emptied")
    until(lambda: takes_sigterm(full_bench), "spool is up, though the disk may be too full for it to say so")
    assert full_bench.stop() == 0
    lost = check_what_is_stored(full_bench, "web", bytes(writer.produced))
    print(f"written {len(writer.produced)}, lost {lost}, records {len(full_bench.losses())}")
    assert lost > 0


def something_is_lost(bench: SpoolBench) -> bool:
    """Thrown away, or deleted to keep the budget."""
    with contextlib.suppress(ValueError):  # a record that is just being written
        return os.fstat(bench.sinks["web"]).st_size > 0 or bool(holes(bench, "web"))
    return False


def takes_sigterm(bench: SpoolBench) -> bool:
    assert bench.process is not None
    status = Path(f"/proc/{bench.process.pid}/status").read_text()
    return bool(int(status.partition("\nSigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1)


class Noise(threading.Thread):
    """Writes random bytes in pieces of random size, and keeps what it wrote."""

    def __init__(self, descriptor: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.produced = bytearray()
        self.enough = threading.Event()
        self._descriptor = descriptor
        self._chance = random.Random(seed)

    def run(self) -> None:
        while not self.enough.is_set() and len(self.produced) < PRODUCED_MAX:
            piece = self._chance.randbytes(self._chance.choice((10, 5000, 50_000)))
            self.produced += piece[: os.write(self._descriptor, piece)]
            time.sleep(0.001)
        os.close(self._descriptor)
