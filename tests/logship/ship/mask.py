"""A proxy before a collector that hides our superset: what is behind it looks like any Durable Streams server.

It takes our header fields out of answers and has no lists; it notes what came, and loses answers on demand.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HIDDEN = ("logship-", "stream-tail-digest", "stream-error")
HOP = {"connection", "transfer-encoding", "keep-alive", "date", "server"}
OURS = {"content-encoding", "content-digest", "stream-expected-offset"}
"""Fields of requests that a foreign server does not know, beside those that begin with ``logship-``."""


@dataclass(frozen=True)
class Seen:
    """One request that was answered, and how."""

    method: str
    path: str
    fields: dict[str, str]
    status: int
    body_bytes: int

    @property
    def number(self) -> tuple[str, str]:
        """The producer's epoch and sequence."""
        return self.fields.get("producer-epoch", ""), self.fields.get("producer-seq", "")


class Mask:
    """Serves what ``port`` serves. ``hides`` off: it changes nothing. ``loses`` says which answers are lost."""

    def __init__(self, port: int) -> None:
        self.hides = True
        self.loses: Callable[[str], bool] = lambda _method: False
        self.page: bytes | None = None  # answers everything with this page instead
        self.seen: list[Seen] = []
        self.behind = port
        self._open: set[socket.socket] = set()
        outer = self

        class Handler(_Handler):
            mask = outer

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Accept no more."""
        self._server.shutdown()
        self._server.server_close()

    def foreign_fields(self) -> set[str]:
        """Which of our own header fields came in requests about streams."""
        names = {name for seen in self.seen for name in seen.fields if seen.path.startswith("/v1/stream/")}
        return {name for name in names if name in OURS or name.startswith("logship-")}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    mask: Mask

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _pass_on(self) -> None:
        mask = self.mask
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if mask.page is not None:
            self._answer(200, [("Content-Type", "text/html")], mask.page)
            return
        if mask.hides and not self.path.startswith("/v1/stream/"):
            self._answer(404, [], b"no such page\n")
            return
        behind = http.client.HTTPConnection("127.0.0.1", mask.behind, timeout=30)
        try:
            fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            behind.request(self.command, self.path, body or None, fields)
            reply = behind.getresponse()
            content = reply.read()
            pairs = [(name, value) for name, value in reply.getheaders() if name.lower() not in HOP]
        except (OSError, http.client.HTTPException):
            self._cut()
            return
        finally:
            behind.close()
        words = {name.lower(): value for name, value in self.headers.items()}
        mask.seen.append(Seen(self.command, self.path, words, reply.status, len(body)))
        if mask.loses(self.command):
            self._cut()
            return
        if mask.hides:
            pairs = [(name, value) for name, value in pairs if not name.lower().startswith(HIDDEN)]
        self._answer(reply.status, pairs, content)

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, pairs: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in pairs:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = _pass_on  # noqa: N815  # the names http.server looks for
