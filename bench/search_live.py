"""While lines are written: how soon a query finds one, and what the worst query costs intake.

A collector, a viewer and a shipper as they run together, on the store that was searched. Run as a process of its own
(``python -m bench.search_live FILE SECONDS``) it is who logs: lines of HAProxy's that say the present time.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.intake import TREE, collector, process
from bench.loglines import some_lines
from bench.machine import MIB
from bench.search_ask import ANSWER_SECONDS, Viewer, WrongAnswer, viewer
from logship import zstd

BYTES_A_SECOND = 5 * MIB
APPEND_BYTES = 64 * 1024
FIND_SECONDS_MAX = 30
SINCE = "10s"
"""How far back somebody looks for what has just happened."""
STAMP_DIGITS = 20
_TICK_SECONDS = 0.001
_TAIL_BYTES = 4096
_SETTLE_SECONDS = 2.0


@dataclass(frozen=True)
class Latencies:
    """Seconds each, of all that were looked at."""

    sorted_seconds: list[float]

    def share_ms(self, part: float) -> float:
        """So many took no longer than this."""
        return self.sorted_seconds[min(len(self.sorted_seconds) - 1, int(len(self.sorted_seconds) * part))] * 1000


def until_found(store: Path, folder: Path, seconds: float) -> Latencies:
    """From when a line is written to a file until a query for a word of it gives it, at a steady rate of lines."""
    source = folder / "live.log"
    source.touch()
    found: list[float] = []
    with contextlib.ExitStack() as stack:
        _, port = stack.enter_context(collector(store))
        view = stack.enter_context(viewer(store))
        stack.enter_context(process("logship", "ship", "--to", f"http://127.0.0.1:{port}", "--follow", str(source)))
        words = [sys.executable, "-m", "bench.search_live", str(source)]
        subprocess.run([*words, str(_SETTLE_SECONDS)], cwd=TREE, check=True)
        writer = stack.enter_context(subprocess.Popen([*words, str(seconds)], cwd=TREE))
        time.sleep(_SETTLE_SECONDS / 2)
        while writer.poll() is None:
            found.append(_find(view, _newest_stamp(source)))
    return Latencies(sorted(found))


def write(path: Path, seconds: float) -> None:
    """Append the lines that are due, each millisecond; the request id of each says when it was written."""
    block = some_lines("w00", 7, 1 << 20).splitlines()
    heads = (line[4:].partition(b" [")[0] for line in block)
    rests = (line.partition(b"] ")[2].partition(b" id=")[0] for line in block)
    parts = itertools.cycle(zip(heads, rests, strict=True))
    begun, written = time.monotonic(), 0
    with path.open("ab", buffering=0) as file:
        while (now := time.monotonic()) < begun + seconds:
            seconds_now, fraction = divmod(time.time_ns() // 1_000_000, 1000)
            at = time.strftime("%d/%b/%Y:%H:%M:%S", time.gmtime(seconds_now)).encode()
            due, lines = int((now - begun) * BYTES_A_SECOND) - written, []
            stamp = time.monotonic_ns()
            while due > 0:
                client, rest = next(parts)
                lines.append(b"%b [%b.%03d] %b id=%020d pid=31 lc=1 tt=9\n" % (client, at, fraction, rest, stamp))
                due -= len(lines[-1])
                written += len(lines[-1])
            file.write(b"".join(lines))
            time.sleep(_TICK_SECONDS)


def _newest_stamp(source: Path) -> int:
    """Of the last whole line."""
    with source.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
        line = file.read().splitlines(keepends=True)[-2]
    return int(line.partition(b" id=")[2][:STAMP_DIGITS])


def _find(view: Viewer, stamp: int) -> float:
    """Ask until it is there; how old it is then."""
    deadline = time.monotonic() + FIND_SECONDS_MAX
    while time.monotonic() < deadline:
        answer = view.ask("/api/logs", query=f"{stamp:0{STAMP_DIGITS}}", since=SINCE, n="1")
        now = time.monotonic_ns()
        if answer.texts():
            return (now - stamp) / 1e9
    raise WrongAnswer(f"the line with {stamp} is not found within {FIND_SECONDS_MAX} s")


@dataclass(frozen=True)
class Intake:
    """Of appends, without and with the worst query going on; and how often that was answered meanwhile."""

    idle: Latencies
    busy: Latencies
    answered: int


def intake(store: Path, seconds: float, worst: str) -> Intake:
    """How long appends take, so many seconds each way; ``worst`` is asked again and again."""
    with collector(store) as (_, port), viewer(store) as view:
        appender = _Appender(port)
        appender.run(_SETTLE_SECONDS)
        idle = appender.run(seconds)
        with _again_and_again(lambda: view.ask("/api/query", query=worst)) as answered:
            time.sleep(_SETTLE_SECONDS / 2)
            busy = appender.run(seconds)
        return Intake(idle, busy, len(answered))


class _Appender:
    """Sends lines at a steady rate, each append when it is due, or at once when the one before was late."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._path = f"/v1/stream/bench/1/live/{time.monotonic_ns()}"
        self._body = zstd.compress(some_lines("w00", 3, APPEND_BYTES))
        self._send("PUT", b"")

    def run(self, seconds: float) -> Latencies:
        """For so long."""
        found = []
        begun = time.perf_counter()
        step = APPEND_BYTES / BYTES_A_SECOND
        for number in range(int(seconds / step)):
            time.sleep(max(0.0, begun + number * step - time.perf_counter()))
            started = time.perf_counter()
            self._send("POST", self._body)
            found.append(time.perf_counter() - started)
        return Latencies(sorted(found))

    def _send(self, method: str, body: bytes) -> None:
        fields = {"Content-Type": "application/octet-stream", **({"Content-Encoding": "zstd"} if body else {})}
        self._connection.request(method, self._path, body, fields)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status not in (201, 204):
            raise WrongAnswer(f"collect answers {answer.status}")


@contextlib.contextmanager
def _again_and_again(work: Callable[[], object]) -> Iterator[list[object]]:
    """In a thread, until the block ends; what came of it so far."""
    enough, answers = threading.Event(), []
    troubles: list[BaseException] = []

    def run() -> None:
        try:
            while not enough.is_set():
                answers.append(work())
        except BaseException as error:
            troubles.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()
    if troubles:
        raise troubles[0]


if __name__ == "__main__":
    write(Path(sys.argv[1]), float(sys.argv[2]))
