"""No room, and worse: what does not fit is refused and leaves nothing; a disk that fails is the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from logship.collect.disk import Disk, NoRoom
from logship.collect.journal import META_BYTES_MAX
from logship.errors import Fault
from logship.wire import (
    Appended,
    Code,
    Create,
    Refusal,
)
from tests.logship.collect.shop import (
    OTHER,
    SETTINGS,
    SMALL,
    by,
    everything,
    make,
    opened,
    put,
    run,
)


@pytest.mark.case(92)
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
            assert (store.health()["accepting"], store.health()["room_bytes"]) == (True, 1_000_000 - META_BYTES_MAX)
            assert isinstance(await put(store, bytes(1_000_001 - META_BYTES_MAX)), Refusal)
            free[0] = 1_000_000 + META_BYTES_MAX
            refusal = await put(store, b"x")
            assert isinstance(refusal, Refusal)
            assert (refusal.code, "disk_free_min" in refusal.reason) == (Code.NO_ROOM, True)
            assert store.health()["accepting"] is False
            assert store.health()["room_bytes"] == 0
            free[0] = 2_000_000
            assert await put(store, bytes(1_000_000 - META_BYTES_MAX)) == Appended(1_000_001 - META_BYTES_MAX)

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
            room_bytes = store.health()["room_bytes"]
            assert isinstance(room_bytes, int)
            assert room_bytes < 10_000
            if room_bytes:
                assert isinstance(await put(store, bytes(room_bytes + 1)), Refusal)
            assert (refusal.code, "journal_bytes_max" in refusal.reason) == (Code.NO_ROOM, True)
            assert await store.retain() > 0
            assert isinstance(await put(store, bytes(10_000)), Appended)

    run(work())


@pytest.mark.case(87)
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
