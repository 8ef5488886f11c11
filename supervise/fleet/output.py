"""The output of a command in a container, as the engine sends it on one connection.

The SDK's own reader takes the bare socket and so loses what arrived together with the reply's headers; on a busy
machine that is missing output. Here the buffered reader behind the headers is read instead.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO


@dataclass(frozen=True)
class ExecResult:
    """How a command in a container ended (``status``: its exit status) and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class ExecStream:
    """The running output of a command in a container: an iterator of (1 for stdout or 2 for stderr, bytes).

    The command's standard input stays open until ``close``, so a command that watches it ends with its reader; the
    engine itself would leave it running.
    """

    def __init__(self, response: Any, reader: BinaryIO, sock: Any, status: Callable[[], int]) -> None:
        self._response, self.reader, self.socket, self._status = response, reader, sock, status

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        try:
            yield from frames(self.reader)
        except (OSError, ValueError):
            return  # closed by another thread, or the engine went away: the end of the stream either way

    def status(self) -> int:
        """The command's exit status, once its output has ended. Raises Fault when it goes on, or is not known."""
        return self._status()

    def close(self) -> None:
        """End the stream; may be called from another thread, and more than once."""
        with contextlib.suppress(OSError):  # already closed
            self.socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


def frames(reader: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Split the engine's multiplexed output: eight bytes (stream, 3 zeros, length), then that many bytes.

    A frame is handed on in pieces of at most 64 KiB, as they come. A reader that ends inside a frame ends the stream.
    """
    while len(header := reader.read(8)) == 8:
        number, left = header[0], int.from_bytes(header[4:], "big")
        while left:
            data = reader.read1(min(left, 65536))  # type: ignore[attr-defined]  # BufferedReader and BytesIO have it
            if not data:
                return
            left -= len(data)
            yield (2 if number == 2 else 1), data
