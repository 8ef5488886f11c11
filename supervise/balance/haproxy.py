"""Edge: HAProxy: its Runtime API, its master socket, and ``haproxy -c``.

Owns sockets, processes and their time limits. What to say and what an answer means is ``runtime``'s.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from supervise.balance.runtime import LOOK, Actual, BadAnswer, missing, read_actual, read_replies

ANSWER_SECONDS = 2.0
ANSWER_BYTES_MAX = 16 << 20
RELOAD_SECONDS = 10.0
CHECK_SECONDS = 10.0
MESSAGE_CHARACTERS_MAX = 4000


class HaproxyDown(Exception):
    """HAProxy does not answer, or not in a way that can be read; the text says why."""


class Haproxy:
    """One HAProxy in master-worker mode: Runtime API (level admin) at ``admin``, master socket at ``master``."""

    def __init__(self, admin: Path, master: Path, program: str = "haproxy") -> None:
        self._admin = admin
        self._master = master
        self._program = program

    def look(self) -> Actual:
        """All there is. Raises HaproxyDown."""
        try:
            return read_actual(_ask(self._admin, LOOK, ANSWER_SECONDS))
        except BadAnswer as error:
            raise HaproxyDown(f"its answer cannot be read: {error}") from None

    def run(self, commands: Sequence[str]) -> list[str]:
        """The replies to commands sent on one line. Raises HaproxyDown."""
        assert not any(";" in command or "\n" in command for command in commands), commands
        return read_replies(_ask(self._admin, ";".join(commands), ANSWER_SECONDS), len(commands))

    def missing(self) -> list[str]:
        """What the socket lacks to steer HAProxy with; [] when it has all. Raises HaproxyDown."""
        return missing(_ask(self._admin, "help", ANSWER_SECONDS), _ask(self._admin, "show cli level", ANSWER_SECONDS))

    def check(self, path: Path) -> str:
        """What ``haproxy -c`` has against the file; "" for nothing."""
        words = [self._program, "-c", "-f", str(path)]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=CHECK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{' '.join(words)} took longer than {CHECK_SECONDS:g} s"
        except OSError as error:
            return f"{self._program} cannot be started: {error.strerror}"
        if done.returncode == 0:
            return ""
        message = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
        return message[:MESSAGE_CHARACTERS_MAX] or f"{' '.join(words)} ended with status {done.returncode}"

    def reload(self) -> str:
        """Make the master take the file; what it has against it, "" when the new worker is up. Raises HaproxyDown.

        The answer comes when the new worker has started or failed; SIGUSR2 would give none.
        """
        answer = _ask(self._master, "reload", RELOAD_SECONDS)
        return "" if answer.startswith("Success=1") else answer.strip()[:MESSAGE_CHARACTERS_MAX] or "no answer"


def _ask(path: Path, line: str, seconds: float) -> str:
    """One line, one answer, on a connection of its own."""
    deadline = time.monotonic() + seconds
    chunks: list[bytes] = []
    size = 0
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(path))
            connection.sendall(line.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)  # the master socket stays open until it sees this
            while data := connection.recv(1 << 18):
                chunks.append(data)
                size += len(data)
                if size > ANSWER_BYTES_MAX:
                    raise HaproxyDown(f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
                connection.settimeout(max(0.001, deadline - time.monotonic()))
    except TimeoutError:
        raise HaproxyDown(f"{path} did not answer within {seconds:g} s") from None
    except OSError as error:
        raise HaproxyDown(f"{path}: {error.strerror or error}") from None
    return b"".join(chunks).decode("utf-8", "replace")
