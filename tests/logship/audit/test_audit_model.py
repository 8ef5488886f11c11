"""Whatever is dropped, lost, reloaded or killed: verified means that nothing is missing but what HAProxy counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from logship.audit.audit_book import Book
from logship.audit.audit_life import Window
from logship.audit.verdict import LOST, UNVERIFIED, VERIFIED
from tests.logship.audit.audit_world import COUNTERS, HAPROXY, SOURCES, Worker, World, deliver

RANDOMS = st.randoms(use_true_random=False)


def played(chance: Random, threads: int, *, losing: bool, events: bool = True) -> World:
    """A life under load: workers come, finish, and are killed; lines are dropped, and lost where ``losing``."""
    world = World(chance, threads)
    worker = world.start()
    fates = ["stored"] * 12 + ["dropped"] * chance.choice((0, 0, 3)) + ["late"] * 2 + ["lost"] * losing
    for _ in range(chance.randint(1, 25)):
        step = chance.random()
        if step < 0.6:
            for _ in range(chance.choice((1, 5, 40))):
                world.request(worker, chance.choice(fates))
        elif step < 0.7:
            # With several threads a dropped message may stand for a line that is only late: left out here.
            world.event(worker, dropped=events and threads == 1 and chance.random() < 0.3)
        elif step < 0.9:
            world.count(worker, exact=chance.random() < 0.8, reach=chance.random() < 0.8)
            if chance.random() < 0.7:
                world.catch_up(worker)
        elif step < 0.95:
            world.catch_up(worker)
            world.count(worker, final=True)
            worker = world.start()
        else:
            world.kill(worker, told=chance.random() < 0.7)
            worker = world.start()
    if chance.random() < 0.5:
        world.catch_up(worker)
        world.count(worker, final=True)
    else:
        world.kill(worker, told=False)
    return world


def by_worker(world: World, windows: Sequence[Window]) -> list[tuple[Worker, list[Window]]]:
    found: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        found[window.verdict.pid].append(window)
    return [(worker, found[worker.pid]) for worker in world.workers]


def check(world: World, windows: Sequence[Window]) -> None:
    """What holds of any life."""
    assert len({window.id for window in windows if not window.verdict.idle}) == len(
        [window for window in windows if not window.verdict.idle]
    )
    for worker, found in by_worker(world, windows):
        end = 0
        for window in found:
            verdict = window.verdict
            assert verdict.first == end, "windows follow on each other"
            end = verdict.last
            inside = range(verdict.first + 1, verdict.last + 1)
            assert verdict.stored == len(worker.stored.intersection(inside))
            assert verdict.produced == verdict.stored + verdict.dropped + verdict.lost + verdict.unknown
            assert verdict.twice == 0
        known = max(worker.stored, default=0)
        assert end >= known, "every stored line is in a window"
        if found and found[-1].verdict.verdict != UNVERIFIED:
            assert end == worker.lines, "of a worker that was asked at its end all is known"


@given(RANDOMS, st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_nothing_is_said_to_be_lost_when_nothing_is(chance: Random, threads: int) -> None:
    world = played(chance, threads, losing=False)
    windows = deliver(world, chance)
    check(world, windows)
    assert not [window for window in windows if window.verdict.verdict == LOST]
    for worker, found in by_worker(world, windows):
        if not worker.lost:
            assert sum(window.verdict.lost for window in found) == 0


@given(RANDOMS, st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_nothing_is_said_to_be_verified_while_a_line_is_lost(chance: Random, threads: int) -> None:
    """No message is dropped here: one that is may stand for a line that is lost (docs/audit.md says so)."""
    world = played(chance, threads, losing=True, events=False)
    windows = deliver(world, chance)
    check(world, windows)
    for worker, found in by_worker(world, windows):
        told = sum(window.verdict.lost + window.verdict.unknown for window in found)
        end = found[-1].verdict.last if found else 0
        lost = {number for number in worker.lost if number <= end}
        assert told >= len(lost)
        if all(window.verdict.verdict == VERIFIED for window in found):
            assert not lost
        assert sum(window.verdict.lost for window in found) <= len(lost)


@given(RANDOMS)
@settings(max_examples=80, deadline=None)
def test_with_one_thread_each_window_is_exact(chance: Random) -> None:
    """Not only the sums: a window that is verified misses what was dropped in it, and nothing else."""
    world = played(chance, 1, losing=True, events=False)
    for worker, found in by_worker(world, deliver(world, chance)):
        for window in found:
            verdict = window.verdict
            inside = range(verdict.first + 1, verdict.last + 1)
            if verdict.verdict == VERIFIED:
                assert not worker.lost.intersection(inside)
                assert verdict.dropped == len(worker.dropped.intersection(inside))
            if verdict.verdict == LOST:
                assert verdict.lost == len(worker.lost.intersection(inside))


@given(RANDOMS, st.integers(1, 3), st.integers())
@settings(max_examples=50, deadline=None)
def test_a_restart_anywhere_changes_no_verdict(chance: Random, threads: int, seed: int) -> None:
    world = played(chance, threads, losing=True)
    through = deliver(world, Random(seed))
    again = Random(seed)
    assert deliver(world, _Forgetful(again), restarts=True) == through


class _Forgetful(Random):
    """The same choices of pieces, and a restart after some of them."""

    def __init__(self, chance: Random) -> None:
        super().__init__(0)
        self._chance = chance

    def choice(self, seq):  # type: ignore[no-untyped-def]  # as Random's own
        return self._chance.choice(seq)


@given(RANDOMS, st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_the_same_journal_gives_the_same_verdicts_however_it_was_cut(chance: Random, threads: int) -> None:
    """Sums are the same for any interleaving; where windows lie may differ."""
    world = played(chance, threads, losing=True, events=False)
    sums = []
    for seed in (1, 2):
        found = deliver(world, Random(seed))
        sums.append(
            [
                (
                    worker.pid,
                    sum(window.verdict.produced for window in each),
                    sum(window.verdict.stored for window in each),
                )
                for worker, each in by_worker(world, found)
            ]
        )
    assert sums[0] == sums[1]


@given(RANDOMS, st.integers(1, 400))
@settings(max_examples=50, deadline=None)
def test_a_beginning_that_is_not_kept_is_unverified_and_never_lost(chance: Random, kept_from: int) -> None:
    from logship.audit.audit_book import Book
    from tests.logship.audit.audit_world import COUNTERS, HAPROXY, SOURCES

    world = played(chance, 1, losing=False, events=False)
    kept_from = min(kept_from * 50, len(world.haproxy))
    book = Book()
    book.opened(HAPROXY, SOURCES[HAPROXY], kept_from=kept_from)
    book.opened(COUNTERS, SOURCES[COUNTERS])
    found = book.bytes(HAPROXY, kept_from, bytes(world.haproxy[kept_from:]))
    found += book.bytes(COUNTERS, 0, bytes(world.counters))
    book.closed(HAPROXY, 0)
    book.closed(COUNTERS, 0)
    found += book.passed(10**6)
    assert not [window for window in found if window.verdict.verdict == LOST]
    for worker, each in by_worker(world, found):
        for window in each:
            inside = range(window.verdict.first + 1, window.verdict.last + 1)
            missing = window.verdict.dropped + window.verdict.unknown
            assert missing <= len(worker.dropped.intersection(inside)) + 1


def test_a_worker_of_which_no_line_was_stored_is_judged_under_the_name_its_stream_would_have() -> None:
    """All its lines were dropped, or the collector began anew: the stream is not there, or not yet."""
    world = World(Random(1))
    worker = world.start()
    for _ in range(5):
        world.request(worker, "dropped")
    world.count(worker)
    world.count(worker, final=True)
    book = Book()
    book.opened(COUNTERS, SOURCES[COUNTERS])
    found = book.bytes(COUNTERS, 0, bytes(world.counters))
    assert [(window.stream, window.offset) for window in found] == [(HAPROXY, 0)] * len(found)
    assert sum(window.verdict.dropped for window in found) == 5
