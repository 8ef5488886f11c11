"""Intake of `logship collect` beside a plain socket-to-file copy, in one run.

    python -m tests.logship.collect_http.bench_intake [MIB]

Both take 1 MiB of log lines an append on two connections, and answer each when it is synced (the copy with its own
fdatasync, the collector with its group commit). Printed: MiB of lines a second, the server's CPU seconds a GiB, its
memory at most, and the ratio. Bodies are compressed beforehand: what compression costs is the shipper's.
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from logship import zstd
from tests.logship.collect_http.live import Collector

APPEND_BYTES = 1024 * 1024
CONNECTIONS = 2
COPY = """
import os, socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def serve(connection, number):
    file = os.open(f"{sys.argv[1]}/copy{number}", os.O_WRONLY | os.O_CREAT)
    buffer = memoryview(bytearray(int(sys.argv[2])))
    while True:
        filled = 0
        while filled < len(buffer):
            size = connection.recv_into(buffer[filled:])
            if not size:
                return
            filled += size
        os.write(file, buffer)
        os.fdatasync(file)
        connection.sendall(b"k")
for number in range(int(sys.argv[3])):
    threading.Thread(target=serve, args=(listener.accept()[0], number)).start()
"""


def lines(seed: int) -> bytes:
    """1 MiB that compresses about as web server logs do."""
    chance, found, size = random.Random(seed), [], 0
    while size < APPEND_BYTES:
        number = [chance.randrange(bound) for bound in (256, 65536, 60, 1000, 9, 999, 99999, 9999)]
        client = f"10.1.{number[0]}.{number[0] ^ 85}:{number[1]} [23/Nov/2026:20:15:{number[2]:02}.{number[3]:03}]"
        timers = f"0/0/{number[4]}/{number[5]}/{number[5] + number[4]} 200 {number[6]} - - ----"
        found.append(f'{client} http app/web-{number[4]} {timers} "GET /item/{number[7]} HTTP/1.1"\n')
        size += len(found[-1])
    return "".join(found).encode()[:APPEND_BYTES]


def timed(work: Callable[[int], None]) -> float:
    """Seconds that ``work`` takes on all connections at once."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CONNECTIONS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> int:
    """The most memory a process has had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def copy(folder: str, bodies: list[bytes], rounds: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and memory of the plain copy."""
    command = [sys.executable, "-c", COPY, folder, str(APPEND_BYTES), str(CONNECTIONS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]

        def work(number: int) -> None:
            for turn in range(rounds):
                connections[number].sendall(bodies[turn % len(bodies)])
                assert connections[number].recv(1) == b"k"

        seconds = timed(work)
        found = seconds, cpu_seconds(process.pid), memory_mib(process.pid)
        for connection in connections:
            connection.close()
    return found


def collect(folder: str, bodies: list[bytes], rounds: int, encoding: dict[str, str]) -> tuple[float, float, int]:
    """The same of the collector."""
    collector = Collector(Path(folder) / f"store{len(encoding)}", "--keep-bytes", "0")
    octets = {"Content-Type": "application/octet-stream", **encoding}
    for number in range(CONNECTIONS):
        assert collector.ask("PUT", f"/v1/stream/{number}").status == 201
    before = cpu_seconds(collector.process.pid)

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", collector.port)
        for turn in range(rounds):
            connection.request("POST", f"/v1/stream/{number}", bodies[turn % len(bodies)], octets)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 204

    seconds = timed(work)
    found = seconds, cpu_seconds(collector.process.pid) - before, memory_mib(collector.process.pid)
    assert collector.stop() == 0
    return found


def main() -> None:
    """Run all and print."""
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    rounds = mib // CONNECTIONS
    plain = [lines(seed) for seed in range(8)]
    zipped = [zstd.compress(body) for body in plain]
    print(f"{mib} MiB in appends of 1 MiB on {CONNECTIONS} connections; zstd to {len(zipped[0]) / APPEND_BYTES:.2f}")
    with tempfile.TemporaryDirectory(dir="build" if Path("build").is_dir() else None) as folder:
        base, *_ = found = copy(folder, plain, rounds)
        report("plain copy", mib, found, base)
        report("collect, zstd", mib, collect(folder, zipped, rounds, {"Content-Encoding": "zstd"}), base)
        report("collect, plain", mib, collect(folder, plain, rounds, {}), base)


def report(name: str, mib: int, found: tuple[float, float, int], base: float) -> None:
    """One line."""
    seconds, cpu, memory = found
    rate, cost = mib / seconds, cpu / mib * 1024
    print(f"{name:15} {rate:6.0f} MiB/s  ratio {base / seconds:.2f}  {cost:5.2f} CPU s/GiB  {memory} MiB of memory")


if __name__ == "__main__":
    main()
