"""A source's disk that is full: shipping needs no room on it, and makes room."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import INCARNATION, Shipper, until
from tests.logship.spool.bench import SpoolBench

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def identified(folder: Path) -> None:
    """The identity that PID 1 writes into a spool folder."""
    words = {"v": 1, "incarnation": folder.name, "service": "webapp", "host": "3f2a9c", "programs": []}
    (folder / "identity.json").write_text(json.dumps({**words, "created": "2026-11-23T20:15:01.123Z"}))


def fill(folder: Path) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(512))


def is_shipped(server: CollectorServer, end: bytes) -> bool:
    return any(bytes(kept.data).endswith(end) for kept in server.model.streams.values())


@pytest.fixture
def full(tmp_path: Path, small_disk: Path) -> Iterator[SpoolBench]:
    """A spool that a disk is too small for, and what PID 1 holds of it."""
    bench = SpoolBench(tmp_path, small_disk / INCARNATION)
    bench.options = ["--segment-bytes", "262144"]
    identified(bench.spool)
    alive = os.open(bench.spool / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    fcntl.flock(alive, fcntl.LOCK_EX)
    yield bench
    bench.close()
    os.close(alive)


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


@pytest.mark.case(93)
def test_a_disk_that_an_outage_filled_to_the_last_byte_is_emptied_by_shipping(
    full: SpoolBench, server: CollectorServer, small_disk: Path, tmp_path: Path
) -> None:
    emptied_by_shipping(full, server, small_disk, tmp_path)


def test_so_is_one_that_was_full_before_a_second_segment_was_finished(
    full: SpoolBench, server: CollectorServer, small_disk: Path, tmp_path: Path
) -> None:
    """The first could not go yet when it was finished, and on a full disk no other is."""
    full.options = ["--segment-bytes", str(2 * MIB)]
    emptied_by_shipping(full, server, small_disk, tmp_path)


def emptied_by_shipping(full: SpoolBench, server: CollectorServer, small_disk: Path, tmp_path: Path) -> None:
    """What is acknowledged must be noted for spool to delete it, and there is no room for a note."""
    full.fifo("web")
    full.start()
    with open(full.writer("web"), "wb", buffering=0) as program:  # noqa: PTH123  # a descriptor
        for number in range(6 * MIB // 4096):
            if number in (512, 513):  # so that a segment of 2 MiB ends with little behind it
                until(lambda: full.waiting("web") == 0, "the pipe is emptied")
            program.write(f"{number:08}".encode() * 512)
        until(lambda: full.waiting("web") == 0, "the pipe is emptied")
        until(lambda: "No space left on device" in json.dumps(full.losses()), "the loss is recorded")
        fill(small_disk)
        shipper = Shipper(server.url, full.spool, log=tmp_path / "log")
        try:
            until(lambda: len(full.segments("web")) <= 2, "what is acknowledged is deleted")
            program.write(b"stored again\n")
            until(lambda: full.stored("web").endswith(b"stored again\n"), "there is room again")
            until(lambda: is_shipped(server, b"stored again\n"), "which is shipped")
        finally:
            shipper.kill()
            print((tmp_path / "log").read_text())


@pytest.mark.case(93)
def test_an_orphan_on_a_disk_that_is_full_to_the_last_byte_is_adopted_and_makes_room(
    server: CollectorServer, small_disk: Path, tmp_path: Path
) -> None:
    folder = small_disk / "spools" / INCARNATION
    (folder / "web").mkdir(parents=True)
    identified(folder)
    (folder / "alive").touch()
    for offset in range(0, 3 * MIB, 262144):
        (folder / "web" / f"{offset:020}").write_bytes(f"{offset:08}".encode() * 32768)
    fill(small_disk)
    shipper = Shipper(server.url, options=["--once", "--adopt", str(folder.parent)], log=tmp_path / "log")
    assert shipper.process.wait(120) == 0, (tmp_path / "log").read_text()
    assert not folder.exists()
    (kept,) = (each for path, each in server.model.streams.items() if "/web/" in path)
    assert len(kept.data) == 3 * MIB
