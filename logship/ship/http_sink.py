"""Edge: one request out, one answer back, over a connection that is kept.

A kept connection that turns out dead is not replaced behind the caller's back: what is behind a new one
may be another collector than before. So the request fails (``stale``), and the next one makes the connection. Names
are resolved anew for each connection. Every wait has a bound in time, every answer one in bytes.

Left to others: what to send (``courier``), what an answer means (``logship.wire``).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from logship.ship.http1 import BODY_BYTES_MAX, AnswerParser, Broken, Reply, request_head

CONNECT_SECONDS = 5.0
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where the collector listens; ``prefix`` is put before every path."""

    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """What the Host field says."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """For people."""
        return f"http://{self.authority}{self.prefix}"


class Unanswered(Exception):
    """No answer came. ``cause`` says why, in words that do not change from time to time.

    ``absent``: there is nobody to talk to (refused, unknown name, unreachable), so nothing was sent. ``slow``: time ran
    out. ``stale``: a kept connection was dead, which is ordinary.
    """

    def __init__(self, cause: str, absent: bool = False, slow: bool = False, stale: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.absent = absent
        self.slow = slow
        self.stale = stale


class Sink:
    """One connection. Not for several threads at once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._socket: socket.socket | None = None

    def exchange(
        self,
        method: str,
        target: str,
        fields: Iterable[tuple[str, str]],
        body: bytes | None,
        seconds: float,
        body_bytes_max: int = BODY_BYTES_MAX,
        meanwhile: Callable[[], None] | None = None,
    ) -> Reply:
        """The answer to a request, all within ``seconds``. Raises Unanswered; the connection is closed then.

        ``meanwhile`` is called when the request is out, before its answer is waited for. It raises nothing.
        """
        deadline = time.monotonic() + seconds
        used = self._socket is not None
        head = request_head(method, self._place.prefix + target, self._place.authority, fields, _length(method, body))
        connection = self._socket or self._connect(deadline)
        self._socket = None
        parser = AnswerParser(method, body_bytes_max)
        try:
            if used and _is_over(connection):
                raise Unanswered("the kept connection was closed", stale=True)
            refused = self._send(connection, head, body or b"", deadline)
            if meanwhile is not None and refused is None:
                meanwhile()
            reply = self._receive(connection, parser, deadline, refused)
        except (OSError, Broken) as error:
            connection.close()
            raise _unanswered(error, used and not parser.begun) from None
        except Unanswered:
            connection.close()
            raise
        if reply.stays and refused is None:
            self._socket = connection
        else:
            connection.close()
        return reply

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, deadline: float) -> socket.socket:
        host, port = self._place.host, self._place.port
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unanswered(f"the name {host} is not known ({error})", absent=True) from None
        last: OSError | None = None
        for family, kind, protocol, _, address in found:
            connection = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
            try:
                connection.settimeout(_left(min(deadline, time.monotonic() + CONNECT_SECONDS)))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connection.close()
                last = error
                continue
            return connection
        if isinstance(last, TimeoutError):
            raise Unanswered(f"no connection to {host}:{port}: timed out", slow=True)
        raise Unanswered(f"no connection to {host}:{port}: {last and last.strerror}", absent=True)

    def _send(self, connection: socket.socket, head: bytes, body: bytes, deadline: float) -> OSError | None:
        """Send all, or say why the other side would take no more: its answer may say the reason."""
        try:
            connection.settimeout(_left(deadline))
            if len(body) <= _READ_BYTES:
                connection.sendall(head + body)
                return None
            connection.sendall(head)
            connection.settimeout(_left(deadline))
            connection.sendall(body)
        except (BrokenPipeError, ConnectionResetError) as error:
            return error
        return None

    def _receive(
        self, connection: socket.socket, parser: AnswerParser, deadline: float, refused: OSError | None
    ) -> Reply:
        while parser.reply is None:
            connection.settimeout(_left(deadline))
            try:
                data = connection.recv(_READ_BYTES)
            except ConnectionResetError:
                raise refused or Broken("the connection was reset") from None
            if data:
                parser.feed(data)
            elif refused is not None and not parser.begun:
                raise refused
            else:
                parser.end()
        return parser.reply


def _length(method: str, body: bytes | None) -> int | None:
    return None if method in ("GET", "HEAD") else len(body or b"")


def _left(deadline: float) -> float:
    """Seconds until ``deadline``. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_over(connection: socket.socket) -> bool:
    """Whether an idle connection was closed by the other side, or has bytes that nobody asked for."""
    connection.settimeout(None)
    with contextlib.suppress(BlockingIOError):
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return True
    return False


def _unanswered(error: OSError | Broken, stale: bool) -> Unanswered:
    if isinstance(error, TimeoutError):
        return Unanswered("no answer in time", slow=True)
    text = str(error) if isinstance(error, Broken) else str(error.strerror or error).lower()
    return Unanswered(text, stale=stale)
