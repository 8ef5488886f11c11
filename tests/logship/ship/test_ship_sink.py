"""The sink against a server that misbehaves in every way a socket allows."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from logship.ship.http_sink import Place, Sink, Unanswered
from tests.logship.ship.spools import until
from tests.ports import free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class RawServer:
    """Serves each connection with ``script`` in a thread."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = Place("127.0.0.1", self._listener.getsockname()[1])
        self.connections = self.ended = 0
        self._script = script
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._script(connection)
        self.ended += 1

    def close(self) -> None:
        self._listener.close()


Serve = Callable[[Callable[[socket.socket], None]], RawServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[RawServer] = []

    def start(script: Callable[[socket.socket], None]) -> RawServer:
        made.append(RawServer(script))
        return made[-1]

    yield start
    for each in made:
        each.close()


def read_request(connection: socket.socket) -> bytes:
    """A request of these tests: one with a short body or none comes in one piece."""
    return connection.recv(1 << 20)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_connection_is_kept(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(ANSWER)

    server = serve(script)
    sink = Sink(server.place)
    for _ in range(3):
        assert sink.exchange("GET", "/", [], None, 30).body == b"hello"
    assert server.connections == 1
    sink.close()


def test_what_is_done_meanwhile_is_done_while_the_request_is_out(serve: Serve) -> None:
    came, answer = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        came.set()
        answer.wait(30)
        connection.sendall(ANSWER)

    def meanwhile() -> None:
        assert came.wait(30), "the request is not out"
        answer.set()

    reply = Sink(serve(script).place).exchange("POST", "/", [], b"x", 30, meanwhile=meanwhile)
    assert reply.body == b"hello"


@pytest.mark.case(66)
@pytest.mark.parametrize("cut", range(len(ANSWER)))
def test_an_answer_cut_or_reset_at_any_byte_is_no_answer(serve: Serve, cut: int) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(ANSWER[:cut])
        if cut % 2:
            reset(connection)

    with pytest.raises(Unanswered) as told:
        Sink(serve(script).place).exchange("POST", "/", [], b"x", 30)
    assert not told.value.absent
    assert not told.value.slow
    assert not told.value.stale


def test_a_kept_connection_that_died_fails_as_stale_and_the_next_request_connects(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(ANSWER)

    server = serve(script)
    sink = Sink(server.place)
    for _ in range(3):
        sink.exchange("GET", "/", [], None, 30)
        until(lambda: server.ended == server.connections, "the end of the connection is here")
        with pytest.raises(Unanswered) as told:
            sink.exchange("GET", "/", [], None, 30)
        assert told.value.stale
    assert server.connections == 3


def test_nobody_listening_is_told_as_such() -> None:
    with pytest.raises(Unanswered, match="Connection refused") as told:
        Sink(Place("127.0.0.1", free_port())).exchange("GET", "/", [], None, 30)
    assert told.value.absent


def test_a_name_that_nobody_knows_is_told_as_such() -> None:
    with pytest.raises(Unanswered, match="is not known") as told:
        Sink(Place("no-such-host.invalid", 1)).exchange("GET", "/", [], None, 30)
    assert told.value.absent


def test_a_server_that_says_nothing_is_given_up_in_time(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.recv(1)

    begun = time.monotonic()
    with pytest.raises(Unanswered, match="no answer in time") as told:
        Sink(serve(script).place).exchange("GET", "/", [], None, 0.2)
    assert told.value.slow
    assert time.monotonic() - begun < 20


def test_a_drip_of_header_bytes_does_not_stretch_the_time(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"A: b\r\n")
            time.sleep(0.02)

    with pytest.raises(Unanswered, match="no answer in time"):
        Sink(serve(script).place).exchange("GET", "/", [], None, 0.3)


def test_endless_header_fields_are_cut_short(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"A: b\r\n" * 1000)

    with pytest.raises(Unanswered, match="larger than 16384 bytes"):
        Sink(serve(script).place).exchange("GET", "/", [], None, 60)


def test_a_server_that_does_not_read_the_body_is_given_up_in_time(serve: Serve) -> None:
    given_up = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.recv(1)
        given_up.wait(60)

    with pytest.raises(Unanswered, match="no answer in time"):
        Sink(serve(script).place).exchange("POST", "/", [], bytes(32 << 20), 0.3)
    given_up.set()


def test_a_refusal_given_before_the_body_was_read_is_heard(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    reply = Sink(serve(script).place).exchange("POST", "/", [], bytes(8 << 20), 60)
    assert reply.status == 413


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(serve: Serve) -> None:
    taken, unasked = threading.Event(), threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(ANSWER)
        taken.wait(60)  # else it may come together with the first one
        connection.sendall(ANSWER)
        unasked.set()
        read_request(connection)

    sink = Sink(serve(script).place)
    sink.exchange("GET", "/1", [], None, 30)
    taken.set()
    assert unasked.wait(60)
    with pytest.raises(Unanswered) as told:
        sink.exchange("GET", "/2", [], None, 30)
    assert told.value.stale
