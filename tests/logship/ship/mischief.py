"""A proxy between shipper and collector that does to requests and answers what bad lines and bad proxies do.

It knows just enough HTTP to tell one request from the next. What happens to a request is drawn by chance of a seed.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Sequence

KINDS = ("twice", "unanswered", "late", "cut", "flipped")
PATIENCE_SECONDS = 30.0
LATE_SECONDS = 0.4


class Mischief:
    """Listens on a port of its own. ``kinds`` are done to a ``share`` of what writes; none while it is ``good``."""

    def __init__(self, port: int, seed: int, *kinds: str, share: float = 0.3) -> None:
        assert set(kinds) <= set(KINDS)
        self.good = False
        self.done: Counter[str] = Counter()
        self._upstream = ("127.0.0.1", port)
        self._chance = random.Random(seed)
        self._kinds: Sequence[str] = kinds
        self._share = share
        self._lock = threading.Lock()
        self._behind: list[threading.Thread] = []  # that ask when nobody waits for the answer any more
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.settimeout(PATIENCE_SECONDS)
            while request := _message(client):
                answer = self._pass_on(request)
                if not answer:
                    return
                client.sendall(answer)

    def _pass_on(self, request: bytes) -> bytes:
        """The answer for the client; none: its connection is cut."""
        with self._lock:
            does = request.startswith((b"POST", b"PUT")) and not self.good and self._chance.random() < self._share
            kind = self._chance.choice(self._kinds) if does else ""
            at = self._chance.random()
            self.done[kind] += 1
        head = request.index(b"\r\n\r\n") + 4
        if kind == "twice":
            self._ask_behind(0, request)
        elif kind == "late":  # it comes when its sender has long asked again
            self._ask_behind(LATE_SECONDS, request)
            return b""
        elif kind == "cut":
            self._ask(request[: int(at * len(request))], whole=False)
            return b""
        elif kind == "flipped" and len(request) > head:
            place = head + int(at * (len(request) - head))
            request = request[:place] + bytes([request[place] ^ 1 << int(at * 8) % 8]) + request[place + 1 :]
        answer = self._ask(request)
        return b"" if kind == "unanswered" else answer

    def wait_for_late(self) -> None:
        """Until nothing is on its way any more."""
        for thread in self._behind:
            thread.join(2 * PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _ask_behind(self, seconds: float, request: bytes) -> None:
        timer = threading.Timer(seconds, self._ask, (request,))
        timer.daemon = True
        self._behind.append(timer)
        timer.start()

    def _ask(self, request: bytes, whole: bool = True) -> bytes:
        """The collector's answer, on a connection of its own; none where it gives none."""
        with contextlib.suppress(OSError), socket.create_connection(self._upstream, PATIENCE_SECONDS) as upstream:
            upstream.sendall(request)
            return _message(upstream, request.startswith(b"HEAD")) if whole else b""
        return b""


def _message(connection: socket.socket, bodiless: bool = False) -> bytes:
    """One request or answer, with its body; empty where there is no more."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, _ = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head) and not bodiless
    size = len(head) + 4 + (int(length[1]) if length and not bodiless else 0)
    while len(data) < size or (chunked and not data.endswith(b"\r\n0\r\n\r\n")):
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    return data
