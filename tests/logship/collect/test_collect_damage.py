"""Damage costs the bytes it hit: what lies before and behind is read, and each place is told once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from logship import zstd
from logship.collect import damage as damages
from logship.collect.damage import Damages, Place
from logship.collect.journal import Frame
from logship.collect.store import Store
from logship.values import StreamPath
from logship.wire import Code, Look, Refusal
from tests.logship.collect.shop import OTHER, PATH, SETTINGS, Clock, make, put, put_zipped, run
from tests.logship.collect.test_collect_fsck import journal_frames

SMALL = replace(SETTINGS, bounds=replace(SETTINGS.bounds, segment_bytes_max=8192), cache_bytes_max=0)


class Open(AbstractAsyncContextManager[Store]):
    """An open store whose journal is damaged under its hands; ``told`` are the places that it told."""

    def __init__(self, folder: Path, clock: Callable[[], int] | None = None) -> None:
        self.journal = folder / "store" / "journal"
        self.told: list[Place] = []
        self._clock = clock or Clock()

    async def __aenter__(self) -> Store:
        self.store = await Store.open(self.journal.parent, SMALL, self._clock, self.told.append)
        return self.store

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()

    def frames(self, path: StreamPath) -> list[Frame]:
        """The stream's frames with bytes."""
        _, found = journal_frames(self.journal.parent)
        return [frame for frame in found if frame.entry.stream == path and frame.entry.length]

    def flip(self, lsn: int) -> None:
        """Damage one byte."""
        segment = max(path for path in self.journal.iterdir() if int(path.name) <= lsn)
        with segment.open("r+b") as file:
            file.seek(lsn - int(segment.name))
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x20]))


def span(frame: Frame) -> tuple[int, int]:
    """The bytes that a frame holds."""
    return frame.entry.offset, frame.entry.offset + frame.entry.length


async def sound(store: Store, path: StreamPath, piece: int = 1 << 20) -> tuple[dict[int, bytes], list[tuple[int, int]]]:
    """All that is served to who goes on behind damage: offset -> bytes, and the ranges that were refused."""
    stream = store.stream(path)
    assert stream is not None
    position, found, refused = store.first_offset(stream), dict[int, bytes](), list[tuple[int, int]]()
    while position < stream.next_offset:
        part = await store.read(path, position, piece)
        if isinstance(part, Refusal):
            assert (part.code, part.status) == (Code.DAMAGED, 500)
            assert part.damage_end is not None
            assert part.damage_end > position
            refused.append((position, part.damage_end))
            position = part.damage_end
        else:
            assert 0 < len(part) <= piece
            found[position] = part
            position += len(part)
    return found, refused


async def filled(store: Store, random: Random, appends: int = 40) -> dict[StreamPath, bytes]:
    """Two streams, plain and zstd, small and larger, over several segments."""
    whole = {PATH: b"", OTHER: b""}
    for path in whole:
        await make(store, path)
    for _ in range(appends):
        path = random.choice([PATH, PATH, OTHER])
        body = random.randbytes(random.choice([1, 9, 9, 50, 2000]))
        await random.choice([put, put_zipped])(store, body, path)
        whole[path] += body
    return whole


@pytest.mark.case(95)
@pytest.mark.parametrize("where", ["body", "head"])
def test_a_flipped_bit_costs_the_bytes_of_its_frame_alone_wherever_it_is(tmp_path: Path, where: str) -> None:
    async def work() -> None:
        random, held = Random(7), Open(tmp_path)
        async with held as store:
            whole = await filled(store, random)
            frames = held.frames(PATH)
            assert store.health()["segments"] != 1
            for frame in frames:
                at = (
                    random.randrange(frame.body_lsn, frame.end) if where == "body" else frame.lsn + random.randrange(48)
                )
                held.flip(at)
                del held.told[:]
                store._reader._damages._places.clear()
                for piece in (1 << 20, 777):
                    found, refused = await sound(store, PATH, piece)
                    assert refused == [span(frame)]
                    kept = b"".join(found.values())
                    assert kept == whole[PATH][: span(frame)[0]] + whole[PATH][span(frame)[1] :]
                    assert all(whole[PATH].startswith(part, offset) for offset, part in found.items())
                assert [(place.start, place.end, place.lsn) for place in held.told] == [(*span(frame), frame.lsn)]
                assert await sound(store, OTHER) == ({0: whole[OTHER]}, []), "the other stream lost nothing"
                held.flip(at)
                store._chunks._walks.clear()
            assert await sound(store, PATH) == ({0: whole[PATH]}, [])

    run(work())


def test_a_read_from_the_midst_of_damage_is_refused_up_to_its_end(tmp_path: Path) -> None:
    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            await make(store)
            for body in (b"012345678", b"damaged!!", b"sound again"):
                await put(store, body)
            frame = held.frames(PATH)[1]
            held.flip(frame.body_lsn + 3)
            for offset in range(9):
                assert await store.read(PATH, offset, 100) == b"012345678"[offset:]
            assert await store.read(PATH, 2, 5) == b"23456", "as many as were asked for, without a look at what follows"
            for offset in range(9, 18):
                refusal = await store.read(PATH, offset, 1)
                assert isinstance(refusal, Refusal)
                assert (refusal.code, refusal.damage_end) == (Code.DAMAGED, 18)
                for part in (PATH, "bytes 9 to 18", f"{0:020} at byte {frame.lsn}", "does not check", "logship fsck"):
                    assert part in refusal.reason
            assert await store.read(PATH, 18, 100) == b"sound again"
            assert len(held.told) == 1, "once, however often it is met"

    run(work())


def test_heads_that_are_broken_in_one_stretch_hide_what_lies_between_them_and_no_more(tmp_path: Path) -> None:
    """Frames are found backwards from the next known one, and forwards from the last: not from the midst."""

    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            await make(store)
            for number in range(10):
                await put(store, b"%d" % number * 9)
                await make(store, StreamPath(f"quiet/{number}"))
            frames = held.frames(PATH)
            for frame in (frames[3], frames[6]):
                held.flip(frame.lsn + 8)
            found, refused = await sound(store, PATH)
            assert refused == [(27, 63)]
            assert list(found) == [0, 63]
            assert found[0] + found[63] == b"000000000111111111222222222777777777888888888999999999"
            assert await sound(store, PATH, 5) == await sound(store, PATH, 5)
            assert [(place.start, place.end, place.lsn) for place in held.told] == [(27, 63, frames[3].lsn)]

    run(work())


@pytest.mark.parametrize("number", [0, 5, 9])
def test_a_broken_head_at_either_end_of_a_stream_is_no_more_than_itself(tmp_path: Path, number: int) -> None:
    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            await make(store)
            for digit in range(10):
                await put(store, b"%d" % digit * 9)
            held.flip(held.frames(PATH)[number].lsn)
            _, refused = await sound(store, PATH)
            assert refused == [(9 * number, 9 * number + 9)]
            await put(store, b"more")
            found, refused = await sound(store, PATH)
            assert refused == [(9 * number, 9 * number + 9)]
            assert b"".join(found.values()).endswith(b"more")
            assert len(held.told) == 1

    run(work())


def test_what_the_disk_does_not_give_back_and_segments_that_are_missing_are_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            whole = await filled(store, Random(3))
            segments = sorted(held.journal.iterdir())
            starts = [int(path.name) for path in segments]
            inside = [frame for frame in held.frames(PATH) if starts[1] <= frame.lsn < starts[2]]
            lost = inside[0].entry.offset, inside[-1].entry.offset + inside[-1].entry.length
            real = os.pread

            def pread(file: int, size: int, position: int) -> bytes:
                if Path(f"/proc/self/fd/{file}").readlink() == segments[1]:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return real(file, size, position)

            with monkeypatch.context() as patch:
                patch.setattr(os, "pread", pread)
                found, refused = await sound(store, PATH)
            assert (refused, [place.start for place in held.told]) == ([lost], [lost[0]])
            assert "Input/output error" in held.told[0].reason
            assert b"".join(found.values()) == whole[PATH][: lost[0]] + whole[PATH][lost[1] :]
            store._reader._damages._places.clear()
            store._chunks._walks.clear()
            segments[1].rename(tmp_path / "taken")
            found, refused = await sound(store, PATH)
            assert refused == [lost]
            assert held.told[-1].reason == "the segment is missing"

    run(work())


def test_a_look_at_a_stream_with_damage_at_its_end_proves_what_is_sound_behind_it(tmp_path: Path) -> None:
    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            await make(store)
            for body in (b"a" * 100, b"b" * 100, b"c" * 100):
                await put(store, body)
            held.flip(held.frames(PATH)[1].body_lsn)
            seen = await store.look(Look(PATH))
            assert not isinstance(seen, Refusal)
            assert (seen.next_offset, seen.tail_bytes) == (300, 100)
            held.flip(held.frames(PATH)[2].body_lsn)
            seen = await store.look(Look(PATH))
            assert not isinstance(seen, Refusal)
            assert (seen.next_offset, seen.tail_digest, seen.tail_bytes) == (300, None, 0)

    run(work())


def test_damage_is_in_the_health_until_its_segment_is_deleted_and_refuses_no_append(tmp_path: Path) -> None:
    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            whole = await filled(store, Random(1))
            health = store.health()
            assert (health["damaged_places"], health["damaged_bytes"], health["damage"]) == (0, 0, [])
            frame = held.frames(PATH)[0]
            held.flip(frame.body_lsn)
            await sound(store, PATH)
            health = store.health()
            size = frame.entry.length
            assert (health["accepting"], health["failure"]) == (True, None)
            assert (health["damaged_places"], health["damaged_bytes"]) == (1, size)
            assert health["damage"] == [held.told[0].record()]
            assert not isinstance(await put(store, b"x"), Refusal)
            store._index.drop_below(store._disk.segments[1].lsn)
            store._disk.delete_oldest(1)
            assert (store.health()["damaged_places"], store.health()["damage"]) == (0, [])
            assert len(whole[PATH]) + 1 == store.streams(PATH)[0].next_offset

    run(work())


def test_of_very_many_places_the_first_are_told_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damages, "PLACES_MAX", 3)
    told: list[Place] = []
    found = Damages(told.append)
    places = [Place("s", number * 10, number * 10 + 5, number, "here", "rot") for number in range(5)]
    for _ in range(2):
        for place in places:
            found.note(place)
    assert told == places[:3]
    health = found.health(0)
    assert (health["damaged_places"], health["damaged_bytes"]) == (3, 15)
    assert found.health(2)["damage"] == [places[2].record()]
    found.note(places[4])
    assert told == [*places[:3], places[4]]


def test_a_body_that_checks_but_does_not_decode_is_damage_of_its_frame(tmp_path: Path) -> None:
    """What a checksum vouches for and no decoder takes: never seen, but it must not stop a reader."""

    async def work() -> None:
        held = Open(tmp_path)
        async with held as store:
            await make(store)
            await put(store, b"before")
            await put_zipped(store, b"in the midst")
            await put(store, b"behind")
            frame = held.frames(PATH)[1]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(zstd, "decode", lambda *_: b"short")
                found, refused = await sound(store, PATH)
            assert refused == [span(frame)]
            assert list(found.values()) == [b"before", b"behind"]

    run(work())
