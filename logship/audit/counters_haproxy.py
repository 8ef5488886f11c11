"""Edge: asking the workers of HAProxy.

Of each worker one connection to its control socket is kept: it stays with that worker through a reload, and HAProxy
ends no worker that still has one (tried; `hard-stop-after` and `stats timeout` bound it). So a worker that finishes is
there until its last counts have been read. One that was not reached in its time is asked through the master.
Left to others: what to ask, and what answers mean (``counters``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

ANSWER_SECONDS = 2.0
ANSWER_BYTES_MAX = 4 << 20
_PROMPT = b"\n> "


class Unreachable(Exception):
    """No answer; the text says why."""


class Worker(Protocol):
    """One worker that can be asked."""

    def ask(self, commands: Sequence[str]) -> list[str]:
        """An answer a command. Raises Unreachable; then it cannot be asked again."""

    def close(self) -> None:
        """Let it go."""


class Held:
    """A worker by a connection that is kept, in HAProxy's interactive mode."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.connect(str(path))
            self._exchange("prompt", 1)
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"{path}: {error.strerror or error}") from None
        except Unreachable:
            self._socket.close()
            raise

    def ask(self, commands: Sequence[str]) -> list[str]:
        """An answer a command."""
        try:
            return self._exchange(";".join(commands), len(commands))
        except OSError as error:
            self.close()
            raise Unreachable(str(error.strerror or error)) from None
        except Unreachable:
            self.close()
            raise

    def close(self) -> None:
        """Let it go: it may end now."""
        self._socket.close()

    def _exchange(self, line: str, answers: int) -> list[str]:
        deadline = time.monotonic() + ANSWER_SECONDS
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.sendall(line.encode() + b"\n")
        got = b""
        while got.count(_PROMPT) < answers:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._socket.recv(1 << 16)
            if not data:
                raise Unreachable("HAProxy closed the connection")
            got += data
            if len(got) > ANSWER_BYTES_MAX:
                raise Unreachable(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
        return got.decode("utf-8", "replace").split(_PROMPT.decode())[:answers]


class Through:
    """A worker by its pid, through the master's socket: a connection a command, nothing kept."""

    def __init__(self, master: Path, pid: int) -> None:
        self._master = master
        self._pid = pid

    def ask(self, commands: Sequence[str]) -> list[str]:
        """An answer a command."""
        answers = [once(self._master, f"@!{self._pid} {command}") for command in commands]
        if any(answer.startswith("Can't find the target PID") for answer in answers):
            raise Unreachable("the master does not know it any more")
        return answers

    def close(self) -> None:
        """Nothing is kept."""


def once(path: Path, line: str) -> str:
    """One line, one answer, on a connection of its own. Raises Unreachable."""
    deadline = time.monotonic() + ANSWER_SECONDS
    chunks: list[bytes] = []
    size = 0
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(line.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)  # the master's socket stays open until it sees this
            while data := connection.recv(1 << 16):
                chunks.append(data)
                size += len(data)
                if size > ANSWER_BYTES_MAX:
                    raise Unreachable(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
                connection.settimeout(max(0.001, deadline - time.monotonic()))
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}") from None
    return b"".join(chunks).decode("utf-8", "replace")


def is_alive(pid: int) -> bool:
    """Whether there is such a process; asked when the master does not answer."""
    with contextlib.suppress(OSError):
        os.kill(pid, 0)
        return True
    return False
