"""What cannot be stored goes into a sink, whose size says how far the stream reaches."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.spool.layout import sink_name
from logship.spool.sink import Sink

F_ADD_SEALS, F_SEAL_FUTURE_WRITE = 1033, 0x10
FAR = 10**12 + 123


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield read, write
    os.close(read)
    os.close(write)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[int]:
    """The sink of the FIFO ``web`` as PID 1 holds it."""
    descriptor = os.memfd_create("web", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    (tmp_path / sink_name("web")).symlink_to(f"/proc/{os.getpid()}/fd/{descriptor}")
    yield descriptor
    os.close(descriptor)


def test_taking_and_counting_are_one_step_that_outlives_the_taker(
    pipe: tuple[int, int], held: int, tmp_path: Path
) -> None:
    sink = Sink(tmp_path / "web")
    assert sink.end == 0
    os.write(pipe[1], b"x" * 5000)
    assert sink.take(pipe[0], FAR, 4000) == 4000
    assert sink.take(pipe[0], FAR + 4000, 4000) == 1000
    assert sink.take(pipe[0], FAR + 5000, 4000) == 0
    sink.close()
    assert Sink(tmp_path / "web").end == os.fstat(held).st_size == FAR + 5000


def test_what_was_taken_keeps_no_memory(pipe: tuple[int, int], held: int, tmp_path: Path) -> None:
    sink, at = Sink(tmp_path / "web"), FAR
    for _ in range(50):
        os.write(pipe[1], b"x" * 7777)
        moved = sink.take(pipe[0], at, 65536)
        at += moved
        sink.forget(at - moved, moved)
    assert os.fstat(held).st_blocks * 512 <= 2 * 4096
    assert sink.end == FAR + 50 * 7777


def test_where_memory_is_refused_the_bytes_are_thrown_away_and_counted_all_the_same(
    pipe: tuple[int, int], held: int, tmp_path: Path
) -> None:
    sink = Sink(tmp_path / "web")
    fcntl.fcntl(held, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)  # takes a new size, but no byte
    os.write(pipe[1], b"x" * 5000)
    assert sink.take(pipe[0], FAR, 4000) == 4000
    assert sink.end == FAR + 4000
    assert sink.take(pipe[0], FAR + 4000, 4000) == 1000
    assert sink.take(pipe[0], FAR + 5000, 4000) == 0
    assert sink.end == FAR + 5000


def test_without_a_sink_of_pid_1_there_is_one_of_its_own(pipe: tuple[int, int], tmp_path: Path) -> None:
    sink = Sink(tmp_path / "web")
    os.write(pipe[1], b"x" * 10)
    assert sink.take(pipe[0], 5, 100) == 10
    assert sink.end == 15
