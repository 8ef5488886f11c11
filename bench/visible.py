"""When lines can be seen: by a follower of a stream of ours (server-sent events), by a reader of a peer's file."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.loglines import WRITER_BYTES
from bench.writer import STAMP_DIGITS

_POLL_SECONDS = 0.0005
_READ_BYTES = 1024 * 1024
ANSWER_SECONDS = 5


class Reader(threading.Thread):
    """Takes bytes as they become visible and notes how old each line is then, in seconds; until ``stop``."""

    def __init__(self, pieces: Callable[[threading.Event], Iterator[bytes]]) -> None:
        super().__init__(daemon=True)
        self.ages: list[float] = []
        self.bytes = 0
        self._pieces = pieces
        self._enough = threading.Event()
        self._rest = b""
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            for piece in self._pieces(self._enough):
                self._take(piece, time.monotonic_ns())
        except BaseException as error:
            self.trouble = error

    def stop(self) -> None:
        """No more."""
        self._enough.set()
        self.join()
        if self.trouble is not None:
            raise self.trouble

    def _take(self, piece: bytes, now: int) -> None:
        self.bytes += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            stamp = line[WRITER_BYTES : WRITER_BYTES + STAMP_DIGITS]
            if stamp.isdigit():
                self.ages.append((now - int(stamp)) / 1e9)


def of_file(path: Path) -> Callable[[threading.Event], Iterator[bytes]]:
    """A file that somebody appends to, looked at twice a millisecond."""

    def pieces(enough: threading.Event) -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            while not enough.is_set():
                piece = file.read(_READ_BYTES)
                if piece:
                    yield piece
                else:
                    time.sleep(_POLL_SECONDS)

    return pieces


def of_stream(port: int, stream: str) -> Callable[[threading.Event], Iterator[bytes]]:
    """A stream of the collector, followed by server-sent events, which end after a minute and are asked for again."""

    def pieces(enough: threading.Event) -> Iterator[bytes]:
        offset = f"{0:020}"
        while not enough.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
            connection.request("GET", f"/v1/stream/{stream}?offset={offset}&live=sse")
            answer = connection.getresponse()
            for kind, data in _events(answer, enough):
                if kind == b"data":
                    yield base64.b64decode(data)
                else:
                    offset = json.loads(data)["streamNextOffset"]
            connection.close()

    return pieces


def _events(answer: http.client.HTTPResponse, enough: threading.Event) -> Iterator[tuple[bytes, bytes]]:
    """(event, data) of each; ends with the answer, or when it is enough."""
    kind, rest = b"", b""
    while not enough.is_set():
        try:
            piece = answer.read1(_READ_BYTES)
        except TimeoutError:  # nothing came for long: the answer is begun anew where it was
            return
        if not piece:
            return
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"event:"):
                kind = line[6:].strip()
            elif line.startswith(b"data:"):
                yield kind, line[5:]
