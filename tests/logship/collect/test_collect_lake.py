"""Beside a lake: no segment goes that it has not, none as long as a reader may need it, and what lags stops intake."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from logship.collect import keeper, retention, sealed
from logship.collect.lake import Held, Lake
from logship.collect.retention import DAY_SECONDS, Age, Policy, deletable
from logship.collect.sealed import GRACE_MS, Sealed
from logship.collect.store import Settings, Store
from logship.lake.folder import LAKE, MANIFEST
from logship.wire import Appended, Code, Refusal
from tests.logship.collect.shop import PATH, SMALL, Clock, everything, make, opened, put, run
from tests.logship.lake.lakes import rebuilt, seal

SEGMENTS = [Age(0, 100, 1000), Age(100, 200, 2000), Age(200, 300, 3000), Age(300, 310, 3500)]
SMALL_JOURNAL: Settings = replace(SMALL, policy=Policy(journal_bytes=8192, sealed_bytes=0))


# What may go.


@pytest.mark.parametrize(("sealed_end", "count"), [(0, 0), (99, 0), (100, 1), (250, 2), (300, 3), (310, 3), (400, 3)])
def test_only_whole_segments_below_what_is_sealed_go(sealed_end: int, count: int) -> None:
    assert deletable(SEGMENTS, Policy(), 10**12, sealed_end) == 0, "and none that is to be kept"
    assert deletable(SEGMENTS, Policy(sealed_bytes=0), 0, sealed_end) == count
    assert deletable(SEGMENTS, Policy(journal_bytes=0, age_seconds=0), 10**12, sealed_end) == count


def test_so_much_of_the_journal_stays_though_it_is_sealed() -> None:
    for limit, count in ((310, 0), (309, 1), (110, 2), (109, 3)):
        assert deletable(SEGMENTS, Policy(sealed_bytes=limit), 0, 300) == count, limit
    assert deletable(SEGMENTS, Policy(sealed_bytes=310, age_seconds=2), 4001, 300) == 2, "but not older than is kept"
    assert deletable(SEGMENTS, Policy(sealed_bytes=310, journal_bytes=209), 0, 300) == 2, "nor more than is kept"


def test_what_is_sealed_counts_a_minute_after_its_manifest_was_loaded() -> None:
    found = Sealed().noted(100, 1000).noted(100, 31_000).noted(200, 41_000)
    assert [found.end(ms) for ms in (1000, 60_999, 61_000, 100_999, 101_000)] == [0, 0, 100, 100, 200]
    assert found.noted(300, 101_000).seen == ((200, 41_000), (300, 101_000)), "what is over is one"
    assert found.noted(150, 110_000).end(170_000) == 150, "a lake that was begun anew is another one"
    assert found.noted(0, 110_000).end(200_000) == 0
    assert found.end(1000 - GRACE_MS) == 200, "a clock that was set back does not keep it for ever"


# The whole of it: a collector, seal, and a clock.


@dataclass
class Watch:
    """Holds after each step that whoever reads lake and journal finds all lines, also with a manifest a minute old."""

    store: Store
    folder: Path
    clock: Clock
    published: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def note(self) -> None:
        path = self.folder / LAKE / MANIFEST
        end = json.loads(path.read_text())["sealed_end"] if path.exists() else 0
        if not self.published or self.published[-1][1] != end:
            self.published.append((self.clock.ms, end))

    def check(self) -> None:
        begins = int(min(path.name for path in (self.folder / "journal").iterdir()))
        if begins > self.published[-1][1]:
            self.faults.append("the journal has lost what the lake has not")
        old = [end for ms, end in self.published if self.clock.ms - ms >= GRACE_MS]
        if begins > max(old, default=0):
            self.faults.append("a reader of a manifest that was just replaced misses lines")


def _before_it_is_loaded(patch: pytest.MonkeyPatch) -> None:
    """Retention as it is without a lake, though seal is at work."""
    patch.setattr(keeper, "deletable", lambda ages, policy, now_ms, _: retention.deletable(ages, policy, now_ms))


def _what_it_may_hold_one_day(patch: pytest.MonkeyPatch) -> None:
    """There is a manifest: what does it matter how far it is."""
    patch.setattr(Lake, "look", lambda _, _start, end: Held(end))


def _as_soon_as_it_is_loaded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sealed, "GRACE_MS", 0)


def _nothing(_: pytest.MonkeyPatch) -> None:
    pass


@pytest.mark.parametrize(
    ("mutate", "fault"),
    [
        pytest.param(_nothing, "", id="as it is"),
        pytest.param(_before_it_is_loaded, "the lake has not", id="delete before the manifest is loaded"),
        pytest.param(_what_it_may_hold_one_day, "the lake has not", id="delete beyond what is sealed"),
        pytest.param(_as_soon_as_it_is_loaded, "just replaced", id="delete as soon as it is loaded"),
    ],
)
def test_no_line_is_missing_at_any_moment_and_each_safeguard_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None], fault: str
) -> None:
    mutate(monkeypatch)
    chance = random.Random(7)

    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, SMALL_JOURNAL, clock) as store:
            await make(store)
            watch = Watch(store, tmp_path / "store", clock)
            seal(watch.folder, now_ms=clock)
            written, gone = b"", 0
            for step in range(40):
                for number in range(chance.randrange(8)):
                    line = b"%d %d " % (step, number) + b"x" * chance.randrange(1500) + b"\n"
                    assert isinstance(await put(store, line), Appended)
                    written += line
                if chance.random() < 0.3:
                    seal(watch.folder, now_ms=clock)
                watch.note()
                gone += await store.retain()
                watch.check()
                clock.ms += chance.randrange(40_000)
            assert bool(watch.faults) == bool(fault)
            assert not fault or any(fault in one for one in watch.faults), watch.faults
            if not fault:
                assert gone > 5
                stream = store.stream(PATH)
                assert stream is not None
                old = b"".join(data for _, _, data in rebuilt(watch.folder))
                first = store._index.first_offset(PATH, stream.next_offset)
                assert 0 < first <= len(old)
                assert written == old + (await everything(store, start=first))[len(old) - first :]
                assert store.first_offset(stream) == 0, "nothing of it is gone"

    run(work())


def test_where_nothing_is_sealed_retention_is_as_without_a_lake(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path, SMALL_JOURNAL) as store:
            await make(store)
            for _ in range(5):
                await put(store, bytes(4000))
            assert await store.is_due()
            assert await store.retain() > 0
            assert (store.health()["sealed_end"], store.health()["lake_fault"]) == (None, None)

    run(work())


def test_old_segments_wait_for_seal_too(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, replace(SMALL, policy=Policy(age_seconds=DAY_SECONDS)), clock) as store:
            await make(store, body=b"x" * 5000 + b"\n")
            await put(store, b"x")
            seal_nothing(tmp_path / "store")
            clock.ms += 3 * DAY_SECONDS * 1000
            assert await store.retain() == 0
            seal(tmp_path / "store", now_ms=clock)
            assert await store.retain() == 0, "the manifest was only just loaded"
            clock.ms += GRACE_MS
            assert await store.is_due()
            assert await store.retain() == 2

    run(work())


def seal_nothing(store: Path) -> None:
    """A lake that has just been begun."""
    (store / LAKE).mkdir()
    empty = {"v": 1, "sealed_end": 0, "not_sealed": [], "damaged": [], "deleted": [], "leaving": [], "files": []}
    (store / LAKE / MANIFEST).write_text(json.dumps(empty))


# A lake that is not to be believed.


def spoil(folder: Path, how: str) -> None:
    """Do something to a lake."""
    manifest = folder / LAKE / MANIFEST
    (first, *_) = sorted((folder / LAKE).glob("day=*/*.parquet"))
    match how:
        case "no manifest of ours":
            manifest.write_text("{}")
        case "another store's":
            manifest.write_text(manifest.read_text().replace('"sealed_end": ', '"sealed_end": 9', 1))
        case "a file is missing":
            first.unlink()
        case "a file is cut off":
            first.write_bytes(first.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("no manifest of ours", "cannot be read"),
        ("another store's", "another store's: it is sealed"),
        ("a file is missing", "is missing, or not of the size"),
        ("a file is cut off", "is missing, or not of the size"),
    ],
)
def test_a_lake_that_is_not_whole_is_no_reason_to_delete(tmp_path: Path, how: str, why: str) -> None:
    async def work() -> None:
        clock = Clock()
        async with opened(tmp_path, SMALL_JOURNAL, clock) as store:
            await make(store)
            for _ in range(5):
                await put(store, bytes(4000) + b"\n")
            seal(tmp_path / "store", now_ms=clock)
            kept = (tmp_path / "store" / LAKE / MANIFEST).read_bytes()
            spoil(tmp_path / "store", how)
            for _ in range(3):
                assert await store.retain() == 0
                clock.ms += GRACE_MS
            assert why in str(store.health()["lake_fault"])
            (tmp_path / "store" / LAKE / MANIFEST).write_bytes(kept)
            await store.retain()
            mends = "file" not in how
            assert (store.health()["lake_fault"] is None) == mends
            clock.ms += GRACE_MS
            assert bool(await store.retain()) == mends

    run(work())


# What lags.


def test_a_journal_that_seal_does_not_follow_stops_intake_and_goes_on_when_it_did(tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        bounds = replace(SMALL.bounds, unsealed_bytes_max=200_000)
        async with opened(tmp_path, replace(SMALL, bounds=bounds, policy=Policy(journal_bytes=50_000)), clock) as store:
            await make(store)
            seal_nothing(tmp_path / "store")
            await store.is_due()
            answers = [await put(store, b"x" * 9_999 + b"\n") for _ in range(30)]
            refusal = answers[-1]
            assert isinstance(answers[0], Appended)
            assert isinstance(refusal, Refusal)
            assert (refusal.code, refusal.status) == (Code.NO_ROOM, 503)
            assert "logship seal" in refusal.reason
            assert await store.retain() == 0
            assert store.health()["accepting"] is (store.health()["room_bytes"] != 0)
            seal(tmp_path / "store", now_ms=clock)
            await store.retain()
            clock.ms += GRACE_MS
            assert await store.retain() > 0
            assert isinstance(await put(store, bytes(10_000)), Appended)

    run(work())
