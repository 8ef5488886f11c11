"""Retention done: segments go, offsets stay what they were, tombstones say where a stream ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from logship.collect.retention import DAY_SECONDS, Policy
from logship.collect.store import Settings, Store
from logship.wire import Append, Appended, Code, Create, Found, Look, Mark, Read, Refusal
from tests.logship.collect.shop import OTHER, PATH, SMALL, Clock, everything, make, opened, put, run

DAY_MS = DAY_SECONDS * 1000
KEPT: Settings = replace(SMALL, policy=Policy(age_seconds=7 * DAY_SECONDS))


def code(answer: object) -> Code | None:
    """Of a refusal its code."""
    return answer.code if isinstance(answer, Refusal) else None


async def age(store: Store, clock: Clock, days: int) -> int:
    """Let days pass and retention work; two times, since the first may only finish a segment."""
    clock.ms += days * DAY_MS
    return await store.retain() + await store.retain()


def test_old_segments_go_and_what_is_left_keeps_its_offsets(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, KEPT, clock) as store:
            await make(store)
            for _ in range(3):
                await put(store, b"old" * 1000)
            clock.ms += 5 * DAY_MS
            await put(store, b"new" * 1000)
            await put(store, b"new" * 1000)
            assert await age(store, clock, 3) > 0
            stream = store.stream(PATH)
            assert stream is not None
            first = store.first_offset(stream)
            assert 0 < first <= 9000
            assert stream.next_offset == 15_000
            assert (await everything(store)).endswith(b"new" * 2000)
            below = await store.read(PATH, first - 1, 10)
            assert isinstance(below, Refusal)
            assert (below.code, below.first_offset) == (Code.RETIRED, first)
            start = store.find(Read(PATH, Mark.START))
            assert isinstance(start, Found)
            assert (start.offset, start.first_offset) == (first, first)
        async with opened(tmp_path, KEPT, clock) as store:
            stream = store.stream(PATH)
            assert stream is not None
            assert store.first_offset(stream) == first
            assert await put(store, b"more", expected_offset=15_000) == Appended(15_004)

    run(work())


def test_a_closed_stream_of_which_nothing_is_left_is_a_tombstone_until_nobody_asks(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, KEPT, clock) as store:
            await make(store, body=b"all of it")
            await store.append(Append(PATH, closes=True), b"")
            await make(store, OTHER, b"still open")
            assert await age(store, clock, 8) == 1
            answers = [
                await store.create(Create(PATH, "text/plain"), b""),
                await put(store, b"x"),
                await store.read(PATH, 0, 10),
                await store.look(Look(PATH)),
            ]
            assert [code(answer) for answer in answers] == [Code.RETIRED] * 4
            assert {answer.next_offset for answer in answers if isinstance(answer, Refusal)} == {9}
            assert await put(store, b", and goes on", OTHER, expected_offset=10) == Appended(23)
            assert await everything(store, OTHER) == b", and goes on"
        async with opened(tmp_path, KEPT, clock) as store:
            await age(store, clock, 80)
            assert code(await put(store, b"x")) is Code.RETIRED
            await age(store, clock, 80)
            assert code(await put(store, b"x")) is Code.RETIRED, "it was asked for 80 days ago"
            await age(store, clock, 1)
            await age(store, clock, 91)
            assert code(await put(store, b"x")) is Code.NO_STREAM
        async with opened(tmp_path, KEPT, clock) as store:
            assert store.stream(PATH) is None

    run(work())


def test_an_old_segment_is_finished_so_that_it_can_go(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, KEPT, clock) as store:
            await make(store, body=b"x")
            assert store.health()["segments"] == 1
            clock.ms += DAY_MS + 1
            await store.retain()
            assert store.health()["segments"] == 2
            clock.ms += DAY_MS + 1
            await store.retain()
            assert store.health()["segments"] == 2, "one with nothing but its checkpoint is not followed by another"

    run(work())


def test_readers_and_writers_go_on_while_retention_works(tmp_path: Path) -> None:
    async def work() -> None:
        settings = replace(SMALL, policy=Policy(journal_bytes=10_000))
        async with opened(tmp_path, settings) as store:
            await make(store)
            content = b""

            async def read() -> None:
                for _ in range(60):
                    stream = store.stream(PATH)
                    assert stream is not None
                    first = store.first_offset(stream)
                    found = await store.read(PATH, first, 3000)
                    assert code(found) is Code.RETIRED or found == content[first : first + 3000][: len(found)]  # type: ignore[arg-type]

            reader = asyncio.create_task(read())
            for number in range(100):
                body = bytes([number]) * 700
                content += body
                assert isinstance(await put(store, body), Appended)
                if number % 5 == 0:
                    await store.retain()
            await reader
            await store.retain()
            journal = tmp_path / "store" / "journal"
            assert sum(path.stat().st_size for path in journal.iterdir()) <= 10_000 + 4096 + 1000
            kept = await everything(store)
            assert content.endswith(kept)

    run(work())
