"""Crashes on real files: what was acknowledged is there, nothing is there twice, damage is said."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from logship import zstd
from logship.collect.commit import first_frame
from logship.collect.disk import Disk
from logship.collect.recover import Recovered, recover
from logship.collect.recovery import Torn
from logship.collect.state import State
from logship.collect.store import Store
from logship.errors import Fault
from logship.values import StreamPath
from logship.wire import Append, Appended, Create, Created, Encoding, Refusal
from tests.logship.collect.appender import PATHS, record
from tests.logship.collect.kit import PATHS as KIT_PATHS
from tests.logship.collect.kit import Desk
from tests.logship.collect.shop import BOUNDS, PATIENCE_SECONDS, SETTINGS, by, everything, opened, run

FIRST = first_frame(State(), 0, 1)
TREE = Path(__file__).resolve().parents[3]


def opened_again(folder: Path) -> Recovered:
    """Open the store in ``folder``, recover, and close it again."""
    disk = Disk(folder, FIRST)
    try:
        return recover(disk)
    finally:
        disk.close()


@dataclass
class Shelf:
    """A store whose files are those of a desk: two finished segments, and one whose last batch was not synced."""

    folder: Path
    desk: Desk = field(default_factory=Desk)

    def __post_init__(self) -> None:
        path = KIT_PATHS[0]
        append = Append(path, "text/plain")
        self.desk.do(Create(path, "text/plain"), b"first")
        self.desk.rotate()
        self.desk.batch([(append, b"second"), (append, b"third " * 20)])
        self.desk.rotate()
        self.desk.batch([(replace(append, producer=by(0)), b"fourth"), (append, b"fifth " * 10)])
        self.desk.batch([(replace(append, producer=by(n)), bytes([64 + n]) * 40) for n in (1, 2, 3)])
        self.synced, self.end = self.desk.synced[-2:]
        self.starts = list(self.desk.segments)
        self.boundaries = [frame.lsn for frame in self.desk.frames()] + [self.end]

    def path(self, lsn: int) -> Path:
        """The segment that begins at ``lsn``."""
        return self.folder / "journal" / f"{lsn:020}"

    def lay_out(self, published: int | None) -> None:
        """Write the files, as they were when the crash came."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Disk(self.folder, FIRST).close()
        for lsn, content in self.desk.segments.items():
            self.path(lsn).write_bytes(content)
        if published is not None:
            low = published.to_bytes(8, "little")
            (self.folder / "durable").write_bytes(low + bytes(255 - byte for byte in low))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with its files laid out."""
    return Shelf(tmp_path / "store")


def test_the_last_segment_cut_at_every_byte_of_its_unsynced_batch_recovers_to_the_frame_before(shelf: Shelf) -> None:
    last = shelf.starts[-1]
    for cut in range(shelf.synced, shelf.end + 1):
        shelf.lay_out(shelf.synced)
        content = shelf.path(last).read_bytes()
        shelf.path(last).write_bytes(content[: cut - last])
        found = opened_again(shelf.folder)
        whole = max(boundary for boundary in shelf.boundaries if boundary <= cut)
        assert found.torn == (Torn(whole, cut - whole) if cut > whole else None)
        assert shelf.path(last).read_bytes() == content[: whole - last]
        taken = [boundary for boundary in shelf.boundaries[:-1] if shelf.synced <= boundary < whole]
        stream = found.state.streams[KIT_PATHS[0]]
        assert stream.next_offset == 197 + 40 * len(taken)
        assert stream.producers == {"p": (0, len(taken))}
        assert opened_again(shelf.folder).torn is None, "and stays so"


def test_a_flipped_byte_in_what_was_durable_keeps_the_store_shut_and_names_segment_and_place(shelf: Shelf) -> None:
    """Heads of finished segments and all of the last one are checked at the start; other bodies when they are read."""
    bodies = {
        position
        for frame in shelf.desk.frames()
        if frame.lsn < shelf.starts[-1]
        for position in range(frame.body_lsn, frame.end)
    }
    shelf.lay_out(shelf.synced)
    for position in range(0, shelf.synced, 3):
        if position in bodies:
            continue
        start = max(lsn for lsn in shelf.starts if lsn <= position)
        content = bytearray(shelf.desk.segments[start])
        content[position - start] ^= 0x10
        shelf.path(start).write_bytes(content)
        with pytest.raises(Fault) as caught:
            opened_again(shelf.folder)
        frame = max(boundary for boundary in shelf.boundaries if boundary <= position)
        assert f"{start:020} at byte {frame - start}:" in str(caught.value), position
        assert "fsck" in caught.value.hint
        assert shelf.path(start).read_bytes() == content, "nothing was changed"
        shelf.path(start).write_bytes(shelf.desk.segments[start])
    opened_again(shelf.folder)


def test_a_flipped_byte_in_what_was_not_synced_is_a_torn_tail(shelf: Shelf) -> None:
    last = shelf.starts[-1]
    for position in range(shelf.synced, shelf.end):
        shelf.lay_out(shelf.synced)
        content = bytearray(shelf.desk.segments[last])
        content[position - last] ^= 0x10
        shelf.path(last).write_bytes(content)
        frame = max(boundary for boundary in shelf.boundaries if boundary <= position)
        assert opened_again(shelf.folder).torn == Torn(frame, shelf.end - frame)


def test_a_journal_that_ends_before_its_watermark_keeps_the_store_shut(shelf: Shelf) -> None:
    for end in [boundary for boundary in shelf.boundaries if shelf.starts[-1] < boundary < shelf.synced]:
        shelf.lay_out(shelf.synced)
        shelf.path(shelf.starts[-1]).write_bytes(shelf.desk.segments[shelf.starts[-1]][: end - shelf.starts[-1]])
        with pytest.raises(Fault, match="durable"):
            opened_again(shelf.folder)
    shelf.lay_out(shelf.synced)
    shelf.path(shelf.starts[-1]).unlink()
    with pytest.raises(Fault, match="durable"):
        opened_again(shelf.folder)


def test_an_empty_or_headless_last_segment_is_damage(shelf: Shelf) -> None:
    """A segment has its name only when its checkpoint is durable, so no crash leaves one without it."""
    for content in (b"", b"LSF1", bytes(500)):
        shelf.lay_out(None)
        shelf.path(shelf.starts[-1]).write_bytes(content)
        with pytest.raises(Fault, match=f"{shelf.starts[-1]:020} at byte 0"):
            opened_again(shelf.folder)


# Power cuts at any step, with any of the unsynced pages lost.


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
