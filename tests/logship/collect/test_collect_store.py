"""The store: answered when durable, one sync for all that waited, nothing seen before, everything found again."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from logship import zstd
from logship.collect.disk import Disk, NoRoom
from logship.errors import Fault
from logship.values import Loss, Producer, StreamPath
from logship.wire import (
    Append,
    Appended,
    Code,
    Create,
    Delete,
    Deleted,
    Digest,
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


# Room.


def test_a_full_disk_refuses_and_reading_goes_on_and_room_is_found_again_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store)
            await put(store, b"before", producer=by(0))
            with monkeypatch.context() as patched:

                def full(*_: object) -> None:
                    raise NoRoom("No space left on device")

                patched.setattr(Disk, "append", full)
                answers = await asyncio.gather(
                    put(store, b"x", producer=by(1)),
                    put(store, b"before", producer=by(0)),
                    put(store, b"y", expected_offset=99),
                    store.create(Create(OTHER), b""),
                )
                assert answers[1] == Appended(6, producer=by(0), duplicate=True)
                codes = [answer.code for answer in answers if isinstance(answer, Refusal)]
                assert codes == [Code.NO_ROOM, Code.EXPECTED_OFFSET, Code.NO_ROOM]
                assert await everything(store) == b"before"
            assert await put(store, b" after", producer=by(1)) == Appended(12, producer=by(1))
        async with opened(tmp_path) as store:
            assert await everything(store) == b"before after"
            assert store.stream(OTHER) is None

    run(work())


def test_less_free_than_the_least_is_no_room_before_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        settings = replace(SETTINGS, bounds=replace(SETTINGS.bounds, disk_free_min=1_000_000))
        free = [2_000_000]
        monkeypatch.setattr(Disk, "free_bytes", lambda _: free[0])
        async with opened(tmp_path, settings) as store:
            await make(store)
            assert await put(store, b"x") == Appended(1)
            assert store.health()["accepting"] is True
            free[0] = 1_000_000
            refusal = await put(store, b"x")
            assert isinstance(refusal, Refusal)
            assert (refusal.code, "disk_free_min" in refusal.reason) == (Code.NO_ROOM, True)
            assert store.health()["accepting"] is False
            free[0] = 2_000_000
            assert await put(store, b"x") == Appended(2)

    run(work())


def test_a_journal_at_its_bound_refuses_until_retention_made_room(tmp_path: Path) -> None:
    async def work() -> None:
        bounds = replace(SMALL.bounds, journal_bytes_max=200_000)
        policy = replace(SMALL.policy, journal_bytes=50_000)
        async with opened(tmp_path, replace(SMALL, bounds=bounds, policy=policy)) as store:
            await make(store)
            answers = [await put(store, bytes(10_000)) for _ in range(30)]
            assert isinstance(answers[0], Appended)
            refusal = answers[-1]
            assert isinstance(refusal, Refusal)
            assert (refusal.code, "journal_bytes_max" in refusal.reason) == (Code.NO_ROOM, True)
            assert await store.retain() > 0
            assert isinstance(await put(store, bytes(10_000)), Appended)

    run(work())


def test_a_failed_sync_is_the_end_and_nobody_is_told_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store)
            await put(store, b"durable")

            def fail(_: int) -> None:
                raise OSError(5, "Input/output error")

            monkeypatch.setattr("logship.collect.disk.os.fdatasync", fail)
            answers = await asyncio.gather(*[put(store, b"x") for _ in range(3)], return_exceptions=True)
            assert all(isinstance(answer, Fault) for answer in answers)
            monkeypatch.undo()
            with pytest.raises(Fault):
                await put(store, b"never again")
            assert isinstance(await store.broken(), Fault)
            assert store.health()["accepting"] is False
            assert await everything(store) == b"durable", "reading goes on"

    run(work())


def test_a_broken_invariant_stops_the_store_and_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store)
            monkeypatch.setattr("logship.collect.draft.step", lambda *_: 1 / 0)
            with pytest.raises(Fault, match="ZeroDivisionError"):
                await put(store, b"x")
            assert isinstance(await store.broken(), Fault)

    run(work())


# Reading.


def test_any_range_of_any_history_is_what_was_appended(tmp_path: Path) -> None:
    async def work() -> None:
        random = Random(42)
        whole = {PATH: b"", OTHER: b""}
        async with opened(tmp_path, SMALL) as store:
            for path in whole:
                await make(store, path)
            for _ in range(400):
                path = random.choice([PATH, PATH, PATH, OTHER])
                body = random.randbytes(random.choice([1, 1, 3, 50, 2000]))
                await random.choice([put, put_zipped])(store, body, path)
                whole[path] += body
        async with opened(tmp_path, SMALL) as store:
            assert store.health()["segments"] != 1
            for path, content in whole.items():
                assert await everything(store, path) == content
                assert await everything(store, path, piece=777) == content
                for _ in range(100):
                    start = random.randrange(len(content) + 1)
                    size = random.choice([0, 1, 10, 5000, 10**9])
                    assert await store.read(path, start, size) == content[start : start + size]

    run(work())


def test_the_cache_of_decoded_bytes_is_bounded(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path, replace(SETTINGS, cache_bytes_max=10_000)) as store:
            await make(store)
            for number in range(20):
                await put_zipped(store, bytes([number]) * 2000)
            await put_zipped(store, bytes(9_000))
            for _ in range(2):
                assert len(await everything(store)) == 49_000
                assert store._chunks._cache_bytes <= 10_000
                assert sum(map(len, store._chunks._cache.values())) == store._chunks._cache_bytes
                assert all(len(body) <= 2_500 for body in store._chunks._cache.values()), "large ones are not kept"

    run(work())


def test_bit_rot_is_said_by_segment_and_place_and_hurts_nobody_else(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path, SMALL) as store:
            for path in (PATH, OTHER):
                await make(store, path)
            for number in range(6):
                await put(store, str(number).encode() * 1500)
                await put(store, b"fine" * 300, OTHER)
        victim = sorted((tmp_path / "store" / "journal").iterdir())[0]
        content = bytearray(victim.read_bytes())
        at = content.index(b"0" * 1500)
        content[at + 700] ^= 1
        victim.write_bytes(content)
        async with opened(tmp_path, SMALL) as store:
            refusal = await store.read(PATH, 0, 100)
            assert isinstance(refusal, Refusal)
            assert refusal.code is Code.DAMAGED
            assert victim.name in refusal.reason
            assert await store.read(PATH, 1500, 4) == b"1111"
            assert await everything(store, OTHER) == b"fine" * 1800
            assert await put(store, b"x") == Appended(9001)

    run(work())


def test_a_look_tells_end_closure_producer_and_the_digest_of_the_last_4096_bytes(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            await make(store)
            assert await store.look(Look(PATH)) == Seen(0, "text/plain")
            content = Random(3).randbytes(6000)
            await put(store, content[:100], producer=by(0, 7))
            digest = Digest("sha-256", hashlib.sha256(content[:100]).digest())
            assert await store.look(Look(PATH, "p")) == Seen(
                100, "text/plain", False, 0, digest, 100, Producer("p", 7, 0)
            )
            await put(store, content[100:], closes=True)
            digest = Digest("sha-256", hashlib.sha256(content[-4096:]).digest())
            assert await store.tail_digest(PATH) == (digest, 4096)
            assert await store.look(Look(PATH, "q")) == Seen(6000, "text/plain", True, 0, digest, 4096)
            missing = await store.look(Look(OTHER))
            assert isinstance(missing, Refusal)
            assert missing.code is Code.NO_STREAM

    run(work())


def test_waiting_for_growth_ends_with_bytes_closure_deletion_or_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            for path in (PATH, OTHER):
                await make(store, path)
            assert await store.wait_for_growth(PATH, 0, 0) is False
            for change in (
                put(store, b"x"),
                store.append(Append(PATH, closes=True), b""),
                store.delete(Delete(PATH)),
            ):
                stream = store.stream(PATH)
                assert stream is not None
                if stream.closed:
                    assert await store.wait_for_growth(PATH, stream.next_offset, 60) is True
                    await change
                    continue
                waiters = [asyncio.create_task(store.wait_for_growth(PATH, stream.next_offset, 60)) for _ in range(3)]
                unrelated = asyncio.create_task(store.wait_for_growth(OTHER, 0, 60))
                await settle()
                await change
                assert await asyncio.gather(*waiters) == [True] * 3
                assert not unrelated.done()
                unrelated.cancel()
            assert await store.wait_for_growth(PATH, 0, 60) is True
            await settle()
            assert store._growth._waiting == {}

    run(work())


# Streams, losses, segments.


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
