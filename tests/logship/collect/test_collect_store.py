"""The store: answered when durable, one sync for all that waited, nothing seen before, everything found again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from logship import zstd
from logship.values import Loss, Source, StreamPath
from logship.wire import (
    Append,
    Appended,
    Code,
    Create,
    Created,
    Delete,
    Deleted,
    Encoding,
    Found,
    Limits,
    Listed,
    Look,
    Mark,
    Read,
    Refusal,
    Seen,
)
from tests.logship.collect.shop import (
    OTHER,
    PATH,
    SETTINGS,
    SMALL,
    Gate,
    by,
    everything,
    make,
    opened,
    put,
    put_zipped,
    run,
)


@pytest.mark.case(90)
def test_a_store_with_a_loss_before_a_stream_of_a_long_name_opens_again(tmp_path: Path) -> None:
    """Its record is called after the stream: a container of plain `docker run` has 64 digits in that name alone."""
    path = StreamPath(f"hx/{'a' * 64}/haproxy/20261130T230705Z-9765885c.00000000000005505024")
    source = Source(json.dumps({"continues": PATH, "lost_bytes": 5, "lost_reason": "over budget"}))

    async def work() -> None:
        async with opened(tmp_path, SMALL) as store:
            assert isinstance(await store.create(Create(path, "text/plain", source=source), b""), Created)
            for _ in range(8):
                await put(store, b"x" * 1000, path)
            losses = store.losses()
            assert [(loss.stream, loss.bytes) for _, loss in losses] == [(path, 5)]
        async with opened(tmp_path, SMALL) as store:
            assert store.losses() == losses
            assert await everything(store, path) == b"x" * 8000

    run(work())


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_was_appended_is_read_back_now_and_after_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store, body=b"first ")
            assert await put(store, b"plain ") == Appended(12)
            assert await put_zipped(store, b"zipped " * 100) == Appended(712)
            assert await put(store, b"end", closes=True, producer=by(0)) == Appended(715, True, by(0))
        async with opened(tmp_path) as store:
            assert store.recovered.torn is None
            assert await everything(store) == b"first plain " + b"zipped " * 100 + b"end"
            assert await put(store, b"end", closes=True, producer=by(0)) == Appended(715, True, by(0), duplicate=True)
            refusal = await put(store, b"more")
            assert isinstance(refusal, Refusal)
            assert refusal.code is Code.CLOSED

    run(work())


def test_received_zstd_frames_are_kept_as_they_came(tmp_path: Path) -> None:
    async def work() -> None:
        body = zstd.compress(b"abc" * 1000, level=3)
        async with opened(tmp_path) as store:
            await make(store)
            await put(store, body, encoding=Encoding.ZSTD)
        [segment] = (tmp_path / "store" / "journal").iterdir()
        assert segment.read_bytes().endswith(body)

    run(work())


def test_all_that_waits_shares_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        gate = Gate.before_sync(monkeypatch)
        async with opened(tmp_path) as store:
            await make(store)
            before = gate.syncs
            first = await gate.closed_and_reached(put(store, b"0"))
            rest = [asyncio.create_task(put(store, str(number).encode())) for number in range(1, 10)]
            await settle()
            assert not first.done()
            assert not any(task.done() for task in rest)
            gate.opened.set()
            answers = await asyncio.gather(first, *rest)
            assert answers == [Appended(number + 1) for number in range(10)]
            assert gate.syncs == before + 2
            assert await everything(store) == b"0123456789"

    run(work())


def test_nothing_is_seen_before_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        gate = Gate.before_sync(monkeypatch)
        async with opened(tmp_path) as store:
            await make(store)
            waiter = asyncio.create_task(store.wait_for_growth(PATH, 0, 60))
            append = await gate.closed_and_reached(put(store, b"written, not synced", producer=by(0)))
            seen = await store.look(Look(PATH, "p"))
            assert isinstance(seen, Seen)
            assert (seen.next_offset, seen.tail_digest, seen.producer) == (0, None, None)
            assert await store.read(PATH, 0, 100) == b""
            assert isinstance(await store.read(PATH, 1, 100), Refusal)
            assert not waiter.done()
            gate.opened.set()
            assert await append == Appended(19, producer=by(0))
            assert await waiter is True
            assert await store.read(PATH, 0, 100) == b"written, not synced"

    run(work())


@pytest.mark.case(67)
def test_a_retry_that_comes_while_the_first_is_on_its_way_is_a_duplicate_and_durable_when_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        gate = Gate.before_sync(monkeypatch)
        async with opened(tmp_path) as store:
            await make(store)
            first = await gate.closed_and_reached(put(store, b"x", producer=by(0)))
            again = asyncio.create_task(put(store, b"x", producer=by(0)))
            await settle()
            assert not again.done()
            gate.opened.set()
            assert await again == Appended(1, producer=by(0), duplicate=True)
            assert await first == Appended(1, producer=by(0))

    run(work())


def test_requests_of_a_stream_keep_their_order_however_long_their_bodies_take(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store)
            large = Random(1).randbytes(3_000_000)
            first = asyncio.create_task(
                store.append(Append(PATH, "text/plain", producer=by(0), encoding=Encoding.ZSTD), zstd.compress(large))
            )
            await asyncio.sleep(0)
            small = asyncio.create_task(put(store, b"small", producer=by(1)))
            assert await small == Appended(3_000_005, producer=by(1))
            assert await first == Appended(3_000_000, producer=by(0))
            assert store._turns._lines == {}

    run(work())


@pytest.mark.case(67)
def test_an_append_whose_client_has_gone_before_its_turn_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        gate = Gate.before_sync(monkeypatch)
        async with opened(tmp_path) as store:
            await make(store)
            first = await gate.closed_and_reached(put(store, b"1"))
            gone = asyncio.create_task(put(store, b"2"))
            last = asyncio.create_task(put(store, b"3"))
            await settle()
            gone.cancel()
            gate.opened.set()
            assert [await first, await last] == [Appended(1), Appended(2)]
            assert await everything(store) == b"13"

    run(work())


def test_what_waits_at_the_end_is_answered_and_what_comes_later_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        gate = Gate.before_sync(monkeypatch)
        async with opened(tmp_path) as store:
            await make(store)
            waiter = asyncio.create_task(store.wait_for_growth(OTHER, 0, 60))
            await make(store, OTHER)
            reader = asyncio.create_task(store.wait_for_growth(OTHER, 0, 60))
            first = await gate.closed_and_reached(put(store, b"1"))
            second = asyncio.create_task(put(store, b"2"))
            await settle()
            closing = asyncio.create_task(store.close())
            await settle()
            late = await put(store, b"3")
            assert isinstance(late, Refusal)
            assert late.code is Code.STOPPING
            gate.opened.set()
            assert [await first, await second] == [Appended(1), Appended(2)]
            await closing
            assert await waiter is True, "there is no such stream, so there is nothing to wait for"
            assert await reader is False
            assert await store.broken() is None
            monkeypatch.setattr(store, "close", settle)
        async with opened(tmp_path) as store:
            assert await everything(store) == b"12"

    run(work())


def test_streams_are_listed_by_path_and_a_deleted_one_is_gone_for_good(tmp_path: Path) -> None:
    async def work() -> None:
        paths = [StreamPath(text) for text in ("b/1", "a/2", "a/1")]
        async with opened(tmp_path) as store:
            for path in paths:
                await make(store, path, b"old")
            assert [stream.path for stream in store.streams()] == ["a/1", "a/2", "b/1"]
            assert [stream.path for stream in store.streams("a/")] == ["a/1", "a/2"]
            first = store.find(Read(paths[0]))
            assert await store.delete(Delete(paths[0])) == Deleted()
            await make(store, paths[0], b"new")
            second = store.find(Read(paths[0]))
            assert isinstance(first, Found)
            assert isinstance(second, Found)
            assert first.etag() != second.etag()
        async with opened(tmp_path) as store:
            assert await everything(store, paths[0]) == b"new"

    run(work())


def test_losses_are_durable_and_count_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path, SMALL) as store:
            assert await store.post_losses([Loss("a", bytes=1), Loss("a", bytes=2), Loss("b")]) == Listed(2)
            assert await store.post_losses([Loss("b"), Loss("c")]) == Listed(1)
            assert await store.post_losses([Loss("c")]) == Listed(0)
            await make(store)
            await put(store, bytes(5000))
            await put(store, bytes(5000))
            losses = store.losses()
        async with opened(tmp_path, SMALL) as store:
            assert [(loss.id, loss.bytes) for _, loss in store.losses()] == [("a", 1), ("b", None), ("c", None)]
            assert store.losses() == losses

    run(work())


def test_streams_are_bounded(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path, replace(SETTINGS, limits=Limits(streams_max=2))) as store:
            answers = await asyncio.gather(*[store.create(Create(StreamPath(f"s/{n}")), b"") for n in range(4)])
            assert [getattr(answer, "code", None) for answer in answers] == [None, None, Code.STREAMS, Code.STREAMS]

    run(work())


def test_reads_of_marks_and_beyond_the_end(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store, body=b"abc")
            now = store.find(Read(PATH, Mark.NOW))
            assert isinstance(now, Found)
            assert (now.offset, now.at_end, now.now) == (3, True, True)
            beyond = await store.read(PATH, 4, 10)
            assert isinstance(beyond, Refusal)
            assert beyond.code is Code.BAD_OFFSET
            assert await store.read(PATH, 3, 10) == b""

    run(work())
