"""A receiver of webhooks in this process, which behaves as it is told to."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from typing import Any

TAKE, SLOW, DRIP, CLOSE, RESET, GARBAGE, HUGE = "take", "slow", "drip", "close", "reset", "garbage", "huge"


class Receiver:
    """Listens at ``port``. ``manner`` is one of those above, or a status; ``got`` are key and body of what it took."""

    def __init__(self) -> None:
        self.manner: str | int = TAKE
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.asked = 0
        self.tls: ssl.SSLContext | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook?token=secret"

    def refuse(self) -> None:
        """Nobody listens any more."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # else the thread that accepts keeps it
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, plain: socket.socket) -> None:
        plain.settimeout(30)
        try:
            connection = plain if self.tls is None else self.tls.wrap_socket(plain, server_side=True)
        except OSError:  # the other side does not believe us
            plain.close()
            return
        with connection:
            manner = self.manner
            self.asked += 1
            if manner == CLOSE:
                return
            try:
                head, body = self._request(connection)
                self._as_told(connection, manner, head, body)
            except OSError:
                pass

    def _request(self, connection: socket.socket) -> tuple[str, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert head.startswith(b"POST /hook?token=secret HTTP/1.1")
        assert fields["Content-Type"] == "application/json"
        while len(body) < int(fields["Content-Length"]):
            body += self._more(connection)
        return fields["Idempotency-Key"].strip('"'), body

    def _more(self, connection: socket.socket) -> bytes:
        data = connection.recv(65536)
        if not data:
            raise ConnectionResetError
        return data

    def _as_told(self, connection: socket.socket, manner: str | int, key: str, body: bytes) -> None:
        if manner == TAKE:
            self.got.append((key, json.loads(body)))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif manner == SLOW:
            time.sleep(20)
        elif manner == DRIP:
            for one in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
                connection.sendall(bytes([one]))
                time.sleep(0.05)
        elif manner == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif manner == GARBAGE:
            connection.sendall(b"\0\1\2 what?\r\n\r\n")
        elif manner == HUGE:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000)
        else:
            connection.sendall(f"HTTP/1.1 {manner} Told\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".encode())
