"""Edge: asking a program whether it is ready, over a socket that never blocks.

A probe is one question. The caller waits for its socket (``fileno``, ``events``), calls ``step`` when it stirs and
``close`` at the end or when the time is over; who is asked and when is ``readiness.py``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
from urllib.parse import urlsplit

from supervise.init.values import HTTP, Ready

ANSWER_BYTES_MAX = 65536
"""Of an HTTP answer this much is read, so that the server sees its answer taken; the status line comes first."""

Answer = tuple[bool, str]


class Probe:
    """One question to ``host:port``: a connection, and an HTTP request where the check is one."""

    def __init__(self, check: Ready) -> None:
        self._check = check
        url = urlsplit(check.target if check.kind == HTTP else f"tcp://{check.target}")
        host, port = url.hostname or "127.0.0.1", url.port or 80
        address = "127.0.0.1" if host == "localhost" else host
        self._request = b""
        if check.kind == HTTP:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            lines = (f"GET {path} HTTP/1.0", f"Host: {url.netloc}", "User-Agent: supervise-check", "Connection: close")
            self._request = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
        self._answer = b""
        self._connected = False
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._result = self._connect((address, port))

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def result(self) -> Answer | None:
        """The answer, once there is one: at once where connecting failed at once."""
        return self._result

    @property
    def events(self) -> int:
        """What the socket is waited for: to be connected and written to, then to be read."""
        return select.EPOLLIN if self._connected and not self._request else select.EPOLLOUT

    def step(self) -> Answer | None:
        """Go on as far as the socket lets; the answer, or None when there is more to wait for."""
        while self._result is None:
            try:
                if not self._connected:
                    self._finish_connecting()
                elif self._request:
                    self._request = self._request[self._socket.send(self._request) :]
                else:
                    self._take(self._socket.recv(16384))
            except BlockingIOError:
                break
            except OSError as error:
                self._result = self._status() or (False, _words(error))
        return self._result

    def overdue(self) -> Answer:
        """The answer when the time is over."""
        return self._status() or (False, f"no answer in {self._check.timeout_seconds:g} s")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _connect(self, address: tuple[str, int]) -> Answer | None:
        try:
            code = self._socket.connect_ex(address)
        except OSError as error:
            return False, _words(error)
        if code in (0, errno.EINPROGRESS):
            return None
        return False, _words(OSError(code, os.strerror(code)))

    def _finish_connecting(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._socket.getpeername()  # ENOTCONN: woken before the connection stands
        self._connected = True
        if self._check.kind != HTTP:
            self._result = True, "connected"

    def _take(self, data: bytes) -> None:
        self._answer += data
        whole = not data or len(self._answer) >= ANSWER_BYTES_MAX or self._complete()
        if whole:
            self._result = self._status() or (False, "no HTTP answer")

    def _complete(self) -> bool:
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t\r]*$", head)
        return bool(end and length and len(body) >= int(length[1]))

    def _status(self) -> Answer | None:
        found = re.match(rb"HTTP/1\.[01] ([0-9]{3})", self._answer)
        if not found:
            return None
        status = int(found[1])
        return status == self._check.status, f"HTTP status {status}"


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
