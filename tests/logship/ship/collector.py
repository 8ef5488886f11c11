"""The real collector as a process, for tests."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.logship.ship.spools import INCARNATION, TREE, until
from tests.ports import free_port


class Collector:
    """``logship collect`` as a process, always at the same port and with the same store."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.words = ["collect", "--store", str(folder / "store"), "--listen", f"127.0.0.1:{self.port}"]
        self.words += options
        self._log_path = folder / "collect.log"
        self._log = self._log_path.open("ab")
        self._elsewhere = False  # it listens in another network namespace
        self._said = 0  # bytes of its log before this start
        self.process: subprocess.Popen[bytes] | None = None
        self.closed = False  # the stream that was read last

    def start(self, before: Sequence[str] = ()) -> None:
        """Start, after the words ``before``, and wait until it accepts."""
        self._elsewhere, self._said = bool(before), self._log_path.stat().st_size
        words = [*before, sys.executable, "-m", "logship", *self.words]
        self.process = subprocess.Popen(words, cwd=TREE, stdout=self._log, stderr=self._log)
        until(self._accepts, "the collector accepts")

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def read(self, program: str, incarnation: str = INCARNATION) -> bytes:
        """The whole stream of a program."""
        return b"".join(self.pieces(f"webapp/1/{program}/{incarnation}"))

    def pieces(self, path: str) -> Iterator[bytes]:
        """The whole stream, piece by piece."""
        offset = 0
        while True:
            with self._get(f"/v1/stream/{path}?offset={offset:020}") as reply:
                piece = bytes(reply.read())
                self.closed = reply.headers.get("Stream-Closed") == "true"
                over = reply.headers.get("Stream-Up-To-Date")
            offset += len(piece)
            yield piece
            if over:
                return

    def some(self, path: str, offset: int) -> bytes:
        """What one answer holds of a stream from an offset on."""
        with self._get(f"/v1/stream/{path}?offset={offset:020}") as reply:
            return bytes(reply.read())

    def streams(self, program: str = "file") -> list[dict[str, Any]]:
        """What the collector says of the streams of a program, followed files by default, the oldest first."""
        with self._get(f"/v1/streams?source.program={program}") as reply:
            return sorted((json.loads(line) for line in reply.read().splitlines()), key=lambda one: str(one["stream"]))

    def end(self, path: str) -> int:
        """Where a stream ends."""
        request = urllib.request.Request(f"{self.url}/v1/stream/{path}", method="HEAD")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return int(reply.headers["Stream-Next-Offset"])

    def count(self) -> int:
        """How many streams there are, which costs it less than to list them."""
        with self._get("/v1/health") as reply:
            return int(json.load(reply)["streams"])

    def losses(self) -> list[dict[str, Any]]:
        """The ledger."""
        with self._get("/v1/losses") as reply:
            return [json.loads(line) for line in reply.read().splitlines()]

    def _get(self, target: str) -> Any:
        return urllib.request.urlopen(self.url + target, timeout=60)

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the collector ended"
        if self._elsewhere:
            return b"accepting on" in self._log_path.read_bytes()[self._said :]
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
