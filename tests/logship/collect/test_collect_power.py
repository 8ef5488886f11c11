"""Power cuts at any step with any unsynced pages lost, and SIGKILL: acknowledged is there, nothing is there twice."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from logship import zstd
from logship.collect.disk import Disk
from logship.collect.store import Store
from logship.errors import Fault
from logship.values import StreamPath
from logship.wire import Append, Appended, Create, Created, Encoding, Refusal
from tests.logship.collect.appender import PATHS, record
from tests.logship.collect.shop import BOUNDS, PATIENCE_SECONDS, SETTINGS, by, everything, opened, run

TREE = Path(__file__).resolve().parents[3]


class PowerCut(Exception):
    """The end of the world, as the store sees it."""


STEPS = ("before write", "half written", "written", "synced", "published", "before rotation", "rotated")


@dataclass
class Power:
    """Fails at a chosen step, and remembers what was synced until then: the size of each file, by its inode."""

    random: Random
    step: str = ""
    countdown: int = 0
    synced: dict[int, int] = field(default_factory=dict)
    watermarks: list[bytes] = field(default_factory=lambda: [b""])

    def reached(self, step: str) -> None:
        """Cut the power if this is the moment."""
        if step == self.step:
            self.countdown -= 1
            if self.countdown == 0:
                raise PowerCut(step)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between the store and its disk."""
        append, sync, rotate, publish = Disk.append, Disk.sync, Disk.rotate, Disk.publish

        def appending(disk: Disk, buffers: list[bytes]) -> None:
            self.reached("before write")
            if self.step == "half written" and self.countdown == 1:
                whole = b"".join(buffers)
                append(disk, [whole[: self.random.randrange(len(whole))]])
                self.reached("half written")
            self.countdown -= self.step == "half written"
            append(disk, buffers)
            self.reached("written")

        def syncing(disk: Disk) -> None:
            sync(disk)
            self.reached("published")

        def publishing(disk: Disk) -> None:
            self.reached("synced")
            publish(disk)
            self.watermarks.append((disk.folder / "durable").read_bytes())

        def rotating(disk: Disk, first: bytes) -> None:
            self.reached("before rotation")
            rotate(disk, first)
            self.reached("rotated")

        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self.noting(getattr(os, name)))
        for name, method in (("append", appending), ("sync", syncing), ("publish", publishing), ("rotate", rotating)):
            patch.setattr(Disk, name, method)

    def noting(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        """A sync that remembers what it was for."""

        def noted(file: int) -> None:
            sync(file)
            self.synced[os.fstat(file).st_ino] = os.fstat(file).st_size

        return noted

    def lose(self, folder: Path) -> None:
        """Leave of the unsynced bytes what a power cut may leave: any length, any pages, any older watermark."""
        last = max((folder / "journal").iterdir())
        content = bytearray(last.read_bytes())
        durable = min(self.synced.get(last.stat().st_ino, 0), len(content))
        kept = self.random.randint(durable, len(content))
        del content[kept:]
        for page in range(durable - durable % 512, len(content), 512):
            if self.random.random() < 0.3:
                low = max(page, durable)
                content[low : page + 512] = bytes(len(content[low : page + 512]))
        last.write_bytes(content)
        (folder / "durable").write_bytes(self.random.choice(self.watermarks))


@dataclass
class Client:
    """Appends numbered records to one stream, one at a time; after a crash it sends the unanswered one again."""

    path: StreamPath
    random: Random
    acked: list[bytes] = field(default_factory=list)
    pending: bytes | None = None

    async def work(self, store: Store, appends: int) -> None:
        """Append until done or until the power is cut."""
        created = await store.create(Create(self.path), b"")
        assert isinstance(created, Created), created
        for _ in range(appends):
            number = len(self.acked)
            if self.pending is None:
                self.pending = f"{self.path} {number} ".encode() + self.random.randbytes(
                    self.random.choice([0, 5, 900])
                )
            zipped = number % 3 == 0
            request = Append(
                self.path,
                "application/octet-stream",
                producer=by(number),
                encoding=Encoding.ZSTD if zipped else Encoding.IDENTITY,
            )
            outcome = await store.append(request, zstd.compress(self.pending) if zipped else self.pending)
            assert isinstance(outcome, Appended), outcome
            self.acked.append(self.pending)
            self.pending = None
            assert outcome.next_offset == len(b"".join(self.acked))

    async def check(self, store: Store) -> None:
        """What was acknowledged is there once, what was not is there once or not at all, and the producer agrees."""
        stream = store.stream(self.path)
        if stream is None:
            assert not self.acked
            return
        content = await everything(store, self.path)
        without = b"".join(self.acked)
        assert content in (without, without + (self.pending or b""))
        count = len(self.acked) + (content != without)
        assert stream.producers == ({"p": (0, count - 1)} if count else {})


def lives(random: Random) -> Iterator[tuple[str, int]]:
    """Steps to crash at, and at which time they are reached."""
    for _ in range(5):
        yield random.choice(STEPS), random.randint(1, 6)


@pytest.mark.case(86)
@pytest.mark.parametrize("seed", range(25))
def test_a_power_cut_at_any_step_loses_nothing_acknowledged_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    power = Power(random)
    power.install(monkeypatch)
    clients = [Client(StreamPath(f"s/{number}"), Random(seed * 10 + number)) for number in range(3)]
    settings = replace(SETTINGS, bounds=replace(BOUNDS, segment_bytes_max=3000))

    async def live() -> None:
        async with opened(tmp_path, settings) as store:
            for client in clients:
                await client.check(store)
            answers = await asyncio.gather(*[client.work(store, 12) for client in clients], return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException) and not isinstance(answer, Fault):
                    raise answer

    for power.step, power.countdown in lives(random):
        with suppress(PowerCut):  # cut while it was opened: nobody got as far as asking
            run(live())
        power.lose(tmp_path / "store")
    power.step = ""
    run(live())
    assert all(len(client.acked) >= 12 for client in clients)


@pytest.mark.case(85)
def test_a_process_killed_at_any_moment_keeps_every_record_it_acknowledged(tmp_path: Path) -> None:
    """Ten lives of a real process that appends to four streams; SIGKILL after a random number of acknowledgements."""
    random = Random(9)
    folder = tmp_path / "store"
    acked = dict.fromkeys(PATHS, -1)
    for life in range(10):
        command = [sys.executable, "-m", "tests.logship.collect.appender", str(folder)]
        process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(random.randint(1, 150)):
            line = process.stdout.readline()
            if not line:
                break
            note(acked, line)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        # Not communicate(): it reads the pipe itself, and what readline() had taken ahead would be lost.
        for line in process.stdout.readlines():
            note(acked, line)
        errors = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        assert errors == b"", errors.decode()

        async def check() -> None:
            async with opened(tmp_path) as store:
                for path, newest in acked.items():
                    acked[path] = await check_stream(store, path, newest)

        run(check())
        print(f"life {life}: {acked}")
    assert all(newest > 0 for newest in acked.values())


def note(acked: dict[StreamPath, int], line: bytes) -> None:
    """Take note of an acknowledgement; acknowledgements of a stream come in order and without a hole."""
    path, _, sequence = line.decode().partition(" ")
    assert int(sequence) > acked[StreamPath(path)]
    acked[StreamPath(path)] = int(sequence)


async def check_stream(store: Store, path: StreamPath, newest: int) -> int:
    """All records up to the newest acknowledged are there, at most one more, each once; the number of the last one.

    The one more was durable, and its writer killed before it could say so.
    """
    stream = store.stream(path)
    if stream is None:
        assert newest < 0
        return -1
    producer = stream.producer("p")
    count = producer.sequence + 1 if producer else 0
    assert newest + 1 <= count <= newest + 2
    content = await store.read(path, 0, 1 << 40)
    assert not isinstance(content, Refusal)
    assert content == b"".join(record(path, sequence) for sequence in range(count))
    return count - 1
