"""Bytes of all kinds, while seal is killed again and again and the disk is full now and then: all are there at last."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.logship.collect_http.live import Collector, until
from tests.logship.lake.test_lake_process import small_disk  # noqa: F401  # a fixture
from tests.logship.reading.test_reading_export import export, noise
from tests.logship.view.viewing import TREE, Viewer, eventually

OCTETS = {"Content-Type": "application/octet-stream"}
PATHS = ["web/1/app/i", "web/1/serf/i", "foreign"]
SECONDS = float(os.environ.get("LOGSHIP_TEST_HARD_SECONDS", "60"))
DISK_BYTES = 64 << 20
ROOM_BYTES = 1 << 30
"""Made at last: what is no text takes more room in the lake than it has bytes, and how much is written is chance."""
PATIENCE_SECONDS = 600


def resize(disk: Path, size: int) -> None:
    """Give the small disk room for so many bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


class Writer:
    """Appends, and asks again where there is no room; ``written`` is what was taken."""

    def __init__(self, collector: Collector, chance: random.Random) -> None:
        self._collector, self._chance = collector, chance
        self.written: dict[str, bytes] = {}
        self.refused = 0

    def append(self, path: str, data: bytes) -> bool:
        """Whether it was taken."""
        if path not in self.written:
            if self._collector.ask("PUT", f"/v1/stream/{path}", OCTETS).status != 201:
                return False
            self.written[path] = b""
        where = {"Stream-Expected-Offset": f"{len(self.written[path]):020}"}
        reply = self._collector.ask("POST", f"/v1/stream/{path}", {**OCTETS, **where}, data)
        assert reply.status in (204, 503), reply.body
        self.refused += reply.status == 503
        if reply.status == 204:
            self.written[path] += data
        return reply.status == 204

    def go_on(self) -> None:
        """A piece of bytes of all kinds for one of the streams."""
        data = noise(self._chance)
        self.append(self._chance.choice(PATHS), data[: self._chance.randrange(1, 120_000)])


def seal(store: Path, *options: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "logship", "seal", "--store", str(store), "--disk-free-min", "0", *options]
    return subprocess.Popen(words, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_get_and_export_give_what_was_taken_though_seal_was_killed_and_the_disk_was_full(
    small_disk: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    disk = small_disk
    resize(disk, DISK_BYTES)
    store, ballast = disk / "store", disk / "ballast"
    options = ["--keep-bytes", "8000000", "--sealed-keep-bytes", "0", "--disk-free-min", "0"]
    collector, viewer = Collector(store, *options), Viewer(store)
    writer, sealing, kills, full = Writer(collector, chance), seal(store), 0, 0
    try:
        viewer.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            pause = time.monotonic() + chance.random() * 3
            while time.monotonic() < pause:
                writer.go_on()
            sealing.kill()
            sealing.wait()
            kills += 1
            ballast.unlink(missing_ok=True)
            if chance.random() < 0.3:
                full += 1
                left = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
                with contextlib.suppress(OSError):
                    ballast.write_bytes(bytes(max(0, left - chance.randrange(200_000))))
            sealing = seal(store)
        ballast.unlink(missing_ok=True)
        resize(disk, ROOM_BYTES)
        until(lambda: writer.append("other", bytes(1000) + b"\n"), "there is room again", PATIENCE_SECONDS)
        for path in PATHS:
            collector.ask("POST", f"/v1/stream/{path}", {"Stream-Closed": "true"})

        def is_behind() -> bool:
            writer.append("other", os.urandom(500_000).hex().encode() + b"\n")
            return collector.ask("GET", "/v1/health").status == 200 and len(writer.written["other"]) >= 9 << 20

        until(is_behind, "other segments lie behind it", PATIENCE_SECONDS)

        def has_let_go() -> bool:
            found = (json.loads(line) for line in collector.ask("GET", "/v1/streams").body.splitlines())
            ends = {one["stream"]: one for one in found}
            lake = json.loads((store / "lake" / "manifest.json").read_text())
            begins = int(min(path.name for path in (store / "journal").iterdir()))
            return begins >= lake["sealed_end"] > 0 and all(ends[path]["closed"] for path in PATHS if path in ends)

        until(has_let_go, "the journal has let go of all of it", PATIENCE_SECONDS)
        eventually((store / "view.sock").exists, "the viewer has its socket")
        for path in PATHS:
            assert whole(collector, path) == writer.written.get(path, b"")
        found = export(viewer, *PATHS, "--format", "raw", "-o", str(tmp_path / "out"))
        assert found.returncode == 0, found.stderr
        for entry in json.loads((tmp_path / "out" / "manifest.json").read_text())["streams"]:
            assert (tmp_path / "out" / entry["file"]).read_bytes() == writer.written[entry["stream"]]
            assert entry["holes"] == []
    finally:
        sealing.kill()
        viewer.stop()
        collector.kill()
    sizes = {path: len(data) for path, data in writer.written.items()}
    print(f"{kills} kills, {full} times full, {writer.refused} appends refused, {sizes}")
    assert kills > SECONDS / 10


def whole(collector: Collector, path: str) -> bytes:
    """A stream as any client of the wire reads it."""
    found, offset = b"", "-1"
    while True:
        reply = collector.ask("GET", f"/v1/stream/{path}?offset={offset}")
        if reply.status == 404:
            return b""
        assert reply.status == 200, reply.body
        found += reply.body
        offset = reply.headers["stream-next-offset"]
        if reply.headers.get("stream-up-to-date"):
            return found
