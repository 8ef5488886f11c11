"""A HAProxy of a few lines, its counters, and a shipper that loses what it is told to: what truth is for the audit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from logship.audit import counters
from logship.audit.audit_book import Book
from logship.audit.audit_life import Window
from logship.audit.counters import Reading

INCARNATION = "20261123T201501Z-9f2c51aa"
HAPROXY = f"ha/1/haproxy/{INCARNATION}"
COUNTERS = f"ha/1/counters/{INCARNATION}"
SOURCES = {
    HAPROXY: {"program": "haproxy", "incarnation": INCARNATION},
    COUNTERS: {"program": "counters", "incarnation": INCARNATION},
}
EVENT = b"Server app/webapp-1 is DOWN, reason: Layer4 connection problem.\n"


def line(pid: int, number: int, path: str = "/") -> bytes:
    """A line as templates/haproxy.cfg.j2 makes it."""
    text = (
        f"172.18.0.1:46650 [24/Nov/2026:00:09:59.180] http app/webapp-1 0/0/0/1/1 200 273 - - --NI 1/1/0/0/0 0/0 "
        f'"GET {path} HTTP/1.1" id=019ab2f3-1d5c-7d33-9d1b-5a6a7d5e2f11 pid={pid} lc={number - 1} tt=1 n={number}\n'
    )
    return text.encode()


@dataclass(slots=True)
class Worker:
    """One worker and what truly became of each of its numbers."""

    pid: int
    threads: int
    lines: int = 0
    drops: int = 0
    dropped: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)
    late: list[int] = field(default_factory=list)
    alive: bool = True


class World:
    """Two streams as they are written. ``said`` are the counters' lines, each with what was written before it."""

    def __init__(self, chance: Random, threads: int = 1) -> None:
        self.chance = chance
        self.threads = threads
        self.workers: list[Worker] = []
        self.haproxy = bytearray()
        self.counters = bytearray()
        self.clock = 0

    def start(self) -> Worker:
        """A new worker."""
        worker = Worker(100 + len(self.workers), self.threads)
        self.workers.append(worker)
        return worker

    def request(self, worker: Worker, fate: str = "stored") -> None:
        """One line is tried."""
        worker.lines += 1
        number = worker.lines
        if fate == "late" and worker.threads > 1 and len(worker.late) < worker.threads - 1:
            worker.late.append(number)  # numbered, and its thread sleeps before it writes
        elif fate == "dropped":
            worker.drops += 1
            worker.dropped.add(number)
        elif fate == "lost":
            worker.lost.add(number)
            self.haproxy += b"#" * (len(line(worker.pid, number)) - 1) + b"\n"
        else:
            self._store(worker, number)

    def catch_up(self, worker: Worker) -> None:
        """The threads that slept go on."""
        for number in worker.late:
            self._store(worker, number)
        worker.late.clear()

    def event(self, worker: Worker, dropped: bool = False) -> None:
        """A line without a number."""
        if dropped:
            worker.drops += 1
        else:
            self.haproxy += EVENT

    def count(self, worker: Worker, *, final: bool = False, exact: bool = True, reach: bool = True) -> None:
        """The counters ask the worker."""
        self.clock += 1
        before = worker.drops
        lines = worker.lines
        if not exact:
            self.request(worker, "dropped")
        reading = Reading(worker.pid, 1, worker.threads, lines, (before, worker.drops), 0, final, ())
        alive = [other.pid for other in self.workers if other.alive]
        settled = worker.threads == 1 or not worker.late
        self._say(counters.counted(self._time(), reading, settled, len(self.haproxy) if reach else None, alive))
        if final:
            worker.alive = False

    def kill(self, worker: Worker, *, told: bool = True) -> None:
        """It is gone with what it had not written."""
        self.clock += 1
        worker.alive = False
        for number in worker.late:
            worker.lost.add(number)
        worker.late.clear()
        if told:
            alive = [other.pid for other in self.workers if other.alive]
            self._say(counters.gone(self._time(), worker.pid, 1, len(self.haproxy), alive))

    def _store(self, worker: Worker, number: int) -> None:
        worker.stored.add(number)
        self.haproxy += line(worker.pid, number)

    def _say(self, fields: dict[str, Any]) -> None:
        self.counters += json.dumps(fields).encode() + b"\n"

    def _time(self) -> str:
        return f"2026-11-23T20:{self.clock // 60 % 60:02}:{self.clock % 60:02}.000Z"


def deliver(world: World, chance: Random, *, restarts: bool = False, closed: bool = True) -> list[Window]:
    """All windows that come of the two streams, in pieces, in any order between them."""
    book = Book()
    for path in (HAPROXY, COUNTERS):
        book.opened(path, SOURCES[path])
    left = {HAPROXY: bytes(world.haproxy), COUNTERS: bytes(world.counters)}
    offsets = dict.fromkeys(left, 0)
    found: list[Window] = []
    while any(left.values()):
        path = chance.choice([path for path, data in left.items() if data])
        size = chance.choice((1, 7, 100, 1000, 5000, 1 << 20))
        piece, left[path] = left[path][:size], left[path][size:]
        found += book.bytes(path, offsets[path], piece)
        offsets[path] += len(piece)
        if restarts and chance.random() < 0.3:
            loaded = Book.load(json.loads(json.dumps(book.state())))
            assert isinstance(loaded, Book)
            book = loaded
    if closed:
        book.closed(HAPROXY, 1000)
        book.closed(COUNTERS, 2000)
        found += book.passed(100_000)
        assert not book.lives
    return found
