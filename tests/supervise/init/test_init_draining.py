"""PID 1 empties the FIFOs when nobody else does; real pipes, no waiting."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from typing import Any

import pytest

from supervise.init.draining import ABSENT_SECONDS, Draining


class Scene:
    def __init__(self) -> None:
        self.read, self.write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.epoll = select.epoll()
        self.told: list[tuple[str, Any]] = []
        self.draining = Draining(
            {"web": self.read}, self.epoll, lambda kind, **fields: self.told.append((kind, fields))
        )

    def stir(self) -> None:
        for descriptor, _ in self.epoll.poll(0):
            assert self.draining.owns(descriptor)
            self.draining.take(descriptor)

    def close(self) -> None:
        self.epoll.close()
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def scene() -> Iterator[Scene]:
    found = Scene()
    yield found
    found.close()


def fill(scene: Scene) -> int:
    count = 0
    while True:
        try:
            count += os.write(scene.write, b"x" * 4096)
        except BlockingIOError:
            return count


def test_nothing_is_taken_while_a_reader_is_there_or_only_just_gone(scene: Scene) -> None:
    os.write(scene.write, b"line\n")
    scene.draining.turn(True, 0)
    scene.draining.turn(False, 1)
    assert scene.draining.deadline() == 1 + ABSENT_SECONDS
    scene.draining.turn(False, 1 + ABSENT_SECONDS - 0.1)
    scene.stir()
    scene.draining.turn(True, 1 + ABSENT_SECONDS)
    scene.draining.turn(False, 1 + ABSENT_SECONDS)
    assert os.read(scene.read, 100) == b"line\n"
    assert scene.told == []


def test_a_full_pipe_that_nobody_reads_is_emptied_and_every_byte_counted(scene: Scene) -> None:
    count = fill(scene)
    scene.draining.turn(False, 0)
    scene.draining.turn(False, ABSENT_SECONDS)
    assert [kind for kind, _ in scene.told] == ["dropping"]
    assert scene.draining.deadline() is None
    scene.stir()
    count += fill(scene)
    scene.stir()
    scene.stir()
    assert scene.draining.total == count
    os.write(scene.write, b"kept\n")
    scene.draining.turn(True, 20)
    assert scene.told[1:] == [("dropped", {"program": "web", "bytes": count, "milliseconds": 10000})]
    scene.stir()
    assert os.read(scene.read, 100) == b"kept\n"
    assert scene.epoll.poll(0) == []


def test_it_begins_again_when_the_reader_goes_again(scene: Scene) -> None:
    for begin in (0, 100):
        scene.draining.turn(False, begin)
        scene.draining.turn(False, begin + ABSENT_SECONDS)
        scene.draining.turn(True, begin + 50)
    assert [kind for kind, _ in scene.told] == ["dropping", "dropping"]
