"""Asking over sockets: real ones, on loopback, never blocking."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from supervise.init.probes import Probe
from supervise.init.values import Ready


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def wait(probe: Probe, seconds: float = 60) -> tuple[bool, str] | None:
    """Drive the probe as PID 1 does; None when nothing stirs for ``seconds``."""
    with select.epoll() as epoll:
        answer = probe.result
        if not answer:
            epoll.register(probe.fileno(), probe.events)
        while not answer:
            if not epoll.poll(seconds):
                return None
            answer = probe.step()
            if not answer:
                epoll.modify(probe.fileno(), probe.events)
    probe.close()
    return answer


def serve(server: socket.socket, talk: Callable[[socket.socket], object]) -> threading.Thread:
    def run() -> None:
        connection, _ = server.accept()
        with connection:
            talk(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def http(server: socket.socket, status: int = 200) -> Ready:
    return Ready("http", f"http://127.0.0.1:{port(server)}/health?x=1", status=status)


def test_a_tcp_check_is_content_with_a_connection(listener: socket.socket) -> None:
    assert wait(Probe(Ready("tcp", f"127.0.0.1:{port(listener)}"))) == (True, "connected")
    assert wait(Probe(Ready("tcp", f"localhost:{port(listener)}"))) == (True, "connected")


def test_a_closed_port_is_a_no_with_the_reason(listener: socket.socket) -> None:
    target = f"127.0.0.1:{port(listener)}"
    listener.close()
    assert wait(Probe(Ready("tcp", target))) == (False, "connection refused")
    assert wait(Probe(Ready("http", f"http://{target}/"))) == (False, "connection refused")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nbody", (True, "HTTP status 200")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", (True, "HTTP status 200")),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", (False, "HTTP status 503")),
        (b"HTTP/1.1 200", (True, "HTTP status 200")),
        (b"SSH-2.0-OpenSSH\r\n", (False, "no HTTP answer")),
        (b"", (False, "no HTTP answer")),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 300000, (True, "HTTP status 200")),
    ],
)
@pytest.mark.parametrize("piece", [1 << 20, 7])
def test_an_http_check_reads_the_status_however_it_comes(
    listener: socket.socket, reply: bytes, answer: tuple[bool, str], piece: int
) -> None:
    got: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        got.append(connection.recv(4096))
        try:
            for at in range(0, min(len(reply), 100 * piece), piece):
                connection.sendall(reply[at : at + piece])
        except OSError:
            got.append(b"closed")  # the probe has read enough

    thread = serve(listener, talk)
    assert wait(Probe(http(listener))) == answer
    thread.join(60)
    assert got[0].startswith(b"GET /health?x=1 HTTP/1.0\r\nHost: 127.0.0.1:")


def test_an_answer_that_is_complete_is_not_waited_on_any_longer(listener: socket.socket) -> None:
    """A server that keeps the connection open in spite of HTTP/1.0."""
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
        done.wait(120)

    thread = serve(listener, talk)
    assert wait(Probe(http(listener, 204))) == (True, "HTTP status 204")
    done.set()
    thread.join(60)


def test_a_silent_server_is_overdue(listener: socket.socket) -> None:
    probe = Probe(http(listener))
    assert wait(probe, 0.05) is None
    assert probe.overdue() == (False, "no answer in 1 s")
    probe.close()
    probe.close()


def test_a_status_seen_counts_although_the_body_never_ends(listener: socket.socket) -> None:
    said, done = threading.Event(), threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\ndata")
        said.set()
        done.wait(60)

    thread = serve(listener, talk)
    probe = Probe(http(listener))
    while not said.is_set():
        assert wait(probe, 0.05) is None
    assert wait(probe, 0.05) is None  # what was said is there, and read now
    assert probe.overdue() == (True, "HTTP status 200")
    probe.close()
    done.set()
    thread.join(60)


def test_a_connection_that_is_never_taken_blocks_nothing() -> None:
    """TEST-NET-1: either nobody answers, or the network says at once that it is unreachable."""
    probe = Probe(Ready("tcp", "192.0.2.1:9", timeout_seconds=0.5))
    answer = wait(probe, 0.1)
    assert answer is None or answer[0] is False or answer == (True, "connected")
    probe.close()
