"""How fast one shipper is by itself: a spool in, a collector that keeps nothing out.

    python bench/ship_null.py [--mib 512] [--streams 4] [--noise]

Prints plain MiB/s, CPU seconds a GB and the shipper's largest resident size. The collector answers at once and shares
the machine, so the numbers are what a shipper costs, not what a system carries (that is `make bench-ship`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import zstandard

TREE = Path(__file__).resolve().parent.parent
SEGMENT_BYTES = 8 * 1024 * 1024
INCARNATION = "20261123T201501Z-9f2c51aa"


class NullCollector:
    """Answers what a collector answers that takes everything, and keeps the ends of streams only."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: dict[str, int] = {}

    def serve(self) -> None:
        """Until the process ends."""
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb", 1 << 20)
        while line := file.readline():
            method, target, _ = line.decode().split()
            length = 0
            while (field := file.readline()) not in (b"\r\n", b""):
                if field.lower().startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            body = file.read(length)
            end = self._ends.get(target, 0)
            if method == "POST" and body:
                end += zstandard.frame_content_size(body[:18])
            self._ends[target] = end
            fields = f"Logship-Protocol: 1\r\nStream-Next-Offset: {end:020}\r\nContent-Length: 0"
            connection.sendall(f"HTTP/1.1 {201 if method == 'PUT' else 200} OK\r\n{fields}\r\n\r\n".encode())


def block(noise: bool) -> bytes:
    """One segment of bytes: lines like HAProxy's in JSON, or what does not compress."""
    chance = random.Random(1)
    if noise:
        return chance.randbytes(SEGMENT_BYTES)
    lines = (
        b'{"time":"2026-11-23T22:15:01.%03dZ","client_ip":"10.0.%d.%d","request_id":"%016x","status":200,"bytes":%d}\n'
        % (chance.randrange(1000), chance.randrange(256), chance.randrange(256), chance.getrandbits(64), n % 9999)
        for n in range(SEGMENT_BYTES // 100)
    )
    return b"".join(lines)[:SEGMENT_BYTES]


def make_spool(folder: Path, streams: int, mib: int, content: bytes) -> int:
    """A spool folder with so much in it; how many bytes."""
    words = {"v": 1, "incarnation": INCARNATION, "service": "bench", "host": "bench", "created": "", "programs": []}
    (folder / "identity.json").write_text(json.dumps(words))
    count = max(1, mib * 1024 * 1024 // len(content) // streams)
    for stream in range(streams):
        (folder / f"p{stream}").mkdir()
        for place in range(count):
            (folder / f"p{stream}" / f"{place * len(content):020}").write_bytes(content)
    return streams * count * len(content)


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=512, help="how much is shipped, in all (default 512)")
    parser.add_argument("--streams", type=int, default=4, help="over how many streams (default 4)")
    parser.add_argument("--noise", action="store_true", help="bytes that do not compress")
    options = parser.parse_args()
    collector = NullCollector()
    server = os.fork()  # a process of its own, so that the CPU seconds are the shipper's alone
    if server == 0:
        collector.serve()
    try:
        with tempfile.TemporaryDirectory() as name:
            size = make_spool(Path(name), options.streams, options.mib, block(options.noise))
            measure(Path(name), collector.port, size)
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


def measure(spool: Path, port: int, size: int) -> None:
    """Ship the folder and print what it took."""
    words = ["ship", "--to", f"http://127.0.0.1:{port}", "--instance", "1", "--once", "--spool", str(spool)]
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "logship", *words], cwd=TREE, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"ship ended with {process.returncode}"
    cpu = (used.ru_utime + used.ru_stime) / (size / 1e9)
    mib = size / 2**20
    print(f"{mib:.0f} MiB: {mib / seconds:.0f} MiB/s, {cpu:.2f} CPU s/GB, {used.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
