"""The ways bytes are taken in, each measured once and checked byte for byte: copy, `collect`, `ship` and `collect`."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.content import BODY_BYTES, SEGMENT_BODIES, SEGMENT_BYTES, Content
from bench.machine import Watch
from logship import zstd

TREE = Path(__file__).resolve().parent.parent
STREAMS = 4
"""Of the shippers; two to each of two processes."""
CONNECTIONS = 2
"""Of the copy and the appender: as many appends are in flight as one shipper has."""
WAIT_SECONDS = 600


class WrongBytes(Exception):
    """What is stored is not what was sent: no number of such a run means anything."""


@dataclass(frozen=True)
class Measured:
    """One way, once: how much in how long; CPU seconds and peak memory of who takes in, and of the shippers."""

    mib: float
    seconds: float
    cpu_seconds: float
    peak_mib: float
    ship_cpu_seconds: float = 0.0
    ship_peak_mib: float = 0.0
    """Of the largest one."""

    @property
    def rate(self) -> float:
        return self.mib / self.seconds


@contextlib.contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process of the tree with its output; ended by SIGTERM when the block ends."""
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        try:
            yield started
        finally:
            started.terminate()


def said(started: subprocess.Popen[str]) -> str:
    """The first line of its output."""
    assert started.stdout is not None
    return started.stdout.readline()


def timed(work: Callable[[int], None]) -> float:
    """Seconds that ``work`` takes on all connections at once."""
    troubles: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(CONNECTIONS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return time.perf_counter() - begun


def copy(folder: Path, content: Content) -> Measured:
    """The plain copy."""
    folder.mkdir()
    with process("bench.copy", str(folder), str(BODY_BYTES), str(CONNECTIONS)) as server:
        port = int(said(server))
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        watch = Watch([server.pid])

        def work(number: int) -> None:
            for body in content:
                connections[number].sendall(body)
                if connections[number].recv(1) != b"k":
                    raise WrongBytes("the copy ended before it had all")

        seconds = timed(work)
        watch.stop()
        for connection in connections:
            connection.close()
    for number in range(CONNECTIONS):
        with (folder / f"copy{number}").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _compare(f"the copy of connection {number}", found, content)
    return Measured(CONNECTIONS * content.count, seconds, watch.cpu[server.pid], watch.peak[server.pid])


def append(folder: Path, content: Content, *, encoded: bool) -> Measured:
    """`collect`, taking appends of 1 MiB from a bare client; ``encoded``: in zstd, made beforehand."""
    bodies = {body: zstd.compress(body) if encoded else body for body in content.bodies}
    fields = {"Content-Type": "application/octet-stream", **({"Content-Encoding": "zstd"} if encoded else {})}
    with collector(folder) as (pid, port):
        for number in range(CONNECTIONS):
            _ask(port, "PUT", f"/v1/stream/{number}", fields)
        watch = Watch([pid])

        def work(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
            for body in content:
                connection.request("POST", f"/v1/stream/{number}", bodies[body], fields)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 204:
                    raise WrongBytes(f"collect answers {answer.status}")

        before = watch.cpu[pid]
        seconds = timed(work)
        watch.look()
        used = watch.cpu[pid] - before
        for number in range(CONNECTIONS):
            _compare(f"stream {number}", _digest(port, str(number)), content)
        watch.stop()
        return Measured(CONNECTIONS * content.count, seconds, used, watch.peak[pid])


def ship(folder: Path, content: Content) -> Measured:
    """`collect`, and two `ship` that bring it two streams each."""
    spools = [folder / f"2026112{number}T201501Z-9f2c51aa" for number in (3, 4)]
    with collector(folder / "store") as (pid, port):
        found = _shipped(port, pid, spools, content)
        for stream in _ends(port):
            _compare(stream, _digest(port, stream), content)
    return found


def ship_to_nobody(folder: Path, content: Content) -> Measured:
    """One `ship` with all streams and a collector that keeps nothing: what it costs by itself."""
    with process("bench.null") as server:
        return _shipped(int(said(server)), server.pid, [folder / "20261123T201501Z-9f2c51aa"], content)


def _shipped(port: int, pid: int, spools: Sequence[Path], content: Content) -> Measured:
    """Ship each spool by a process of its own, all STREAMS in all.

    The first segment of each stream comes before the clock starts: the start of Python processes is no intake.
    """
    for spool in spools:
        content.begin_spool(spool, STREAMS // len(spools))
    words = ["logship", "ship", "--to", f"http://127.0.0.1:{port}", "--instance", "1", "--spool"]
    with contextlib.ExitStack() as stack:
        shippers = [stack.enter_context(process(*words, str(spool))) for spool in spools]
        watch = Watch([pid, *(shipper.pid for shipper in shippers)])
        _wait(port, SEGMENT_BYTES)
        watch.look()
        before = dict(watch.cpu)
        begun = time.perf_counter()
        for spool in spools:
            content.end_spool(spool)
        _wait(port, content.count * BODY_BYTES)
        seconds = time.perf_counter() - begun
        watch.stop()
        if any(shipper.poll() is not None for shipper in shippers):
            raise WrongBytes("a shipper ended")
    used = {each: watch.cpu[each] - before[each] for each in watch.cpu}
    taking = used.pop(pid)
    ship_peak = max(watch.peak[shipper.pid] for shipper in shippers)
    count = STREAMS * (content.count - SEGMENT_BODIES)
    return Measured(count, seconds, taking, watch.peak[pid], sum(used.values()), ship_peak)


def _wait(port: int, end: int) -> None:
    """Until every stream ends there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found := _ends(port)) < STREAMS or min(found.values()) < end:
        if time.monotonic() > deadline:
            raise WrongBytes(f"after {WAIT_SECONDS} s the streams end at {found}, not at {end}")
        time.sleep(0.03)


def _ends(port: int) -> dict[str, int]:
    """Where the shipped streams end, by name."""
    listed = [json.loads(line) for line in _ask(port, "GET", "/v1/streams").splitlines()]
    return {item["stream"]: item["next_offset"] for item in listed}


@contextlib.contextmanager
def collector(store: Path) -> Iterator[tuple[int, int]]:
    """A process `collect` on a new store that keeps all; its process id and port."""
    words = ["logship", "collect", "--store", str(store), "--listen", "127.0.0.1:0", "--keep-bytes", "0"]
    with process(*words) as started:
        line = said(started)
        yield started.pid, int(line.split("http://")[1].split(",")[0].rpartition(":")[2])
        started.terminate()
        if started.wait(WAIT_SECONDS):
            raise WrongBytes(f"collect ended with {started.returncode}")


def _ask(port: int, method: str, target: str, fields: dict[str, str] | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, target, headers=fields or {})
        answer = connection.getresponse()
        body = answer.read()
    if answer.status not in (200, 201):
        raise WrongBytes(f"{method} {target}: {answer.status} {body!r}")
    return body


def _digest(port: int, stream: str) -> str:
    """What is stored, read back over HTTP."""
    found = hashlib.sha256()
    offset, more = 0, True
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    with contextlib.closing(connection):
        while more:
            connection.request("GET", f"/v1/stream/{stream}?offset={offset:020}")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise WrongBytes(f"GET {stream} at {offset}: {answer.status}")
            found.update(body)
            offset, more = int(answer.headers["Stream-Next-Offset"]), bool(body)
    return found.hexdigest()


def _compare(what: str, found: str, content: Content) -> None:
    if found != content.digest:
        raise WrongBytes(f"{what} has SHA-256 {found}, and {content.digest} was sent")
