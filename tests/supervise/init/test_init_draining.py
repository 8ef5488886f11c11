"""PID 1 empties the FIFOs when nobody else does; real pipes and folders, no waiting."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.spool import losses
from logship.spool.ranges import Span, merged, missing
from logship.spool.segment import SegmentWriter, listed
from supervise.init.draining import ABSENT, ABSENT_SECONDS, BESIDE_SECONDS, NAP_SECONDS, RECORD_SECONDS, STUCK, Draining
from supervise.init.stuck import LOOK_SECONDS, STUCK_SECONDS

PIPE_BYTES = 65536


class Scene:
    """One program, ``web``, whose FIFO nobody reads but Draining and this."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read, self.write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        # PID 1 holds one descriptor for both ends.
        self.fifo = os.open(f"/proc/self/fd/{self.read}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.sink = os.memfd_create("sink", os.MFD_CLOEXEC)
        self.epoll = select.epoll()
        self.told: list[tuple[str, Any]] = []
        self.now = 0.0
        self.locked: int | None = None
        (folder / "spool").mkdir(parents=True)
        self.draining = Draining(
            {"web": self.fifo},
            {"web": self.sink},
            folder,
            self.epoll,
            lambda kind, **fields: self.told.append((kind, fields)),
        )

    def until(self, when: float, readers: dict[str, int]) -> list[str]:
        """Turns at the times that are asked for; the readers that were to be killed."""
        killed: list[str] = []
        while self.now < when:
            killed += self.draining.turn(readers, self.now)
            self.stir()
            due = self.draining.deadline()
            assert due is not None
            self.now = min(when, max(due, self.now + 0.001))
        return killed + self.draining.turn(readers, self.now)

    def stir(self) -> None:
        for descriptor, _ in self.epoll.poll(0):
            assert self.draining.owns(descriptor)
            self.draining.take(descriptor, self.now)

    def fill(self) -> int:
        count = 0
        while True:
            try:
                count += os.write(self.write, b"x" * 4096)
            except BlockingIOError:
                return count

    def hold(self) -> None:
        """A spool has the folder."""
        self.locked = os.open(self.folder / "spool", os.O_RDONLY)
        fcntl.flock(self.locked, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def let_go(self) -> None:
        assert self.locked is not None
        os.close(self.locked)

    def lost(self) -> list[tuple[Span, str]]:
        return [(loss.span, loss.reason) for loss in losses.read(self.folder / "losses.jsonl")]

    def close(self) -> None:
        self.epoll.close()
        for descriptor in (self.read, self.write, self.fifo, self.sink):
            os.close(descriptor)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path / "incarnation")
    yield found
    found.close()


def test_nothing_is_taken_while_a_reader_is_there_or_only_just_gone(scene: Scene) -> None:
    os.write(scene.write, b"line\n")
    scene.until(1, {"spool": 7})
    scene.until(1 + ABSENT_SECONDS - 0.1, {})
    scene.until(1 + ABSENT_SECONDS, {"spool": 8})
    scene.until(1 + 2 * ABSENT_SECONDS - 0.1, {})
    assert os.read(scene.read, 100) == b"line\n"
    assert scene.told == []


def test_what_nobody_reads_is_dropped_at_its_place_in_the_stream_and_in_the_ledger(scene: Scene) -> None:
    SegmentWriter(scene.folder / "web").write(b"stored\n")
    count = scene.fill()
    scene.until(ABSENT_SECONDS + 1, {})
    assert [kind for kind, _ in scene.told] == ["dropping"]
    count += scene.fill()
    scene.until(ABSENT_SECONDS + RECORD_SECONDS + 2, {})
    assert scene.draining.total == count
    assert merged(span for span, _ in scene.lost()) == [Span(7, count)]
    assert {reason for _, reason in scene.lost()} == {ABSENT}
    count += scene.fill()
    scene.until(30, {})
    scene.until(30.5, {"spool": 9})
    assert scene.told[1:] == [
        ("dropped", {"program": "web", "bytes": count, "unplaced_bytes": 0, "milliseconds": 20000})
    ]
    assert missing(listed(scene.folder / "web")) == [Span(7, count)]
    assert merged(span for span, _ in scene.lost()) == [Span(7, count)]
    os.write(scene.write, b"kept\n")
    scene.until(40, {"spool": 9})
    assert os.read(scene.read, 100) == b"kept\n"
    scene.hold()  # the folder was given back


def test_a_line_at_a_time_wakes_it_ten_times_a_second_and_not_at_each(scene: Scene) -> None:
    scene.until(ABSENT_SECONDS, {})
    os.write(scene.write, b"a\n")
    scene.stir()
    os.write(scene.write, b"b\n")
    scene.until(scene.now + NAP_SECONDS - 0.01, {})
    assert scene.epoll.poll(0) == []
    scene.until(scene.now + 0.02, {})
    scene.stir()
    assert scene.draining.total == 4


def test_what_a_killed_spool_threw_away_last_gets_its_place_too(scene: Scene) -> None:
    SegmentWriter(scene.folder / "web").write(b"stored\n")
    os.ftruncate(scene.sink, 107)
    os.write(scene.write, b"x" * 10)
    scene.until(ABSENT_SECONDS + 5, {})
    scene.until(20, {"spool": 9})
    assert missing(listed(scene.folder / "web")) == [Span(7, 110)]
    assert merged(span for span, _ in scene.lost()) == [Span(7, 110)]


def test_it_begins_again_when_the_reader_goes_again(scene: Scene) -> None:
    for begin in (0.0, 100.0):
        scene.until(begin + 50, {})
        scene.until(begin + 100, {"spool": 9})
    assert [kind for kind, _ in scene.told] == ["dropping", "dropping"]


def test_while_a_spool_that_was_not_started_here_has_the_folder_nothing_is_dropped(scene: Scene) -> None:
    scene.hold()
    os.write(scene.write, b"line\n")
    scene.until(60, {})
    assert os.read(scene.read, 100) == b"line\n"
    assert scene.told == []
    scene.let_go()
    os.write(scene.write, b"line\n")
    scene.until(60 + LOOK_SECONDS + 1, {})
    assert scene.draining.total == 5


def test_a_reader_that_takes_nothing_from_a_full_pipe_is_killed(scene: Scene) -> None:
    assert scene.until(20, {"spool": 7}) == []
    scene.fill()
    began = scene.now
    assert scene.until(began + STUCK_SECONDS - 0.1, {"spool": 7}) == []
    assert scene.until(began + STUCK_SECONDS + LOOK_SECONDS + 1, {"spool": 7}) == ["spool"]
    assert [(kind, fields["programs"], fields["readers"]) for kind, fields in scene.told] == [
        ("stuck", ["web"], ["spool"])
    ]
    while True:  # its successor reads
        try:
            os.read(scene.read, PIPE_BYTES)
        except BlockingIOError:
            break
    assert scene.until(200, {"spool": 8}) == []
    assert len(scene.told) == 1
    assert scene.lost() == []


def test_an_idle_container_is_looked_at_every_few_seconds_and_nothing_more(scene: Scene) -> None:
    times = []
    while scene.now < 100:
        assert scene.draining.turn({"spool": 7}, scene.now) == []
        due = scene.draining.deadline()
        assert due is not None
        times.append(due)
        scene.now = due
    assert len(times) <= 100 / LOOK_SECONDS + 1
    assert scene.told == []


def test_a_flood_that_is_stored_is_no_reason_to_kill(scene: Scene) -> None:
    scene.fill()
    writer = SegmentWriter(scene.folder / "web")
    while scene.now < 60:
        assert scene.draining.turn({"spool": 7}, scene.now) == []
        writer.write(b"x" * 10)  # the pipe is full at each look, and the stream grows
        due = scene.draining.deadline()
        assert due is not None
        scene.now = due
    assert scene.told == []


def test_when_a_killed_reader_does_not_die_full_pipes_are_emptied_and_placed_when_it_is_gone(scene: Scene) -> None:
    scene.hold()
    count = scene.fill()
    assert scene.until(40, {"spool": 7}) == ["spool"]
    assert [kind for kind, _ in scene.told] == ["stuck", "dropping"]
    count += scene.fill()
    scene.until(50, {"spool": 7})
    assert scene.draining.total == count
    assert scene.lost() == []
    SegmentWriter(scene.folder / "web").write(b"its last\n")  # what it had in hand when it hung
    scene.let_go()
    scene.until(51, {"spool": 8})
    assert scene.told[-1][0] == "dropped"
    assert scene.told[-1][1]["bytes"] == count
    assert scene.told[-1][1]["unplaced_bytes"] == 0
    assert missing(listed(scene.folder / "web")) == [Span(9, count)]
    assert scene.lost() == [(Span(9, count), STUCK)]


def test_what_could_not_be_placed_is_told(scene: Scene) -> None:
    scene.hold()
    count = scene.fill()
    scene.until(40, {"spool": 7})
    scene.until(41, {"spool": 8})  # which has the folder already
    assert scene.told[-1][1]["unplaced_bytes"] == scene.told[-1][1]["bytes"] == count
    assert scene.lost() == []


def test_a_fifo_that_a_living_reader_cannot_read_is_emptied_for_a_while(scene: Scene) -> None:
    """A kill did not help: the next spool does not read it either, but reads the others."""
    scene.hold()
    scene.fill()
    assert scene.until(20, {"spool": 7}) == ["spool"]
    assert scene.until(40, {"spool": 8}) == []
    assert [kind for kind, _ in scene.told] == ["stuck", "dropping"]
    scene.until(40 + BESIDE_SECONDS, {"spool": 8})
    assert scene.told[-1][0] == "dropped"
    scene.let_go()
