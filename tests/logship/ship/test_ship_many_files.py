"""Many files, few of which are written to: bounded descriptors, each in its turn, nothing lost."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import TREE, until


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


class Lot:
    """Files, and a shipper of them that may have so many descriptors."""

    def __init__(self, folder: Path, url: str, files: int, descriptors: int) -> None:
        self.folder = folder / "logs"
        self.folder.mkdir()
        self.written = {self.folder / f"{number:05}.log": b"" for number in range(files)}
        self.descriptors = descriptors
        self.most = 0  # descriptors that were open at a time
        self._words = [sys.executable, "-m", "logship", "ship", "--to", url, "--follow", str(self.folder / "*.log")]
        self._log = (folder / "ship.json").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The shipper."""
        limit = f'ulimit -n {self.descriptors}; exec "$@"'
        self.process = subprocess.Popen(["/bin/sh", "-c", limit, "ship", *self._words], cwd=TREE, stderr=self._log)
        return self.process

    def write(self, path: Path, line: bytes) -> None:
        """A line more, by a program that opens and closes the file."""
        self.written[path] += line
        with path.open("ab") as file:
            file.write(line)

    def total(self) -> int:
        """Bytes written."""
        return sum(map(len, self.written.values()))

    def count(self) -> int:
        """Descriptors of the shipper now."""
        assert self.process is not None
        found = len([*Path(f"/proc/{self.process.pid}/fd").iterdir()])
        self.most = max(self.most, found)
        return found

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self._log.close()


def stored(server: CollectorServer) -> dict[Path, bytes]:
    with server.lock:
        return {Path(str(kept.source["path"])): bytes(kept.data) for kept in server.model.streams.values()}


def asked(server: CollectorServer) -> int:
    """How often the list of streams was asked for."""
    return sum(target.startswith("/v1/streams") for _, target in server.requests)


@pytest.mark.case(12, 101)
def test_five_times_as_many_files_as_may_be_open_are_all_shipped_whichever_of_them_grows(
    server: CollectorServer, tmp_path: Path
) -> None:
    chance = random.Random(12)
    lot = Lot(tmp_path, server.url, files=160, descriptors=64 + 2 * 32)
    for path in lot.written:
        lot.write(path, b"first\n")
    lot.start()
    until(lambda: lot.count() and stored(server) == lot.written, "all of them are there")
    assert asked(server) < 4, "the list is asked for once, not each time some of them are opened"
    for turn in range(3):
        for path in chance.sample([*lot.written], 40):
            lot.write(path, b"%d\n" % turn)
        until(lambda: lot.count() and stored(server) == lot.written, "what grew is there")
    lists = asked(server)
    server.stop()
    server.start()
    lot.write(next(iter(lot.written)), b"after the collector was away\n")
    until(lambda: lot.count() and stored(server) == lot.written, "that, too")
    assert not server.model.losses
    assert len(server.model.streams) == len(lot.written)
    assert lot.most <= lot.descriptors
    assert lists < 40, "who sleeps is not asked about"
    lot.kill()


@pytest.mark.case(73)
def test_files_that_are_at_rest_are_sent_anew_to_a_collector_that_was_wiped(
    server: CollectorServer, tmp_path: Path
) -> None:
    lot = Lot(tmp_path, server.url, files=60, descriptors=64 + 2 * 10)
    for path in lot.written:
        lot.write(path, b"kept\n")
    lot.start()
    until(lambda: stored(server) == lot.written, "all of them are there")
    server.stop()
    server.model.wipe()
    server.start()
    lot.write(next(iter(lot.written)), b"with this it is noticed\n")
    until(lambda: stored(server) == lot.written, "all of them are there again")
    assert not server.model.losses
    lot.kill()


@pytest.mark.case(12)
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_files_of_which_a_hundred_are_written_to(tmp_path: Path) -> None:
    chance = random.Random(12)
    collector = Collector(tmp_path)
    collector.start()
    lot = Lot(tmp_path, collector.url, files=10_000, descriptors=1024)
    try:
        for path in lot.written:
            lot.write(path, b"%s\n" % (b"x" * chance.randrange(200)))
        begun = time.monotonic()
        lot.start()
        streams = all_taken_in(collector, lot)
        print(f"10000 files after {time.monotonic() - begun:.1f} s, at most {lot.most} descriptors")
        time.sleep(15)  # those that are quiet are let go of
        used, slowest = cpu(lot), 0.0
        begun = time.monotonic()
        active = chance.sample([*lot.written], 100)
        for _ in range(60):
            for path in active:
                lot.write(path, b"%s\n" % (b"y" * chance.randrange(200)))
            at = time.monotonic()
            taken_in(collector, lot, streams, active)
            slowest = max(slowest, time.monotonic() - at)
            active[chance.randrange(100)] = chance.choice([*lot.written])
            time.sleep(max(0.0, 1 - (time.monotonic() - at)))
        seconds = time.monotonic() - begun
        share = (cpu(lot) - used) / seconds
        print(f"100 of them a line a second: there after {slowest:.2f} s at most, {share:.0%} of a processor")
        print(f"{lot.count()} descriptors, {resident(lot) / 1e6:.0f} MB")
        time.sleep(15)
        used, begun = cpu(lot), time.monotonic()
        time.sleep(30)
        print(f"at rest {(cpu(lot) - used) / (time.monotonic() - begun):.1%} of a processor")
        assert lot.most <= lot.descriptors
        assert lot.count() < 700
        assert collector.losses() == []
        check(collector, lot)
    finally:
        lot.kill()
        collector.kill()


def all_taken_in(collector: Collector, lot: Lot) -> dict[str, str]:
    """Wait until all is there; the stream of each file. A list of thousands costs the collector as much as hundreds of
    files, so first they are counted alone."""
    progress(lambda: lot.count() and collector.count(), len(lot.written), "streams")
    progress(lambda: lot.count() and held(collector), lot.total(), "bytes")
    return {str(each["source"]["path"]): str(each["stream"]) for each in collector.streams()}


def taken_in(collector: Collector, lot: Lot, streams: dict[str, str], active: Iterable[Path]) -> None:
    """Wait until all of these files is there."""
    left = {*active}

    def there() -> int:
        lot.count()
        for path in [*left]:
            if collector.end(streams[str(path)]) == len(lot.written[path]):
                left.discard(path)
        return -len(left)

    progress(there, 0, "files that are not behind", 0.1)


def progress(measure: Callable[[], int], goal: int, what: str, pause: float = 2.0) -> None:
    """Wait for the goal, however slow the machine is: 2 minutes without progress are too long."""
    before, since = measure(), time.monotonic()
    while before != goal:
        time.sleep(pause)
        now = measure()
        if now > before:
            before, since = now, time.monotonic()
        assert time.monotonic() - since < 120, f"{before} of {goal} {what}, and no more come"
        assert before <= goal, "more than was written"


def held(collector: Collector) -> int:
    return sum(each["next_offset"] for each in collector.streams())


def check(collector: Collector, lot: Lot) -> None:
    """Every file byte for byte."""
    found = {
        each["source"]["path"]: hashlib.sha256(b"".join(collector.pieces(each["stream"]))).digest()
        for each in collector.streams()
    }
    assert found == {str(path): hashlib.sha256(content).digest() for path, content in lot.written.items()}


def cpu(lot: Lot) -> float:
    """Seconds of processor time."""
    assert lot.process is not None
    fields = Path(f"/proc/{lot.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(lot: Lot) -> int:
    """Bytes of memory."""
    assert lot.process is not None
    return int(Path(f"/proc/{lot.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
