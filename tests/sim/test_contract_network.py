"""Contract of connections: a client's socket on one side, asyncio's protocol and transport on the other."""

from __future__ import annotations

import asyncio
import contextlib
import socket as real
from typing import Any, cast

import pytest

from tests.sim.contract import WAIT_SECONDS, Machine


class Server(asyncio.Protocol):
    """Notes what comes, and does what a test wants."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.log.append(self)

    def data_received(self, data: bytes) -> None:
        self.log.append(data)
        data = said(self.log)
        if data.endswith(b"echo"):
            self.transport.write(data)
        elif data.endswith(b"close"):
            self.transport.write(b"bye")
            self.transport.close()
        elif data.endswith(b"abort"):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append("lost" if exc is None else "broken")


def said(log: list[Any]) -> bytes:
    """What the client said, in however many pieces it came."""
    return b"".join(each for each in log if isinstance(each, bytes))


def connected(on: Any, log: list[Any]) -> Any:
    place = on.serve(lambda: Server(log))
    client = on.socket.socket(real.AF_INET, real.SOCK_STREAM)
    client.settimeout(WAIT_SECONDS)
    client.connect(place)
    return client


def received(client: Any, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := client.recv(size)):
        found += data
    return found


def test_what_is_sent_comes_in_order_and_so_does_the_answer(machine: Machine) -> None:
    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        sent = bytes(range(250)) * 40
        client.sendall(sent)
        client.sendall(b"echo")
        assert received(client, len(sent) + 4) == sent + b"echo"
        assert said(log) == sent + b"echo"

    machine.run(body)


def test_nobody_listens_there(machine: Machine) -> None:
    def body(on: Any) -> None:
        client = on.socket.socket(real.AF_INET, real.SOCK_STREAM)
        client.settimeout(WAIT_SECONDS)
        with pytest.raises(ConnectionRefusedError):
            client.connect(("127.0.0.1", 1))

    machine.run(body)


def test_after_the_server_s_last_bytes_comes_the_end(machine: Machine) -> None:
    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        client.sendall(b"close")
        assert received(client, 3) == b"bye"
        assert client.recv(10) == b""
        assert client.recv(10) == b""
        client.close()
        on.until(lambda: "lost" in log)
        assert [each for each in log if isinstance(each, str)] == ["lost"]

    machine.run(body)


def test_an_aborted_connection_ends_or_is_reset(machine: Machine) -> None:
    """Which of the two is the kernel's to choose: a reset where it had bytes that nobody read."""

    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        client.sendall(b"abort")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(10) == b""
        on.until(lambda: "lost" in log)
        on.until(lambda: not _can_send(client))  # the first may still go out, to be answered with a reset

    machine.run(body)


def test_a_client_that_leaves_is_missed_once(machine: Machine) -> None:
    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        client.sendall(b"last words")
        client.close()
        on.until(lambda: "lost" in log)
        assert said(log) == b"last words"
        assert [each for each in log if isinstance(each, str)] == ["lost"]

    machine.run(body)


def test_nothing_comes_within_the_time(machine: Machine) -> None:
    def body(on: Any) -> None:
        client = connected(on, [])
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(WAIT_SECONDS)
        client.sendall(b"echo")
        assert received(client, 4) == b"echo"

    machine.run(body)


def test_a_peek_takes_nothing_and_does_not_wait(machine: Machine) -> None:
    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        flags = on.socket.MSG_PEEK | on.socket.MSG_DONTWAIT
        client.settimeout(None)
        with pytest.raises(BlockingIOError):
            client.recv(1, flags)
        client.sendall(b"close")
        on.until(lambda: "lost" in log)
        on.until(lambda: _has_come(client, flags))
        assert client.recv(9, flags) == b"bye"
        assert received(client, 3) == b"bye"
        on.until(lambda: _has_come(client, flags))
        assert client.recv(1, flags) == b""

    machine.run(body)


def _can_send(client: Any) -> bool:
    try:
        client.sendall(b"more")
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_an_abstract_name_is_had_by_one_socket_at_a_time(machine: Machine) -> None:
    def body(on: Any) -> None:
        name = f"\0logship-contract/{on.os.getpid()}"
        one, two = (on.socket.socket(on.socket.AF_UNIX, on.socket.SOCK_DGRAM) for _ in range(2))
        one.bind(name)
        with pytest.raises(OSError, match="in use"):
            two.bind(name)
        one.close()
        two.bind(name)
        two.close()

    machine.run(body)


def _has_come(client: Any, flags: int) -> bool:
    try:
        client.recv(1, flags)
    except BlockingIOError:
        return False
    return True


def test_a_server_that_pauses_gets_nothing_until_it_goes_on(machine: Machine) -> None:
    def body(on: Any) -> None:
        log: list[Any] = []
        client = connected(on, log)
        client.sendall(b"one ")
        on.until(lambda: said(log) == b"one ")
        server: Server = log[0]
        loop_calls(on, server, server.transport.pause_reading)
        client.sendall(b"two ")
        on.time.sleep(0.1)
        assert said(log) == b"one "
        loop_calls(on, server, server.transport.resume_reading)
        on.until(lambda: said(log) == b"one two ")

    machine.run(body)


def loop_calls(on: Any, server: Server, call: Any) -> None:
    """From the loop's own thread, as protocols do; it is done when this returns."""
    loop = getattr(server.transport, "_loop", None) or cast("Any", server.transport)._listener.loop
    done: list[bool] = []
    loop.call_soon_threadsafe(call)
    loop.call_soon_threadsafe(done.append, True)
    on.until(lambda: done)
