"""Reading the store: any range of any history; bit rot is said; waiting ends when something has come."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from logship.values import Producer
from logship.wire import (
    Append,
    Appended,
    Code,
    Delete,
    Digest,
    Look,
    Refusal,
    Seen,
)
from tests.logship.collect.shop import (
    OTHER,
    PATH,
    SETTINGS,
    SMALL,
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


@pytest.mark.case(95)
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
