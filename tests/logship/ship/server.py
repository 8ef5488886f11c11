"""The model collector behind HTTP, in threads of the test, with faults on demand."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from logship import zstd
from logship.ship.http_sink import Place
from logship.values import Invalid, Loss, parse_loss
from logship.wire.fields import Headers, Pairs
from logship.wire.parsing import parse_append, parse_create, parse_look
from logship.wire.refusal import Code, Refusal
from tests.logship.ship.model import ModelCollector, told
from tests.ports import free_port

PREFIX = "/v1/stream/"


class CollectorServer:
    """Serves ``model`` at ``port``, which stays the same over ``stop`` and ``start``.

    ``fault`` is asked before each answer is sent, with method and path, and may return "drop" (done, not answered) or
    "refuse" (503, not done).
    """

    def __init__(self, model: ModelCollector | None = None) -> None:
        self.model = model or ModelCollector()
        self.lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[str, str], str] = lambda _method, _path: ""
        self.port = free_port()
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()
        self.start()

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place("127.0.0.1", self.port)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Accept connections."""
        outer = self

        class Handler(_Handler):
            collector = outer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Accept none, and cut those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in [*self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def opened(self, connection: socket.socket) -> None:
        """A connection began."""
        self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """A connection ended."""
        self._open.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    collector: CollectorServer

    def setup(self) -> None:
        super().setup()
        self.collector.opened(self.connection)

    def finish(self) -> None:
        self.collector.closed(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _answer(self, status: int, pairs: Pairs, body: bytes = b"") -> None:
        if self.collector.fault(self.command, self.path) == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response_only(status)
        for name, value in pairs:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _handle_one(self) -> None:
        collector, headers = self.collector, Headers(self.headers.items())
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        collector.requests.append((self.command, self.path))
        if collector.fault(self.command, self.path) == "refuse":
            refusal = Refusal(Code.BUSY, "come back")
            self._answer(*told(refusal), refusal.body())
            return
        with collector.lock:
            status, pairs, content = self._carry_out(headers, body)
        self._answer(status, pairs, content)

    do_GET = do_HEAD = do_PUT = do_POST = _handle_one  # noqa: N815  # the names http.server looks for

    def _carry_out(self, headers: Headers, body: bytes) -> tuple[int, Pairs, bytes]:
        model, path = self.collector.model, self.path.removeprefix(PREFIX)
        if self.path.startswith("/v1/streams"):
            wanted = parse_qsl(self.path.partition("?")[2])
            return 200, [], model.listing(**{name.removeprefix("source."): value for name, value in wanted})
        if self.path == "/v1/losses":
            for line in body.splitlines():
                loss = parse_loss(line)
                assert isinstance(loss, Loss), loss
                model.record(loss)
            return 204, [], b""
        if self.command == "HEAD":
            look = parse_look(path, headers)
            assert not isinstance(look, Refusal), look
            return (*told(model.look(look), model.limits), b"")
        if self.command == "PUT":
            create = parse_create(path, headers)
            assert not isinstance(create, Refusal), create
            return (*told(model.create(create), model.limits), b"")
        append = parse_append(path, headers)
        assert not isinstance(append, Refusal), append
        data = b""
        if body:
            assert hashlib.sha256(body).digest() == append.digests[0].value
            decoded = zstd.decode(body, model.limits.append_bytes_max)
            assert not isinstance(decoded, Invalid), decoded
            data = decoded
        return (*told(model.append(append, data), model.limits), b"")
