"""Contract of pipes: splice takes and stores in one step, epoll tells who has bytes."""

from __future__ import annotations

import errno
import os as real
import struct
from typing import Any

import pytest

from tests.sim.contract import Machine

FIONREAD = 0x541B


def test_splice_moves_what_is_there_to_where_it_shall_be(machine: Machine) -> None:
    def body(on: Any) -> None:
        source, sink = on.os.pipe2(real.O_NONBLOCK | real.O_CLOEXEC)
        file = on.os.open(on.root / "segment", real.O_RDWR | real.O_CREAT, 0o644)
        with pytest.raises(BlockingIOError):
            on.os.splice(source, file, 100, offset_dst=0, flags=on.os.SPLICE_F_NONBLOCK)
        on.os.write(sink, b"0123456789")
        assert struct.unpack("i", on.fcntl.ioctl(source, FIONREAD, bytes(4))) == (10,)
        assert on.os.splice(source, file, 4, offset_dst=0, flags=on.os.SPLICE_F_NONBLOCK) == 4
        assert on.os.splice(source, file, 100, offset_dst=6, flags=on.os.SPLICE_F_NONBLOCK) == 6
        assert on.os.pread(file, 100, 0) == b"0123\x00\x00456789"
        assert struct.unpack("i", on.fcntl.ioctl(source, FIONREAD, bytes(4))) == (0,)

    machine.run(body)


def test_splice_refuses_a_file_that_is_opened_for_appending(machine: Machine) -> None:
    def body(on: Any) -> None:
        source, sink = on.os.pipe2(real.O_NONBLOCK | real.O_CLOEXEC)
        file = on.os.open(on.root / "segment", real.O_RDWR | real.O_CREAT | real.O_APPEND, 0o644)
        on.os.write(sink, b"x")
        with pytest.raises(OSError, match="Invalid argument") as error:
            on.os.splice(source, file, 4, offset_dst=0, flags=on.os.SPLICE_F_NONBLOCK)
        assert error.value.errno == errno.EINVAL
        assert on.os.read(source, 10) == b"x"
        with pytest.raises(BlockingIOError):
            on.os.read(source, 10)

    machine.run(body)


def test_splice_to_nowhere_takes_and_drops(machine: Machine) -> None:
    def body(on: Any) -> None:
        source, sink = on.os.pipe2(real.O_NONBLOCK | real.O_CLOEXEC)
        nowhere = on.os.open("/dev/null", real.O_WRONLY)
        on.os.write(sink, b"x" * 100)
        assert on.os.splice(source, nowhere, 60, flags=on.os.SPLICE_F_NONBLOCK) == 60
        assert struct.unpack("i", on.fcntl.ioctl(source, FIONREAD, bytes(4))) == (40,)

    machine.run(body)


def test_epoll_tells_of_bytes_for_as_long_as_they_are_there(machine: Machine) -> None:
    def body(on: Any) -> None:
        first, to_first = on.os.pipe2(real.O_NONBLOCK | real.O_CLOEXEC)
        second, _ = on.os.pipe2(real.O_NONBLOCK | real.O_CLOEXEC)
        poll = on.select.epoll()
        poll.register(first, on.select.EPOLLIN)
        poll.register(second, on.select.EPOLLIN)
        assert poll.poll(0) == []
        before = on.time.monotonic()
        assert poll.poll(0.05) == []
        assert on.time.monotonic() - before >= 0.049
        on.os.write(to_first, b"xy")
        assert poll.poll(1.0) == [(first, on.select.EPOLLIN)]
        assert on.os.read(first, 1) == b"x"
        assert poll.poll(1.0) == [(first, on.select.EPOLLIN)]
        assert on.os.read(first, 9) == b"y"
        assert poll.poll(0) == []
        poll.unregister(first)
        on.os.write(to_first, b"z")
        assert poll.poll(0) == []

    machine.run(body)
