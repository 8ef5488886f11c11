"""`logship ship` and `logship collect` as one of those that are compared: a followed file, or a spool."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.intake import TREE
from bench.loglines import WRITER_BYTES
from bench.peer import Failed, Running, start

ANSWER_SECONDS = 120


class Logship:
    """``spool``: the source is a folder of segments, not a file."""

    def __init__(self, *, spool: bool = False) -> None:
        self.spool = spool
        self.name = "logship, spool" if spool else "logship, file"

    def collector(self, folder: Path, port: int) -> Running:
        """collect, on a store that keeps all."""
        words = ["collect", "--store", str(folder / "store"), "--listen", f"127.0.0.1:{port}", "--keep-bytes", "0"]
        return self._start(folder, "collect", words)

    def shipper(self, folder: Path, number: int, source: Path, port: int) -> Running:
        """ship; ``source`` is a file to follow, or the spool of one incarnation."""
        what = ["--spool", str(source), "--instance", str(number + 1)] if self.spool else ["--follow", str(source)]
        return self._start(folder, f"ship{number}", ["ship", "--to", f"http://127.0.0.1:{port}", *what])

    def arrived(self, _folder: Path, port: int) -> int:
        """The ends of all streams: what is acknowledged, so on disk."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return sum(item["next_offset"] for item in listed(port))
        return 0

    def digests(self, _folder: Path, port: int) -> Mapping[str, str]:
        """Of each stream, read back; it is named by its first line."""
        return dict(read_back(port, item["stream"]) for item in listed(port))

    def _start(self, folder: Path, name: str, words: list[str]) -> Running:
        command = [sys.executable, "-m", "logship", *words]
        return start(f"logship {words[0]}", command, folder / f"{name}.log", os.environ, TREE)


def listed(port: int) -> list[dict[str, Any]]:
    """All streams."""
    with _connection(port) as connection:
        connection.request("GET", "/v1/streams")
        return [json.loads(line) for line in connection.getresponse().read().splitlines()]


def read_back(port: int, stream: str) -> tuple[str, str]:
    """Who wrote a stream, and the SHA-256 of all of it."""
    found, offset, first = hashlib.sha256(), 0, b""
    with _connection(port) as connection:
        while True:
            connection.request("GET", f"/v1/stream/{stream}?offset={offset:020}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise Failed(f"GET {stream} at {offset}: {answer.status} {body[:200]!r}")
            first = first or body[:WRITER_BYTES]
            found.update(body)
            offset = int(answer.headers["Stream-Next-Offset"])
            if not body:
                return first.decode(errors="replace").rstrip(), found.hexdigest()


@contextlib.contextmanager
def _connection(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        yield connection
