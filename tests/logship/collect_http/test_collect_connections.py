"""However many connections there are: those that ask are served, and idle ones make room."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.collect.gate import Bounds, Gate
from logship.wire import Code, Limits
from tests.logship.collect_http.live import Collector, Inside, first_status, inside

OCTETS = {"Content-Type": "application/octet-stream"}
IDLE = 10_000
DESCRIPTORS_BESIDE = 200


class Guest:
    """A connection of the gate's own tests."""

    closed = False

    def make_room(self) -> None:
        """Remember it."""
        self.closed = True

    def check(self, now: float) -> None:
        """Nothing."""


def test_a_silent_connection_makes_room_before_one_that_has_asked_and_the_oldest_first() -> None:
    gate = Gate(Bounds(), 3)
    asked, silent, newer, newest = Guest(), Guest(), Guest(), Guest()
    assert gate.enter(asked) is None
    gate.busy(asked)
    gate.idle(asked)
    assert gate.enter(silent) is None
    assert gate.enter(newer) is None
    assert gate.enter(newest) is None
    assert (silent.closed, newer.closed, asked.closed) == (True, False, False)
    assert len(gate.connections) == 3


def test_when_all_are_busy_the_new_one_is_refused() -> None:
    gate = Gate(Bounds(), 1)
    busy = Guest()
    assert gate.enter(busy) is None
    gate.busy(busy)
    refusal = gate.enter(Guest())
    assert refusal is not None
    assert refusal.code is Code.CONNECTIONS
    gate.idle(busy)
    assert gate.enter(Guest()) is None
    assert busy.closed


def test_a_connection_that_has_left_takes_no_place_and_is_idle_for_nobody() -> None:
    gate = Gate(Bounds(), 1)
    gone = Guest()
    assert gate.enter(gone) is None
    gate.leave(gone)
    gate.idle(gone)
    assert gate.enter(Guest()) is None
    assert not gone.closed


def test_a_connection_too_many_is_told_so_when_all_are_busy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with inside(tmp_path, limits=Limits(connections_max=4)) as server:
            head = b"POST /v1/stream/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
            assert (await server.ask("PUT", "/v1/stream/a", {"Content-Type": "text/plain"})).status == 201
            await server.until(lambda: not server.gate.connections, "nobody is there")
            busy = [await server.open(head) for _ in range(4)]
            await server.until(lambda: len(server.gate.connections) == 4, "all places are taken")
            reader, writer = await server.open(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await reader.read()
            assert first_status(answer) == 503
            assert b"stream-error: connections" in answer.lower()
            assert b"retry-after: 1" in answer.lower()
            writer.close()
            for reader, writer in busy:
                writer.write(b"hello")
                assert first_status(await reader.readuntil(b"\r\n\r\n")) == 204
                writer.close()

    asyncio.run(scenario())


def test_readers_that_wait_may_take_half_of_the_connections(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with inside(tmp_path, limits=Limits(connections_max=16), poll_seconds=30) as server:
            assert (await server.ask("PUT", "/v1/stream/a", OCTETS)).status == 201
            ask = b"GET /v1/stream/a?offset=now&live=%s HTTP/1.1\r\nHost: x\r\n\r\n"
            waiting = [await server.open(ask % (b"sse", b"long-poll")[n % 2]) for n in range(8)]
            await server.until(lambda: len(server.gate.live) == 8, "eight wait")
            reply = await server.ask("GET", "/v1/stream/a?offset=now&live=sse")
            assert (reply.status, reply.code) == (503, "connections")
            assert (await server.ask("POST", "/v1/stream/a", OCTETS, b"x")).status == 204
            for _, writer in waiting:
                writer.transport.abort()
            await server.until(lambda: not server.gate.live, "nobody waits any more")

    asyncio.run(scenario())


@pytest.fixture
def descriptors() -> Iterator[int]:
    """As many open files as this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE + DESCRIPTORS_BESIDE
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    yield min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_BESIDE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.case(101)
def test_ten_thousand_idle_connections_stop_nobody(tmp_path: Path, descriptors: int) -> None:
    """A real process with its default bound of 4,096; a connection that works is kept, however many idle ones come."""
    collector = Collector(tmp_path / "store")
    idle: list[socket.socket] = []
    try:
        assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
        for number in range(descriptors):
            idle.append(socket.create_connection(("127.0.0.1", collector.port), timeout=60))
            if number % 1000 == 999:
                assert collector.ask("POST", "/v1/stream/a", OCTETS, b"line\n").status == 204
        assert (
            collector.ask("HEAD", "/v1/stream/a").headers["stream-next-offset"].endswith(str(5 * (descriptors // 1000)))
        )
        assert b'"accepting":true' in collector.ask("GET", "/v1/health").body
    finally:
        for connection in idle:
            connection.close()
        assert collector.stop() == 0


def test_what_comes_while_it_is_stopping_is_503(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with inside(tmp_path) as server:
            assert (await server.ask("PUT", "/v1/stream/a", OCTETS)).status == 201
            server.app.stopping = True
            for method, target in (("POST", "/v1/stream/a"), ("GET", "/v1/stream/a"), ("GET", "/v1/streams")):
                reply = await server.ask(method, target, OCTETS, b"x" if method == "POST" else None)
                assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "stopping", "1")
                assert reply.headers["connection"] == "close"
            health = await server.ask("GET", "/v1/health")
            assert (health.status, b'"stopping":true' in health.body) == (503, True)

    asyncio.run(scenario())


def test_a_pile_of_connections_that_are_refused_is_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        limits, bounds = Limits(connections_max=1), Bounds(lingering_max=2, linger_seconds=30)
        async with inside(tmp_path, limits=limits, bounds=bounds) as server:
            _, busy = await server.open(b"GET /v1")
            await server.until(lambda: len(server.gate.connections) == 1, "the one place is taken")
            refused = [await server.open() for _ in range(6)]
            await server.until(lambda: _told(server) == 2, "two are told, the rest is cut")
            for _, writer in [*refused, (None, busy)]:
                writer.transport.abort()

    asyncio.run(scenario())


def _told(server: Inside) -> int:
    return len(server.gate.lingering)
